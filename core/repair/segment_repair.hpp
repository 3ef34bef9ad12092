// What this node and one peer differ in within one partition, below the inner nodes of the tree:
// the segments that differ are compared key by key, in batches, some at a time. Pure bookkeeping: the
// caller sends the questions, merges what answers bring, sends what the peer lacks, and says so here.
//
//   questions() -> SegmentCompare of a batch (its keys after what is settled)
//   take()      <- SegmentDiffers: objects for the caller to merge; keys that the peer wants
//   merged()       this node's state of such an object now; what the peer lacks of it goes to it, too
//   sent()         the peer has it, or never will
//   questions() -> the batch's next page, or another batch
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "protocol/messages.hpp"
#include "repair/segment_listing.hpp"
#include "repair/tree_exchange.hpp"

namespace ringlet {

class SegmentRepair {
 public:
  // `segments`: those that differ, rising. `options` and `trees` outlive this.
  SegmentRepair(const TreeExchange::Options& options, const PartitionTrees& trees,
                std::uint32_t partition, const std::vector<std::uint32_t>& segments);

  // The listing of this node's own keys that the next batch needs.
  bool wants_listing() const { return listing_ && !listing_->ready(); }
  Result<std::size_t> read_listing(RepairStore& store,
                                   std::size_t rows);  // a page; its bytes, about

  // All that is to be asked now; to be called again after each of the events below.
  std::vector<SegmentCompare> questions(Now now);
  // Checks the answer and returns its objects. invalid_argument: a wrong answer, nothing is changed.
  Result<std::vector<KeyedObject>> take(const SegmentCompare& asked, const SegmentDiffers& differs,
                                        Now now);
  // The peer is not ready. False: for too long.
  bool refused(const SegmentCompare& asked, std::uint32_t retry_after_ms, Now now);

  // `held`: what is here after the merge. Is it other than it was?
  bool merged(const KeyedObject& keyed, const Object& held);
  void not_merged(const Key& key);  // it alone was refused by the store
  std::vector<Key> take_to_send();  // each is to be answered by:
  void sent(const Key& key);

  bool over() const { return waiting_.empty() && open_.empty(); }
  std::size_t take_compared();  // segments, since the last call
  bool take_suspect();          // the tree and the keys contradict each other (F-72)
  Instant next_wake() const;    // when questions() is to be called without an event

 private:
  // Segments whose keys are being compared together.
  struct Batch {
    std::vector<std::uint32_t> segments;  // rising
    std::uint64_t after = 0;              // keys up to this hash are settled
    bool asked = false;                   // the answer is not here
    std::size_t unsettled = 0;            // objects not merged yet, and keys not sent
    bool more = true;                     // to be asked about
    std::set<std::uint32_t> different;    // segments of which some key was
    int refusals = 0;
    Instant again{INT64_MIN / 2};  // not before
    Instant give_up = Instant::never();
    bool settled() const { return !asked && unsettled == 0; }
  };

  void open_some(Now now);
  void fill(Batch& batch);
  void end(const Batch& batch);
  SegmentCompare ask(Batch& batch) const;
  void send(Batch& batch, const Key& key);
  Batch& batch_of(std::uint32_t segment) { return std::prev(open_.upper_bound(segment))->second; }
  Batch& batch_of(const Key& key) { return batch_of(segment_of(key_hash(key))); }

  const TreeExchange::Options& options_;
  const PartitionTrees& trees_;
  std::uint32_t partition_;
  std::deque<std::uint32_t> waiting_;  // segments not begun
  std::uint32_t peer_listed_to_ = 0;   // the peer's listing ends there; 0: not known
  std::optional<SegmentListing> listing_;
  std::map<std::uint32_t, Batch> open_;  // by their first segments; none overlaps another
  std::vector<Key> to_send_;
  std::size_t compared_ = 0;
  bool suspect_ = false;
};

}  // namespace ringlet
