#include <math.h>
#include <string.h>

#include <vector>

#include "harness/device.h"
#include "harness/random.h"
#include "harness/test.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/kernels.h"
#include "kernels/norm/norm.h"

namespace nf::test {
namespace {

using harness::buffer;

struct shape {
  uint32_t rows, n, k;
  gemm_epilogue epilogue = gemm_epilogue::plain;
  bool bias = false;
  float scale = 0, softcap = 0;
  bool norm = false;
};

std::string text(const shape &s) {
  return std::to_string(s.rows) + " x " + std::to_string(s.n) + " x " + std::to_string(s.k) + ", epilogue " + std::to_string(static_cast<int>(s.epilogue));
}

nf_dtype out_dtype(const shape &s) { return s.epilogue == gemm_epilogue::logits ? NF_F32 : NF_BF16; }
size_t out_size(const shape &s) { return static_cast<size_t>(s.rows) * (s.epilogue == gemm_epilogue::gated ? s.n / 2 : s.n); }

struct operands {
  std::vector<float> x, w, bias, residual, norm;
};

operands make(const shape &s) {
  operands o = {harness::random_values(static_cast<size_t>(s.rows) * s.k, 1, 1, NF_BF16),
                harness::random_values(static_cast<size_t>(s.n) * s.k, 1 / sqrtf(static_cast<float>(s.k)), 2, NF_BF16), {}, {}, {}};
  if (s.bias) o.bias = harness::random_values(s.n, 1, 3, NF_BF16);
  if (s.epilogue == gemm_epilogue::residual) o.residual = harness::random_values(static_cast<size_t>(s.rows) * s.n, 1, 4, NF_BF16);
  if (s.norm) o.norm = harness::random_values(s.k, 1, 5, NF_BF16);
  return o;
}

gemm_args arguments(const shape &s) { return {nullptr, nullptr, nullptr, nullptr, nullptr, s.rows, s.n, s.k, s.epilogue, NF_ACT_SILU, s.scale, s.softcap, false, nullptr, 1e-5f, true}; }

std::vector<uint8_t> run(const shape &s, const operands &o, gemm_kernel kernel) {
  buffer x(o.x.size() * 2), w(o.w.size() * 2), norm(s.k * 2), bias(s.n * 2), residual(static_cast<size_t>(s.rows) * s.n * 2), out(out_size(s) * (out_dtype(s) == NF_F32 ? 4 : 2));
  x.put(harness::to_bytes(o.x, NF_BF16));
  w.put(harness::to_bytes(o.w, NF_BF16));
  gemm_args a = arguments(s);
  a.x = x.data();
  a.w = w.data();
  a.out = out.data();
  if (!o.bias.empty()) bias.put(harness::to_bytes(o.bias, NF_BF16)), a.bias = bias.data();
  if (!o.residual.empty()) residual.put(harness::to_bytes(o.residual, NF_BF16)), a.residual = residual.data();
  if (!o.norm.empty()) norm.put(harness::to_bytes(o.norm, NF_BF16)), a.norm = norm.data();
  check(gemm_launch_as(kernel, a, nullptr) == NF_OK, text(s) + ": launch failed");
  harness::must(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  check(out.intact() && x.intact() && w.intact(), text(s) + ": wrote outside of its output");
  return out.get();
}

// What a norm makes of x, rounded as an operand is.
void normalise(const shape &s, operands *o) {
  std::vector<double> y(o->x.size());
  norm_reference(o->x.data(), o->norm.data(), y.data(), s.rows, s.k, 1e-5f, true);
  o->x = harness::from_bytes(harness::to_bytes(std::vector<float>(y.begin(), y.end()), NF_BF16), NF_BF16);
}

void close_to_reference(const shape &s, gemm_kernel kernel) {
  operands o = make(s);
  const std::vector<float> got = harness::from_bytes(run(s, o, kernel), out_dtype(s));
  if (s.norm) normalise(s, &o);
  std::vector<double> want(out_size(s));
  const auto or_null = [](const std::vector<float> &v) { return v.empty() ? nullptr : v.data(); };
  gemm_reference(arguments(s), o.x.data(), o.w.data(), or_null(o.bias), or_null(o.residual), want.data());
  double d = 0, n = 0;
  for (size_t i = 0; i < want.size(); i++) d += (got[i] - want[i]) * (got[i] - want[i]), n += want[i] * want[i];
  // A norm rounds x once more, here and there not the same way.
  const double most = out_dtype(s) == NF_F32 ? (s.norm ? 1e-3 : 1e-5) : 4e-3;
  check(sqrt(d / n) <= most, text(s) + ", kernel " + std::to_string(static_cast<int>(kernel)) + ": off by " + std::to_string(sqrt(d / n)) + ", at most " + std::to_string(most));
}

const gemm_kernel kernels[] = {gemm_kernel::few, gemm_kernel::skinny, gemm_kernel::tiled, gemm_kernel::wide, gemm_kernel::paired};

// By every kernel that takes such a product.
void all_close_to_reference(const shape &s) {
  for (const gemm_kernel k : kernels) {
    if (gemm_takes(k, arguments(s))) close_to_reference(s, k);
  }
}

const add shapes_case("gemm/shapes and tails", true, [] {
  for (const uint32_t rows : {1u, 7u, 8u, 16u, 17u, 33u, 64u, 65u, 130u, 260u}) {
    for (const shape &s : {shape{rows, 8, 8}, shape{rows, 64, 72}, shape{rows, 513, 64}, shape{rows, 200, 576}, shape{rows, 4100, 256}, shape{rows, 264, 3080}}) {
      all_close_to_reference(s);
    }
  }
  for (const shape &s : {shape{3, 32800, 40}, shape{200, 9000, 136}, shape{300, 9000, 72}}) all_close_to_reference(s);
});

// More tiles than pairs of processors, so that blocks take several, with rings that are
// walked round within a tile and across tiles.
const add many_tiles_case("gemm/several tiles a block", true, [] {
  for (const shape &s : {shape{700, 9000, 136}, shape{1030, 6152, 328}, shape{2100, 3000, 264, gemm_epilogue::residual}, shape{520, 12336, 72, gemm_epilogue::gated}}) {
    for (const gemm_kernel k : {gemm_kernel::wide, gemm_kernel::paired}) {
      if (gemm_takes(k, arguments(s))) close_to_reference(s, k);
    }
  }
});

const add epilogues_case("gemm/every epilogue", true, [] {
  for (const uint32_t rows : {1u, 13u, 40u, 150u, 400u}) {
    for (const bool bias : {false, true}) {
      for (const uint32_t width : {200u, 1032u}) {
        all_close_to_reference({rows, 96, width, gemm_epilogue::plain, bias});
        all_close_to_reference({rows, 96, width, gemm_epilogue::residual, bias, 0.5f});
        all_close_to_reference({rows, 101, width, gemm_epilogue::residual, bias, 0.5f});
        all_close_to_reference({rows, 656, width, gemm_epilogue::gated, bias});
      }
    }
    all_close_to_reference({rows, 515, 200, gemm_epilogue::logits, false, 2, 0});
    all_close_to_reference({rows, 516, 200, gemm_epilogue::logits, false, 0, 3});
  }
});

// Where `few` says that it can normalise, it does; the shapes are those of models.
const add norm_case("gemm/a norm before the product", true, [] {
  int ran = 0;
  for (const uint32_t rows : {1u, 2u, 3u, 4u, 5u, 8u}) {
    for (const auto &[n, k] : {std::pair{64u, 64u}, {960u, 576u}, {4096u, 1024u}, {520u, 4096u}, {304u, 8192u}}) {
      for (const gemm_epilogue e : {gemm_epilogue::plain, gemm_epilogue::gated, gemm_epilogue::logits}) {
        shape s = {rows, n, k, e};
        s.norm = true;
        gemm_args a = arguments(s);
        if (!gemm_normalises(a)) continue;
        close_to_reference(s, gemm_kernel::few);
        ran++;
      }
    }
  }
  check(ran >= 60, "only " + std::to_string(ran) + " shapes are normalised");
});

const add hopper_case("gemm/Hopper's products run on Hopper", true, [] {
  cudaDeviceProp p;
  harness::must(cudaGetDeviceProperties(&p, 0), "cudaGetDeviceProperties");
  check(wide_runs() == (p.major == 9), "wide_runs() = " + std::to_string(wide_runs()) + " on sm_" + std::to_string(p.major) + std::to_string(p.minor));
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
    for (const uint32_t rows : {5u, 30u, 60u, 100u, 500u, 3000u}) {
      const shape s = {rows, 1000, 1024};
      if (!gemm_takes(k, arguments(s))) continue;
      const operands o = make(s);
      check(run(s, o, k) == run(s, o, k), text(s) + ": other bits");
    }
  }
});

const add choice_case("host/gemm/kernel by rows", false, [] {
  gemm_args a = arguments({16, 8, 8});
  check(gemm_choose(a) == gemm_kernel::few, "16 rows");
  a.invariant = true;
  check(gemm_choose(a) == gemm_kernel::skinny, "16 rows, invariant");
  a.rows = 65;
  check(gemm_choose(a) == gemm_kernel::skinny, "65 rows, invariant");
});

}  // namespace
}  // namespace nf::test
