// A local opinion of who is gone (paper 4.8.3): asked when a request is planned, told what was
// heard.
#pragma once

#include <algorithm>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"

namespace ringlet {

class Health {
 public:
  virtual ~Health() = default;
  virtual bool is_down(NodeId node) const = 0;
  virtual void heard_from(NodeId node, Instant now) = 0;   // any message of it
  virtual void was_silent(NodeId node, Instant now) = 0;   // a request to it ran out of patience
  virtual void unreachable(NodeId node, Instant now) = 0;  // its connection failed: gone at once
  // It is not down, but the latest sign of it is a ping without an answer: ask others first.
  virtual bool is_in_doubt(NodeId) const { return false; }
  bool may_be_gone(NodeId node) const { return is_down(node) || is_in_doubt(node); }
  // Somebody else was silent, and this node may be asked next: is it there? (Pings it, unless it was
  // heard a moment ago.)
  virtual void check(NodeId, Instant) {}
  // How long a replica may stay silent before somebody else is asked.
  virtual Duration patience(NodeId node) const = 0;
  // An answer arrived this long after its request: what patience is measured from.
  virtual void answer_took(NodeId, Duration) {}
  // When it was heard last; long ago: never.
  virtual Instant last_heard(NodeId) const { return Instant{INT64_MIN / 2}; }
  // After how long a replica is late: not silent yet, but somebody else may be asked meanwhile
  // (coordination/early_asking.hpp). `others_late`: with the same request.
  enum class Question { read, write };
  virtual Duration late_after(NodeId, Question, std::size_t /*others_late*/) const {
    return Duration::seconds(3600);
  }
  // May somebody else be asked early, at this moment? Each yes is counted. `mute`: nothing was heard of the
  // late node since it was asked.
  virtual bool may_ask_early(bool /*mute*/) { return false; }
};

// Of those who may be asked next, likeliest first; enough that a silent zone costs one patience, and
// few in a large cluster.
inline void check_first(Health& health, const std::vector<NodeId>& next, Instant now,
                        NodeId self = {}) {
  constexpr std::size_t most = 8;
  for (std::size_t i = 0; i < std::min(next.size(), most); ++i) {
    if (next[i] != self) health.check(next[i], now);
  }
}

}  // namespace ringlet
