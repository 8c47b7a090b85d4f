#include <math.h>
#include <string.h>

#include <string>
#include <vector>

#include "harness/device.h"
#include "harness/fp8.h"
#include "harness/random.h"
#include "harness/test.h"
#include "kernels/rope/rope.h"

namespace nf::test {
namespace {

using harness::buffer;

constexpr uint32_t heads = 4, kv_heads = 2, layers = 2, layer = 1, pages = 6, rows = 70;

template <typename T>
std::vector<uint8_t> raw(const std::vector<T> &v) {
  std::vector<uint8_t> out(v.size() * sizeof(T));
  memcpy(out.data(), v.data(), out.size());
  return out;
}

// Rows of positions that cross pages; some hold what E4M3 finds hard.
class scene {
 public:
  scene(uint32_t dim, uint32_t kind, bool normed, bool fp8) : dim_(dim), kind_(kind), normed_(normed), fp8_(fp8) {
    for (uint32_t i = 0; i < rows; i++) tokens_.push_back({0, i + 30, 0, (i + 30) / NF_PAGE * 2 + 1});
    x_ = harness::random_values(static_cast<size_t>(rows) * width(), 1, dim, NF_BF16);
    for (uint32_t i = 0; i < width(); i++) {
      row(1)[i] = 0;
      row(2)[i] *= 0x1p-120f;
      row(3)[i] *= 0x1p+120f;
      row(5)[i] *= i % 7 == 0 ? 0x1p+10f : 0x1p-10f;
      row(6)[i] = 448;
    }
    // A head of K and one of V each with a NaN and an infinity.
    row(4)[(heads + 1) * dim + 3] = NAN;
    row(4)[(heads + kv_heads) * dim + 3] = INFINITY;
  }

  void run() {
    const std::vector<float> norm(dim_, 1.5f), inv_freq = frequencies();
    buffer x(x_.size() * 2), tokens(tokens_.size() * sizeof(step_token)), norms(dim_ * 2), freq(dim_ * 2), turns(static_cast<size_t>(rows) * dim_ * 4);
    buffer kv(pool().page_bytes() * layers * pages);
    x.put(harness::to_bytes(x_, NF_BF16));
    tokens.put(raw(tokens_));
    norms.put(harness::to_bytes(norm, NF_BF16));
    freq.put(raw(inv_freq));
    const step_token *listed = static_cast<const step_token *>(tokens.data());
    check(turns_launch(listed, rows, static_cast<const float *>(freq.data()), dim_ / 2, 0, static_cast<float2 *>(turns.data()), nullptr) == NF_OK, "launch failed");
    rope_args a = {};
    a.qkv = x.data();
    a.tokens = listed;
    a.k_norm = normed_ ? norms.data() : nullptr;
    a.turns = static_cast<const float2 *>(turns.data());
    a.pool = pool();
    a.pool.kv = kv.data();
    a.rows = rows;
    a.layer = layer;
    a.heads = heads;
    a.kv_heads = kv_heads;
    a.dim = dim_;
    a.kind = kind_;
    a.eps = 1e-6f;
    check(rope_launch(a, nullptr) == NF_OK, "launch failed");
    harness::must(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    check(x.intact() && kv.intact(), "wrote outside of its output");
    turned_ = harness::from_bytes(x.get(), NF_BF16);
    kv_ = kv.get();
  }

  // Rotated rows against float64.
  void check_rotation() const {
    double off = 0, all = 0;
    for (uint32_t r = 7; r < rows; r++) {
      for (uint32_t h = 0; h < heads + 2 * kv_heads; h++) {
        const std::vector<double> want = rotated(r, h);
        for (uint32_t d = 0; d < dim_; d++) {
          const double got = turned_[static_cast<size_t>(r) * width() + h * dim_ + d];
          off += (got - want[d]) * (got - want[d]);
          all += want[d] * want[d];
        }
      }
    }
    check(sqrt(off / all) <= 4e-3, "rotated rows are off by " + std::to_string(sqrt(off / all)));
  }

  // What the pages hold is what the rows do, to the bit; in FP8 as plain arithmetic
  // rounds it.
  void check_pages() const {
    for (uint32_t r = 0; r < rows; r++) {
      for (uint32_t part = 0; part < 2; part++) {
        for (uint32_t h = 0; h < kv_heads; h++) check_head(r, part, h);
      }
    }
  }

 private:
  uint32_t width() const { return (heads + 2 * kv_heads) * dim_; }
  float *row(uint32_t r) { return &x_[static_cast<size_t>(r) * width()]; }
  kv_pool pool() const { return {nullptr, nullptr, pages, layers, kv_heads, dim_, fp8_}; }

  std::vector<float> frequencies() const {
    std::vector<float> f;
    for (uint32_t i = 0; i < dim_ / 2; i++) f.push_back(powf(10000, -2.0f * static_cast<float>(i) / static_cast<float>(dim_)));
    return f;
  }

  std::vector<double> rotated(uint32_t r, uint32_t h) const {
    const float *x = &x_[static_cast<size_t>(r) * width() + h * dim_];
    std::vector<double> out(x, x + dim_);
    if (h >= heads + kv_heads) return out;
    if (normed_ && h >= heads) {
      double squares = 0;
      for (const double v : out) squares += v * v;
      for (double &v : out) v *= 1.5 / sqrt(squares / dim_ + 1e-6);
    }
    if (kind_ == NF_ROPE_NONE) return out;
    const std::vector<float> inv_freq = frequencies();
    for (uint32_t i = 0; i < dim_ / 2; i++) {
      const uint32_t u = kind_ == NF_ROPE_PAIR ? 2 * i : i, v = kind_ == NF_ROPE_PAIR ? 2 * i + 1 : i + dim_ / 2;
      const double angle = static_cast<double>(tokens_[r].position) * inv_freq[i], first = out[u], second = out[v];
      out[u] = first * cos(angle) - second * sin(angle);
      out[v] = first * sin(angle) + second * cos(angle);
    }
    return out;
  }

  void check_head(uint32_t r, uint32_t part, uint32_t h) const {
    const float *x = &turned_[static_cast<size_t>(r) * width() + (heads + part * kv_heads + h) * dim_];
    const uint32_t at = tokens_[r].position % NF_PAGE;
    const uint8_t *page = kv_.data() + reinterpret_cast<size_t>(pool().head(layer, tokens_[r].page, part, h)), scale = harness::scale_byte({x, x + dim_});
    const uint8_t got_scale = fp8_ ? kv_[reinterpret_cast<size_t>(pool().scales(layer, tokens_[r].page, part, h)) + at] : scale;
    const std::string where = "row " + std::to_string(r) + ", part " + std::to_string(part) + ", head " + std::to_string(h) + " of " + std::to_string(dim_);
    check(got_scale == scale, where + ": scale " + std::to_string(got_scale) + ", want " + std::to_string(scale));
    for (uint32_t d = 0; d < dim_; d++) {
      const size_t i = part == 0 ? static_cast<size_t>(at) * dim_ + d : static_cast<size_t>(d) * NF_PAGE + at;
      if (fp8_) {
        const uint8_t want = harness::encode_e4m3(x[d], scale);
        check(page[i] == want, where + ", element " + std::to_string(d) + " = " + std::to_string(x[d]) + ": " + std::to_string(page[i]) + ", want " + std::to_string(want));
      } else {
        const float got = harness::from_bytes({page[2 * i], page[2 * i + 1]}, NF_BF16)[0];
        check(got == x[d] || (isnan(got) && isnan(x[d])), where + ": " + std::to_string(got) + ", want " + std::to_string(x[d]));
      }
    }
  }

  uint32_t dim_, kind_;
  bool normed_, fp8_;
  std::vector<step_token> tokens_;
  std::vector<float> x_, turned_;
  std::vector<uint8_t> kv_;
};

const add store_case("rope/rotation, and K and V in their pages", true, [] {
  for (const uint32_t dim : {8u, 40u, 64u, 128u}) {
    for (const uint32_t kind : {NF_ROPE_NONE, NF_ROPE_HALF, NF_ROPE_PAIR}) {
      for (const bool normed : {false, true}) {
        for (const bool fp8 : {false, true}) {
          scene s(dim, kind, normed, fp8);
          s.run();
          s.check_rotation();
          s.check_pages();
        }
      }
    }
  }
});

}  // namespace
}  // namespace nf::test
