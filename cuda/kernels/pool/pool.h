// States of tokens, added up to vectors.
#pragma once

#include <cuda_runtime.h>
#include <stdint.h>

#include "exec/staging.h"
#include "nanofleet.h"

namespace nf {

struct pool_args {
  const void *x;               // n x width, bf16
  const step_pooled *entries;  // n: which vector each row of x is added to
  float *vectors;              // zero before the first launch of a step
  uint32_t n, width;
};

// Queues the additions, each vector's in the order of the entries.
nf_code pool_launch(const pool_args &a, cudaStream_t stream);

}  // namespace nf
