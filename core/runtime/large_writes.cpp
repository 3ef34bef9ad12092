#include "runtime/large_writes.hpp"

#include <algorithm>
#include <cmath>

namespace ringlet {
namespace {

constexpr Duration believed_for = Duration::seconds(5);

}  // namespace

LargeWrites::Refusal LargeWrites::arrived(std::size_t bytes, Instant until, Instant now) {
  std::lock_guard lock(mutex_);
  bool known = bytes_per_us_ > 0 && now - measured_at_ <= believed_for;
  if (under_way_ == 0) {
    measured_from_ = now;
  } else if (known && until != Instant::never()) {
    auto done_in = [&](std::size_t all) {
      return Duration::micros(static_cast<std::int64_t>(static_cast<double>(all) / bytes_per_us_));
    };
    Duration takes = done_in(under_way_ + bytes);
    if (takes > until - now) {
      std::int64_t retry_ms = std::clamp<std::int64_t>(done_in(under_way_).millis(), 50, 5000);
      return {"has " + std::to_string(under_way_) + " bytes of large values under way and stores " +
                  std::to_string(std::llround(bytes_per_us_ * 1e6)) +
                  " bytes a second, so one of " + std::to_string(bytes) + " would take " +
                  std::to_string(takes.millis()) + " ms and is wanted within " +
                  std::to_string(std::max<std::int64_t>((until - now).millis(), 0)) + " ms",
              static_cast<std::uint32_t>(retry_ms)};
    }
  }
  under_way_ += bytes;
  return {};
}

void LargeWrites::done(std::size_t bytes, bool stored, Instant now) {
  std::lock_guard lock(mutex_);
  under_way_ -= std::min(bytes, under_way_);
  if (!stored) return;
  // Answers come in batches: one that follows at once adds to the bytes of no time, not to the speed.
  Duration took = std::max(now - measured_from_, Duration::micros(1000));
  measured_from_ = measured_at_ = now;
  double seen_us = bytes_per_us_ > 0 ? static_cast<double>(bytes) / bytes_per_us_ : 0;
  double took_us = static_cast<double>(took.us);
  // The time of a byte is what is averaged: a harmonic mean, in which one slow write counts for its time.
  double averaged_us = seen_us > 0 ? (seen_us + took_us) / 2 : took_us;
  bytes_per_us_ = static_cast<double>(bytes) / averaged_us;
}

std::size_t LargeWrites::bytes_under_way() const {
  std::lock_guard lock(mutex_);
  return under_way_;
}

double LargeWrites::bytes_per_second() const {
  std::lock_guard lock(mutex_);
  return bytes_per_us_ * 1e6;
}

}  // namespace ringlet
