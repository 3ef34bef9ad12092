#include "node/own_store.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "base/assert.hpp"
#include "base/planted.hpp"
#include "node/hint_key.hpp"
#include "versioning/encoding.hpp"

namespace ringlet {
namespace {

// Of the state table: how long this node has run, in microseconds; and, for each tombstone,
// "clock-hash age", both decimal.
constexpr BytesView age_row = "node.age";
constexpr std::size_t most_note_bytes = 4096;  // of the replaced writes that one record remembers
constexpr std::size_t most_forgotten = 4096;   // in one transaction; the next walk finds the rest

Bytes note_prefix(std::uint32_t partition) {
  return "tombstone." + object_prefix(partition);
}
Bytes note_row(std::uint32_t partition, const Key& key) {
  return "tombstone." + object_row(partition, key);
}

std::optional<std::int64_t> parse_number(BytesView text) {
  std::int64_t number = 0;
  auto end = std::from_chars(text.data(), text.data() + text.size(), number);
  if (end.ec != std::errc{} || end.ptr != text.data() + text.size() || number < 0) {
    return std::nullopt;
  }
  return number;
}

// Nothing: the record is damaged, and the tombstone counts from now on.
std::optional<std::pair<std::uint64_t, Duration>> parse_note(BytesView text) {
  std::uint64_t clock = 0;
  const char* end = text.data() + text.size();
  auto first = std::from_chars(text.data(), end, clock);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != ' ') return std::nullopt;
  auto since = parse_number({first.ptr + 1, static_cast<std::size_t>(end - first.ptr - 1)});
  if (!since) return std::nullopt;
  return std::pair{clock, Duration::micros(*since)};
}

bool owns(const Ring& ring, NodeId node, std::uint32_t partition) {
  const auto& list = ring.preference_list(partition);
  auto end = list.begin() + static_cast<std::ptrdiff_t>(ring.effective_replicas());
  return std::find(list.begin(), end, node) != end;
}

}  // namespace

std::vector<std::uint32_t> OwnStore::owned() const {
  return shared_with(state_->self());
}

std::vector<std::uint32_t> OwnStore::shared_with(NodeId peer) const {
  auto ring = state_->ring();
  std::vector<std::uint32_t> shared;
  for (std::uint32_t partition = 0; partition < ring->partitions(); ++partition) {
    if (owns(*ring, state_->self(), partition) && owns(*ring, peer, partition)) {
      shared.push_back(partition);
    }
  }
  return shared;
}

std::vector<NodeId> OwnStore::peers() const {
  auto ring = state_->ring();
  std::set<NodeId> peers;
  for (std::uint32_t partition = 0; partition < ring->partitions(); ++partition) {
    if (!owns(*ring, state_->self(), partition)) continue;
    const auto& list = ring->preference_list(partition);
    peers.insert(list.begin(),
                 list.begin() + static_cast<std::ptrdiff_t>(ring->effective_replicas()));
  }
  peers.erase(state_->self());
  return {peers.begin(), peers.end()};
}

Result<bool> OwnStore::page(std::uint32_t partition, BytesView after, std::size_t limit,
                            const Visit& visit) {
  Bytes prefix = object_prefix(partition);
  std::size_t seen = 0;
  bool last = true;
  Status scanned =
      state_->engine().scan(Table::objects, after.empty() ? prefix : Bytes(after) + '\0',
                            after_prefix(prefix), [&](BytesView row, BytesView record) {
                              if (seen == limit) {
                                last = false;
                                return false;
                              }
                              auto key = parse_object_row(row);
                              auto object = decode_record(record);
                              if (key && !object) state_->note_corrupt(row, *key, object.status());
                              if (!key || !object) return true;  // does not count: pages move on
                              ++seen;
                              visit(row, *key, *object);
                              return true;
                            });
  if (!scanned) return scanned;
  return last;
}

// ---- OwnCopies ----

Result<std::vector<KeyedObject>> OwnStore::copies_of(std::uint32_t partition, const Key* after,
                                                     std::size_t objects, std::size_t bytes) {
  std::vector<KeyedObject> copies;
  bool news = false;  // damage nobody knew of
  std::size_t size = 0;
  Bytes prefix = object_prefix(partition);
  Status scanned = state_->engine().scan(
      Table::objects, after ? object_row(partition, *after) + '\0' : prefix, after_prefix(prefix),
      [&](BytesView row, BytesView record) {
        const bool full = copies.size() >= objects || (!copies.empty() && size >= bytes);
        if (full || (!copies.empty() && size + record.size() > bytes + most_note_bytes)) {
          return false;
        }
        auto key = parse_object_row(row);
        auto object = decode_record(record);
        // One that cannot be read counts as absent and stays: it stops nobody who reads on (F-13, F-108).
        if (key && !object) news |= state_->note_corrupt(row, *key, object.status());
        if (!key || !object) return true;
        // As a page is paid for (Pace). By the bytes of its record, a key that is written often would fill a page
        // with what it remembers of replaced writes: a page of fewer objects costs as many steps.
        std::size_t more = size_about(*key, *object);
        if (!copies.empty() && size + more > bytes) return false;
        size += more;
        copies.push_back({std::move(*key), std::move(*object)});
        return true;
      });
  if (news) trees().rebuild(partition);
  if (!scanned) return scanned;
  return copies;
}

Result<std::uint32_t> OwnStore::partition_with_copies(std::uint32_t first) {
  std::uint32_t found = partitions();
  Status scanned = state_->engine().scan(Table::objects, object_prefix(first), {},
                                         [&](BytesView row, BytesView) {
                                           auto partition = parse_object_partition(row);
                                           if (!partition) return true;
                                           found = *partition;
                                           return false;
                                         });
  if (!scanned) return scanned;
  return found;
}

Result<bool> OwnStore::has_hint_of(const Key& key) {
  for (NodeId target : state_->hint_counts().targets()) {
    auto hint = state_->engine().get(Table::hints, hint_row(target, key));
    if (!hint) return hint.status();
    if (*hint) return true;
  }
  return false;
}

Result<bool> OwnStore::erase_if_same(const Key& key, const Object& object) {
  std::uint32_t partition = partition_of(key);
  Bytes row = object_row(partition, key);
  bool erased = false;
  std::optional<PartitionTrees::Writing> writing(trees().writing(partition));
  // A forgotten copy that came back after a machine stop would be harmless; one that others forgot,
  // because this node said it had, would not: so the log is enough here, and disk before Stored.
  auto done = state_->engine().transact(Durability::log, [&](Transaction& transaction) {
    erased = false;
    auto record = transaction.get(Table::objects, row);
    if (!record) return record.status();
    if (!*record) return Status::ok();
    auto present = decode_record(**record);
    if (!present) return present.status();
    if (!(*present == object)) return Status::ok();
    erased = true;
    Status forgotten = transaction.erase(Table::state, note_row(partition, key));
    return forgotten ? transaction.erase(Table::objects, row) : forgotten;
  });
  if (!done) {
    writing.reset();
    if (done.status().maybe_applied()) trees().rebuild(partition);
    return done.status();
  }
  if (erased) writing->apply(row, key_hash(key), clock_hash(object), 0);
  return erased;
}

Result<std::uint64_t> OwnStore::make_durable() {
  auto ticket = state_->engine().transact(Durability::disk, [](Transaction&) {
    return Status::ok();  // the ticket is all that is wanted
  });
  if (ticket && planted(PlantedBug::ack_before_flush)) return std::uint64_t{0};
  return ticket;
}

// ---- Whereabouts ----

std::vector<NodeId> OwnStore::owners(std::uint32_t partition) const {
  auto ring = state_->ring();
  const auto& list = ring->preference_list(partition);
  return {list.begin(), list.begin() + static_cast<std::ptrdiff_t>(ring->effective_replicas())};
}

std::vector<NodeId> OwnStore::members() const {
  auto ring = state_->ring();
  std::vector<NodeId> members;
  for (const Member& member : ring->members()) members.push_back(member.id);
  return members;
}

bool OwnStore::moving(std::uint32_t partition) const {
  auto ring = state_->ring();
  return !ring->incoming(partition).empty() || !ring->outgoing(partition).empty();
}

bool OwnStore::keeps(NodeId node, std::uint32_t partition) const {
  auto ring = state_->ring();
  const auto& incoming = ring->incoming(partition);
  return owns(*ring, node, partition) ||
         std::find(incoming.begin(), incoming.end(), node) != incoming.end();
}

// ---- TransferStore ----

namespace {

constexpr BytesView cursor_prefix = "transfer.";

Bytes cursor_row(std::uint32_t partition) {
  return Bytes(cursor_prefix) + object_prefix(partition);
}

}  // namespace

Result<std::vector<std::pair<std::uint32_t, TransferCursor>>> OwnStore::cursors() {
  std::vector<std::pair<std::uint32_t, TransferCursor>> cursors;
  Status scanned = state_->engine().scan(
      Table::state, cursor_prefix, after_prefix(Bytes(cursor_prefix)),
      [&](BytesView row, BytesView record) {
        auto partition = parse_object_partition(row.substr(cursor_prefix.size()));
        auto cursor = decode_cursor(record);
        if (partition && cursor) cursors.emplace_back(*partition, std::move(*cursor));
        return true;
      });
  if (!scanned) return scanned;
  return cursors;
}

Status OwnStore::store_page(std::uint32_t partition, const std::vector<KeyedObject>& objects,
                            const TransferCursor& cursor) {
  return replica_.take_page(partition, objects, [&](Transaction& transaction) {
    return transaction.put(Table::state, cursor_row(partition), encode_cursor(cursor));
  });
}

Status OwnStore::forget_cursor(std::uint32_t partition) {
  auto done = state_->engine().transact(Durability::log, [&](Transaction& transaction) {
    return transaction.erase(Table::state, cursor_row(partition));
  });
  return done ? Status::ok() : done.status();
}

// ---- TombstoneNotes ----

Result<Duration> OwnStore::age() {
  auto record = state_->engine().get(Table::state, age_row);
  if (!record) return record.status();
  if (!*record) return Duration{};
  auto us = parse_number(**record);
  // A record that says nothing counts as none: then everything is younger than it is.
  return Duration::micros(us.value_or(0));
}

Status OwnStore::keep_age(Duration age) {
  auto done = state_->engine().transact(Durability::log, [&](Transaction& transaction) {
    return transaction.put(Table::state, age_row, std::to_string(age.us));
  });
  return done ? Status::ok() : done.status();
}

Result<std::vector<Duration>> OwnStore::known_since(const std::vector<Key>& keys,
                                                    const std::vector<std::uint64_t>& clocks,
                                                    Duration now) {
  RINGLET_ASSERT(keys.size() == clocks.size());
  std::vector<Duration> since;
  std::vector<std::size_t> unknown;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    auto record = state_->engine().get(Table::state, note_row(partition_of(keys[i]), keys[i]));
    if (!record) return record.status();
    auto note = *record ? parse_note(**record) : std::nullopt;
    bool known = note && note->first == clocks[i];
    since.push_back(known ? note->second : now);
    if (!known) unknown.push_back(i);
  }
  if (unknown.empty()) return since;
  auto done = state_->engine().transact(Durability::log, [&](Transaction& transaction) {
    for (std::size_t i : unknown) {
      Status kept = transaction.put(Table::state, note_row(partition_of(keys[i]), keys[i]),
                                    std::to_string(clocks[i]) + " " + std::to_string(now.us));
      if (!kept) return kept;
    }
    return Status::ok();
  });
  if (!done) return done.status();
  return since;
}

Status OwnStore::forget_others(std::uint32_t partition, const Key* after, const Key* upto,
                               const std::vector<Key>& keys) {
  Bytes first = note_prefix(partition);
  Bytes from = after != nullptr ? note_row(partition, *after) + '\0' : first;
  Bytes to = upto != nullptr ? note_row(partition, *upto) + '\0' : after_prefix(first);
  std::set<Bytes, std::less<>> keep;
  for (const Key& key : keys) keep.insert(note_row(partition, key));
  std::vector<Bytes> others;
  Status scanned = state_->engine().scan(Table::state, from, to, [&](BytesView row, BytesView) {
    if (!keep.contains(row)) others.emplace_back(row);
    return others.size() < most_forgotten;
  });
  if (!scanned || others.empty()) return scanned;
  auto done = state_->engine().transact(Durability::log, [&](Transaction& transaction) {
    for (const Bytes& row : others) {
      if (Status erased = transaction.erase(Table::state, row); !erased) return erased;
    }
    return Status::ok();
  });
  return done ? Status::ok() : done.status();
}

std::optional<std::uint64_t> OwnStore::bytes_of(std::uint32_t partition, std::size_t& rows) {
  std::uint64_t bytes = 0, seen = 0;
  bool all = true;
  Bytes prefix = object_prefix(partition);
  Status scanned = state_->engine().scan(Table::objects, prefix, after_prefix(prefix),
                                         [&](BytesView row, BytesView record) {
                                           all = rows > 0;
                                           if (!all) return false;
                                           --rows, ++seen;
                                           bytes += row.size() + record.size();
                                           return true;
                                         });
  if (!scanned) return std::nullopt;
  if (all) return bytes;
  std::uint64_t keys = state_->trees().keys(partition);
  if (seen == 0 || keys == 0) return std::nullopt;
  return bytes * keys / seen;
}

}  // namespace ringlet
