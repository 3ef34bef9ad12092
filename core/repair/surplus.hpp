// Gets rid of own copies in partitions that are not this node's any more, and is what makes every
// move safe (L14). The owners nearly always have them already, so a page of copies is first only asked
// about (HeldCheck); what some owner lacks, or has in another state, is then pushed to it whole.
//
// Safety. A copy is erased here only when all N owners confirmed this very state on their disks, it is
// still the same, and the ring has not changed meanwhile. So no flip, no merge of rings and no crash
// loses the last copy. A confirmation is Stored to a push with durability disk, or not to be named in a
// HeldAnswer: the owner read a copy with this clock, and its disk was flushed before it answered. It is
// one promise with two names, and binds the same way:
//
//   Two nodes that each believe the other is the owner would confirm to each other and both erase. So a
//   copy under way here is kept when this node itself confirmed its key to somebody after it had asked
//   (before_storing, answer). Of all who erased, take the one that asked last: its owners confirmed after
//   they had asked themselves, so they kept theirs, or had got it anew. For a check to say no more than
//   that, answer() reads and marks between two steps of this machine: no erasure comes in between.
//
//   A node that does not keep the partition, by its own ring, takes a push (its copy is surplus then,
//   and goes on by these rules), but does not confirm by a check: what it holds is about to go. It
//   refuses, and the asker keeps its copies until both know the same ring.
//
// No memory of its own on disk: found by scan.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "protocol/health.hpp"
#include "repair/background_task.hpp"
#include "repair/own_copies.hpp"
#include "repair/pace.hpp"

namespace ringlet {

class Surplus final : public BackgroundTask {
 public:
  struct Options {
    std::size_t page = 256;                    // copies in one question, all of one partition
    std::size_t page_bytes = 128 * 1024;       // of these copies: each owner reads them in one go
    std::size_t question_bytes = 64 * 1024;    // of their keys and clocks
    std::size_t window = 48;                   // whole objects under way, to all owners together
    Duration scan = Duration::seconds(60);     // look again, also when the ring has not changed
    Duration retry = Duration::seconds(2);     // after an owner failed
    Duration settle = Duration::seconds(2);    // after the ring changed, before the scan
    Duration patience = Duration::seconds(2);  // for one confirmation
    Duration longest_wait = Duration::seconds(5);  // for an owner that says it is overloaded
  };
  Surplus(Options options, OwnCopies& copies, const Whereabouts& placement, const Health& health,
          Pace* pace);  // paced as transfer
  ~Surplus() override;

  void start(Now now);
  void on_ring_changed(Now now);
  // This node is about to store the key as its own copy for somebody (ReplicaPut, MintPut). Before, not
  // after: an erasure in between would take what is then confirmed.
  void before_storing(const Key& key);
  void on_reply(NodeId from, RequestId number, const Message& message, Now now) override;
  void on_unreachable(NodeId node, Now now) override;
  void on_wake(Now now) override;

  std::vector<Outgoing> take_outgoing() override;  // HeldCheck; ReplicaPut, with durability disk
  Instant next_wake() const override;

  // The owner's side: HeldAnswer, or Refused with a sentence. The reply must not leave before the
  // engine has flushed `ticket` (0: at once). Paid for at the pace; who asks too early is told when to
  // come again, as `overloaded`.
  struct Answer {
    Message reply;
    std::uint64_t ticket = 0;
  };
  Answer answer(const HeldCheck& check, Now now);

  bool busy() const;  // copies are under way: only then before_storing matters
  struct Progress {
    std::uint64_t checked = 0, pushed = 0, erased = 0;  // copies; pushed: to an owner at least
    std::uint64_t kept = 0;                             // changed meanwhile, or not confirmed
    bool clean = false;                                 // the last whole scan found nothing
  };
  Progress progress() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ringlet
