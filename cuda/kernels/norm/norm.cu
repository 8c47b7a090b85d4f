#include "kernels/norm/norm.h"

#include "common/element.cuh"
#include "common/launch.h"
#include "common/reduce.cuh"
#include "common/status.h"

namespace nf {
namespace {

constexpr int loop_threads = 256;
constexpr int warps_per_block = 4;     // of the warp kernel: rows that share a block
constexpr int warp_vecs = 4;           // most vectors that a lane keeps
constexpr int block_threads_max = 1024;
constexpr int block_vecs = 4;          // most vectors that a thread keeps

// Pointers of one launch, typed.
template <typename T>
struct rows_of {
  const T *in, *weight;
  T *out;
  uint32_t rows, width;
  float eps, shift;  // shift is added to the weight
};

template <typename T>
__device__ __forceinline__ float scale_of(const rows_of<T> &a, float squares) {
  return rsqrtf(squares / static_cast<float>(a.width) + a.eps);
}

template <typename T>
__global__ void __launch_bounds__(loop_threads) norm_loop(const rows_of<T> a) {
  follow();
  __shared__ float partial[32];
  const size_t row = static_cast<size_t>(blockIdx.x) * a.width;
  float squares = 0;
  for (uint32_t i = threadIdx.x; i < a.width; i += blockDim.x) {
    const float v = to_float<T>(a.in[row + i]);
    squares += v * v;
  }
  const float scale = scale_of(a, block_sum(squares, partial));
  for (uint32_t i = threadIdx.x; i < a.width; i += blockDim.x) {
    const float w = to_float<T>(a.weight[i]) + a.shift;
    a.out[row + i] = from_float<T>(to_float<T>(a.in[row + i]) * scale * w);
  }
}

// A row held by `threads` threads, thread t with the vectors t, t + threads, ...:
// neighbours touch neighbouring memory, and all loads leave before the first use.
template <typename T, int N>
struct held_row {
  vec16 data[N];

  __device__ __forceinline__ void load(const T *row, uint32_t width, int thread, int threads) {
#pragma unroll
    for (int n = 0; n < N; n++) {
      const uint32_t at = (thread + n * threads) * per_vec<T>;
      data[n] = at < width ? load_once(row + at) : vec16{};
    }
  }

  __device__ __forceinline__ float squares() const {
    float sum = 0;
#pragma unroll
    for (int n = 0; n < N; n++) {
      float v[per_vec<T>];
      unpack<T>(data[n], v);
#pragma unroll
      for (int i = 0; i < per_vec<T>; i++) sum += v[i] * v[i];
    }
    return sum;
  }

  __device__ __forceinline__ void store_scaled(const rows_of<T> &a, T *row, float scale, int thread, int threads) {
#pragma unroll
    for (int n = 0; n < N; n++) {
      const uint32_t at = (thread + n * threads) * per_vec<T>;
      if (at >= a.width) continue;
      float v[per_vec<T>], w[per_vec<T>];
      unpack<T>(data[n], v);
      unpack<T>(load_shared_by_blocks(a.weight + at), w);
#pragma unroll
      for (int i = 0; i < per_vec<T>; i++) v[i] = v[i] * scale * (w[i] + a.shift);
      store(row + at, pack<T>(v));
    }
  }
};

template <typename T, int N>
__global__ void __launch_bounds__(warps_per_block * 32) norm_warp(const rows_of<T> a) {
  follow();
  const uint32_t r = blockIdx.x * warps_per_block + threadIdx.x / 32;
  if (r >= a.rows) return;
  const size_t row = static_cast<size_t>(r) * a.width;
  const int lane = threadIdx.x % 32;
  held_row<T, N> held;
  held.load(a.in + row, a.width, lane, 32);
  const float scale = scale_of(a, warp_sum(held.squares()));
  held.store_scaled(a, a.out + row, scale, lane, 32);
}

template <typename T, int N>
__global__ void __launch_bounds__(block_threads_max) norm_block(const rows_of<T> a) {
  follow();
  __shared__ float partial[32];
  const size_t row = static_cast<size_t>(blockIdx.x) * a.width;
  held_row<T, N> held;
  held.load(a.in + row, a.width, threadIdx.x, blockDim.x);
  const float scale = scale_of(a, block_sum(held.squares(), partial));
  held.store_scaled(a, a.out + row, scale, threadIdx.x, blockDim.x);
}

constexpr uint32_t up(uint32_t n, uint32_t by) { return (n + by - 1) / by; }

template <typename T>
cudaError_t launch_warp(const rows_of<T> &a, cudaStream_t stream) {
  const dim3 grid(up(a.rows, warps_per_block)), block(warps_per_block * 32);
  const uint32_t vecs = up(a.width / per_vec<T>, 32);
  if (vecs <= 1) return launch(norm_warp<T, 1>, {grid, block}, stream, a);
  if (vecs <= 2) return launch(norm_warp<T, 2>, {grid, block}, stream, a);
  return launch(norm_warp<T, warp_vecs>, {grid, block}, stream, a);
}

template <typename T>
cudaError_t launch_block(const rows_of<T> &a, cudaStream_t stream) {
  const uint32_t vecs = a.width / per_vec<T>;
  // Two vectors a thread while the row's threads make one block; more only beyond.
  const uint32_t pairs = up(up(vecs, 2), 32) * 32;
  if (pairs <= block_threads_max) return launch(norm_block<T, 2>, {a.rows, pairs}, stream, a);
  return launch(norm_block<T, block_vecs>, {a.rows, up(up(vecs, block_vecs), 32) * 32}, stream, a);
}

template <typename T>
nf_code launch_typed(norm_kernel kernel, const norm_args &g, cudaStream_t stream) {
  const rows_of<T> a = {static_cast<const T *>(g.in), static_cast<const T *>(g.weight), static_cast<T *>(g.out),
                        g.rows, g.width, g.eps, g.plus_one ? 1.0f : 0.0f};
  switch (kernel) {
    case norm_kernel::loop: return code_of(launch(norm_loop<T>, {a.rows, loop_threads}, stream, a));
    case norm_kernel::warp: return code_of(launch_warp(a, stream));
    case norm_kernel::block: return code_of(launch_block(a, stream));
  }
  return NF_UNSUPPORTED;
}

uint32_t bytes_of(nf_dtype dtype) { return dtype == NF_F32 ? 4 : 2; }

bool aligned(const void *p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

}  // namespace

norm_kernel norm_choose(const norm_args &a) {
  const uint64_t row = static_cast<uint64_t>(a.width) * bytes_of(a.dtype);
  if (row % 16 != 0 || !aligned(a.in) || !aligned(a.weight) || !aligned(a.out)) return norm_kernel::loop;
  if (row <= 32 * warp_vecs * 16) return norm_kernel::warp;
  if (row <= block_threads_max * block_vecs * 16) return norm_kernel::block;
  return norm_kernel::loop;
}

nf_code norm_launch(const norm_args &a, cudaStream_t stream) { return norm_launch_as(norm_choose(a), a, stream); }

nf_code norm_launch_as(norm_kernel kernel, const norm_args &a, cudaStream_t stream) {
  if (a.rows == 0) return NF_OK;
  if (a.dtype == NF_F32) return launch_typed<float>(kernel, a, stream);
  if (a.dtype == NF_BF16) return launch_typed<__nv_bfloat16>(kernel, a, stream);
  return NF_UNSUPPORTED;
}

}  // namespace nf
