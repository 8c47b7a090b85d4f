// The NVIDIA driver, asked for what a probe needs. It is loaded by name and asked
// without a CUDA context: a probe costs a device no memory, and an agent may ask as
// often as it likes.
#pragma once

#include <stdint.h>

#include <string>

#include "nanofleet.h"

namespace nf {

// The oldest driver that runs this build, and the CUDA version it reports.
constexpr int driver_min = 580, driver_cuda_min = 13000;

struct device_info {
  std::string name;
  int major, minor;
  uint64_t memory_total, memory_free;
};

// Counts the devices and describes the first. A failure's text says what to do.
nf_code driver_ask(uint32_t *n_devices, device_info *first);

}  // namespace nf
