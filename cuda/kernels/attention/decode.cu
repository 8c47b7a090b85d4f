#include "kernels/attention/decode.h"

#include <algorithm>
#include <type_traits>

#include "common/e4m3.cuh"
#include "common/element.cuh"
#include "common/hopper.cuh"
#include "common/launch.h"
#include "common/mma.cuh"
#include "common/status.h"

namespace nf {
namespace {

using bf16 = __nv_bfloat16;

constexpr uint32_t whole = 0xffffffffu;
constexpr uint32_t page_spans = NF_PAGE / decode_span;
constexpr int at_once = 4;  // tiles whose products alternate: each waits for its own last one

// How K and V of a head's page lie in a walker's slots of shared memory: rows as in the
// pool, but the sixteen bytes that threads read are flipped in odd rows, so that eight
// threads read from all banks. Scales lie behind all slots.
template <int DIM, bool FP8>
struct slots {
  static constexpr uint32_t element = FP8 ? 1 : 2;
  static constexpr uint32_t data = NF_PAGE * DIM * element, scales = FP8 ? NF_PAGE : 0;
  static constexpr uint32_t walkers = FP8 ? 8 : 4;  // of a block, at most; they do not know of each other
  static constexpr uint32_t n = (192u << 10) / walkers / data;  // of one walker: what is on its way
  static constexpr uint32_t bytes = n * (data + scales);
  static constexpr uint32_t key_row = DIM * element, value_row = NF_PAGE * element;

  __device__ static constexpr uint32_t flip(uint32_t row_bytes) { return !FP8 ? 16 : row_bytes == 128 ? 64 : 0; }
};

// A place in the order of all spans: row by row, head by head, from the first key on.
struct cursor {
  uint32_t at, row, head, span;
  step_walk walk;

  __device__ __forceinline__ uint32_t spans() const { return (walk.length + decode_span - 1) / decode_span; }
  __device__ __forceinline__ bool in_last_page() const { return span / page_spans == (walk.length - 1) / NF_PAGE; }
};

// What a walker has of one page: keys from and up to, and the spans that hold them.
struct piece {
  uint32_t from, to, spans;

  __device__ __forceinline__ bool holds(uint32_t key) const { return key - from < to - from; }
  __device__ __forceinline__ bool whole_page() const { return to - from == NF_PAGE; }
};

// The pages of a row, 32 at a time: a lane each.
struct page_window {
  uint32_t slot, first, page;
};

// Weights of the sixteen keys of a thread, and of what was summed before.
struct weights {
  float of[16], before;
};

// One warp's walk over the spans from `now` to `end`. `load` is ahead of it: what lies
// between is on its way to shared memory.
template <int DIM, bool FP8>
struct walker {
  using room = slots<DIM, FP8>;

  const decode_args &a;
  uint32_t lane, g, c, me, walkers, total;
  char *shared;
  uint32_t begun, end;      // its first span, and the first of the next walker
  cursor load, now;
  uint32_t load_slot, now_slot;
  bool load_values, waited;
  page_window pages;
  uint32_t q[DIM / 64][8];  // of query g
  float scale;              // of its scores
  tile out[DIM / 16];       // [dim][query]
  float top, sum;           // of query g
  uint32_t unit;            // FP8: `out` counts in 2^(unit - 142)

  __device__ __forceinline__ uint32_t group() const { return a.heads / a.kv_heads; }

  // The walkers share the spans out evenly: walker i begins at i * total / walkers.
  __device__ __forceinline__ uint32_t start(uint32_t i) const { return static_cast<uint32_t>(static_cast<uint64_t>(i) * total / walkers); }
  // Who has the span at a position.
  __device__ __forceinline__ uint32_t owner(uint32_t at) const { return static_cast<uint32_t>((static_cast<uint64_t>(at + 1) * walkers - 1) / total); }

  __device__ __forceinline__ piece piece_at(const cursor &p) const {
    const uint32_t first = p.span % page_spans, spans = min(min(page_spans - first, p.spans() - p.span), end - p.at);
    return {first * decode_span, min((first + spans) * decode_span, p.walk.length - p.span / page_spans * NF_PAGE), spans};
  }

  // Finds the span at a position of the order; `mine` are the spans before the row of the
  // lane's number.
  __device__ __forceinline__ cursor seek(uint32_t at, uint32_t mine, const step_walk &last) const {
    uint32_t rows = lane < a.n && mine * a.kv_heads <= at;
    for (uint32_t i = lane + 32; i < a.n; i += 32) rows += a.walks[i].before * a.kv_heads <= at;
    cursor p = {at, __reduce_add_sync(whole, rows) - 1, 0, 0, last};
    if (p.row + 1 < a.n) p.walk = a.walks[p.row];
    const uint32_t within = at - p.walk.before * a.kv_heads;
    p.head = within / p.spans();
    p.span = within % p.spans();
    return p;
  }

  __device__ __forceinline__ void advance(cursor &p, uint32_t spans) const {
    p.at += spans;
    p.span += spans;
    if (p.span < p.spans()) return;
    p.span = 0;
    if (++p.head < a.kv_heads) return;
    p.head = 0;
    if (++p.row < a.n) p.walk = a.walks[p.row];
  }

  __device__ __forceinline__ uint32_t page_of(const cursor &p) {
    const uint32_t index = p.span / page_spans;
    if (p.walk.slot != pages.slot || index - pages.first >= 32) {
      pages = {p.walk.slot, index / 32 * 32, 0};
      if (pages.first + lane < a.books.width) pages.page = a.books.table[static_cast<size_t>(pages.slot) * a.books.width + pages.first + lane];
    }
    return __shfl_sync(whole, pages.page, index % 32);
  }

  __device__ __forceinline__ char *data(uint32_t slot) const { return shared + slot * room::data; }
  __device__ __forceinline__ char *scales(uint32_t slot) const { return shared + room::n * room::data + slot * room::scales; }
  __device__ __forceinline__ static uint32_t next(uint32_t slot) { return slot + 1 == room::n ? 0 : slot + 1; }

  // Asks for K or V of the page at `load`, each a group of copies. What is beyond the
  // piece is zero where it would be summed: it may be anything in the page. Pages that
  // earlier steps filled do not wait for the kernel before.
  __device__ __forceinline__ void ask() {
    if (load.at < end) {
      if (!waited && load.in_last_page()) wait();
      const piece p = piece_at(load);
      const uint32_t page = page_of(load);
      const char *from = a.pool.head(a.layer, page, load_values, load.head) + lane * 16;
      load_values ? copy_values(p, from) : copy_keys(p, from);
      if (FP8 && lane < NF_PAGE / 16) copy_scales(p, a.pool.scales(a.layer, page, load_values, load.head));
      if (load_values) advance(load, p.spans);
      load_values = !load_values;
    }
    copies_end();
    load_slot = next(load_slot);
  }

  __device__ __forceinline__ void copy_keys(const piece &p, const char *from) {
    constexpr uint32_t rows_at_once = 512 / room::key_row;  // rows that a warp copies
    const uint32_t row = lane / (room::key_row / 16);
    const uint32_t to = shared_address(data(load_slot)) + (lane * 16 ^ (row % 2) * room::flip(room::key_row));
#pragma unroll
    for (uint32_t i = 0; i < room::data / 512; i++) copy_first_of(to + i * 512, from + i * 512, p.holds(i * rows_at_once + row) ? 16 : 0);
  }

  __device__ __forceinline__ void copy_values(const piece &p, const char *from) {
    constexpr uint32_t threads = room::value_row / 16, each = 16 / room::element;  // of a row; positions
    const uint32_t first = lane % threads * each, to = shared_address(data(load_slot)) + (lane * 16 ^ (lane / threads % 2) * room::flip(room::value_row));
    const uint32_t bytes = p.holds(first) ? min(p.to - first, each) * room::element : 0;
#pragma unroll
    for (uint32_t i = 0; i < room::data / 512; i++) copy_first_of(to + i * 512, from + i * 512, bytes);
  }

  __device__ __forceinline__ void copy_scales(const piece &p, const char *from) {
    copy_first_of(shared_address(scales(load_slot)) + lane * 16, from + lane * 16, p.holds(lane * 16) ? min(p.to - lane * 16, 16u) : 0);
  }

  __device__ __forceinline__ void wait() {
    wait_for_previous();
    waited = true;
  }

  // Where thread c's sixteen elements of a row of the slot lie, in two parts: of bf16
  // the halves of 32 bytes, of FP8 the blocks of 64 elements.
  __device__ __forceinline__ uint32_t part_at(uint32_t row_bytes, uint32_t part) const {
    const uint32_t flip = g % 2 * room::flip(row_bytes);
    return FP8 ? c * 16 + (part * 64 ^ flip) : c * 32 + (part * 16 ^ flip);
  }

  // Sixteen elements as eight pairs: of the row that begins at p, block b of 64 elements.
  __device__ __forceinline__ void fetch(const char *p, const uint32_t (&parts)[2], int b, uint32_t (&pairs)[8]) const {
    if constexpr (FP8) {
      const vec16 v = *reinterpret_cast<const vec16 *>(p + parts[b]);
#pragma unroll
      for (int i = 0; i < 4; i++) halves_of_e4m3(v.word[i], pairs[2 * i], pairs[2 * i + 1]);
    } else {
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const vec16 v = *reinterpret_cast<const vec16 *>(p + b * 128 + parts[half]);
#pragma unroll
        for (int i = 0; i < 4; i++) pairs[half * 4 + i] = v.word[i];
      }
    }
  }

  __device__ __forceinline__ static void multiply(tile &d, uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
    FP8 ? mma_half(d, a0, a1, a2, a3, b0, b1) : mma(d, a0, a1, a2, a3, b0, b1);
  }

  // A head's queries, and nothing summed yet.
  __device__ __forceinline__ void begin() {
    const bf16 *row = static_cast<const bf16 *>(a.qkv) + (static_cast<size_t>(now.walk.token) * (a.heads + 2 * a.kv_heads) + now.head * group() + g) * DIM;
#pragma unroll
    for (int b = 0; b < DIM / 64; b++) {
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const vec16 v = load_if(row + b * 64 + c * 16 + half * 8, g < group());
#pragma unroll
        for (int i = 0; i < 4; i++) q[b][half * 4 + i] = v.word[i];
      }
    }
    scale = a.scale;
    if constexpr (FP8) narrow();
#pragma unroll
    for (int m = 0; m < DIM / 16; m++) out[m] = {};
    top = -INFINITY;
    sum = 0;
    unit = 16;
  }

  // Queries as f16, times the power of two that brings the largest element near 2^14:
  // what is 2^28 smaller still has all its bits.
  __device__ __forceinline__ void narrow() {
    uint32_t largest = 0;
#pragma unroll
    for (int b = 0; b < DIM / 64; b++) {
#pragma unroll
      for (int i = 0; i < 8; i++) largest = max(largest, max(q[b][i] << 16 & 0x7fff0000u, q[b][i] & 0x7fff0000u));
    }
    largest = max(largest, __shfl_xor_sync(whole, largest, 1));
    largest = max(largest, __shfl_xor_sync(whole, largest, 2));
    const uint32_t exponent = max(largest >> 23, 15u);
    const float up = __uint_as_float((268 - exponent) << 23);
    scale = a.scale * __uint_as_float((exponent - 14) << 23);
#pragma unroll
    for (int b = 0; b < DIM / 64; b++) {
#pragma unroll
      for (int i = 0; i < 8; i++) {
        const __half2 v = __floats2half2_rn(__uint_as_float(q[b][i] << 16) * up, __uint_as_float(q[b][i] & 0xffff0000u) * up);
        memcpy(&q[b][i], &v, 4);
      }
    }
  }

  // Scores of a piece, as weights of its keys relative to the highest score so far.
  // Column n of tile j is the key n/2 * 16 + 2j + n%2, so that thread c ends up with the
  // keys 16c to 16c + 15, as the product with V wants them.
  __device__ __forceinline__ weights weigh(const piece &p) {
    const char *keys = data(now_slot) + (g / 2 * 16 + g % 2) * room::key_row;
    const uint32_t parts[2] = {part_at(room::key_row, 0), part_at(room::key_row, 1)};
    tile x[8] = {};
#pragma unroll
    for (int b = 0; b < DIM / 64; b++) {
#pragma unroll
      for (int first = 0; first < 8; first += at_once) {
        uint32_t k[at_once][8];
#pragma unroll
        for (int j = 0; j < at_once; j++) fetch(keys + (first + j) * 2 * room::key_row, parts, b, k[j]);
#pragma unroll
        for (int i = 0; i < 8; i += 2) {
#pragma unroll
          for (int j = 0; j < at_once; j++) multiply(x[first + j], q[b][i], 0, q[b][i + 1], 0, k[j][i], k[j][i + 1]);
        }
      }
    }
    if constexpr (FP8) {
      const vec16 s = *reinterpret_cast<const vec16 *>(scales(now_slot) + c * 16);
#pragma unroll
      for (int i = 0; i < 16; i++) x[i / 2].v[i % 2] *= from_e8m0(s.word[i / 4], i % 4);
    }
#pragma unroll
    for (int i = 0; i < 16; i++) x[i / 2].v[i % 2] *= scale;
    if (a.softcap > 0) {
#pragma unroll
      for (int i = 0; i < 16; i++) x[i / 2].v[i % 2] = a.softcap * tanhf(x[i / 2].v[i % 2] / a.softcap);
    }
    if (!p.whole_page()) {
#pragma unroll
      for (int i = 0; i < 16; i++) x[i / 2].v[i % 2] = p.holds(c * 16 + i) ? x[i / 2].v[i % 2] : -INFINITY;
    }
    float tops[8];
#pragma unroll
    for (int j = 0; j < 8; j++) tops[j] = fmaxf(x[j].v[0], x[j].v[1]);
#pragma unroll
    for (int half = 4; half > 0; half /= 2) {
#pragma unroll
      for (int j = 0; j < half; j++) tops[j] = fmaxf(tops[j], tops[j + half]);
    }
    float highest = fmaxf(top, tops[0]);
    highest = fmaxf(highest, __shfl_xor_sync(whole, highest, 1));
    highest = fmaxf(highest, __shfl_xor_sync(whole, highest, 2));
    const float base = highest == -INFINITY ? 0 : highest;
    weights w;
    w.before = __expf(top - base);
    float more[2] = {};
#pragma unroll
    for (int i = 0; i < 16; i++) more[i % 2] += w.of[i] = __expf(x[i / 2].v[i % 2] - base);
    top = highest;
    sum = sum * w.before + (more[0] + more[1]);
    return w;
  }

  // Brings weights times the scales of V within f16: relative to the largest scale so far,
  // and as high as f16 goes.
  __device__ __forceinline__ void scale_values(weights &w) {
    const vec16 s = *reinterpret_cast<const vec16 *>(scales(now_slot) + c * 16);
    uint32_t most = __vmaxu4(__vmaxu4(s.word[0], s.word[1]), __vmaxu4(s.word[2], s.word[3]));
    most = __vmaxu4(most, most >> 16);
    most = max(max(most & 0xffu, most >> 8 & 0xffu), unit);
    most = max(most, __shfl_xor_sync(whole, most, 1));
    most = max(most, __shfl_xor_sync(whole, most, 2));
    w.before *= __uint_as_float(max(127 + static_cast<int>(unit) - static_cast<int>(most), 0) << 23);
    unit = most;
    const float up = __uint_as_float((269 - unit) << 23);
#pragma unroll
    for (int i = 0; i < 16; i++) w.of[i] = w.of[i] * up * from_e8m0(s.word[i / 4], i % 4);
  }

  __device__ __forceinline__ static uint32_t pack(float low, float high) {
    if constexpr (!FP8) return pack2(low, high);
    const __half2 v = __floats2half2_rn(low, high);
    uint32_t word;
    memcpy(&word, &v, 4);
    return word;
  }

  __device__ __forceinline__ void add(weights &w) {
    if constexpr (FP8) scale_values(w);
    const float even = __shfl_sync(whole, w.before, c * 8), odd = __shfl_sync(whole, w.before, c * 8 + 4);  // of the queries 2c, 2c + 1
    const char *values = data(now_slot) + g * room::value_row;
    const uint32_t parts[2] = {part_at(room::value_row, 0), part_at(room::value_row, 1)};
    uint32_t weight[8];
#pragma unroll
    for (int i = 0; i < 8; i++) weight[i] = pack(w.of[2 * i], w.of[2 * i + 1]);
#pragma unroll
    for (int first = 0; first < DIM / 16; first += at_once) {
      uint32_t upper[at_once][8], lower[at_once][8];
#pragma unroll
      for (int m = 0; m < at_once; m++) {
        fetch(values + (first + m) * 16 * room::value_row, parts, 0, upper[m]);
        fetch(values + ((first + m) * 16 + 8) * room::value_row, parts, 0, lower[m]);
#pragma unroll
        for (int i = 0; i < 4; i++) out[first + m].v[i] *= i % 2 ? odd : even;
      }
#pragma unroll
      for (int i = 0; i < 8; i += 2) {
#pragma unroll
        for (int m = 0; m < at_once; m++) multiply(out[first + m], upper[m][i], lower[m][i], upper[m][i + 1], lower[m][i + 1], weight[i], weight[i + 1]);
      }
    }
  }

  // What query, in 2c and 2c + 1, and dimension element i of tile m are.
  __device__ __forceinline__ uint32_t query(int i) const { return 2 * c + i % 2; }
  __device__ __forceinline__ uint32_t dimension(int m, int i) const { return m * 16 + i / 2 * 8 + g; }
  // What turns `out` into sums of V.
  __device__ __forceinline__ float in_units() const { return FP8 ? __uint_as_float(unit << 23) * 0x1p-15f : 1; }

  __device__ __forceinline__ bf16 *out_of(uint32_t query) const {
    return static_cast<bf16 *>(a.out) + (static_cast<size_t>(now.walk.token) * a.heads + now.head * group() + query) * DIM;
  }

  __device__ __forceinline__ void finish() const {
    const float inverse = in_units() / sum, even = __shfl_sync(whole, inverse, c * 8), odd = __shfl_sync(whole, inverse, c * 8 + 4);
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if (query(i) >= group()) continue;
      bf16 *to = out_of(query(i));
#pragma unroll
      for (int m = 0; m < DIM / 16; m++) to[dimension(m, i)] = from_float<bf16>(out[m].v[i] * (i % 2 ? odd : even));
    }
  }

  // Leaves what was summed of a head, from position `first` on, that others walk too, and
  // says so. Whoever is last adds all of it up.
  __device__ __forceinline__ void leave(uint32_t first) {
    const uint32_t slot = 2 * me + (first > begun);
    float *sums = a.room.sums + static_cast<size_t>(slot) * decode_queries * DIM;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if (query(i) >= group()) continue;
#pragma unroll
      for (int m = 0; m < DIM / 16; m++) sums[query(i) * DIM + dimension(m, i)] = out[m].v[i] * in_units();
    }
    if (c == 0) a.room.tops[slot * decode_queries + g] = make_float2(top, sum);
    const uint32_t from = owner(first), n = owner(first + now.spans() - 1) - from + 1;
    uint32_t arrived = 0;
    __threadfence();
    __syncwarp();
    uint32_t *arrivals = a.room.arrivals + static_cast<size_t>(now.row) * a.kv_heads + now.head;
    if (lane == 0) arrived = atomicAdd(arrivals, 1u);
    if (__shfl_sync(whole, arrived, 0) + 1 < n) return;
    __threadfence();
    if (lane == 0) *arrivals = 0;
    for (uint32_t query = 0; query < group(); query += 2) gather(query, first, from, n);
  }

  // Adds up what n walkers left of two queries, eight parts on their way at once.
  __device__ __forceinline__ void gather(uint32_t query, uint32_t first, uint32_t from, uint32_t n) const {
    using vec = typename std::conditional<DIM == 128, float4, float2>::type;
    constexpr int each = DIM / 32, batch = 8;
    // The first walker's share is its second one unless the head starts with it.
    const uint32_t second = first > start(from);
    const auto part_of = [&](uint32_t i) { return static_cast<size_t>(2 * (from + i) + (i == 0 ? second : 0)) * decode_queries + query; };
    float highest[2] = {-INFINITY, -INFINITY}, total_weight[2] = {}, all[2][each] = {};
    for (uint32_t at = 0; at < n; at += batch) {
      vec sums[2][batch];
      float tops[batch][4];
#pragma unroll
      for (int i = 0; i < batch; i++) {
        const size_t part = part_of(min(at + i, n - 1));
        const float4 t = __ldcg(reinterpret_cast<const float4 *>(a.room.tops + part));
        memcpy(tops[i], &t, sizeof t);
#pragma unroll
        for (int q = 0; q < 2; q++) sums[q][i] = __ldcg(reinterpret_cast<const vec *>(a.room.sums + (part + q) * DIM) + lane);
      }
#pragma unroll
      for (int q = 0; q < 2; q++) {
        float top_now = highest[q];
#pragma unroll
        for (int i = 0; i < batch; i++) top_now = fmaxf(top_now, tops[i][2 * q]);
        const float base = top_now == -INFINITY ? 0 : top_now, before = __expf(highest[q] - base);
        highest[q] = top_now;
        total_weight[q] *= before;
#pragma unroll
        for (int d = 0; d < each; d++) all[q][d] *= before;
#pragma unroll
        for (int i = 0; i < batch; i++) {
          const float weight = at + i < n ? __expf(tops[i][2 * q] - base) : 0;
          float values[each];
          memcpy(values, &sums[q][i], sizeof values);
          total_weight[q] += weight * tops[i][2 * q + 1];
#pragma unroll
          for (int d = 0; d < each; d++) all[q][d] += weight * values[d];
        }
      }
    }
#pragma unroll
    for (int q = 0; q < 2; q++) {
      if (query + q >= group()) return;
      bf16 *to = out_of(query + q) + lane * each;
#pragma unroll
      for (int d = 0; d < each; d++) to[d] = from_float<bf16>(all[q][d] / total_weight[q]);
    }
  }

  // Ends a head, or this walker's part of one; `last` is the span after.
  __device__ __forceinline__ void end_head(uint32_t spans) {
    sum += __shfl_xor_sync(whole, sum, 1);
    sum += __shfl_xor_sync(whole, sum, 2);
    const uint32_t first = now.at - now.span;
    first >= begun && now.span + spans == now.spans() ? finish() : leave(first);
  }

  __device__ __forceinline__ void walk(uint32_t mine, const step_walk &last) {
    begun = start(me);
    end = start(me + 1);
    load = now = seek(begun, mine, last);
    pages = {whole, 0, 0};
    weights w;
    bool at_values = false;
    for (uint32_t asked = 1;; asked++) {
      ask();
      if (asked < room::n) continue;
      if (asked == room::n) {
        if (!waited) wait();
        begin();
      }
      copies_wait<room::n - 1>();
      __syncwarp();
      const piece p = piece_at(now);
      at_values ? add(w) : void(w = weigh(p));
      __syncwarp();
      now_slot = next(now_slot);
      at_values = !at_values;
      if (at_values) continue;
      const bool head_ends = now.span + p.spans == now.spans(), ends = now.at + p.spans == end;
      if (head_ends || ends) end_head(p.spans);
      if (ends) return;
      advance(now, p.spans);
      if (head_ends) begin();
    }
  }
};

// Each walker has an equal part of all spans, and no fewer than a page holds: the fewer
// parts a head has, the sooner they are added up. Neighbours in the order are walkers of
// different blocks, so that few walkers have many processors.
template <int DIM, bool FP8>
__global__ void __launch_bounds__(slots<DIM, FP8>::walkers * 32, 1) attend(const decode_args a) {
  extern __shared__ __align__(128) char memory[];
  let_next_start();
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const step_walk last = a.walks[a.n - 1];
  const uint32_t mine = a.walks[min(lane, a.n - 1)].before;
  const uint32_t total = (last.before + (last.length + decode_span - 1) / decode_span) * a.kv_heads;
  const uint32_t walkers = min(gridDim.x * (blockDim.x / 32), max(total / page_spans, 1u)), me = warp * gridDim.x + blockIdx.x;
  if (me >= walkers) return wait_for_previous();
  walker<DIM, FP8> w = {a, lane, lane / 4, lane % 4, me, walkers, total, memory + warp * slots<DIM, FP8>::bytes};
  w.walk(mine, last);
}

// Dynamic shared memory that a block may have.
uint32_t shared_max() {
  int device = 0, bytes = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  return static_cast<uint32_t>(bytes);
}

// The walkers of a block: few rows keep few of them busy, and leave room for the kernel
// behind.
template <int DIM, bool FP8>
uint32_t walkers_for(uint32_t rows) {
  using room = slots<DIM, FP8>;
  static const uint32_t most = std::min(shared_max() / room::bytes, room::walkers);
  return std::min(most, rows <= 2 ? room::walkers / 4 : rows <= 16 ? room::walkers / 2 : room::walkers);
}

template <int DIM, bool FP8>
nf_code launch_walk(const decode_args &a, cudaStream_t stream) {
  constexpr uint32_t each = slots<DIM, FP8>::bytes;
  static const cudaError_t allowed = allow_shared(attend<DIM, FP8>, std::min(shared_max() / each, slots<DIM, FP8>::walkers) * each);
  // No more shared memory than the launch needs: the kernels around it read by way of L1.
  static const cudaError_t carved = cudaFuncSetAttribute(reinterpret_cast<const void *>(attend<DIM, FP8>), cudaFuncAttributePreferredSharedMemoryCarveout, cudaSharedmemCarveoutMaxL1);
  if (allowed || carved) return code_of(allowed ? allowed : carved);
  const uint32_t walkers = walkers_for<DIM, FP8>(a.n), blocks = std::min(processors(), decode_walkers_max / walkers);
  return code_of(launch(attend<DIM, FP8>, {blocks, walkers * 32, walkers * each}, stream, a));
}

}  // namespace

bool decode_attends(uint32_t heads, uint32_t kv_heads, uint32_t dim) { return (dim == 64 || dim == 128) && heads / kv_heads <= decode_queries; }

nf_code decode_launch(const decode_args &a, cudaStream_t stream) {
  if (a.n == 0) return NF_OK;
  if (a.pool.fp8) return a.dim == 64 ? launch_walk<64, true>(a, stream) : launch_walk<128, true>(a, stream);
  return a.dim == 64 ? launch_walk<64, false>(a, stream) : launch_walk<128, false>(a, stream);
}

}  // namespace nf
