// K-quants: 256 weights together, in groups that have a small integer scale each and, in
// the types with a minimum, a small integer minimum.
#include "exec/decode.h"
#include "exec/element.h"

namespace nf {
namespace {

// Q3_K's scales: eight bytes hold the low four bits of two each, the last four the high
// two bits of four each; they are offset by 32.
int scale_q3(const uint8_t *scales, int group) {
  const int low = scales[group % 8] >> (group / 8 * 4) & 15, high = scales[8 + group % 4] >> (group / 4 * 2) & 3;
  return (low | high << 4) - 32;
}

struct scale_and_minimum {
  int scale, minimum;
};

// Q4_K's and Q5_K's: four bytes of scales, four of minima, each with the high two bits of
// another four above them, and four bytes with the low nibbles of those.
scale_and_minimum scale_q4(const uint8_t *packed, int group) {
  if (group < 4) return {packed[group] & 63, packed[group + 4] & 63};
  const int nibbles = packed[group + 4];
  return {(nibbles & 15) | packed[group - 4] >> 6 << 4, nibbles >> 4 | packed[group] >> 6 << 4};
}

}  // namespace

// 16 bytes of scale and minimum nibbles for groups of 16, 64 bytes of pairs of bits, f16
// scale, f16 minimum. Each 32 bytes hold four rows of 32 weights, the first lowest.
void decode_q2_k(const uint8_t *from, uint16_t *to) {
  const float scale = half(from + 80), low = half(from + 82);
  for (int group = 0; group < 16; group++) {
    const float d = scale * static_cast<float>(from[group] & 15), m = low * static_cast<float>(from[group] >> 4);
    const uint8_t *bits = from + 16 + group / 8 * 32 + group % 2 * 16;
    const int shift = group % 8 / 2 * 2;
    for (int i = 0; i < 16; i++) to[16 * group + i] = to_bf16(d * static_cast<float>(bits[i] >> shift & 3) - m);
  }
}

// 32 bytes of high bits, 64 bytes of low pairs of bits as in Q2_K, 12 bytes of 6-bit scales
// for groups of 16, f16 scale. A weight whose high bit is not set is less by 4.
void decode_q3_k(const uint8_t *from, uint16_t *to) {
  const float scale = half(from + 108);
  for (int group = 0; group < 16; group++) {
    const float d = scale * static_cast<float>(scale_q3(from + 96, group));
    const uint8_t *high = from + group % 2 * 16, *bits = from + 32 + group / 8 * 32 + group % 2 * 16;
    const int shift = group % 8 / 2 * 2, bit = group / 2;
    for (int i = 0; i < 16; i++) {
      const int q = (bits[i] >> shift & 3) | (high[i] >> bit & 1) << 2;
      to[16 * group + i] = to_bf16(d * static_cast<float>(q - 4));
    }
  }
}

// f16 scale, f16 minimum, 12 bytes of 6-bit scales and minima for groups of 32, 128 bytes of
// nibbles: each 32 bytes hold one group in the low ones and the next in the high ones.
void decode_q4_k(const uint8_t *from, uint16_t *to) {
  const float scale = half(from), low = half(from + 2);
  for (int group = 0; group < 8; group++) {
    const scale_and_minimum s = scale_q4(from + 4, group);
    const float d = scale * static_cast<float>(s.scale), m = low * static_cast<float>(s.minimum);
    const uint8_t *nibbles = from + 16 + group / 2 * 32;
    for (int i = 0; i < 32; i++) to[32 * group + i] = to_bf16(d * static_cast<float>(nibbles[i] >> (group % 2 * 4) & 15) - m);
  }
}

// As Q4_K, with 32 bytes before the nibbles that hold each weight's high bit, one bit for
// each group.
void decode_q5_k(const uint8_t *from, uint16_t *to) {
  const float scale = half(from), low = half(from + 2);
  for (int group = 0; group < 8; group++) {
    const scale_and_minimum s = scale_q4(from + 4, group);
    const float d = scale * static_cast<float>(s.scale), m = low * static_cast<float>(s.minimum);
    const uint8_t *high = from + 16, *nibbles = from + 48 + group / 2 * 32;
    for (int i = 0; i < 32; i++) {
      const int q = (nibbles[i] >> (group % 2 * 4) & 15) | (high[i] >> group & 1) << 4;
      to[32 * group + i] = to_bf16(d * static_cast<float>(q) - m);
    }
  }
}

// 128 bytes of low nibbles, 64 bytes of high pairs of bits, 16 int8 scales for groups of 16,
// f16 scale; weights are offset by 32. Each half of the block holds four rows of 32: two in
// the low nibbles of 64 bytes, two in the high ones.
void decode_q6_k(const uint8_t *from, uint16_t *to) {
  const float scale = half(from + 208);
  for (int group = 0; group < 16; group++) {
    const float d = scale * static_cast<float>(static_cast<int8_t>(from[192 + group]));
    const int row = group % 8 / 2, at = group % 2 * 16;
    const uint8_t *low = from + group / 8 * 64 + row % 2 * 32 + at, *high = from + 128 + group / 8 * 32 + at;
    for (int i = 0; i < 16; i++) {
      const int q = (low[i] >> (row / 2 * 4) & 15) | (high[i] >> (2 * row) & 3) << 4;
      to[16 * group + i] = to_bf16(d * static_cast<float>(q - 32));
    }
  }
}

}  // namespace nf
