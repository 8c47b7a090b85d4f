#include "kernels/rope/rope.h"

#include "common/element.cuh"
#include "common/reduce.cuh"
#include "common/status.h"

namespace nf {
namespace {

using bf16 = __nv_bfloat16;

constexpr int threads = 256;
constexpr uint32_t pairs_max = 128;  // dim / 2

// Cosine and sine of every pair at a position. The angle is reduced in double: a float
// is off by a radian at positions where contexts end today.
__device__ __forceinline__ void angles(const rope_args &a, uint32_t position, float2 *out) {
  for (uint32_t i = threadIdx.x; i < a.dim / 2; i += blockDim.x) {
    const double turns = static_cast<double>(position) * static_cast<double>(a.inv_freq[i]) * 0.15915494309189535;
    float s, c;
    sincospif(2.0f * static_cast<float>(turns - rint(turns)), &s, &c);
    out[i] = make_float2(a.factor * c, a.factor * s);
  }
}

// The two elements that pair i rotates.
__device__ __forceinline__ uint2 pair(const rope_args &a, uint32_t i) {
  return a.kind == NF_ROPE_PAIR ? make_uint2(2 * i, 2 * i + 1) : make_uint2(i, i + a.dim / 2);
}

// The reciprocal root mean square of a head, over a warp.
__device__ __forceinline__ float inverse_rms(const bf16 *x, uint32_t dim, float eps) {
  float squares = 0;
  for (uint32_t i = threadIdx.x % 32; i < dim; i += 32) {
    const float v = to_float<bf16>(x[i]);
    squares += v * v;
  }
  return rsqrtf(warp_sum(squares) / static_cast<float>(dim) + eps);
}

// A block per token, a warp per head of q and k.
__global__ void __launch_bounds__(threads) rope_store(const rope_args a) {
  __shared__ float2 turn[pairs_max];
  const step_token t = a.tokens[blockIdx.x];
  if (a.kind != NF_ROPE_NONE) angles(a, t.position, turn);
  __syncthreads();
  bf16 *row = static_cast<bf16 *>(a.qkv) + static_cast<size_t>(blockIdx.x) * (a.heads + 2 * a.kv_heads) * a.dim;
  bf16 *pool = static_cast<bf16 *>(a.pool.kv);
  const uint32_t lane = threadIdx.x % 32, at = t.position % NF_PAGE;
  for (uint32_t h = threadIdx.x / 32; h < a.heads + a.kv_heads; h += blockDim.x / 32) {
    const bool is_k = h >= a.heads;
    bf16 *x = row + h * a.dim;
    const bf16 *norm = static_cast<const bf16 *>(is_k ? a.k_norm : a.q_norm);
    const float scale = norm ? inverse_rms(x, a.dim, a.eps) : 1;
    bf16 *k = is_k ? pool + a.pool.at(a.layer, t.page, 0, h - a.heads) + at * a.pool.dim : nullptr;
    for (uint32_t i = lane; i < a.dim / 2; i += 32) {
      const uint2 p = pair(a, i);
      float u = to_float<bf16>(x[p.x]), v = to_float<bf16>(x[p.y]);
      if (norm) {
        const float shift = a.plus_one ? 1.0f : 0.0f;
        u *= scale * (to_float<bf16>(norm[p.x]) + shift);
        v *= scale * (to_float<bf16>(norm[p.y]) + shift);
      }
      const float2 cs = a.kind == NF_ROPE_NONE ? make_float2(1, 0) : turn[i];
      const bf16 first = from_float<bf16>(u * cs.x - v * cs.y), second = from_float<bf16>(u * cs.y + v * cs.x);
      x[p.x] = first;
      x[p.y] = second;
      if (is_k) {
        k[p.x] = first;
        k[p.y] = second;
      }
    }
  }
  const bf16 *v = row + (a.heads + a.kv_heads) * a.dim;
  for (uint32_t i = threadIdx.x; i < a.kv_heads * a.dim; i += blockDim.x) {
    pool[a.pool.at(a.layer, t.page, 1, i / a.dim) + static_cast<size_t>(i % a.dim) * NF_PAGE + at] = v[i];
  }
}

}  // namespace

nf_code rope_launch(const rope_args &given, cudaStream_t stream) {
  rope_args a = given;
  if (a.factor == 0) a.factor = 1;
  if (a.rows > 0) rope_store<<<a.rows, threads, 0, stream>>>(a);
  return code_of(cudaGetLastError());
}

}  // namespace nf
