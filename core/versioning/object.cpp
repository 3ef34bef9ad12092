#include "versioning/object.hpp"

#include <algorithm>
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

bool sync_lww(Object& object, const Object& other) {
  const Version* winner = nullptr;
  for (const Object* side : {static_cast<const Object*>(&object), &other}) {
    for (const Version& version : side->versions) {
      if (winner == nullptr || lww_less(*winner, version)) winner = &version;
    }
  }
  // Mine were asked first, so an equal one of the other's does not win and is no change.
  bool stays = winner == nullptr || (object.versions.size() == 1 && winner == &object.versions[0]);
  if (stays && object.mode == Reconcile::lww && object.context.empty()) return false;

  object.mode = Reconcile::lww;
  object.context = {};
  if (!stays) object.versions = std::vector<Version>{*winner};
  return true;
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

Dot update(Object& object, const CausalContext& seen, const Actor& actor, Write write,
           std::int64_t wall_us) {
  if (object.mode == Reconcile::lww) {
    // Nothing to mint a dot from: the stamp is the version. The older of the two goes.
    Object stamped = lww_object(actor.node, std::move(write), wall_us);
    stamped.versions[0].dot.actor = actor;
    sync(object, stamped);
    return stamped.versions[0].dot;
  }
  if (write.write_id && !planted(PlantedBug::write_id_ignored)) {
    for (const Version& version : object.versions) {
      if (version.write_id == write.write_id) return version.dot;
    }
  }
  // The client may have seen more of this actor than this copy has: past that as well, or the new
  // dot would be one that the client's context already covers.
  Dot dot{actor, std::max(object.context.counter(actor), seen.counter(actor)) + 1};
  std::erase_if(object.versions, [&](const Version& v) {
    return seen.contains(v.dot) || (planted(PlantedBug::plain_clocks) && v.dot.actor == actor);
  });
  object.context.join(seen);
  object.context.add(dot, wall_us / 1000);
  insert(object.versions, Version{dot, write.write_id, wall_us, write.tombstone,
                                  std::move(write.value), std::move(write.content_type)});
  return dot;
}

Dot remove(Object& object, const CausalContext& seen, const Actor& actor, WriteId write_id,
           std::int64_t wall_us) {
  return update(object, seen, actor, Write{write_id, true, {}, {}}, wall_us);
}

bool sync(Object& object, const Object& other) {
  if (object.mode == Reconcile::lww || other.mode == Reconcile::lww) return sync_lww(object, other);

  // First only look: replicas mostly agree already, and then nothing is written or allocated.
  bool versions_change = false;
  walk(std::as_const(object.versions), object.context, other,
       [&](Fate fate, const Version*, const Version*) {
         versions_change |= fate != Fate::keep_mine && fate != Fate::skip_theirs;
       });
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
  return versions_change || context_changes;
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

  std::vector<CausalContext::Entry> droppable;
  for (const CausalContext::Entry& entry : object.context.entries()) {
    bool alive = std::any_of(object.versions.begin(), object.versions.end(),
                             [&](const Version& v) { return v.dot.actor == entry.actor; });
    // This way round, for the time may be any: a context comes from outside.
    bool young = entry.last_ms > wall_ms - truncation.minimum_age_ms;
    if (!alive && !young && entry.actor != keep) droppable.push_back(entry);
  }
  std::sort(droppable.begin(), droppable.end(), [](const auto& a, const auto& b) {
    return std::tie(a.last_ms, a.actor) < std::tie(b.last_ms, b.actor);
  });
  std::size_t dropped = std::min(droppable.size(), size - truncation.threshold);
  for (std::size_t i = 0; i < dropped; ++i) object.context.erase(droppable[i].actor);
  return dropped;
}

}  // namespace ringlet
