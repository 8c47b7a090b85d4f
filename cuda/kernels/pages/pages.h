// The books on the device: page tables, token ids, copies of pages.
#pragma once

#include <cuda_runtime.h>
#include <stdint.h>

#include "exec/staging.h"
#include "nanofleet.h"

namespace nf {

// The KV pool: [layer][page][K or V][head][...]. K is [position][dim]; V is
// [dim][position], so that attention reads both along the dimension that it sums over.
// Elements are bf16, or E4M3: then each layer of a page ends with the scales of its
// positions, [head][K or V][position], a byte each (common/e4m3.cuh).
struct kv_pool {
  void *kv;
  int32_t *tokens;  // [page][NF_PAGE]
  uint32_t pages, layers, heads, dim;
  bool fp8 = false;

  // Elements of K (or V) of one head of a page.
  __host__ __device__ size_t head_size() const { return static_cast<size_t>(NF_PAGE) * dim; }
  // Bytes of a page in one layer.
  __host__ __device__ size_t page_bytes() const { return 2 * heads * (fp8 ? head_size() + NF_PAGE : 2 * head_size()); }
  __host__ __device__ char *page(uint32_t layer, uint32_t page) const {
    return static_cast<char *>(kv) + (static_cast<size_t>(layer) * pages + page) * page_bytes();
  }
  // One head's K (part 0) or V (1) in a page.
  __host__ __device__ char *head(uint32_t layer, uint32_t page, uint32_t part, uint32_t head) const {
    return this->page(layer, page) + (static_cast<size_t>(part) * heads + head) * head_size() * (fp8 ? 1 : 2);
  }
  // Their scales, where there are some.
  __host__ __device__ char *scales(uint32_t layer, uint32_t page, uint32_t part, uint32_t head) const {
    return this->page(layer, page) + 2 * heads * head_size() + (2 * head + part) * NF_PAGE;
  }
  // Its first element; bf16 alone.
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
