#include "exec/decode.h"

#include <math.h>
#include <string.h>

namespace nf {
namespace {

template <typename T>
T read(const uint8_t *at) {
  T v;
  memcpy(&v, at, sizeof v);
  return v;
}

// To the nearest, ties to even; a NaN stays one.
uint16_t to_bf16(float v) {
  uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  if (isnan(v)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float half(const uint8_t *at) {
  const uint16_t h = read<uint16_t>(at);
  const int exponent = h >> 10 & 31, fraction = h & 1023;
  float v = exponent == 0 ? ldexpf(static_cast<float>(fraction), -24) : ldexpf(static_cast<float>(1024 + fraction), exponent - 25);
  if (exponent == 31) v = fraction ? NAN : INFINITY;
  return h >> 15 ? -v : v;
}

void decode_q8_0(const uint8_t *from, uint16_t *to) {
  const float scale = half(from);
  for (int i = 0; i < 32; i++) to[i] = to_bf16(scale * static_cast<float>(static_cast<int8_t>(from[2 + i])));
}

// Low nibbles are the weights 0 to 15, high ones 16 to 31.
void decode_q4_0(const uint8_t *from, uint16_t *to) {
  const float scale = half(from);
  for (int i = 0; i < 16; i++) {
    to[i] = to_bf16(scale * static_cast<float>((from[2 + i] & 15) - 8));
    to[i + 16] = to_bf16(scale * static_cast<float>((from[2 + i] >> 4) - 8));
  }
}

void decode_q4_1(const uint8_t *from, uint16_t *to) {
  const float scale = half(from), low = half(from + 2);
  for (int i = 0; i < 16; i++) {
    to[i] = to_bf16(scale * static_cast<float>(from[4 + i] & 15) + low);
    to[i + 16] = to_bf16(scale * static_cast<float>(from[4 + i] >> 4) + low);
  }
}

void decode_block(nf_dtype dtype, const uint8_t *from, uint16_t *to) {
  switch (dtype) {
    case NF_F32: *to = to_bf16(read<float>(from)); return;
    case NF_F16: *to = to_bf16(half(from)); return;
    case NF_BF16: *to = read<uint16_t>(from); return;
    case NF_Q8_0: return decode_q8_0(from, to);
    case NF_Q4_0: return decode_q4_0(from, to);
    case NF_Q4_1: return decode_q4_1(from, to);
  }
}

}  // namespace

block_size block_of(nf_dtype dtype) {
  switch (dtype) {
    case NF_F32: return {1, 4};
    case NF_F16:
    case NF_BF16: return {1, 2};
    case NF_Q8_0: return {32, 34};
    case NF_Q4_0: return {32, 18};
    case NF_Q4_1: return {32, 20};
    default: return {0, 0};
  }
}

void decode(nf_dtype dtype, const void *from, size_t n, uint16_t *to) {
  const block_size b = block_of(dtype);
  const uint8_t *at = static_cast<const uint8_t *>(from);
  for (size_t i = 0; i < n; i += b.elements, at += b.bytes) decode_block(dtype, at, to + i);
}

}  // namespace nf
