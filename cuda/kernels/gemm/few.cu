// Products of a few rows: what counts is that all weights are on their way early.
#include "common/launch.h"
#include "common/mma.cuh"
#include "common/status.h"
#include "kernels/gemm/few.cuh"
#include "kernels/gemm/kernels.h"

namespace nf {
namespace {

constexpr int pieces = 4;            // of 32 elements: what a warp takes at a time
constexpr uint32_t run = pieces * 32;

// Weights of HALVES tiles of 8 features over a run of k, as the tensor cores want them:
// thread g has the features g, or 2g and 2g + 1.
template <int HALVES>
struct weights {
  vec16 v[pieces][HALVES];

  __device__ __forceinline__ void load(const gemm_typed &a, uint32_t feature, uint32_t k) {
#pragma unroll
    for (int i = 0; i < pieces; i++) {
#pragma unroll
      for (int h = 0; h < HALVES; h++) {
        const uint32_t f = feature + h, at = k + i * 32;
        v[i][h] = load_once_if(a.w + static_cast<size_t>(f) * a.k + at, f < a.n && at < a.k);
      }
    }
  }
};

// Sums of NT tiles of 8 rows: features of a thread's weights times the rows 2c and 2c + 1.
template <int NT, int HALVES>
__device__ __forceinline__ void multiply(const gemm_typed &a, const source &s, const weights<HALVES> &w, uint32_t k, tile (&sum)[NT]) {
  const uint32_t g = threadIdx.x % 32 / 4;
  vec16 x[pieces][NT];
#pragma unroll
  for (int i = 0; i < pieces; i++) {
#pragma unroll
    for (int t = 0; t < NT; t++) {
      const uint32_t row = t * 8 + g, at = k + i * 32;
      x[i][t] = load_any_if(s.x + row * s.pitch + at, row < a.rows && at < a.k);
    }
  }
#pragma unroll
  for (int i = 0; i < pieces; i++) {
#pragma unroll
    for (int t = 0; t < NT; t++) mma32(sum[t], w.v[i][0], HALVES == 2 ? w.v[i][HALVES - 1] : vec16{}, x[i][t]);
  }
}

// NT tiles of 8 rows by HALVES tiles of 8 features a block. The warps divide k; their
// first two runs of weights are asked for before the kernel before has ended.
template <int NT, int HALVES>
__global__ void __launch_bounds__(few_warps_max * 32 / HALVES, HALVES) gemm_few(const gemm_typed a) {
  extern __shared__ vec16 shared[];
  tile *sums = reinterpret_cast<tile *>(shared);  // [warp][tile][lane]
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32, g = lane / 4, c = lane % 4;
  const uint32_t feature = (blockIdx.x * 8 + g) * HALVES, step = warps * run;
  let_next_start();
  weights<HALVES> w[2];
  w[0].load(a, feature, warp * run + c * 8);
  w[1].load(a, feature, warp * run + step + c * 8);
  wait_for_previous();
  const source s = a.norm ? normalise(a, reinterpret_cast<bf16 *>(sums + warps * NT * 32)) : source{a.x, a.k};
  const uint32_t row = threadIdx.x / 32 * 8 + 2 * c;  // of a finishing thread
  tile added = {};
  if (threadIdx.x < NT * 32) added = residuals<HALVES>(a, row, feature);
  tile sum[NT] = {};
  for (uint32_t k = warp * run; k < a.k; k += 2 * step) {
    multiply<NT, HALVES>(a, s, w[0], k + c * 8, sum);
    if (k + 2 * step < a.k) w[0].load(a, feature, k + 2 * step + c * 8);
    if (k + step >= a.k) break;
    multiply<NT, HALVES>(a, s, w[1], k + step + c * 8, sum);
    if (k + 3 * step < a.k) w[1].load(a, feature, k + 3 * step + c * 8);
  }
#pragma unroll
  for (int t = 0; t < NT; t++) sums[(warp * NT + t) * 32 + lane] = sum[t];
  __syncthreads();
  if (threadIdx.x >= NT * 32) return;
  tile y = sums[threadIdx.x];
  for (uint32_t i = 1; i < warps; i++) {
    const tile more = sums[i * NT * 32 + threadIdx.x];
#pragma unroll
    for (int j = 0; j < 4; j++) y.v[j] += more.v[j];
  }
  if (HALVES == 2) {
    finish(a, row, feature, y.v[0], y.v[2], added.v[0], added.v[2]);
    finish(a, row + 1, feature, y.v[1], y.v[3], added.v[1], added.v[3]);
  } else {
#pragma unroll
    for (uint32_t i = 0; i < 2; i++) {
      if (row + i < a.rows && feature < a.n) finish_one(a, row + i, feature, y.v[i], added.v[i]);
    }
  }
}

uint32_t up(uint32_t n, uint32_t by) { return (n + by - 1) / by; }

struct division {
  int halves;
  uint32_t blocks, warps;
};

// Blocks for every processor if the features allow it, and then a warp for each run of k.
division divide(const gemm_typed &a) {
  division d = {2, up(a.n, 16), 4};
  if (d.blocks < processors() && a.epilogue != gemm_epilogue::gated) d = {1, up(a.n, 8), 4};
  const uint32_t most = few_warps_max / static_cast<uint32_t>(d.halves);
  while (d.warps < most && d.warps * run < a.k) d.warps *= 2;
  return d;
}

template <int NT>
cudaError_t launch_tiles(const gemm_typed &a, cudaStream_t stream) {
  const division d = divide(a);
  const size_t sums = d.warps * NT * 32 * sizeof(tile), rows = a.norm ? a.rows * (a.k + skew) * sizeof(bf16) : 0;
  const launch_shape shape = {d.blocks, d.warps * 32, sums + rows};
  return d.halves == 2 ? launch(gemm_few<NT, 2>, shape, stream, a) : launch(gemm_few<NT, 1>, shape, stream, a);
}

}  // namespace

bool few_normalises(const gemm_typed &a) {
  return normalises(a, divide(a).warps * 32);
}

nf_code few_launch(const gemm_typed &a, cudaStream_t stream) {
  return code_of(a.rows <= 8 ? launch_tiles<1>(a, stream) : launch_tiles<2>(a, stream));
}

}  // namespace nf
