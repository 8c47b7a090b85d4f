// Tensor-core products of bf16 with f32 accumulators, and how operands lie in registers.
//
// An operand row is read 32 elements at a time: of them thread c = lane % 4 holds the
// eight at 8c, one 16-byte load. The tensor core's own order of k differs, but a sum of
// products has none: as long as both operands are read this way, the words 0, 1 feed
// one product of k = 16 and the words 2, 3 the next. So rows go from memory to the
// tensor core without a shuffle, and without shared memory where nothing is reused.
#pragma once

#include <cuda_bf16.h>

#include "common/ptx.cuh"

namespace nf {

// One 16 x 8 tile of f32: thread (g = lane / 4, c = lane % 4) holds row g, columns 2c
// and 2c + 1, and the same columns of row g + 8.
struct tile {
  float v[4];
};

// Volatile, as loads are: products stay behind the loads that come before them in the
// source, so that those are all on their way at once.
__device__ __forceinline__ void mma(tile &d, uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d.v[0]), "+f"(d.v[1]), "+f"(d.v[2]), "+f"(d.v[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// The same of f16.
__device__ __forceinline__ void mma_half(tile &d, uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d.v[0]), "+f"(d.v[1]), "+f"(d.v[2]), "+f"(d.v[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// d += upper, lower (rows g and g + 8 of a) times b, over 32 elements.
__device__ __forceinline__ void mma32(tile &d, const vec16 &upper, const vec16 &lower, const vec16 &b) {
  mma(d, upper.word[0], lower.word[0], upper.word[1], lower.word[1], b.word[0], b.word[1]);
  mma(d, upper.word[2], lower.word[2], upper.word[3], lower.word[3], b.word[2], b.word[3]);
}

// Two floats as one word of bf16, the first in the lower half.
__device__ __forceinline__ uint32_t pack2(float low, float high) {
  const __nv_bfloat162 v = __floats2bfloat162_rn(low, high);
  uint32_t word;
  memcpy(&word, &v, sizeof word);
  return word;
}

}  // namespace nf
