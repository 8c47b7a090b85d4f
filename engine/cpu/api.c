/* The function table, create and destroy. */
#define _GNU_SOURCE
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char create_error[256];

nf_code nfc_fail(nf_engine *e, nf_code code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(e ? e->error : create_error, sizeof create_error, format, args);
  va_end(args);
  return code;
}

/* The kernels of an instruction set, "" for the best there is; NULL for none. */
static const nfc_kernels *kernels(const char *isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
  if (avx512 && (!*isa || !strcmp(isa, "avx512"))) return &nfc_kernels_avx512;
  if (avx2 && (!*isa || !strcmp(isa, "avx2"))) return &nfc_kernels_avx2;
#endif
  return !*isa || !strcmp(isa, "plain") ? &nfc_kernels_plain : NULL;
}

/* The processor's name as the kernel says it. */
static void processor(char *out, size_t size) {
  char line[256], *colon;
  snprintf(out, size, "CPU");
  FILE *f = fopen("/proc/cpuinfo", "re");
  if (!f) return;
  while (fgets(line, sizeof line, f))
    if (!strncmp(line, "model name", 10) && (colon = strchr(line, ':'))) {
      colon[strcspn(colon, "\n")] = 0;
      snprintf(out, size, "%.100s", colon + 2);
      break;
    }
  fclose(f);
}

static nf_code probe(nf_probe_info *info) {
  uint32_t size = info->size;
  *info = (nf_probe_info){.size = size, .n_devices = 1};
  processor(info->name, sizeof info->name);
  snprintf(info->isa, sizeof info->isa, "%s", kernels("")->name);
  snprintf(info->build, sizeof info->build, "%s", NFC_BUILD);
  uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  info->memory_total = page * (uint64_t)sysconf(_SC_PHYS_PAGES);
  info->memory_free = page * (uint64_t)sysconf(_SC_AVPHYS_PAGES);
  return NF_OK;
}

static nf_code check_limits(const nf_limits *l) {
  const struct { const char *name; uint32_t value, most; } all[] = {
    {"max_slots", l->max_slots, 1 << 16}, {"max_rows", l->max_rows, 1 << 16}, {"max_tokens", l->max_tokens, 1 << 20},
    {"max_positions", l->max_positions, 1 << 27}, {"n_pages", l->n_pages, 1 << 26},
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (!all[i].value || all[i].value > all[i].most) return nfc_fail(NULL, NF_INVALID, "%s = %u, must be from 1 to %u", all[i].name, all[i].value, all[i].most);
  if (l->threads > 1024) return nfc_fail(NULL, NF_INVALID, "threads = %u, must be at most 1024", l->threads);
  if (l->kv_dtype && l->kv_dtype != NF_F16 && l->kv_dtype != NF_F32) return nfc_fail(NULL, NF_UNSUPPORTED, "kv_dtype = %u, only f16 and f32", l->kv_dtype);
  if (l->quant) return nfc_fail(NULL, NF_UNSUPPORTED, "quant = %u, weights are kept as they come (0)", l->quant);
  if (!memchr(l->isa, 0, sizeof l->isa) || !kernels(l->isa)) return nfc_fail(NULL, NF_UNSUPPORTED, "isa = \"%.31s\" is not to be had on this processor", l->isa);
  return NF_OK;
}

static void destroy(nf_engine *);

static int allocate_jobs(nf_engine *e) {
  const nf_limits *l = &e->limits;
  int ok = 1;
  for (int i = 0; i < NF_QUEUE; i++) {
    nfc_job *j = &e->jobs[i];
    j->rows = calloc(l->max_rows, sizeof *j->rows);
    j->tokens = calloc(l->max_tokens, sizeof *j->tokens);
    j->places = calloc(l->max_tokens, sizeof *j->places);
    j->spans = calloc(l->max_tokens, sizeof *j->spans);
    j->sampled = calloc(l->max_rows, sizeof *j->sampled);
    j->row_of = calloc(l->max_rows, sizeof *j->row_of);
    ok = ok && j->rows && j->tokens && j->places && j->spans && j->sampled && j->row_of;
  }
  e->slots = calloc(l->max_slots, sizeof *e->slots);
  for (uint32_t i = 0; e->slots && i < l->max_slots; i++) {
    e->slots[i].pages = malloc(4 * (uint64_t)e->pages_a_slot);
    ok = ok && e->slots[i].pages;
    if (e->slots[i].pages) memset(e->slots[i].pages, 0xff, 4 * (uint64_t)e->pages_a_slot);
  }
  return ok && e->slots;
}

static nf_code create(const int32_t *devices, uint32_t n, const nf_limits *limits, nf_engine **out) {
  if (n > 1 || (n == 1 && devices[0] != 0)) return nfc_fail(NULL, NF_INVALID, "devices: %u, must be none or 0 alone", n);
  nf_code code = check_limits(limits);
  if (code) return code;
  nf_engine *e = calloc(1, sizeof *e);
  if (!e) return nfc_fail(NULL, NF_NOMEM, "an engine");
  e->limits = *limits;
  e->threads = limits->threads ? limits->threads : nfc_physical_cores();
  e->pages_a_slot = (limits->max_positions + NF_PAGE - 1) / NF_PAGE;
  e->k = kernels(limits->isa);
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&e->changed, &attr);
  pthread_condattr_destroy(&attr);
  pthread_mutex_init(&e->mu, NULL);
  e->stats.size = sizeof e->stats;
  if (!allocate_jobs(e)) {
    destroy(e);
    return nfc_fail(NULL, NF_NOMEM, "books for %u slots", limits->max_slots);
  }
  *out = e;
  return NF_OK;
}

static void free_jobs(nf_engine *e) {
  for (int i = 0; i < NF_QUEUE; i++) {
    nfc_job *j = &e->jobs[i];
    if (j->rows) nfc_job_release(j);
    free(j->rows);
    free(j->tokens);
    free(j->places);
    free(j->spans);
    free(j->sampled);
    free(j->row_of);
    free(j->arena);
    free(j->copies);
    free(j->aux);
    free(j->prompt);
    free(j->sums);
  }
  for (uint32_t i = 0; e->slots && i < e->limits.max_slots; i++) {
    nfc_sequence_release(e->slots[i].seq);
    free(e->slots[i].pages);
  }
  free(e->slots);
  for (uint32_t i = 0; i < e->n_masks; i++) nfc_mask_release(e->masks[i]);
  free(e->masks);
}

static void destroy(nf_engine *e) {
  pthread_mutex_lock(&e->mu);
  e->quit = 1;
  pthread_cond_broadcast(&e->changed);
  pthread_mutex_unlock(&e->mu);
  if (e->started) pthread_join(e->runner, NULL);
  nfc_team_free(e->team);
  free_jobs(e);
  for (uint32_t i = 0; i < e->n_tensors; i++) free(e->tensors[i].data);
  free(e->tensors);
  for (uint32_t i = 0; e->values && i < e->plan.n_buffers; i++) free(e->values[i]);
  for (uint32_t i = 0; i < e->plan.n_rope_tables; i++) free((void *)e->tables[i].inv_freq);
  free(e->values);
  free(e->turns);
  free(e->tables);
  free(e->buffers);
  free(e->ops);
  free(e->workspace);
  free(e->pool.kv);
  free(e->pool.tokens);
  pthread_cond_destroy(&e->changed);
  pthread_mutex_destroy(&e->mu);
  free(e);
}

static nf_code stats(nf_engine *e, nf_stats *out) {
  pthread_mutex_lock(&e->mu);
  *out = e->stats;
  pthread_mutex_unlock(&e->mu);
  return NF_OK;
}

static nf_code host_pool(nf_engine *e, void *p, uint64_t len) { (void)p; return nfc_fail(e, NF_UNSUPPORTED, "host_pool of %llu bytes", (unsigned long long)len); }
static nf_code pool_resize(nf_engine *e, uint32_t n) { return nfc_fail(e, NF_UNSUPPORTED, "pool_resize to %u", n); }
static nf_code sleep_level(nf_engine *e, uint32_t level) { return nfc_fail(e, NF_UNSUPPORTED, "sleep level %u", level); }
static nf_code wake(nf_engine *e) { return nfc_fail(e, NF_UNSUPPORTED, "wake"); }
static const char *last_error(nf_engine *e) { return e ? e->error : create_error; }

const nf_api *nf_open(uint32_t abi_version) {
  static const nf_api table = {
    sizeof table, NF_ABI_VERSION, probe, create, nfc_plan_put, nfc_tensor_put, nfc_finalise, nfc_slot_open, nfc_slot_close,
    nfc_mask_define, nfc_mask_drop, nfc_submit, nfc_sample_late, nfc_wait, host_pool, pool_resize, sleep_level, wake, stats, last_error, destroy,
  };
  return abi_version == NF_ABI_VERSION ? &table : NULL;
}
