// K and V in E4M3 as the pages hold them, in plain arithmetic: what the kernels are held to.
#pragma once

#include <stdint.h>

#include <vector>

namespace nf::harness {

// The byte of the power of two that a row of these values is scaled by: the least that
// brings all within 448, 255 when one is not finite.
uint8_t scale_byte(const std::vector<float> &row);

// v times 2^(127 - scale) as E4M3, to nearest, ties to even.
uint8_t encode_e4m3(float v, uint8_t scale);

// The value that an element and its scale stand for; a float holds it exactly.
float decode_e4m3(uint8_t element, uint8_t scale);

}  // namespace nf::harness
