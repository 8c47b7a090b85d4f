#include <stdio.h>
#include <string.h>

#include <vector>

#include "harness/bench.h"
#include "harness/device.h"
#include "harness/random.h"
#include "kernels/rope/rope.h"

namespace nf::bench {
namespace {

using harness::buffer;

constexpr uint32_t heads = 16, kv_heads = 8, dim = 128, layers = 28;

// Rows of as many sequences that decode at position 576, or of one prompt; layers rotate.
void shape(uint32_t rows, bool prompt, bool fp8) {
  const uint32_t pages = prompt ? rows / NF_PAGE : rows;
  std::vector<step_token> tokens;
  for (uint32_t i = 0; i < rows; i++) tokens.push_back(prompt ? step_token{0, i, 0, i / NF_PAGE} : step_token{i, 576, 0, i});
  kv_pool pool = {nullptr, nullptr, pages, layers, kv_heads, dim, fp8};
  const size_t width = (heads + 2 * kv_heads) * dim;
  buffer x(2 * width * rows), listed(tokens.size() * sizeof(step_token)), norm(2 * dim), turns(4ull * rows * dim), kv(pool.page_bytes() * layers * pages);
  std::vector<uint8_t> raw(tokens.size() * sizeof(step_token));
  memcpy(raw.data(), tokens.data(), raw.size());
  listed.put(raw);
  x.put(harness::to_bytes(harness::random_values(width * rows, 1, 1, NF_BF16), NF_BF16));
  norm.put(harness::to_bytes(std::vector<float>(dim, 1), NF_BF16));
  turns.put(harness::to_bytes(harness::random_values(static_cast<size_t>(rows) * dim, 1, 2, NF_F32), NF_F32));
  pool.kv = kv.data();
  rope_args a = {x.data(), static_cast<const step_token *>(listed.data()), norm.data(), norm.data(), static_cast<const float2 *>(turns.data()), pool, rows, 0, heads, kv_heads, dim, NF_ROPE_HALF, 1e-6f, false};
  const timing t = time_calls(28, [&](int i, cudaStream_t stream) {
    a.layer = static_cast<uint32_t>(i);
    rope_launch(a, stream);
  });
  const double bytes = rows * (2.0 * width + 2.0 * (heads + kv_heads) * dim + kv_heads * (fp8 ? 2.0 * (dim + 1) : 4.0 * dim));
  printf("rope %s %5u %-8s %8.2f us  %6.0f GB/s\n", fp8 ? "fp8 " : "bf16", rows, prompt ? "prompt" : "decode", t.median * 1e6, bytes / t.median / 1e9);
}

void run() {
  printf("rope and store: 16 query heads, 8 key-value heads of 128, normed\n");
  for (const bool fp8 : {false, true}) {
    for (const uint32_t rows : {1u, 8u, 64u, 256u}) shape(rows, false, fp8);
    for (const uint32_t rows : {1024u, 8192u}) shape(rows, true, fp8);
  }
}

const add registered(run);

}  // namespace
}  // namespace nf::bench
