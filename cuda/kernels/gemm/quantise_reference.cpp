#include <math.h>
#include <string.h>

#include <algorithm>
#include <limits>

#include "exec/element.h"
#include "kernels/gemm/quantise.h"

namespace nf {
namespace {

float from_bf16(uint16_t b) {
  const uint32_t bits = static_cast<uint32_t>(b) << 16;
  float v;
  memcpy(&v, &bits, sizeof v);
  return v;
}

float as_bf16(float v) { return from_bf16(to_bf16(v)); }

// Where element e of a group lies: which byte, and which nibble of it.
struct position {
  size_t byte;
  uint32_t shift;
};

position position_of(const packed_matrix &m, uint32_t row, uint32_t col) {
  const uint32_t q = col / group_size, e = col % group_size, lane = e / 4;
  const size_t group = (static_cast<size_t>(row) * groups_of(m.k) + q) * group_bytes(m.kind);
  if (m.kind == weight_kind::fp8) return {group + fp8_offset(lane) + e % 2 * 2 + e / 2 % 2, 0};
  const uint32_t nibble = nibble_of(e % 8);
  return {group + int4_offset(lane) + nibble / 2, nibble % 2 * 4};
}

void put_scale(const packed_matrix &m, uint32_t row, uint32_t q, const void *from, packed_host *out) {
  const size_t bytes = scale_bytes(m.kind);
  memcpy(out->scales.data() + (static_cast<size_t>(q) * padded_rows(m.n) + row) * bytes, from, bytes);
}

void fp8_row(const float *x, const packed_matrix &m, uint32_t to, packed_host *out) {
  double most = 0;
  for (uint32_t i = 0; i < m.k; i++) most = std::max<double>(most, fabs(x[i]));
  int e = most == 0 ? 0 : 7;
  while (most > 0 && most <= 448 * exp2(e - 1)) e--;
  for (uint32_t i = 0; i < m.k; i++) out->data[position_of(m, to, i).byte] = to_e4m3_reference(static_cast<float>(x[i] * exp2(-e)));
  const uint16_t factor = to_bf16(exp2f(static_cast<float>(e + 120)));
  for (uint32_t q = 0; q < m.scale_groups; q++) put_scale(m, to, q, &factor, out);
}

struct range {
  float step, base, low, inverse;
};

range shrink(float low, float high, int i) {
  const float width = high - low, keep = 1.0f - 0.02f * static_cast<float>(i);
  const float from = low + width * (1.0f - keep) * 0.5f;
  range r;
  r.step = as_bf16(width * keep * (16.0f / 15.0f));
  r.base = as_bf16(from - r.step);
  r.low = r.step + r.base;
  r.inverse = r.step > 0 ? 16.0f / r.step : 0.0f;
  return r;
}

float code(float x, const range &r) { return std::min(std::max(rintf((x - r.low) * r.inverse), 0.0f), 15.0f); }

float value(float code, float step, float base) { return as_bf16(static_cast<float>(static_cast<double>(1 + code / 16) * step + base)); }

// Squared errors in the order in which a warp adds them up.
float error(const float *x, uint32_t n, const range &r) {
  float lanes[32] = {};
  for (uint32_t i = 0; i < n; i++) {
    const float d = x[i] - value(code(x[i], r), r.step, r.base);
    lanes[i / 4] += d * d;
  }
  for (int half = 16; half > 0; half /= 2) {
    for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

void int4_group(const float *x, const packed_matrix &m, uint32_t to, uint32_t q, packed_host *out) {
  const uint32_t n = std::min(group_size, m.k - q * group_size);
  const float low = *std::min_element(x, x + n), high = *std::max_element(x, x + n);
  float least = std::numeric_limits<float>::infinity();
  range best = shrink(low, high, 0);
  for (int i = 0; i < 16; i++) {
    const range r = shrink(low, high, i);
    const float e = error(x, n, r);
    if (e < least) least = e, best = r;
  }
  for (uint32_t i = 0; i < n; i++) {
    const position p = position_of(m, to, q * group_size + i);
    out->data[p.byte] = static_cast<uint8_t>(out->data[p.byte] | static_cast<uint32_t>(code(x[i], best)) << p.shift);
  }
  const uint16_t pair[] = {to_bf16(best.step), to_bf16(best.base)};
  put_scale(m, to, q, pair, out);
}

}  // namespace

float e4m3_reference(uint8_t bits) {
  const int exponent = bits >> 3 & 15, fraction = bits & 7;
  const float v = exponent > 0 ? ldexpf(1 + fraction / 8.0f, exponent - 7) : ldexpf(fraction / 8.0f, -6);
  return bits & 128 ? -v : v;
}

uint8_t to_e4m3_reference(float v) {
  const uint8_t sign = signbit(v) ? 128 : 0;
  const double most = fabs(static_cast<double>(v));
  uint8_t best = 0;
  for (int b = 1; b < 127; b++) {  // 127 is the NaN
    const double was = fabs(most - e4m3_reference(best)), is = fabs(most - e4m3_reference(static_cast<uint8_t>(b)));
    if (is < was || (is == was && b % 2 == 0)) best = static_cast<uint8_t>(b);
  }
  return sign | best;
}

void quantise_reference(const float *from, uint32_t rows, const packed_rows &p, packed_host *out) {
  out->data.resize(p.to.data_bytes());
  out->scales.resize(p.to.scales_bytes());
  for (uint32_t r = 0; r < rows; r++) {
    const float *x = from + static_cast<size_t>(r) * p.to.k;
    const uint32_t to = p.first + r * p.step;
    if (p.to.kind == weight_kind::fp8) {
      fp8_row(x, p.to, to, out);
      continue;
    }
    for (uint32_t q = 0; q < groups_of(p.to.k); q++) int4_group(x + q * group_size, p.to, to, q, out);
  }
}

std::vector<float> unpack_reference(const packed_matrix &m, const packed_host &from) {
  std::vector<float> out(static_cast<size_t>(m.n) * m.k);
  for (uint32_t r = 0; r < m.n; r++) {
    for (uint32_t i = 0; i < m.k; i++) {
      const position p = position_of(m, r, i);
      const size_t at = static_cast<size_t>(m.scale_groups == 1 ? 0 : i / group_size) * padded_rows(m.n) + r;
      uint16_t scale[2] = {};
      memcpy(scale, from.scales.data() + at * scale_bytes(m.kind), scale_bytes(m.kind));
      float &v = out[static_cast<size_t>(r) * m.k + i];
      if (m.kind == weight_kind::fp8) v = as_bf16(e4m3_reference(from.data[p.byte]) * (from_bf16(scale[0]) * 0x1p-120f));
      else v = value(static_cast<float>(from.data[p.byte] >> p.shift & 15), from_bf16(scale[0]), from_bf16(scale[1]));
    }
  }
  return out;
}

}  // namespace nf
