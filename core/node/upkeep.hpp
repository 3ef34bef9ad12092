// The node's work in the background, one for all its lanes: gossip, the transfer of partitions that
// come in, getting rid of those that left, anti-entropy, the reaping of tombstones, and an
// administrator's commands. It hosts the machines of membership/ and repair/, keeps the membership
// view in the store, and swaps the ring.
//
// Lane 0 drives it (start, on_reply, on_unreachable, on_wake, take_outgoing); every lane may hand in
// requests of other members with answer() and command(). A lock within; nothing waits for I/O but
// what the engine does inline.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "membership/changes.hpp"
#include "membership/gossip.hpp"
#include "node/node_state.hpp"
#include "node/own_store.hpp"
#include "protocol/health.hpp"

namespace ringlet {

class Upkeep {
 public:
  // Owned by `state`, which opens it; so the pointer does not own.
  Upkeep(std::shared_ptr<NodeState> state, std::uint64_t seed);
  ~Upkeep();

  // Lane 0's view of who is gone; outlives this. Without it (before) nobody counts as gone.
  void start(const Health& health, Now now);
  void stop();  // lane 0 ends; the machines with it
  void on_reply(NodeId from, RequestId number, const Message& message, Now now);
  void on_unreachable(NodeId node, Now now);
  void on_recovered(NodeId node, Now now);
  void on_wake(Now now);

  std::vector<Outgoing> take_outgoing();
  Instant next_wake() const;

  // Gossip, TransferPull, TreeCompare, SegmentCompare, ReapAsk, Reap, HeldCheck. `from`: the member
  // that asks; nobody: a client.
  static bool answers(const Message& message);
  Replica::Outcome answer(NodeId from, const Message& message, Now now);
  StatusText command(const ClusterCommand& command, Now now);
  // An own copy of the key is about to be stored for somebody, and confirmed.
  void before_storing(const Key& key);

  // This node is no member any more, whatever its own store says: it left, was replaced, or the others
  // turn it away (F-42). It serves no client and is no replica then; why_out() has the sentence. Any
  // lane may ask at any time.
  bool is_out() const;
  Status why_out() const;
  // Not a member that left, but a node of which it is not known that it belongs (L20): it does not say
  // who the members are either, and hands nothing on.
  bool is_apart() const;
  // Another cluster's, for all this node knows: nothing but gossip is taken from it.
  bool disagrees_with(NodeId member) const;
  // Who is to be asked whether it is there; lane 0 does.
  std::vector<NodeId> take_to_check();

  // Does this node own the partition in a lost node's place, and lacks some of it yet?
  bool is_to_be_filled(std::uint32_t partition) const;

  // Where a hint goes: its target, or all who own the key when that does not any more (F-45).
  std::vector<NodeId> targets_for(const Hint& hint) const;
  std::vector<NodeId> other_owners(
      const Hint& hint) const;  // of the key; without the hint's target
  Pace& pace();
  std::string status_json(Now now) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ringlet
