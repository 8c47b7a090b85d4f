// Matrices as the copy engine sees them (copy_box of common/hopper.cuh).
#pragma once

#include <cuda.h>
#include <stdint.h>

namespace nf {

// Whether this device's driver can describe them.
bool boxes_known();

// Describes bf16 elements of two or three dimensions, the contiguous one first: how many
// there are, the bytes from one to the next in each dimension but the first, and the box
// that one copy brings, 64 elements wide. Rows lie swizzled in shared memory; what is
// beyond an edge reads as zero. Returns whether the driver agreed.
bool describe_boxes(CUtensorMap *map, const void *p, uint32_t dimensions, const uint64_t *sizes, const uint64_t *pitches, const uint32_t *box);

// A matrix of rows x k.
bool describe_rows(CUtensorMap *map, const void *p, uint32_t rows, uint32_t k, uint32_t box_rows);

}  // namespace nf
