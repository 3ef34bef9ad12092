#include "repair/tombstone_collection.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/assert.hpp"
#include "base/planted.hpp"
#include "repair/merkle_tree.hpp"

namespace ringlet {
namespace {

constexpr std::size_t most_keys = 4096;  // in one question, whoever asks
constexpr std::size_t page_bytes = 1024 * 1024;
constexpr std::size_t most_reads = 16;  // in one go
constexpr int most_tries = 4;           // of a Reap to one member
constexpr Duration longest_between_notes = Duration::seconds(12 * 3600);
constexpr Duration longest_tick = Duration::seconds(30);

enum class Phase { first, settling, second, reaping };

struct Batch {
  std::vector<Key> keys;
  std::vector<std::uint64_t> clocks;
  std::size_t bytes = 0;
  Phase phase = Phase::first;
  std::set<NodeId> unanswered;
  Instant settled = Instant::never();
  std::uint64_t ring = 0;
  int tries = 0;
};

struct Asked {
  std::uint64_t batch;
  NodeId to;
  Instant until;
};

}  // namespace

bool is_all_tombstones(const Object& object) {
  return !object.versions.empty() &&
         std::all_of(object.versions.begin(), object.versions.end(),
                     [](const Version& version) { return version.tombstone; });
}

namespace {

Status malformed(const char* what, std::size_t keys, std::size_t clocks) {
  if (keys == clocks && keys <= most_keys) return Status::ok();
  return Status(Code::invalid_argument,
                std::string(what) + ": wanted at most " + std::to_string(most_keys) +
                    " keys and a clock for each, got " + std::to_string(keys) + " keys and " +
                    std::to_string(clocks) + " clocks");
}

}  // namespace

struct TombstoneCollection::Impl {
  NodeId self;
  Options options;
  OwnCopies& copies;
  TombstoneNotes& notes;
  const Whereabouts& placement;
  const Health& health;
  Pace* pace;

  // This node's age, once it could be read; counted up to `counted`, on the disk up to `kept`.
  std::optional<Duration> age;
  Duration kept{};
  Instant counted, tick_at = Instant::never();

  std::map<std::uint64_t, Batch> batches;  // by their own numbers
  PendingRequests<Asked> asked;
  std::vector<Outgoing> outgoing;
  std::uint64_t last_batch = 0;

  bool walking = false;
  std::uint32_t partition = 0;
  std::optional<Key> after;
  Batch gathering;
  std::uint64_t walked = 0,
                young = 0;  // keys seen by this walk that are old enough, and that are not
  bool asking = false;      // this walk: nobody was down when it began
  bool noting = false;      // this walk: also partitions of which another is first owner
  Instant walk_at = Instant::never(), pace_at = Instant::never(), note_at = Instant::never();
  Progress progress;

  Impl(NodeId me, Options o, OwnCopies& c, TombstoneNotes& n, const Whereabouts& p, const Health& h,
       Pace* a)
      : self(me), options(o), copies(c), notes(n), placement(p), health(h), pace(a) {
    options.grace = std::max(options.grace, options.write_life);
    RINGLET_ASSERT(options.page >= 1);
    RINGLET_ASSERT(options.batch >= 1 && options.batch <= most_keys);
    RINGLET_ASSERT(options.batches >= 1);
    RINGLET_ASSERT(options.period > Duration{});
    RINGLET_ASSERT(options.patience > Duration{});
  }

  // ---- the count ----

  Duration tick() const {
    return std::clamp(Duration::micros(options.grace.us / 100), Duration::seconds(1), longest_tick);
  }

  // False while the disk does not say how old this node is: then nothing is old enough.
  bool count(Now now) {
    if (!age) {
      auto stored = notes.age();
      if (!stored) return false;
      age = kept = *stored;
      counted = now.instant;
    }
    // Ten ticks without a count is a machine that slept, or a monotonic clock that is none.
    Duration passed = std::clamp(now.instant - counted, Duration{}, tick() * 10);
    counted = now.instant;
    age = *age + passed;
    return true;
  }

  void keep_age(Now now) {
    tick_at = now.instant + tick();
    if (count(now) && *age != kept && notes.keep_age(*age)) kept = *age;
  }

  // Which of these, that are nothing but tombstones, have been here for the grace.
  Result<std::vector<bool>> old_enough(const std::vector<Key>& keys,
                                       const std::vector<std::uint64_t>& clocks, Now now) {
    if (!count(now)) return Status(Code::unavailable, "this node cannot read its own age");
    auto since = notes.known_since(keys, clocks, *age);
    if (!since) return since.status();
    std::vector<bool> old;
    for (Duration first : *since) old.push_back(*age - first >= options.grace);
    return old;
  }

  // ---- the walk ----

  bool somebody_is_down() const {
    std::vector<NodeId> members = placement.members();
    return std::any_of(members.begin(), members.end(),
                       [&](NodeId node) { return node != self && health.is_down(node); });
  }

  void begin_walk(Now now) {
    asking = !somebody_is_down() || planted(PlantedBug::reap_before_all_owners);
    noting = note_at <= now.instant;
    if (!asking && !noting) {
      walk_at = now.instant + options.period;
      return;
    }
    walking = true;
    partition = 0;
    after.reset();
    gathering = {};
    walked = young = 0;
    walk_at = Instant::never();
  }

  void end_walk(Now now) {
    walking = false;
    walk_at = now.instant + options.period;
  }

  void end_whole_walk(Now now) {
    if (asking) progress.waiting = walked;
    progress.young = young;
    if (noting) {
      note_at = now.instant + std::clamp(Duration::micros(options.grace.us / 20), options.period,
                                         std::max(options.period, longest_between_notes));
    }
    seal(now);
    end_walk(now);
  }

  bool first_owner(std::uint32_t where) const {
    std::vector<NodeId> owners = placement.owners(where);
    return !owners.empty() && owners.front() == self && !placement.moving(where);
  }

  bool walks_through(std::uint32_t where) const {
    return first_owner(where) || (noting && placement.keeps(where));
  }

  void walk(Now now) {
    pace_at = Instant::never();
    std::size_t reads = 0;
    while (walking && batches.size() < options.batches) {
      while (partition < placement.partitions() && !walks_through(partition)) {
        ++partition;
        after.reset();
      }
      if (partition >= placement.partitions()) return end_whole_walk(now);
      if (++reads > most_reads) {  // the requests of the node come first
        pace_at = now.instant + Duration::millis(1);
        return;
      }
      if (pace != nullptr && !pace->take(Pace::Kind::reaping, 0, now)) {
        pace_at = pace->next(Pace::Kind::reaping, now);
        return;
      }
      auto page = copies.copies_of(partition, after ? &*after : nullptr, options.page, page_bytes);
      if (!page || !gather(*page, now)) return end_walk(now);
      if (!page->empty()) continue;
      ++partition;
      after.reset();
    }
  }

  // Stops at a full batch; the walk goes on behind the last key taken. False: the disk is ill.
  bool gather(const std::vector<KeyedObject>& page, Now now) {
    std::vector<Key> keys;
    std::vector<std::uint64_t> clocks;
    std::vector<std::int64_t> stamps;
    for (const KeyedObject& o : page) {
      if (!is_all_tombstones(o.object)) continue;
      keys.push_back(o.key);
      clocks.push_back(clock_hash(o.object));
      std::int64_t newest_us = INT64_MIN;
      for (const Version& v : o.object.versions) newest_us = std::max(newest_us, v.written_us);
      stamps.push_back(newest_us);
    }
    if (noting) {
      const Key* upto = page.empty() ? nullptr : &page.back().key;
      if (!notes.forget_others(partition, after ? &*after : nullptr, upto, keys)) return false;
    }
    auto old = old_enough(keys, clocks, now);
    if (!old) return false;
    if (planted(PlantedBug::tombstone_aged_by_wall_clock)) {
      for (std::size_t i = 0; i < keys.size(); ++i) {
        (*old)[i] = stamps[i] <= now.wall_ms * 1000 - options.grace.us;
      }
    }
    bool first = asking && first_owner(partition);
    for (std::size_t i = 0; i < keys.size() && first; ++i) {
      ++((*old)[i] ? walked : young);
      if (!(*old)[i] || is_under_way(keys[i])) continue;
      gathering.keys.push_back(keys[i]);
      gathering.clocks.push_back(clocks[i]);
      gathering.bytes += keys[i].bucket.size() + keys[i].key.size() + 16;
      if (gathering.keys.size() >= options.batch || gathering.bytes >= options.batch_bytes) {
        after = keys[i];
        seal(now);
        return true;
      }
    }
    if (!page.empty()) after = page.back().key;
    return true;
  }

  bool is_under_way(const Key& key) const {
    return std::any_of(batches.begin(), batches.end(), [&](const auto& entry) {
      const auto& keys = entry.second.keys;
      return std::find(keys.begin(), keys.end(), key) != keys.end();
    });
  }

  // ---- being asked ----

  Message answer(const ReapAsk& ask, Now now) {
    if (Status status = malformed("reap ask", ask.keys.size(), ask.clock_hashes.size()); !status) {
      return Refused{status, 0};
    }
    bool careless = planted(PlantedBug::doomstone);
    ReapAnswer reply;
    std::vector<std::size_t> kept;  // of these the age counts: this node is an owner and agrees
    std::vector<Key> keys;
    std::vector<std::uint64_t> clocks;
    for (std::size_t i = 0; i < ask.keys.size(); ++i) {
      const Key& key = ask.keys[i];
      std::uint32_t where = placement.partition_of(key);
      auto hinted = copies.has_hint_of(key);
      if (!hinted) return Refused{hinted.status(), 0};
      auto own = copies.copy_of(key);
      if (!own &&
          own.status().code() == Code::corrupt) {  // the other keys do not wait for its mending
        reply.may.push_back(0);
        continue;
      }
      if (!own) return Refused{own.status(), 0};
      bool may = placement.keeps(where)
                     ? is_all_tombstones(*own) && clock_hash(*own) == ask.clock_hashes[i]
                     : own->missing() || careless;
      may = may && (!*hinted || careless) && !placement.moving(where);
      if (may && placement.keeps(where)) {
        kept.push_back(i);
        keys.push_back(key);
        clocks.push_back(ask.clock_hashes[i]);
      }
      reply.may.push_back(may ? 1 : 0);
    }
    if (keys.empty() || planted(PlantedBug::tombstone_aged_by_wall_clock)) return reply;
    auto old = old_enough(keys, clocks, now);
    if (!old) return Refused{old.status(), 0};
    for (std::size_t i = 0; i < kept.size(); ++i) {
      if (!(*old)[i]) reply.may[kept[i]] = 0;
    }
    return reply;
  }

  // ---- one batch ----

  void seal(Now now) {
    Batch batch = std::exchange(gathering, {});
    if (batch.keys.empty()) return;
    batch.ring = placement.version();
    progress.asked += batch.keys.size();
    std::uint64_t id = ++last_batch;
    batches.emplace(id, std::move(batch));
    ask_all(id, now);
  }

  void ask_all(std::uint64_t id, Now now) {
    Batch& batch = batches.at(id);
    keep_own_view(batch, now);
    if (batch.keys.empty()) {
      batches.erase(id);
      return;
    }
    bool careless = planted(PlantedBug::reap_before_all_owners);
    for (NodeId node : placement.members()) {
      if (node == self || (careless && health.is_down(node))) continue;
      batch.unanswered.insert(node);
      send(id, node, ReapAsk{batch.keys, batch.clocks}, now);
    }
    if (batch.unanswered.empty()) next_phase(id, now);
  }

  void send(std::uint64_t id, NodeId to, Message message, Now now) {
    RequestId number = asked.add({id, to, now.instant + options.patience});
    outgoing.push_back({to, number, std::move(message)});
  }

  // The question as put to this node itself.
  void keep_own_view(Batch& batch, Now now) {
    Message own = answer(ReapAsk{batch.keys, batch.clocks}, now);
    const auto* may = std::get_if<ReapAnswer>(&own);
    keep(batch, may != nullptr ? may->may : std::vector<std::uint8_t>(batch.keys.size(), 0));
  }

  void keep(Batch& batch, const std::vector<std::uint8_t>& may) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < batch.keys.size(); ++i) {
      if (may[i] != 1) continue;
      if (kept != i) batch.keys[kept] = std::move(batch.keys[i]);
      batch.clocks[kept] = batch.clocks[i];
      ++kept;
    }
    progress.postponed += batch.keys.size() - kept;
    batch.keys.resize(kept);
    batch.clocks.resize(kept);
  }

  void next_phase(std::uint64_t id, Now now) {
    Batch& batch = batches.at(id);
    if (batch.keys.empty() || batch.ring != placement.version()) return postpone(id);
    switch (batch.phase) {
      case Phase::first:
        batch.phase = Phase::settling;
        batch.settled = now.instant + options.settle;
        return;
      case Phase::settling:
        batch.phase = Phase::second;
        batch.settled = Instant::never();
        return ask_all(id, now);
      case Phase::second:
        return reap(id, now);
      case Phase::reaping:
        return erase_own(id);
    }
  }

  void reap(std::uint64_t id, Now now) {
    Batch& batch = batches.at(id);
    batch.phase = Phase::reaping;
    keep_own_view(batch, now);
    if (batch.keys.empty()) return postpone(id);
    for (NodeId node : placement.members()) {  // no owner: it has nothing, and says so
      if (node != self) batch.unanswered.insert(node);
    }
    if (batch.unanswered.empty()) return erase_own(id);
    for (NodeId node : batch.unanswered) send(id, node, Reap{batch.keys, batch.clocks}, now);
  }

  // Last, so that whatever broke off before leaves one owner who tries again.
  void erase_own(std::uint64_t id) {
    const Batch& batch = batches.at(id);
    for (std::size_t i = 0; i < batch.keys.size(); ++i) {
      auto object = copies.copy_of(batch.keys[i]);
      bool same = object && clock_hash(*object) == batch.clocks[i];
      auto erased = same ? copies.erase_if_same(batch.keys[i], *object) : Result<bool>(false);
      ++(erased && *erased ? progress.reaped : progress.postponed);
    }
    end(id);
  }

  // The next walk finds them again.
  void postpone(std::uint64_t id) {
    progress.postponed += batches.at(id).keys.size();
    end(id);
  }

  void end(std::uint64_t id) {
    batches.erase(id);
    asked.erase_if([&](const Asked& each) { return each.batch == id; });
  }

  void heard(std::uint64_t id, NodeId from, const Message& message, Now now) {
    Batch& batch = batches.at(id);
    if (batch.phase == Phase::reaping) {
      if (!std::holds_alternative<Stored>(message)) return failed(id, from, now);
    } else {
      const auto* answer = std::get_if<ReapAnswer>(&message);
      // Another's answer made the list shorter meanwhile: so each answer is to the list as it was asked,
      // which therefore is cut only when all have answered.
      if (answer == nullptr || answer->may.size() != batch.keys.size()) {
        return failed(id, from, now);
      }
      note(batch, answer->may);
    }
    answered(id, from, now);
  }

  void note(Batch& batch, const std::vector<std::uint8_t>& may) {
    for (std::size_t i = 0; i < may.size(); ++i) {
      if (may[i] != 1) batch.clocks[i] = 0;  // no object has this clock
    }
  }

  void answered(std::uint64_t id, NodeId from, Now now) {
    Batch& batch = batches.at(id);
    batch.unanswered.erase(from);
    if (!batch.unanswered.empty()) return;
    std::vector<std::uint8_t> may(batch.keys.size());
    for (std::size_t i = 0; i < may.size(); ++i) may[i] = batch.clocks[i] != 0 ? 1 : 0;
    keep(batch, may);
    next_phase(id, now);
  }

  // Silent, refusing, gone or talking nonsense.
  void failed(std::uint64_t id, NodeId node, Now now) {
    Batch& batch = batches.at(id);
    if (planted(PlantedBug::reap_before_all_owners)) return answered(id, node, now);
    bool again =
        batch.phase == Phase::reaping && !health.is_down(node) && ++batch.tries < most_tries;
    if (!again) return postpone(id);
    send(id, node, Reap{batch.keys, batch.clocks}, now);
  }

  void drop_stale(Now now) {
    std::vector<std::uint64_t> stale, settled;
    for (const auto& [id, batch] : batches) {
      if (batch.ring != placement.version()) {
        stale.push_back(id);
      } else if (batch.settled <= now.instant) {
        settled.push_back(id);
      }
    }
    for (std::uint64_t id : stale) postpone(id);
    for (std::uint64_t id : settled) next_phase(id, now);
  }
};

TombstoneCollection::TombstoneCollection(NodeId self, Options options, OwnCopies& copies,
                                         TombstoneNotes& notes, const Whereabouts& placement,
                                         const Health& health, Pace* pace)
    : impl_(std::make_unique<Impl>(self, options, copies, notes, placement, health, pace)) {}
TombstoneCollection::~TombstoneCollection() = default;

void TombstoneCollection::start(Now now) {
  impl_->walk_at = now.instant + impl_->options.period;
  impl_->note_at = now.instant;
  impl_->keep_age(now);
}

Message TombstoneCollection::answer(const ReapAsk& ask, Now now) {
  return impl_->answer(ask, now);
}

void TombstoneCollection::set_grace(Duration grace) {
  impl_->options.grace = grace;
}

void TombstoneCollection::walk_now(Now now) {
  impl_->note_at = std::min(impl_->note_at, now.instant);
  if (!impl_->walking) impl_->begin_walk(now);
  impl_->walk(now);
}

void TombstoneCollection::on_reply(NodeId from, RequestId number, const Message& message, Now now) {
  std::optional<Asked> asked = impl_->asked.take(number, from);
  if (!asked) return;
  impl_->heard(asked->batch, from, message, now);
  impl_->walk(now);
}

void TombstoneCollection::on_unreachable(NodeId node, Now now) {
  for (RequestId number : impl_->asked.to(node)) {
    std::optional<Asked> asked = impl_->asked.take(number);
    if (!asked) continue;  // its batch ended with the one before
    impl_->failed(asked->batch, node, now);
  }
  impl_->walk(now);
}

void TombstoneCollection::on_wake(Now now) {
  if (impl_->tick_at <= now.instant) impl_->keep_age(now);
  impl_->drop_stale(now);
  while (std::optional<Asked> silent = impl_->asked.take_silent(now.instant)) {
    impl_->failed(silent->batch, silent->to, now);
  }
  if (!impl_->walking && impl_->walk_at <= now.instant) impl_->begin_walk(now);
  impl_->walk(now);
}

std::vector<Outgoing> TombstoneCollection::take_outgoing() {
  return std::exchange(impl_->outgoing, {});
}

Instant TombstoneCollection::next_wake() const {
  Instant next = std::min({impl_->walk_at, impl_->pace_at, impl_->tick_at});
  next = std::min(next, impl_->asked.next_until());
  for (const auto& [id, batch] : impl_->batches) next = std::min(next, batch.settled);
  return next;
}

TombstoneCollection::Progress TombstoneCollection::progress() const {
  return impl_->progress;
}

Message answer(const Reap& reap, OwnCopies& copies) {
  if (Status status = malformed("reap", reap.keys.size(), reap.clock_hashes.size()); !status) {
    return Refused{status, 0};
  }
  for (std::size_t i = 0; i < reap.keys.size(); ++i) {
    auto own = copies.copy_of(reap.keys[i]);
    if (!own && own.status().code() == Code::corrupt) continue;
    if (!own) return Refused{own.status(), 0};
    if (own->missing() || clock_hash(*own) != reap.clock_hashes[i]) continue;
    auto erased = copies.erase_if_same(reap.keys[i], *own);
    if (!erased) return Refused{erased.status(), 0};
  }
  return Stored{};
}

}  // namespace ringlet
