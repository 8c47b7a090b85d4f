/* A job's operations, one after another, each spread over the team. */
#include "internal.h"

#include <math.h>
#include <string.h>

/* Below this many multiplications the runner does not wake the team. */
enum { ALONE = 32768, SPAN = 8 };

typedef struct pass {
  nf_engine *e;
  nfc_job *j;
  const nfc_op *b;
  nfc_linear linear;
  nfc_attention attention;
} pass;

static float *values(const pass *p, uint32_t id) { return id ? p->e->values[nfc_buffer(&p->e->plan, id)] : NULL; }
static uint32_t width_of(const pass *p, uint32_t id) { return p->e->buffers[nfc_buffer(&p->e->plan, id)].width; }
static int is_sampled(const pass *p, uint32_t id) { return p->e->buffers[nfc_buffer(&p->e->plan, id)].sampled_rows != 0; }

static void spread(pass *p, nfc_task task, uint64_t work) {
  if (work < ALONE) task(p, 0, 1);
  else nfc_team_run(p->e->team, task, p);
}

static void share_of(uint32_t n, uint32_t lane, uint32_t lanes, uint32_t *from, uint32_t *to) {
  *from = (uint32_t)((uint64_t)n * lane / lanes);
  *to = (uint32_t)((uint64_t)n * (lane + 1) / lanes);
}

static void embed_rows(void *arg, uint32_t lane, uint32_t lanes) {
  pass *p = arg;
  uint32_t from, to, width = width_of(p, p->b->op.out);
  share_of(p->j->n_tokens, lane, lanes, &from, &to);
  float scale = p->b->op.scale != 0 ? p->b->op.scale : 1, *out = values(p, p->b->op.out);
  for (uint32_t t = from; t < to; t++) p->e->k->embed(p->b->w[0], (uint32_t)p->j->tokens[t], scale, out + (uint64_t)t * width);
}

/* From a token buffer to a sampled one a norm takes the rows that sample. */
static void norm_rows(void *arg, uint32_t lane, uint32_t lanes) {
  pass *p = arg;
  const nf_op *o = &p->b->op;
  int sampled = is_sampled(p, o->out);
  uint32_t from, to, width = width_of(p, o->in);
  share_of(sampled ? p->j->n_sampled : p->j->n_tokens, lane, lanes, &from, &to);
  const float *in = values(p, o->in), *w = (const float *)(const void *)p->b->w[0]->data;
  for (uint32_t r = from; r < to; r++)
    p->e->k->rmsnorm(values(p, o->out) + (uint64_t)r * width, in + (uint64_t)(sampled ? p->j->sampled[r] : r) * width, w, width, o->norm_eps, o->norm_plus_one);
}

static void quantise_rows(void *arg, uint32_t lane, uint32_t lanes) {
  pass *p = arg;
  uint32_t from, to;
  share_of(p->linear.rows, lane, lanes, &from, &to);
  p->e->k->quantise(&p->linear.x, from, to);
}

static void multiply(void *arg, uint32_t lane, uint32_t lanes) {
  pass *p = arg;
  p->e->k->linear(&p->linear, lane, lanes);
}

static void linear(pass *p) {
  const nf_op *o = &p->b->op;
  nfc_linear *l = &p->linear;
  *l = (nfc_linear){.rows = o->kind == NF_OP_HEAD ? p->j->n_sampled : p->j->n_tokens, .width = width_of(p, o->out), .out = values(p, o->out),
                    .residual = values(p, o->residual), .scale = o->scale, .activation = o->activation, .x = p->e->x};
  int quantised = 0;
  uint32_t at = 0;
  for (int i = 0; i < 3; i++) {
    if (!p->b->w[i]) continue;
    l->w[l->parts] = p->b->w[i];
    l->bias[l->parts] = p->b->bias[i];
    l->at[l->parts++] = at;
    at += p->b->w[i]->rows;
    quantised |= p->b->w[i]->dtype >= NF_Q8_0;
  }
  l->after = o->kind == NF_OP_GATE_UP ? NFC_GATED : l->residual ? NFC_RESIDUAL : NFC_PLAIN;
  if (o->kind == NF_OP_HEAD) l->softcap = o->softcap;
  l->x.f = values(p, o->in);
  l->x.k = o->in_features;
  if (l->rows == 0) return;
  if (quantised) spread(p, quantise_rows, 4 * (uint64_t)l->rows * l->x.k);
  spread(p, multiply, (uint64_t)l->rows * l->x.k * at);
}

static void rotate(float *head, uint32_t kind, const float *turn, uint32_t half) {
  for (uint32_t i = 0; i < half; i++) {
    uint32_t a = kind == NF_ROPE_PAIR ? 2 * i : i, b = kind == NF_ROPE_PAIR ? 2 * i + 1 : i + half;
    float x = head[a], y = head[b], cosine = turn[i], sine = turn[half + i];
    head[a] = x * cosine - y * sine;
    head[b] = x * sine + y * cosine;
  }
}

/* Norms and rotates one token's q and k, then stores k and v to its page. */
static void rope_token(const pass *p, uint32_t t) {
  const nf_op *o = &p->b->op;
  uint32_t dim = o->head_dim, heads = o->n_heads + o->n_kv_heads, half = o->rope_dims / 2;
  float *x = values(p, o->in) + (uint64_t)t * width_of(p, o->in);
  nfc_place at = p->j->places[t];
  for (uint32_t h = 0; h < heads; h++) {
    float *head = x + (uint64_t)h * dim;
    const nfc_matrix *norm = h < o->n_heads ? p->b->q_norm : p->b->k_norm;
    if (norm) p->e->k->rmsnorm(head, head, (const float *)(const void *)norm->data, dim, o->norm_eps, o->norm_plus_one);
    if (o->rope_kind != NF_ROPE_NONE) rotate(head, o->rope_kind, p->e->turns[o->rope_table] + 2 * (uint64_t)half * t, half);
  }
  uint32_t page = p->j->arena[p->j->rows[at.row].pages + at.position / NF_PAGE];
  const float *k = x + (uint64_t)o->n_heads * dim, *v = k + (uint64_t)o->n_kv_heads * dim;
  for (uint32_t h = 0; h < o->n_kv_heads; h++)
    p->e->k->store(&p->e->pool, o->layer, h, page, at.position % NF_PAGE, k + (uint64_t)h * dim, v + (uint64_t)h * dim, dim);
}

static void rope_rows(void *arg, uint32_t lane, uint32_t lanes) {
  pass *p = arg;
  uint32_t from, to;
  share_of(p->j->n_tokens, lane, lanes, &from, &to);
  for (uint32_t t = from; t < to; t++) rope_token(p, t);
}

/* Spans and heads are dealt out one by one: later positions cost more. */
static void attend(void *arg, uint32_t lane, uint32_t lanes) {
  pass *p = arg;
  uint32_t kv = p->attention.kv_heads;
  for (uint64_t i = lane; i < (uint64_t)p->j->n_spans * kv; i += lanes)
    p->e->k->attention(&p->attention, &p->e->pool, p->b->op.layer, &p->j->spans[i / kv], (uint32_t)(i % kv));
}

/* Cuts the rows into spans of tokens that walk their pages together. */
static void cut_spans(pass *p, uint32_t group) {
  nfc_job *j = p->j;
  uint32_t most = NFC_MAX_GROUP / group < SPAN ? NFC_MAX_GROUP / group : SPAN;
  j->n_spans = 0;
  for (uint32_t i = 0; i < j->n_rows; i++) {
    const nfc_row *r = &j->rows[i];
    for (uint32_t t = 0; t < r->row.n_tokens; t += most) {
      uint32_t n = r->row.n_tokens - t < most ? r->row.n_tokens - t : most;
      j->spans[j->n_spans++] = (nfc_span){j->arena + r->pages, r->first + t, r->start + t, n};
    }
  }
}

static void attention(pass *p) {
  const nf_op *o = &p->b->op;
  p->attention = (nfc_attention){.qkv = values(p, o->in), .out = values(p, o->out), .width = width_of(p, o->in), .heads = o->n_heads,
                                 .kv_heads = o->n_kv_heads, .dim = o->head_dim, .window = o->window, .scale = o->attn_scale, .softcap = o->softcap};
  cut_spans(p, o->n_heads / o->n_kv_heads);
  uint64_t work = 0;
  for (uint32_t i = 0; i < p->j->n_spans; i++) work += (uint64_t)p->j->spans[i].n * (p->j->spans[i].position + NF_PAGE) * o->n_heads * o->head_dim;
  spread(p, attend, work);
}

static void run_op(pass *p) {
  const nf_op *o = &p->b->op;
  uint64_t n = p->j->n_tokens;
  switch (o->kind) {
  case NF_OP_EMBED: spread(p, embed_rows, 8 * n * width_of(p, o->out)); return;
  case NF_OP_NORM: spread(p, norm_rows, 2 * n * width_of(p, o->in)); return;
  case NF_OP_ROPE_STORE: spread(p, rope_rows, 4 * n * width_of(p, o->in)); return;
  case NF_OP_ATTENTION: attention(p); return;
  case NF_OP_SAMPLE: return;
  }
  linear(p);
}

/* Cosines and sines of every token, once a step for all layers. */
static void turns(nf_engine *e, const nfc_job *j) {
  for (uint32_t i = 0; i < e->plan.n_rope_tables; i++) {
    const nf_rope_table *table = &e->tables[i];
    double factor = table->attention_factor != 0 ? table->attention_factor : 1;
    for (uint32_t t = 0; t < j->n_tokens; t++) {
      float *turn = e->turns[i] + 2 * (uint64_t)table->n * t;
      for (uint32_t f = 0; f < table->n; f++) {
        double angle = (double)j->places[t].position * (double)table->inv_freq[f];
        turn[f] = (float)(factor * cos(angle));
        turn[table->n + f] = (float)(factor * sin(angle));
      }
    }
  }
}

/* Lays the step's tokens out and writes their ids to the pages. */
static void lay_out(nf_engine *e, nfc_job *j) {
  for (uint32_t i = 0; i < j->n_rows; i++) {
    const nfc_row *r = &j->rows[i];
    if (r->row.flags & NF_ROW_CONTINUE) j->tokens[r->first] = r->seq->last;
    for (uint32_t t = 0; t < r->row.n_tokens; t++) {
      uint32_t position = r->start + t, page = j->arena[r->pages + position / NF_PAGE];
      j->places[r->first + t] = (nfc_place){i, position};
      e->pool.tokens[(uint64_t)page * NF_PAGE + position % NF_PAGE] = j->tokens[r->first + t];
    }
  }
}

void nfc_sampling_rows(nfc_job *j) {
  j->n_sampled = 0;
  for (uint32_t i = 0; i < j->n_rows; i++) {
    const nfc_row *r = &j->rows[i];
    if (!(r->row.flags & NF_ROW_SAMPLE)) continue;
    j->sampled[j->n_sampled] = r->first + r->row.n_tokens - 1;
    j->row_of[j->n_sampled++] = i;
  }
}

static void run_ops(nf_engine *e, nfc_job *j, uint32_t from, uint32_t upto) {
  pass p = {.e = e, .j = j};
  for (uint32_t i = from; i < upto; i++) {
    p.b = &e->ops[i];
    run_op(&p);
  }
}

void nfc_run_tail(nf_engine *e, nfc_job *j, uint32_t upto) { run_ops(e, j, e->tail, upto); }

void nfc_run_body(nf_engine *e, nfc_job *j) {
  for (uint32_t i = 0; i < j->n_copies; i++) {
    uint64_t from = j->copies[i].from, to = j->copies[i].to;
    memmove(e->pool.kv + e->pool.page * to, e->pool.kv + e->pool.page * from, e->pool.page);
    memmove(e->pool.tokens + NF_PAGE * to, e->pool.tokens + NF_PAGE * from, NF_PAGE * sizeof(int32_t));
  }
  lay_out(e, j);
  turns(e, j);
  run_ops(e, j, 0, e->tail);
}
