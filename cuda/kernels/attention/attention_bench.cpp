#include <stdio.h>

#include <string.h>

#include <vector>

#include "harness/bench.h"
#include "harness/device.h"
#include "harness/random.h"
#include "kernels/attention/attention.h"
#include "kernels/attention/decode.h"

namespace nf::bench {
namespace {

using harness::buffer;

constexpr size_t beyond_l2 = 128u << 20;  // bytes of K and V that rotate
constexpr uint32_t heads = 16, kv_heads = 8, dim = 128;

template <typename T>
std::vector<uint8_t> raw(const std::vector<T> &v) {
  std::vector<uint8_t> out(v.size() * sizeof(T));
  memcpy(out.data(), v.data(), out.size());
  return out;
}

// Any values that are none of them NaN, with scales where the pool has some; the same in
// every page.
std::vector<uint8_t> filled(const kv_pool &pool, const std::vector<uint8_t> &some) {
  const size_t once = pool.page_bytes(), elements = 2 * pool.heads * pool.head_size();
  std::vector<uint8_t> all(once * pool.layers * pool.pages);
  for (size_t i = 0; i < once; i++) {
    all[i] = some[i % some.size()];
    if (pool.fp8) all[i] = i < elements ? all[i] & 0xbf : 120 + i % 4;
  }
  for (size_t at = once; at < all.size(); at += once) memcpy(&all[at], all.data(), once);
  return all;
}

// n sequences with n_tokens new ones each after `position` others; layers rotate.
void shape(uint32_t n, uint32_t position, uint32_t n_tokens, bool fp8) {
  const uint32_t width = (position + n_tokens + NF_PAGE - 1) / NF_PAGE;
  const size_t layer = kv_pool{nullptr, nullptr, 1, 1, kv_heads, dim, fp8}.page_bytes() * n * width;
  const uint32_t layers = static_cast<uint32_t>(beyond_l2 / layer + 1);
  const attention_args sizes = {nullptr, nullptr, nullptr, {nullptr, nullptr, n * width, layers, kv_heads, dim, fp8}, {}, 0, 0, heads, kv_heads, dim, 0, 0.088388f, 0};
  const size_t rows = 2ull * n * n_tokens * (heads + 2 * kv_heads) * dim;
  buffer pool(layer * layers), q(rows), out(2ull * n * n_tokens * heads * dim), table(4ull * n * width);
  const std::vector<uint8_t> some = harness::to_bytes(harness::random_values(1 << 16, 1, 1, NF_BF16), NF_BF16);
  std::vector<uint8_t> queries(rows);
  for (size_t i = 0; i < rows; i++) queries[i] = some[i % some.size()];
  pool.put(filled(sizes.pool, some));
  q.put(queries);
  std::vector<uint32_t> pages(n * width);
  for (uint32_t i = 0; i < pages.size(); i++) pages[i] = i;
  table.put(raw(pages));
  std::vector<step_tile> tiles;
  for (uint32_t s = 0; s < n; s++) {
    for (uint32_t t = 0; t < n_tokens; t += 8) tiles.push_back({s, s * n_tokens + t, n_tokens - t < 8 ? n_tokens - t : 8, position + t});
  }
  buffer listed(tiles.size() * sizeof(step_tile));
  listed.put(raw(tiles));
  attention_args a = sizes;
  a.qkv = q.data();
  a.out = out.data();
  a.tiles = static_cast<const step_tile *>(listed.data());
  a.pool.kv = pool.data();
  a.books = {static_cast<uint32_t *>(table.data()), width, nullptr, nullptr};
  a.n_tiles = static_cast<uint32_t>(tiles.size());
  std::vector<step_walk> walks;
  for (const step_tile &t : tiles) walks.push_back({t.slot, t.token, t.position + 1, t.slot * ((position + decode_span) / decode_span)});
  const size_t left = 2ull * decode_walkers_max * decode_queries;
  buffer walked(walks.size() * sizeof(step_walk)), sums(left * dim * 4), tops(left * 8), arrivals(4ull * n * kv_heads);
  walked.put(raw(walks));
  arrivals.put(std::vector<uint8_t>(4ull * n * kv_heads));
  decode_args d = {q.data(), out.data(), static_cast<const step_walk *>(walked.data()), a.pool, a.books,
                   {static_cast<float *>(sums.data()), static_cast<float2 *>(tops.data()), static_cast<uint32_t *>(arrivals.data())}, n, 0, heads, kv_heads, dim, a.scale, 0};
  const timing t = time_calls(16, [&](int i, cudaStream_t stream) {
    a.layer = d.layer = i % layers;
    n_tokens == 1 ? decode_launch(d, stream) : attention_launch(a, stream);
  });
  const double bytes = 2.0 * n * (position + n_tokens) * kv_heads * (fp8 ? dim + 1 : 2 * dim), flops = 4.0 * n * n_tokens * (position + n_tokens / 2.0) * heads * dim;
  printf("attention %s %4u x (%5u + %4u)  %8.2f us  %6.0f GB/s of K and V, %3.0f %% of peak  %6.1f TFLOP/s\n", fp8 ? "fp8 " : "bf16", n, position, n_tokens, t.median * 1e6, bytes / t.median / 1e9,
         100 * bytes / t.median / harness::memory_peak(), flops / t.median / 1e12);
}

void run() {
  printf("attention: 16 query heads, 8 key-value heads of 128\n");
  for (const bool fp8 : {false, true}) {
    for (const uint32_t n : {1u, 16u, 64u, 256u}) shape(n, 575, 1, fp8);
    shape(256, 1023, 1, fp8);
    for (const uint32_t n : {1u, 8u, 64u}) shape(n, 4095, 1, fp8);
    for (const uint32_t n : {1024u, 4096u}) shape(1, 0, n, fp8);
  }
}

const add registered(run);

}  // namespace
}  // namespace nf::bench
