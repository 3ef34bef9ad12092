// How old a request is, and until when it is of use (F-100). A host that sleeps (SIGSTOP, a stopped
// machine, a disk that holds its thread) leaves requests in its socket and works them off when it
// wakes. By then whoever asked has asked others; a write that is executed so late brings back a value
// that was replaced meanwhile (L18). So a request says how long it is wanted, its receiver knows how
// long it was on its way, and what is too old is refused and not executed.
//
// The clocks of two hosts need not agree: what counts is how much longer a message took than the
// quickest one of the same connection.
#pragma once

#include <cstdint>

#include "base/instant.hpp"

namespace ringlet {

// What the asker says with a request. 0: it does not say.
struct Asking {
  Duration wanted;   // from now: then it asks somebody else, or gives up
  Duration silence;  // if the node is silent for so long, it asks somebody else before that
  friend bool operator==(const Asking&, const Asking&) = default;
};

// What the receiver makes of it, by its own monotonic clock.
struct Arrival {
  Instant until = Instant::never();  // executed later than this it would come too late
  Duration on_its_way;               // at least
  Instant sent = Instant::never();   // at the latest; never: not known
  Duration silence;                  // as in Asking
  Duration age(Instant at) const {
    return sent == Instant::never() || at < sent ? Duration{} : at - sent;
  }
};

// The delay of a connection's messages, one way. One sender, one receiver, one thread.
//
// `least` is the smallest difference ever seen between the receiver's clock on arrival and the
// sender's on departure: the clocks' difference and the shortest way. It rises by a thousandth of the
// time that passes, for clocks do not run alike (crystals differ by up to 100 ppm, a clock that is being
// set by up to 500) and a line may become longer for good; a message that was not held up
// puts it right again. So a host that slept for an hour underestimates the age of what it finds by
// 3.6 s. A minimum over a window of time was rejected: after a sleep longer than the window the late
// messages would be all there is, and pass for punctual.
//
// A message that was quicker than any before by more than an hour shows that those before were late, or its
// time is wrong. Until messages of ten seconds agreed within a second two in a row are believed (a host that woke
// works off what waited for hours); from then on only a minute of them, since a wrong least delay would make
// every later request of the connection late.
class LeastDelay {
 public:
  // `sent`: microseconds of the sender's clock, any start. Returns for how long the message was held up.
  Duration heard(std::uint64_t sent_us, Instant received);

 private:
  bool believed(std::int64_t offset, Instant received);
  bool any_ = false, sure_ = false;
  int doubts_ = 0;  // messages in a row that were quicker than can be
  std::int64_t doubtful_us_ = 0;
  Instant doubted_since_, agreed_since_;
  std::int64_t least_us_ = 0;
  Instant at_;
};

// A message that was on its way for `on_its_way` and arrived at `received`.
Arrival arrival(const Asking& asking, Duration on_its_way, Instant received);

}  // namespace ringlet
