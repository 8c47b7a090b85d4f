// Embedding: out[t] = scale * weight[ids[t]].
#pragma once

#include <cuda_runtime.h>
#include <stdint.h>

#include "nanofleet.h"

namespace nf {

struct embed_args {
  const int32_t *ids;  // of the rows
  const void *weight;  // vocabulary x width, bf16
  void *out;           // rows x width, bf16
  uint32_t rows, width, vocabulary;  // width a multiple of 8
  float scale;                       // 0 is 1
};

// Queues the gathering. An id out of range, which only a NaN upstream could cause,
// reads row 0.
nf_code embed_launch(const embed_args &a, cudaStream_t stream);

}  // namespace nf
