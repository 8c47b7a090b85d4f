// Products of a few rows with packed matrices. Their weights are so few bytes that what a
// block does besides reading them counts: blocks stay, take one tile of features after
// another, normalise x once, and ask for the next tile's weights before they finish one.
#include "common/launch.h"
#include "common/status.h"
#include "kernels/gemm/few.cuh"
#include "kernels/gemm/kernels.h"
#include "kernels/gemm/unpack.cuh"

namespace nf {
namespace {

constexpr uint32_t tile_features = 16, warps_most = 8;

// What a warp takes of a tile at a time: 256 bytes of each row. Thread (g, c) has the
// features 2g and 2g + 1.
template <weight_kind KIND>
struct chunk {
  static constexpr int vecs = static_cast<int>(group_bytes(KIND) / 64), groups = 4 / vecs;
  vec16 v[groups][vecs][2];
  uint32_t scale[2];  // fp8: of both groups; int4: of both features, in the thread's of four groups

  // Groups from `first` on; zeros beyond the last.
  __device__ __forceinline__ void load(const gemm_typed &a, uint32_t feature, uint32_t first) {
    const uint32_t c = threadIdx.x % 4, last = groups_of(a.k), pitch = padded_rows(a.n);
    const size_t row = static_cast<size_t>(last) * group_bytes(KIND);
    const uint8_t *from = a.packed + feature * row + c * 16;
#pragma unroll
    for (int q = 0; q < groups; q++) {
#pragma unroll
      for (int i = 0; i < vecs; i++) {
#pragma unroll
        for (int h = 0; h < 2; h++) v[q][i][h] = load_once_if(from + h * row + ((first + q) * vecs + i) * 64, first + q < last);
      }
    }
    if constexpr (KIND == weight_kind::int4) {
      const uint32_t *at = static_cast<const uint32_t *>(a.scales) + static_cast<size_t>(min(first + c, last - 1)) * pitch + feature;
      const uint2 pair = *reinterpret_cast<const uint2 *>(at);
      scale[0] = pair.x, scale[1] = pair.y;
    } else {
#pragma unroll
      for (int q = 0; q < groups; q++) {
        const uint32_t at = a.scale_groups == 1 ? 0 : min(first + q, last - 1);
        scale[q] = *reinterpret_cast<const uint32_t *>(static_cast<const bf16 *>(a.scales) + static_cast<size_t>(at) * pitch + feature);
      }
    }
  }

  // The scales of group q, of both features.
  __device__ __forceinline__ uint2 scales(int q) const {
    if constexpr (KIND == weight_kind::fp8) return make_uint2(both_low(scale[q]), both_high(scale[q]));
    const uint32_t from = threadIdx.x % 32 / 4 * 4 + q;
    return make_uint2(__shfl_sync(0xffffffffu, scale[0], from), __shfl_sync(0xffffffffu, scale[1], from));
  }

  // Eight elements of piece i of group q, of both features.
  __device__ __forceinline__ void unpack(int q, int i, uint2 s, vec16 &upper, vec16 &lower) const {
    if constexpr (KIND == weight_kind::int4) {
      upper = unpack_int4(v[q][0][0].word[i], both_low(s.x), both_high(s.x));
      lower = unpack_int4(v[q][0][1].word[i], both_low(s.y), both_high(s.y));
    } else {
      const vec16 &first = v[q][i / 2][0], &second = v[q][i / 2][1];
      upper = unpack_fp8(first.word[i % 2 * 2], first.word[i % 2 * 2 + 1], s.x);
      lower = unpack_fp8(second.word[i % 2 * 2], second.word[i % 2 * 2 + 1], s.y);
    }
  }
};

// Adds the products of a chunk with NT tiles of 8 rows.
template <weight_kind KIND, int NT>
__device__ __forceinline__ void multiply(const gemm_typed &a, const source &s, const chunk<KIND> &w, uint32_t first, tile (&sum)[NT]) {
  constexpr int together = NT == 1 ? 4 : 2;  // pieces whose rows are on their way at once
  const uint32_t g = threadIdx.x % 32 / 4, c = threadIdx.x % 4;
#pragma unroll
  for (int q = 0; q < chunk<KIND>::groups; q++) {
    const uint2 scales = w.scales(q);
#pragma unroll
    for (int from = 0; from < 4; from += together) {
      vec16 x[together][NT];
#pragma unroll
      for (int i = 0; i < together; i++) {
#pragma unroll
        for (int t = 0; t < NT; t++) {
          const uint32_t row = t * 8 + g, at = (first + q) * group_size + (from + i) * 32 + c * 8;
          x[i][t] = load_any_if(s.x + row * s.pitch + at, row < a.rows && at < a.k);
        }
      }
#pragma unroll
      for (int i = 0; i < together; i++) {
        vec16 upper, lower;
        w.unpack(q, from + i, scales, upper, lower);
#pragma unroll
        for (int t = 0; t < NT; t++) mma32(sum[t], upper, lower, x[i][t]);
      }
    }
  }
}

// Where a block is: chunk `part` of its share of tile `at`.
struct cursor {
  uint32_t tile, part;

  __device__ __forceinline__ void next(uint32_t parts) {
    if (++part < parts) return;
    part = 0;
    tile += gridDim.x;
  }
};

// The warps divide k; their sums are added in one order, whatever the number of rows.
template <weight_kind KIND, int NT>
__global__ void __launch_bounds__(warps_most * 32, 2) gemm_few_packed(const gemm_typed a) {
  extern __shared__ vec16 shared[];
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32, g = lane / 4, c = lane % 4;
  const uint32_t tiles = padded_rows(a.n) / tile_features, step = warps * chunk<KIND>::groups, parts = (groups_of(a.k) + step - 1) / step;
  tile *sums = reinterpret_cast<tile *>(shared);  // [2][warp][tile][lane]
  const auto load = [&](chunk<KIND> &w, const cursor &at) {
    if (at.tile < tiles) w.load(a, at.tile * tile_features + 2 * g, at.part * step + warp * chunk<KIND>::groups);
  };
  let_next_start();
  chunk<KIND> w[2];
  cursor now = {blockIdx.x, 0}, ahead = now;
  load(w[0], ahead), ahead.next(parts);
  load(w[1], ahead), ahead.next(parts);
  wait_for_previous();
  const source s = a.norm ? normalise(a, reinterpret_cast<bf16 *>(sums + 2 * warps * NT * 32)) : source{a.x, a.k};
  const uint32_t row = warp * 8 + 2 * c;  // of a finishing thread
  tile added = {}, sum[NT] = {};
  const auto take = [&](chunk<KIND> &from) {
    const uint32_t feature = now.tile * tile_features + 2 * g;
    if (now.part == 0 && warp < NT) added = residuals<2>(a, row, feature);
    multiply<KIND, NT>(a, s, from, now.part * step + warp * chunk<KIND>::groups, sum);
    load(from, ahead), ahead.next(parts);
    if (now.part + 1 == parts) {
#pragma unroll
      for (int t = 0; t < NT; t++) sums[(warp * NT + t) * 32 + lane] = sum[t], sum[t] = {};
      __syncthreads();
      if (warp < NT) {
        tile y = sums[threadIdx.x];
        for (uint32_t i = 1; i < warps; i++) {
#pragma unroll
          for (int j = 0; j < 4; j++) y.v[j] += sums[i * NT * 32 + threadIdx.x].v[j];
        }
        finish(a, row, feature, y.v[0], y.v[2], added.v[0], added.v[2]);
        finish(a, row + 1, feature, y.v[1], y.v[3], added.v[1], added.v[3]);
      }
      // The next tile's sums go elsewhere while these are read.
      sums = reinterpret_cast<tile *>(shared) + (sums == reinterpret_cast<tile *>(shared) ? warps * NT * 32 : 0);
    }
    now.next(parts);
  };
  while (now.tile < tiles) {
    take(w[0]);
    if (now.tile >= tiles) break;
    take(w[1]);
  }
}

// As many warps as have a chunk of k, up to eight.
template <weight_kind KIND>
uint32_t warps_for(uint32_t k) {
  uint32_t warps = 2;
  while (warps < warps_most && warps * chunk<KIND>::groups < groups_of(k)) warps *= 2;
  return warps;
}

uint32_t warps_of(const gemm_typed &a) { return a.kind == weight_kind::fp8 ? warps_for<weight_kind::fp8>(a.k) : warps_for<weight_kind::int4>(a.k); }

template <weight_kind KIND, int NT>
cudaError_t launch_tiles(const gemm_typed &a, cudaStream_t stream) {
  const uint32_t warps = warps_of(a), tiles = padded_rows(a.n) / tile_features, room = processors() * (2 * warps_most / warps);
  const size_t sums = 2 * warps * NT * 32 * sizeof(tile), rows = a.norm ? a.rows * (a.k + skew) * sizeof(bf16) : 0;
  return launch(gemm_few_packed<KIND, NT>, {tiles < room ? tiles : room, warps * 32, sums + rows}, stream, a);
}

template <weight_kind KIND>
cudaError_t launch_rows(const gemm_typed &a, cudaStream_t stream) {
  return a.rows <= 8 ? launch_tiles<KIND, 1>(a, stream) : launch_tiles<KIND, 2>(a, stream);
}

}  // namespace

bool few_packed_normalises(const gemm_typed &a) { return normalises(a, warps_of(a) * 32); }

nf_code few_packed_launch(const gemm_typed &given, cudaStream_t stream) {
  gemm_typed a = given;
  const size_t out = static_cast<size_t>(few_rows) * (a.epilogue == gemm_epilogue::gated ? a.n / 2 : a.n) * (a.epilogue == gemm_epilogue::logits ? sizeof(float) : sizeof(bf16));
  for (uint32_t from = 0; from < given.rows; from += few_rows) {
    a.rows = given.rows - from < few_rows ? given.rows - from : few_rows;
    if (const cudaError_t err = a.kind == weight_kind::fp8 ? launch_rows<weight_kind::fp8>(a, stream) : launch_rows<weight_kind::int4>(a, stream)) return code_of(err);
    a.x += static_cast<size_t>(few_rows) * a.k;
    a.out = static_cast<char *>(a.out) + out;
    if (a.residual) a.residual += static_cast<size_t>(few_rows) * a.n;
  }
  return NF_OK;
}

}  // namespace nf
