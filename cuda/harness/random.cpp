#include "harness/random.h"

#include <string.h>

#include <random>

namespace nf::harness {
namespace {

uint16_t to_bf16(float v) {
  uint32_t u;
  memcpy(&u, &v, 4);
  if (v != v) return 0x7fc0;
  return static_cast<uint16_t>((u + 0x7fff + (u >> 16 & 1)) >> 16);  // to nearest, ties to even
}

float from_bf16(uint16_t b) {
  const uint32_t u = static_cast<uint32_t>(b) << 16;
  float v;
  memcpy(&v, &u, 4);
  return v;
}

}  // namespace

std::vector<float> random_values(size_t n, float spread, uint64_t seed, nf_dtype dtype) {
  std::mt19937_64 rng(seed);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> out(n);
  for (float &v : out) v = dtype == NF_BF16 ? from_bf16(to_bf16(normal(rng))) : normal(rng);
  return out;
}

std::vector<uint8_t> to_bytes(const std::vector<float> &values, nf_dtype dtype) {
  const size_t each = dtype == NF_F32 ? 4 : 2;
  std::vector<uint8_t> out(values.size() * each);
  for (size_t i = 0; i < values.size(); i++) {
    const uint16_t b = to_bf16(values[i]);
    memcpy(out.data() + i * each, each == 4 ? static_cast<const void *>(&values[i]) : &b, each);
  }
  return out;
}

std::vector<float> from_bytes(const std::vector<uint8_t> &bytes, nf_dtype dtype) {
  const size_t each = dtype == NF_F32 ? 4 : 2;
  std::vector<float> out(bytes.size() / each);
  for (size_t i = 0; i < out.size(); i++) {
    uint16_t b;
    memcpy(&b, bytes.data() + i * each, 2);
    if (each == 4) memcpy(&out[i], bytes.data() + i * 4, 4);
    else out[i] = from_bf16(b);
  }
  return out;
}

}  // namespace nf::harness
