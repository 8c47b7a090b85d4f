// How tensors are kept on the device.
#pragma once

#include "exec/plan.h"

namespace nf {

// Settles a tensor whose parts were all put: its kind, its scales' groups and, as the
// return value, its bytes there. engine/model computes the same.
uint64_t keep(nf_quant asked, tensor_layout *t);

// A tensor in fewer bits than bf16, as kernels take it.
packed_matrix packed_of(const tensor_layout &t);

}  // namespace nf
