#include "common/launch.h"

namespace nf {
namespace {

// Compiled like every kernel: its attributes tell which architecture's code is loaded.
__global__ void probe() {}

}  // namespace

// Code that the driver compiled from PTX for an older architecture has not.
bool overlaps() {
  static const bool does = [] {
    cudaFuncAttributes a = {};
    if (cudaFuncGetAttributes(&a, probe) == cudaSuccess) return a.ptxVersion >= 90;
    cudaGetLastError();
    return false;
  }();
  return does;
}

uint32_t processors() {
  static const uint32_t n = [] {
    int device = 0, have = 0;
    if (cudaGetDevice(&device) || cudaDeviceGetAttribute(&have, cudaDevAttrMultiProcessorCount, device)) cudaGetLastError();
    return have > 0 ? static_cast<uint32_t>(have) : 1u;
  }();
  return n;
}

}  // namespace nf
