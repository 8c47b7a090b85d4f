// FP8 of four exponent and three mantissa bits (OCP OFP8), and the powers of two that
// scale it (OCP E8M0: a byte b stands for 2^(b - 127), 255 for NaN).
//
// With a power of two as scale every product of element and scale is exact, in bf16 too,
// and an element keeps the relative precision it has with any other scale: E4M3 is
// itself a floating point format.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include "common/ptx.cuh"

namespace nf {

// The least power of two, as its byte, that brings values of at most this magnitude
// within E4M3's 448 = 1.75 * 2^8; the magnitude comes as the bits of a float. What is not
// finite gives NaN. Nothing is scaled below 2^-126, so that both ways are normal floats.
__device__ __forceinline__ uint32_t e8m0_for(uint32_t magnitude) {
  if (magnitude >= 0x7f800000u) return 255;
  const int exponent = static_cast<int>((magnitude + 0x1fffffu) >> 23) - 8;
  return static_cast<uint32_t>(max(exponent, 1));
}

// What the byte stands for; 0, which nothing is scaled by, gives zero. 255 gives infinity
// where the elements, all NaN then, are read as such.
__device__ __forceinline__ float from_e8m0(uint32_t byte) {
#if __CUDA_ARCH__ < 890
  if (byte == 255) return __uint_as_float(0x7fffffffu);
#endif
  return __uint_as_float(byte << 23);
}

// Byte i of a word, as the float it stands for.
__device__ __forceinline__ float from_e8m0(uint32_t word, int i) {
#if __CUDA_ARCH__ < 890
  return from_e8m0(word >> (8 * i) & 0xffu);
#endif
  return __uint_as_float(__byte_perm(word, 0, 0x0444u | static_cast<uint32_t>(i) << 12) >> 1);
}

// v times 2^(127 - byte), to nearest; 255 gives NaN.
__device__ __forceinline__ uint8_t to_e4m3(float v, uint32_t byte) {
  if (byte == 255) return 0x7f;
  return static_cast<uint8_t>(__nv_cvt_float_to_fp8(v * __uint_as_float((254 - byte) << 23), __NV_SATFINITE, __NV_E4M3));
}

// Four elements as two pairs of f16, which holds them exactly.
__device__ __forceinline__ void halves_of_e4m3(uint32_t four, uint32_t &low, uint32_t &high) {
#if __CUDA_ARCH__ >= 890
  asm("{ .reg .b16 l, h; mov.b32 {l, h}, %2; cvt.rn.f16x2.e4m3x2 %0, l; cvt.rn.f16x2.e4m3x2 %1, h; }" : "=r"(low), "=r"(high) : "r"(four));
#else
  // The same bits a place to the right are an f16 that is 2^8 too small.
  const __half2 back = __float2half2_rn(256);
  uint32_t pairs[2] = {__byte_perm(four, 0, 0x1404u), __byte_perm(four, 0, 0x3424u)};
#pragma unroll
  for (uint32_t &p : pairs) {
    p = (p & 0x80008000u) | ((p & 0x7f007f00u) >> 1);
    __half2 v;
    memcpy(&v, &p, 4);
    v = __hmul2(v, back);
    memcpy(&p, &v, 4);
  }
  low = pairs[0];
  high = pairs[1];
#endif
}

// Eight elements as bf16, which holds them exactly.
__device__ __forceinline__ vec16 bf16_of_e4m3(const uint2 &eight) {
  vec16 v;
  halves_of_e4m3(eight.x, v.word[0], v.word[1]);
  halves_of_e4m3(eight.y, v.word[2], v.word[3]);
#pragma unroll
  for (uint32_t &word : v.word) {
    __half2 h;
    memcpy(&h, &word, 4);
    const __nv_bfloat162 b = __float22bfloat162_rn(__half22float2(h));
    memcpy(&word, &b, 4);
  }
  return v;
}

}  // namespace nf
