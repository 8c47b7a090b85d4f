/* Everything that computes, compiled once for each instruction set: a gemm_*.c sets
 * the target and HAVE_*, names KERNELS and ISA, and includes this. */
#include "layout.h"
#include "vector.h"
#include "panel.h"

enum { CACHED = 256 << 10 }; /* bytes of activations that panels pass over */

static void quantise_block(const float *from, nfc_block *to) {
  const v8 magic = all(12582912.0f), signs = (v8)((i8x){0} + 0x7fffffff);
  v8 v[4], top = all(0);
  i8x nan = {0}, sum[2];
  for (int i = 0; i < 4; i++) {
    v[i] = load(from + 8 * i);
    nan |= v[i] != v[i];
    top = greater((v8)((i8x)v[i] & (i8x)signs), top);
  }
  float most = 0;
  int32_t any = 0;
  for (int i = 0; i < 8; i++) {
    most = top[i] > most ? top[i] : most;
    any |= nan[i];
  }
  float inverse = most > 1e-30f ? 32767 / most : 0;
  for (int i = 0; i < 4; i++) {
    i8x n = __builtin_convertvector((v[i] * all(inverse) + magic) - magic, i8x);
    sum[i / 2] = i % 2 ? sum[i / 2] + n : n;
    int16_t q __attribute__((vector_size(16))) = __builtin_convertvector(n, __typeof__(q));
    memcpy(to->q + 8 * i, &q, sizeof q);
  }
  /* A NaN or an infinity must not vanish in the integers. */
  to->d = any || most > 3e38f ? NAN : most / 32767;
  for (int i = 0; i < 3; i++) {
    i8x s = i < 2 ? sum[i] : sum[0] + sum[1];
    int32_t n = 0;
    for (int j = 0; j < 8; j++) n += s[j];
    to->sum[i] = (float)n * to->d;
  }
}

static void quantise(const nfc_x *x, uint32_t from, uint32_t to) {
  uint64_t blocks = x->k / 32;
  for (uint64_t b = from * blocks; b < to * blocks; b++) quantise_block(x->f + 32 * b, x->blocks + b);
}

/* What follows the product of eight columns of a row. */
INLINE v8 after(const nfc_linear *l, v8 y) {
  if (l->scale != 0 && l->scale != 1) y *= all(l->scale);
  if (l->softcap != 0)
    for (int i = 0; i < 8; i++) y[i] = l->softcap * tanhf(y[i] / l->softcap);
  return y;
}

static v8 bias_of(const nfc_linear *l, uint32_t part, uint32_t column) {
  v8 b = all(0);
  if (!l->bias[part]) return b;
  const nfc_matrix *m = l->bias[part];
  for (uint32_t i = 0; i < 8 && column + i < m->cols; i++) b[i] = ((const float *)(const void *)m->data)[column + i];
  return b;
}

static void put(float *out, v8 y, uint32_t n) {
  if (n >= 8) keep(out, y);
  else
    for (uint32_t i = 0; i < n; i++) out[i] = y[i];
}

/* The next tile of n rows: tiles have 8, 4, 2 or 1. */
INLINE int tile_of(uint32_t n) { return n >= 8 ? 8 : n >= 4 ? 4 : n >= 2 ? 2 : 1; }

/* One panel of one part against rows [from, to). */
static void panel_rows(const nfc_linear *l, uint32_t part, uint32_t panel, uint32_t from, uint32_t to) {
  const nfc_matrix *w = l->w[part];
  panel_product product = product_of(w->dtype);
  uint32_t column = 8 * panel, n = w->rows - column;
  v8 bias = bias_of(l, part, column), y[TILE];
  for (uint32_t r = from; r < to;) {
    int m = tile_of(to - r);
    product(w->data + w->panel * panel, &l->x, r, m, y);
    for (int i = 0; i < m; i++) {
      uint64_t at = (uint64_t)(r + i) * l->width + l->at[part] + column;
      v8 z = l->bias[part] ? y[i] + bias : y[i];
      z = after(l, z);
      if (l->after == NFC_RESIDUAL) {
        v8 before = all(0);
        memcpy(&before, l->residual + at, 4 * (n < 8 ? n : 8));
        z += before;
      }
      put(l->out + at, z, n);
    }
    r += m;
  }
}

/* The same panel of gate and up. */
static void gated_rows(const nfc_linear *l, uint32_t panel, uint32_t from, uint32_t to) {
  const nfc_matrix *g = l->w[0], *u = l->w[1];
  panel_product gate = product_of(g->dtype), up = product_of(u->dtype);
  uint32_t column = 8 * panel, n = g->rows - column;
  v8 bias[2] = {bias_of(l, 0, column), bias_of(l, 1, column)}, a[TILE], b[TILE];
  for (uint32_t r = from; r < to;) {
    int m = tile_of(to - r);
    gate(g->data + g->panel * panel, &l->x, r, m, a);
    up(u->data + u->panel * panel, &l->x, r, m, b);
    for (int i = 0; i < m; i++) {
      v8 x = a[i] + bias[0], y = b[i] + bias[1];
      x = l->activation == NF_ACT_SILU ? silu8(x) : gelu8(x);
      put(l->out + (uint64_t)(r + i) * l->width + column, x * y, n);
    }
    r += m;
  }
}

/* Panels [from, to) of all parts against some rows. */
static void panels(const nfc_linear *l, uint32_t parts, uint32_t from, uint32_t to, uint32_t row, uint32_t end) {
  for (uint32_t i = 0, first = 0; i < parts; i++) {
    uint32_t n = (l->w[i]->rows + 7) / 8;
    for (uint32_t p = from > first ? from : first; p < to && p < first + n; p++) {
      if (l->after == NFC_GATED) gated_rows(l, p - first, row, end);
      else panel_rows(l, i, p - first, row, end);
    }
    first += n;
  }
}

/* The lane's share of the panels, for as many rows at a time as the cache holds. */
static void linear(const nfc_linear *l, uint32_t lane, uint32_t lanes) {
  uint32_t n = 0, parts = l->after == NFC_GATED ? 1 : l->parts;
  for (uint32_t i = 0; i < parts; i++) n += (l->w[i]->rows + 7) / 8;
  uint32_t from = (uint64_t)n * lane / lanes, to = (uint64_t)n * (lane + 1) / lanes;
  uint32_t some = CACHED / (4 * l->x.k) / TILE * TILE + TILE;
  for (uint32_t r = 0; r < l->rows; r += some) panels(l, parts, from, to, r, r + some < l->rows ? r + some : l->rows);
}

static void rmsnorm(float *out, const float *in, const float *w, uint32_t n, float eps, uint32_t plus_one) {
  v8 sum = all(0);
  uint32_t i = 0;
  for (; i + 8 <= n; i += 8) sum = fma8(load(in + i), load(in + i), sum);
  float squares = total(sum);
  for (; i < n; i++) squares += in[i] * in[i];
  float inverse = 1 / sqrtf(squares / (float)n + eps);
  for (i = 0; i < n; i++) out[i] = in[i] * inverse * (plus_one ? 1 + w[i] : w[i]);
}

#define LANE_OF(bits) \
  for (int j = 0; j < 16; j++) { \
    s16 w = step(vectors, bits, j); \
    memcpy(q + 2 * j, (const int16_t *)&w + 2 * lane, 4); \
  } \
  return

/* One row's integers of a block. */
static void lane_of(const uint8_t *vectors, uint32_t bits, uint32_t lane, int16_t *q) {
  switch (bits) {
  case 2: LANE_OF(2);
  case 3: LANE_OF(3);
  case 4: LANE_OF(4);
  case 5: LANE_OF(5);
  case 6: LANE_OF(6);
  default: LANE_OF(8);
  }
}

static void embed_quantised(const nfc_matrix *w, const uint8_t *p, uint32_t lane, float by, float *out) {
  nfc_format f = nfc_format_of(w->dtype);
  float d = 0, low = 0, scale[2], least[2];
  for (uint32_t b = 0; b < w->cols / 32; b++, p += nfc_block_bytes(f), out += 32) {
    if (b % f.blocks == 0) {
      d = nfc_half(((const uint16_t *)(const void *)p)[lane]);
      if (f.low) low = nfc_half(((const uint16_t *)(const void *)p)[8 + lane]);
      p += nfc_head_bytes(f);
    }
    int16_t q[32];
    nfc_scales(w->dtype, d, low, (const uint8_t[2]){p[lane], p[8 + lane]}, scale, least);
    lane_of(p + (f.blocks > 1 ? 16 : 0), f.bits, lane, q);
    for (int i = 0; i < 32; i++) {
      float v = scale[i / 16] * (float)(q[i] - f.offset);
      out[i] = (f.low ? v + least[i / 16] : v) * by;
    }
  }
}

static void embed(const nfc_matrix *w, uint32_t row, float scale, float *out) {
  uint32_t lane = row % 8;
  const uint8_t *p = w->data + w->panel * (row / 8);
  const uint16_t *halfs = (const uint16_t *)(const void *)p;
  if (w->dtype >= NF_Q8_0) {
    embed_quantised(w, p, lane, scale, out);
    return;
  }
  for (uint32_t k = 0; k < w->cols; k++) {
    float v;
    if (w->dtype == NF_F32) v = ((const float *)(const void *)p)[8 * k + lane];
    else if (w->dtype == NF_F16) v = nfc_half(halfs[8 * k + lane]);
    else {
      uint32_t bits = (uint32_t)halfs[8 * k + lane] << 16;
      memcpy(&v, &bits, 4);
    }
    out[k] = v * scale;
  }
}

static void store(const nfc_pool_kv *kv, uint32_t layer, uint32_t head, uint32_t page, uint32_t offset, const float *k, const float *v, uint32_t dim) {
  uint8_t *at = kv->kv + kv->page * page + kv->layer * layer + kv->head * head;
  if (kv->dtype == NF_F32) {
    for (uint32_t i = 0; i < dim; i++) ((float *)(void *)at)[i * NF_PAGE + offset] = k[i];
    memcpy(at + kv->half + 4 * (uint64_t)dim * offset, v, 4 * (uint64_t)dim);
    return;
  }
  uint16_t *keys = (uint16_t *)(void *)at, *values = (uint16_t *)(void *)(at + kv->half) + (uint64_t)dim * offset;
  uint32_t i = 0;
  for (; i + 8 <= dim; i += 8) {
    uint16_t h[8];
    keep_halves(h, load(k + i));
    for (int j = 0; j < 8; j++) keys[(i + j) * NF_PAGE + offset] = h[j];
    keep_halves(values + i, load(v + i));
  }
  for (; i < dim; i++) {
    keys[i * NF_PAGE + offset] = nfc_to_half(k[i]);
    values[i] = nfc_to_half(v[i]);
  }
}

#include "attend.h"

const nfc_kernels KERNELS = {ISA, quantise, linear, rmsnorm, attention, embed, store};
