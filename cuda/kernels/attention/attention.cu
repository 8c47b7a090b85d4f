#include "kernels/attention/attention.h"

#include "common/e4m3.cuh"
#include "common/element.cuh"
#include "common/launch.h"
#include "common/mma.cuh"
#include "common/status.h"

namespace nf {
namespace {

using bf16 = __nv_bfloat16;

constexpr int warps = 8;      // of a block: each takes every eighth span of keys
constexpr uint32_t span = 32; // keys that one round of a warp covers

// Running softmax of the rows g and g + 8.
struct running {
  float top[2], sum[2];
};

// What one thread keeps: DIM is dim rounded up to 32.
template <int DIM>
struct state {
  vec16 q[DIM / 32][2];
  tile out[DIM / 8];
  running r;
};

// A tile's place in the step.
struct place {
  uint32_t group, kv_head, g, c;
  step_tile t;

  __device__ uint32_t queries() const { return t.n_tokens * group; }
  __device__ uint32_t position(uint32_t query) const { return t.position + min(query / group, t.n_tokens - 1); }
};

template <int DIM>
__device__ __forceinline__ void load_queries(const attention_args &a, const place &p, state<DIM> &s) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const uint32_t query = p.g + half * 8, token = p.t.token + query / p.group, head = p.kv_head * p.group + query % p.group;
    const bf16 *row = static_cast<const bf16 *>(a.qkv) + (static_cast<size_t>(token) * (a.heads + 2 * a.kv_heads) + head) * a.dim;
#pragma unroll
    for (int b = 0; b < DIM / 32; b++) {
      const uint32_t d = b * 32 + p.c * 8;
      s.q[b][half] = query < p.queries() && d < a.dim ? load_shared_by_blocks(row + d) : vec16{};
    }
  }
}

// Eight elements of K or V from element i on, as bf16; zeros unless they are there.
template <bool FP8>
__device__ __forceinline__ vec16 load_eight(const char *head, size_t i, bool there) {
  if constexpr (FP8) return bf16_of_e4m3(load_once_if(reinterpret_cast<const uint2 *>(head + i), there));
  return load_once_if(head + 2 * i, there);
}

// The scales of a thread's eight keys.
__device__ __forceinline__ uint2 load_scales(const char *scales, uint32_t at, const place &p) {
  return load_once_if(reinterpret_cast<const uint2 *>(scales + at + p.c * 8), true);
}

__device__ __forceinline__ float scale_of(const uint2 &scales, int i) { return from_e8m0(i < 4 ? scales.x : scales.y, i % 4); }

// Scores of 32 keys of a page, from `at` on. Column n of tile j is the key
// n/2 * 8 + 2j + n%2, so that thread c ends up with the keys 8c to 8c + 7, as the product
// with V wants them.
template <int DIM, bool FP8>
__device__ __forceinline__ void score(const attention_args &a, const place &p, const state<DIM> &s, const char *k, const char *k_scales, uint32_t at, tile (&scores)[4]) {
#pragma unroll
  for (int j = 0; j < 4; j++) {
    const size_t key = static_cast<size_t>(at + p.g / 2 * 8 + 2 * j + p.g % 2) * a.pool.dim;
    scores[j] = {};
#pragma unroll
    for (int b = 0; b < DIM / 32; b++) {
      const uint32_t d = b * 32 + p.c * 8;
      mma32(scores[j], s.q[b][0], s.q[b][1], load_eight<FP8>(k, key + d, d < a.dim));
    }
  }
  if constexpr (FP8) {
    const uint2 scales = load_scales(k_scales, at, p);
#pragma unroll
    for (int j = 0; j < 4; j++) {
#pragma unroll
      for (int i = 0; i < 4; i++) scores[j].v[i] *= scale_of(scales, 2 * j + i % 2);
    }
  }
}

__device__ __forceinline__ bool sees(const attention_args &a, uint32_t query, uint32_t key) {
  return key <= query && (a.window == 0 || query - key < a.window);
}

__device__ __forceinline__ float quad_max(float v) {
  v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 1));
  return fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 2));
}

// Scales and masks the scores of keys from `first` on, turns them into weights and
// corrects what was summed before.
template <int DIM>
__device__ __forceinline__ void soften(const attention_args &a, const place &p, state<DIM> &s, uint32_t first, tile (&x)[4]) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const uint32_t query = p.position(p.g + half * 8);
    float top = s.r.top[half];
#pragma unroll
    for (int i = 0; i < 8; i++) {
      float &v = x[i / 2].v[half * 2 + i % 2];
      v *= a.scale;
      if (a.softcap > 0) v = a.softcap * tanhf(v / a.softcap);
      if (!sees(a, query, first + p.c * 8 + i)) v = -INFINITY;
      top = fmaxf(top, v);
    }
    top = quad_max(top);
    const float base = top == -INFINITY ? 0 : top;  // nothing seen yet: every weight is 0
    const float before = expf(s.r.top[half] - base);
    float sum = 0;
#pragma unroll
    for (int i = 0; i < 8; i++) {
      float &v = x[i / 2].v[half * 2 + i % 2];
      v = expf(v - base);
      sum += v;
    }
    s.r.top[half] = top;
    s.r.sum[half] = s.r.sum[half] * before + sum;
#pragma unroll
    for (int n = 0; n < DIM / 8; n++) {
      s.out[n].v[half * 2] *= before;
      s.out[n].v[half * 2 + 1] *= before;
    }
  }
}

// Keeps the first n of eight elements, the rest zero: what lies beyond a sequence's end
// in a page may be anything, and zero times a NaN is a NaN.
__device__ __forceinline__ vec16 first_of(vec16 v, int n) {
#pragma unroll
  for (int w = 0; w < 4; w++) {
    if (n <= 2 * w) v.word[w] = 0;
    if (n == 2 * w + 1) v.word[w] &= 0xffffu;
  }
  return v;
}

template <int DIM, bool FP8>
__device__ __forceinline__ void add_values(const attention_args &a, const place &p, state<DIM> &s, const char *v, const char *v_scales, uint32_t at, int there, tile (&x)[4]) {
  vec16 upper, lower;
  if constexpr (FP8) {
    const uint2 scales = load_scales(v_scales, at, p);
#pragma unroll
    for (int j = 0; j < 4; j++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        float &w = x[j].v[i];
        w = w == 0 ? 0 : w * scale_of(scales, 2 * j + i % 2);  // beyond the end a scale may be anything
      }
    }
  }
#pragma unroll
  for (int j = 0; j < 4; j++) {
    upper.word[j] = pack2(x[j].v[0], x[j].v[1]);
    lower.word[j] = pack2(x[j].v[2], x[j].v[3]);
  }
#pragma unroll
  for (int n = 0; n < DIM / 8; n++) {
    const uint32_t d = n * 8 + p.g;
    const vec16 values = load_eight<FP8>(v, static_cast<size_t>(d) * NF_PAGE + at + p.c * 8, d < a.dim);
    mma32(s.out[n], upper, lower, first_of(values, there - static_cast<int>(p.c * 8)));
  }
}

// Walks a warp's share of the keys.
template <int DIM, bool FP8>
__device__ __forceinline__ void walk(const attention_args &a, const place &p, state<DIM> &s) {
  const uint32_t end = p.t.position + p.t.n_tokens;  // positions whose K and V are there
  const uint32_t from = a.window > 0 && p.t.position >= a.window ? p.t.position - a.window + 1 : 0;
  const uint32_t *table = a.books.table + static_cast<size_t>(p.t.slot) * a.books.width;
  for (uint32_t first = threadIdx.x / 32 * span; first < end; first += warps * span) {
    if (first + span <= from) continue;
    const uint32_t page = table[first / NF_PAGE], at = first % NF_PAGE;
    tile x[4];
    score<DIM, FP8>(a, p, s, a.pool.head(a.layer, page, 0, p.kv_head), a.pool.scales(a.layer, page, 0, p.kv_head), at, x);
    soften<DIM>(a, p, s, first, x);
    add_values<DIM, FP8>(a, p, s, a.pool.head(a.layer, page, 1, p.kv_head), a.pool.scales(a.layer, page, 1, p.kv_head), at, static_cast<int>(min(end - first, span)), x);
  }
#pragma unroll
  for (int half = 0; half < 2; half++) {
    s.r.sum[half] += __shfl_xor_sync(0xffffffffu, s.r.sum[half], 1);
    s.r.sum[half] += __shfl_xor_sync(0xffffffffu, s.r.sum[half], 2);
  }
}

template <int DIM>
struct exchange {
  float top[16], sum[16], out[16][DIM + 4];
};

template <int DIM>
__device__ __forceinline__ void leave(const place &p, const state<DIM> &s, exchange<DIM> &e) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const uint32_t r = p.g + half * 8;
    e.top[r] = s.r.top[half];
    e.sum[r] = s.r.sum[half];
#pragma unroll
    for (int i = 0; i < DIM / 4; i++) e.out[r][i / 2 * 8 + p.c * 2 + i % 2] = s.out[i / 2].v[half * 2 + i % 2];
  }
}

template <int DIM>
__device__ __forceinline__ void join(const place &p, state<DIM> &s, const exchange<DIM> &e) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const uint32_t r = p.g + half * 8;
    const float top = fmaxf(s.r.top[half], e.top[r]), base = top == -INFINITY ? 0 : top;
    const float mine = expf(s.r.top[half] - base), theirs = expf(e.top[r] - base);
    s.r.top[half] = top;
    s.r.sum[half] = s.r.sum[half] * mine + e.sum[r] * theirs;
#pragma unroll
    for (int i = 0; i < DIM / 4; i++) {
      float &v = s.out[i / 2].v[half * 2 + i % 2];
      v = v * mine + e.out[r][i / 2 * 8 + p.c * 2 + i % 2] * theirs;
    }
  }
}

// Brings the warps' sums together in warp 0, by halves and in one order.
template <int DIM>
__device__ __forceinline__ void combine(const place &p, state<DIM> &s, exchange<DIM> (&e)[warps / 2]) {
  const int warp = threadIdx.x / 32;
#pragma unroll
  for (int half = warps / 2; half > 0; half /= 2) {
    if (warp >= half && warp < 2 * half) leave<DIM>(p, s, e[warp - half]);
    __syncthreads();
    if (warp < half) join<DIM>(p, s, e[warp]);
    __syncthreads();
  }
}

// A block per tile and key-value head. Every query sees the pages in the same order
// whatever else is in the step, so its bits depend on its own sequence alone.
template <int DIM, bool FP8>
__global__ void __launch_bounds__(warps * 32, 1) attention(const attention_args a) {
  follow();
  __shared__ exchange<DIM> shared[warps / 2];
  const uint32_t lane = threadIdx.x % 32;
  const place p = {a.heads / a.kv_heads, blockIdx.y, lane / 4, lane % 4, a.tiles[blockIdx.x]};
  state<DIM> s = {};
  s.r = {{-INFINITY, -INFINITY}, {0, 0}};
  load_queries<DIM>(a, p, s);
  walk<DIM, FP8>(a, p, s);
  combine<DIM>(p, s, shared);
  if (threadIdx.x >= 32) return;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const uint32_t query = p.g + half * 8, token = p.t.token + query / p.group, head = p.kv_head * p.group + query % p.group;
    if (query >= p.queries()) continue;
    bf16 *row = static_cast<bf16 *>(a.out) + (static_cast<size_t>(token) * a.heads + head) * a.dim;
#pragma unroll
    for (int n = 0; n < DIM / 8; n++) {
      const uint32_t d = n * 8 + p.c * 2;
      if (d >= a.dim) continue;
      row[d] = from_float<bf16>(s.out[n].v[half * 2] / s.r.sum[half]);
      row[d + 1] = from_float<bf16>(s.out[n].v[half * 2 + 1] / s.r.sum[half]);
    }
  }
}

}  // namespace

nf_code attention_launch(const attention_args &a, cudaStream_t stream) {
  if (a.n_tiles == 0) return NF_OK;
  const launch_shape shape = {dim3(a.n_tiles, a.kv_heads), warps * 32};
  if (a.pool.fp8) return code_of(a.dim <= 64 ? launch(attention<64, true>, shape, stream, a) : launch(attention<128, true>, shape, stream, a));
  if (a.dim <= 32) return code_of(launch(attention<32, false>, shape, stream, a));
  if (a.dim <= 64) return code_of(launch(attention<64, false>, shape, stream, a));
  return code_of(launch(attention<128, false>, shape, stream, a));
}

}  // namespace nf
