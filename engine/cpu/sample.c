/* One token chosen by the rules that engine/sample documents, in the same order and
 * precision. */
#include "internal.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Philox4x32-10: key = seed, counter = (position, draw, choice, 0). */
double nfc_uniform(uint64_t seed, uint32_t choice, uint32_t position, uint32_t draw) {
  uint32_t c[4] = {position, draw, choice, 0}, k[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
  for (int round = 0; round < 10; round++) {
    uint64_t a = 0xD2511F53ull * c[0], b = 0xCD9E8D57ull * c[2];
    uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k[0], (uint32_t)b, (uint32_t)(a >> 32) ^ c[3] ^ k[1], (uint32_t)a};
    memcpy(c, next, sizeof c);
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  return (double)(c[0] >> 8) / 16777216;
}

static void penalise(nfc_lane *l, const nf_sampling *p, const int32_t *history, uint32_t n, uint32_t prompt) {
  if (p->repetition == 1 && p->presence == 0 && p->frequency == 0) return;
  /* counts are 0 between calls; here 1 + times sampled. */
  for (uint32_t i = 0; i < n; i++) {
    int32_t *count = &l->counts[history[i]];
    if (*count == 0) *count = 1;
    if (i >= prompt) ++*count;
  }
  for (uint32_t i = 0; i < n; i++) {
    int32_t token = history[i], times = l->counts[token] - 1;
    if (times < 0) continue;
    l->counts[token] = 0;
    float x = l->logits[token];
    x = x > 0 ? x / p->repetition : x * p->repetition;
    if (times > 0) {
      x -= p->presence;
      x -= (float)times * p->frequency;
    }
    l->logits[token] = x;
  }
}

/* Bias, masks and penalties; -infinity is out of the running. */
static void adjust(nfc_lane *l, uint32_t vocab, const int32_t *history, uint32_t n, const uint32_t *mask, const nf_slot *s) {
  for (uint32_t i = 0; i < s->n_biases; i++) l->logits[s->biases[i].token] += s->biases[i].bias;
  if (n < s->min_position)
    for (uint32_t i = 0; i < s->n_eos; i++) l->logits[s->eos[i]] = -INFINITY;
  if (mask)
    for (uint32_t i = 0; i < vocab; i++)
      if (!(mask[i / 32] >> (i % 32) & 1)) l->logits[i] = -INFINITY;
  penalise(l, &s->sampling, history, n, s->prompt_len);
}

/* A key that rises as the logit falls. */
static uint32_t falling(float logit) {
  uint32_t bits;
  logit += 0.0f; /* -0 and 0 are equal */
  memcpy(&bits, &logit, 4);
  return bits >> 31 ? bits : ~bits & 0x7fffffff;
}

/* Sorts by key, in three stable passes of eleven bits. */
static nfc_candidate *sorted(nfc_lane *l, uint32_t n) {
  nfc_candidate *from = l->a, *to = l->b;
  for (int shift = 0; shift < 33; shift += 11) {
    uint32_t first[2049] = {0};
    for (uint32_t i = 0; i < n; i++) first[(from[i].key >> shift & 2047) + 1]++;
    for (int i = 1; i < 2049; i++) first[i] += first[i - 1];
    for (uint32_t i = 0; i < n; i++) to[first[from[i].key >> shift & 2047]++] = from[i];
    nfc_candidate *swap = from;
    from = to;
    to = swap;
  }
  return from;
}

static void normalise(nfc_candidate *c, uint32_t n) {
  double top = c[0].logit, sum = 0;
  for (uint32_t i = 0; i < n; i++) {
    c[i].p = c[i].logit == top ? 1 : exp(c[i].logit - top);
    sum += c[i].p;
  }
  for (uint32_t i = 0; i < n; i++) c[i].p /= sum;
}

/* How many of the first candidates it takes to reach probability p. */
static uint32_t mass(const nfc_candidate *c, uint32_t n, double p) {
  double sum = 0;
  for (uint32_t i = 0; i < n; i++)
    if ((sum += c[i].p) >= p) return i + 1;
  return n;
}

/* Sorts by the distance of the surprise from the entropy; equals keep their order. */
static void by_distance(nfc_candidate *c, nfc_candidate *scratch, uint32_t n, double entropy) {
  for (uint32_t width = 1; width < n; width *= 2) {
    for (uint32_t low = 0; low < n; low += 2 * width) {
      uint32_t i = low, middle = low + width < n ? low + width : n, j = middle, high = middle + width < n ? middle + width : n;
      for (uint32_t k = low; k < high; k++) {
        int left = i < middle && (j >= high || fabs(-log(c[i].p) - entropy) <= fabs(-log(c[j].p) - entropy));
        scratch[k] = left ? c[i++] : c[j++];
      }
    }
    memcpy(c, scratch, n * sizeof *c);
  }
}

static uint32_t typical(nfc_lane *l, nfc_candidate **chosen, uint32_t n, double p) {
  nfc_candidate *c = *chosen;
  double entropy = 0;
  nfc_candidate *scratch = c == l->a ? l->b : l->a;
  for (uint32_t i = 0; i < n; i++)
    if (c[i].p > 0) entropy -= c[i].p * log(c[i].p);
  by_distance(c, scratch, n, entropy);
  n = mass(c, n, p);
  memmove(l->a, c, n * sizeof *c);
  c = sorted(l, n); /* best first again; equals kept their order */
  *chosen = c;
  normalise(c, n);
  return n;
}

/* top_k, top_p, min_p, typical_p; at least one candidate stays. */
static uint32_t cut(nfc_lane *l, nfc_candidate **chosen, uint32_t n, const nf_sampling *p) {
  nfc_candidate *c = *chosen;
  if (p->top_k > 0 && p->top_k < n) normalise(c, n = p->top_k);
  if (p->top_p < 1) normalise(c, n = mass(c, n, p->top_p));
  if (p->min_p > 0) {
    double least = (double)p->min_p * c[0].p;
    uint32_t kept = 1;
    while (kept < n && c[kept].p >= least) kept++;
    normalise(c, n = kept);
  }
  return p->typical_p < 1 ? typical(l, chosen, n, p->typical_p) : n;
}

int nfc_choose(nfc_lane *l, const float *logits, uint32_t vocab, const int32_t *history, uint32_t n_history, const uint32_t *mask, const nf_slot *s, int32_t *token) {
  int bad = 0; /* NaN and +infinity are no distribution */
  for (uint32_t i = 0; i < vocab; i++) bad |= !(logits[i] <= FLT_MAX);
  if (bad) return 0;
  memcpy(l->logits, logits, 4 * (uint64_t)vocab);
  adjust(l, vocab, history, n_history, mask, s);
  int32_t best = -1;
  float top = -INFINITY;
  for (uint32_t i = 0; i < vocab; i++)
    if (l->logits[i] > top) {
      best = (int32_t)i;
      top = l->logits[i];
    }
  *token = best;
  if (best < 0 || s->sampling.temperature == 0) return best >= 0;
  uint32_t n = 0;
  for (uint32_t i = 0; i < vocab; i++)
    if (l->logits[i] != -INFINITY) l->a[n++] = (nfc_candidate){.logit = (double)l->logits[i] / (double)s->sampling.temperature, .token = (int32_t)i, .key = falling(l->logits[i])};
  nfc_candidate *c = sorted(l, n);
  normalise(c, n);
  n = cut(l, &c, n, &s->sampling);
  double u = nfc_uniform(s->seed, s->choice, n_history, 0), sum = 0;
  *token = c[n - 1].token;
  for (uint32_t i = 0; i < n; i++)
    if (u < (sum += c[i].p)) {
      *token = c[i].token;
      break;
    }
  return 1;
}

/* The likeliest tokens, best first, the lower id first among equals. */
static uint32_t best_of(const float *logits, uint32_t vocab, uint32_t n, int32_t *tokens) {
  uint32_t held = 0;
  for (uint32_t i = 0; i < vocab; i++) {
    if (held == n && !(logits[i] > logits[tokens[n - 1]])) continue;
    uint32_t at = held < n ? held++ : n - 1;
    for (; at > 0 && logits[i] > logits[tokens[at - 1]]; at--) tokens[at] = tokens[at - 1];
    tokens[at] = (int32_t)i;
  }
  return held;
}

/* The logarithm of the sum of the exponentials. */
static double log_sum(const float *logits, uint32_t vocab) {
  double top = -INFINITY, sum = 0;
  for (uint32_t i = 0; i < vocab; i++) top = logits[i] > top ? logits[i] : top;
  for (uint32_t i = 0; i < vocab; i++) sum += exp((double)logits[i] - top);
  return top + log(sum);
}

/* How likely a prompt's token was, and the alternatives. */
void nfc_score(const float *logits, uint32_t vocab, int32_t token, uint32_t top, nf_prompt_logprob *out) {
  double sum = log_sum(logits, vocab);
  *out = (nf_prompt_logprob){.logprob = (float)((double)logits[token] - sum), .rank = 1};
  for (uint32_t i = 0; i < vocab; i++) out->rank += logits[i] > logits[token];
  if (top) out->n_top = best_of(logits, vocab, top, out->top_tokens);
  for (uint32_t i = 0; i < out->n_top; i++) out->top_logprobs[i] = (float)((double)logits[out->top_tokens[i]] - sum);
}

/* Raw logprobs of the chosen token and of the alternatives. */
void nfc_report(const float *logits, uint32_t vocab, const nf_sampling *p, nf_result_row *r) {
  if (!p->logprobs && !p->top_logprobs) return;
  double sum = log_sum(logits, vocab);
  if (p->logprobs) r->logprobs[0] = (float)((double)logits[r->tokens[0]] - sum);
  if (!p->top_logprobs) return;
  r->n_top = best_of(logits, vocab, p->top_logprobs, r->top_tokens);
  for (uint32_t i = 0; i < r->n_top; i++) r->top_logprobs[i] = (float)((double)logits[r->top_tokens[i]] - sum);
}
