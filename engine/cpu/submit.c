/* Steps in: checked as a whole before they take effect. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

enum {
  FLAGS = NF_ROW_SAMPLE | NF_ROW_LATE_MASK | NF_ROW_LOGITS | NF_ROW_CONTINUE | NF_ROW_PROMPT_LOGPROBS | NF_ROW_POOL | NF_ROW_POOL_SUM
};

/* What the checks of one step see: the books with the step's own changes, which
 * are taken back when a later check refuses. */
typedef struct booking {
  nf_engine *e;
  const nf_step *s;
  nfc_job *job;
  uint8_t *marks;            /* of each slot: 1 closed by the step, 2 has a row */
  uint32_t *before;          /* page that each delta replaced */
  uint32_t n_deltas;
} booking;

static nfc_slot *open_slot(const booking *b, uint32_t n) {
  if (n >= b->e->limits.max_slots || b->marks[n] & 1 || !b->e->slots[n].seq) return NULL;
  return &b->e->slots[n];
}

static nf_code closes(booking *b) {
  for (uint32_t i = 0; i < b->s->n_closes; i++) {
    uint32_t n = b->s->closes[i];
    if (!open_slot(b, n)) return nfc_fail(b->e, NF_INVALID, "closes slot %u, which is not open", n);
    b->marks[n] |= 1;
  }
  return NF_OK;
}

static nf_code copies(booking *b) {
  uint32_t pages = b->e->limits.n_pages;
  for (uint32_t i = 0; i < b->s->n_copies; i++) {
    const nf_page_copy *c = &b->s->copies[i];
    if (c->kind != NF_COPY_D2D || c->kv_group)
      return nfc_fail(b->e, NF_UNSUPPORTED, "page copy of kind %u, kv_group %u: only device to device in group 0", c->kind, c->kv_group);
    if (c->from >= pages || c->to >= pages) return nfc_fail(b->e, NF_INVALID, "page copy from %u to %u, n_pages = %u", c->from, c->to, pages);
  }
  if (b->s->n_copies > b->job->copies_cap) {
    nf_page_copy *grown = realloc(b->job->copies, b->s->n_copies * sizeof *grown);
    if (!grown) return nfc_fail(b->e, NF_NOMEM, "%u page copies", b->s->n_copies);
    b->job->copies = grown;
    b->job->copies_cap = b->s->n_copies;
  }
  b->job->n_copies = b->s->n_copies;
  if (b->s->n_copies) memcpy(b->job->copies, b->s->copies, b->s->n_copies * sizeof *b->s->copies);
  return NF_OK;
}

static nf_code deltas(booking *b) {
  const nf_limits *l = &b->e->limits;
  for (; b->n_deltas < b->s->n_pages; b->n_deltas++) {
    const nf_page_delta *d = &b->s->pages[b->n_deltas];
    nfc_slot *s = open_slot(b, d->slot);
    if (!s) return nfc_fail(b->e, NF_INVALID, "page for slot %u, which is not open", d->slot);
    if (d->kv_group) return nfc_fail(b->e, NF_UNSUPPORTED, "page of kv_group %u", d->kv_group);
    if (d->page >= l->n_pages || d->index >= b->e->pages_a_slot)
      return nfc_fail(b->e, NF_INVALID, "page %u at index %u of slot %u: n_pages = %u, at most %u a slot", d->page, d->index, d->slot, l->n_pages, b->e->pages_a_slot);
    b->before[b->n_deltas] = s->pages[d->index];
    s->pages[d->index] = d->page;
  }
  return NF_OK;
}

uint32_t nfc_scored(const nf_row *r) {
  if (!(r->flags & NF_ROW_PROMPT_LOGPROBS)) return 0;
  return r->n_tokens - (r->next < 0);
}

/* What a row reports beside a sampled token. */
static nf_code check_report(nf_engine *e, uint32_t i, const nf_row *r) {
  if (r->flags & NF_ROW_PROMPT_LOGPROBS && (r->next < -1 || r->next >= (int64_t)e->plan.vocab_size))
    return nfc_fail(e, NF_INVALID, "row %u: next = %d, the vocabulary has %u; -1 is none", i, r->next, e->plan.vocab_size);
  if (r->flags & NF_ROW_POOL_SUM && !(r->flags & NF_ROW_POOL)) return nfc_fail(e, NF_INVALID, "row %u: a sum belongs to a row that pools", i);
  if (r->flags & NF_ROW_POOL && r->flags & NF_ROW_SAMPLE) return nfc_fail(e, NF_INVALID, "row %u: a row that pools does not sample", i);
  if (r->flags & (NF_ROW_LOGITS | NF_ROW_POOL | NF_ROW_PROMPT_LOGPROBS) && e->head == e->plan.n_ops)
    return nfc_fail(e, NF_UNSUPPORTED, "row %u: the plan has no head", i);
  return NF_OK;
}

static nf_code check_row(const booking *b, uint32_t i, const nf_row *r) {
  nf_engine *e = b->e;
  nfc_slot *s = open_slot(b, r->slot);
  if (!s) return nfc_fail(e, NF_INVALID, "row %u: slot %u is not open", i, r->slot);
  if (b->marks[r->slot] & 2) return nfc_fail(e, NF_INVALID, "row %u: slot %u has a row in this step", i, r->slot);
  if (r->flags & ~(uint32_t)FLAGS) return nfc_fail(e, NF_UNSUPPORTED, "row %u: flags = %#x", i, r->flags & ~(uint32_t)FLAGS);
  if (r->n_draft) return nfc_fail(e, NF_UNSUPPORTED, "row %u: n_draft = %u", i, r->n_draft);
  if (!r->n_tokens || r->n_tokens > e->limits.max_tokens)
    return nfc_fail(e, NF_INVALID, "row %u: n_tokens = %u, must be from 1 to %u", i, r->n_tokens, e->limits.max_tokens);
  if (r->n_tokens > e->limits.max_positions - s->length)
    return nfc_fail(e, NF_INVALID, "row %u: %u tokens after %u, max_positions = %u", i, r->n_tokens, s->length, e->limits.max_positions);
  if (r->flags & NF_ROW_CONTINUE && !s->sampled) return nfc_fail(e, NF_INVALID, "row %u: slot %u has sampled nothing to continue from", i, r->slot);
  if (!(r->flags & NF_ROW_SAMPLE) && (r->flags & (NF_ROW_LATE_MASK | NF_ROW_LOGITS) || r->mask_id))
    return nfc_fail(e, NF_INVALID, "row %u: masks and logits belong to rows that sample", i);
  nf_code report = check_report(e, i, r);
  if (report) return report;
  if (r->mask_id && !nfc_mask_find(e, r->mask_id)) return nfc_fail(e, NF_INVALID, "row %u: mask %u is not defined", i, r->mask_id);
  for (uint32_t p = 0; p * NF_PAGE < s->length + r->n_tokens; p++)
    if (s->pages[p] == NFC_NO_PAGE) return nfc_fail(e, NF_INVALID, "row %u: slot %u has no page %u", i, r->slot, p);
  return NF_OK;
}

/* Room in the job for the page table of one more row. */
static nf_code arena(booking *b, uint64_t n) {
  nfc_job *j = b->job;
  if (j->arena_len + n <= j->arena_cap) return NF_OK;
  uint64_t cap = 2 * (j->arena_len + n);
  uint32_t *grown = realloc(j->arena, cap * sizeof *grown);
  if (!grown) return nfc_fail(b->e, NF_NOMEM, "page tables of a step");
  j->arena = grown;
  j->arena_cap = cap;
  return NF_OK;
}

static nf_code add_row(booking *b, uint32_t i, const nf_row *r, uint32_t *used) {
  nf_engine *e = b->e;
  nfc_job *j = b->job;
  nfc_slot *s = &e->slots[r->slot];
  uint32_t continues = r->flags & NF_ROW_CONTINUE ? 1 : 0, n = r->n_tokens - continues;
  if (n > b->s->n_tokens - *used || r->n_tokens > e->limits.max_tokens - j->n_tokens)
    return nfc_fail(e, NF_INVALID, "row %u has %u tokens: %u are left in the step, max_tokens = %u", i, r->n_tokens, b->s->n_tokens - *used, e->limits.max_tokens);
  for (uint32_t t = 0; t < n; t++)
    if ((uint32_t)b->s->tokens[*used + t] >= e->plan.vocab_size)
      return nfc_fail(e, NF_INVALID, "row %u: token %d, the vocabulary has %u", i, b->s->tokens[*used + t], e->plan.vocab_size);
  uint32_t pages = (s->length + r->n_tokens + NF_PAGE - 1) / NF_PAGE;
  nf_code code = arena(b, pages);
  if (code) return code;
  j->rows[i] = (nfc_row){.row = *r, .seq = s->seq, .first = j->n_tokens, .start = s->length, .pages = j->arena_len,
                         .mask = nfc_mask_find(e, r->mask_id), .late = r->flags & NF_ROW_LATE_MASK ? 1 : 0, .result = {.slot = r->slot}};
  memcpy(j->arena + j->arena_len, s->pages, pages * sizeof *s->pages);
  if (n) memcpy(j->tokens + j->n_tokens + continues, b->s->tokens + *used, n * sizeof *j->tokens);
  j->arena_len += pages;
  j->n_tokens += r->n_tokens;
  j->late += (uint32_t)j->rows[i].late;
  j->n_rows++;
  *used += n;
  b->marks[r->slot] |= 2;
  return NF_OK;
}

/* p with room for n elements; NULL when there is no memory, and p stays. */
static void *grown(void *p, uint64_t *cap, uint64_t n, uint64_t size) {
  if (n <= *cap && p) return p;
  void *more = realloc(p, (n + 1) * size);
  if (more) *cap = n;
  return more;
}

/* Room for what the rows report, each at its place. */
static nf_code reports(booking *b) {
  nf_engine *e = b->e;
  nfc_job *j = b->job;
  uint64_t width = 0;
  j->n_aux = j->n_prompt = 0;
  for (uint32_t i = 0; i < j->n_rows; i++) {
    nfc_row *r = &j->rows[i];
    r->aux = j->n_aux;
    r->prompt = j->n_prompt;
    if (r->row.flags & NF_ROW_POOL) j->n_aux += width = e->ops[e->head].op.in_features;
    if (r->row.flags & NF_ROW_LOGITS) j->n_aux += e->plan.vocab_size;
    j->n_prompt += nfc_scored(&r->row);
  }
  float *aux = grown(j->aux, &j->aux_cap, j->n_aux, sizeof *aux);
  if (aux) j->aux = aux;
  nf_prompt_logprob *prompt = grown(j->prompt, &j->prompt_cap, j->n_prompt, sizeof *prompt);
  if (prompt) j->prompt = prompt;
  double *sums = grown(j->sums, &j->sums_cap, width, sizeof *sums);
  if (sums) j->sums = sums;
  return aux && prompt && sums ? NF_OK : nfc_fail(e, NF_NOMEM, "what a step reports");
}

static nf_code rows(booking *b) {
  uint32_t used = 0;
  nf_code code;
  for (uint32_t i = 0; i < b->s->n_rows; i++)
    if ((code = check_row(b, i, &b->s->rows[i])) || (code = add_row(b, i, &b->s->rows[i], &used))) return code;
  if (used < b->s->n_tokens) return nfc_fail(b->e, NF_INVALID, "%u tokens belong to no row", b->s->n_tokens - used);
  return reports(b);
}

/* Takes a step's changes back. */
static void undo(booking *b) {
  while (b->n_deltas > 0) {
    b->n_deltas--;
    const nf_page_delta *d = &b->s->pages[b->n_deltas];
    b->e->slots[d->slot].pages[d->index] = b->before[b->n_deltas];
  }
}

/* The step passed: lengths, references and closes take effect. */
static void commit(booking *b) {
  nf_engine *e = b->e;
  for (uint32_t i = 0; i < b->job->n_rows; i++) {
    nfc_row *r = &b->job->rows[i];
    nfc_slot *s = &e->slots[r->row.slot];
    s->length += r->row.n_tokens;
    s->sampled |= r->row.flags & NF_ROW_SAMPLE;
    atomic_fetch_add(&r->seq->refs, 1);
    if (r->mask) atomic_fetch_add(&r->mask->refs, 1);
  }
  for (uint32_t i = 0; i < b->s->n_pages; i++) {
    nfc_slot *s = &e->slots[b->s->pages[i].slot];
    if (s->n_pages <= b->s->pages[i].index) s->n_pages = b->s->pages[i].index + 1;
  }
  for (uint32_t i = 0; i < b->s->n_closes; i++) nfc_slot_close(e, b->s->closes[i]);
}

static nf_code check_room(nf_engine *e, const nf_step *s) {
  if (!e->ready) return nfc_fail(e, NF_INVALID, "finalise comes first");
  if (s->seq != e->seq + 1) return nfc_fail(e, NF_INVALID, "seq = %llu, must be %llu", (unsigned long long)s->seq, (unsigned long long)e->seq + 1);
  pthread_mutex_lock(&e->mu);
  uint64_t waited = e->waited;
  pthread_mutex_unlock(&e->mu);
  if (e->seq - waited >= NF_QUEUE) return nfc_fail(e, NF_INVALID, "%d steps are not yet waited for", NF_QUEUE);
  if (s->n_rows > e->limits.max_rows) return nfc_fail(e, NF_INVALID, "%u rows, max_rows = %u", s->n_rows, e->limits.max_rows);
  return NF_OK;
}

nf_code nfc_submit(nf_engine *e, const nf_step *s) {
  nf_code code = check_room(e, s);
  if (code) return code;
  nfc_job *j = &e->jobs[s->seq % NF_QUEUE];
  j->seq = s->seq;
  j->n_rows = j->n_tokens = j->n_copies = j->late = 0;
  j->arena_len = j->n_aux = 0;
  j->done = 0;
  booking b = {.e = e, .s = s, .job = j, .marks = calloc(e->limits.max_slots, 1), .before = malloc(4 * (uint64_t)s->n_pages + 1)};
  if (!b.marks || !b.before) code = nfc_fail(e, NF_NOMEM, "a step's books");
  if (code || (code = closes(&b)) || (code = copies(&b)) || (code = deltas(&b)) || (code = rows(&b))) {
    undo(&b);
    j->n_rows = 0;
  } else {
    commit(&b);
    pthread_mutex_lock(&e->mu);
    e->seq = s->seq;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->mu);
  }
  free(b.marks);
  free(b.before);
  return code;
}

nf_code nfc_sample_late(nf_engine *e, uint64_t seq, const nf_row_mask *m, uint32_t n) {
  nf_code code = NF_OK;
  pthread_mutex_lock(&e->mu);
  nfc_job *j = &e->jobs[seq % NF_QUEUE];
  if (!e->ready || seq <= e->waited || seq > e->seq) code = nfc_fail(e, NF_INVALID, "step %llu is not in flight", (unsigned long long)seq);
  for (uint32_t i = 0; i < n && !code; i++) {
    if (m[i].row >= j->n_rows || !j->rows[m[i].row].late) code = nfc_fail(e, NF_INVALID, "row %u of step %llu waits for no mask", m[i].row, (unsigned long long)seq);
    else if (m[i].mask_id && !nfc_mask_find(e, m[i].mask_id)) code = nfc_fail(e, NF_INVALID, "row %u: mask %u is not defined", m[i].row, m[i].mask_id);
  }
  for (uint32_t i = 0; i < n && !code; i++) {
    nfc_row *r = &j->rows[m[i].row];
    if (!r->late) continue;
    nfc_mask_release(r->mask);
    r->mask = nfc_mask_find(e, m[i].mask_id);
    if (r->mask) atomic_fetch_add(&r->mask->refs, 1);
    r->late = 0;
    j->late--;
  }
  pthread_cond_broadcast(&e->changed);
  pthread_mutex_unlock(&e->mu);
  return code;
}
