// Who seems gone, in the eyes of this member alone (paper 4.8.3; R4.8.3-a). Fed by ordinary
// traffic; a node that is down is asked again every retry period with a Ping, and is up with
// its first answer. Never gossiped (R4.8.3-b), never a reason to move data (R4.8.1-a).
//
// Opinions take two patiences to form, not two requests, of which the second may come much later: a
// silence is followed by a Ping at once, and a Ping without an answer is a silence too. Losses come
// together (a split, a rack), so whoever meets a silent node has those checked, with a Ping each, whom
// it would ask next. Who leaves a Ping unanswered is in doubt until it is heard or down: asked after
// the others.
//
// Silences count only when they say something new: of a question asked after the node's last answer
// and after the last silence that counted. So a stall that makes sixteen open questions late at once
// is one silence, not sixteen in a row.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/random.hpp"
#include "protocol/health.hpp"

namespace ringlet {

class FaultDetector final : public Health {
 public:
  struct Options {
    int silences_to_suspect = 2;             // in a row
    Duration retry = Duration::millis(500);  // Ping a node that is down
    Duration min_patience =
        Duration::millis(20);  // adaptive: 4 x the smoothed answer time, clamped
    Duration max_patience = Duration::millis(250);
    Duration first_patience = Duration::millis(100);  // before anything was measured
    // A node that was never heard and is down is pinged after a pause that doubles up to this; shorter than
    // `retry`: always after `retry`.
    Duration longest_retry;
  };
  FaultDetector(Options options, std::uint64_t seed);

  bool is_down(NodeId node) const override;
  void heard_from(NodeId node, Instant now) override;
  void was_silent(NodeId node, Instant now) override;
  void unreachable(NodeId node, Instant now) override;
  Duration patience(NodeId node) const override;
  void answer_took(NodeId node, Duration took) override;  // a sample for patience
  bool is_in_doubt(NodeId node) const override;
  void check(NodeId node, Instant now) override;
  // A question of a patience ago may rightly take longer; but is the node there at all? A silence that
  // is never the last one: a ping decides. False: it was heard in the meantime, and is only slow.
  bool doubt(NodeId node, Instant now);
  // When it was heard last; long ago: never.
  Instant last_heard(NodeId node) const override;

  // Before anybody is asked because of the time: pings that ran out of patience are silences.
  void notice_silence(Instant now);
  // Whom to ping now (who is down at most once a retry period, jittered), and when to ask again.
  std::vector<NodeId> due_pings(Instant now);
  Instant next_wake() const;
  // Nodes that came back since the last call: hints for them may go out.
  std::vector<NodeId> take_recovered();
  // Nodes that were silent for too long since the last call, and are down: what was asked of them may
  // be asked of others.
  std::vector<NodeId> take_fallen_silent();
  std::vector<NodeId> down() const;

 private:
  struct State {
    int silences = 0;
    bool down = false;
    enum class Ping { none, due, sent } ping = Ping::none;  // while it is not down
    bool unanswered = false;                                // a ping before this one
    Instant next_ping;                                      // sent: when that is a silence
    std::int64_t smoothed_us = -1;
    Instant news{INT64_MIN / 2};  // its last answer, or the last silence that counted
    Instant heard{INT64_MIN / 2};
    int unheard_pings = 0;  // while it is down and was never heard
  };
  Duration usual_patience(const State& state) const;
  bool says_something_new(const State& state, Instant now) const;
  void count_silence(NodeId node, State& state, Instant now);
  Duration retry_of(const State& state) const;
  static void ping_now(State& state, Instant now);
  Options options_;
  Random random_;
  std::map<NodeId, State> nodes_;
  std::vector<NodeId> recovered_, fallen_silent_;
};

}  // namespace ringlet
