// While a partition moves, its writes go to the old and to the new owner (O-15): whoever stored one and
// is to pass it on (newcomers_to_tell) sends it to the newcomer at once. The newcomer's vote counts for
// nothing yet, so nobody waits for it; but when it becomes an owner it should lack nothing, or a read
// that asks it would miss what R + W > N promises.
//
// Who does not confirm gets a hint instead, made of the own copy as it is then; so does one who has too
// much under way already. A crash in between loses what was under way here: no write, for its owners have
// it, but the newcomer's copy until anti-entropy brings it.
//
// One a lane; not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "protocol/health.hpp"
#include "protocol/outgoing.hpp"

namespace ringlet {

class LateHints {
 public:
  virtual ~LateHints() = default;
  // Keeps a hint for `target` of what this node holds of the key; ok also when it holds nothing.
  virtual Status keep_hint_of(const Key& key, NodeId target) = 0;
};

class DualWrites {
 public:
  struct Options {
    std::size_t most = 256;                      // under way to one newcomer
    std::size_t most_bytes = 4 * 1024 * 1024;    // under way, all together
    Duration patience = Duration::millis(1000);  // for one confirmation
  };
  DualWrites(Options options, LateHints& store, const Health& health)
      : options_(options), store_(store), health_(health) {}

  // Would one more be sent now? If not, the caller leaves a hint.
  bool takes(NodeId to) const;
  void send(NodeId to, const Key& key, const Object& object, Now now);

  void on_reply(NodeId from, RequestId number, const Message& message);
  void on_unreachable(NodeId node);
  void on_wake(Now now);

  std::vector<Outgoing> take_outgoing();
  Instant next_wake() const;
  std::size_t under_way() const { return sent_.size(); }
  std::uint64_t confirmed() const { return confirmed_; }
  // Newcomers that got a hint instead, and that could not be given one either (the disk failed).
  std::uint64_t hinted() const { return hinted_; }
  std::uint64_t failed() const { return failed_; }

 private:
  struct Sent {
    NodeId to;
    Key key;
    std::size_t bytes = 0;
    Instant until;
  };
  void ended(const Sent& sent);
  void give_up_on(const Sent& sent);

  Options options_;
  LateHints& store_;
  const Health& health_;
  PendingRequests<Sent> sent_;
  std::map<NodeId, std::size_t> to_each_;
  std::size_t bytes_ = 0;
  std::vector<Outgoing> outgoing_;
  std::uint64_t confirmed_ = 0, hinted_ = 0, failed_ = 0;
};

// Whom a write into this node's own copy is passed on to while its partition moves: to the incoming
// ones, by the owner that goes and by the first that stays. Both: the one that goes may not know yet
// that it does, and then the newcomer has pulled from those that stay. `owners` are the N now.
std::vector<NodeId> newcomers_to_tell(NodeId self, const std::vector<NodeId>& owners,
                                      const std::vector<NodeId>& outgoing,
                                      const std::vector<NodeId>& incoming);

}  // namespace ringlet
