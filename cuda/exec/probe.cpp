#include "exec/probe.h"

#include <stdio.h>
#include <string.h>

#include <algorithm>

#include "arch/arch.h"
#include "build_id.h"
#include "common/text.h"
#include "exec/driver.h"

namespace nf {
namespace {

std::string isa(const device_info &d) { return "sm_" + std::to_string(d.major * 10 + d.minor); }

nf_probe_info fill(uint32_t size, uint32_t n_devices, const device_info &d) {
  nf_probe_info p = {};
  p.size = size;
  p.n_devices = n_devices;
  p.memory_total = d.memory_total;
  p.memory_free = d.memory_free;
  snprintf(p.name, sizeof p.name, "%s", d.name.c_str());
  snprintf(p.isa, sizeof p.isa, "%s", isa(d).c_str());
  snprintf(p.build, sizeof p.build, "%s", NF_BUILD_ID);
  return p;
}

}  // namespace

nf_code probe(nf_probe_info *info) {
  if (!info) return fail(NF_INVALID, "probe: info is NULL, must point to a nf_probe_info");
  uint32_t n_devices = 0;
  device_info first = {};
  if (const nf_code c = driver_ask(&n_devices, &first)) return c;
  if (!runs(built_archs, first.major, first.minor)) {
    return fail(NF_UNSUPPORTED, first.name + " is " + isa(first) + ", and this build has code for " +
                                    arch_names(built_archs) + " only");
  }
  // An older writer's struct is shorter: it gets the fields that it knows.
  const nf_probe_info p = fill(info->size, n_devices, first);
  memcpy(info, &p, std::min<size_t>(info->size, sizeof p));
  return NF_OK;
}

}  // namespace nf
