// The engine: one model on one device. Its entries are those of the ABI's table.
//
// Everything runs on one stream, in the order of submission. A step's inputs go to the
// device in one copy from pinned memory, of which there are NF_QUEUE sets; its results
// come back the same way, and an event says when. Memory is allocated by tensor_put and
// finalise, and never afterwards.
//
// The submitter's calls and the waiter's share `queue` alone, under its mutex.
#pragma once

#include <cuda_runtime.h>
#include <stdint.h>

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "exec/plan.h"
#include "exec/staging.h"
#include "kernels/attention/decode.h"
#include "kernels/pages/pages.h"
#include "nanofleet.h"

namespace nf {

constexpr uint32_t no_page = 0xffffffffu;

// Decode steps of up to this many rows run a pass captured by finalise; beyond it the
// kernels outlast their launches.
constexpr uint32_t captured_rows_max = 64;

// The submitter's book of one slot.
struct slot_state {
  bool open = false, sampled = false;  // sampled: a submitted row samples
  uint32_t length = 0;                 // positions that submitted steps fill
  std::vector<uint32_t> pages;         // by index; no_page where none was given
  nf_slot spec = {};
  std::vector<nf_bias> biases;
  std::vector<int32_t> eos;
};

// A step between submit and wait.
struct step_state {
  uint64_t seq = 0;
  bool launched = false;  // its kernels are queued up to the late rows
  bool ending = false;    // its last event is queued; guarded by the engine's mutex
  uint32_t late = 0;      // rows that wait for a mask
  uint32_t longest = 0;  // positions that the tile with the most of them sees
  uint32_t n_rows = 0, n_tokens = 0, n_sampled = 0, n_walks = 0, n_tiles = 0, n_pages = 0, n_copies = 0;
  uint32_t n_prompts = 0, n_pooled = 0, n_logits = 0, n_vectors = 0;
  uint32_t logits_rows[logits_rows_max] = {};  // sampling rows whose logits are asked for
  std::vector<bool> aux;                       // in row order: false for logits, true for a vector
  std::vector<uint32_t> slots;                 // by row
  std::vector<step_choice> choices;
  std::vector<uint32_t> masks;  // of the late rows, word by word
  // Offsets of the parts in the staging memory, and the bytes used.
  uint64_t tokens = 0, walks = 0, tiles = 0, pages = 0, copies = 0, chosen = 0, sampled = 0, prompts = 0, pooled = 0, gathers = 0, biases = 0, mask_words = 0, used = 0;
  char *staging = nullptr;           // pinned
  nf_result_row *results = nullptr;  // pinned
  float *logits = nullptr;           // pinned
  float *vectors = nullptr;          // pinned
  nf_prompt_logprob *judged = nullptr;  // pinned
  cudaEvent_t begun = nullptr, done = nullptr;
};

}  // namespace nf

struct nf_engine {
  explicit nf_engine(const nf_limits &l, int device) : limits(l), device(device) {}

  nf_limits limits;
  int device;
  bool planned = false, ready = false, lost = false;
  nf::checked_plan plan;

  // Device memory.
  cudaStream_t stream = nullptr;
  char *activations = nullptr, *workspace = nullptr;
  char *arriving = nullptr;  // rows of weights on their way, until finalise
  nf::kv_pool pool = {};
  nf::slot_books books = {};
  nf::decode_room room = {};
  std::vector<cudaGraphExec_t> captured;  // by rows - 1: all decode one token and sample

  // The submitter's books.
  std::vector<nf::slot_state> slots;
  std::vector<uint32_t> opened;  // since the last step
  std::map<uint32_t, std::vector<uint32_t>> masks;
  uint64_t seq = 0;
  nf::step_state steps[NF_QUEUE];

  std::mutex mu;  // guards what follows
  std::vector<nf::step_state *> queue;
  nf_stats stats = {};
  std::chrono::steady_clock::time_point last_done;
};

namespace nf {

// Sets every entry of the table that works on an engine, create included.
void set_engine_entries(nf_api *table);

// A failed runtime call, with what was being done. A sticky error loses the engine.
nf_code cuda_failed(nf_engine *e, cudaError_t err, const char *doing);

// Refuses when what is counted so far is beyond the cap.
nf_code within_memory(const nf_engine *e, const char *call);
// Allocates device memory that an engine holds.
nf_code allocate(nf_engine *e, void *where, uint64_t bytes, const char *what);

nf_code engine_create(const int32_t *devices, uint32_t n_devices, const nf_limits *limits, nf_engine **out);
void engine_destroy(nf_engine *e);
nf_code engine_plan(nf_engine *e, const nf_plan *plan);
nf_code engine_tensor_put(nf_engine *e, const nf_tensor *t);
nf_code engine_finalise(nf_engine *e, nf_bytes *bytes);
nf_code engine_slot_open(nf_engine *e, const nf_slot *s);
nf_code engine_slot_close(nf_engine *e, uint32_t slot);
nf_code engine_mask_define(nf_engine *e, uint32_t id, const uint32_t *bits, uint32_t n_words);
nf_code engine_mask_drop(nf_engine *e, uint32_t id);
nf_code engine_submit(nf_engine *e, const nf_step *s);
nf_code engine_sample(nf_engine *e, uint64_t seq, const nf_row_mask *masks, uint32_t n);
nf_code engine_wait(nf_engine *e, uint64_t seq, nf_result *r, uint64_t timeout_us);
nf_code engine_stats(nf_engine *e, nf_stats *out);

// Queues a step's kernels and, unless rows wait for masks, the way back of its results.
nf_code launch_step(nf_engine *e, step_state *s);
// Captures the passes of decode steps.
nf_code capture_passes(nf_engine *e);
// Queues the choice of the rows whose masks came late, and the way back.
nf_code launch_late(nf_engine *e, step_state *s);

}  // namespace nf
