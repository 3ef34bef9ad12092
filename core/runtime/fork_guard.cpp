#include "runtime/fork_guard.hpp"

#include <pthread.h>

#include <atomic>

namespace ringlet {
namespace {

// The one thing a process has and an instance cannot: its fork handler.
std::atomic<std::uint32_t> generation{0};

}  // namespace

std::uint32_t fork_generation() {
  [[maybe_unused]] static const int registered =
      pthread_atfork(nullptr, nullptr, [] { generation.fetch_add(1, std::memory_order_relaxed); });
  return generation.load(std::memory_order_relaxed);
}

}  // namespace ringlet
