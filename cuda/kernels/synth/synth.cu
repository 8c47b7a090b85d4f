#include "kernels/synth/synth.h"

#include <cuda_bf16.h>

#include "common/status.h"

namespace nf {
namespace {

// SplitMix64's finaliser: well mixed bits of a counter.
__device__ __forceinline__ uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ x >> 27) * 0x94d049bb133111ebull;
  return x ^ x >> 31;
}

__global__ void synth(__nv_bfloat16 *out, uint64_t n, uint32_t cols, uint32_t pitch, float mean, uint64_t seed) {
  constexpr float reach = 0.034641016f;  // 0.02 * sqrt(3)
  for (uint64_t i = blockIdx.x * static_cast<uint64_t>(blockDim.x) + threadIdx.x; i < n; i += static_cast<uint64_t>(gridDim.x) * blockDim.x) {
    const float u = static_cast<float>(mix(seed ^ mix(i)) >> 40) * 0x1p-24f;
    out[i / cols * pitch + i % cols] = __float2bfloat16_rn(mean + reach * (2 * u - 1));
  }
}

}  // namespace

nf_code synth_launch(void *out, uint32_t rows, uint32_t cols, uint32_t pitch, float mean, uint64_t seed, cudaStream_t stream) {
  synth<<<1024, 256, 0, stream>>>(static_cast<__nv_bfloat16 *>(out), static_cast<uint64_t>(rows) * cols, cols, pitch, mean, seed);
  return code_of(cudaGetLastError());
}

}  // namespace nf
