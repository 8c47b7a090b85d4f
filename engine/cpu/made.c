/* Matrices that are not packed as they come: E4M3 with its scales, kept in 16 bits, and
 * random ones, kept as bfloat16. */
#include "internal.h"
#include "layout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 128 }; /* rows and columns under one scale */

static float e4m3(uint8_t b) {
  int exponent = b >> 3 & 15, fraction = b & 7;
  float v = exponent ? ldexpf((float)(8 + fraction), exponent - 10) : ldexpf((float)fraction, -9);
  if ((b & 127) == 127) v = NAN;
  return b & 128 ? -v : v;
}

/* To the nearest, ties to even. */
static uint16_t to_bf16(float f) {
  uint32_t bits;
  memcpy(&bits, &f, 4);
  if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* How many rows and columns share a scale; 0 for a shape that is none of the three. */
static int reach(const nfc_matrix *m, const nf_tensor *t, uint32_t *high, uint32_t *wide) {
  if (t->rows == 1 && t->cols == 1) *high = m->rows, *wide = m->cols;
  else if (t->rows == m->rows && t->cols == 1) *high = 1, *wide = m->cols;
  else if (t->rows == (m->rows + BLOCK - 1) / BLOCK && t->cols == (m->cols + BLOCK - 1) / BLOCK) *high = *wide = BLOCK;
  else return 0;
  return 1;
}

/* binary16 holds a product eight times as exactly as bfloat16, where it is not too small
 * or too large for it. */
static nf_dtype kept(const float *scales, uint64_t n) {
  for (uint64_t i = 0; i < n; i++)
    if (scales[i] != 0 && !(scales[i] >= 0x1p-17f && scales[i] <= 0x1p7f)) return NF_BF16;
  return NF_F16;
}

/* All values times each of n scales: fewer products than a matrix has weights. */
static void multiply(nf_dtype dtype, const float *scales, uint32_t n, uint16_t *products) {
  for (int b = 0; b < 256; b++) {
    float value = e4m3((uint8_t)b);
    for (uint32_t i = 0; i < n; i++) products[256 * i + b] = dtype == NF_F16 ? nfc_to_half(value * scales[i]) : to_bf16(value * scales[i]);
  }
}

nf_code nfc_scale_put(nf_engine *e, nfc_matrix *m, const nf_tensor *t) {
  uint32_t block, high, wide;
  uint64_t stored = nfc_stored_bytes(t->dtype, &block);
  if (!m || !m->unscaled) return nfc_fail(e, NF_INVALID, "\"%s\" part %u: scales come once, behind e4m3 data", t->name, t->part);
  if (t->dtype != NF_F32 && t->dtype != NF_BF16) return nfc_fail(e, NF_UNSUPPORTED, "\"%s\": scales of dtype %u, only f32 and bf16", t->name, t->dtype);
  if (!reach(m, t, &high, &wide))
    return nfc_fail(e, NF_INVALID, "\"%s\": %u x %u scales for %u x %u weights", t->name, t->rows, t->cols, m->rows, m->cols);
  if (t->data_len != stored * t->rows * t->cols || !t->data)
    return nfc_fail(e, NF_INVALID, "\"%s\": %u x %u scales need %llu bytes, there are %llu", t->name, t->rows, t->cols,
                    (unsigned long long)(stored * t->rows * t->cols), (unsigned long long)t->data_len);
  float *scales = malloc(sizeof *scales * t->rows * t->cols);
  uint16_t *row = malloc(sizeof *row * m->cols), *products = malloc(sizeof *products * 256 * t->cols);
  if (scales && row && products) {
    nfc_dequantise(t->dtype, t->data, t->rows * t->cols, scales);
    m->dtype = kept(scales, (uint64_t)t->rows * t->cols);
    for (uint32_t r = 0; r < m->rows; r++) {
      if (r % high == 0) multiply(m->dtype, scales + (uint64_t)(r / high) * t->cols, t->cols, products);
      const uint8_t *from = m->unscaled + (uint64_t)r * m->cols;
      for (uint32_t c = 0; c < m->cols; c++) row[c] = products[256 * (c / wide) + from[c]];
      nfc_pack_row(m->dtype, (const uint8_t *)row, m->cols, m->data + m->panel * (r / 8), r % 8);
    }
    m->unscaled = NULL;
  }
  free(scales);
  free(row);
  free(products);
  return m->unscaled ? nfc_fail(e, NF_NOMEM, "\"%s\": %u x %u scales", t->name, t->rows, t->cols) : NF_OK;
}

/* SplitMix64's finaliser: well mixed bits of a counter. */
static uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ x >> 27) * 0x94d049bb133111ebull;
  return x ^ x >> 31;
}

/* Uniform about mean with a deviation of 0.02, as the CUDA backend makes them. */
static float random_at(uint64_t i, float mean, uint64_t seed) {
  float u = (float)(mix(seed ^ mix(i)) >> 40) * 0x1p-24f;
  return mean + 0.034641016f * (2 * u - 1);
}

nf_code nfc_synth(nf_engine *e, nfc_matrix *m, float mean, uint64_t seed) {
  if (m->rows == 1) {
    for (uint32_t c = 0; c < m->cols; c++) ((float *)(void *)m->data)[c] = random_at(c, mean, seed);
    return NF_OK;
  }
  uint16_t *row = malloc(sizeof *row * m->cols);
  if (!row) return nfc_fail(e, NF_NOMEM, "\"%s\": a row", m->name);
  for (uint32_t r = 0; r < m->rows; r++) {
    for (uint32_t c = 0; c < m->cols; c++) row[c] = to_bf16(random_at((uint64_t)r * m->cols + c, mean, seed));
    nfc_pack_row(NF_BF16, (const uint8_t *)row, m->cols, m->data + m->panel * (r / 8), r % 8);
  }
  free(row);
  return NF_OK;
}
