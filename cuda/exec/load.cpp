// From create to finalise: limits, plan, memory.
#include <string.h>

#include <algorithm>
#include <string>

#include "arch/arch.h"
#include "common/text.h"
#include "exec/driver.h"
#include "exec/engine.h"

namespace nf {
namespace {

using std::to_string;

struct bound {
  const char *name;
  uint32_t value, most;
};

// Bounds that no engine comes near; they keep products within 64 bits.
nf_code check_limits(const nf_limits &l) {
  for (const bound &b : {bound{"max_slots", l.max_slots, 1u << 16}, bound{"max_rows", l.max_rows, 1u << 16},
                         bound{"max_tokens", l.max_tokens, 1u << 20}, bound{"max_positions", l.max_positions, 1u << 27},
                         bound{"n_pages", l.n_pages, 1u << 26}}) {
    if (b.value == 0 || b.value > b.most) {
      return fail(NF_INVALID, std::string(b.name) + " = " + to_string(b.value) + ", must be from 1 to " + to_string(b.most));
    }
  }
  if (l.kv_dtype != 0 && l.kv_dtype != NF_BF16 && l.kv_dtype != NF_E4M3) {
    return fail(NF_UNSUPPORTED, "kv_dtype = " + to_string(l.kv_dtype) + ", must be bf16 (3), which 0 is too, or E4M3 (14)");
  }
  if (l.quant > NF_QUANT_INT4) return fail(NF_INVALID, "quant = " + to_string(l.quant) + ", must be none (0), fp8 (1) or int4 (2)");
  return NF_OK;
}

nf_code check_device(const int32_t *devices, uint32_t n_devices, const nf_limits &l, int *device) {
  uint32_t there = 0;
  device_info first = {};
  if (n_devices > 1) return fail(NF_UNSUPPORTED, to_string(n_devices) + " devices, an engine runs on one");
  if (const nf_code c = driver_ask(&there, &first)) return c;
  *device = n_devices == 1 ? devices[0] : 0;
  if (*device < 0 || static_cast<uint32_t>(*device) >= there) {
    return fail(NF_INVALID, "device " + to_string(*device) + ", there are " + to_string(there));
  }
  const std::string isa(l.isa, strnlen(l.isa, sizeof l.isa)), have = "sm_" + to_string(first.major * 10 + first.minor);
  if (!isa.empty() && isa != have) return fail(NF_UNSUPPORTED, "isa = \"" + isa + "\", the device is " + have);
  if (!runs(built_archs, first.major, first.minor)) return fail(NF_UNSUPPORTED, "this build has no code for " + have);
  return NF_OK;
}

nf_code pin(nf_engine *e, void *where, uint64_t bytes) {
  if (const cudaError_t err = cudaMallocHost(static_cast<void **>(where), bytes)) return cuda_failed(e, err, "pinned memory");
  return NF_OK;
}

nf_code prepare(nf_engine *e, step_state *s) {
  const staging_sizes &sizes = e->plan.workspace.staging;
  if (const nf_code c = pin(e, &s->staging, sizes.step() + sizes.late())) return c;
  if (const nf_code c = pin(e, &s->results, sizeof(nf_result_row) * e->limits.max_rows)) return c;
  if (const nf_code c = pin(e, &s->logits, sizeof(float) * logits_rows_max * e->plan.vocabulary)) return c;
  if (const nf_code c = pin(e, &s->vectors, std::max<uint64_t>(1, sizeof(float) * e->limits.max_rows * static_cast<uint64_t>(e->plan.pool_width)))) return c;
  if (const nf_code c = pin(e, &s->judged, sizeof(nf_prompt_logprob) * e->limits.max_tokens)) return c;
  cudaError_t err = cudaEventCreate(&s->begun);
  if (!err) err = cudaEventCreate(&s->done);
  return err ? cuda_failed(e, err, "finalise") : NF_OK;
}

// What the workspace holds from the start.
nf_code fill(nf_engine *e) {
  cudaError_t err = cudaMemsetAsync(e->workspace, 0, e->plan.workspace.total, e->stream);
  if (!err) err = cudaMemsetAsync(e->activations, 0, e->plan.bytes.activations, e->stream);
  if (!err) err = cudaMemsetAsync(e->pool.kv, 0, e->plan.bytes.kv, e->stream);
  for (const rope_layout &r : e->plan.ropes) {
    if (!err) err = cudaMemcpyAsync(e->workspace + r.offset, r.inv_freq.data(), r.inv_freq.size() * sizeof(float), cudaMemcpyHostToDevice, e->stream);
  }
  if (!err) err = cudaStreamSynchronize(e->stream);
  return err ? cuda_failed(e, err, "finalise") : NF_OK;
}

nf_code all_put(const checked_plan &p) {
  for (const auto &[name, t] : p.tensors) {
    for (int part = 0; part < 3; part++) {
      const tensor_part &was = t.parts[part];
      if (t.rows[part] == 0) continue;
      const std::string which = "tensor \"" + name + "\" part " + to_string(part);
      if (!was.put) return fail(NF_INVALID, which + " was not put");
      if (was.data.dtype == NF_E4M3 && !was.scaled) return fail(NF_INVALID, which + ": its scales were not put");
    }
  }
  return NF_OK;
}

}  // namespace

nf_code within_memory(const nf_engine *e, const char *call) {
  const nf_bytes &b = e->plan.bytes;
  const uint64_t total = b.weights + b.kv + b.activations + b.workspace, most = e->limits.memory_max;
  if (most == 0 || total <= most) return NF_OK;
  return fail(NF_NOMEM, std::string(call) + ": " + to_string(total) + " bytes are needed, memory_max = " + to_string(most));
}

nf_code allocate(nf_engine *e, void *where, uint64_t bytes, const char *what) {
  const cudaError_t err = cudaMalloc(static_cast<void **>(where), std::max<uint64_t>(bytes, 1));
  if (err == cudaSuccess) return NF_OK;
  return cuda_failed(e, err, (to_string(bytes) + " bytes for " + what).c_str());
}

nf_code engine_create(const int32_t *devices, uint32_t n_devices, const nf_limits *given, nf_engine **out) {
  if (!given || !out) return fail(NF_INVALID, "create: limits or out is NULL");
  nf_limits limits = {};
  memcpy(&limits, given, std::min<size_t>(given->size, sizeof limits));
  if (const nf_code c = check_limits(limits)) return c;
  int device = 0;
  if (const nf_code c = check_device(devices, n_devices, limits, &device)) return c;
  if (const cudaError_t err = cudaSetDevice(device)) return cuda_failed(nullptr, err, "create");
  nf_engine *e = new nf_engine(limits, device);
  if (const cudaError_t err = cudaStreamCreateWithFlags(&e->stream, cudaStreamNonBlocking)) {
    delete e;
    return cuda_failed(nullptr, err, "create");
  }
  *out = e;
  return NF_OK;
}

nf_code engine_plan(nf_engine *e, const nf_plan *p) {
  if (!p || p->size != sizeof *p) return fail(NF_INVALID, "plan: it is NULL or has another size");
  if (e->planned) return fail(NF_INVALID, "plan: the engine has a plan");
  checked_plan plan;
  if (const nf_code c = check_plan(*p, e->limits, &plan)) return c;
  e->plan = std::move(plan);
  if (const nf_code c = within_memory(e, "plan")) return c;
  e->planned = true;
  return NF_OK;
}

nf_code engine_finalise(nf_engine *e, nf_bytes *bytes) {
  if (!e->planned || e->ready) return fail(NF_INVALID, "finalise: it comes once, after plan");
  if (!bytes) return fail(NF_INVALID, "finalise: bytes is NULL");
  const checked_plan &p = e->plan;
  if (const nf_code c = all_put(p)) return c;
  cudaFree(e->arriving), e->arriving = nullptr;
  if (const nf_code c = allocate(e, &e->pool.kv, p.bytes.kv, "kv")) return c;
  if (const nf_code c = allocate(e, &e->activations, p.bytes.activations, "activations")) return c;
  if (const nf_code c = allocate(e, &e->workspace, p.workspace.total, "workspace")) return c;
  e->pool.pages = e->limits.n_pages;
  e->pool.layers = p.layers;
  e->pool.heads = p.kv_heads;
  e->pool.dim = p.head_dim;
  e->pool.fp8 = e->limits.kv_dtype == NF_E4M3;
  // Token ids follow K and V.
  e->pool.tokens = reinterpret_cast<int32_t *>(static_cast<char *>(e->pool.kv) + p.bytes.kv - sizeof(int32_t) * NF_PAGE * static_cast<uint64_t>(e->limits.n_pages));
  e->books = {reinterpret_cast<uint32_t *>(e->workspace + p.workspace.table), p.pages_per_slot,
              reinterpret_cast<int32_t *>(e->workspace + p.workspace.last), reinterpret_cast<uint32_t *>(e->workspace + p.workspace.poisoned)};
  e->room = {reinterpret_cast<float *>(e->workspace + p.workspace.walked_sums), reinterpret_cast<float2 *>(e->workspace + p.workspace.walked_tops),
             reinterpret_cast<uint32_t *>(e->workspace + p.workspace.arrivals)};
  for (step_state &s : e->steps) {
    if (const nf_code c = prepare(e, &s)) return c;
  }
  if (const nf_code c = fill(e)) return c;
  if (const nf_code c = capture_passes(e)) return c;
  e->slots.resize(e->limits.max_slots);
  e->stats.memory_peak = p.bytes.weights + p.bytes.kv + p.bytes.activations + p.bytes.workspace;
  e->last_done = std::chrono::steady_clock::now();
  const uint32_t size = bytes->size;
  memcpy(bytes, &p.bytes, std::min<size_t>(size, sizeof p.bytes));
  bytes->size = size;
  e->ready = true;
  return NF_OK;
}

void engine_destroy(nf_engine *e) {
  if (!e) return;
  cudaSetDevice(e->device);
  cudaStreamSynchronize(e->stream);
  for (cudaGraphExec_t g : e->captured) cudaGraphExecDestroy(g);
  for (const auto &[name, t] : e->plan.tensors) cudaFree(t.data), cudaFree(t.scales);
  for (void *p : {static_cast<void *>(e->arriving), static_cast<void *>(e->activations), static_cast<void *>(e->workspace), e->pool.kv}) cudaFree(p);
  for (step_state &s : e->steps) {
    cudaFreeHost(s.staging);
    cudaFreeHost(s.results);
    cudaFreeHost(s.logits);
    cudaFreeHost(s.vectors);
    cudaFreeHost(s.judged);
    if (s.begun) cudaEventDestroy(s.begun);
    if (s.done) cudaEventDestroy(s.done);
  }
  cudaStreamDestroy(e->stream);
  delete e;
}

}  // namespace nf
