#include "kernels/sample/sample.h"

#include "common/status.h"
#include "kernels/sample/block.cuh"

namespace nf {
namespace {

using u64 = unsigned long long;

constexpr uint32_t claimed = 0x80000000u;  // beside a token's count

// A float's bits in an order that integers have.
__device__ __forceinline__ uint32_t ordered(float l) {
  const uint32_t bits = __float_as_uint(l);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

__device__ __forceinline__ float from_ordered(uint32_t key) {
  return __uint_as_float(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}

// One row's business.
struct row {
  const sample_args &a;
  const step_choice &c;
  sample_shared &s;
  float *logits;
  uint32_t *counts;
  float *raw_biased;
  uint32_t vocabulary;
};

__device__ __forceinline__ int32_t token_at(const row &r, uint32_t position) {
  const uint32_t page = r.a.books.table[static_cast<size_t>(r.c.slot) * r.a.books.width + position / NF_PAGE];
  return r.a.page_tokens[static_cast<size_t>(page) * NF_PAGE + position % NF_PAGE];
}

// The best token whose place in the order comes after `after` (0: the best of all), as
// its place: the logit's bits, then the lower id first. A NaN comes before all.
__device__ __forceinline__ u64 best(const row &r, u64 after) {
  u64 top = 0;
#pragma unroll 4
  for (uint32_t i = threadIdx.x; i < r.vocabulary; i += sample_threads) {
    const float l = r.logits[i];
    const u64 place = static_cast<u64>(isnan(l) ? 0xffffffffu : ordered(l)) << 32 | (0xffffffffu - i);
    if (after == 0 || place < after) top = place > top ? place : top;
  }
  return block_max(r.s, top);
}

__device__ __forceinline__ float logit_of(u64 place) { return from_ordered(static_cast<uint32_t>(place >> 32)); }
__device__ __forceinline__ uint32_t token_of(u64 place) { return 0xffffffffu - static_cast<uint32_t>(place); }

// The logarithm of the sum of the exponentials of the raw logits.
__device__ __forceinline__ double log_sum(const row &r, float top) {
  double sum = 0;
#pragma unroll 4
  for (uint32_t i = threadIdx.x; i < r.vocabulary; i += sample_threads) sum += expf(r.logits[i] - top);
  return top + log(block_total(r.s, sum));
}

__device__ __forceinline__ void report_top(const row &r, nf_result_row &out, double sum) {
  u64 place = 0;
  for (uint32_t n = 0; n < r.c.top_logprobs; n++) {
    place = best(r, place);
    if (threadIdx.x == 0) {
      out.top_tokens[n] = static_cast<int32_t>(token_of(place));
      out.top_logprobs[n] = static_cast<float>(logit_of(place) - sum);
    }
  }
  if (threadIdx.x == 0) out.n_top = r.c.top_logprobs;
}

__device__ __forceinline__ bool penalised(const step_choice &c) {
  return c.presence != 0 || c.frequency != 0 || c.repetition != 1;
}

// Counts each token of the history, then lets one thread have each token and apply the
// penalties to it.
__device__ __forceinline__ void penalise(const row &r) {
  for (uint32_t i = threadIdx.x; i < r.c.length; i += sample_threads) r.counts[token_at(r, i)] = 0;
  __syncthreads();
  for (uint32_t i = r.c.prompt + threadIdx.x; i < r.c.length; i += sample_threads) atomicAdd(&r.counts[token_at(r, i)], 1u);
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < r.c.length; i += sample_threads) {
    const int32_t token = token_at(r, i);
    const uint32_t n = atomicOr(&r.counts[token], claimed);
    if (n & claimed) continue;
    float l = r.logits[token];
    l = l > 0 ? __fdiv_rn(l, r.c.repetition) : __fmul_rn(l, r.c.repetition);
    if (n > 0) {
      l = __fsub_rn(l, r.c.presence);
      l = __fsub_rn(l, __fmul_rn(static_cast<float>(n), r.c.frequency));
    }
    r.logits[token] = l;
  }
  __syncthreads();
}

// Whether a row's logits are used as they are.
__device__ __forceinline__ bool plain(const step_choice &c) { return c.n_biases + c.n_eos == 0 && c.mask == no_mask && !penalised(c); }

// Biases, end tokens, mask and penalties, in place. A biased token's raw logit is kept
// for its logprob.
__device__ __forceinline__ void adjust(const row &r) {
  const step_bias *biases = r.a.biases + r.c.biases;
  for (uint32_t i = threadIdx.x; i < r.c.n_biases; i += sample_threads) r.raw_biased[i] = r.logits[biases[i].token];
  __syncthreads();
  if (threadIdx.x == 0) {  // in their order: a token may have several
    for (uint32_t i = 0; i < r.c.n_biases; i++) r.logits[biases[i].token] += biases[i].bias;
  }
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < r.c.n_eos; i += sample_threads) r.logits[biases[r.c.n_biases + i].token] = -INFINITY;
  if (r.c.mask != no_mask) {
    const uint32_t *mask = r.a.masks + r.c.mask;
  #pragma unroll 4
  for (uint32_t i = threadIdx.x; i < r.vocabulary; i += sample_threads) {
      if ((mask[i / 32] >> i % 32 & 1) == 0) r.logits[i] = -INFINITY;
    }
  }
  __syncthreads();
  if (penalised(r.c)) penalise(r);
}

// What is left in the running, and the weight of each candidate: its probability
// relative to the best one's, in units of 2^-44.
struct running {
  float top, temperature;
  picked last;         // of those that top_k and top_p left
  float least;         // relative probability that min_p asks for
  bool typical;        // whether the next three count
  double log_mass, entropy;
  picked farthest;

  __device__ float exponent(float l) const { return l == top ? 0 : (l - top) / temperature; }
  __device__ u64 weight(float l) const { return __float2ull_rn(expf(exponent(l)) * 0x1p44f); }
  __device__ uint32_t nearness(float l) const {
    return ~__float_as_uint(static_cast<float>(fabs(log_mass - exponent(l) - entropy)));
  }
  __device__ bool holds(uint32_t i, float l) const {
    const uint32_t key = ordered(l);
    if (l == -INFINITY || key < last.key || (key == last.key && i > last.id)) return false;
    if (least > 0 && l != top && expf(exponent(l)) < least) return false;
    if (!typical) return true;
    const uint32_t near = nearness(l);
    return near > farthest.key || (near == farthest.key && i <= farthest.id);
  }
};

__device__ __forceinline__ u64 mass_of(const row &r, const running &run) {
  u64 sum = 0;
#pragma unroll 4
  for (uint32_t i = threadIdx.x; i < r.vocabulary; i += sample_threads) {
    if (run.holds(i, r.logits[i])) sum += run.weight(r.logits[i]);
  }
  return block_total(r.s, sum);
}

// Where in a mass the first candidate that reaches share p lies.
__device__ __forceinline__ u64 reach(float p, u64 mass) {
  const u64 need = static_cast<u64>(ceil(static_cast<double>(p) * static_cast<double>(mass)));
  return (need < 1 ? 1 : need > mass ? mass : need) - 1;
}

// The candidate at aim(mass of all candidates).
template <typename Aim>
__device__ __forceinline__ picked at_mass(const row &r, const running &run, Aim aim) {
  return select(r.s, r.vocabulary, aim, [&](uint32_t i, uint32_t &key, u64 &weight) {
    const float l = r.logits[i];
    key = ordered(l);
    weight = run.weight(l);
    return run.holds(i, l);
  });
}

__device__ __forceinline__ void cut_count(const row &r, running &run) {
  u64 n = 0;
#pragma unroll 4
  for (uint32_t i = threadIdx.x; i < r.vocabulary; i += sample_threads) n += run.holds(i, r.logits[i]);
  if (r.c.top_k >= block_total(r.s, n)) return;
  run.last = select(r.s, r.vocabulary, [&](u64) { return r.c.top_k - 1; }, [&](uint32_t i, uint32_t &key, u64 &weight) {
    key = ordered(r.logits[i]);
    weight = 1;
    return run.holds(i, r.logits[i]);
  });
}

// Keeps those whose surprise is nearest to the entropy.
__device__ __forceinline__ void cut_typical(const row &r, running &run) {
  const u64 mass = mass_of(r, run);
  double sum = 0;
#pragma unroll 4
  for (uint32_t i = threadIdx.x; i < r.vocabulary; i += sample_threads) {
    const float l = r.logits[i], x = run.exponent(l);
    if (run.holds(i, l) && expf(x) > 0) sum += static_cast<double>(expf(x)) * x;
  }
  const double relative = static_cast<double>(mass) * 0x1p-44;
  run.log_mass = log(relative);
  run.entropy = run.log_mass - block_total(r.s, sum) / relative;
  const picked farthest = select(r.s, r.vocabulary, [&](u64 all) { return reach(r.c.typical_p, all); }, [&](uint32_t i, uint32_t &key, u64 &weight) {
    const float l = r.logits[i];
    key = run.nearness(l);
    weight = run.weight(l);
    return run.holds(i, l);
  });
  run.farthest = farthest;
  run.typical = true;
}

// Philox4x32-10: the first word for (position, draw 0, choice).
__device__ __forceinline__ uint32_t philox(const step_choice &c) {
  uint32_t x0 = c.length, x1 = 0, x2 = c.choice, x3 = 0, k0 = c.seed_low, k1 = c.seed_high;
#pragma unroll
  for (int i = 0; i < 10; i++) {
    const uint32_t high0 = __umulhi(0xD2511F53u, x0), low0 = 0xD2511F53u * x0;
    const uint32_t high1 = __umulhi(0xCD9E8D57u, x2), low1 = 0xCD9E8D57u * x2;
    x0 = high1 ^ x1 ^ k0;
    x1 = low1;
    x2 = high0 ^ x3 ^ k1;
    x3 = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return x0;
}

__device__ __forceinline__ uint32_t draw(const row &r, float top) {
  running run = {top, r.c.temperature, {0, 0xffffffffu}, 0, false, 0, 0, {0, 0}};
  if (r.c.top_k > 0) cut_count(r, run);
  if (r.c.top_p < 1) run.last = at_mass(r, run, [&](u64 mass) { return reach(r.c.top_p, mass); });
  run.least = r.c.min_p;
  if (r.c.typical_p < 1) cut_typical(r, run);
  const u64 uniform = philox(r.c) >> 8;  // in units of 2^-24
  return at_mass(r, run, [=](u64 mass) { return __umul64hi(mass, uniform) << 40 | mass * uniform >> 24; }).id;
}

// The raw logit of the chosen token: as it is, as it was before a bias, or with its
// penalties taken back, which is right to a rounding.
__device__ __forceinline__ float raw_of(const row &r, uint32_t token) {
  for (uint32_t i = 0; i < r.c.n_biases; i++) {
    if (static_cast<uint32_t>(r.a.biases[r.c.biases + i].token) == token) return r.raw_biased[i];
  }
  float l = r.logits[token];
  if (!penalised(r.c)) return l;
  bool used = false;
  for (uint32_t i = threadIdx.x; i < r.c.length; i += sample_threads) used |= static_cast<uint32_t>(token_at(r, i)) == token;
  if (!__syncthreads_or(used)) return l;
  const uint32_t n = r.counts[token] & ~claimed;
  if (n > 0) l += static_cast<float>(n) * r.c.frequency + r.c.presence;
  return l > 0 ? l * r.c.repetition : l / r.c.repetition;
}

__global__ void __launch_bounds__(sample_threads) sample(const sample_args a) {
  __shared__ sample_shared shared;
  const step_choice &c = a.choices[blockIdx.x];
  if (c.late != a.late) return;
  const row r = {a, c, shared, a.logits + static_cast<size_t>(blockIdx.x) * a.vocabulary,
                 a.counts + static_cast<size_t>(blockIdx.x) * a.vocabulary, a.raw_biased + blockIdx.x * sample_biases_max, a.vocabulary};
  nf_result_row &out = a.results[c.row];
  const bool reports = c.logprobs || c.top_logprobs > 0;
  u64 top = best(r, 0);
  bool ok = top >> 32 != 0xffffffffu && !a.books.poisoned[c.slot];
  double sum = 0;
  if (ok && reports) {
    sum = log_sum(r, logit_of(top));
    report_top(r, out, sum);
  }
  if (ok && !plain(c)) {
    adjust(r);
    top = best(r, 0);
  }
  ok = ok && logit_of(top) != -INFINITY;
  uint32_t token = token_of(top);
  if (ok && c.temperature > 0) token = draw(r, logit_of(top));
  const float raw = ok && c.logprobs ? raw_of(r, token) : 0;
  if (threadIdx.x != 0) return;
  if (!ok) {
    a.books.poisoned[c.slot] = 1;
    out.status = NF_ROW_NAN;
    out.n_top = 0;
    return;
  }
  a.books.last[c.slot] = static_cast<int32_t>(token);
  out.n_accepted = 1;
  out.tokens[0] = static_cast<int32_t>(token);
  if (c.logprobs) out.logprobs[0] = static_cast<float>(raw - sum);
}

}  // namespace

nf_code sample_launch(const sample_args &a, cudaStream_t stream) {
  if (a.n > 0) sample<<<a.n, sample_threads, 0, stream>>>(a);
  return code_of(cudaGetLastError());
}

}  // namespace nf
