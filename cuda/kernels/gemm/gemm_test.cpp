#include <math.h>
#include <string.h>

#include <vector>

#include "harness/device.h"
#include "harness/random.h"
#include "harness/test.h"
#include "kernels/gemm/gemm.h"

namespace nf::test {
namespace {

using harness::buffer;

struct shape {
  uint32_t rows, n, k;
  gemm_epilogue epilogue = gemm_epilogue::plain;
  bool bias = false;
  float scale = 0, softcap = 0;
};

std::string text(const shape &s) {
  return std::to_string(s.rows) + " x " + std::to_string(s.n) + " x " + std::to_string(s.k) + ", epilogue " + std::to_string(static_cast<int>(s.epilogue));
}

nf_dtype out_dtype(const shape &s) { return s.epilogue == gemm_epilogue::logits ? NF_F32 : NF_BF16; }
size_t out_size(const shape &s) { return static_cast<size_t>(s.rows) * (s.epilogue == gemm_epilogue::gated ? s.n / 2 : s.n); }

struct operands {
  std::vector<float> x, w, bias, residual;
};

operands make(const shape &s) {
  operands o = {harness::random_values(static_cast<size_t>(s.rows) * s.k, 1, 1, NF_BF16),
                harness::random_values(static_cast<size_t>(s.n) * s.k, 1 / sqrtf(static_cast<float>(s.k)), 2, NF_BF16), {}, {}};
  if (s.bias) o.bias = harness::random_values(s.n, 1, 3, NF_BF16);
  if (s.epilogue == gemm_epilogue::residual) o.residual = harness::random_values(static_cast<size_t>(s.rows) * s.n, 1, 4, NF_BF16);
  return o;
}

gemm_args arguments(const shape &s) { return {nullptr, nullptr, nullptr, nullptr, nullptr, s.rows, s.n, s.k, s.epilogue, NF_ACT_SILU, s.scale, s.softcap, false}; }

std::vector<uint8_t> run(const shape &s, const operands &o, gemm_kernel kernel) {
  buffer x(o.x.size() * 2), w(o.w.size() * 2), bias(s.n * 2), residual(static_cast<size_t>(s.rows) * s.n * 2), out(out_size(s) * (out_dtype(s) == NF_F32 ? 4 : 2));
  x.put(harness::to_bytes(o.x, NF_BF16));
  w.put(harness::to_bytes(o.w, NF_BF16));
  gemm_args a = arguments(s);
  a.x = x.data();
  a.w = w.data();
  a.out = out.data();
  if (!o.bias.empty()) bias.put(harness::to_bytes(o.bias, NF_BF16)), a.bias = bias.data();
  if (!o.residual.empty()) residual.put(harness::to_bytes(o.residual, NF_BF16)), a.residual = residual.data();
  check(gemm_launch_as(kernel, a, nullptr) == NF_OK, text(s) + ": launch failed");
  harness::must(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  check(out.intact() && x.intact() && w.intact(), text(s) + ": wrote outside of its output");
  return out.get();
}

void close_to_reference(const shape &s, gemm_kernel kernel) {
  const operands o = make(s);
  std::vector<double> want(out_size(s));
  const auto or_null = [](const std::vector<float> &v) { return v.empty() ? nullptr : v.data(); };
  gemm_reference(arguments(s), o.x.data(), o.w.data(), or_null(o.bias), or_null(o.residual), want.data());
  const std::vector<float> got = harness::from_bytes(run(s, o, kernel), out_dtype(s));
  double d = 0, n = 0;
  for (size_t i = 0; i < want.size(); i++) d += (got[i] - want[i]) * (got[i] - want[i]), n += want[i] * want[i];
  const double most = out_dtype(s) == NF_F32 ? 1e-5 : 4e-3;
  check(sqrt(d / n) <= most, text(s) + ": off by " + std::to_string(sqrt(d / n)) + ", at most " + std::to_string(most));
}

constexpr gemm_kernel kernels[] = {gemm_kernel::skinny, gemm_kernel::tiled};

const add shapes_case("gemm/shapes and tails", true, [] {
  for (const gemm_kernel k : kernels) {
    for (const uint32_t rows : {1u, 7u, 16u, 17u, 33u, 64u, 65u, 130u}) {
      for (const shape &s : {shape{rows, 8, 8}, shape{rows, 64, 72}, shape{rows, 513, 64}, shape{rows, 200, 576}, shape{rows, 4100, 256}}) close_to_reference(s, k);
    }
    close_to_reference({3, 32800, 40}, k);
    close_to_reference({200, 9000, 136}, k);
  }
});

const add epilogues_case("gemm/every epilogue", true, [] {
  for (const gemm_kernel k : kernels) {
    for (const uint32_t rows : {1u, 40u, 150u}) {
      for (const bool bias : {false, true}) {
        close_to_reference({rows, 96, 200, gemm_epilogue::plain, bias}, k);
        close_to_reference({rows, 96, 200, gemm_epilogue::residual, bias, 0.5f}, k);
        close_to_reference({rows, 656, 200, gemm_epilogue::gated, bias}, k);
      }
      close_to_reference({rows, 515, 200, gemm_epilogue::logits, false, 2, 0}, k);
      close_to_reference({rows, 515, 200, gemm_epilogue::logits, false, 0, 3}, k);
    }
  }
});

// Row 0 alone and among 200 others, some of them NaN: the same bits from the kernel
// that invariance chooses.
const add neighbours_case("gemm/a row does not see its neighbours", true, [] {
  for (const uint32_t rows : {2u, 20u, 60u, 200u}) {
    const shape one = {1, 4200, 584}, many = {rows, 4200, 584};
    const operands o = make(one);
    operands all = o;
    all.x.resize(rows * one.k, NAN);
    const std::vector<uint8_t> alone = run(one, o, gemm_kernel::skinny), among = run(many, all, gemm_kernel::skinny);
    check(memcmp(alone.data(), among.data(), alone.size()) == 0, std::to_string(rows) + " rows: other bits");
  }
});

const add again_case("gemm/the same bits when run again", true, [] {
  for (const gemm_kernel k : kernels) {
    const shape s = {100, 1000, 1024};
    const operands o = make(s);
    check(run(s, o, k) == run(s, o, k), "other bits");
  }
});

const add choice_case("host/gemm/kernel by rows", false, [] {
  gemm_args a = arguments({64, 8, 8});
  check(gemm_choose(a) == gemm_kernel::skinny, "64 rows");
  a.n = 32768;
  check(gemm_choose(a) == gemm_kernel::tiled, "64 rows, many columns");
  a.rows = 65;
  check(gemm_choose(a) == gemm_kernel::tiled, "65 rows");
  a.invariant = true;
  check(gemm_choose(a) == gemm_kernel::skinny, "65 rows, invariant");
});

}  // namespace
}  // namespace nf::test
