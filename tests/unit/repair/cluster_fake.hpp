// A few nodes in memory for the machines of repair/: own copies, hints and cursors that outlive a
// machine, a ring that the test changes, and opinions of who is down.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "repair/hint_delivery.hpp"
#include "repair/own_copies.hpp"
#include "repair/partition_transfer.hpp"
#include "repair/tombstone_collection.hpp"

namespace ringlet {

inline Key key_in(std::uint32_t partition, int i) {
  return {"b", std::to_string(partition) + "." + std::to_string(10'000 + i)};
}

inline Object object_of(NodeId minter, std::uint64_t counter, Bytes value = "v",
                        bool tombstone = false, std::int64_t written_us = 0) {
  Object o;
  Dot dot{Actor{minter, 2}, counter};
  o.context.add(dot, 0);
  o.versions.push_back(
      {dot, WriteId{minter.value, counter}, written_us, tombstone, std::move(value), ""});
  return o;
}

class FakeHealth final : public Health {
 public:
  bool is_down(NodeId node) const override { return down.contains(node); }
  void heard_from(NodeId, Instant) override {}
  void was_silent(NodeId, Instant) override {}
  void unreachable(NodeId, Instant) override {}
  Duration patience(NodeId) const override { return Duration::millis(50); }
  std::set<NodeId> down;
};

// The ring as every node of a test sees it. A key's partition is the number before its dot.
struct FakeRing {
  std::uint64_t version = 1;
  std::uint32_t partitions = 4;
  std::vector<NodeId> members;
  std::map<std::uint32_t, std::vector<NodeId>> owners, incoming;
};

class FakeWhereabouts final : public Whereabouts {
 public:
  FakeWhereabouts(NodeId self, const FakeRing& ring) : self_(self), ring_(&ring) {}
  void see(const FakeRing& ring) { ring_ = &ring; }
  std::uint64_t version() const override { return ring_->version; }
  std::uint32_t partitions() const override { return ring_->partitions; }
  std::uint32_t partition_of(const Key& key) const override {
    return static_cast<std::uint32_t>(std::stoul(key.key)) % ring_->partitions;
  }
  std::vector<NodeId> owners(std::uint32_t partition) const override {
    auto found = ring_->owners.find(partition);
    return found == ring_->owners.end() ? std::vector<NodeId>{} : found->second;
  }
  std::vector<NodeId> members() const override { return ring_->members; }
  bool keeps(std::uint32_t partition) const override {
    return has(ring_->owners, partition) || has(ring_->incoming, partition);
  }
  bool moving(std::uint32_t partition) const override {
    auto found = ring_->incoming.find(partition);
    return found != ring_->incoming.end() && !found->second.empty();
  }

 private:
  bool has(const std::map<std::uint32_t, std::vector<NodeId>>& map, std::uint32_t p) const {
    auto found = map.find(p);
    return found != map.end() &&
           std::find(found->second.begin(), found->second.end(), self_) != found->second.end();
  }
  NodeId self_;
  const FakeRing* ring_;
};

struct RowOrder {
  bool operator()(const Key& a, const Key& b) const { return row_before(a, b); }
};

// What is on one node's disk.
class FakeStore final : public OwnCopies,
                        public TransferStore,
                        public HintStore,
                        public TombstoneNotes {
 public:
  FakeStore(NodeId self, const FakeRing& ring) : placement(self, ring) {}

  Result<std::vector<KeyedObject>> copies_of(std::uint32_t partition, const Key* after,
                                             std::size_t objects, std::size_t bytes) override {
    if (fails()) return Status(Code::io, "the disk is ill");
    std::vector<KeyedObject> page;
    std::size_t size = 0;
    for (auto it = after != nullptr ? copies.upper_bound(*after) : copies.begin();
         it != copies.end(); ++it) {
      if (placement.partition_of(it->first) != partition) continue;
      if (page.size() == objects || (!page.empty() && size >= bytes)) break;
      page.push_back({it->first, it->second});
      for (const Version& v : it->second.versions) size += v.value.size();
    }
    return page;
  }
  Result<std::uint32_t> partition_with_copies(std::uint32_t first) override {
    if (fails()) return Status(Code::io, "the disk is ill");
    std::uint32_t lowest = placement.partitions();
    for (const auto& [key, object] : copies) {
      std::uint32_t partition = placement.partition_of(key);
      if (partition >= first) lowest = std::min(lowest, partition);
    }
    return lowest;
  }
  Result<Object> copy_of(const Key& key) override {
    if (fails()) return Status(Code::io, "the disk is ill");
    auto found = copies.find(key);
    return found == copies.end() ? Object{} : found->second;
  }
  Result<bool> has_hint_of(const Key& key) override {
    if (fails()) return Status(Code::io, "the disk is ill");
    return std::any_of(hints.begin(), hints.end(),
                       [&](const auto& hint) { return hint.first.second == key; });
  }
  Result<bool> erase_if_same(const Key& key, const Object& object) override {
    if (fails()) return Status(Code::io, "the disk is ill");
    auto found = copies.find(key);
    if (found == copies.end() || !(found->second == object)) return false;
    copies.erase(found);
    notes.erase(key);
    return true;
  }
  Result<std::uint64_t> make_durable() override {
    if (fails()) return Status(Code::io, "the disk is ill");
    return ++flushes;
  }

  Result<std::vector<std::pair<std::uint32_t, TransferCursor>>> cursors() override {
    if (fails()) return Status(Code::io, "the disk is ill");
    std::vector<std::pair<std::uint32_t, TransferCursor>> all;
    for (const auto& [partition, bytes] : cursor_rows) {
      if (auto cursor = decode_cursor(bytes)) all.emplace_back(partition, *cursor);
    }
    return all;
  }
  Status store_page(std::uint32_t partition, const std::vector<KeyedObject>& objects,
                    const TransferCursor& cursor) override {
    if (fails()) return Status(Code::io, "the disk is ill");
    for (const KeyedObject& o : objects) sync(copies[o.key], o.object);
    cursor_rows[partition] = encode_cursor(cursor);
    return Status::ok();
  }
  Status forget_cursor(std::uint32_t partition) override {
    if (fails()) return Status(Code::io, "the disk is ill");
    cursor_rows.erase(partition);
    return Status::ok();
  }

  Result<Duration> age() override {
    if (fails()) return Status(Code::io, "the disk is ill");
    return kept_age;
  }
  Status keep_age(Duration age) override {
    if (fails()) return Status(Code::io, "the disk is ill");
    kept_age = age;
    return Status::ok();
  }
  Result<std::vector<Duration>> known_since(const std::vector<Key>& keys,
                                            const std::vector<std::uint64_t>& clocks,
                                            Duration now) override {
    if (fails()) return Status(Code::io, "the disk is ill");
    std::vector<Duration> since;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      auto& note = notes.try_emplace(keys[i], clocks[i], now).first->second;
      if (note.first != clocks[i]) note = {clocks[i], now};
      since.push_back(note.second);
    }
    return since;
  }
  Status forget_others(std::uint32_t partition, const Key* after, const Key* upto,
                       const std::vector<Key>& keys) override {
    if (fails()) return Status(Code::io, "the disk is ill");
    std::erase_if(notes, [&](const auto& note) {
      return placement.partition_of(note.first) == partition &&
             (after == nullptr || row_before(*after, note.first)) &&
             (upto == nullptr || !row_before(*upto, note.first)) &&
             std::find(keys.begin(), keys.end(), note.first) == keys.end();
    });
    return Status::ok();
  }

  Result<std::vector<Hint>> hints_for(NodeId target, const Key* after, std::size_t limit) override {
    std::vector<Hint> page;
    for (const auto& [row, object] : hints) {
      if (row.first != target || (after != nullptr && row.second <= *after)) continue;
      if (page.size() == limit) break;
      page.push_back({target, row.second, object});
    }
    return page;
  }
  Result<std::vector<NodeId>> targets() override {
    std::set<NodeId> all;
    for (const auto& [row, object] : hints) all.insert(row.first);
    return std::vector<NodeId>(all.begin(), all.end());
  }
  std::uint64_t bytes_for(NodeId target) override {
    std::uint64_t bytes = 0;
    for (const auto& [row, object] : hints) {
      if (row.first != target) continue;
      for (const Version& v : object.versions) bytes += v.value.size();
    }
    return bytes;
  }
  Status drop_if_same(const Hint& hint) override {
    auto found = hints.find({hint.target, hint.key});
    if (found != hints.end() && found->second == hint.object) hints.erase(found);
    return Status::ok();
  }

  bool fails() { return ++calls == fail_at; }

  FakeWhereabouts placement;
  std::map<Key, Object, RowOrder> copies;
  std::map<std::pair<NodeId, Key>, Object> hints;
  std::map<std::uint32_t, Bytes> cursor_rows;
  std::map<Key, std::pair<std::uint64_t, Duration>, RowOrder> notes;
  Duration kept_age{};
  int calls = 0, fail_at = -1;  // that call fails
  std::uint64_t flushes = 0;
};

}  // namespace ringlet
