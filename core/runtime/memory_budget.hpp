// What the clients of a node may make it hold in memory, one account for all its lanes.
//
//   requests   bytes of what they asked and was not answered yet
//   answers    bytes of what they were answered and have not taken, with what is expected of the
//              reads under way
//   large      what is expected of requests for keys that are known to be large: as much as `answers`, or one.
//              An account of its own, so that small requests find room beside them
//   reading    buffers of what was read and is no whole frame yet, of clients and members
//   resident   the whole process, as the system counts it, measured now and then
//
// The first four are known at once and bounded exactly. The last is what an operator cares for and
// is known late, so from seven eighths of its limit on the node is `tight`: it takes no more from
// clients until it is below three quarters again. At the limit itself it takes no more from
// members either, who have other nodes to ask.
//
// Thread-safe; measure() is one thread's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/instant.hpp"

namespace ringlet {

class MemoryBudget {
 public:
  struct Limits {
    std::size_t request_bytes, answer_bytes;
    std::size_t resident_bytes = 0;  // 0: whatever it takes
    std::size_t reading_bytes = SIZE_MAX / 4;
  };
  explicit MemoryBudget(Limits limits) : limits_(limits) {}

  std::atomic<std::size_t> requests{0}, answers{0}, large{0}, reading{0};
  std::atomic<std::size_t> wait_to_read{
      0};  // what connections want of `reading` and could not have yet
  std::atomic<std::uint64_t> stalled_frames{
      0};  // given up because others waited for their memory; a total

  // Changes what one connection's buffer takes of `reading`, from `now` to `wanted`. False: there is no
  // room for more, and nothing has changed. Members have twice the limit, so that half frames of
  // clients do not stop them; a lone buffer, however large, may always be had.
  bool resize_reading(std::size_t now, std::size_t wanted, bool member);

  // Others wait for what half frames have taken, so one that does not grow may not keep it.
  bool reading_is_short() const;

  // Why a client's request of so many bytes, whose answer is expected to have so many, is not taken;
  // empty: it may be. Counts nothing. A lone answer, however large, may always be had.
  std::string objection(std::size_t request_bytes, std::size_t answer_bytes) const;
  // Takes `bytes` of `large`; a text: why not, and nothing is taken.
  std::string take_large(std::size_t bytes);
  // Why not even a member's request is taken; empty: it is.
  std::string full() const;
  bool tight() const { return tight_.load(std::memory_order_relaxed); }
  std::size_t resident() const { return resident_.load(std::memory_order_relaxed); }
  const Limits& limits() const { return limits_; }

  // Asks the system, unless it did so a moment ago; while tight, gives back what the allocator holds
  // unused. True: whether it is tight has changed.
  bool measure(Instant now);
  // The same of a number that is known.
  bool measured(std::size_t resident_bytes);

 private:
  std::string uses() const;
  const Limits limits_;
  std::atomic<std::size_t> resident_{0};
  std::atomic<bool> tight_{false};
  Instant measured_at_ = Instant::never(), trimmed_at_ = Instant::never();
};

// Of this process; 0 where the system does not say.
std::size_t resident_bytes();

}  // namespace ringlet
