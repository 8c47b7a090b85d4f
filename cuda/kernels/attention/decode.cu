#include "kernels/attention/decode.h"

#include "common/element.cuh"
#include "common/launch.h"
#include "common/mma.cuh"
#include "common/reduce.cuh"
#include "common/status.h"

namespace nf {
namespace {

using bf16 = __nv_bfloat16;

constexpr uint32_t warps = 4;  // of a block; they do not know of each other
constexpr uint32_t blocks_per_processor = 2;
constexpr uint32_t whole = 0xffffffffu;

// A place in the order of all spans: row by row, head by head, from the first key on.
struct cursor {
  uint32_t row, head, span;
  step_walk walk;

  __device__ __forceinline__ uint32_t spans() const { return (walk.length + decode_span - 1) / decode_span; }
  __device__ __forceinline__ bool ends() const { return span + 1 == spans(); }
  // Keys of this span that are there.
  __device__ __forceinline__ int keys() const { return static_cast<int>(min(walk.length - span * decode_span, decode_span)); }
};

// The pages of a row, 32 at a time: a lane each.
struct page_window {
  uint32_t slot, first, page;
};

// One warp's walk.
template <int DIM>
struct walker {
  const decode_args &a;
  uint32_t lane, g, c;
  uint32_t at, end, per;  // spans in the order of all
  cursor load;            // the span whose keys and values are on their way
  page_window pages;
  vec16 q[DIM / 32], k[4][DIM / 32], v[DIM / 16][2];
  tile out[DIM / 16];     // [dim][query]
  float top, sum;         // of query g

  __device__ __forceinline__ uint32_t group() const { return a.heads / a.kv_heads; }

  __device__ __forceinline__ const bf16 *head_of_page(const cursor &p, uint32_t part) {
    const uint32_t index = p.span * decode_span / NF_PAGE;
    if (p.walk.slot != pages.slot || index - pages.first >= 32) {
      pages.slot = p.walk.slot;
      pages.first = index / 32 * 32;
      pages.page = pages.first + lane < a.books.width ? a.books.table[static_cast<size_t>(p.walk.slot) * a.books.width + pages.first + lane] : 0;
    }
    const uint32_t page = __shfl_sync(whole, pages.page, index % 32);
    return static_cast<const bf16 *>(a.pool.kv) + a.pool.at(a.layer, page, part, p.head);
  }

  // Column n of tile j is the key n/2 * 8 + 2j + n%2, so that thread c ends up with the
  // scores of the keys 8c to 8c + 7, as the product with V wants them.
  __device__ __forceinline__ void load_keys() {
    const bf16 *from = head_of_page(load, 0) + load.span * decode_span % NF_PAGE * a.pool.dim + c * 8;
#pragma unroll
    for (int j = 0; j < 4; j++) {
#pragma unroll
      for (int b = 0; b < DIM / 32; b++) k[j][b] = load_once(from + (g / 2 * 8 + 2 * j + g % 2) * a.pool.dim + b * 32);
    }
  }

  __device__ __forceinline__ void load_values() {
    const bf16 *from = head_of_page(load, 1) + load.span * decode_span % NF_PAGE + c * 8;
#pragma unroll
    for (int m = 0; m < DIM / 16; m++) {
#pragma unroll
      for (int half = 0; half < 2; half++) v[m][half] = load_once(from + static_cast<size_t>(m * 16 + half * 8 + g) * NF_PAGE);
    }
  }

  // A head's queries, and nothing summed yet.
  __device__ __forceinline__ void begin(const cursor &p) {
    const bf16 *row = static_cast<const bf16 *>(a.qkv) + (static_cast<size_t>(p.walk.token) * (a.heads + 2 * a.kv_heads) + p.head * group() + g) * DIM;
#pragma unroll
    for (int b = 0; b < DIM / 32; b++) q[b] = load_if(row + b * 32 + c * 8, g < group());
#pragma unroll
    for (int m = 0; m < DIM / 16; m++) out[m] = {};
    top = -INFINITY;
    sum = 0;
  }

  // Scores of a span, as weights of its keys relative to the highest score so far.
  __device__ __forceinline__ vec16 weigh(int keys) {
    tile x[4] = {};
#pragma unroll
    for (int b = 0; b < DIM / 32; b++) {
#pragma unroll
      for (int j = 0; j < 4; j++) mma32(x[j], q[b], vec16{}, k[j][b]);
    }
    float highest = top;
#pragma unroll
    for (int i = 0; i < 8; i++) {
      float &s = x[i / 2].v[i % 2];
      s *= a.scale;
      if (a.softcap > 0) s = a.softcap * tanhf(s / a.softcap);
      if (static_cast<int>(c * 8) + i >= keys) s = -INFINITY;
      highest = fmaxf(highest, s);
    }
    highest = fmaxf(highest, __shfl_xor_sync(whole, highest, 1));
    highest = fmaxf(highest, __shfl_xor_sync(whole, highest, 2));
    const float base = highest == -INFINITY ? 0 : highest, before = __expf(top - base);
    vec16 w;
    float more = 0;
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const float first = __expf(x[j].v[0] - base), second = __expf(x[j].v[1] - base);
      more += first + second;
      w.word[j] = pack2(first, second);
    }
    top = highest;
    sum = sum * before + more;
    const float even = __shfl_sync(whole, before, c * 8), odd = __shfl_sync(whole, before, c * 8 + 4);  // of the queries 2c, 2c + 1
#pragma unroll
    for (int m = 0; m < DIM / 16; m++) {
#pragma unroll
      for (int i = 0; i < 4; i++) out[m].v[i] *= i % 2 ? odd : even;
    }
    return w;
  }

  // Places of a page beyond the sequence's end may hold anything: they are cut off.
  __device__ __forceinline__ void add(const vec16 &w, int keys) {
    if (keys < static_cast<int>(decode_span)) {
      const int mine = keys - static_cast<int>(c * 8);
#pragma unroll
      for (int m = 0; m < DIM / 16; m++) {
#pragma unroll
        for (int i = 0; i < 8; i++) {
          uint32_t &word = v[m][i / 4].word[i % 4];
          if (mine <= 2 * (i % 4)) word = 0;
          if (mine == 2 * (i % 4) + 1) word &= 0xffffu;
        }
      }
    }
#pragma unroll
    for (int m = 0; m < DIM / 16; m++) mma32(out[m], v[m][0], v[m][1], w);
  }

  // What query, in 2c and 2c + 1, and dimension element i of tile m are.
  __device__ __forceinline__ uint32_t query(int i) const { return 2 * c + i % 2; }
  __device__ __forceinline__ uint32_t dimension(int m, int i) const { return m * 16 + i / 2 * 8 + g; }

  __device__ __forceinline__ bf16 *out_of(const cursor &p, uint32_t query) const {
    return static_cast<bf16 *>(a.out) + (static_cast<size_t>(p.walk.token) * a.heads + p.head * group() + query) * DIM;
  }

  __device__ __forceinline__ void finish(const cursor &p) {
    const float inverse = 1 / sum, even = __shfl_sync(whole, inverse, c * 8), odd = __shfl_sync(whole, inverse, c * 8 + 4);
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if (query(i) >= group()) continue;
      bf16 *to = out_of(p, query(i));
#pragma unroll
      for (int m = 0; m < DIM / 16; m++) to[dimension(m, i)] = from_float<bf16>(out[m].v[i] * (i % 2 ? odd : even));
    }
  }

  // Leaves what was summed of a head that others walk too, and says so. Whoever is last
  // adds all of it up.
  __device__ __forceinline__ void leave(const cursor &p, uint32_t me, uint32_t first) {
    const uint32_t slot = 2 * me + (first > me * per);
    float *sums = a.room.sums + static_cast<size_t>(slot) * decode_queries * DIM;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if (query(i) >= group()) continue;
#pragma unroll
      for (int m = 0; m < DIM / 16; m++) sums[query(i) * DIM + dimension(m, i)] = out[m].v[i];
    }
    if (c == 0) a.room.tops[slot * decode_queries + g] = make_float2(top, sum);
    const uint32_t last = first + p.spans() - 1, from = first / per, n = last / per - from + 1;
    uint32_t arrived = 0;
    __threadfence();
    __syncwarp();
    uint32_t *arrivals = a.room.arrivals + static_cast<size_t>(p.row) * a.kv_heads + p.head;
    if (lane == 0) arrived = atomicAdd(arrivals, 1u);
    if (__shfl_sync(whole, arrived, 0) + 1 < n) return;
    __threadfence();
    if (lane == 0) *arrivals = 0;
    gather(p, first, from, n);
  }

  __device__ __forceinline__ void gather(const cursor &p, uint32_t first, uint32_t from, uint32_t n) const {
    for (uint32_t q = 0; q < group(); q++) {
      // The first walker's share is its second one unless the head starts with it.
      const auto slot_of = [&](uint32_t i) { return 2 * (from + i) + (i == 0 && first > from * per); };
      float top = -INFINITY, total = 0;
      for (uint32_t i = lane; i < n; i += 32) top = fmaxf(top, __ldcg(&a.room.tops[slot_of(i) * decode_queries + q]).x);
#pragma unroll
      for (int by = 16; by > 0; by /= 2) top = fmaxf(top, __shfl_xor_sync(whole, top, by));
      const float base = top == -INFINITY ? 0 : top;
      float all[DIM / 32] = {};
#pragma unroll 4
      for (uint32_t i = 0; i < n; i++) {
        const float2 t = __ldcg(&a.room.tops[slot_of(i) * decode_queries + q]);
        const float weight = __expf(t.x - base);
        total += weight * t.y;
        const float *sums = a.room.sums + (static_cast<size_t>(slot_of(i)) * decode_queries + q) * DIM;
#pragma unroll
        for (int d = 0; d < DIM / 32; d++) all[d] += weight * __ldcg(sums + d * 32 + lane);
      }
      bf16 *to = out_of(p, q);
#pragma unroll
      for (int d = 0; d < DIM / 32; d++) to[d * 32 + lane] = from_float<bf16>(all[d] / total);
    }
  }

  // Ends a head, or this walker's part of one.
  __device__ __forceinline__ void end_head(const cursor &p, uint32_t me, uint32_t position) {
    sum += __shfl_xor_sync(whole, sum, 1);
    sum += __shfl_xor_sync(whole, sum, 2);
    const uint32_t first = position - p.span;  // of the head, in the order of all
    if (first >= me * per && p.ends()) {
      finish(p);
    } else {
      leave(p, me, first);
    }
  }

  // The span after, in the order of all.
  __device__ __forceinline__ void advance() {
    if (!load.ends()) {
      load.span++;
      return;
    }
    load.span = 0;
    if (++load.head < a.kv_heads) return;
    load.head = 0;
    if (++load.row < a.n) load.walk = a.walks[load.row];
  }

  // Finds the span at a position of the order.
  __device__ __forceinline__ void seek(uint32_t position) {
    uint32_t rows = 0;
    for (uint32_t i = lane; i < a.n; i += 32) rows += a.walks[i].before * a.kv_heads <= position;
#pragma unroll
    for (int by = 16; by > 0; by /= 2) rows += __shfl_xor_sync(whole, rows, by);
    load.row = rows - 1;
    load.walk = a.walks[load.row];
    const uint32_t within = position - load.walk.before * a.kv_heads;
    load.head = within / load.spans();
    load.span = within % load.spans();
  }
};

// Each walker has an equal part of all spans and streams through it; keys and values of
// the next span are asked for as soon as registers are free. Those that earlier steps
// stored do not wait for the kernel before.
template <int DIM>
__global__ void __launch_bounds__(warps * 32, blocks_per_processor) attend(const decode_args a) {
  let_next_start();
  const uint32_t lane = threadIdx.x % 32, me = blockIdx.x * warps + threadIdx.x / 32, walkers = gridDim.x * warps;
  walker<DIM> w = {a, lane, lane / 4, lane % 4};
  const step_walk last = a.walks[a.n - 1];
  const uint32_t total = (last.before + (last.length + decode_span - 1) / decode_span) * a.kv_heads;
  w.per = (total + walkers - 1) / walkers;
  w.at = me * w.per;
  w.end = min(w.at + w.per, total);
  w.pages = {whole, 0, 0};
  const bool works = w.at < w.end;
  bool early = false;
  if (works) {
    w.seek(w.at);
    early = !w.load.ends();
  }
  if (early) {
    w.load_keys();
    w.load_values();
  }
  wait_for_previous();
  if (!works) return;
  if (!early) {
    w.load_keys();
    w.load_values();
  }
  w.begin(w.load);
  for (;;) {
    const cursor now = w.load;
    const vec16 weights = w.weigh(now.keys());
    const bool more = w.at + 1 < w.end;
    if (more) {
      w.advance();
      w.load_keys();
    }
    w.add(weights, now.keys());
    if (more) w.load_values();
    if (now.ends() || !more) {
      w.end_head(now, me, w.at);
      if (more) w.begin(w.load);
    }
    if (!more) return;
    w.at++;
  }
}

}  // namespace

bool decode_attends(uint32_t heads, uint32_t kv_heads, uint32_t dim) { return (dim == 64 || dim == 128) && heads / kv_heads <= decode_queries; }

nf_code decode_launch(const decode_args &a, cudaStream_t stream) {
  if (a.n == 0) return NF_OK;
  const uint32_t blocks = min(processors() * blocks_per_processor, decode_walkers_max / warps);
  const launch_shape shape = {blocks, warps * 32};
  return code_of(a.dim == 64 ? launch(attend<64>, shape, stream, a) : launch(attend<128>, shape, stream, a));
}

}  // namespace nf
