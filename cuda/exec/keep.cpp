#include "exec/keep.h"

#include <algorithm>

namespace nf {
namespace {

// What a weight takes in a file, its share of scales left aside.
uint32_t bits_of(nf_dtype dtype) {
  switch (dtype) {
    case NF_F32: return 32;
    case NF_F16:
    case NF_BF16:
    case NF_SYNTH: return 16;
    case NF_Q8_0:
    case NF_E4M3: return 8;
    case NF_Q6_K: return 6;
    case NF_Q5_0:
    case NF_Q5_1:
    case NF_Q5_K: return 5;
    case NF_Q3_K: return 3;
    case NF_Q2_K: return 2;
    default: return 4;
  }
}

// What is asked of a tensor: nothing of what is not multiplied or is the embedding too,
// and no less than 8 bits of a head, from which tokens are chosen.
weight_kind wanted(nf_quant asked, const tensor_layout &t) {
  if (!t.product || t.embedding) return weight_kind::bf16;
  if (asked == NF_QUANT_NONE) return weight_kind::bf16;
  return asked == NF_QUANT_FP8 || t.head ? weight_kind::fp8 : weight_kind::int4;
}

}  // namespace

uint64_t keep(nf_quant asked, tensor_layout *t) {
  uint32_t fewest = 32;
  bool filed = t->product && !t->embedding, blocks = false;
  for (uint32_t part = 0; part < 3; part++) {
    if (t->rows[part] == 0) continue;
    const tensor_part &p = t->parts[part];
    fewest = std::min(fewest, bits_of(p.data.dtype));
    filed = filed && p.data.dtype == NF_E4M3;
    blocks = blocks || (p.data.dtype == NF_E4M3 && p.scale.cols > 1);
  }
  t->kind = wanted(asked, *t);
  if ((t->kind == weight_kind::fp8 && fewest < 8) || (t->kind == weight_kind::int4 && fewest < 4)) t->kind = weight_kind::bf16;
  if (t->kind == weight_kind::bf16 && filed) t->kind = weight_kind::fp8;
  if (t->kind == weight_kind::bf16) return aligned(2 * t->elements());
  t->scale_groups = t->kind == weight_kind::int4 || blocks ? groups_of(t->cols) : 1;
  const packed_matrix m = packed_of(*t);
  return aligned(m.data_bytes()) + aligned(m.scales_bytes());
}

packed_matrix packed_of(const tensor_layout &t) { return {t.kind, reinterpret_cast<uint8_t *>(t.data), t.scales, t.all_rows(), t.cols, t.scale_groups}; }

}  // namespace nf
