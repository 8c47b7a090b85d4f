#include "kernels/pages/pages.h"

#include "common/launch.h"
#include "common/ptx.cuh"
#include "common/status.h"

namespace nf {
namespace {

constexpr int threads = 256;

__global__ void copy_page(const kv_pool pool, const step_copy *copies, uint32_t i) {
  const step_copy c = copies[i];
  const size_t size = pool.page_bytes() / sizeof(vec16);
  const vec16 *from = reinterpret_cast<const vec16 *>(pool.page(blockIdx.y, c.from));
  vec16 *to = reinterpret_cast<vec16 *>(pool.page(blockIdx.y, c.to));
  for (size_t at = blockIdx.x * blockDim.x + threadIdx.x; at < size; at += gridDim.x * blockDim.x) to[at] = from[at];
  if (blockIdx.x == 0 && blockIdx.y == 0 && threadIdx.x < NF_PAGE) {
    pool.tokens[c.to * NF_PAGE + threadIdx.x] = pool.tokens[c.from * NF_PAGE + threadIdx.x];
  }
}

__global__ void enter(const slot_books books, const step_page *pages, uint32_t n) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const step_page p = pages[i];
  if (p.fresh) {
    books.last[p.slot] = 0;
    books.poisoned[p.slot] = 0;
  } else {
    books.table[static_cast<size_t>(p.slot) * books.width + p.index] = p.page;
  }
}

__global__ void write_tokens(const kv_pool pool, const slot_books books, const step_token *tokens, int32_t *ids, uint32_t n) {
  follow();
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const step_token t = tokens[i];
  const int32_t id = t.id < 0 ? books.last[t.slot] : t.id;
  ids[i] = id;
  pool.tokens[static_cast<size_t>(t.page) * NF_PAGE + t.position % NF_PAGE] = id;
}

uint32_t blocks(uint32_t n) { return (n + threads - 1) / threads; }

}  // namespace

nf_code pages_copy(const kv_pool &pool, const step_copy *copies, uint32_t n, cudaStream_t stream) {
  for (uint32_t i = 0; i < n; i++) copy_page<<<dim3(8, pool.layers), threads, 0, stream>>>(pool, copies, i);
  return code_of(cudaGetLastError());
}

nf_code pages_enter(const slot_books &books, const step_page *pages, uint32_t n, cudaStream_t stream) {
  if (n > 0) enter<<<blocks(n), threads, 0, stream>>>(books, pages, n);
  return code_of(cudaGetLastError());
}

nf_code pages_tokens(const kv_pool &pool, const slot_books &books, const step_token *tokens, int32_t *ids, uint32_t n,
                     cudaStream_t stream) {
  // Apart from the copies and entries: later kernels read tables and pages early.
  launch_shape shape = {blocks(n), threads};
  shape.apart = true;
  return n > 0 ? code_of(launch(write_tokens, shape, stream, pool, books, tokens, ids, n)) : NF_OK;
}

}  // namespace nf
