// Launches whose kernels overlap: a kernel may start while the one before it ends.
//
// Every kernel of the library keeps three rules, so that this is safe. It calls
// wait_for_previous (common/ptx.cuh) in every thread, before it touches anything that an
// earlier kernel writes or reads; only then are all earlier kernels known to have ended.
// What it reads before that is never written while steps run: weights, what the host
// staged for the step, and pages filled by earlier steps. And it never reads what a
// kernel wrote by the read-only path.
#pragma once

#include <cuda_runtime.h>
#include <stddef.h>
#include <stdint.h>

namespace nf {

// Whether the code on this device has the instructions for it.
bool overlaps();

struct launch_shape {
  dim3 grid, block;
  size_t shared = 0;     // dynamic bytes
  uint32_t cluster = 1;  // blocks along x that share their memory
  bool apart = false;    // wait for what came before as if overlap did not exist
};

// Queues a kernel; an error is for cudaGetLastError too.
template <typename... P, typename... A>
cudaError_t launch(void (*kernel)(P...), const launch_shape &s, cudaStream_t stream, const A &...args) {
  cudaLaunchAttribute attributes[2];
  cudaLaunchConfig_t c = {};
  c.gridDim = s.grid;
  c.blockDim = s.block;
  c.dynamicSmemBytes = s.shared;
  c.stream = stream;
  c.attrs = attributes;
  if (overlaps() && !s.apart) {
    attributes[c.numAttrs].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[c.numAttrs++].val.programmaticStreamSerializationAllowed = 1;
  }
  if (s.cluster > 1) {
    attributes[c.numAttrs].id = cudaLaunchAttributeClusterDimension;
    attributes[c.numAttrs].val.clusterDim.x = s.cluster;
    attributes[c.numAttrs].val.clusterDim.y = 1;
    attributes[c.numAttrs++].val.clusterDim.z = 1;
  }
  return cudaLaunchKernelEx(&c, kernel, static_cast<P>(args)...);
}

// Lets a kernel have so much dynamic shared memory; once for each kernel.
template <typename... P>
cudaError_t allow_shared(void (*kernel)(P...), size_t bytes) {
  return cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
}

// Processors of the current device.
uint32_t processors();

}  // namespace nf
