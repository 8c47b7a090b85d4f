// submit: a step is checked as a whole, taken into the books and laid out for the
// device. A refused step has no effect.
#include <string.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/text.h"
#include "exec/engine.h"
#include "kernels/attention/attention.h"
#include "kernels/attention/prefill.h"

namespace nf {
namespace {

using std::to_string;

constexpr uint32_t row_flags = NF_ROW_SAMPLE | NF_ROW_LATE_MASK | NF_ROW_PROMPT_LOGPROBS | NF_ROW_LOGITS | NF_ROW_POOL | NF_ROW_CONTINUE | NF_ROW_POOL_SUM;

nf_code invalid(const std::string &text) { return fail(NF_INVALID, "submit: " + text); }
nf_code unsupported(const std::string &text) { return fail(NF_UNSUPPORTED, "submit: " + text); }

// Takes a step into the books and remembers how to take it out again.
class booking {
 public:
  booking(nf_engine *e, const nf_step &s, step_state *out) : e_(e), s_(s), out_(out) {}

  nf_code book() {
    nf_code c = effects();
    if (!c) c = rows();
    if (c) undo();
    return c;
  }

 private:
  struct page_was {
    uint32_t slot, index, page;
  };
  struct slot_was {
    uint32_t slot, length;
    bool open, sampled;
  };

  slot_state *open(uint32_t n) { return n < e_->slots.size() && e_->slots[n].open ? &e_->slots[n] : nullptr; }

  void remember(uint32_t n) {
    const slot_state &s = e_->slots[n];
    slots_.push_back({n, s.length, s.open, s.sampled});
  }

  void undo() {
    for (auto p = pages_.rbegin(); p != pages_.rend(); ++p) e_->slots[p->slot].pages[p->index] = p->page;
    for (auto s = slots_.rbegin(); s != slots_.rend(); ++s) {
      slot_state &slot = e_->slots[s->slot];
      slot.length = s->length;
      slot.open = s->open;
      slot.sampled = s->sampled;
    }
  }

  // Closes, copies and pages, in this order.
  nf_code effects() {
    const nf_limits &l = e_->limits;
    if (s_.n_rows > l.max_rows) return invalid(to_string(s_.n_rows) + " rows, max_rows = " + to_string(l.max_rows));
    if (s_.n_copies > l.n_pages) return unsupported(to_string(s_.n_copies) + " page copies, at most n_pages");
    if (s_.n_pages > static_cast<uint64_t>(l.max_slots) * e_->plan.pages_per_slot) return unsupported(to_string(s_.n_pages) + " pages, more than all slots hold");
    for (uint32_t i = 0; i < s_.n_closes; i++) {
      const uint32_t n = s_.closes[i];
      if (!open(n)) return invalid("closes slot " + to_string(n) + ", which is not open");
      remember(n);
      e_->slots[n].open = false;
    }
    for (uint32_t i = 0; i < s_.n_copies; i++) {
      const nf_page_copy &c = s_.copies[i];
      if (c.kind != NF_COPY_D2D || c.kv_group != 0) return unsupported("page copy of kind " + to_string(c.kind) + ", kv_group " + to_string(c.kv_group) + ": only device to device in group 0");
      if (c.from >= l.n_pages || c.to >= l.n_pages) return invalid("page copy from " + to_string(c.from) + " to " + to_string(c.to) + ", n_pages = " + to_string(l.n_pages));
    }
    for (uint32_t i = 0; i < s_.n_pages; i++) {
      if (const nf_code c = page(s_.pages[i])) return c;
    }
    return NF_OK;
  }

  nf_code page(const nf_page_delta &d) {
    slot_state *s = open(d.slot);
    if (!s) return invalid("page for slot " + to_string(d.slot) + ", which is not open");
    if (d.kv_group != 0) return unsupported("page of kv_group " + to_string(d.kv_group));
    if (d.page >= e_->limits.n_pages || d.index >= s->pages.size()) {
      return invalid("page " + to_string(d.page) + " at index " + to_string(d.index) + " of slot " + to_string(d.slot) + ": n_pages = " + to_string(e_->limits.n_pages) + ", at most " + to_string(s->pages.size()) + " a slot");
    }
    pages_.push_back({d.slot, d.index, s->pages[d.index]});
    s->pages[d.index] = d.page;
    return NF_OK;
  }

  nf_code rows() {
    in_step_.assign(e_->slots.size(), false);
    uint64_t tokens = 0, explicit_tokens = 0;
    uint32_t logits = 0;
    for (uint32_t i = 0; i < s_.n_rows; i++) {
      const nf_row &r = s_.rows[i];
      if (const nf_code c = row(i, r)) return c;
      tokens += r.n_tokens;
      explicit_tokens += r.n_tokens - (r.flags & NF_ROW_CONTINUE ? 1 : 0);
      if (tokens > e_->limits.max_tokens || explicit_tokens > s_.n_tokens) {
        return invalid("row " + to_string(i) + " has " + to_string(r.n_tokens) + " tokens: the step has " + to_string(s_.n_tokens) + ", max_tokens = " + to_string(e_->limits.max_tokens));
      }
      logits += r.flags & NF_ROW_LOGITS ? 1 : 0;
      remember(r.slot);
      slot_state &s = e_->slots[r.slot];
      s.length += r.n_tokens;
      s.sampled |= (r.flags & NF_ROW_SAMPLE) != 0;
    }
    if (logits > logits_rows_max) return unsupported(to_string(logits) + " rows ask for logits, at most " + to_string(logits_rows_max));
    if (explicit_tokens < s_.n_tokens) return invalid(to_string(s_.n_tokens - explicit_tokens) + " tokens belong to no row");
    for (uint32_t i = 0; i < s_.n_tokens; i++) {
      if (static_cast<uint32_t>(s_.tokens[i]) >= e_->plan.vocabulary) return invalid("token " + to_string(s_.tokens[i]) + ", the vocabulary has " + to_string(e_->plan.vocabulary));
    }
    out_->n_tokens = static_cast<uint32_t>(tokens);
    return NF_OK;
  }

  nf_code row(uint32_t i, const nf_row &r) {
    const nf_limits &l = e_->limits;
    const std::string at = "row " + to_string(i) + ": ";
    const slot_state *s = open(r.slot);
    if (!s) return invalid(at + "slot " + to_string(r.slot) + " is not open");
    if (in_step_[r.slot]) return invalid(at + "slot " + to_string(r.slot) + " has a row in this step");
    if (r.flags & ~row_flags) return unsupported(at + "flags = " + to_string(r.flags & ~row_flags));
    if (r.n_draft != 0) return unsupported(at + "n_draft = " + to_string(r.n_draft));
    if (r.n_tokens == 0 || r.n_tokens > l.max_tokens) return invalid(at + "n_tokens = " + to_string(r.n_tokens) + ", must be from 1 to " + to_string(l.max_tokens));
    if (r.n_tokens > l.max_positions - s->length) return invalid(at + to_string(r.n_tokens) + " tokens after " + to_string(s->length) + ", max_positions = " + to_string(l.max_positions));
    if (r.flags & NF_ROW_CONTINUE && !s->sampled) return invalid(at + "slot " + to_string(r.slot) + " has sampled nothing to continue from");
    if (!(r.flags & NF_ROW_SAMPLE) && (r.flags & (NF_ROW_LATE_MASK | NF_ROW_LOGITS) || r.mask_id != NF_NO_MASK)) return invalid(at + "masks and logits belong to rows that sample");
    if (r.mask_id != NF_NO_MASK && !e_->masks.count(r.mask_id)) return invalid(at + "mask " + to_string(r.mask_id) + " is not defined");
    if (r.flags & NF_ROW_POOL_SUM && !(r.flags & NF_ROW_POOL)) return invalid(at + "a sum belongs to rows that pool");
    if (r.flags & NF_ROW_POOL && r.flags & NF_ROW_SAMPLE) return invalid(at + "a row that pools does not sample");
    if (r.flags & (NF_ROW_POOL | NF_ROW_PROMPT_LOGPROBS) && e_->plan.pool_width == 0) return unsupported(at + "the plan has no head");
    if (r.flags & NF_ROW_PROMPT_LOGPROBS && r.next != -1 && static_cast<uint32_t>(r.next) >= e_->plan.vocabulary) {
      return invalid(at + "next = " + to_string(r.next) + ", the vocabulary has " + to_string(e_->plan.vocabulary));
    }
    in_step_[r.slot] = true;
    for (uint32_t index = 0; index < (s->length + r.n_tokens + NF_PAGE - 1) / NF_PAGE; index++) {
      if (s->pages[index] == no_page) return invalid(at + "slot " + to_string(r.slot) + " has no page " + to_string(index));
    }
    return NF_OK;
  }

  nf_engine *e_;
  const nf_step &s_;
  step_state *out_;
  std::vector<page_was> pages_;
  std::vector<slot_was> slots_;
  std::vector<bool> in_step_;
};

// Appends arrays to the staging memory.
class packer {
 public:
  explicit packer(char *base) : base_(base) {}

  template <typename T>
  uint64_t put(const std::vector<T> &from) {
    const uint64_t at = used_;
    if (!from.empty()) memcpy(base_ + at, from.data(), from.size() * sizeof(T));
    used_ = aligned(used_ + from.size() * sizeof(T));
    return at;
  }
  uint64_t used() const { return used_; }

 private:
  char *base_;
  uint64_t used_ = 0;
};

// Lays a booked step out.
class layout {
 public:
  layout(nf_engine *e, const nf_step &s, step_state *out) : e_(e), s_(s), out_(out) {}

  void lay() {
    for (const uint32_t slot : e_->opened) pages_.push_back({slot, 0, 0, 1});
    for (uint32_t i = 0; i < s_.n_pages; i++) {
      const nf_page_delta &d = s_.pages[i];
      pages_.push_back({d.slot, d.index, e_->slots[d.slot].pages[d.index], 0});
    }
    for (uint32_t i = 0; i < s_.n_copies; i++) copies_.push_back({s_.copies[i].from, s_.copies[i].to});
    const int32_t *tokens = s_.tokens;
    for (uint32_t i = 0; i < s_.n_rows; i++) tokens = row(i, s_.rows[i], tokens);
    pack();
  }

 private:
  const int32_t *row(uint32_t i, const nf_row &r, const int32_t *next) {
    const slot_state &s = e_->slots[r.slot];
    const uint32_t start = s.length - r.n_tokens, first = tokens_.size();
    for (uint32_t t = 0; t < r.n_tokens; t++) {
      const bool last_sampled = t == 0 && r.flags & NF_ROW_CONTINUE;
      tokens_.push_back({r.slot, start + t, last_sampled ? -1 : *next++, s.pages[(start + t) / NF_PAGE]});
    }
    attend(r, first, start);
    if (r.flags & NF_ROW_PROMPT_LOGPROBS) prompt(r, first, s.spec.sampling.prompt_top);
    if (r.flags & NF_ROW_POOL) pool(r, first);
    if (r.flags & (NF_ROW_LOGITS | NF_ROW_POOL)) out_->aux.push_back((r.flags & NF_ROW_POOL) != 0);
    out_->slots.push_back(r.slot);
    if (r.flags & NF_ROW_SAMPLE) choice(i, r, s);
    return next;
  }

  void attend(const nf_row &r, uint32_t first, uint32_t start) {
    if (e_->plan.walks && r.n_tokens == 1) {
      walks_.push_back({r.slot, first, start + 1, spans_});
      spans_ += (start + decode_span) / decode_span;
      return;
    }
    const uint32_t most = (e_->plan.prefills ? prefill_queries : attention_queries) / e_->plan.queries_per_token;
    for (uint32_t t = 0; t < r.n_tokens; t += most) tiles_.push_back({r.slot, first + t, std::min(most, r.n_tokens - t), start + t});
  }

  void prompt(const nf_row &r, uint32_t first, uint32_t top) {
    for (uint32_t t = first; t < first + r.n_tokens; t++) {
      const int32_t next = t + 1 < first + r.n_tokens ? tokens_[t + 1].id : r.next;
      if (next >= 0) prompts_.push_back({t, next, top});
    }
  }

  void pool(const nf_row &r, uint32_t first) {
    const uint32_t last = first + r.n_tokens - 1;
    for (uint32_t t = r.flags & NF_ROW_POOL_SUM ? first : last; t <= last; t++) pooled_.push_back({t, out_->n_vectors});
    out_->n_vectors++;
  }

  void choice(uint32_t i, const nf_row &r, const slot_state &s) {
    const nf_sampling &p = s.spec.sampling;
    step_choice c = {};
    c.slot = r.slot;
    c.row = i;
    c.token = static_cast<uint32_t>(tokens_.size() - 1);
    c.length = s.length;
    c.prompt = s.spec.prompt_len;
    c.choice = s.spec.choice;
    c.seed_low = static_cast<uint32_t>(s.spec.seed);
    c.seed_high = static_cast<uint32_t>(s.spec.seed >> 32);
    c.temperature = p.temperature;
    c.top_p = p.top_p;
    c.min_p = p.min_p;
    c.typical_p = p.typical_p;
    c.presence = p.presence;
    c.frequency = p.frequency;
    c.repetition = p.repetition;
    c.top_k = p.top_k;
    c.logprobs = p.logprobs;
    c.top_logprobs = p.top_logprobs;
    c.biases = static_cast<uint32_t>(biases_.size());
    c.n_biases = static_cast<uint32_t>(s.biases.size());
    for (const nf_bias &b : s.biases) biases_.push_back({b.token, b.bias});
    if (s.length < s.spec.min_position) {
      c.n_eos = static_cast<uint32_t>(s.eos.size());
      for (const int32_t id : s.eos) biases_.push_back({id, 0});
    }
    c.mask = no_mask;
    if (r.mask_id != NF_NO_MASK) {
      const std::vector<uint32_t> &bits = e_->masks.at(r.mask_id);
      c.mask = static_cast<uint32_t>(masks_.size());
      masks_.insert(masks_.end(), bits.begin(), bits.end());
    }
    c.late = (r.flags & NF_ROW_LATE_MASK) != 0;
    out_->late += c.late;
    if (r.flags & NF_ROW_LOGITS) out_->logits_rows[out_->n_logits++] = static_cast<uint32_t>(out_->choices.size());
    sampled_.push_back(static_cast<int32_t>(c.token));
    out_->choices.push_back(c);
  }

  // The longest first, so that the processors end together.
  void order_tiles() {
    const auto end = [](const step_tile &t) { return t.position + t.n_tokens; };
    std::stable_sort(tiles_.begin(), tiles_.end(), [&](const step_tile &a, const step_tile &b) { return end(a) > end(b); });
    out_->longest = tiles_.empty() ? 0 : end(tiles_.front());
  }

  void pack() {
    packer p(out_->staging);
    if (e_->plan.prefills) order_tiles();
    // First what a captured pass reads: where these lie follows from their numbers.
    out_->tokens = p.put(tokens_);
    out_->walks = p.put(walks_);
    out_->tiles = p.put(tiles_);
    out_->sampled = p.put(sampled_);
    out_->chosen = p.put(out_->choices);
    out_->pages = p.put(pages_);
    out_->copies = p.put(copies_);
    for (const step_prompt &t : prompts_) gathers_.push_back(static_cast<int32_t>(t.token));
    for (const step_pooled &t : pooled_) gathers_.push_back(static_cast<int32_t>(t.token));
    out_->prompts = p.put(prompts_);
    out_->pooled = p.put(pooled_);
    out_->gathers = p.put(gathers_);
    out_->biases = p.put(biases_);
    out_->mask_words = p.put(masks_);
    out_->used = p.used();
    out_->n_rows = s_.n_rows;
    out_->n_walks = static_cast<uint32_t>(walks_.size());
    out_->n_tiles = static_cast<uint32_t>(tiles_.size());
    out_->n_prompts = static_cast<uint32_t>(prompts_.size());
    out_->n_pooled = static_cast<uint32_t>(pooled_.size());
    out_->n_pages = static_cast<uint32_t>(pages_.size());
    out_->n_copies = static_cast<uint32_t>(copies_.size());
    out_->n_sampled = static_cast<uint32_t>(out_->choices.size());
  }

  nf_engine *e_;
  const nf_step &s_;
  step_state *out_;
  std::vector<step_token> tokens_;
  uint32_t spans_ = 0;
  std::vector<step_walk> walks_;
  std::vector<step_tile> tiles_;
  std::vector<step_prompt> prompts_;
  std::vector<step_pooled> pooled_;
  std::vector<int32_t> gathers_;
  std::vector<step_page> pages_;
  std::vector<step_copy> copies_;
  std::vector<int32_t> sampled_;
  std::vector<step_bias> biases_;
  std::vector<uint32_t> masks_;
};

// A step whose late rows still wait for masks holds back the one behind it.
bool held_back(nf_engine *e) {
  std::lock_guard<std::mutex> lock(e->mu);
  return e->queue.size() == 2 && e->queue.front()->late > 0;
}

nf_code launch(nf_engine *e, step_state *s) {
  s->launched = true;
  return launch_step(e, s);
}

step_state *in_flight(nf_engine *e, uint64_t seq, step_state **behind) {
  std::lock_guard<std::mutex> lock(e->mu);
  for (size_t i = 0; i < e->queue.size(); i++) {
    if (e->queue[i]->seq != seq) continue;
    *behind = i + 1 < e->queue.size() ? e->queue[i + 1] : nullptr;
    return e->queue[i];
  }
  return nullptr;
}

step_choice *late_row(step_state *s, uint32_t row) {
  for (step_choice &c : s->choices) {
    if (c.row == row && c.late) return &c;
  }
  return nullptr;
}

void reset(step_state *s, uint64_t seq) {
  s->seq = seq;
  s->launched = s->ending = false;
  s->late = s->n_logits = s->n_vectors = 0;
  s->aux.clear();
  s->slots.clear();
  s->choices.clear();
  s->masks.clear();
}

}  // namespace

nf_code engine_submit(nf_engine *e, const nf_step *s) {
  if (!e->ready) return invalid("finalise comes first");
  if (!s || s->size != sizeof *s) return invalid("the step is NULL or has another size");
  if (s->seq != e->seq + 1) return invalid("seq = " + to_string(s->seq) + ", must be " + to_string(e->seq + 1));
  {
    std::lock_guard<std::mutex> lock(e->mu);
    if (e->queue.size() == NF_QUEUE) return invalid(to_string(NF_QUEUE) + " steps are not yet waited for");
  }
  step_state *out = &e->steps[s->seq % NF_QUEUE];
  if (const nf_code c = booking(e, *s, out).book()) return c;
  reset(out, s->seq);
  layout(e, *s, out).lay();
  e->opened.clear();
  e->seq = s->seq;
  {
    std::lock_guard<std::mutex> lock(e->mu);
    if (e->queue.empty()) e->stats.idle_ns += std::chrono::nanoseconds(std::chrono::steady_clock::now() - e->last_done).count();
    e->queue.push_back(out);
  }
  return held_back(e) ? NF_OK : launch(e, out);
}

nf_code engine_sample(nf_engine *e, uint64_t seq, const nf_row_mask *masks, uint32_t n) {
  step_state *behind = nullptr, *s = in_flight(e, seq, &behind);
  if (!s) return fail(NF_INVALID, "sample: step " + to_string(seq) + " is not in flight");
  for (uint32_t i = 0; i < n; i++) {
    if (s->late == 0 || !late_row(s, masks[i].row)) return fail(NF_INVALID, "sample: row " + to_string(masks[i].row) + " of step " + to_string(seq) + " waits for no mask");
    if (masks[i].mask_id != NF_NO_MASK && !e->masks.count(masks[i].mask_id)) return fail(NF_INVALID, "sample: mask " + to_string(masks[i].mask_id) + " is not defined");
  }
  uint32_t left = s->late;
  for (uint32_t i = 0; i < n; i++) {
    step_choice *c = late_row(s, masks[i].row);
    if (c->late == 2) continue;  // has its mask
    c->late = 2;
    c->mask = no_mask;
    if (masks[i].mask_id != NF_NO_MASK) {
      const std::vector<uint32_t> &bits = e->masks.at(masks[i].mask_id);
      c->mask = static_cast<uint32_t>(s->masks.size());
      s->masks.insert(s->masks.end(), bits.begin(), bits.end());
    }
    left--;
  }
  {
    std::lock_guard<std::mutex> lock(e->mu);
    s->late = left;
  }
  // A step that was itself held back is sampled when it is launched.
  if (left > 0 || n == 0 || !s->launched) return NF_OK;
  if (const nf_code c = launch_late(e, s)) return c;
  return behind && !behind->launched ? launch(e, behind) : NF_OK;
}

}  // namespace nf
