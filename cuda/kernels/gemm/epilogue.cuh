// What every product kernel does with its sums.
#pragma once

#include "common/element.cuh"
#include "common/mma.cuh"
#include "kernels/gemm/kernels.h"

namespace nf {

__device__ __forceinline__ float activate(float x, uint32_t activation) {
  if (activation == NF_ACT_SILU) return x / (1.0f + expf(-x));
  return 0.5f * x * (1.0f + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)));
}

__device__ __forceinline__ float biased(const gemm_typed &a, float y, uint32_t col) {
  return a.bias ? y + to_float<bf16>(a.bias[col]) : y;
}

__device__ __forceinline__ float residual_of(const gemm_typed &a, uint32_t row, uint32_t col) {
  return a.epilogue == gemm_epilogue::residual && a.residual ? to_float<bf16>(a.residual[static_cast<size_t>(row) * a.n + col]) : 0;
}

// Finishes the sum of one column that is there; `added` is its residual.
__device__ __forceinline__ void finish_one(const gemm_typed &a, uint32_t row, uint32_t col, float y, float added) {
  const size_t at = static_cast<size_t>(row) * a.n + col;
  y = biased(a, y, col) * a.scale;
  if (a.epilogue == gemm_epilogue::logits) {
    static_cast<float *>(a.out)[at] = a.softcap > 0 ? a.softcap * tanhf(y / a.softcap) : y;
  } else {
    static_cast<bf16 *>(a.out)[at] = from_float<bf16>(y + added);
  }
}

// Finishes the sums of the columns col and col + 1, col even.
__device__ __forceinline__ void finish(const gemm_typed &a, uint32_t row, uint32_t col, float y0, float y1, float added0, float added1) {
  if (row >= a.rows || col >= a.n) return;
  if (a.epilogue == gemm_epilogue::gated) {
    const float gate = activate(biased(a, y0, col), a.activation);
    static_cast<bf16 *>(a.out)[static_cast<size_t>(row) * (a.n / 2) + col / 2] = from_float<bf16>(gate * biased(a, y1, col + 1));
    return;
  }
  const size_t at = static_cast<size_t>(row) * a.n + col;
  if (a.epilogue != gemm_epilogue::logits && a.n % 2 == 0) {  // one store of both
    const float first = biased(a, y0, col) * a.scale + added0, second = biased(a, y1, col + 1) * a.scale + added1;
    *reinterpret_cast<uint32_t *>(static_cast<bf16 *>(a.out) + at) = pack2(first, second);
    return;
  }
  finish_one(a, row, col, y0, added0);
  if (col + 1 < a.n) finish_one(a, row, col + 1, y1, added1);
}

__device__ __forceinline__ void finish(const gemm_typed &a, uint32_t row, uint32_t col, float y0, float y1) {
  if (row >= a.rows || col >= a.n) return;
  const size_t at = static_cast<size_t>(row) * a.n + col;
  float2 added = make_float2(0, 0);
  if (a.epilogue == gemm_epilogue::residual && a.residual) {
    if (a.n % 2 == 0) {
      added = __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162 *>(a.residual + at));
    } else {
      added = make_float2(residual_of(a, row, col), col + 1 < a.n ? residual_of(a, row, col + 1) : 0);
    }
  }
  finish(a, row, col, y0, y1, added.x, added.y);
}

// Whether eight columns from a multiple of eight on can be finished together.
__device__ __forceinline__ bool by_eights(const gemm_typed &a) { return a.epilogue != gemm_epilogue::logits && a.n % 16 == 0; }

// The residual of eight columns, to be asked for early; zeros where finish_eight does
// without.
__device__ __forceinline__ vec16 residual_eight(const gemm_typed &a, uint32_t row, uint32_t col) {
  const bool there = a.epilogue == gemm_epilogue::residual && a.residual && by_eights(a) && row < a.rows && col < a.n;
  return load_if(a.residual + static_cast<size_t>(row) * a.n + col, there);
}

// Finishes the sums of the columns col to col + 7, col a multiple of eight.
__device__ __forceinline__ void finish_eight(const gemm_typed &a, uint32_t row, uint32_t col, const float (&y)[8], const vec16 &added) {
  if (a.epilogue == gemm_epilogue::gated || !by_eights(a)) {
#pragma unroll
    for (int i = 0; i < 8; i += 2) finish(a, row, col + i, y[i], y[i + 1]);
    return;
  }
  if (row >= a.rows || col >= a.n) return;
  vec16 out;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    __nv_bfloat162 base;
    memcpy(&base, &added.word[i], sizeof base);
    const float2 r = __bfloat1622float2(base);
    const uint32_t c = col + 2 * i;
    out.word[i] = pack2(biased(a, y[2 * i], c) * a.scale + r.x, biased(a, y[2 * i + 1], c + 1) * a.scale + r.y);
  }
  store(static_cast<bf16 *>(a.out) + static_cast<size_t>(row) * a.n + col, out);
}

}  // namespace nf
