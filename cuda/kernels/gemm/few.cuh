// What products of few rows share: x normalised in shared memory, residuals asked for early.
#pragma once

#include "common/mma.cuh"
#include "common/reduce.cuh"
#include "kernels/gemm/epilogue.cuh"

namespace nf {

constexpr uint32_t skew = 32;      // elements between rows in shared memory, for its banks
constexpr uint32_t held_vecs = 4;  // vectors of a row that a thread normalises

// Whether a block of so many threads can normalise the rows of x.
inline bool normalises(const gemm_typed &a, uint32_t threads) {
  if (a.rows > 8) return false;
  const uint32_t rows = a.rows <= 1 ? 1 : a.rows <= 2 ? 2 : a.rows <= 4 ? 4 : 8;
  // Shared memory beyond 48 KiB would have to be asked for.
  return threads / rows >= 32 && a.k <= threads / rows * held_vecs * 8 && a.rows * (a.k + skew) * sizeof(bf16) <= 36864;
}

// Where rows of x are read: global memory, or shared memory once they are normalised.
struct source {
  const bf16 *x;
  uint32_t pitch;
};

// Normalises the rows of x into shared memory: a share of the block's threads each.
__device__ __forceinline__ source normalise(const gemm_typed &a, bf16 *to) {
  __shared__ float partial[32];
  const uint32_t share = blockDim.x / (a.rows <= 1 ? 1 : a.rows <= 2 ? 2 : a.rows <= 4 ? 4 : 8);
  const uint32_t row = threadIdx.x / share, mine = threadIdx.x % share, vecs = a.k / 8, pitch = a.k + skew;
  vec16 v[held_vecs];
  float squares = 0;
#pragma unroll
  for (uint32_t i = 0; i < held_vecs; i++) {
    const uint32_t at = mine + i * share;
    v[i] = load_if(a.x + static_cast<size_t>(row) * a.k + at * 8, row < a.rows && at < vecs);
  }
#pragma unroll
  for (uint32_t i = 0; i < held_vecs; i++) {
    float x[8];
    unpack<bf16>(v[i], x);
#pragma unroll
    for (int j = 0; j < 8; j++) squares += x[j] * x[j];
  }
  squares = warp_sum(squares);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = squares;
  __syncthreads();
  float total = 0;
  for (uint32_t w = 0; w < share / 32; w++) total += partial[row * (share / 32) + w];
  const float scale = rsqrtf(total / static_cast<float>(a.k) + a.norm_eps);
#pragma unroll
  for (uint32_t i = 0; i < held_vecs; i++) {
    const uint32_t at = mine + i * share;
    if (row >= a.rows || at >= vecs) continue;
    float x[8], w[8];
    unpack<bf16>(v[i], x);
    unpack<bf16>(load_shared_by_blocks(a.norm + at * 8), w);
#pragma unroll
    for (int j = 0; j < 8; j++) x[j] = x[j] * scale * (w[j] + a.norm_shift);
    store(to + row * pitch + at * 8, pack<bf16>(x));
  }
  __syncthreads();
  return {to, pitch};
}

// The residuals of the rows 2c and 2c + 1 that a finishing thread will add, asked for
// before the sums are there.
template <int HALVES>
__device__ __forceinline__ tile residuals(const gemm_typed &a, uint32_t row, uint32_t feature) {
  tile r = {};
  if (a.epilogue != gemm_epilogue::residual || !a.residual) return r;
#pragma unroll
  for (int i = 0; i < 2 * HALVES; i++) {
    const uint32_t to = row + i % 2, f = feature + i / 2;
    if (to < a.rows && f < a.n) r.v[i] = to_float<bf16>(a.residual[static_cast<size_t>(to) * a.n + f]);
  }
  return r;
}

}  // namespace nf
