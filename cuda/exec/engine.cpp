#include "exec/engine.h"

#include <string>

#include "common/text.h"

namespace nf {
namespace {

nf_code refuse(const char *call) {
  return fail(NF_UNSUPPORTED, "this CUDA library does not honour " + std::string(call) + ": it probes devices and runs no models");
}

nf_code create(const int32_t *, uint32_t, const nf_limits *, nf_engine **) { return refuse("create"); }
nf_code plan(nf_engine *, const nf_plan *) { return refuse("plan"); }
nf_code tensor_put(nf_engine *, const nf_tensor *) { return refuse("tensor_put"); }
nf_code finalise(nf_engine *, nf_bytes *) { return refuse("finalise"); }
nf_code slot_open(nf_engine *, const nf_slot *) { return refuse("slot_open"); }
nf_code slot_close(nf_engine *, uint32_t) { return refuse("slot_close"); }
nf_code mask_define(nf_engine *, uint32_t, const uint32_t *, uint32_t) { return refuse("mask_define"); }
nf_code mask_drop(nf_engine *, uint32_t) { return refuse("mask_drop"); }
nf_code submit(nf_engine *, const nf_step *) { return refuse("submit"); }
nf_code sample(nf_engine *, uint64_t, const nf_row_mask *, uint32_t) { return refuse("sample"); }
nf_code wait(nf_engine *, uint64_t, nf_result *, uint64_t) { return refuse("wait"); }
nf_code host_pool(nf_engine *, void *, uint64_t) { return refuse("host_pool"); }
nf_code pool_resize(nf_engine *, uint32_t) { return refuse("pool_resize"); }
nf_code sleep(nf_engine *, uint32_t) { return refuse("sleep"); }
nf_code wake(nf_engine *) { return refuse("wake"); }
nf_code stats(nf_engine *, nf_stats *) { return refuse("stats"); }
const char *last_error(nf_engine *) { return last_text(); }
void destroy(nf_engine *) {}

}  // namespace

void set_engine_entries(nf_api *t) {
  t->create = create;
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
  t->destroy = destroy;
}

}  // namespace nf
