// RINGLET_ASSERT says what a programmer promised; it is kept in release builds. A broken promise
// prints file, line and expression and aborts, unless the embedding process routed it elsewhere.
#pragma once

namespace ringlet {

// Called with the broken promise; must not return normally (it may throw or abort).
using AssertHandler = void (*)(const char* file, int line, const char* expression);

// Replaces the handler for the whole process (the one thing that cannot be per instance); nullptr
// restores the default. Returns the former one. Thread-safe.
AssertHandler set_assert_handler(AssertHandler handler);

[[noreturn]] void assertion_failed(const char* file, int line, const char* expression);

}  // namespace ringlet

#define RINGLET_ASSERT(expression)     \
  ((expression) ? static_cast<void>(0) \
                : ::ringlet::assertion_failed(__FILE__, __LINE__, #expression))
