#include "node/upkeep.hpp"

#include <algorithm>
#include <atomic>
#include <boost/json.hpp>
#include <charconv>
#include <map>
#include <mutex>

#include "base/planted.hpp"

namespace ringlet {
namespace {
namespace json = boost::json;

// Which machine a number belongs to: its three lowest bits.
enum class Of : std::uint64_t { gossip, transfer, surplus, tree, reaping };
constexpr int of_bits = 3;
std::uint64_t number_for(Of machine, std::uint64_t number) {
  return number << of_bits | static_cast<std::uint64_t>(machine);
}

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

Status wrong(const std::string& text) {
  return {Code::invalid_argument, "cluster: " + text};
}

std::string counted(std::uint64_t count, const std::string& one, const std::string& many = "") {
  return std::to_string(count) + " " + (count == 1 ? one : many.empty() ? one + "s" : many);
}

}  // namespace

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

  mutable std::mutex mutex;  // guards everything below
  std::unique_ptr<Gossiper> gossip;
  std::map<std::uint64_t, NodeId> gossip_to;  // unanswered
  // There once there is a ring and lane 0 has started.
  std::unique_ptr<PartitionTransfer> transfer;
  std::unique_ptr<Surplus> surplus;
  std::unique_ptr<TreeExchange> tree;
  std::unique_ptr<TombstoneCollection> tombstones;
  std::shared_ptr<const Ring> ring;  // the machines know this one
  bool started = false;
  Changes staged;
  Status out_why;                         // not ok iff out
  std::optional<Bytes> staged_with_view;  // goes into the transaction that keeps the next view

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
    gossip = std::make_unique<Gossiper>(options, state->first_view(), *this, seed);
    auto kept = state->engine().get(Table::state, NodeState::staged_row);
    if (kept && *kept) {
      auto changes = Changes::decode(**kept);
      if (changes) staged = std::move(*changes);
    }
  }

  // ---- GossipHost; the lock is held ----
  Status persist(const MembershipView& view) override {
    Status kept = state->keep(view, staged_with_view);
    if (kept) staged_with_view.reset();
    return kept;
  }
  void on_view_changed(const MembershipView& view) override { state->set_ring(view.ring()); }
  void log(LogLevel level, const std::string& text) override {
    constexpr std::string_view part = "membership: ";
    if (!state->options().log) return;
    state->options().log(level, "membership",
                         text.starts_with(part) ? text.substr(part.size()) : text);
  }

  // The ring may have been swapped, by a round of gossip, a command or a flip.
  void follow_ring(Now now) {
    auto current = state->ring();
    if (!started || !current || current == ring) return;
    bool first = !ring;
    ring = std::move(current);
    if (first) make_machines(now);
    transfer->set_work(work(), now);
    if (!first) {
      surplus->on_ring_changed(now);
      tree->on_ring(now);
    }
    flip_if_arrived(now);
  }

  void make_machines(Now now) {
    const NodeOptions& options = state->options();
    NodeId self = state->self();
    TreeExchange::Options tree_options = options.tree_exchange;
    tree_options.seed = seed;
    transfer =
        std::make_unique<PartitionTransfer>(self, options.transfer, store, store, *health, &pace);
    surplus = std::make_unique<Surplus>(self, options.surplus, store, store, *health, &pace);
    tree = std::make_unique<TreeExchange>(
        self, tree_options, store, *health,
        [this](Now at, std::size_t cost) { return pace.take(Pace::Kind::tree, cost, at); });
    tombstones = std::make_unique<TombstoneCollection>(self, options.tombstones, store, store,
                                                       *health, &pace);
    surplus->start(now);
    tree->start(now);
    tombstones->start(now);
  }

  // What this node has to pull before its slots flip. An outgoing owner counts as the source only
  // when it alone is replaced by this node alone; else everybody who owns the partition now is asked.
  std::vector<Incoming> work() const {
    std::vector<Incoming> work;
    NodeId self = state->self();
    const MembershipView& view = gossip->view();
    std::uint64_t move = 0;
    for (std::uint32_t slot : view.arriving(self)) {
      move = std::max(move, view.table()[slot].epoch);
    }
    for (std::uint32_t partition : ring->pulls(self)) {
      Incoming incoming;
      incoming.partition = partition;
      incoming.move = move;
      const auto& outgoing = ring->outgoing(partition);
      if (outgoing.size() == 1 && ring->incoming(partition).size() == 1) {
        incoming.outgoing = outgoing.front();
      }
      for (NodeId owner : store.owners(partition)) {
        if (owner != self && owner != incoming.outgoing) incoming.staying.push_back(owner);
      }
      work.push_back(std::move(incoming));
    }
    return work;
  }

  void flip_if_arrived(Now now) {
    if (!transfer || !transfer->all_arrived()) return;
    auto slots = gossip->view().arriving(state->self());
    if (slots.empty()) return;
    Status flipped = gossip->change(gossip->view().arrived(state->self(), slots));
    if (!flipped) return log(LogLevel::error, "arrived, but not kept: " + flipped.message());
    log(LogLevel::info, "all data of " + std::to_string(slots.size()) +
                            " partitions is here: this node owns them now");
    follow_ring(now);
  }

  void wake(Now now) {
    gossip->on_wake(now);
    follow_ring(now);
    if (!transfer) return note_standing();
    transfer->on_wake(now);
    surplus->on_wake(now);
    tree->on_wake(now);
    tombstones->on_wake(now);
    after(now);
  }

  // After any of the machines moved.
  void after(Now now) {
    note_standing();
    if (!transfer) return;
    if (transfer->take_news()) flip_if_arrived(now);
    surplus_busy.store(surplus->busy(), std::memory_order_release);
  }

  Message answer(NodeId from, const Message& message, Now now) {
    if (auto* question = std::get_if<Gossip>(&message)) {
      Message said = gossip->on_gossip(*question, now);
      follow_ring(now);
      note_standing();
      return said;
    }
    if (!transfer) {
      return Refused{Status(Code::unavailable,
                            "node " + state->options().name + " has not joined the cluster"),
                     1000};
    }
    if (ring->find(from) == nullptr) {
      return Refused{Status(Code::invalid_argument,
                            std::string(name_of(message)) + ": wanted a member of the cluster " +
                                ring->cluster() + ", " + to_string(from) + " is none"),
                     0};
    }
    if (auto* pull = std::get_if<TransferPull>(&message)) {
      bool may = pull->partition < ring->partitions() && store.keeps(from, pull->partition);
      return ringlet::answer(*pull, may, state->options().transfer.page_bytes * 4, store, store);
    }
    if (auto* ask = std::get_if<ReapAsk>(&message)) return ringlet::answer(*ask, store, store);
    if (auto* reap = std::get_if<Reap>(&message)) return ringlet::answer(*reap, store);
    return tree->on_request(from, message, now);
  }

  // Is this node still a member? What the others say of it comes before its own view, which may be
  // that of a directory from long ago.
  void note_standing() {
    Status why;
    const MembershipView& view = gossip->view();
    if (!view.empty()) {
      using Standing = MembershipView::Standing;
      const std::string& name = state->options().name;
      const auto* self = view.find(name);
      Standing standing = self ? self->standing : Standing::unknown;
      auto no = [&](const std::string& text) {
        return Status(Code::closed, "node " + name + " serves nobody: it " + text);
      };
      if (gossip->refusal().code() == Code::closed) {
        why = no("was turned away: " + gossip->refusal().message());
      } else if (standing == Standing::left) {
        why = no("has left cluster " + view.cluster());
      } else if (standing == Standing::replaced) {
        why = no("was replaced by \"" + self->replaced_by + "\" and is no member any more");
      } else if (standing == Standing::clashing) {
        why = no("joined at the address of another member");
      }
    }
    if (!why && out_why.message() != why.message()) log(LogLevel::warn, why.message());
    if (why && !out_why) log(LogLevel::info, "this node is a member again and serves");
    out_why = why;
    out.store(!why, std::memory_order_release);
  }

  // ---- commands ----

  Status keep_staged() {
    Bytes encoded = staged.encode();
    auto done = state->engine().transact(Durability::disk, [&](Transaction& transaction) {
      return encoded.empty() ? transaction.erase(Table::state, NodeState::staged_row)
                             : transaction.put(Table::state, NodeState::staged_row, encoded);
    });
    if (!done) return done.status();
    return state->engine().flush();
  }

  json::array staged_json() const {
    json::array list;
    for (const auto& change : staged.staged()) list.push_back(json::value(to_string(change)));
    return list;
  }

  static Result<std::uint32_t> number(const std::string& text, std::uint32_t low,
                                      std::uint32_t high, const char* what) {
    std::uint32_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < low || value > high) {
      return wrong(std::string(what) + ": wanted a number from " + std::to_string(low) + " to " +
                   std::to_string(high) + ", got \"" + printable(text) + "\"");
    }
    return value;
  }

  StatusText said(json::object answer) { return {Status::ok(), json::serialize(answer)}; }

  StatusText stage(const ClusterCommand& command) {
    const auto& arguments = command.arguments;
    const MembershipView& view = gossip->view();
    Changes before = staged;
    Status done;
    if (command.verb == "join") {
      if (arguments.size() != 4) return {wrong("join wants name, address, zone, weight"), ""};
      auto weight = number(arguments[3], 1, 1000, "weight");
      if (!weight) return {weight.status(), ""};
      done = staged.join(view, Member{{}, arguments[0], arguments[1], arguments[2], *weight});
    } else if (command.verb == "leave") {
      if (arguments.size() != 1) return {wrong("leave wants a name"), ""};
      done = staged.leave(view, arguments[0]);
    } else if (command.verb == "rebalance") {
      if (!arguments.empty()) return {wrong("rebalance takes no arguments"), ""};
      done = staged.rebalance(view);
    } else if (command.verb == "replace") {
      if (arguments.size() < 3) return {wrong("replace wants name, new name, address"), ""};
      done = staged.replace(view, arguments[0], arguments[1], arguments[2]);
    } else {
      if (arguments.size() != 2) return {wrong("weight wants name and weight"), ""};
      auto weight = number(arguments[1], 1, 1000, "weight");
      if (!weight) return {weight.status(), ""};
      done = staged.set_weight(view, arguments[0], *weight);
    }
    if (done) done = keep_staged();
    if (!done) {
      staged = std::move(before);
      return {done, ""};
    }
    return said({{"message", "staged: " + to_string(staged.staged().back()) +
                                 "; see the plan, then commit or clear"},
                 {"staged", staged_json()}});
  }

  StatusText plan(Now now) {
    auto plan = staged.plan(gossip->view(), state->self(), now.wall_ms);
    if (!plan) return {plan.status(), ""};
    auto name = [&](NodeId id) {
      for (const auto& known : plan->view.known()) {
        if (known.member.id == id) return known.member.name;
      }
      return to_string(id);
    };
    json::array slots;
    for (const auto& slot : plan->slots) {
      slots.push_back(
          json::object{{"partition", slot.slot}, {"from", name(slot.from)}, {"to", name(slot.to)}});
    }
    // Bytes are known of the partitions that this node keeps; the others are taken to be alike.
    json::array partitions;
    std::uint64_t bytes = 0, measured = 0, receivers = 0;
    for (const auto& partition : plan->partitions) {
      json::array from, to;
      for (NodeId id : partition.from) from.push_back(json::value(name(id)));
      for (NodeId id : partition.to) to.push_back(json::value(name(id)));
      partitions.push_back(
          json::object{{"partition", partition.partition}, {"from", from}, {"to", to}});
      receivers += partition.to.size();
      if (store.keeps(partition.partition)) {
        auto size = store.bytes_of(partition.partition, 100'000);
        if (size) bytes += *size, ++measured;
      }
    }
    std::uint64_t estimate = measured == 0 ? 0 : bytes / measured * receivers;
    std::string text = counted(plan->slots.size(), "slot") + " to change hands, " +
                       std::to_string(plan->partitions.size()) + " of " +
                       std::to_string(ring->partitions()) + " partitions to copy, " +
                       counted(receivers, "copy", "copies") + " of about " +
                       std::to_string(estimate) + " bytes in all; efficiency " +
                       std::to_string(plan->efficiency_before).substr(0, 5) + " -> " +
                       std::to_string(plan->efficiency_after).substr(0, 5);
    return said({{"message", text},
                 {"staged", staged_json()},
                 {"moves", slots},
                 {"partitions", partitions},
                 {"bytes", estimate},
                 {"efficiency_before", plan->efficiency_before},
                 {"efficiency_after", plan->efficiency_after}});
  }

  StatusText commit(Now now) {
    auto view = staged.commit(gossip->view(), state->self(), now.wall_ms);
    if (!view) return {view.status(), ""};
    std::size_t count = staged.staged().size();
    // The view and the empty staging are one transaction.
    staged_with_view = Bytes();
    Status changed = gossip->change(*view);
    bool kept = !staged_with_view;  // else nothing changed: a cluster that is even already
    staged_with_view.reset();
    if (!changed) return {changed, ""};
    Changes before = staged;
    staged.clear();
    if (!kept) {
      Status cleared = keep_staged();
      if (!cleared) {
        staged = std::move(before);
        return {cleared, ""};
      }
    }
    follow_ring(now);
    return said({{"message", "committed " + counted(count, "change") + "; epoch " +
                                 std::to_string(gossip->view().epoch()) +
                                 "; the status says what is still moving"},
                 {"epoch", gossip->view().epoch()}});
  }

  StatusText cluster_status() {
    const MembershipView& view = gossip->view();
    json::array members;
    std::size_t moving = 0;
    for (const NodeId next : ring->next()) moving += next ? 1 : 0;
    for (const auto& known : view.known()) {
      auto owns = std::count(ring->owners().begin(), ring->owners().end(), known.member.id);
      auto comes = std::count(ring->next().begin(), ring->next().end(), known.member.id);
      members.push_back(json::object{{"name", known.member.name},
                                     {"address", known.member.address},
                                     {"zone", known.member.zone},
                                     {"weight", known.member.weight},
                                     {"state", ringlet::name_of(known.standing)},
                                     {"owns", owns},
                                     {"coming", comes},
                                     {"events", known.events},
                                     {"since_ms", known.since_wall_ms}});
    }
    // A leaver has done its part when it owns nothing and has handed over all it had: copies and hints.
    const auto* self = view.find(state->options().name);
    auto standing = self ? self->standing : MembershipView::Standing::unknown;
    bool goes =
        standing == MembershipView::Standing::leaving || standing == MembershipView::Standing::left;
    bool clean = surplus->progress().clean;
    auto hints = replica.count_hints();
    bool may_stop = standing == MembershipView::Standing::left && clean && hints && *hints == 0;
    std::string about = out_why ? "" : "; " + out_why.message();
    std::string own = state->options().name + " is " + ringlet::name_of(standing);
    if (goes) {
      own += may_stop ? ": it has handed over everything and may be stopped"
                      : ": it still has data to hand over, do not stop it yet";
    }
    return said(
        {{"message", "cluster " + view.cluster() + ", epoch " + std::to_string(view.epoch()) +
                         ", " + counted(moving, "partition") + " moving, " +
                         counted(staged.staged().size(), "change") + " staged" + about +
                         (goes ? "; " + own : "")},
         {"out", out_why.message()},
         {"node", json::object{{"name", state->options().name},
                               {"state", ringlet::name_of(standing)},
                               {"surplus_clean", clean},
                               {"hints", hints ? *hints : 0},
                               {"may_stop", may_stop}}},
         {"cluster", view.cluster()},
         {"epoch", view.epoch()},
         {"digest", std::to_string(view.digest())},
         {"moving", moving},
         {"members", members},
         {"staged", staged_json()},
         {"upkeep", upkeep_json()}});
  }

  StatusText repair(const ClusterCommand& command, Now now) {
    std::optional<std::uint32_t> partition;
    if (command.arguments.size() > 1) return {wrong("repair wants at most a partition"), ""};
    if (!command.arguments.empty()) {
      auto wanted = number(command.arguments[0], 0, ring->partitions() - 1, "partition");
      if (!wanted) return {wanted.status(), ""};
      partition = *wanted;
    }
    auto peers = tree->repair(partition, now);
    if (!peers) return {peers.status(), ""};
    return said({{"message", "comparing with " + counted(*peers, "member") +
                                 "; the status says how far it is"},
                 {"peers", *peers}});
  }

  StatusText command(const ClusterCommand& command, Now now) {
    const std::string& verb = command.verb;
    if (!transfer) {
      return {Status(Code::unavailable,
                     "node " + state->options().name + " has not joined the cluster" +
                         (gossip->refusal() ? "" : ": " + gossip->refusal().message())),
              ""};
    }
    if (!out_why && verb != "status") return {Status(Code::unavailable, out_why.message()), ""};
    if (verb == "join" || verb == "leave" || verb == "replace" || verb == "weight" ||
        verb == "rebalance") {
      return stage(command);
    }
    if (verb == "repair") return repair(command, now);
    bool known =
        verb == "plan" || verb == "commit" || verb == "clear" || verb == "status" || verb == "reap";
    if (known && !command.arguments.empty()) {
      return {wrong(verb + " takes no arguments, got \"" + printable(command.arguments[0]) + "\""),
              ""};
    }
    if (verb == "plan") return plan(now);
    if (verb == "commit") return commit(now);
    if (verb == "status") return cluster_status();
    if (verb == "reap") {
      tombstones->walk_now(now);
      return said({{"message", "looking for tombstones that may go"}});
    }
    if (verb == "clear") {
      std::size_t count = staged.staged().size();
      Changes before = staged;
      staged.clear();
      Status kept = keep_staged();
      if (!kept) {
        staged = std::move(before);
        return {kept, ""};
      }
      return said({{"message", "forgot " + counted(count, "staged change")}});
    }
    return {wrong("wanted join, leave, replace, weight, rebalance, plan, commit, clear, status, "
                  "repair or reap, got \"" +
                  printable(verb) + "\""),
            ""};
  }

  json::object upkeep_json() const {
    json::object out{{"gossip_rounds", gossip->rounds()},
                     {"epoch", gossip->view().empty() ? 0 : gossip->view().epoch()},
                     {"staged", staged.staged().size()}};
    if (!gossip->refusal()) out["turned_away"] = gossip->refusal().message();
    if (!transfer) return out;
    auto moved = transfer->progress();
    out["transfer"] = json::object{
        {"partitions", moved.partitions},    {"left", moved.left},   {"waiting", moved.waiting},
        {"objects", moved.objects},          {"bytes", moved.bytes}, {"pages", moved.pages},
        {"failed_pages", moved.failed_pages}};
    auto pushed = surplus->progress();
    out["surplus"] = json::object{{"pushed", pushed.pushed},
                                  {"erased", pushed.erased},
                                  {"kept", pushed.kept},
                                  {"clean", pushed.clean}};
    auto trees = tree->progress();
    out["anti_entropy"] = json::object{{"exchanges", trees.exchanges},
                                       {"equal", trees.equal},
                                       {"repaired", trees.repaired},
                                       {"abandoned", trees.abandoned},
                                       {"partitions_different", trees.partitions_different},
                                       {"segments_compared", trees.segments_compared},
                                       {"segments_corrected", trees.segments_corrected},
                                       {"keys_received", trees.keys_received},
                                       {"keys_sent", trees.keys_sent},
                                       {"bytes_sent", trees.bytes_sent},
                                       {"bytes_received", trees.bytes_received},
                                       {"trees_unbuilt", trees.trees_unbuilt},
                                       {"waiting", trees.waiting},
                                       {"idle", tree->idle()},
                                       {"last_error", trees.last_error}};
    auto reaped = tombstones->progress();
    out["tombstones"] = json::object{{"asked", reaped.asked},
                                     {"reaped", reaped.reaped},
                                     {"postponed", reaped.postponed},
                                     {"waiting", reaped.waiting}};
    return out;
  }
};

Upkeep::Upkeep(std::shared_ptr<NodeState> state, std::uint64_t seed)
    : impl_(std::make_unique<Impl>(std::move(state), seed)) {}
Upkeep::~Upkeep() = default;

void Upkeep::start(const Health& health, Now now) {
  std::lock_guard lock(impl_->mutex);
  impl_->health = &health;
  impl_->started = true;
  impl_->gossip->start(now);
  impl_->follow_ring(now);
}

void Upkeep::stop() {
  std::lock_guard lock(impl_->mutex);
  impl_->started = false;
  impl_->surplus_busy = false;
  impl_->ring.reset();
  impl_->transfer.reset();
  impl_->surplus.reset();
  impl_->tree.reset();
  impl_->tombstones.reset();
  impl_->health = &impl_->nobody_gone;
}

void Upkeep::on_reply(std::uint64_t number, NodeId from, const Message& message, Now now) {
  std::lock_guard lock(impl_->mutex);
  std::uint64_t own = number >> of_bits;
  switch (static_cast<Of>(number & ((1 << of_bits) - 1))) {
    case Of::gossip:
      impl_->gossip_to.erase(own);
      impl_->gossip->on_reply(own, message, now);
      impl_->follow_ring(now);
      break;
    case Of::transfer:
      if (impl_->transfer) impl_->transfer->on_reply(from, own, message, now);
      break;
    case Of::surplus:
      if (impl_->surplus) impl_->surplus->on_reply(from, own, message, now);
      break;
    case Of::tree:
      if (impl_->tree) impl_->tree->on_reply(from, own, message, now);
      break;
    case Of::reaping:
      if (impl_->tombstones) impl_->tombstones->on_reply(from, own, message, now);
      break;
  }
  impl_->after(now);
}

void Upkeep::on_unreachable(NodeId node, Now now) {
  std::lock_guard lock(impl_->mutex);
  std::vector<std::uint64_t> lost;
  for (const auto& [number, to] : impl_->gossip_to) {
    if (to == node) lost.push_back(number);
  }
  for (std::uint64_t number : lost) {
    impl_->gossip_to.erase(number);
    impl_->gossip->on_unreachable(number, now);
  }
  if (!impl_->transfer) return;
  impl_->transfer->on_unreachable(node, now);
  impl_->surplus->on_unreachable(node, now);
  impl_->tree->on_unreachable(node, now);
  impl_->tombstones->on_unreachable(node, now);
  impl_->after(now);
}

void Upkeep::on_recovered(NodeId node, Now now) {
  std::lock_guard lock(impl_->mutex);
  if (!impl_->transfer) return;
  impl_->transfer->on_recovered(node, now);
  impl_->tree->on_recovered(node, now);
  impl_->after(now);
}

void Upkeep::on_wake(Now now) {
  std::lock_guard lock(impl_->mutex);
  impl_->wake(now);
}

std::vector<Upkeep::Outgoing> Upkeep::take_outgoing() {
  std::lock_guard lock(impl_->mutex);
  std::vector<Outgoing> outgoing;
  for (auto& out : impl_->gossip->take_outgoing()) {
    NodeId to = out.to ? out.to : node_id_of("seed " + out.address);
    impl_->gossip_to[out.number] = to;
    outgoing.push_back(
        {to, std::move(out.address), number_for(Of::gossip, out.number), std::move(out.message)});
  }
  if (!impl_->transfer) return outgoing;
  auto take = [&](Of machine, auto messages) {
    for (auto& out : messages) {
      outgoing.push_back({out.to, {}, number_for(machine, out.number), std::move(out.message)});
    }
  };
  take(Of::transfer, impl_->transfer->take_outgoing());
  take(Of::surplus, impl_->surplus->take_outgoing());
  take(Of::tree, impl_->tree->take_outgoing());
  take(Of::reaping, impl_->tombstones->take_outgoing());
  return outgoing;
}

Instant Upkeep::next_wake() const {
  std::lock_guard lock(impl_->mutex);
  Instant next = impl_->gossip->next_wake();
  if (!impl_->transfer) return next;
  return std::min({next, impl_->transfer->next_wake(), impl_->surplus->next_wake(),
                   impl_->tree->next_wake(), impl_->tombstones->next_wake()});
}

bool Upkeep::answers(const Message& message) {
  return std::holds_alternative<Gossip>(message) || std::holds_alternative<TransferPull>(message) ||
         std::holds_alternative<TreeCompare>(message) ||
         std::holds_alternative<SegmentCompare>(message) ||
         std::holds_alternative<ReapAsk>(message) || std::holds_alternative<Reap>(message);
}

Message Upkeep::answer(NodeId from, const Message& message, Now now) {
  std::lock_guard lock(impl_->mutex);
  return impl_->answer(from, message, now);
}

StatusText Upkeep::command(const ClusterCommand& command, Now now) {
  std::lock_guard lock(impl_->mutex);
  return impl_->command(command, now);
}

bool Upkeep::is_out() const {
  return impl_->out.load(std::memory_order_acquire);
}

Status Upkeep::why_out() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->out_why;
}

bool Upkeep::ever_member(NodeId node) const {
  std::lock_guard lock(impl_->mutex);
  const MembershipView& view = impl_->gossip->view();
  if (view.empty()) return false;
  return std::any_of(view.known().begin(), view.known().end(),
                     [&](const auto& known) { return known.member.id == node; });
}

void Upkeep::on_stored(const Key& key) {
  if (!impl_->surplus_busy.load(std::memory_order_acquire)) return;
  std::lock_guard lock(impl_->mutex);
  if (impl_->surplus) impl_->surplus->on_stored(key);
}

std::vector<NodeId> Upkeep::targets_for(const Hint& hint) const {
  auto ring = impl_->state->ring();
  std::uint32_t partition = ring->partition_of(token_of(hint.key));
  if (impl_->store.keeps(hint.target, partition)) return {hint.target};
  return impl_->store.owners(partition);
}

Pace& Upkeep::pace() {
  return impl_->pace;
}

std::string Upkeep::status_json(Now now) const {
  std::lock_guard lock(impl_->mutex);
  json::object out = impl_->upkeep_json();
  auto pace = impl_->pace.report(now);
  out["pace"] = json::object{{"slices", pace.slices},
                             {"storage_p99_ms", pace.storage_p99.us / 1000},
                             {"queue_p99_ms", pace.queue_p99.us / 1000},
                             {"failed", pace.failed}};
  return json::serialize(out);
}

}  // namespace ringlet
