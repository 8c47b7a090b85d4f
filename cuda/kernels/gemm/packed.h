// How matrices lie that are kept in fewer bits than bf16.
//
// A row is cut into groups of 128 elements, and a group into four pieces of 32. Of a
// piece thread c = lane % 4 multiplies the elements 8c to 8c + 7 (common/mma.cuh), so what
// it reads of a group lies together: in FP8 two vectors of 16 bytes, 64 bytes apart, each
// with two pieces; in int4 one vector, a word for each piece. Rows are padded to a
// multiple of 16 and groups with zeros, so that nobody asks where a matrix ends.
//
// Whatever the format, the matrix that is multiplied is one of bf16:
//   fp8   bf16(e4m3 * factor * 2^-120)   factor: bf16, a row's or a row's in one group
//   int4  bf16((1 + q / 16) * step + base)   step, base: bf16, a row's in one group
// The factor of 2^120 takes an E4M3 pattern, moved to where bf16 has its exponent, to its
// value. The int4 form is a nibble within the mantissa of a number from 1 to 2.
#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(__CUDACC__)
#define NF_BOTH __host__ __device__
#else
#define NF_BOTH
#endif

namespace nf {

enum class weight_kind : uint32_t { bf16, fp8, int4 };

constexpr uint32_t group_size = 128;

NF_BOTH constexpr uint32_t groups_of(uint32_t k) { return (k + group_size - 1) / group_size; }
NF_BOTH constexpr uint32_t padded_rows(uint32_t n) { return (n + 15) / 16 * 16; }
NF_BOTH constexpr uint32_t group_bytes(weight_kind kind) { return kind == weight_kind::fp8 ? 128 : 64; }
NF_BOTH constexpr uint32_t scale_bytes(weight_kind kind) { return kind == weight_kind::fp8 ? 2 : 4; }

// A matrix of n x k. Scales lie group by group: padded_rows(n) of each.
struct packed_matrix {
  weight_kind kind;
  uint8_t *data;
  void *scales;
  uint32_t n, k, scale_groups;  // scale_groups: groups_of(k), or 1 for a scale of a whole row

  NF_BOTH size_t data_bytes() const { return static_cast<size_t>(padded_rows(n)) * groups_of(k) * group_bytes(kind); }
  NF_BOTH size_t scales_bytes() const { return static_cast<size_t>(padded_rows(n)) * scale_groups * scale_bytes(kind); }
};

// Where element j of a piece lies in its word: eight nibbles, pairs in both halves.
NF_BOTH constexpr uint32_t nibble_of(uint32_t j) { return j / 2 + j % 2 * 4; }

// Where lane's four elements of a group lie, in bytes: those from 4 * lane on.
NF_BOTH constexpr uint32_t fp8_offset(uint32_t lane) { return lane / 16 * 64 + lane % 8 / 2 * 16 + lane / 8 % 2 * 8 + lane % 2 * 4; }
NF_BOTH constexpr uint32_t int4_offset(uint32_t lane) { return lane % 8 / 2 * 16 + lane / 8 * 4; }

}  // namespace nf
