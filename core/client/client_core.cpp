#include "client/client_core.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "coordination/coordinator_choice.hpp"

namespace ringlet {
namespace {

// Whom a number in our messages belongs to: its two lowest bits.
enum class Numbered : std::uint64_t { coordinator = 0, call = 1, table = 2, ping = 3 };
std::uint64_t number_for(Numbered owner, std::uint64_t number) {
  return number << 2 | static_cast<std::uint64_t>(owner);
}

NodeId seed_id(const std::string& address) {
  return node_id_of("seed " + address);
}

// Asking again after an overload: what is left of the ration, in tenths; each call adds one.
constexpr int ration_of_a_retry = 10;
constexpr int most_ration = 100 * ration_of_a_retry;

const char* verb_of(ClientCore::Kind kind) {
  switch (kind) {
    case ClientCore::Kind::get:
      return "get";
    case ClientCore::Kind::put:
      return "put";
    case ClientCore::Kind::erase:
      return "delete";
  }
  return "call";
}

}  // namespace

struct ClientCore::Impl {
  // One call of the application, until its on_done.
  struct Call {
    Request request;
    ClientContext context;  // decoded once
    OnDone on_done;
    Instant deadline;
    std::uint32_t attempts = 0;
    std::uint64_t message = 0;            // under way: its number; 0 none
    std::vector<std::uint64_t> earlier;   // given up for the next node; still welcome
    NodeId asked;                         // whom
    Instant asked_at;                     // when
    Instant doubt_at = Instant::never();  // no answer until then: is it there at all?
    Instant ask_again;                    // silent until then: the next node
    std::vector<NodeId> tried;
    std::map<NodeId, Instant> rests;  // who was overloaded, and until when it is left alone
    bool sent = false;                // a write left: it may exist
    bool unsure = false;              // and not all that were asked have refused it
    bool refused = false;             // the latest attempt that ended was refused, and not silent
    Status last;                      // why the latest attempt failed
    Instant clocked = Instant::never();  // its entry in Impl::clock
  };

  ClientOptions options;
  Random random;
  FaultDetector health;
  NodeId self;
  Coordinator coordinator;
  CoordinationOptions coordination;
  std::shared_ptr<const Ring> ring;
  std::map<NodeId, std::string> seeds;
  std::map<std::uint64_t, Call> calls;                // by call number
  std::map<std::uint64_t, std::uint64_t> by_message;  // message number -> call number
  std::vector<std::uint64_t> waiting_for_ring;        // client coordination before the first table
  std::vector<Outgoing> outgoing;
  std::uint64_t next_call = 1, next_message = 1;
  Now latest;  // of the event that is being told
  Instant next_refresh = Instant::never();
  Instant refresh_not_before{};
  NodeId knows_more;              // one that refused us something: who left knows that it did
  std::set<NodeId> know_no_more;  // asked, and had none newer than ours: others come first
  Instant refused_pull_not_before{};
  NodeId table_asked;  // a pull under way
  std::uint64_t table_message = 0;
  Instant table_doubt_at = Instant::never(), table_until = Instant::never();
  bool closed = false;
  Status closed_why;
  // When to look at which call, one entry each; one that comes too early is looked at for nothing.
  std::set<std::pair<Instant, std::uint64_t>> clock;
  std::set<std::uint64_t> coordinated;   // calls given to our own coordinator
  std::map<NodeId, Instant> overloaded;  // until when: others come first, for calls that begin
  int ration = most_ration;              // of retries after an overload

  Impl(ClientOptions client_options, std::uint64_t seed)
      : options(std::move(client_options)),
        random(seed),
        health(options.fault_detector, random.next()),
        self{random.next() | 1},
        coordinator(NodeId{}, {}, health) {
    coordination.timeout = options.timeout;
    // Each replica's own default: the nodes' configuration decides, not this client's.
    coordination.durability = WriteDurability::unset;
    coordinator.set_options(coordination);
    for (const auto& address : options.seeds) seeds.emplace(seed_id(address), address);
  }

  void log(LogLevel level, const std::string& text) const {
    if (options.log) options.log(level, "client", text);
  }

  // ---- where nodes are ----

  std::string address_of(NodeId node) const {
    if (ring) {
      if (const Member* member = ring->find(node)) return member->address;
    }
    auto seed = seeds.find(node);
    return seed == seeds.end() ? std::string() : seed->second;
  }
  std::string name_of_node(NodeId node) const {
    if (!node) return "this client";
    if (ring) {
      if (const Member* member = ring->find(node)) return member->name;
    }
    std::string address = address_of(node);
    return address.empty() ? to_string(node) : address;
  }

  void send(NodeId to, std::uint64_t number, Message message, const Asking& asking = {}) {
    std::string address = address_of(to);
    if (address.empty()) return;  // left the ring meanwhile: nobody to send it to
    outgoing.push_back({to, std::move(address), number, std::move(message), asking});
  }

  // Everybody who may serve, the likeliest first: owners of the key, the other members, then seeds
  // that the table doesn't know. Those in doubt and those believed gone come last.
  std::vector<NodeId> candidates(const Call& call, Now now) {
    std::vector<NodeId> order;
    if (ring) {
      order = ring->preference_list(token_of(call.request.key));
      std::size_t owners = ring->effective_replicas();
      if (call.request.kind == Kind::get) {
        // Any owner reads as well as another: spread the load (R5-f).
        for (std::size_t i = owners; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
      } else {
        NodeId minter = choose_minter(order, owners, NodeId{}, call.context.fastest_reader, health);
        auto it = std::find(order.begin(), order.end(), minter);
        if (it != order.end()) std::rotate(order.begin(), it, it + 1);
      }
    } else {
      for (const auto& [id, address] : seeds) order.push_back(id);
      random.shuffle(order);
    }
    if (!overloaded.empty()) {
      std::erase_if(overloaded, [&](const auto& rest) { return rest.second <= now.instant; });
      std::stable_partition(order.begin(), order.end(),
                            [&](NodeId node) { return !overloaded.contains(node); });
    }
    likeliest_first(order);
    return order;
  }
  void likeliest_first(std::vector<NodeId>& order) const {
    std::stable_partition(order.begin(), order.end(),
                          [&](NodeId node) { return !health.is_down(node); });
    std::stable_partition(order.begin(), order.end(),
                          [&](NodeId node) { return !health.may_be_gone(node); });
  }

  // ---- the routing table (R6.4-b) ----

  void pull_table(Now now, bool urgent) {
    if (closed || table_message != 0) return;
    // Staleness is seen by many calls at once: one refresh serves them all (O-21).
    if (urgent && now.instant < refresh_not_before) {
      next_refresh = std::min(next_refresh, refresh_not_before);
      return;
    }
    table_asked = whom_for_the_table();
    if (!table_asked) return;
    table_message = number_for(Numbered::table, next_message++);
    table_doubt_at = now.instant + health.patience(table_asked);
    table_until = now.instant + Duration::millis(500);
    refresh_not_before = now.instant + Duration::millis(100);
    next_refresh = Instant::never();
    RingPull pull;
    if (ring) pull = {ring->epoch(), ring->digest()};
    send(table_asked, table_message, pull);
  }

  NodeId whom_for_the_table() {
    NodeId first = std::exchange(knows_more, NodeId{});
    bool useful = first && !know_no_more.contains(first) && !health.is_down(first);
    if (useful && !address_of(first).empty()) return first;
    std::vector<NodeId> from;
    if (ring) {
      for (const auto& member : ring->members()) from.push_back(member.id);
    }
    if (!ring || random.chance(0.1) || everyone_down(from)) {
      for (const auto& [id, address] : seeds) from.push_back(id);
    }
    random.shuffle(from);
    std::stable_partition(from.begin(), from.end(),
                          [&](NodeId node) { return !know_no_more.contains(node); });
    likeliest_first(from);
    return from.empty() ? NodeId{} : from.front();
  }

  bool everyone_down(const std::vector<NodeId>& nodes) const {
    return std::all_of(nodes.begin(), nodes.end(),
                       [&](NodeId node) { return health.is_down(node); });
  }

  void table_failed(Now now) {
    table_message = 0;
    table_doubt_at = table_until = Instant::never();
    next_refresh = now.instant + Duration::millis(ring ? 500 : 50);
  }

  void on_table(NodeId from, const Message& message, Now now) {
    table_message = 0;
    table_doubt_at = table_until = Instant::never();
    std::int64_t period = options.refresh.us;
    next_refresh = now.instant + Duration::micros(period * 3 / 4 + random.between(0, period / 2));
    know_no_more.insert(from);  // unless it brings a newer one, below
    auto* table = std::get_if<RingTable>(&message);
    if (table == nullptr) return table_failed(now);
    coordination.r = table->r;
    coordination.w = table->w;
    coordination.reconcile = table->reconcile;
    if (table->unchanged) return;
    if (table->options.cluster != options.cluster) {
      log(LogLevel::error, "a node of cluster \"" + printable(table->options.cluster) +
                               "\" answered, wanted \"" + options.cluster + "\"");
      return table_failed(now);
    }
    auto built = Ring::from_table(table->options, table->owners, table->next);
    if (!built) {
      log(LogLevel::error, "a routing table was refused: " + built.status().message());
      return table_failed(now);
    }
    // Two nodes may answer out of order: never go back.
    if (ring && (*built)->epoch() < ring->epoch()) return;
    ring = *built;
    know_no_more.clear();
    coordinator.set_options(coordination);
    coordinator.set_ring(ring);
    for (std::uint64_t number : std::exchange(waiting_for_ring, {})) {
      if (calls.contains(number)) attempt(number, now);
    }
  }

  // ---- one call ----

  std::uint64_t submit(Request request, Now now, OnDone on_done, Instant since) {
    latest = now;
    std::uint64_t number = next_call++;
    Call call;
    call.request = std::move(request);
    call.on_done = std::move(on_done);
    call.deadline = std::min(since, now.instant) + (call.request.options.timeout_ms
                                       ? Duration::millis(call.request.options.timeout_ms)
                                       : options.timeout);
    Status bad = refuse(call);
    if (bad && call.request.kind != Kind::get) {
      auto context = decode_client_context(call.request.context, call.request.key);
      bad = context ? check_cluster(*context, call.request.key, options.cluster) : context.status();
      if (bad) call.context = std::move(*context);
    }
    if (bad && call.request.kind != Kind::get && !call.request.write_id) {
      call.request.write_id = WriteId{random.next(), random.next() | 1};
    }
    calls.emplace(number, std::move(call));
    ration = std::min(ration + 1, most_ration);
    if (!bad) {
      finish(number, failure(bad));
    } else {
      attempt(number, now);
    }
    return number;
  }

  Status refuse(const Call& call) const {
    if (closed) return closed_why;
    if (call.request.options.timeout_ms > 3'600'000) {
      return Status(Code::invalid_argument, "timeout_ms: wanted at most 3600000, got " +
                                                std::to_string(call.request.options.timeout_ms));
    }
    if (calls.size() >= options.max_in_flight) {
      return Status(Code::overloaded, std::string(verb_of(call.request.kind)) + " " +
                                          printable(call.request.key) + ": " +
                                          std::to_string(calls.size()) +
                                          " calls are under way, this client's limit");
    }
    return Status::ok();
  }

  // When its deadline or the patience with its node ends. Our own coordinator has the same deadline
  // and better words: it speaks first.
  Instant next_of(std::uint64_t number, const Call& call) const {
    Instant deadline =
        coordinated.contains(number) ? call.deadline + Duration::millis(5) : call.deadline;
    return std::min({deadline, call.ask_again, call.doubt_at});
  }
  void touch(std::uint64_t number, Call& call) {
    Instant next = next_of(number, call);
    if (next >= call.clocked) return;
    if (call.clocked != Instant::never()) clock.erase({call.clocked, number});
    clock.insert({next, number});
    call.clocked = next;
  }

  void attempt(std::uint64_t number, Now now) {
    Call& call = calls.at(number);
    // This host may have slept, and what comes first when it wakes is not the deadline.
    if (call.deadline <= now.instant) return time_out(number, now);
    if (options.coordination == Coordination::client) {
      if (ring) return coordinate(number, now);
      call.last = Status(Code::unavailable, "no node has given the routing table yet");
      call.ask_again = call.deadline;
      touch(number, call);
      waiting_for_ring.push_back(number);
      return pull_table(now, true);
    }
    auto order = candidates(call, now);
    auto rests_until = [&](NodeId node) {
      auto rest = call.rests.find(node);
      return rest == call.rests.end() ? Instant{INT64_MIN} : rest->second;
    };
    auto fresh = std::find_if(order.begin(), order.end(), [&](NodeId node) {
      return rests_until(node) <= now.instant &&
             std::find(call.tried.begin(), call.tried.end(), node) == call.tried.end();
    });
    if (fresh == order.end()) {
      // Everybody was asked once: breathe, pull the table, start over with who rests no more.
      Instant again = Instant::never();
      for (NodeId node : order) again = std::min(again, rests_until(node));
      again = order.empty() ? now.instant : again;
      again = std::max(again, now.instant + Duration::millis(20));
      if (again >= call.deadline && call.last.code() == Code::overloaded) {
        ClientReply refusal = failure(call.last);
        refusal.status.set_maybe_applied(call.unsure);
        auto left = again - now.instant;
        refusal.retry_after_ms = static_cast<std::uint32_t>(left.millis());
        return finish(number, std::move(refusal));
      }
      call.tried.clear();
      call.message = 0;
      call.asked = NodeId{};
      call.ask_again = std::min(call.deadline, again);
      touch(number, call);
      if (order.empty()) call.last = Status(Code::unavailable, "no node is known");
      return pull_table(now, true);
    }
    ask(number, *fresh, now);
  }

  void ask(std::uint64_t number, NodeId node, Now now) {
    Call& call = calls.at(number);
    ++call.attempts;
    call.asked = node;
    call.asked_at = now.instant;
    call.tried.push_back(node);
    call.message = number_for(Numbered::call, next_message++);
    by_message.emplace(call.message, number);
    Duration left = call.deadline - now.instant;
    // The node has a share of what is left, so that a silent one leaves time for another.
    Duration share = std::max(left / 3, std::min(left, Duration::millis(50)));
    call.ask_again = now.instant + share;
    call.doubt_at = now.instant + health.patience(node);
    touch(number, call);
    RequestOptions request_options = call.request.options;
    request_options.timeout_ms =
        static_cast<std::uint32_t>(std::max<std::int64_t>(1, left.millis()));
    if (call.request.kind == Kind::get) {
      send(node, call.message, ClientGet{call.request.key, request_options}, {left, {}});
      return;
    }
    call.sent = true;
    ClientPut put;
    put.key = call.request.key;
    put.context = call.request.context;
    put.write = write_of(call.request);
    put.options = request_options;
    // Until another node is asked with the same write.
    send(node, call.message, std::move(put), {share, health.patience(node)});
  }

  static Write write_of(const Request& request) {
    return {request.write_id, request.kind == Kind::erase, request.value, request.content_type};
  }

  // Client-driven: the same machines that run in a node run here.
  void coordinate(std::uint64_t number, Now now) {
    Call& call = calls.at(number);
    ++call.attempts;
    call.ask_again = Instant::never();
    call.asked = NodeId{};
    call.sent = call.request.kind != Kind::get;
    coordinated.insert(number);
    touch(number, call);
    RequestOptions request_options = call.request.options;
    Duration left = call.deadline - now.instant;
    request_options.timeout_ms =
        static_cast<std::uint32_t>(std::max<std::int64_t>(1, left.millis()));
    auto on_answer = [this, number](ClientReply reply) {
      coordinated.erase(number);
      if (calls.contains(number)) on_answered(number, std::move(reply), latest);
    };
    if (call.request.kind == Kind::get) {
      coordinator.get(call.request.key, request_options, now, std::move(on_answer));
    } else {
      const auto& preference = ring->preference_list(token_of(call.request.key));
      NodeId minter = choose_minter(preference, ring->effective_replicas(), NodeId{},
                                    call.context.fastest_reader, health);
      coordinator.put(call.request.key, call.context, write_of(call.request), request_options,
                      minter, now, std::move(on_answer));
    }
  }

  // A node's or our own coordinator's word on the call.
  void on_answered(std::uint64_t number, ClientReply reply, Now now) {
    Call& call = calls.at(number);
    if (call.message != 0) by_message.erase(call.message);
    call.message = 0;
    const auto& refused = reply.tally.refused;
    if (!refused.empty()) knows_more = refused[random.below(refused.size())];
    bool newer = ring && reply.ring_epoch > ring->epoch();
    // Went well with the help of others: what was refused may be the fault of an old table all the same.
    bool doubtful = options.coordination == Coordination::client && !refused.empty() &&
                    refused_pull_not_before <= now.instant;
    if (doubtful) refused_pull_not_before = now.instant + Duration::seconds(1);
    if (newer || doubtful) pull_table(now, true);
    if (reply.status || !reply.status.retryable()) return finish(number, std::move(reply));
    // One more try elsewhere while there is time; the write id makes it the same write.
    call.last = reply.status;
    call.refused = true;
    if (reply.status.code() == Code::overloaded && call.asked) {
      return on_overloaded(number, std::move(reply), now);
    }
    if (call.sent) call.unsure = true;
    pull_table(now, true);
    Duration pause =
        Duration::millis(std::max<std::int64_t>(reply.retry_after_ms, 5 * call.attempts));
    if (now.instant + pause >= call.deadline) {
      if (call.sent && call.attempts > 1) reply.status.set_maybe_applied(true);
      return finish(number, std::move(reply));
    }
    call.asked = NodeId{};
    call.ask_again = now.instant + pause;
    touch(number, call);
  }

  // The node is left alone for what it said and up to half of it more, so that those who were
  // refused together do not come back together; another is asked at once.
  void on_overloaded(std::uint64_t number, ClientReply reply, Now now) {
    Call& call = calls.at(number);
    std::int64_t rest_ms = std::max<std::int64_t>(reply.retry_after_ms, 20);
    Instant until = now.instant + Duration::millis(rest_ms) +
                    Duration::micros(random.between(0, rest_ms * 500));
    call.rests[call.asked] = until;
    overloaded[call.asked] = until;
    if (ration < ration_of_a_retry) {
      reply.status.set_maybe_applied(call.unsure);
      return finish(number, std::move(reply));
    }
    ration -= ration_of_a_retry;
    attempt(number, now);
  }

  ClientReply failure(Status status) const {
    ClientReply reply;
    reply.status = std::move(status);
    return reply;
  }

  void finish(std::uint64_t number, ClientReply reply) {
    auto node = calls.extract(number);
    Call& call = node.mapped();
    if (call.clocked != Instant::never()) clock.erase({call.clocked, number});
    if (call.message != 0) by_message.erase(call.message);
    for (std::uint64_t earlier : call.earlier) by_message.erase(earlier);
    std::erase(waiting_for_ring, number);
    Outcome outcome;
    outcome.write_id = call.request.write_id;
    outcome.attempts = call.attempts;
    outcome.coordinator = call.asked;
    outcome.node = name_of_node(call.asked);
    if (reply.status) {
      outcome.context = encode_client_context(
          {reply.object.context, reply.fastest_reader, cluster_hash(options.cluster)},
          call.request.key);
    }
    outcome.reply = std::move(reply);
    if (call.on_done) call.on_done(std::move(outcome));
  }

  void time_out(std::uint64_t number, Now now) {
    Call& call = calls.at(number);
    // Refused, and waiting to ask once more or asked a moment ago: that is the reason, not this silence.
    bool too_soon = call.message == 0 || now.instant - call.asked_at < health.patience(call.asked);
    if (call.refused && too_soon) {
      Status why = call.last;
      why.set_maybe_applied(call.sent);
      return finish(number, failure(std::move(why)));
    }
    std::string message =
        std::string(verb_of(call.request.kind)) + " " + printable(call.request.key) +
        ": wanted an answer by its deadline, got none in " + std::to_string(call.attempts) +
        (call.attempts == 1 ? " attempt" : " attempts");
    if (call.message != 0) message += " (" + name_of_node(call.asked) + " silent)";
    message += unreached(call);
    if (!call.last.is_ok()) message += "; before that: " + call.last.message();
    finish(number, failure(Status(Code::timeout, std::move(message), call.sent)));
  }

  // "; believed gone: n1, n2 of 3": of those who might have served it.
  std::string unreached(const Call& call) const {
    std::vector<NodeId> might;
    if (ring) might = ring->preference_list(token_of(call.request.key));
    for (const auto& [id, address] : seeds) {
      if (!ring) might.push_back(id);
    }
    constexpr std::size_t most_named = 5;
    std::string names;
    std::size_t gone = 0;
    for (NodeId node : might) {
      if (!health.is_down(node) || ++gone > most_named) continue;
      names += (names.empty() ? "" : ", ") + name_of_node(node);
    }
    if (gone == 0) return {};
    if (gone > most_named) names += " and " + std::to_string(gone - most_named) + " more";
    return "; believed gone: " + names + " of " + std::to_string(might.size());
  }

  // ---- facts ----

  void on_reply(NodeId from, std::uint64_t number, Message message, Now now) {
    latest = now;
    health.heard_from(from, now.instant);
    switch (static_cast<Numbered>(number & 3)) {
      case Numbered::coordinator:
        coordinator.on_reply(from, number >> 2, std::move(message), now);
        break;
      case Numbered::ping:
        break;
      case Numbered::table:
        if (number == table_message) on_table(from, message, now);
        break;
      case Numbered::call: {
        auto it = by_message.find(number);
        if (it == by_message.end()) break;  // given up: somebody else was asked
        std::uint64_t call = it->second;
        if (number != calls.at(call).message) {
          // Of a node that was only slow. What went well there went well; a refusal says nothing that
          // the node asked since could not say better.
          by_message.erase(it);
          auto* late = std::get_if<ClientReply>(&message);
          if (late == nullptr || !late->status) break;
          calls.at(call).asked = from;
          on_answered(call, std::move(*late), now);
          break;
        }
        if (auto* reply = std::get_if<ClientReply>(&message)) {
          on_answered(call, std::move(*reply), now);
        } else if (auto* refused = std::get_if<Refused>(&message)) {
          ClientReply reply_of_refusal = failure(refused->status);
          reply_of_refusal.retry_after_ms = refused->retry_after_ms;
          on_answered(call, std::move(reply_of_refusal), now);
        }
      }
    }
    settle(now);
  }

  void on_unreachable(NodeId node, Now now, const Status& why) {
    // A handshake is refused for what we are (another cluster, another version), and will be again.
    bool refused = why.code() == Code::invalid_argument || why.code() == Code::unsupported;
    Status last(Code::unavailable, name_of_node(node) + " refused: " + why.message());
    if (refused && table_message != 0 && table_asked == node) {
      for (std::uint64_t number : waiting_for_ring) calls.at(number).last = last;
    }
    latest = now;
    const bool news = !health.is_down(node);
    health.unreachable(node, now.instant);
    coordinator.on_unreachable(node, now);
    ask_others_than(node, now, refused ? last : Status::ok());
    if (news) pull_table(now, true);
    settle(now);
  }

  // Nobody waits for one who is gone.
  void ask_others_than(NodeId node, Now now, const Status& why) {
    if (table_message != 0 && table_asked == node) table_failed(now);
    std::vector<std::uint64_t> lost;
    for (const auto& [number, call] : calls) {
      if (call.message != 0 && call.asked == node) lost.push_back(number);
    }
    for (std::uint64_t number : lost) {
      if (!calls.contains(number)) continue;  // ended by what another one's end led to
      if (!why) calls.at(number).last = why;
      ask_another(number, now);
    }
  }

  void ask_another(std::uint64_t number, Now now) {
    Call& call = calls.at(number);
    if (call.message != 0) call.earlier.push_back(call.message);
    if (call.message != 0 && call.sent) call.unsure = true;  // asked, and not heard
    if (call.message != 0) call.refused = false;
    call.message = 0;
    attempt(number, now);
  }

  void on_wake(Now now) {
    latest = now;
    health.notice_silence(now.instant);
    coordinator.on_wake(now);
    if (table_doubt_at <= now.instant) {
      table_doubt_at = Instant::never();
      health.doubt(table_asked, now.instant);
    }
    if (table_until <= now.instant) {
      health.was_silent(table_asked, now.instant);
      table_failed(now);
    }
    if (next_refresh <= now.instant) pull_table(now, false);
    std::vector<std::uint64_t> due;
    while (!clock.empty() && clock.begin()->first <= now.instant) {
      std::uint64_t number = clock.begin()->second;
      clock.erase(clock.begin());
      Call& call = calls.at(number);
      call.clocked = Instant::never();
      if (next_of(number, call) <= now.instant) {
        due.push_back(number);
      } else {
        touch(number, call);
      }
    }
    for (std::uint64_t number : due) {
      auto it = calls.find(number);
      if (it == calls.end()) continue;  // ended by what another one's end led to
      if (it->second.deadline <= now.instant) {
        time_out(number, now);
        continue;
      }
      if (it->second.doubt_at <= now.instant) {
        it->second.doubt_at = Instant::never();
        if (it->second.message != 0 && health.doubt(it->second.asked, now.instant)) {
          check_first(health, candidates(it->second, now), now.instant);
        }
      }
      if (it->second.ask_again > now.instant) {
        touch(number, it->second);
        continue;
      }
      if (it->second.message != 0) health.was_silent(it->second.asked, now.instant);
      ask_another(number, now);
    }
    settle(now);
  }

  void settle(Now now) {
    for (NodeId node : health.due_pings(now.instant))
      send(node, number_for(Numbered::ping, next_message++), Ping{});
    for (NodeId node : health.take_fallen_silent()) {
      ask_others_than(node, now, Status::ok());
      pull_table(now, true);  // it may have left
    }
    health.take_recovered();  // a client keeps no hints
    for (auto outgoing = coordinator.take_outgoing(); !outgoing.empty();
         outgoing = coordinator.take_outgoing()) {
      std::set<NodeId> left;
      for (auto& message : outgoing) {
        if (address_of(message.to).empty()) left.insert(message.to);
        send(message.to, number_for(Numbered::coordinator, message.number),
             std::move(message.message), message.asking);
      }
      // A request that began with the ring of before; with this one it may still be served.
      for (NodeId node : left) coordinator.on_unreachable(node, now);
    }
  }

  Instant next_wake() const {
    Instant next = std::min(
        {coordinator.next_wake(), health.next_wake(), next_refresh, table_doubt_at, table_until});
    if (!clock.empty()) next = std::min(next, clock.begin()->first);
    return next;
  }
};

ClientCore::ClientCore(ClientOptions options, std::uint64_t seed)
    : impl_(std::make_unique<Impl>(std::move(options), seed)) {}
ClientCore::~ClientCore() = default;

void ClientCore::start(Now now) {
  impl_->pull_table(now, false);
}

std::uint64_t ClientCore::submit(Request request, Now now, OnDone on_done, Instant since) {
  std::uint64_t number = impl_->submit(std::move(request), now, std::move(on_done), since);
  impl_->settle(now);
  return number;
}

void ClientCore::cancel(std::uint64_t request, Now) {
  auto it = impl_->calls.find(request);
  if (it == impl_->calls.end()) return;
  const auto& call = it->second;
  std::string text =
      std::string(verb_of(call.request.kind)) + " " + printable(call.request.key) + ": cancelled";
  impl_->finish(request, impl_->failure(Status(Code::cancelled, text, call.sent)));
}

void ClientCore::close(const Status& why, Now) {
  RINGLET_ASSERT(!why.is_ok());
  impl_->closed = true;
  impl_->closed_why = why;
  while (!impl_->calls.empty()) {
    auto it = impl_->calls.begin();
    Status status = why;
    status.set_maybe_applied(it->second.sent);
    impl_->finish(it->first, impl_->failure(std::move(status)));
  }
}

void ClientCore::on_reply(NodeId from, std::uint64_t number, Message message, Now now) {
  impl_->on_reply(from, number, std::move(message), now);
}
void ClientCore::on_unreachable(NodeId node, Now now, const Status& why) {
  impl_->on_unreachable(node, now, why);
}
void ClientCore::on_wake(Now now) {
  impl_->on_wake(now);
}
std::vector<ClientCore::Outgoing> ClientCore::take_outgoing() {
  return std::exchange(impl_->outgoing, {});
}
Instant ClientCore::next_wake() const {
  return impl_->next_wake();
}
std::shared_ptr<const Ring> ClientCore::ring() const {
  return impl_->ring;
}
std::size_t ClientCore::unanswered() const {
  return impl_->calls.size();
}
Reconcile ClientCore::reconcile() const {
  return impl_->coordination.reconcile;
}
const ClientOptions& ClientCore::options() const {
  return impl_->options;
}

}  // namespace ringlet
