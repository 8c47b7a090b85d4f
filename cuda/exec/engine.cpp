#include "exec/engine.h"

#include <string>

#include "common/text.h"

namespace nf {
namespace {

nf_code refuse(const char *call) {
  return fail(NF_UNSUPPORTED, "this CUDA library does not honour " + std::string(call));
}

// Makes the engine's device this thread's and calls f, unless the engine cannot.
template <typename F>
nf_code on(nf_engine *e, const char *call, F f) {
  if (!e) return fail(NF_INVALID, std::string(call) + ": the engine is NULL");
  if (e->lost) return fail(NF_DEVICE_LOST, std::string(call) + ": the device was lost: the process must end");
  if (const cudaError_t err = cudaSetDevice(e->device)) return cuda_failed(e, err, call);
  return f();
}

nf_code plan(nf_engine *e, const nf_plan *p) {
  return on(e, "plan", [=] { return engine_plan(e, p); });
}
nf_code tensor_put(nf_engine *e, const nf_tensor *t) {
  return on(e, "tensor_put", [=] { return engine_tensor_put(e, t); });
}
nf_code finalise(nf_engine *e, nf_bytes *b) {
  return on(e, "finalise", [=] { return engine_finalise(e, b); });
}
nf_code slot_open(nf_engine *e, const nf_slot *s) {
  return on(e, "slot_open", [=] { return engine_slot_open(e, s); });
}
nf_code slot_close(nf_engine *e, uint32_t slot) {
  return on(e, "slot_close", [=] { return engine_slot_close(e, slot); });
}
nf_code mask_define(nf_engine *e, uint32_t id, const uint32_t *bits, uint32_t n) {
  return on(e, "mask_define", [=] { return engine_mask_define(e, id, bits, n); });
}
nf_code mask_drop(nf_engine *e, uint32_t id) {
  return on(e, "mask_drop", [=] { return engine_mask_drop(e, id); });
}
nf_code submit(nf_engine *e, const nf_step *s) {
  return on(e, "submit", [=] { return engine_submit(e, s); });
}
nf_code sample(nf_engine *e, uint64_t seq, const nf_row_mask *m, uint32_t n) {
  return on(e, "sample", [=] { return engine_sample(e, seq, m, n); });
}
nf_code wait(nf_engine *e, uint64_t seq, nf_result *r, uint64_t timeout_us) {
  return on(e, "wait", [=] { return engine_wait(e, seq, r, timeout_us); });
}
nf_code stats(nf_engine *e, nf_stats *out) {
  if (!e) return fail(NF_INVALID, "stats: the engine is NULL");
  return engine_stats(e, out);
}
nf_code host_pool(nf_engine *, void *, uint64_t) { return refuse("host_pool"); }
nf_code pool_resize(nf_engine *, uint32_t) { return refuse("pool_resize"); }
nf_code sleep(nf_engine *, uint32_t) { return refuse("sleep"); }
nf_code wake(nf_engine *) { return refuse("wake"); }
const char *last_error(nf_engine *) { return last_text(); }

}  // namespace

nf_code cuda_failed(nf_engine *e, cudaError_t err, const char *doing) {
  // Without an engine nothing was lost: the device does not start.
  const nf_code code = err == cudaErrorMemoryAllocation ? NF_NOMEM : e ? NF_DEVICE_LOST : NF_UNSUPPORTED;
  cudaGetLastError();  // a failed allocation is not held against what follows
  if (code == NF_DEVICE_LOST) e->lost = true;
  return fail(code, std::string(doing) + ": " + cudaGetErrorString(err));
}

void set_engine_entries(nf_api *t) {
  t->create = engine_create;
  t->plan = plan;
  t->tensor_put = tensor_put;
  t->finalise = finalise;
  t->slot_open = slot_open;
  t->slot_close = slot_close;
  t->mask_define = mask_define;
  t->mask_drop = mask_drop;
  t->submit = submit;
  t->sample = sample;
  t->wait = wait;
  t->host_pool = host_pool;
  t->pool_resize = pool_resize;
  t->sleep = sleep;
  t->wake = wake;
  t->stats = stats;
  t->last_error = last_error;
  t->destroy = engine_destroy;
}

}  // namespace nf
