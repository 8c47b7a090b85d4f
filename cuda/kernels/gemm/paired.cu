// Products of hundreds of rows and more on Hopper. Blocks work in pairs that share their
// weights: each brings half of them for both. A block stays and takes tile after tile; the
// next one's operands come while it finishes the sums of the last.
#include "common/boxes.h"
#include "common/launch.h"
#include "common/status.h"
#include "common/warpgroup.cuh"
#include "kernels/gemm/epilogue.cuh"
#include "kernels/gemm/kernels.h"

// On other architectures the kernels are empty, and what they use is not.
#pragma nv_diag_suppress 177

namespace nf {
namespace {

constexpr uint32_t depth = 64;       // elements of k in a tile: 128 bytes, the swizzle's span
constexpr uint32_t tile_rows = 128;  // of x, halved by two warpgroups
constexpr uint32_t consumers = 256, threads = consumers + 128;
constexpr uint32_t chunk_bytes = 16 * 128;  // a warp's 16 rows, one line of each

template <int COLS>
struct shape {
  static constexpr uint32_t x_bytes = tile_rows * depth * sizeof(bf16), half_bytes = COLS / 2 * depth * sizeof(bf16);
  static constexpr uint32_t stage_bytes = x_bytes + 2 * half_bytes;
  static constexpr uint32_t stages = COLS > 192 ? 4 : 5;
  static constexpr uint32_t chunks = stages * stage_bytes, barriers = chunks + consumers / 32 * chunk_bytes;
  static constexpr uint32_t bytes = barriers + 2 * stages * 8 + 1024;
};

// Where the pair's k-th tile lies; pairs side by side share rows of x first, up to eight
// tiles of them, then weights.
struct place {
  uint32_t row, col;
};

template <int COLS>
__device__ __forceinline__ place place_of(const gemm_typed &a, uint32_t tile, uint32_t rank) {
  constexpr uint32_t most = 8, pair_rows = 2 * tile_rows;
  const uint32_t xs = (a.rows + pair_rows - 1) / pair_rows, ws = (a.n + COLS - 1) / COLS;
  const uint32_t group = tile / (most * ws), within = tile % (most * ws), size = min(most, xs - group * most);
  return {(group * most + within % size) * pair_rows + rank * tile_rows, within / size * COLS};
}

// A ring of stages in shared memory, and where one walks it.
template <int COLS>
struct ring {
  uint8_t *base;
  uint64_t *full, *empty;
  uint32_t stage = 0, round = 0;

  __device__ __forceinline__ uint8_t *x() const { return base + stage * shape<COLS>::stage_bytes; }
  __device__ __forceinline__ uint8_t *w() const { return x() + shape<COLS>::x_bytes; }
  __device__ __forceinline__ void next() {
    if (++stage == shape<COLS>::stages) stage = 0, round ^= 1;
  }
};

// One thread of a block brings its rows of x, and its half of the weights to both blocks.
template <int COLS>
struct producer {
  const gemm_typed &a;
  const CUtensorMap *x, *w;
  ring<COLS> r;
  uint32_t rank;

  __device__ __forceinline__ void weights(const ring<COLS> &at, place p, uint32_t i) const {
    barrier_expect(&at.full[at.stage], shape<COLS>::stage_bytes);
    copy_box_to(at.w() + rank * shape<COLS>::half_bytes, w, i * depth, p.col + rank * (COLS / 2), &at.full[at.stage], 3);
  }
  __device__ __forceinline__ void rows(const ring<COLS> &at, place p, uint32_t i) const { copy_box(at.x(), x, i * depth, p.row, &at.full[at.stage]); }

  __device__ __forceinline__ void run(uint32_t tile, uint32_t by, uint32_t tiles, uint32_t steps) {
    const uint32_t early = min(steps, shape<COLS>::stages);
    place p = place_of<COLS>(a, tile, rank);
    ring<COLS> ahead = r;  // the ring is empty still: weights do not wait for the kernel before
    for (uint32_t i = 0; i < early; i++, ahead.next()) weights(ahead, p, i);
    wait_for_previous();
    for (uint32_t i = 0; i < early; i++, r.next()) rows(r, p, i);
    for (uint32_t i = early; tile < tiles; tile += by, i = 0) {
      p = place_of<COLS>(a, tile, rank);
      for (; i < steps; i++, r.next()) {
        barrier_wait(&r.empty[r.stage], r.round ^ 1);
        weights(r, p, i);
        rows(r, p, i);
      }
    }
  }
};

// Both blocks' producers wait until this block's warps are done with a stage.
__device__ __forceinline__ void release(uint64_t *empty) {
  if (threadIdx.x % 32 < 2) barrier_arrive_at(empty, threadIdx.x % 32);
}

template <int COLS>
__device__ __forceinline__ void multiply(ring<COLS> &r, float (&sum)[COLS / 2], uint32_t group, uint32_t steps) {
  uint64_t *before = nullptr;
  for (uint32_t i = 0; i < steps; i++, r.next()) {
    barrier_wait(&r.full[r.stage], r.round);
    const uint64_t x = describe(r.x() + group * 64 * depth * sizeof(bf16)), w = describe(r.w());
    products_begin();
#pragma unroll
    for (int k = 0; k < 4; k++) product<COLS>(sum, x + 2 * k, w + 2 * k);  // 16 elements are 32 bytes
    products_commit();
    products_wait<1>();
    if (before) release(before);
    before = &r.empty[r.stage];
  }
  products_wait<0>();
  if (before) release(before);
}

// A line of each of a warp's 16 rows in shared memory: 16-byte pieces lie swizzled.
struct lines {
  uint8_t *base;

  __device__ __forceinline__ vec16 *piece(uint32_t row, uint32_t i) const { return reinterpret_cast<vec16 *>(base + row * 128 + (i ^ row % 8) * 16); }
  __device__ __forceinline__ uint32_t *word(uint32_t row, uint32_t i) const { return reinterpret_cast<uint32_t *>(piece(row, i / 4)) + i % 4; }
  __device__ __forceinline__ bf16 *element(uint32_t row, uint32_t i) const { return reinterpret_cast<bf16 *>(word(row, i / 2)) + i % 2; }
};

// The pieces of a warp's lines in a matrix of `width` columns, of which those before
// `end` count; four a lane.
template <typename F>
__device__ __forceinline__ void each_piece(const gemm_typed &a, uint32_t row, uint32_t col, uint32_t end, uint32_t width, const F &f) {
#pragma unroll
  for (uint32_t i = 0; i < 4; i++) {
    const uint32_t r = i * 4 + threadIdx.x % 32 / 8, c = threadIdx.x % 8;
    f(i, r, c, row + r < a.rows && col + c * 8 < end, static_cast<size_t>(row + r) * width + col + c * 8);
  }
}

__device__ __forceinline__ float silu(float x) { return __fdividef(x, 1.0f + __expf(-x)); }

__device__ __forceinline__ float gate_of(const gemm_typed &a, float x) { return a.activation == NF_ACT_SILU ? silu(x) : activate(x, a.activation); }

__device__ __forceinline__ float2 bias_of(const gemm_typed &a, uint32_t col) {
  if (!a.bias || col >= a.n) return make_float2(0, 0);
  return __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162 *>(a.bias + col));
}

__device__ __forceinline__ void store_lines(const gemm_typed &a, lines l, uint32_t row, uint32_t col, uint32_t end, uint32_t width) {
  bf16 *out = static_cast<bf16 *>(a.out);
  each_piece(a, row, col, end, width, [&](uint32_t, uint32_t r, uint32_t c, bool there, size_t at) {
    if (there) store(out + at, *l.piece(r, c));
  });
}

// 64 columns of sums at a time, the residual added to them in shared memory.
template <int COLS>
__device__ __forceinline__ void finish_plain(const gemm_typed &a, const float (&sum)[COLS / 2], lines l, uint32_t row, uint32_t first) {
  const uint32_t g = threadIdx.x % 32 / 4, c = threadIdx.x % 4;
  const bool adds = a.epilogue == gemm_epilogue::residual && a.residual;
  vec16 added[4] = {};
  const auto ask = [&](uint32_t col) {
    each_piece(a, row, col, a.n, a.n, [&](uint32_t i, uint32_t, uint32_t, bool there, size_t at) { added[i] = load_if(a.residual + at, there); });
  };
  if (adds) ask(first);
#pragma unroll
  for (int q = 0; q < COLS / 64; q++) {
    const uint32_t col = first + q * 64;
    if (adds) {
      each_piece(a, row, col, a.n, a.n, [&](uint32_t i, uint32_t r, uint32_t piece, bool, size_t) { *l.piece(r, piece) = added[i]; });
      __syncwarp();
      if (q + 1 < COLS / 64) ask(col + 64);
    }
#pragma unroll
    for (int j = 0; j < 8; j++) {
      const float2 b = bias_of(a, col + 8 * j + 2 * c);
#pragma unroll
      for (int half = 0; half < 2; half++) {
        uint32_t *w = l.word(g + 8 * half, 4 * j + c);
        float2 base = make_float2(0, 0);
        if (adds) base = __bfloat1622float2(*reinterpret_cast<__nv_bfloat162 *>(w));
        const float *y = &sum[32 * q + 4 * j + 2 * half];
        *w = pack2(base.x + (y[0] + b.x) * a.scale, base.y + (y[1] + b.y) * a.scale);
      }
    }
    __syncwarp();
    store_lines(a, l, row, col, a.n, a.n);
    __syncwarp();
  }
}

// 128 columns of sums are 64 of the product of gate and up.
template <int COLS>
__device__ __forceinline__ void finish_gated(const gemm_typed &a, const float (&sum)[COLS / 2], lines l, uint32_t row, uint32_t first) {
  const uint32_t g = threadIdx.x % 32 / 4, c = threadIdx.x % 4;
#pragma unroll
  for (int q = 0; q < COLS / 64; q++) {
#pragma unroll
    for (int j = 0; j < 8; j++) {
      const float2 b = bias_of(a, first + q * 64 + 8 * j + 2 * c);
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const float *y = &sum[32 * q + 4 * j + 2 * half];
        *l.element(g + 8 * half, q % 2 * 32 + 4 * j + c) = from_float<bf16>(gate_of(a, y[0] + b.x) * (y[1] + b.y));
      }
    }
    if (q % 2 == 0 && q + 1 < COLS / 64) continue;
    __syncwarp();
    const uint32_t col = (first + q / 2 * 128) / 2;
    store_lines(a, l, row, col, min(a.n / 2, col + (q % 2 + 1) * 32), a.n / 2);
    __syncwarp();
  }
}

template <int COLS>
__global__ void __launch_bounds__(threads, 1) gemm_paired(const gemm_typed a, const __grid_constant__ CUtensorMap x, const __grid_constant__ CUtensorMap w) {
#ifdef NF_HOPPER
  using S = shape<COLS>;
  extern __shared__ uint8_t shared[];
  uint8_t *base = shared + (1024 - shared_address(shared) % 1024) % 1024;
  uint64_t *barriers = reinterpret_cast<uint64_t *>(base + S::barriers);
  ring<COLS> r = {base, barriers, barriers + S::stages};
  const uint32_t rank = cluster_rank(), steps = (a.k + depth - 1) / depth;
  const uint32_t tiles = (a.rows + 2 * tile_rows - 1) / (2 * tile_rows) * ((a.n + COLS - 1) / COLS), by = gridDim.x / 2, group = threadIdx.x / 128;
  let_next_start();
  if (threadIdx.x == 0) {
    for (uint32_t i = 0; i < S::stages; i++) barrier_start(&r.full[i], 1), barrier_start(&r.empty[i], 2 * consumers / 32);
    barriers_started();
  }
  __syncthreads();
  cluster_sync();
  if (group == consumers / 128) {
    registers_give<40>();
    if (threadIdx.x == consumers) producer<COLS>{a, &x, &w, r, rank}.run(blockIdx.x / 2, by, tiles, steps);
    __syncwarp();
  } else {
    registers_take<232>();
    wait_for_previous();
    const uint32_t warp = threadIdx.x / 32;
    const lines l = {base + S::chunks + warp * chunk_bytes};
    for (uint32_t tile = blockIdx.x / 2; tile < tiles; tile += by) {
      float sum[COLS / 2] = {};
      multiply<COLS>(r, sum, group, steps);
      const place p = place_of<COLS>(a, tile, rank);
      if (a.epilogue == gemm_epilogue::gated) finish_gated<COLS>(a, sum, l, p.row + warp * 16, p.col);
      else finish_plain<COLS>(a, sum, l, p.row + warp * 16, p.col);
    }
  }
  cluster_sync();  // no block ends while the other still sends to it
#endif
}

uint32_t up(uint32_t n, uint32_t by) { return (n + by - 1) / by; }

uint32_t tiles_of(const gemm_typed &a, uint32_t cols) { return up(a.rows, 2 * tile_rows) * up(a.n, cols); }

// The time that rounds of tiles over the processors take, in columns of a piece of k:
// narrower tiles cost a little more for each, and a round costs about nine pieces.
uint64_t cost(const gemm_typed &a, uint32_t cols) {
  const uint64_t piece = cols < 256 ? cols + cols / 24 : cols, rounds = up(tiles_of(a, cols), processors() / 2);
  return rounds * (up(a.k, depth) * piece + 9 * 256);
}

uint32_t columns_of(const gemm_typed &a) { return cost(a, 192) < cost(a, 256) ? 192 : 256; }

template <int COLS>
nf_code launch_pairs(const gemm_typed &a, cudaStream_t stream) {
  static const cudaError_t allowed = allow_shared(gemm_paired<COLS>, shape<COLS>::bytes);
  CUtensorMap x, w;
  if (allowed) return code_of(allowed);
  if (!describe_rows(&x, a.x, a.rows, a.k, tile_rows) || !describe_rows(&w, a.w, a.n, a.k, COLS / 2)) return NF_INVALID;
  const uint32_t tiles = tiles_of(a, COLS), pairs = processors() / 2;
  return code_of(launch(gemm_paired<COLS>, {2 * (tiles < pairs ? tiles : pairs), threads, shape<COLS>::bytes, 2}, stream, a, x, w));
}

}  // namespace

// Whole pieces of 16 bytes are stored, and sums that become bf16.
bool paired_takes(const gemm_typed &a) {
  return wide_runs() && a.epilogue != gemm_epilogue::logits && a.n % (a.epilogue == gemm_epilogue::gated ? 16 : 8) == 0;
}

// Where tiles leave most processors idle, blocks that divide k (wide) are faster, unless
// there is little of k.
bool paired_pays(const gemm_typed &a) {
  const uint32_t pairs = processors() / 2, least = a.k > 16 * depth ? 4 : 3;
  return a.rows > tile_rows / 2 && paired_takes(a) && 10 * tiles_of(a, 192) >= least * pairs;
}

nf_code paired_launch(const gemm_typed &a, cudaStream_t stream) {
  return columns_of(a) == 192 ? launch_pairs<192>(a, stream) : launch_pairs<256>(a, stream);
}

}  // namespace nf
