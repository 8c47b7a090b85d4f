#include "kernels/gemm/gemm.h"

#include "common/launch.h"
#include "common/mma.cuh"
#include "common/status.h"
#include "kernels/gemm/epilogue.cuh"

namespace nf {
namespace {

constexpr int skinny_warps = 8;  // of a block: they share the columns and divide k
constexpr uint32_t skinny_rows = 64;

__host__ __device__ constexpr uint32_t up(uint32_t n, uint32_t by) { return (n + by - 1) / by; }

// Sixteen bytes of a row at element k, zero beyond its end or for a row that is not there.
__device__ __forceinline__ vec16 piece(const bf16 *row, uint32_t k, uint32_t width, bool there) {
  return load_if(row + k, there && k < width);
}

// Pieces of k that a warp has in flight, as far as registers allow.
template <int MT, int NT>
constexpr int in_flight = MT * NT == 1 ? 8 : MT * NT <= 4 ? 4 : 2;

// One piece of k, 32 elements, of NT tiles of weights and MT of rows.
template <int MT, int NT>
struct pieces {
  vec16 w[NT], upper[MT], lower[MT];

  __device__ __forceinline__ void load(const gemm_typed &a, uint32_t col, uint32_t g, uint32_t k) {
#pragma unroll
    for (int n = 0; n < NT; n++) {
      const uint32_t r = col + n * 8 + g;
      w[n] = load_once_if(a.w + static_cast<size_t>(r) * a.k + k, r < a.n && k < a.k);
    }
#pragma unroll
    for (int m = 0; m < MT; m++) {
      const uint32_t r = m * 16 + g;
      const bf16 *row = a.x + static_cast<size_t>(r) * a.k;
      upper[m] = piece(row, k, a.k, r < a.rows);
      lower[m] = piece(row + 8 * static_cast<size_t>(a.k), k, a.k, r + 8 < a.rows);
    }
  }
};

// MT tiles of 16 rows by NT tiles of 8 columns a block. Each of eight warps takes every
// eighth piece of k; their sums are added in one order, so that a row's bits depend on
// neither MT nor NT.
template <int MT, int NT>
__global__ void __launch_bounds__(skinny_warps * 32) gemm_skinny(const gemm_typed a) {
  follow();
  __shared__ float shared[skinny_warps / 2][MT * NT * 4][32];
  constexpr int ahead = in_flight<MT, NT>;
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, c = lane % 4;
  const uint32_t col = blockIdx.x * NT * 8;
  tile sum[MT][NT] = {};
  for (uint32_t from = warp * 32; from < a.k; from += ahead * skinny_warps * 32) {
    pieces<MT, NT> p[ahead];
#pragma unroll
    for (int i = 0; i < ahead; i++) p[i].load(a, col, g, from + i * skinny_warps * 32 + c * 8);
#pragma unroll
    for (int i = 0; i < ahead; i++) {
#pragma unroll
      for (int m = 0; m < MT; m++) {
#pragma unroll
        for (int n = 0; n < NT; n++) mma32(sum[m][n], p[i].upper[m], p[i].lower[m], p[i].w[n]);
      }
    }
  }
#pragma unroll
  for (uint32_t half = skinny_warps / 2; half > 0; half /= 2) {
    if (warp >= half && warp < 2 * half) {
#pragma unroll
      for (int i = 0; i < MT * NT * 4; i++) shared[warp - half][i][lane] = sum[i / 4 / NT][i / 4 % NT].v[i % 4];
    }
    __syncthreads();
    if (warp < half) {
#pragma unroll
      for (int i = 0; i < MT * NT * 4; i++) sum[i / 4 / NT][i / 4 % NT].v[i % 4] += shared[warp][i][lane];
    }
    __syncthreads();
  }
  if (warp > 0) return;
#pragma unroll
  for (int m = 0; m < MT; m++) {
#pragma unroll
    for (int n = 0; n < NT; n++) {
      const tile &t = sum[m][n];
      finish(a, m * 16 + g, col + n * 8 + 2 * c, t.v[0], t.v[1]);
      finish(a, m * 16 + g + 8, col + n * 8 + 2 * c, t.v[2], t.v[3]);
    }
  }
}

constexpr int tile_k = 32;

// A block of WM x WN warps, each with MT tiles of 16 rows by four of 8 columns, and a
// ring of STAGES pieces of k.
template <int MT, int WM, int WN, int STAGES>
struct tiling {
  static constexpr int rows = MT * 16 * WM, cols = 32 * WN, threads = WM * WN * 32;
  struct stage {
    vec16 x[rows * tile_k / 8], w[cols * tile_k / 8];  // rows of four vectors
  };
};
using large = tiling<4, 2, 4, 3>;  // 128 x 128
using small = tiling<2, 2, 2, 6>;  // 64 x 64, for steps that would leave processors idle

__device__ __forceinline__ void copy_async(void *to, const void *from, bool there) {
  const uint32_t at = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from), "r"(there ? 16 : 0) : "memory");
}

// Rows of a matrix from `first` on, 32 elements of each from k on; zero where there is none.
template <int ROWS, int THREADS>
__device__ __forceinline__ void fetch(vec16 *to, const bf16 *from, uint32_t rows, uint32_t width, uint32_t first, uint32_t k) {
#pragma unroll
  for (int i = 0; i < ROWS * tile_k / 8 / THREADS; i++) {
    const uint32_t at = threadIdx.x + i * THREADS, r = first + at / 4, kk = k + at % 4 * 8;
    const bool there = r < rows && kk < width;
    copy_async(&to[at], there ? from + static_cast<size_t>(r) * width + kk : from, there);
  }
}

template <typename T>
__device__ __forceinline__ void fetch(const gemm_typed &a, typename T::stage &s, uint32_t row, uint32_t col, uint32_t k) {
  fetch<T::rows, T::threads>(s.x, a.x, a.rows, a.k, row, k);
  fetch<T::cols, T::threads>(s.w, a.w, a.n, a.k, col, k);
  asm volatile("cp.async.commit_group;" ::: "memory");
}

template <int MT, typename S>
__device__ __forceinline__ void multiply(const S &s, tile (&sum)[MT][4], uint32_t m0, uint32_t n0, uint32_t lane) {
  vec16 w[4];
#pragma unroll
  for (int n = 0; n < 4; n++) w[n] = s.w[(n0 + n * 8) * 4 + lane];
#pragma unroll
  for (int m = 0; m < MT; m++) {
    const vec16 upper = s.x[(m0 + m * 16) * 4 + lane], lower = s.x[(m0 + m * 16 + 8) * 4 + lane];
#pragma unroll
    for (int n = 0; n < 4; n++) mma32(sum[m][n], upper, lower, w[n]);
  }
}

// Each sum runs over k in one order, whatever the tiling.
template <int MT, int WM, int WN, int STAGES>
__global__ void __launch_bounds__(WM * WN * 32) gemm_tiled(const gemm_typed a) {
  follow();
  using T = tiling<MT, WM, WN, STAGES>;
  __shared__ typename T::stage ring[STAGES];
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const uint32_t m0 = warp / WN * MT * 16, n0 = warp % WN * 32, row = blockIdx.x * T::rows, col = blockIdx.y * T::cols;
  const uint32_t steps = up(a.k, tile_k);
  tile sum[MT][4] = {};
  for (uint32_t i = 0; i < STAGES - 1; i++) fetch<T>(a, ring[i], row, col, i * tile_k);
  for (uint32_t i = 0; i < steps; i++) {
    asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
    __syncthreads();
    fetch<T>(a, ring[(i + STAGES - 1) % STAGES], row, col, (i + STAGES - 1) * tile_k);
    multiply<MT>(ring[i % STAGES], sum, m0, n0, lane);
  }
  const uint32_t g = lane / 4, c = lane % 4;
#pragma unroll
  for (int m = 0; m < MT; m++) {
#pragma unroll
    for (int n = 0; n < 4; n++) {
      const tile &t = sum[m][n];
      const uint32_t r = row + m0 + m * 16 + g, o = col + n0 + n * 8 + 2 * c;
      finish(a, r, o, t.v[0], t.v[1]);
      finish(a, r + 8, o, t.v[2], t.v[3]);
    }
  }
}

template <int MT, int WM, int WN, int STAGES>
cudaError_t launch_tiled(tiling<MT, WM, WN, STAGES>, const gemm_typed &a, cudaStream_t stream) {
  using T = tiling<MT, WM, WN, STAGES>;
  return launch(gemm_tiled<MT, WM, WN, STAGES>, {dim3(up(a.rows, T::rows), up(a.n, T::cols)), T::threads}, stream, a);
}

cudaError_t launch_tiled(const gemm_typed &a, cudaStream_t stream) {
  if (up(a.rows, large::rows) * up(a.n, large::cols) >= processors() && a.rows > 64) return launch_tiled(large(), a, stream);
  return launch_tiled(small(), a, stream);
}

template <int MT>
cudaError_t launch_columns(const gemm_typed &a, cudaStream_t stream) {
  constexpr uint32_t threads = skinny_warps * 32;
  if (a.n < 4096) return launch(gemm_skinny<MT, 1>, {up(a.n, 8), threads}, stream, a);
  return launch(gemm_skinny<MT, 2>, {up(a.n, 16), threads}, stream, a);
}

cudaError_t launch_rows(const gemm_typed &a, cudaStream_t stream) {
  if (a.rows <= 16) return launch_columns<1>(a, stream);
  if (a.rows <= 32) return launch_columns<2>(a, stream);
  return launch_columns<4>(a, stream);
}

// Up to 64 rows a launch.
cudaError_t launch_skinny(gemm_typed a, cudaStream_t stream) {
  const size_t out = static_cast<size_t>(skinny_rows) * (a.epilogue == gemm_epilogue::gated ? a.n / 2 : a.n) *
                     (a.epilogue == gemm_epilogue::logits ? sizeof(float) : sizeof(bf16));
  const uint32_t rows = a.rows;
  for (uint32_t from = 0; from < rows; from += skinny_rows) {
    a.rows = rows - from < skinny_rows ? rows - from : skinny_rows;
    if (const cudaError_t err = launch_rows(a, stream)) return err;
    a.x += static_cast<size_t>(skinny_rows) * a.k;
    a.out = static_cast<char *>(a.out) + out;
    if (a.residual) a.residual += static_cast<size_t>(skinny_rows) * a.n;
  }
  return cudaSuccess;
}

gemm_typed typed(const gemm_args &g) {
  return {static_cast<const bf16 *>(g.x), static_cast<const bf16 *>(g.w), static_cast<const bf16 *>(g.bias), static_cast<const bf16 *>(g.residual), g.out,
          g.rows, g.n, g.k, g.epilogue, g.activation, g.scale == 0 ? 1.0f : g.scale, g.softcap, static_cast<const bf16 *>(g.norm), g.norm_eps,
          g.norm_plus_one ? 1.0f : 0.0f, g.kind, static_cast<const uint8_t *>(g.w), g.scales, g.scale_groups};
}

}  // namespace

gemm_kernel gemm_choose(const gemm_args &a) {
  if (a.kind != weight_kind::bf16) return a.rows > few_rows && !a.invariant && wide_runs() ? gemm_kernel::wide_packed : gemm_kernel::few_packed;
  if (a.invariant) return gemm_kernel::skinny;
  if (a.rows <= few_rows) return gemm_kernel::few;
  // Up to 64 rows of a matrix of few features, tiles would have to divide k too often.
  if (wide_runs() && (a.rows > skinny_rows || a.n * static_cast<uint64_t>(a.k) >= 1u << 24)) return paired_pays(typed(a)) ? gemm_kernel::paired : gemm_kernel::wide;
  // Between the two, only a matrix with many columns fills the processors with tiles.
  return a.rows > skinny_rows || a.n >= 32768 ? gemm_kernel::tiled : gemm_kernel::skinny;
}

bool gemm_takes(gemm_kernel kernel, const gemm_args &a) {
  switch (kernel) {
    case gemm_kernel::few: return a.rows <= few_rows;
    case gemm_kernel::wide: return wide_runs();
    case gemm_kernel::paired: return paired_takes(typed(a));
    default: return true;
  }
}

bool gemm_normalises(const gemm_args &a) {
  if (a.invariant) return false;
  const gemm_kernel kernel = gemm_choose(a);
  return kernel == gemm_kernel::few ? few_normalises(typed(a)) : kernel == gemm_kernel::few_packed && few_packed_normalises(typed(a));
}

nf_code gemm_launch(const gemm_args &a, cudaStream_t stream) { return gemm_launch_as(gemm_choose(a), a, stream); }

nf_code gemm_launch_as(gemm_kernel kernel, const gemm_args &g, cudaStream_t stream) {
  if (g.rows == 0) return NF_OK;
  const gemm_typed a = typed(g);
  switch (kernel) {
    case gemm_kernel::few: return few_launch(a, stream);
    case gemm_kernel::skinny: return code_of(launch_skinny(a, stream));
    case gemm_kernel::tiled: return code_of(launch_tiled(a, stream));
    case gemm_kernel::wide: return wide_launch(a, stream);
    case gemm_kernel::paired: return paired_launch(a, stream);
    case gemm_kernel::few_packed: return few_packed_launch(a, stream);
    case gemm_kernel::wide_packed: return wide_packed_launch(a, stream);
  }
  return NF_UNSUPPORTED;
}

}  // namespace nf
