/* What the files of the CPU backend share. Nouns: a matrix is a repacked weight; a
 * job is one submitted step; a slot is the submitter's book of an open sequence; a
 * sequence is what the runner keeps of it. */
#ifndef NF_CPU_INTERNAL_H
#define NF_CPU_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include "nanofleet.h"

#define NFC_BUILD "2"        /* rises when bits change */
#define NFC_MAX_HEAD 256     /* head_dim */
#define NFC_MAX_GROUP 64     /* query heads that share one key-value head */
#define NFC_LANES 4          /* rows sampled at once */
#define NFC_NO_PAGE UINT32_MAX

/* A weight. A vector (one row) is plain float. A matrix is panels of eight rows, the
 * last one padded with zeros: for each k eight elements of a float type, or what
 * layout.h draws. */
typedef struct nfc_matrix {
  char name[NF_NAME];
  uint32_t part, rows, cols;
  nf_dtype dtype;
  uint64_t panel, bytes;     /* of one panel, of all */
  uint8_t *data;
  const uint8_t *unscaled;   /* E4M3 as it came, until its scales come; else NULL */
  int used;
} nfc_matrix;

/* 32 activations as integers of 16 bits: eight bits alone cost the accuracy (cosine
 * 0.998 on SmolLM2). Sums are of the low half, the high half and both. */
typedef struct nfc_block {
  int16_t q[32];
  float d;                   /* an activation is d q */
  float sum[3];              /* d times the sum of q */
} nfc_block;

/* Activations of a product. */
typedef struct nfc_x {
  const float *f;            /* rows x k */
  nfc_block *blocks;         /* rows x k/32, for quantised weights */
  uint32_t k;
} nfc_x;

enum { NFC_PLAIN, NFC_RESIDUAL, NFC_GATED };

/* One matrix product and what follows it. */
typedef struct nfc_linear {
  const nfc_matrix *w[3];
  const nfc_matrix *bias[3];
  uint32_t at[3];            /* first column of each part in out */
  uint32_t parts, rows, width;
  int after;                 /* NFC_* */
  uint32_t activation;
  float scale, softcap;
  const float *residual;
  float *out;
  nfc_x x;
} nfc_linear;

typedef struct nfc_attention {
  const float *qkv;
  float *out;
  uint32_t width, heads, kv_heads, dim, window;
  float scale, softcap;
} nfc_attention;

/* A run of tokens of one sequence: page table, first position. */
typedef struct nfc_span {
  const uint32_t *pages;
  uint32_t token, position, n;
} nfc_span;

/* The page pool: page, layer, K then V, head; K is [dim][64], V is [64][dim]. */
typedef struct nfc_pool_kv {
  uint8_t *kv;
  int32_t *tokens;
  uint64_t page, layer, half, head; /* bytes */
  nf_dtype dtype;
} nfc_pool_kv;

/* What is compiled once for each instruction set. */
typedef struct nfc_kernels {
  const char *name;
  void (*quantise)(const nfc_x *x, uint32_t from, uint32_t to);
  void (*linear)(const nfc_linear *l, uint32_t lane, uint32_t lanes);
  void (*rmsnorm)(float *out, const float *in, const float *w, uint32_t n, float eps, uint32_t plus_one);
  void (*attention)(const nfc_attention *a, const nfc_pool_kv *kv, uint32_t layer, const nfc_span *span, uint32_t kv_head);
  void (*embed)(const nfc_matrix *w, uint32_t row, float scale, float *out);
  void (*store)(const nfc_pool_kv *kv, uint32_t layer, uint32_t head, uint32_t page, uint32_t offset, const float *k, const float *v, uint32_t dim);
} nfc_kernels;
extern const nfc_kernels nfc_kernels_plain;
#if defined(__x86_64__)
extern const nfc_kernels nfc_kernels_avx2, nfc_kernels_avx512;
#endif

/* An operation with its weights found. */
typedef struct nfc_op {
  nf_op op;
  const nfc_matrix *w[3], *bias[3], *q_norm, *k_norm;
} nfc_op;

typedef struct nfc_mask {
  atomic_int refs;
  uint32_t id;
  uint32_t bits[];
} nfc_mask;

typedef struct nfc_sequence {
  atomic_int refs;
  nf_slot spec;
  int32_t last;              /* last sampled token */
  int poisoned;              /* a row's logits held a NaN */
} nfc_sequence;

typedef struct nfc_slot {
  nfc_sequence *seq;         /* NULL: not open */
  uint32_t length;           /* positions that submitted steps fill */
  uint32_t sampled;          /* a submitted row samples */
  uint32_t n_pages;          /* entries of pages that may hold a page */
  uint32_t *pages;
} nfc_slot;

typedef struct nfc_row {
  nf_row row;
  nfc_sequence *seq;
  uint32_t first, start;     /* first token in the job, its position */
  uint64_t pages;            /* index in the job's arena */
  uint64_t aux, prompt;      /* where its logits or vector, and its entries, begin */
  nfc_mask *mask;
  int late;
  nf_result_row result;
} nfc_row;

typedef struct nfc_place { uint32_t row, position; } nfc_place;

typedef struct nfc_job {
  uint64_t seq, ns, n_aux;
  nfc_row *rows;
  uint32_t n_rows, n_tokens, n_copies, late, n_sampled, n_spans;
  int32_t *tokens;
  nfc_place *places;         /* of each token */
  nfc_span *spans;
  uint32_t *sampled;         /* token of each sampling row */
  uint32_t *row_of;          /* job row of each sampling row */
  uint32_t *arena;           /* page tables */
  uint64_t arena_len, arena_cap;
  nf_page_copy *copies;
  uint32_t copies_cap;
  float *aux;
  uint64_t aux_cap;
  nf_prompt_logprob *prompt;
  uint64_t n_prompt, prompt_cap;
  double *sums;              /* of one pooled row */
  uint64_t sums_cap;
  int done;
} nfc_job;

typedef struct nfc_team nfc_team;
typedef void (*nfc_task)(void *arg, uint32_t lane, uint32_t lanes);
nfc_team *nfc_team_new(uint32_t threads);
void nfc_team_run(nfc_team *, nfc_task, void *arg);
void nfc_team_free(nfc_team *);
uint32_t nfc_team_lanes(const nfc_team *);
uint32_t nfc_physical_cores(void);
int nfc_thread(pthread_t *, void *(*)(void *), void *); /* signals blocked */

typedef struct nfc_candidate { double logit, p; int32_t token; uint32_t key; } nfc_candidate;

/* Scratch of one sampling lane. */
typedef struct nfc_lane {
  float *logits;
  int32_t *counts;
  int32_t *history;
  nfc_candidate *a, *b;
} nfc_lane;
int nfc_choose(nfc_lane *, const float *logits, uint32_t vocab, const int32_t *history, uint32_t n_history,
               const uint32_t *mask, const nf_slot *, int32_t *token);
void nfc_report(const float *logits, uint32_t vocab, const nf_sampling *, nf_result_row *);
void nfc_score(const float *logits, uint32_t vocab, int32_t token, uint32_t top, nf_prompt_logprob *);
double nfc_uniform(uint64_t seed, uint32_t choice, uint32_t position, uint32_t draw);

struct nf_engine {
  nf_limits limits;
  uint32_t threads, pages_a_slot;
  const nfc_kernels *k;
  char error[256];

  int planned, ready;
  nf_plan plan;
  nfc_op *ops;
  uint32_t tail, head;       /* first operation over sampling rows, and the head; n_ops for none */
  nf_buffer *buffers;
  nf_rope_table *tables;
  nfc_matrix *tensors;
  uint32_t n_tensors;
  nf_bytes bytes;

  float **values;            /* of each buffer, by index */
  nfc_pool_kv pool;
  uint8_t *workspace;
  nfc_x x;                   /* quantised activations */
  float **turns;             /* cos and sin of each rope table, n + n a token */
  nfc_lane lanes[NFC_LANES];

  nfc_slot *slots;
  nfc_mask **masks;
  uint32_t n_masks;
  uint64_t seq;              /* last submitted */

  pthread_t runner;
  nfc_team *team;
  pthread_mutex_t mu;        /* guards what follows */
  pthread_cond_t changed;
  nfc_job jobs[NF_QUEUE];
  uint64_t waited, ran;      /* last step waited for, last step run */
  int quit, started;
  nf_stats stats;
};

nf_code nfc_fail(nf_engine *, nf_code, const char *format, ...) __attribute__((format(printf, 3, 4)));
nf_code nfc_check_plan(nf_engine *, const nf_plan *);
const char *nfc_op_name(uint32_t kind);
int nfc_buffer(const nf_plan *, uint32_t id); /* index, -1 when absent */
nf_code nfc_plan_put(nf_engine *, const nf_plan *);
nf_code nfc_tensor_put(nf_engine *, const nf_tensor *);
nf_code nfc_scale_put(nf_engine *, nfc_matrix *, const nf_tensor *); /* NULL: nothing was put */
nf_code nfc_synth(nf_engine *, nfc_matrix *, float mean, uint64_t seed);
nf_code nfc_finalise(nf_engine *, nf_bytes *);
nf_code nfc_slot_open(nf_engine *, const nf_slot *);
nf_code nfc_slot_close(nf_engine *, uint32_t);
nf_code nfc_mask_define(nf_engine *, uint32_t, const uint32_t *, uint32_t);
nf_code nfc_mask_drop(nf_engine *, uint32_t);
nfc_mask *nfc_mask_find(nf_engine *, uint32_t id);
void nfc_mask_release(nfc_mask *);
void nfc_sequence_release(nfc_sequence *);
nf_code nfc_submit(nf_engine *, const nf_step *);
nf_code nfc_sample_late(nf_engine *, uint64_t, const nf_row_mask *, uint32_t);
nf_code nfc_wait(nf_engine *, uint64_t, nf_result *, uint64_t);
void nfc_job_release(nfc_job *);
void *nfc_runner(void *);
void nfc_run_body(nf_engine *, nfc_job *);          /* the operations before the tail */
void nfc_run_tail(nf_engine *, nfc_job *, uint32_t upto); /* those over sampling rows, over j->sampled */
void nfc_sampling_rows(nfc_job *);                  /* j->sampled are the rows that sample */
void nfc_unsound(nf_engine *, nfc_job *);
void nfc_report_prompts(nf_engine *, nfc_job *);
uint32_t nfc_scored(const nf_row *);               /* tokens of a row that have a next one */
void *nfc_alloc(uint64_t bytes);   /* 64-byte aligned, zeroed; freed with free */
float nfc_half(uint16_t);
uint16_t nfc_to_half(float);

#endif
