// RMS norm: out[r] = in[r] / sqrt(mean(in[r]^2) + eps) * weight, row by row.
#pragma once

#include <cuda_runtime.h>
#include <stdint.h>

#include "nanofleet.h"

namespace nf {

// Which kernel computes a row. It follows from width and alignment alone, never from
// the number of rows, so that a row's bits do not depend on its neighbours.
enum class norm_kernel {
  loop,   // any width: a block per row reads it twice, element by element
  warp,   // a warp per row, which it keeps in registers: rows of up to 2 KiB
  block,  // a block per row, which it keeps in registers: rows of up to 64 KiB
};

struct norm_args {
  const void *in;      // rows x width
  const void *weight;  // width
  void *out;           // rows x width; may be `in`
  uint32_t rows, width;
  float eps;
  bool plus_one;   // the weight is stored as w - 1
  nf_dtype dtype;  // of in, weight and out: NF_F32 or NF_BF16
};

// The kernel for these arguments.
norm_kernel norm_choose(const norm_args &a);

// Queues the norm on a stream. The caller has checked the arguments.
nf_code norm_launch(const norm_args &a, cudaStream_t stream);

// The same by a named kernel, which must be able to: for tests and the bench.
nf_code norm_launch_as(norm_kernel kernel, const norm_args &a, cudaStream_t stream);

// In float64 on the CPU, over float copies of in and weight.
void norm_reference(const float *in, const float *weight, double *out, uint32_t rows, uint32_t width, float eps,
                    bool plus_one);

}  // namespace nf
