/* nanofleet.h: the step ABI, version 3.
 *
 * The one contract between the Go engine and whatever computes. engine/cpu links
 * an implementation; libnanofleet_cuda.so is one that is loaded at run time.
 * engine/abi mirrors this file in Go; engine/ref runs the same plan in plain Go
 * and is the oracle for both.
 *
 * A backend is used like this, always from one submitter and one waiter:
 *
 *   nf_open(NF_ABI_VERSION) -> table
 *   create -> plan -> tensor_put* -> finalise            once, at load
 *   slot_open -> submit -> wait -> ... -> slot_close     while serving
 *   destroy
 *
 * Memory: pointers are read during the call only, except the data given to
 * tensor_put, which must stay readable until finalise returns.
 * Threads: a backend owns its threads and blocks every signal on them.
 * Versions: within one ABI number, structs only ever grow at their end; `size`
 * carries the writer's sizeof. History:
 *   1  2026-11-23  first version
 *   2  2026-11-25  Q5 and K-quant types; prompt logprobs and pooling: nf_row.next,
 *                  nf_result.prompt, nf_sampling.prompt_top, NF_ROW_POOL_SUM
 *   3  2026-11-25  NF_E4M3 with its scales; nf_limits.quant
 */
#ifndef NANOFLEET_H
#define NANOFLEET_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NF_ABI_VERSION 3

enum {
  NF_PAGE = 64,        /* positions in one KV page */
  NF_NAME = 64,        /* bytes of a tensor name, terminator included */
  NF_TOP = 20,         /* most alternatives reported per sampled token */
  NF_ACCEPT = 8,       /* most tokens one row may accept in one step */
  NF_NO_MASK = 0,      /* mask id of a row without a grammar mask */
  NF_QUEUE = 2         /* steps that may be submitted and not yet waited for */
};

/* ---- status ---------------------------------------------------------- */

typedef int32_t nf_code;
enum {
  NF_OK = 0,
  NF_INVALID = 1,      /* an argument is out of bounds; last_error names it */
  NF_UNSUPPORTED = 2,  /* a valid attribute that this backend does not honour */
  NF_NOMEM = 3,
  NF_TIMEOUT = 4,      /* wait: the step is still running */
  NF_DEVICE_LOST = 5   /* sticky: the process must end */
};

/* ---- types ----------------------------------------------------------- */

/* Element types. Block formats are laid out as in GGUF files (ggml). */
typedef uint32_t nf_dtype;
enum {
  NF_F32 = 1,
  NF_F16 = 2,
  NF_BF16 = 3,
  NF_Q8_0 = 4,         /* 32 weights: f16 scale, 32 x int8 */
  NF_Q4_0 = 5,         /* 32 weights: f16 scale, 16 bytes of nibbles, value - 8 */
  NF_Q4_1 = 6,         /* 32 weights: f16 scale, f16 minimum, 16 bytes of nibbles */
  NF_Q5_0 = 7,         /* 32 weights, 22 bytes: f16 scale, 32 high bits, nibbles, value - 16 */
  NF_Q5_1 = 8,         /* 32 weights, 24 bytes: f16 scale, f16 minimum, 32 high bits, nibbles */
  NF_Q2_K = 9,         /* 256 weights, 84 bytes: groups of 16, 4-bit scales and minima */
  NF_Q3_K = 10,        /* 256 weights, 110 bytes: groups of 16, 6-bit scales */
  NF_Q4_K = 11,        /* 256 weights, 144 bytes: groups of 32, 6-bit scales and minima */
  NF_Q5_K = 12,        /* 256 weights, 176 bytes: groups of 32, 6-bit scales and minima */
  NF_Q6_K = 13,        /* 256 weights, 210 bytes: groups of 16, 8-bit scales */
  NF_E4M3 = 14,        /* FP8 of 4 exponent and 3 mantissa bits, no infinity (OCP OFP8); its
                          NF_SCALE component, f32 or bf16, multiplies: 1 x 1, rows x 1, or a block
                          of 128 x 128 each: ceil(rows / 128) x ceil(cols / 128); it is put
                          after its data */
  NF_SYNTH = 100       /* no data: random weights from a seed, for benchmarks */
};

typedef uint32_t nf_component;
enum { NF_DATA = 0, NF_SCALE = 1, NF_ZERO = 2, NF_G_IDX = 3 };

/* How a backend keeps the matrices of layers and of a head that is not tied to the
 * embedding. Tensors that come in fewer bits than asked for keep theirs. */
typedef uint32_t nf_quant;
enum {
  NF_QUANT_NONE = 0,   /* as they come, or as the backend computes with them */
  NF_QUANT_FP8 = 1,    /* E4M3, a scale for each row */
  NF_QUANT_INT4 = 2    /* 4 bits, a scale and a minimum for each 128 of a row */
};

/* ---- plan ------------------------------------------------------------ */

typedef uint32_t nf_op_kind;
enum {
  NF_OP_EMBED = 1,     /* out[t] = scale * weight[token[t]] */
  NF_OP_NORM = 2,      /* out = norm(in) * weight (+ bias) */
  NF_OP_QKV = 3,       /* out = in * [q;k;v]^T (+ bias); parts 0,1,2 */
  NF_OP_ROPE_STORE = 4,/* in place on in: optional q/k norm, rotary, then K and V to the page */
  NF_OP_ATTENTION = 5, /* out = attention(q of in, pages of `layer`) */
  NF_OP_OUT = 6,       /* out = residual + scale * (in * weight^T + bias) */
  NF_OP_GATE_UP = 7,   /* out = act(in * gate^T) * (in * up^T); parts 0,1 */
  NF_OP_DOWN = 8,      /* out = residual + scale * (in * weight^T + bias) */
  NF_OP_MOE = 9,
  NF_OP_HEAD = 10,     /* logits of the rows that sample: out = scale * in * weight^T */
  NF_OP_SAMPLE = 11,   /* the sampled token of each such row */
  NF_OP_POOL = 12,
  NF_OP_CLASSIFY = 13
};

enum { NF_NORM_RMS = 1, NF_NORM_LAYER = 2 };
enum { NF_ACT_SILU = 1, NF_ACT_GELU_TANH = 2 };
enum {
  NF_ROPE_NONE = 0,
  NF_ROPE_HALF = 1,    /* rotates pairs (i, i + rope_dims/2), as Hugging Face stores weights */
  NF_ROPE_PAIR = 2     /* rotates pairs (2i, 2i+1), as GGUF stores Llama weights */
};

/* One operation. Buffers are named by id, 0 when unused. A tensor is named by
 * text, "" when absent; two ops may name the same tensor (tied embeddings).
 * Any other attribute at its zero value means "not used". */
typedef struct nf_op {
  uint32_t size;
  nf_op_kind kind;
  uint32_t layer;              /* KV layer; 0 where there is none */
  uint32_t in, out, residual;  /* buffer ids */
  uint32_t in_features;
  uint32_t out_features[3];    /* rows of each part of weight */
  char weight[NF_NAME];
  char bias[NF_NAME];
  char q_norm[NF_NAME];
  char k_norm[NF_NAME];
  uint32_t norm_kind;
  uint32_t norm_plus_one;      /* the weight is stored as w - 1 */
  float norm_eps;
  uint32_t activation;
  uint32_t n_heads, n_kv_heads, head_dim;
  uint32_t rope_kind, rope_dims;
  uint32_t rope_table;         /* index into nf_plan.rope_tables */
  float attn_scale;            /* multiplies q.k */
  uint32_t window;             /* sliding window in positions; 0 = all */
  float softcap;               /* of attention scores or, for the head, of logits */
  float scale;                 /* embedding, residual or logit scale; 0 = 1 */
  uint32_t bidirectional;      /* 1 = not causal */
  uint32_t n_experts, top_k, renormalise, shared_experts;
  uint32_t position_embedding, type_embedding;
  uint32_t head_kind;          /* 0 = language model */
} nf_op;

/* One activation buffer; the plan sees float32 elements. */
typedef struct nf_buffer {
  uint32_t size;
  uint32_t id;                 /* from 1 */
  uint32_t width;              /* elements per row */
  uint32_t sampled_rows;       /* 1: one row per sampling row, else one per token */
} nf_buffer;

typedef struct nf_rope_table {
  uint32_t size;
  uint32_t n;                  /* rope_dims / 2 */
  const float *inv_freq;       /* n values, radians per position */
  float attention_factor;      /* multiplies cos and sin; 0 = 1 */
} nf_rope_table;

typedef struct nf_plan {
  uint32_t size;
  uint32_t n_ops, n_buffers, n_rope_tables;
  const nf_op *ops;
  const nf_buffer *buffers;
  const nf_rope_table *rope_tables;
  uint32_t vocab_size;
  uint32_t n_kv_layers;
  uint32_t kv_heads, head_dim; /* the largest of any layer: they size a page */
} nf_plan;

/* ---- engine ---------------------------------------------------------- */

typedef struct nf_probe_info {
  uint32_t size;
  uint32_t n_devices;
  char name[128];              /* of the first device, as people say it */
  char isa[32];                /* "plain", "avx2", "avx512", "sm_90" */
  char build[64];              /* identifies this build in a numerics id */
  uint64_t memory_total, memory_free; /* bytes, first device */
} nf_probe_info;

/* The five sizes must be positive: create refuses a zero as NF_INVALID before it
 * touches a device, so that asking with zeros tells whether create is honoured. */
typedef struct nf_limits {
  uint32_t size;
  uint32_t max_slots;          /* sequences open at once; slots are 0..max_slots-1 */
  uint32_t max_rows;           /* rows in one step */
  uint32_t max_tokens;         /* tokens in one step */
  uint32_t max_positions;      /* longest sequence */
  uint32_t n_pages;            /* KV pages in the pool; ids are 0..n_pages-1 */
  uint32_t threads;            /* compute threads; 0 = one per physical core */
  uint32_t invariant;          /* 1: row invariance is demanded */
  nf_dtype kv_dtype;           /* 0 = the backend's default */
  char isa[32];                /* "" = the best there is */
  uint64_t memory_max;         /* bytes; 0 = no cap */
  nf_quant quant;              /* of matrices, when they are put */
} nf_limits;

/* Exact bytes by class; equal to what engine/model computed beforehand. */
typedef struct nf_bytes {
  uint32_t size;
  uint64_t weights, kv, activations, workspace;
} nf_bytes;

typedef struct nf_tensor {
  uint32_t size;
  char name[NF_NAME];
  uint32_t part;               /* from 0: q,k,v or gate,up */
  nf_component component;
  uint32_t rows, cols;
  nf_dtype dtype;
  const void *data;            /* rows x cols, row-major, contiguous */
  uint64_t data_len;           /* bytes */
  uint64_t synth_seed;         /* NF_SYNTH */
} nf_tensor;

typedef struct nf_sampling {
  uint32_t size;
  float temperature;           /* 0 = greedy */
  float top_p;                 /* (0,1]; 1 = off */
  float min_p;                 /* [0,1]; 0 = off */
  float typical_p;             /* (0,1]; 1 = off */
  uint32_t top_k;              /* 0 = off */
  float presence, frequency;   /* over sampled tokens; 0 = off */
  float repetition;            /* over prompt and sampled tokens; 1 = off */
  uint32_t logprobs;           /* 1: report the sampled token's logprob */
  uint32_t top_logprobs;       /* alternatives reported, <= NF_TOP */
  uint32_t prompt_top;         /* alternatives that NF_ROW_PROMPT_LOGPROBS reports, <= NF_TOP */
} nf_sampling;

typedef struct nf_bias { int32_t token; float bias; } nf_bias;

/* Opens a slot. The sequence starts with `start` positions already present in
 * its pages (a prefix hit); the pages arrive with the first step's deltas. */
typedef struct nf_slot {
  uint32_t size;
  uint32_t slot;
  uint32_t start;              /* positions whose K, V and token ids the pages hold */
  uint32_t prompt_len;         /* positions before the first sampled one */
  uint32_t min_position;       /* below this position no eos token is sampled */
  uint32_t n_biases, n_eos;
  const nf_bias *biases;
  const int32_t *eos;
  nf_sampling sampling;
  uint64_t seed;               /* Philox key, with choice; counter: position, draw */
  uint32_t choice;
  uint32_t adapter;            /* 0 = none */
} nf_slot;

/* ---- step ------------------------------------------------------------ */

enum {
  NF_ROW_SAMPLE = 1,           /* sample after the row's last token */
  NF_ROW_LATE_MASK = 2,        /* its sampling waits for sample() */
  NF_ROW_PROMPT_LOGPROBS = 4,  /* report how likely each of the row's tokens made the one after it,
                                  with sampling.prompt_top alternatives */
  NF_ROW_LOGITS = 8,           /* copy the sampling logits to the result's aux */
  NF_ROW_POOL = 16,            /* copy what the head would read at the row's last token to aux;
                                  such a row does not sample */
  NF_ROW_CONTINUE = 32,        /* the row's first token is the slot's last sampled one,
                                  which never left the device; it counts in n_tokens
                                  and is absent from nf_step.tokens */
  NF_ROW_POOL_SUM = 64         /* with NF_ROW_POOL: the sum over all tokens of the row instead */
};

/* The tokens of one sequence in one step, at positions from the slot's length on:
 * the backend owns every slot's length. */
typedef struct nf_row {
  uint32_t slot;
  uint32_t n_tokens;           /* >= 1 */
  uint32_t n_draft;            /* the last n_draft tokens are drafts to verify */
  uint32_t flags;
  uint32_t mask_id;
  int32_t next;                /* NF_ROW_PROMPT_LOGPROBS: the token after the row's last; -1 = none */
} nf_row;

typedef struct nf_page_delta {
  uint32_t slot;
  uint32_t index;              /* page number within the sequence */
  uint32_t page;               /* page id in the pool */
  uint32_t kv_group;
} nf_page_delta;

enum { NF_COPY_D2D = 0, NF_COPY_D2H = 1, NF_COPY_H2D = 2 };
typedef struct nf_page_copy { uint32_t kind, from, to, kv_group; } nf_page_copy;

/* One step. Order: closes, copies, page deltas, rows. A slot that a step closes
 * may be opened again once submit has returned: slot_open takes effect with the
 * next submitted step. */
typedef struct nf_step {
  uint32_t size;
  uint32_t n_rows, n_tokens, n_pages, n_copies, n_closes;
  uint64_t seq;                /* rises by one with each submit, from 1 */
  const nf_row *rows;
  const int32_t *tokens;       /* of all rows, one after another */
  const nf_page_delta *pages;
  const nf_page_copy *copies;
  const uint32_t *closes;
} nf_step;

typedef struct nf_row_mask { uint32_t row, mask_id; } nf_row_mask;

enum { NF_ROW_OK = 0, NF_ROW_NAN = 1 };
typedef struct nf_result_row {
  uint32_t slot;
  uint32_t status;             /* NF_ROW_NAN: the logits that are sampled from held a NaN or +infinity,
                                  or no token is allowed, or (where the backend looks) the state of one
                                  of the row's tokens was not finite; nothing was sampled. Logprobs and
                                  vectors that are not finite are reported as they are */
  uint32_t n_accepted;         /* tokens[] that count; 0 for a row that did not sample */
  uint32_t n_top;
  int32_t tokens[NF_ACCEPT];
  float logprobs[NF_ACCEPT];   /* natural log, raw: before penalties, bias and temperature */
  int32_t top_tokens[NF_TOP];  /* of the last accepted token, best first */
  float top_logprobs[NF_TOP];
} nf_result_row;

/* How likely one token of a prompt was after those before it. */
typedef struct nf_prompt_logprob {
  float logprob;               /* natural log, raw */
  uint32_t rank;               /* 1 = no token was likelier */
  uint32_t n_top;
  int32_t top_tokens[NF_TOP];  /* best first */
  float top_logprobs[NF_TOP];
} nf_prompt_logprob;

/* Filled by wait; the caller owns the arrays. One result row per step row. */
typedef struct nf_result {
  uint32_t size;
  uint32_t n_rows;             /* in: capacity; out: rows */
  nf_result_row *rows;
  float *aux;                  /* in row order: logits of NF_ROW_LOGITS rows, vocab_size each;
                                  vectors of NF_ROW_POOL rows, as wide as the head's input */
  uint64_t n_aux;              /* in: capacity in floats; out: floats written */
  uint64_t compute_ns;         /* time this step ran */
  nf_prompt_logprob *prompt;   /* of NF_ROW_PROMPT_LOGPROBS rows in row order: one per token of the
                                  row that has a next one */
  uint64_t n_prompt;           /* in: capacity; out: entries written */
} nf_result;

typedef struct nf_stats {
  uint32_t size;
  uint64_t steps, tokens, sampled;
  uint64_t busy_ns, idle_ns;
  uint64_t memory_peak;        /* bytes */
} nf_stats;

typedef struct nf_engine nf_engine;

/* The table that nf_open returns. An entry that a backend does not honour
 * returns NF_UNSUPPORTED; none is NULL. */
typedef struct nf_api {
  uint32_t size;
  uint32_t abi_version;
  nf_code (*probe)(nf_probe_info *info);
  nf_code (*create)(const int32_t *devices, uint32_t n_devices, const nf_limits *limits, nf_engine **out);
  nf_code (*plan)(nf_engine *, const nf_plan *);
  nf_code (*tensor_put)(nf_engine *, const nf_tensor *);
  nf_code (*finalise)(nf_engine *, nf_bytes *);
  nf_code (*slot_open)(nf_engine *, const nf_slot *);
  nf_code (*slot_close)(nf_engine *, uint32_t slot);
  nf_code (*mask_define)(nf_engine *, uint32_t mask_id, const uint32_t *bits, uint32_t n_words);
  nf_code (*mask_drop)(nf_engine *, uint32_t mask_id);
  nf_code (*submit)(nf_engine *, const nf_step *);
  nf_code (*sample)(nf_engine *, uint64_t seq, const nf_row_mask *, uint32_t n);
  nf_code (*wait)(nf_engine *, uint64_t seq, nf_result *, uint64_t timeout_us);
  nf_code (*host_pool)(nf_engine *, void *ptr, uint64_t len);
  nf_code (*pool_resize)(nf_engine *, uint32_t n_pages);
  nf_code (*sleep)(nf_engine *, uint32_t level);
  nf_code (*wake)(nf_engine *);
  nf_code (*stats)(nf_engine *, nf_stats *);
  /* Text of the engine's last failure; with NULL, of probe or create. */
  const char *(*last_error)(nf_engine *);
  void (*destroy)(nf_engine *);
} nf_api;

/* The only export. NULL when this build cannot speak abi_version. */
const nf_api *nf_open(uint32_t abi_version);

#ifdef __cplusplus
}
#endif
#endif
