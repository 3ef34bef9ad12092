// Time as an argument. Nothing below runtime/ reads a clock: whoever calls says what time it is.
#pragma once

#include <compare>
#include <cstdint>

namespace ringlet {

// A span of time in microseconds.
struct Duration {
  std::int64_t us = 0;
  static constexpr Duration micros(std::int64_t n) { return {n}; }
  static constexpr Duration millis(std::int64_t n) { return {n * 1000}; }
  static constexpr Duration seconds(std::int64_t n) { return {n * 1000000}; }
  constexpr std::int64_t millis() const { return us / 1000; }
  friend constexpr auto operator<=>(Duration, Duration) = default;
  friend constexpr Duration operator+(Duration a, Duration b) { return {a.us + b.us}; }
  friend constexpr Duration operator-(Duration a, Duration b) { return {a.us - b.us}; }
  friend constexpr Duration operator*(Duration a, std::int64_t n) { return {a.us * n}; }
  friend constexpr Duration operator/(Duration a, std::int64_t n) { return {a.us / n}; }
};

// A point of a monotonic clock that started anywhere.
struct Instant {
  std::int64_t us = 0;
  static constexpr Instant never() { return {INT64_MAX}; }
  friend constexpr auto operator<=>(Instant, Instant) = default;
  friend constexpr Instant operator+(Instant a, Duration d) { return {a.us + d.us}; }
  friend constexpr Instant operator-(Instant a, Duration d) { return {a.us - d.us}; }
  friend constexpr Duration operator-(Instant a, Instant b) { return {a.us - b.us}; }
};

// What a driver tells with every event: its monotonic clock, and the wall clock (since 1970) for stamps
// that people read and for last-write-wins, which needs every microsecond: two nodes that knew only
// milliseconds would order the writes of one millisecond by their names.
struct Now {
  Instant instant;
  std::int64_t wall_ms = 0;
  std::int64_t wall_more_us = 0;  // 0 to 999, beyond wall_ms
  constexpr std::int64_t wall_us() const { return wall_ms * 1000 + wall_more_us; }
};

}  // namespace ringlet
