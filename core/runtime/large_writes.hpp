// The large writes of a node's clients, from read to answered: which are taken, and which are refused at once
// because they cannot be done by the time they are wanted.
//
// What a large write costs is carried, stored and carried on byte by byte, so how long the next one takes follows
// from the bytes that are under way and from how many of them were done in a second lately. The measure is
// taken over busy times only, and from the answers, so everything that a write waits for is in it: this node's
// disk, the lines, the other replicas. It is believed for a while, and a lone write is always taken: so a node
// that was slow once finds out that it no longer is.
//
// Thread-safe; no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>

#include "base/instant.hpp"

namespace ringlet {

class LargeWrites {
 public:
  struct Refusal {
    std::string why;  // empty: it is taken, and counts until done()
    std::uint32_t retry_after_ms = 0;
  };
  // `until`: when it is of no use any more; never: not known, then it is taken.
  Refusal arrived(std::size_t bytes, Instant until, Instant now);
  // Answered or given up; `stored`: it tells how fast such writes are done.
  void done(std::size_t bytes, bool stored, Instant now);

  std::size_t bytes_under_way() const;
  // 0: not known yet.
  double bytes_per_second() const;

 private:
  mutable std::mutex mutex_;
  std::size_t under_way_ = 0;  // bytes
  Instant measured_from_;      // the last answer, or the first arrival after a rest
  Instant measured_at_;
  double bytes_per_us_ = 0;  // 0: not measured
};

}  // namespace ringlet
