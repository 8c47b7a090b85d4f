// A block takes one tile of a key-value head after another: one thread asks the copy engine
// for queries and pages, ahead of two warpgroups of 64 queries each that multiply them from
// shared memory. While the tensor cores score the next keys and add up the last values, a
// warpgroup weighs the scores between; the two take turns at the tensor cores.
#include "kernels/attention/prefill.h"

#include <algorithm>

#include "common/boxes.h"
#include "common/element.cuh"
#include "common/launch.h"
#include "common/mma.cuh"
#include "common/status.h"
#include "common/warpgroup.cuh"

// On other architectures the kernels are empty, and what they use is not.
#pragma nv_diag_suppress 177

namespace nf {
namespace {

using bf16 = __nv_bfloat16;

constexpr uint32_t consumers = 256, threads = consumers + 128;
constexpr uint32_t span = 2 * NF_PAGE;   // keys of a round
constexpr uint32_t line = 128;           // bytes of a row of shared memory: 64 elements, swizzled
enum barrier_number : uint32_t { turn = 1, group_meets = 3, consumers_meet = 5 };

template <int DIM>
struct shape {
  static constexpr uint32_t stages = DIM > 64 ? 2 : 4;
  static constexpr uint32_t tile_bytes = 128 * DIM * sizeof(bf16);  // of queries, of a round's keys, of its values
  static constexpr uint32_t k = tile_bytes, v = k + stages * tile_bytes, out = v + stages * tile_bytes, barriers = out + tile_bytes;
  static constexpr uint32_t bytes = barriers + (4 * stages + 2) * 8 + 1024;
};

// A tile of one key-value head, of whose keys a block takes the rounds from `first` to
// before `last`.
struct work {
  step_tile t;
  uint32_t group, kv_head, end, first, last;

  __device__ __forceinline__ work(const attention_args &a, uint32_t i, const step_tile &tile) : t(tile) {
    const uint32_t rank = cluster_rank(), shares = cluster_size();
    group = a.heads / a.kv_heads;
    kv_head = i % a.kv_heads;
    end = t.position + t.n_tokens;
    const uint32_t rounds = (end + span - 1) / span;
    first = rounds * rank / shares;
    last = rounds * (rank + 1) / shares;
  }

  __device__ __forceinline__ uint32_t position(uint32_t query) const { return t.position + min(query / group, t.n_tokens - 1); }
  // Where a query's elements are in rows of a.heads heads; false for what pads the tile.
  __device__ __forceinline__ bool place(const attention_args &a, uint32_t query, size_t *head) const {
    *head = static_cast<size_t>(t.token + query / group) * a.heads + kv_head * group + query % group;
    return query / group < t.n_tokens;
  }
};

// The n-th work of a block: back and forth over all of them, longest first, so that each
// block gets about the same.
__device__ __forceinline__ uint32_t work_of(uint32_t n) {
  const uint32_t by = gridDim.x / cluster_size(), i = blockIdx.x / cluster_size();
  return n * by + (n % 2 ? by - 1 - i : i);
}

// Calls f(work, n) for all works of the block; each tile is read while the one before is
// worked on.
template <typename F>
__device__ __forceinline__ void each_work(const attention_args &a, const F &f) {
  const uint32_t works = a.n_tiles * a.kv_heads;
  step_tile next = a.tiles[work_of(0) / a.kv_heads];
  for (uint32_t n = 0; work_of(n) < works; n++) {
    const step_tile t = next;
    if (work_of(n + 1) < works) next = a.tiles[work_of(n + 1) / a.kv_heads];
    f(work(a, work_of(n), t), n);
  }
}

template <int DIM>
struct memory {
  uint8_t *base;

  __device__ __forceinline__ uint8_t *q() const { return base; }
  __device__ __forceinline__ uint8_t *k(uint32_t stage) const { return base + shape<DIM>::k + stage * shape<DIM>::tile_bytes; }
  __device__ __forceinline__ uint8_t *v(uint32_t stage) const { return base + shape<DIM>::v + stage * shape<DIM>::tile_bytes; }
  __device__ __forceinline__ uint8_t *out() const { return base + shape<DIM>::out; }
  __device__ __forceinline__ uint64_t *barrier(uint32_t i) const { return reinterpret_cast<uint64_t *>(base + shape<DIM>::barriers) + i; }
  __device__ __forceinline__ uint64_t *q_full() const { return barrier(4 * shape<DIM>::stages); }
  __device__ __forceinline__ uint64_t *q_empty() const { return barrier(4 * shape<DIM>::stages + 1); }
  __device__ __forceinline__ uint64_t *k_full(uint32_t stage) const { return barrier(stage); }
  __device__ __forceinline__ uint64_t *k_empty(uint32_t stage) const { return barrier(shape<DIM>::stages + stage); }
  __device__ __forceinline__ uint64_t *v_full(uint32_t stage) const { return barrier(2 * shape<DIM>::stages + stage); }
  __device__ __forceinline__ uint64_t *v_empty(uint32_t stage) const { return barrier(3 * shape<DIM>::stages + stage); }

  __device__ __forceinline__ void start() const {
    for (uint32_t s = 0; s < shape<DIM>::stages; s++) {
      barrier_start(k_full(s), 1), barrier_start(v_full(s), 1);
      barrier_start(k_empty(s), consumers / 32), barrier_start(v_empty(s), consumers / 32);
    }
    barrier_start(q_full(), 1);
    barrier_start(q_empty(), consumers / 32);
    barriers_started();
  }
};

// Brings the queries of a block's n-th work, then round after round of keys and values;
// `at` counts all rounds of the block. Rows of the maps of K and V are a key and a
// dimension.
template <int DIM>
__device__ __forceinline__ void produce(const attention_args &a, const memory<DIM> &m, const work &w, uint32_t n, uint32_t &at, const CUtensorMap *q, const CUtensorMap *k,
                                        const CUtensorMap *v) {
  const uint32_t *table = a.books.table + static_cast<size_t>(w.t.slot) * a.books.width;
  const uint32_t held = prefill_queries / w.group * w.group, pages = (w.end + NF_PAGE - 1) / NF_PAGE;
  uint32_t next[2];
  const auto look = [&](uint32_t round) {
    for (uint32_t p = 0; p < 2; p++) next[p] = 2 * round + p < pages ? table[2 * round + p] : 0;
  };
  look(w.first);
  barrier_wait(m.q_empty(), n % 2 ^ 1);
  barrier_expect(m.q_full(), held * DIM * sizeof(bf16));
  for (uint32_t half = 0; half < DIM / 64; half++) copy_box(m.q() + half * 128 * line, q, half * 64, w.kv_head * w.group, w.t.token, m.q_full());
  for (uint32_t i = w.first; i < w.last; i++, at++) {
    const uint32_t s = at % shape<DIM>::stages, parity = (at / shape<DIM>::stages + 1) % 2, there = min(2u, pages - 2 * i);
    const uint32_t page[2] = {next[0], next[1]};
    if (i + 1 < w.last) look(i + 1);
    barrier_wait(m.k_empty(s), parity);
    barrier_expect(m.k_full(s), there * NF_PAGE * DIM * sizeof(bf16));
    for (uint32_t p = 0; p < there; p++) {
      const uint32_t row = (page[p] * 2 * a.kv_heads + w.kv_head) * NF_PAGE;
      for (uint32_t half = 0; half < DIM / 64; half++) copy_box(m.k(s) + half * 128 * line + p * NF_PAGE * line, k, half * 64, row, m.k_full(s));
    }
    barrier_wait(m.v_empty(s), parity);
    barrier_expect(m.v_full(s), there * NF_PAGE * DIM * sizeof(bf16));
    for (uint32_t p = 0; p < there; p++) copy_box(m.v(s) + p * DIM * line, v, 0, ((page[p] * 2 + 1) * a.kv_heads + w.kv_head) * DIM, m.v_full(s));
  }
}

__device__ __forceinline__ float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ __forceinline__ float quad_max(float v) {
  v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 1));
  return fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 2));
}

__device__ __forceinline__ float quad_sum(float v) {
  v += __shfl_xor_sync(0xffffffffu, v, 1);
  return v + __shfl_xor_sync(0xffffffffu, v, 2);
}

// What a thread keeps of its two rows, 8 apart.
template <int DIM>
struct state {
  float out[DIM / 2] = {}, scores[span / 2];
  uint32_t weights[span / 4];
  float top[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0}, before[2];  // `before` corrects what was summed before the last scores
};

template <int DIM>
__device__ __forceinline__ void score(const memory<DIM> &m, state<DIM> &s, uint32_t group, uint32_t stage) {
  const uint64_t q = describe(m.q() + group * 64 * line), k = describe(m.k(stage));
  products_begin();
  product_first<span>(s.scores, q, k);
#pragma unroll
  for (int i = 1; i < DIM / 16; i++) {
    const uint32_t at = i / 4 * 128 * line / 16 + i % 4 * 2;  // descriptors count 16 bytes
    product<span>(s.scores, q + at, k + at);
  }
  products_commit();
}

template <int DIM>
__device__ __forceinline__ void add_values(const memory<DIM> &m, state<DIM> &s, uint32_t stage) {
  const uint64_t v = describe(m.v(stage));
  products_begin();
#pragma unroll
  for (int i = 0; i < static_cast<int>(span) / 16; i++) {
    const uint32_t at = i / 4 * DIM * line / 16 + i % 4 * 2;
    const uint32_t weights[4] = {s.weights[4 * i], s.weights[4 * i + 1], s.weights[4 * i + 2], s.weights[4 * i + 3]};
    product_held<DIM>(s.out, weights, v + at);
  }
  products_commit();
}

// Cuts off what a query does not see: keys after its own.
template <int DIM>
__device__ __forceinline__ void mask(state<DIM> &s, uint32_t first, const uint32_t (&position)[2]) {
  const uint32_t key = first + threadIdx.x % 4 * 2;
#pragma unroll
  for (int i = 0; i < static_cast<int>(span) / 2; i++) {
    if (key + i / 4 * 8 + i % 2 > position[i / 2 % 2]) s.scores[i] = -INFINITY;
  }
}

// Turns scores into weights relative to the highest score so far.
template <int DIM>
__device__ __forceinline__ void soften(state<DIM> &s, float scale) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    float top = s.top[half];
#pragma unroll
    for (int i = 0; i < static_cast<int>(span) / 4; i++) top = fmaxf(top, s.scores[i / 2 * 4 + half * 2 + i % 2]);
    top = quad_max(top);
    const float base = top == -INFINITY ? 0 : top * scale;  // nothing seen yet: every weight is 0
    s.before[half] = power_of_two(s.top[half] * scale - base);
    s.top[half] = top;
    float sums[2] = {0, 0};
#pragma unroll
    for (int i = 0; i < static_cast<int>(span) / 4; i++) {
      float &v = s.scores[i / 2 * 4 + half * 2 + i % 2];
      v = power_of_two(fmaf(v, scale, -base));
      sums[i % 2] += v;
    }
    s.sum[half] = fmaf(s.sum[half], s.before[half], sums[0] + sums[1]);
  }
}

template <int DIM>
__device__ __forceinline__ void take_weights(state<DIM> &s) {
#pragma unroll
  for (int i = 0; i < static_cast<int>(span) / 4; i++) s.weights[i] = pack2(s.scores[2 * i], s.scores[2 * i + 1]);
}

template <int DIM>
__device__ __forceinline__ void correct(state<DIM> &s) {
#pragma unroll
  for (int i = 0; i < DIM / 2; i++) s.out[i] *= s.before[i / 2 % 2];
}

// Values beyond the sequence's end may be anything, and zero times a NaN is a NaN.
template <int DIM>
__device__ __forceinline__ void clear_values(const memory<DIM> &m, uint32_t stage, uint32_t there, uint32_t group) {
  for (uint32_t row = threadIdx.x % 128; row < 2 * DIM; row += 128) {
    bf16 *dimension = reinterpret_cast<bf16 *>(m.v(stage) + row * line);
    for (uint32_t key = there > row / DIM * NF_PAGE ? there - row / DIM * NF_PAGE : 0; key < NF_PAGE; key++) dimension[(key / 8 ^ row % 8) * 8 + key % 8] = bf16();
  }
  stores_seen();
  meet(group_meets + group, 128);
}

__device__ __forceinline__ void release(uint64_t *empty) {
  if (threadIdx.x % 32 == 0) barrier_arrive(empty);
}

// Walks the keys of a block's n-th work with one warpgroup's queries.
template <int DIM>
__device__ __forceinline__ void consume(const memory<DIM> &m, const work &w, state<DIM> &s, uint32_t group, uint32_t n, uint32_t &at, float scale) {
  constexpr uint32_t stages = shape<DIM>::stages;
  const uint32_t row = group * 64 + threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4;
  const uint32_t position[2] = {w.position(row), w.position(row + 8)}, all_see = w.position(group * 64);
  if (w.first == w.last) return;
  const auto weigh = [&](uint32_t i) {
    if ((i + 1) * span > all_see + 1) mask(s, i * span, position);
    soften(s, scale);
  };
  if (group == 1) meet_arrive(turn, consumers);
  barrier_wait(m.q_full(), n % 2);
  barrier_wait(m.k_full(at % stages), at / stages % 2);
  score(m, s, group, at % stages);
  products_wait<0>();
  release(m.k_empty(at % stages));
  weigh(w.first);
  take_weights(s);
  uint32_t i = w.first;
  for (; i + 1 < w.last; i++, at++) {
    const uint32_t after = (at + 1) % stages;
    barrier_wait(m.k_full(after), (at + 1) / stages % 2);
    meet(turn + group, consumers);
    score(m, s, group, after);
    barrier_wait(m.v_full(at % stages), at / stages % 2);
    add_values(m, s, at % stages);
    meet_arrive(turn + 1 - group, consumers);
    products_wait<1>();
    release(m.k_empty(after));
    weigh(i + 1);
    products_wait<0>();
    release(m.v_empty(at % stages));
    correct(s);
    take_weights(s);
  }
  release(m.q_empty());
  barrier_wait(m.v_full(at % stages), at / stages % 2);
  if ((i + 1) * span > w.end) clear_values(m, at % stages, w.end - i * span, group);
  meet(turn + group, consumers);
  add_values(m, s, at % stages);
  if (group == 0) meet_arrive(turn + 1, consumers);
  products_wait<0>();
  release(m.v_empty(at % stages));
  at++;
}

// Stores a warp's rows by way of shared memory, in whole lines.
template <int DIM>
__device__ __forceinline__ void finish(const attention_args &a, const memory<DIM> &m, const work &w, const state<DIM> &s) {
  const uint32_t warp_row = threadIdx.x / 32 * 16, g = threadIdx.x % 32 / 4, c = threadIdx.x % 4;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const float scale = 1 / s.sum[half];
    const uint32_t row = warp_row + g + 8 * half;
#pragma unroll
    for (int j = 0; j < DIM / 8; j++) {
      uint8_t *to = m.out() + j / 8 * 128 * line + row * line + (j % 8 ^ row % 8) * 16 + c * 4;
      *reinterpret_cast<uint32_t *>(to) = pack2(s.out[4 * j + 2 * half] * scale, s.out[4 * j + 2 * half + 1] * scale);
    }
  }
  __syncwarp();
  constexpr uint32_t pieces = DIM / 8;
#pragma unroll 4
  for (uint32_t i = threadIdx.x % 32; i < 16 * pieces; i += 32) {
    const uint32_t row = warp_row + i / pieces, p = i % pieces;
    size_t head;
    if (!w.place(a, row, &head)) continue;
    store(static_cast<bf16 *>(a.out) + head * DIM + p * 8, *reinterpret_cast<const vec16 *>(m.out() + p / 8 * 128 * line + row * line + (p % 8 ^ row % 8) * 16));
  }
  __syncwarp();
}

// What blocks that share a tile leave for one another, over the ring.
template <int DIM>
struct exchange {
  float top[prefill_queries], sum[prefill_queries], out[prefill_queries][DIM + 4];
};

template <int DIM>
__device__ __forceinline__ void leave(exchange<DIM> &e, const state<DIM> &s) {
  const uint32_t first = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4, c = threadIdx.x % 4;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const uint32_t row = first + 8 * half;
    e.top[row] = s.top[half];
    e.sum[row] = s.sum[half];
#pragma unroll
    for (int j = 0; j < DIM / 8; j++) *reinterpret_cast<float2 *>(&e.out[row][8 * j + 2 * c]) = make_float2(s.out[4 * j + 2 * half], s.out[4 * j + 2 * half + 1]);
  }
}

// Joins all blocks' sums of this block's share of the rows.
template <int DIM>
__device__ __forceinline__ void join(const attention_args &a, const exchange<DIM> &e, const work &w, float scale) {
  const uint32_t shares = cluster_size(), rows = prefill_queries / shares, first = cluster_rank() * rows;
  for (uint32_t i = threadIdx.x; i < rows * (DIM / 4); i += consumers) {
    const uint32_t row = first + i / (DIM / 4), d = i % (DIM / 4) * 4;
    size_t head;
    if (!w.place(a, row, &head)) continue;
    float top = -INFINITY, sum = 0;
    float4 y = {0, 0, 0, 0};
    for (uint32_t b = 0; b < shares; b++) top = fmaxf(top, from_block(&e.top[row], b));
#pragma unroll 4
    for (uint32_t b = 0; b < shares; b++) {
      const float weight = power_of_two((from_block(&e.top[row], b) - top) * scale);
      const float4 v = four_from_block(&e.out[row][d], b);
      sum = fmaf(from_block(&e.sum[row], b), weight, sum);
      y = make_float4(fmaf(v.x, weight, y.x), fmaf(v.y, weight, y.y), fmaf(v.z, weight, y.z), fmaf(v.w, weight, y.w));
    }
    uint2 packed = {pack2(y.x / sum, y.y / sum), pack2(y.z / sum, y.w / sum)};
    *reinterpret_cast<uint2 *>(static_cast<bf16 *>(a.out) + head * DIM + d) = packed;
  }
}

template <int DIM>
__global__ void __launch_bounds__(threads, 1)
prefill(const attention_args a, const __grid_constant__ CUtensorMap q, const __grid_constant__ CUtensorMap k, const __grid_constant__ CUtensorMap v) {
#ifdef NF_HOPPER
  extern __shared__ uint8_t shared[];
  const memory<DIM> m = {shared + (1024 - shared_address(shared) % 1024) % 1024};
  const uint32_t group = threadIdx.x / 128;
  const float scale = a.scale * 1.44269504f;  // powers of two from here on
  exchange<DIM> &e = *reinterpret_cast<exchange<DIM> *>(m.base + shape<DIM>::k);
  static_assert(sizeof(exchange<DIM>) <= 2 * shape<DIM>::stages * shape<DIM>::tile_bytes, "over the ring");
  const bool shared_out = cluster_size() > 1;  // a block has one work then
  let_next_start();
  if (threadIdx.x == 0) m.start();
  __syncthreads();
  wait_for_previous();
  uint32_t at = 0;
  if (group == consumers / 128) {
    registers_give<40>();
    if (threadIdx.x == consumers) each_work(a, [&](const work &w, uint32_t n) { produce(a, m, w, n, at, &q, &k, &v); });
    __syncwarp();
    if (shared_out) cluster_sync(), cluster_sync();
    return;
  }
  registers_take<232>();
  each_work(a, [&](const work &w, uint32_t n) {
    state<DIM> s;
    consume(m, w, s, group, n, at, scale);
    s.sum[0] = quad_sum(s.sum[0]), s.sum[1] = quad_sum(s.sum[1]);
    if (!shared_out) return finish(a, m, w, s);
    meet(consumers_meet, consumers);  // the ring is read to its end
    leave(e, s);
    cluster_sync();
    join(a, e, w, scale);
    cluster_sync();  // no block ends while another reads its sums
  });
#endif
}

// How many clusters of a size the device holds at once.
template <int DIM>
uint32_t clusters_at_once(uint32_t size) {
  cudaLaunchAttribute cluster = {};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim = {size, 1, 1};
  cudaLaunchConfig_t c = {};
  c.gridDim = size;
  c.blockDim = threads;
  c.dynamicSmemBytes = shape<DIM>::bytes;
  c.attrs = &cluster;
  c.numAttrs = 1;
  int n = 0;
  if (cudaOccupancyMaxActiveClusters(&n, prefill<DIM>, &c)) cudaGetLastError();
  return n > 0 ? static_cast<uint32_t>(n) : 0;
}

// Blocks that share a tile's keys, as long as all of them run at once and have two rounds
// each.
template <int DIM>
uint32_t shares_of(const prefill_args &a) {
  static const uint32_t room[] = {clusters_at_once<DIM>(2), clusters_at_once<DIM>(4), clusters_at_once<DIM>(8)};
  const uint32_t works = a.of.n_tiles * a.of.kv_heads;
  uint32_t shares = 1;
  for (uint32_t i = 0; i < 3; i++) {
    const uint32_t more = 2u << i;
    if (works <= room[i] && a.longest >= 2 * more * span) shares = more;
  }
  return shares;
}

template <int DIM>
nf_code launch_tiles(const prefill_args &p, cudaStream_t stream) {
  static const cudaError_t allowed = allow_shared(prefill<DIM>, shape<DIM>::bytes);
  if (allowed) return code_of(allowed);
  const attention_args &a = p.of;
  const uint64_t heads = a.heads + 2 * a.kv_heads, row = DIM * sizeof(bf16), in_pages = 2ull * a.pool.pages * a.kv_heads;
  const uint64_t q_sizes[] = {DIM, heads, p.rows}, q_pitches[] = {row, heads * row}, k_sizes[] = {DIM, in_pages * NF_PAGE}, k_pitch[] = {row},
                 v_sizes[] = {NF_PAGE, in_pages * DIM}, v_pitch[] = {line};
  const uint32_t group = a.heads / a.kv_heads, q_box[] = {64, group, prefill_queries / group}, k_box[] = {64, NF_PAGE}, v_box[] = {64, DIM};
  const bf16 *pages = static_cast<const bf16 *>(a.pool.kv) + a.pool.at(a.layer, 0, 0, 0);
  CUtensorMap q, k, v;
  if (!describe_boxes(&q, a.qkv, 3, q_sizes, q_pitches, q_box) || !describe_boxes(&k, pages, 2, k_sizes, k_pitch, k_box) || !describe_boxes(&v, pages, 2, v_sizes, v_pitch, v_box)) {
    return NF_INVALID;
  }
  const uint32_t works = a.n_tiles * a.kv_heads, shares = shares_of<DIM>(p);
  launch_shape s = {shares > 1 ? works * shares : std::min(works, processors()), threads, shape<DIM>::bytes};
  s.cluster = shares;
  return code_of(launch(prefill<DIM>, s, stream, a, q, k, v));
}

}  // namespace

bool prefill_attends(uint32_t heads, uint32_t kv_heads, uint32_t dim) {
  static const bool runs = [] {
    cudaFuncAttributes f = {};
    int device = 0, major = 0;
    const bool there = !cudaGetDevice(&device) && !cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) && !cudaFuncGetAttributes(&f, prefill<128>);
    if (!there) cudaGetLastError();
    return there && major == 9 && f.ptxVersion == 90 && boxes_known();
  }();
  return runs && (dim == 64 || dim == 128) && heads / kv_heads <= 16;
}

nf_code prefill_launch(const prefill_args &a, cudaStream_t stream) {
  if (a.of.n_tiles == 0) return NF_OK;
  return a.of.dim == 64 ? launch_tiles<64>(a, stream) : launch_tiles<128>(a, stream);
}

}  // namespace nf
