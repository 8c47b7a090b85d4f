// What a step carries to the device, in one copy: host and device read the same structs.
#pragma once

#include <stdint.h>

namespace nf {

// One token of the step.
struct step_token {
  uint32_t slot, position;
  int32_t id;      // -1: the slot's last sampled token
  uint32_t page;   // that holds its position
};

// Tokens of one row as attention takes them: up to 16 queries (tokens times the heads
// that share a key-value head) at a time.
struct step_tile {
  uint32_t slot;
  uint32_t token;     // first token row of the step
  uint32_t n_tokens;
  uint32_t position;  // of the first token
};

// A row of one token as decoding takes it: its keys are walked in spans of 32, and all
// spans of a step are shared out evenly.
struct step_walk {
  uint32_t slot;
  uint32_t token;   // token row of the step
  uint32_t length;  // positions that it sees, its own included
  uint32_t before;  // spans of the rows before it
};

struct step_page {
  uint32_t slot, index, page, fresh;  // fresh 1: the slot was opened anew; no page then
};

struct step_copy {
  uint32_t from, to;
};

struct step_bias {
  int32_t token;
  float bias;
};

// One row that samples.
struct step_choice {
  uint32_t slot, row;       // row of the result
  uint32_t token;           // its last token row
  uint32_t length;          // positions known: the chosen token's position
  uint32_t prompt, choice;
  uint32_t seed_low, seed_high;
  float temperature, top_p, min_p, typical_p, presence, frequency, repetition;
  uint32_t top_k, logprobs, top_logprobs;
  uint32_t biases, n_biases;  // among the step's biases
  uint32_t n_eos;             // tokens that follow the biases and are not allowed yet
  uint32_t mask;              // first word among the step's masks; no_mask: all are allowed
  uint32_t late;
};

// A token whose likelihoods are asked for: those of the token after it.
struct step_prompt {
  uint32_t token;  // token row of the step
  int32_t next;
  uint32_t top;    // alternatives
};

// A token whose state is added to a vector.
struct step_pooled {
  uint32_t token, vector;
};

constexpr uint32_t no_mask = 0xffffffffu;

// engine/model computes the workspace from these.
static_assert(sizeof(step_token) == 16 && sizeof(step_tile) == 16 && sizeof(step_page) == 16 && sizeof(step_copy) == 8 && sizeof(step_walk) == 16 && sizeof(step_prompt) == 12 && sizeof(step_pooled) == 8, "footprint");
static_assert(sizeof(step_choice) == 92 && sizeof(step_bias) == 8, "footprint");

}  // namespace nf
