/* Refuses every attribute that is not honoured, and what does not fit together. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

enum {
  IN = 1, OUT = 2, RESIDUAL = 4, IN_FEATURES = 8, OUT_FEATURES = 16, WEIGHT = 32, BIAS = 64, QK_NORM = 128,
  NORM = 256, ACTIVATION = 512, HEADS = 1024, ROPE = 2048, ATTN = 4096, SOFTCAP = 8192, SCALE = 16384
};

/* What each kind of operation may use. */
static uint32_t honoured(uint32_t kind) {
  switch (kind) {
  case NF_OP_EMBED: return OUT | OUT_FEATURES | WEIGHT | SCALE;
  case NF_OP_NORM: return IN | OUT | IN_FEATURES | OUT_FEATURES | WEIGHT | NORM;
  case NF_OP_QKV: return IN | OUT | IN_FEATURES | OUT_FEATURES | WEIGHT | BIAS;
  case NF_OP_ROPE_STORE: return IN | OUT | HEADS | QK_NORM | NORM | ROPE;
  case NF_OP_ATTENTION: return IN | OUT | HEADS | ATTN | SOFTCAP;
  case NF_OP_OUT:
  case NF_OP_DOWN: return IN | OUT | RESIDUAL | IN_FEATURES | OUT_FEATURES | WEIGHT | BIAS | SCALE;
  case NF_OP_GATE_UP: return IN | OUT | IN_FEATURES | OUT_FEATURES | WEIGHT | BIAS | ACTIVATION;
  case NF_OP_HEAD: return IN | OUT | IN_FEATURES | OUT_FEATURES | WEIGHT | SOFTCAP | SCALE;
  case NF_OP_SAMPLE: return IN;
  }
  return 0;
}

const char *nfc_op_name(uint32_t kind) {
  static const char *const names[] = {"kind 0", "embed", "norm", "qkv", "rope_store", "attention", "out", "gate_up",
                                      "down", "moe", "head", "sample", "pool", "classify"};
  return kind < sizeof names / sizeof *names ? names[kind] : "unknown kind";
}

int nfc_buffer(const nf_plan *p, uint32_t id) {
  for (uint32_t i = 0; i < p->n_buffers; i++)
    if (p->buffers[i].id == id) return (int)i;
  return -1;
}

static uint32_t width(const nf_plan *p, uint32_t id) {
  int i = id ? nfc_buffer(p, id) : -1;
  return i < 0 ? 0 : p->buffers[i].width;
}

typedef struct checker { nf_engine *e; const nf_plan *p; const nf_op *op; uint32_t index; } checker;

static nf_code fail(const checker *c, nf_code code, const char *what, double value) {
  return nfc_fail(c->e, code, "op %u (%s, layer %u): %s = %g", c->index, nfc_op_name(c->op->kind), c->op->layer, what, value);
}

/* Attributes beyond those honoured must be zero. */
static nf_code attributes(const checker *c) {
  const nf_op *o = c->op;
  const struct { const char *name; uint32_t group; double value; } all[] = {
    {"in", IN, o->in}, {"out", OUT, o->out}, {"residual", RESIDUAL, o->residual}, {"in_features", IN_FEATURES, o->in_features},
    {"out_features[0]", OUT_FEATURES, o->out_features[0]}, {"out_features[1]", OUT_FEATURES, o->out_features[1]},
    {"out_features[2]", OUT_FEATURES, o->out_features[2]}, {"weight", WEIGHT, *o->weight != 0}, {"bias", BIAS, *o->bias != 0},
    {"q_norm", QK_NORM, *o->q_norm != 0}, {"k_norm", QK_NORM, *o->k_norm != 0}, {"norm_kind", NORM, o->norm_kind},
    {"norm_plus_one", NORM, o->norm_plus_one}, {"norm_eps", NORM, o->norm_eps}, {"activation", ACTIVATION, o->activation},
    {"n_heads", HEADS, o->n_heads}, {"n_kv_heads", HEADS, o->n_kv_heads}, {"head_dim", HEADS, o->head_dim},
    {"rope_kind", ROPE, o->rope_kind}, {"rope_dims", ROPE, o->rope_dims}, {"rope_table", ROPE, o->rope_table},
    {"attn_scale", ATTN, o->attn_scale}, {"window", ATTN, o->window}, {"softcap", SOFTCAP, o->softcap}, {"scale", SCALE, o->scale},
    {"bidirectional", 0, o->bidirectional}, {"n_experts", 0, o->n_experts}, {"top_k", 0, o->top_k},
    {"renormalise", 0, o->renormalise}, {"shared_experts", 0, o->shared_experts},
    {"position_embedding", 0, o->position_embedding}, {"type_embedding", 0, o->type_embedding}, {"head_kind", 0, o->head_kind},
  };
  uint32_t may = honoured(o->kind);
  if (!may) return fail(c, NF_UNSUPPORTED, "kind", o->kind);
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (all[i].value != 0 && !(all[i].group & may)) return fail(c, NF_UNSUPPORTED, all[i].name, all[i].value);
  return NF_OK;
}

/* Rows flow from tokens to sampling rows only through a norm. */
static nf_code buffers(const checker *c) {
  const nf_op *o = c->op;
  const uint32_t ids[] = {o->in, o->out, o->residual};
  for (int i = 0; i < 3; i++)
    if (ids[i] && nfc_buffer(c->p, ids[i]) < 0) return fail(c, NF_INVALID, "buffer that is not in the plan", ids[i]);
  uint32_t sampling = o->kind == NF_OP_HEAD || o->kind == NF_OP_SAMPLE;
  if (o->in && c->p->buffers[nfc_buffer(c->p, o->in)].sampled_rows != sampling && !(o->kind == NF_OP_NORM && !sampling))
    return fail(c, NF_INVALID, "sampled_rows of in", !sampling);
  if (o->kind != NF_OP_NORM && o->out && c->p->buffers[nfc_buffer(c->p, o->out)].sampled_rows != sampling)
    return fail(c, NF_INVALID, "sampled_rows of out", !sampling);
  if (o->residual && c->p->buffers[nfc_buffer(c->p, o->residual)].sampled_rows) return fail(c, NF_INVALID, "sampled_rows of residual", 1);
  if (o->kind == NF_OP_NORM && o->in && o->out && c->p->buffers[nfc_buffer(c->p, o->in)].sampled_rows)
    return fail(c, NF_INVALID, "sampled_rows of in", 1);
  return NF_OK;
}

static nf_code linear(const checker *c, uint64_t features) {
  const nf_op *o = c->op;
  if (!*o->weight) return fail(c, NF_INVALID, "weight is due; weight", 0);
  if (!o->in_features || o->in_features != width(c->p, o->in)) return fail(c, NF_INVALID, "in_features must be in's width; in_features", o->in_features);
  if (!features || features != width(c->p, o->out)) return fail(c, NF_INVALID, "out_features must add up to out's width; their sum", (double)features);
  return NF_OK;
}

static nf_code norm(const checker *c) {
  if (c->op->norm_kind != NF_NORM_RMS) return fail(c, NF_UNSUPPORTED, "norm_kind", c->op->norm_kind);
  if (!(c->op->norm_eps >= 0)) return fail(c, NF_INVALID, "norm_eps must not be negative; norm_eps", c->op->norm_eps);
  return NF_OK;
}

static nf_code rope(const checker *c) {
  const nf_op *o = c->op;
  if (o->rope_kind == NF_ROPE_NONE) return NF_OK;
  if (o->rope_kind > NF_ROPE_PAIR) return fail(c, NF_INVALID, "rope_kind must be 0, 1 or 2; rope_kind", o->rope_kind);
  if (!o->rope_dims || o->rope_dims % 2 || o->rope_dims > o->head_dim)
    return fail(c, NF_INVALID, "rope_dims must be even and at most head_dim; rope_dims", o->rope_dims);
  if (o->rope_table >= c->p->n_rope_tables) return fail(c, NF_INVALID, "rope_table is not in the plan; rope_table", o->rope_table);
  if (c->p->rope_tables[o->rope_table].n != o->rope_dims / 2)
    return fail(c, NF_INVALID, "the rope table must have rope_dims/2 frequencies; n", c->p->rope_tables[o->rope_table].n);
  return NF_OK;
}

static nf_code heads(const checker *c) {
  const nf_op *o = c->op;
  const nf_plan *p = c->p;
  if (o->layer >= p->n_kv_layers) return fail(c, NF_INVALID, "layer is beyond n_kv_layers; layer", o->layer);
  if (!o->n_heads || !o->n_kv_heads || !o->head_dim || o->n_heads % o->n_kv_heads)
    return fail(c, NF_INVALID, "n_heads must be a multiple of n_kv_heads; n_heads", o->n_heads);
  if (o->n_kv_heads > p->kv_heads || o->head_dim > p->head_dim) return fail(c, NF_INVALID, "head_dim or n_kv_heads beyond the page's; head_dim", o->head_dim);
  if (o->head_dim > NFC_MAX_HEAD) return fail(c, NF_UNSUPPORTED, "head_dim", o->head_dim);
  if (o->n_heads / o->n_kv_heads > NFC_MAX_GROUP) return fail(c, NF_UNSUPPORTED, "n_heads / n_kv_heads", o->n_heads / o->n_kv_heads);
  if (width(p, o->in) != ((uint64_t)o->n_heads + 2 * (uint64_t)o->n_kv_heads) * o->head_dim)
    return fail(c, NF_INVALID, "in must be as wide as q, k and v; its width", width(p, o->in));
  if (o->kind == NF_OP_ATTENTION) {
    if (width(p, o->out) != o->n_heads * o->head_dim) return fail(c, NF_INVALID, "out must be as wide as q; its width", width(p, o->out));
    return NF_OK;
  }
  if (o->out && o->out != o->in) return fail(c, NF_INVALID, "rope_store works in place; out", o->out);
  if ((*o->q_norm || *o->k_norm) && norm(c)) return norm(c);
  return rope(c);
}

static nf_code shape(const checker *c) {
  const nf_op *o = c->op;
  const uint32_t *f = o->out_features;
  uint32_t in = width(c->p, o->in), out = width(c->p, o->out);
  nf_code code;
  switch (o->kind) {
  case NF_OP_EMBED: return out ? NF_OK : fail(c, NF_INVALID, "out is due; out", 0);
  case NF_OP_NORM:
    if (!in || in != out) return fail(c, NF_INVALID, "in and out must be of one width; out's", out);
    if (!*o->weight) return fail(c, NF_INVALID, "weight is due; weight", 0);
    return norm(c);
  case NF_OP_QKV: return linear(c, (uint64_t)f[0] + f[1] + f[2]);
  case NF_OP_OUT:
  case NF_OP_DOWN:
    if (o->residual && width(c->p, o->residual) != out) return fail(c, NF_INVALID, "residual must be as wide as out; its width", width(c->p, o->residual));
    return linear(c, f[0]);
  case NF_OP_GATE_UP:
    if (f[0] != f[1]) return fail(c, NF_INVALID, "gate and up must have as many features; up's", f[1]);
    if (o->activation != NF_ACT_SILU && o->activation != NF_ACT_GELU_TANH) return fail(c, NF_INVALID, "activation must be 1 or 2; activation", o->activation);
    return linear(c, f[0]);
  case NF_OP_HEAD:
    if ((code = linear(c, f[0]))) return code;
    return out == c->p->vocab_size ? NF_OK : fail(c, NF_INVALID, "out must be as wide as the vocabulary; its width", out);
  case NF_OP_SAMPLE: return in == c->p->vocab_size ? NF_OK : fail(c, NF_INVALID, "in must be as wide as the vocabulary; its width", in);
  }
  return heads(c);
}

/* The first operation over sampling rows; n_ops for none. */
static uint32_t tail_of(const nf_plan *p) {
  for (uint32_t i = 0; i < p->n_ops; i++) {
    int out = p->ops[i].out ? nfc_buffer(p, p->ops[i].out) : -1;
    if (out >= 0 && p->buffers[out].sampled_rows) return i;
  }
  return p->n_ops;
}

static uint32_t head_of(const nf_plan *p) {
  for (uint32_t i = 0; i < p->n_ops; i++)
    if (p->ops[i].kind == NF_OP_HEAD) return i;
  return p->n_ops;
}

nf_code nfc_check_plan(nf_engine *e, const nf_plan *p) {
  for (uint32_t i = 0; i < p->n_buffers; i++) {
    const nf_buffer *b = &p->buffers[i];
    if (!b->id || !b->width || nfc_buffer(p, b->id) != (int)i)
      return nfc_fail(e, NF_INVALID, "buffer %u of width %u: ids are not 0, once each, with a width", b->id, b->width);
  }
  if (!p->vocab_size || !p->n_kv_layers || !p->kv_heads || !p->head_dim)
    return nfc_fail(e, NF_INVALID, "vocab_size, n_kv_layers, kv_heads and head_dim must be above 0");
  for (uint32_t i = 0; i < p->n_ops; i++) {
    checker c = {e, p, &p->ops[i], i};
    nf_code code;
    if ((code = attributes(&c)) || (code = buffers(&c)) || (code = shape(&c))) return code;
    int out = c.op->out ? nfc_buffer(p, c.op->out) : -1;
    if (out >= 0 && i > tail_of(p) && !p->buffers[out].sampled_rows) return fail(&c, NF_INVALID, "out is of tokens, behind operations over sampling rows; out", c.op->out);
  }
  return NF_OK;
}

static void *copy(const void *from, uint64_t bytes) {
  void *to = malloc(bytes ? bytes : 1);
  if (to && bytes) memcpy(to, from, bytes);
  return to;
}

/* Takes a copy of a plan that passes. */
nf_code nfc_plan_put(nf_engine *e, const nf_plan *p) {
  if (e->planned) return nfc_fail(e, NF_INVALID, "the engine has a plan");
  nf_code code = nfc_check_plan(e, p);
  if (code) return code;
  e->plan = *p;
  e->tail = tail_of(p);
  e->head = head_of(p);
  e->ops = calloc(p->n_ops ? p->n_ops : 1, sizeof *e->ops);
  e->buffers = copy(p->buffers, p->n_buffers * sizeof *p->buffers);
  e->tables = copy(p->rope_tables, p->n_rope_tables * sizeof *p->rope_tables);
  if (!e->ops || !e->buffers || !e->tables) return nfc_fail(e, NF_NOMEM, "the plan's copy");
  e->planned = 1;
  e->plan.n_rope_tables = 0; /* rises as each table's copy succeeds */
  for (uint32_t i = 0; i < p->n_ops; i++) e->ops[i].op = p->ops[i];
  for (uint32_t i = 0; i < p->n_rope_tables; i++) {
    e->tables[i].inv_freq = copy(p->rope_tables[i].inv_freq, p->rope_tables[i].n * sizeof(float));
    if (!e->tables[i].inv_freq) return nfc_fail(e, NF_NOMEM, "the plan's copy");
    e->plan.n_rope_tables++;
  }
  e->plan.ops = NULL;
  e->plan.buffers = e->buffers;
  e->plan.rope_tables = e->tables;
  return NF_OK;
}
