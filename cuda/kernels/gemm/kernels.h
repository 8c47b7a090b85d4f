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
  weight_kind kind;
  const uint8_t *packed;  // w, unless it is bf16
  const void *scales;
  uint32_t scale_groups;
};

// few.cu: up to 16 rows.
constexpr uint32_t few_rows = 16, few_warps_max = 16;
nf_code few_launch(const gemm_typed &a, cudaStream_t stream);
bool few_normalises(const gemm_typed &a);  // whether it can normalise x itself

// few_packed.cu: any number of rows, up to 16 at a time.
nf_code few_packed_launch(const gemm_typed &a, cudaStream_t stream);
bool few_packed_normalises(const gemm_typed &a);

// wide.cu: many rows by warpgroup products, on a device that has them.
bool wide_runs();
nf_code wide_launch(const gemm_typed &a, cudaStream_t stream);

// paired.cu: more rows still, by pairs of blocks that share weights.
bool paired_takes(const gemm_typed &a);
bool paired_pays(const gemm_typed &a);  // whether it is faster than wide
nf_code paired_launch(const gemm_typed &a, cudaStream_t stream);

// wide_packed.cu: the same with packed matrices.
nf_code wide_packed_launch(const gemm_typed &a, cudaStream_t stream);

}  // namespace nf
