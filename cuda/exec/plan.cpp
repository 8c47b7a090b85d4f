#include "exec/plan.h"

#include <stddef.h>
#include <string.h>

#include <algorithm>

#include "common/text.h"
#include "exec/staging.h"
#include "kernels/attention/attention.h"
#include "kernels/attention/decode.h"
#include "kernels/attention/prefill.h"
#include "kernels/sample/sample.h"

namespace nf {
namespace {

using std::to_string;

// Fields of an operation by name, apart from size, kind and layer, which all may have.
struct field {
  const char *name;
  size_t offset, size;
};
#define FIELD(f) \
  { #f, offsetof(nf_op, f), sizeof(nf_op::f) }
constexpr field fields[] = {
    FIELD(in), FIELD(out), FIELD(residual), FIELD(in_features), FIELD(out_features), FIELD(weight), FIELD(bias),
    FIELD(q_norm), FIELD(k_norm), FIELD(norm_kind), FIELD(norm_plus_one), FIELD(norm_eps), FIELD(activation),
    FIELD(n_heads), FIELD(n_kv_heads), FIELD(head_dim), FIELD(rope_kind), FIELD(rope_dims), FIELD(rope_table),
    FIELD(attn_scale), FIELD(window), FIELD(softcap), FIELD(scale), FIELD(bidirectional), FIELD(n_experts), FIELD(top_k),
    FIELD(renormalise), FIELD(shared_experts), FIELD(position_embedding), FIELD(type_embedding), FIELD(head_kind),
};
#undef FIELD

// The attributes that each kind of operation may use.
const std::map<nf_op_kind, std::vector<std::string>> &honoured() {
  static const std::map<nf_op_kind, std::vector<std::string>> all = {
      {NF_OP_EMBED, {"out", "out_features", "weight", "scale"}},
      {NF_OP_NORM, {"in", "out", "in_features", "out_features", "weight", "norm_kind", "norm_plus_one", "norm_eps"}},
      {NF_OP_QKV, {"in", "out", "in_features", "out_features", "weight", "bias"}},
      {NF_OP_ROPE_STORE, {"in", "out", "n_heads", "n_kv_heads", "head_dim", "q_norm", "k_norm", "norm_kind", "norm_plus_one", "norm_eps", "rope_kind", "rope_dims", "rope_table"}},
      {NF_OP_ATTENTION, {"in", "out", "n_heads", "n_kv_heads", "head_dim", "attn_scale", "window", "softcap"}},
      {NF_OP_OUT, {"in", "out", "residual", "in_features", "out_features", "weight", "bias", "scale"}},
      {NF_OP_GATE_UP, {"in", "out", "in_features", "out_features", "weight", "bias", "activation"}},
      {NF_OP_DOWN, {"in", "out", "residual", "in_features", "out_features", "weight", "bias", "scale"}},
      {NF_OP_HEAD, {"in", "out", "in_features", "out_features", "weight", "softcap", "scale"}},
      {NF_OP_SAMPLE, {"in"}},
  };
  return all;
}

bool zero(const nf_op &op, const field &f) {
  const char *at = reinterpret_cast<const char *>(&op) + f.offset;
  return std::all_of(at, at + f.size, [](char c) { return c == 0; });
}

// One operation under check.
class checker {
 public:
  checker(checked_plan *plan, size_t index, const nf_op &op) : plan_(plan), index_(index), op_(op) {}

  nf_code check() {
    attributes();
    if (!code_) buffers();
    if (!code_) shape();
    return code_;
  }

 private:
  void refuse(nf_code code, const std::string &text) {
    if (!code_) code_ = fail(code, op_name(index_, op_) + ": " + text);
  }
  void require(bool ok, const std::string &text) {
    if (!ok) refuse(NF_INVALID, text);
  }
  void honour(bool ok, const std::string &text) {
    if (!ok) refuse(NF_UNSUPPORTED, text);
  }

  void attributes() {
    const auto kind = honoured().find(op_.kind);
    if (kind == honoured().end()) return refuse(NF_UNSUPPORTED, "this kind of operation");
    for (const field &f : fields) {
      const auto &names = kind->second;
      honour(zero(op_, f) || std::find(names.begin(), names.end(), f.name) != names.end(), std::string(f.name) + " is set");
    }
    for (const char *name : {op_.weight, op_.bias, op_.q_norm, op_.k_norm}) require(memchr(name, 0, NF_NAME), "a name has no end");
  }

  uint32_t width(uint32_t id) const {
    const auto b = plan_->buffers.find(id);
    return b == plan_->buffers.end() ? 0 : b->second.width;
  }

  // Rows flow from tokens to sampling rows only through a norm.
  void buffers() {
    for (const uint32_t id : {op_.in, op_.out, op_.residual}) require(id == 0 || width(id) > 0, "buffer " + to_string(id) + " is not in the plan");
    if (code_) return;
    const bool sampling = op_.kind == NF_OP_HEAD || op_.kind == NF_OP_SAMPLE;
    if (op_.in) require(plan_->buffers.at(op_.in).sampled == sampling, "in = " + to_string(op_.in) + ": sampled_rows must be " + to_string(sampling));
    if (op_.out && op_.kind != NF_OP_NORM) {
      require(plan_->buffers.at(op_.out).sampled == sampling, "out = " + to_string(op_.out) + ": sampled_rows must be " + to_string(sampling));
    }
    if (op_.kind != NF_OP_SAMPLE && op_.in) honour(!plan_->buffers.at(op_.in).f32, "in = " + to_string(op_.in) + ": logits go to sample alone");
  }

  void tensor(const char *name, const uint32_t (&rows)[3], uint32_t cols, bool vector, bool alternate) {
    if (!name[0] || code_) return;
    tensor_layout t = {};
    memcpy(t.rows, rows, sizeof t.rows);
    t.cols = cols, t.vector = vector, t.alternate = alternate;
    const auto [at, fresh] = plan_->tensors.insert({name, t});
    tensor_layout &have = at->second;
    require(fresh || (!memcmp(have.rows, t.rows, sizeof t.rows) && have.cols == cols && have.vector == vector && have.alternate == alternate),
            std::string("tensor \"") + name + "\" has another shape in an earlier operation");
    have.embedding |= op_.kind == NF_OP_EMBED;
    have.head |= op_.kind == NF_OP_HEAD;
    have.product |= !vector && op_.kind != NF_OP_EMBED;
  }
  void vector(const char *name, uint32_t n) { tensor(name, {n, 0, 0}, 1, true, false); }

  void linear(uint32_t features, bool alternate = false) {
    const uint32_t in = width(op_.in), out = width(op_.out);
    require(op_.weight[0], "weight is due");
    require(op_.in_features > 0 && op_.in_features == in, "in_features = " + to_string(op_.in_features) + ", the buffer is " + to_string(in) + " wide");
    require(features > 0 && features == out, "out_features give " + to_string(features) + ", the buffer is " + to_string(out) + " wide");
    honour(op_.in_features % 8 == 0, "in_features = " + to_string(op_.in_features) + ", must be a multiple of 8");
    tensor(op_.weight, op_.out_features, op_.in_features, false, alternate);
    tensor(op_.bias, op_.out_features, 1, true, alternate);
  }

  void norm() {
    honour(op_.norm_kind == NF_NORM_RMS, "norm_kind = " + to_string(op_.norm_kind));
    require(op_.norm_eps >= 0, "norm_eps = " + to_string(op_.norm_eps) + ", must not be negative");
  }

  void shape() {
    const uint32_t in = width(op_.in), out = width(op_.out);
    const uint32_t(&f)[3] = op_.out_features;
    switch (op_.kind) {
      case NF_OP_EMBED:
        require(out > 0 && op_.weight[0], "out and weight are due");
        honour(out % 8 == 0, "out is " + to_string(out) + " wide, must be a multiple of 8");
        return tensor(op_.weight, {plan_->vocabulary, 0, 0}, out, false, false);
      case NF_OP_NORM:
        require(in == out && in > 0, "in is " + to_string(in) + " wide and out " + to_string(out));
        honour(in % 8 == 0, "in is " + to_string(in) + " wide, must be a multiple of 8");
        honour(op_.weight[0], "a norm without weight");
        if (!code_) require(plan_->buffers.at(op_.out).sampled || !plan_->buffers.at(op_.in).sampled, "from sampling rows to tokens");
        norm();
        return vector(op_.weight, in);
      case NF_OP_QKV: return linear(f[0] + f[1] + f[2]);
      case NF_OP_OUT:
      case NF_OP_DOWN:
        require(op_.residual == 0 || width(op_.residual) == out, "residual and out differ in width");
        require(f[1] == 0 && f[2] == 0, "one part is due");
        return linear(f[0]);
      case NF_OP_GATE_UP:
        require(f[0] == f[1] && f[2] == 0, "gate has " + to_string(f[0]) + " features and up " + to_string(f[1]));
        require(op_.activation == NF_ACT_SILU || op_.activation == NF_ACT_GELU_TANH, "activation = " + to_string(op_.activation) + ", must be 1 or 2");
        return linear(f[0], true);
      case NF_OP_HEAD:
        require(out == plan_->vocabulary && f[1] == 0 && f[2] == 0, "out is " + to_string(out) + " wide, the vocabulary " + to_string(plan_->vocabulary));
        return linear(f[0]);
      case NF_OP_SAMPLE:
        return require(in == plan_->vocabulary && plan_->buffers.at(op_.in).f32, "in must be the head's logits");
      default: return heads();
    }
  }

  void heads() {
    require(op_.layer < plan_->layers, "layer = " + to_string(op_.layer) + " of " + to_string(plan_->layers));
    require(op_.n_heads && op_.n_kv_heads && op_.head_dim && op_.n_heads % op_.n_kv_heads == 0,
            "n_heads = " + to_string(op_.n_heads) + ", n_kv_heads = " + to_string(op_.n_kv_heads) + ", head_dim = " + to_string(op_.head_dim));
    if (code_) return;
    require(op_.n_kv_heads <= plan_->kv_heads && op_.head_dim <= plan_->head_dim, "more or wider heads than the pages hold");
    require(width(op_.in) == (op_.n_heads + 2 * op_.n_kv_heads) * op_.head_dim, "in is " + to_string(width(op_.in)) + " wide");
    honour(op_.head_dim % 8 == 0 && op_.head_dim <= attention_dim_max, "head_dim = " + to_string(op_.head_dim) + ", must be a multiple of 8 of at most 128");
    const uint32_t group = op_.n_heads / op_.n_kv_heads;
    honour(group <= attention_queries, to_string(group) + " heads share a key-value head, at most 16");
    plan_->queries_per_token = std::max(plan_->queries_per_token, group);
    if (op_.kind == NF_OP_ATTENTION) {
      return require(width(op_.out) == op_.n_heads * op_.head_dim, "out is " + to_string(width(op_.out)) + " wide");
    }
    require(op_.out == 0 || op_.out == op_.in, "out = " + to_string(op_.out) + ", rope_store works in place");
    if (op_.q_norm[0] || op_.k_norm[0]) norm();
    vector(op_.q_norm, op_.head_dim);
    vector(op_.k_norm, op_.head_dim);
    if (op_.rope_kind == NF_ROPE_NONE) return;
    require(op_.rope_kind <= NF_ROPE_PAIR, "rope_kind = " + to_string(op_.rope_kind) + ", must be 0, 1 or 2");
    honour(op_.rope_dims == op_.head_dim, "rope_dims = " + to_string(op_.rope_dims) + ", must be head_dim");
    require(op_.rope_table < plan_->ropes.size() && plan_->ropes[op_.rope_table].inv_freq.size() == op_.rope_dims / 2,
            "rope_table = " + to_string(op_.rope_table) + " has not rope_dims / 2 frequencies");
  }

  checked_plan *plan_;
  size_t index_;
  const nf_op &op_;
  nf_code code_ = NF_OK;
};

template <typename T>
nf_code copy_all(const T *from, uint32_t n, std::vector<T> *to, const char *what) {
  for (uint32_t i = 0; i < n; i++) {
    if (from[i].size != sizeof(T)) return fail(NF_INVALID, std::string("plan: ") + what + " " + to_string(i) + " has size " + to_string(from[i].size) + ", must be " + to_string(sizeof(T)));
    to->push_back(from[i]);
  }
  return NF_OK;
}

nf_code take_buffers(const nf_plan &plan, checked_plan *out) {
  std::vector<nf_buffer> buffers;
  if (const nf_code c = copy_all(plan.buffers, plan.n_buffers, &buffers, "buffer")) return c;
  for (const nf_buffer &b : buffers) {
    if (b.id == 0 || b.width == 0 || out->buffers.count(b.id)) {
      return fail(NF_INVALID, "plan: buffer " + to_string(b.id) + " of width " + to_string(b.width) + ": ids rise from 1, once each, with a width");
    }
    out->buffers[b.id] = {b.width, b.sampled_rows != 0, false, 0};
  }
  // Only the head writes logits, and what it writes is f32.
  for (const nf_op &op : out->ops) {
    if (op.kind == NF_OP_HEAD && out->buffers.count(op.out)) out->buffers[op.out].f32 = true;
  }
  return NF_OK;
}

// Whether an operation reads a buffer.
bool reads(const nf_op &op, uint32_t buffer) { return op.in == buffer || op.residual == buffer || (op.kind == NF_OP_ROPE_STORE && op.out == buffer); }

// A norm whose rows go to the product behind it and to nothing else.
bool folds_at(const checked_plan &p, size_t i) {
  const nf_op &norm = p.ops[i];
  if (norm.kind != NF_OP_NORM || i + 1 == p.ops.size() || p.buffers.at(norm.out).sampled) return false;
  const nf_op &next = p.ops[i + 1];
  if ((next.kind != NF_OP_QKV && next.kind != NF_OP_GATE_UP) || next.in != norm.out || next.out == norm.in || norm.in == norm.out) return false;
  for (size_t later = i + 2; later < p.ops.size(); later++) {
    if (reads(p.ops[later], norm.out)) return false;
    if (p.ops[later].out == norm.out) break;
  }
  return true;
}

// How the plan may be run faster than operation by operation.
void find_shortcuts(const nf_limits &limits, checked_plan *p) {
  p->walks = !limits.invariant;
  p->prefills = !limits.invariant && limits.kv_dtype != NF_E4M3;
  p->tail = p->ops.size();
  for (size_t i = 0; i < p->ops.size(); i++) {
    const nf_op &op = p->ops[i];
    p->folds.push_back(folds_at(*p, i));
    if (op.out && p->buffers.at(op.out).sampled) p->tail = std::min(p->tail, i);
    if (op.kind == NF_OP_ATTENTION && (op.window > 0 || op.head_dim != p->head_dim || !decode_attends(op.n_heads, op.n_kv_heads, op.head_dim))) p->walks = false;
    if (op.kind == NF_OP_ATTENTION && (op.softcap > 0 || !prefill_attends(op.n_heads, op.n_kv_heads, op.head_dim))) p->prefills = false;
    if (op.kind == NF_OP_HEAD) p->pool_buffer = op.in, p->pool_width = op.in_features;
  }
  p->prefills = p->prefills && p->walks;
}

void count_activations(const nf_limits &limits, checked_plan *p) {
  for (auto &[id, b] : p->buffers) {
    const uint64_t rows = b.sampled ? limits.max_rows : limits.max_tokens;
    b.offset = p->bytes.activations;
    p->bytes.activations += aligned(rows * b.width * (b.f32 ? 4 : 2));
  }
}

void count_workspace(const nf_limits &l, checked_plan *p) {
  workspace_layout &w = p->workspace;
  const uint64_t table = static_cast<uint64_t>(l.max_slots) * p->pages_per_slot, words = (p->vocabulary + 31) / 32;
  w.staging.tokens = aligned(sizeof(step_token) * l.max_tokens);
  w.staging.walks = aligned(sizeof(step_walk) * l.max_rows);
  w.staging.tiles = aligned(sizeof(step_tile) * l.max_tokens);
  w.staging.pages = aligned(sizeof(step_page) * (table + l.max_slots));
  w.staging.copies = aligned(sizeof(step_copy) * static_cast<uint64_t>(l.n_pages));
  w.staging.choices = aligned(sizeof(step_choice) * l.max_rows);
  w.staging.sampled = aligned(sizeof(int32_t) * l.max_rows);
  w.staging.prompts = aligned(sizeof(step_prompt) * l.max_tokens);
  w.staging.pooled = aligned(sizeof(step_pooled) * l.max_tokens);
  w.staging.gathers = aligned(sizeof(int32_t) * 2 * static_cast<uint64_t>(l.max_tokens));
  w.staging.biases = aligned(sizeof(step_bias) * static_cast<uint64_t>(l.max_rows) * sample_biases_max);
  w.staging.masks = aligned(sizeof(uint32_t) * l.max_rows * words);
  uint64_t at = w.staging.step();
  const auto place = [&](uint64_t *offset, uint64_t bytes) {
    *offset = at;
    at += aligned(bytes);
  };
  place(&w.late, w.staging.late());
  place(&w.table, sizeof(uint32_t) * table);
  place(&w.last, sizeof(int32_t) * l.max_slots);
  place(&w.poisoned, sizeof(uint32_t) * l.max_slots);
  place(&w.ids, sizeof(int32_t) * l.max_tokens);
  place(&w.results, sizeof(nf_result_row) * l.max_rows);
  place(&w.judged, sizeof(nf_prompt_logprob) * static_cast<uint64_t>(l.max_tokens));
  place(&w.vectors, sizeof(float) * static_cast<uint64_t>(l.max_rows) * p->pool_width);
  place(&w.counts, sizeof(uint32_t) * static_cast<uint64_t>(l.max_rows) * p->vocabulary);
  place(&w.raw_biased, sizeof(float) * static_cast<uint64_t>(l.max_rows) * sample_biases_max);
  place(&w.walked_sums, sizeof(float) * 2 * decode_walkers_max * decode_queries * p->head_dim);
  place(&w.walked_tops, sizeof(float2) * 2 * decode_walkers_max * decode_queries);
  place(&w.arrivals, sizeof(uint32_t) * static_cast<uint64_t>(l.max_rows) * p->kv_heads);
  for (rope_layout &r : p->ropes) {
    place(&r.offset, sizeof(float) * r.inv_freq.size());
    place(&r.turns, sizeof(float2) * static_cast<uint64_t>(l.max_tokens) * r.inv_freq.size());
  }
  w.total = p->bytes.workspace = at;
}

}  // namespace

uint32_t tensor_layout::first_row(uint32_t part) const {
  if (alternate) return part;
  return (part > 0 ? rows[0] : 0) + (part > 1 ? rows[1] : 0);
}

std::string op_name(size_t index, const nf_op &op) {
  static const char *const names[] = {"", "embed", "norm", "qkv", "rope_store", "attention", "out", "gate_up", "down", "moe", "head", "sample", "pool", "classify"};
  const std::string kind = op.kind < std::size(names) ? names[op.kind] : "kind " + to_string(op.kind);
  return "op " + to_string(index) + " (" + kind + ", layer " + to_string(op.layer) + ")";
}

nf_code check_plan(const nf_plan &plan, const nf_limits &limits, checked_plan *out) {
  *out = {};
  out->vocabulary = plan.vocab_size;
  out->layers = plan.n_kv_layers;
  out->kv_heads = plan.kv_heads;
  out->head_dim = plan.head_dim;
  out->pages_per_slot = (limits.max_positions + NF_PAGE - 1) / NF_PAGE;
  out->queries_per_token = 1;
  if (!plan.vocab_size || !plan.n_kv_layers || !plan.kv_heads || !plan.head_dim) {
    return fail(NF_INVALID, "plan: vocab_size, n_kv_layers, kv_heads and head_dim must be above 0");
  }
  if (plan.head_dim % 8 != 0) return fail(NF_UNSUPPORTED, "plan: head_dim = " + to_string(plan.head_dim) + ", must be a multiple of 8");
  if (const nf_code c = copy_all(plan.ops, plan.n_ops, &out->ops, "op")) return c;
  if (const nf_code c = take_buffers(plan, out)) return c;
  for (uint32_t i = 0; i < plan.n_rope_tables; i++) {
    const nf_rope_table &t = plan.rope_tables[i];
    out->ropes.push_back({{t.inv_freq, t.inv_freq + t.n}, t.attention_factor, 0, 0});
  }
  for (size_t i = 0; i < out->ops.size(); i++) {
    if (const nf_code c = checker(out, i, out->ops[i]).check()) return c;
  }
  find_shortcuts(limits, out);
  out->bytes.size = sizeof out->bytes;
  count_activations(limits, out);
  count_workspace(limits, out);
  const uint64_t head = limits.kv_dtype == NF_E4M3 ? out->head_dim + 1 : 2 * out->head_dim;  // E4M3 has a scale
  const uint64_t position = static_cast<uint64_t>(out->layers) * 2 * out->kv_heads * head + sizeof(int32_t);
  out->bytes.kv = static_cast<uint64_t>(limits.n_pages) * NF_PAGE * position;
  return NF_OK;
}

}  // namespace nf
