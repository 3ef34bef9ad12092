// Forgets deletes (O-5; L10). A key that is nothing but tombstones may go when it can never be needed again:
// when every owner holds exactly this object, and has held it for `grace` by its own count, and no other
// member has a hint or a copy of the key. The first owner of the partition asks *all* members (ReapAsk), and asks again
// after `settle`; only if all said yes both times, the other owners are told to erase it (Reap), and it
// erases its own copy last.
//
//   why twice    an owner that was away may have sent the old value just before it learnt of the delete.
//                What was sent before the first yes is dead after `settle`; what is sent after it knows
//                of the delete. So settle must exceed the life of the longest message: request
//                timeout + linger + whatever a connection may hold back.
//   why grace    a directory restored from a backup brings old values back, and nothing remembers that
//                they were deleted: grace must exceed the age of any backup that is ever put back.
//   whose count  no clock that can be set has a part in it (F-109): neither the stamp of a tombstone,
//                which a coordinator with a wrong clock wrote, nor the wall clock of an owner. Each owner
//                counts the time it has been running, by its monotonic clock, and keeps the sum on its
//                disk (its *age*); beside each tombstone it keeps the age at which it first saw this
//                very object. The difference can only be less than the time since the delete: the time
//                a node is down, its last seconds before a kill and the time before it first looked are
//                not counted; a reboot, which sets the monotonic clock back, adds nothing; a directory that goes
//                back in time has both numbers go back; a new or changed object counts from nothing.
//                So when every owner says that the grace is over, it is over, and a backup that is
//                older than the delete is older than the grace.
//   doomstone    a tombstone on a fallback that outlives the reaping comes back later: therefore hints
//                and copies on nodes that are no owners are asked for too.
//   changed      an object with another clock is left, wherever it is. A key that is created again has
//                an actor of a fresh epoch, so no tombstone that comes late covers it.
// A member that is down, silent or refuses postpones. What is remembered on disk is the count alone.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "protocol/health.hpp"
#include "repair/background_task.hpp"
#include "repair/own_copies.hpp"
#include "repair/pace.hpp"

namespace ringlet {

bool is_all_tombstones(const Object& object);  // at least one, and nothing else

// How long this node has run, and since when it knows its tombstones. On its disk.
class TombstoneNotes {
 public:
  virtual ~TombstoneNotes() = default;
  virtual Result<Duration> age() = 0;  // as last kept; none: zero
  virtual Status keep_age(Duration age) = 0;
  // The age at which each of these keys was first seen with just this clock; for one that was not, that is
  // `now`, and is kept. `clocks` has as many members as `keys`.
  virtual Result<std::vector<Duration>> known_since(const std::vector<Key>& keys,
                                                    const std::vector<std::uint64_t>& clocks,
                                                    Duration now) = 0;
  // Forgets what is known of other keys of the partition than these, from behind `after` (nullptr: from
  // its start) up to and with `upto` (nullptr: to its end). `keys` are in the order of rows.
  virtual Status forget_others(std::uint32_t partition, const Key* after, const Key* upto,
                               const std::vector<Key>& keys) = 0;
};

class TombstoneCollection final : public BackgroundTask {
 public:
  struct Options {
    Duration grace = Duration::seconds(10 * 86'400);  // of each owner's own running time
    // How long a copy of a write that was replaced may still be executed: with the row its id would be
    // forgotten (L18). The grace is at least as long.
    Duration write_life{};
    Duration settle = Duration::seconds(60);
    // From one walk to the next over the keys of which this node is the first owner. Those of the others
    // are looked through less often, every twentieth of the grace or half day: there it only counts.
    Duration period = Duration::seconds(600);
    Duration patience = Duration::seconds(5);  // for one answer
    std::size_t page = 256;                    // objects read at once
    std::size_t batch = 128;                   // keys in one question; a lane answers it at once
    std::size_t batch_bytes = 256 * 1024;      // of keys
    std::size_t batches = 4;                   // at a time
  };
  TombstoneCollection(NodeId self, Options options, OwnCopies& copies, TombstoneNotes& notes,
                      const Whereabouts& placement, const Health& health, Pace* pace);
  ~TombstoneCollection() override;

  void start(Now now);
  void set_grace(Duration grace);
  void walk_now(Now now);  // an operator's wish; otherwise every period
  void on_reply(NodeId from, RequestId number, const Message& message, Now now) override;
  void on_unreachable(NodeId node, Now now) override;
  void on_wake(Now now) override;
  // Another first owner's question: ReapAnswer or Refused.
  Message answer(const ReapAsk& ask, Now now);

  std::vector<Outgoing> take_outgoing() override;  // ReapAsk, Reap
  Instant next_wake() const override;

  struct Progress {
    std::uint64_t asked = 0, reaped = 0, postponed = 0;  // keys
    std::uint64_t waiting = 0;  // old enough at the last whole walk, as first owner
    std::uint64_t young = 0;    // too young then, as first owner
  };
  Progress progress() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The other members' side of the last step: Stored or Refused.
Message answer(const Reap& reap, OwnCopies& copies);

}  // namespace ringlet
