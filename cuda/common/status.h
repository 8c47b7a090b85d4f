// Statuses of the CUDA runtime as those of the ABI.
#pragma once

#include <cuda_runtime.h>

#include "nanofleet.h"

namespace nf {

// A failed runtime call as the ABI's code. Whatever is not about memory or an
// argument leaves the context unusable, so the process must end.
inline nf_code code_of(cudaError_t err) {
  switch (err) {
    case cudaSuccess: return NF_OK;
    case cudaErrorMemoryAllocation: return NF_NOMEM;
    case cudaErrorInvalidValue:
    case cudaErrorInvalidConfiguration: return NF_INVALID;
    case cudaErrorNoKernelImageForDevice: return NF_UNSUPPORTED;
    default: return NF_DEVICE_LOST;
  }
}

}  // namespace nf
