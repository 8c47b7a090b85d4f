/* Calls through the function table, which Go cannot make itself. */
#ifndef NF_CAPI_H
#define NF_CAPI_H

#include <stdlib.h>
#include "nanofleet.h"

static inline nf_code nfc_probe(const nf_api *a, nf_probe_info *i) { return a->probe(i); }
static inline nf_code nfc_create(const nf_api *a, const int32_t *d, uint32_t n, const nf_limits *l, nf_engine **e) { return a->create(d, n, l, e); }
static inline nf_code nfc_plan(const nf_api *a, nf_engine *e, const nf_plan *p) { return a->plan(e, p); }
static inline nf_code nfc_tensor_put(const nf_api *a, nf_engine *e, const nf_tensor *t, const void *data) {
  nf_tensor with = *t;
  with.data = data;
  return a->tensor_put(e, &with);
}
static inline nf_code nfc_finalise(const nf_api *a, nf_engine *e, nf_bytes *b) { return a->finalise(e, b); }
static inline nf_code nfc_slot_open(const nf_api *a, nf_engine *e, const nf_slot *s, const nf_bias *biases, const int32_t *eos) {
  nf_slot with = *s;
  with.biases = biases;
  with.eos = eos;
  return a->slot_open(e, &with);
}
static inline nf_code nfc_slot_close(const nf_api *a, nf_engine *e, uint32_t s) { return a->slot_close(e, s); }
static inline nf_code nfc_mask_define(const nf_api *a, nf_engine *e, uint32_t id, const uint32_t *bits, uint32_t n) { return a->mask_define(e, id, bits, n); }
static inline nf_code nfc_mask_drop(const nf_api *a, nf_engine *e, uint32_t id) { return a->mask_drop(e, id); }
static inline nf_code nfc_submit(const nf_api *a, nf_engine *e, const nf_step *s) { return a->submit(e, s); }
static inline nf_code nfc_sample(const nf_api *a, nf_engine *e, uint64_t seq, const nf_row_mask *m, uint32_t n) { return a->sample(e, seq, m, n); }
static inline nf_code nfc_wait(const nf_api *a, nf_engine *e, uint64_t seq, nf_result *r, uint64_t us) { return a->wait(e, seq, r, us); }
static inline nf_code nfc_stats(const nf_api *a, nf_engine *e, nf_stats *s) { return a->stats(e, s); }
static inline const char *nfc_last_error(const nf_api *a, nf_engine *e) { return a->last_error(e); }
static inline void nfc_destroy(const nf_api *a, nf_engine *e) { a->destroy(e); }
static inline uint32_t nfc_version(const nf_api *a) { return a->abi_version; }

#endif
