// Sums, maxima and ordered selection over a vocabulary, by one block of 32 warps.
#pragma once

#include <stdint.h>

namespace nf {

constexpr uint32_t sample_threads = 1024;
constexpr uint32_t sample_bins = 2048;

// Shared memory of a block.
struct sample_shared {
  unsigned long long bins[sample_bins];
  unsigned long long partial[32];
  unsigned long long before;
  uint32_t bin, id;
};

template <typename T, typename F>
__device__ __forceinline__ T warp_fold(T v, F fold) {
#pragma unroll
  for (int lane = 16; lane > 0; lane /= 2) v = fold(v, __shfl_xor_sync(0xffffffffu, v, lane));
  return v;
}

// Folds 64-bit values over the block, in one order, for every thread.
template <typename T, typename F>
__device__ __forceinline__ T block_fold(sample_shared &s, T v, F fold) {
  static_assert(sizeof(T) == 8, "partial holds 64-bit values");
  T *partial = reinterpret_cast<T *>(s.partial);
  v = warp_fold(v, fold);
  __syncthreads();
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = v;
  __syncthreads();
  return warp_fold(partial[threadIdx.x % 32], fold);
}

__device__ __forceinline__ unsigned long long block_max(sample_shared &s, unsigned long long v) {
  return block_fold(s, v, [](unsigned long long a, unsigned long long b) { return a > b ? a : b; });
}

__device__ __forceinline__ unsigned long long block_total(sample_shared &s, unsigned long long v) {
  return block_fold(s, v, [](unsigned long long a, unsigned long long b) { return a + b; });
}

// Sums doubles; each addition commutes, so every lane gets the same bits.
__device__ __forceinline__ double block_total(sample_shared &s, double v) {
  return block_fold(s, v, [](double a, double b) { return a + b; });
}

// The sum over the lanes up to and including this one.
__device__ __forceinline__ unsigned long long warp_prefix(unsigned long long v) {
  const uint32_t lane = threadIdx.x % 32;
#pragma unroll
  for (uint32_t by = 1; by < 32; by *= 2) {
    const unsigned long long other = __shfl_up_sync(0xffffffffu, v, by);
    if (lane >= by) v += other;
  }
  return v;
}

// The sum over the threads before this one.
__device__ __forceinline__ unsigned long long block_before(sample_shared &s, unsigned long long v) {
  const unsigned long long inclusive = warp_prefix(v);
  __syncthreads();
  if (threadIdx.x % 32 == 31) s.partial[threadIdx.x / 32] = inclusive;
  __syncthreads();
  const unsigned long long warps = warp_prefix(s.partial[threadIdx.x % 32]);
  const unsigned long long before = __shfl_sync(0xffffffffu, warps, threadIdx.x / 32) - s.partial[threadIdx.x / 32];
  return before + inclusive - v;
}

// Finds the highest bin at which the weight of the higher bins and its own passes
// target; leaves it in s.bin, and what lies above it in s.before.
__device__ __forceinline__ void find_bin(sample_shared &s, unsigned long long target, uint32_t bins) {
  const uint32_t high = bins - 1 - 2 * threadIdx.x;  // this thread's: high and high - 1
  const bool mine = 2 * threadIdx.x + 1 < bins;
  const unsigned long long first = mine ? s.bins[high] : 0, second = mine ? s.bins[high - 1] : 0;
  const unsigned long long above = block_before(s, first + second);
  if (mine && above <= target && target < above + first) {
    s.bin = high;
    s.before = above;
  } else if (mine && above + first <= target && target < above + first + second) {
    s.bin = high - 1;
    s.before = above + first;
  }
  __syncthreads();
}

// A token in the order of selection: higher keys first, lower ids first among equals.
struct picked {
  uint32_t key, id;
};

// Finds the token at which the weights of all before it and its own pass aim(sum of all
// weights), which must be below that sum. visit(id, key, weight) tells a token's key and
// weight, and false for one that is out. Weights are integers, so that their sums are
// the same in any order; the vocabulary is read four times and never sorted.
template <typename Aim, typename Visit>
__device__ __forceinline__ picked select(sample_shared &s, uint32_t vocabulary, Aim aim, Visit visit) {
  uint32_t prefix = 0, known = 0;
  unsigned long long target = 0;
  for (int pass = 0; pass < 3; pass++) {  // 11, 11 and 10 bits of the key
    const uint32_t shift = pass == 0 ? 21 : pass == 1 ? 10 : 0, bins = pass == 2 ? 1024 : 2048;
    for (uint32_t i = threadIdx.x; i < bins; i += sample_threads) s.bins[i] = 0;
    __syncthreads();
#pragma unroll 4
    for (uint32_t i = threadIdx.x; i < vocabulary; i += sample_threads) {
      uint32_t key;
      unsigned long long weight;
      if (visit(i, key, weight) && (key & known) == prefix) atomicAdd(&s.bins[key >> shift & (bins - 1)], weight);
    }
    __syncthreads();
    if (pass == 0) target = aim(block_total(s, s.bins[threadIdx.x] + s.bins[threadIdx.x + sample_threads]));
    find_bin(s, target, bins);
    target -= s.before;
    prefix |= s.bin << shift;
    known |= (bins - 1) << shift;
    __syncthreads();
  }
  // Equal keys: each warp has a run of ids, so that their order is that of ids.
  const uint32_t run = (vocabulary + 31) / 32, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const uint32_t from = warp * run, to = min(vocabulary, from + run);
  unsigned long long sum = 0;
  const auto weight_at = [&](uint32_t i) -> unsigned long long {
    uint32_t key;
    unsigned long long weight;
    return i < to && visit(i, key, weight) && key == prefix ? weight : 0;
  };
#pragma unroll 4
  for (uint32_t i = from + lane; i < to; i += 32) sum += weight_at(i);
  unsigned long long before = block_before(s, sum);
  before = __shfl_sync(0xffffffffu, before, 0);  // of the warps before this one
  sum = warp_fold(sum, [](unsigned long long a, unsigned long long b) { return a + b; });
  if (before <= target && target < before + sum) {
    for (uint32_t i = from; i < to; i += 32) {
      const unsigned long long weight = weight_at(i + lane), upto = before + warp_prefix(weight);
      if (upto - weight <= target && target < upto) s.id = i + lane;
      before = __shfl_sync(0xffffffffu, upto, 31);
      if (target < before) break;
    }
  }
  __syncthreads();
  return {prefix, s.id};
}

}  // namespace nf
