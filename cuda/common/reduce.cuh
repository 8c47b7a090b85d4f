// Sums with one order each, so that the same data give the same bits every time.
#pragma once

namespace nf {

// The sum over a warp, in every lane.
__device__ __forceinline__ float warp_sum(float v) {
#pragma unroll
  for (int lane = 16; lane > 0; lane /= 2) v += __shfl_xor_sync(0xffffffffu, v, lane);
  return v;
}

// The sum over a block of whole warps, in every thread. partial is shared memory of
// 32 floats; it may be used again only after the next barrier.
__device__ __forceinline__ float block_sum(float v, float *partial) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  v = warp_sum(v);
  if (lane == 0) partial[warp] = v;
  __syncthreads();
  return warp_sum(lane < warps ? partial[lane] : 0.0f);
}

}  // namespace nf
