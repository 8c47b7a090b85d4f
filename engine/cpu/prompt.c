/* What a step reports beside sampled tokens: whether its states are numbers, how
 * likely each token of a prompt was, and pooled vectors. The last two run the plan's
 * tail, its end over sampling rows, over other tokens than those that sample. */
#include "internal.h"

#include <string.h>

static float *values(const nf_engine *e, uint32_t id) { return e->values[nfc_buffer(&e->plan, id)]; }

/* Every exponent below that of the infinities and NaNs. */
static int finite(const float *x, uint64_t n) {
  uint32_t bad = 0;
  for (uint64_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, 4);
    bad |= (bits & 0x7f800000) == 0x7f800000;
  }
  return !bad;
}

/* Marks the rows whose tokens have a state that is not finite: what they wrote to
 * their pages is not to be used, whether they sample or not. */
void nfc_unsound(nf_engine *e, nfc_job *j) {
  if (e->tail == e->plan.n_ops) return;
  uint32_t in = e->ops[e->tail].op.in, width = e->buffers[nfc_buffer(&e->plan, in)].width;
  const float *states = values(e, in);
  for (uint32_t i = 0; i < j->n_rows; i++) {
    nfc_row *r = &j->rows[i];
    if (!r->seq->poisoned && !finite(states + (uint64_t)r->first * width, (uint64_t)r->row.n_tokens * width)) r->seq->poisoned = 1;
    if (r->seq->poisoned) r->result.status = NF_ROW_NAN;
  }
}

/* Runs the tail up to an operation over n tokens of a job from `first` on. */
static void tail(nf_engine *e, nfc_job *j, uint32_t first, uint32_t n, uint32_t upto) {
  for (uint32_t i = 0; i < n; i++) j->sampled[i] = first + i;
  j->n_sampled = n;
  nfc_run_tail(e, j, upto);
}

typedef struct scoring {
  const nf_engine *e;
  const nfc_job *j;
  const nfc_row *row;
  uint32_t from, n;          /* tokens of the row */
  const float *logits;
} scoring;

static void score(void *arg, uint32_t lane, uint32_t lanes) {
  scoring *s = arg;
  uint32_t vocab = s->e->plan.vocab_size;
  for (uint32_t i = lane; i < s->n; i += lanes) {
    uint32_t at = s->from + i;
    int32_t next = at + 1 < s->row->row.n_tokens ? s->j->tokens[s->row->first + at + 1] : s->row->row.next;
    nfc_score(s->logits + (uint64_t)i * vocab, vocab, next, s->row->seq->spec.sampling.prompt_top, &s->j->prompt[s->row->prompt + at]);
  }
}

static void score_row(nf_engine *e, nfc_job *j, const nfc_row *r) {
  uint32_t n = nfc_scored(&r->row), most = e->limits.max_rows;
  scoring s = {.e = e, .j = j, .row = r, .logits = values(e, e->ops[e->head].op.out)};
  for (s.from = 0; s.from < n; s.from += most) {
    s.n = n - s.from < most ? n - s.from : most;
    tail(e, j, r->first + s.from, s.n, e->plan.n_ops);
    if (s.n > 1) nfc_team_run(e->team, score, &s);
    else score(&s, 0, 1);
  }
}

/* The last token's vector, or the sum over all tokens, added up in order. */
static void pool_row(nf_engine *e, nfc_job *j, const nfc_row *r) {
  uint32_t in = e->ops[e->head].op.in, width = e->ops[e->head].op.in_features, most = e->limits.max_rows;
  const float *vectors = values(e, in);
  float *out = j->aux + r->aux;
  if (!(r->row.flags & NF_ROW_POOL_SUM)) {
    tail(e, j, r->first + r->row.n_tokens - 1, 1, e->head);
    memcpy(out, vectors, width * sizeof *out);
    return;
  }
  for (uint32_t c = 0; c < width; c++) j->sums[c] = 0;
  for (uint32_t t = 0; t < r->row.n_tokens; t += most) {
    uint32_t n = r->row.n_tokens - t < most ? r->row.n_tokens - t : most;
    tail(e, j, r->first + t, n, e->head);
    for (uint32_t i = 0; i < n; i++)
      for (uint32_t c = 0; c < width; c++) j->sums[c] += (double)vectors[(uint64_t)i * width + c];
  }
  for (uint32_t c = 0; c < width; c++) out[c] = (float)j->sums[c];
}

void nfc_report_prompts(nf_engine *e, nfc_job *j) {
  for (uint32_t i = 0; i < j->n_rows; i++) {
    nfc_row *r = &j->rows[i];
    if (r->row.flags & NF_ROW_PROMPT_LOGPROBS) score_row(e, j, r);
    if (r->row.flags & NF_ROW_POOL) pool_row(e, j, r);
  }
}
