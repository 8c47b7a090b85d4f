// Seeded values for tests and benches, rounded to the element type under test.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <vector>

#include "nanofleet.h"

namespace nf::harness {

// n floats, roughly normal with a standard deviation of `spread`, rounded to dtype.
std::vector<float> random_values(size_t n, float spread, uint64_t seed, nf_dtype dtype);

// Values that dtype holds exactly, as its bytes and back.
std::vector<uint8_t> to_bytes(const std::vector<float> &values, nf_dtype dtype);
std::vector<float> from_bytes(const std::vector<uint8_t> &bytes, nf_dtype dtype);

}  // namespace nf::harness
