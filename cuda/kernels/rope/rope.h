// Rotary embedding and the store of K and V, in place on rows of [q | k | v].
#pragma once

#include <cuda_runtime.h>
#include <stdint.h>

#include "exec/staging.h"
#include "kernels/pages/pages.h"

namespace nf {

struct rope_args {
  void *qkv;  // rows x (heads + 2 * kv_heads) * dim, bf16; q and k are rotated in place
  const step_token *tokens;  // of the rows
  const void *q_norm, *k_norm;  // dim, bf16, or NULL: an RMS norm of each head before rotation
  const float2 *turns;          // rows x dim / 2, of turns_launch; not read when kind is NF_ROPE_NONE
  kv_pool pool;
  uint32_t rows, layer, heads, kv_heads, dim;
  uint32_t kind;      // NF_ROPE_*
  float eps;
  bool plus_one;      // norm weights are stored as w - 1
};

// Queues it. The caller has checked the arguments: dim is even.
nf_code rope_launch(const rope_args &a, cudaStream_t stream);

// Queues cosine and sine of each token's n angles, multiplied by factor (0 is 1); once a
// step for all layers.
nf_code turns_launch(const step_token *tokens, uint32_t rows, const float *inv_freq, uint32_t n, float factor, float2 *turns, cudaStream_t stream);

}  // namespace nf
