#include "coordination/coordinator.hpp"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>
#include <variant>

#include "base/assert.hpp"
#include "base/planted.hpp"
#include "coordination/coordinator_choice.hpp"
#include "coordination/early_asking.hpp"
#include "coordination/get_operation.hpp"
#include "coordination/put_operation.hpp"
#include "protocol/payload.hpp"

namespace ringlet {
namespace {

using Operation = std::variant<GetOperation, PutOperation>;

// A request and what its driver keeps for it.
struct Machine {
  Machine(Operation o, Coordinator::OnAnswer f)
      : operation(std::move(o)), on_answer(std::move(f)) {}
  Operation operation;
  Coordinator::OnAnswer on_answer;  // empty once called
  std::vector<RequestId> numbers;   // of its messages without a reply
  std::vector<Instant> wakes;       // unordered; a handful
  Instant next = Instant::never();  // the earliest of them, as entered in Impl::clock
};

struct UnderWay {
  std::uint64_t machine;
  NodeId to;
  Instant sent;
  std::uint32_t question;  // the machine's number for it
  Health::Question kind;
  std::size_t bytes;  // of a large message, else 0
};

// What others seem like, with one exception: nobody believes itself gone. Its own disk may be slow,
// but asking somebody else about oneself would not help. Who is in doubt is asked last, as if down.
class Others final : public Health {
 public:
  Others(NodeId self, Health& all) : self_(self), all_(all) {}
  bool is_down(NodeId node) const override { return node != self_ && all_.may_be_gone(node); }
  void check(NodeId node, Instant now) override {
    if (node != self_) all_.check(node, now);
  }
  // A large message takes longer, and what goes to the node before it has to arrive first.
  Duration patience(NodeId node) const override {
    auto before = bytes_to_.find(node);
    return all_.patience(node) +
           carrying_time(about_to_send_ + (before == bytes_to_.end() ? 0 : before->second));
  }
  void heard_from(NodeId node, Instant now) override {
    if (node != self_) all_.heard_from(node, now);
  }
  void was_silent(NodeId node, Instant now) override {
    if (node != self_) all_.was_silent(node, now);
  }
  void unreachable(NodeId node, Instant now) override {
    if (node != self_) all_.unreachable(node, now);
  }
  void answer_took(NodeId node, Duration took) override { all_.answer_took(node, took); }
  // This host is never mute to itself.
  Instant last_heard(NodeId node) const override {
    return node == self_ ? Instant::never() : all_.last_heard(node);
  }
  // A large value is sent to each replica once, so its replica is never called late; it is given more
  // patience, by the size of the value, instead.
  Duration late_after(NodeId node, Question what, std::size_t others_late) const override {
    if (about_to_send_ >= bulk_bytes) return Duration::seconds(3600);
    auto before = bytes_to_.find(node);
    return early_.after(node, what, others_late) +
           carrying_time(before == bytes_to_.end() ? 0 : before->second);
  }
  bool may_ask_early(bool mute) override {
    if (planted(PlantedBug::dead_owner_waited_for) || !early_.may_ask(mute)) return false;
    ++asked_early_;
    return true;
  }

  void request_began() { early_.request_began(); }
  void answered(NodeId node, Question what, Duration took) {
    early_.answer_took(node, what, took);
    answer_took(node, took);
  }
  std::uint64_t take_asked_early() { return std::exchange(asked_early_, 0); }
  // What the operation that is told something next sends of values.
  void about_to_send(std::size_t bytes) { about_to_send_ = bytes; }
  void under_way(NodeId node, std::size_t bytes) {
    if (bytes != 0) bytes_to_[node] += bytes;
  }
  void arrived(NodeId node, std::size_t bytes) {
    if (bytes == 0) return;
    auto found = bytes_to_.find(node);
    if ((found->second -= bytes) == 0) bytes_to_.erase(found);
  }

 private:
  std::map<NodeId, std::size_t> bytes_to_;  // of large messages without an answer
  std::size_t about_to_send_ = 0;
  EarlyAsking early_;
  std::uint64_t asked_early_ = 0;
  NodeId self_;
  Health& all_;
};

ClientReply failed(Code code, std::string message, bool maybe_applied = false) {
  ClientReply reply;
  reply.status = Status(code, std::move(message), maybe_applied);
  return reply;
}

std::string too_late(const char* verb, const Key& key) {
  return verb + printable(key) + ": the request came after its deadline";
}

// What r or w means here: 0 is the cluster's default, which shrinks with a cluster that is smaller
// than N (R4.3-b); a number the caller named does not.
Result<std::size_t> wanted(const Key& key, const char* what, std::uint8_t named, std::uint8_t usual,
                           std::uint32_t owners) {
  if (named > owners) {
    return Status(Code::invalid_argument,
                  printable(key) + ": " + what + "=" + std::to_string(named) +
                      " was wanted, but a key has " + std::to_string(owners) + " replicas");
  }
  std::uint32_t count = named != 0 ? named : usual;
  return static_cast<std::size_t>(std::clamp<std::uint32_t>(count, 1, owners));
}

}  // namespace

struct Coordinator::Impl {
  NodeId self;
  CoordinationOptions options;
  Others health;
  std::shared_ptr<const Ring> ring;
  std::uint64_t last_machine = 0, last_number = 0;
  std::int64_t last_stamp_us = 0;
  std::map<std::uint64_t, std::unique_ptr<Machine>> machines;  // in the order they came
  std::unordered_map<RequestId, UnderWay> under_way;           // never iterated
  std::set<std::pair<Instant, std::uint64_t>> clock;           // one entry a machine
  std::vector<Outgoing> outgoing;
  std::size_t unanswered = 0;

  Impl(NodeId me, CoordinationOptions o, Health& h) : self(me), options(o), health(me, h) {}

  // What get and put have in common: checks the options and finds the members. Not ok: why not.
  Status plan(const Key& key, const RequestOptions& request, Participants& participants,
              Duration& timeout) const {
    if (!ring || ring->members().empty()) {
      return Status(Code::unavailable, printable(key) +
                                           ": wanted a member to ask, got none: no "
                                           "routing table yet");
    }
    participants.ring = ring;
    participants.members = &ring->preference_list(token_of(key));
    participants.owners =
        std::min<std::size_t>(ring->effective_replicas(), participants.members->size());
    if (request.strict) count_newcomers(ring->partition_of(token_of(key)), participants);
    timeout = request.timeout_ms != 0 ? Duration::millis(request.timeout_ms) : options.timeout;
    if (timeout > options.max_timeout) {
      return Status(Code::invalid_argument,
                    "timeout of " + std::to_string(timeout.millis()) + " ms was wanted, at most " +
                        std::to_string(options.max_timeout.millis()) + " ms is allowed");
    }
    return Status::ok();
  }

  // A strict request may miss N - R (N - W) of those that count, however many they are: so it meets every
  // other one among the owners that there will be in the end (core/README.md).
  void count_newcomers(std::uint32_t partition, Participants& participants) const {
    participants.counted = {ring->owners_and_incoming(partition), ring->epoch()};
    const std::vector<NodeId>& first = participants.counted.nodes;
    if (planted(PlantedBug::flip_counted_before_data) || first.size() == participants.owners)
      return;
    auto list = std::make_shared<std::vector<NodeId>>(first);
    for (NodeId node : *participants.members) {
      if (std::find(first.begin(), first.end(), node) == first.end()) list->push_back(node);
    }
    participants.newcomers = first.size() - participants.owners;
    participants.owners = first.size();
    participants.members = list.get();
    participants.own_list = std::move(list);
  }

  // For a client that does not tell when it made the write (an older one). Strictly rising, or two
  // writes of one microsecond would be ordered by chance. A clock that was far ahead and is set right starts anew: replicas would refuse
  // its stamps for as long as they are ahead of theirs.
  std::int64_t stamp(Now now) {
    const std::int64_t clock_us = now.wall_us();
    if (last_stamp_us - clock_us > options.max_stamp_ahead.us) last_stamp_us = clock_us - 1;
    last_stamp_us = std::max(last_stamp_us + 1, clock_us);
    return last_stamp_us;
  }

  void begin(Operation operation, Now now, OnAnswer on_answer) {
    std::uint64_t id = ++last_machine;
    auto& machine =
        *(machines[id] = std::make_unique<Machine>(std::move(operation), std::move(on_answer)));
    ++unanswered;
    health.request_began();
    Effects effects;
    health.about_to_send(bytes_of(machine));
    std::visit([&](auto& o) { o.start(now, effects); }, machine.operation);
    apply(id, machine, std::move(effects), now);
  }

  // Does what the operation said. The answer is given last: whoever hears it may call back.
  void apply(std::uint64_t id, Machine& machine, Effects effects, Now now) {
    std::optional<ClientReply> answer;
    bool done = false;
    for (Effect& effect : effects) {
      if (auto* send = std::get_if<Send>(&effect)) {
        RequestId number{++last_number};
        std::size_t bytes = payload_bytes(send->message);
        if (bytes < bulk_bytes) bytes = 0;
        auto kind = std::holds_alternative<ReplicaGet>(send->message) ? Health::Question::read
                                                                      : Health::Question::write;
        under_way[number] = {id, send->to, now.instant, send->question, kind, bytes};
        health.under_way(send->to, bytes);
        machine.numbers.push_back(number);
        outgoing.push_back({send->to, number, std::move(send->message), send->asking});
      } else if (auto* wake = std::get_if<WakeAt>(&effect)) {
        machine.wakes.push_back(wake->at);
      } else if (auto* given = std::get_if<Answer>(&effect)) {
        // A second answer (a bug, planted or not) must be seen, so it is passed on too.
        if (answer && machine.on_answer) machine.on_answer(std::move(*answer));
        answer = std::move(given->reply);
      } else {
        done = true;
      }
    }
    OnAnswer on_answer;
    if (answer && machine.on_answer) {
      on_answer = std::exchange(machine.on_answer, nullptr);
      --unanswered;
    }
    if (done) {
      forget(id, machine);
    } else {
      set_clock(id, machine);
    }
    if (on_answer) {
      answer->ring_epoch = ring ? ring->epoch() : 0;
      on_answer(std::move(*answer));
    }
  }

  void set_clock(std::uint64_t id, Machine& machine) {
    Instant next = Instant::never();
    for (Instant at : machine.wakes) next = std::min(next, at);
    if (next == machine.next) return;
    if (machine.next != Instant::never()) clock.erase({machine.next, id});
    if (next != Instant::never()) clock.insert({next, id});
    machine.next = next;
  }

  void forget(std::uint64_t id, Machine& machine) {
    RINGLET_ASSERT(!machine.on_answer);
    for (RequestId number : machine.numbers) {
      if (planted(PlantedBug::late_replies_kept)) continue;
      take(number);
    }
    if (machine.next != Instant::never()) clock.erase({machine.next, id});
    machines.erase(id);
  }

  // The question of this number, which is under way no more.
  std::optional<UnderWay> take(RequestId number) {
    auto found = under_way.find(number);
    if (found == under_way.end()) return std::nullopt;
    UnderWay question = found->second;
    under_way.erase(found);
    health.arrived(question.to, question.bytes);
    return question;
  }

  static std::size_t bytes_of(const Machine& machine) {
    auto* put = std::get_if<PutOperation>(&machine.operation);
    return put == nullptr ? 0 : put->payload();
  }

  void answered(NodeId from, RequestId number, const Message& message, bool heard, Now now) {
    auto found = under_way.find(number);
    if (found == under_way.end() || found->second.to != from) return;  // twice, or too late
    UnderWay question = *take(number);
    // A large one says how long its bytes took, and not how long the node takes to answer.
    if (heard && question.bytes == 0)
      health.answered(from, question.kind, now.instant - question.sent);
    auto asker = machines.find(question.machine);
    if (asker == machines.end()) return;
    std::erase(asker->second->numbers, number);
    tell(question.machine, now,
         [&](auto& o, Effects& out) { o.on_message(from, question.question, message, now, out); });
  }

  template <typename Event>
  void tell(std::uint64_t id, Now now, const Event& event) {
    auto found = machines.find(id);
    if (found == machines.end()) return;
    Effects effects;
    health.about_to_send(bytes_of(*found->second));
    std::visit([&](auto& o) { event(o, effects); }, found->second->operation);
    apply(id, *found->second, std::move(effects), now);
  }
};

Coordinator::Coordinator(NodeId self, CoordinationOptions options, Health& health)
    : impl_(std::make_unique<Impl>(self, options, health)) {}
Coordinator::~Coordinator() = default;

void Coordinator::set_ring(std::shared_ptr<const Ring> ring) {
  impl_->ring = std::move(ring);
}
const std::shared_ptr<const Ring>& Coordinator::ring() const {
  return impl_->ring;
}

void Coordinator::set_options(CoordinationOptions options) {
  impl_->options = options;
}

void Coordinator::get(const Key& key, const RequestOptions& options, Now now, OnAnswer on_answer,
                      const Arrival& arrival) {
  GetOperation::Plan plan;
  Status status = impl_->plan(key, options, plan.participants, plan.timeout);
  if (!status) return on_answer(failed(status.code(), "get " + status.message()));
  auto r =
      wanted(key, "r", options.r, impl_->options.r,
             static_cast<std::uint32_t>(plan.participants.owners - plan.participants.newcomers));
  if (!r) return on_answer(failed(r.status().code(), "get " + r.status().message()));
  plan.key = key;
  plan.timeout = plan.timeout - arrival.on_its_way;
  if (plan.timeout <= Duration{}) return on_answer(failed(Code::timeout, too_late("get ", key)));
  plan.wanted = *r + plan.participants.newcomers;
  plan.strict = options.strict;
  plan.linger = impl_->options.linger;
  plan.durability = impl_->options.durability;
  impl_->begin(GetOperation(std::move(plan), impl_->health), now, std::move(on_answer));
}

void Coordinator::put(const Key& key, const ClientContext& context, Write write,
                      const RequestOptions& options, NodeId preferred, Now now, OnAnswer on_answer,
                      const Arrival& arrival) {
  const char* verb = write.tombstone ? "delete " : "put ";
  PutOperation::Plan plan;
  Status status = impl_->plan(key, options, plan.participants, plan.timeout);
  if (!status) return on_answer(failed(status.code(), verb + status.message()));
  auto w =
      wanted(key, "w", options.w, impl_->options.w,
             static_cast<std::uint32_t>(plan.participants.owners - plan.participants.newcomers));
  if (!w) return on_answer(failed(w.status().code(), verb + w.status().message()));
  plan.key = key;
  plan.timeout = plan.timeout - arrival.on_its_way;
  if (plan.timeout <= Duration{}) return on_answer(failed(Code::timeout, too_late(verb, key)));
  plan.silence = arrival.silence;
  plan.tell_siblings = options.siblings;
  plan.wanted = *w + plan.participants.newcomers;
  plan.strict = options.strict;
  plan.linger = impl_->options.linger;
  plan.durability =
      options.durability != WriteDurability::unset ? options.durability : impl_->options.durability;
  plan.seen = context.seen;
  plan.write = std::move(write);
  plan.write.grow_older(arrival.age(now.instant).millis());
  plan.reconcile = impl_->options.reconcile;
  if (plan.reconcile == Reconcile::siblings) {
    // A client that has no routing table yet tells its own order all the same. Here only what it was
    // shown is replaced: its earlier blind writes are siblings (found by swarm seed 67).
    plan.write.replaces.clear();
    plan.write.born_us = 0;
    plan.write.above_us = std::clamp<std::int64_t>(context.stamp_us, 0, std::int64_t{1} << 62);
  }
  for (std::uint64_t shown : context.shown) {
    if (plan.write.replaces.size() < 2 * max_shown) plan.write.replaces.push_back(shown);
  }
  if (plan.reconcile == Reconcile::lww) {
    plan.write.above_us = std::max(plan.write.above_us, context.stamp_us);
    if (plan.write.born_us == 0) plan.write.born_us = impl_->stamp(now);
  }
  plan.preferred = choose_minter(*plan.participants.members,
                                 plan.participants.owners - plan.participants.newcomers,
                                 impl_->self, preferred, impl_->health);
  impl_->begin(PutOperation(std::move(plan), impl_->health), now, std::move(on_answer));
}

void Coordinator::on_reply(NodeId from, RequestId number, Message message, Now now) {
  impl_->health.heard_from(from, now.instant);
  impl_->answered(from, number, message, true, now);
}

void Coordinator::on_not_sent(NodeId to, RequestId number, Refused why, Now now) {
  impl_->answered(to, number, std::move(why), false, now);
}

void Coordinator::on_unreachable(NodeId node, Now now) {
  impl_->health.unreachable(node, now.instant);
  // Only those who ask this node are told: the number of requests may be large, and a callback may
  // start new ones meanwhile.
  std::vector<std::uint64_t> concerned;
  for (auto& [id, machine] : impl_->machines) {
    std::size_t before = machine->numbers.size();
    std::erase_if(machine->numbers, [&](RequestId number) {
      auto found = impl_->under_way.find(number);
      if (found == impl_->under_way.end() || found->second.to != node) return false;
      impl_->take(number);
      return true;
    });
    if (machine->numbers.size() != before) concerned.push_back(id);
  }
  if (planted(PlantedBug::pointer_order)) {
    std::sort(concerned.begin(), concerned.end(), [&](std::uint64_t a, std::uint64_t b) {
      return std::less<>()(impl_->machines.at(a).get(), impl_->machines.at(b).get());
    });
  }
  for (std::uint64_t id : concerned) {
    impl_->tell(id, now, [&](auto& o, Effects& out) { o.on_unreachable(node, now, out); });
  }
}

void Coordinator::on_wake(Now now) {
  while (!impl_->clock.empty() && impl_->clock.begin()->first <= now.instant) {
    std::uint64_t id = impl_->clock.begin()->second;
    std::erase_if(impl_->machines.at(id)->wakes, [&](Instant at) { return at <= now.instant; });
    impl_->tell(id, now, [&](auto& o, Effects& out) { o.on_wake(now, out); });
  }
}

void Coordinator::abandon(const Status& status, Now now) {
  std::vector<std::uint64_t> all;
  for (auto& [id, machine] : impl_->machines) all.push_back(id);
  for (std::uint64_t id : all) {
    impl_->tell(id, now, [&](auto& o, Effects& out) { o.abandon(status, now, out); });
  }
}

void Coordinator::on_held(RequestId number) {
  auto question = impl_->under_way.find(number);
  if (question == impl_->under_way.end()) return;
  auto machine = impl_->machines.find(question->second.machine);
  if (machine == impl_->machines.end()) return;
  if (auto* put = std::get_if<PutOperation>(&machine->second->operation)) {
    put->on_held(question->second.to, question->second.question);
  }
}

bool Coordinator::still_wanted(RequestId number) {
  auto question = impl_->under_way.find(number);
  if (question == impl_->under_way.end()) return false;
  auto machine = impl_->machines.find(question->second.machine);
  if (machine == impl_->machines.end()) return false;
  auto* put = std::get_if<PutOperation>(&machine->second->operation);
  return put == nullptr || put->may_leave(question->second.to, question->second.question);
}

std::vector<Outgoing> Coordinator::take_outgoing() {
  return std::exchange(impl_->outgoing, {});
}

Instant Coordinator::next_wake() const {
  return impl_->clock.empty() ? Instant::never() : impl_->clock.begin()->first;
}

std::size_t Coordinator::in_flight() const {
  return impl_->machines.size();
}
std::size_t Coordinator::unanswered() const {
  return impl_->unanswered;
}
std::size_t Coordinator::questions() const {
  return impl_->under_way.size();
}
std::uint64_t Coordinator::take_asked_early() {
  return impl_->health.take_asked_early();
}

}  // namespace ringlet
