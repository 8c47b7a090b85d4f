/* Everything that computes, compiled once for each instruction set: a gemm_*.c sets
 * the target and HAVE_*, names KERNELS and ISA, and includes this. */
#include "vector.h"
#include "panel.h"

static void quantise(const nfc_x *x, uint32_t from, uint32_t to) {
  uint32_t blocks = x->k / 32;
  const v8 magic = all(12582912.0f), signs = (v8)((i8x){0} + 0x7fffffff);
  for (uint64_t b = (uint64_t)from * blocks; b < (uint64_t)to * blocks; b++) {
    v8 v[4], top = all(0);
    i8x nan = {0}, sum = {0};
    for (int i = 0; i < 4; i++) {
      v[i] = load(x->f + 32 * b + 8 * i);
      nan |= v[i] != v[i];
      top = greater((v8)((i8x)v[i] & (i8x)signs), top);
    }
    float most = 0;
    int32_t any = 0;
    for (int i = 0; i < 8; i++) {
      most = top[i] > most ? top[i] : most;
      any |= nan[i];
    }
    float inverse = most > 1e-30f ? 16256 / most : 0;
    for (int i = 0; i < 4; i++) {
      i8x n = __builtin_convertvector((v[i] * all(inverse) + magic) - magic, i8x);
      sum += n;
      i8x coarse = (n + 64) >> 7, fine = n - coarse * 128;
      for (int j = 0; j < 8; j++) {
        x->q[64 * b + 8 * i + j] = (int8_t)coarse[j];
        x->q[64 * b + 32 + 8 * i + j] = (int8_t)fine[j];
      }
    }
    int32_t s = 0;
    for (int i = 0; i < 8; i++) s += sum[i];
    x->s[b] = s;
    /* A NaN or an infinity must not vanish in the integers. */
    x->d[b] = any || most > 3e38f ? NAN : most / 16256;
  }
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

/* One panel of one part against all rows. */
static void panel_rows(const nfc_linear *l, uint32_t part, uint32_t panel) {
  const nfc_matrix *w = l->w[part];
  panel_product product = product_of(w->dtype);
  uint32_t column = 8 * panel, n = w->rows - column;
  v8 bias = bias_of(l, part, column), y[TILE];
  for (uint32_t r = 0; r < l->rows; r += TILE) {
    int m = l->rows - r < TILE ? (int)(l->rows - r) : TILE;
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
  }
}

/* The same panel of gate and up. */
static void gated_rows(const nfc_linear *l, uint32_t panel) {
  const nfc_matrix *g = l->w[0], *u = l->w[1];
  panel_product gate = product_of(g->dtype), up = product_of(u->dtype);
  uint32_t column = 8 * panel, n = g->rows - column;
  v8 bias[2] = {bias_of(l, 0, column), bias_of(l, 1, column)}, a[TILE], b[TILE];
  for (uint32_t r = 0; r < l->rows; r += TILE) {
    int m = l->rows - r < TILE ? (int)(l->rows - r) : TILE;
    gate(g->data + g->panel * panel, &l->x, r, m, a);
    up(u->data + u->panel * panel, &l->x, r, m, b);
    for (int i = 0; i < m; i++) {
      v8 x = a[i] + bias[0], y = b[i] + bias[1];
      x = l->activation == NF_ACT_SILU ? silu8(x) : gelu8(x);
      put(l->out + (uint64_t)(r + i) * l->width + column, x * y, n);
    }
  }
}

/* The lane's share of the panels of all parts. */
static void linear(const nfc_linear *l, uint32_t lane, uint32_t lanes) {
  uint32_t panels = 0, parts = l->after == NFC_GATED ? 1 : l->parts;
  for (uint32_t i = 0; i < parts; i++) panels += (l->w[i]->rows + 7) / 8;
  uint32_t from = (uint64_t)panels * lane / lanes, to = (uint64_t)panels * (lane + 1) / lanes;
  for (uint32_t i = 0, first = 0; i < parts; i++) {
    uint32_t n = (l->w[i]->rows + 7) / 8;
    for (uint32_t p = from > first ? from : first; p < to && p < first + n; p++) {
      if (l->after == NFC_GATED) gated_rows(l, p - first);
      else panel_rows(l, i, p - first);
    }
    first += n;
  }
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

static void embed(const nfc_matrix *w, uint32_t row, float scale, float *out) {
  uint32_t lane = row % 8;
  const uint8_t *p = w->data + w->panel * (row / 8);
  for (uint32_t k = 0; k < w->cols; k++) {
    float v;
    if (w->dtype == NF_F32) v = ((const float *)(const void *)p)[8 * k + lane];
    else if (w->dtype == NF_F16) v = nfc_half(((const uint16_t *)(const void *)p)[8 * k + lane]);
    else if (w->dtype == NF_BF16) {
      uint32_t bits = (uint32_t)((const uint16_t *)(const void *)p)[8 * k + lane] << 16;
      memcpy(&v, &bits, 4);
    } else {
      uint32_t head = w->dtype == NF_Q4_1 ? 32 : 16, i = k % 32;
      const uint8_t *b = p + (uint64_t)(k / 32) * (head + (w->dtype == NF_Q8_0 ? 256 : 128));
      float d = nfc_half(((const uint16_t *)(const void *)b)[lane]);
      if (w->dtype == NF_Q8_0) v = d * (float)(int8_t)b[head + 32 * (i / 4) + 4 * lane + i % 4];
      else {
        uint8_t byte = b[head + 32 * (i % 16 / 4) + 4 * lane + i % 4];
        float q = (float)(i < 16 ? byte & 15 : byte >> 4);
        v = w->dtype == NF_Q4_0 ? d * (q - 8) : d * q + nfc_half(((const uint16_t *)(const void *)b)[8 + lane]);
      }
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
