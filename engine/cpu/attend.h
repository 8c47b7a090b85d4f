/* Attention of a span's tokens for the query heads of one key-value head: page by
 * page in order, with a running maximum and sum. */

typedef struct head_state {
  float top, sum;
  float out[NFC_MAX_HEAD];
} head_state;

/* Scores of the page's positions [from, to); the others are -infinity. */
INLINE void page_scores(const nfc_attention *a, const float *q, const float *keys, uint32_t from, uint32_t to, float *scores) {
  v8 s[8];
  for (int i = 0; i < 8; i++) s[i] = all(0);
  for (uint32_t d = 0; d < a->dim; d++) {
    v8 x = all(q[d]);
    for (int i = 0; i < 8; i++) s[i] = fma8(x, load(keys + NF_PAGE * d + 8 * i), s[i]);
  }
  for (int i = 0; i < 8; i++) keep(scores + 8 * i, s[i] * all(a->scale));
  if (a->softcap != 0)
    for (uint32_t i = from; i < to; i++) scores[i] = a->softcap * tanhf(scores[i] / a->softcap);
  for (uint32_t i = 0; i < NF_PAGE; i++)
    if (i < from || i >= to) scores[i] = -INFINITY;
}

/* Takes one page into a head's state. */
static void take_page(const nfc_attention *a, head_state *h, const float *q, const float *keys, const float *values, uint32_t from, uint32_t to) {
  float p[NF_PAGE];
  page_scores(a, q, keys, from, to, p);
  float top = h->top;
  for (int i = 0; i < NF_PAGE; i++) top = p[i] > top ? p[i] : top;
  if (top == -INFINITY) top = 0; /* NaN or -infinity alone */
  float shrink = h->top == -INFINITY ? 0 : exp8(all(h->top - top))[0];
  v8 sum = all(0);
  for (int i = 0; i < NF_PAGE; i += 8) {
    v8 s = load(p + i), e = exp8(s - all(top));
    e = pick(s == all(-INFINITY), all(0), e);
    sum += e;
    keep(p + i, e);
  }
  h->sum = h->sum * shrink + total(sum);
  h->top = top;
  uint32_t d = 0;
  for (; d + 8 <= a->dim; d += 8) {
    v8 out = load(h->out + d) * all(shrink), more = all(0);
    uint32_t i = from;
    for (; i + 2 <= to; i += 2) {
      out = fma8(all(p[i]), load(values + (uint64_t)a->dim * i + d), out);
      more = fma8(all(p[i + 1]), load(values + (uint64_t)a->dim * (i + 1) + d), more);
    }
    if (i < to) out = fma8(all(p[i]), load(values + (uint64_t)a->dim * i + d), out);
    keep(h->out + d, out + more);
  }
  for (; d < a->dim; d++) {
    float out = h->out[d] * shrink;
    for (uint32_t i = from; i < to; i++) out += p[i] * values[(uint64_t)a->dim * i + d];
    h->out[d] = out;
  }
}

/* K or V of a page as float; n elements, a multiple of 64. */
INLINE const float *as_floats(const nfc_pool_kv *kv, const uint8_t *at, uint32_t n, float *scratch) {
  if (kv->dtype == NF_F32) return (const float *)(const void *)at;
  for (uint32_t i = 0; i < n; i += 8) keep(scratch + i, halves(at + 2 * i));
  return scratch;
}

static void attention(const nfc_attention *a, const nfc_pool_kv *kv, uint32_t layer, const nfc_span *span, uint32_t kv_head) {
  float keys[NFC_MAX_HEAD * NF_PAGE], values[NFC_MAX_HEAD * NF_PAGE];
  head_state states[NFC_MAX_GROUP];
  uint32_t group = a->heads / a->kv_heads, last = span->position + span->n - 1;
  for (uint32_t i = 0; i < span->n * group; i++) {
    states[i].top = -INFINITY;
    states[i].sum = 0;
    memset(states[i].out, 0, sizeof(float) * a->dim);
  }
  uint32_t first = a->window && span->position >= a->window ? span->position - a->window + 1 : 0;
  for (uint32_t page = first / NF_PAGE; page <= last / NF_PAGE; page++) {
    const uint8_t *at = kv->kv + kv->page * span->pages[page] + kv->layer * layer + kv->head * kv_head;
    const float *k = as_floats(kv, at, a->dim * NF_PAGE, keys);
    uint32_t held = last / NF_PAGE == page ? last % NF_PAGE + 1 : NF_PAGE;
    const float *v = as_floats(kv, at + kv->half, a->dim * held + (a->dim * held % 8 ? 8 - a->dim * held % 8 : 0), values);
    for (uint32_t t = 0; t < span->n; t++) {
      uint32_t position = span->position + t, base = page * NF_PAGE;
      uint32_t low = a->window && position >= a->window ? position - a->window + 1 : 0;
      uint32_t from = low > base ? low - base : 0, to = position < base ? 0 : position - base + 1;
      if (to > NF_PAGE) to = NF_PAGE;
      if (from >= to) continue;
      for (uint32_t g = 0; g < group; g++) {
        const float *q = a->qkv + (uint64_t)(span->token + t) * a->width + (uint64_t)(kv_head * group + g) * a->dim;
        take_page(a, &states[t * group + g], q, k, v, from, to);
      }
    }
  }
  for (uint32_t t = 0; t < span->n; t++)
    for (uint32_t g = 0; g < group; g++) {
      head_state *h = &states[t * group + g];
      float *out = a->out + (uint64_t)(span->token + t) * a->heads * a->dim + (uint64_t)(kv_head * group + g) * a->dim;
      for (uint32_t d = 0; d < a->dim; d++) out[d] = h->out[d] / h->sum;
    }
}
