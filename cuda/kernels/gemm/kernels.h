// The kernels behind gemm_launch.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <stdint.h>

#include "kernels/gemm/gemm.h"

namespace nf {

using bf16 = __nv_bfloat16;

// Arguments of one launch, typed.
struct gemm_typed {
  const bf16 *x, *w, *bias, *residual;
  void *out;
  uint32_t rows, n, k;
  gemm_epilogue epilogue;
  uint32_t activation;
  float scale, softcap;
  const bf16 *norm;  // of x, or NULL
  float norm_eps, norm_shift;
};

// few.cu: up to 16 rows.
constexpr uint32_t few_rows = 16, few_warps_max = 16;
nf_code few_launch(const gemm_typed &a, cudaStream_t stream);
bool few_normalises(const gemm_typed &a);  // whether it can normalise x itself

// wide.cu: many rows by warpgroup products, on a device that has them.
bool wide_runs();
nf_code wide_launch(const gemm_typed &a, cudaStream_t stream);

// paired.cu: more rows still, by pairs of blocks that share weights.
bool paired_takes(const gemm_typed &a);
bool paired_pays(const gemm_typed &a);  // whether it is faster than wide
nf_code paired_launch(const gemm_typed &a, cudaStream_t stream);

}  // namespace nf
