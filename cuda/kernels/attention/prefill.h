// Attention of rows that bring many tokens, on Hopper.
#pragma once

#include <cuda_runtime.h>
#include <stdint.h>

#include "kernels/attention/attention.h"

namespace nf {

// Queries of one tile: tokens times the heads that share a key-value head.
constexpr uint32_t prefill_queries = 128;

struct prefill_args {
  attention_args of;  // its tiles hold up to prefill_queries, the longest past first
  uint32_t rows;      // token rows of qkv
  uint32_t longest;   // positions that the tile with the most of them sees
};

// Whether prefill_launch can attend such heads on this device. It knows no window and no
// softcap.
bool prefill_attends(uint32_t heads, uint32_t kv_heads, uint32_t dim);

// Queues the attention. The caller has checked the arguments. A query's bits depend on its
// own sequence alone unless a step has so few tiles that blocks share the keys of one.
nf_code prefill_launch(const prefill_args &a, cudaStream_t stream);

}  // namespace nf
