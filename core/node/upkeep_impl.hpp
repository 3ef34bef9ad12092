// The inside of Upkeep, for its two sources: upkeep.cpp hosts the machines, cluster_orders.cpp takes
// an administrator's commands. Its functions are called with `mutex` held.
#pragma once

#include <atomic>
#include <boost/json.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "node/upkeep.hpp"
#include "repair/flip_readiness.hpp"

namespace ringlet {
namespace json = boost::json;

// Until lane 0 has started: nobody is known to be gone.
class NobodyGone final : public Health {
 public:
  bool is_down(NodeId) const override { return false; }
  void heard_from(NodeId, Instant) override {}
  void was_silent(NodeId, Instant) override {}
  void unreachable(NodeId, Instant) override {}
  Duration patience(NodeId) const override { return Duration::seconds(1); }
  void answer_took(NodeId, Duration) override {}
};

struct Upkeep::Impl final : GossipHost {
  std::shared_ptr<NodeState> state;
  std::uint64_t seed;
  NobodyGone nobody_gone;
  const Health* health = &nobody_gone;
  OwnStore store;
  Replica replica;
  Pace pace;
  std::atomic<bool> surplus_busy{false};
  std::atomic<bool> out{false};
  std::atomic<bool> apart{false};   // not known to belong to the cluster
  std::atomic<bool> differ{false};  // does any member disagree?

  mutable std::mutex mutex;  // guards everything below
  std::unique_ptr<Gossiper> gossip;
  std::map<RequestId, NodeId> gossip_to;  // unanswered
  // There once there is a ring and lane 0 has started. `tasks` has all of them: what is the same for
  // each task is done over it. A new task has a pointer here, is made in make_tasks() and is ended in stop().
  std::unique_ptr<PartitionTransfer> transfer;
  std::unique_ptr<FlipReadiness> readiness;
  std::unique_ptr<Surplus> surplus;
  std::unique_ptr<TreeExchange> tree;
  std::unique_ptr<TombstoneCollection> tombstones;
  std::vector<BackgroundTask*>
      tasks;  // in this order they wake and send; its place is in a task's numbers
  std::shared_ptr<const Ring> ring;  // the machines know this one
  bool started = false;
  Changes staged;
  Status out_why;                         // not ok iff out
  Instant share_at = Instant::never();    // when to look whether this node is short of its share
  Instant flip_at = Instant::never();     // when to try again a flip that was not kept
  std::optional<Bytes> staged_with_view;  // goes into the transaction that keeps the next view
  std::optional<ClusterSettings> settings_with_view;  // likewise
  std::set<NodeId> to_check;  // said to have moved: are they silent where they were?

  Impl(std::shared_ptr<NodeState> node_state, std::uint64_t node_seed)
      : state(node_state),
        seed(node_seed),
        store(node_state),
        replica(node_state),
        pace(state->options().pace) {
    Gossiper::Options options = state->options().gossip;
    options.name = state->options().name;
    options.address = state->options().address;
    options.cluster = state->options().cluster;
    options.seeds = state->options().seeds;
    options.settings = state->first_settings();
    options.proposal = ClusterSettings::proposed(state->own_values(), state->options().said);
    options.said = state->options().said;
    options.founded = state->founded_now();
    options.moved = state->moved();
    options.advertise = state->options().advertise;
    gossip = std::make_unique<Gossiper>(options, state->first_view(), *this, seed);
    auto kept = state->engine().get(Table::state, NodeState::staged_row);
    if (kept && *kept) {
      auto changes = Changes::decode(**kept);
      if (changes) {
        staged = std::move(*changes);
      } else {
        log(LogLevel::error,
            "what was staged is lost, stage it again: " + changes.status().message());
      }
    }
    note_standing();
  }

  // ---- GossipHost; the lock is held ----
  Status persist(const MembershipView& view, Keep keep) override;
  void on_view_changed(const MembershipView& view) override { state->set_ring(view.ring()); }
  void log(LogLevel level, const std::string& text) override;
  Status persist_settings(const MembershipView& view, const ClusterSettings& settings,
                          Keep keep) override {
    return state->keep(view, keep, std::nullopt, settings);
  }
  void on_settings_changed(const ClusterSettings& settings) override;
  bool may_be_alive(NodeId member) override;
  void on_moved() override;
  // Only a node that belongs to the cluster works in the background.
  bool at_work() const { return transfer != nullptr && !apart.load(std::memory_order_acquire); }

  // ---- hosting (upkeep.cpp) ----
  void follow_ring(Now now);
  void make_tasks(Now now);
  std::vector<Incoming> work() const;
  void flip_if_arrived(Now now);
  Duration quiet() const;
  void claim_own_share(Now now);
  void wake(Now now);
  void after(Now now);
  Replica::Outcome answer(NodeId from, const Message& message, Now now);
  Replica::Outcome answer(NodeId from, const HeldCheck& check, Now now);
  bool ever_member(NodeId node) const;
  void note_standing();

  // ---- commands (cluster_orders.cpp) ----
  Status keep_staged();
  json::array staged_json() const;
  static Result<std::uint32_t> number(const std::string& text, std::uint32_t low,
                                      std::uint32_t high, const char* what);
  StatusText said(json::object answer) { return {Status::ok(), json::serialize(answer)}; }
  StatusText stage(const ClusterCommand& command);
  StatusText plan(Now now);
  StatusText commit(Now now);
  StatusText cluster_status();
  StatusText repair(const ClusterCommand& command, Now now);
  StatusText command(const ClusterCommand& command, Now now);
  json::object upkeep_json() const;
};

}  // namespace ringlet
