// Gets rid of own copies in partitions that are not this node's any more, and is what makes every
// move safe (L14): each object is pushed to all N owners, and erased here only when all of them
// confirmed this very object, it is still the same, and the ring has not changed meanwhile. So no flip,
// no merge of rings and no crash loses the last copy. No memory of its own on disk: found by scan.
//
// Two nodes that each believe the other is the owner would confirm to each other and both erase. So a
// push begins anew when this node itself confirmed that key to somebody (on_stored): whoever erases
// last then asked after it had last promised, and the other has the copy again.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "protocol/effects.hpp"
#include "protocol/health.hpp"
#include "repair/own_copies.hpp"
#include "repair/pace.hpp"

namespace ringlet {

class Surplus {
 public:
  struct Options {
    std::size_t window = 16;  // objects under way, each to N owners
    std::size_t page = 64;
    Duration scan = Duration::seconds(60);     // look again, also when the ring has not changed
    Duration retry = Duration::seconds(2);     // after an owner failed
    Duration settle = Duration::seconds(2);    // after the ring changed, before the scan
    Duration patience = Duration::seconds(2);  // for one confirmation
  };
  Surplus(NodeId self, Options options, OwnCopies& copies, const Whereabouts& placement,
          const Health& health, Pace* pace);  // paced as transfer
  ~Surplus();

  void start(Now now);
  void on_ring_changed(Now now);
  // This node stored the key as its own copy for somebody (ReplicaPut, MintPut), before the reply.
  void on_stored(const Key& key);
  void on_reply(NodeId from, std::uint64_t number, const Message& message, Now now);
  void on_unreachable(NodeId node, Now now);
  void on_wake(Now now);

  struct Outgoing {
    NodeId to;
    std::uint64_t number;  // Surplus's own numbering
    Message message;       // ReplicaPut, with durability disk
  };
  std::vector<Outgoing> take_outgoing();
  Instant next_wake() const;

  bool busy() const;  // objects are under way: only then on_stored matters
  struct Progress {
    std::uint64_t pushed = 0, erased = 0, kept = 0;  // kept: changed meanwhile, or not confirmed
    bool clean = false;                              // the last whole scan found nothing
  };
  Progress progress() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ringlet
