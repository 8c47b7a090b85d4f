/* Panels of quantised weights. Their integers lie in 16-bit lanes, because products of
 * int16 give the whole product with 16-bit activations at once. A block of 32 columns
 * is 16 steps: step j holds columns 2j and 2j+1 of row r in lanes 2r and 2r+1. A lane
 * of a stored vector holds that lane's bits of several steps, the lowest first:
 *   2 bits: steps 8v to 8v+7 in vector v of 2
 *   3 bits: 5v to 5v+4 in vector v of 3, bit v of step 15 on top
 *   4 bits: 4v to 4v+3 in vector v of 4
 *   5 bits: 3v to 3v+2 in vector v of 5, bit v of step 15 on top
 *   6 bits: of each 8 steps, 0 and 1, 2 and 3, 4 and 5 in three vectors, topped with
 *           the low 4 bits of 6, those of 7, and the high 2 bits of 6 and of 7
 *   8 bits: step j in 16 bytes of its own, for eight bits widen as they are loaded
 * A panel is a row of these, for each block or, of the K types, for each 8 blocks:
 *   8 f16 scales, (types with minima: 8 f16, of the minima,)
 *   for each block (K types: 16 bytes of steps as below,) the vectors.
 * The bytes multiply the scales: of Q4_K and Q5_K 8 scales and 8 minima, of Q3_K and Q6_K
 * the 8 signed scales of the first 16 columns and those of the others, of Q2_K 8 and 8
 * bytes with a scale in the low and a minimum in the high 4 bits. */
#ifndef NF_CPU_LAYOUT_H
#define NF_CPU_LAYOUT_H

#include <stdint.h>
#include "nanofleet.h"

typedef struct nfc_format {
  uint32_t bits;             /* of a weight in a panel */
  int32_t offset;            /* what is subtracted from it */
  uint32_t group;            /* columns with a scale of their own: 16 or 32 */
  uint32_t low;              /* 1: there are minima */
  uint32_t blocks;           /* under one f16 scale: 8 of the K types, 1 of others */
} nfc_format;

static inline nfc_format nfc_format_of(nf_dtype dtype) {
  switch (dtype) {
  case NF_Q8_0: return (nfc_format){8, 0, 32, 0, 1};
  case NF_Q4_0: return (nfc_format){4, 8, 32, 0, 1};
  case NF_Q4_1: return (nfc_format){4, 0, 32, 1, 1};
  case NF_Q5_0: return (nfc_format){5, 16, 32, 0, 1};
  case NF_Q5_1: return (nfc_format){5, 0, 32, 1, 1};
  case NF_Q2_K: return (nfc_format){2, 0, 16, 1, 8};
  case NF_Q3_K: return (nfc_format){3, 4, 16, 0, 8};
  case NF_Q4_K: return (nfc_format){4, 0, 32, 1, 8};
  case NF_Q5_K: return (nfc_format){5, 0, 32, 1, 8};
  case NF_Q6_K: return (nfc_format){6, 32, 16, 0, 8};
  }
  return (nfc_format){0, 0, 0, 0, 0};
}

/* Bytes of the f16 scales; bytes of a block after them. */
static inline uint32_t nfc_head_bytes(nfc_format f) { return f.low ? 32 : 16; }
static inline uint32_t nfc_block_bytes(nfc_format f) { return (f.blocks > 1 ? 16 : 0) + 32 * f.bits; }

uint64_t nfc_stored_bytes(nf_dtype, uint32_t *weights); /* that a file keeps together */
uint64_t nfc_panel_bytes(nf_dtype, uint32_t cols);
void nfc_pack_row(nf_dtype, const uint8_t *row, uint32_t cols, uint8_t *panel, uint32_t lane);
void nfc_dequantise(nf_dtype, const uint8_t *row, uint32_t cols, float *out);

/* What the two bytes of a block's row make of its scales. */
void nfc_scales(nf_dtype, float d, float low, const uint8_t bytes[2], float scale[2], float least[2]);

#endif
