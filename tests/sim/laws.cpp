// The laws of docs/requirements.md, one class each (L14: three).
#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "document/deletes.hpp"
#include "law.hpp"
#include "node/hint_key.hpp"
#include "node/upkeep.hpp"
#include "unit/document/oracle.hpp"
#include "versioning/encoding.hpp"

namespace ringlet::sim {

std::vector<Object> copies_at(const Scene& scene, HostId node, const Key& key) {
  std::vector<Object> copies;
  World& world = scene.world;
  auto add = [&](const Rows& rows, const Bytes& row) {
    auto it = rows.find(row);
    if (it == rows.end()) return;
    auto object = decode_record(it->second);
    if (object.is_ok()) copies.push_back(std::move(*object));
  };
  if (scene.gone.contains(node)) return copies;
  add(world.disk(node).rows(Table::objects),
      object_row(world.ring()->partition_of(token_of(key)), key));
  const Rows& hints = world.disk(node).rows(Table::hints);
  if (hints.empty()) return copies;
  for (HostId target = 0; target < world.nodes(); ++target)
    add(hints, hint_row(world.id_of(target), key));
  return copies;
}

std::vector<Object> copies_of(const Scene& scene, const Key& key, std::optional<HostId> without) {
  std::vector<Object> copies;
  for (HostId node = 0; node < scene.world.nodes(); ++node) {
    if (without && *without == node) continue;
    for (Object& copy : copies_at(scene, node, key)) copies.push_back(std::move(copy));
  }
  return copies;
}

std::string surplus(const Scene& scene) {
  World& world = scene.world;
  auto ring = scene.ring();
  for (HostId node = 0; node < world.nodes(); ++node) {
    if (scene.gone.contains(node)) continue;
    for (const auto& [row, record] : world.disk(node).rows(Table::objects)) {
      auto key = parse_object_row(row);
      RINGLET_ASSERT(key.has_value());
      if (!ring->owns(world.id_of(node), token_of(*key)))
        return world.name_of_host(node) + " still holds " + printable(*key) +
               ", which it does not own";
    }
  }
  return {};
}

std::string difference(const Scene& scene) {
  World& world = scene.world;
  for (const auto& [key, ids] : scene.book.by_key()) {
    HostId first = scene.owner(key, 0);
    Object object = world.stored(first, key);
    for (std::size_t i = 1; i < scene.owners(); ++i) {
      HostId other = scene.owner(key, i);
      if (world.stored(other, key) == object) continue;
      return world.name_of_host(first) + " and " + world.name_of_host(other) +
             " hold different versions of " + printable(key);
    }
  }
  return {};
}

namespace {

std::string where_from(const Key& key, const WriteRecord& write) {
  return "write " + to_string(write.id).substr(0, 8) + " of " + printable(key) + " by c" +
         std::to_string(write.client);
}

// Of acknowledged writes: which of them no copy and no later write accounts for?
std::vector<const WriteRecord*> unexplained(const Book& book, const Key& key,
                                            const std::vector<WriteId>& ids,
                                            const std::vector<Object>& copies) {
  std::vector<const Object*> present;
  for (const Object& copy : copies) present.push_back(&copy);
  std::set<WriteId> explained = book.explained_by(key, present);
  std::vector<const WriteRecord*> lost;
  for (WriteId id : ids) {
    const WriteRecord& write = book.writes().at(id);
    if (write.acknowledged && !explained.contains(id)) lost.push_back(&write);
  }
  return lost;
}

// L1: each acknowledged write is in what is left, or somebody who had been shown it has replaced it.
class NoWriteLost final : public Law {
 public:
  explicit NoWriteLost(Scene& scene)
      : Law(scene, Kind::safety, "L1", "no acknowledged write lost") {}

 private:
  void at_the_end() override {
    for (const auto& [key, ids] : scene_.book.by_key()) {
      std::vector<Object> copies = copies_of(scene_, key);
      if (scene_.plan.reconcile == Reconcile::lww) {
        latest_stays(key, ids, copies);
        continue;
      }
      for (const WriteRecord* write : unexplained(scene_.book, key, ids, copies)) {
        fail(where_from(key, *write) + " was acknowledged and nothing accounts for its absence");
      }
      no_item_lost(key, ids, copies);
    }
  }

  // With last-write-wins an acknowledged write may lose to a later stamp only.
  void latest_stays(const Key& key, const std::vector<WriteId>& ids,
                    const std::vector<Object>& copies) {
    std::int64_t left_us = 0;
    for (const Object& copy : copies) {
      for (const Version& version : copy.versions) left_us = std::max(left_us, version.written_us);
    }
    for (WriteId id : ids) {
      const WriteRecord& write = scene_.book.writes().at(id);
      if (write.acknowledged && write.stamp_us > left_us) {
        fail(where_from(key, write) + " was acknowledged with a later stamp than any that is left");
      }
    }
  }

  // The shopper's own view: an added item is in some sibling unless somebody took it out.
  void no_item_lost(const Key& key, const std::vector<WriteId>& ids,
                    const std::vector<Object>& copies) {
    if (key.bucket != "carts" && key.bucket != "sets") return;
    Object all;
    for (const Object& copy : copies) sync(all, copy);
    std::set<std::string> left;
    for (const Version* version : shown(all).versions) left.merge(items_of(version->value));
    for (WriteId id : ids) {
      const WriteRecord& write = scene_.book.writes().at(id);
      auto item = scene_.book.added().find(id);
      if (!write.acknowledged || item == scene_.book.added().end()) continue;
      if (left.contains(item->second) || scene_.book.was_removed(key, item->second)) continue;
      fail(item->second + " was acknowledged and is in no version of " + printable(key));
    }
  }
};

// L2: whatever is read was written, with this value, to this key.
class NoPhantom final : public Law {
 public:
  explicit NoPhantom(Scene& scene) : Law(scene, Kind::safety, "L2", "no phantom") {}

 private:
  void on_reply(const Key& key, const Object& object, const Where& where) override {
    for (const Version& version : object.versions) {
      const WriteRecord* write = scene_.book.find(version.write_id);
      if (write == nullptr) {
        fail(text(where) + " shows a write of " + printable(key) + " that nobody made");
      } else if (write->key != key) {
        fail(text(where) + " for " + printable(key) + " shows a write of " + printable(write->key));
      } else if (write->value != version.value || write->tombstone != version.tombstone) {
        fail(text(where) + " shows another value than " + where_from(key, *write) + " had");
      }
    }
  }
  void on_stored(HostId node, Table, const Key& key, const Object& object) override {
    on_reply(key, object, {"a row of", node});
  }
};

// L3: however often a write was repeated, it is one sibling.
class NoWriteTwice final : public Law {
 public:
  explicit NoWriteTwice(Scene& scene) : Law(scene, Kind::safety, "L3", "no write twice") {}

 private:
  void on_reply(const Key& key, const Object& object, const Where& where) override {
    std::set<WriteId> shown;
    // Not shown(), which would show two equal ones as one.
    for (const Version* version : siblings(object)) {
      if (shown.insert(version->write_id).second) continue;
      fail(text(where) + " shows write " + to_string(version->write_id) + " of " + printable(key) +
           " twice");
    }
  }
};

// L4: no version beside one that was written having seen it.
class NoAncestor final : public Law {
 public:
  explicit NoAncestor(Scene& scene)
      : Law(scene, Kind::safety, "L4", "no ancestor beside a descendant") {}

 private:
  void on_reply(const Key& key, const Object& object, const Where& where) override {
    if (object.mode == Reconcile::lww || object.versions.size() < 2) return;
    for (const Version& version : object.versions) {
      const WriteRecord* write = scene_.book.find(version.write_id);
      if (write == nullptr) continue;
      for (const Version& other : object.versions) {
        if (other.write_id == version.write_id || !write->seen.contains(other.dot)) continue;
        fail(text(where) + " for " + printable(key) + ": " + to_string(other.dot) + " beside " +
             to_string(version.dot) + ", which was written having read it");
      }
    }
  }
  void on_tick() override {
    for (const auto& [key, ids] : scene_.book.by_key()) {
      for (HostId node = 0; node < scene_.world.nodes(); ++node)
        on_reply(key, scene_.world.stored(node, key), {"the copy of", node});
    }
  }
  void at_the_end() override { on_tick(); }
};

// L5: sync is commutative, associative and idempotent, on the objects that really met.
class SyncIsAJoin final : public Law {
 public:
  explicit SyncIsAJoin(Scene& scene)
      : Law(scene, Kind::safety, "L5", "sync is commutative, associative, idempotent") {}

 private:
  static Object joined(Object a, const Object& b) {
    sync(a, b);
    return a;
  }
  void on_stored(HostId, Table, const Key& key, const Object& object) override {
    if (object.versions.size() > 20) return;  // the same law, at a price
    std::vector<Object>& met = met_[key];
    if (!met.empty() && met.back() == object) return;
    met.push_back(object);
    if (met.size() < 3) return;
    const Object &a = met[0], &b = met[1], &c = met[2];
    if (joined(a, b) != joined(b, a)) fail("two copies of " + printable(key) + ": a+b is not b+a");
    if (joined(joined(a, b), c) != joined(a, joined(b, c)))
      fail("three copies of " + printable(key) + ": (a+b)+c is not a+(b+c)");
    if (joined(a, a) != a) fail("a copy of " + printable(key) + ": a+a is not a");
    met.erase(met.begin());
  }
  std::map<Key, std::vector<Object>> met_;
};

// L6: a dot names one write, and an actor counts without a gap.
class DotsAreNames final : public Law {
 public:
  explicit DotsAreNames(Scene& scene)
      : Law(scene, Kind::safety, "L6", "an actor never mints twice, nor leaves a gap") {}

 private:
  void on_stored(HostId node, Table, const Key& key, const Object& object) override {
    if (object.mode == Reconcile::lww) return;
    Known& known = known_[key];
    for (const Version& version : object.versions) {
      auto [name, fresh] = known.writes.emplace(version.dot, version.write_id);
      if (!fresh) {
        if (name->second == version.write_id) continue;
        fail(to_string(version.dot) + " of " + printable(key) +
             " names two writes, the second at " + scene_.world.name_of_host(node));
        continue;
      }
      std::uint64_t& last = known.counters[version.dot.actor];
      if (version.dot.counter != last + 1) {
        fail(to_string(version.dot) + " of " + printable(key) + " was minted after " +
             std::to_string(last));
      }
      last = std::max(last, version.dot.counter);
      if (WriteRecord* write = scene_.book.find(version.write_id)) {
        write->dots.insert(version.dot);
        if (write->dots.size() == 2) scene_.saw(Seen::write_minted_twice);
      }
    }
  }
  struct Known {
    std::map<Dot, WriteId> writes;
    std::map<Actor, std::uint64_t> counters;
  };
  std::map<Key, Known> known_;
};

// L7: a session's read shows its last acknowledged write. Its keys are its own, its quorums overlap.
class ReadsDontGoBack final : public Law {
 public:
  explicit ReadsDontGoBack(Scene& scene)
      : Law(scene, Kind::safety, "L7", "reads of one session never go back") {}

 private:
  void on_done(const Call& call, const ClientCore::Outcome& outcome) override {
    if (!call.session || !outcome.reply.status || !scene_.lost_disks.empty()) return;
    if (scene_.plan.strangers > 0) return;  // with owners that stay the same only
    if (call.kind != ClientCore::Kind::get) {
      last_[call.key] = call.write_id;
      return;
    }
    auto last = last_.find(call.key);
    if (last == last_.end() || shown_by(outcome.reply.object).contains(last->second)) return;
    fail("c" + std::to_string(call.client) + " read " + printable(call.key) +
         " without its own acknowledged write " + to_string(last->second).substr(0, 8));
  }
  std::map<Key, WriteId> last_;
};

// L21: whoever begins a strict read after a strict write was acknowledged is shown that write or what was
// written having seen it, though owners change and die meanwhile. R + W > N, and as long as no disk was
// lost but those of members that were replaced. A replaced member that runs again is a voter for whoever has
// not heard of the replacement; the documents ask to keep it off until then.
class StrictReadsSeeStrictWrites final : public Law {
 public:
  explicit StrictReadsSeeStrictWrites(Scene& scene)
      : Law(scene, Kind::safety, "L21",
            "a strict read sees every strict write acknowledged before") {}

 private:
  void on_done(const Call& call, const ClientCore::Outcome& outcome) override {
    if (!call.strict || !outcome.reply.status) return;
    if (scene_.plan.reconcile == Reconcile::lww || !disks_are_there()) return;
    if (outcome.reply.ring_epoch < scene_.ring()->epoch() && a_replaced_member_runs()) return;
    if (call.kind != ClientCore::Kind::get) {
      acknowledged_[call.key].push_back({call.write_id, scene_.world.now(), call.wanted});
      return;
    }
    scene_.saw(Seen::strict_read);
    if (scene_.ring()->moving()) scene_.saw(Seen::strict_read_while_moving);
    auto writes = acknowledged_.find(call.key);
    if (writes == acknowledged_.end()) return;
    std::set<WriteId> explained = scene_.book.explained_by(call.key, {&outcome.reply.object});
    for (const Acknowledged& write : writes->second) {
      bool overlap = call.wanted + write.wanted > scene_.plan.n;
      if (!overlap || write.at > call.began || explained.contains(write.id)) continue;
      fail("c" + std::to_string(call.client) + " read " + printable(call.key) + " strictly " +
           std::to_string((call.began - write.at).us / 1000) + " ms after " +
           where_from(call.key, *scene_.book.find(write.id)) + " was acknowledged, without it");
    }
  }
  // What a replaced member alone had is gone with it; the other owners of its keys are not.
  bool disks_are_there() const {
    std::size_t replaced = 0;
    for (HostId node : scene_.lost_disks) {
      if (!scene_.gone.contains(node)) return false;
      ++replaced;
    }
    return replaced == 0 || (replaced < 2 && scene_.plan.n > 2);
  }
  bool a_replaced_member_runs() const {
    return std::any_of(scene_.gone.begin(), scene_.gone.end(),
                       [&](HostId node) { return scene_.world.up(node); });
  }
  struct Acknowledged {
    WriteId id;
    Instant at;
    std::uint32_t wanted;
  };
  std::map<Key, std::vector<Acknowledged>> acknowledged_;
};

// L8: healed and read, the owners of a key hold the same bytes, and no hint is left.
class Convergence final : public Law {
 public:
  explicit Convergence(Scene& scene) : Law(scene, Kind::liveness, "L8", "convergence") {}

 private:
  // What a put that was not cut short owed its owners, it gave them, before any read repairs it.
  void hints_are_gone() override {
    if (scene_.plan.coordination == Coordination::client) return;
    for (FaultKind kind : {FaultKind::process_crash, FaultKind::machine_crash,
                           FaultKind::dead_owners, FaultKind::lost_disk, FaultKind::old_disk,
                           FaultKind::loss, FaultKind::full_disk, FaultKind::io_errors}) {
      if (scene_.plan.has(kind)) return;
    }
    if (scene_.plan.strangers > 0 || scene_.plan.reaping) return;  // trees have a part in it
    // What a hint beyond the bound would have carried is left to the trees.
    if (scene_.has_seen(Seen::hint_released)) return;
    // Whose clock was set right meanwhile refuses the hint of its own stamp from the future.
    bool clocks = scene_.plan.has(FaultKind::skew) || scene_.plan.has(FaultKind::clock_jump);
    if (clocks && scene_.plan.reconcile == Reconcile::lww) return;
    compare("after hints alone");
  }
  void at_the_end() override { compare("in the end"); }
  void compare(const char* when) {
    World& world = scene_.world;
    if (std::string what = difference(scene_); !what.empty()) fail(what + " " + when);
    if (std::string what = surplus(scene_); !what.empty()) fail(what + " " + when);
    for (HostId node = 0; node < world.nodes(); ++node) {
      if (scene_.gone.contains(node)) continue;
      if (std::size_t left = world.hints_at(node))
        fail(world.name_of_host(node) + " holds " + std::to_string(left) + " hints " + when);
    }
  }
};

// L20: members agree on what is the cluster's; a node whose file says another thing serves nobody.
class MembersAgree final : public Law {
 public:
  explicit MembersAgree(Scene& scene)
      : Law(scene, Kind::safety, "L20", "members agree or do not serve") {}

 private:
  void on_stored(HostId node, Table, const Key& key, const Object&) override {
    if (scene_.odd != node) return;
    fail(scene_.world.name_of_host(node) +
         ", whose file has another reconcile than the others', stored " + printable(key));
  }
  void on_tick() override {
    for (HostId node = 0; node < scene_.world.nodes(); ++node) {
      NodeState* state = scene_.world.state(node);
      if (state == nullptr) continue;
      if (scene_.odd == node) {
        if (!state->upkeep().is_out()) {
          return fail(scene_.world.name_of_host(node) +
                      " serves with another reconcile in its file");
        }
        scene_.saw(Seen::files_differed);
      } else if (!state->upkeep().is_out() &&
                 state->value(Setting::reconcile) !=
                     static_cast<std::uint64_t>(scene_.plan.reconcile)) {
        return fail(scene_.world.name_of_host(node) +
                    " goes by another reconcile than the cluster");
      }
    }
  }
};

// L9: what R (W) nodes in good health and in touch with the client could have served was served.
class Availability final : public Law {
 public:
  explicit Availability(Scene& scene) : Law(scene, Kind::safety, "L9", "availability") {}

 private:
  // Others may have made it a member, and be gone before it heard of it.
  void on_beat() override {
    note_unknown();
    for (HostId node = 0; node < scene_.world.nodes(); ++node) {
      NodeState* state = scene_.world.state(node);
      if (state != nullptr && !state->ring()) stranger_[node] = scene_.world.now();
    }
    note_owners();
  }
  // How many owners a key had, whenever that changed. A call that was begun while it had three may be refused for
  // want of the third although a member has left since.
  void note_owners() {
    std::size_t now = scene_.owners();
    if (owners_.empty() || owners_.back().second != now) {
      owners_.emplace_back(scene_.world.now(), now);
    }
  }
  std::size_t most_owners_since(Instant from) const {
    std::size_t most = scene_.owners();
    for (std::size_t i = owners_.size(); i-- > 0;) {
      most = std::max(most, owners_[i].second);
      if (owners_[i].first < from) break;  // the number that there was at `from`
    }
    return most;
  }
  // One that does not know yet that it belongs: after its first start, or with an empty disk.
  void note_apart() {
    for (HostId node = 0; node < scene_.world.nodes(); ++node) {
      NodeState* state = scene_.world.state(node);
      if (state != nullptr && state->upkeep().is_apart()) apart_[node] = scene_.world.now();
    }
  }
  bool was_apart_since(HostId node, Instant from) const {
    auto found = apart_.find(node);
    return found != apart_.end() && found->second >= from;
  }
  void on_tick() override { note_apart(); }
  // A client that coordinates asks whom it knows of; of others it hears with its next table.
  void note_unknown() {
    if (scene_.plan.coordination != Coordination::client) return;
    for (HostId client : scene_.clients) {
      auto ring = scene_.world.client(client).ring();
      for (HostId node = 0; node < scene_.world.nodes(); ++node) {
        if (!ring || ring->find(scene_.world.id_of(node)) == nullptr)
          unknown_[{client, node}] = scene_.world.now();
      }
    }
  }
  bool was_unknown_since(HostId client, HostId node, Instant from) const {
    auto found = unknown_.find({client, node});
    return found != unknown_.end() && found->second >= from;
  }
  bool was_stranger_since(HostId node, Instant from) const {
    auto found = stranger_.find(node);
    return found != stranger_.end() && found->second >= from;
  }
  void on_done(const Call& call, const ClientCore::Outcome& outcome) override {
    const Status& status = outcome.reply.status;
    if (status || status.code() == Code::too_many_siblings || call.its_own_doing) return;
    if (scene_.plan.strangers > 0 && status.code() == Code::invalid_argument)
      return;  // more replicas than a key has, or soon has
    if (scene_.plan.reconcile == Reconcile::lww &&
        (scene_.plan.has(FaultKind::skew) || scene_.plan.has(FaultKind::clock_jump))) {
      return;  // stamps too far ahead are refused
    }
    // Opinions from before take a while to be mended.
    Instant from = call.began - std::max(Duration::seconds(2), scene_.plan.timeout);
    HostId client = scene_.clients[call.client];
    const Troubles& troubles = scene_.troubles;
    if (!troubles.calm_since(from) || !troubles.good_since(client, from)) return;
    std::size_t good = 0;
    bool all_speak = true;
    bool moves = scene_.plan.strangers > 0;
    if (moves && call.strict) return;  // whose owners it asked changes under it
    note_apart();
    for (HostId node = 0; node < scene_.world.nodes(); ++node) {
      bool near = troubles.side(node) == troubles.side(client);
      // Of all hosts: by an older ring any of them may have been asked.
      all_speak = all_speak && near && troubles.speaks_since(node, from);
      if (was_apart_since(node, from)) {
        all_speak = false;
        continue;
      }
      if (moves && (!scene_.is_member(node) || was_stranger_since(node, from))) continue;
      if (moves && was_unknown_since(client, node, from)) continue;
      bool counts = !call.strict || is_owner(call.key, node);
      if (counts && near && troubles.good_since(node, from)) ++good;
    }
    std::size_t wanted = std::min<std::size_t>(call.wanted, most_owners_since(from));
    std::string told =
        "c" + std::to_string(call.client) + " was told \"" + status.to_string() + "\"";
    // A last attempt may begin a moment before the deadline: whoever it asked was not heard yet.
    bool cut_short = status.message().find("not heard yet") != std::string::npos;
    // One attempt that took all the time there was: nobody refuses so slowly.
    bool stood = status.code() == Code::timeout ||
                 (outcome.attempts == 1 && scene_.world.now() - call.began >= scene_.plan.timeout);
    if (stood && all_speak && !cut_short)
      fail(told + " while every node answered: a refusal was taken for silence");
    if (good >= wanted)
      fail(told + " while " + std::to_string(good) + " nodes could serve it, " +
           std::to_string(wanted) + " wanted");
  }
  bool is_owner(const Key& key, HostId node) const {
    for (std::size_t i = 0; i < scene_.owners(); ++i) {
      if (scene_.owner(key, i) == node) return true;
    }
    return false;
  }
  std::map<HostId, Instant> stranger_;                    // when it last was one
  std::vector<std::pair<Instant, std::size_t>> owners_;   // of a key, from when on
  std::map<HostId, Instant> apart_;                       // likewise
  std::map<std::pair<HostId, HostId>, Instant> unknown_;  // when the client last knew no such node
};

// L10: what an acknowledged delete had seen stays away, and what came after it stays there.
class DeletesStay final : public Law {
 public:
  explicit DeletesStay(Scene& scene)
      : Law(scene, Kind::safety, "L10", "a delete stays deleted, a re-creation stays") {}

 private:
  // A delete may be forgotten once nobody holds what it deleted, nor a hint. Of keys that were made
  // and deleted once: of others something newer may be on its way.
  void on_erased(HostId node, const Key& key, const Object&) override {
    if (!scene_.plan.reaping || key.bucket != "deletes" || !key.key.starts_with("once")) return;
    World& world = scene_.world;
    for (HostId other = 0; other < world.nodes(); ++other) {
      std::size_t copies = copies_at(scene_, other, key).size();
      Object own = world.stored(other, key);
      const char* what = copies > (own.missing() ? 0u : 1u) ? "a hint of it"
                         : !shown(own).versions.empty()     ? "what was deleted"
                                                            : nullptr;
      if (what == nullptr) continue;
      fail(world.name_of_host(node) + " forgot the delete of " + printable(key) + " while " +
           world.name_of_host(other) + " has " + what);
    }
  }
  void at_the_end() override {
    if (scene_.plan.reconcile == Reconcile::lww) return;
    for (const auto& [key, ids] : scene_.book.by_key()) {
      if (key.bucket != "deletes") continue;
      std::vector<Object> copies = copies_of(scene_, key);
      for (const Object& copy : copies) {
        for (const Version& version : copy.versions) {
          if (!version.tombstone) nobody_deleted(key, ids, version);
        }
      }
      for (const WriteRecord* write : unexplained(scene_.book, key, ids, copies)) {
        if (!write->tombstone)
          fail(where_from(key, *write) + " came after every delete and is gone");
      }
    }
  }
  void nobody_deleted(const Key& key, const std::vector<WriteId>& ids, const Version& version) {
    for (WriteId id : ids) {
      const WriteRecord& write = scene_.book.writes().at(id);
      if (!write.tombstone || !write.acknowledged || !write.seen.contains(version.dot)) continue;
      fail(to_string(version.dot) + " of " + printable(key) + " was deleted by " +
           where_from(key, write) + " and is back");
    }
  }
};

// L18, one half of it: whatever waits in a host that sleeps, no write is given a dot when nobody waits
// for it any more. Its dots are found where they are stored first, which is where they were minted.
class NotAfterItsTime final : public Law {
 public:
  explicit NotAfterItsTime(Scene& scene)
      : Law(scene, Kind::safety, "L18", "no write is executed after its time") {}

 private:
  // A host knows the age of what it receives not quite: by the shortest delay it saw, and its clock.
  static constexpr Duration inexact = Duration::millis(150);
  void on_stored(HostId node, Table, const Key& key, const Object& object) override {
    if (object.mode == Reconcile::lww) return;
    for (const Version& version : object.versions) {
      if (!known_.insert(version.dot).second) continue;
      const WriteRecord* write = scene_.book.find(version.write_id);
      if (write == nullptr || scene_.world.now() <= write->until + inexact) continue;
      fail(where_from(key, *write) + " was executed at " + scene_.world.name_of_host(node) + " " +
           std::to_string((scene_.world.now() - write->until).millis()) +
           " ms after its caller's deadline");
    }
  }
  std::set<Dot> known_;
};

// L18: what somebody replaced who had been shown it is not shown again, under whatever dot and however
// late a copy of it was executed. In the end by all copies together; before that by strict reads whose
// quorum meets that of the strict write that replaced it. One situation is excepted, in which nothing can
// tell the late copy from a new write: a row forgot the note for want of room, after as many other writes
// of the key were replaced as a row remembers (object.hpp, SpentLimits). Then the write is shown again
// rather than lost.
class SeenOnce final : public Law {
 public:
  explicit SeenOnce(Scene& scene)
      : Law(scene, Kind::safety, "L18", "what was replaced is not shown again") {}

 private:
  void on_stored(HostId node, Table table, const Key& key, const Object& object) override {
    note(key, rows_[{node, table, key}], object);
    bool deleted = std::any_of(object.versions.begin(), object.versions.end(),
                               [](const Version& v) { return v.tombstone; });
    std::size_t most = scene_.plan.most_joined();
    if (deleted) most = std::max(most, SpentLimits{}.most_deleted);
    if (object.spent.size() > most) {
      fail(scene_.world.name_of_host(node) + " remembers " + std::to_string(object.spent.size()) +
           " replaced writes of " + printable(key));
    }
    forgot_in_time(node, key, object);
  }
  // A row that says that it forgot writes of days to come refuses repetitions for as long.
  void forgot_in_time(HostId node, const Key& key, const Object& object) {
    const std::int64_t ahead_ms = object.forgotten_ms - scene_.world.clock(node).wall_ms;
    if (ahead_ms <= SpentLimits{}.apart_s * 1000) return;
    fail(scene_.world.name_of_host(node) + " says of " + printable(key) +
         " that it forgot replaced writes of " + std::to_string(ahead_ms / 1000) + " s to come");
  }
  void on_done(const Call& call, const ClientCore::Outcome& outcome) override {
    if (!outcome.reply.status || scene_.plan.reconcile == Reconcile::lww) return;
    if (!call.strict || scene_.plan.strangers > 0 || !scene_.lost_disks.empty()) return;
    std::map<WriteId, Replaced>& replaced = replaced_[call.key];
    if (call.kind != ClientCore::Kind::get) {
      Replaced now{scene_.world.now(), call.wanted, call.write_id};
      const WriteRecord* write = scene_.book.find(call.write_id);
      for (WriteId shown : write->shown) {
        auto [at, fresh] = replaced.emplace(shown, now);
        if (!fresh && at->second.wanted < now.wanted) at->second = now;
      }
      return;
    }
    for (const Version& version : outcome.reply.object.versions) {
      auto found = replaced.find(version.write_id);
      if (found == replaced.end() || found->second.at > call.began) continue;
      if (found->second.wanted + call.wanted <= scene_.owners()) continue;
      back(call.key, version, found->second.by, "a strict read");
    }
  }
  void at_the_end() override {
    if (scene_.plan.reconcile == Reconcile::lww) return;
    for (const auto& [key, ids] : scene_.book.by_key()) {
      Object all;
      for (const Object& copy : copies_of(scene_, key)) sync(all, copy);
      for (const Version& version : all.versions) {
        for (WriteId id : ids) {
          const WriteRecord& write = scene_.book.writes().at(id);
          if (!write.acknowledged || !write.shown.contains(version.write_id)) continue;
          back(key, version, id, "what is left in the end");
          break;
        }
      }
    }
  }
  // Keeps count of the notes that this row has, and of those that it had and forgot for want of room. Notes
  // that two nodes made at once have no order, so half as many later ones as a row remembers are enough.
  void note(const Key& key, std::vector<std::uint64_t>& had, const Object& object) {
    Notes& notes = notes_[key];
    std::vector<std::uint64_t> has;
    has.reserve(object.spent.size());
    for (const SpentWrite& spent : object.spent) {
      has.push_back(spent.fingerprint);
      notes.order.emplace(spent.fingerprint, notes.order.size());
    }
    for (std::uint64_t gone : had) {
      if (has.size() < scene_.plan.most_spent() || object.forgotten_ms == 0) break;
      if (std::binary_search(has.begin(), has.end(), gone)) continue;
      std::size_t later = notes.order.size() - notes.order.at(gone) - 1;
      if (later >= scene_.plan.most_spent() / 2) notes.forgotten.insert(gone);
    }
    had = std::move(has);
  }
  void back(const Key& key, const Version& version, WriteId by, const char* what) {
    const WriteRecord* old = scene_.book.find(version.write_id);
    if (old == nullptr) return;  // a phantom; told elsewhere
    if (notes_[key].forgotten.contains(fingerprint(version.write_id))) {
      return scene_.saw(Seen::replaced_write_forgotten);
    }
    fail(where_from(key, *old) + ", which write " + to_string(by).substr(0, 8) +
         " had been shown and replaced, is back in " + what + " as " + to_string(version.dot));
  }
  struct Replaced {
    Instant at;
    std::uint32_t wanted = 0;  // W of the strict write that did it
    WriteId by;
  };
  struct Notes {
    std::map<std::uint64_t, std::size_t>
        order;                          // of each write noted anywhere, how many were before it
    std::set<std::uint64_t> forgotten;  // for want of room, by some row
  };
  std::map<Key, Notes> notes_;
  std::map<std::tuple<HostId, Table, Key>, std::vector<std::uint64_t>> rows_;
  std::map<Key, std::map<WriteId, Replaced>> replaced_;
};

// L19: a write that follows another, by what its writer was shown or by the order of one client, has the
// later stamp than some copy of the other, is not outlived by it, and one that was executed once is stored
// when it is acknowledged: what replaced it since, if anything did, was stamped above it. Where all clocks
// agree, no write that was executed by one replica is left in place of one that was begun after it had been
// acknowledged, whichever clients made the two.
class FollowersWin final : public Law {
 public:
  explicit FollowersWin(Scene& scene)
      : Law(scene, Kind::safety, "L19", "last-write-wins loses only what is concurrent") {}

 private:
  void on_stored(HostId, Table, const Key&, const Object& object) override {
    if (scene_.plan.reconcile != Reconcile::lww) return;
    for (const Version& version : object.versions) {
      auto [at, first] = stored_.try_emplace(version.write_id, version.written_us);
      if (!first) at->second = std::min(at->second, version.written_us);
      stampers_[version.write_id].insert(version.dot.actor.node);
    }
  }
  void on_done(const Call& call, const ClientCore::Outcome& outcome) override {
    if (scene_.plan.reconcile != Reconcile::lww || call.kind == ClientCore::Kind::get) return;
    Span& span = spans_[call.write_id];
    span.began = std::min(span.began, call.began);
    if (!outcome.reply.status) return;
    span.acknowledged = std::min(span.acknowledged, scene_.world.now());
    if (outcome.reply.object.versions.empty()) return;
    if (!told_.insert(call.write_id).second)
      return;  // repeated: it may have been replaced meanwhile
    const WriteRecord& write = *scene_.book.find(call.write_id);
    const Version& held = outcome.reply.object.versions[0];
    if (held.write_id != write.id) {
      const Tally& tally = outcome.reply.tally;
      bool once = outcome.attempts == 1 && tally.silent.empty() && tally.refused.empty() &&
                  !scene_.plan.has(FaultKind::duplicates) && tally.got == tally.asked;
      // A node that was asked twice may execute it, stamp another write above it, and answer the second
      // question with that one.
      if (once && !stored_.contains(write.id))
        fail(where_from(call.key, write) + " was acknowledged and lost at once");
      return;
    }
    for (WriteId before : write.shown) follows(call.key, write, held, before);
    auto [last, first] = last_.try_emplace({call.client, call.key});
    if (!first && last->second.at <= call.began) follows(call.key, write, held, last->second.id);
    last->second = {write.id, scene_.world.now()};
  }
  // A write that was executed twice has two stamps, and its follower may know the earlier one only.
  void follows(const Key& key, const WriteRecord& write, const Version& held, WriteId before) {
    followers_[before].insert(write.id);
    auto stamp = stored_.find(before);
    if (stamp == stored_.end() || held.written_us > stamp->second) return;
    fail(where_from(key, write) + " follows write " + to_string(before).substr(0, 8) +
         " and has the stamp " + std::to_string(held.written_us) + ", that one " +
         std::to_string(stamp->second));
  }
  bool clocks_agree() const {
    return !scene_.plan.has(FaultKind::skew) && !scene_.plan.has(FaultKind::clock_jump) &&
           !scene_.plan.has(FaultKind::far_clock) && !scene_.plan.has(FaultKind::lost_disk);
  }
  void at_the_end() override {
    if (scene_.plan.reconcile != Reconcile::lww || scene_.plan.has(FaultKind::lost_disk)) return;
    for (const auto& [key, ids] : scene_.book.by_key()) {
      for (const Object& copy : copies_of(scene_, key)) {
        for (const Version& version : copy.versions) {
          nothing_follows(key, version);
          if (clocks_agree()) nothing_began_after(key, version, ids);
        }
      }
    }
  }
  void nothing_follows(const Key& key, const Version& left) {
    auto followers = followers_.find(left.write_id);
    if (followers == followers_.end()) return;
    fail(where_from(key, *scene_.book.find(left.write_id)) + " is left in place of write " +
         to_string(*followers->second.begin()).substr(0, 8) +
         ", which follows it and was acknowledged");
  }
  void nothing_began_after(const Key& key, const Version& left, const std::vector<WriteId>& ids) {
    auto first = spans_.find(left.write_id);
    if (first == spans_.end()) return;
    // Its late copy looked like a new write to a replica that held the later one and never the first copy
    // (docs/configuration.md says so). What follows by context or by the same client is judged above.
    if (stampers_[left.write_id].size() > 1) return;
    for (WriteId id : ids) {
      auto later = spans_.find(id);
      if (later == spans_.end() || later->second.acknowledged == Instant::never()) continue;
      if (later->second.began <= first->second.acknowledged) continue;
      fail(where_from(key, *scene_.book.find(left.write_id)) + " is left in place of write " +
           to_string(id).substr(0, 8) + ", which was begun after it had been acknowledged");
      return;
    }
  }
  struct Last {
    WriteId id;
    Instant at;
  };
  struct Span {
    Instant began = Instant::never(), acknowledged = Instant::never();
  };
  std::map<WriteId, Span> spans_;
  std::set<WriteId> told_;
  std::map<WriteId, std::int64_t> stored_;          // with the earliest stamp anywhere
  std::map<WriteId, std::set<NodeId>> stampers_;    // who executed it
  std::map<WriteId, std::set<WriteId>> followers_;  // acknowledged
  std::map<std::pair<std::size_t, Key>, Last> last_;
};

// L11: a hint may go only when its owner holds all of it. Until then its holder knows that it has it:
// reads and deliveries go by the count in memory.
class HintsLeaveLast final : public Law {
 public:
  explicit HintsLeaveLast(Scene& scene)
      : Law(scene, Kind::safety, "L11", "hints leave only after confirmation") {}

 private:
  void on_hint_dropped(HostId node, HostId owner, const Key& key, const Object& hint) override {
    scene_.saw(Seen::hint_delivered);
    if (scene_.lost_disks.contains(owner)) return;  // it held it once
    Object held = scene_.world.stored(owner, key);
    if (holds_all(held, hint)) return;
    if (scene_.plan.hint_bytes > 0 && all_others_hold(owner, key, hint)) {
      return scene_.saw(Seen::hint_released);
    }
    if (scene_.plan.strangers > 0) {
      // Its owner may not be one any more; then the others have it (F-45), or its holder as an owner.
      Object others = scene_.world.stored(node, key);
      for (const Object& copy : copies_of(scene_, key, node)) sync(others, copy);
      if (holds_all(others, hint)) return;
    }
    fail(scene_.world.name_of_host(node) + " dropped a hint of " + printable(key) + " for " +
         scene_.world.name_of_host(owner) + ", which does not hold it");
  }
  void on_tick() override {
    for (HostId node = 0; node < scene_.world.nodes(); ++node) {
      NodeState* state = scene_.world.state(node);
      if (!scene_.world.up(node) || state == nullptr) continue;
      std::uint64_t counted = state->hint_counts().total(), there = scene_.world.hints_at(node);
      if (counted == there) continue;
      fail(scene_.world.name_of_host(node) + " counts " + std::to_string(counted) +
           " hints and has " + std::to_string(there));
    }
  }
  void at_the_end() override { on_tick(); }
  // Beyond the bound a hint goes when every other owner has it: each of them could mend its own.
  bool all_others_hold(HostId owner, const Key& key, const Object& hint) const {
    for (std::size_t i = 0; i < scene_.owners(); ++i) {
      HostId other = scene_.owner(key, i);
      if (other == owner || scene_.lost_disks.contains(other)) continue;
      if (!holds_all(scene_.world.stored(other, key), hint)) return false;
    }
    return scene_.owners() > 1;
  }
  static bool holds_all(const Object& held, const Object& hint) {
    return hint.mode == Reconcile::lww ? !lacks(held, hint) : held.context.covers(hint.context);
  }
};

// L12: N distinct owners for each partition, in as many zones as there are, on every member; one
// table in the end.
class OneRing final : public Law {
 public:
  explicit OneRing(Scene& scene)
      : Law(scene, Kind::safety, "L12", "N distinct owners always, one table in the end") {}

 private:
  void on_tick() override {
    for (HostId node = 0; node < scene_.world.nodes(); ++node) {
      NodeState* state = scene_.world.state(node);
      if (state == nullptr) continue;
      auto ring = state->ring();
      if (!ring || checked_[node] == ring->digest()) continue;
      checked_[node] = ring->digest();
      std::set<NodeId> having(ring->owners().begin(), ring->owners().end());
      std::size_t wanted = std::min<std::size_t>(ring->replicas(), having.size());
      for (std::uint32_t partition = 0; partition < ring->partitions(); ++partition) {
        const auto& list = ring->preference_list(partition);
        std::set<NodeId> owners(list.begin(), list.begin() + ring->effective_replicas());
        bool members = std::all_of(owners.begin(), owners.end(),
                                   [&](NodeId id) { return ring->find(id) != nullptr; });
        if (owners.size() == wanted && members && !owners.contains(NodeId{})) continue;
        fail(scene_.world.name_of_host(node) + " sees " + std::to_string(owners.size()) +
             " owners of partition " + std::to_string(partition));
      }
    }
  }
  void at_the_end() override {
    on_tick();
    std::shared_ptr<const Ring> ring;
    for (HostId node = 0; node < scene_.world.nodes(); ++node) {
      NodeState* state = scene_.world.state(node);
      if (state == nullptr || !scene_.is_member(node)) continue;
      if (!ring) ring = state->ring();
      if (!state->ring() || state->ring()->digest() != ring->digest())
        fail(scene_.world.name_of_host(node) + " has another table than the others");
    }
  }
  std::map<HostId, std::uint64_t> checked_;
};

// L13: at the moment of the answer, everybody who voted has the write where it was promised to be.
class Durable final : public Law {
 public:
  explicit Durable(Scene& scene) : Law(scene, Kind::safety, "L13", "durability kept") {}

 private:
  void on_done(const Call& call, const ClientCore::Outcome& outcome) override {
    if (call.kind == ClientCore::Kind::get || !outcome.reply.status) return;
    if (call.update) return;  // the tally is of its last call, which may be a read
    if (scene_.plan.reconcile == Reconcile::lww) return;
    if (scene_.plan.durability != WriteDurability::disk) return;  // log: L1 sees a lost journal
    World& world = scene_.world;
    Bytes row = object_row(world.ring()->partition_of(token_of(call.key)), call.key);
    for (NodeId voter : outcome.reply.tally.answered) {
      HostId node = world.host_of(voter);
      if (scene_.lost_disks.contains(node) || !is_owner(call.key, node)) continue;
      const Rows& rows = world.disk(node).synced_rows(Table::objects);
      auto it = rows.find(row);
      if (it != rows.end() && holds(*decode_record(it->second), call.write_id)) continue;
      if (scene_.plan.strangers > 0 && hinted(node, call)) continue;  // no owner yet when asked
      fail(where_from(call.key, *scene_.book.find(call.write_id)) +
           " was acknowledged for the disk and " + world.name_of_host(node) +
           ", which voted, would lose it with its power");
    }
  }
  bool hinted(HostId node, const Call& call) const {
    const Rows& hints = scene_.world.disk(node).synced_rows(Table::hints);
    for (HostId target = 0; target < scene_.world.nodes(); ++target) {
      auto it = hints.find(hint_row(scene_.world.id_of(target), call.key));
      if (it != hints.end() && holds(*decode_record(it->second), call.write_id)) return true;
    }
    return false;
  }
  bool holds(const Object& object, WriteId id) const {
    for (const Version& version : object.versions) {
      if (version.write_id == id) return true;
    }
    for (const Dot& dot : scene_.book.find(id)->dots) {
      if (object.context.contains(dot)) return true;
    }
    return false;
  }
  bool is_owner(const Key& key, HostId node) const {
    for (std::size_t i = 0; i < scene_.owners(); ++i) {
      if (scene_.owner(key, i) == node) return true;
    }
    return false;
  }
};

// L14: each acknowledged write is on as many disks as its answer promised, less those that were
// lost; looked at now and then, and whenever a node gives its copy away.
class LastCopyStays final : public Law {
 public:
  explicit LastCopyStays(Scene& scene)
      : Law(scene, Kind::safety, "L14", "nobody drops the last copy") {}

 private:
  void on_tick() override {
    if (scene_.plan.reconcile == Reconcile::lww || ++ticks_ % 4 != 0) return;
    for (const auto& [key, ids] : scene_.book.by_key()) check(key, ids, "");
  }
  void on_erased(HostId node, const Key& key, const Object&) override {
    if (scene_.plan.reconcile == Reconcile::lww) return;
    auto ids = scene_.book.by_key().find(key);
    if (ids == scene_.book.by_key().end()) return;
    check(key, ids->second, " after " + scene_.world.name_of_host(node) + " gave its copy away");
  }
  void check(const Key& key, const std::vector<WriteId>& ids, const std::string& when) {
    std::map<std::set<WriteId>, std::size_t> disks;  // with just these versions
    for (HostId node = 0; node < scene_.world.nodes(); ++node) {
      std::set<WriteId> there;
      std::vector<Object> copies = copies_at(scene_, node, key);
      for (const Object& copy : copies) {
        for (const Version& version : copy.versions) there.insert(version.write_id);
      }
      if (!copies.empty()) ++disks[there];
    }
    std::map<WriteId, std::size_t> held;
    for (const auto& [versions, count] : disks) {
      for (WriteId id : scene_.book.explained_by(key, versions)) held[id] += count;
    }
    // Deleted, or under a delete.
    std::set<WriteId> forgotten = scene_.book.explained_by(key, std::set<WriteId>{});
    for (WriteId id : ids) {
      const WriteRecord& write = scene_.book.writes().at(id);
      if (!write.acknowledged || forgotten.contains(id)) continue;
      std::size_t lost = scene_.lost_disks.size();
      std::size_t promised = std::min(write.copies, scene_.owners());
      // A hint that was released leaves the copies of the other owners.
      if (scene_.plan.hint_bytes > 0) promised = std::min(promised, scene_.owners() - 1);
      std::size_t least = promised > lost ? promised - lost : 1;
      if (held[id] >= least) continue;
      fail(where_from(key, write) + " was acknowledged, " + std::to_string(least) +
           " disks must hold it and " + std::to_string(held[id]) + " do" + when);
    }
  }
  int ticks_ = 0;
};

// L14: who gives a copy away leaves it with every owner, whose confirmations it had; a count of disks
// would do with fewer, as long as no other disk is lost.
class GivenToAllOwners final : public Law {
 public:
  explicit GivenToAllOwners(Scene& scene)
      : Law(scene, Kind::safety, "L14", "a copy goes when every owner has it") {}

 private:
  void on_erased(HostId node, const Key& key, const Object& object) override {
    World& world = scene_.world;
    if (scene_.plan.reaping || scene_.gone.contains(node)) return;
    NodeState* state = world.state(node);
    auto ring = state != nullptr ? state->ring() : nullptr;
    if (!ring) return;
    Token token = token_of(key);
    const auto& list = ring->preference_list(ring->partition_of(token));
    for (std::size_t i = 0; i < ring->effective_replicas(); ++i) {
      HostId owner = world.host_of(list[i]);
      if (scene_.gone.contains(owner) || scene_.lost_disks.contains(owner)) continue;
      if (!still_owns(owner, token)) continue;  // it had it, and gave it away in its turn
      if (synced(owner, key).context.covers(object.context)) continue;
      fail(world.name_of_host(node) + " gave away its copy of " + printable(key) + " before " +
           world.name_of_host(owner) + ", an owner, had all of it on its disk");
    }
  }
  Object synced(HostId node, const Key& key) const {
    const Rows& rows = scene_.world.disk(node).synced_rows(Table::objects);
    auto it = rows.find(object_row(scene_.world.ring()->partition_of(token_of(key)), key));
    return it == rows.end() ? Object{} : *decode_record(it->second);
  }
  bool still_owns(HostId node, Token token) const {
    NodeState* state = scene_.world.state(node);
    auto own = state != nullptr ? state->ring() : nullptr;
    NodeId id = scene_.world.id_of(node);
    return scene_.ring()->owns(id, token) && (!own || own->owns(id, token));
  }
};

// L14, the other half: who becomes an owner has, or is about to be told by a hint, all that both the
// owner it came for and the first that stays had.
class FlipForgetsNothing final : public Law {
 public:
  explicit FlipForgetsNothing(Scene& scene)
      : Law(scene, Kind::safety, "L14", "a new owner misses no write made meanwhile") {}

 private:
  // What both have while the partition still moves: who takes a write then, sends it to the new owner or
  // leaves a hint for it, and what they had before is pulled from one of them.
  using Owed = std::map<Key, std::set<WriteId>>;
  // So long a write may be on its way to the new owner before a hint takes its place.
  static constexpr Duration on_its_way = Duration::millis(1500);
  void on_beat() override {
    if (scene_.plan.strangers == 0 || !pulls_from_who_goes()) return;
    for (HostId node = 0; node < scene_.world.nodes(); ++node) {
      NodeState* state = scene_.world.state(node);
      auto ring = state != nullptr ? state->ring() : nullptr;
      Owed owed = std::exchange(owed_[node], {});
      if (!ring || scene_.gone.contains(node) || scene_.lost_disks.contains(node)) continue;
      // Others may flip first, and make an owner of one whose data is still on its way: what goes
      // keeps its copies until that one has them.
      if (std::count(ring->next().begin(), ring->next().end(), scene_.world.id_of(node)) > 0)
        owed.clear();
      for (const auto& [key, ids] : owed) {
        if (ring->owns(scene_.world.id_of(node), token_of(key))) has(node, key, ids);
      }
      if (!ring->moving()) {
        first_seen_[node].clear();
        continue;
      }
      for (const auto& [key, ids] : scene_.book.by_key()) note(node, key, ids, *ring);
    }
  }
  // Who has to pull from another owner gets what that one has; the rest comes as surplus later.
  bool pulls_from_who_goes() const {
    return std::all_of(scene_.plan.faults.begin(), scene_.plan.faults.end(), [](auto& fault) {
      return fault.kind == FaultKind::ring_join || fault.kind == FaultKind::ring_leave;
    });
  }
  void note(HostId node, const Key& key, const std::vector<WriteId>& ids, const Ring& ring) {
    World& world = scene_.world;
    NodeId self = world.id_of(node);
    std::uint32_t partition = ring.partition_of(token_of(key));
    const auto& incoming = ring.incoming(partition);
    const auto& outgoing = ring.outgoing(partition);
    if (incoming.size() != 1 || incoming[0] != self || outgoing.size() != 1) return;
    if (std::find(ring.next().begin(), ring.next().end(), self) == ring.next().end()) return;
    const auto& list = ring.preference_list(partition);
    auto end = list.begin() + ring.effective_replicas();
    auto first = std::find_if(list.begin(), end, [&](NodeId id) { return id != outgoing[0]; });
    if (first == end) return;
    std::set<WriteId> both;
    for (NodeId id : {outgoing[0], *first}) {
      HostId each = world.host_of(id);
      if (!world.up(each) || scene_.gone.contains(each) || scene_.lost_disks.contains(each)) return;
      Object copy = world.stored(each, key);
      std::set<WriteId> there = scene_.book.explained_by(key, {&copy});
      if (id == outgoing[0]) both = ids_of(ids, there);
      if (id != outgoing[0]) std::erase_if(both, [&](WriteId w) { return !there.contains(w); });
    }
    std::erase_if(both, [&](WriteId id) {
      Instant first = first_seen_[node].try_emplace(id, world.now()).first->second;
      return world.now() - first < on_its_way;
    });
    if (!both.empty()) owed_[node][key] = std::move(both);
  }
  std::set<WriteId> ids_of(const std::vector<WriteId>& ids, const std::set<WriteId>& there) const {
    std::set<WriteId> some;
    for (WriteId id : ids) {
      if (there.contains(id) && scene_.book.writes().at(id).acknowledged) some.insert(id);
    }
    return some;
  }
  void has(HostId node, const Key& key, const std::set<WriteId>& ids) {
    World& world = scene_.world;
    scene_.saw(Seen::partition_flipped);
    std::vector<Object> copies{world.stored(node, key)};
    for (HostId other = 0; other < world.nodes(); ++other) {
      const Rows& hints = world.disk(other).rows(Table::hints);
      auto it = hints.find(hint_row(world.id_of(node), key));
      if (it != hints.end()) copies.push_back(*decode_record(it->second));
    }
    std::vector<const Object*> present;
    for (const Object& copy : copies) present.push_back(&copy);
    std::set<WriteId> there = scene_.book.explained_by(key, present);
    for (WriteId id : ids) {
      if (there.contains(id)) continue;
      fail(where_from(key, scene_.book.writes().at(id)) + " was made before " +
           world.name_of_host(node) + " became an owner, which has neither it nor a hint to come");
    }
  }
  std::map<HostId, Owed> owed_;
  std::map<HostId, std::map<WriteId, Instant>> first_seen_;  // at both, while it moves
};

// L22: an acknowledged edit of an update is counted exactly once, one that was not acknowledged at most
// once, and one of which it was said that nothing of it was written not at all. The edits are not
// idempotent: each call of one adds a token of its own to the counter.
class CountedOnce final : public Law {
 public:
  explicit CountedOnce(Scene& scene)
      : Law(scene, Kind::safety, "L22", "an acknowledged edit counts exactly once") {}

 private:
  void on_reply(const Key& key, const Object& object, const Where& where) override {
    if (key.bucket == "counters") counted(key, object, text(where));
  }
  void on_done(const Call& call, const ClientCore::Outcome& outcome) override {
    if (!call.update) return;
    const Status& status = outcome.reply.status;
    const UpdateEnd& end = outcome.update;
    std::string who =
        "the update of " + printable(call.key) + " by c" + std::to_string(call.client);
    if (!status && end.edited)
      fail(who + " ended with \"" + status.to_string() + "\" though its edit was acknowledged");
    if (status && !end.edited) fail(who + " succeeded without its edit");
    if (status && !end.merged && (end.left < 2 || end.why.empty()))
      fail(who + " was not merged and says neither why nor how many versions are left");
    if (!call.number) return;
    const UpdateRecord& record = scene_.book.update(*call.number);
    if (record.edits > 1)
      fail(who + " asked for its edit " + std::to_string(record.edits) + " times");
    if (status && record.edits != 1) fail(who + " succeeded and did not ask for its edit");
    if (record.maybe_applied && !record.written)
      fail(who + " may have been applied, it says, and was never given a value");
  }
  // How often each update is in what is shown.
  std::map<std::size_t, std::size_t> counted(const Key& key, const Object& object,
                                             const std::string& where) {
    std::map<std::size_t, std::size_t> times;
    std::set<std::string> tokens;
    for (const Version* version : shown(object).versions) tokens.merge(items_of(version->value));
    for (const std::string& token : tokens) ++times[update_of_token(token)];
    for (const auto& [update, count] : times) {
      if (count > 1)
        fail(where + " counts the edit of update " + std::to_string(update) + " of " +
             printable(key) + " " + std::to_string(count) + " times");
    }
    return times;
  }
  void at_the_end() override {
    std::map<Key, std::map<std::size_t, std::size_t>> times;
    for (const auto& [key, ids] : scene_.book.by_key()) {
      if (key.bucket != "counters") continue;
      Object all;
      for (const Object& copy : copies_of(scene_, key)) sync(all, copy);
      times[key] = counted(key, all, "what is left");
    }
    const auto& updates = scene_.book.updates();
    for (std::size_t i = 0; i < updates.size(); ++i) {
      const UpdateRecord& update = updates[i];
      std::string what = "update " + std::to_string(i) + " of " + printable(update.key) + " by c" +
                         std::to_string(update.client);
      bool there = times[update.key].contains(i);
      if (update.acknowledged && !there) fail(what + " was acknowledged and is not counted");
      if (update.ended && !update.acknowledged && !update.maybe_applied && there)
        fail(what + " was told that nothing of it was written, and it is counted");
    }
  }
};

// M-12: an update that says it is merged met no sibling that was there to be met: none whose own write was
// acknowledged, by an owner that acknowledged this one as well, before this one was begun.
class MergedIsTrue final : public Law {
 public:
  explicit MergedIsTrue(Scene& scene)
      : Law(scene, Kind::safety, "L22", "an update that says it is merged left no sibling behind") {
  }

 private:
  struct Acknowledged {
    Instant at;
    std::set<NodeId> owners;
  };
  static std::set<NodeId> owners_among(const Tally& tally) {
    std::set<NodeId> owners(tally.answered.begin(), tally.answered.end());
    for (NodeId substitute : tally.substitutes) owners.erase(substitute);
    return owners;
  }
  void on_done(const Call& call, const ClientCore::Outcome& outcome) override {
    // A reply with a dot is that of a write: those who answered had stored it.
    const ClientReply& reply = outcome.reply;
    if (!call.update || !reply.status || reply.dot.counter == 0) return;
    if (reply.object.mode != Reconcile::siblings) return;
    std::set<NodeId> owners = owners_among(reply.tally);
    if (outcome.update.merged) {
      for (NodeId owner : owners) left_behind(call, reply.object, owner);
    }
    acknowledged_[reply.dot] = {scene_.world.now(), std::move(owners)};
  }
  void left_behind(const Call& call, const Object& shown, NodeId owner) {
    World& world = scene_.world;
    for (HostId node = 0; node < world.nodes(); ++node) {
      if (world.id_of(node) != owner || scene_.gone.contains(node)) continue;
      const Rows& rows = world.disk(node).rows(Table::objects);
      auto row = rows.find(object_row(world.ring()->partition_of(token_of(call.key)), call.key));
      if (row == rows.end()) continue;
      auto held = decode_record(row->second);
      if (!held) continue;
      for (const Version& version : held->versions) {
        auto it = acknowledged_.find(version.dot);
        if (it == acknowledged_.end() || shown.context.contains(version.dot)) continue;
        if (it->second.at >= call.written_at || !it->second.owners.contains(owner)) continue;
        fail("the update of " + printable(call.key) + " by c" + std::to_string(call.client) +
             " says that it is merged, and " + world.name_of_host(node) +
             ", which took its write, held " + to_string(version.dot) +
             " beside it before the write was begun");
      }
    }
  }
  // By dot, not by write id: a write that was repeated at a second coordinator may be minted twice. Its owners
  // acknowledged the version under the one dot, and the version under the other dot may reach them later, after
  // they have answered the update.
  std::map<Dot, Acknowledged> acknowledged_;
};

// L23: what is shown of a document is what its writes, each applied to what its writer had been shown, come
// to: no addition is lost, nothing that was removed comes back, counters are exact. Where writers had
// truncated contexts something may come back, which is counted; nothing is lost or miscounted.
class DocumentsMerge final : public Law {
 public:
  explicit DocumentsMerge(Scene& scene)
      : Law(scene, Kind::safety, "L23", "a document shows what its writes come to") {}

 private:
  using Look = document::test::Seen;

  void on_reply(const Key& key, const Object& object, const Where& where) override {
    if (key.bucket == "documents") compare(key, object, where);
  }
  void at_the_end() override {
    for (const auto& [key, ids] : scene_.book.by_key()) {
      if (key.bucket != "documents") continue;
      Object all;
      for (const Object& copy : copies_of(scene_, key)) document::sync_with_tables(all, copy);
      compare(key, all, {"what is left beside", 0});
    }
  }

  // Of the keys whose name says so a delete wins over what was written beside it.
  static Deletes deletes_of(const Key& key) {
    return key.key.ends_with("-win") ? Deletes::win : Deletes::lose;
  }
  void compare(const Key& key, const Object& object, const Where& where) {
    const Deletes deletes = deletes_of(key);
    auto state = document::read(object, deletes);
    if (!state) {
      return fail(text(where) + ": " + printable(key) + ": " + state.status().message());
    }
    std::set<int> living;
    std::size_t documents = 0;
    bool deleted = false;
    for (const Version& version : object.versions) {
      if (scene_.book.find(version.write_id) == nullptr) return;  // a phantom; told elsewhere
      int number = known(version.write_id);
      deleted |= version.tombstone;
      if (version.tombstone) continue;
      living.insert(number);
      ++documents;
    }
    if (deleted && deletes == Deletes::win) living.clear();
    if (documents > 1) scene_.saw(Seen::document_merged);
    Look is = document::test::look(*state), wanted = oracle_.look(living);
    if (is == wanted) return;
    if (key.key.ends_with("-cut")) {
      bool all = std::all_of(wanted.begin(), wanted.end(), [&](const auto& slot) {
        auto there = is.find(slot.first);
        return there != is.end() && there->second == slot.second;
      });
      if (all) return scene_.saw(Seen::document_came_back);
    }
    fail(text(where) + " shows of " + printable(key) + ": " + document::test::text(is) +
         "; its writes come to: " + document::test::text(wanted));
  }

  // Tells the oracle of a write, after those that its writer had been shown.
  int known(WriteId id) {
    auto at = numbers_.find(id);
    if (at != numbers_.end()) return at->second;
    const WriteRecord& write = *scene_.book.find(id);
    std::set<int> living, all;
    bool deleted = false;
    for (WriteId shown : write.shown) {
      int number = known(shown);
      all.insert(number);
      deleted |= scene_.book.find(shown)->tombstone;
      if (!scene_.book.find(shown)->tombstone) living.insert(number);
    }
    if (deleted && deletes_of(write.key) == Deletes::win) living.clear();
    int number = static_cast<int>(numbers_.size()) + 1;
    numbers_.emplace(id, number);
    if (write.tombstone) {
      oracle_.erase(number, all);
    } else {
      oracle_.write(number, living, all, scene_.book.edits_of(id));
    }
    return number;
  }

  document::test::Oracle oracle_;
  std::map<WriteId, int> numbers_;
};

// L15: what a node keeps stays small, and nothing is left when nothing is asked.
class Bounded final : public Law {
 public:
  explicit Bounded(Scene& scene)
      : Law(scene, Kind::safety, "L15", "queues, memory, hints, siblings bounded") {}

 private:
  void on_stored(HostId node, Table, const Key& key, const Object& object) override {
    // Each minter keeps the limit for itself; what they made without each other is joined.
    // A node may mint hints for an owner that goes and for one that comes.
    std::size_t minters = scene_.world.nodes() * (scene_.plan.strangers > 0 ? 2 : 1);
    std::size_t limit = scene_.plan.max_siblings * minters;
    if (object.versions.size() > limit) {
      fail(scene_.world.name_of_host(node) + " holds " + std::to_string(object.versions.size()) +
           " versions of " + printable(key) + ", wanted at most " + std::to_string(limit));
    }
  }
  void on_tick() override {
    for (HostId node = 0; node < scene_.world.nodes(); ++node) {
      const Node* running = scene_.world.node(node);
      if (running == nullptr) continue;
      std::size_t limit = 100 + 40 * scene_.plan.clients;
      if (running->in_flight() > limit)
        fail(scene_.world.name_of_host(node) + " has " + std::to_string(running->in_flight()) +
             " requests under way, " + std::to_string(limit) + " at most were asked");
      std::size_t hints = scene_.book.by_key().size() * scene_.world.nodes();
      if (scene_.world.hints_at(node) > hints)
        fail(scene_.world.name_of_host(node) + " holds more hints than there are keys and owners");
    }
  }
  void at_the_end() override {
    for (HostId node = 0; node < scene_.world.nodes(); ++node) {
      const Node* running = scene_.world.node(node);
      if (running == nullptr || running->questions() == 0) continue;
      fail(scene_.world.name_of_host(node) + " still waits for " +
           std::to_string(running->questions()) + " replies though nobody asks anything");
    }
  }
};

// L16: every call was answered once, and every machine said Done.
class AnsweredAndDone final : public Law {
 public:
  explicit AnsweredAndDone(Scene& scene)
      : Law(scene, Kind::safety, "L16", "exactly one answer, then done") {}

 private:
  void at_the_end() override {
    if (scene_.unanswered > 0)
      fail(std::to_string(scene_.unanswered) + " calls were never answered");
    for (HostId node = 0; node < scene_.world.nodes(); ++node) {
      const Node* running = scene_.world.node(node);
      if (running != nullptr && running->in_flight() > 0)
        fail(scene_.world.name_of_host(node) + " has " + std::to_string(running->in_flight()) +
             " requests that never end");
    }
    for (HostId client : scene_.clients) {
      if (scene_.world.client(client).unanswered() > 0)
        fail(scene_.world.name_of_host(client) + " has calls that never end");
    }
  }
};

}  // namespace

std::vector<std::unique_ptr<Law>> all_laws(Scene& scene) {
  std::vector<std::unique_ptr<Law>> laws;
  laws.push_back(std::make_unique<DotsAreNames>(scene));  // first: it notes the dots
  laws.push_back(std::make_unique<NoPhantom>(scene));
  laws.push_back(std::make_unique<NoWriteTwice>(scene));
  laws.push_back(std::make_unique<NoAncestor>(scene));
  laws.push_back(std::make_unique<SyncIsAJoin>(scene));
  laws.push_back(std::make_unique<ReadsDontGoBack>(scene));
  laws.push_back(std::make_unique<StrictReadsSeeStrictWrites>(scene));
  laws.push_back(std::make_unique<MembersAgree>(scene));
  laws.push_back(std::make_unique<Availability>(scene));
  laws.push_back(std::make_unique<HintsLeaveLast>(scene));
  laws.push_back(std::make_unique<OneRing>(scene));
  laws.push_back(std::make_unique<Durable>(scene));
  laws.push_back(std::make_unique<LastCopyStays>(scene));
  laws.push_back(std::make_unique<GivenToAllOwners>(scene));
  laws.push_back(std::make_unique<FlipForgetsNothing>(scene));
  laws.push_back(std::make_unique<DocumentsMerge>(scene));
  laws.push_back(std::make_unique<Bounded>(scene));
  laws.push_back(std::make_unique<NotAfterItsTime>(scene));
  laws.push_back(std::make_unique<DeletesStay>(scene));  // before L1: it says why
  laws.push_back(std::make_unique<SeenOnce>(scene));
  laws.push_back(std::make_unique<FollowersWin>(scene));
  laws.push_back(std::make_unique<NoWriteLost>(scene));
  laws.push_back(std::make_unique<CountedOnce>(scene));
  laws.push_back(std::make_unique<MergedIsTrue>(scene));
  laws.push_back(std::make_unique<Convergence>(scene));
  laws.push_back(std::make_unique<AnsweredAndDone>(scene));
  return laws;
}

}  // namespace ringlet::sim
