#include "node/node.hpp"

#include <algorithm>
#include <deque>
#include <optional>

#include "base/planted.hpp"
#include "coordination/coordinator_choice.hpp"
#include "node/status_text.hpp"
#include "node/upkeep.hpp"
#include "protocol/payload.hpp"
#include "versioning/encoding.hpp"

namespace ringlet {
namespace {

// Who a number in our messages belongs to: its four lowest bits. The rest is the owner's own number.
enum class Numbered : std::uint64_t {
  coordinator = 0,
  hints = 1,
  ping = 2,
  forward = 3,
  upkeep = 4,
  dual_writes = 5
};
constexpr int owner_bits = 4;
std::uint64_t number_for(Numbered owner, std::uint64_t number) {
  return number << owner_bits | static_cast<std::uint64_t>(owner);
}
std::uint64_t number_for(Numbered owner, RequestId number) {
  return number_for(owner, static_cast<std::uint64_t>(number));
}

// What background work makes way for. A ReplicaPut may be of either.
bool is_foreground(const Message& message) {
  return std::holds_alternative<ClientGet>(message) || std::holds_alternative<ClientPut>(message) ||
         std::holds_alternative<MintPut>(message) || std::holds_alternative<ReplicaGet>(message);
}

}  // namespace

struct Node::Impl {
  std::shared_ptr<NodeState> state;
  int lane;
  Replica replica;
  FaultDetector health;
  CoordinationOptions requests_go_by;
  std::uint64_t settings_seen = 0;
  Coordinator coordinator;
  HintDelivery hints;
  DualWrites dual_writes;
  std::shared_ptr<const Ring> ring;
  bool draining = false;

  std::vector<ToMember> requests;
  std::vector<ToRequester> replies;

  // Replies that wait for the engine to have flushed, in the order of their tickets.
  struct Waiting {
    StorageEngine::Ticket ticket;
    std::uint64_t link;  // to a requester; own_link: to our own coordinator or hints
    std::uint64_t number;
    Message reply;
  };
  static constexpr std::uint64_t own_link = 0;
  std::deque<Waiting> waiting;

  // Writes handed on to a node that may coordinate them.
  struct Forwarded {
    std::uint64_t link, number;
    ClientPut put;
    NodeId to;
    Instant sent;      // by its client
    Duration silence;  // that its client bears
    Instant until;
    Instant
        patience_until;  // half of the time is the other node's, while it answers pings; the rest
                         // is kept to do it here
    Instant doubt_at;    // no answer until then: is it there at all?
  };
  std::map<std::uint64_t, Forwarded> forwarded;
  std::uint64_t next_number = 1;
  std::size_t client_requests = 0;  // unanswered

  Impl(std::shared_ptr<NodeState> node_state, int lane_number, std::uint64_t seed)
      : state(std::move(node_state)),
        lane(lane_number),
        replica(state),
        health(state->options().fault_detector, seed),
        requests_go_by(state->options().coordination),
        coordinator(state->self(), requests_go_by, health),
        hints(state->self(), state->options().hints, replica, health),
        dual_writes(state->options().dual_writes, replica, health),
        ring(state->ring()) {
    replica.set_dual_writes(&dual_writes);
    if (ring) coordinator.set_ring(ring);
    if (lane != 0) return;
    hints.set_targets_for([this](const Hint& hint) { return upkeep().targets_for(hint); });
    hints.set_is_member([this](NodeId node) { return ring && ring->find(node) != nullptr; });
    hints.set_pace(&upkeep().pace());
    hints.set_other_owners([this](const Hint& hint) { return upkeep().other_owners(hint); });
    hints.set_said([this](LogLevel level, NodeId target, const std::string& text) {
      const Member* member = ring ? ring->find(target) : nullptr;
      log(level, "hints for " + (member ? member->name : to_string(target)) + ": " + text);
    });
  }
  ~Impl() {
    if (lane == 0) upkeep().stop();
  }

  Upkeep& upkeep() const { return state->upkeep(); }

  void log(LogLevel level, const std::string& text) const {
    if (state->options().log) state->options().log(level, "node", text);
  }

  // The cluster's settings may have become known, or changed.
  void adopt_settings() {
    std::uint64_t changes = state->settings_changes();
    if (changes == settings_seen) return;
    settings_seen = changes;
    requests_go_by.r = static_cast<std::uint8_t>(state->value(Setting::r));
    requests_go_by.w = static_cast<std::uint8_t>(state->value(Setting::w));
    requests_go_by.reconcile = static_cast<Reconcile>(state->value(Setting::reconcile));
    requests_go_by.durability = static_cast<WriteDurability>(state->value(Setting::durability));
    coordinator.set_options(requests_go_by);
  }

  void adopt_ring(Now now) {
    adopt_settings();
    auto current = state->ring();
    if (current == ring) return;
    ring = std::move(current);
    coordinator.set_ring(ring);
    if (lane == 0) hints.on_ring_changed(now);
  }

  Status not_joined() const {
    return Status(Code::unavailable,
                  "node " + state->options().name + " has not joined the cluster yet");
  }

  // ---- as a replica ----

  // Answers now, or when the engine has flushed.
  void answer(std::uint64_t link, std::uint64_t number, Replica::Outcome outcome, Now now) {
    if (outcome.ticket != 0 && outcome.ticket > state->engine().durable_up_to()) {
      auto later = std::upper_bound(
          waiting.begin(), waiting.end(), outcome.ticket,
          [](StorageEngine::Ticket ticket, const Waiting& other) { return ticket < other.ticket; });
      waiting.insert(later, {outcome.ticket, link, number, std::move(outcome.reply)});
      return;
    }
    deliver(link, number, std::move(outcome.reply), now);
  }

  void deliver(std::uint64_t link, std::uint64_t number, Message reply, Now now) {
    if (link != own_link) {
      replies.push_back({link, number, std::move(reply)});
    } else {
      on_reply(state->self(), number, std::move(reply), now);
    }
  }

  std::optional<Status> over_limits(const Key& key, std::size_t value_bytes) const {
    std::uint64_t max_key_bytes = state->value(Setting::max_key_bytes);
    std::uint64_t max_value_bytes = state->value(Setting::max_value_bytes);
    std::size_t key_bytes = key.bucket.size() + key.key.size();
    if (key.key.empty()) {
      return Status(Code::invalid_argument, "key: wanted at least 1 byte, got none");
    }
    if (key_bytes > max_key_bytes) {
      return Status(Code::too_large, "key " + printable(key) + ": wanted at most " +
                                         std::to_string(max_key_bytes) + " bytes, got " +
                                         std::to_string(key_bytes));
    }
    if (value_bytes > max_value_bytes) {
      return Status(Code::too_large, "put " + printable(key) + ": wanted a value of at most " +
                                         std::to_string(max_value_bytes) + " bytes, got " +
                                         std::to_string(value_bytes));
    }
    return std::nullopt;
  }

  // A request to this replica, from a member, a client, or our own coordinator.
  void serve(std::uint64_t link, std::uint64_t number, Message& message, Now now,
             const Arrival& arrival = {}, bool of_a_client = false) {
    if (of_a_client) count_for_client(message);
    if (auto* get = std::get_if<ReplicaGet>(&message)) {
      // Of a member its coordinator has looked at the key.
      auto beyond = of_a_client ? over_limits(get->key, 0) : std::nullopt;
      if (beyond) return deliver(link, number, Refused{*beyond, 0}, now);
      if (auto bad = objection(get->key, get->counted, true))
        return deliver(link, number, Refused{*bad, 0}, now);
      Message found = replica.get(*get);
      if (of_a_client && owns_first(get->key)) count_read_of_client(found);
      deliver(link, number, std::move(found), now);
    } else if (auto* mint = std::get_if<MintPut>(&message)) {
      if (auto bad = over_limits(mint->key, mint->write.value.size())) {
        return deliver(link, number, Refused{*bad, 0}, now);
      }
      if (auto bad = not_hintable(mint->hint_for))
        return deliver(link, number, Refused{*bad, 0}, now);
      if (auto bad = of_another_mode(mint->key, mint->reconcile))
        return deliver(link, number, Refused{*bad, 0}, now);
      if (auto bad = objection(mint->key, mint->counted, false))
        return deliver(link, number, Refused{*bad, 0}, now);
      if (!mint->hint_for) upkeep().before_storing(mint->key);
      mint->write.grow_older(arrival.age(state->by_now(now)).millis());
      auto outcome = replica.mint(*mint, now, arrival.until);
      object_after_all(mint->key, mint->counted, outcome);
      warn_of_siblings(mint->key, outcome.reply);
      answer(link, number, std::move(outcome), now);
    } else if (auto* put = std::get_if<ReplicaPut>(&message)) {
      // Of a member it may be a row of a release that took empty keys.
      bool old_row = put->key.key.empty() && !of_a_client;
      auto beyond = old_row ? std::nullopt : over_limits(put->key, 0);
      if (beyond) return deliver(link, number, Refused{*beyond, 0}, now);
      if (auto bad = not_hintable(put->hint_for))
        return deliver(link, number, Refused{*bad, 0}, now);
      // Of a member it is a row from before members compared their settings; it has to go to its owners.
      if (of_a_client && put->object.mode == Reconcile::lww) {
        if (auto bad = of_another_mode(put->key, put->object.mode))
          return deliver(link, number, Refused{*bad, 0}, now);
      }
      if (auto bad = objection(put->key, put->counted, false))
        return deliver(link, number, Refused{*bad, 0}, now);
      if (!put->hint_for) upkeep().before_storing(put->key);
      auto outcome = replica.merge(*put, now);
      object_after_all(put->key, put->counted, outcome);
      answer(link, number, std::move(outcome), now);
    } else if (Upkeep::answers(message)) {
      answer(link, number, upkeep().answer(state->self(), message, now), now);
    } else {
      RINGLET_ASSERT(false && "serve() is given replica requests only");
    }
  }

  // A write of the other mode would turn its key into one of that mode, and a last-write-wins key in a
  // cluster of siblings loses concurrent writes without a word (L20). So a client that coordinates by itself
  // and is wrong about the cluster is refused.
  std::optional<Status> of_another_mode(const Key& key, Reconcile mode) const {
    if (mode == requests_go_by.reconcile) return std::nullopt;
    const SettingRule& rule = rule_of(Setting::reconcile);
    auto named = [&](Reconcile of) { return rule.words.at(static_cast<std::size_t>(of)); };
    return Status(Code::invalid_argument, "put " + printable(key) + ": wanted reconcile \"" +
                                              named(requests_go_by.reconcile) +
                                              "\" as this cluster has it, got \"" + named(mode) +
                                              "\"");
  }

  // Why this replica must not vote for a strict request: the request would not meet those that count owners
  // of whom its coordinator has not heard; or, of a read, this node owns the key and has not all of it yet.
  std::optional<Status> objection(const Key& key, const CountedNodes& counted, bool read) const {
    if (counted.nodes.empty() || planted(PlantedBug::flip_counted_before_data)) return std::nullopt;
    auto its = state->ring();
    std::uint32_t partition = its->partition_of(token_of(key));
    auto counts = [&](NodeId node) {
      return std::find(counted.nodes.begin(), counted.nodes.end(), node) != counted.nodes.end();
    };
    std::vector<NodeId> last = its->owners_in_the_end(partition);
    auto owners = its->preference_list(partition).begin();
    // A coordinator that knows more may know that an owner of now has gone; one that knows less may not.
    bool knows_more = counted.ring_epoch > its->epoch();
    bool counts_all =
        std::all_of(last.begin(), last.end(), counts) &&
        (knows_more || std::all_of(owners, owners + its->effective_replicas(), counts));
    const std::string& name = state->options().name;
    if (!counts_all) {
      return Status(Code::unavailable, "node " + name + " knows of other owners of " +
                                           printable(key) +
                                           " than the strict request counts: "
                                           "partitions are moving, ask again");
    }
    if (read && its->owns(state->self(), token_of(key)) && upkeep().is_to_be_filled(partition)) {
      return Status(Code::unavailable, "node " + name +
                                           " took a lost node's place and has not all of " +
                                           printable(key) + " yet: no strict read counts it");
    }
    return std::nullopt;
  }

  // The ring may have changed while the write was stored, and a page of a transfer been read before it.
  void object_after_all(const Key& key, const CountedNodes& counted,
                        Replica::Outcome& outcome) const {
    if (std::holds_alternative<Refused>(outcome.reply)) return;
    auto bad = objection(key, counted, false);
    if (!bad) return;
    bad->set_maybe_applied(true);
    outcome = {Refused{*bad, 0}};
  }

  // A client that coordinates by itself asks all owners of a key, and one of them counts it: the first owner
  // counts a read, the minter a write. What the first owner misses while it
  // is down is not counted; the client's own counters miss nothing.
  void count_for_client(const Message& message) {
    if (!std::holds_alternative<MintPut>(message)) return;
    state->counters().puts.fetch_add(1, std::memory_order_relaxed);
  }
  void count_read_of_client(const Message& found) {
    auto* object = std::get_if<ReplicaObject>(&found);
    if (object == nullptr) return;
    state->counters().gets.fetch_add(1, std::memory_order_relaxed);
    std::size_t versions = std::min<std::size_t>(siblings(object->object).size(), 4);
    state->counters().versions_per_get[versions].fetch_add(1, std::memory_order_relaxed);
  }
  bool owns_first(const Key& key) const {
    const auto& owners = ring->preference_list(token_of(key));
    return !owners.empty() && owners.front() == state->self();
  }

  // Writers that never read what they replace: said long before their writes are refused.
  void warn_of_siblings(const Key& key, const Message& reply) const {
    auto* minted = std::get_if<Minted>(&reply);
    std::size_t warn = state->options().warn_siblings;
    if (minted == nullptr || warn == 0 || minted->object.versions.size() < warn) return;
    std::size_t siblings = minted->object.versions.size();
    if (siblings % warn != 0) return;
    log(LogLevel::warn, printable(key) + " has " + std::to_string(siblings) +
                            " siblings: somebody writes without the context read; at " +
                            std::to_string(state->value(Setting::max_siblings)) +
                            " such writes are refused");
  }

  // A hint for ourselves is no hint. One for a member that left, from a caller that has not heard of it,
  // goes to the nodes that own the key now. So does one for a node that is unknown here: its sender may
  // have a newer routing table, in which that node replaces a dead one, and to refuse would leave the
  // write without a place until the table has come here too (L9).
  std::optional<Status> not_hintable(NodeId target) const {
    if (target != state->self()) return std::nullopt;
    return Status(Code::invalid_argument,
                  "a hint for node " + to_string(target) + ", which is this node: wanted another");
  }

  // ---- as a coordinator ----

  bool accept_client(std::uint64_t link, std::uint64_t number) {
    ClientReply reply;
    if (draining) {
      reply.status = Status(Code::unavailable, "node " + state->options().name +
                                                   " is shutting down: ask another node");
    } else if (client_requests >= state->options().max_requests) {
      reply.status =
          Status(Code::overloaded, "node " + state->options().name + " serves " +
                                       std::to_string(client_requests) + " requests, its limit");
      reply.retry_after_ms = 50;
      state->counters().refused_overload.fetch_add(1, std::memory_order_relaxed);
    } else {
      return true;
    }
    reply_to(link, number, std::move(reply));
    return false;
  }

  void reply_to(std::uint64_t link, std::uint64_t number, ClientReply reply) {
    reply.ring_epoch = ring->epoch();
    if (!reply.status) state->counters().failed.fetch_add(1, std::memory_order_relaxed);
    replies.push_back({link, number, std::move(reply)});
  }

  // `perhaps_stored`: another coordinator was given the write before, and may have stored it.
  Coordinator::OnAnswer answering(std::uint64_t link, std::uint64_t number, bool is_get,
                                  bool perhaps_stored = false) {
    ++client_requests;
    return [this, link, number, is_get, perhaps_stored](ClientReply reply) {
      --client_requests;
      if (!reply.status && perhaps_stored) reply.status.set_maybe_applied(true);
      if (perhaps_stored) reply.minted_once = false;
      if (is_get && reply.status) {
        std::size_t versions = std::min<std::size_t>(siblings(reply.object).size(), 4);
        state->counters().versions_per_get[versions].fetch_add(1, std::memory_order_relaxed);
        if (planted(PlantedBug::context_covers_too_much)) cover_too_much(reply.object);
        // No row says how a missing key is reconciled. A client that has no table yet is told here, or
        // its first edit of a document would be taken by a cluster that has to refuse it.
        if (reply.object.missing()) reply.object.mode = requests_go_by.reconcile;
      }
      reply_to(link, number, std::move(reply));
    };
  }

  static void cover_too_much(Object& object) {
    auto entries = object.context.entries();
    for (auto& entry : entries) ++entry.counter;
    object.context.set_entries(std::move(entries));
  }

  void get(std::uint64_t link, std::uint64_t number, ClientGet& request, Now now,
           const Arrival& arrival) {
    state->counters().gets.fetch_add(1, std::memory_order_relaxed);
    if (!accept_client(link, number)) return;
    if (auto bad = over_limits(request.key, 0)) return reply_to(link, number, failed(*bad));
    coordinator.get(request.key, request.options, now, answering(link, number, true), arrival);
  }

  static ClientReply failed(Status status) {
    ClientReply reply;
    reply.status = std::move(status);
    return reply;
  }

  void put(std::uint64_t link, std::uint64_t number, ClientPut& request, Now now,
           const Arrival& arrival) {
    if (!request.forwarded) state->counters().puts.fetch_add(1, std::memory_order_relaxed);
    if (!accept_client(link, number)) return;
    if (auto bad = over_limits(request.key, request.write.value.size())) {
      return reply_to(link, number, failed(*bad));
    }
    if (!request.write.write_id) {
      return reply_to(link, number,
                      failed(Status(Code::invalid_argument, "put " + printable(request.key) +
                                                                ": wanted a write id, got zero")));
    }
    auto context = decode_client_context(request.context, request.key);
    if (!context) return reply_to(link, number, failed(context.status()));
    if (auto ours = check_cluster(*context, request.key, state->options().cluster); !ours) {
      return reply_to(link, number, failed(ours));
    }
    const auto& preference = ring->preference_list(token_of(request.key));
    NodeId to =
        forward_to(preference, ring->effective_replicas(), state->self(), context->fastest_reader,
                   request.forwarded, requests_go_by.reconcile, health);
    if (to && to != state->self()) return forward(link, number, to, request, now, arrival);
    coordinate_put(link, number, request, *context, now, arrival);
  }

  void coordinate_put(std::uint64_t link, std::uint64_t number, ClientPut& request,
                      const ClientContext& context, Now now, const Arrival& arrival,
                      bool perhaps_stored = false) {
    const auto& preference = ring->preference_list(token_of(request.key));
    NodeId minter = choose_minter(preference, ring->effective_replicas(), state->self(),
                                  context.fastest_reader, health);
    coordinator.put(request.key, context, std::move(request.write), request.options, minter, now,
                    answering(link, number, false, perhaps_stored), arrival);
  }

  void forward(std::uint64_t link, std::uint64_t number, NodeId to, ClientPut& request, Now now,
               const Arrival& arrival) {
    state->counters().forwarded.fetch_add(1, std::memory_order_relaxed);
    ++client_requests;
    std::uint64_t mine = number_for(Numbered::forward, next_number++);
    request.forwarded = true;
    auto timeout = request.options.timeout_ms ? Duration::millis(request.options.timeout_ms)
                                              : state->options().coordination.timeout;
    timeout = timeout - arrival.on_its_way;
    // What the other node is told is what is left: half of it is its own, or less if it is silent.
    ClientPut handed_on = request;
    handed_on.options.timeout_ms =
        static_cast<std::uint32_t>(std::max<std::int64_t>(timeout.millis(), 1));
    handed_on.write.grow_older(arrival.age(now.instant).millis());
    Duration patience = health.patience(to) + carrying_time(request.write.value.size());
    requests.push_back({to, {}, mine, std::move(handed_on), {timeout / 2, patience}});
    forwarded.emplace(
        mine, Forwarded{link, number, std::move(request), to, arrival.sent, arrival.silence,
                        now.instant + timeout, now.instant + timeout / 2, now.instant + patience});
  }

  // The node it was handed to is gone, silent, or does not coordinate: this node does. The write id keeps it
  // one write. Unless that node said that it did nothing, what this one says of a failure is not the whole.
  void take_back(std::map<std::uint64_t, Forwarded>::iterator it, Now now, bool perhaps_stored) {
    Forwarded mine = std::move(it->second);
    forwarded.erase(it);
    --client_requests;
    Duration left = mine.until - now.instant;
    if (left < Duration::millis(1)) {
      // Its client has been told so by its own clock: begun now it would come too late.
      return reply_to(mine.link, mine.number,
                      failed(Status(Code::timeout,
                                    "put " + printable(mine.put.key) +
                                        ": the node that it was handed to did not answer in time",
                                    perhaps_stored)));
    }
    auto context = decode_client_context(mine.put.context, mine.put.key);
    RINGLET_ASSERT(context.is_ok());  // it was when it was handed on
    mine.put.options.timeout_ms = static_cast<std::uint32_t>(left.millis());
    Arrival arrival;
    arrival.silence = mine.silence;
    arrival.sent = mine.sent;
    coordinate_put(mine.link, mine.number, mine.put, *context, now, arrival, perhaps_stored);
  }

  // What a node says that has no ring, or is no member any more.
  void refuse(std::uint64_t link, std::uint64_t number, const Message& message, Status why,
              Now now) {
    if (std::holds_alternative<ClientGet>(message) || std::holds_alternative<ClientPut>(message)) {
      replies.push_back({link, number, failed(std::move(why))});
    } else if (std::holds_alternative<StatusQuery>(message)) {
      replies.push_back({link, number, StatusText{std::move(why), upkeep().status_json(now)}});
    } else {
      replies.push_back({link, number, Refused{std::move(why), 1000}});
    }
  }

  // "unavailable" for whoever asks: another node will do it.
  Status out_of_service() const { return {Code::unavailable, upkeep().why_out().message()}; }
  bool serves_no(const Message& message) const {
    // The table of a node that does not belong would lead clients astray.
    bool table = std::holds_alternative<RingPull>(message) && !upkeep().is_apart();
    return upkeep().is_out() && !std::holds_alternative<Ping>(message) && !table &&
           !std::holds_alternative<StatusQuery>(message);
  }

  // What nobody waits for any more. Joining a copy adds no dot and is of use whenever it is done; what
  // members say to each other for upkeep changes nothing but by the state it names.
  static bool ages(const Message& message) {
    return is_foreground(message) || std::holds_alternative<ClusterCommand>(message);
  }
  void refuse_late(std::uint64_t link, std::uint64_t number, const Message& message,
                   Duration late) {
    state->counters().refused_late.fetch_add(1, std::memory_order_relaxed);
    std::string text = "node " + state->options().name + " came to this request " +
                       std::to_string(late.millis() + 1) + " ms after it was wanted";
    if (std::holds_alternative<ClientGet>(message) || std::holds_alternative<ClientPut>(message)) {
      replies.push_back({link, number, failed(Status(Code::unavailable, std::move(text)))});
    } else if (std::holds_alternative<ClusterCommand>(message)) {
      replies.push_back({link, number, StatusText{Status(Code::timeout, std::move(text)), ""}});
    } else {
      replies.push_back({link, number, Refused{Status(Code::timeout, std::move(text)), 0}});
    }
  }

  void on_request(std::uint64_t link, std::uint64_t number, Message message, Now now, NodeId from,
                  const Arrival& arrival) {
    RINGLET_ASSERT(link != own_link);
    adopt_ring(now);
    Instant by_now = state->by_now(now);
    if (by_now > arrival.until && ages(message) && !planted(PlantedBug::executed_after_its_age)) {
      refuse_late(link, number, message, by_now - arrival.until);
      return settle(now);
    }
    if (is_foreground(message)) upkeep().pace().served(now);
    if (Upkeep::answers(message)) {
      answer(link, number, upkeep().answer(from, message, now), now);
    } else if (auto* command = std::get_if<ClusterCommand>(&message)) {
      replies.push_back({link, number, upkeep().command(*command, now)});
    } else if (!ring && !std::holds_alternative<Ping>(message)) {
      refuse(link, number, message, not_joined(), now);
    } else if (serves_no(message)) {
      refuse(link, number, message, out_of_service(), now);
    } else if (!std::holds_alternative<Ping>(message) && upkeep().disagrees_with(from)) {
      refuse(link, number, message,
             Status(Code::unavailable, "node " + state->options().name +
                                           " does not agree with the asker on what the cluster is"),
             now);
    } else if (auto* request = std::get_if<ClientGet>(&message)) {
      get(link, number, *request, now, arrival);
    } else if (auto* request = std::get_if<ClientPut>(&message)) {
      put(link, number, *request, now, arrival);
    } else if (std::holds_alternative<Ping>(message)) {
      replies.push_back({link, number, Pong{}});
    } else if (auto* pull = std::get_if<RingPull>(&message)) {
      replies.push_back({link, number, table_for(*pull)});
    } else if (auto* query = std::get_if<StatusQuery>(&message)) {
      replies.push_back({link, number, answer_query(*query, now)});
    } else if (is_request(message)) {
      serve(link, number, message, now, arrival, !from);
    } else {
      replies.push_back({link, number,
                         Refused{Status(Code::unsupported,
                                        std::string("wanted a request, got ") + name_of(message)),
                                 0}});
    }
    settle(now);
  }

  void on_reply(NodeId from, std::uint64_t number, Message message, Now now) {
    if (from != state->self()) health.heard_from(from, now.instant);
    on_answer(from, number, std::move(message), true, now);
  }

  // `heard`: it is `from` that says so.
  void on_answer(NodeId from, std::uint64_t number, Message message, bool heard, Now now) {
    RequestId own{number >> owner_bits};
    switch (static_cast<Numbered>(number & ((1 << owner_bits) - 1))) {
      case Numbered::coordinator:
        if (heard) {
          coordinator.on_reply(from, own, std::move(message), now);
        } else if (auto* why = std::get_if<Refused>(&message)) {
          coordinator.on_not_sent(from, own, std::move(*why), now);
        }
        break;
      case Numbered::hints:
        hints.on_reply(from, own, message, now);
        state->counters().hints_released.store(hints.released(), std::memory_order_relaxed);
        state->counters().hints_refused.store(hints.refused(), std::memory_order_relaxed);
        break;
      case Numbered::upkeep:
        upkeep().on_reply(from, own, message, now);
        break;
      case Numbered::dual_writes:
        dual_writes.on_reply(from, own, message);
        break;
      case Numbered::ping:
        break;  // being heard was all
      case Numbered::forward: {
        auto it = forwarded.find(number);
        if (it == forwarded.end()) break;
        auto* reply = std::get_if<ClientReply>(&message);
        // Shutting down, or it sees itself as no coordinator: this node does it.
        if (reply == nullptr || reply->status.code() == Code::unavailable ||
            reply->status.code() == Code::overloaded) {
          take_back(it, now, reply == nullptr || reply->status.maybe_applied());
          break;
        }
        --client_requests;
        reply_to(it->second.link, it->second.number, std::move(*reply));
        forwarded.erase(it);
      }
    }
  }

  void on_unreachable(NodeId node, Now now) {
    health.unreachable(node, now.instant);
    coordinator.on_unreachable(node, now);
    hints.on_unreachable(node, now);
    dual_writes.on_unreachable(node);
    if (lane == 0) upkeep().on_unreachable(node, now);
    take_back_from(node, now);
    settle(now);
  }

  void take_back_from(NodeId node, Now now) {
    std::vector<std::uint64_t> lost;
    for (const auto& [number, request] : forwarded) {
      if (request.to == node) lost.push_back(number);
    }
    for (std::uint64_t number : lost) take_back(forwarded.find(number), now, true);
  }

  void on_wake(Now now) {
    adopt_ring(now);
    health.notice_silence(now.instant);
    coordinator.on_wake(now);
    dual_writes.on_wake(now);
    if (lane == 0) {
      if (!upkeep().is_apart()) hints.on_wake(now);
      upkeep().on_wake(now);
      adopt_ring(now);
    }
    std::vector<std::uint64_t> overdue;
    for (auto& [number, request] : forwarded) {
      if (request.patience_until <= now.instant) overdue.push_back(number);
      if (request.doubt_at > now.instant) continue;
      request.doubt_at = Instant::never();
      if (!health.doubt(request.to, now.instant)) continue;
      check_first(health, ring->preference_list(token_of(request.put.key)), now.instant,
                  state->self());
    }
    for (std::uint64_t number : overdue) {
      health.was_silent(forwarded.at(number).to, now.instant);
      take_back(forwarded.find(number), now, true);
    }
    settle(now);
  }

  // Moves what the machines want to send into `requests`; messages to ourselves are served here,
  // which may make the machines want more.
  void settle(Now now) {
    if (lane == 0) {
      for (NodeId node : upkeep().take_to_check()) health.check(node, now.instant);
    }
    for (NodeId node : health.due_pings(now.instant)) {
      if (ring && ring->find(node))
        requests.push_back({node, {}, number_for(Numbered::ping, next_number++), Ping{}});
    }
    for (NodeId node : health.take_fallen_silent()) take_back_from(node, now);
    for (NodeId node : health.take_recovered()) {
      if (lane != 0) continue;
      hints.on_recovered(node, now);
      upkeep().on_recovered(node, now);
    }
    if (std::uint64_t early = coordinator.take_asked_early(); early != 0) {
      state->counters().asked_early.fetch_add(early, std::memory_order_relaxed);
    }
    for (;;) {
      auto outgoing = coordinator.take_outgoing();
      auto hinted = hints.take_outgoing();
      auto doubled = dual_writes.take_outgoing();
      auto kept_up = lane == 0 ? upkeep().take_outgoing() : std::vector<Outgoing>{};
      if (outgoing.empty() && hinted.empty() && doubled.empty() && kept_up.empty()) break;
      for (auto& message : outgoing) {
        send(message.to, number_for(Numbered::coordinator, message.number), message.message, now,
             message.asking);
      }
      for (auto& message : hinted) {
        send(message.to, number_for(Numbered::hints, message.number), message.message, now);
      }
      for (auto& message : doubled) {
        send(message.to, number_for(Numbered::dual_writes, message.number), message.message, now);
      }
      for (auto& message : kept_up) {
        std::uint64_t number = number_for(Numbered::upkeep, message.number);
        if (message.to == state->self()) {
          serve(own_link, number, message.message, now);
        } else {
          requests.push_back(
              {message.to, std::move(message.address), number, std::move(message.message)});
        }
      }
    }
  }

  void send(NodeId to, std::uint64_t number, Message& message, Now now, const Asking& asking = {}) {
    if (to == state->self()) {
      serve(own_link, number, message, now, arrival(asking, {}, now.instant));
    } else {
      requests.push_back({to, {}, number, std::move(message), asking});
    }
  }

  void on_durable(StorageEngine::Ticket durable_up_to, Now now) {
    while (!waiting.empty() && waiting.front().ticket <= durable_up_to) {
      Waiting ready = std::move(waiting.front());
      waiting.pop_front();
      deliver(ready.link, ready.number, std::move(ready.reply), now);
    }
    settle(now);
  }

  RingTable table_for(const RingPull& pull) const {
    RingTable table;
    table.r = static_cast<std::uint8_t>(state->value(Setting::r));
    table.w = static_cast<std::uint8_t>(state->value(Setting::w));
    table.reconcile = static_cast<Reconcile>(state->value(Setting::reconcile));
    table.options.cluster = ring->cluster();
    table.options.partitions = ring->partitions();
    table.options.replicas = ring->replicas();
    table.options.epoch = ring->epoch();
    table.unchanged = pull.have_epoch == ring->epoch() && pull.have_digest == ring->digest();
    if (!table.unchanged) {
      table.options.members = ring->members();
      table.owners = ring->owners();
      table.next = ring->next();
    }
    return table;
  }

  StatusText answer_query(const StatusQuery& query, Now now) {
    if (query.what == "status") {
      std::string text = status();
      text.back() = ',';
      return {Status::ok(), text + "\"upkeep\":" + upkeep().status_json(now) + "}"};
    }
    if (query.what == "upkeep") return {Status::ok(), upkeep().status_json(now)};
    if (query.what == "hints") {
      auto waiting_hints = replica.count_hints();
      if (!waiting_hints) return {waiting_hints.status(), ""};
      return {Status::ok(), "{\"hints\":" + std::to_string(*waiting_hints) + "}"};
    }
    if (query.what == "replica") {
      auto reply = replica.stored(query.key);
      if (!reply) return {reply.status(), ""};
      return {Status::ok(), replica_json(state->options().name, query.key, *reply)};
    }
    return {Status(Code::invalid_argument, "wanted status, upkeep, hints or replica, got \"" +
                                               printable(query.what) + "\""),
            ""};
  }

  std::string status() {
    if (!ring) return "{\"node\":\"" + state->options().name + "\",\"joined\":false}";
    auto waiting_hints = replica.count_hints();
    NodeReport report;
    report.hints = waiting_hints ? static_cast<std::int64_t>(*waiting_hints) : -1;
    report.hints_delivered = hints.delivered();
    report.in_flight = coordinator.in_flight();
    for (NodeId node : health.down()) {
      if (const Member* member = ring->find(node)) report.down.push_back(member->name);
    }
    report.draining = draining;
    report.out = upkeep().why_out().message();
    return status_text(*state, *ring, report);
  }
};

Node::Node(std::shared_ptr<NodeState> state, int lane, std::uint64_t seed)
    : impl_(std::make_unique<Impl>(std::move(state), lane, seed)) {}
Node::~Node() = default;

void Node::start(Now now) {
  if (impl_->lane == 0) {
    impl_->hints.start(now);
    impl_->upkeep().start(impl_->health, now);
  }
  impl_->settle(now);
}
void Node::on_request(std::uint64_t link, std::uint64_t number, Message message, Now now,
                      NodeId from, const Arrival& arrival) {
  impl_->on_request(link, number, std::move(message), now, from, arrival);
}
void Node::on_link_closed(std::uint64_t link) {
  std::erase_if(impl_->waiting, [&](const Impl::Waiting& reply) { return reply.link == link; });
}
void Node::on_reply(NodeId from, std::uint64_t number, Message message, Now now) {
  impl_->on_reply(from, number, std::move(message), now);
  impl_->settle(now);
}
void Node::on_not_sent(NodeId to, std::uint64_t number, Refused why, Now now) {
  impl_->on_answer(to, number, std::move(why), false, now);
  impl_->settle(now);
}
void Node::on_unreachable(NodeId node, Now now) {
  impl_->on_unreachable(node, now);
}
void Node::on_wake(Now now) {
  impl_->on_wake(now);
}
void Node::on_durable(StorageEngine::Ticket durable_up_to, Now now) {
  impl_->on_durable(durable_up_to, now);
}
std::vector<Node::ToMember> Node::take_requests() {
  return std::exchange(impl_->requests, {});
}
std::vector<Node::ToRequester> Node::take_replies() {
  return std::exchange(impl_->replies, {});
}

Instant Node::next_wake() const {
  Instant next = std::min(
      {impl_->coordinator.next_wake(), impl_->health.next_wake(), impl_->dual_writes.next_wake()});
  if (impl_->lane == 0) {
    next = std::min(next, impl_->upkeep().next_wake());
    if (!impl_->upkeep().is_apart()) next = std::min(next, impl_->hints.next_wake());
  }
  for (const auto& [number, request] : impl_->forwarded) {
    next = std::min({next, request.patience_until, request.doubt_at});
  }
  return next;
}

void Node::drain(Now) {
  impl_->draining = true;
}
bool Node::idle() const {
  return impl_->client_requests == 0 && impl_->coordinator.in_flight() == 0 &&
         impl_->waiting.empty() && impl_->dual_writes.under_way() == 0;
}
std::size_t Node::in_flight() const {
  return impl_->coordinator.in_flight() + impl_->forwarded.size();
}
std::size_t Node::questions() const {
  return impl_->coordinator.questions();
}
const FaultDetector& Node::health() const {
  return impl_->health;
}
std::string Node::status_json() const {
  return impl_->status();
}

}  // namespace ringlet
