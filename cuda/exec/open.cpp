// nf_open, the library's only export.
#include "exec/engine.h"
#include "exec/probe.h"
#include "nanofleet.h"

static nf_api make_table() {
  nf_api t = {};
  t.size = sizeof t;
  t.abi_version = NF_ABI_VERSION;
  t.probe = nf::probe;
  nf::set_engine_entries(&t);
  return t;
}

extern "C" __attribute__((visibility("default"))) const nf_api *nf_open(uint32_t abi_version) {
  static const nf_api table = make_table();
  return abi_version == NF_ABI_VERSION ? &table : nullptr;
}
