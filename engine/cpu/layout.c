/* Quantised blocks as files store them, into panels and into floats. */
#include "layout.h"
#include "internal.h"

#include <string.h>

/* 32 columns of a row, spread out: integers before the offset, and the bytes of the
 * scales as panels keep them. */
typedef struct spread {
  uint8_t q[32], bytes[2];
} spread;

uint64_t nfc_stored_bytes(nf_dtype dtype, uint32_t *weights) {
  *weights = 1;
  switch (dtype) {
  case NF_F32: return 4;
  case NF_F16: case NF_BF16: return 2;
  case NF_E4M3: return 1;
  }
  *weights = 32;
  switch (dtype) {
  case NF_Q8_0: return 34;
  case NF_Q4_0: return 18;
  case NF_Q4_1: return 20;
  case NF_Q5_0: return 22;
  case NF_Q5_1: return 24;
  }
  *weights = 256;
  switch (dtype) {
  case NF_Q2_K: return 84;
  case NF_Q3_K: return 110;
  case NF_Q4_K: return 144;
  case NF_Q5_K: return 176;
  case NF_Q6_K: return 210;
  }
  return 0;
}

uint64_t nfc_panel_bytes(nf_dtype dtype, uint32_t cols) {
  nfc_format f = nfc_format_of(dtype);
  uint32_t weights;
  if (!f.bits) return 8 * nfc_stored_bytes(dtype, &weights) * cols;
  return (uint64_t)cols / 32 / f.blocks * (nfc_head_bytes(f) + f.blocks * nfc_block_bytes(f));
}

/* Where the f16 scale is in a stored block; that of minima follows it. */
static uint32_t scale_at(nf_dtype dtype) {
  switch (dtype) {
  case NF_Q2_K: return 80;
  case NF_Q3_K: return 108;
  case NF_Q6_K: return 208;
  }
  return 0;
}

static void low_and_high(const uint8_t *nibbles, uint8_t *q) {
  for (int i = 0; i < 16; i++) {
    q[i] = nibbles[i] & 15;
    q[16 + i] = nibbles[i] >> 4;
  }
}

/* The stored bits i of a word are the fifth bits of weights i. */
static void fifth_bits(const uint8_t *stored, uint8_t *q) {
  for (int i = 0; i < 32; i++) q[i] |= (stored[i / 8] >> i % 8 & 1) << 4;
}

/* One nibble of 32 bytes. */
static void nibbles(const uint8_t *stored, uint32_t high, uint8_t *q) {
  for (int i = 0; i < 32; i++) q[i] = high ? stored[i] >> 4 : stored[i] & 15;
}

/* Two of each 32 bytes' bits, to stand above those of q. */
static void two_bits(const uint8_t *stored, uint32_t from, uint32_t above, uint8_t *q) {
  for (int i = 0; i < 32; i++) q[i] |= (stored[i] >> from & 3) << above;
}

static void one_bit(const uint8_t *stored, uint32_t from, uint32_t above, uint8_t *q) {
  for (int i = 0; i < 32; i++) q[i] |= (stored[i] >> from & 1) << above;
}

/* Six-bit scale and minimum g of Q4_K and Q5_K. */
static void scale_and_low(const uint8_t *b, uint32_t g, uint8_t *bytes) {
  if (g < 4) {
    bytes[0] = b[g] & 63;
    bytes[1] = b[4 + g] & 63;
    return;
  }
  bytes[0] = (b[4 + g] & 15) | b[g - 4] >> 6 << 4;
  bytes[1] = b[4 + g] >> 4 | b[g] >> 6 << 4;
}

/* Six-bit scale i of Q3_K, less 32. */
static uint8_t scale_q3(const uint8_t *b, uint32_t i) {
  uint8_t low = i < 8 ? b[i] & 15 : b[i - 8] >> 4, high = b[8 + i % 4] >> 2 * (i / 4) & 3;
  return (uint8_t)((low | high << 4) - 32);
}

/* Block g of what is stored at b. */
static void spread_block(nf_dtype dtype, const uint8_t *b, uint32_t g, spread *s) {
  memset(s, 0, sizeof *s);
  switch (dtype) {
  case NF_Q8_0: memcpy(s->q, b + 2, 32); return;
  case NF_Q4_0: low_and_high(b + 2, s->q); return;
  case NF_Q4_1: low_and_high(b + 4, s->q); return;
  case NF_Q5_0: low_and_high(b + 6, s->q); fifth_bits(b + 2, s->q); return;
  case NF_Q5_1: low_and_high(b + 8, s->q); fifth_bits(b + 4, s->q); return;
  case NF_Q2_K:
    memcpy(s->bytes, b + 2 * g, 2);
    two_bits(b + 16 + 32 * (g / 4), 2 * (g % 4), 0, s->q);
    return;
  case NF_Q3_K:
    for (uint32_t i = 0; i < 2; i++) s->bytes[i] = scale_q3(b + 96, 2 * g + i);
    two_bits(b + 32 + 32 * (g / 4), 2 * (g % 4), 0, s->q);
    one_bit(b, g, 2, s->q);
    return;
  case NF_Q4_K:
    scale_and_low(b + 4, g, s->bytes);
    nibbles(b + 16 + 32 * (g / 2), g % 2, s->q);
    return;
  case NF_Q5_K:
    scale_and_low(b + 4, g, s->bytes);
    nibbles(b + 48 + 32 * (g / 2), g % 2, s->q);
    one_bit(b + 16, g, 4, s->q);
    return;
  case NF_Q6_K:
    memcpy(s->bytes, b + 192 + 2 * g, 2);
    nibbles(b + 64 * (g / 4) + 32 * (g % 2), g % 4 / 2, s->q);
    two_bits(b + 128 + 32 * (g / 4), 2 * (g % 4), 4, s->q);
    return;
  }
}

/* Bits of a step, in both lanes of a row, into that row's part of a vector. */
static inline void put(uint32_t *word, uint32_t pair, uint32_t bits, uint32_t shift) {
  *word |= (pair & ((1u << bits) - 1) * 0x10001u) << shift;
}

static inline void put_six(uint32_t *words, uint32_t pair, uint32_t j) {
  if (j < 6) put(words + j / 2, pair, 6, 6 * (j % 2));
  else {
    put(words + j - 6, pair, 4, 12);
    put(words + 2, pair >> 4, 2, 2 * j);
  }
}

/* One row's part of a block's vectors; bits is a constant at each call. */
static inline __attribute__((always_inline)) void put_bits(uint32_t bits, const uint8_t *q, uint8_t *to, uint32_t lane) {
  uint32_t words[6] = {0}, each = 16 / bits;
#pragma GCC unroll 16
  for (uint32_t j = 0; j < 16; j++) {
    uint32_t pair = q[2 * j] | (uint32_t)q[2 * j + 1] << 16;
    if (bits == 6) put_six(words + 3 * (j / 8), pair, j % 8);
    else if (j / each < bits) put(words + j / each, pair, bits, bits * (j % each));
    else
      for (uint32_t v = 0; v < bits; v++) put(words + v, pair >> v, 1, 15);
  }
  for (uint32_t v = 0; v < bits; v++) memcpy(to + 32 * v + 4 * lane, words + v, 4);
}

static void put_block(uint32_t bits, const uint8_t *q, uint8_t *to, uint32_t lane) {
  switch (bits) {
  case 2: put_bits(2, q, to, lane); return;
  case 3: put_bits(3, q, to, lane); return;
  case 4: put_bits(4, q, to, lane); return;
  case 5: put_bits(5, q, to, lane); return;
  case 6: put_bits(6, q, to, lane); return;
  }
  for (uint32_t j = 0; j < 16; j++) memcpy(to + 16 * j + 2 * lane, q + 2 * j, 2);
}

void nfc_pack_row(nf_dtype dtype, const uint8_t *row, uint32_t cols, uint8_t *panel, uint32_t lane) {
  uint32_t weights;
  uint64_t stored = nfc_stored_bytes(dtype, &weights);
  nfc_format f = nfc_format_of(dtype);
  if (!f.bits) {
    for (uint64_t k = 0; k < cols; k++) memcpy(panel + stored * (8 * k + lane), row + stored * k, stored);
    return;
  }
  for (uint32_t k = 0; k < cols; k += weights, row += stored) {
    for (uint32_t i = 0; i <= f.low; i++) memcpy(panel + 16 * i + 2 * lane, row + scale_at(dtype) + 2 * i, 2);
    panel += nfc_head_bytes(f);
    for (uint32_t g = 0; g < f.blocks; g++, panel += nfc_block_bytes(f)) {
      spread s;
      spread_block(dtype, row, g, &s);
      uint8_t *vectors = panel + (f.blocks > 1 ? 16 : 0);
      for (uint32_t i = 0; i < 2 && f.blocks > 1; i++) panel[8 * i + lane] = s.bytes[i];
      put_block(f.bits, s.q, vectors, lane);
    }
  }
}

void nfc_scales(nf_dtype dtype, float d, float low, const uint8_t bytes[2], float scale[2], float least[2]) {
  for (int i = 0; i < 2; i++) {
    scale[i] = d;
    least[i] = low;
    if (dtype == NF_Q3_K || dtype == NF_Q6_K) scale[i] = d * (float)(int8_t)bytes[i];
    if (dtype == NF_Q2_K) {
      scale[i] = d * (float)(bytes[i] & 15);
      least[i] = -low * (float)(bytes[i] >> 4);
    }
    if (dtype == NF_Q4_K || dtype == NF_Q5_K) {
      scale[i] = d * (float)bytes[0];
      least[i] = -low * (float)bytes[1];
    }
  }
}

static float float_at(nf_dtype dtype, const uint8_t *at) {
  uint32_t bits;
  uint16_t half;
  float f;
  memcpy(&half, at, 2);
  if (dtype == NF_F16) return nfc_half(half);
  bits = (uint32_t)half << 16;
  if (dtype == NF_F32) memcpy(&bits, at, 4);
  memcpy(&f, &bits, 4);
  return f;
}

static void dequantise_block(nf_dtype dtype, const uint8_t *stored, uint32_t g, float *out) {
  nfc_format f = nfc_format_of(dtype);
  const uint8_t *at = stored + scale_at(dtype);
  float low = f.low ? float_at(NF_F16, at + 2) : 0, scale[2], least[2];
  spread s;
  spread_block(dtype, stored, g, &s);
  nfc_scales(dtype, float_at(NF_F16, at), low, s.bytes, scale, least);
  for (int i = 0; i < 32; i++) {
    int32_t q = f.bits == 8 ? (int8_t)s.q[i] : s.q[i] - f.offset;
    out[i] = scale[i / 16] * (float)q + (f.low ? least[i / 16] : 0);
  }
}

void nfc_dequantise(nf_dtype dtype, const uint8_t *row, uint32_t cols, float *out) {
  uint32_t weights;
  uint64_t stored = nfc_stored_bytes(dtype, &weights);
  for (uint32_t k = 0; k < cols; k += weights, row += stored) {
    if (weights == 1) out[k] = float_at(dtype, row);
    for (uint32_t g = 0; g < weights / 32; g++) dequantise_block(dtype, row, g, out + k + 32 * g);
  }
}
