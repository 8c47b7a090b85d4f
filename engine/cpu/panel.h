/* Products of one panel of eight weight rows with up to TILE rows of activations.
 * Each row's operations and their order are the same whatever the tile. */

enum { TILE = 8, AHEAD = 2048 };

typedef uint16_t u16 __attribute__((vector_size(32)));
typedef int16_t s16 __attribute__((vector_size(32)));
typedef int8_t s8 __attribute__((vector_size(16)));

INLINE v8 floats_of(i8x v) { return __builtin_convertvector(v, v8); }

/* Adds the products of a step's weights with two activations, row by row. */
INLINE i8x add_pairs(i8x sum, s16 w, const int16_t *q) {
  int32_t two;
  memcpy(&two, q, 4);
#if defined(HAVE_VNNI)
  return (i8x)_mm256_dpwssd_epi32((__m256i)sum, (__m256i)w, _mm256_set1_epi32(two));
#elif defined(HAVE_F16C)
  sum += (i8x)_mm256_madd_epi16((__m256i)w, _mm256_set1_epi32(two));
  __asm__("" : "+x"(sum)); /* or the compiler keeps all products and adds them later */
  return sum;
#elif defined(__SSE2__)
  union { s16 w; __m128i half[2]; } a = {w};
  union { __m128i half[2]; i8x v; } b;
  for (int i = 0; i < 2; i++) b.half[i] = _mm_madd_epi16(a.half[i], _mm_set1_epi32(two));
  return sum + b.v;
#else
  i8x pairs = (i8x)w;
  return sum + (pairs << 16 >> 16) * (int16_t)two + (pairs >> 16) * (two >> 16);
#endif
}

INLINE u16 vector_at(const uint8_t *p, int v) {
  u16 u;
  memcpy(&u, p + 32 * v, 32);
  return u;
}

/* Step 15 of types with an odd number of bits. */
INLINE u16 across(const uint8_t *p, int bits) {
  u16 u = vector_at(p, 0) >> 15;
  for (int v = 1; v < bits; v++) u |= vector_at(p, v) >> (15 - v) & (uint16_t)(1 << v);
  return u;
}

INLINE u16 six(const uint8_t *p, int j) {
  if (j < 6) return vector_at(p, j / 2) >> 6 * (j % 2) & 63;
  return vector_at(p, j - 6) >> 12 | (vector_at(p, 2) >> (2 * j - 4) & 0x30);
}

/* Step j of a block's vectors, bits and j being constants. */
INLINE s16 step(const uint8_t *p, int bits, int j) {
  if (bits == 8) {
    s8 bytes;
    memcpy(&bytes, p + 16 * j, 16);
    return __builtin_convertvector(bytes, s16);
  }
  int each = 16 / bits, v = j / each, i = j % each;
  if (bits == 6) return (s16)six(p + 96 * (j / 8), j % 8);
  if (v == bits) return (s16)across(p, bits);
  u16 u = vector_at(p, v) >> bits * i;
  return (s16)(bits * (i + 1) == 16 ? u : u & (uint16_t)((1 << bits) - 1));
}

/* Integer products of steps [from, to) of a block. */
INLINE void dots(const uint8_t *p, int bits, int from, int to, const nfc_block *const *x, int m, i8x *dot) {
  for (int r = 0; r < m; r++) dot[r] = (i8x){0};
#pragma GCC unroll 16
  for (int j = from; j < to; j++) {
    s16 w = step(p, bits, j);
#pragma GCC unroll 8
    for (int r = 0; r < m; r++) dot[r] = add_pairs(dot[r], w, x[r]->q + 2 * j);
  }
}

/* Eight bytes as floats, signed or not. */
INLINE v8 bytes_of(uint64_t bytes, int negative) {
#if defined(HAVE_F16C)
  __m128i b = _mm_cvtsi64_si128((int64_t)bytes);
  return floats_of((i8x)(negative ? _mm256_cvtepi8_epi32(b) : _mm256_cvtepu8_epi32(b)));
#else
  v8 v;
  for (int i = 0; i < 8; i++, bytes >>= 8) v[i] = negative ? (float)(int8_t)bytes : (float)(uint8_t)bytes;
  return v;
#endif
}

/* Scales and minima of a block's groups, from those above and the bytes at p. */
INLINE void scales_of(nf_dtype dtype, const uint8_t *p, v8 d, v8 low, v8 *scale, v8 *least) {
  uint64_t first, second, nibbles = 0x0f0f0f0f0f0f0f0f;
  memcpy(&first, p, 8);
  memcpy(&second, p + 8, 8);
  scale[0] = scale[1] = d;
  least[0] = least[1] = low;
  switch (dtype) {
  case NF_Q3_K: case NF_Q6_K:
    scale[0] = d * bytes_of(first, 1);
    scale[1] = d * bytes_of(second, 1);
    return;
  case NF_Q4_K: case NF_Q5_K:
    scale[0] = d * bytes_of(first, 0);
    least[0] = low * bytes_of(second, 0);
    return;
  case NF_Q2_K:
    scale[0] = d * bytes_of(first & nibbles, 0);
    scale[1] = d * bytes_of(second & nibbles, 0);
    least[0] = low * bytes_of(first >> 4 & nibbles, 0);
    least[1] = low * bytes_of(second >> 4 & nibbles, 0);
  }
}

INLINE void fetch(const uint8_t *p, uint32_t bytes) {
  for (uint32_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + AHEAD + i);
}

/* Quantised weights; dtype and m are constants at each call. Group by group in the
 * order of k: the scaled integer product, then the share of the minimum or the offset. */
INLINE void quantised_panel(nf_dtype dtype, const uint8_t *p, const nfc_x *x, uint32_t row, int m, v8 *y) {
  const nfc_format f = nfc_format_of(dtype);
  uint32_t blocks = x->k / 32;
  const nfc_block *a[TILE];
  v8 sum[TILE], d = all(0), low = all(0);
  for (int r = 0; r < m; r++) sum[r] = all(0), a[r] = x->blocks + (uint64_t)(row + r) * blocks;
  for (uint32_t b = 0; b < blocks; b++) {
    if (b % f.blocks == 0) {
      d = halves(p);
      if (f.low) low = f.blocks > 1 ? -halves(p + 16) : halves(p + 16);
      p += nfc_head_bytes(f);
    }
    fetch(p, nfc_block_bytes(f));
    v8 scale[2], least[2];
    scales_of(dtype, p, d, low, scale, least);
#pragma GCC unroll 2
    for (int g = 0; g < 32 / (int)f.group; g++) {
      int steps = f.group / 2, of = f.group == 32 ? 2 : g;
      if (f.offset) least[g] = scale[g] * all((float)-f.offset);
      i8x dot[TILE];
      dots(p + (f.blocks > 1 ? 16 : 0), f.bits, g * steps, (g + 1) * steps, a, m, dot);
      for (int r = 0; r < m; r++) {
        sum[r] = fma8(floats_of(dot[r]), scale[g] * all(a[r]->d), sum[r]);
        if (f.low || f.offset) sum[r] = fma8(least[g], all(a[r]->sum[of]), sum[r]);
      }
    }
    for (int r = 0; r < m; r++) a[r]++;
    p += nfc_block_bytes(f);
  }
  for (int r = 0; r < m; r++) y[r] = sum[r];
}

INLINE v8 eight(nf_dtype dtype, const uint8_t *p) {
  if (dtype == NF_F32) return load((const float *)(const void *)p);
  if (dtype == NF_F16) return halves(p);
  return bfloats((const uint16_t *)(const void *)p);
}

/* Float weights: four sums, one for each k modulo 4; four rows fill the registers. */
INLINE void float_panel(nf_dtype dtype, const uint8_t *p, const nfc_x *x, uint32_t row, int m, v8 *y) {
  if (m == 8) {
    float_panel(dtype, p, x, row, 4, y);
    float_panel(dtype, p, x, row + 4, 4, y + 4);
    return;
  }
  uint32_t k = x->k, step = dtype == NF_F32 ? 32 : 16, i = 0;
  const float *f = x->f + (uint64_t)row * k;
  v8 sum[TILE][4];
  for (int r = 0; r < m; r++)
    for (int j = 0; j < 4; j++) sum[r][j] = all(0);
  for (; i + 4 <= k; i += 4)
    for (int j = 0; j < 4; j++, p += step) {
      v8 w = eight(dtype, p);
      for (int r = 0; r < m; r++) sum[r][j] = fma8(w, all(f[(uint64_t)r * k + i + j]), sum[r][j]);
    }
  for (int j = 0; i < k; i++, j++, p += step) {
    v8 w = eight(dtype, p);
    for (int r = 0; r < m; r++) sum[r][j] = fma8(w, all(f[(uint64_t)r * k + i]), sum[r][j]);
  }
  for (int r = 0; r < m; r++) y[r] = (sum[r][0] + sum[r][1]) + (sum[r][2] + sum[r][3]);
}

#if defined(HAVE_F16C)
#define PANEL(name, body, dtype) \
  static void name(const uint8_t *p, const nfc_x *x, uint32_t row, int m, v8 *y) { \
    if (m == 1) body(dtype, p, x, row, 1, y); \
    else if (m == 2) body(dtype, p, x, row, 2, y); \
    else if (m == 4) body(dtype, p, x, row, 4, y); \
    else body(dtype, p, x, row, 8, y); \
  }
#else
/* A row at a time: what has few registers gains nothing from tiles. */
#define PANEL(name, body, dtype) \
  static void name(const uint8_t *p, const nfc_x *x, uint32_t row, int m, v8 *y) { \
    for (int r = 0; r < m; r++) body(dtype, p, x, row + r, 1, y + r); \
  }
#endif
PANEL(panel_f32, float_panel, NF_F32)
PANEL(panel_f16, float_panel, NF_F16)
PANEL(panel_bf16, float_panel, NF_BF16)
PANEL(panel_q8_0, quantised_panel, NF_Q8_0)
PANEL(panel_q4_0, quantised_panel, NF_Q4_0)
PANEL(panel_q4_1, quantised_panel, NF_Q4_1)
PANEL(panel_q5_0, quantised_panel, NF_Q5_0)
PANEL(panel_q5_1, quantised_panel, NF_Q5_1)
PANEL(panel_q2_k, quantised_panel, NF_Q2_K)
PANEL(panel_q3_k, quantised_panel, NF_Q3_K)
PANEL(panel_q4_k, quantised_panel, NF_Q4_K)
PANEL(panel_q5_k, quantised_panel, NF_Q5_K)
PANEL(panel_q6_k, quantised_panel, NF_Q6_K)

typedef void (*panel_product)(const uint8_t *, const nfc_x *, uint32_t, int, v8 *);

static panel_product product_of(nf_dtype dtype) {
  switch (dtype) {
  case NF_F32: return panel_f32;
  case NF_F16: return panel_f16;
  case NF_BF16: return panel_bf16;
  case NF_Q8_0: return panel_q8_0;
  case NF_Q4_0: return panel_q4_0;
  case NF_Q4_1: return panel_q4_1;
  case NF_Q5_0: return panel_q5_0;
  case NF_Q5_1: return panel_q5_1;
  case NF_Q2_K: return panel_q2_k;
  case NF_Q3_K: return panel_q3_k;
  case NF_Q4_K: return panel_q4_k;
  case NF_Q5_K: return panel_q5_k;
  default: return panel_q6_k;
  }
}
