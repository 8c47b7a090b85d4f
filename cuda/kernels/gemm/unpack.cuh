// Packed weights to bf16 in registers (kernels/gemm/packed.h).
#pragma once

#include "common/ptx.cuh"
#include "kernels/gemm/packed.h"

namespace nf {

// a * b + c of two bf16 each, rounded once.
__device__ __forceinline__ uint32_t fma2(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t d;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
}

__device__ __forceinline__ uint32_t both_low(uint32_t v) { return __byte_perm(v, 0, 0x1010); }
__device__ __forceinline__ uint32_t both_high(uint32_t v) { return __byte_perm(v, 0, 0x3232); }

// Eight elements of E4M3, two words of a piece, times a factor that stands in both halves.
__device__ __forceinline__ vec16 unpack_fp8(uint32_t first, uint32_t second, uint32_t factor) {
  constexpr uint32_t signs = 0x80008000, rest = 0x07f007f0, minus_zero = 0x80008000;
  vec16 out;
  out.word[0] = fma2((first << 8 & signs) | (first << 4 & rest), factor, minus_zero);
  out.word[1] = fma2((first & signs) | (first >> 4 & rest), factor, minus_zero);
  out.word[2] = fma2((second << 8 & signs) | (second << 4 & rest), factor, minus_zero);
  out.word[3] = fma2((second & signs) | (second >> 4 & rest), factor, minus_zero);
  return out;
}

// Eight nibbles, the word of a piece, each as 1 + q / 16, times step plus base.
__device__ __forceinline__ vec16 unpack_int4(uint32_t word, uint32_t step, uint32_t base) {
  constexpr uint32_t nibbles = 0x00780078, ones = 0x3f803f80;
  vec16 out;
  out.word[0] = fma2((word << 3 & nibbles) | ones, step, base);
  out.word[1] = fma2((word >> 1 & nibbles) | ones, step, base);
  out.word[2] = fma2((word >> 5 & nibbles) | ones, step, base);
  out.word[3] = fma2((word >> 9 & nibbles) | ones, step, base);
  return out;
}

}  // namespace nf
