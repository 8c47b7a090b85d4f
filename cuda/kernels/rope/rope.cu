#include "kernels/rope/rope.h"

#include "common/e4m3.cuh"
#include "common/element.cuh"
#include "common/launch.h"
#include "common/reduce.cuh"
#include "common/status.h"

namespace nf {
namespace {

using bf16 = __nv_bfloat16;

constexpr uint32_t warps = 8;  // of a block: heads that share it
constexpr int held = 2;        // pairs of a lane: heads are of at most 128 elements

// The angle is reduced in double: a float is off by a radian at positions where contexts
// end today.
__global__ void __launch_bounds__(128) turn(const step_token *tokens, const float *inv_freq, uint32_t n, float factor, float2 *turns) {
  follow();
  const uint32_t position = tokens[blockIdx.x].position;
  for (uint32_t i = threadIdx.x; i < n; i += blockDim.x) {
    const double part = static_cast<double>(position) * static_cast<double>(inv_freq[i]) * 0.15915494309189535;
    float s, c;
    sincospif(2.0f * static_cast<float>(part - rint(part)), &s, &c);
    turns[static_cast<size_t>(blockIdx.x) * n + i] = make_float2(factor * c, factor * s);
  }
}

// A lane's part of a head: the pairs of its number and of 32 more.
struct part {
  float first[held], second[held];
};

__device__ __forceinline__ uint32_t lane() { return threadIdx.x % 32; }

// Calls f(k, elements) for the two elements of each pair that a lane has.
template <typename F>
__device__ __forceinline__ void each_pair(const rope_args &a, const F &f) {
#pragma unroll
  for (int k = 0; k < held; k++) {
    const uint32_t i = lane() + 32 * k;
    if (i < a.dim / 2) f(k, a.kind == NF_ROPE_PAIR ? make_uint2(2 * i, 2 * i + 1) : make_uint2(i, i + a.dim / 2));
  }
}

__device__ __forceinline__ part load(const rope_args &a, const bf16 *x) {
  part p = {};
  each_pair(a, [&](int k, uint2 at) {
    p.first[k] = to_float<bf16>(x[at.x]);
    p.second[k] = to_float<bf16>(x[at.y]);
  });
  return p;
}

// The RMS norm of a head.
__device__ __forceinline__ void normalise(const rope_args &a, part &p, const bf16 *weight) {
  const part w = load(a, weight);
  float squares = 0;
#pragma unroll
  for (int k = 0; k < held; k++) squares += p.first[k] * p.first[k] + p.second[k] * p.second[k];
  const float scale = rsqrtf(warp_sum(squares) / static_cast<float>(a.dim) + a.eps), shift = a.plus_one ? 1.0f : 0.0f;
#pragma unroll
  for (int k = 0; k < held; k++) {
    p.first[k] *= scale * (w.first[k] + shift);
    p.second[k] *= scale * (w.second[k] + shift);
  }
}

// Rotates a head and rounds it as it is kept.
__device__ __forceinline__ void rotate(const rope_args &a, part &p, const float2 *turns) {
#pragma unroll
  for (int k = 0; k < held; k++) {
    const uint32_t i = lane() + 32 * k;
    const float2 t = a.kind == NF_ROPE_NONE || i >= a.dim / 2 ? make_float2(1, 0) : turns[i];
    const float u = p.first[k], v = p.second[k];
    p.first[k] = to_float<bf16>(from_float<bf16>(u * t.x - v * t.y));
    p.second[k] = to_float<bf16>(from_float<bf16>(u * t.y + v * t.x));
  }
}

// Stores a head, `step` elements from one to the next.
__device__ __forceinline__ void store(const rope_args &a, const part &p, bf16 *to, uint32_t step) {
  each_pair(a, [&](int k, uint2 at) {
    to[at.x * step] = from_float<bf16>(p.first[k]);
    to[at.y * step] = from_float<bf16>(p.second[k]);
  });
}

// The same in E4M3, with the power of two that the largest element asks for.
__device__ __forceinline__ void store_fp8(const rope_args &a, const part &p, char *to, uint32_t step, char *scale) {
  uint32_t magnitude = 0;
#pragma unroll
  for (int k = 0; k < held; k++) magnitude = max(magnitude, max(__float_as_uint(fabsf(p.first[k])), __float_as_uint(fabsf(p.second[k]))));
  const uint32_t byte = e8m0_for(__reduce_max_sync(0xffffffffu, magnitude));
  each_pair(a, [&](int k, uint2 at) {
    to[at.x * step] = static_cast<char>(to_e4m3(p.first[k], byte));
    to[at.y * step] = static_cast<char>(to_e4m3(p.second[k], byte));
  });
  if (lane() == 0) *scale = static_cast<char>(byte);
}

// A warp per token and head of q, k and v.
__global__ void __launch_bounds__(warps * 32) rope_store(const rope_args a) {
  follow();
  const step_token t = a.tokens[blockIdx.x];
  const uint32_t heads = a.heads + 2 * a.kv_heads, h = blockIdx.y * warps + threadIdx.x / 32, at = t.position % NF_PAGE;
  if (h >= heads) return;
  bf16 *x = static_cast<bf16 *>(a.qkv) + (static_cast<size_t>(blockIdx.x) * heads + h) * a.dim;
  const bool query = h < a.heads, value = h >= a.heads + a.kv_heads;
  const bf16 *norm = static_cast<const bf16 *>(query ? a.q_norm : a.k_norm);
  part p = load(a, x);
  if (!value) {
    if (norm) normalise(a, p, norm);
    rotate(a, p, a.turns + static_cast<size_t>(blockIdx.x) * (a.dim / 2));
    store(a, p, x, 1);
  }
  if (query) return;
  const uint32_t head = h - a.heads - (value ? a.kv_heads : 0);
  char *page = a.pool.head(a.layer, t.page, value, head);
  const uint32_t first = value ? at : at * a.pool.dim, step = value ? NF_PAGE : 1;  // V lies across its rows
  if (a.pool.fp8) return store_fp8(a, p, page + first, step, a.pool.scales(a.layer, t.page, value, head) + at);
  store(a, p, reinterpret_cast<bf16 *>(page) + first, step);
}

}  // namespace

nf_code rope_launch(const rope_args &a, cudaStream_t stream) {
  if (a.rows == 0) return NF_OK;
  return code_of(launch(rope_store, {dim3(a.rows, (a.heads + 2 * a.kv_heads + warps - 1) / warps), warps * 32}, stream, a));
}

nf_code turns_launch(const step_token *tokens, uint32_t rows, const float *inv_freq, uint32_t n, float factor, float2 *turns, cudaStream_t stream) {
  if (rows == 0 || n == 0) return NF_OK;
  return code_of(launch(turn, {rows, 128}, stream, tokens, inv_freq, n, factor == 0 ? 1.0f : factor, turns));
}

}  // namespace nf
