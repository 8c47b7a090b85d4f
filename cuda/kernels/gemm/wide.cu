// Products of many rows on Hopper: the copy engine brings tiles of both operands, and
// warpgroups multiply them from shared memory.
#include "common/boxes.h"
#include "common/launch.h"
#include "common/status.h"
#include "common/warpgroup.cuh"
#include "kernels/gemm/epilogue.cuh"
#include "kernels/gemm/kernels.h"

namespace nf {
namespace {

constexpr uint32_t depth = 64;                 // elements of k in a tile: 128 bytes, the swizzle's span
constexpr uint32_t left_rows = 128;            // of the operand that two warpgroups halve
constexpr uint32_t consumers = 256, threads = consumers + 32;
constexpr uint32_t cluster_max = 8;

// RIGHT rows of the other operand. With SWAP the left operand is the weights, so that few
// rows of x do not leave the tensor cores idle; else it is x.
template <int RIGHT, bool SWAP, int STAGES>
struct tiling {
  static constexpr uint32_t left_bytes = left_rows * depth * sizeof(bf16), right_bytes = RIGHT * depth * sizeof(bf16);
  static constexpr uint32_t stage_bytes = left_bytes + right_bytes;
  static constexpr uint32_t pitch = SWAP ? RIGHT + 1 : RIGHT + 8;  // of sums in shared memory, for its banks
  static constexpr uint32_t sums_bytes = left_rows * pitch * sizeof(float);
  static constexpr uint32_t ring_bytes = STAGES * stage_bytes;
  static constexpr uint32_t shared = (sums_bytes > ring_bytes ? sums_bytes : ring_bytes) + 1024 + 2 * STAGES * 8;
};

struct place {
  uint32_t left, right;  // first rows of the operands
};

// Blocks that run side by side share rows: of x first, up to 16 tiles of it, then weights.
template <int RIGHT, bool SWAP>
__device__ __forceinline__ place place_of(const gemm_typed &a, uint32_t tile) {
  constexpr uint32_t x_rows = SWAP ? RIGHT : left_rows, w_rows = SWAP ? left_rows : RIGHT, most = 16;
  const uint32_t xs = (a.rows + x_rows - 1) / x_rows, ws = (a.n + w_rows - 1) / w_rows;
  const uint32_t group = tile / (most * ws), within = tile % (most * ws), size = min(most, xs - group * most);
  const uint32_t x = (group * most + within % size) * x_rows, w = within / size * w_rows;
  return SWAP ? place{w, x} : place{x, w};
}

template <int RIGHT, bool SWAP, int STAGES>
struct ring {
  uint8_t *base;
  uint64_t *full, *empty;

  __device__ __forceinline__ uint8_t *left(uint32_t stage) const { return base + stage * tiling<RIGHT, SWAP, STAGES>::stage_bytes; }
  __device__ __forceinline__ uint8_t *right(uint32_t stage) const { return left(stage) + tiling<RIGHT, SWAP, STAGES>::left_bytes; }
};

// Brings tiles until the sums have all of them. Weights do not wait for the kernel before.
template <int RIGHT, bool SWAP, int STAGES>
__device__ __forceinline__ void produce(const ring<RIGHT, SWAP, STAGES> &r, const CUtensorMap *x, const CUtensorMap *w, place p, uint32_t first, uint32_t steps) {
  using T = tiling<RIGHT, SWAP, STAGES>;
  const auto weights = [&](uint32_t i) {
    const uint32_t s = i % STAGES;
    barrier_expect(&r.full[s], T::stage_bytes);
    copy_box(SWAP ? r.left(s) : r.right(s), w, (first + i) * depth, SWAP ? p.left : p.right, &r.full[s]);
  };
  const auto rows = [&](uint32_t i) {
    const uint32_t s = i % STAGES;
    copy_box(SWAP ? r.right(s) : r.left(s), x, (first + i) * depth, SWAP ? p.right : p.left, &r.full[s]);
  };
  const uint32_t early = min(steps, static_cast<uint32_t>(STAGES));
  for (uint32_t i = 0; i < early; i++) weights(i);
  wait_for_previous();
  for (uint32_t i = 0; i < early; i++) rows(i);
  for (uint32_t i = early; i < steps; i++) {
    barrier_wait(&r.empty[i % STAGES], (i / STAGES + 1) % 2);
    weights(i);
    rows(i);
  }
}

template <int RIGHT, bool SWAP, int STAGES>
__device__ __forceinline__ void consume(const ring<RIGHT, SWAP, STAGES> &r, float (&sum)[RIGHT / 2], uint32_t group, uint32_t steps) {
  for (uint32_t i = 0; i < steps; i++) {
    const uint32_t s = i % STAGES;
    barrier_wait(&r.full[s], i / STAGES % 2);
    const uint64_t left = describe(r.left(s) + group * 64 * depth * sizeof(bf16)), right = describe(r.right(s));
    products_begin();
#pragma unroll
    for (int k = 0; k < 4; k++) product<RIGHT>(sum, left + 2 * k, right + 2 * k);  // 16 elements are 32 bytes
    products_commit();
    products_wait<1>();
    if (i > 0 && threadIdx.x % 32 == 0) barrier_arrive(&r.empty[(i - 1) % STAGES]);
  }
  products_wait<0>();
}

// Sums that lie in a row of x, two columns a store.
template <int RIGHT>
__device__ __forceinline__ void finish_registers(const gemm_typed &a, const float (&sum)[RIGHT / 2], place p, uint32_t row) {
  const uint32_t col = p.right + threadIdx.x % 4 * 2;
#pragma unroll
  for (int j = 0; j < RIGHT / 8; j++) {
    finish(a, p.left + row, col + 8 * j, sum[4 * j], sum[4 * j + 1]);
    finish(a, p.left + row + 8, col + 8 * j, sum[4 * j + 2], sum[4 * j + 3]);
  }
}

template <int RIGHT, bool SWAP, int STAGES>
__device__ __forceinline__ void leave_sums(float *sums, const float (&sum)[RIGHT / 2], uint32_t row) {
  using T = tiling<RIGHT, SWAP, STAGES>;
  float *to = sums + row * T::pitch + threadIdx.x % 4 * 2;
#pragma unroll
  for (int j = 0; j < RIGHT / 8; j++) {
#pragma unroll
    for (int i = 0; i < 4; i++) to[i / 2 * 8 * T::pitch + 8 * j + i % 2] = sum[4 * j + i];
  }
}

// Adds up all blocks' sums of two weights and a row of x.
template <int RIGHT, int STAGES>
__device__ __forceinline__ void join_pairs(const gemm_typed &a, const float *sums, place p) {
  using T = tiling<RIGHT, true, STAGES>;
  constexpr uint32_t pairs = left_rows / 2;
  const uint32_t blocks = cluster_size(), share = RIGHT / blocks;
  for (uint32_t i = threadIdx.x; i < share * pairs; i += consumers) {
    const uint32_t x = cluster_rank() * share + i / pairs, w = i % pairs * 2;
    const float *first = sums + w * T::pitch + x, *second = first + T::pitch;
    float parts[cluster_max][2];  // all on their way at once
#pragma unroll
    for (uint32_t b = 0; b < cluster_max; b++) {
      if (b < blocks) parts[b][0] = from_block(first, b), parts[b][1] = from_block(second, b);
    }
    float y0 = 0, y1 = 0;
#pragma unroll
    for (uint32_t b = 0; b < cluster_max; b++) {
      if (b < blocks) y0 += parts[b][0], y1 += parts[b][1];
    }
    finish(a, p.right + x, p.left + w, y0, y1);
  }
}

// The same where rows of x are rows of sums: eight columns at a time.
template <int RIGHT, int STAGES>
__device__ __forceinline__ void join_eights(const gemm_typed &a, const float *sums, place p) {
  using T = tiling<RIGHT, false, STAGES>;
  constexpr uint32_t eights = RIGHT / 8;
  const uint32_t blocks = cluster_size(), share = left_rows / blocks;
#pragma unroll 2
  for (uint32_t i = threadIdx.x; i < share * eights; i += consumers) {
    const uint32_t x = cluster_rank() * share + i / eights, w = i % eights * 8;
    const float *from = sums + x * T::pitch + w;
    const vec16 added = residual_eight(a, p.left + x, p.right + w);
    float y[8] = {};
    for (uint32_t b = 0; b < blocks; b++) {
      const float4 u = four_from_block(from, b), v = four_from_block(from + 4, b);
      y[0] += u.x, y[1] += u.y, y[2] += u.z, y[3] += u.w, y[4] += v.x, y[5] += v.y, y[6] += v.z, y[7] += v.w;
    }
    finish_eight(a, p.left + x, p.right + w, y, added);
  }
}

// The blocks of a cluster have divided k: each adds up its share of the tile, in one order.
template <int RIGHT, bool SWAP, int STAGES>
__device__ __forceinline__ void finish_shared(const gemm_typed &a, float *sums, const float (&sum)[RIGHT / 2], place p, uint32_t row, bool consumer) {
  if (consumer) leave_sums<RIGHT, SWAP, STAGES>(sums, sum, row);
  cluster_sync();
  if (consumer) {
    if constexpr (SWAP) join_pairs<RIGHT, STAGES>(a, sums, p);
    else join_eights<RIGHT, STAGES>(a, sums, p);
  }
  cluster_sync();  // no block ends while another reads its sums
}

template <int RIGHT, bool SWAP, int STAGES>
__global__ void __launch_bounds__(threads, 2) gemm_wide(const gemm_typed a, const __grid_constant__ CUtensorMap x, const __grid_constant__ CUtensorMap w) {
#ifdef NF_HOPPER
  using T = tiling<RIGHT, SWAP, STAGES>;
  extern __shared__ uint8_t shared[];
  uint8_t *base = shared + (1024 - shared_address(shared) % 1024) % 1024;
  uint64_t *barriers = reinterpret_cast<uint64_t *>(shared + T::shared - 2 * STAGES * 8);
  const ring<RIGHT, SWAP, STAGES> r = {base, barriers, barriers + STAGES};
  const uint32_t blocks = cluster_size(), steps = (a.k + depth - 1) / depth, rank = cluster_rank();
  const uint32_t first = steps * rank / blocks, last = steps * (rank + 1) / blocks;
  const place p = place_of<RIGHT, SWAP>(a, blockIdx.x / blocks);
  let_next_start();
  if (threadIdx.x == 0) {
    for (int i = 0; i < STAGES; i++) barrier_start(&r.full[i], 1), barrier_start(&r.empty[i], consumers / 32);
    barriers_started();
  }
  __syncthreads();
  const bool consumer = threadIdx.x < consumers;
  const uint32_t group = threadIdx.x / 128, row = group * 64 + threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4;
  float sum[RIGHT / 2] = {};
  if (consumer) {
    consume(r, sum, group, last - first);
    wait_for_previous();
  } else {
    if (threadIdx.x == consumers) produce(r, &x, &w, p, first, last - first);
    __syncwarp();
    wait_for_previous();
  }
  if (!SWAP && blocks == 1) {
    if (consumer) finish_registers<RIGHT>(a, sum, p, row);
  } else {
    __syncthreads();  // the ring is read to its end
    finish_shared<RIGHT, SWAP, STAGES>(a, reinterpret_cast<float *>(base), sum, p, row, consumer);
  }
#endif
}

uint32_t up(uint32_t n, uint32_t by) { return (n + by - 1) / by; }

template <int RIGHT, bool SWAP, int STAGES>
cudaError_t launch_tiles(const gemm_typed &a, uint32_t split, cudaStream_t stream) {
  using T = tiling<RIGHT, SWAP, STAGES>;
  constexpr uint32_t x_rows = SWAP ? RIGHT : left_rows, w_rows = SWAP ? left_rows : RIGHT;
  const auto kernel = gemm_wide<RIGHT, SWAP, STAGES>;
  static const cudaError_t allowed = allow_shared(kernel, T::shared);
  CUtensorMap x, w;
  if (allowed) return allowed;
  if (!describe_rows(&x, a.x, a.rows, a.k, x_rows) || !describe_rows(&w, a.w, a.n, a.k, w_rows)) return cudaErrorInvalidValue;
  launch_shape shape = {up(a.rows, x_rows) * up(a.n, w_rows) * split, threads, T::shared};
  shape.cluster = split;
  return launch(kernel, shape, stream, a, x, w);
}

// Blocks that divide k until most processors have one, each with four tiles of it at least.
uint32_t split_of(uint32_t tiles, uint32_t k) {
  uint32_t split = 1;
  while (split < cluster_max && tiles * split * 2 <= processors() + processors() / 8 && k / (split * 2) >= 4 * depth) split *= 2;
  return split;
}

}  // namespace

bool wide_runs() {
  static const bool does = [] {
    int device = 0, major = 0;
    cudaFuncAttributes f = {};
    const bool there = !cudaGetDevice(&device) && !cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) &&
                       !cudaFuncGetAttributes(&f, gemm_wide<128, false, 3>);
    if (!there) cudaGetLastError();
    return there && major == 9 && f.ptxVersion == 90 && boxes_known();
  }();
  return does;
}

nf_code wide_launch(const gemm_typed &a, cudaStream_t stream) {
  const uint32_t features = up(a.n, left_rows);
  if (a.rows <= 32) return code_of(launch_tiles<32, true, 4>(a, split_of(features, a.k), stream));
  if (a.rows <= 64) return code_of(launch_tiles<64, true, 4>(a, split_of(features, a.k), stream));
  return code_of(launch_tiles<128, false, 3>(a, split_of(up(a.rows, left_rows) * up(a.n, 128), a.k), stream));
}

}  // namespace nf
