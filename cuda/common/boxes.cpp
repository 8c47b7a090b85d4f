#include "common/boxes.h"

#include <cuda_runtime.h>

namespace nf {
namespace {

using encode = CUresult (*)(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *, const cuuint64_t *, const cuuint64_t *, const cuuint32_t *, const cuuint32_t *,
                            CUtensorMapInterleave, CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

// The driver's function; NULL without one.
encode encoder() {
  static const encode f = [] {
    void *found = nullptr;
    cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
    if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &result) != cudaSuccess) cudaGetLastError();
    return result == cudaDriverEntryPointSuccess ? reinterpret_cast<encode>(found) : nullptr;
  }();
  return f;
}

}  // namespace

bool boxes_known() { return encoder() != nullptr; }

bool describe_boxes(CUtensorMap *map, const void *p, uint32_t dimensions, const uint64_t *sizes, const uint64_t *pitches, const uint32_t *box) {
  const cuuint32_t steps[] = {1, 1, 1};
  cuuint64_t size[3], pitch[3];
  for (uint32_t i = 0; i < dimensions; i++) size[i] = sizes[i], pitch[i] = i + 1 < dimensions ? pitches[i] : 0;
  return encoder()(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, dimensions, const_cast<void *>(p), size, pitch, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
                   CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

bool describe_rows(CUtensorMap *map, const void *p, uint32_t rows, uint32_t k, uint32_t box_rows) {
  const uint64_t sizes[] = {k, rows}, pitches[] = {2ull * k};
  const uint32_t box[] = {64, box_rows};
  return describe_boxes(map, p, 2, sizes, pitches, box);
}

}  // namespace nf
