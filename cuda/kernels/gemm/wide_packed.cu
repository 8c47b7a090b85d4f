// Products of many rows with packed matrices on Hopper. Eight warps unpack weights to
// tiles of bf16 in shared memory, one of them also has the copy engine bring the rows of
// x, and two warpgroups multiply the two.
#include "common/boxes.h"
#include "common/launch.h"
#include "common/status.h"
#include "common/warpgroup.cuh"
#include "kernels/gemm/epilogue.cuh"
#include "kernels/gemm/kernels.h"
#include "kernels/gemm/unpack.cuh"

namespace nf {
namespace {

constexpr uint32_t box_columns = 64;  // of a copy: 128 bytes, the swizzle's span
constexpr uint32_t features = 128;  // of a tile: 16 for each warp that unpacks, 64 for each warpgroup
constexpr uint32_t unpackers = 256, consumers = 256, threads = unpackers + consumers;
constexpr uint32_t half_bytes = features * box_columns * sizeof(bf16);  // of a tile: a group is two boxes deep
constexpr uint32_t cluster_max = 8;

// ROWS of x a tile.
template <int ROWS>
struct tiling {
  static constexpr int stages = ROWS == 64 ? 4 : 3, held = ROWS == 64 ? 6 : 4;  // held: vectors of a feature on their way
  static constexpr uint32_t box_bytes = ROWS * box_columns * sizeof(bf16), stage_bytes = 2 * (half_bytes + box_bytes);
  static constexpr uint32_t pitch = features + 2;  // of sums in shared memory
  static constexpr uint32_t shared = stages * stage_bytes + 1024 + 2 * stages * 8;
  static_assert(ROWS * pitch * sizeof(float) <= stages * stage_bytes, "sums lie where the ring was");
};

template <int ROWS>
struct ring {
  uint8_t *base;
  uint64_t *full, *empty;

  __device__ __forceinline__ uint8_t *weights(uint32_t stage) const { return base + stage * tiling<ROWS>::stage_bytes; }
  __device__ __forceinline__ uint8_t *rows(uint32_t stage) const { return weights(stage) + 2 * half_bytes; }
};

struct place {
  uint32_t feature, row;  // the first
};

// Blocks that run side by side share weights: up to 16 tiles of rows come first.
template <int ROWS>
__device__ __forceinline__ place place_of(const gemm_typed &a, uint32_t tile) {
  constexpr uint32_t most = 16;
  const uint32_t xs = (a.rows + ROWS - 1) / ROWS, ws = (a.n + features - 1) / features;
  const uint32_t group = tile / (most * ws), within = tile % (most * ws), size = min(most, xs - group * most);
  return {within / size * features, (group * most + within % size) * ROWS};
}

// A thread's weights of one group: the features 2g and 2g + 1 of a warp's sixteen.
template <weight_kind KIND>
struct share {
  static constexpr int vecs = static_cast<int>(group_bytes(KIND) / 64);
  vec16 v[vecs][2];
  uint32_t scale[KIND == weight_kind::int4 ? 2 : 1];

  __device__ __forceinline__ void load(const gemm_typed &a, uint32_t feature, uint32_t group, bool there) {
    const uint32_t groups = groups_of(a.k), pitch = padded_rows(a.n);
    const size_t row = static_cast<size_t>(groups) * group_bytes(KIND);
    const uint8_t *from = a.packed + feature * row + static_cast<size_t>(group) * group_bytes(KIND) + threadIdx.x % 4 * 16;
#pragma unroll
    for (int i = 0; i < vecs; i++) {
#pragma unroll
      for (int h = 0; h < 2; h++) v[i][h] = load_once_if(from + h * row + i * 64, there);
    }
    const size_t at = there ? static_cast<size_t>(KIND == weight_kind::fp8 && a.scale_groups == 1 ? 0 : group) * pitch + feature : 0;
    if constexpr (KIND == weight_kind::int4) {
      const uint2 pair = *reinterpret_cast<const uint2 *>(static_cast<const uint32_t *>(a.scales) + at);
      scale[0] = pair.x, scale[1] = pair.y;
    } else {
      scale[0] = *reinterpret_cast<const uint32_t *>(static_cast<const bf16 *>(a.scales) + at);
    }
  }

  // Eight elements of piece 2 * half + second of feature h.
  __device__ __forceinline__ vec16 unpack(int half, bool second, int h) const {
    if constexpr (KIND == weight_kind::int4) {
      const vec16 &w = v[0][h];
      return unpack_int4(second ? w.word[2 * half + 1] : w.word[2 * half], both_low(scale[h]), both_high(scale[h]));
    } else {
      const vec16 &w = v[half][h];
      return unpack_fp8(second ? w.word[2] : w.word[0], second ? w.word[3] : w.word[1], h == 0 ? both_low(scale[0]) : both_high(scale[0]));
    }
  }
};

// Brings the rows of x for one group, by one thread.
template <int ROWS>
__device__ __forceinline__ void bring(const ring<ROWS> &r, const CUtensorMap *x, uint32_t stage, uint32_t group, uint32_t row) {
  barrier_expect(&r.full[stage], 2 * tiling<ROWS>::box_bytes);
  for (uint32_t half = 0; half < 2; half++) {
    copy_box(r.rows(stage) + half * tiling<ROWS>::box_bytes, x, group * group_size + half * box_columns, row, &r.full[stage]);
  }
}

// Unpacks a tile's weights group by group. Feature 2g goes to row g of a warp's sixteen
// and feature 2g + 1 to row g + 8, so that their sums meet in one thread. Threads of odd g
// store the second piece first: else two rows would meet in the same banks.
template <weight_kind KIND, int ROWS>
__device__ __forceinline__ void unpack_all(const gemm_typed &a, const ring<ROWS> &r, const CUtensorMap *x, place p, uint32_t first, uint32_t steps) {
  constexpr int stages = tiling<ROWS>::stages, slots = tiling<ROWS>::held / share<KIND>::vecs;
  const uint32_t warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, c = threadIdx.x % 4, feature = p.feature + warp * 16 + 2 * g;
  const bool there = feature < padded_rows(a.n), odd = g % 2;
  const uint32_t to[2] = {(warp * 16 + g) * 128 + (((odd ? 4 : 0) + c) ^ g) * 16, (warp * 16 + g) * 128 + (((odd ? 0 : 4) + c) ^ g) * 16};
  share<KIND> w[slots];
#pragma unroll
  for (int q = 0; q < slots; q++) w[q].load(a, feature, first + q, there && static_cast<uint32_t>(q) < steps);
  if (warp == 0) wait_for_previous();  // who brings rows; the others do not touch what came before
  for (uint32_t from = 0; from < steps; from += slots) {
#pragma unroll
    for (int q = 0; q < slots; q++) {
      const uint32_t i = from + q, s = i % stages;
      if (i >= steps) break;
      barrier_wait(&r.empty[s], (i / stages + 1) % 2);
      if (threadIdx.x == 0) bring<ROWS>(r, x, s, first + i, p.row);
      uint8_t *stage = r.weights(s);
#pragma unroll
      for (int half = 0; half < 2; half++) {
#pragma unroll
        for (int h = 0; h < 2; h++) {
          store(stage + half * half_bytes + h * 1024 + to[0], w[q].unpack(half, odd, h));
          store(stage + half * half_bytes + h * 1024 + to[1], w[q].unpack(half, !odd, h));
        }
      }
      stores_seen();
      __syncwarp();
      if (threadIdx.x % 32 == 0) barrier_arrive(&r.full[s]);
      w[q].load(a, feature, first + i + slots, there && i + slots < steps);
    }
  }
}

template <int ROWS>
__device__ __forceinline__ void consume(const ring<ROWS> &r, float (&sum)[ROWS / 2], uint32_t group, uint32_t steps) {
  constexpr int stages = tiling<ROWS>::stages;
  for (uint32_t i = 0; i < steps; i++) {
    const uint32_t s = i % stages;
    barrier_wait(&r.full[s], i / stages % 2);
    products_begin();
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const uint64_t left = describe(r.weights(s) + half * half_bytes + group * 64 * 128), right = describe(r.rows(s) + half * tiling<ROWS>::box_bytes);
#pragma unroll
      for (int k = 0; k < 4; k++) product<ROWS>(sum, left + 2 * k, right + 2 * k);  // 16 elements are 32 bytes
    }
    products_commit();
    products_wait<1>();
    if (i > 0 && threadIdx.x % 32 == 0) barrier_arrive(&r.empty[(i - 1) % stages]);
  }
  products_wait<0>();
}

__device__ __forceinline__ float2 residuals_of(const gemm_typed &a, uint32_t row, uint32_t col) {
  if (row >= a.rows || col >= a.n) return make_float2(0, 0);
  return make_float2(residual_of(a, row, col), col + 1 < a.n ? residual_of(a, row, col + 1) : 0);
}

// A thread's features for the rows 2c, 2c + 1, 2c + 8, ...; residuals of eight rows are on
// their way at once.
template <int ROWS>
__device__ __forceinline__ void finish_registers(const gemm_typed &a, const float (&sum)[ROWS / 2], uint32_t row, uint32_t feature) {
#pragma unroll
  for (int from = 0; from < ROWS / 8; from += 4) {
    float2 added[8];
#pragma unroll
    for (int i = 0; i < 8; i++) added[i] = residuals_of(a, row + (from + i / 2) * 8 + i % 2, feature);
#pragma unroll
    for (int i = 0; i < 8; i++) {
      const int j = 4 * (from + i / 2) + i % 2;
      finish(a, row + (from + i / 2) * 8 + i % 2, feature, sum[j], sum[j + 2], added[i].x, added[i].y);
    }
  }
}

// The blocks of a cluster have divided k: each adds up its share of the rows, in one order.
template <int ROWS>
__device__ __forceinline__ void finish_shared(const gemm_typed &a, float *sums, const float (&sum)[ROWS / 2], place p, uint32_t row, uint32_t feature, bool consumer) {
  constexpr uint32_t pitch = tiling<ROWS>::pitch, pairs = features / 2;
  if (consumer) {
#pragma unroll
    for (int j = 0; j < ROWS / 8; j++) {
#pragma unroll
      for (int i = 0; i < 4; i++) sums[(row + 8 * j + i % 2) * pitch + feature + i / 2] = sum[4 * j + i];
    }
  }
  cluster_sync();
  const uint32_t blocks = cluster_size(), each = (ROWS + blocks - 1) / blocks, from = cluster_rank() * each, mine = min(each, ROWS - min(from, static_cast<uint32_t>(ROWS)));
  for (uint32_t i = threadIdx.x; i < mine * pairs; i += threads) {
    const uint32_t x = from + i / pairs, w = i % pairs * 2;
    if (p.row + x >= a.rows) break;
    const float2 added = residuals_of(a, p.row + x, p.feature + w);
    float parts[cluster_max][2];  // all on their way at once
#pragma unroll
    for (uint32_t b = 0; b < cluster_max; b++) {
      if (b < blocks) parts[b][0] = from_block(&sums[x * pitch + w], b), parts[b][1] = from_block(&sums[x * pitch + w + 1], b);
    }
    float y0 = 0, y1 = 0;
#pragma unroll
    for (uint32_t b = 0; b < cluster_max; b++) {
      if (b < blocks) y0 += parts[b][0], y1 += parts[b][1];
    }
    finish(a, p.row + x, p.feature + w, y0, y1, added.x, added.y);
  }
  cluster_sync();  // no block ends while another reads its sums
}

template <int ROWS>
__global__ void __launch_bounds__(threads, 1) gemm_wide_packed(const gemm_typed a, const __grid_constant__ CUtensorMap x) {
#ifdef NF_HOPPER
  using T = tiling<ROWS>;
  extern __shared__ uint8_t shared[];
  uint8_t *base = shared + (1024 - shared_address(shared) % 1024) % 1024;
  uint64_t *barriers = reinterpret_cast<uint64_t *>(shared + T::shared - 2 * T::stages * 8);
  const ring<ROWS> r = {base, barriers, barriers + T::stages};
  const uint32_t blocks = cluster_size(), groups = groups_of(a.k), rank = cluster_rank();
  const uint32_t first = groups * rank / blocks, steps = groups * (rank + 1) / blocks - first;
  const place p = place_of<ROWS>(a, blockIdx.x / blocks);
  let_next_start();
  if (threadIdx.x == 0) {
    for (int i = 0; i < T::stages; i++) barrier_start(&r.full[i], unpackers / 32 + 1), barrier_start(&r.empty[i], consumers / 32);
    barriers_started();
  }
  __syncthreads();
  const bool consumer = threadIdx.x >= unpackers;
  const uint32_t warp = (threadIdx.x - unpackers) / 32, row = threadIdx.x % 4 * 2, feature = warp * 16 + threadIdx.x % 32 / 4 * 2;  // of a consumer
  float sum[ROWS / 2] = {};
  if (threadIdx.x < unpackers) {
    if (a.kind == weight_kind::fp8) unpack_all<weight_kind::fp8, ROWS>(a, r, &x, p, first, steps);
    else unpack_all<weight_kind::int4, ROWS>(a, r, &x, p, first, steps);
  } else {
    consume<ROWS>(r, sum, warp / 4, steps);
  }
  wait_for_previous();
  if (blocks == 1) {
    if (consumer) finish_registers<ROWS>(a, sum, p.row + row, p.feature + feature);
    return;
  }
  __syncthreads();  // the ring is read to its end
  finish_shared<ROWS>(a, reinterpret_cast<float *>(base), sum, p, row, feature, consumer);
#endif
}

uint32_t up(uint32_t n, uint32_t by) { return (n + by - 1) / by; }

// Blocks that divide k until most processors have one, each with four groups of it at least.
uint32_t split_of(uint32_t tiles, uint32_t k) {
  uint32_t split = 1;
  while (split < cluster_max && tiles * (split + 1) <= processors() && groups_of(k) / (split + 1) >= 4) split++;
  return split;
}

template <int ROWS>
cudaError_t launch_tiles(const gemm_typed &a, cudaStream_t stream) {
  using T = tiling<ROWS>;
  static const cudaError_t allowed = allow_shared(gemm_wide_packed<ROWS>, T::shared);
  CUtensorMap x;
  if (allowed) return allowed;
  if (!describe_rows(&x, a.x, a.rows, a.k, ROWS)) return cudaErrorInvalidValue;
  const uint32_t tiles = up(a.rows, ROWS) * up(a.n, features), split = split_of(tiles, a.k);
  launch_shape shape = {tiles * split, threads, T::shared};
  shape.cluster = split;
  return launch(gemm_wide_packed<ROWS>, shape, stream, a, x);
}

}  // namespace

nf_code wide_packed_launch(const gemm_typed &a, cudaStream_t stream) { return code_of(a.rows <= 64 ? launch_tiles<64>(a, stream) : launch_tiles<128>(a, stream)); }

}  // namespace nf
