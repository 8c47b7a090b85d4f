// What this build has machine code for.
#pragma once

#include <string>

namespace nf {

// Whether a device of compute capability major.minor runs code of this build.
// archs lists what was compiled, as in the Makefile's ARCHS: "80 90a compute_80".
bool runs(const std::string &archs, int major, int minor);

// The list as people read it: "sm_80, sm_90a, compute_80".
std::string arch_names(const std::string &archs);

// The list of this build.
extern const char *const built_archs;

}  // namespace nf
