// The books on the device: page tables, token ids, copies of pages.
#pragma once

#include <cuda_runtime.h>
#include <stdint.h>

#include "exec/staging.h"
#include "nanofleet.h"

namespace nf {

// The KV pool: [layer][page][K or V][head][...], bf16. K is [position][dim]; V is
// [dim][position], so that attention reads both along the dimension that it sums over.
struct kv_pool {
  void *kv;
  int32_t *tokens;  // [page][NF_PAGE]
  uint32_t pages, layers, heads, dim;

  // Elements of K (or V) of one head of a page.
  __host__ __device__ size_t head_size() const { return static_cast<size_t>(NF_PAGE) * dim; }
  // The first element of one head's K (part 0) or V (1) in a page.
  __host__ __device__ size_t at(uint32_t layer, uint32_t page, uint32_t part, uint32_t head) const {
    return (((static_cast<size_t>(layer) * pages + page) * 2 + part) * heads + head) * head_size();
  }
};

// What the device knows of slots.
struct slot_books {
  uint32_t *table;     // [slot][width] page ids
  uint32_t width;
  int32_t *last;       // last sampled token
  uint32_t *poisoned;  // 1 once a row's logits held a NaN
};

// Copies K, V and token ids of whole pages, one copy after another.
nf_code pages_copy(const kv_pool &pool, const step_copy *copies, uint32_t n, cudaStream_t stream);

// Enters pages into the tables and forgets what an earlier holder of a slot left.
nf_code pages_enter(const slot_books &books, const step_page *pages, uint32_t n, cudaStream_t stream);

// Fills in the last sampled tokens and writes every id to ids and to its page.
nf_code pages_tokens(const kv_pool &pool, const slot_books &books, const step_token *tokens, int32_t *ids, uint32_t n,
                     cudaStream_t stream);

}  // namespace nf
