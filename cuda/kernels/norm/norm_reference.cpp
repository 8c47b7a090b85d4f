#include <math.h>

#include "kernels/norm/norm.h"

namespace nf {

void norm_reference(const float *in, const float *weight, double *out, uint32_t rows, uint32_t width, float eps,
                    bool plus_one) {
  for (uint32_t r = 0; r < rows; r++, in += width, out += width) {
    double squares = 0;
    for (uint32_t i = 0; i < width; i++) squares += static_cast<double>(in[i]) * in[i];
    const double scale = 1 / sqrt(squares / width + eps);
    for (uint32_t i = 0; i < width; i++) out[i] = in[i] * scale * (weight[i] + (plus_one ? 1.0 : 0.0));
  }
}

}  // namespace nf
