// Forgets deletes (O-5; L10). A key that is nothing but tombstones older than `grace` may go when it
// can never be needed again: when every owner holds exactly this object and no other member has a hint
// or a copy of the key. The first owner of the partition asks *all* members (ReapAsk), and asks again
// after `settle`; only if all said yes both times, the other owners are told to erase it (Reap), and it
// erases its own copy last.
//
//   why twice    an owner that was away may have sent the old value just before it learnt of the delete.
//                What was sent before the first yes is dead after `settle`; what is sent after it knows
//                of the delete. So settle must exceed the life of the longest message: request
//                timeout + linger + whatever a connection may hold back.
//   why grace    a directory restored from a backup brings old values back, and nothing remembers that
//                they were deleted: grace must exceed the age of any backup that is ever put back.
//   doomstone    a tombstone on a fallback that outlives the reaping comes back later: therefore hints
//                and copies on nodes that are no owners are asked for too.
//   changed      an object with another clock is left, wherever it is. A key that is created again has
//                an actor of a fresh epoch, so no tombstone that comes late covers it.
// A member that is down, silent or refuses postpones; nothing is remembered on disk.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "protocol/effects.hpp"
#include "protocol/health.hpp"
#include "repair/own_copies.hpp"
#include "repair/pace.hpp"

namespace ringlet {

// Nothing but tombstones, the youngest older than grace.
bool is_reapable(const Object& object, std::int64_t wall_ms, Duration grace);

class TombstoneCollection {
 public:
  struct Options {
    Duration grace = Duration::seconds(10 * 86'400);  // by the wall clock
    Duration settle = Duration::seconds(60);
    Duration period = Duration::seconds(600);  // from one walk over all keys to the next
    Duration patience = Duration::seconds(5);  // for one answer
    std::size_t page = 256;                    // objects read at once
    std::size_t batch = 128;                   // keys in one question; a lane answers it at once
    std::size_t batch_bytes = 256 * 1024;      // of keys
    std::size_t batches = 4;                   // at a time
  };
  TombstoneCollection(NodeId self, Options options, OwnCopies& copies, const Whereabouts& placement,
                      const Health& health, Pace* pace);
  ~TombstoneCollection();

  void start(Now now);
  void set_grace(Duration grace);
  void walk_now(Now now);  // an operator's wish; otherwise every period
  void on_reply(NodeId from, std::uint64_t number, const Message& message, Now now);
  void on_unreachable(NodeId node, Now now);
  void on_wake(Now now);

  struct Outgoing {
    NodeId to;
    std::uint64_t number;  // TombstoneCollection's own numbering
    Message message;       // ReapAsk, Reap
  };
  std::vector<Outgoing> take_outgoing();
  Instant next_wake() const;

  struct Progress {
    std::uint64_t asked = 0, reaped = 0, postponed = 0;  // keys
    std::uint64_t waiting = 0;  // reapable by age at the last whole walk, as first owner
  };
  Progress progress() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The other members' side: ReapAnswer or Refused; Stored or Refused.
Message answer(const ReapAsk& ask, const Whereabouts& placement, OwnCopies& copies);
Message answer(const Reap& reap, OwnCopies& copies);

}  // namespace ringlet
