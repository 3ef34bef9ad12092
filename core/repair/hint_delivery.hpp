// Gives hinted copies to the owners they are for (paper 4.6; R4.6-b). One machine a node. It reads
// the hint table in pages through `HintStore`, sends at most `window` objects at once to an owner that
// is up, and drops a hint only after the owner confirmed *this* copy: a hint changed meanwhile is
// sent again. A silent or refusing owner is left until the next scan. Redelivery is harmless, sync is idempotent.
// A hint whose target owns the key no longer goes to all who do, and is dropped when each of them
// confirmed it (F-45).
//
//   refused      a hint that its owner refuses for what it is (too large, a stamp from the future) stays, and is
//                tried again after `redirect_scan`; those behind it are sent meanwhile. After a silence
//                the next pass begins behind the first hint that met it, and each that met it is sent alone
//                until it is answered: one that breaks the connection holds up no other (F-108).
//   bound        more than `max_bytes` of hints for an owner that is down, or hints older than `max_age`, are
//                *released*: sent to all other owners of the key, and dropped when each of them
//                confirmed. Then this copy is one that anti-entropy brings to the owner, too. No hint is
//                refused for the bound: perhaps it is one of the W copies that a write was
//                acknowledged with, or the only one. So the bound holds while the key's other owners
//                are there, and hints that are the last copies stay whatever they take.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/log.hpp"
#include "protocol/health.hpp"
#include "repair/background_task.hpp"
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
  virtual Result<std::vector<NodeId>> targets() = 0;   // who has hints waiting
  virtual std::uint64_t bytes_for(NodeId target) = 0;  // of waiting hints
  // Removes the hint if it still is exactly this one; ok also when it changed or is gone.
  virtual Status drop_if_same(const Hint& hint) = 0;
};

class HintDelivery final : public BackgroundTask {
 public:
  struct Options {
    std::size_t window = 16;  // objects under way to one owner
    std::size_t page = 64;
    Duration scan = Duration::millis(1000);      // look for waiting hints again
    Duration patience = Duration::millis(1000);  // for one confirmation
    // Hints for a member that is down are read through this often for those that go elsewhere.
    Duration redirect_scan = Duration::seconds(30);
    std::uint64_t max_bytes = 1ull << 30;              // of hints for one owner
    Duration max_age = Duration::seconds(3 * 86'400);  // by the stamp of the newest version
  };
  HintDelivery(NodeId self, Options options, HintStore& store, const Health& health);
  ~HintDelivery() override;

  // Who gets a hint: its target while that owns the key, or else all N owners of now, this node
  // perhaps among them (then it is sent to itself). Default: the target. Set before start().
  void set_targets_for(std::function<std::vector<NodeId>(const Hint&)> targets_for);
  // Hints of one who is no member go elsewhere whether it is down or not. Default: everybody is one.
  void set_is_member(std::function<bool(NodeId)> is_member);
  void set_pace(Pace* pace);  // without one nothing holds it back
  // The other owners of the key of a hint, who must have it before it is released; empty: there are none,
  // and it stays. Default: none.
  void set_other_owners(std::function<std::vector<NodeId>(const Hint&)> other_owners);
  // Told what the node's log should say of the hints for a node: of one that was refused, once; when
  // releasing begins, and when it is over, with how many.
  using Said = std::function<void(LogLevel level, NodeId target, const std::string& text)>;
  void set_said(Said said);

  void start(Now now);
  void on_ring_changed(Now now);  // targets_for may answer otherwise: read all through
  void on_recovered(NodeId node, Now now) override;  // deliver to it now
  void on_reply(NodeId from, RequestId number, const Message& message, Now now) override;
  void on_unreachable(NodeId node, Now now) override;
  void on_wake(Now now) override;

  std::vector<Outgoing> take_outgoing() override;  // ReplicaPut
  Instant next_wake() const override;
  std::uint64_t delivered() const;  // to whom they were for, or to those who own the key now
  std::uint64_t released() const;
  std::uint64_t refused() const;  // hints, each once
  std::size_t under_way() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ringlet
