// Finds and repairs what owners of the same partitions differ in (paper 4.7; R4.7). One machine a
// node, both sides of the conversation:
//
//   asker                                              answerer
//   TreeCompare level 0, one hash over all shared  ->  equal: done, some 50 bytes
//     roots of the partitions, in chunks           ->  those that differ; then each in turn,
//                                                      unless there is nothing of it here: Refill;
//   TreeCompare level 1, 32 inner nodes            ->  those that differ
//   TreeCompare level 2, the segments below them   ->  those that differ
//   SegmentCompare (key hash, clock hash) pairs,   ->  objects the asker lacks or has another state
//     of many segments at once; merges the objects,    of, and which keys it lacks itself, a page
//     asks for the next page
//   ReplicaPut of what the answerer lacks          ->  Stored
//
// Both directions are merges (sync): nothing is overwritten, a repetition changes nothing, any order
// of messages ends the same. A silent or refusing peer is left until its next turn.
//
// A segment is listed by reading its partition once, in pages: rows lie by key, not by hash. A listing
// covers as many segments as fit into `listing_keys`. The answerer, too, refuses a SegmentCompare
// ("unavailable", come back in …) until its listing is ready. When a listing does not add up to the
// tree's hash, the tree is rebuilt (F-72).
//
// The machine also builds the trees of the partitions this node keeps, after a start or when a partition
// comes in. All reading and merging is done in slices, one a wake, each asked for at the pace.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "protocol/health.hpp"
#include "protocol/messages.hpp"
#include "repair/background_task.hpp"
#include "repair/merkle_tree.hpp"

namespace ringlet {

// The node's own copies, hints left out, and what the ring says of them.
class RepairStore {
 public:
  virtual ~RepairStore() = default;
  virtual PartitionTrees& trees() = 0;
  // Partitions of which this node is an owner now, rising.
  virtual std::vector<std::uint32_t> owned() const = 0;
  // Of those, the ones that `peer` owns as well, rising; empty: nothing in common.
  virtual std::vector<std::uint32_t> shared_with(NodeId peer) const = 0;
  virtual std::vector<NodeId> peers() const = 0;  // who shares at least one, rising

  // Visits up to `limit` objects of the partition with rows after `after` (empty: from its start) in
  // the order of rows; true: the last of the partition was among them. A record that cannot be
  // decoded is passed over, as if it were not there, so that the peers' copy repairs it.
  using Visit = std::function<void(BytesView row, const Key& key, const Object& object)>;
  virtual Result<bool> page(std::uint32_t partition, BytesView after, std::size_t limit,
                            const Visit& visit) = 0;
  virtual Result<Object> read(const Key& key) = 0;  // missing(): none
  // Joins the objects into this node's own copies, tree included; `held` is then for each what is there
  // now, or why it alone was refused (invalid_argument: its key does not belong to the partition).
  // Failed: none was joined, or perhaps all (maybe_applied).
  virtual Status merge(std::uint32_t partition, std::span<const KeyedObject> objects, Now now,
                       std::vector<Result<Object>>& held) = 0;
};

// When may a job that costs this many bytes of reading and writing run? At or before `now`: now, and it
// is paid for. Later: it is to be asked again then. Asked once a slice, and before keys are compared for
// a peer.
using MayRun = std::function<Instant(Now now, std::size_t cost)>;
// How many bytes a slice should read or write at most; one row or object always fits.
using StepBytes = std::function<std::size_t(Now now)>;

class TreeExchange final : public BackgroundTask {
 public:
  struct Options {
    Duration period = Duration::seconds(30);     // one peer each, a quarter more or less
    Duration retry = Duration::seconds(3);       // after a peer said that it is not ready
    Duration patience = Duration::millis(2000);  // for one answer
    int tries = 5;                               // of one message, before the peer is left
    // Segments that differ are asked about again after this, unless there are many: what is under
    // way to both owners differs for a moment, and is no reason to read a partition.
    Duration settle = Duration::millis(100);
    std::size_t many = 64;
    Duration slice = Duration::micros(50);         // between two slices of reading or merging
    std::size_t page_rows = 128;                   // read in one slice
    std::size_t merges = 64;                       // objects merged in one slice
    std::size_t window = 32;                       // ReplicaPuts under way
    std::size_t batch_window = 4;                  // SegmentCompares under way
    std::size_t batch_segments = 256;              // compared by one SegmentCompare
    std::size_t batch_keys = 1024;                 // of the asker in it; one segment always fits
    std::size_t page_bytes = 64 * 1024;            // objects of one answer; one is always sent
    std::size_t refill_bytes = 128 * 1024;         // the same, where nothing is compared
    std::size_t listing_keys = 128 * 1024;         // of one listing
    std::size_t listings = 8;                      // kept, for as many peers that ask
    Duration listing_age = Duration::seconds(30);  // unused or not, then it is read again
    Duration segment_patience = Duration::seconds(60);  // for the peer's listing
    Duration rebuild_pause = Duration::seconds(60);     // a tree is rebuilt at most once in it
    std::uint64_t seed = 1;                             // of the jitter
  };
  // nullptr: always; as much as the options say.
  TreeExchange(NodeId self, Options options, RepairStore& store, const Health& health,
               MayRun may_run = nullptr, StepBytes step_bytes = nullptr);
  ~TreeExchange() override;

  void start(Now now);  // begins to build the trees; the first exchange comes within a period
  // The partitions owned here changed: trees of new ones are built, those of former ones forgotten.
  void on_ring(Now now);
  // TreeCompare and SegmentCompare of a peer -> TreeDiffers, SegmentDiffers or Refused. Every number
  // in them is checked; what is wrong is refused with a sentence and changes nothing.
  Message on_request(NodeId from, const Message& message, Now now);
  void on_reply(NodeId from, RequestId number, const Message& message, Now now) override;
  void on_unreachable(NodeId node, Now now) override;
  void on_recovered(NodeId node, Now now) override;  // it was away: its turn comes at once
  void on_wake(Now now) override;

  std::vector<Outgoing> take_outgoing()
      override;  // TreeCompare, SegmentCompare, ReplicaPut, TransferPull
  Instant next_wake() const override;

  // `ringlet repair [--partition]`: exchanges with every peer that shares it (nullopt: all of them),
  // one after the other, without waiting for a period. Returns how many peers; invalid_argument when the
  // partition is not owned here.
  Result<std::size_t> repair(std::optional<std::uint32_t> partition, Now now);

  struct Progress {
    std::uint64_t trees_built = 0, trees_rebuilt = 0, segments_corrected = 0;
    std::uint64_t exchanges = 0;  // begun; each ends as one of the next three
    std::uint64_t equal = 0;      // nothing was different
    std::uint64_t repaired = 0;   // to the end
    std::uint64_t abandoned = 0;  // silence, refusal, a wrong answer, an ill store
    std::uint64_t partitions_compared = 0, partitions_different = 0;
    std::uint64_t segments_compared = 0;
    std::uint64_t keys_received = 0;                   // objects that changed something here
    std::uint64_t keys_sent = 0;                       // confirmed by the peer
    std::uint64_t bytes_sent = 0, bytes_received = 0;  // of this machine's messages, about
    std::uint64_t refused = 0;                         // wrong messages of peers
    Duration busy{};                                   // in exchanges that found a difference
    std::size_t trees_unbuilt = 0;                     // of the partitions owned here
    std::size_t waiting = 0;                           // exchanges asked for by repair()
    NodeId peer;                                       // of the exchange under way
    std::string last_error;                            // why the last one was abandoned
  };
  Progress progress() const;
  bool idle() const;  // nothing under way, nothing waiting, all trees built

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// One hash over the roots of these partitions.
std::uint64_t combined_hash(const std::vector<std::uint32_t>& partitions,
                            const std::vector<std::uint64_t>& roots);

}  // namespace ringlet
