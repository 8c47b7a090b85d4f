#include "harness/device.h"

#include <stdio.h>

#include <algorithm>
#include <stdexcept>

namespace nf::harness {
namespace {

constexpr uint8_t guard_byte = 0xa5;

int attribute(cudaDeviceAttr attr) {
  int v = 0;
  must(cudaDeviceGetAttribute(&v, attr, 0), "cudaDeviceGetAttribute");
  return v;
}

}  // namespace

void must(cudaError_t err, const char *call) {
  if (err != cudaSuccess) throw std::runtime_error(std::string(call) + ": " + cudaGetErrorString(err));
}

bool print_device() {
  int n = 0, driver = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
    fprintf(stderr, "no GPU to run on: the NVIDIA driver is not installed\n");
    return false;
  }
  const cudaError_t err = cudaGetDeviceCount(&n);
  if (err != cudaSuccess || n == 0) {
    fprintf(stderr, "no GPU to run on: %s\n", err == cudaSuccess ? "none found" : cudaGetErrorString(err));
    return false;
  }
  cudaDeviceProp p;
  must(cudaGetDeviceProperties(&p, 0), "cudaGetDeviceProperties");
  printf("device: %s, sm_%d%d, %d SMs, %d MHz, memory %d MHz x %d bits = %.0f GB/s peak, driver for CUDA %d.%d\n",
         p.name, p.major, p.minor, p.multiProcessorCount, attribute(cudaDevAttrClockRate) / 1000,
         attribute(cudaDevAttrMemoryClockRate) / 1000, attribute(cudaDevAttrGlobalMemoryBusWidth), memory_peak() / 1e9,
         driver / 1000, driver % 1000 / 10);
  return true;
}

// The clock is in kHz; data move at both of its edges.
double memory_peak() {
  return 2.0 * attribute(cudaDevAttrMemoryClockRate) * 1e3 * attribute(cudaDevAttrGlobalMemoryBusWidth) / 8;
}

buffer::buffer(size_t bytes) : base_(nullptr), bytes_(bytes) {
  must(cudaMalloc(reinterpret_cast<void **>(&base_), bytes + 2 * guard), "cudaMalloc");
  must(cudaMemset(base_, guard_byte, bytes + 2 * guard), "cudaMemset");
}

buffer::~buffer() { cudaFree(base_); }

void buffer::put(const std::vector<uint8_t> &from) {
  must(cudaMemcpy(data(), from.data(), std::min(from.size(), bytes_), cudaMemcpyHostToDevice), "cudaMemcpy");
}

std::vector<uint8_t> buffer::get() const {
  std::vector<uint8_t> to(bytes_);
  must(cudaMemcpy(to.data(), data(), bytes_, cudaMemcpyDeviceToHost), "cudaMemcpy");
  return to;
}

bool buffer::intact() const {
  std::vector<uint8_t> all(bytes_ + 2 * guard);
  must(cudaMemcpy(all.data(), base_, all.size(), cudaMemcpyDeviceToHost), "cudaMemcpy");
  const auto good = [](uint8_t b) { return b == guard_byte; };
  return std::all_of(all.begin(), all.begin() + guard, good) && std::all_of(all.end() - guard, all.end(), good);
}

}  // namespace nf::harness
