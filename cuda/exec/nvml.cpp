#include "exec/nvml.h"

#include <dlfcn.h>

namespace nf {
namespace {

// The part of NVML's interface used here; its header comes with no compiler wheel.
struct memory {
  unsigned long long total, free, used;
};
struct nvml {
  int (*init)();
  int (*by_bus_id)(const char *, void **);
  int (*memory_info)(void *, memory *);
  bool ready;
};

template <typename F>
void find(void *lib, const char *symbol, F *out) {
  *out = reinterpret_cast<F>(dlsym(lib, symbol));
}

nvml open() {
  nvml n = {};
  void *lib = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!lib) return n;
  find(lib, "nvmlInit_v2", &n.init);
  find(lib, "nvmlDeviceGetHandleByPciBusId_v2", &n.by_bus_id);
  find(lib, "nvmlDeviceGetMemoryInfo", &n.memory_info);
  n.ready = n.init && n.by_bus_id && n.memory_info && n.init() == 0;
  return n;
}

}  // namespace

uint64_t nvml_free(const char *bus_id, uint64_t otherwise) {
  static const nvml n = open();
  void *device = nullptr;
  memory m = {};
  if (!n.ready || n.by_bus_id(bus_id, &device) != 0 || n.memory_info(device, &m) != 0) return otherwise;
  return m.free;
}

}  // namespace nf
