// Matrix products: out = epilogue(x * w^T), bf16 in, f32 accumulators.
#pragma once

#include <cuda_runtime.h>
#include <stdint.h>

#include "kernels/gemm/packed.h"
#include "nanofleet.h"

namespace nf {

// What becomes of y = x * w^T + bias.
enum class gemm_epilogue {
  plain,     // out = y, bf16
  residual,  // out = residual + scale * y, bf16; residual may be NULL or out itself
  gated,     // out[i] = act(y[2i]) * y[2i + 1], bf16, n / 2 wide: gate and up rows alternate in w
  logits,    // out = softcap(scale * y), f32
};

// Which kernel computes.
enum class gemm_kernel {
  few,     // up to 16 rows: weights are on their way before the kernel before has ended
  skinny,  // up to 64 rows a launch: weights go from memory to the tensor cores directly
  tiled,   // many rows: tiles of 128 x 128 or 64 x 64 by way of shared memory
  wide,    // many rows: warpgroup products of tiles that the copy engine brings, on Hopper
  paired,  // hundreds of rows: the same in pairs of blocks that share weights
  few_packed,   // packed matrices, 16 rows a pass over the weights
  wide_packed,  // packed matrices, many rows, on Hopper
};

struct gemm_args {
  const void *x;  // rows x k, bf16
  const void *w;  // n x k, bf16
  void *out;      // rows x n (n / 2 when gated)
  const void *bias;      // n, bf16, or NULL
  const void *residual;  // rows x n, bf16, or NULL
  uint32_t rows, n, k;   // k a multiple of 8; n even when gated
  gemm_epilogue epilogue;
  uint32_t activation;  // NF_ACT_*, when gated
  float scale, softcap;
  bool invariant;  // a row's bits must not depend on how many rows there are
  // An RMS norm of x before the product, by kernels that gemm_normalises says can.
  const void *norm;  // weight: k, bf16, or NULL
  float norm_eps;
  bool norm_plus_one;  // the weight is stored as w - 1
  // Unless it is bf16, w and the scales lie as packed.h says.
  weight_kind kind = weight_kind::bf16;
  const void *scales = nullptr;
  uint32_t scale_groups = 0;
};

gemm_kernel gemm_choose(const gemm_args &a);
// Whether a kernel takes such a product on this device.
bool gemm_takes(gemm_kernel kernel, const gemm_args &a);
// Whether that kernel can normalise x itself, which saves a launch.
bool gemm_normalises(const gemm_args &a);

// Queues the product on a stream. The caller has checked the arguments.
nf_code gemm_launch(const gemm_args &a, cudaStream_t stream);

// The same by a named kernel, for tests and the bench.
nf_code gemm_launch_as(gemm_kernel kernel, const gemm_args &a, cudaStream_t stream);

// In float64 on the CPU, over float copies of every operand. out is f64.
void gemm_reference(const gemm_args &a, const float *x, const float *w, const float *bias, const float *residual, double *out);

}  // namespace nf
