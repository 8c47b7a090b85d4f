#include "exec/decode.h"

#include "exec/element.h"

namespace nf {
namespace {

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

void decode_q5_0(const uint8_t *from, uint16_t *to) {
  const float scale = half(from);
  const uint32_t high = read<uint32_t>(from + 2);
  for (uint32_t i = 0; i < 16; i++) {
    const int first = (from[6 + i] & 15) | (high >> i & 1) << 4, second = from[6 + i] >> 4 | (high >> (i + 16) & 1) << 4;
    to[i] = to_bf16(scale * static_cast<float>(first - 16));
    to[i + 16] = to_bf16(scale * static_cast<float>(second - 16));
  }
}

void decode_q5_1(const uint8_t *from, uint16_t *to) {
  const float scale = half(from), low = half(from + 2);
  const uint32_t high = read<uint32_t>(from + 4);
  for (uint32_t i = 0; i < 16; i++) {
    const int first = (from[8 + i] & 15) | (high >> i & 1) << 4, second = from[8 + i] >> 4 | (high >> (i + 16) & 1) << 4;
    to[i] = to_bf16(scale * static_cast<float>(first) + low);
    to[i + 16] = to_bf16(scale * static_cast<float>(second) + low);
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
    case NF_Q5_0: return decode_q5_0(from, to);
    case NF_Q5_1: return decode_q5_1(from, to);
    case NF_Q2_K: return decode_q2_k(from, to);
    case NF_Q3_K: return decode_q3_k(from, to);
    case NF_Q4_K: return decode_q4_k(from, to);
    case NF_Q5_K: return decode_q5_k(from, to);
    case NF_Q6_K: return decode_q6_k(from, to);
  }
}

}  // namespace

block_size block_of(nf_dtype dtype) {
  switch (dtype) {
    case NF_F32: return {1, 4};
    case NF_F16:
    case NF_BF16: return {1, 2};
    case NF_E4M3: return {1, 1};
    case NF_Q8_0: return {32, 34};
    case NF_Q4_0: return {32, 18};
    case NF_Q4_1: return {32, 20};
    case NF_Q5_0: return {32, 22};
    case NF_Q5_1: return {32, 24};
    case NF_Q2_K: return {256, 84};
    case NF_Q3_K: return {256, 110};
    case NF_Q4_K: return {256, 144};
    case NF_Q5_K: return {256, 176};
    case NF_Q6_K: return {256, 210};
    default: return {0, 0};
  }
}

void decode_e4m3(const uint8_t *from, size_t n, float scale, uint16_t *to) {
  for (size_t i = 0; i < n; i++) {
    const int exponent = from[i] >> 3 & 15, fraction = from[i] & 7;
    const float most = exponent > 0 ? ldexpf(static_cast<float>(8 + fraction), exponent - 10) : ldexpf(static_cast<float>(fraction), -9);
    to[i] = to_bf16((from[i] & 128 ? -most : most) * scale);
  }
}

void decode(nf_dtype dtype, const void *from, size_t n, uint16_t *to) {
  const block_size b = block_of(dtype);
  const uint8_t *at = static_cast<const uint8_t *>(from);
  for (size_t i = 0; i < n; i += b.elements, at += b.bytes) decode_block(dtype, at, to + i);
}

}  // namespace nf
