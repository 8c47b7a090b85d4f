#include <math.h>
#include <string.h>

#include <vector>

#include "harness/device.h"
#include "harness/random.h"
#include "harness/test.h"
#include "kernels/norm/norm.h"

namespace nf::test {
namespace {

using harness::buffer;

struct shape {
  uint32_t rows, width;
  nf_dtype dtype;
  float spread = 1;
  bool plus_one = false;
  float eps = 1e-6f;
};

std::string text(const shape &s) {
  return std::to_string(s.rows) + " x " + std::to_string(s.width) + (s.dtype == NF_F32 ? " f32" : " bf16") +
         (s.plus_one ? " plus one" : "");
}

size_t bytes_of(const shape &s) { return static_cast<size_t>(s.rows) * s.width * (s.dtype == NF_F32 ? 4 : 2); }

std::vector<float> weights(const shape &s) { return harness::random_values(s.width, 1, 7, s.dtype); }

// Runs the norm over `in` and gives its output's bytes; `kernel` NULL is the chosen one.
std::vector<uint8_t> run(const shape &s, const std::vector<float> &in, const norm_kernel *kernel = nullptr) {
  buffer x(bytes_of(s)), w(s.width * (s.dtype == NF_F32 ? 4 : 2)), y(bytes_of(s));
  x.put(harness::to_bytes(in, s.dtype));
  w.put(harness::to_bytes(weights(s), s.dtype));
  const norm_args a = {x.data(), w.data(), y.data(), s.rows, s.width, s.eps, s.plus_one, s.dtype};
  check((kernel ? norm_launch_as(*kernel, a, nullptr) : norm_launch(a, nullptr)) == NF_OK, text(s) + ": launch failed");
  harness::must(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  check(x.intact() && w.intact() && y.intact(), text(s) + ": wrote outside of its output");
  return y.get();
}

// ||got - want|| / ||want|| over all rows.
double distance(const std::vector<float> &got, const std::vector<double> &want) {
  double d = 0, n = 0;
  for (size_t i = 0; i < want.size(); i++) {
    d += (got[i] - want[i]) * (got[i] - want[i]);
    n += want[i] * want[i];
  }
  return n == 0 ? d : sqrt(d / n);
}

void close_to_reference(const shape &s, const norm_kernel *kernel = nullptr) {
  const std::vector<float> in = harness::random_values(static_cast<size_t>(s.rows) * s.width, s.spread, s.width, s.dtype);
  std::vector<double> want(in.size());
  norm_reference(in.data(), weights(s).data(), want.data(), s.rows, s.width, s.eps, s.plus_one);
  const double d = distance(harness::from_bytes(run(s, in, kernel), s.dtype), want);
  const double most = s.dtype == NF_F32 ? 1e-6 : 4e-3;
  check(d <= most, text(s) + ": off by " + std::to_string(d) + ", at most " + std::to_string(most));
}

constexpr uint32_t widths[] = {1,    7,    8,    31,   64,   128,   256,   576,   1000,  1020,  1024,  1028,
                               2048, 2056, 4096, 5120, 8192, 12288, 16384, 16388, 32768, 32776, 40000};
constexpr nf_dtype dtypes[] = {NF_F32, NF_BF16};

const add widths_case("norm/every width and tail", true, [] {
  for (const nf_dtype t : dtypes) {
    for (const uint32_t w : widths) {
      for (const uint32_t rows : {1u, 3u, 5u, 133u}) close_to_reference({rows, w, t});
    }
  }
});

const add values_case("norm/small, large and shifted values", true, [] {
  for (const nf_dtype t : dtypes) {
    for (const float spread : {1e-4f, 1e-2f, 1e4f, 1e8f}) close_to_reference({9, 576, t, spread});
    close_to_reference({9, 576, t, 1, true});
    close_to_reference({9, 4096, t, 1, true, 1e-5f});
    close_to_reference({9, 4096, t, 1e-3f, false, 1e-2f});
  }
});

const add loop_case("norm/the loop kernel where others are chosen", true, [] {
  const norm_kernel loop = norm_kernel::loop;
  for (const nf_dtype t : dtypes) {
    for (const uint32_t w : {64u, 576u, 4096u}) close_to_reference({17, w, t}, &loop);
  }
});

const add zero_case("norm/a row of zeros stays zero", true, [] {
  for (const nf_dtype t : dtypes) {
    for (const uint32_t w : {7u, 576u, 4096u}) {
      for (const float v : harness::from_bytes(run({3, w, t}, std::vector<float>(3 * w)), t)) check(v == 0, "not zero");
    }
  }
});

// Row 0 alone and row 0 among others that are NaN: the same bits.
const add neighbours_case("norm/a row does not see its neighbours", true, [] {
  for (const nf_dtype t : dtypes) {
    for (const uint32_t w : {7u, 64u, 576u, 4096u, 16384u}) {
      const std::vector<float> one = harness::random_values(w, 1, 3, t);
      std::vector<float> many(w * 130, NAN);
      memcpy(many.data() + 64 * w, one.data(), w * sizeof(float));
      const std::vector<uint8_t> alone = run({1, w, t}, one), among = run({130, w, t}, many);
      const size_t row = alone.size();
      check(memcmp(alone.data(), among.data() + 64 * row, row) == 0, "width " + std::to_string(w) + ": other bits");
      check(isnan(harness::from_bytes(among, t)[0]), "width " + std::to_string(w) + ": a NaN was lost");
    }
  }
});

const add again_case("norm/the same bits when run again", true, [] {
  for (const nf_dtype t : dtypes) {
    for (const uint32_t w : {1000u, 1024u, 4096u, 16384u}) {
      const std::vector<float> in = harness::random_values(257 * w, 1, 5, t);
      check(run({257, w, t}, in) == run({257, w, t}, in), "width " + std::to_string(w) + ": other bits");
    }
  }
});

const add in_place_case("norm/in place", true, [] {
  for (const uint32_t w : {7u, 576u, 4096u}) {
    const shape s = {5, w, NF_BF16};
    const std::vector<float> in = harness::random_values(5 * w, 1, 9, NF_BF16);
    buffer x(bytes_of(s)), weight(w * 2);
    x.put(harness::to_bytes(in, NF_BF16));
    weight.put(harness::to_bytes(weights(s), NF_BF16));
    check(norm_launch({x.data(), weight.data(), x.data(), 5, w, s.eps, false, NF_BF16}, nullptr) == NF_OK, "launch");
    harness::must(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    check(x.get() == run(s, in), "width " + std::to_string(w) + ": other bits");
  }
});

const add unaligned_case("norm/pointers that are not aligned to 16 bytes", true, [] {
  const shape s = {4, 64, NF_F32};
  const std::vector<float> in = harness::random_values(4 * 64 + 1, 1, 11, NF_F32);
  buffer x(bytes_of(s) + 4), w(64 * 4), y(bytes_of(s));
  x.put(harness::to_bytes(in, NF_F32));
  w.put(harness::to_bytes(weights(s), NF_F32));
  const norm_args a = {static_cast<float *>(x.data()) + 1, w.data(), y.data(), 4, 64, s.eps, false, NF_F32};
  check(norm_choose(a) == norm_kernel::loop, "a wide kernel was chosen");
  check(norm_launch(a, nullptr) == NF_OK, "launch failed");
  std::vector<double> want(4 * 64);
  norm_reference(in.data() + 1, weights(s).data(), want.data(), 4, 64, s.eps, false);
  check(distance(harness::from_bytes(y.get(), NF_F32), want) <= 1e-6, "wrong");
});

const add choice_case("host/norm/kernel by width", false, [] {
  const auto chosen = [](uint32_t width, nf_dtype t) {
    return norm_choose({nullptr, nullptr, nullptr, 1, width, 1e-6f, false, t});
  };
  check(chosen(576, NF_BF16) == norm_kernel::warp && chosen(1024, NF_BF16) == norm_kernel::warp, "up to 2 KiB");
  check(chosen(1032, NF_BF16) == norm_kernel::block && chosen(16384, NF_F32) == norm_kernel::block, "up to 64 KiB");
  check(chosen(577, NF_BF16) == norm_kernel::loop && chosen(16388, NF_F32) == norm_kernel::loop, "the rest");
});

const add dtype_case("host/norm/refuses other types", false, [] {
  check(norm_launch({nullptr, nullptr, nullptr, 1, 64, 1e-6f, false, NF_F16}, nullptr) == NF_UNSUPPORTED, "f16 ran");
  check(norm_launch({nullptr, nullptr, nullptr, 0, 64, 1e-6f, false, NF_F32}, nullptr) == NF_OK, "no rows failed");
});

}  // namespace
}  // namespace nf::test
