#include "versioning/causal_context.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"

namespace ringlet {
namespace {

using Entry = CausalContext::Entry;

template <typename Entries>
auto find(Entries& entries, const Actor& actor) {
  return std::lower_bound(entries.begin(), entries.end(), actor,
                          [](const Entry& e, const Actor& a) { return e.actor < a; });
}

// Takes the later of two entries of one actor. An event has one time, so entries of equal counters
// differ in it only after damage; the later one is taken so that replicas agree on their bytes all
// the same.
void raise(Entry& mine, const Entry& other) {
  if (std::pair(mine.counter, mine.last_ms) < std::pair(other.counter, other.last_ms)) mine = other;
}

}  // namespace

std::uint64_t CausalContext::counter(const Actor& actor) const {
  auto at = find(entries_, actor);
  return at != entries_.end() && at->actor == actor ? at->counter : 0;
}

void CausalContext::add(const Dot& dot, std::int64_t wall_ms) {
  RINGLET_ASSERT(dot.counter >= 1);
  Entry entry{dot.actor, dot.counter, wall_ms};
  auto at = find(entries_, dot.actor);
  if (at != entries_.end() && at->actor == dot.actor) {
    raise(*at, entry);
  } else {
    entries_.insert(at, entry);
  }
}

void CausalContext::join(const CausalContext& other) {
  // Nearly always both name the same few actors: raised in place, nothing is allocated.
  std::size_t unknown = 0;
  auto mine = entries_.begin();
  for (const Entry& theirs : other.entries_) {
    while (mine != entries_.end() && mine->actor < theirs.actor) ++mine;
    if (mine != entries_.end() && mine->actor == theirs.actor) {
      raise(*mine, theirs);
    } else {
      ++unknown;
    }
  }
  if (unknown == 0) return;

  std::vector<Entry> joined;
  joined.reserve(entries_.size() + unknown);
  auto theirs = other.entries_.begin();
  for (const Entry& entry : entries_) {
    for (; theirs != other.entries_.end() && theirs->actor < entry.actor; ++theirs) {
      joined.push_back(*theirs);
    }
    if (theirs != other.entries_.end() && theirs->actor == entry.actor) ++theirs;
    joined.push_back(entry);
  }
  joined.insert(joined.end(), theirs, other.entries_.end());
  entries_ = std::move(joined);
}

CausalOrder CausalContext::compare(const CausalContext& other) const {
  bool mine = covers(other), theirs = other.covers(*this);
  if (mine && theirs) return CausalOrder::equal;
  if (mine) return CausalOrder::after;
  return theirs ? CausalOrder::before : CausalOrder::concurrent;
}

bool CausalContext::covers(const CausalContext& other) const {
  auto mine = entries_.begin();
  for (const Entry& theirs : other.entries_) {
    while (mine != entries_.end() && mine->actor < theirs.actor) ++mine;
    if (mine == entries_.end() || mine->actor != theirs.actor || mine->counter < theirs.counter) {
      return false;
    }
  }
  return true;
}

void CausalContext::set_entries(std::vector<Entry> entries) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.actor < b.actor; });
  auto twice =
      std::adjacent_find(entries.begin(), entries.end(),
                         [](const Entry& a, const Entry& b) { return a.actor == b.actor; });
  RINGLET_ASSERT(twice == entries.end());
  // A counter of 0 says "never seen", which an absent entry says already.
  std::erase_if(entries, [](const Entry& e) { return e.counter == 0; });
  entries_ = std::move(entries);
}

void CausalContext::erase(const Actor& actor) {
  auto at = find(entries_, actor);
  if (at != entries_.end() && at->actor == actor) entries_.erase(at);
}

}  // namespace ringlet
