#include "kernels/gemm/gemm.h"

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
  return there && k < width ? load_shared_by_blocks(row + k) : vec16{};
}

// MT tiles of 16 rows by NT tiles of 8 columns a block. Each of eight warps takes every
// eighth piece of k; their sums are added in one order, so that a row's bits depend on
// neither MT nor NT.
template <int MT, int NT>
__global__ void __launch_bounds__(skinny_warps * 32) gemm_skinny(const gemm_typed a) {
  __shared__ float shared[skinny_warps / 2][MT * NT * 4][32];
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, c = lane % 4;
  const uint32_t col = blockIdx.x * NT * 8;
  tile sum[MT][NT] = {};
#pragma unroll 2
  for (uint32_t k = warp * 32 + c * 8; k < up(a.k, 32) * 32; k += skinny_warps * 32) {
    vec16 w[NT];
#pragma unroll
    for (int n = 0; n < NT; n++) {
      const uint32_t r = col + n * 8 + g;
      w[n] = r < a.n && k < a.k ? load_once(a.w + static_cast<size_t>(r) * a.k + k) : vec16{};
    }
#pragma unroll
    for (int m = 0; m < MT; m++) {
      const uint32_t r = m * 16 + g;
      const bf16 *row = a.x + static_cast<size_t>(r) * a.k;
      const vec16 upper = piece(row, k, a.k, r < a.rows), lower = piece(row + 8 * static_cast<size_t>(a.k), k, a.k, r + 8 < a.rows);
#pragma unroll
      for (int n = 0; n < NT; n++) mma32(sum[m][n], upper, lower, w[n]);
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

constexpr int tile_m = 128, tile_n = 128, tile_k = 32, stages = 3;
constexpr int tiled_threads = 256;  // 2 x 4 warps of 64 x 32

__device__ __forceinline__ void copy_async(void *to, const void *from, bool there) {
  const uint32_t at = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from), "r"(there ? 16 : 0) : "memory");
}

struct stage {
  vec16 x[tile_m * tile_k / 8], w[tile_n * tile_k / 8];  // rows of four vectors
};

__device__ __forceinline__ void fetch(const gemm_typed &a, stage &s, uint32_t row, uint32_t col, uint32_t k) {
#pragma unroll
  for (int i = 0; i < tile_m * tile_k / 8 / tiled_threads; i++) {
    const uint32_t at = threadIdx.x + i * tiled_threads, r = at / 4, kk = k + at % 4 * 8;
    const bool x = row + r < a.rows && kk < a.k, w = col + r < a.n && kk < a.k;
    copy_async(&s.x[at], x ? a.x + static_cast<size_t>(row + r) * a.k + kk : a.x, x);
    copy_async(&s.w[at], w ? a.w + static_cast<size_t>(col + r) * a.k + kk : a.w, w);
  }
  asm volatile("cp.async.commit_group;" ::: "memory");
}

__device__ __forceinline__ void multiply(const stage &s, tile (&sum)[4][4], uint32_t m0, uint32_t n0, uint32_t lane) {
  vec16 w[4];
#pragma unroll
  for (int n = 0; n < 4; n++) w[n] = s.w[(n0 + n * 8) * 4 + lane];
#pragma unroll
  for (int m = 0; m < 4; m++) {
    const vec16 upper = s.x[(m0 + m * 16) * 4 + lane], lower = s.x[(m0 + m * 16 + 8) * 4 + lane];
#pragma unroll
    for (int n = 0; n < 4; n++) mma32(sum[m][n], upper, lower, w[n]);
  }
}

__global__ void __launch_bounds__(tiled_threads) gemm_tiled(const gemm_typed a) {
  __shared__ stage ring[stages];
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const uint32_t m0 = warp / 4 * 64, n0 = warp % 4 * 32, row = blockIdx.x * tile_m, col = blockIdx.y * tile_n;
  const uint32_t steps = up(a.k, tile_k);
  tile sum[4][4] = {};
  for (uint32_t i = 0; i < stages - 1; i++) fetch(a, ring[i], row, col, i * tile_k);
  for (uint32_t i = 0; i < steps; i++) {
    asm volatile("cp.async.wait_group %0;" ::"n"(stages - 2) : "memory");
    __syncthreads();
    fetch(a, ring[(i + stages - 1) % stages], row, col, (i + stages - 1) * tile_k);
    multiply(ring[i % stages], sum, m0, n0, lane);
  }
  const uint32_t g = lane / 4, c = lane % 4;
#pragma unroll
  for (int m = 0; m < 4; m++) {
#pragma unroll
    for (int n = 0; n < 4; n++) {
      const tile &t = sum[m][n];
      const uint32_t r = row + m0 + m * 16 + g, o = col + n0 + n * 8 + 2 * c;
      finish(a, r, o, t.v[0], t.v[1]);
      finish(a, r + 8, o, t.v[2], t.v[3]);
    }
  }
}

template <int MT>
void launch_columns(const gemm_typed &a, cudaStream_t stream) {
  constexpr int threads = skinny_warps * 32;
  if (a.n < 4096) return gemm_skinny<MT, 1><<<up(a.n, 8), threads, 0, stream>>>(a);
  if (a.n < 32768) return gemm_skinny<MT, 2><<<up(a.n, 16), threads, 0, stream>>>(a);
  gemm_skinny<MT, 4><<<up(a.n, 32), threads, 0, stream>>>(a);
}

void launch_rows(const gemm_typed &a, cudaStream_t stream) {
  if (a.rows <= 16) return launch_columns<1>(a, stream);
  if (a.rows <= 32) return launch_columns<2>(a, stream);
  launch_columns<4>(a, stream);
}

// Up to 64 rows a launch.
void launch_skinny(gemm_typed a, cudaStream_t stream) {
  const size_t out = static_cast<size_t>(skinny_rows) * (a.epilogue == gemm_epilogue::gated ? a.n / 2 : a.n) *
                     (a.epilogue == gemm_epilogue::logits ? sizeof(float) : sizeof(bf16));
  const uint32_t rows = a.rows;
  for (uint32_t from = 0; from < rows; from += skinny_rows) {
    a.rows = rows - from < skinny_rows ? rows - from : skinny_rows;
    launch_rows(a, stream);
    a.x += static_cast<size_t>(skinny_rows) * a.k;
    a.out = static_cast<char *>(a.out) + out;
    if (a.residual) a.residual += static_cast<size_t>(skinny_rows) * a.n;
  }
}

}  // namespace

gemm_kernel gemm_choose(const gemm_args &a) {
  return a.rows <= skinny_rows || a.invariant ? gemm_kernel::skinny : gemm_kernel::tiled;
}

nf_code gemm_launch(const gemm_args &a, cudaStream_t stream) { return gemm_launch_as(gemm_choose(a), a, stream); }

nf_code gemm_launch_as(gemm_kernel kernel, const gemm_args &g, cudaStream_t stream) {
  if (g.rows == 0) return NF_OK;
  const gemm_typed a = {static_cast<const bf16 *>(g.x), static_cast<const bf16 *>(g.w), static_cast<const bf16 *>(g.bias),
                        static_cast<const bf16 *>(g.residual), g.out, g.rows, g.n, g.k, g.epilogue, g.activation,
                        g.scale == 0 ? 1.0f : g.scale, g.softcap};
  if (kernel == gemm_kernel::skinny) {
    launch_skinny(a, stream);
  } else {
    gemm_tiled<<<dim3(up(a.rows, tile_m), up(a.n, tile_n)), tiled_threads, 0, stream>>>(a);
  }
  return code_of(cudaGetLastError());
}

}  // namespace nf
