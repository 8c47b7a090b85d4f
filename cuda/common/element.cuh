// Element types: conversion to the float that everything computes in, and back.
#pragma once

#include <cuda_bf16.h>

#include "common/ptx.cuh"

namespace nf {

template <typename T>
__device__ __forceinline__ float to_float(T v);
template <>
__device__ __forceinline__ float to_float(float v) {
  return v;
}
template <>
__device__ __forceinline__ float to_float(__nv_bfloat16 v) {
  return __bfloat162float(v);
}

template <typename T>
__device__ __forceinline__ T from_float(float v);
template <>
__device__ __forceinline__ float from_float(float v) {
  return v;
}
template <>
__device__ __forceinline__ __nv_bfloat16 from_float(float v) {
  return __float2bfloat16_rn(v);
}

// How many elements sixteen bytes hold.
template <typename T>
constexpr int per_vec = 16 / sizeof(T);

template <typename T>
__device__ __forceinline__ void unpack(const vec16 &v, float (&out)[per_vec<T>]) {
  T in[per_vec<T>];
  memcpy(in, &v, sizeof v);
#pragma unroll
  for (int i = 0; i < per_vec<T>; i++) out[i] = to_float<T>(in[i]);
}

template <typename T>
__device__ __forceinline__ vec16 pack(const float (&in)[per_vec<T>]) {
  T out[per_vec<T>];
#pragma unroll
  for (int i = 0; i < per_vec<T>; i++) out[i] = from_float<T>(in[i]);
  vec16 v;
  memcpy(&v, out, sizeof v);
  return v;
}

}  // namespace nf
