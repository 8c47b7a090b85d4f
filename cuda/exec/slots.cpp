// Slots and masks: the submitter's books.
#include <math.h>
#include <string.h>

#include <algorithm>
#include <string>

#include "common/text.h"
#include "exec/engine.h"
#include "kernels/sample/sample.h"

namespace nf {
namespace {

using std::to_string;

nf_code invalid(const std::string &text) { return fail(NF_INVALID, "slot_open: " + text); }

// Bounds what sampling would index or divide by.
nf_code check_sampling(const nf_sampling &p, uint32_t vocabulary) {
  if (!(p.temperature >= 0) || isinf(p.temperature)) return invalid("temperature = " + to_string(p.temperature) + ", must be finite and not negative");
  if (!(p.top_p > 0 && p.top_p <= 1)) return invalid("top_p = " + to_string(p.top_p) + ", must be above 0 and at most 1");
  if (!(p.min_p >= 0 && p.min_p <= 1)) return invalid("min_p = " + to_string(p.min_p) + ", must be from 0 to 1");
  if (!(p.typical_p > 0 && p.typical_p <= 1)) return invalid("typical_p = " + to_string(p.typical_p) + ", must be above 0 and at most 1");
  if (!(p.repetition > 0) || isinf(p.repetition)) return invalid("repetition = " + to_string(p.repetition) + ", must be finite and above 0");
  if (!isfinite(p.presence) || !isfinite(p.frequency)) return invalid("a penalty is not finite");
  if (p.top_logprobs > NF_TOP || p.top_logprobs > vocabulary) return invalid("top_logprobs = " + to_string(p.top_logprobs) + ", must be at most 20 and the vocabulary");
  if (p.prompt_top > NF_TOP || p.prompt_top > vocabulary) return invalid("prompt_top = " + to_string(p.prompt_top) + ", must be at most 20 and the vocabulary");
  return NF_OK;
}

nf_code check_lists(const nf_slot &s, uint32_t vocabulary) {
  if (static_cast<uint64_t>(s.n_biases) + s.n_eos > sample_biases_max) {
    return fail(NF_UNSUPPORTED, "slot_open: " + to_string(s.n_biases) + " biases and " + to_string(s.n_eos) + " eos tokens, at most 1024 together");
  }
  for (uint32_t i = 0; i < s.n_biases; i++) {
    const nf_bias &b = s.biases[i];
    if (static_cast<uint32_t>(b.token) >= vocabulary || isnan(b.bias)) return invalid("bias " + to_string(b.bias) + " of token " + to_string(b.token) + ", the vocabulary has " + to_string(vocabulary));
  }
  for (uint32_t i = 0; i < s.n_eos; i++) {
    if (static_cast<uint32_t>(s.eos[i]) >= vocabulary) return invalid("eos " + to_string(s.eos[i]) + ", the vocabulary has " + to_string(vocabulary));
  }
  return NF_OK;
}

}  // namespace

nf_code engine_slot_open(nf_engine *e, const nf_slot *s) {
  if (!e->ready) return invalid("finalise comes first");
  if (!s || s->size != sizeof *s || s->sampling.size != sizeof s->sampling) return invalid("it is NULL or has another size");
  if (s->slot >= e->limits.max_slots) return invalid("slot = " + to_string(s->slot) + ", max_slots = " + to_string(e->limits.max_slots));
  if (e->slots[s->slot].open) return invalid("slot " + to_string(s->slot) + " is open");
  if (s->start >= e->limits.max_positions) return invalid("start = " + to_string(s->start) + ", max_positions = " + to_string(e->limits.max_positions));
  if (s->adapter != 0) return fail(NF_UNSUPPORTED, "slot_open: adapter = " + to_string(s->adapter));
  if (const nf_code c = check_sampling(s->sampling, e->plan.vocabulary)) return c;
  if (const nf_code c = check_lists(*s, e->plan.vocabulary)) return c;
  slot_state &slot = e->slots[s->slot];
  slot.open = true;
  slot.sampled = false;
  slot.length = s->start;
  slot.pages.assign(e->plan.pages_per_slot, no_page);
  slot.spec = *s;
  slot.biases.assign(s->biases, s->biases + s->n_biases);
  slot.eos.assign(s->eos, s->eos + s->n_eos);
  if (std::find(e->opened.begin(), e->opened.end(), s->slot) == e->opened.end()) e->opened.push_back(s->slot);
  return NF_OK;
}

nf_code engine_slot_close(nf_engine *e, uint32_t slot) {
  if (slot >= e->slots.size() || !e->slots[slot].open) return fail(NF_INVALID, "slot_close: slot " + to_string(slot) + " is not open");
  e->slots[slot].open = false;
  return NF_OK;
}

nf_code engine_mask_define(nf_engine *e, uint32_t id, const uint32_t *bits, uint32_t n_words) {
  if (!e->planned) return fail(NF_INVALID, "mask_define: plan comes first");
  const uint32_t words = (e->plan.vocabulary + 31) / 32;
  if (id == NF_NO_MASK || n_words != words || !bits) {
    return fail(NF_INVALID, "mask_define: mask " + to_string(id) + " of " + to_string(n_words) + " words: ids start at 1, the vocabulary takes " + to_string(words) + " words");
  }
  e->masks[id].assign(bits, bits + n_words);
  return NF_OK;
}

nf_code engine_mask_drop(nf_engine *e, uint32_t id) {
  if (e->masks.erase(id) == 0) return fail(NF_INVALID, "mask_drop: mask " + to_string(id) + " is not defined");
  return NF_OK;
}

}  // namespace nf
