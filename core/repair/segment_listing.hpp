// The keys of some neighbouring segments of a partition with their clock hashes, from one reading of
// the partition in pages. It may be older than the store by the time it is used: objects are read
// again before they are sent, and a key that came since is found by the next exchange.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/instant.hpp"
#include "repair/merkle_tree.hpp"

namespace ringlet {

class RepairStore;

class SegmentListing {
 public:
  struct Entry {
    std::uint64_t key_hash = 0, clock_hash = 0;
    Key key;
  };

  // Of as many segments from `first` on as have, by the tree, at most `most_keys`; at least one.
  SegmentListing(const PartitionTrees& trees, std::uint32_t partition, std::uint32_t first,
                 std::size_t most_keys);
  std::uint32_t partition() const { return partition_; }
  bool covers(std::uint32_t segment) const { return first_ <= segment && segment < end_; }
  std::uint32_t end() const { return end_; }  // of what it covers
  bool ready() const { return ready_; }
  std::size_t rows_read() const { return rows_read_; }

  // Reads one page more and returns how many bytes it saw, about.
  Result<std::size_t> read_page(RepairStore& store, std::size_t rows);

  // The rest only when ready.
  // Sorted by hash; keys of one hash are neighbours.
  std::span<const Entry> segment(std::uint32_t segment) const;
  std::span<const Entry> with_hash(std::uint64_t key_hash) const;
  // What it said before; 0: there is no such key.
  std::uint64_t update(std::uint64_t key_hash, const Key& key, std::uint64_t clock_hash);
  std::uint64_t hash(std::uint32_t segment) const;  // as a tree would have it

  // Key hashes, each once, and clock hashes: keys of one hash are compared as if they were one. Of
  // rising segments, and only of hashes greater than `after` (0: all).
  struct Pairs {
    std::vector<std::uint64_t> keys, clocks;
  };
  Pairs pairs(std::span<const std::uint32_t> segments, std::uint64_t after) const;

 private:
  std::uint32_t partition_, first_, end_;
  bool ready_ = false;
  std::size_t rows_read_ = 0;
  Bytes cursor_;                              // the last row read; empty: none yet
  std::vector<std::vector<Entry>> segments_;  // from first_ on
};

// The clock hash of keys that have one key hash.
std::uint64_t clock_of(std::span<const SegmentListing::Entry> same_hash);

// The first entries of `entries` that have one key hash.
std::span<const SegmentListing::Entry> first_group(std::span<const SegmentListing::Entry> entries);

}  // namespace ringlet
