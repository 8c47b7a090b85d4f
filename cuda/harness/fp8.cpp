#include "harness/fp8.h"

#include <math.h>

#include <algorithm>

namespace nf::harness {

uint8_t scale_byte(const std::vector<float> &row) {
  double most = 0;
  for (const float v : row) {
    if (!isfinite(v)) return 255;
    most = std::max(most, fabs(static_cast<double>(v)));
  }
  if (most == 0) return 1;
  int exponent = ilogb(most) - 8;
  if (most > ldexp(448, exponent)) exponent++;
  return static_cast<uint8_t>(std::max(exponent + 127, 1));
}

uint8_t encode_e4m3(float v, uint8_t scale) {
  if (scale == 255 || isnan(v)) return 0x7f;
  const double a = std::min(ldexp(fabs(static_cast<double>(v)), 127 - scale), 448.0);
  const int exponent = a == 0 ? -6 : std::max(ilogb(a), -6);
  const int steps = static_cast<int>(nearbyint(ldexp(a, 3 - exponent)));  // of an eighth of 2^exponent
  return static_cast<uint8_t>((signbit(v) ? 0x80 : 0) + (exponent + 6) * 8 + steps);
}

float decode_e4m3(uint8_t element, uint8_t scale) {
  const int exponent = element >> 3 & 15, steps = element & 7;
  if (scale == 255 || (exponent == 15 && steps == 7)) return NAN;
  const double a = exponent == 0 ? ldexp(steps, -9) : ldexp(8 + steps, exponent - 10);
  return static_cast<float>(ldexp(element & 0x80 ? -a : a, scale - 127));
}

}  // namespace nf::harness
