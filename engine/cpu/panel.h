/* Products of one panel of eight weight rows with up to TILE rows of activations.
 * Each row's operations and their order are the same whatever the tile. */

enum { TILE = 4 };

/* 32-block scales, then the block's integer products, in the order of k. */
INLINE v8 floats_of(i8x v) { return __builtin_convertvector(v, v8); }

#if defined(HAVE_F16C)
INLINE __m256i four(const int8_t *q) {
  int32_t x;
  memcpy(&x, q, 4);
  return _mm256_set1_epi32(x);
}
#endif

#if defined(HAVE_VNNI)
INLINE void q4_dots(const uint8_t *p, const int8_t *const *q, int m, i8x *out) {
  __m256i sum[TILE], low = _mm256_set1_epi8(15);
  for (int r = 0; r < m; r++) sum[r] = _mm256_setzero_si256();
  for (int g = 0; g < 4; g++) {
    __m256i w = _mm256_loadu_si256((const __m256i *)(p + 32 * g));
    __m256i lo = _mm256_and_si256(w, low), hi = _mm256_and_si256(_mm256_srli_epi16(w, 4), low);
    for (int r = 0; r < m; r++) {
      sum[r] = _mm256_dpbusd_epi32(sum[r], lo, four(q[r] + 4 * g));
      sum[r] = _mm256_dpbusd_epi32(sum[r], hi, four(q[r] + 16 + 4 * g));
    }
  }
  for (int r = 0; r < m; r++) out[r] = (i8x)sum[r];
}
INLINE void q8_dots(const uint8_t *p, const int8_t *const *q, int m, i8x *out) {
  __m256i sum[TILE];
  for (int r = 0; r < m; r++) sum[r] = _mm256_setzero_si256();
  for (int g = 0; g < 8; g++) {
    __m256i w = _mm256_loadu_si256((const __m256i *)(p + 32 * g)), a = _mm256_abs_epi8(w);
    for (int r = 0; r < m; r++) sum[r] = _mm256_dpbusd_epi32(sum[r], a, _mm256_sign_epi8(four(q[r] + 4 * g), w));
  }
  for (int r = 0; r < m; r++) out[r] = (i8x)sum[r];
}
#elif defined(HAVE_F16C)
/* Eight sums of two products of at most 15 x 127 fit 16 bits. */
INLINE void q4_dots(const uint8_t *p, const int8_t *const *q, int m, i8x *out) {
  __m256i sum[TILE], low = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
  for (int r = 0; r < m; r++) sum[r] = _mm256_setzero_si256();
  for (int g = 0; g < 4; g++) {
    __m256i w = _mm256_loadu_si256((const __m256i *)(p + 32 * g));
    __m256i lo = _mm256_and_si256(w, low), hi = _mm256_and_si256(_mm256_srli_epi16(w, 4), low);
    for (int r = 0; r < m; r++) {
      sum[r] = _mm256_add_epi16(sum[r], _mm256_maddubs_epi16(lo, four(q[r] + 4 * g)));
      sum[r] = _mm256_add_epi16(sum[r], _mm256_maddubs_epi16(hi, four(q[r] + 16 + 4 * g)));
    }
  }
  for (int r = 0; r < m; r++) out[r] = (i8x)_mm256_madd_epi16(sum[r], ones);
}
INLINE void q8_dots(const uint8_t *p, const int8_t *const *q, int m, i8x *out) {
  __m256i sum[TILE], ones = _mm256_set1_epi16(1);
  for (int r = 0; r < m; r++) sum[r] = _mm256_setzero_si256();
  for (int g = 0; g < 8; g++) {
    __m256i w = _mm256_loadu_si256((const __m256i *)(p + 32 * g)), a = _mm256_abs_epi8(w);
    for (int r = 0; r < m; r++) {
      __m256i pairs = _mm256_maddubs_epi16(a, _mm256_sign_epi8(four(q[r] + 4 * g), w));
      sum[r] = _mm256_add_epi32(sum[r], _mm256_madd_epi16(pairs, ones));
    }
  }
  for (int r = 0; r < m; r++) out[r] = (i8x)sum[r];
}
#else
INLINE void q4_dots(const uint8_t *p, const int8_t *const *q, int m, i8x *out) {
  for (int r = 0; r < m; r++) {
    int32_t sum[8] = {0};
    for (int g = 0; g < 4; g++)
      for (int i = 0; i < 32; i++) {
        int w = p[32 * g + i], at = 4 * g + i % 4;
        sum[i / 4] += (w & 15) * q[r][at] + (w >> 4) * q[r][16 + at];
      }
    memcpy(&out[r], sum, sizeof sum);
  }
}
INLINE void q8_dots(const uint8_t *p, const int8_t *const *q, int m, i8x *out) {
  for (int r = 0; r < m; r++) {
    int32_t sum[8] = {0};
    for (int g = 0; g < 8; g++)
      for (int i = 0; i < 32; i++) sum[i / 4] += (int8_t)p[32 * g + i] * q[r][4 * g + i % 4];
    memcpy(&out[r], sum, sizeof sum);
  }
}
#endif

/* Quantised weights; dtype and m are constants at each call. */
INLINE void quantised_panel(nf_dtype dtype, const uint8_t *p, const nfc_x *x, uint32_t row, int m, v8 *y) {
  uint32_t blocks = x->k / 32, head = dtype == NF_Q4_1 ? 32 : 16, body = dtype == NF_Q8_0 ? 256 : 128;
  v8 sum[TILE];
  for (int r = 0; r < m; r++) sum[r] = all(0);
  for (uint32_t b = 0; b < blocks; b++, p += head + body) {
    const int8_t *q[TILE];
    i8x dot[TILE], fine[TILE];
    for (int r = 0; r < m; r++) q[r] = x->q + 2 * ((uint64_t)(row + r) * x->k + 32 * b);
#ifdef HAVE_F16C
    _mm_prefetch((const char *)p + 2048, _MM_HINT_T0);
    _mm_prefetch((const char *)p + 2112, _MM_HINT_T0);
    if (dtype == NF_Q8_0) {
      _mm_prefetch((const char *)p + 2176, _MM_HINT_T0);
      _mm_prefetch((const char *)p + 2240, _MM_HINT_T0);
    }
#endif
    if (dtype == NF_Q8_0) q8_dots(p + head, q, m, dot);
    else q4_dots(p + head, q, m, dot);
    for (int r = 0; r < m; r++) q[r] += 32;
    if (dtype == NF_Q8_0) q8_dots(p + head, q, m, fine);
    else q4_dots(p + head, q, m, fine);
    for (int r = 0; r < m; r++) dot[r] = dot[r] * 128 + fine[r];
    v8 scale = halves(p);
    for (int r = 0; r < m; r++) {
      uint64_t at = (uint64_t)(row + r) * blocks + b;
      v8 d = all(x->d[at]);
      if (dtype == NF_Q4_0) dot[r] -= 8 * x->s[at];
      sum[r] = fma8(floats_of(dot[r]), scale * d, sum[r]);
      if (dtype == NF_Q4_1) sum[r] = fma8(halves(p + 16), all((float)x->s[at] * x->d[at]), sum[r]);
    }
  }
  for (int r = 0; r < m; r++) y[r] = sum[r];
}

INLINE v8 eight(nf_dtype dtype, const uint8_t *p) {
  if (dtype == NF_F32) return load((const float *)(const void *)p);
  if (dtype == NF_F16) return halves(p);
  return bfloats((const uint16_t *)(const void *)p);
}

/* Float weights: four sums, one for each k modulo 4. */
INLINE void float_panel(nf_dtype dtype, const uint8_t *p, const nfc_x *x, uint32_t row, int m, v8 *y) {
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

#define PANEL(name, body, dtype) \
  static void name(const uint8_t *p, const nfc_x *x, uint32_t row, int m, v8 *y) { \
    if (m == 1) body(dtype, p, x, row, 1, y); \
    else if (m == 2) body(dtype, p, x, row, 2, y); \
    else if (m == 3) body(dtype, p, x, row, 3, y); \
    else body(dtype, p, x, row, 4, y); \
  }
PANEL(panel_f32, float_panel, NF_F32)
PANEL(panel_f16, float_panel, NF_F16)
PANEL(panel_bf16, float_panel, NF_BF16)
PANEL(panel_q8_0, quantised_panel, NF_Q8_0)
PANEL(panel_q4_0, quantised_panel, NF_Q4_0)
PANEL(panel_q4_1, quantised_panel, NF_Q4_1)

typedef void (*panel_product)(const uint8_t *, const nfc_x *, uint32_t, int, v8 *);

static panel_product product_of(nf_dtype dtype) {
  switch (dtype) {
  case NF_F32: return panel_f32;
  case NF_F16: return panel_f16;
  case NF_BF16: return panel_bf16;
  case NF_Q8_0: return panel_q8_0;
  case NF_Q4_0: return panel_q4_0;
  default: return panel_q4_1;
  }
}
