#include "exec/driver.h"

#include <cuda.h>
#include <dlfcn.h>

#include <fstream>
#include <regex>

#include "common/text.h"
#include "exec/nvml.h"

namespace nf {
namespace {

// The entry points of libcuda that a probe calls.
struct driver {
  decltype(&cuInit) init;
  decltype(&cuDriverGetVersion) version;
  decltype(&cuDeviceGetCount) count;
  decltype(&cuDeviceGet) get;
  decltype(&cuDeviceGetName) name;
  decltype(&cuDeviceGetAttribute) attribute;
  decltype(&cuDeviceTotalMem) total;
  decltype(&cuDeviceGetPCIBusId) bus_id;
};

template <typename F>
bool find(void *lib, const char *symbol, F *out) {
  *out = reinterpret_cast<F>(dlsym(lib, symbol));
  return *out != nullptr;
}

bool find_all(void *lib, driver *d) {
  return find(lib, "cuInit", &d->init) && find(lib, "cuDriverGetVersion", &d->version) &&
         find(lib, "cuDeviceGetCount", &d->count) && find(lib, "cuDeviceGet", &d->get) &&
         find(lib, "cuDeviceGetName", &d->name) && find(lib, "cuDeviceGetAttribute", &d->attribute) &&
         find(lib, "cuDeviceTotalMem_v2", &d->total) && find(lib, "cuDeviceGetPCIBusId", &d->bus_id);
}

// The driver's own number, such as 580.159.04, from the kernel module; "" unknown.
std::string kernel_module_version() {
  std::string line;
  std::getline(std::ifstream("/proc/driver/nvidia/version") >> std::ws, line);
  std::smatch m;
  return std::regex_search(line, m, std::regex("\\s(\\d+\\.\\d+[.\\d]*)\\s")) ? m[1].str() : "";
}

std::string cuda_number(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string found(int version) {
  const std::string number = kernel_module_version();
  return (number.empty() ? "one" : number) + " for CUDA " + cuda_number(version);
}

nf_code check_version(const driver &d) {
  int version = 0;
  if (d.version(&version) != CUDA_SUCCESS || version >= driver_cuda_min) return NF_OK;
  return fail(NF_UNSUPPORTED, "the NVIDIA driver is too old: found " + found(version) + ", must be at least " +
                                  std::to_string(driver_min) + " for CUDA " + cuda_number(driver_cuda_min));
}

nf_code start(const driver &d) {
  const CUresult r = d.init(0);
  if (r == CUDA_SUCCESS) return NF_OK;
  if (r == CUDA_ERROR_NO_DEVICE) return fail(NF_UNSUPPORTED, "the NVIDIA driver finds no GPU");
  return fail(NF_UNSUPPORTED, "the NVIDIA driver does not start: cuInit answers " + std::to_string(r));
}

// Loaded once and kept: a library that started threads cannot be let go.
nf_code load(const driver **out) {
  static driver d;
  void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!lib) return fail(NF_UNSUPPORTED, std::string("the NVIDIA driver is not installed: ") + dlerror());
  if (!find(lib, "cuDriverGetVersion", &d.version)) {
    return fail(NF_UNSUPPORTED, "libcuda.so.1 is not an NVIDIA driver: it has no cuDriverGetVersion");
  }
  if (const nf_code c = check_version(d)) return c;
  if (!find_all(lib, &d)) return fail(NF_UNSUPPORTED, "libcuda.so.1 lacks a function of CUDA 13.0");
  *out = &d;
  return start(d);
}

nf_code describe(const driver &d, CUdevice device, device_info *info) {
  char name[128] = "", bus_id[32] = "";
  size_t total = 0;
  if (d.name(name, sizeof name, device) || d.total(&total, device) || d.bus_id(bus_id, sizeof bus_id, device) ||
      d.attribute(&info->major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device) ||
      d.attribute(&info->minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device)) {
    return fail(NF_UNSUPPORTED, "the NVIDIA driver does not describe its first GPU");
  }
  info->name = name;
  info->memory_total = total;
  info->memory_free = nvml_free(bus_id, total);
  return NF_OK;
}

}  // namespace

nf_code driver_ask(uint32_t *n_devices, device_info *first) {
  const driver *d = nullptr;
  if (const nf_code c = load(&d)) return c;
  int n = 0;
  CUdevice device = 0;
  if (d->count(&n) != CUDA_SUCCESS || n == 0 || d->get(&device, 0) != CUDA_SUCCESS) {
    return fail(NF_UNSUPPORTED, "the NVIDIA driver finds no GPU");
  }
  *n_devices = static_cast<uint32_t>(n);
  return describe(*d, device, first);
}

}  // namespace nf
