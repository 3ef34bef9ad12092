// Turns of a lane's clients, by key: at most `at_once` requests of one key are in service, further
// ones wait for one of those to end. So who asks for another key finds a few requests of a hot one
// before its own, however many there are (F-51). Those of one key take turns by connection, each
// connection's in the order in which they came: a client with a thousand requests for the key delays
// another client by one request, not by a thousand. One thread; no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/assert.hpp"
#include "base/instant.hpp"

namespace ringlet {

// `Waiting` has `std::uint64_t key` (a hash of it: two keys with one hash share their turns),
// `std::uint64_t link` (its connection) and `Instant arrived`.
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
    order_.push_back({request.key, request.link, request.arrived});
    Turns& turns = keys_[request.key];
    std::deque<Waiting>& mine = turns.waiting[request.link];
    if (mine.empty()) turns.next.push_back(request.link);
    mine.push_back(std::move(request));
    ++waiting_;
  }
  // A turn ends; it is now the returned request's, if one waited.
  std::optional<Waiting> leave(std::uint64_t key) {
    auto found = keys_.find(key);
    RINGLET_ASSERT(found != keys_.end() && found->second.serving > 0);
    if (found->second.next.empty()) {
      if (--found->second.serving == 0) keys_.erase(found);
      return std::nullopt;
    }
    std::uint64_t link = found->second.next.front();
    return take(found->second, link);
  }
  // The one that waits longest, if it came before `end`: it will get no turn.
  std::optional<Waiting> expired(Instant end) {
    while (!order_.empty() && order_.front().arrived < end) {
      Place place = order_.front();
      order_.pop_front();
      auto found = keys_.find(place.key);
      if (found == keys_.end()) continue;
      // Those of one connection wait in the order in which they came: a front that is younger says
      // that this one has had its turn.
      auto mine = found->second.waiting.find(place.link);
      if (mine == found->second.waiting.end() || mine->second.front().arrived > place.arrived) {
        continue;
      }
      return take(found->second, place.link);
    }
    return std::nullopt;
  }
  std::size_t waiting() const { return waiting_; }

 private:
  struct Turns {
    std::size_t serving = 0;
    std::unordered_map<std::uint64_t, std::deque<Waiting>> waiting;  // by link; none is empty
    std::list<std::uint64_t> next;                                   // of those links, in turn
  };
  struct Place {
    std::uint64_t key, link;
    Instant arrived;
  };

  Waiting take(Turns& turns, std::uint64_t link) {
    auto mine = turns.waiting.find(link);
    Waiting next = std::move(mine->second.front());
    mine->second.pop_front();
    turns.next.remove(link);
    if (mine->second.empty()) {
      turns.waiting.erase(mine);
    } else {
      turns.next.push_back(link);
    }
    --waiting_;
    return next;
  }

  std::size_t at_once_, waiting_ = 0;
  std::unordered_map<std::uint64_t, Turns> keys_;  // those with somebody in service
  std::deque<Place> order_;                        // of all that wait, and some that did
};

}  // namespace ringlet
