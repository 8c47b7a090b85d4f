// Free memory as NVML sees it: CUDA itself tells only those who hold a context.
#pragma once

#include <stdint.h>

namespace nf {

// Free bytes of the GPU on a PCI bus id; `otherwise` where NVML is absent or silent.
uint64_t nvml_free(const char *bus_id, uint64_t otherwise);

}  // namespace nf
