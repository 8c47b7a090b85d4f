/* The submitter's books of slots and masks. */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void nfc_sequence_release(nfc_sequence *s) {
  if (!s || atomic_fetch_sub(&s->refs, 1) != 1) return;
  free((void *)s->spec.biases);
  free((void *)s->spec.eos);
  free(s);
}

void nfc_mask_release(nfc_mask *m) {
  if (m && atomic_fetch_sub(&m->refs, 1) == 1) free(m);
}

/* Bounds on what sampling would index or divide by. */
static nf_code check_sampling(nf_engine *e, const nf_slot *s) {
  const nf_sampling *p = &s->sampling;
  uint32_t vocab = e->plan.vocab_size, most = vocab < NF_TOP ? vocab : NF_TOP;
  if (!(p->temperature >= 0) || isinf(p->temperature)) return nfc_fail(e, NF_INVALID, "temperature = %g, must be finite and not negative", p->temperature);
  if (!(p->top_p > 0 && p->top_p <= 1)) return nfc_fail(e, NF_INVALID, "top_p = %g, must be above 0 and at most 1", p->top_p);
  if (!(p->min_p >= 0 && p->min_p <= 1)) return nfc_fail(e, NF_INVALID, "min_p = %g, must be from 0 to 1", p->min_p);
  if (!(p->typical_p > 0 && p->typical_p <= 1)) return nfc_fail(e, NF_INVALID, "typical_p = %g, must be above 0 and at most 1", p->typical_p);
  if (!(p->repetition > 0) || isinf(p->repetition)) return nfc_fail(e, NF_INVALID, "repetition = %g, must be finite and above 0", p->repetition);
  if (p->top_logprobs > most) return nfc_fail(e, NF_INVALID, "top_logprobs = %u, must be at most %u", p->top_logprobs, most);
  if (p->prompt_top > most) return nfc_fail(e, NF_INVALID, "prompt_top = %u, must be at most %u", p->prompt_top, most);
  if (!isfinite(p->presence) || !isfinite(p->frequency)) return nfc_fail(e, NF_INVALID, "presence = %g, frequency = %g, must be finite", p->presence, p->frequency);
  for (uint32_t i = 0; i < s->n_biases; i++)
    if ((uint32_t)s->biases[i].token >= vocab || isnan(s->biases[i].bias))
      return nfc_fail(e, NF_INVALID, "bias %g of token %d, the vocabulary has %u", s->biases[i].bias, s->biases[i].token, vocab);
  for (uint32_t i = 0; i < s->n_eos; i++)
    if ((uint32_t)s->eos[i] >= vocab) return nfc_fail(e, NF_INVALID, "eos %d, the vocabulary has %u", s->eos[i], vocab);
  return NF_OK;
}

nf_code nfc_slot_open(nf_engine *e, const nf_slot *s) {
  if (!e->ready) return nfc_fail(e, NF_INVALID, "finalise comes first");
  if (s->slot >= e->limits.max_slots) return nfc_fail(e, NF_INVALID, "slot = %u, max_slots = %u", s->slot, e->limits.max_slots);
  if (e->slots[s->slot].seq) return nfc_fail(e, NF_INVALID, "slot %u is open", s->slot);
  if (s->start >= e->limits.max_positions) return nfc_fail(e, NF_INVALID, "start = %u, max_positions = %u", s->start, e->limits.max_positions);
  if (s->adapter) return nfc_fail(e, NF_UNSUPPORTED, "adapter = %u", s->adapter);
  nf_code code = check_sampling(e, s);
  if (code) return code;
  nfc_sequence *q = calloc(1, sizeof *q);
  nf_bias *biases = malloc(s->n_biases * sizeof *biases + 1);
  int32_t *eos = malloc(s->n_eos * sizeof *eos + 1);
  if (!q || !biases || !eos) {
    free(q);
    free(biases);
    free(eos);
    return nfc_fail(e, NF_NOMEM, "slot %u", s->slot);
  }
  if (s->n_biases) memcpy(biases, s->biases, s->n_biases * sizeof *biases);
  if (s->n_eos) memcpy(eos, s->eos, s->n_eos * sizeof *eos);
  q->spec = *s;
  q->spec.biases = biases;
  q->spec.eos = eos;
  q->refs = 1;
  nfc_slot *slot = &e->slots[s->slot];
  uint32_t *pages = slot->pages;
  for (uint32_t i = 0; i < slot->n_pages; i++) pages[i] = NFC_NO_PAGE;
  *slot = (nfc_slot){.seq = q, .length = s->start, .pages = pages};
  return NF_OK;
}

nf_code nfc_slot_close(nf_engine *e, uint32_t n) {
  if (n >= e->limits.max_slots || !e->slots[n].seq) return nfc_fail(e, NF_INVALID, "slot %u is not open", n);
  nfc_sequence_release(e->slots[n].seq);
  e->slots[n].seq = NULL;
  return NF_OK;
}

static nfc_mask **place_of(nf_engine *e, uint32_t id) {
  for (uint32_t i = 0; i < e->n_masks; i++)
    if (e->masks[i]->id == id) return &e->masks[i];
  return NULL;
}

nfc_mask *nfc_mask_find(nf_engine *e, uint32_t id) {
  nfc_mask **m = id == NF_NO_MASK ? NULL : place_of(e, id);
  return m ? *m : NULL;
}

nf_code nfc_mask_define(nf_engine *e, uint32_t id, const uint32_t *bits, uint32_t n) {
  if (!e->planned) return nfc_fail(e, NF_INVALID, "plan comes first");
  uint32_t words = (e->plan.vocab_size + 31) / 32;
  if (id == NF_NO_MASK || n != words) return nfc_fail(e, NF_INVALID, "mask %u of %u words: ids start at 1, the vocabulary takes %u words", id, n, words);
  nfc_mask *m = malloc(sizeof *m + 4 * (uint64_t)n), **at = place_of(e, id);
  nfc_mask **grown = m && !at ? realloc(e->masks, (e->n_masks + 1) * sizeof *grown) : e->masks;
  if (!m || !grown) {
    free(m);
    return nfc_fail(e, NF_NOMEM, "mask %u", id);
  }
  e->masks = grown;
  m->refs = 1;
  m->id = id;
  memcpy(m->bits, bits, 4 * (uint64_t)n);
  if (at) {
    nfc_mask_release(*at);
    *at = m;
  } else {
    e->masks[e->n_masks++] = m;
  }
  return NF_OK;
}

nf_code nfc_mask_drop(nf_engine *e, uint32_t id) {
  nfc_mask **at = id == NF_NO_MASK ? NULL : place_of(e, id);
  if (!at) return nfc_fail(e, NF_INVALID, "mask %u is not defined", id);
  nfc_mask_release(*at);
  *at = e->masks[--e->n_masks];
  return NF_OK;
}
