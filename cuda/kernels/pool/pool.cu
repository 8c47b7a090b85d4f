#include "kernels/pool/pool.h"

#include "common/element.cuh"
#include "common/launch.h"
#include "common/status.h"

namespace nf {
namespace {

constexpr uint32_t threads = 64;

// A thread per column.
__global__ void __launch_bounds__(threads) pool(const pool_args a) {
  follow();
  const uint32_t col = blockIdx.x * threads + threadIdx.x;
  if (col >= a.width) return;
  const __nv_bfloat16 *x = static_cast<const __nv_bfloat16 *>(a.x) + col;
  for (uint32_t i = 0; i < a.n; i++) a.vectors[static_cast<size_t>(a.entries[i].vector) * a.width + col] += to_float<__nv_bfloat16>(x[static_cast<size_t>(i) * a.width]);
}

}  // namespace

nf_code pool_launch(const pool_args &a, cudaStream_t stream) {
  if (a.n == 0) return NF_OK;
  return code_of(launch(pool, {(a.width + threads - 1) / threads, threads}, stream, a));
}

}  // namespace nf
