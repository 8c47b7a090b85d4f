// What every product kernel does with its sums.
#pragma once

#include "common/element.cuh"
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
};

__device__ __forceinline__ float activate(float x, uint32_t activation) {
  if (activation == NF_ACT_SILU) return x / (1.0f + expf(-x));
  return 0.5f * x * (1.0f + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)));
}

__device__ __forceinline__ float biased(const gemm_typed &a, float y, uint32_t col) {
  return a.bias ? y + to_float<bf16>(a.bias[col]) : y;
}

__device__ __forceinline__ void finish_one(const gemm_typed &a, uint32_t row, uint32_t col, float y) {
  const size_t at = static_cast<size_t>(row) * a.n + col;
  y = biased(a, y, col) * a.scale;
  if (a.epilogue == gemm_epilogue::logits) {
    static_cast<float *>(a.out)[at] = a.softcap > 0 ? a.softcap * tanhf(y / a.softcap) : y;
    return;
  }
  if (a.epilogue == gemm_epilogue::residual && a.residual) y += to_float<bf16>(a.residual[at]);
  static_cast<bf16 *>(a.out)[at] = from_float<bf16>(y);
}

// Finishes the sums of the columns col and col + 1, col even.
__device__ __forceinline__ void finish(const gemm_typed &a, uint32_t row, uint32_t col, float y0, float y1) {
  if (row >= a.rows || col >= a.n) return;
  if (a.epilogue == gemm_epilogue::gated) {
    const float gate = activate(biased(a, y0, col), a.activation);
    static_cast<bf16 *>(a.out)[static_cast<size_t>(row) * (a.n / 2) + col / 2] = from_float<bf16>(gate * biased(a, y1, col + 1));
    return;
  }
  finish_one(a, row, col, y0);
  if (col + 1 < a.n) finish_one(a, row, col + 1, y1);
}

}  // namespace nf
