#include "versioning/object.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <tuple>
#include <utility>

#include "base/planted.hpp"
#include "versioning/hash.hpp"

namespace ringlet {
namespace {

// The total order of last-write-wins. What O-19 names comes first; the rest decides between
// versions that differ in nothing it names (a delete and a put of nothing in the same microsecond).
bool lww_less(const Version& a, const Version& b) {
  auto stamp = [](const Version& v) { return std::tie(v.written_us, v.dot.actor); };
  if (planted(PlantedBug::tie_by_arrival)) return a.written_us < b.written_us;
  if (stamp(a) != stamp(b)) return stamp(a) < stamp(b);
  if (std::uint64_t x = xxh3(a.value), y = xxh3(b.value); x != y) return x < y;
  auto rest = [](const Version& v) {
    return std::tie(v.tombstone, v.write_id, v.dot.counter, v.content_type, v.value);
  };
  return rest(a) < rest(b);
}

// ---- replaced writes ----

bool earlier(const SpentWrite& a, const SpentWrite& b) {
  return a.time_ms < b.time_ms;
}

constexpr std::size_t first_room = 8;  // so that the first few allocate once

auto find_spent(std::vector<SpentWrite>& spent, std::uint64_t fingerprint) {
  return std::lower_bound(
      spent.begin(), spent.end(), fingerprint,
      [](const SpentWrite& s, std::uint64_t wanted) { return s.fingerprint < wanted; });
}

// Of two times the later one. Returns whether anything changed.
bool spend(Object& object, std::uint64_t fingerprint, std::int64_t time_ms) {
  auto at = find_spent(object.spent, fingerprint);
  if (at != object.spent.end() && at->fingerprint == fingerprint) {
    if (at->time_ms >= time_ms) return false;
    at->time_ms = time_ms;
    return true;
  }
  if (object.spent.capacity() == 0) {
    object.spent.reserve(first_room);
    at = object.spent.end();
  }
  object.spent.insert(at, {fingerprint, time_ms});
  return true;
}

// A stamp may be any number, from damage or a forged message; what is stored must be read again.
constexpr std::int64_t latest_ms = std::int64_t{1} << 52;
// In the year 2248. What a client tells is not believed beyond it, so that it cannot bring the notes of a key to
// the end of time, where they have no order.
constexpr std::int64_t latest_told_ms = std::int64_t{1} << 43;
std::int64_t millis_of(std::int64_t us) {
  return std::clamp<std::int64_t>(us / 1000, 0, latest_ms);
}
std::int64_t just_after(std::int64_t us) {
  return us == std::numeric_limits<std::int64_t>::max() ? us : us + 1;
}
std::int64_t later_by(std::int64_t us, std::int64_t more_us) {
  return us > std::numeric_limits<std::int64_t>::max() - more_us
             ? std::numeric_limits<std::int64_t>::max()
             : us + more_us;
}

// The time of what is noted next in this object: after all that was noted or forgotten before, here or in
// what the writer had read, though another node's clock was ahead of this one. By the clock alone the newest
// notes of a node whose clock is behind would be the first to be forgotten, and at once where the row is a
// fallback's and empty.
std::int64_t next_note_ms(const Object& object, const CausalContext& seen, std::int64_t above_us,
                          std::int64_t wall_us) {
  if (planted(PlantedBug::note_by_clock_alone)) return millis_of(wall_us);
  std::int64_t last_ms = object.forgotten_ms;
  for (const SpentWrite& s : object.spent) last_ms = std::max(last_ms, s.time_ms);
  auto told = [&](std::int64_t ms) {
    if (ms <= latest_told_ms) last_ms = std::max(last_ms, ms);
  };
  told(millis_of(above_us));
  // A context of an older release has no newest stamp, but the time of each entry.
  for (const CausalContext::Entry& entry : seen.entries()) told(entry.last_ms);
  return std::max(millis_of(wall_us), std::min(last_ms, latest_ms - 1) + 1);
}

// No version is replaced before it was stamped.
std::int64_t after_stamp_ms(const Version& version) {
  return std::min(millis_of(version.written_us), latest_ms - 1) + 1;
}

// Those of the other's notes that are new to mine, or later than there, up to as many as there is room for.
// Returns how many.
std::size_t news_of_spent(const std::vector<SpentWrite>& mine, const std::vector<SpentWrite>& other,
                          std::span<SpentWrite> news) {
  std::size_t count = 0;
  auto at = mine.begin();
  for (const SpentWrite& theirs : other) {
    while (at != mine.end() && at->fingerprint < theirs.fingerprint) ++at;
    const bool there = at != mine.end() && at->fingerprint == theirs.fingerprint;
    if (there && at->time_ms >= theirs.time_ms) continue;
    news[count++] = theirs;
    if (count == news.size()) break;
  }
  return count;
}

bool join_spent(Object& object, const Object& other) {
  if (planted(PlantedBug::spent_forgotten_by_sync)) return false;
  bool changed = object.forgotten_ms < other.forgotten_ms;
  if (changed) object.forgotten_ms = other.forgotten_ms;
  std::array<SpentWrite, 4> news;
  const std::size_t count = news_of_spent(object.spent, other.spent, news);
  if (count == 0) return changed;
  if (count < news.size()) {  // mostly: the copies of a key differ by its latest writes
    for (std::size_t i = 0; i < count; ++i) spend(object, news[i].fingerprint, news[i].time_ms);
    return true;
  }
  std::vector<SpentWrite> joined;
  joined.reserve(object.spent.size() + other.spent.size());
  auto mine = object.spent.begin();
  for (const SpentWrite& theirs : other.spent) {
    while (mine != object.spent.end() && mine->fingerprint < theirs.fingerprint) {
      joined.push_back(*mine++);
    }
    joined.push_back(theirs);
    if (mine != object.spent.end() && mine->fingerprint == theirs.fingerprint) {
      joined.back().time_ms = std::max(mine->time_ms, theirs.time_ms);
      ++mine;
    }
  }
  joined.insert(joined.end(), mine, object.spent.end());
  object.spent = std::move(joined);
  return true;
}

// Whether a version of `versions` carries an id that `spent` has.
bool any_spent(const std::vector<Version>& versions, const Object& spent) {
  return !spent.spent.empty() &&
         std::any_of(versions.begin(), versions.end(),
                     [&](const Version& v) { return spent.is_spent(v.write_id); });
}

// ---- last write wins ----

bool sync_lww(Object& object, const Object& other) {
  const Version* winner = nullptr;
  for (const Object* side : {static_cast<const Object*>(&object), &other}) {
    for (const Version& version : side->versions) {
      if (winner == nullptr || lww_less(*winner, version)) winner = &version;
    }
  }
  // Mine were asked first, so an equal one of the other's does not win and is no change.
  bool stays = winner == nullptr || (object.versions.size() == 1 && winner == &object.versions[0]);
  bool changed = !stays || object.mode != Reconcile::lww || !object.context.empty();
  changed |= join_spent(object, other);
  // What loses here lost everywhere: no copy of it is stamped anew. Whatever lost is noted, a twin of
  // the winner too, so that the notes do not depend on who met whom first; for the same reason its time is
  // told by its own stamp.
  if (!planted(PlantedBug::spent_forgotten_by_sync)) {
    for (const Object* side : {static_cast<const Object*>(&object), &other}) {
      for (const Version& version : side->versions) {
        if (&version == winner || version == *winner || !version.write_id) continue;
        changed |= spend(object, fingerprint(version.write_id), after_stamp_ms(version));
      }
    }
  }
  if (!changed) return false;
  object.mode = Reconcile::lww;
  object.context = {};
  if (!stays) object.versions = std::vector<Version>{*winner};
  return true;
}

// The clocks of whoever wrote decide only between what neither follows from the other.
Dot update_lww(Object& object, const Actor& actor, Write write, std::int64_t wall_us) {
  Object lww;
  lww.mode = Reconcile::lww;
  if (object.mode != Reconcile::lww) sync_lww(object, lww);
  const Version* held = object.versions.empty() ? nullptr : &object.versions[0];
  if (write.write_id && !planted(PlantedBug::write_id_ignored)) {
    if (held != nullptr && held->write_id == write.write_id) return held->dot;
    if (object.is_spent(write.write_id)) return {};
  }
  // What is held tells the time as well: where this clock is behind, the write would have another stamp here than
  // at a replica whose clock is right, and a late copy there would overtake what follows it here.
  std::int64_t latest_us = wall_us;
  if (held != nullptr && !planted(PlantedBug::born_by_clock_alone)) {
    latest_us = std::max(latest_us, held->written_us);
  }
  const bool told = write.born_us != 0 && write.born_us <= later_by(latest_us, max_born_ahead_us);
  std::int64_t stamp = told ? write.born_us : wall_us - std::int64_t{write.age_ms} * 1000;
  if (write.above_us != 0 && !planted(PlantedBug::stamp_not_above_seen)) {
    stamp = std::max(stamp, just_after(write.above_us));
  }
  if (held != nullptr && !planted(PlantedBug::stamp_not_above_held)) {
    stamp = std::max(stamp, just_after(held->written_us));
  }
  std::vector<std::uint64_t> replaces = std::move(write.replaces);
  if (held != nullptr && held->write_id) replaces.push_back(fingerprint(held->write_id));
  const std::int64_t note_ms = next_note_ms(object, {}, write.above_us, wall_us);
  Object stamped = lww_object(actor.node, std::move(write), stamp);
  sync_lww(object, stamped);
  if (!planted(PlantedBug::spent_forgotten_by_update)) {
    std::uint64_t own = fingerprint(stamped.versions[0].write_id);
    for (std::uint64_t seen : replaces) {
      if (seen != own) spend(object, seen, note_ms);
    }
  }
  return stamped.versions[0].dot;
}

// One dot names one version, unless an actor minted it twice, which its epoch is there to prevent.
// Should it happen, every replica keeps the same one of the two.
bool same_dot_loses(const Version& mine, const Version& theirs) {
  auto all = [](const Version& v) {
    return std::tie(v.written_us, v.write_id, v.tombstone, v.content_type, v.value);
  };
  return all(mine) < all(theirs);
}

// What a walk over both sorted lists of versions decides about each.
enum class Fate { keep_mine, drop_mine, take_theirs, skip_theirs, replace_mine };

// Calls visit(fate, mine, theirs) for every version in the order of dots; the one that does not
// exist is nullptr. `versions` is the object's, const or not.
template <typename Versions, typename Visit>
void walk(Versions& versions, const CausalContext& context, const Object& other,
          const Visit& visit) {
  // The planted bug: a replica forgets to ask whether the other side had seen and dropped it.
  const bool ask = !planted(PlantedBug::sync_keeps_ancestors);
  auto mine = versions.begin(), mine_end = versions.end();
  auto theirs = other.versions.begin(), theirs_end = other.versions.end();
  while (mine != mine_end || theirs != theirs_end) {
    if (theirs == theirs_end || (mine != mine_end && mine->dot < theirs->dot)) {
      bool drop = ask && other.context.contains(mine->dot);
      visit(drop ? Fate::drop_mine : Fate::keep_mine, &*mine++, nullptr);
    } else if (mine == mine_end || theirs->dot < mine->dot) {
      bool skip = ask && context.contains(theirs->dot);
      visit(skip ? Fate::skip_theirs : Fate::take_theirs, nullptr, &*theirs++);
    } else {
      bool loses = same_dot_loses(*mine, *theirs);
      visit(loses ? Fate::replace_mine : Fate::keep_mine, &*mine++, &*theirs++);
    }
  }
}

// Does the join bring this context anything, be it only the time of an entry?
bool adds_to(const CausalContext& context, const CausalContext& other) {
  auto mine = context.entries().begin(), end = context.entries().end();
  for (const CausalContext::Entry& theirs : other.entries()) {
    while (mine != end && mine->actor < theirs.actor) ++mine;
    if (mine == end || mine->actor != theirs.actor) return true;
    if (std::pair(mine->counter, mine->last_ms) < std::pair(theirs.counter, theirs.last_ms)) {
      return true;
    }
  }
  return false;
}

void insert(std::vector<Version>& versions, Version version) {
  auto at = std::lower_bound(versions.begin(), versions.end(), version.dot,
                             [](const Version& v, const Dot& dot) { return v.dot < dot; });
  versions.insert(at, std::move(version));
}

}  // namespace

void Write::grow_older(std::int64_t more_ms) {
  age_ms = static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(age_ms + std::max<std::int64_t>(more_ms, 0), 0, UINT32_MAX));
}

std::uint64_t fingerprint(WriteId id) {
  char bytes[16];
  for (int i = 0; i < 8; ++i) {
    bytes[i] = static_cast<char>(id.high >> (8 * i) & 0xff);
    bytes[8 + i] = static_cast<char>(id.low >> (8 * i) & 0xff);
  }
  return xxh3({bytes, sizeof bytes});
}

bool Object::is_spent(WriteId id) const {
  if (spent.empty() || !id) return false;
  std::uint64_t wanted = fingerprint(id);
  auto at =
      std::lower_bound(spent.begin(), spent.end(), wanted,
                       [](const SpentWrite& s, std::uint64_t f) { return s.fingerprint < f; });
  return at != spent.end() && at->fingerprint == wanted;
}

Dot update(Object& object, const CausalContext& seen, const Actor& actor, Write write,
           std::int64_t wall_us) {
  if (object.mode == Reconcile::lww) return update_lww(object, actor, std::move(write), wall_us);
  if (write.write_id && !planted(PlantedBug::write_id_ignored)) {
    for (const Version& version : object.versions) {
      if (version.write_id == write.write_id) return version.dot;
    }
    if (object.is_spent(write.write_id)) return {};
  }
  // The client may have seen more of this actor than this copy has: past that as well, or the new
  // dot would be one that the client's context already covers.
  Dot dot{actor, std::max(object.context.counter(actor), seen.counter(actor)) + 1};
  // What the client was shown and what is replaced here are noted; the write itself never, though a
  // client may have been shown a copy of it before it repeats it.
  bool noted = false;
  const std::int64_t note_ms = next_note_ms(object, seen, write.above_us, wall_us);
  auto note = [&](std::uint64_t replaced, std::int64_t time_ms) {
    if (planted(PlantedBug::spent_forgotten_by_update)) return;
    spend(object, replaced, time_ms);
    noted = true;
  };
  std::erase_if(object.versions, [&](const Version& v) {
    bool replaced = seen.contains(v.dot);
    if (replaced && v.write_id && v.write_id != write.write_id) {
      note(fingerprint(v.write_id), std::max(after_stamp_ms(v), note_ms));
    }
    return replaced || (planted(PlantedBug::plain_clocks) && v.dot.actor == actor);
  });
  if (!write.replaces.empty()) {
    std::uint64_t own = fingerprint(write.write_id);
    for (std::uint64_t replaced : write.replaces) {
      if (replaced != own || !write.write_id) note(replaced, note_ms);
    }
  }
  // A copy of a replaced write under another dot goes with it.
  if (noted) {
    std::erase_if(object.versions, [&](const Version& v) { return object.is_spent(v.write_id); });
  }
  object.context.join(seen);
  object.context.add(dot, wall_us / 1000);
  insert(object.versions, Version{dot, write.write_id, wall_us, write.tombstone,
                                  std::move(write.value), std::move(write.content_type)});
  return dot;
}

bool contradicts(const Object& object, const Write& write) {
  if (!write.write_id) return false;
  return std::any_of(object.versions.begin(), object.versions.end(), [&](const Version& v) {
    return v.write_id == write.write_id &&
           std::tie(v.tombstone, v.content_type, v.value) !=
               std::tie(write.tombstone, write.content_type, write.value);
  });
}

Dot remove(Object& object, const CausalContext& seen, const Actor& actor, WriteId write_id,
           std::int64_t wall_us) {
  Write write;
  write.write_id = write_id;
  write.tombstone = true;
  return update(object, seen, actor, std::move(write), wall_us);
}

namespace {

bool versions_differ(const Object& object, const Object& other) {
  bool change = false;
  walk(object.versions, object.context, other, [&](Fate fate, const Version*, const Version*) {
    change |= fate != Fate::keep_mine && fate != Fate::skip_theirs;
  });
  return change;
}

}  // namespace

bool sync(Object& object, const Object& other) {
  if (object.mode == Reconcile::lww || other.mode == Reconcile::lww) return sync_lww(object, other);

  // First only look: replicas mostly agree already, and then nothing is written or allocated.
  bool versions_change = versions_differ(object, other);
  bool context_changes = adds_to(object.context, other.context);

  if (versions_change) {
    std::vector<Version> kept;
    kept.reserve(object.versions.size() + other.versions.size());
    walk(object.versions, object.context, other,
         [&](Fate fate, Version* mine, const Version* theirs) {
           if (fate == Fate::keep_mine) kept.push_back(std::move(*mine));
           if (fate == Fate::take_theirs || fate == Fate::replace_mine) kept.push_back(*theirs);
         });
    object.versions = std::move(kept);
  }
  if (context_changes) object.context.join(other.context);
  bool spent_changes = join_spent(object, other);
  // A late copy of a write that either side knows to be replaced. Its dot stays in the context, so that
  // it goes from the other replicas too.
  bool ask = !planted(PlantedBug::sync_keeps_ancestors);
  if (ask && (spent_changes || versions_change) && any_spent(object.versions, object)) {
    std::size_t before = object.versions.size();
    std::erase_if(object.versions, [&](const Version& v) { return object.is_spent(v.write_id); });
    versions_change |= object.versions.size() != before;
  }
  return versions_change || context_changes || spent_changes;
}

namespace {

// The notes of `other` that `object` learns by a join, the latest last. Not those that it had and forgot, of which
// a copy that is a little behind still has some: by the contexts one can count how many writes were replaced
// since, and those are the latest ones.
class LearntNotes {
 public:
  LearntNotes(const Object& object, const Object& other) {
    for (const SpentWrite& s : object.spent) last_ms_ = std::max(last_ms_, s.time_ms);
    auto at = object.spent.begin();
    for (const SpentWrite& theirs : other.spent) {
      while (at != object.spent.end() && at->fingerprint < theirs.fingerprint) ++at;
      const bool known = at != object.spent.end() && at->fingerprint == theirs.fingerprint;
      if (!known) notes_.push_back(theirs);
    }
    if (notes_.empty()) return;
    std::uint64_t minted = 0;  // dots that are new here, those of living versions left out
    constexpr std::uint64_t many = 1 << 20;
    for (const CausalContext::Entry& entry : other.context.entries()) {
      const std::uint64_t known = object.context.counter(entry.actor);
      if (entry.counter > known) minted += std::min(entry.counter - known, many);
    }
    for (const Version& version : other.versions) {
      if (minted > 0 && !object.context.contains(version.dot)) --minted;
    }
    replaced_elsewhere_ = static_cast<std::size_t>(minted);
    for (const Version& version : object.versions) held_.push_back(version.dot);
  }

  // After the join: the row learns of them now, so they come after all that it knew. By the clocks that they were
  // made by they might be older than all its notes, and would be forgotten at once.
  void come_last(Object& object) {
    if (notes_.empty() || planted(PlantedBug::learnt_notes_by_clock) ||
        planted(PlantedBug::note_by_clock_alone)) {
      return;
    }
    std::size_t count = replaced_elsewhere_;
    for (const Dot& dot : held_) {
      auto at = std::lower_bound(object.versions.begin(), object.versions.end(), dot,
                                 [](const Version& v, const Dot& d) { return v.dot < d; });
      count += at == object.versions.end() || at->dot != dot;
    }
    count = std::min(count, notes_.size());
    std::sort(notes_.begin(), notes_.end(), [](const SpentWrite& a, const SpentWrite& b) {
      return std::tie(a.time_ms, a.fingerprint) < std::tie(b.time_ms, b.fingerprint);
    });
    for (std::size_t i = notes_.size() - count; i < notes_.size(); ++i) {
      if (notes_[i].time_ms <= last_ms_) {
        last_ms_ = std::min(last_ms_ + 1, latest_ms);
        spend(object, notes_[i].fingerprint, last_ms_);
      }
    }
  }

 private:
  std::vector<SpentWrite> notes_;
  std::vector<Dot> held_;  // before the join
  std::size_t replaced_elsewhere_ = 0;
  std::int64_t last_ms_ = 0;
};

}  // namespace

bool sync_stored(Object& object, const Object& other) {
  if (object.mode == Reconcile::siblings && other.mode == Reconcile::siblings) {
    LearntNotes learnt(object, other);
    const bool changed = sync(object, other);
    learnt.come_last(object);
    return changed;
  }
  bool both = object.mode == Reconcile::lww && other.mode == Reconcile::lww &&
              object.versions.size() == 1 && other.versions.size() == 1;
  if (!both) return sync(object, other);
  Version& mine = object.versions[0];
  const Version& theirs = other.versions[0];
  // Noted on both sides, they have met in both orders, and the stamps decide.
  const bool mine_followed = other.is_spent(mine.write_id);
  const bool theirs_followed = object.is_spent(theirs.write_id);
  if (mine.write_id == theirs.write_id || mine_followed == theirs_followed) {
    return sync(object, other);
  }
  if (theirs_followed && lww_less(mine, theirs)) {
    mine.written_us = just_after(theirs.written_us);
    sync(object, other);
    return true;
  }
  if (mine_followed && lww_less(theirs, mine)) {
    Object raised = other;
    raised.versions[0].written_us = just_after(mine.written_us);
    return sync(object, raised);
  }
  return sync(object, other);
}

bool lacks(const Object& object, const Object& other) {
  if (object.mode == Reconcile::lww || other.mode == Reconcile::lww) {
    auto greatest = [](const Object& of) {
      auto at = std::max_element(of.versions.begin(), of.versions.end(), lww_less);
      return at == of.versions.end() ? nullptr : &*at;
    };
    const Version *mine = greatest(object), *theirs = greatest(other);
    bool loses = theirs != nullptr && (mine == nullptr || lww_less(*mine, *theirs));
    return loses || object.mode != Reconcile::lww || object.versions.size() > 1;
  }
  return versions_differ(object, other) || adds_to(object.context, other.context) ||
         any_spent(object.versions, other);
}

bool add_spent(Object& object, std::vector<SpentWrite> notes) {
  Object other;
  std::sort(notes.begin(), notes.end(), [](const SpentWrite& a, const SpentWrite& b) {
    return std::tie(a.fingerprint, b.time_ms) < std::tie(b.fingerprint, a.time_ms);
  });
  for (const SpentWrite& note : notes) {
    if (!other.spent.empty() && other.spent.back().fingerprint == note.fingerprint) continue;
    other.spent.push_back({note.fingerprint, std::clamp<std::int64_t>(note.time_ms, 0, latest_ms)});
  }
  bool changed = join_spent(object, other);
  auto gone =
      std::erase_if(object.versions, [&](const Version& v) { return object.is_spent(v.write_id); });
  return changed || gone > 0;
}

namespace {

// How many go of those that are too many.
std::size_t few_at_once(std::size_t size, std::size_t most, std::size_t most_joined) {
  constexpr std::size_t at_once = 2;  // a write adds one, so there is one less with each write
  const std::size_t beyond = size - std::min(size, std::max(most, most_joined));
  return std::max(beyond, std::min(size - most, at_once));
}

}  // namespace

std::size_t forget_spent(Object& object, std::optional<std::int64_t> wall_us,
                         const SpentLimits& limits) {
  std::vector<SpentWrite>& spent = object.spent;
  std::int64_t newest_ms = 0;
  for (const Version& version : object.versions) {
    newest_ms = std::max(newest_ms, millis_of(version.written_us));
  }
  const std::int64_t now_ms = wall_us ? millis_of(*wall_us) : newest_ms;
  auto when_forgotten = [&](std::int64_t told_ms) {
    const bool no_clock = !wall_us && object.versions.empty();
    const bool believed = no_clock || told_ms - now_ms <= limits.apart_s * 1000 ||
                          planted(PlantedBug::forgotten_in_the_future);
    return believed ? told_ms : now_ms;
  };
  object.forgotten_ms = when_forgotten(object.forgotten_ms);
  if (spent.empty()) return 0;
  const std::size_t before = spent.size();
  std::int64_t by_both_ms = object.versions.empty() ? now_ms : std::min(now_ms, newest_ms);
  const bool deleted = object.mode == Reconcile::siblings &&
                       std::any_of(object.versions.begin(), object.versions.end(),
                                   [](const Version& v) { return v.tombstone; });
  const std::size_t most = deleted ? std::max(limits.most, limits.most_deleted) : limits.most;
  const std::int64_t life_ms = limits.life_s * 1000;
  std::erase_if(spent, [&](const SpentWrite& s) { return s.time_ms < by_both_ms - life_ms; });
  if (spent.size() <= most) return before - spent.size();

  // The latest time of those in excess; of the notes of that very millisecond only as many go as must.
  const std::size_t excess = few_at_once(spent.size(), most, limits.most_joined);
  std::int64_t last_ms = 0;
  if (excess == 1) {  // as it is with each write of a key that is written often
    last_ms = std::min_element(spent.begin(), spent.end(), earlier)->time_ms;
  } else {
    std::vector<SpentWrite> by_time = spent;
    auto last = by_time.begin() + static_cast<std::ptrdiff_t>(excess - 1);
    std::nth_element(by_time.begin(), last, by_time.end(), earlier);
    last_ms = last->time_ms;
  }
  std::size_t of_last = excess;
  for (const SpentWrite& s : spent) of_last -= s.time_ms < last_ms;
  std::erase_if(spent, [&](const SpentWrite& s) {
    if (s.time_ms != last_ms) return s.time_ms < last_ms;
    if (of_last == 0) return false;
    --of_last;
    return true;
  });
  object.forgotten_ms = std::max(object.forgotten_ms, when_forgotten(last_ms));
  return before - spent.size();
}

std::int64_t newest_stamp_shown(const Object& object) {
  std::int64_t newest_us = 0;
  for (const Version& version : object.versions) {
    newest_us = std::max(newest_us, version.written_us);
  }
  if (object.mode == Reconcile::lww) return newest_us;
  std::int64_t noted_ms = object.forgotten_ms;
  for (const SpentWrite& s : object.spent) noted_ms = std::max(noted_ms, s.time_ms);
  return std::max(std::min(newest_us, latest_ms * 1000), noted_ms * 1000);
}

Object lww_object(NodeId stamper, Write write, std::int64_t wall_us) {
  Object object;
  object.mode = Reconcile::lww;
  object.versions.push_back(Version{Dot{Actor{stamper, 0}, 1}, write.write_id, wall_us,
                                    write.tombstone, std::move(write.value),
                                    std::move(write.content_type)});
  return object;
}

std::vector<const Version*> siblings(const Object& object) {
  std::vector<const Version*> shown;
  if (std::all_of(object.versions.begin(), object.versions.end(),
                  [](const Version& v) { return v.tombstone; })) {
    return shown;
  }
  shown.reserve(object.versions.size());
  for (const Version& version : object.versions) shown.push_back(&version);
  if (shown.size() == 1 || planted(PlantedBug::write_id_ignored)) return shown;

  // Two dots are one write only if they carry the same thing: a client that used one id for two
  // values is shown both rather than losing one.
  auto write = [](const Version* v) {
    return std::tie(v->write_id, v->tombstone, v->content_type, v->value);
  };
  std::sort(shown.begin(), shown.end(), [&](const Version* a, const Version* b) {
    if (auto x = write(a), y = write(b); x != y) return x < y;
    return a->dot < b->dot;
  });
  auto last = std::unique(shown.begin(), shown.end(), [&](const Version* a, const Version* b) {
    return a->write_id && write(a) == write(b);
  });
  shown.erase(last, shown.end());
  std::sort(shown.begin(), shown.end(),
            [](const Version* a, const Version* b) { return a->dot < b->dot; });
  return shown;
}

std::size_t truncate(Object& object, const Actor& keep, std::int64_t wall_ms,
                     const Truncation& truncation) {
  std::size_t size = object.context.size();
  if (size <= truncation.threshold) return 0;

  // Versions lie in the order of their dots, so an actor's are found as the entries are, side by side.
  auto version = object.versions.begin();
  std::vector<CausalContext::Entry> droppable;
  for (const CausalContext::Entry& entry : object.context.entries()) {
    while (version != object.versions.end() && version->dot.actor < entry.actor) ++version;
    bool alive = version != object.versions.end() && version->dot.actor == entry.actor;
    // This way round, for the time may be any: a context comes from outside. An entry of days to come would
    // otherwise be young for as long, and such contexts would let a row grow without end.
    bool young = entry.last_ms > wall_ms - truncation.minimum_age_ms &&
                 entry.last_ms <= wall_ms + truncation.apart_ms;
    if (!alive && !young && entry.actor != keep) droppable.push_back(entry);
  }
  auto age = [&](const CausalContext::Entry& entry) {
    const bool believed = entry.last_ms <= wall_ms + truncation.apart_ms;
    return std::tuple(believed, entry.last_ms, entry.actor);
  };
  std::sort(droppable.begin(), droppable.end(),
            [&](const auto& a, const auto& b) { return age(a) < age(b); });
  std::size_t dropped = std::min(droppable.size(), size - truncation.threshold);
  for (std::size_t i = 0; i < dropped; ++i) object.context.erase(droppable[i].actor);
  return dropped;
}

}  // namespace ringlet
