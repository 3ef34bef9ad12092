// Which trees of this node are to be built, and when (paper 4.7): after a start, when a partition comes in,
// when a listing or a failed write made one suspect (F-72). Pure bookkeeping around
// PartitionTrees::build_page(): the caller says when a page may be read.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "repair/tree_exchange.hpp"

namespace ringlet {

class TreeBuilder {
 public:
  // Both outlive this.
  TreeBuilder(const TreeExchange::Options& options, RepairStore& store)
      : options_(options), store_(store) {}

  // The partitions owned here changed. Returns those that are not any more; their trees are forgotten.
  std::vector<std::uint32_t> on_ring();
  const std::vector<std::uint32_t>& owned() const { return owned_; }  // as of then, rising

  // Its listing did not add up to its tree: built anew, at most once in `rebuild_pause`.
  void suspect(std::uint32_t partition, Now now);
  // Others asked PartitionTrees for a rebuild: who met a damaged record, or a write whose end is not known.
  void take_rebuilds();

  bool waiting() const { return !to_build_.empty(); }
  Instant build_at() const { return build_at_; }  // not before; later after the store failed
  // Reads one page of the tree whose turn it is; its bytes, about. Failed: the same page comes again after
  // `retry`.
  Result<std::size_t> build_page(std::size_t rows, Now now);

  std::uint64_t built() const { return built_; }      // so far
  std::uint64_t rebuilt() const { return rebuilt_; }  // so far
  std::size_t unbuilt() const;                        // of the partitions owned here

 private:
  void add(std::uint32_t partition);
  const TreeExchange::Options& options_;
  RepairStore& store_;
  std::vector<std::uint32_t> owned_;
  std::deque<std::uint32_t> to_build_;
  std::uint64_t rebuilds_seen_ = 0, built_ = 0, rebuilt_ = 0;
  std::map<std::uint32_t, Instant> suspected_;  // when last
  Instant build_at_{INT64_MIN / 2};
};

}  // namespace ringlet
