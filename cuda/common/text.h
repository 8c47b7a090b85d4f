// Failure texts. The ABI hands them out as plain pointers that any thread may read
// at any time, so a text once given is kept for good; there are few different ones.
#pragma once

#include <string>

#include "nanofleet.h"

namespace nf {

// Keeps text as what last_error(NULL) says and gives code back, so that a failing
// entry reads `return fail(NF_INVALID, "...")`.
nf_code fail(nf_code code, const std::string &text);

// The text of the last failure, "" before the first.
const char *last_text();

}  // namespace nf
