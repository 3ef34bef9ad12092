// The one admission controller of background work (paper 6.5; R6.5-a, O-20): hint delivery, transfer,
// anti-entropy and reaping reserve time slices of the storage here, and the foreground says how many
// there are. A slice is `slice_bytes` of reading and writing; a step costs `step_bytes` beside its own.
//
//   busy        requests are being served, here (from the first few on) or by a peer whose work this is
//               as well: no more than `busy` slices a second but for the floors
//   too slow    p99 of storage calls over the trailing `window` beyond `storage_threshold`, p99 of
//               queue waits over `queue_window` beyond `queue_threshold`, or a failed storage call:
//               once a `step` the slices are halved
//   otherwise   once a step a twentieth of what is allowed now is added
//
// Kinds that work at the same time share the slices equally, and no kind ever has less than
// `floor` a second: progress always, starvation never. Memory is fixed. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/instant.hpp"
#include "protocol/messages.hpp"

namespace ringlet {

class Pace {
 public:
  enum class Kind : std::uint8_t { hints, transfer, tree, reaping };
  static constexpr int kinds = 4;

  struct Options {
    std::uint32_t floor = 20;   // slices a second, for each kind
    std::uint32_t most = 8000;  // slices a second, all kinds together
    std::uint32_t busy = 32;    // slices a second, all kinds together, while requests are served
    std::uint32_t slice_bytes = 65536;
    std::uint32_t step_bytes = 4096;
    // Bytes that one step reads or writes, about, while requests are served: some wait behind it.
    std::uint32_t busy_step = 8 * 1024;
    Duration storage_threshold = Duration::millis(50);
    Duration window = Duration::seconds(60);
    Duration queue_threshold = Duration::millis(20);
    Duration queue_window = Duration::seconds(10);
    Duration step = Duration::seconds(1);
    std::uint32_t few = 10;  // with fewer samples in a window it says nothing
  };
  explicit Pace(Options options);
  ~Pace();

  // Reserves the slices of a step over `bytes` (0: it is not known; one slice). False: not now, ask
  // again at next(kind). A step dearer than what is left is let through and its rest is owed.
  // `steps`: of others, too, that this one makes; `bytes` are those of each.
  bool take(Kind kind, std::uint64_t bytes, Now now, std::uint64_t steps = 1);
  // How many bytes a step should read or write at most; SIZE_MAX: nobody waits for it.
  std::size_t step(Now now) const;
  // For a step whose size is known only afterwards: would take() let one through? Then charge() it.
  bool open(Kind kind, Now now);
  void charge(Kind kind, std::uint64_t bytes, Now now);
  // When a slice will be there, as things are; at or before now: there is one.
  Instant next(Kind kind, Now now) const;

  void served(Now now);  // a request of the foreground: of a client, or for one
  // A peer refused work for its requests' sake. What this node does for that work reaches them too:
  // through the network, the disk, the machine that both may share. So it is as busy, for a second.
  void peer_is_busy(Now now);
  // What the foreground saw.
  void storage_took(Duration took, Now now);
  void queue_waited(Duration waited, Now now);
  void storage_failed(Now now);

  struct Report {
    std::uint32_t slices = 0;  // a second, all kinds together
    bool busy = false;
    Duration storage_p99;  // of the trailing window, to a fifth exact; 0: too few samples
    Duration queue_p99;
    std::uint64_t failed = 0;         // storage calls
    std::uint64_t taken[kinds] = {};  // slices, since the start
    std::uint64_t held_back[kinds] = {};
  };
  Report report(Now now) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

const char* name_of(Pace::Kind kind);

// What one who asks for background work too early is told: `overloaded`, and when to come again.
Refused requests_first(const std::string& work, Duration wait);

}  // namespace ringlet
