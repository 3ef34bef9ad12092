#include "repair/segment_listing.hpp"

#include <algorithm>
#include <tuple>

#include "base/assert.hpp"
#include "repair/own_copies.hpp"
#include "repair/tree_exchange.hpp"

namespace ringlet {
namespace {

bool entry_less(const SegmentListing::Entry& a, const SegmentListing::Entry& b) {
  return std::tie(a.key_hash, a.key) < std::tie(b.key_hash, b.key);
}

}  // namespace

SegmentListing::SegmentListing(const PartitionTrees& trees, std::uint32_t partition,
                               std::uint32_t first, std::size_t most_keys)
    : partition_(partition), first_(first), end_(first + 1) {
  RINGLET_ASSERT(first < tree_segments);
  std::size_t keys = trees.keys_in(partition, first);
  while (end_ < tree_segments) {
    keys += trees.keys_in(partition, end_);
    if (keys > most_keys) break;
    ++end_;
  }
  segments_.resize(end_ - first_);
}

Result<std::size_t> SegmentListing::read_page(RepairStore& store, std::size_t rows) {
  RINGLET_ASSERT(!ready_);
  std::size_t bytes = 0;
  Bytes after = cursor_;
  auto last =
      store.page(partition_, after, rows, [&](BytesView row, const Key& key, const Object& object) {
        cursor_.assign(row);
        ++rows_read_;
        bytes += size_about(key, object);
        std::uint64_t hash = key_hash(key), clock = clock_hash(object);
        if (covers(segment_of(hash)) && clock != 0) {
          segments_[segment_of(hash) - first_].push_back({hash, clock, key});
        }
      });
  if (!last) return last.status();
  if (!*last && cursor_ == after) {
    return Status(Code::internal, "partition " + std::to_string(partition_) +
                                      ": a page brought nothing and says that more follows");
  }
  if (*last) {
    for (auto& entries : segments_) std::sort(entries.begin(), entries.end(), entry_less);
    ready_ = true;
  }
  return bytes;
}

std::span<const SegmentListing::Entry> SegmentListing::segment(std::uint32_t segment) const {
  RINGLET_ASSERT(ready_ && covers(segment));
  return segments_[segment - first_];
}

std::span<const SegmentListing::Entry> SegmentListing::with_hash(std::uint64_t key_hash) const {
  auto entries = segment(segment_of(key_hash));
  auto less = [](const Entry& a, std::uint64_t hash) { return a.key_hash < hash; };
  auto at = std::lower_bound(entries.begin(), entries.end(), key_hash, less);
  auto rest = entries.subspan(static_cast<std::size_t>(at - entries.begin()));
  if (rest.empty() || rest.front().key_hash != key_hash) return {};
  return first_group(rest);
}

std::uint64_t SegmentListing::update(std::uint64_t key_hash, const Key& key,
                                     std::uint64_t clock_hash) {
  RINGLET_ASSERT(ready_ && covers(segment_of(key_hash)));
  auto& entries = segments_[segment_of(key_hash) - first_];
  Entry entry{key_hash, clock_hash, key};
  auto at = std::lower_bound(entries.begin(), entries.end(), entry, entry_less);
  if (at == entries.end() || at->key_hash != key_hash || at->key != key) {
    if (clock_hash != 0) entries.insert(at, std::move(entry));
    return 0;
  }
  std::uint64_t before = std::exchange(at->clock_hash, clock_hash);
  if (clock_hash == 0) entries.erase(at);
  return before;
}

std::uint64_t SegmentListing::hash(std::uint32_t segment) const {
  std::uint64_t hash = 0;
  for (const Entry& entry : this->segment(segment)) hash ^= mixed(entry.key_hash, entry.clock_hash);
  return hash;
}

SegmentListing::Pairs SegmentListing::pairs(std::span<const std::uint32_t> segments,
                                            std::uint64_t after) const {
  Pairs pairs;
  for (std::uint32_t segment : segments) {
    for (auto rest = this->segment(segment); !rest.empty();) {
      auto group = first_group(rest);
      rest = rest.subspan(group.size());
      if (after != 0 && group.front().key_hash <= after) continue;
      pairs.keys.push_back(group.front().key_hash);
      pairs.clocks.push_back(clock_of(group));
    }
  }
  return pairs;
}

std::uint64_t clock_of(std::span<const SegmentListing::Entry> same_hash) {
  if (same_hash.size() == 1) return same_hash.front().clock_hash;
  std::uint64_t clock = same_hash.size();
  for (const auto& entry : same_hash) clock = mixed(clock, entry.clock_hash);  // in order of keys
  return clock;
}

std::span<const SegmentListing::Entry> first_group(std::span<const SegmentListing::Entry> entries) {
  std::size_t size = 0;
  while (size < entries.size() && entries[size].key_hash == entries.front().key_hash) ++size;
  return entries.first(size);
}

}  // namespace ringlet
