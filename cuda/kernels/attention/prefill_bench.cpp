#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "harness/bench.h"
#include "harness/device.h"
#include "harness/random.h"
#include "kernels/attention/prefill.h"

namespace nf::bench {
namespace {

using harness::buffer;

constexpr double hopper_peak = 989e12;  // of bf16, by NVIDIA's data sheet of the H100 SXM
constexpr uint32_t kv_heads = 8, dim = 128;

template <typename T>
std::vector<uint8_t> raw(const std::vector<T> &v) {
  std::vector<uint8_t> out(v.size() * sizeof(T));
  memcpy(out.data(), v.data(), out.size());
  return out;
}

// Rows of many tokens, by both kernels that take them; `heads` queries for the eight
// key-value heads.
void shape(uint32_t heads, uint32_t n, uint32_t position, uint32_t n_tokens) {
  const uint32_t width = (position + n_tokens + NF_PAGE - 1) / NF_PAGE, group = heads / kv_heads;
  attention_args a = {nullptr, nullptr, nullptr, {nullptr, nullptr, n * width, 2, kv_heads, dim}, {}, 0, 0, heads, kv_heads, dim, 0, 0.088388f, 0};
  const size_t pool_bytes = 2 * a.pool.at(2, 0, 0, 0), qkv_bytes = 2ull * n * n_tokens * (heads + 2 * kv_heads) * dim;
  buffer pool(pool_bytes), q(qkv_bytes), out(2ull * n * n_tokens * heads * dim), table(4ull * n * width), listed(1ull * n * n_tokens * sizeof(step_tile));
  const std::vector<uint8_t> some = harness::to_bytes(harness::random_values(1 << 16, 1, 1, NF_BF16), NF_BF16);
  for (const auto &[b, bytes] : {std::pair{&pool, pool_bytes}, {&q, qkv_bytes}}) {
    std::vector<uint8_t> all(bytes);
    for (size_t i = 0; i < bytes; i += some.size()) memcpy(&all[i], some.data(), std::min(some.size(), bytes - i));
    b->put(all);
  }
  std::vector<uint32_t> pages(n * width);
  for (uint32_t i = 0; i < pages.size(); i++) pages[i] = i;
  table.put(raw(pages));
  a.qkv = q.data();
  a.out = out.data();
  a.tiles = static_cast<const step_tile *>(listed.data());
  a.pool.kv = pool.data();
  a.books = {static_cast<uint32_t *>(table.data()), width, nullptr, nullptr};
  for (const bool large : {false, true}) {
    if (large && !prefill_attends(heads, kv_heads, dim)) continue;
    const uint32_t most = (large ? prefill_queries : attention_queries) / group;
    std::vector<step_tile> tiles;
    for (uint32_t s = 0; s < n; s++) {
      for (uint32_t t = 0; t < n_tokens; t += most) tiles.push_back({s, s * n_tokens + t, std::min(most, n_tokens - t), position + t});
    }
    std::stable_sort(tiles.begin(), tiles.end(), [](const step_tile &x, const step_tile &y) { return x.position + x.n_tokens > y.position + y.n_tokens; });
    listed.put(raw(tiles));
    a.n_tiles = static_cast<uint32_t>(tiles.size());
    const timing t = time_calls(8, [&](int i, cudaStream_t stream) {
      a.layer = i % 2;
      large ? prefill_launch({a, n * n_tokens, position + n_tokens}, stream) : attention_launch(a, stream);
    });
    const double flops = 4.0 * n * n_tokens * (position + n_tokens / 2.0) * heads * dim;
    printf("attention, %2u heads, %2u x (%5u + %4u)  %-7s  %8.2f us  %6.1f TFLOP/s, %3.0f %% of %.0f\n", heads, n, position, n_tokens, large ? "prefill" : "tiles",
           t.median * 1e6, flops / t.median / 1e12, 100 * flops / t.median / hopper_peak, hopper_peak / 1e12);
  }
}

void run() {
  printf("attention of many tokens: 8 key-value heads of 128\n");
  for (const uint32_t heads : {16u, 32u}) {
    for (const auto &[n, position, tokens] : {std::tuple{1u, 0u, 128u}, {1u, 0u, 1024u}, {1u, 0u, 4096u}, {16u, 0u, 1024u}, {1u, 4096u, 64u}, {1u, 4096u, 256u}, {1u, 16384u, 256u}}) {
      shape(heads, n, position, tokens);
    }
  }
}

const add registered(run);

}  // namespace
}  // namespace nf::bench
