#include "arch/arch.h"

#include <sstream>

#ifndef NF_ARCHS
#error "NF_ARCHS is given by cuda.mk"
#endif

namespace nf {

const char *const built_archs = NF_ARCHS;

// Code for sm_XY runs on X.Y and later minors; with the suffix `a` (features of one
// chip) on X.Y alone; PTX of compute_XY is compiled by the driver for anything later.
static bool one_runs(const std::string &arch, int major, int minor) {
  const std::string prefix = "compute_";
  const bool ptx = arch.rfind(prefix, 0) == 0;
  const int have = std::stoi(ptx ? arch.substr(prefix.size()) : arch);
  if (ptx) return major * 10 + minor >= have;
  if (arch.back() == 'a') return major * 10 + minor == have;
  return major == have / 10 && minor >= have % 10;
}

bool runs(const std::string &archs, int major, int minor) {
  std::istringstream list(archs);
  for (std::string arch; list >> arch;) {
    if (one_runs(arch, major, minor)) return true;
  }
  return false;
}

std::string arch_names(const std::string &archs) {
  std::istringstream list(archs);
  std::string names;
  for (std::string arch; list >> arch;) {
    names += (names.empty() ? "" : ", ") + (arch[0] == 'c' ? arch : "sm_" + arch);
  }
  return names;
}

}  // namespace nf
