// Sums, maxima and ordered selection over a vocabulary, by a team: one block, or the blocks
// of a cluster that have a part of the vocabulary each.
#pragma once

#include <stdint.h>

#include "common/hopper.cuh"

namespace nf {

constexpr uint32_t sample_threads = 512;
constexpr uint32_t sample_warps = sample_threads / 32;
constexpr uint32_t sample_bins = 2048;
constexpr uint32_t bins_each = sample_bins / sample_threads;  // that a thread adds up

// Shared memory of a block.
struct sample_shared {
  unsigned long long bins[2][sample_bins];
  unsigned long long partial[32];
  unsigned long long told[2];  // to the other blocks of the team
  unsigned long long before;
  uint32_t bin, id;
};

// One block's part in a team: the tokens from..to of the vocabulary.
template <bool CLUSTER>
struct team {
  sample_shared &s;
  uint32_t rank, size, from, to;
  uint32_t turn;  // which of told is next: the other may still be read

  __device__ __forceinline__ void sync() const {
    if constexpr (CLUSTER) cluster_sync();
    else __syncthreads();
  }

  // Calls visit(i) for each of this block's tokens.
  template <typename Visit>
  __device__ __forceinline__ void each(Visit visit) const {
#pragma unroll (CLUSTER ? 1 : 4)
    for (uint32_t i = from + threadIdx.x; i < to; i += sample_threads) visit(i);
  }
};

template <typename T, typename F>
__device__ __forceinline__ T warp_fold(T v, F fold) {
#pragma unroll
  for (int lane = 16; lane > 0; lane /= 2) v = fold(v, __shfl_xor_sync(0xffffffffu, v, lane));
  return v;
}

// Folds 64-bit values over the block, in one order, for every thread; zero must not count.
template <typename T, typename F>
__device__ __forceinline__ T block_fold(sample_shared &s, T v, F fold) {
  static_assert(sizeof(T) == 8, "partial holds 64-bit values");
  T *partial = reinterpret_cast<T *>(s.partial);
  v = warp_fold(v, fold);
  __syncthreads();
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = v;
  __syncthreads();
  return warp_fold(threadIdx.x % 32 < sample_warps ? partial[threadIdx.x % 32] : T(0), fold);
}

// The same over the team.
template <bool CLUSTER, typename T, typename F>
__device__ __forceinline__ T team_fold(team<CLUSTER> &t, T v, F fold) {
  v = block_fold(t.s, v, fold);
  if constexpr (CLUSTER) {
    unsigned long long *told = &t.s.told[t.turn];
    if (threadIdx.x == 0) memcpy(told, &v, sizeof v);
    cluster_sync();
    v = T(0);
    for (uint32_t i = 0; i < t.size; i++) {
      const uint64_t bits = from_block(told, i);
      T other;
      memcpy(&other, &bits, sizeof other);
      v = fold(v, other);
    }
    t.turn ^= 1;
  }
  return v;
}

template <bool CLUSTER>
__device__ __forceinline__ unsigned long long team_max(team<CLUSTER> &t, unsigned long long v) {
  return team_fold(t, v, [](unsigned long long a, unsigned long long b) { return a > b ? a : b; });
}

// Each addition commutes, so that every thread gets the same bits, of doubles too.
template <bool CLUSTER, typename T>
__device__ __forceinline__ T team_total(team<CLUSTER> &t, T v) {
  return team_fold(t, v, [](T a, T b) { return a + b; });
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

// The sum over the block's threads before this one.
__device__ __forceinline__ unsigned long long block_before(sample_shared &s, unsigned long long v) {
  const unsigned long long inclusive = warp_prefix(v);
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  __syncthreads();
  if (lane == 31) s.partial[warp] = inclusive;
  __syncthreads();
  const unsigned long long mine = lane < sample_warps ? s.partial[lane] : 0, warps = warp_prefix(mine);
  return __shfl_sync(0xffffffffu, warps - mine, warp) + inclusive - v;
}

// The sum over the blocks of the team before this one.
template <bool CLUSTER>
__device__ __forceinline__ unsigned long long team_before(team<CLUSTER> &t, [[maybe_unused]] unsigned long long v) {
  unsigned long long before = 0;
  if constexpr (CLUSTER) {
    unsigned long long *told = &t.s.told[t.turn];
    v = block_fold(t.s, v, [](unsigned long long a, unsigned long long b) { return a + b; });
    if (threadIdx.x == 0) *told = v;
    t.sync();
    for (uint32_t i = 0; i < t.rank; i++) before += from_block(told, i);
    t.turn ^= 1;
  }
  return before;
}

// This thread's bins of the team, the highest first.
template <bool CLUSTER>
__device__ __forceinline__ void gather_bins(const team<CLUSTER> &t, const unsigned long long *bins, unsigned long long (&mine)[bins_each]) {
#pragma unroll
  for (uint32_t i = 0; i < bins_each; i++) {
    const unsigned long long *at = bins + sample_bins - 1 - bins_each * threadIdx.x - i;
    mine[i] = 0;
    if constexpr (CLUSTER) {
      for (uint32_t b = 0; b < t.size; b++) mine[i] += from_block(at, b);
    } else {
      mine[i] = *at;
    }
  }
}

// Finds the highest bin at which the weight of the higher bins and its own passes
// target; leaves it in s.bin, and what lies above it in s.before.
__device__ __forceinline__ void find_bin(sample_shared &s, unsigned long long target, const unsigned long long (&mine)[bins_each]) {
  unsigned long long sum = 0;
#pragma unroll
  for (uint32_t i = 0; i < bins_each; i++) sum += mine[i];
  unsigned long long above = block_before(s, sum);
#pragma unroll
  for (uint32_t i = 0; i < bins_each; i++) {
    if (above <= target && target < above + mine[i]) {
      s.bin = sample_bins - 1 - bins_each * threadIdx.x - i;
      s.before = above;
    }
    above += mine[i];
  }
  __syncthreads();
}

// A token in the order of selection: higher keys first, lower ids first among equals.
struct picked {
  uint32_t key, id;
};

// Among tokens of one key: the one at target, each block's run of ids in turn.
template <bool CLUSTER, typename Weight>
__device__ __forceinline__ uint32_t among_equals(team<CLUSTER> &t, unsigned long long target, Weight weight_at) {
  const uint32_t run = (t.to - t.from + sample_warps - 1) / sample_warps, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const uint32_t from = t.from + warp * run, to = min(t.to, from + run);
  const auto weight = [&](uint32_t i) -> unsigned long long { return i < to ? weight_at(i) : 0; };
  unsigned long long sum = 0;
#pragma unroll 4
  for (uint32_t i = from + lane; i < to; i += 32) sum += weight(i);
  unsigned long long before = team_before(t, sum) + block_before(t.s, sum);
  before = __shfl_sync(0xffffffffu, before, 0);  // of the warps before this one
  sum = warp_fold(sum, [](unsigned long long a, unsigned long long b) { return a + b; });
  unsigned long long found = 0;
  if (before <= target && target < before + sum) {
    for (uint32_t i = from; i < to; i += 32) {
      const unsigned long long w = weight(i + lane), upto = before + warp_prefix(w);
      if (upto - w <= target && target < upto) found = i + lane + 1ull;
      before = __shfl_sync(0xffffffffu, upto, 31);
      if (target < before) break;
    }
  }
  return static_cast<uint32_t>(team_max(t, found) - 1);
}

// Finds the token at which the weights of all before it and its own pass aim(sum of all
// weights), which must be below that sum. visit(id, key, weight) tells a token's key and
// weight, and false for one that is out; coarse(key) a bin of keys, in their order: it
// spreads them, so that few threads meet in one bin. Weights are integers, so that their
// sums are the same in any order; nothing is sorted.
template <bool CLUSTER, typename Aim, typename Visit, typename Coarse>
__device__ __forceinline__ picked select(team<CLUSTER> &t, Aim aim, Visit visit, Coarse coarse) {
  sample_shared &s = t.s;
  uint32_t prefix = 0, known = 0, spread = 0;
  unsigned long long target = 0;
#pragma unroll 1
  for (int pass = 0; pass < 4; pass++) {  // coarse bins, then 11, 11 and 10 bits of the key
    const uint32_t shift = pass == 1 ? 21 : pass == 2 ? 10 : 0, bits = pass == 3 ? 1023 : 2047;
    unsigned long long *bins = s.bins[pass % 2], mine[bins_each];
    for (uint32_t i = threadIdx.x; i < sample_bins; i += sample_threads) bins[i] = 0;
    __syncthreads();
    t.each([&](uint32_t i) {
      uint32_t key;
      unsigned long long weight;
      if (!visit(i, key, weight) || (key & known) != prefix) return;
      const uint32_t bin = coarse(key);
      if (pass == 0) atomicAdd(&bins[bin], weight);
      else if (bin == spread) atomicAdd(&bins[key >> shift & bits], weight);
    });
    t.sync();
    gather_bins(t, bins, mine);
    if (pass == 0) {
      unsigned long long sum = 0;
#pragma unroll
      for (uint32_t i = 0; i < bins_each; i++) sum += mine[i];
      target = aim(block_fold(s, sum, [](unsigned long long a, unsigned long long b) { return a + b; }));
    }
    find_bin(s, target, mine);
    target -= s.before;
    if (pass == 0) {
      spread = s.bin;
    } else {
      prefix |= s.bin << shift;
      known |= bits << shift;
    }
    __syncthreads();
  }
  const uint32_t id = among_equals(t, target, [&](uint32_t i) -> unsigned long long {
    uint32_t key;
    unsigned long long weight;
    return visit(i, key, weight) && key == prefix ? weight : 0;
  });
  return {prefix, id};
}

}  // namespace nf
