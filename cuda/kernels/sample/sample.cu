#include "kernels/sample/sample.h"

#include "common/launch.h"
#include "common/ptx.cuh"
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

// One row's business. With HELD each block of a team keeps its part of the logits in
// shared memory, and changes them there; else they are changed where they are.
template <bool HELD>
struct row {
  const sample_args &a;
  const step_choice &c;
  team<HELD> &t;
  const float *raw;   // as the head gave them
  float *logits;      // of this block's first token on
  uint32_t *counts;
  float *raw_biased;

  __device__ __forceinline__ float &at(uint32_t i) const { return logits[i - t.from]; }
  __device__ __forceinline__ bool mine(uint32_t token) const { return token - t.from < t.to - t.from; }
};

template <bool HELD>
__device__ __forceinline__ uint32_t token_at(const row<HELD> &r, uint32_t position) {
  const uint32_t page = r.a.books.table[static_cast<size_t>(r.c.slot) * r.a.books.width + position / NF_PAGE];
  return static_cast<uint32_t>(r.a.page_tokens[static_cast<size_t>(page) * NF_PAGE + position % NF_PAGE]);
}

// The best token whose place in the order comes after `after` (0: the best of all), as
// its place: the logit's bits, then the lower id first. A NaN comes before all.
template <bool HELD>
__device__ __forceinline__ u64 best(team<HELD> &t, const float *logits, u64 after) {
  u64 top = 0;
  t.each([&](uint32_t i) {
    const float l = logits[i - t.from];
    const u64 place = static_cast<u64>(isnan(l) ? 0xffffffffu : ordered(l)) << 32 | (0xffffffffu - i);
    if (after == 0 || place < after) top = place > top ? place : top;
  });
  return team_max(t, top);
}

__device__ __forceinline__ float logit_of(u64 place) { return from_ordered(static_cast<uint32_t>(place >> 32)); }
__device__ __forceinline__ uint32_t token_of(u64 place) { return 0xffffffffu - static_cast<uint32_t>(place); }

// The logarithm of the sum of the exponentials of the logits.
template <bool HELD>
__device__ __forceinline__ double log_sum(team<HELD> &t, const float *logits, float top) {
  double sum = 0;
  t.each([&](uint32_t i) { sum += expf(logits[i - t.from] - top); });
  return top + log(team_total(t, sum));
}

template <bool HELD>
__device__ __forceinline__ void report_top(team<HELD> &t, const float *logits, uint32_t n, double sum, int32_t *tokens, float *logprobs) {
  u64 place = 0;
  for (uint32_t i = 0; i < n; i++) {
    place = best(t, logits, place);
    if (threadIdx.x == 0 && t.rank == 0) {
      tokens[i] = static_cast<int32_t>(token_of(place));
      logprobs[i] = static_cast<float>(logit_of(place) - sum);
    }
  }
}

__device__ __forceinline__ bool penalised(const step_choice &c) {
  return c.presence != 0 || c.frequency != 0 || c.repetition != 1;
}

// Counts each token of the history, then lets one thread have each token and apply the
// penalties to it; a block does so for its own tokens.
template <bool HELD>
__device__ __forceinline__ void penalise(const row<HELD> &r) {
  const auto tokens = [&](uint32_t from, auto visit) {
    for (uint32_t i = from + threadIdx.x; i < r.c.length; i += sample_threads) {
      const uint32_t token = token_at(r, i);
      if (r.mine(token)) visit(token);
    }
    __syncthreads();
  };
  tokens(0, [&](uint32_t token) { r.counts[token] = 0; });
  tokens(r.c.prompt, [&](uint32_t token) { atomicAdd(&r.counts[token], 1u); });
  tokens(0, [&](uint32_t token) {
    const uint32_t n = atomicOr(&r.counts[token], claimed);
    if (n & claimed) return;
    float l = r.at(token);
    l = l > 0 ? __fdiv_rn(l, r.c.repetition) : __fmul_rn(l, r.c.repetition);
    if (n > 0) {
      l = __fsub_rn(l, r.c.presence);
      l = __fsub_rn(l, __fmul_rn(static_cast<float>(n), r.c.frequency));
    }
    r.at(token) = l;
  });
}

// Whether a row's logits are used as they are.
__device__ __forceinline__ bool plain(const step_choice &c) { return c.n_biases + c.n_eos == 0 && c.mask == no_mask && !penalised(c); }

// Biases, end tokens, mask and penalties. Where the raw logits are overwritten, those of
// biased tokens are kept for their logprobs.
template <bool HELD>
__device__ __forceinline__ void adjust(const row<HELD> &r) {
  const step_bias *biases = r.a.biases + r.c.biases;
  if constexpr (!HELD) {
    for (uint32_t i = threadIdx.x; i < r.c.n_biases; i += sample_threads) r.raw_biased[i] = r.at(biases[i].token);
  }
  __syncthreads();
  if (threadIdx.x == 0) {  // in their order: a token may have several
    for (uint32_t i = 0; i < r.c.n_biases; i++) {
      if (r.mine(biases[i].token)) r.at(biases[i].token) += biases[i].bias;
    }
  }
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < r.c.n_eos; i += sample_threads) {
    const uint32_t token = biases[r.c.n_biases + i].token;
    if (r.mine(token)) r.at(token) = -INFINITY;
  }
  if (r.c.mask != no_mask) {
    const uint32_t *mask = r.a.masks + r.c.mask;
    r.t.each([&](uint32_t i) {
      if ((mask[i / 32] >> i % 32 & 1) == 0) r.at(i) = -INFINITY;
    });
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
  // A bin of logits: equal steps below the best one, as far as weights or logits go.
  __device__ uint32_t bin(uint32_t key) const {
    const float steps = (top - from_ordered(key)) * (2047.0f / fminf(31.5f * temperature, 24.0f));
    return 2047u - static_cast<uint32_t>(fminf(steps, 2047.0f));
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

template <bool HELD>
__device__ __forceinline__ u64 mass_of(const row<HELD> &r, const running &run) {
  u64 sum = 0;
  r.t.each([&](uint32_t i) {
    if (run.holds(i, r.at(i))) sum += run.weight(r.at(i));
  });
  return team_total(r.t, sum);
}

// Where in a mass the first candidate that reaches share p lies.
__device__ __forceinline__ u64 reach(float p, u64 mass) {
  const u64 need = static_cast<u64>(ceil(static_cast<double>(p) * static_cast<double>(mass)));
  return (need < 1 ? 1 : need > mass ? mass : need) - 1;
}

// The candidate at aim(mass of all candidates).
template <bool HELD, typename Aim>
__device__ __forceinline__ picked at_mass(const row<HELD> &r, const running &run, Aim aim) {
  const auto visit = [&](uint32_t i, uint32_t &key, u64 &weight) {
    const float l = r.at(i);
    key = ordered(l);
    if (!run.holds(i, l)) return false;
    weight = run.weight(l);
    return true;
  };
  return select(r.t, aim, visit, [&](uint32_t key) { return run.bin(key); });
}

template <bool HELD>
__device__ __forceinline__ void cut_count(const row<HELD> &r, running &run) {
  u64 n = 0;
  r.t.each([&](uint32_t i) { n += run.holds(i, r.at(i)); });
  if (r.c.top_k >= team_total(r.t, n)) return;
  const auto visit = [&](uint32_t i, uint32_t &key, u64 &weight) {
    key = ordered(r.at(i));
    weight = 1;
    return run.holds(i, r.at(i));
  };
  run.last = select(r.t, [&](u64) { return r.c.top_k - 1; }, visit, [&](uint32_t key) { return run.bin(key); });
}

// Keeps those whose surprise is nearest to the entropy.
template <bool HELD>
__device__ __forceinline__ void cut_typical(const row<HELD> &r, running &run) {
  const u64 mass = mass_of(r, run);
  double sum = 0;
  r.t.each([&](uint32_t i) {
    const float l = r.at(i), x = run.exponent(l);
    if (run.holds(i, l) && expf(x) > 0) sum += static_cast<double>(expf(x)) * x;
  });
  const double relative = static_cast<double>(mass) * 0x1p-44;
  run.log_mass = log(relative);
  run.entropy = run.log_mass - team_total(r.t, sum) / relative;
  const auto visit = [&](uint32_t i, uint32_t &key, u64 &weight) {
    const float l = r.at(i);
    key = run.nearness(l);
    weight = run.weight(l);
    return run.holds(i, l);
  };
  run.farthest = select(r.t, [&](u64 all) { return reach(r.c.typical_p, all); }, visit, [](uint32_t key) { return key >> 21; });
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

template <bool HELD>
__device__ __forceinline__ uint32_t draw(const row<HELD> &r, float top) {
  running run = {top, r.c.temperature, {0, 0xffffffffu}, 0, false, 0, 0, {0, 0}};
  if (r.c.top_k > 0) cut_count(r, run);
  if (r.c.top_p < 1) run.last = at_mass(r, run, [&](u64 mass) { return reach(r.c.top_p, mass); });
  run.least = r.c.min_p;
  if (r.c.typical_p < 1) cut_typical(r, run);
  const u64 uniform = philox(r.c) >> 8;  // in units of 2^-24
  return at_mass(r, run, [=](u64 mass) { return __umul64hi(mass, uniform) << 40 | mass * uniform >> 24; }).id;
}

// The raw logit of the chosen token where logits were overwritten: as it was before a
// bias, or with its penalties taken back, which is right to a rounding.
__device__ __forceinline__ float restored(const row<false> &r, uint32_t token) {
  for (uint32_t i = 0; i < r.c.n_biases; i++) {
    if (static_cast<uint32_t>(r.a.biases[r.c.biases + i].token) == token) return r.raw_biased[i];
  }
  float l = r.raw[token];
  if (!penalised(r.c)) return l;
  bool used = false;
  for (uint32_t i = threadIdx.x; i < r.c.length; i += sample_threads) used |= token_at(r, i) == token;
  if (!__syncthreads_or(used)) return l;
  const uint32_t n = r.counts[token] & ~claimed;
  if (n > 0) l += static_cast<float>(n) * r.c.frequency + r.c.presence;
  return l > 0 ? l * r.c.repetition : l / r.c.repetition;
}

__device__ __forceinline__ float raw_of(const row<true> &r, uint32_t token) { return r.raw[token]; }
__device__ __forceinline__ float raw_of(const row<false> &r, uint32_t token) { return restored(r, token); }

template <bool HELD>
__device__ __forceinline__ void choose(const row<HELD> &r) {
  const step_choice &c = r.c;
  nf_result_row &out = r.a.results[c.row];
  u64 top = best(r.t, r.logits, 0);
  bool ok = logit_of(top) < INFINITY && !r.a.books.poisoned[c.slot];  // nor a NaN
  double sum = 0;
  if (ok && (c.logprobs || c.top_logprobs > 0)) {
    sum = log_sum(r.t, r.logits, logit_of(top));
    report_top(r.t, r.logits, c.top_logprobs, sum, out.top_tokens, out.top_logprobs);
  }
  if (ok && !plain(c)) {
    adjust(r);
    top = best(r.t, r.logits, 0);
  }
  ok = ok && logit_of(top) != -INFINITY;
  uint32_t token = token_of(top);
  if (ok && c.temperature > 0) token = draw(r, logit_of(top));
  const float raw = ok && c.logprobs ? raw_of(r, token) : 0;
  r.t.sync();  // every block has read whether the slot is poisoned, and the others' sums
  if (threadIdx.x != 0 || r.t.rank != 0) return;
  if (!ok) {
    r.a.books.poisoned[c.slot] = 1;
    out.status = NF_ROW_NAN;
    return;
  }
  r.a.books.last[c.slot] = static_cast<int32_t>(token);
  out.n_accepted = 1;
  out.n_top = c.top_logprobs;
  out.tokens[0] = static_cast<int32_t>(token);
  if (c.logprobs) out.logprobs[0] = static_cast<float>(raw - sum);
}

// A team per row: of a cluster's blocks, which hold the logits, or a block on its own.
template <bool HELD>
__global__ void __launch_bounds__(sample_threads, 2) sample(const sample_args a) {
  __shared__ sample_shared shared;
  extern __shared__ float held[];
  follow();
  const uint32_t size = HELD ? cluster_size() : 1, rank = HELD ? cluster_rank() : 0, n = blockIdx.x / size;
  const step_choice &c = a.choices[n];
  if (c.late != a.late) return;
  const uint32_t part = (a.vocabulary + size - 1) / size;
  team<HELD> t = {shared, rank, size, min(rank * part, a.vocabulary), min((rank + 1) * part, a.vocabulary), 0};
  float *raw = a.logits + static_cast<size_t>(n) * a.vocabulary;
  const row<HELD> r = {a, c, t, raw, HELD ? held : raw, a.counts + static_cast<size_t>(n) * a.vocabulary, a.raw_biased + n * sample_biases_max};
  if constexpr (HELD) {
    t.each([&](uint32_t i) { held[i - t.from] = raw[i]; });
    __syncthreads();
  }
  choose(r);
}

// A block per token of a prompt.
__global__ void __launch_bounds__(sample_threads) judge(const judge_args a) {
  __shared__ sample_shared shared;
  follow();
  const step_prompt p = a.prompts[blockIdx.x];
  const float *logits = a.logits + static_cast<size_t>(blockIdx.x) * a.vocabulary, next = logits[p.next];
  nf_prompt_logprob &out = a.out[blockIdx.x];
  team<false> t = {shared, 0, 1, 0, a.vocabulary, 0};
  const double sum = log_sum(t, logits, logit_of(best(t, logits, 0)));
  report_top(t, logits, p.top, sum, out.top_tokens, out.top_logprobs);
  u64 likelier = 0;
  t.each([&](uint32_t i) { likelier += logits[i] > next; });
  likelier = team_total(t, likelier);
  if (threadIdx.x != 0) return;
  out.logprob = static_cast<float>(next - sum);
  out.rank = static_cast<uint32_t>(likelier) + 1;
  out.n_top = p.top;
}

constexpr uint32_t team_blocks = 8;
constexpr uint32_t held_max = 160 << 10;  // bytes of logits that a block holds

}  // namespace

nf_code sample_launch(const sample_args &a, cudaStream_t stream) {
  if (a.n == 0) return NF_OK;
  const size_t held = (a.vocabulary + team_blocks - 1) / team_blocks * sizeof(float);
  // Clusters came with the same architecture as overlap.
  if (!overlaps() || held > held_max) return code_of(launch(sample<false>, {a.n, sample_threads}, stream, a));
  static const cudaError_t allowed = allow_shared(sample<true>, held_max);
  if (allowed) return code_of(allowed);
  launch_shape shape = {a.n * team_blocks, sample_threads, held};
  shape.cluster = team_blocks;
  return code_of(launch(sample<true>, shape, stream, a));
}

nf_code judge_launch(const judge_args &a, cudaStream_t stream) {
  return a.n > 0 ? code_of(launch(judge, {a.n, sample_threads}, stream, a)) : NF_OK;
}

}  // namespace nf
