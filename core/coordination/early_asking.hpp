// Decides when a replica counts as late, by the times that its own answers usually take, and how often another
// replica may then be asked early (hedged requests: Dean and Barroso, "The Tail at Scale", CACM 2013).
//
// Patience (protocol/health.hpp) decides when a node was silent. It is long enough to be held against the node:
// 20 to 250 ms. A put whose first minter has just stopped would wait for all of it. So a replica
// counts as late much earlier, and being late has one consequence only: another replica may be asked.
//
// A question to a node that says nothing at all to anybody costs little, because few nodes fall silent at a
// time; where nodes answer others and are slow, asking twice adds to the load that makes them slow. Each request
// adds to a ration from which both are paid: in the long run at most half of the requests are asked
// early of another node because of silence, and at most a tenth because of slowness.
#pragma once

#include <algorithm>
#include <map>

#include "coordination/answer_times.hpp"
#include "protocol/health.hpp"

namespace ringlet {

class EarlyAsking {
 public:
  using Kind = Health::Question;

  void request_began() { ration_ = std::min(ration_ + 1, most_ration); }
  void answer_took(NodeId node, Kind kind, Duration took) {
    Times& times = times_[node];
    (kind == Kind::read ? times.reads : times.writes).add(took);
  }
  // For how long a small question may be open before its node is late: three times what 95 of 100 answers
  // took. `others_late`: how many were late with the same request already; each doubles the time, so that
  // a stall of all replicas does not lead to a question to every node.
  Duration after(NodeId node, Kind kind, std::size_t others_late) const {
    auto known = times_.find(node);
    std::optional<Duration> usual;
    if (known != times_.end()) {
      usual = (kind == Kind::read ? known->second.reads : known->second.writes).usual();
    }
    Duration wait = usual ? std::max(*usual * 3, earliest) : for_a_stranger;
    return wait * (std::int64_t{1} << std::min<std::size_t>(others_late, 6));
  }
  // Takes it from the ration; false: nothing is left. `mute`: nothing was heard of the node since it was asked.
  bool may_ask(bool mute) {
    const int price = mute ? price_for_the_mute : price_for_the_slow;
    if (ration_ < price) return false;
    ration_ -= price;
    return true;
  }

 private:
  struct Times {
    AnswerTimes reads, writes;
  };
  static constexpr Duration earliest = Duration::millis(8);
  static constexpr Duration for_a_stranger = Duration::millis(25);  // little is known of it
  static constexpr int price_for_the_mute = 2, price_for_the_slow = 10, most_ration = 500;

  std::map<NodeId, Times> times_;
  int ration_ = most_ration / 2;
};

}  // namespace ringlet
