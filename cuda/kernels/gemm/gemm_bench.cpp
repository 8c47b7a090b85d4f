#include <stdio.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
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
    case gemm_kernel::few_packed: return "few_packed";
    case gemm_kernel::wide_packed: return "wide_packed";
  }
  return "";
}

constexpr size_t first = 1 << 17, most = beyond_l2 + (3ull << 29);

// Weights for every shape: random values once, and again from there on.
const uint8_t *weights_at(size_t offset, size_t bytes) {
  static const std::unique_ptr<buffer> all = [] {
    auto b = std::make_unique<buffer>(most);
    b->put(values(first / 2));
    for (size_t have = first; have < most; have *= 2) {
      harness::must(cudaMemcpy(static_cast<uint8_t *>(b->data()) + have, b->data(), std::min(have, most - have), cudaMemcpyDeviceToDevice), "cudaMemcpy");
    }
    return b;
  }();
  if (offset + bytes > most) throw std::runtime_error("a matrix beyond the bench's memory");
  return static_cast<const uint8_t *>(all->data()) + offset;
}

// By the kernel that gemm_choose names, and by wide where that is paired.
void shape(const char *name, gemm_epilogue epilogue, uint32_t rows, uint32_t n, uint32_t k) {
  const size_t weights = static_cast<size_t>(n) * k, sets = beyond_l2 / (2 * weights) + 1;
  buffer x(2ull * rows * k), out(4ull * rows * n);
  x.put(values(static_cast<size_t>(rows) * k));
  gemm_args a = {x.data(), nullptr, out.data(), nullptr, nullptr, rows, n, k, epilogue, NF_ACT_SILU, 0, 0, false, nullptr, 0, false};
  weights_at(0, 0);  // before the calls are captured
  std::vector<gemm_kernel> kernels = {gemm_choose(a)};
  if (kernels[0] == gemm_kernel::paired) kernels.insert(kernels.begin(), gemm_kernel::wide);
  for (const gemm_kernel kernel : kernels) {
    const timing t = time_calls(32, [&](int i, cudaStream_t stream) {
      a.w = weights_at(i % sets * 2 * weights, 2 * weights);
      gemm_launch_as(kernel, a, stream);
    });
    const double bytes = 2.0 * weights, flops = 2.0 * rows * n * k;
    printf("gemm %-8s %5u x %6u x %5u  %-6s  %8.2f us  %6.0f GB/s of weights, %3.0f %% of peak  %6.1f TFLOP/s, %3.0f %% of %.0f\n", name, rows, n, k, name_of(kernel),
           t.median * 1e6, bytes / t.median / 1e9, 100 * bytes / t.median / harness::memory_peak(), flops / t.median / 1e12, 100 * flops / t.median / hopper_peak, hopper_peak / 1e12);
  }
}

// A packed matrix of any bits: what they are does not matter to the time.
void packed_shape(const char *name, weight_kind kind, gemm_epilogue epilogue, uint32_t rows, uint32_t n, uint32_t k) {
  const packed_matrix m = {kind, nullptr, nullptr, n, k, kind == weight_kind::fp8 ? 1 : groups_of(k)};
  const size_t bytes = m.data_bytes() + m.scales_bytes(), sets = beyond_l2 / bytes + 1;
  buffer x(2ull * rows * k), out(4ull * rows * n);
  x.put(values(static_cast<size_t>(rows) * k));
  gemm_args a = {};
  a.x = x.data(), a.out = out.data(), a.rows = rows, a.n = n, a.k = k, a.epilogue = epilogue, a.activation = NF_ACT_SILU;
  a.kind = kind, a.scale_groups = m.scale_groups;
  weights_at(0, 0);  // before the calls are captured
  const timing t = time_calls(32, [&](int i, cudaStream_t stream) {
    a.w = weights_at(i % sets * bytes, bytes);
    a.scales = static_cast<const uint8_t *>(a.w) + m.data_bytes();
    gemm_launch(a, stream);
  });
  printf("gemm %-4s %-8s %5u x %6u x %4u  %8.2f us  %6.0f GB/s of weights, %3.0f %% of peak  %6.1f TFLOP/s\n", kind == weight_kind::fp8 ? "fp8" : "int4", name, rows, n, k,
         t.median * 1e6, bytes / t.median / 1e9, 100 * bytes / t.median / harness::memory_peak(), 2.0 * rows * n * k / t.median / 1e12);
}

void packed() {
  for (const uint32_t rows : {1u, 4u, 8u, 16u, 32u, 64u, 128u, 1024u, 8192u}) {
    for (const weight_kind kind : {weight_kind::fp8, weight_kind::int4}) {
      packed_shape("8B qkv", kind, gemm_epilogue::plain, rows, 6144, 4096);
      packed_shape("8B out", kind, gemm_epilogue::residual, rows, 4096, 4096);
      packed_shape("8B g_up", kind, gemm_epilogue::gated, rows, 24576, 4096);
      packed_shape("8B down", kind, gemm_epilogue::residual, rows, 4096, 12288);
      if (rows <= 256) packed_shape("8B head", kind, gemm_epilogue::logits, rows, 151936, 4096);
    }
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
const add registered_packed(packed);

}  // namespace
}  // namespace nf::bench
