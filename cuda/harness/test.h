// A small test harness: cases register themselves, nf_test runs them. There is no
// framework because a GPU host gets this binary and nothing else.
#pragma once

#include <functional>
#include <string>

namespace nf::test {

// Ends the running case as failed; the text says what was wrong.
[[noreturn]] void fail(const std::string &text);

// Fails the case unless ok.
inline void check(bool ok, const std::string &text) {
  if (!ok) fail(text);
}

// Registers a case under "area/name"; `gpu` cases need a device.
struct add {
  add(const char *name, bool gpu, std::function<void()> run);
};

}  // namespace nf::test
