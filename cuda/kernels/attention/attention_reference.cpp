#include <math.h>

#include <algorithm>
#include <vector>

#include "kernels/attention/attention.h"

namespace nf {

void attention_reference(const attention_args &a, const float *qkv, const float *k, const float *v, uint32_t position, uint32_t n_tokens, double *out) {
  const uint32_t group = a.heads / a.kv_heads;
  for (uint32_t t = 0; t < n_tokens; t++) {
    const uint32_t at = position + t, from = a.window && at >= a.window ? at - a.window + 1 : 0;
    for (uint32_t h = 0; h < a.heads; h++) {
      const float *q = qkv + (static_cast<size_t>(t) * (a.heads + 2 * a.kv_heads) + h) * a.dim;
      std::vector<double> w(at + 1);
      double top = -INFINITY, sum = 0;
      for (uint32_t p = from; p <= at; p++) {
        const float *key = k + (static_cast<size_t>(p) * a.kv_heads + h / group) * a.dim;
        for (uint32_t d = 0; d < a.dim; d++) w[p] += static_cast<double>(q[d]) * key[d];
        w[p] *= a.scale;
        if (a.softcap > 0) w[p] = a.softcap * tanh(w[p] / a.softcap);
        top = std::max(top, w[p]);
      }
      for (uint32_t p = from; p <= at; p++) sum += w[p] = exp(w[p] - top);
      for (uint32_t d = 0; d < a.dim; d++) {
        double o = 0;
        for (uint32_t p = from; p <= at; p++) o += w[p] * v[(static_cast<size_t>(p) * a.kv_heads + h / group) * a.dim + d];
        out[(static_cast<size_t>(t) * a.heads + h) * a.dim + d] = o / sum;
      }
    }
  }
}

}  // namespace nf
