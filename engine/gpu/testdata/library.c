/* A library for tests of the loader: SPEAKS is the ABI number it answers to, SIZE the
 * size in its table, CREATE what its create answers. Every entry but those a test
 * calls stays NULL. */
#include <stddef.h>
#include <string.h>
#include "nanofleet.h"

static int destroyed;

static nf_code probe(nf_probe_info *info) {
  info->n_devices = 2;
  strcpy(info->name, "Test GPU");
  strcpy(info->isa, "sm_90");
  strcpy(info->build, "test");
  info->memory_total = 80, info->memory_free = destroyed ? 80 : 79;
  return NF_OK;
}

static nf_code create(const int32_t *devices, uint32_t n, const nf_limits *limits, nf_engine **out) {
  (void)devices, (void)n;
  if (CREATE == NF_OK) *out = (nf_engine *)limits;
  return CREATE;
}

static const char *last_error(nf_engine *e) { return (void)e, "the test says so"; }
static void destroy(nf_engine *e) { (void)e, destroyed = 1; }

static const nf_api table = {
  .size = SIZE, .abi_version = SPEAKS, .probe = probe, .create = create, .last_error = last_error, .destroy = destroy,
};

const nf_api *nf_open(uint32_t version) { return version == SPEAKS ? &table : NULL; }
