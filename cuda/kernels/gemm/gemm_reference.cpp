#include <math.h>

#include <vector>

#include "kernels/gemm/gemm.h"

namespace nf {
namespace {

double activate(double x, uint32_t activation) {
  if (activation == NF_ACT_SILU) return x / (1 + exp(-x));
  return x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

}  // namespace

void gemm_reference(const gemm_args &a, const float *x, const float *w, const float *bias, const float *residual, double *out) {
  const double scale = a.scale == 0 ? 1 : a.scale;
  std::vector<double> y(a.n);
  for (uint32_t r = 0; r < a.rows; r++) {
    for (uint32_t o = 0; o < a.n; o++) {
      double sum = bias ? bias[o] : 0;
      for (uint32_t i = 0; i < a.k; i++) sum += static_cast<double>(x[static_cast<size_t>(r) * a.k + i]) * w[static_cast<size_t>(o) * a.k + i];
      y[o] = sum;
    }
    const size_t at = static_cast<size_t>(r) * a.n;
    for (uint32_t o = 0; o < a.n; o++) {
      switch (a.epilogue) {
        case gemm_epilogue::gated:
          if (o % 2 == 0) out[at / 2 + o / 2] = activate(y[o], a.activation) * y[o + 1];
          break;
        case gemm_epilogue::logits:
          out[at + o] = a.softcap > 0 ? a.softcap * tanh(scale * y[o] / a.softcap) : scale * y[o];
          break;
        default:
          out[at + o] = scale * y[o] + (residual ? residual[at + o] : 0);
      }
    }
  }
}

}  // namespace nf
