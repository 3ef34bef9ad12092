// Turns of a lane's clients, by key: at most `at_once` requests of one key are in service, further
// ones wait for one of those to end. So who asks for another key finds a few requests of a hot one
// before its own, however many there are (F-51). One thread; no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/assert.hpp"
#include "base/instant.hpp"

namespace ringlet {

// `Waiting` has `std::uint64_t key` (a hash of it: two keys with one hash share their turns) and
// `Instant arrived`.
template <class Waiting>
class KeyTurns {
 public:
  explicit KeyTurns(std::size_t at_once) : at_once_(at_once) { RINGLET_ASSERT(at_once > 0); }

  // True: the request has a turn, which ends with leave(). False: it has to wait().
  bool enter(std::uint64_t key) {
    std::size_t& serving = keys_[key].serving;
    if (serving >= at_once_) return false;
    ++serving;
    return true;
  }
  void wait(Waiting request) {
    order_.push_back({request.key, request.arrived});
    keys_[request.key].waiting.push_back(std::move(request));
    ++waiting_;
  }
  // A turn ends; it is now the returned request's, if one waited.
  std::optional<Waiting> leave(std::uint64_t key) {
    auto found = keys_.find(key);
    RINGLET_ASSERT(found != keys_.end() && found->second.serving > 0);
    if (found->second.waiting.empty()) {
      if (--found->second.serving == 0) keys_.erase(found);
      return std::nullopt;
    }
    return take(found->second);
  }
  // The one that waits longest, if it came before `end`: it will get no turn.
  std::optional<Waiting> expired(Instant end) {
    while (!order_.empty() && order_.front().arrived < end) {
      Place place = order_.front();
      order_.pop_front();
      auto found = keys_.find(place.key);
      // Those of one key wait in the order in which they came: a front that is younger says that
      // this one has had its turn.
      if (found == keys_.end() || found->second.waiting.empty() ||
          found->second.waiting.front().arrived > place.arrived) {
        continue;
      }
      return take(found->second);
    }
    return std::nullopt;
  }
  std::size_t waiting() const { return waiting_; }

 private:
  struct Turns {
    std::size_t serving = 0;
    std::deque<Waiting> waiting;
  };
  struct Place {
    std::uint64_t key;
    Instant arrived;
  };

  Waiting take(Turns& turns) {
    Waiting next = std::move(turns.waiting.front());
    turns.waiting.pop_front();
    --waiting_;
    return next;
  }

  std::size_t at_once_, waiting_ = 0;
  std::unordered_map<std::uint64_t, Turns> keys_;  // those with somebody in service
  std::deque<Place> order_;                        // of all that wait, and some that did
};

}  // namespace ringlet
