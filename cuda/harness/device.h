// The device that tests and benches run on.
#pragma once

#include <cuda_runtime.h>
#include <stddef.h>
#include <stdint.h>

#include <string>
#include <vector>

namespace nf::harness {

// Throws with call's name when a runtime call failed.
void must(cudaError_t err, const char *call);

// Prints one line on the device, driver and clocks; without a device says so and
// returns false.
bool print_device();

// The memory's peak in bytes per second, from its clock and bus width.
double memory_peak();

// Device memory with a guard on either side that nothing may write to.
class buffer {
 public:
  explicit buffer(size_t bytes);
  ~buffer();
  buffer(const buffer &) = delete;
  buffer &operator=(const buffer &) = delete;

  void *data() const { return base_ + guard; }
  void put(const std::vector<uint8_t> &from);
  std::vector<uint8_t> get() const;
  // Whether both guards are as they were made.
  bool intact() const;

 private:
  static constexpr size_t guard = 256;
  uint8_t *base_;
  size_t bytes_;
};

}  // namespace nf::harness
