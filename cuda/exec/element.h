// Elements of weights on the host.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

namespace nf {

template <typename T>
T read(const uint8_t *at) {
  T v;
  memcpy(&v, at, sizeof v);
  return v;
}

// To the nearest, ties to even; a NaN stays one.
inline uint16_t to_bf16(float v) {
  uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  if (isnan(v)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// The binary16 at an address.
inline float half(const uint8_t *at) {
  const uint32_t h = read<uint16_t>(at), sign = h >> 15 << 31, exponent = h >> 10 & 31, fraction = h & 1023;
  uint32_t bits = sign | (exponent + 112) << 23 | fraction << 13;
  if (exponent == 31) bits = sign | 0x7f800000u | fraction << 13;
  float v;
  memcpy(&v, &bits, sizeof v);
  if (exponent > 0) return v;
  v = static_cast<float>(fraction) * 0x1p-24f;  // zero and subnormals, exactly
  return sign ? -v : v;
}

void decode_q2_k(const uint8_t *from, uint16_t *to);
void decode_q3_k(const uint8_t *from, uint16_t *to);
void decode_q4_k(const uint8_t *from, uint16_t *to);
void decode_q5_k(const uint8_t *from, uint16_t *to);
void decode_q6_k(const uint8_t *from, uint16_t *to);

}  // namespace nf
