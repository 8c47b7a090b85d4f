// A step on its way through the device.
#include <string.h>

#include <algorithm>
#include <string>

#include "common/status.h"
#include "common/text.h"
#include "exec/engine.h"
#include "kernels/attention/attention.h"
#include "kernels/attention/decode.h"
#include "kernels/attention/prefill.h"
#include "kernels/embed/embed.h"
#include "kernels/gemm/gemm.h"
#include "kernels/norm/norm.h"
#include "kernels/pool/pool.h"
#include "kernels/rope/rope.h"
#include "kernels/sample/sample.h"

namespace nf {
namespace {

float *logits_of(nf_engine *e) {
  for (const nf_op &op : e->plan.ops) {
    if (op.kind == NF_OP_SAMPLE) return reinterpret_cast<float *>(e->activations + e->plan.buffers.at(op.in).offset);
  }
  return nullptr;
}

// A pass of one step over the plan.
class pass {
 public:
  pass(nf_engine *e, const step_state &s) : e_(e), s_(s) {}

  nf_code books() {
    nf_code c = pages_copy(e_->pool, staged<step_copy>(s_.copies), s_.n_copies, e_->stream);
    return c ? c : pages_enter(e_->books, staged<step_page>(s_.pages), s_.n_pages, e_->stream);
  }

  // From tokens to the states of the last layer.
  nf_code trunk() {
    nf_code c = pages_tokens(e_->pool, e_->books, staged<step_token>(s_.tokens), ids(), s_.n_tokens, e_->stream);
    for (const rope_layout &r : e_->plan.ropes) {
      const uint32_t n = static_cast<uint32_t>(r.inv_freq.size());
      if (!c) c = turns_launch(staged<step_token>(s_.tokens), s_.n_tokens, staged<float>(r.offset), n, r.factor, turns(r), e_->stream);
    }
    return c ? c : ops(0, e_->plan.tail);
  }

  // From there to the logits of the rows that sample.
  nf_code tail() {
    gather_ = staged<int32_t>(s_.sampled);
    gathered_ = s_.n_sampled;
    return gathered_ > 0 ? ops(e_->plan.tail, e_->plan.ops.size()) : NF_OK;
  }

  // How likely the tokens of prompts are, in as many at a time as may sample.
  nf_code prompts() {
    nf_code c = NF_OK;
    for (uint32_t at = 0; at < s_.n_prompts && !c; at += gathered_) {
      gather_ = staged<int32_t>(s_.gathers) + at;
      gathered_ = std::min(e_->limits.max_rows, s_.n_prompts - at);
      c = ops(e_->plan.tail, e_->plan.ops.size());
      nf_prompt_logprob *out = reinterpret_cast<nf_prompt_logprob *>(e_->workspace + e_->plan.workspace.judged) + at;
      if (!c) c = judge_launch({logits_of(e_), staged<step_prompt>(s_.prompts) + at, out, gathered_, e_->plan.vocabulary}, e_->stream);
    }
    return c;
  }

  // Vectors of the rows that pool, likewise.
  nf_code pooled() {
    float *vectors = reinterpret_cast<float *>(e_->workspace + e_->plan.workspace.vectors);
    nf_code c = NF_OK;
    if (s_.n_vectors > 0) c = code_of(cudaMemsetAsync(vectors, 0, sizeof(float) * s_.n_vectors * e_->plan.pool_width, e_->stream));
    for (uint32_t at = 0; at < s_.n_pooled && !c; at += gathered_) {
      gather_ = staged<int32_t>(s_.gathers) + s_.n_prompts + at;
      gathered_ = std::min(e_->limits.max_rows, s_.n_pooled - at);
      c = ops(e_->plan.tail, head());
      if (!c) c = pool_launch({buffer(e_->plan.pool_buffer), staged<step_pooled>(s_.pooled) + at, vectors, gathered_, e_->plan.pool_width}, e_->stream);
    }
    return c;
  }

 private:
  size_t head() const {
    size_t i = e_->plan.tail;
    while (e_->plan.ops[i].kind != NF_OP_HEAD) i++;
    return i;
  }

  nf_code ops(size_t from, size_t to) {
    nf_code c = NF_OK;
    for (size_t i = from; i < to && !c; i++) {
      if (e_->plan.folds[i] && folded(e_->plan.ops[i], e_->plan.ops[i + 1], &c)) i++;
      else c = op(e_->plan.ops[i]);
    }
    return c;
  }

  // A norm and the product behind it in one launch, if its kernel can.
  bool folded(const nf_op &norm, const nf_op &op, nf_code *c) {
    gemm_args a = product(op);
    a.x = buffer(norm.in);
    a.norm = tensor(norm.weight);
    a.norm_eps = norm.norm_eps;
    a.norm_plus_one = norm.norm_plus_one != 0;
    if (!gemm_normalises(a)) return false;
    *c = gemm_launch(a, e_->stream);
    return true;
  }

  nf_code op(const nf_op &op) {
    switch (op.kind) {
      case NF_OP_EMBED: return embed_launch({ids(), tensor(op.weight), buffer(op.out), s_.n_tokens, width(op.out), e_->plan.vocabulary, op.scale}, e_->stream);
      case NF_OP_NORM: return norm(op);
      case NF_OP_ROPE_STORE: return rope(op);
      case NF_OP_ATTENTION: return attention(op);
      case NF_OP_SAMPLE: return NF_OK;  // after the logits that rows ask for were copied
      default: return gemm_launch(product(op), e_->stream);
    }
  }

  template <typename T>
  const T *staged(uint64_t offset) const {
    return reinterpret_cast<const T *>(e_->workspace + offset);
  }
  float2 *turns(const rope_layout &r) const { return reinterpret_cast<float2 *>(e_->workspace + r.turns); }
  int32_t *ids() const { return reinterpret_cast<int32_t *>(e_->workspace + e_->plan.workspace.ids); }
  void *buffer(uint32_t id) const { return id ? e_->activations + e_->plan.buffers.at(id).offset : nullptr; }
  uint32_t width(uint32_t id) const { return e_->plan.buffers.at(id).width; }
  const void *tensor(const char *name) const { return name[0] ? e_->plan.tensors.at(name).data : nullptr; }

  // From a token buffer to a sampled one it takes the rows that sample.
  nf_code norm(const nf_op &op) {
    const buffer_layout &in = e_->plan.buffers.at(op.in), &out = e_->plan.buffers.at(op.out);
    const uint32_t rows = out.sampled ? gathered_ : s_.n_tokens;
    const void *from = buffer(op.in);
    if (out.sampled && !in.sampled) {
      const embed_args gather = {gather_, from, buffer(op.out), rows, out.width, s_.n_tokens, 1};
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
    a.turns = table ? turns(*table) : nullptr;
    a.pool = e_->pool;
    a.rows = s_.n_tokens;
    a.layer = op.layer;
    a.heads = op.n_heads;
    a.kv_heads = op.n_kv_heads;
    a.dim = op.head_dim;
    a.kind = op.rope_kind;
    a.eps = op.norm_eps;
    a.plus_one = op.norm_plus_one != 0;
    return rope_launch(a, e_->stream);
  }

  nf_code attention(const nf_op &op) {
    const decode_args walked = {buffer(op.in), buffer(op.out), staged<step_walk>(s_.walks), e_->pool, e_->books, e_->room, s_.n_walks, op.layer, op.n_heads,
                                op.n_kv_heads, op.head_dim, op.attn_scale, op.softcap};
    if (const nf_code c = decode_launch(walked, e_->stream)) return c;
    const attention_args tiled = {buffer(op.in), buffer(op.out), staged<step_tile>(s_.tiles), e_->pool, e_->books, s_.n_tiles, op.layer, op.n_heads,
                                  op.n_kv_heads, op.head_dim, op.window, op.attn_scale, op.softcap};
    return e_->plan.prefills ? prefill_launch({tiled, s_.n_tokens, s_.longest}, e_->stream) : attention_launch(tiled, e_->stream);
  }

  gemm_args product(const nf_op &op) const {
    gemm_args a = {};
    a.x = buffer(op.in);
    const tensor_layout &w = e_->plan.tensors.at(op.weight);
    a.w = w.data;
    a.kind = w.kind, a.scales = w.scales, a.scale_groups = w.scale_groups;
    a.out = buffer(op.out);
    a.bias = tensor(op.bias);
    a.residual = buffer(op.residual);
    a.rows = op.kind == NF_OP_HEAD ? gathered_ : s_.n_tokens;
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
    return a;
  }

  nf_engine *e_;
  const step_state &s_;
  const int32_t *gather_ = nullptr;  // token rows that the tail works on
  uint32_t gathered_ = 0;
};

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
  if (!err && s->n_prompts > 0) {
    err = cudaMemcpyAsync(s->judged, e->workspace + e->plan.workspace.judged, sizeof(nf_prompt_logprob) * s->n_prompts, cudaMemcpyDeviceToHost, e->stream);
  }
  if (!err && s->n_vectors > 0) {
    err = cudaMemcpyAsync(s->vectors, e->workspace + e->plan.workspace.vectors, sizeof(float) * s->n_vectors * e->plan.pool_width, cudaMemcpyDeviceToHost, e->stream);
  }
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
bool decodes(const step_state &s) { return s.n_tokens == s.n_rows && s.n_sampled == s.n_rows && s.n_prompts + s.n_pooled == 0; }

nf_code compute(nf_engine *e, const step_state &s, pass *p) {
  if (s.n_tokens == 0) return NF_OK;
  if (!decodes(s) || s.n_rows > e->captured.size()) {
    nf_code c = p->trunk();
    if (!c) c = p->prompts();
    if (!c) c = p->pooled();
    return c ? c : p->tail();
  }
  return code_of(cudaGraphLaunch(e->captured[s.n_rows - 1], e->stream));
}

// Captures a pass over n rows that decode; what it reads of the step lies as submit
// packs it.
cudaError_t capture(nf_engine *e, uint32_t n, cudaGraphExec_t *out) {
  step_state s;
  s.n_rows = s.n_tokens = s.n_sampled = n;
  (e->plan.walks ? s.n_walks : s.n_tiles) = n;
  s.walks = s.tiles = aligned(sizeof(step_token) * n);
  s.sampled = s.tiles + aligned((e->plan.walks ? sizeof(step_walk) : sizeof(step_tile)) * n);
  cudaGraph_t graph = nullptr;
  if (const cudaError_t err = cudaStreamBeginCapture(e->stream, cudaStreamCaptureModeThreadLocal)) return err;
  pass p(e, s);
  nf_code c = p.trunk();
  if (!c) c = p.tail();
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
