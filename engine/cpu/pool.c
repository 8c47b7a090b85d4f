/* Threads: a team that runs one task on every lane, and how many cores there are. */
#define _GNU_SOURCE
#include "internal.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  SPINS = 4000,              /* pauses before a waiting thread gives its core away */
  CHUNKS = 4                 /* parts of a task for each lane */
};

/* A task is cut into more parts than there are lanes, and lanes take parts as they
 * come: one that the system has taken off its core delays the part that it holds, not
 * its share of the task. A ticket is the task's generation (high) and how many of its
 * parts nobody has taken (low); task and arg stay as they are until every part is done. */
struct nfc_team {
  uint32_t lanes;
  atomic_ullong ticket;
  atomic_uint generation, undone, sleeping;
  atomic_int quit;
  nfc_task task;
  void *arg;
  pthread_mutex_t mu;
  pthread_cond_t wake;
  pthread_t *threads;
};

static inline void pause_core(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

int nfc_thread(pthread_t *thread, void *(*run)(void *), void *arg) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, 2 << 20);
  int failed = pthread_create(thread, &attr, run, arg);
  pthread_attr_destroy(&attr);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return failed;
}

/* Waits for a generation other than seen: a short spin, then sleep. */
static unsigned next_generation(nfc_team *t, unsigned seen) {
  for (int i = 0; i < SPINS; i++) {
    unsigned g = atomic_load(&t->generation);
    if (g != seen) return g;
    pause_core();
  }
  pthread_mutex_lock(&t->mu);
  atomic_fetch_add(&t->sleeping, 1);
  unsigned g;
  while ((g = atomic_load(&t->generation)) == seen) pthread_cond_wait(&t->wake, &t->mu);
  atomic_fetch_sub(&t->sleeping, 1);
  pthread_mutex_unlock(&t->mu);
  return g;
}

/* Takes parts of the present task until none is left. */
static void take_parts(nfc_team *t) {
  unsigned long long ticket = atomic_load(&t->ticket);
  while ((uint32_t)ticket) {
    if (!atomic_compare_exchange_weak(&t->ticket, &ticket, ticket - 1)) continue;
    t->task(t->arg, (uint32_t)ticket - 1, t->lanes * CHUNKS);
    atomic_fetch_sub(&t->undone, 1);
    ticket = atomic_load(&t->ticket);
  }
}

static void *work(void *arg) {
  nfc_team *t = arg;
  for (unsigned seen = 0;;) {
    seen = next_generation(t, seen);
    if (atomic_load(&t->quit)) return NULL;
    take_parts(t);
  }
}

static void announce(nfc_team *t) {
  atomic_fetch_add(&t->generation, 1);
  if (atomic_load(&t->sleeping) == 0) return;
  pthread_mutex_lock(&t->mu);
  pthread_cond_broadcast(&t->wake);
  pthread_mutex_unlock(&t->mu);
}

nfc_team *nfc_team_new(uint32_t threads) {
  nfc_team *t = calloc(1, sizeof *t);
  if (!t) return NULL;
  pthread_mutex_init(&t->mu, NULL);
  pthread_cond_init(&t->wake, NULL);
  t->threads = calloc(threads, sizeof *t->threads);
  t->lanes = 1;
  while (t->threads && t->lanes < threads) {
    if (nfc_thread(&t->threads[t->lanes], work, t)) break;
    t->lanes++;
  }
  if (t->lanes == threads) return t;
  nfc_team_free(t);
  return NULL;
}

void nfc_team_run(nfc_team *t, nfc_task task, void *arg) {
  if (t->lanes == 1) {
    task(arg, 0, 1);
    return;
  }
  t->task = task;
  t->arg = arg;
  uint32_t parts = t->lanes * CHUNKS;
  atomic_store(&t->undone, parts);
  atomic_store(&t->ticket, (unsigned long long)(atomic_load(&t->generation) + 1) << 32 | parts);
  announce(t);
  take_parts(t);
  for (int i = 0; atomic_load(&t->undone); i++) {
    if (i < SPINS) pause_core();
    else sched_yield();
  }
}

void nfc_team_free(nfc_team *t) {
  if (!t) return;
  atomic_store(&t->quit, 1);
  announce(t);
  for (uint32_t i = 1; i < t->lanes; i++) pthread_join(t->threads[i], NULL);
  pthread_cond_destroy(&t->wake);
  pthread_mutex_destroy(&t->mu);
  free(t->threads);
  free(t);
}

uint32_t nfc_team_lanes(const nfc_team *t) { return t->lanes; }

static long topology(int cpu, const char *what) {
  char path[128];
  snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, what);
  FILE *f = fopen(path, "re");
  long value = -1;
  if (f) {
    if (fscanf(f, "%ld", &value) != 1) value = -1;
    fclose(f);
  }
  return value;
}

/* Cores that this process may run on, hyperthreads counted once. */
uint32_t nfc_physical_cores(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set)) return 1;
  long seen[CPU_SETSIZE];
  uint32_t n = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &set)) continue;
    long core = topology(cpu, "core_id"), package = topology(cpu, "physical_package_id");
    long id = core < 0 ? -1 - cpu : (package << 20) + core;
    uint32_t i = 0;
    while (i < n && seen[i] != id) i++;
    if (i == n) seen[n++] = id;
  }
  return n ? n : 1;
}
