#include "kernels/embed/embed.h"

#include "common/element.cuh"
#include "common/launch.h"
#include "common/status.h"

namespace nf {
namespace {

using bf16 = __nv_bfloat16;

__global__ void embed(const embed_args a) {
  follow();
  const uint32_t id = static_cast<uint32_t>(a.ids[blockIdx.x]);
  const bf16 *from = static_cast<const bf16 *>(a.weight) + static_cast<size_t>(id < a.vocabulary ? id : 0) * a.width;
  bf16 *to = static_cast<bf16 *>(a.out) + static_cast<size_t>(blockIdx.x) * a.width;
  for (uint32_t i = threadIdx.x * 8; i < a.width; i += blockDim.x * 8) {
    vec16 v = load_once(from + i);
    if (a.scale != 1) {
      float f[8];
      unpack<bf16>(v, f);
#pragma unroll
      for (float &x : f) x *= a.scale;
      v = pack<bf16>(f);
    }
    store(to + i, v);
  }
}

}  // namespace

nf_code embed_launch(const embed_args &given, cudaStream_t stream) {
  embed_args a = given;
  if (a.scale == 0) a.scale = 1;
  return a.rows > 0 ? code_of(launch(embed, {a.rows, 128}, stream, a)) : NF_OK;
}

}  // namespace nf
