// tensor_put: a part of a tensor on its way to the device. It starts when all parts and
// their scales are there, because how a tensor is kept depends on all of them.
#include <math.h>
#include <string.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/text.h"
#include "exec/decode.h"
#include "exec/element.h"
#include "exec/engine.h"
#include "exec/keep.h"
#include "kernels/gemm/quantise.h"
#include "kernels/synth/synth.h"

namespace nf {
namespace {

using std::to_string;

constexpr uint32_t chunk = 8u << 20;        // elements on their way at a time, a row at least
constexpr uint32_t scales_room = 1u << 22;  // bytes of scales of a part on their way, at most

nf_code invalid(const std::string &name, const std::string &text) { return fail(NF_INVALID, "tensor_put: \"" + name + "\": " + text); }

nf_code check_data(const std::string &name, const nf_tensor &t, const tensor_layout &l) {
  if (l.parts[t.part].put) return invalid(name, "part " + to_string(t.part) + " was put before");
  const uint32_t part_rows = l.rows[t.part], rows = l.vector ? 1 : part_rows, cols = l.vector ? part_rows : l.cols;
  if (t.rows != rows || t.cols != cols) {
    return invalid(name, to_string(t.rows) + " x " + to_string(t.cols) + ", must be " + to_string(rows) + " x " + to_string(cols));
  }
  if (cols > chunk) return fail(NF_UNSUPPORTED, "tensor_put: \"" + name + "\": " + to_string(cols) + " columns, at most " + to_string(chunk));
  if (t.dtype == NF_SYNTH) return NF_OK;
  const block_size b = block_of(t.dtype);
  if (b.elements == 0 || (t.dtype == NF_E4M3 && l.vector)) return fail(NF_UNSUPPORTED, "tensor_put: \"" + name + "\": dtype = " + to_string(t.dtype));
  const uint64_t need = static_cast<uint64_t>(t.rows) * t.cols / b.elements * b.bytes;
  if (t.cols % b.elements != 0 || t.data_len != need || !t.data) {
    return invalid(name, to_string(t.data_len) + " bytes, must be " + to_string(need) + ", in whole blocks of " + to_string(b.elements));
  }
  return NF_OK;
}

float scale_at(const nf_tensor &s, uint64_t i) {
  const uint8_t *from = static_cast<const uint8_t *>(s.data);
  if (s.dtype == NF_F32) return read<float>(from + 4 * i);
  const uint32_t bits = static_cast<uint32_t>(read<uint16_t>(from + 2 * i)) << 16;
  return read<float>(reinterpret_cast<const uint8_t *>(&bits));
}

bool by_row(const tensor_part &p) { return p.scale.rows == p.data.rows && p.scale.cols == 1; }

// Scales are multiplied by 2^120 as bf16 (kernels/gemm/packed.h), hence their bound.
nf_code check_scale(const std::string &name, const nf_tensor &s, const tensor_layout &l) {
  const tensor_part &p = l.parts[s.part];
  if (!p.put || p.data.dtype != NF_E4M3 || p.scaled) return invalid(name, "part " + to_string(s.part) + ": scales come once, after data of E4M3");
  const uint32_t rows = (p.data.rows + 127) / 128, cols = (p.data.cols + 127) / 128;
  if (!(s.cols == 1 && (s.rows == 1 || s.rows == p.data.rows)) && !(s.rows == rows && s.cols == cols)) {
    return invalid(name, to_string(s.rows) + " x " + to_string(s.cols) + " scales, must be 1 x 1, " + to_string(p.data.rows) + " x 1 or " + to_string(rows) + " x " + to_string(cols));
  }
  if (s.dtype != NF_F32 && s.dtype != NF_BF16) return fail(NF_UNSUPPORTED, "tensor_put: \"" + name + "\": scales of dtype " + to_string(s.dtype) + ", only f32 (1) and bf16 (3)");
  const uint64_t n = static_cast<uint64_t>(s.rows) * s.cols, need = n * (s.dtype == NF_F32 ? 4 : 2);
  if (!s.data || s.data_len != need) return invalid(name, "scales of " + to_string(s.data_len) + " bytes, must be " + to_string(need));
  if (4 * n > scales_room) return fail(NF_UNSUPPORTED, "tensor_put: \"" + name + "\": " + to_string(n) + " scales, at most " + to_string(scales_room / 4));
  for (uint64_t i = 0; i < n; i++) {
    const float v = scale_at(s, i);
    if (!(fabsf(v) < 128)) return fail(NF_UNSUPPORTED, "tensor_put: \"" + name + "\": scale " + to_string(i) + " = " + to_string(v) + ", must be below 128");
  }
  return NF_OK;
}

nf_code check(const std::string &name, const nf_tensor &t, const tensor_layout &l) {
  if (t.part >= 3 || l.rows[t.part] == 0) return invalid(name, "part " + to_string(t.part) + " is not in the plan");
  if (t.component == NF_DATA) return check_data(name, t, l);
  if (t.component == NF_SCALE) return check_scale(name, t, l);
  return fail(NF_UNSUPPORTED, "tensor_put: \"" + name + "\": component = " + to_string(t.component));
}

bool complete(const tensor_layout &l) {
  for (int part = 0; part < 3; part++) {
    const tensor_part &p = l.parts[part];
    if (l.rows[part] > 0 && (!p.put || (p.data.dtype == NF_E4M3 && !p.scaled))) return false;
  }
  return true;
}

// A part as the device holds it: a vector is a column.
class part_copy {
 public:
  part_copy(nf_engine *e, const tensor_layout &l, uint32_t part) : e_(e), l_(l), p_(l.parts[part]), part_(part), rows_(l.rows[part]) {}

  nf_code run() {
    const uint32_t most = chunk / l_.cols;
    nf_code c = as_filed() ? scales() : NF_OK;
    for (uint32_t at = 0; at < rows_ && !c; at += most) c = some(at, std::min(most, rows_ - at));
    return c;
  }

 private:
  // Whether E4M3 stays what it is in the file.
  bool as_filed() const { return p_.data.dtype == NF_E4M3 && l_.kind == weight_kind::fp8; }

  nf_code some(uint32_t at, uint32_t n) {
    nf_code c = p_.data.dtype == NF_SYNTH ? synth(at, n) : as_filed() ? filed(at, n) : decoded(at, n);
    if (!c && l_.kind != weight_kind::bf16 && !as_filed()) c = quantise_launch(e_->arriving, n, rows(at), e_->stream);
    if (c) return c;
    const cudaError_t err = cudaStreamSynchronize(e_->stream);
    return err ? cuda_failed(e_, err, "tensor_put") : NF_OK;
  }

  packed_rows rows(uint32_t at) const { return {packed_of(l_), l_.first_row(part_) + at * l_.row_step(), l_.row_step()}; }

  // Where rows of bf16 go, and how far apart: to their place, or to be packed.
  char *place(uint32_t at) const { return l_.kind == weight_kind::bf16 ? l_.data + row() * (l_.first_row(part_) + static_cast<size_t>(at) * l_.row_step()) : e_->arriving; }
  uint32_t step() const { return l_.kind == weight_kind::bf16 ? l_.row_step() : 1; }
  size_t row() const { return 2 * static_cast<size_t>(l_.cols); }

  nf_code synth(uint32_t at, uint32_t n) {
    // Norm weights are near 1 in every model.
    const bool norm = l_.vector && l_.rows[1] == 0;
    return synth_launch(place(at), n, l_.cols, l_.cols * step(), norm ? 1.0f : 0.0f, p_.data.synth_seed + (static_cast<uint64_t>(at) << 32), e_->stream);
  }

  nf_code copy(void *to, size_t pitch, const void *from, size_t width, uint32_t n) {
    const cudaError_t err = cudaMemcpy2DAsync(to, pitch, from, width, width, n, cudaMemcpyHostToDevice, e_->stream);
    return err ? cuda_failed(e_, err, "tensor_put") : NF_OK;
  }

  nf_code decoded(uint32_t at, uint32_t n) {
    const block_size b = block_of(p_.data.dtype);
    const uint8_t *from = static_cast<const uint8_t *>(p_.data.data) + static_cast<uint64_t>(at) * l_.cols / b.elements * b.bytes;
    if (p_.data.dtype == NF_BF16) return copy(place(at), row() * step(), from, row(), n);
    decoded_.resize(static_cast<size_t>(n) * l_.cols);
    if (p_.data.dtype == NF_E4M3) decode_scaled(at, n);
    else decode(p_.data.dtype, from, decoded_.size(), decoded_.data());
    return copy(place(at), row() * step(), decoded_.data(), row(), n);
  }

  void decode_scaled(uint32_t at, uint32_t n) {
    for (uint32_t r = at; r < at + n; r++) {
      const uint64_t first = static_cast<uint64_t>(p_.scale.rows == 1 ? 0 : by_row(p_) ? r : r / 128) * p_.scale.cols;
      const uint8_t *from = static_cast<const uint8_t *>(p_.data.data) + static_cast<size_t>(r) * l_.cols;
      for (uint32_t i = 0; i < l_.cols; i += 128) {
        const float scale = scale_at(p_.scale, first + (p_.scale.cols == 1 ? 0 : i / 128));
        decode_e4m3(from + i, std::min(128u, l_.cols - i), scale, decoded_.data() + static_cast<size_t>(r - at) * l_.cols + i);
      }
    }
  }

  // The scales lie behind the rows that are on their way.
  float *scales_there() const { return reinterpret_cast<float *>(e_->arriving + 2ull * chunk); }

  nf_code scales() {
    std::vector<float> all(static_cast<size_t>(p_.scale.rows) * p_.scale.cols);
    for (size_t i = 0; i < all.size(); i++) all[i] = scale_at(p_.scale, i);
    cudaError_t err = cudaMemcpyAsync(scales_there(), all.data(), 4 * all.size(), cudaMemcpyHostToDevice, e_->stream);
    if (!err) err = cudaStreamSynchronize(e_->stream);
    return err ? cuda_failed(e_, err, "tensor_put") : NF_OK;
  }

  nf_code filed(uint32_t at, uint32_t n) {
    if (const nf_code c = copy(e_->arriving, l_.cols, static_cast<const uint8_t *>(p_.data.data) + static_cast<size_t>(at) * l_.cols, l_.cols, n)) return c;
    return repack_launch(e_->arriving, at, n, {scales_there(), p_.scale.rows, p_.scale.cols, by_row(p_)}, rows(at), e_->stream);
  }

  nf_engine *e_;
  const tensor_layout &l_;
  const tensor_part &p_;
  uint32_t part_, rows_;
  std::vector<uint16_t> decoded_;
};

// Rows of padding hold zeros.
nf_code make_room(nf_engine *e, const std::string &name, tensor_layout *l) {
  e->plan.bytes.weights += keep(e->limits.quant, l);
  if (const nf_code c = within_memory(e, "tensor_put")) return c;
  if (l->kind == weight_kind::bf16) return allocate(e, &l->data, aligned(2 * l->elements()), name.c_str());
  const packed_matrix m = packed_of(*l);
  if (const nf_code c = allocate(e, &l->data, aligned(m.data_bytes()), name.c_str())) return c;
  if (const nf_code c = allocate(e, &l->scales, aligned(m.scales_bytes()), name.c_str())) return c;
  cudaError_t err = cudaMemsetAsync(l->data, 0, m.data_bytes(), e->stream);
  if (!err) err = cudaMemsetAsync(l->scales, 0, m.scales_bytes(), e->stream);
  if (err) return cuda_failed(e, err, "tensor_put");
  if (e->arriving) return NF_OK;
  return allocate(e, &e->arriving, 2ull * chunk + scales_room, "weights on their way");
}

}  // namespace

nf_code engine_tensor_put(nf_engine *e, const nf_tensor *given) {
  if (!given || given->size != sizeof *given) return fail(NF_INVALID, "tensor_put: it is NULL or has another size");
  const nf_tensor &t = *given;
  const std::string name(t.name, strnlen(t.name, sizeof t.name));
  if (!e->planned || e->ready) return invalid(name, "tensors come between plan and finalise");
  const auto found = e->plan.tensors.find(name);
  if (found == e->plan.tensors.end()) return invalid(name, "it is not in the plan");
  tensor_layout &l = found->second;
  if (const nf_code c = check(name, t, l)) return c;
  tensor_part &p = l.parts[t.part];
  if (t.component == NF_DATA) p.data = t, p.put = true;
  else p.scale = t, p.scaled = true;
  if (!complete(l)) return NF_OK;
  nf_code c = make_room(e, name, &l);
  for (uint32_t part = 0; part < 3 && !c; part++) {
    if (l.rows[part] > 0) c = part_copy(e, l, part).run();
  }
  return c;
}

}  // namespace nf
