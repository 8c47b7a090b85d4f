// Paged attention of any mix of prefill and decode rows.
#pragma once

#include <cuda_runtime.h>
#include <stdint.h>

#include "exec/staging.h"
#include "kernels/pages/pages.h"

namespace nf {

// Queries of one tile: tokens times the heads that share a key-value head.
constexpr uint32_t attention_queries = 16;
constexpr uint32_t attention_dim_max = 128;

struct attention_args {
  const void *qkv;  // rows x (heads + 2 * kv_heads) * dim, bf16
  void *out;        // rows x heads * dim, bf16
  const step_tile *tiles;
  kv_pool pool;
  slot_books books;
  uint32_t n_tiles, layer, heads, kv_heads, dim;  // dim a multiple of 8, at most 128
  uint32_t window;       // positions seen; 0: all
  float scale, softcap;  // of scores; softcap 0: none
};

// Queues the attention. The caller has checked the arguments.
nf_code attention_launch(const attention_args &a, cudaStream_t stream);

// In float64 on the CPU: n_tokens rows of one sequence from position on, over K and V of
// all its positions, [position][kv_head][dim].
void attention_reference(const attention_args &a, const float *qkv, const float *k, const float *v, uint32_t position, uint32_t n_tokens, double *out);

}  // namespace nf
