// The engine's entries of the table. This build honours none of them yet: each says
// so by name, and a caller that asks create first learns it before loading anything.
#pragma once

#include "nanofleet.h"

namespace nf {

// Sets every entry of the table that works on an engine, create included.
void set_engine_entries(nf_api *table);

}  // namespace nf
