// nf_bench: runs every registered bench on the first GPU.
#include "harness/bench.h"

#include <stdio.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "harness/device.h"

namespace nf::bench {
namespace {

using harness::must;

std::vector<std::function<void()>> &benches() {
  static std::vector<std::function<void()>> all;
  return all;
}

cudaGraphExec_t record(int calls, const std::function<void(int, cudaStream_t)> &call, cudaStream_t stream) {
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  for (int i = 0; i < calls; i++) call(i, stream);
  must(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
  must(cudaGraphInstantiate(&exec, graph, 0), "cudaGraphInstantiate");
  must(cudaGraphDestroy(graph), "cudaGraphDestroy");
  return exec;
}

double once(cudaGraphExec_t exec, cudaStream_t stream, cudaEvent_t from, cudaEvent_t to) {
  float ms = 0;
  must(cudaEventRecord(from, stream), "cudaEventRecord");
  must(cudaGraphLaunch(exec, stream), "cudaGraphLaunch");
  must(cudaEventRecord(to, stream), "cudaEventRecord");
  must(cudaEventSynchronize(to), "cudaEventSynchronize");
  must(cudaEventElapsedTime(&ms, from, to), "cudaEventElapsedTime");
  return ms / 1e3;
}

}  // namespace

timing time_calls(int calls, const std::function<void(int, cudaStream_t)> &call) {
  cudaStream_t stream;
  cudaEvent_t from, to;
  must(cudaStreamCreate(&stream), "cudaStreamCreate");
  must(cudaEventCreate(&from), "cudaEventCreate");
  must(cudaEventCreate(&to), "cudaEventCreate");
  cudaGraphExec_t exec = record(calls, call, stream);
  for (int i = 0; i < warm_ups; i++) once(exec, stream, from, to);
  std::vector<double> s(repeats);
  for (double &v : s) v = once(exec, stream, from, to) / calls;
  std::sort(s.begin(), s.end());
  cudaGraphExecDestroy(exec);
  cudaEventDestroy(from);
  cudaEventDestroy(to);
  cudaStreamDestroy(stream);
  return {s[repeats / 2], s.front(), s.back()};
}

add::add(std::function<void()> run) { benches().push_back(run); }

}  // namespace nf::bench

int main() {
  if (!nf::harness::print_device()) return 2;
  try {
    for (const auto &run : nf::bench::benches()) run();
  } catch (const std::exception &e) {
    fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}
