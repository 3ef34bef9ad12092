#include "repair/surplus.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/assert.hpp"
#include "base/planted.hpp"

namespace ringlet {
namespace {

// One object on its way to all owners.
struct Push {
  Object object;
  std::vector<NodeId> owners;
  std::set<NodeId> unconfirmed;
  std::uint64_t ring = 0;  // placement.version() when it was sent
  bool promised = false;   // this node confirmed the key to somebody meanwhile: erases nothing
};

struct Asked {
  Key key;
  NodeId to;
  Instant until;
};

std::size_t bytes_of(const KeyedObject& o) {
  std::size_t bytes = o.key.bucket.size() + o.key.key.size();
  for (const Version& v : o.object.versions) bytes += 64 + v.value.size();
  return bytes;
}

constexpr std::size_t page_bytes = 1024 * 1024;
constexpr std::size_t most_reads = 64;  // in one go

}  // namespace

struct Surplus::Impl {
  NodeId self;
  Options options;
  OwnCopies& copies;
  const Whereabouts& placement;
  const Health& health;
  Pace* pace;

  std::map<Key, Push> pushes;
  std::map<std::uint64_t, Asked> asked;  // numbers rise, so the oldest is first
  std::deque<KeyedObject> page;          // read, not pushed
  std::vector<Outgoing> outgoing;
  std::uint64_t last_number = 0;

  // The walk over all partitions.
  bool walking = false, found_any = false;
  std::uint32_t partition = 0;
  std::optional<Key> after;
  Instant scan_at = Instant::never(), pace_at = Instant::never();
  std::uint64_t ring = 0;  // the walk's
  Progress progress;

  Impl(NodeId me, Options o, OwnCopies& c, const Whereabouts& p, const Health& h, Pace* a)
      : self(me), options(o), copies(c), placement(p), health(h), pace(a) {
    RINGLET_ASSERT(options.window >= 1);
    RINGLET_ASSERT(options.page >= 1);
    RINGLET_ASSERT(options.scan > Duration{});
    RINGLET_ASSERT(options.patience > Duration{});
  }

  // Each owner reads, compares and flushes.
  bool may_push(const KeyedObject& o, Now now) const {
    if (pace == nullptr) return true;
    std::size_t owners = placement.owners(placement.partition_of(o.key)).size();
    return pace->take(Pace::Kind::transfer, bytes_of(o), now, std::max<std::size_t>(1, owners));
  }

  void begin_walk() {
    walking = true;
    found_any = false;
    partition = 0;
    after.reset();
    page.clear();
    ring = placement.version();
    scan_at = Instant::never();
  }

  void end_walk(Now now, Duration pause) {
    walking = false;
    page.clear();
    scan_at = std::min(scan_at, now.instant + pause);
  }

  // What could not be pushed or was not confirmed is found by the next scan, which comes soon.
  void again_soon(Now now) { scan_at = std::min(scan_at, now.instant + options.retry); }

  void fill(Now now) {
    pace_at = Instant::never();
    std::size_t reads = 0;
    while (walking && pushes.size() < options.window) {
      if (placement.version() != ring) return end_walk(now, options.settle);
      if (page.empty() && ++reads > most_reads) {  // the requests of the node come first
        pace_at = now.instant + Duration::millis(1);
        return;
      }
      if (page.empty() && !read_page(now)) return;
      if (page.empty()) continue;
      if (!may_push(page.front(), now)) {
        pace_at = pace->next(Pace::Kind::transfer, now);
        return;
      }
      KeyedObject next = std::move(page.front());
      page.pop_front();
      push(std::move(next), now);
    }
  }

  // False: the walk is over.
  bool read_page(Now now) {
    if (!after) {  // a partition begins: skip those that are kept
      auto next = partition < placement.partitions() ? copies.partition_with_copies(partition)
                                                     : Result<std::uint32_t>(partition);
      if (!next) return end_walk(now, options.retry), false;
      partition = *next;
      if (partition >= placement.partitions()) {
        progress.clean = !found_any;
        end_walk(now, options.scan);
        return false;
      }
      if (placement.keeps(partition)) {
        ++partition;
        return true;
      }
    }
    auto read = copies.copies_of(partition, after ? &*after : nullptr, options.page, page_bytes);
    if (!read) return end_walk(now, options.retry), false;
    if (read->empty()) {
      ++partition;
      after.reset();
      return true;
    }
    found_any = true;
    progress.clean = false;
    after = read->back().key;
    std::vector<NodeId> owners = placement.owners(partition);
    if (owners.empty() || std::any_of(owners.begin(), owners.end(),
                                      [&](NodeId node) { return health.is_down(node); })) {
      // Not all can confirm: the partition stays as it is.
      ++partition;
      after.reset();
      again_soon(now);
      return true;
    }
    for (KeyedObject& o : *read) {
      if (!pushes.contains(o.key)) page.push_back(std::move(o));
    }
    return true;
  }

  void push(KeyedObject o, Now now) {
    std::uint32_t where = placement.partition_of(o.key);
    if (placement.keeps(where)) return;
    Push push;
    push.owners = placement.owners(where);
    push.unconfirmed.insert(push.owners.begin(), push.owners.end());
    push.ring = placement.version();
    if (push.owners.empty() || push.unconfirmed.contains(self)) return;
    for (NodeId owner : push.owners) {
      std::uint64_t number = ++last_number;
      asked.emplace(number, Asked{o.key, owner, now.instant + options.patience});
      outgoing.push_back(
          {owner, number, ReplicaPut{o.key, o.object, NodeId{}, WriteDurability::disk}});
    }
    ++progress.pushed;
    push.object = std::move(o.object);
    pushes.emplace(std::move(o.key), std::move(push));
  }

  void give_up(const Key& key, Now now) {
    if (pushes.erase(key) == 0) return;
    std::erase_if(asked, [&](const auto& entry) { return entry.second.key == key; });
    ++progress.kept;
    again_soon(now);
  }

  // An owner is silent or gone: the others' turn comes with the next scan.
  void break_off(const Key& key, Now now) {
    give_up(key, now);
    if (walking) end_walk(now, options.retry);
  }

  void confirmed(NodeId owner, const Key& key, Now now) {
    auto found = pushes.find(key);
    if (found == pushes.end()) return;
    Push& push = found->second;
    push.unconfirmed.erase(owner);
    if (!push.unconfirmed.empty() && !planted(PlantedBug::source_drops_early)) return;
    std::uint32_t where = placement.partition_of(key);
    if (push.promised || push.ring != placement.version() || placement.keeps(where)) {
      return give_up(key, now);
    }
    auto erased = copies.erase_if_same(key, push.object);
    if (!erased || !*erased) return give_up(key, now);
    ++progress.erased;
    pushes.erase(found);
    std::erase_if(asked, [&](const auto& entry) { return entry.second.key == key; });
  }
};

Surplus::Surplus(NodeId self, Options options, OwnCopies& copies, const Whereabouts& placement,
                 const Health& health, Pace* pace)
    : impl_(std::make_unique<Impl>(self, options, copies, placement, health, pace)) {}
Surplus::~Surplus() = default;

void Surplus::start(Now now) {
  impl_->scan_at = now.instant + impl_->options.settle;
}

void Surplus::on_ring_changed(Now now) {
  impl_->progress.clean = false;
  impl_->walking = false;
  impl_->page.clear();
  impl_->pace_at = Instant::never();
  impl_->scan_at = now.instant + impl_->options.settle;
}

void Surplus::on_stored(const Key& key) {
  auto found = impl_->pushes.find(key);
  if (found != impl_->pushes.end()) found->second.promised = true;
}

void Surplus::on_reply(NodeId from, std::uint64_t number, const Message& message, Now now) {
  auto found = impl_->asked.find(number);
  if (found == impl_->asked.end() || found->second.to != from) return;
  Key key = found->second.key;
  impl_->asked.erase(found);
  if (std::holds_alternative<Stored>(message)) {
    impl_->confirmed(from, key, now);
  } else {
    impl_->give_up(key, now);
  }
  impl_->fill(now);
}

void Surplus::on_unreachable(NodeId node, Now now) {
  std::vector<Key> keys;
  for (const auto& [number, asked] : impl_->asked) {
    if (asked.to == node) keys.push_back(asked.key);
  }
  for (const Key& key : keys) impl_->break_off(key, now);
  impl_->fill(now);
}

void Surplus::on_wake(Now now) {
  while (!impl_->asked.empty() && impl_->asked.begin()->second.until <= now.instant) {
    Key key = impl_->asked.begin()->second.key;
    impl_->asked.erase(impl_->asked.begin());
    impl_->break_off(key, now);
  }
  if (!impl_->walking && impl_->scan_at <= now.instant) impl_->begin_walk();
  impl_->fill(now);
}

std::vector<Surplus::Outgoing> Surplus::take_outgoing() {
  return std::exchange(impl_->outgoing, {});
}

Instant Surplus::next_wake() const {
  Instant next = impl_->pace_at;
  if (!impl_->walking) next = std::min(next, impl_->scan_at);
  if (!impl_->asked.empty()) next = std::min(next, impl_->asked.begin()->second.until);
  return next;
}

bool Surplus::busy() const {
  return !impl_->pushes.empty();
}

Surplus::Progress Surplus::progress() const {
  return impl_->progress;
}

}  // namespace ringlet
