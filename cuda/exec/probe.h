#pragma once

#include "nanofleet.h"

namespace nf {

// The table's probe.
nf_code probe(nf_probe_info *info);

}  // namespace nf
