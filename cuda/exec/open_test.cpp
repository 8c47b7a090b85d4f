// The library as its users see it: loaded by path, its one export asked.
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <string>

#include "arch/arch.h"
#include "harness/test.h"
#include "nanofleet.h"

namespace nf::test {
namespace {

std::string beside_this_binary(const char *name) {
  char path[4096] = "";
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  check(n > 0, "cannot tell where this binary lies");
  const std::string self(path, n);
  return self.substr(0, self.rfind('/') + 1) + name;
}

const nf_api *open(uint32_t version) {
  static void *lib = dlopen(beside_this_binary("libnanofleet_cuda.so").c_str(), RTLD_NOW | RTLD_LOCAL);
  check(lib != nullptr, dlerror() ? dlerror() : "the library does not load");
  const auto f = reinterpret_cast<decltype(&nf_open)>(dlsym(lib, "nf_open"));
  check(f != nullptr, "the library has no nf_open");
  return f(version);
}

const add table_case("host/abi/one version and a full table", false, [] {
  const nf_api *t = open(NF_ABI_VERSION);
  check(t != nullptr, "its own version is refused");
  check(open(0) == nullptr && open(NF_ABI_VERSION + 1) == nullptr, "another version is accepted");
  check(t->size == sizeof *t && t->abi_version == NF_ABI_VERSION, "size or version is wrong");
  const char *bytes = reinterpret_cast<const char *>(t);
  for (size_t at = offsetof(nf_api, probe); at < sizeof *t; at += sizeof(void *)) {
    void *entry;
    memcpy(&entry, bytes + at, sizeof entry);
    check(entry != nullptr, "the entry at byte " + std::to_string(at) + " is NULL");
  }
});

void refused(nf_code code, const char *call) {
  check(code == NF_UNSUPPORTED, std::string(call) + " answers " + std::to_string(code));
  const std::string said = open(NF_ABI_VERSION)->last_error(nullptr);
  check(said.find("does not honour " + std::string(call)) != said.npos, std::string(call) + " says \"" + said + "\"");
}

const add refusal_case("host/abi/what is not honoured says so by name", false, [] {
  const nf_api *t = open(NF_ABI_VERSION);
  refused(t->host_pool(nullptr, nullptr, 0), "host_pool");
  refused(t->pool_resize(nullptr, 1), "pool_resize");
  refused(t->sleep(nullptr, 1), "sleep");
  refused(t->wake(nullptr), "wake");
});

void invalid(nf_code code, const char *call) {
  check(code == NF_INVALID, std::string(call) + " answers " + std::to_string(code));
  const std::string said = open(NF_ABI_VERSION)->last_error(nullptr);
  check(said.find(call) != said.npos && said.find("NULL") != said.npos, std::string(call) + " says \"" + said + "\"");
}

const add nothing_case("host/abi/no engine is an invalid one", false, [] {
  const nf_api *t = open(NF_ABI_VERSION);
  invalid(t->create(nullptr, 0, nullptr, nullptr), "create");
  invalid(t->plan(nullptr, nullptr), "plan");
  invalid(t->tensor_put(nullptr, nullptr), "tensor_put");
  invalid(t->finalise(nullptr, nullptr), "finalise");
  invalid(t->slot_open(nullptr, nullptr), "slot_open");
  invalid(t->slot_close(nullptr, 0), "slot_close");
  invalid(t->mask_define(nullptr, 1, nullptr, 0), "mask_define");
  invalid(t->mask_drop(nullptr, 1), "mask_drop");
  invalid(t->submit(nullptr, nullptr), "submit");
  invalid(t->sample(nullptr, 1, nullptr, 0), "sample");
  invalid(t->wait(nullptr, 1, nullptr, 0), "wait");
  invalid(t->stats(nullptr, nullptr), "stats");
  t->destroy(nullptr);
});

// Asked with zeros, create tells that it is honoured before it touches a device.
const add zeros_case("host/abi/create refuses zeros first", false, [] {
  const nf_api *t = open(NF_ABI_VERSION);
  nf_engine *e = nullptr;
  nf_limits l = {};
  l.size = sizeof l;
  check(t->create(nullptr, 0, &l, &e) == NF_INVALID && !e, t->last_error(nullptr));
  check(std::string(t->last_error(nullptr)).find("max_slots = 0, must be from 1 to 65536") == 0, t->last_error(nullptr));
});

const add cache_case("host/abi/create names the types that K and V may have", false, [] {
  const nf_api *t = open(NF_ABI_VERSION);
  nf_engine *e = nullptr;
  nf_limits l = {};
  l.size = sizeof l;
  l.max_slots = l.max_rows = l.max_tokens = l.max_positions = l.n_pages = 1;
  l.kv_dtype = NF_F32;
  check(t->create(nullptr, 0, &l, &e) == NF_UNSUPPORTED && !e, t->last_error(nullptr));
  check(std::string(t->last_error(nullptr)).find("kv_dtype = 1, must be bf16 (3)") == 0, t->last_error(nullptr));
});

const add null_case("host/abi/probe needs somewhere to write", false, [] {
  check(open(NF_ABI_VERSION)->probe(nullptr) == NF_INVALID, "NULL is accepted");
});

const add probe_case("abi/probe describes the GPU", true, [] {
  const nf_api *t = open(NF_ABI_VERSION);
  nf_probe_info p = {};
  p.size = sizeof p;
  check(t->probe(&p) == NF_OK, t->last_error(nullptr));
  check(p.n_devices >= 1 && p.name[0] && p.build[0], "devices, name or build is empty");
  check(strncmp(p.isa, "sm_", 3) == 0, std::string("isa is ") + p.isa);
  check(p.memory_total > 0 && p.memory_free > 0 && p.memory_free <= p.memory_total, "memory is out of bounds");
  printf("      %u x %s, %s, %s, %.1f of %.1f GiB free\n", p.n_devices, p.name, p.isa, p.build, p.memory_free / 0x1p30,
         p.memory_total / 0x1p30);
});

const add short_case("abi/probe fills no more than the writer's struct", true, [] {
  const nf_api *t = open(NF_ABI_VERSION);
  nf_probe_info p;
  memset(&p, 0x5a, sizeof p);
  p.size = offsetof(nf_probe_info, isa);
  check(t->probe(&p) == NF_OK, t->last_error(nullptr));
  check(p.isa[0] == 0x5a && p.n_devices >= 1, "wrote beyond size, or not up to it");
});

const add archs_case("host/arch/what runs where", false, [] {
  check(runs("90a", 9, 0), "sm_90a on 9.0");
  check(!runs("90a", 9, 1) && !runs("90a", 10, 0) && !runs("90a", 8, 0), "sm_90a elsewhere");
  check(runs("80", 8, 0) && runs("80", 8, 6) && !runs("80", 9, 0) && !runs("86", 8, 0), "sm_80, sm_86");
  check(runs("90a 120", 12, 0) && runs("90a 120", 12, 1) && !runs("90a 120", 10, 0), "sm_120");
  check(runs("90a compute_80", 12, 0) && !runs("90a compute_80", 7, 5), "compute_80");
  check(arch_names("80 90a compute_80") == "sm_80, sm_90a, compute_80", "names");
});

}  // namespace
}  // namespace nf::test
