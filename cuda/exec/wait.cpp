// wait: the results of the oldest step in flight.
#include <sched.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <string>

#include "common/text.h"
#include "exec/engine.h"

namespace nf {
namespace {

using std::to_string;
using clock = std::chrono::steady_clock;

constexpr auto patience = std::chrono::microseconds(200);  // before the waiter sleeps between looks

step_state *oldest(nf_engine *e, uint64_t seq) {
  std::lock_guard<std::mutex> lock(e->mu);
  return !e->queue.empty() && e->queue.front()->seq == seq ? e->queue.front() : nullptr;
}

// Whether a step's results are there; cudaErrorNotReady while they are not.
cudaError_t look(nf_engine *e, step_state *s) {
  {
    std::lock_guard<std::mutex> lock(e->mu);
    if (!s->ending) return cudaErrorNotReady;
  }
  return cudaEventQuery(s->done);
}

nf_code until_done(nf_engine *e, step_state *s, uint64_t timeout_us) {
  const auto from = clock::now();
  for (;;) {
    const cudaError_t err = look(e, s);
    if (err == cudaSuccess) return NF_OK;
    if (err != cudaErrorNotReady) return cuda_failed(e, err, "wait");
    const auto waited = clock::now() - from;
    if (waited >= std::chrono::microseconds(timeout_us)) return fail(NF_TIMEOUT, "wait: step " + to_string(s->seq) + " still runs");
    if (waited < patience) {
      sched_yield();
    } else {
      const timespec nap = {0, 20000};
      nanosleep(&nap, nullptr);
    }
  }
}

// Logits and vectors, in row order.
void copy_aux(const nf_engine *e, const step_state &s, float *to) {
  const float *logits = s.logits, *vectors = s.vectors;
  for (const bool vector : s.aux) {
    const size_t n = vector ? e->plan.pool_width : e->plan.vocabulary;
    const float *&from = vector ? vectors : logits;
    memcpy(to, from, n * sizeof(float));
    from += n;
    to += n;
  }
}

void account(nf_engine *e, const step_state &s, uint64_t ns) {
  std::lock_guard<std::mutex> lock(e->mu);
  e->queue.erase(e->queue.begin());
  e->last_done = clock::now();
  e->stats.steps++;
  e->stats.tokens += s.n_tokens;
  e->stats.busy_ns += ns;
  for (uint32_t i = 0; i < s.n_rows; i++) e->stats.sampled += s.results[i].n_accepted;
}

}  // namespace

nf_code engine_wait(nf_engine *e, uint64_t seq, nf_result *r, uint64_t timeout_us) {
  step_state *s = oldest(e, seq);
  if (!s) return fail(NF_INVALID, "wait: step " + to_string(seq) + " is not the oldest in flight");
  const uint64_t aux = static_cast<uint64_t>(s->n_logits) * e->plan.vocabulary + static_cast<uint64_t>(s->n_vectors) * e->plan.pool_width;
  if (!r || r->size != sizeof *r || r->n_rows < s->n_rows || r->n_aux < aux || r->n_prompt < s->n_prompts) {
    return fail(NF_INVALID, "wait: the result must have room for " + to_string(s->n_rows) + " rows, " + to_string(aux) + " floats of logits and vectors and " + to_string(s->n_prompts) + " prompt tokens");
  }
  if (const nf_code c = until_done(e, s, timeout_us)) return c;
  float ms = 0;
  if (const cudaError_t err = cudaEventElapsedTime(&ms, s->begun, s->done)) return cuda_failed(e, err, "wait");
  for (uint32_t i = 0; i < s->n_rows; i++) s->results[i].slot = s->slots[i];
  if (s->n_rows > 0) memcpy(r->rows, s->results, sizeof(nf_result_row) * s->n_rows);
  if (aux > 0) copy_aux(e, *s, r->aux);
  if (s->n_prompts > 0) memcpy(r->prompt, s->judged, sizeof(nf_prompt_logprob) * s->n_prompts);
  r->n_rows = s->n_rows;
  r->n_aux = aux;
  r->n_prompt = s->n_prompts;
  r->compute_ns = static_cast<uint64_t>(static_cast<double>(ms) * 1e6);
  account(e, *s, r->compute_ns);
  return NF_OK;
}

nf_code engine_stats(nf_engine *e, nf_stats *out) {
  if (!out) return fail(NF_INVALID, "stats: out is NULL");
  std::lock_guard<std::mutex> lock(e->mu);
  const uint32_t size = out->size;
  memcpy(out, &e->stats, std::min<size_t>(size, sizeof e->stats));
  out->size = size;
  return NF_OK;
}

}  // namespace nf
