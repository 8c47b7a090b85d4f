// tensor_put: a part of a tensor on its way to the device.
#include <string.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/text.h"
#include "exec/decode.h"
#include "exec/engine.h"
#include "kernels/synth/synth.h"

namespace nf {
namespace {

using std::to_string;

constexpr uint64_t chunk = 8u << 20;  // elements decoded at a time

nf_code invalid(const std::string &name, const std::string &text) { return fail(NF_INVALID, "tensor_put: \"" + name + "\": " + text); }

// rows x cols as the device holds them: a vector is a column.
struct extent {
  uint32_t rows, cols;
};

nf_code check(const std::string &name, const nf_tensor &t, const tensor_layout &l, extent *x) {
  if (t.component != NF_DATA) return fail(NF_UNSUPPORTED, "tensor_put: \"" + name + "\": component = " + to_string(t.component));
  if (t.part >= 3 || l.rows[t.part] == 0) return invalid(name, "part " + to_string(t.part) + " is not in the plan");
  if (l.put[t.part]) return invalid(name, "part " + to_string(t.part) + " was put before");
  *x = {l.rows[t.part], l.cols};
  const uint32_t rows = l.vector ? 1 : x->rows, cols = l.vector ? x->rows : x->cols;
  if (t.rows != rows || t.cols != cols) {
    return invalid(name, to_string(t.rows) + " x " + to_string(t.cols) + ", must be " + to_string(rows) + " x " + to_string(cols));
  }
  if (t.dtype == NF_SYNTH) return NF_OK;
  const block_size b = block_of(t.dtype);
  if (b.elements == 0) return fail(NF_UNSUPPORTED, "tensor_put: \"" + name + "\": dtype = " + to_string(t.dtype));
  const uint64_t need = static_cast<uint64_t>(t.rows) * t.cols / b.elements * b.bytes;
  if (t.cols % b.elements != 0 || t.data_len != need || !t.data) {
    return invalid(name, to_string(t.data_len) + " bytes, must be " + to_string(need) + ", in whole blocks of " + to_string(b.elements));
  }
  return NF_OK;
}

// Copies decoded rows to where the layout wants them.
cudaError_t place(nf_engine *e, const tensor_layout &l, uint32_t part, const uint16_t *from, uint32_t first, extent x) {
  const size_t row = 2 * static_cast<size_t>(x.cols), pitch = row * l.row_step();
  char *to = e->weights + l.offset + row * l.first_row(part) + pitch * first;
  return cudaMemcpy2DAsync(to, pitch, from, row, row, x.rows, cudaMemcpyHostToDevice, e->stream);
}

cudaError_t copy(nf_engine *e, const nf_tensor &t, const tensor_layout &l, extent x) {
  const block_size b = block_of(t.dtype);
  const char *data = static_cast<const char *>(t.data);
  if (t.dtype == NF_BF16) return place(e, l, t.part, reinterpret_cast<const uint16_t *>(data), 0, x);
  if (l.vector) {
    std::vector<uint16_t> all(x.rows);
    decode(t.dtype, data, x.rows, all.data());
    const cudaError_t err = place(e, l, t.part, all.data(), 0, x);
    return err ? err : cudaStreamSynchronize(e->stream);
  }
  const uint32_t most = std::max<uint64_t>(1, chunk / x.cols);
  const uint64_t row = static_cast<uint64_t>(x.cols) / b.elements * b.bytes;
  std::vector<uint16_t> some(static_cast<size_t>(std::min(most, x.rows)) * x.cols);
  for (uint32_t at = 0; at < x.rows; at += most) {
    const uint32_t n = std::min(most, x.rows - at);
    decode(t.dtype, data + row * at, static_cast<size_t>(n) * x.cols, some.data());
    cudaError_t err = place(e, l, t.part, some.data(), at, {n, x.cols});
    if (!err) err = cudaStreamSynchronize(e->stream);
    if (err) return err;
  }
  return cudaSuccess;
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
  extent x = {};
  if (const nf_code c = check(name, t, l, &x)) return c;
  if (t.dtype == NF_SYNTH) {
    // Norm weights are near 1 in every model.
    const bool norm = l.vector && l.rows[1] == 0;
    char *to = e->weights + l.offset + 2ull * x.cols * l.first_row(t.part);
    if (const nf_code c = synth_launch(to, x.rows, x.cols, x.cols * l.row_step(), norm ? 1.0f : 0.0f, t.synth_seed, e->stream)) return c;
  } else if (const cudaError_t err = copy(e, t, l, x)) {
    return cuda_failed(e, err, "tensor_put");
  }
  if (const cudaError_t err = cudaStreamSynchronize(e->stream)) return cuda_failed(e, err, "tensor_put");
  l.put[t.part] = true;
  return NF_OK;
}

}  // namespace nf
