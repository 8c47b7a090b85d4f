// nf_test [PREFIX]: runs the registered cases whose name starts with PREFIX. With the
// prefix "host/" no GPU is needed. Exits 0 when all passed, 1 when one failed, 2 when
// a GPU was needed and there is none.
#include "harness/test.h"

#include <stdio.h>

#include <stdexcept>
#include <vector>

#include "harness/device.h"

namespace nf::test {
namespace {

struct test_case {
  std::string name;
  bool gpu;
  std::function<void()> run;
};

std::vector<test_case> &cases() {
  static std::vector<test_case> all;
  return all;
}

bool passes(const test_case &c) {
  try {
    c.run();
    printf("ok    %s\n", c.name.c_str());
    return true;
  } catch (const std::exception &e) {
    printf("FAIL  %s: %s\n", c.name.c_str(), e.what());
    return false;
  }
}

}  // namespace

void fail(const std::string &text) { throw std::runtime_error(text); }

add::add(const char *name, bool gpu, std::function<void()> run) { cases().push_back({name, gpu, run}); }

}  // namespace nf::test

int main(int argc, char **argv) {
  using namespace nf::test;
  const std::string prefix = argc > 1 ? argv[1] : "";
  int ran = 0, failed = 0;
  bool device = false;
  for (const test_case &c : cases()) {
    if (c.name.rfind(prefix, 0) != 0) continue;
    if (c.gpu && !device) {
      if (!nf::harness::print_device()) return 2;
      device = true;
    }
    ran++;
    failed += !passes(c);
  }
  printf("%d of %d passed\n", ran - failed, ran);
  return ran == 0 || failed > 0;
}
