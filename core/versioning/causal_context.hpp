// Exactly which dots somebody has seen. Counters are contiguous, so a version vector (actor ->
// highest counter) is exact. Each entry also carries the wall time of its last change, for
// truncation (paper 4.4; R4.4-g) and nothing else: it takes no part in comparison.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "versioning/dot.hpp"

namespace ringlet {

enum class CausalOrder { equal, before, after, concurrent };

class CausalContext {
 public:
  struct Entry {
    Actor actor;
    std::uint64_t counter = 0;
    std::int64_t last_ms = 0;
    // Equality of what was seen; the time of it is not compared.
    friend bool operator==(const Entry& a, const Entry& b) {
      return a.actor == b.actor && a.counter == b.counter;
    }
  };

  bool contains(const Dot& dot) const { return dot.counter <= counter(dot.actor); }
  std::uint64_t counter(const Actor& actor) const;  // 0: never seen
  void add(const Dot& dot, std::int64_t wall_ms);   // raises the actor's counter to the dot's
  void join(const CausalContext& other);  // pointwise maximum; of equal counters the later time
  CausalOrder compare(const CausalContext& other) const;
  bool covers(const CausalContext& other) const;  // everything other has seen
  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }
  const std::vector<Entry>& entries() const { return entries_; }  // sorted by actor
  void set_entries(std::vector<Entry> entries);  // sorts; asserts that no actor is twice
  void erase(const Actor& actor);
  friend bool operator==(const CausalContext& a, const CausalContext& b) {
    return a.entries_ == b.entries_;
  }

 private:
  std::vector<Entry> entries_;  // sorted by actor: the same bytes on every replica
};

}  // namespace ringlet
