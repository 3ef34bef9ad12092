// What went wrong, as a value. The numbers are the C ABI's (capi/include/ringlet/ringlet.h) and
// never change; category = number / 100.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/assert.hpp"

namespace ringlet {

enum class Code : std::int32_t {
  ok = 0,
  // the caller's mistake, nothing sent
  invalid_argument = 101,
  invalid_context = 102,
  too_large = 103,
  unknown_option = 104,
  busy = 105,
  closed = 106,
  forked = 107,
  abi_mismatch = 108,
  unsupported = 109,
  // the cluster could not, now
  timeout = 201,
  unavailable = 202,
  quorum_not_met = 203,
  overloaded = 204,
  cancelled = 205,
  // the data
  too_many_siblings = 301,
  corrupt = 302,
  // the user's function
  merge_failed = 401,
  update_exhausted = 402,
  // ours
  internal = 501,
  no_memory = 502,
  io = 503,
};

const char* name_of(Code code);  // "quorum_not_met"; "unknown" for a number it does not know

// A code, one sentence that says what was wanted and what was got, and whether a write that failed
// may exist all the same (O-8).
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message, bool maybe_applied = false)
      : code_(code), maybe_applied_(maybe_applied), message_(std::move(message)) {}
  static Status ok() { return {}; }
  bool is_ok() const { return code_ == Code::ok; }
  explicit operator bool() const { return is_ok(); }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  bool maybe_applied() const { return maybe_applied_; }
  void set_maybe_applied(bool value) { maybe_applied_ = value; }
  // The same call may succeed later: timeout, unavailable, quorum_not_met, overloaded, busy.
  bool retryable() const;
  std::string to_string() const;  // "quorum_not_met: put carts/alice: wanted 2 …"
  friend bool operator==(const Status&, const Status&) = default;

 private:
  Code code_ = Code::ok;
  bool maybe_applied_ = false;
  std::string message_;
};

// A value or the Status that says why there is none. Reading the value of a failure is a
// programmer's mistake and asserts.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Status status) : status_(std::move(status)) { RINGLET_ASSERT(!status_.is_ok()); }
  bool is_ok() const { return value_.has_value(); }
  explicit operator bool() const { return is_ok(); }
  const Status& status() const { return status_; }
  T& operator*() {
    RINGLET_ASSERT(is_ok());
    return *value_;
  }
  const T& operator*() const {
    RINGLET_ASSERT(is_ok());
    return *value_;
  }
  T* operator->() {
    RINGLET_ASSERT(is_ok());
    return &*value_;
  }
  const T* operator->() const {
    RINGLET_ASSERT(is_ok());
    return &*value_;
  }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace ringlet
