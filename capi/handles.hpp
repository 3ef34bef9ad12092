// What the C functions share: errors, texts, counted handles, fork detection, argument checks, and
// the wall no C++ exception passes.
//
// Nothing here has a destructor that runs at exit, and nothing but two counters is global.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/log.hpp"
#include "base/status.hpp"
#include "ringlet/ringlet.h"

namespace ringlet::capi {

// A Status and, for the request that failed, what is known of it as JSON.
struct Failure {
  Failure() = default;
  Failure(Status s) : status(std::move(s)) {}
  Failure(Status s, std::string json) : status(std::move(s)), details(std::move(json)) {}
  Status status;
  std::string details;
};

// Sets *error (if there is a place for it) and returns the code; never throws.
ringlet_status give(const Failure& failure, ringlet_error** error) noexcept;
ringlet_error* make_error(const Failure& failure) noexcept;
ringlet_text* make_text(std::string text);  // may throw bad_alloc

// Runs the body of one C function: its Failure becomes status and error, and so does what it throws.
template <typename Body>
ringlet_status guarded(ringlet_error** error, const Body& body) noexcept {
  if (error != nullptr) *error = nullptr;
  try {
    Failure failure = body();
    return failure.status.is_ok() ? RINGLET_OK : give(failure, error);
  } catch (const std::bad_alloc&) {
    return give(Failure{Status(Code::no_memory, {})}, error);
  } catch (const std::exception& e) {
    try {
      return give(Failure{Status(Code::internal, std::string("unexpected: ") + e.what())}, error);
    } catch (...) {
      return give(Failure{Status(Code::no_memory, {})}, error);
    }
  } catch (...) {
    return give(Failure{Status(Code::internal, {})}, error);
  }
}

// The same for functions that give a pointer: nullptr instead of an exception.
template <typename Body>
auto guarded_pointer(const Body& body) noexcept -> decltype(body()) {
  try {
    return body();
  } catch (...) {
    return nullptr;
  }
}

// Where a handle was made. In the child of a fork it is not here any more.
class Birthplace {
 public:
  Birthplace();
  bool forked() const;
  Status check(const char* what) const;  // FORKED, naming both processes

 private:
  std::uint64_t generation_;
  int pid_;
};

// Counts a handle as long as it lives, for ringlet_has("debug.live_handles").
class Counted {
 public:
  Counted() { live.fetch_add(1, std::memory_order_relaxed); }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { live.fetch_sub(1, std::memory_order_relaxed); }
  static std::atomic<int> live;
};

Status check_abi(std::uint32_t abi);
Status missing(const char* argument);  // INVALID_ARGUMENT "key: wanted a pointer, got NULL"

// NULL with a size, or more than `most` bytes, are refused before anything is read.
Status check_bytes(const char* name, ringlet_bytes bytes, std::size_t most);
inline BytesView view(ringlet_bytes bytes) {
  return {bytes.size == 0 ? "" : static_cast<const char*>(bytes.data), bytes.size};
}
inline ringlet_bytes bytes_of(BytesView v) {
  return {v.data(), v.size()};
}
Status check_text(const char* name, const char* text, std::size_t most);  // NULL, length, UTF-8
bool is_utf8(std::string_view text);

inline constexpr std::size_t max_key_bytes = 64 * 1024;
std::size_t max_value_bytes();  // what a cluster can be set to take at most
inline constexpr std::size_t max_struct_bytes = 4096;

// A struct that grows at its end: `known` is what this library reads of it.
Status check_struct(const char* name, const void* data, std::size_t size, std::size_t known);

}  // namespace ringlet::capi

struct ringlet_text {
  std::string text;
  ringlet::capi::Counted counted;
};
