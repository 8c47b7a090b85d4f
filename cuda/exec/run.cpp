// A step on its way through the device.
#include <string.h>

#include <algorithm>
#include <string>

#include "common/status.h"
#include "common/text.h"
#include "exec/engine.h"
#include "kernels/attention/attention.h"
#include "kernels/embed/embed.h"
#include "kernels/gemm/gemm.h"
#include "kernels/norm/norm.h"
#include "kernels/rope/rope.h"
#include "kernels/sample/sample.h"

namespace nf {
namespace {

// A pass of one step over the plan.
class pass {
 public:
  pass(nf_engine *e, const step_state &s) : e_(e), s_(s) {}

  nf_code books() {
    nf_code c = pages_copy(e_->pool, staged<step_copy>(s_.copies), s_.n_copies, e_->stream);
    return c ? c : pages_enter(e_->books, staged<step_page>(s_.pages), s_.n_pages, e_->stream);
  }

  // From tokens to logits.
  nf_code compute() {
    nf_code c = pages_tokens(e_->pool, e_->books, staged<step_token>(s_.tokens), ids(), s_.n_tokens, e_->stream);
    for (size_t i = 0; i < e_->plan.ops.size() && !c; i++) c = op(e_->plan.ops[i]);
    return c;
  }

 private:

  nf_code op(const nf_op &op) {
    switch (op.kind) {
      case NF_OP_EMBED: return embed_launch({ids(), tensor(op.weight), buffer(op.out), s_.n_tokens, width(op.out), e_->plan.vocabulary, op.scale}, e_->stream);
      case NF_OP_NORM: return norm(op);
      case NF_OP_ROPE_STORE: return rope(op);
      case NF_OP_ATTENTION: return attention(op);
      case NF_OP_SAMPLE: return NF_OK;  // after the logits that rows ask for were copied
      default: return linear(op);
    }
  }

  template <typename T>
  const T *staged(uint64_t offset) const {
    return reinterpret_cast<const T *>(e_->workspace + offset);
  }
  int32_t *ids() const { return reinterpret_cast<int32_t *>(e_->workspace + e_->plan.workspace.ids); }
  void *buffer(uint32_t id) const { return id ? e_->activations + e_->plan.buffers.at(id).offset : nullptr; }
  uint32_t width(uint32_t id) const { return e_->plan.buffers.at(id).width; }
  const void *tensor(const char *name) const { return name[0] ? e_->weights + e_->plan.tensors.at(name).offset : nullptr; }

  // From a token buffer to a sampled one it takes the rows that sample.
  nf_code norm(const nf_op &op) {
    const buffer_layout &in = e_->plan.buffers.at(op.in), &out = e_->plan.buffers.at(op.out);
    const uint32_t rows = out.sampled ? s_.n_sampled : s_.n_tokens;
    const void *from = buffer(op.in);
    if (out.sampled && !in.sampled) {
      const embed_args gather = {staged<int32_t>(s_.sampled), from, buffer(op.out), rows, out.width, s_.n_tokens, 1};
      if (const nf_code c = embed_launch(gather, e_->stream)) return c;
      from = buffer(op.out);
    }
    return norm_launch({from, tensor(op.weight), buffer(op.out), rows, out.width, op.norm_eps, op.norm_plus_one != 0, NF_BF16}, e_->stream);
  }

  nf_code rope(const nf_op &op) {
    const rope_layout *table = op.rope_kind == NF_ROPE_NONE ? nullptr : &e_->plan.ropes[op.rope_table];
    rope_args a = {};
    a.qkv = buffer(op.in);
    a.tokens = staged<step_token>(s_.tokens);
    a.q_norm = tensor(op.q_norm);
    a.k_norm = tensor(op.k_norm);
    a.inv_freq = table ? reinterpret_cast<const float *>(e_->workspace + table->offset) : nullptr;
    a.pool = e_->pool;
    a.rows = s_.n_tokens;
    a.layer = op.layer;
    a.heads = op.n_heads;
    a.kv_heads = op.n_kv_heads;
    a.dim = op.head_dim;
    a.kind = op.rope_kind;
    a.factor = table ? table->factor : 1;
    a.eps = op.norm_eps;
    a.plus_one = op.norm_plus_one != 0;
    return rope_launch(a, e_->stream);
  }

  nf_code attention(const nf_op &op) {
    return attention_launch({buffer(op.in), buffer(op.out), staged<step_tile>(s_.tiles), e_->pool, e_->books, s_.n_tiles, op.layer, op.n_heads,
                             op.n_kv_heads, op.head_dim, op.window, op.attn_scale, op.softcap}, e_->stream);
  }

  nf_code linear(const nf_op &op) {
    gemm_args a = {};
    a.x = buffer(op.in);
    a.w = tensor(op.weight);
    a.out = buffer(op.out);
    a.bias = tensor(op.bias);
    a.residual = buffer(op.residual);
    a.rows = op.kind == NF_OP_HEAD ? s_.n_sampled : s_.n_tokens;
    a.n = op.out_features[0] + op.out_features[1] + op.out_features[2];
    a.k = op.in_features;
    a.epilogue = op.kind == NF_OP_QKV       ? gemm_epilogue::plain
                 : op.kind == NF_OP_GATE_UP ? gemm_epilogue::gated
                 : op.kind == NF_OP_HEAD    ? gemm_epilogue::logits
                                            : gemm_epilogue::residual;
    a.activation = op.activation;
    a.scale = op.scale;
    a.softcap = op.softcap;
    a.invariant = e_->limits.invariant != 0;
    return gemm_launch(a, e_->stream);
  }

  nf_engine *e_;
  const step_state &s_;
};

float *logits_of(nf_engine *e) {
  for (const nf_op &op : e->plan.ops) {
    if (op.kind == NF_OP_SAMPLE) return reinterpret_cast<float *>(e->activations + e->plan.buffers.at(op.in).offset);
  }
  return nullptr;
}

nf_code sample(nf_engine *e, const step_state &s, const char *choices, const char *masks, uint32_t late) {
  const workspace_layout &w = e->plan.workspace;
  sample_args a = {};
  a.logits = logits_of(e);
  if (!a.logits) return NF_OK;
  a.choices = reinterpret_cast<const step_choice *>(choices);
  a.biases = reinterpret_cast<const step_bias *>(e->workspace + s.biases);
  a.masks = reinterpret_cast<const uint32_t *>(masks);
  a.counts = reinterpret_cast<uint32_t *>(e->workspace + w.counts);
  a.raw_biased = reinterpret_cast<float *>(e->workspace + w.raw_biased);
  a.page_tokens = e->pool.tokens;
  a.books = e->books;
  a.results = reinterpret_cast<nf_result_row *>(e->workspace + w.results);
  a.n = s.n_sampled;
  a.vocabulary = e->plan.vocabulary;
  a.late = late;
  return sample_launch(a, e->stream);
}

// Logits as the model gave them, before sampling changes them in place.
cudaError_t keep_logits(nf_engine *e, step_state *s) {
  const size_t vocabulary = e->plan.vocabulary;
  for (uint32_t i = 0; i < s->n_logits; i++) {
    const float *from = logits_of(e) + s->logits_rows[i] * vocabulary;
    const cudaError_t err = cudaMemcpyAsync(s->logits + i * vocabulary, from, vocabulary * sizeof(float), cudaMemcpyDeviceToHost, e->stream);
    if (err) return err;
  }
  return cudaSuccess;
}

// Queues the way back of the results, and the event that tells.
nf_code end(nf_engine *e, step_state *s) {
  const char *results = e->workspace + e->plan.workspace.results;
  cudaError_t err = cudaSuccess;
  if (s->n_rows > 0) err = cudaMemcpyAsync(s->results, results, sizeof(nf_result_row) * s->n_rows, cudaMemcpyDeviceToHost, e->stream);
  if (!err) err = cudaEventRecord(s->done, e->stream);
  if (err) return cuda_failed(e, err, "submit");
  std::lock_guard<std::mutex> lock(e->mu);
  s->ending = true;
  return NF_OK;
}

nf_code lost(nf_engine *e, nf_code c) {
  if (c == NF_OK) return c;
  e->lost = true;
  return fail(NF_DEVICE_LOST, std::string("submit: a kernel was not launched: ") + cudaGetErrorString(cudaGetLastError()));
}

// Whether every row of a step decodes one token and samples.
bool decodes(const step_state &s) { return s.n_tokens == s.n_rows && s.n_sampled == s.n_rows && s.n_tiles == s.n_rows; }

nf_code compute(nf_engine *e, const step_state &s, pass *p) {
  if (s.n_tokens == 0) return NF_OK;
  if (!decodes(s) || s.n_rows > e->captured.size()) return p->compute();
  return code_of(cudaGraphLaunch(e->captured[s.n_rows - 1], e->stream));
}

// Captures a pass over n rows that decode; what it reads of the step lies as submit
// packs it.
cudaError_t capture(nf_engine *e, uint32_t n, cudaGraphExec_t *out) {
  step_state s;
  s.n_rows = s.n_tokens = s.n_tiles = s.n_sampled = n;
  s.tiles = aligned(sizeof(step_token) * n);
  s.sampled = s.tiles + aligned(sizeof(step_tile) * n);
  cudaGraph_t graph = nullptr;
  if (const cudaError_t err = cudaStreamBeginCapture(e->stream, cudaStreamCaptureModeThreadLocal)) return err;
  const nf_code c = pass(e, s).compute();
  cudaError_t err = cudaStreamEndCapture(e->stream, &graph);
  if (!err && c) err = cudaErrorInvalidValue;
  if (!err) err = cudaGraphInstantiate(out, graph, 0);
  if (graph) cudaGraphDestroy(graph);
  return err;
}

bool any_late(const step_state &s) {
  return std::any_of(s.choices.begin(), s.choices.end(), [](const step_choice &c) { return c.late != 0; });
}

}  // namespace

nf_code launch_step(nf_engine *e, step_state *s) {
  cudaError_t err = cudaEventRecord(s->begun, e->stream);
  if (!err) err = cudaMemcpyAsync(e->workspace, s->staging, s->used, cudaMemcpyHostToDevice, e->stream);
  if (!err) err = cudaMemsetAsync(e->workspace + e->plan.workspace.results, 0, sizeof(nf_result_row) * s->n_rows, e->stream);
  if (err) return cuda_failed(e, err, "submit");
  pass p(e, *s);
  nf_code c = p.books();
  if (!c) c = compute(e, *s, &p);
  if (c) return lost(e, c);
  if ((err = keep_logits(e, s))) return cuda_failed(e, err, "submit");
  c = sample(e, *s, e->workspace + s->chosen, e->workspace + s->mask_words, 0);
  if (c) return lost(e, c);
  if (!any_late(*s)) return end(e, s);
  return s->late == 0 ? launch_late(e, s) : NF_OK;
}

nf_code capture_passes(nf_engine *e) {
  for (uint32_t n = 1; n <= std::min({captured_rows_max, e->limits.max_rows, e->limits.max_tokens}); n++) {
    cudaGraphExec_t g = nullptr;
    if (const cudaError_t err = capture(e, n, &g)) return cuda_failed(e, err, "finalise: capturing a pass");
    e->captured.push_back(g);
  }
  return NF_OK;
}

nf_code launch_late(nf_engine *e, step_state *s) {
  char *from = s->staging + s->used, *to = e->workspace + e->plan.workspace.late;
  const uint64_t choices = sizeof(step_choice) * s->choices.size(), masks = sizeof(uint32_t) * s->masks.size();
  memcpy(from, s->choices.data(), choices);
  if (masks > 0) memcpy(from + aligned(choices), s->masks.data(), masks);
  if (const cudaError_t err = cudaMemcpyAsync(to, from, aligned(choices) + masks, cudaMemcpyHostToDevice, e->stream)) return cuda_failed(e, err, "sample");
  if (const nf_code c = sample(e, *s, to, to + aligned(choices), 2)) return lost(e, c);
  return end(e, s);
}

}  // namespace nf
