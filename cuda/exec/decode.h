// Weights as files hold them, to bf16.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "nanofleet.h"

namespace nf {

// Elements and bytes of one block of a type; elements 0 for one that is not known.
struct block_size {
  uint32_t elements, bytes;
};
block_size block_of(nf_dtype dtype);

// Decodes n elements of E4M3, each times scale.
void decode_e4m3(const uint8_t *from, size_t n, float scale, uint16_t *to);

// Decodes n elements, a whole number of blocks, rounding each to the nearest bf16.
void decode(nf_dtype dtype, const void *from, size_t n, uint16_t *to);

}  // namespace nf
