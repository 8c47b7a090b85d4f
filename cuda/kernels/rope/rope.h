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
  const float *inv_freq;        // dim / 2, radians per position
  kv_pool pool;
  uint32_t rows, layer, heads, kv_heads, dim;
  uint32_t kind;      // NF_ROPE_*
  float factor;       // multiplies cosine and sine
  float eps;
  bool plus_one;      // norm weights are stored as w - 1
};

// Queues it. The caller has checked the arguments: dim is even.
nf_code rope_launch(const rope_args &a, cudaStream_t stream);

}  // namespace nf
