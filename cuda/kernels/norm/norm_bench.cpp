#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <vector>

#include "harness/bench.h"
#include "harness/device.h"
#include "harness/random.h"
#include "kernels/norm/norm.h"

namespace nf::bench {
namespace {

using harness::buffer;

constexpr int calls = 64;
constexpr size_t beyond_l2 = 512u << 20;  // bytes that rotating buffers take together
constexpr uint64_t seed = 1;

// Random values, repeated: data that are all alike draw less power than real ones.
void fill(const buffer &b, size_t bytes, nf_dtype dtype) {
  static const std::vector<float> values = harness::random_values(1 << 20, 1, seed, NF_BF16);
  const std::vector<uint8_t> part = harness::to_bytes(values, dtype);
  for (size_t at = 0; at < bytes; at += part.size()) {
    harness::must(cudaMemcpy(static_cast<uint8_t *>(b.data()) + at, part.data(), std::min(part.size(), bytes - at),
                             cudaMemcpyHostToDevice), "cudaMemcpy");
  }
}

// In and out of many calls. Large shapes take turns through more memory than the L2
// cache holds; those of a few rows stay in it, as the activations of a small step do.
struct arena {
  std::vector<std::unique_ptr<buffer>> in, out;
  buffer weight;

  arena(size_t bytes, uint32_t width, nf_dtype dtype) : weight(width * (dtype == NF_F32 ? 4 : 2)) {
    const size_t n = std::clamp<size_t>(beyond_l2 / (2 * bytes), 2, calls);
    for (size_t i = 0; i < n; i++) {
      in.push_back(std::make_unique<buffer>(bytes));
      out.push_back(std::make_unique<buffer>(bytes));
      fill(*in.back(), bytes, dtype);
    }
    weight.put(harness::to_bytes(harness::random_values(width, 1, seed, dtype), dtype));
  }
};

const char *name(norm_kernel k) {
  return k == norm_kernel::loop ? "loop" : k == norm_kernel::warp ? "warp" : "block";
}

void row(const char *what, nf_dtype dtype, uint32_t rows, uint32_t width, double moved, const timing &t) {
  printf("%-6s %-5s %6u x %-5u %9.2f us (%.2f to %.2f) %7.0f GB/s %5.1f%% of peak\n", what,
         dtype == NF_F32 ? "f32" : "bf16", rows, width, t.median * 1e6, t.least * 1e6, t.most * 1e6,
         moved / t.median / 1e9, 100 * moved / t.median / harness::memory_peak());
}

void copy(const arena &a, nf_dtype dtype, uint32_t rows, uint32_t width, size_t bytes) {
  const timing t = time_calls(calls, [&](int i, cudaStream_t s) {
    const size_t at = i % a.in.size();
    harness::must(cudaMemcpyAsync(a.out[at]->data(), a.in[at]->data(), bytes, cudaMemcpyDeviceToDevice, s), "copy");
  });
  row("copy", dtype, rows, width, 2.0 * bytes, t);
}

void norm(norm_kernel kernel, const arena &a, nf_dtype dtype, uint32_t rows, uint32_t width, size_t bytes) {
  const timing t = time_calls(calls, [&](int i, cudaStream_t s) {
    const size_t at = i % a.in.size();
    const norm_args args = {a.in[at]->data(), a.weight.data(), a.out[at]->data(), rows, width, 1e-6f, false, dtype};
    if (norm_launch_as(kernel, args, s) != NF_OK) throw std::runtime_error("norm: the launch failed");
  });
  row(name(kernel), dtype, rows, width, 2.0 * bytes + bytes / rows, t);
}

void shape(nf_dtype dtype, uint32_t rows, uint32_t width) {
  const size_t bytes = static_cast<size_t>(rows) * width * (dtype == NF_F32 ? 4 : 2);
  const arena a(bytes, width, dtype);
  const norm_args args = {a.in[0]->data(), a.weight.data(), a.out[0]->data(), rows, width, 1e-6f, false, dtype};
  copy(a, dtype, rows, width, bytes);
  norm(norm_kernel::loop, a, dtype, rows, width, bytes);
  if (norm_choose(args) != norm_kernel::loop) norm(norm_choose(args), a, dtype, rows, width, bytes);
}

void run() {
  printf("norm: %d warm-ups, median of %d repeats (least to most) of %d calls, seed %d; bytes = in + out + weight\n",
         warm_ups, repeats, calls, static_cast<int>(seed));
  for (const nf_dtype dtype : {NF_BF16, NF_F32}) {
    for (const uint32_t width : {576u, 1024u, 4096u}) {
      for (const uint32_t rows : {1u, 64u, 8192u, 32768u}) shape(dtype, rows, width);
    }
  }
}

const add registered(run);

}  // namespace
}  // namespace nf::bench
