// Random weights for benches of shapes that no file is at hand for.
#pragma once

#include <cuda_runtime.h>
#include <stdint.h>

#include "nanofleet.h"

namespace nf {

// Fills rows x cols of bf16, `pitch` elements apart, with uniform values of standard
// deviation 0.02 around mean; the same seed gives the same values.
nf_code synth_launch(void *out, uint32_t rows, uint32_t cols, uint32_t pitch, float mean, uint64_t seed, cudaStream_t stream);

}  // namespace nf
