/* The runner: takes jobs in order, samples, and hands results to wait. */
#include "internal.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

typedef struct sampling {
  nf_engine *e;
  nfc_job *j;
  const float *logits;
  int late;
} sampling;

/* The token ids of every position up to the row's last. */
static uint32_t history(const nf_engine *e, const nfc_job *j, const nfc_row *r, int32_t *out) {
  uint32_t n = r->start + r->row.n_tokens;
  for (uint32_t i = 0; i < n; i += NF_PAGE) {
    uint64_t page = j->arena[r->pages + i / NF_PAGE];
    memcpy(out + i, e->pool.tokens + page * NF_PAGE, 4 * (n - i < NF_PAGE ? n - i : NF_PAGE));
  }
  return n;
}

static void sample_row(const sampling *s, nfc_row *r, const float *logits, nfc_lane *lane) {
  uint32_t vocab = s->e->plan.vocab_size, n = history(s->e, s->j, r, lane->history);
  nfc_sequence *q = r->seq;
  int32_t token;
  if (q->poisoned || !nfc_choose(lane, logits, vocab, lane->history, n, r->mask ? r->mask->bits : NULL, &q->spec, &token)) {
    q->poisoned = 1;
    r->result.status = NF_ROW_NAN;
    return;
  }
  r->result.n_accepted = 1;
  r->result.tokens[0] = q->last = token;
  nfc_report(logits, vocab, &q->spec.sampling, &r->result);
}

static void sample_rows(void *arg, uint32_t lane, uint32_t lanes) {
  sampling *s = arg;
  if (lanes > NFC_LANES) lanes = NFC_LANES;
  if (lane >= lanes) return;
  for (uint32_t i = lane; i < s->j->n_sampled; i += lanes) {
    nfc_row *r = &s->j->rows[s->j->row_of[i]];
    int late = (r->row.flags & NF_ROW_LATE_MASK) != 0;
    if (late == s->late) sample_row(s, r, s->logits + (uint64_t)i * s->e->plan.vocab_size, &s->e->lanes[lane]);
  }
}

/* Copies the logits of the rows that ask for them. */
static void keep_logits(nf_engine *e, nfc_job *j, const float *logits) {
  uint64_t vocab = e->plan.vocab_size;
  for (uint32_t i = 0; i < j->n_sampled; i++) {
    const nfc_row *r = &j->rows[j->row_of[i]];
    if (r->row.flags & NF_ROW_LOGITS) memcpy(j->aux + r->aux, logits + i * vocab, vocab * sizeof *logits);
  }
}

static const float *logits_of(const nf_engine *e) {
  for (uint32_t i = 0; i < e->plan.n_ops; i++)
    if (e->ops[i].op.kind == NF_OP_SAMPLE) return e->values[nfc_buffer(&e->plan, e->ops[i].op.in)];
  return NULL;
}

/* Runs one job; 0 when the engine is destroyed while it waits for masks. */
static int run(nf_engine *e, nfc_job *j) {
  nfc_run_body(e, j);
  nfc_unsound(e, j);
  nfc_report_prompts(e, j);
  nfc_sampling_rows(j);
  nfc_run_tail(e, j, e->plan.n_ops);
  sampling s = {e, j, logits_of(e), 0};
  int late = 0;
  for (uint32_t i = 0; i < j->n_rows; i++) late |= (j->rows[i].row.flags & NF_ROW_LATE_MASK) != 0;
  if (!s.logits) return 1;
  keep_logits(e, j, s.logits);
  if (j->n_sampled > 1) nfc_team_run(e->team, sample_rows, &s);
  else sample_rows(&s, 0, 1);
  if (!late) return 1;
  pthread_mutex_lock(&e->mu);
  while (j->late && !e->quit) pthread_cond_wait(&e->changed, &e->mu);
  int quit = e->quit;
  pthread_mutex_unlock(&e->mu);
  s.late = 1;
  if (!quit) nfc_team_run(e->team, sample_rows, &s);
  return !quit;
}

static void account(nf_engine *e, nfc_job *j, uint64_t busy, uint64_t idle) {
  e->stats.steps++;
  e->stats.tokens += j->n_tokens;
  for (uint32_t i = 0; i < j->n_rows; i++) e->stats.sampled += j->rows[i].result.n_accepted;
  e->stats.busy_ns += busy;
  e->stats.idle_ns += idle;
  j->ns = busy;
}

void *nfc_runner(void *arg) {
  nf_engine *e = arg;
  pthread_mutex_lock(&e->mu);
  for (;;) {
    uint64_t waiting = now_ns();
    while (e->ran == e->seq && !e->quit) pthread_cond_wait(&e->changed, &e->mu);
    if (e->quit) break;
    nfc_job *j = &e->jobs[(e->ran + 1) % NF_QUEUE];
    pthread_mutex_unlock(&e->mu);
    uint64_t began = now_ns();
    int ran = run(e, j);
    uint64_t busy = now_ns() - began;
    pthread_mutex_lock(&e->mu);
    if (!ran) break;
    account(e, j, busy, began - waiting);
    e->ran++;
    j->done = 1;
    pthread_cond_broadcast(&e->changed);
  }
  pthread_mutex_unlock(&e->mu);
  return NULL;
}

void nfc_job_release(nfc_job *j) {
  for (uint32_t i = 0; i < j->n_rows; i++) {
    nfc_sequence_release(j->rows[i].seq);
    nfc_mask_release(j->rows[i].mask);
  }
  j->n_rows = 0;
}

/* Copies a finished job out. */
static nf_code hand_over(nf_engine *e, nfc_job *j, nf_result *r) {
  if (r->n_rows < j->n_rows || r->n_aux < j->n_aux || r->n_prompt < j->n_prompt)
    return nfc_fail(e, NF_INVALID, "room for %u rows, %llu floats of aux and %llu of a prompt, the step has %u, %llu and %llu", r->n_rows,
                    (unsigned long long)r->n_aux, (unsigned long long)r->n_prompt, j->n_rows, (unsigned long long)j->n_aux, (unsigned long long)j->n_prompt);
  r->n_rows = j->n_rows;
  r->n_aux = j->n_aux;
  r->n_prompt = j->n_prompt;
  r->compute_ns = j->ns;
  for (uint32_t i = 0; i < j->n_rows; i++) r->rows[i] = j->rows[i].result;
  if (j->n_aux) memcpy(r->aux, j->aux, j->n_aux * sizeof *j->aux);
  if (j->n_prompt) memcpy(r->prompt, j->prompt, j->n_prompt * sizeof *j->prompt);
  nfc_job_release(j);
  e->waited = j->seq;
  return NF_OK;
}

nf_code nfc_wait(nf_engine *e, uint64_t seq, nf_result *r, uint64_t timeout_us) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  if (timeout_us > 1000000000000ull) timeout_us = 1000000000000ull;
  uint64_t ns = (uint64_t)until.tv_nsec + timeout_us % 1000000 * 1000;
  until.tv_sec += (time_t)(timeout_us / 1000000 + ns / 1000000000);
  until.tv_nsec = (long)(ns % 1000000000);
  pthread_mutex_lock(&e->mu);
  nf_code code = NF_OK;
  nfc_job *j = &e->jobs[seq % NF_QUEUE];
  if (!e->ready || seq != e->waited + 1 || seq > e->seq) code = nfc_fail(e, NF_INVALID, "step %llu is not the oldest in flight", (unsigned long long)seq);
  while (!code && !j->done)
    if (pthread_cond_timedwait(&e->changed, &e->mu, &until) == ETIMEDOUT && !j->done) code = NF_TIMEOUT;
  if (!code) code = hand_over(e, j, r);
  pthread_mutex_unlock(&e->mu);
  return code;
}
