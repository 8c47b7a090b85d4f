// The plan as this backend keeps it: checked, its tensors laid out, its bytes counted.
#pragma once

#include <stdint.h>

#include <map>
#include <string>
#include <vector>

#include "kernels/gemm/packed.h"
#include "nanofleet.h"

namespace nf {

// Allocations and their parts start at multiples of this many bytes.
constexpr uint64_t alignment = 256;
constexpr uint64_t aligned(uint64_t n) { return (n + alignment - 1) / alignment * alignment; }

// Rows whose logits one step may copy to the host.
constexpr uint32_t logits_rows_max = 8;

// A part of a tensor as it was put: data, and scales where its type has them. What they
// point to stays readable until finalise.
struct tensor_part {
  nf_tensor data, scale;
  bool put, scaled;
};

// A tensor. Its parts follow one another, or alternate row by row: gate and up are
// multiplied element by element, so their sums should meet in one thread. A vector (norm,
// bias) has rows of one element.
struct tensor_layout {
  uint32_t rows[3], cols;
  bool vector, alternate;
  bool product, embedding, head;  // which operations read it
  tensor_part parts[3];
  // Once all parts are there (weights.cpp):
  weight_kind kind;
  uint32_t scale_groups;
  char *data, *scales;

  uint32_t all_rows() const { return rows[0] + rows[1] + rows[2]; }
  uint64_t elements() const { return static_cast<uint64_t>(all_rows()) * cols; }
  uint32_t first_row(uint32_t part) const;
  uint32_t row_step() const { return alternate ? 2 : 1; }
};

struct buffer_layout {
  uint32_t width;
  bool sampled;  // one row per sampling row
  bool f32;      // logits; other buffers are bf16
  uint64_t offset;
};

struct rope_layout {
  std::vector<float> inv_freq;
  float factor;
  uint64_t offset;  // in the workspace
  uint64_t turns;   // of a step's tokens, likewise
};

// What goes to the device with each step, at most.
struct staging_sizes {
  uint64_t tokens, walks, tiles, pages, copies, choices, sampled, prompts, pooled, gathers, biases, masks;
  uint64_t step() const { return tokens + walks + tiles + pages + copies + choices + sampled + prompts + pooled + gathers + biases + masks; }
  uint64_t late() const { return choices + masks; }
};

// The workspace's parts, as offsets.
struct workspace_layout {
  staging_sizes staging;
  uint64_t late, table, last, poisoned, ids, results, judged, vectors, counts, raw_biased, walked_sums, walked_tops, arrivals, total;
};

struct checked_plan {
  std::vector<nf_op> ops;
  std::map<std::string, tensor_layout> tensors;
  std::map<uint32_t, buffer_layout> buffers;
  std::vector<rope_layout> ropes;
  workspace_layout workspace;
  uint32_t vocabulary, layers, kv_heads, head_dim;
  uint32_t pages_per_slot;
  uint32_t queries_per_token;  // the most heads that share a key-value head
  size_t tail;                 // the first operation on sampling rows
  std::vector<bool> folds;     // by operation: a norm that the next one, its only reader, may do
  bool walks;                  // rows of one token are walked: attention/decode.h
  bool prefills;               // and the others go by large tiles: attention/prefill.h
  uint32_t pool_buffer, pool_width;  // what the head reads; 0 without a head
  nf_bytes bytes;
};

// Checks and lays out; every attribute that is not honoured is refused by name.
nf_code check_plan(const nf_plan &plan, const nf_limits &limits, checked_plan *out);

// How errors name an operation.
std::string op_name(size_t index, const nf_op &op);

}  // namespace nf
