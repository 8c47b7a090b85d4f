/* Weights in: repacked as they are put, bound to operations at finalise. */
#define _GNU_SOURCE
#include "internal.h"
#include "layout.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

float nfc_half(uint16_t h) {
  uint32_t sign = (uint32_t)(h >> 15) << 31, exponent = h >> 10 & 31, fraction = h & 1023, bits;
  float f;
  if (exponent == 0) {
    f = (float)fraction * 5.9604644775390625e-8f; /* 2^-24 */
    memcpy(&bits, &f, 4);
    bits |= sign;
  } else {
    bits = sign | (exponent == 31 ? 255u : exponent + 112) << 23 | fraction << 13;
  }
  memcpy(&f, &bits, 4);
  return f;
}

/* To the nearest, ties to even. */
uint16_t nfc_to_half(float f) {
  uint32_t bits;
  memcpy(&bits, &f, 4);
  uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x1ff));
  if (magnitude >= 0x477ff000) return (uint16_t)(sign | 0x7c00);
  if (magnitude < 0x38800000) { /* below 2^-14: a multiple of 2^-24 */
    float a;
    memcpy(&a, &magnitude, 4);
    a = a * 16777216.0f + 8388608.0f;
    memcpy(&magnitude, &a, 4);
    return (uint16_t)(sign | (magnitude & 0x7fffff));
  }
  magnitude += 0xfff + (magnitude >> 13 & 1);
  return (uint16_t)(sign | (magnitude - 0x38000000) >> 13);
}

void *nfc_alloc(uint64_t bytes) {
  uint64_t align = bytes >= 4 << 20 ? 2 << 20 : 64;
  void *p = NULL;
  if (posix_memalign(&p, align, bytes ? bytes : 1)) return NULL;
  if (align > 64) madvise(p, bytes, MADV_HUGEPAGE);
  memset(p, 0, bytes);
  return p;
}

static nfc_matrix *find(nf_engine *e, const char *name, uint32_t part) {
  for (uint32_t i = 0; i < e->n_tensors; i++)
    if (e->tensors[i].part == part && !strncmp(e->tensors[i].name, name, NF_NAME)) return &e->tensors[i];
  return NULL;
}

static nf_code check_tensor(nf_engine *e, const nf_tensor *t) {
  uint32_t block;
  uint64_t bytes = nfc_stored_bytes(t->dtype, &block);
  if (!e->planned || e->ready) return nfc_fail(e, NF_INVALID, "\"%.63s\": tensors come between plan and finalise", t->name);
  if (!memchr(t->name, 0, NF_NAME) || !*t->name) return nfc_fail(e, NF_INVALID, "a tensor's name has 1 to %d bytes", NF_NAME - 1);
  if (t->component > NF_SCALE) return nfc_fail(e, NF_UNSUPPORTED, "\"%s\": component = %u", t->name, t->component);
  if (t->component == NF_SCALE) return NF_OK; /* nfc_scale_put looks at the rest */
  if ((!bytes && t->dtype != NF_SYNTH) || (t->dtype == NF_E4M3 && t->rows == 1))
    return nfc_fail(e, NF_UNSUPPORTED, "\"%s\": dtype = %u of %u rows", t->name, t->dtype, t->rows);
  if (find(e, t->name, t->part)) return nfc_fail(e, NF_INVALID, "\"%s\" part %u was put before", t->name, t->part);
  if (t->dtype == NF_SYNTH && t->rows && t->cols) return NF_OK;
  bytes *= (uint64_t)t->rows * (t->cols / block);
  if (!t->rows || !t->cols || t->cols % block || bytes != t->data_len || !t->data)
    return nfc_fail(e, NF_INVALID, "\"%s\": %u x %u of dtype %u need %llu bytes, there are %llu", t->name, t->rows, t->cols, t->dtype,
                    (unsigned long long)bytes, (unsigned long long)t->data_len);
  return NF_OK;
}

/* Norm weights are near 1 in every model. */
static float mean_of(const nf_engine *e, const char *name) {
  for (uint32_t i = 0; i < e->plan.n_ops; i++) {
    const nf_op *o = &e->ops[i].op;
    if (!strcmp(o->q_norm, name) || !strcmp(o->k_norm, name) || (o->kind == NF_OP_NORM && !strcmp(o->weight, name))) return 1;
  }
  return 0;
}

/* Packs a matrix row by row, or widens a vector. */
static nf_code fill(nf_engine *e, nfc_matrix *m, const nf_tensor *t) {
  uint32_t block;
  uint64_t row = nfc_stored_bytes(t->dtype, &block);
  row *= t->cols / block;
  if (t->dtype == NF_SYNTH) return nfc_synth(e, m, mean_of(e, t->name), t->synth_seed);
  if (t->dtype == NF_E4M3) m->unscaled = t->data;
  else if (t->rows == 1) nfc_dequantise(t->dtype, t->data, t->cols, (float *)(void *)m->data);
  else
    for (uint32_t r = 0; r < t->rows; r++)
      nfc_pack_row(t->dtype, (const uint8_t *)t->data + row * r, t->cols, m->data + m->panel * (r / 8), r % 8);
  return NF_OK;
}

nf_code nfc_tensor_put(nf_engine *e, const nf_tensor *t) {
  nf_code code = check_tensor(e, t);
  if (code) return code;
  if (t->component == NF_SCALE) return nfc_scale_put(e, find(e, t->name, t->part), t);
  nf_dtype kept = t->dtype == NF_E4M3 || t->dtype == NF_SYNTH ? NF_BF16 : t->dtype;
  nfc_matrix m = {.part = t->part, .rows = t->rows, .cols = t->cols, .dtype = kept};
  memcpy(m.name, t->name, NF_NAME);
  if (t->rows == 1) {
    m.dtype = NF_F32;
    m.bytes = 4 * (uint64_t)t->cols;
  } else {
    m.panel = nfc_panel_bytes(kept, t->cols);
    m.bytes = m.panel * ((t->rows + 7) / 8);
  }
  nfc_matrix *grown = realloc(e->tensors, (e->n_tensors + 1) * sizeof *grown);
  if (grown) e->tensors = grown;
  m.data = grown ? nfc_alloc(m.bytes) : NULL;
  if (!m.data) return nfc_fail(e, NF_NOMEM, "\"%s\": %llu bytes", t->name, (unsigned long long)m.bytes);
  e->tensors[e->n_tensors++] = m;
  e->bytes.weights += m.bytes;
  return fill(e, &e->tensors[e->n_tensors - 1], t);
}

/* Looks one part up; the name "" is no tensor. */
static nf_code bind(nf_engine *e, uint32_t op, const char *name, uint32_t part, uint32_t rows, uint32_t cols, const nfc_matrix **to) {
  if (!*name) return NF_OK;
  nfc_matrix *m = find(e, name, part);
  const char *kind = nfc_op_name(e->ops[op].op.kind);
  if (!m) return nfc_fail(e, NF_INVALID, "op %u (%s): tensor \"%s\" part %u was not put", op, kind, name, part);
  m->used = 1;
  if (m->unscaled) return nfc_fail(e, NF_INVALID, "op %u (%s): the scales of tensor \"%s\" part %u were not put", op, kind, name, part);
  if (m->rows != rows || m->cols != cols)
    return nfc_fail(e, NF_INVALID, "op %u (%s): tensor \"%s\" part %u is %u x %u, must be %u x %u", op, kind, name, part, m->rows, m->cols, rows, cols);
  *to = m;
  return NF_OK;
}

static nf_code bind_op(nf_engine *e, uint32_t i) {
  nfc_op *b = &e->ops[i];
  const nf_op *o = &b->op;
  nf_code code = NF_OK;
  int in = nfc_buffer(&e->plan, o->in), out = nfc_buffer(&e->plan, o->out);
  switch (o->kind) {
  case NF_OP_EMBED: code = bind(e, i, o->weight, 0, e->plan.vocab_size, e->buffers[out].width, &b->w[0]); break;
  case NF_OP_NORM: return bind(e, i, o->weight, 0, 1, e->buffers[in].width, &b->w[0]);
  case NF_OP_ROPE_STORE:
    code = bind(e, i, o->q_norm, 0, 1, o->head_dim, &b->q_norm);
    return code ? code : bind(e, i, o->k_norm, 0, 1, o->head_dim, &b->k_norm);
  case NF_OP_ATTENTION: case NF_OP_SAMPLE: return NF_OK;
  default:
    for (uint32_t part = 0; part < 3 && !code; part++) {
      if (!o->out_features[part]) continue;
      code = bind(e, i, o->weight, part, o->out_features[part], o->in_features, &b->w[part]);
      if (!code) code = bind(e, i, o->bias, part, 1, o->out_features[part], &b->bias[part]);
    }
  }
  for (int part = 0; part < 3 && !code; part++)
    if (b->w[part] && b->w[part]->rows == 1) return nfc_fail(e, NF_UNSUPPORTED, "op %u: out_features[%d] = 1", i, part);
  return code;
}

/* What finalise allocates beside the weights. */
static void measure(nf_engine *e) {
  const nf_plan *p = &e->plan;
  const nf_limits *l = &e->limits;
  uint64_t widest = 0, most = l->max_tokens > l->max_rows ? l->max_tokens : l->max_rows;
  uint64_t element = l->kv_dtype == NF_F32 ? 4 : 2;
  for (uint32_t i = 0; i < p->n_ops; i++)
    if (e->ops[i].op.in_features > widest) widest = e->ops[i].op.in_features;
  widest = (widest + 31) / 32 * 32;
  for (uint32_t i = 0; i < p->n_buffers; i++)
    e->bytes.activations += 4 * (uint64_t)e->buffers[i].width * (e->buffers[i].sampled_rows ? l->max_rows : l->max_tokens);
  e->bytes.kv = (uint64_t)l->n_pages * NF_PAGE * ((uint64_t)p->n_kv_layers * 2 * p->kv_heads * p->head_dim * element + 4);
  e->bytes.workspace = most * (widest / 32) * sizeof(nfc_block);
  for (uint32_t i = 0; i < p->n_rope_tables; i++) e->bytes.workspace += 8 * (uint64_t)p->rope_tables[i].n * l->max_tokens;
  uint64_t lane = 8 * (uint64_t)p->vocab_size + 4 * (uint64_t)l->max_positions + 2 * sizeof(nfc_candidate) * (uint64_t)p->vocab_size;
  e->bytes.workspace += NFC_LANES * lane;
}

static uint8_t *take(uint8_t **at, uint64_t bytes) {
  uint8_t *p = *at;
  *at += bytes;
  return p;
}

/* Shares the workspace out, the most aligned first. */
static void share(nf_engine *e) {
  uint64_t vocab = e->plan.vocab_size, widest = 0;
  uint64_t most = e->limits.max_tokens > e->limits.max_rows ? e->limits.max_tokens : e->limits.max_rows;
  for (uint32_t i = 0; i < e->plan.n_ops; i++)
    if (e->ops[i].op.in_features > widest) widest = e->ops[i].op.in_features;
  widest = (widest + 31) / 32 * 32;
  uint8_t *at = e->workspace;
  e->x.blocks = (void *)take(&at, sizeof *e->x.blocks * most * (widest / 32));
  for (int i = 0; i < NFC_LANES; i++) {
    nfc_lane *l = &e->lanes[i];
    l->a = (void *)take(&at, sizeof *l->a * vocab);
    l->b = (void *)take(&at, sizeof *l->b * vocab);
  }
  for (int i = 0; i < NFC_LANES; i++) {
    nfc_lane *l = &e->lanes[i];
    l->logits = (void *)take(&at, 4 * vocab);
    l->counts = (void *)take(&at, 4 * vocab);
    l->history = (void *)take(&at, 4 * (uint64_t)e->limits.max_positions);
  }
  for (uint32_t i = 0; i < e->plan.n_rope_tables; i++) e->turns[i] = (void *)take(&at, 8 * (uint64_t)e->tables[i].n * e->limits.max_tokens);
}

static nf_code allocate(nf_engine *e) {
  const nf_plan *p = &e->plan;
  const nf_limits *l = &e->limits;
  uint64_t element = l->kv_dtype == NF_F32 ? 4 : 2;
  nfc_pool_kv *kv = &e->pool;
  kv->dtype = l->kv_dtype == NF_F32 ? NF_F32 : NF_F16;
  kv->half = element * NF_PAGE * p->head_dim;
  kv->head = 2 * kv->half;
  kv->layer = kv->head * p->kv_heads;
  kv->page = kv->layer * p->n_kv_layers;
  kv->kv = nfc_alloc(kv->page * l->n_pages);
  kv->tokens = nfc_alloc(4 * (uint64_t)NF_PAGE * l->n_pages);
  e->workspace = nfc_alloc(e->bytes.workspace);
  e->values = calloc(p->n_buffers + 1, sizeof *e->values);
  e->turns = calloc(p->n_rope_tables + 1, sizeof *e->turns);
  if (!kv->kv || !kv->tokens || !e->workspace || !e->values || !e->turns) return nfc_fail(e, NF_NOMEM, "the page pool or workspace");
  for (uint32_t i = 0; i < p->n_buffers; i++) {
    e->values[i] = nfc_alloc(4 * (uint64_t)e->buffers[i].width * (e->buffers[i].sampled_rows ? l->max_rows : l->max_tokens));
    if (!e->values[i]) return nfc_fail(e, NF_NOMEM, "buffer %u", e->buffers[i].id);
  }
  share(e);
  return NF_OK;
}

nf_code nfc_finalise(nf_engine *e, nf_bytes *out) {
  if (!e->planned || e->ready) return nfc_fail(e, NF_INVALID, "it comes once, after plan");
  nf_code code;
  for (uint32_t i = 0; i < e->plan.n_ops; i++)
    if ((code = bind_op(e, i))) return code;
  for (uint32_t i = 0; i < e->n_tensors; i++)
    if (!e->tensors[i].used) return nfc_fail(e, NF_INVALID, "tensor \"%s\" part %u is not in the plan", e->tensors[i].name, e->tensors[i].part);
  e->bytes.activations = 0;
  measure(e);
  uint64_t total = e->bytes.weights + e->bytes.kv + e->bytes.activations + e->bytes.workspace;
  if (e->limits.memory_max && total > e->limits.memory_max)
    return nfc_fail(e, NF_NOMEM, "%llu bytes are needed, memory_max = %llu", (unsigned long long)total, (unsigned long long)e->limits.memory_max);
  if ((code = allocate(e))) return code;
  e->team = nfc_team_new(e->threads);
  if (!e->team || nfc_thread(&e->runner, nfc_runner, e)) return nfc_fail(e, NF_NOMEM, "%u threads", e->threads);
  e->started = e->ready = 1;
  e->stats.memory_peak = total;
  uint32_t size = out->size;
  *out = e->bytes;
  out->size = size;
  return NF_OK;
}
