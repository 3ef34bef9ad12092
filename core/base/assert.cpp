#include "base/assert.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace ringlet {
namespace {

std::atomic<AssertHandler> current_handler{nullptr};

}  // namespace

AssertHandler set_assert_handler(AssertHandler handler) {
  return current_handler.exchange(handler);
}

void assertion_failed(const char* file, int line, const char* expression) {
  if (AssertHandler handler = current_handler.load()) handler(file, line, expression);
  // Also reached when a handler returned although it must not: going on would run code whose
  // promise is known to be broken.
  std::fprintf(stderr, "ringlet: %s:%d: broken promise: %s\n", file, line, expression);
  std::abort();
}

}  // namespace ringlet
