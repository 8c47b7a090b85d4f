#include "kernels/rope/rope.h"

#include "common/element.cuh"
#include "common/launch.h"
#include "common/reduce.cuh"
#include "common/status.h"

namespace nf {
namespace {

using bf16 = __nv_bfloat16;

constexpr uint32_t warps = 8;  // of a block: heads that share it
constexpr int held_pairs = 4;  // pairs that a lane keeps in flight

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

// The two elements that pair i rotates.
__device__ __forceinline__ uint2 pair(const rope_args &a, uint32_t i) {
  return a.kind == NF_ROPE_PAIR ? make_uint2(2 * i, 2 * i + 1) : make_uint2(i, i + a.dim / 2);
}

// The reciprocal root mean square of a head, over a warp.
__device__ __forceinline__ float inverse_rms(const bf16 *x, uint32_t dim, float eps) {
  float squares = 0;
#pragma unroll 4
  for (uint32_t i = threadIdx.x % 32; i < dim; i += 32) {
    const float v = to_float<bf16>(x[i]);
    squares += v * v;
  }
  return rsqrtf(warp_sum(squares) / static_cast<float>(dim) + eps);
}

// Normalises and rotates a head of q, or of k, which also goes to its page.
__device__ __forceinline__ void rotate(const rope_args &a, bf16 *x, const bf16 *norm, const float2 *turns, bf16 *page) {
  const float scale = norm ? inverse_rms(x, a.dim, a.eps) : 1, shift = a.plus_one ? 1.0f : 0.0f;
#pragma unroll held_pairs
  for (uint32_t i = threadIdx.x % 32; i < a.dim / 2; i += 32) {
    const uint2 p = pair(a, i);
    float u = to_float<bf16>(x[p.x]), v = to_float<bf16>(x[p.y]);
    if (norm) {
      u *= scale * (to_float<bf16>(norm[p.x]) + shift);
      v *= scale * (to_float<bf16>(norm[p.y]) + shift);
    }
    const float2 t = a.kind == NF_ROPE_NONE ? make_float2(1, 0) : turns[i];
    const bf16 first = from_float<bf16>(u * t.x - v * t.y), second = from_float<bf16>(u * t.y + v * t.x);
    x[p.x] = first;
    x[p.y] = second;
    if (page) {
      page[p.x] = first;
      page[p.y] = second;
    }
  }
}

// A warp per token and head of q, k and v.
__global__ void __launch_bounds__(warps * 32) rope_store(const rope_args a) {
  follow();
  const step_token t = a.tokens[blockIdx.x];
  const uint32_t heads = a.heads + 2 * a.kv_heads, h = blockIdx.y * warps + threadIdx.x / 32, at = t.position % NF_PAGE;
  if (h >= heads) return;
  bf16 *x = static_cast<bf16 *>(a.qkv) + (static_cast<size_t>(blockIdx.x) * heads + h) * a.dim, *pool = static_cast<bf16 *>(a.pool.kv);
  const float2 *turns = a.turns + static_cast<size_t>(blockIdx.x) * (a.dim / 2);
  if (h < a.heads) return rotate(a, x, static_cast<const bf16 *>(a.q_norm), turns, nullptr);
  if (h < a.heads + a.kv_heads) {
    return rotate(a, x, static_cast<const bf16 *>(a.k_norm), turns, pool + a.pool.at(a.layer, t.page, 0, h - a.heads) + at * a.pool.dim);
  }
  bf16 *page = pool + a.pool.at(a.layer, t.page, 1, h - a.heads - a.kv_heads) + at;
#pragma unroll held_pairs
  for (uint32_t i = threadIdx.x % 32; i < a.dim; i += 32) page[static_cast<size_t>(i) * NF_PAGE] = x[i];
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
