// A small bench harness; like the test harness it needs nothing else on the host.
#pragma once

#include <cuda_runtime.h>

#include <functional>

namespace nf::bench {

constexpr int warm_ups = 20, repeats = 5;

// Median, least and most over the repeats, in seconds for one call.
struct timing {
  double median, least, most;
};

// Times `call(i, stream)` by events around a graph of `calls` of them, i from 0, so
// that launches from the host do not count. i lets the caller rotate buffers that
// together do not fit the L2 cache.
timing time_calls(int calls, const std::function<void(int, cudaStream_t)> &call);

// Registers a bench; nf_bench runs all of them.
struct add {
  explicit add(std::function<void()> run);
};

}  // namespace nf::bench
