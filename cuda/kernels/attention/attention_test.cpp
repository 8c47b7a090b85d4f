#include <math.h>
#include <string.h>

#include <algorithm>
#include <random>
#include <vector>

#include "harness/device.h"
#include "harness/fp8.h"
#include "harness/random.h"
#include "harness/test.h"
#include "kernels/attention/attention.h"
#include "kernels/attention/decode.h"
#include "kernels/attention/prefill.h"

namespace nf::test {
namespace {

using harness::buffer;

struct row {
  uint32_t position, n_tokens;
};

struct shape {
  uint32_t heads, kv_heads, dim;
  std::vector<row> rows;
  uint32_t window = 0;
  float softcap = 0;
  bool fp8 = false;
};

shape in_fp8(shape s) {
  s.fp8 = true;
  return s;
}

std::string text(const shape &s) {
  return std::to_string(s.heads) + "/" + std::to_string(s.kv_heads) + " heads of " + std::to_string(s.dim) + (s.fp8 ? " in FP8" : "") + ", first row at " + std::to_string(s.rows[0].position) + " + " + std::to_string(s.rows[0].n_tokens);
}

template <typename T>
std::vector<uint8_t> raw(const std::vector<T> &v) {
  std::vector<uint8_t> out(v.size() * sizeof(T));
  memcpy(out.data(), v.data(), out.size());
  return out;
}

// A pool whose unused places hold NaN, scales too, with each sequence on pages in random
// order.
class scene {
 public:
  explicit scene(const shape &s) : s_(s), random_(s.dim) {
    for (const row &r : s.rows) width_ = std::max(width_, (r.position + r.n_tokens + NF_PAGE - 1) / NF_PAGE);
    pages_ = static_cast<uint32_t>(s.rows.size()) * width_ + 3;
    pool_.assign(pool().page_bytes() * layers * pages_, 0xff);
    table_.resize(s.rows.size() * width_);
    std::vector<uint32_t> order(pages_);
    for (uint32_t i = 0; i < pages_; i++) order[i] = i;
    std::shuffle(order.begin(), order.end(), random_);
    std::copy(order.begin(), order.begin() + table_.size(), table_.begin());
    for (uint32_t i = 0; i < s.rows.size(); i++) add_row(i);
  }

  std::vector<float> run() {
    return by_tiles(tiles_of(attention_queries), [](const attention_args &a) { return attention_launch(a, nullptr); });
  }

  // The same by the kernel for rows of many tokens.
  std::vector<float> prefill() {
    std::vector<step_tile> tiles = tiles_of(prefill_queries);
    const auto end = [](const step_tile &t) { return t.position + t.n_tokens; };
    std::stable_sort(tiles.begin(), tiles.end(), [&](const step_tile &a, const step_tile &b) { return end(a) > end(b); });
    const uint32_t rows = static_cast<uint32_t>(want_.size() / (s_.heads * s_.dim)), longest = end(tiles.front());
    return by_tiles(tiles, [&](const attention_args &a) { return prefill_launch({a, rows, longest}, nullptr); });
  }

  // The same by the kernel for rows of one token.
  std::vector<float> walk() {
    const attention_args s = arguments();
    std::vector<step_walk> walks;
    uint32_t spans = 0;
    for (const step_tile &t : tiles_of(attention_queries)) {
      walks.push_back({t.slot, t.token, t.position + 1, spans});
      spans += (t.position + decode_span) / decode_span;
    }
    const size_t left = 2ull * decode_walkers_max * decode_queries;
    buffer q(qkv_.size() * 2), pool(pool_.size()), table(table_.size() * 4), listed(walks.size() * sizeof(step_walk)), out(want_.size() * 2);
    buffer sums(left * s_.dim * 4), tops(left * 8), arrivals(walks.size() * s_.kv_heads * 4);
    q.put(harness::to_bytes(qkv_, NF_BF16));
    pool.put(pool_);
    table.put(raw(table_));
    listed.put(raw(walks));
    arrivals.put(std::vector<uint8_t>(walks.size() * s_.kv_heads * 4));
    decode_args a = {q.data(), out.data(), static_cast<const step_walk *>(listed.data()), s.pool, s.books,
                     {static_cast<float *>(sums.data()), static_cast<float2 *>(tops.data()), static_cast<uint32_t *>(arrivals.data())},
                     static_cast<uint32_t>(walks.size()), s.layer, s.heads, s.kv_heads, s.dim, s.scale, s.softcap};
    a.pool.kv = pool.data();
    a.books.table = static_cast<uint32_t *>(table.data());
    // Twice: what walkers leave for one another is used up.
    for (int i = 0; i < 2; i++) check(decode_launch(a, nullptr) == NF_OK, text(s_) + ": launch failed");
    harness::must(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    check(out.intact() && q.intact() && pool.intact() && sums.intact() && tops.intact() && arrivals.intact(), text(s_) + ": wrote outside of its output");
    return harness::from_bytes(out.get(), NF_BF16);
  }

  // Makes a position's K (part 0) or V not finite in one head.
  void spoil(uint32_t slot, uint32_t position, uint32_t part, uint32_t head) {
    std::vector<float> x(s_.dim, part == 0 ? 1 : INFINITY);
    if (part == 0) x[s_.dim / 2] = NAN;
    store(table_[slot * width_ + position / NF_PAGE], part, head, position % NF_PAGE, x.data());
  }

  const std::vector<double> &want() const { return want_; }

 private:
  static constexpr uint32_t layers = 2, layer = 1;

  std::vector<step_tile> tiles_of(uint32_t queries) const {
    std::vector<step_tile> tiles;
    const uint32_t most = queries / (s_.heads / s_.kv_heads);
    uint32_t first = 0;
    for (uint32_t slot = 0; slot < s_.rows.size(); slot++) {
      const row &r = s_.rows[slot];
      for (uint32_t t = 0; t < r.n_tokens; t += most) tiles.push_back({slot, first + t, std::min(most, r.n_tokens - t), r.position + t});
      first += r.n_tokens;
    }
    return tiles;
  }

  template <typename F>
  std::vector<float> by_tiles(const std::vector<step_tile> &listed, const F &launch) {
    buffer q(qkv_.size() * 2), pool(pool_.size()), table(table_.size() * 4), tiles(listed.size() * sizeof(step_tile)), out(want_.size() * 2);
    q.put(harness::to_bytes(qkv_, NF_BF16));
    pool.put(pool_);
    table.put(raw(table_));
    tiles.put(raw(listed));
    attention_args a = arguments();
    a.qkv = q.data();
    a.out = out.data();
    a.tiles = static_cast<const step_tile *>(tiles.data());
    a.n_tiles = static_cast<uint32_t>(listed.size());
    a.pool.kv = pool.data();
    a.books.table = static_cast<uint32_t *>(table.data());
    check(launch(a) == NF_OK, text(s_) + ": launch failed");
    harness::must(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    check(out.intact() && q.intact() && pool.intact(), text(s_) + ": wrote outside of its output");
    return harness::from_bytes(out.get(), NF_BF16);
  }

  kv_pool pool() const { return {nullptr, nullptr, pages_, layers, s_.kv_heads, s_.dim, s_.fp8}; }

  attention_args arguments() const {
    attention_args a = {};
    a.pool = pool();
    a.books.width = width_;
    a.layer = layer;
    a.heads = s_.heads;
    a.kv_heads = s_.kv_heads;
    a.dim = s_.dim;
    a.window = s_.window;
    a.softcap = s_.softcap;
    a.scale = 1 / sqrtf(static_cast<float>(s_.dim));
    return a;
  }

  void add_row(uint32_t slot) {
    const row &r = s_.rows[slot];
    const uint32_t length = r.position + r.n_tokens;
    const std::vector<float> q = harness::random_values(static_cast<size_t>(r.n_tokens) * (s_.heads + 2 * s_.kv_heads) * s_.dim, 1, slot + 1, NF_BF16);
    std::vector<float> k = harness::random_values(static_cast<size_t>(length) * s_.kv_heads * s_.dim, 1, slot + 100, NF_BF16);
    std::vector<float> v = harness::random_values(static_cast<size_t>(length) * s_.kv_heads * s_.dim, 1, slot + 200, NF_BF16);
    const attention_args a = arguments();
    for (uint32_t p = 0; p < length; p++) {
      const uint32_t page = table_[slot * width_ + p / NF_PAGE], at = p % NF_PAGE;
      for (uint32_t h = 0; h < s_.kv_heads; h++) {
        const size_t from = (static_cast<size_t>(p) * s_.kv_heads + h) * s_.dim;
        store(page, 0, h, at, &k[from]);
        store(page, 1, h, at, &v[from]);
      }
    }
    std::vector<double> out(static_cast<size_t>(r.n_tokens) * s_.heads * s_.dim);
    attention_reference(a, q.data(), k.data(), v.data(), r.position, r.n_tokens, out.data());
    want_.insert(want_.end(), out.begin(), out.end());
    qkv_.insert(qkv_.end(), q.begin(), q.end());
  }

  // Puts a position's K or V into its page, and what the page then stands for into x.
  void store(uint32_t page, uint32_t part, uint32_t head, uint32_t at, float *x) {
    const size_t head_at = reinterpret_cast<size_t>(pool().head(layer, page, part, head));
    // Sizes that differ a lot from position to position, as V's do.
    for (uint32_t d = 0; d < s_.dim && part == 1 && s_.fp8; d++) x[d] = ldexpf(x[d], static_cast<int>(at * 7 % 13) - 6);
    const std::vector<float> row(x, x + s_.dim);
    const std::vector<uint8_t> bf16 = harness::to_bytes(row, NF_BF16);
    const uint8_t scale = harness::scale_byte(row);
    for (uint32_t d = 0; d < s_.dim; d++) {
      const size_t i = part == 0 ? static_cast<size_t>(at) * s_.dim + d : static_cast<size_t>(d) * NF_PAGE + at;
      if (s_.fp8) {
        pool_[head_at + i] = harness::encode_e4m3(x[d], scale);
        x[d] = harness::decode_e4m3(pool_[head_at + i], scale);
      } else {
        memcpy(&pool_[head_at + 2 * i], &bf16[2 * d], 2);
      }
    }
    if (s_.fp8) pool_[reinterpret_cast<size_t>(pool().scales(layer, page, part, head)) + at] = scale;
  }

  shape s_;
  std::mt19937 random_;
  uint32_t width_ = 0, pages_ = 0;
  std::vector<uint8_t> pool_;
  std::vector<float> qkv_;
  std::vector<uint32_t> table_;
  std::vector<double> want_;
};

void close(const shape &s, const std::vector<float> &got, const std::vector<double> &want) {
  double d = 0, n = 0;
  for (size_t i = 0; i < got.size(); i++) d += (got[i] - want[i]) * (got[i] - want[i]), n += want[i] * want[i];
  check(sqrt(d / n) <= 4e-3, text(s) + ": off by " + std::to_string(sqrt(d / n)));
}

void close_to_reference(const shape &s) {
  for (const shape &kind : {s, in_fp8(s)}) {
    scene c(kind);
    close(kind, c.run(), c.want());
  }
}

void walks_close(const shape &s) {
  for (const shape &kind : {s, in_fp8(s)}) {
    scene c(kind);
    close(kind, c.walk(), c.want());
  }
}

const add heads_case("attention/heads and dimensions", true, [] {
  for (const uint32_t dim : {8u, 32u, 40u, 64u, 80u, 128u}) {
    for (const auto &[heads, kv] : {std::pair{4u, 4u}, {4u, 2u}, {9u, 3u}, {16u, 1u}}) close_to_reference({heads, kv, dim, {{100, 1}, {0, 70}}});
  }
});

const add lengths_case("attention/page edges, decode and prefill in one step", true, [] {
  for (const uint32_t position : {0u, 1u, 31u, 32u, 63u, 64u, 127u, 600u}) close_to_reference({8, 4, 64, {{position, 1}, {position, 33}, {0, 1}, {63, 2}, {520, 130}}});
});

const add limits_case("attention/window and softcap", true, [] {
  for (const uint32_t window : {1u, 5u, 64u, 100u, 1000u}) close_to_reference({8, 4, 64, {{300, 1}, {40, 90}}, window});
  close_to_reference({8, 4, 128, {{300, 1}, {40, 90}}, 0, 2});
});

// A sequence alone and among others: the same bits; and again when run twice.
const add neighbours_case("attention/a row does not see its neighbours", true, [] {
  for (const bool fp8 : {false, true}) {
    const std::vector<float> alone = scene({8, 4, 128, {{500, 20}}, 0, 0, fp8}).run(), among = scene({8, 4, 128, {{500, 20}, {30, 50}, {700, 1}}, 0, 0, fp8}).run();
    check(memcmp(alone.data(), among.data(), alone.size() * sizeof(float)) == 0, "other bits");
  }
});

// Rows of one token at the positions given.
std::vector<row> ones(const std::vector<uint32_t> &positions) {
  std::vector<row> rows;
  for (const uint32_t p : positions) rows.push_back({p, 1});
  return rows;
}

// What is not finite reaches the queries that see it, and no others.
const add spoilt_case("attention/what is not finite is told", true, [] {
  const auto told = [](const std::vector<float> &out, const std::string &name) {
    for (size_t i = 0; i < out.size(); i++) {
      const bool spoilt = i / (8 * 64) == 1 && i / (2 * 64) % 4 == 2;  // row 1, key-value head 2 of four
      check(isfinite(out[i]) != spoilt, name + ": element " + std::to_string(i) + " is " + std::to_string(out[i]));
    }
  };
  for (const bool fp8 : {false, true}) {
    for (const uint32_t part : {0u, 1u}) {
      scene c({8, 4, 64, ones({90, 300, 40}), 0, 0, fp8});
      c.spoil(1, 70, part, 2);
      told(c.run(), "in tiles");
      told(c.walk(), "walked");
    }
  }
});

// One row, few and many: heads of one walker, of two and of all of them.
const add walks_case("attention/decode: heads, lengths, shares of walkers", true, [] {
  for (const uint32_t dim : {64u, 128u}) {
    for (const auto &[heads, kv] : {std::pair{4u, 4u}, {4u, 2u}, {9u, 3u}, {16u, 2u}}) {
      for (const uint32_t p : {0u, 1u, 30u, 31u, 32u, 63u, 64u, 575u}) walks_close({heads, kv, dim, ones({p})});
      walks_close({heads, kv, dim, ones({0, 5, 1500, 31, 32, 64, 700})});
    }
    walks_close({6, 2, dim, ones({9000})});
    std::vector<uint32_t> many;
    for (uint32_t i = 0; i < 70; i++) many.push_back(i * 37 % 900);
    walks_close({4, 2, dim, ones(many)});
    for (uint32_t i = 0; i < 200; i++) many.push_back(i * 61 % 100);
    walks_close({2, 1, dim, ones(many)});
  }
  walks_close({8, 4, 128, ones({300, 40}), 0, 2});
});

const add walks_again_case("attention/decode: the same bits when run again", true, [] {
  const shape s = {8, 4, 128, ones({500, 30, 2000, 64})};
  for (const shape &kind : {s, in_fp8(s)}) check(scene(kind).walk() == scene(kind).walk(), "other bits");
});

void prefill_close(const shape &s) {
  if (!prefill_attends(s.heads, s.kv_heads, s.dim)) return;
  scene c(s);
  close(s, c.prefill(), c.want());
}

const add prefill_hopper_case("attention/prefill: Hopper runs it", true, [] {
  cudaDeviceProp p;
  harness::must(cudaGetDeviceProperties(&p, 0), "cudaGetDeviceProperties");
  for (const uint32_t dim : {64u, 128u}) check(prefill_attends(16, 8, dim) == (p.major == 9), "heads of " + std::to_string(dim) + " on sm_" + std::to_string(p.major) + std::to_string(p.minor));
  check(!prefill_attends(16, 8, 80) && !prefill_attends(34, 2, 128), "heads that it cannot attend");
});

// Lengths about the edges of pages, rounds and tiles, each alone, so that blocks share its
// keys where it is long.
const add prefill_lengths_case("attention/prefill: heads and lengths", true, [] {
  for (const uint32_t dim : {64u, 128u}) {
    for (const auto &[heads, kv] : {std::pair{4u, 4u}, {4u, 2u}, {9u, 3u}, {8u, 2u}, {32u, 2u}}) {
      for (const uint32_t n : {1u, 2u, 31u, 33u, 64u, 65u, 127u, 128u, 129u, 200u}) prefill_close({heads, kv, dim, {{0, n}}});
    }
    prefill_close({2, 1, dim, {{0, 1200}}});
  }
});

const add prefill_past_case("attention/prefill: chunks after a past", true, [] {
  for (const uint32_t dim : {64u, 128u}) {
    for (const uint32_t past : {1u, 63u, 64u, 65u, 127u, 128u, 500u, 1000u}) {
      for (const uint32_t n : {1u, 2u, 64u, 129u}) prefill_close({4, 2, dim, {{past, n}}});
    }
    for (const uint32_t n : {1u, 30u, 70u}) prefill_close({4, 2, dim, {{4100, n}}});
  }
});

const add prefill_mixed_case("attention/prefill: many sequences in one step", true, [] {
  for (const auto &[heads, kv] : {std::pair{8u, 4u}, {9u, 3u}, {16u, 2u}}) {
    std::vector<row> rows;
    for (uint32_t i = 0; i < 40; i++) rows.push_back({i * 131 % 300 * (i % 3), 2 + i * 37 % 150});
    for (const uint32_t dim : {64u, 128u}) prefill_close({heads, kv, dim, rows});
  }
});

const add prefill_again_case("attention/prefill: the same bits when run again, alone and among others", true, [] {
  if (!prefill_attends(8, 4, 128)) return;
  for (const shape &s : {shape{8, 4, 128, {{500, 200}, {0, 90}}}, shape{8, 4, 64, {{4000, 64}}}}) check(scene(s).prefill() == scene(s).prefill(), "other bits");
  std::vector<row> many(34, {150, 130});
  const std::vector<float> among = scene({8, 4, 128, many}).prefill(), alone = scene({8, 4, 128, {{150, 130}}}).prefill();
  check(memcmp(alone.data(), among.data(), alone.size() * sizeof(float)) == 0, "other bits alone");
});

}  // namespace
}  // namespace nf::test
