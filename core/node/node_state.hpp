// What the lanes (I/O threads) of one node share: its engine, its ring, its epochs, its counters.
// Everything here may be called from any lane.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "coordination/coordinator.hpp"
#include "membership/fault_detector.hpp"
#include "membership/gossip.hpp"
#include "membership/settings.hpp"
#include "membership/view.hpp"
#include "node/hint_counts.hpp"
#include "repair/dual_writes.hpp"
#include "repair/hint_delivery.hpp"
#include "repair/merkle_tree.hpp"
#include "repair/pace.hpp"
#include "repair/partition_transfer.hpp"
#include "repair/surplus.hpp"
#include "repair/tombstone_collection.hpp"
#include "repair/tree_exchange.hpp"
#include "ring/ring.hpp"
#include "storage/storage_engine.hpp"
#include "versioning/object.hpp"

namespace ringlet {

struct NodeOptions {
  std::string name;                 // a member of the ring, or one to be
  std::string address;              // "host:port" where others reach it
  std::string cluster = "ringlet";  // its name
  // Nodes to ask for the ring, for one that was founded with no members; they also heal islands
  // (paper 4.8.2).
  std::vector<std::string> seeds;
  std::string advertise;  // "host:port" where clients reach it; empty: at `address`
  // Of what is the cluster's (membership/settings.hpp): what the configuration names. Of the rest, the
  // options below are proposed to a cluster that has no settings yet, and give way to those it has.
  SettingValues said;
  // Whoever opens the node knows that all founding members have the same list and settings, because it
  // opens them all. Otherwise a founding node serves once most of them have said so.
  bool founding_is_agreed = false;
  // This process cannot take more siblings of one key, whatever the cluster allows.
  std::size_t siblings_bytes_here = SIZE_MAX;
  CoordinationOptions coordination;
  FaultDetector::Options fault_detector;
  HintDelivery::Options hints;
  DualWrites::Options dual_writes;
  Gossiper::Options gossip;  // name, address, cluster and seeds are those below
  PartitionTransfer::Options transfer;
  Surplus::Options surplus;
  TreeExchange::Options tree_exchange;
  TombstoneCollection::Options tombstones;
  Pace::Options pace;
  Truncation truncation;
  std::size_t max_key_bytes = 64 * 1024;  // bucket and key together
  std::size_t max_value_bytes = 8 * 1024 * 1024;
  std::size_t warn_siblings = 100;  // said in the log at each multiple of it
  std::size_t max_siblings = 1000;  // a blind write beyond this is refused, never a sibling dropped
  // Of all siblings of a key together, likewise; one alone may be as large as a value.
  std::size_t max_siblings_bytes = 16 * 1024 * 1024;
  std::size_t max_requests = 10'000;   // at once on a lane; more is overloaded
  std::uint64_t epoch_lease = 10'000;  // epochs reserved on the disk at a time (O-4)
  // Where the epochs of a store without memory begin: above any that an earlier store of this node's
  // name may have used. Whoever opens a node gives the wall clock in microseconds.
  std::uint64_t first_epoch = 1;
  std::int64_t max_stamp_ahead_ms =
      60'000;  // last-write-wins stamps further ahead are refused (O-19)
  LogSink log;
};

// What these options propose to a cluster that has no settings yet.
SettingValues settings_of(const NodeOptions& options);

// What whoever runs the node last saw of it, for its status; zeros where nobody says.
struct NodeGauges {
  std::atomic<std::uint64_t> connections{0}, requests{0};  // open; of clients, under way
  std::atomic<std::uint64_t> request_bytes{0}, answer_bytes{0}, resident_bytes{0};
  std::atomic<std::uint64_t> memory_limit{0};  // 0: none
  std::atomic<std::uint64_t> max_connections{0};
  std::atomic<std::uint64_t> client_connections{0}, member_connections{0};  // of `connections`
};

// Counters a person asks for; totals since start.
struct NodeCounters {
  std::atomic<std::uint64_t> gets{0}, puts{0}, failed{0}, refused_overload{0}, minted{0}, merged{0},
      hints_stored{0}, fresh_epochs{0}, forwarded{0}, dual_writes{0},  // sent to a newcomer at once
      dual_writes_hinted{0},  // of those it did not confirm: a hint goes to it instead
      dual_writes_failed{0},  // not even that, the disk failed: anti-entropy brings it
      corrupt_records{0};     // own copies that could not be decoded, each counted when found
  std::atomic<std::uint64_t> versions_per_get[5] = {};  // 0, 1, 2, 3, 4 and more (R6.3-a)
};

class Upkeep;

class NodeState {
 public:
  ~NodeState();
  // Reads or creates the node's epoch records; refuses an engine that belongs to another node name.
  // `founding`: the ring of the members that found the cluster, of which this node is one; nullptr:
  // the node waits until it is joined. Both count for an empty store only: a store that has a
  // membership view goes on with that.
  static Result<std::shared_ptr<NodeState>> open(NodeOptions options,
                                                 std::shared_ptr<StorageEngine> engine,
                                                 std::shared_ptr<const Ring> founding);
  const NodeOptions& options() const { return options_; }
  NodeId self() const { return self_; }
  StorageEngine& engine() { return *engine_; }
  // An immutable snapshot; nullptr: not joined yet.
  std::shared_ptr<const Ring> ring() const;
  // What the store or the configuration said of the cluster when this was opened.
  const MembershipView& first_view() const { return first_view_; }
  // Writes the view; the ring follows with set_ring. `staged`: in the same transaction, what is
  // staged from now on (empty: nothing), so that a commit is whole or not at all (F-46).
  static constexpr BytesView staged_row = "membership.staged";
  Status keep(const MembershipView& view, Keep keep,
              const std::optional<Bytes>& staged = std::nullopt,
              const std::optional<ClusterSettings>& settings = std::nullopt);
  void set_ring(std::shared_ptr<const Ring> ring);
  // What counts now: the cluster's value once this node knows it, else that of its own options.
  std::uint64_t value(Setting setting) const {
    return values_[static_cast<std::size_t>(setting)].load(std::memory_order_relaxed);
  }
  void go_by(const ClusterSettings& settings);
  // Rises with go_by.
  std::uint64_t settings_changes() const {
    return settings_changes_.load(std::memory_order_acquire);
  }
  const ClusterSettings& first_settings() const { return first_settings_; }  // of the store
  SettingValues own_values() const { return settings_of(options_); }
  bool founded_now() const { return founded_now_; }  // first_view() is its file's and is not kept
  bool moved() const { return moved_; }              // the file has another address than the store
  Status note_address();                             // the cluster has the file's
  NodeCounters& counters() { return counters_; }
  NodeGauges& gauges() { return gauges_; }
  Upkeep& upkeep() { return *upkeep_; }
  PartitionTrees& trees() { return *trees_; }  // not before there is a ring

  // An epoch never used before by this node, from a lease that is on the disk (O-4).
  // Inside a transaction: it does not touch the engine. `unavailable` when the lease is used up.
  Result<std::uint64_t> fresh_epoch();
  // Renews the lease when less than half of it is left, and waits for the disk only when less than a
  // quarter is. Before a transaction that may want an epoch, never inside one: it may flush.
  Status prepare_epochs();
  // Actors of this node with a lower epoch belong to an earlier incarnation and mint no more.
  std::uint64_t incarnation() const { return incarnation_.load(); }
  // A peer showed a dot of ours that we do not have: our disk went back in time. Starts a new
  // incarnation at once.
  Status forget_incarnation();
  HintCounts& hint_counts() { return hint_counts_; }
  // An own copy that cannot be decoded was met (F-13): counted and logged, once until it is mended.
  // True: it is news. Then its partition's tree should be rebuilt, by a caller who holds none of it.
  bool note_corrupt(BytesView row, const Key& key, const Status& why);
  void note_mended(BytesView row);

 private:
  NodeState();
  // These hold lease_mutex_. lease() and flush_lease() are over when the new one counts.
  Status lease();
  Status write_lease();
  Status flush_lease();  // the one that is written
  void adopt_lease();
  Status read_view(const Ring* founding);
  Status read_address();
  NodeOptions options_;
  NodeId self_;
  std::shared_ptr<StorageEngine> engine_;
  struct Lease {
    std::uint64_t to;
    StorageEngine::Ticket ticket;
  };
  std::optional<Lease> written_;  // on its way to the disk; lease_mutex_ guards it
  std::mutex lease_mutex_;    // of whoever renews the lease; before mutex_, never in a transaction
  mutable std::mutex mutex_;  // guards ring_ and the two epochs below
  std::shared_ptr<const Ring> ring_;
  std::uint64_t next_epoch_ = 1, leased_to_ = 1;
  std::mutex corrupt_mutex_;
  std::set<Bytes, std::less<>> corrupt_rows_;  // known, the first ten thousand
  std::atomic<std::uint64_t> incarnation_{1};
  HintCounts hint_counts_;
  NodeCounters counters_;
  NodeGauges gauges_;
  std::unique_ptr<PartitionTrees> trees_;
  MembershipView first_view_;
  ClusterSettings first_settings_;
  std::string address_in_file_, advertise_in_file_;
  bool founded_now_ = false, moved_ = false;
  std::array<std::atomic<std::uint64_t>, setting_count> values_{};
  std::atomic<std::uint64_t> settings_changes_{0};
  std::unique_ptr<Upkeep> upkeep_;  // last: it uses all of the above
};

}  // namespace ringlet
