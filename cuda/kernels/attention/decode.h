// Attention of rows that decode one token each.
#pragma once

#include <cuda_runtime.h>
#include <stdint.h>

#include "exec/staging.h"
#include "kernels/pages/pages.h"

namespace nf {

constexpr uint32_t decode_span = 32;    // keys of a span
constexpr uint32_t decode_queries = 8;  // most heads that share a key-value head

// A warp that walks spans; the device's walkers share out all spans of a step. Each has
// room for what it leaves of two heads that other walkers walk too.
struct decode_room {
  float *sums;         // [walker][2][decode_queries][dim]
  float2 *tops;        // [walker][2][decode_queries]: the highest score, the sum of weights
  uint32_t *arrivals;  // [row][kv_head], zero between launches
};

struct decode_args {
  const void *qkv;  // rows x (heads + 2 * kv_heads) * dim, bf16
  void *out;        // rows x heads * dim, bf16
  const step_walk *walks;
  kv_pool pool;
  slot_books books;
  decode_room room;
  uint32_t n, layer, heads, kv_heads, dim;
  float scale, softcap;  // of scores; softcap 0: none
};

// Whether decode_launch can attend such heads.
bool decode_attends(uint32_t heads, uint32_t kv_heads, uint32_t dim);

// Most walkers of any device, for whom room is made.
constexpr uint32_t decode_walkers_max = 1536;

// Queues the attention. The caller has checked the arguments. How a row's keys are
// shared out depends on the other rows: its last bits may too.
nf_code decode_launch(const decode_args &a, cudaStream_t stream);

}  // namespace nf
