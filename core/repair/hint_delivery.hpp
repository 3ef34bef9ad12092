// Gives hinted copies to the owners they are for (paper 4.6; R4.6-b). One machine a node. It reads
// the hint table in pages through `HintStore`, sends at most `window` objects at once to an owner that
// is up, and drops a hint only after the owner confirmed *this* copy: a hint changed meanwhile is
// sent again. A silent or refusing owner is left until the next scan. Redelivery is harmless, sync is idempotent.
// A hint whose target owns the key no longer goes to all who do, and is dropped when each of them
// confirmed it (F-45).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "protocol/effects.hpp"
#include "protocol/health.hpp"
#include "repair/pace.hpp"

namespace ringlet {

struct Hint {
  NodeId target;
  Key key;
  Object object;
};

class HintStore {
 public:
  virtual ~HintStore() = default;
  // Up to `limit` hints for `target` with keys after `after` (nullptr: from the start), in key order.
  virtual Result<std::vector<Hint>> hints_for(NodeId target, const Key* after,
                                              std::size_t limit) = 0;
  virtual Result<std::vector<NodeId>> targets() = 0;  // who has hints waiting
  // Removes the hint if it still is exactly this one; ok also when it changed or is gone.
  virtual Status drop_if_same(const Hint& hint) = 0;
};

class HintDelivery {
 public:
  struct Options {
    std::size_t window = 16;  // objects under way to one owner
    std::size_t page = 64;
    Duration scan = Duration::millis(1000);      // look for waiting hints again
    Duration patience = Duration::millis(1000);  // for one confirmation
    // Hints for a member that is down are read through this often for those that go elsewhere.
    Duration redirect_scan = Duration::seconds(30);
  };
  HintDelivery(NodeId self, Options options, HintStore& store, const Health& health);
  ~HintDelivery();

  // Who gets a hint: its target while that owns the key, or else all N owners of now, this node
  // perhaps among them (then it is sent to itself). Default: the target. Set before start().
  void set_targets_for(std::function<std::vector<NodeId>(const Hint&)> targets_for);
  // Hints of one who is no member go elsewhere whether it is down or not. Default: everybody is one.
  void set_is_member(std::function<bool(NodeId)> is_member);
  void set_pace(Pace* pace);  // without one nothing holds it back

  void start(Now now);
  void on_ring_changed(Now now);            // targets_for may answer otherwise: read all through
  void on_recovered(NodeId node, Now now);  // deliver to it now
  void on_reply(NodeId from, std::uint64_t number, const Message& message, Now now);
  void on_unreachable(NodeId node, Now now);
  void on_wake(Now now);

  struct Outgoing {
    NodeId to;
    std::uint64_t number;  // HintDelivery's own numbering
    Message message;       // ReplicaPut
  };
  std::vector<Outgoing> take_outgoing();
  Instant next_wake() const;
  std::uint64_t delivered() const;
  std::size_t under_way() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ringlet
