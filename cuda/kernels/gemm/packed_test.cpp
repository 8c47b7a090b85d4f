// Packed matrices: how they are made, and products with them.
#include <math.h>
#include <string.h>

#include <memory>
#include <vector>

#include "harness/device.h"
#include "harness/random.h"
#include "harness/test.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/kernels.h"
#include "kernels/gemm/quantise.h"
#include "kernels/norm/norm.h"

namespace nf::test {
namespace {

using harness::buffer;
using std::to_string;

// How a matrix came to be.
enum class made { fp8, blocks, rows, int4 };
constexpr made every[] = {made::fp8, made::blocks, made::rows, made::int4};

weight_kind kind_of(made m) { return m == made::int4 ? weight_kind::int4 : weight_kind::fp8; }
std::string name_of(made m) { return m == made::int4 ? "int4" : m == made::fp8 ? "fp8" : m == made::blocks ? "fp8 in blocks" : "fp8 by rows"; }

// A packed matrix on the device and as floats.
struct matrix {
  packed_matrix m;
  std::unique_ptr<buffer> data, scales;
  packed_host host;
  std::vector<float> values;  // n x k, as multiplied
};

void clear(buffer *b, size_t bytes) { b->put(std::vector<uint8_t>(bytes)); }

matrix room(weight_kind kind, uint32_t n, uint32_t k, uint32_t scale_groups) {
  matrix w = {{kind, nullptr, nullptr, n, k, scale_groups}, nullptr, nullptr, {}, {}};
  w.data = std::make_unique<buffer>(w.m.data_bytes());
  w.scales = std::make_unique<buffer>(w.m.scales_bytes());
  clear(w.data.get(), w.m.data_bytes());
  clear(w.scales.get(), w.m.scales_bytes());
  w.m.data = static_cast<uint8_t *>(w.data->data());
  w.m.scales = w.scales->data();
  return w;
}

void take_back(matrix *w) {
  harness::must(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  check(w->data->intact() && w->scales->intact(), "packing wrote outside of the matrix");
  w->host = {w->data->get(), w->scales->get()};
  w->values = unpack_reference(w->m, w->host);
}

matrix quantised(weight_kind kind, const std::vector<float> &values, uint32_t n, uint32_t k) {
  matrix w = room(kind, n, k, kind == weight_kind::fp8 ? 1 : groups_of(k));
  buffer from(values.size() * 2);
  from.put(harness::to_bytes(values, NF_BF16));
  check(quantise_launch(from.data(), n, {w.m, 0, 1}, nullptr) == NF_OK, "quantise: launch failed");
  take_back(&w);
  return w;
}

// E4M3 of any bits but the NaNs, as a file has it.
matrix filed(bool by_row, uint32_t n, uint32_t k) {
  matrix w = room(weight_kind::fp8, n, k, by_row ? 1 : groups_of(k));
  const uint32_t rows = by_row ? n : (n + 127) / 128, cols = by_row ? 1 : groups_of(k);
  std::vector<float> noise = harness::random_values(1009, 60, 5, NF_F32), scales = harness::random_values(rows * cols, 1, 6, NF_BF16);
  std::vector<uint8_t> codes(static_cast<size_t>(n) * k);
  for (size_t i = 0; i < codes.size(); i++) codes[i] = i < noise.size() ? to_e4m3_reference(noise[i]) : codes[i - noise.size()];
  for (float &s : scales) s = (1 + fabsf(s)) / 60 / sqrtf(static_cast<float>(k));
  buffer from(codes.size()), by(scales.size() * 4);
  from.put(codes);
  by.put(harness::to_bytes(scales, NF_F32));
  const file_scales s = {static_cast<const float *>(by.data()), rows, cols, by_row};
  check(repack_launch(from.data(), 0, n, s, {w.m, 0, 1}, nullptr) == NF_OK, "repack: launch failed");
  take_back(&w);
  for (uint32_t r = 0; r < n; r++) {
    for (uint32_t i = 0; i < k; i++) {
      const float scale = scales[by_row ? r : r / 128 * cols + i / 128], want = e4m3_reference(codes[static_cast<size_t>(r) * k + i]) * scale;
      const float got = w.values[static_cast<size_t>(r) * k + i];
      check(fabsf(got - want) <= 0.008f * fabsf(want), "row " + to_string(r) + ", column " + to_string(i) + ": " + to_string(got) + ", the file has " + to_string(want));
    }
  }
  return w;
}

matrix make(made how, uint32_t n, uint32_t k) {
  if (how == made::blocks || how == made::rows) return filed(how == made::rows, n, k);
  return quantised(kind_of(how), harness::random_values(static_cast<size_t>(n) * k, 1 / sqrtf(static_cast<float>(k)), 2, NF_BF16), n, k);
}

struct product {
  uint32_t rows, n, k;
  gemm_epilogue epilogue = gemm_epilogue::plain;
  bool bias = false;
  float scale = 0, softcap = 0;
  bool norm = false;

  bool f32() const { return epilogue == gemm_epilogue::logits; }
  size_t out() const { return static_cast<size_t>(rows) * (epilogue == gemm_epilogue::gated ? n / 2 : n); }
};

std::string text(const product &p, made how) {
  return name_of(how) + ", " + to_string(p.rows) + " x " + to_string(p.n) + " x " + to_string(p.k) + ", epilogue " + to_string(static_cast<int>(p.epilogue));
}

gemm_args arguments(const product &p, const matrix &w) {
  gemm_args a = {};
  a.rows = p.rows, a.n = p.n, a.k = p.k;
  a.epilogue = p.epilogue, a.activation = NF_ACT_SILU, a.scale = p.scale, a.softcap = p.softcap;
  a.kind = w.m.kind, a.w = w.m.data, a.scales = w.m.scales, a.scale_groups = w.m.scale_groups;
  return a;
}

struct operands {
  std::vector<float> x, bias, residual, norm;
};

operands inputs(const product &p) {
  operands o = {harness::random_values(static_cast<size_t>(p.rows) * p.k, 1, 1, NF_BF16), {}, {}, {}};
  if (p.norm) o.norm = harness::random_values(p.k, 1, 5, NF_BF16);
  if (p.bias) o.bias = harness::random_values(p.n, 1, 3, NF_BF16);
  if (p.epilogue == gemm_epilogue::residual) o.residual = harness::random_values(static_cast<size_t>(p.rows) * p.n, 1, 4, NF_BF16);
  return o;
}

// Rows of NaN lie behind those of x: nobody may look at them.
std::vector<uint8_t> run(const product &p, const operands &o, const matrix &w, gemm_kernel kernel, made how) {
  std::vector<float> poisoned = o.x;
  poisoned.resize(o.x.size() + 16ull * p.k, NAN);
  buffer x(poisoned.size() * 2), norm(p.k * 2), bias(p.n * 2), residual(static_cast<size_t>(p.rows) * p.n * 2), out(p.out() * (p.f32() ? 4 : 2));
  x.put(harness::to_bytes(poisoned, NF_BF16));
  gemm_args a = arguments(p, w);
  a.x = x.data(), a.out = out.data();
  if (!o.norm.empty()) norm.put(harness::to_bytes(o.norm, NF_BF16)), a.norm = norm.data(), a.norm_eps = 1e-5f;
  if (!o.bias.empty()) bias.put(harness::to_bytes(o.bias, NF_BF16)), a.bias = bias.data();
  if (!o.residual.empty()) residual.put(harness::to_bytes(o.residual, NF_BF16)), a.residual = residual.data();
  check(gemm_launch_as(kernel, a, nullptr) == NF_OK, text(p, how) + ": launch failed");
  harness::must(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  check(out.intact() && x.intact(), text(p, how) + ": wrote outside of its output");
  return out.get();
}

// What a norm makes of x, rounded as an operand is.
void normalise(const product &p, operands *o) {
  std::vector<double> y(o->x.size());
  norm_reference(o->x.data(), o->norm.data(), y.data(), p.rows, p.k, 1e-5f, false);
  o->x = harness::from_bytes(harness::to_bytes(std::vector<float>(y.begin(), y.end()), NF_BF16), NF_BF16);
}

void close_to_reference(const product &p, const matrix &w, gemm_kernel kernel, made how) {
  operands o = inputs(p);
  const std::vector<float> got = harness::from_bytes(run(p, o, w, kernel, how), p.f32() ? NF_F32 : NF_BF16);
  if (p.norm) normalise(p, &o);
  std::vector<double> want(p.out());
  const auto or_null = [](const std::vector<float> &v) { return v.empty() ? nullptr : v.data(); };
  gemm_reference(arguments(p, w), o.x.data(), w.values.data(), or_null(o.bias), or_null(o.residual), want.data());
  double d = 0, n = 0;
  for (size_t i = 0; i < want.size(); i++) d += (got[i] - want[i]) * (got[i] - want[i]), n += want[i] * want[i];
  const double most = p.f32() ? (p.norm ? 1e-3 : 1e-5) : 4e-3;  // a norm rounds x once more
  check(sqrt(d / n) <= most, text(p, how) + ": off by " + to_string(sqrt(d / n)) + ", at most " + to_string(most));
}

struct kernel_rows {
  gemm_kernel kernel;
  std::vector<uint32_t> rows;
};

std::vector<kernel_rows> kernels() {
  std::vector<kernel_rows> all = {{gemm_kernel::few_packed, {1, 8, 9, 17}}};
  if (wide_runs()) all.push_back({gemm_kernel::wide_packed, {3, 64, 65, 130}});
  return all;
}

const add codes_case("host/gemm/e4m3 there and back", false, [] {
  for (int b = 0; b < 256; b++) {
    if (b % 128 == 127) continue;
    check(to_e4m3_reference(e4m3_reference(static_cast<uint8_t>(b))) == b, "code " + to_string(b));
  }
  check(to_e4m3_reference(1e9f) == 126 && to_e4m3_reference(17) == to_e4m3_reference(16) && to_e4m3_reference(19) == to_e4m3_reference(20), "beyond, and ties to even");
});

// The device packs as the reference does, to the bit, whatever the size of a row's values.
const add quantise_case("gemm/quantise as the reference", true, [] {
  for (const weight_kind kind : {weight_kind::fp8, weight_kind::int4}) {
    for (const auto &[n, k] : {std::pair{1u, 8u}, {5u, 576u}, {33u, 200u}, {16u, 1536u}, {20u, 4096u}}) {
      std::vector<float> v = harness::random_values(static_cast<size_t>(n) * k, 0.02f, n + k, NF_F32);
      for (uint32_t r = 0; r < n; r++) {
        for (uint32_t i = 0; i < k; i++) v[static_cast<size_t>(r) * k + i] *= r % 4 == 3 ? 0 : exp2f(static_cast<float>(static_cast<int>(r * 7 % 40) - 25));
      }
      if (k > 300) std::fill(v.begin() + 128, v.begin() + 256, 0.5f);  // a group of equal values
      v = harness::from_bytes(harness::to_bytes(v, NF_BF16), NF_BF16);
      const matrix w = quantised(kind, v, n, k);
      packed_host want;
      quantise_reference(v.data(), n, {w.m, 0, 1}, &want);
      const std::string which = (kind == weight_kind::fp8 ? "fp8, " : "int4, ") + to_string(n) + " x " + to_string(k);
      check(w.host.scales == want.scales, which + ": other scales");
      check(w.host.data == want.data, which + ": other codes");
    }
  }
});

// Normal values lose what their bits must cost: 2.7% of their length in FP8, and 9.4% in
// int4 once ranges are searched.
const add loss_case("gemm/quantise loses little", true, [] {
  const std::vector<float> v = harness::random_values(64 * 4096, 0.02f, 9, NF_BF16);
  for (const auto &[kind, most] : {std::pair{weight_kind::fp8, 0.0275}, {weight_kind::int4, 0.096}}) {
    const matrix w = quantised(kind, v, 64, 4096);
    double d = 0, n = 0;
    for (size_t i = 0; i < v.size(); i++) d += pow(w.values[i] - v[i], 2), n += pow(v[i], 2);
    printf("      %s: %.4f of the values' length\n", kind == weight_kind::fp8 ? "fp8" : "int4", sqrt(d / n));
    check(sqrt(d / n) <= most, "off by " + to_string(sqrt(d / n)) + ", at most " + to_string(most));
  }
});

// Rows that go to every other row of a matrix, and behind others.
const add parts_case("gemm/quantise parts of a matrix", true, [] {
  for (const weight_kind kind : {weight_kind::fp8, weight_kind::int4}) {
    const uint32_t n = 24, k = 264;
    matrix w = room(kind, n, k, kind == weight_kind::fp8 ? 1 : groups_of(k));
    packed_host want;
    for (const auto &[first, step, rows] : {std::tuple{0u, 2u, 8u}, {1u, 2u, 8u}, {16u, 1u, 8u}}) {
      const std::vector<float> v = harness::random_values(rows * k, 0.1f, first + 1, NF_BF16);
      buffer from(v.size() * 2);
      from.put(harness::to_bytes(v, NF_BF16));
      check(quantise_launch(from.data(), rows, {w.m, first, step}, nullptr) == NF_OK, "launch failed");
      harness::must(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
      quantise_reference(v.data(), rows, {w.m, first, step}, &want);
    }
    take_back(&w);
    check(w.host.data == want.data && w.host.scales == want.scales, kind == weight_kind::fp8 ? "fp8" : "int4");
  }
});

const add shapes_case("gemm/packed: shapes and tails", true, [] {
  for (const made how : every) {
    for (const auto &[n, k] : {std::pair{1u, 8u}, {8u, 72u}, {513u, 64u}, {200u, 576u}, {72u, 1536u}, {40u, 3080u}, {1100u, 256u}, {136u, 4096u}}) {
      const matrix w = make(how, n, k);
      for (const kernel_rows &kernel : kernels()) {
        for (const uint32_t rows : kernel.rows) close_to_reference({rows, n, k}, w, kernel.kernel, how);
      }
    }
    const matrix wide = make(how, 40000, 40);  // more tiles than blocks
    for (const kernel_rows &kernel : kernels()) close_to_reference({3, 40000, 40}, wide, kernel.kernel, how);
  }
});

const add epilogues_case("gemm/packed: every epilogue", true, [] {
  for (const made how : every) {
    for (const uint32_t k : {200u, 1032u}) {
      const matrix w = make(how, 101, k), even = make(how, 144, k);
      for (const kernel_rows &kernel : kernels()) {
        for (const uint32_t rows : kernel.rows) {
          for (const bool bias : {false, true}) {
            close_to_reference({rows, 101, k, gemm_epilogue::residual, bias, 0.5f}, w, kernel.kernel, how);
            close_to_reference({rows, 144, k, gemm_epilogue::gated, bias}, even, kernel.kernel, how);
            close_to_reference({rows, 144, k, gemm_epilogue::residual, bias}, even, kernel.kernel, how);
          }
          close_to_reference({rows, 101, k, gemm_epilogue::logits, false, 2, 0}, w, kernel.kernel, how);
          close_to_reference({rows, 144, k, gemm_epilogue::logits, false, 0, 3}, even, kernel.kernel, how);
        }
      }
    }
  }
});

const add norm_case("gemm/packed: a norm before the product", true, [] {
  int ran = 0;
  for (const made how : every) {
    for (const auto &[n, k] : {std::pair{64u, 64u}, {960u, 576u}, {496u, 1024u}, {72u, 4096u}, {40u, 8192u}}) {
      const matrix w = make(how, n, k);
      for (const uint32_t rows : {1u, 2u, 3u, 4u, 5u, 8u}) {
        for (const gemm_epilogue e : {gemm_epilogue::plain, gemm_epilogue::gated, gemm_epilogue::logits}) {
          product p = {rows, n, k, e};
          p.norm = true;
          gemm_args a = arguments(p, w);
          if (!gemm_normalises(a)) continue;
          close_to_reference(p, w, gemm_kernel::few_packed, how);
          ran++;
        }
      }
    }
  }
  check(ran >= 120, "only " + to_string(ran) + " shapes are normalised");
});

// Row 0 alone and among others, some of them NaN: the same bits, and again when run again.
const add neighbours_case("gemm/packed: a row does not see its neighbours", true, [] {
  for (const made how : every) {
    const matrix w = make(how, 1200, 1096);
    const product one = {1, 1200, 1096};
    const operands o = inputs(one);
    const std::vector<uint8_t> alone = run(one, o, w, gemm_kernel::few_packed, how);
    for (const uint32_t rows : {2u, 9u, 16u, 60u}) {
      operands all = o;
      all.x.resize(rows * one.k, NAN);
      const std::vector<uint8_t> among = run({rows, one.n, one.k}, all, w, gemm_kernel::few_packed, how);
      check(memcmp(alone.data(), among.data(), alone.size()) == 0, name_of(how) + ", " + to_string(rows) + " rows: other bits");
    }
    for (const kernel_rows &kernel : kernels()) {
      for (const uint32_t rows : kernel.rows) {
        const product p = {rows, 1200, 1096};
        const operands x = inputs(p);
        check(run(p, x, w, kernel.kernel, how) == run(p, x, w, kernel.kernel, how), text(p, how) + ": other bits when run again");
      }
    }
  }
});

}  // namespace
}  // namespace nf::test
