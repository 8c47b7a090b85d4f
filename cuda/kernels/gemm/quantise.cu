#include <cuda_bf16.h>
#include <cuda_fp8.h>

#include "common/reduce.cuh"
#include "common/status.h"
#include "kernels/gemm/quantise.h"

namespace nf {
namespace {

using bf16 = __nv_bfloat16;

constexpr uint32_t warps = 8;  // of a block: a row each
constexpr int ranges = 16;

struct four {
  float v[4];
};

// The lane's elements of a group; `there` tells that they are within the row.
__device__ __forceinline__ four load(const bf16 *row, uint32_t at, bool there) {
  uint2 bits = make_uint2(0, 0);
  if (there) bits = *reinterpret_cast<const uint2 *>(row + at);
  return {{__uint_as_float(bits.x << 16), __uint_as_float(bits.x & 0xffff0000u), __uint_as_float(bits.y << 16), __uint_as_float(bits.y & 0xffff0000u)}};
}

__device__ __forceinline__ float warp_max(float v) {
#pragma unroll
  for (int lane = 16; lane > 0; lane /= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, lane));
  return v;
}

// The exponent of the least power of two, from 2^7 down, that takes `most` to 448 or below.
__device__ __forceinline__ int exponent_for(float most) {
  if (most == 0) return 0;
  int e;
  const float f = frexpf(most, &e);  // 448 is 0.875 * 2^9
  return min(e - 9 + (f > 0.875f), 7);
}

__device__ void quantise_fp8(const bf16 *from, const packed_matrix &m, uint32_t to) {
  const uint32_t lane = threadIdx.x % 32, groups = groups_of(m.k), pitch = padded_rows(m.n);
  float most = 0;
  for (uint32_t at = lane * 4; at < m.k; at += group_size) {
    const four x = load(from, at, true);
#pragma unroll
    for (int i = 0; i < 4; i++) most = fmaxf(most, fabsf(x.v[i]));
  }
  const int e = exponent_for(warp_max(most));
  for (uint32_t q = 0; q < groups; q++) {
    const uint32_t at = q * group_size + lane * 4;
    const four x = load(from, at, at < m.k);
    uint32_t word = 0;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const uint32_t code = __nv_cvt_float_to_fp8(ldexpf(x.v[i], -e), __NV_SATFINITE, __NV_E4M3);
      word |= code << (8 * (i % 2 * 2 + i / 2));
    }
    *reinterpret_cast<uint32_t *>(m.data + (static_cast<size_t>(to) * groups + q) * 128 + fp8_offset(lane)) = word;
  }
  for (uint32_t q = lane; q < m.scale_groups; q += 32) static_cast<bf16 *>(m.scales)[q * pitch + to] = __float2bfloat16_rn(ldexpf(1, e + 120));
}

struct range {
  float step, base, low, inverse;
};

// A range of a group, as bf16 can hold it. Each operation rounds once.
__device__ __forceinline__ range shrink(float low, float high, int i) {
  const float width = __fsub_rn(high, low), keep = __fsub_rn(1.0f, __fmul_rn(0.02f, static_cast<float>(i)));
  const float from = __fadd_rn(low, __fmul_rn(__fmul_rn(width, __fsub_rn(1.0f, keep)), 0.5f));
  range r;
  r.step = __bfloat162float(__float2bfloat16_rn(__fmul_rn(__fmul_rn(width, keep), 16.0f / 15.0f)));
  r.base = __bfloat162float(__float2bfloat16_rn(__fsub_rn(from, r.step)));
  r.low = __fadd_rn(r.step, r.base);
  r.inverse = r.step > 0 ? __fdiv_rn(16.0f, r.step) : 0.0f;
  return r;
}

__device__ __forceinline__ float nearest(float x, const range &r) { return fminf(fmaxf(rintf(__fmul_rn(__fsub_rn(x, r.low), r.inverse)), 0.0f), 15.0f); }

__device__ __forceinline__ float error_of(const four &x, const range &r) {
  float sum = 0;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const float y = __bfloat162float(__float2bfloat16_rn(__fmaf_rn(__fadd_rn(1.0f, __fmul_rn(nearest(x.v[i], r), 0.0625f)), r.step, r.base)));
    const float d = __fsub_rn(x.v[i], y);
    sum = __fadd_rn(sum, __fmul_rn(d, d));
  }
  return sum;
}

__device__ void quantise_int4(const bf16 *from, const packed_matrix &m, uint32_t to) {
  const uint32_t lane = threadIdx.x % 32, groups = groups_of(m.k), pitch = padded_rows(m.n);
  for (uint32_t q = 0; q < groups; q++) {
    const uint32_t at = q * group_size + lane * 4;
    const bool there = at < m.k;
    const four x = load(from, at, there);
    const float infinite = __int_as_float(0x7f800000);
    const float high = warp_max(there ? fmaxf(fmaxf(x.v[0], x.v[1]), fmaxf(x.v[2], x.v[3])) : -infinite);
    const float low = -warp_max(there ? -fminf(fminf(x.v[0], x.v[1]), fminf(x.v[2], x.v[3])) : -infinite);
    float least = infinite;
    int best = 0;
    for (int i = 0; i < ranges; i++) {
      const float sum = warp_sum(there ? error_of(x, shrink(low, high, i)) : 0.0f);
      if (sum < least) least = sum, best = i;
    }
    const range r = shrink(low, high, best);
    uint32_t word = 0;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const uint32_t code = there ? static_cast<uint32_t>(nearest(x.v[i], r)) : 0;
      word |= code << (4 * nibble_of(lane % 2 * 4 + i));
    }
    word |= __shfl_xor_sync(0xffffffffu, word, 1);
    if (lane % 2 == 0) *reinterpret_cast<uint32_t *>(m.data + (static_cast<size_t>(to) * groups + q) * 64 + int4_offset(lane)) = word;
    if (lane == 0) static_cast<uint32_t *>(m.scales)[q * pitch + to] = __float_as_uint(r.step) >> 16 | (__float_as_uint(r.base) & 0xffff0000u);
  }
}

__global__ void quantise(const bf16 *from, uint32_t rows, packed_rows p) {
  const uint32_t row = blockIdx.x * warps + threadIdx.x / 32, to = p.first + row * p.step;
  if (row >= rows) return;
  from += static_cast<size_t>(row) * p.to.k;
  if (p.to.kind == weight_kind::fp8) quantise_fp8(from, p.to, to);
  else quantise_int4(from, p.to, to);
}

__global__ void repack(const uint8_t *from, uint32_t first, uint32_t rows, file_scales s, packed_rows p) {
  const uint32_t row = blockIdx.x * warps + threadIdx.x / 32, lane = threadIdx.x % 32, to = p.first + row * p.step;
  const packed_matrix &m = p.to;
  const uint32_t groups = groups_of(m.k), pitch = padded_rows(m.n);
  if (row >= rows) return;
  from += static_cast<size_t>(row) * m.k;
  for (uint32_t q = 0; q < groups; q++) {
    const uint32_t at = q * group_size + lane * 4;
    const uint32_t word = at < m.k ? *reinterpret_cast<const uint32_t *>(from + at) : 0;
    *reinterpret_cast<uint32_t *>(m.data + (static_cast<size_t>(to) * groups + q) * 128 + fp8_offset(lane)) = __byte_perm(word, 0, 0x3120);
  }
  const uint32_t r = first + row;
  const float *scales = s.at + static_cast<size_t>(s.rows == 1 ? 0 : s.by_row ? r : r / 128) * s.cols;
  for (uint32_t q = lane; q < m.scale_groups; q += 32) {
    static_cast<bf16 *>(m.scales)[q * pitch + to] = __float2bfloat16_rn(scales[s.cols == 1 ? 0 : q] * 0x1p120f);
  }
}

}  // namespace

nf_code quantise_launch(const void *from, uint32_t rows, const packed_rows &to, cudaStream_t stream) {
  quantise<<<(rows + warps - 1) / warps, warps * 32, 0, stream>>>(static_cast<const bf16 *>(from), rows, to);
  return code_of(cudaGetLastError());
}

nf_code repack_launch(const void *from, uint32_t first, uint32_t rows, const file_scales &scales, const packed_rows &to, cudaStream_t stream) {
  repack<<<(rows + warps - 1) / warps, warps * 32, 0, stream>>>(static_cast<const uint8_t *>(from), first, rows, scales, to);
  return code_of(cudaGetLastError());
}

}  // namespace nf
