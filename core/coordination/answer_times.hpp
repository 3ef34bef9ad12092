// How long the answers of one node took lately, for the question when a silence is out of the ordinary.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/instant.hpp"

namespace ringlet {

class AnswerTimes {
 public:
  void add(Duration took) {
    ++counts_[bucket_of(took)];
    if (++total_ < remembered) return;
    total_ = 0;
    for (auto& count : counts_) total_ += (count /= 2);
  }
  // 95 of 100 answers took no longer, give or take a quarter; nothing while too few are known.
  std::optional<Duration> usual() const {
    if (total_ < enough) return std::nullopt;
    std::uint32_t beyond = total_ / 20, seen = 0;
    for (std::size_t i = counts_.size(); i-- > 0;) {
      seen += counts_[i];
      if (seen > beyond) return end_of(i);
    }
    return std::nullopt;
  }

 private:
  static constexpr std::uint32_t enough = 8, remembered = 512;
  // Two buckets for each doubling, from 64 µs to a minute.
  static constexpr std::size_t buckets = 40;
  static std::size_t bucket_of(Duration took) {
    auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(took.us, 64));
    auto doublings = static_cast<std::size_t>(std::bit_width(us) - 1);
    std::size_t half = (us >> (doublings - 1)) & 1;
    return std::min((doublings - 6) * 2 + half, buckets - 1);
  }
  static Duration end_of(std::size_t bucket) {
    std::int64_t start = std::int64_t{64} << (bucket / 2);
    return Duration::micros(bucket % 2 == 0 ? start + start / 2 : start * 2);
  }

  std::array<std::uint32_t, buckets> counts_{};
  std::uint32_t total_ = 0;
};

}  // namespace ringlet
