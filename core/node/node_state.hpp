// What the lanes (I/O threads) of one node share: its engine, its ring, its epochs, its counters.
// Everything here may be called from any lane.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
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
#include "node/large_keys.hpp"
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

// Where the epochs begin of a store that remembers none: a new or lost directory, the memory engine.
// An earlier store of the same name may have minted dots that other members still hold, and the same
// dot must never name a second write (L6). So there is no default: whoever opens a node must say when it
// starts and bring fresh random bits.
//
// The value is the second of the start times 2^31, plus 31 random bits. Epochs are counted up from
// there, one for each key that is first minted into, so that a store never reaches the second after its
// own. A later start therefore begins above all that was used. The random bits keep two stores apart
// where the clock does not: after it was put back, with a clock that stands still until the network has
// told the time, with two starts in one second. Two stores of a thousand keys that begin in the same second
// then share an epoch with a chance of one in a million, and lose something only when they share it
// for the same key. A store that finds a higher epoch of its own name at a peer is none the worse: it
// takes a new incarnation (F-15) and counts on, in its own range.
class FirstEpoch {
 public:
  // `random`: 64 bits that no other start has had.
  FirstEpoch(std::int64_t wall_ms, std::uint64_t random);
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_;
};

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
  SpentLimits spent;
  std::size_t max_key_bytes = 64 * 1024;  // bucket and key together
  std::size_t max_value_bytes = 8 * 1024 * 1024;
  std::size_t warn_siblings = 100;  // said in the log at each multiple of it
  std::size_t max_siblings = 1000;  // a blind write beyond this is refused, never a sibling dropped
  // Of all siblings of a key together, likewise; one alone may be as large as a value.
  std::size_t max_siblings_bytes = 16 * 1024 * 1024;
  std::size_t max_requests = 10'000;   // at once on a lane; more is overloaded
  std::uint64_t epoch_lease = 10'000;  // epochs reserved on the disk at a time (O-4)
  std::int64_t max_stamp_ahead_ms =
      60'000;  // last-write-wins stamps further ahead are refused (O-19)
  LogSink log;
};

// What these options propose to a cluster that has no settings yet.
SettingValues settings_of(const NodeOptions& options);

// What whoever runs the node last saw of it, for its status; zeros where nobody says.
struct NodeGauges {
  std::atomic<std::uint64_t> connections{0}, requests{0};  // open; of clients, under way
  std::atomic<std::uint64_t> request_bytes{0}, answer_bytes{0}, reading_bytes{0}, resident_bytes{0};
  std::atomic<std::uint64_t> stalled_frames{
      0};  // given up, since the start: others waited for their memory
  std::atomic<std::uint64_t> memory_limit{0};  // 0: none
  std::atomic<std::uint64_t> max_connections{0};
  std::atomic<std::uint64_t> client_connections{0}, member_connections{0};  // of `connections`
};

// Counters a person asks for; totals since start.
struct NodeCounters {
  std::atomic<std::uint64_t> gets{0}, puts{0}, failed{0}, refused_overload{0}, refused_late{0},
      minted{0}, merged{0}, hints_stored{0}, fresh_epochs{0}, forwarded{0},
      dual_writes{0},         // sent to a newcomer at once
      dual_writes_hinted{0},  // of those it did not confirm: a hint goes to it instead
      dual_writes_failed{0},  // not even that, the disk failed: anti-entropy brings it
      corrupt_records{0},     // own copies that could not be decoded, each counted when found
      asked_early{0},         // a replica was late: somebody else was asked, too
      hints_refused{0},       // by their own owner, for what they are: tried again now and then
      hints_released{
          0};  // beyond their bound, and left to anti-entropy: all other owners have them
  std::atomic<std::uint64_t> hints_damaged{0};          // set aside, of earlier starts included
  std::atomic<std::uint64_t> versions_per_get[5] = {};  // 0, 1, 2, 3, 4 and more (R6.3-a)
};

class Upkeep;

class NodeState {
 public:
  ~NodeState();
  // The one way to open a node, for every host: ringletd, the C ABI, the simulator.
  // Reads or creates the node's epoch records; refuses an engine that belongs to another node name.
  // `first`: where epochs begin if the store remembers none, or may have forgotten some.
  // `founding`: the ring of the members that found the cluster, of which this node is one; nullptr:
  // the node waits until it is joined. Both count for an empty store only: a store that has a
  // membership view goes on with that.
  static Result<std::shared_ptr<NodeState>> open(NodeOptions options, FirstEpoch first,
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
  // The driver's monotonic clock, for what must be timely at the moment it is executed and not when its
  // event began: a thread may be held up in between. Before the first request; without one that moment is taken for this one.
  void set_clock(std::function<Instant()> clock) { clock_ = std::move(clock); }
  Instant by_now(Now began) const {
    return clock_ ? std::max(began.instant, clock_()) : began.instant;
  }
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
  LargeKeys& large_keys() { return large_keys_; }
  // An own copy that cannot be decoded was met (F-13): counted and logged, once until it is mended.
  // True: it is news. Then its partition's tree should be rebuilt, by a caller who holds none of it.
  bool note_corrupt(BytesView row, const Key& key, const Status& why);
  void note_mended(BytesView row);
  // An own copy had no room for what was given; said once a key. How many versions that were given and
  // refused `shown`, what is here, has not seen.
  void note_left_out(const Key& key, const Object& given);
  std::size_t left_out(const Key& key, const Object& shown);
  // A hint that cannot be read was met, and will be set aside: counted and logged once.
  void note_damaged_hint(BytesView row, NodeId target, const Status& why);

 private:
  NodeState();
  // These hold lease_mutex_. lease() and flush_lease() are over when the new one counts.
  Status lease();
  Status write_lease();
  Status flush_lease();  // the one that is written
  void adopt_lease();
  Status read_view(const Ring* founding);
  Status count_damaged_hints();
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
  std::mutex left_out_mutex_;
  std::map<Key, std::vector<Dot>> left_out_;  // the first ten thousand keys
  std::atomic<bool> any_left_out_{false};
  std::set<Bytes, std::less<>> damaged_hints_;  // likewise
  std::atomic<std::uint64_t> incarnation_{1};
  HintCounts hint_counts_;
  LargeKeys large_keys_;
  NodeCounters counters_;
  NodeGauges gauges_;
  std::function<Instant()> clock_;
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
