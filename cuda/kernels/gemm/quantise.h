// Making packed matrices, at load.
#pragma once

#include <cuda_runtime.h>
#include <stdint.h>

#include <vector>

#include "kernels/gemm/packed.h"
#include "nanofleet.h"

namespace nf {

// Rows of a source go to the rows first, first + step, ... of a matrix.
struct packed_rows {
  packed_matrix to;
  uint32_t first, step;
};

// FP8: the scale of a row is the least power of two that takes its largest magnitude to
// 448 at most. Magnitudes beyond 448 * 128 become that. int4: of sixteen ranges, from all
// of a group's down to 0.7 of it, the one with the least squared error.
nf_code quantise_launch(const void *from, uint32_t rows, const packed_rows &to, cudaStream_t stream);

// Scales as files hold them: one, one for each row, or one for each block of 128 x 128.
struct file_scales {
  const float *at;
  uint32_t rows, cols;
  bool by_row;
};

// E4M3 as files hold it: `rows` of a tensor, from its row `first` on.
nf_code repack_launch(const void *from, uint32_t first, uint32_t rows, const file_scales &scales, const packed_rows &to, cudaStream_t stream);

// The same on the CPU, one element after the other; `data` and `scales` as packed_matrix
// has them, zero where nothing is written.
struct packed_host {
  std::vector<uint8_t> data, scales;
};
void quantise_reference(const float *from, uint32_t rows, const packed_rows &to, packed_host *out);

// The matrix that is multiplied: n x k.
std::vector<float> unpack_reference(const packed_matrix &m, const packed_host &from);

float e4m3_reference(uint8_t bits);
uint8_t to_e4m3_reference(float v);  // the nearest, ties to even; at most 448

}  // namespace nf
