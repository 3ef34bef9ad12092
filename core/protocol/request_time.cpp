#include "protocol/request_time.hpp"

#include <algorithm>
#include <cstdlib>

namespace ringlet {
namespace {

// One part of so many. No line is idle for so long that this would hide a sleep of a second: members
// gossip every second, clients pull the table every ten.
constexpr std::int64_t rises_by = 1000;
// A peer may send anything: nothing overflows whatever it claims.
constexpr std::int64_t most_us = std::int64_t{1} << 60;
constexpr std::int64_t agrees_us = 1'000'000;
constexpr Duration sure_after = Duration::seconds(10), changes_after = Duration::seconds(60);
constexpr std::int64_t implausible_us = 3'600'000'000;  // no request is wanted for longer

}  // namespace

bool LeastDelay::believed(std::int64_t offset, Instant received) {
  if (doubts_ == 0 || std::abs(offset - doubtful_us_) > implausible_us) {
    doubts_ = 0;
    doubtful_us_ = offset;
    doubted_since_ = received;
  }
  ++doubts_;
  return doubts_ > 1 && (!sure_ || received - doubted_since_ >= changes_after);
}

Duration LeastDelay::heard(std::uint64_t sent_us, Instant received) {
  std::int64_t offset =
      std::clamp(static_cast<std::int64_t>(static_cast<std::uint64_t>(received.us) - sent_us),
                 -most_us, most_us);
  if (!any_) least_us_ = offset;
  std::int64_t passed = any_ ? std::clamp<std::int64_t>(received.us - at_.us, 0, most_us) : 0;
  if (offset < least_us_ - implausible_us && !believed(offset, received)) return Duration{};
  doubts_ = 0;
  if (!any_ || offset < least_us_ - agrees_us) {
    agreed_since_ = received;
    sure_ = false;
  }
  any_ = true;
  at_ = received;
  least_us_ = std::min(least_us_ + passed / rises_by, offset);
  if (offset - least_us_ <= agrees_us && received - agreed_since_ >= sure_after) sure_ = true;
  return Duration::micros(offset - least_us_);
}

Arrival arrival(const Asking& asking, Duration on_its_way, Instant received) {
  Arrival arrival;
  arrival.on_its_way = on_its_way;
  arrival.sent = received - on_its_way;
  arrival.silence = asking.silence;
  if (asking.wanted > Duration{}) arrival.until = received + (asking.wanted - on_its_way);
  // The asker has heard nothing for longer than it bears, and asks somebody else.
  if (asking.silence > Duration{} && on_its_way > asking.silence) {
    arrival.until = std::min(arrival.until, received + (asking.silence - on_its_way));
  }
  return arrival;
}

}  // namespace ringlet
