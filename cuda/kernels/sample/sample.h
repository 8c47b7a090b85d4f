// Sampling on the device, with the rules of engine/sample.
#pragma once

#include <cuda_runtime.h>
#include <stdint.h>

#include "exec/staging.h"
#include "kernels/pages/pages.h"

namespace nf {

// Biases and end tokens of one slot together.
constexpr uint32_t sample_biases_max = 1024;

struct sample_args {
  float *logits;  // n x vocabulary; penalties, biases and masks may change them in place
  const step_choice *choices;
  const step_bias *biases;
  const uint32_t *masks;
  uint32_t *counts;    // n x vocabulary, workspace
  float *raw_biased;   // n x sample_biases_max, workspace where logits change in place
  const int32_t *page_tokens;  // the pool's token ids
  slot_books books;
  nf_result_row *results;
  uint32_t n, vocabulary;
  uint32_t late;  // which rows: those whose `late` is the same
};

// Queues the choice of n tokens.
nf_code sample_launch(const sample_args &a, cudaStream_t stream);

struct judge_args {
  const float *logits;         // n x vocabulary
  const step_prompt *prompts;  // n
  nf_prompt_logprob *out;      // n
  uint32_t n, vocabulary;
};

// Queues how likely the token after each of n tokens was.
nf_code judge_launch(const judge_args &a, cudaStream_t stream);

}  // namespace nf
