#include "node/upkeep.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/planted.hpp"
#include "node/upkeep_impl.hpp"

namespace ringlet {
namespace {

constexpr Duration flip_again = Duration::seconds(1);  // after the disk did not keep it

// The lowest bits of a number say which machine it belongs to: 0 gossip, else the task's place in Impl::tasks and 1.
constexpr int owner_bits = 4;
constexpr std::uint64_t of_gossip = 0;
constexpr std::uint64_t owner_of(RequestId number) {
  return static_cast<std::uint64_t>(number) & ((1 << owner_bits) - 1);
}
constexpr RequestId own_number(RequestId number) {
  return RequestId{static_cast<std::uint64_t>(number) >> owner_bits};
}
constexpr RequestId number_for(std::uint64_t owner, RequestId number) {
  return RequestId{static_cast<std::uint64_t>(number) << owner_bits | owner};
}

Replica::Outcome refused(Status why, std::uint32_t retry_after_ms) {
  return {Refused{std::move(why), retry_after_ms}};
}

// Perhaps it is one already and this node hears of it with the next gossip, so it may come again.
Replica::Outcome no_member(const Message& message, NodeId from, const Ring& ring) {
  return refused(
      Status(from ? Code::unavailable : Code::invalid_argument,
             std::string(name_of(message)) + ": wanted a member of the cluster " + ring.cluster() +
                 ", " + to_string(from) + " is none that this node knows of"),
      from ? 200 : 0);
}

}  // namespace

Status Upkeep::Impl::persist(const MembershipView& view, Keep keep) {
  Status kept = state->keep(view, keep, staged_with_view, settings_with_view);
  if (!kept) return kept;
  staged_with_view.reset();
  settings_with_view.reset();
  return kept;
}

void Upkeep::Impl::on_settings_changed(const ClusterSettings& settings) {
  state->go_by(settings);
  if (tombstones) {
    tombstones->set_grace(
        Duration::millis(static_cast<std::int64_t>(state->value(Setting::tombstone_grace_ms))));
  }
}

bool Upkeep::Impl::may_be_alive(NodeId member) {
  if (health->is_down(member)) return false;
  to_check.insert(member);
  return true;
}

void Upkeep::Impl::on_moved() {
  if (Status kept = state->note_address(); !kept) {
    log(LogLevel::warn, "where this node is was not kept: " + kept.message());
  }
  log(LogLevel::info, "the cluster has this node at its new address now");
}

void Upkeep::Impl::log(LogLevel level, const std::string& text) {
  constexpr std::string_view part = "membership: ";
  if (!state->options().log) return;
  state->options().log(level, "membership",
                       text.starts_with(part) ? text.substr(part.size()) : text);
}

// The ring may have been swapped, by a round of gossip, a command or a flip.
void Upkeep::Impl::follow_ring(Now now) {
  auto current = state->ring();
  if (!started || !current || current == ring) return;
  // A ring of which the others know nothing moves no data.
  if (gossip->belonging() != Gossiper::Belonging::settled && !ring) return;
  bool first = !ring;
  ring = std::move(current);
  share_at = ring->moving() ? Instant::never() : now.instant + quiet();
  if (first) make_tasks(now);
  transfer->set_work(work(), now);
  readiness->set_work(ring->companions(state->self()), ring->partitions());
  if (!first) {
    surplus->on_ring_changed(now);
    tree->on_ring(now);
  }
  flip_if_arrived(now);
}

void Upkeep::Impl::make_tasks(Now now) {
  const NodeOptions& options = state->options();
  NodeId self = state->self();
  TreeExchange::Options tree_options = options.tree_exchange;
  tree_options.seed = seed;
  transfer =
      std::make_unique<PartitionTransfer>(self, options.transfer, store, store, *health, &pace);
  FlipReadiness::Options waits;
  waits.lenient_after = options.transfer.lenient_after;
  readiness = std::make_unique<FlipReadiness>(waits);
  surplus = std::make_unique<Surplus>(options.surplus, store, store, *health, &pace);
  tree = std::make_unique<TreeExchange>(
      self, tree_options, store, *health,
      [this](Now at, std::size_t cost) {
        return pace.take(Pace::Kind::tree, cost, at) ? at.instant : pace.next(Pace::Kind::tree, at);
      },
      [this](Now at) { return pace.step(at); });
  TombstoneCollection::Options reaping = options.tombstones;
  reaping.grace =
      Duration::millis(static_cast<std::int64_t>(state->value(Setting::tombstone_grace_ms)));
  tombstones =
      std::make_unique<TombstoneCollection>(self, reaping, store, store, store, *health, &pace);
  tasks = {transfer.get(), readiness.get(), surplus.get(), tree.get(), tombstones.get()};
  RINGLET_ASSERT(tasks.size() + 1 < (std::size_t{1} << owner_bits));
  surplus->start(now);
  tree->start(now);
  tombstones->start(now);
}

// What this node has to pull before its slots flip. An outgoing owner counts as the source only
// when it alone is replaced by this node alone; else everybody who owns the partition now is asked.
std::vector<Incoming> Upkeep::Impl::work() const {
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

void Upkeep::Impl::flip_if_arrived(Now now) {
  flip_at = Instant::never();
  if (!transfer || !transfer->all_arrived()) return;
  auto slots = gossip->view().arriving(state->self());
  if (slots.empty()) return;
  readiness->begin(now);
  if (!readiness->ready()) return;
  // Lost to a machine stop it would be heard from others, or found out again.
  Status flipped =
      gossip->change(gossip->view().arrived(state->self(), slots), Keep::with_what_follows);
  if (!flipped) {
    flip_at = now.instant + flip_again;
    return log(LogLevel::error, "arrived, but not kept: " + flipped.message());
  }
  log(LogLevel::info, "all data of " + std::to_string(slots.size()) +
                          " partitions is here: this node owns them now");
  follow_ring(now);
}

// So long without a change: all who can hear each other agree (R4.8.1-c: 300 members need 9 rounds).
Duration Upkeep::Impl::quiet() const {
  return state->options().gossip.round * 30;
}

// Nobody ordered it: orders given on two sides of a split left this node short (F-40).
void Upkeep::Impl::claim_own_share(Now now) {
  share_at = Instant::never();
  if (!out_why) return;
  MembershipView claimed = claim_share(gossip->view(), state->self());
  std::size_t slots = claimed.arriving(state->self()).size();
  if (slots == 0) return;
  Status kept = gossip->change(claimed);
  if (!kept) {
    share_at = now.instant + quiet();
    return log(LogLevel::error, "short of its share, but not kept: " + kept.message());
  }
  log(LogLevel::info,
      "this node is short of its share and takes over " + std::to_string(slots) + " partitions");
  follow_ring(now);
}

void Upkeep::Impl::wake(Now now) {
  gossip->on_wake(now);
  follow_ring(now);
  note_standing();
  if (!at_work()) return;
  if (share_at <= now.instant) claim_own_share(now);
  if (flip_at <= now.instant) flip_if_arrived(now);
  for (BackgroundTask* task : tasks) task->on_wake(now);
  after(now);
}

// After any of the machines moved.
void Upkeep::Impl::after(Now now) {
  note_standing();
  if (!at_work()) return;
  if (transfer->take_news() || readiness->take_news()) flip_if_arrived(now);
  surplus_busy.store(surplus->busy(), std::memory_order_release);
}

Replica::Outcome Upkeep::Impl::answer(NodeId from, const Message& message, Now now) {
  if (auto* question = std::get_if<Gossip>(&message)) {
    Message said = gossip->on_gossip(*question, now);
    note_standing();
    follow_ring(now);
    return {std::move(said)};
  }
  if (transfer && !at_work()) return refused(Status(Code::unavailable, out_why.message()), 1000);
  if (!transfer) {
    return refused(
        Status(Code::unavailable, "node " + state->options().name + " has not joined the cluster"),
        1000);
  }
  if (auto* check = std::get_if<HeldCheck>(&message)) return answer(from, *check, now);
  if (ring->find(from) == nullptr) return no_member(message, from, *ring);
  if (auto* pull = std::get_if<TransferPull>(&message)) {
    if (pull->max_bytes == 0) return {answer_whether(*pull, ring->partitions(), *transfer)};
    bool may = pull->partition < ring->partitions() && store.keeps(from, pull->partition);
    // The newcomer asks nobody else then, so this copy must be whole.
    if (may && ring->outgoing(pull->partition) == std::vector<NodeId>{state->self()} &&
        !transfer->has_all_of(pull->partition)) {
      return refused(Status(Code::unavailable, "this node has not all of partition " +
                                                   std::to_string(pull->partition) + " itself yet"),
                     1000);
    }
    return {ringlet::answer(*pull, may, state->options().transfer.page_bytes * 4, store, store,
                            &pace, now)};
  }
  if (auto* ask = std::get_if<ReapAsk>(&message)) return {tombstones->answer(*ask, now)};
  if (auto* reap = std::get_if<Reap>(&message)) return {ringlet::answer(*reap, store)};
  return {tree->on_request(from, message, now)};
}

// One that has left asks as well: it may hold the last copy of something.
Replica::Outcome Upkeep::Impl::answer(NodeId from, const HeldCheck& check, Now now) {
  if (!out_why) return refused(Status(Code::unavailable, out_why.message()), 1000);
  if (!ever_member(from)) return no_member(check, from, *ring);
  auto answer = surplus->answer(check, now);
  return {std::move(answer.reply), answer.ticket};
}

bool Upkeep::Impl::ever_member(NodeId node) const {
  const MembershipView& view = gossip->view();
  if (view.empty()) return false;
  return std::any_of(view.known().begin(), view.known().end(),
                     [&](const auto& known) { return known.member.id == node; });
}

// Is this node still a member? What the others say of it comes before its own view, which may be
// that of a directory from long ago.
void Upkeep::Impl::note_standing() {
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
    if (Status apart_why = gossip->why_not(); !apart_why) {
      why = apart_why;
    } else if (gossip->refusal().code() == Code::closed) {
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
  bool is_apart = gossip->belonging() != Gossiper::Belonging::settled;
  apart.store(is_apart, std::memory_order_release);
  differ.store(gossip->any_disagrees(), std::memory_order_release);
}

Upkeep::Upkeep(std::shared_ptr<NodeState> state, std::uint64_t seed)
    : impl_(std::make_unique<Impl>(std::move(state), seed)) {}
Upkeep::~Upkeep() = default;

void Upkeep::start(const Health& health, Now now) {
  std::lock_guard lock(impl_->mutex);
  impl_->health = &health;
  impl_->started = true;
  impl_->gossip->start(now);
  impl_->note_standing();
  impl_->follow_ring(now);
}

void Upkeep::stop() {
  std::lock_guard lock(impl_->mutex);
  impl_->started = false;
  impl_->share_at = impl_->flip_at = Instant::never();
  impl_->surplus_busy = false;
  impl_->ring.reset();
  impl_->tasks.clear();
  impl_->transfer.reset();
  impl_->readiness.reset();
  impl_->surplus.reset();
  impl_->tree.reset();
  impl_->tombstones.reset();
  impl_->health = &impl_->nobody_gone;
}

void Upkeep::on_reply(NodeId from, RequestId number, const Message& message, Now now) {
  std::lock_guard lock(impl_->mutex);
  RequestId own = own_number(number);
  std::uint64_t owner = owner_of(number);
  if (owner == of_gossip) {
    impl_->gossip_to.erase(own);
    impl_->gossip->on_reply(own, message, now);
    impl_->follow_ring(now);
  } else if (owner <= impl_->tasks.size()) {  // there are no tasks any more after stop()
    impl_->tasks[owner - 1]->on_reply(from, own, message, now);
  }
  impl_->after(now);
  impl_->follow_ring(now);
}

void Upkeep::on_unreachable(NodeId node, Now now) {
  std::lock_guard lock(impl_->mutex);
  std::vector<RequestId> lost;
  for (const auto& [number, to] : impl_->gossip_to) {
    if (to == node) lost.push_back(number);
  }
  for (RequestId number : lost) {
    impl_->gossip_to.erase(number);
    impl_->gossip->on_unreachable(number, now);
  }
  if (!impl_->transfer) return;
  for (BackgroundTask* task : impl_->tasks) task->on_unreachable(node, now);
  impl_->after(now);
}

void Upkeep::on_recovered(NodeId node, Now now) {
  std::lock_guard lock(impl_->mutex);
  if (!impl_->transfer) return;
  for (BackgroundTask* task : impl_->tasks) task->on_recovered(node, now);
  impl_->after(now);
}

void Upkeep::on_wake(Now now) {
  std::lock_guard lock(impl_->mutex);
  impl_->wake(now);
}

std::vector<Outgoing> Upkeep::take_outgoing() {
  std::lock_guard lock(impl_->mutex);
  std::vector<Outgoing> outgoing;
  for (auto& out : impl_->gossip->take_outgoing()) {
    NodeId to = out.to ? out.to : node_id_of("seed " + out.address);
    impl_->gossip_to[out.number] = to;
    out.to = to;
    out.number = number_for(of_gossip, out.number);
    outgoing.push_back(std::move(out));
  }
  if (!impl_->at_work()) return outgoing;
  for (std::size_t place = 0; place < impl_->tasks.size(); ++place) {
    for (Outgoing& out : impl_->tasks[place]->take_outgoing()) {
      out.number = number_for(place + 1, out.number);
      outgoing.push_back(std::move(out));
    }
  }
  return outgoing;
}

Instant Upkeep::next_wake() const {
  std::lock_guard lock(impl_->mutex);
  if (!impl_->at_work()) return impl_->gossip->next_wake();
  Instant next = std::min({impl_->gossip->next_wake(), impl_->share_at, impl_->flip_at});
  for (const BackgroundTask* task : impl_->tasks) next = std::min(next, task->next_wake());
  return next;
}

bool Upkeep::answers(const Message& message) {
  return std::holds_alternative<Gossip>(message) || std::holds_alternative<TransferPull>(message) ||
         std::holds_alternative<TreeCompare>(message) ||
         std::holds_alternative<SegmentCompare>(message) ||
         std::holds_alternative<ReapAsk>(message) || std::holds_alternative<Reap>(message) ||
         std::holds_alternative<HeldCheck>(message);
}

Replica::Outcome Upkeep::answer(NodeId from, const Message& message, Now now) {
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

bool Upkeep::is_apart() const {
  return impl_->apart.load(std::memory_order_acquire);
}

bool Upkeep::disagrees_with(NodeId member) const {
  if (!member || !impl_->differ.load(std::memory_order_acquire)) return false;
  std::lock_guard lock(impl_->mutex);
  return impl_->gossip->disagrees_with(member);
}

std::vector<NodeId> Upkeep::take_to_check() {
  std::lock_guard lock(impl_->mutex);
  std::vector<NodeId> list(impl_->to_check.begin(), impl_->to_check.end());
  impl_->to_check.clear();
  return list;
}

Status Upkeep::why_out() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->out_why;
}

void Upkeep::before_storing(const Key& key) {
  if (!impl_->surplus_busy.load(std::memory_order_acquire)) return;
  std::lock_guard lock(impl_->mutex);
  if (impl_->surplus) impl_->surplus->before_storing(key);
}

std::vector<NodeId> Upkeep::targets_for(const Hint& hint) const {
  auto ring = impl_->state->ring();
  std::uint32_t partition = ring->partition_of(token_of(hint.key));
  if (impl_->store.keeps(hint.target, partition)) return {hint.target};
  return impl_->store.owners(partition);
}

std::vector<NodeId> Upkeep::other_owners(const Hint& hint) const {
  auto owners = impl_->store.owners(impl_->state->ring()->partition_of(token_of(hint.key)));
  std::erase(owners, hint.target);
  return owners;
}

bool Upkeep::is_to_be_filled(std::uint32_t partition) const {
  auto ring = impl_->state->ring();
  const auto& pulls = ring->pulls(impl_->state->self());
  if (!std::binary_search(pulls.begin(), pulls.end(), partition)) return false;
  std::lock_guard lock(impl_->mutex);
  return !impl_->transfer || !impl_->transfer->has_all_of(partition);
}

Pace& Upkeep::pace() {
  return impl_->pace;
}

std::string Upkeep::status_json(Now now) const {
  std::lock_guard lock(impl_->mutex);
  json::object out = impl_->upkeep_json();
  auto pace = impl_->pace.report(now);
  out["pace"] = json::object{{"slices", pace.slices},
                             {"busy", pace.busy},
                             {"storage_p99_ms", pace.storage_p99.us / 1000},
                             {"queue_p99_ms", pace.queue_p99.us / 1000},
                             {"failed", pace.failed}};
  return json::serialize(out);
}

}  // namespace ringlet
