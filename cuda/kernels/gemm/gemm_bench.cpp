#include <stdio.h>

#include <memory>
#include <vector>

#include "harness/bench.h"
#include "harness/device.h"
#include "harness/random.h"
#include "kernels/gemm/gemm.h"

namespace nf::bench {
namespace {

using harness::buffer;

constexpr size_t beyond_l2 = 256u << 20;   // bytes of weights that rotate
constexpr double hopper_peak = 989e12;     // of bf16, by NVIDIA's data sheet of the H100 SXM

std::vector<uint8_t> values(size_t n) {
  std::vector<uint8_t> bytes = harness::to_bytes(harness::random_values(1 << 16, 0.05f, 1, NF_BF16), NF_BF16), all(2 * n);
  for (size_t i = 0; i < all.size(); i++) all[i] = bytes[i % bytes.size()];
  return all;
}

const char *name_of(gemm_kernel k) {
  switch (k) {
    case gemm_kernel::few: return "few";
    case gemm_kernel::skinny: return "skinny";
    case gemm_kernel::tiled: return "tiled";
    case gemm_kernel::wide: return "wide";
    case gemm_kernel::paired: return "paired";
  }
  return "";
}

// By the kernel that gemm_choose names, and by wide where that is paired.
void shape(const char *name, gemm_epilogue epilogue, uint32_t rows, uint32_t n, uint32_t k) {
  const size_t weights = static_cast<size_t>(n) * k, sets = beyond_l2 / (2 * weights) + 1;
  std::vector<std::unique_ptr<buffer>> w;
  for (size_t i = 0; i < sets; i++) w.push_back(std::make_unique<buffer>(2 * weights)), w.back()->put(values(weights));
  buffer x(2ull * rows * k), out(4ull * rows * n);
  x.put(values(static_cast<size_t>(rows) * k));
  gemm_args a = {x.data(), nullptr, out.data(), nullptr, nullptr, rows, n, k, epilogue, NF_ACT_SILU, 0, 0, false, nullptr, 0, false};
  std::vector<gemm_kernel> kernels = {gemm_choose(a)};
  if (kernels[0] == gemm_kernel::paired) kernels.insert(kernels.begin(), gemm_kernel::wide);
  for (const gemm_kernel kernel : kernels) {
    const timing t = time_calls(32, [&](int i, cudaStream_t stream) {
      a.w = w[i % sets]->data();
      gemm_launch_as(kernel, a, stream);
    });
    const double bytes = 2.0 * weights, flops = 2.0 * rows * n * k;
    printf("gemm %-8s %5u x %6u x %5u  %-6s  %8.2f us  %6.0f GB/s of weights, %3.0f %% of peak  %6.1f TFLOP/s, %3.0f %% of %.0f\n", name, rows, n, k, name_of(kernel),
           t.median * 1e6, bytes / t.median / 1e9, 100 * bytes / t.median / harness::memory_peak(), flops / t.median / 1e12, 100 * flops / t.median / hopper_peak, hopper_peak / 1e12);
  }
}

void run() {
  for (const uint32_t rows : {1u, 8u, 16u, 32u, 64u, 128u, 256u, 1024u, 4096u}) {
    shape("qkv", gemm_epilogue::plain, rows, 4096, 1024);
    shape("out", gemm_epilogue::residual, rows, 1024, 2048);
    shape("gate_up", gemm_epilogue::gated, rows, 6144, 1024);
    shape("down", gemm_epilogue::residual, rows, 1024, 3072);
    if (rows <= 256) shape("head", gemm_epilogue::logits, rows, 151936, 1024);
  }
  for (const uint32_t rows : {1u, 32u, 128u, 1024u, 8192u}) {
    shape("8B qkv", gemm_epilogue::plain, rows, 6144, 4096);
    shape("8B out", gemm_epilogue::residual, rows, 4096, 4096);
    shape("8B g_up", gemm_epilogue::gated, rows, 24576, 4096);
    shape("8B down", gemm_epilogue::residual, rows, 4096, 12288);
  }
}

const add registered(run);

}  // namespace
}  // namespace nf::bench
