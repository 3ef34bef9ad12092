#include "client/client_core.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <unordered_set>
#include <utility>

#include "base/planted.hpp"
#include "client/document_edit.hpp"
#include "coordination/answer_times.hpp"
#include "coordination/coordinator_choice.hpp"
#include "protocol/payload.hpp"
#include "versioning/object.hpp"

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

// Ids of a birth before this are taken for ids without one.
constexpr Duration oldest_birth = Duration::seconds(30 * 86'400);

// Asking again after an overload: what is left of the ration, in tenths; each call adds one.
constexpr int ration_of_a_retry = 10;
constexpr int most_ration = 100 * ration_of_a_retry;

// A second node is asked early when the first is late by its own measure: by a multiple of what its answers
// usually take, at least `earliest`, and for one of which little is known after `for_a_stranger`; each later
// node of a call after twice the time. It is free when the node was not heard at all since it was asked, for
// then it may be gone; where nodes answer others and are only slow, a tenth of the calls may be asked twice
// and a few, so that an overloaded cluster is not given twice the load.
constexpr std::int64_t usual_times = 3;
constexpr Duration earliest = Duration::millis(8);
constexpr Duration for_a_stranger = Duration::millis(25);
constexpr std::int64_t value_bytes_per_us = 10;  // a large value takes its time
constexpr int price_of_asking_early = 10;
constexpr int most_early = 20 * price_of_asking_early;
// A table is asked of another node after this, while the first may still give it.
constexpr Duration table_early = Duration::millis(40);
// Who was heard within this time is asked before those of whom nothing is known, once a node was silent.
constexpr Duration lately = Duration::seconds(10);
// How many coordinators may say that a quorum can't be met before that is the answer.
constexpr std::size_t most_without_quorum = 8;
constexpr std::size_t most_named = 5;

// It will be the same when it is tried again: no such name, no Ringlet node, another cluster or version.
bool is_final(const Status& why) {
  return why.code() == Code::invalid_argument || why.code() == Code::unsupported ||
         why.code() == Code::corrupt;
}

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

std::string named_reason(const std::string& name, const Status& why) {
  return name + (why.message().starts_with("handshake") ? " refused: " : ": ") + why.message();
}

// What this client knows of its own order with last-write-wins (L19): of each key it wrote lately the
// stamp it was told, and the writes it sent. A later write of the client lies above the one and replaces
// the others, also where a node executes them late. Of keys that it forgot it knows one stamp together;
// it matters only where it lies ahead of the client's own clock.
//
// A write that is repeated has the place of its first try: it follows what was sent before that, not what
// came since, which may have replaced it.
class OwnOrder {
 public:
  struct Known {
    std::int64_t stamp_us = 0;
    std::vector<std::uint64_t> sent;  // the last few, oldest first
  };
  struct First {
    std::int64_t born_us = 0;
    Known before;
  };
  void sent(const Key& key, WriteId id, std::int64_t born_us) {
    OfKey& mine = of(key);
    if (mine.sent.size() == most_sent) mine.sent.erase(mine.sent.begin());
    mine.sent.push_back({fingerprint(id), born_us, std::max(mine.stamp_us, forgotten_us_)});
  }
  void saw(const Key& key, std::int64_t stamp_us) {
    OfKey& mine = of(key);
    mine.stamp_us = std::max(mine.stamp_us, stamp_us);
  }
  Known known(const Key& key) const {
    Known known{forgotten_us_, {}};
    auto at = keys_.find(token_of(key).high);
    if (at == keys_.end()) return known;
    known.stamp_us = std::max(known.stamp_us, at->second.stamp_us);
    for (const Sent& sent : at->second.sent) known.sent.push_back(sent.id);
    return known;
  }
  // Of a write that was sent lately: when it was made, and what was known then.
  std::optional<First> first(const Key& key, WriteId id) const {
    auto at = keys_.find(token_of(key).high);
    if (at == keys_.end()) return std::nullopt;
    First first;
    for (const Sent& sent : at->second.sent) {
      if (sent.id == fingerprint(id)) {
        first.born_us = sent.born_us;
        first.before.stamp_us = sent.above_us;
        return first;
      }
      first.before.sent.push_back(sent.id);
    }
    return std::nullopt;
  }

 private:
  struct Sent {
    std::uint64_t id;  // its fingerprint
    std::int64_t born_us, above_us;
  };
  struct OfKey {
    std::int64_t stamp_us = 0;
    std::vector<Sent> sent;
  };
  static constexpr std::size_t most_keys = 1024, most_sent = 4;
  OfKey& of(const Key& key) {
    std::uint64_t name = token_of(key).high;
    auto [at, fresh] = keys_.try_emplace(name);
    if (!fresh) return at->second;
    order_.push_back(name);
    if (order_.size() > most_keys) {
      auto oldest = keys_.find(order_.front());
      forgotten_us_ = std::max(forgotten_us_, oldest->second.stamp_us);
      keys_.erase(oldest);
      order_.pop_front();
    }
    return at->second;
  }
  std::map<std::uint64_t, OfKey> keys_;
  std::deque<std::uint64_t> order_;  // as they came
  std::int64_t forgotten_us_ = 0;
};

// When this client first sent the writes whose ids are the caller's own and do not tell their birth. A
// repetition by another client looks like a new write.
class FirstSent {
 public:
  // How long ago it was; nothing when it is now.
  Duration age(const Key& key, WriteId id, Instant now) {
    const std::pair write(token_of(key).high, fingerprint(id));
    auto [at, fresh] = at_.try_emplace(write, now);
    if (!fresh) return now - at->second;
    order_.push_back(write);
    if (order_.size() > most) {
      at_.erase(order_.front());
      order_.pop_front();
    }
    return {};
  }

 private:
  static constexpr std::size_t most = 1024;
  std::map<std::pair<std::uint64_t, std::uint64_t>, Instant> at_;
  std::deque<std::pair<std::uint64_t, std::uint64_t>> order_;  // as they came
};

// The last writes of documents that were executed once and of which no copy is under way: this client drew their
// ids, sent each to one coordinator once, and was told that this one asked one replica once. A document that
// this client writes next needs them no more in its table of events (document/edits.hpp). An id that the caller
// gave may be sent again by another process, and is never here.
class SettledWrites {
 public:
  void add(WriteId id) {
    const std::uint64_t print = fingerprint(id);
    if (!prints_.insert(print).second) return;
    order_.push_back(print);
    if (order_.size() <= most) return;
    prints_.erase(order_.front());
    order_.pop_front();
  }
  bool contains(std::uint64_t print) const { return prints_.contains(print); }

 private:
  // Beside each other, of all keys: at a thousand edits a second those of the last sixteen seconds.
  static constexpr std::size_t most = 16'384;
  std::unordered_set<std::uint64_t> prints_;
  std::deque<std::uint64_t> order_;
};

struct ClientCore::Impl {
  // One update of the application, until its on_done. It uses calls like any other caller of submit.
  struct Updating {
    UpdateOperation operation;
    Request request;  // what each of its calls has in common
    std::function<void(std::uint64_t, UpdateQuestion)> on_ask;
    OnDone on_done;
    Instant deadline;
    std::uint64_t call = 0;   // under way: its number; 0 none
    std::uint64_t steps = 0;  // calls begun; tells the end of the latest from a late one
    Instant wake = Instant::never();
  };

  // One call of the application, until its on_done.
  struct Call {
    Request request;
    ClientContext context;  // decoded once
    OnDone on_done;
    Instant began, deadline;
    std::int64_t repeated_ms = 0;  // how long before this call the write was first made
    std::int64_t born_us = 0;      // last-write-wins: when it was made
    OwnOrder::Known before;        // last-write-wins: what this client did to the key before
    std::uint32_t attempts = 0;
    bool own_id = false;              // the write's id was drawn here
    std::uint64_t message = 0;        // of the node asked last, while it is waited for; 0 none
    std::vector<std::uint64_t> open;  // all without an answer; those given up are still welcome
    NodeId asked;                     // whom
    Instant asked_at;                 // when
    Instant ask_again;                // silent until then: the next node
    Instant give_up_at;               // at the latest; before it, asking again is asking early
    std::vector<NodeId> tried;
    std::map<NodeId, Instant> rests;  // who was overloaded, and until when it is left alone
    std::size_t without_quorum = 0;   // how many coordinators said so
    bool by_a_node = false;  // client coordination: too few members are reachable from here
    bool unsure = false;     // a write that a node was given, and may have executed
    bool refused = false;    // the latest attempt that ended was refused, and not silent
    Status last;             // why the latest attempt failed
    Instant clocked = Instant::never();  // its entry in Impl::clock
  };

  // One message of a call. It outlives the call until its node answers or is in doubt: a node that no call
  // waits for, because another was asked early, must still be noticed.
  struct Question {
    std::uint64_t call = 0;
    NodeId node;
    Instant asked_at;
    bool get = false;
    bool held = false;     // nothing of it has left: its connection is not there yet
    bool doubted = false;  // its patience is over
  };
  struct Times {
    AnswerTimes gets, puts;
  };

  ClientOptions options;
  Now current;  // of the event that is being handled
  Random random;
  FaultDetector health;
  NodeId self;
  Coordinator coordinator;
  CoordinationOptions coordination;
  std::shared_ptr<const Ring> ring;
  std::map<NodeId, std::string> seeds;
  std::map<NodeId, NodeId> members_of_seeds;  // those whose address is a seed's
  std::set<NodeId> unproven;                  // never heard, and late with a first answer
  std::map<NodeId, Status> why_gone;          // of nodes not heard since
  std::map<NodeId, Times> times;
  int early = most_early / 2;  // what is left for asking early, in tenths; each call adds one
  ClientCounters counters;
  std::map<std::uint64_t, Call> calls;                 // by call number
  std::map<std::uint64_t, Question> questions;         // by message number
  std::set<std::pair<Instant, std::uint64_t>> doubts;  // when to doubt the node of which question
  std::vector<std::uint64_t> waiting_for_ring;         // client coordination before the first table
  std::vector<Outgoing> outgoing;
  std::map<std::uint64_t, Updating> updates;                 // numbered like the calls
  std::set<std::pair<Instant, std::uint64_t>> update_clock;  // pauses and unanswered questions
  std::uint64_t next_call = 1, next_message = 1;
  Instant next_refresh = Instant::never();
  Instant refresh_not_before{};
  NodeId knows_more;              // one that refused us something: who left knows that it did
  std::set<NodeId> know_no_more;  // asked, and had none newer than ours: others come first
  Instant refused_pull_not_before{};
  NodeId table_asked;  // a pull under way
  std::uint64_t table_message = 0;
  std::set<std::uint64_t> earlier_tables;  // asked of others before, still welcome
  Instant table_early_at = Instant::never();
  Instant table_doubt_at = Instant::never(), table_until = Instant::never();
  bool closed = false;
  Status closed_why;
  // When to look at which call, one entry each; one that comes too early is looked at for nothing.
  std::set<std::pair<Instant, std::uint64_t>> clock;
  std::set<std::uint64_t> coordinated;   // calls given to our own coordinator
  std::map<NodeId, Instant> overloaded;  // until when: others come first, for calls that begin
  int ration = most_ration;              // of retries after an overload
  OwnOrder own_order;
  FirstSent first_sent;
  SettledWrites settled_writes;
  std::int64_t last_born_us = 0;

  Impl(ClientOptions client_options, std::uint64_t seed)
      : options(with_rare_probes(std::move(client_options))),
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

  // A member that this client has never reached may be out of its reach for ever, behind a load balancer.
  static ClientOptions with_rare_probes(ClientOptions wanted) {
    auto& longest = wanted.fault_detector.longest_retry;
    longest = std::max(longest, Duration::seconds(10));
    return wanted;
  }

  void log(LogLevel level, const std::string& text) const {
    if (options.log) options.log(level, "client", text);
  }

  // ---- where nodes are ----

  std::string address_of(NodeId node) const {
    if (ring) {
      if (const Member* member = ring->find(node)) return address_for_clients(*member);
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

  // Everybody who may serve, the likeliest first: owners of the key, the other members, then the seeds,
  // but for those that lead to a member which is up. Those in doubt and those believed gone come last, so
  // that a client which reaches no member, but something in front of them, goes by its seeds.
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
    }
    add_seeds(order);
    if (!overloaded.empty()) {
      std::erase_if(overloaded, [&](const auto& rest) { return rest.second <= now.instant; });
      std::stable_partition(order.begin(), order.end(),
                            [&](NodeId node) { return !overloaded.contains(node); });
    }
    likeliest_first(order);
    return order;
  }
  void add_seeds(std::vector<NodeId>& order) {
    std::size_t members = order.size();
    for (const auto& [id, address] : seeds) {
      auto member = members_of_seeds.find(id);
      if (member == members_of_seeds.end() || health.is_down(member->second)) order.push_back(id);
    }
    for (std::size_t i = order.size(); i > members + 1; --i) {
      std::swap(order[i - 1], order[members + random.below(i - members)]);
    }
  }
  void likeliest_first(std::vector<NodeId>& order) const {
    std::stable_partition(order.begin(), order.end(),
                          [&](NodeId node) { return !health.is_down(node); });
    std::stable_partition(order.begin(), order.end(), [&](NodeId node) {
      return !health.may_be_gone(node) && !unproven.contains(node);
    });
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
    table_early_at = now.instant + table_early;
    table_until = now.instant + Duration::millis(500);
    refresh_not_before = now.instant + Duration::millis(100);
    next_refresh = Instant::never();
    RingPull pull;
    if (ring) pull = {ring->epoch(), ring->digest()};
    send(table_asked, table_message, pull);
  }

  // Without a table a client's own coordination waits for this: another node is asked, once for each pull.
  void pull_table_early(Now now) {
    table_early_at = Instant::never();
    if (table_message == 0 || ring) return;
    NodeId first = table_asked;
    std::vector<NodeId> others;
    for (const auto& [id, address] : seeds) {
      if (id != first && !health.may_be_gone(id)) others.push_back(id);
    }
    if (others.empty()) return;
    earlier_tables.insert(table_message);
    health.check(first, now.instant);
    table_asked = others[random.below(others.size())];
    table_message = number_for(Numbered::table, next_message++);
    table_doubt_at = now.instant + health.patience(table_asked);
    table_early_at = now.instant + table_early;
    send(table_asked, table_message, RingPull{});
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
    table_doubt_at = table_until = table_early_at = Instant::never();
    next_refresh = now.instant + Duration::millis(ring ? 500 : 50);
    if (ring || seeds.empty()) return;
    bool for_ever = std::all_of(seeds.begin(), seeds.end(), [&](const auto& seed) {
      auto why = why_gone.find(seed.first);
      return why != why_gone.end() && is_final(why->second);
    });
    if (!for_ever) return;
    for (std::uint64_t number : std::exchange(waiting_for_ring, {})) {
      if (calls.contains(number)) finish_unreached(number);
    }
  }

  void on_table(NodeId from, const Message& message, Now now) {
    table_message = 0;
    table_doubt_at = table_until = table_early_at = Instant::never();
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
    members_of_seeds.clear();
    for (const auto& member : ring->members()) {
      NodeId seed = seed_id(address_for_clients(member));
      if (seeds.contains(seed)) members_of_seeds.emplace(seed, member.id);
    }
    coordinator.set_options(coordination);
    coordinator.set_ring(ring);
    for (std::uint64_t number : std::exchange(waiting_for_ring, {})) {
      if (calls.contains(number)) attempt(number, now);
    }
  }

  // ---- one call ----

  std::uint64_t submit(Request request, Now now, OnDone on_done, Instant since) {
    current = now;
    std::uint64_t number = next_call++;
    Call call;
    call.request = std::move(request);
    call.on_done = std::move(on_done);
    call.deadline =
        std::min(since, now.instant) + (call.request.options.timeout_ms
                                            ? Duration::millis(call.request.options.timeout_ms)
                                            : options.timeout);
    Status bad = refuse(call);
    if (bad && call.request.kind != Kind::get) {
      auto context = decode_client_context(call.request.context, call.request.key);
      bad = context ? check_cluster(*context, call.request.key, options.cluster) : context.status();
      if (bad) call.context = std::move(*context);
    }
    call.began = now.instant;
    if (bad && call.request.kind != Kind::get) bad = name_write(call, now);
    calls.emplace(number, std::move(call));
    ration = std::min(ration + 1, most_ration);
    early = std::min(early + 1, most_early);
    if (!bad) {
      finish(number, failure(bad));
    } else {
      attempt(number, now);
    }
    return number;
  }

  // Gives the write its id, or finds out how old the write is that an id of the caller's names.
  Status name_write(Call& call, Now now) {
    WriteId& id = call.request.write_id;
    if (!id) {
      id = new_write_id(now.wall_ms, random);
      call.own_id = true;
    } else if (auto born_ms = birth_of(id)) {
      std::int64_t age_ms = now.wall_ms - *born_ms;
      if (age_ms > write_life.millis() && age_ms < oldest_birth.millis()) {
        return Status(Code::invalid_argument,
                      std::string(verb_of(call.request.kind)) + " " + printable(call.request.key) +
                          ": write id " + to_string(id) + " was made " +
                          std::to_string(age_ms / 1000) + " s ago; a write may be repeated for " +
                          std::to_string(write_life.millis() / 1000) +
                          " s: read the key and decide",
                      true);
      }
      if (age_ms > 0 && age_ms <= write_life.millis()) call.repeated_ms = age_ms;
    } else {
      const Duration age = first_sent.age(call.request.key, id, now.instant);
      call.repeated_ms = std::min(age.millis(), write_life.millis());
    }
    if (ring && coordination.reconcile != Reconcile::lww) return Status::ok();
    if (auto first = own_order.first(call.request.key, id)) {
      call.born_us = first->born_us;
      call.before = std::move(first->before);
      std::int64_t age_ms = (now.wall_us() - call.born_us) / 1000;
      call.repeated_ms = std::clamp<std::int64_t>(age_ms, call.repeated_ms, write_life.millis());
      return Status::ok();
    }
    call.born_us = born(now) - call.repeated_ms * 1000;
    // What this client did since an earlier try it cannot tell from what it did before.
    if (call.repeated_ms == 0) call.before = own_order.known(call.request.key);
    own_order.sent(call.request.key, id, call.born_us);
    return Status::ok();
  }

  // Strictly rising, so that of two writes of this client the later one has the later stamp; unless the
  // clock was far ahead and is set right: replicas would refuse its stamps for as long.
  std::int64_t born(Now now) {
    std::int64_t clock_us = std::max<std::int64_t>(now.wall_us(), 1);
    if (last_born_us - clock_us > coordination.max_stamp_ahead.us) last_born_us = clock_us - 1;
    last_born_us = std::max(last_born_us + 1, clock_us);
    return last_born_us;
  }

  Status refuse_request(const Request& wanted) const {
    if (closed) return closed_why;
    if (wanted.key.key.empty()) {
      return Status(Code::invalid_argument, "key: wanted at least 1 byte, got none");
    }
    if (wanted.options.timeout_ms > 3'600'000) {
      return Status(Code::invalid_argument, "timeout_ms: wanted at most 3600000, got " +
                                                std::to_string(wanted.options.timeout_ms));
    }
    return Status::ok();
  }
  Status refuse(const Call& call) const {
    if (Status bad = refuse_request(call.request); !bad) return bad;
    if (calls.size() >= options.max_in_flight) {
      return Status(Code::overloaded, std::string(verb_of(call.request.kind)) + " " +
                                          printable(call.request.key) + ": " +
                                          std::to_string(calls.size()) +
                                          " calls are under way, this client's limit");
    }
    return Status::ok();
  }

  // ---- updates ----

  std::uint64_t update(Update wanted, Now now, OnDone on_done, Instant since) {
    std::uint64_t number = next_call++;
    Status bad = refuse_request(wanted.request);
    if (bad && wanted.attempts == 0) {
      bad = Status(Code::invalid_argument, "update_attempts: wanted at least 1, got 0");
    }
    if (bad && updates.size() >= options.max_in_flight) {
      bad = Status(Code::overloaded, "update " + printable(wanted.request.key) + ": " +
                                         std::to_string(updates.size()) +
                                         " updates are under way, this client's limit");
    }
    if (!bad) {
      Outcome refused;
      refused.reply = failure(bad);
      if (on_done) on_done(std::move(refused));
      return number;
    }
    UpdateOperation::Options operation;
    operation.attempts = wanted.attempts;
    operation.deletes = wanted.deletes;
    operation.write_id = wanted.request.write_id;
    Duration time = wanted.request.options.timeout_ms
                        ? Duration::millis(wanted.request.options.timeout_ms)
                        : options.timeout;
    Updating updating{UpdateOperation(wanted.request.key, operation), std::move(wanted.request),
                      std::move(wanted.on_ask), std::move(on_done),
                      std::min(since, now.instant) + time};
    auto at = updates.emplace(number, std::move(updating)).first;
    proceed(number, at->second.operation.start(), now);
    return number;
  }

  std::uint64_t edit(Edit wanted, Now now, OnDone on_done, Instant since) {
    if (Status bad = document::check(wanted.edits); !bad) {
      Outcome refused;
      refused.reply = failure(
          Status(bad.code(), "edit " + printable(wanted.request.key) + ": " + bad.message()));
      if (on_done) on_done(std::move(refused));
      return next_call++;
    }
    Update update;
    update.request = std::move(wanted.request);
    update.request.content_type = Bytes(document_content_type);
    update.attempts = wanted.attempts;
    update.deletes = wanted.deletes == Deletes::ask ? Deletes::lose : wanted.deletes;
    update.on_ask = [this, edits = std::move(wanted.edits), deletes = update.deletes](
                        std::uint64_t number, UpdateQuestion question) {
      // A key that is missing does not say how its cluster reconciles; the table does.
      if (ring && coordination.reconcile == Reconcile::lww) {
        question.read.reply.object.mode = Reconcile::lww;
      }
      // The update waits for this very answer, so it is never late.
      static_cast<void>(answer(
          number, question.attempt,
          answer_edit(question, edits, deletes, current.wall_us(), {},
                      [this](std::uint64_t print) { return settled_writes.contains(print); }),
          current));
    };
    return this->update(std::move(update), now, std::move(on_done), since);
  }

  // Does the one thing that an update wants next. What that leads to at once (a call that is refused,
  // a question that is answered from inside) comes back here, so nothing of the update is used after.
  // Without memory for it the update ends: it would have nothing under way that could end it later.
  void proceed(std::uint64_t number, UpdateOperation::Next next, Now now) {
    try {
      take_step(number, std::move(next), now);
    } catch (const std::bad_alloc&) {
      auto over = updates.extract(number);
      if (over.empty()) throw;
      Updating& updating = over.mapped();
      if (updating.wake != Instant::never()) update_clock.erase({updating.wake, number});
      Outcome outcome;
      outcome.reply.status = Status(Code::no_memory, {}, updating.operation.may_be_written());
      if (updating.on_done) updating.on_done(std::move(outcome));
    }
  }

  void take_step(std::uint64_t number, UpdateOperation::Next next, Now now) {
    Updating& updating = updates.at(number);
    if (std::holds_alternative<UpdateOperation::Read>(next)) {
      Request read;
      read.key = updating.request.key;
      read.options = updating.request.options;
      return launch(number, std::move(read), now);
    }
    if (auto* write = std::get_if<UpdateOperation::Write>(&next)) {
      Request request;
      request.kind = write->tombstone ? Kind::erase : Kind::put;
      request.key = updating.request.key;
      request.options = updating.request.options;
      request.options.siblings = true;
      request.context = std::move(write->context);
      request.value = std::move(write->value);
      if (!write->tombstone) request.content_type = updating.request.content_type;
      request.write_id = write->write_id;
      return launch(number, std::move(request), now);
    }
    if (auto* ask = std::get_if<UpdateOperation::Ask>(&next)) {
      wake_update(number, updating.deadline);
      auto on_ask = updating.on_ask;  // the answer from inside may end the update
      return on_ask(number, std::move(ask->question));
    }
    if (auto* pause = std::get_if<UpdateOperation::Pause>(&next)) {
      return wake_update(number, std::min(updating.deadline, now.instant + pause->time));
    }
    wake_update(number, Instant::never());
    auto over = updates.extract(number);
    Outcome& outcome = std::get<UpdateOperation::Over>(next).outcome;
    if (over.mapped().on_done) over.mapped().on_done(std::move(outcome));
  }

  void launch(std::uint64_t number, Request request, Now now) {
    Updating& updating = updates.at(number);
    wake_update(number, Instant::never());
    std::int64_t left = (updating.deadline - now.instant).millis();
    // A call has at least a millisecond: its own deadline then says in its words what it waited for.
    request.options.timeout_ms = static_cast<std::uint32_t>(std::max<std::int64_t>(left, 1));
    std::uint64_t step = ++updating.steps;
    std::uint64_t call = submit(
        std::move(request), now,
        [this, number, step](Outcome outcome) {
          auto it = updates.find(number);
          if (it == updates.end() || it->second.steps != step) return;
          it->second.call = 0;
          ++it->second.steps;
          Duration left = it->second.deadline - current.instant;
          proceed(number, it->second.operation.on_outcome(std::move(outcome), left, random),
                  current);
        },
        Instant::never());
    auto it = updates.find(number);
    if (it != updates.end() && it->second.steps == step) it->second.call = call;
  }

  void wake_update(std::uint64_t number, Instant when) {
    Updating& updating = updates.at(number);
    if (updating.wake != Instant::never()) update_clock.erase({updating.wake, number});
    updating.wake = when;
    if (when != Instant::never()) update_clock.insert({when, number});
  }

  Status answer(std::uint64_t number, std::uint32_t attempt, UpdateAnswer answer, Now now) {
    auto it = updates.find(number);
    if (it == updates.end() || !it->second.operation.asking() ||
        it->second.operation.attempt() != attempt) {
      return Status(Code::closed, "the update does not wait for this answer any more");
    }
    proceed(number, it->second.operation.on_answer(std::move(answer)), now);
    return Status::ok();
  }

  // An update that waits for its application or pauses ends here; one with a call under way ends with
  // the call.
  void end_update(std::uint64_t number, const Status& why, Now now) {
    UpdateOperation& operation = updates.at(number).operation;
    if (operation.asking() || operation.pausing()) proceed(number, operation.end(why), now);
  }

  void wake_updates(Now now) {
    while (!update_clock.empty() && update_clock.begin()->first <= now.instant) {
      std::uint64_t number = update_clock.begin()->second;
      Updating& updating = updates.at(number);
      std::string name = "update " + printable(updating.request.key);
      if (updating.operation.asking()) {
        end_update(number,
                   Status(Code::timeout, name + ": the application did not answer by the deadline"),
                   now);
      } else if (updating.deadline <= now.instant) {
        end_update(number, Status(Code::timeout, name + ": its deadline has come"), now);
      } else {
        proceed(number, updating.operation.on_pause_over(), now);
      }
    }
  }

  // When its deadline or the patience with its node ends. Our own coordinator has the same deadline
  // and better words: it speaks first.
  Instant next_of(std::uint64_t number, const Call& call) const {
    Instant deadline =
        coordinated.contains(number) ? call.deadline + Duration::millis(5) : call.deadline;
    return std::min(deadline, call.ask_again);
  }
  void touch(std::uint64_t number, Call& call) {
    Instant next = next_of(number, call);
    if (next >= call.clocked) return;
    if (call.clocked != Instant::never()) clock.erase({call.clocked, number});
    clock.insert({next, number});
    call.clocked = next;
  }

  // Can the client's own coordination reach what this call wants?
  bool enough_members(const Call& call) const {
    const auto& list = ring->preference_list(token_of(call.request.key));
    std::size_t owners = std::min<std::size_t>(ring->effective_replicas(), list.size());
    std::size_t may = call.request.options.strict ? owners : list.size();
    bool get = call.request.kind == Kind::get;
    std::size_t named = get ? call.request.options.r : call.request.options.w;
    std::size_t wanted = named != 0 ? named : get ? coordination.r : coordination.w;
    wanted = std::clamp<std::size_t>(wanted, 1, owners);
    auto end = list.begin() + static_cast<std::ptrdiff_t>(may);
    auto up = std::count_if(list.begin(), end, [&](NodeId node) { return !health.is_down(node); });
    return static_cast<std::size_t>(up) >= wanted;
  }
  bool coordinates_itself(Call& call, Now now) {
    if (call.by_a_node) return false;
    if (enough_members(call)) return true;
    auto order = candidates(call, now);
    bool anybody =
        std::any_of(order.begin(), order.end(), [&](NodeId node) { return !health.is_down(node); });
    return !anybody;
  }
  // Calls of our own coordination that have lost too many members from sight: a node is asked, too.
  void ask_nodes_instead(Now now) {
    if (coordinated.empty()) return;
    std::vector<std::uint64_t> numbers(coordinated.begin(), coordinated.end());
    for (std::uint64_t number : numbers) {
      auto call = calls.find(number);
      if (call == calls.end() || call->second.message != 0 || call->second.by_a_node) continue;
      if (coordinates_itself(call->second, now)) continue;
      call->second.by_a_node = true;
      attempt(number, now);
    }
  }

  // `is_early`: the node asked last is waited for still, and asked of another only if one is up.
  void attempt(std::uint64_t number, Now now, bool is_early = false) {
    Call& call = calls.at(number);
    // This host may have slept, and what comes first when it wakes is not the deadline.
    if (call.deadline <= now.instant) return time_out(number, now);
    if (options.coordination == Coordination::client) {
      if (ring && coordinates_itself(call, now)) return coordinate(number, now);
      if (!ring) {
        call.last = Status(Code::unavailable, "no node has given the routing table yet");
        call.ask_again = call.deadline;
        touch(number, call);
        waiting_for_ring.push_back(number);
        return pull_table(now, true);
      }
      if (!std::exchange(call.by_a_node, true)) {
        counters.asked_a_node.fetch_add(1, std::memory_order_relaxed);
      }
    }
    auto order = candidates(call, now);
    if (!call.tried.empty()) {
      auto up = std::stable_partition(order.begin(), order.end(),
                                      [&](NodeId node) { return !health.may_be_gone(node); });
      std::stable_partition(order.begin(), up, [&](NodeId node) {
        return now.instant - health.last_heard(node) < lately;
      });
      if (is_early) order.erase(up, order.end());
    }
    auto rests_until = [&](NodeId node) {
      auto rest = call.rests.find(node);
      return rest == call.rests.end() ? Instant{INT64_MIN} : rest->second;
    };
    auto fresh = std::find_if(order.begin(), order.end(), [&](NodeId node) {
      return rests_until(node) <= now.instant &&
             std::find(call.tried.begin(), call.tried.end(), node) == call.tried.end();
    });
    if (fresh == order.end() && is_early) {
      call.ask_again = call.give_up_at;
      return touch(number, call);
    }
    if (is_early) counters.asked_early.fetch_add(1, std::memory_order_relaxed);
    if (fresh == order.end()) {
      if (reached_none_for_ever(call, order)) return finish_unreached(number);
      // Everybody was asked once: breathe, pull the table, start over with who rests no more.
      Instant again = Instant::never();
      for (NodeId node : order) again = std::min(again, rests_until(node));
      again = order.empty() ? now.instant : again;
      again = std::max(again, now.instant + Duration::millis(20));
      if (again >= call.deadline && call.last.code() == Code::overloaded) {
        ClientReply refusal = failure(call.last);
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

  Duration early_after(const Call& call, NodeId node) const {
    auto known = times.find(node);
    std::optional<Duration> usual;
    if (known != times.end()) {
      bool get = call.request.kind == Kind::get;
      usual = (get ? known->second.gets : known->second.puts).usual();
    }
    Duration wait = usual ? std::max(*usual * usual_times, earliest) : for_a_stranger;
    auto bytes = static_cast<std::int64_t>(call.request.value.size());
    std::size_t before = std::min<std::size_t>(call.tried.size() - 1, 6);
    return (wait + Duration::micros(bytes / value_bytes_per_us)) * (std::int64_t{1} << before);
  }

  void ask(std::uint64_t number, NodeId node, Now now) {
    Call& call = calls.at(number);
    ++call.attempts;
    call.asked = node;
    call.asked_at = now.instant;
    call.tried.push_back(node);
    call.message = number_for(Numbered::call, next_message++);
    const bool get = call.request.kind == Kind::get;
    questions.emplace(call.message, Question{number, node, now.instant, get});
    call.open.push_back(call.message);
    doubts.insert({now.instant + health.patience(node), call.message});
    Duration left = call.deadline - now.instant;
    // The node has a share of what is left, so that a silent one leaves time for another.
    Duration share = std::max(left / 3, std::min(left, Duration::millis(50)));
    // A large value is not sent a second time while the first may still be on its way.
    Duration carried = carrying_time(call.request.value.size());
    share = std::min(left, share + carried);
    // Nor where the rest of the time would not do to carry it to another node.
    if (carried > Duration{} && left - share < carried) share = left;
    call.give_up_at = now.instant + share;
    call.ask_again = now.instant + std::min(share, early_after(call, node) + carried);
    touch(number, call);
    RequestOptions request_options = call.request.options;
    request_options.timeout_ms =
        static_cast<std::uint32_t>(std::max<std::int64_t>(1, left.millis()));
    if (get) {
      send(node, call.message, ClientGet{call.request.key, request_options}, {left, {}});
      return;
    }
    ClientPut put;
    put.key = call.request.key;
    put.context = call.request.context;
    // A reader that was silent to us is no good minter to recommend.
    NodeId reader = call.context.fastest_reader;
    if (reader && (health.may_be_gone(reader) || was_tried_in_vain(call, reader))) {
      ClientContext without = call.context;
      without.fastest_reader = NodeId{};
      put.context = encode_client_context(without, call.request.key);
    }
    put.write = write_of(call, now);
    put.options = request_options;
    // Until another node is asked with the same write.
    send(node, call.message, std::move(put), {share, health.patience(node) + carried});
  }
  static bool was_tried_in_vain(const Call& call, NodeId node) {
    return node != call.asked &&
           std::find(call.tried.begin(), call.tried.end(), node) != call.tried.end();
  }

  Write write_of(const Call& call, Now now) const {
    const Request& request = call.request;
    Write write{request.write_id, request.kind == Kind::erase, request.value, request.content_type};
    std::int64_t age_ms = call.repeated_ms + (now.instant - call.began).millis();
    write.age_ms = static_cast<std::uint32_t>(std::clamp<std::int64_t>(age_ms, 0, UINT32_MAX));
    // Without a table it is not known yet whether the coordinator wants to know.
    bool siblings = ring && coordination.reconcile == Reconcile::siblings;
    if (siblings || call.born_us <= 0) return write;
    write.born_us = call.born_us;
    write.above_us = call.before.stamp_us;
    std::uint64_t own = fingerprint(request.write_id);
    for (std::uint64_t sent : call.before.sent) {
      if (sent != own) write.replaces.push_back(sent);
    }
    return write;
  }

  // Client-driven: the same machines that run in a node run here.
  void coordinate(std::uint64_t number, Now now) {
    Call& call = calls.at(number);
    ++call.attempts;
    call.ask_again = Instant::never();
    call.asked = NodeId{};
    coordinated.insert(number);
    touch(number, call);
    RequestOptions request_options = call.request.options;
    Duration left = call.deadline - now.instant;
    request_options.timeout_ms =
        static_cast<std::uint32_t>(std::max<std::int64_t>(1, left.millis()));
    auto on_answer = [this, number](ClientReply reply) {
      coordinated.erase(number);
      auto at = calls.find(number);
      if (at == calls.end()) return;
      if (!reply.status && at->second.message != 0) {  // a node is asked, too, and may do better
        at->second.last = reply.status;
        at->second.unsure |= reply.status.maybe_applied();
        return;
      }
      on_answered(number, std::move(reply), current);
    };
    if (call.request.kind == Kind::get) {
      coordinator.get(call.request.key, request_options, now, std::move(on_answer));
    } else {
      const auto& preference = ring->preference_list(token_of(call.request.key));
      NodeId minter = choose_minter(preference, ring->effective_replicas(), NodeId{},
                                    call.context.fastest_reader, health);
      coordinator.put(call.request.key, call.context, write_of(call, now), request_options, minter,
                      now, std::move(on_answer));
    }
  }

  // A node's or our own coordinator's word on the call.
  void on_answered(std::uint64_t number, ClientReply reply, Now now) {
    Call& call = calls.at(number);
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
    call.unsure |= reply.status.maybe_applied();
    if (reply.status.code() == Code::overloaded && call.asked) {
      return on_overloaded(number, std::move(reply), now);
    }
    pull_table(now, true);
    // Too few replicas can be had, by a coordinator that heard it of them all: another may reach those that
    // this one does not, and when none is left to ask, waiting would tell nothing new. A replica that
    // said when to come back is another matter.
    if (reply.status.code() == Code::quorum_not_met && reply.retry_after_ms == 0) {
      if (++call.without_quorum >= 2) call.by_a_node = true;
      if (!may_do_better(call, now)) return finish(number, std::move(reply));
    }
    Duration pause =
        Duration::millis(std::max<std::int64_t>(reply.retry_after_ms, 5 * call.attempts));
    if (now.instant + pause >= call.deadline) return finish(number, std::move(reply));
    call.asked = NodeId{};
    call.ask_again = now.instant + pause;
    touch(number, call);
  }

  bool may_do_better(const Call& call, Now now) {
    if (call.without_quorum >= most_without_quorum) return false;
    if (options.coordination == Coordination::client && call.without_quorum < 2) return true;
    auto order = candidates(call, now);
    return std::any_of(order.begin(), order.end(), [&](NodeId node) {
      return !health.is_down(node) &&
             std::find(call.tried.begin(), call.tried.end(), node) == call.tried.end();
    });
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
    if (ration < ration_of_a_retry) return finish(number, std::move(reply));
    ration -= ration_of_a_retry;
    attempt(number, now);
  }

  ClientReply failure(Status status) const {
    ClientReply reply;
    reply.status = std::move(status);
    return reply;
  }

  // A write that a node was given and has not refused may exist.
  bool maybe_applied(std::uint64_t number, const Call& call) const {
    if (call.request.kind == Kind::get) return false;
    if (call.unsure || coordinated.contains(number)) return true;
    return std::any_of(call.open.begin(), call.open.end(), [&](std::uint64_t message) {
      auto question = questions.find(message);
      return question != questions.end() && !question->second.held;
    });
  }

  void count(const Call& call, const ClientReply& reply) {
    auto add = [](auto& counter) { counter.fetch_add(1, std::memory_order_relaxed); };
    bool get = call.request.kind == Kind::get;
    add(get ? counters.gets : counters.puts);
    if (!reply.status) return add(counters.failed);
    if (get)
      add(counters.versions_per_get[std::min<std::size_t>(siblings(reply.object).size(), 4)]);
  }

  void finish(std::uint64_t number, ClientReply reply) {
    if (!reply.status && maybe_applied(number, calls.at(number))) {
      reply.status.set_maybe_applied(true);
    }
    auto node = calls.extract(number);
    Call& call = node.mapped();
    count(call, reply);
    if (call.clocked != Instant::never()) clock.erase({call.clocked, number});
    for (std::uint64_t message : call.open) {
      auto question = questions.find(message);
      if (question == questions.end() || !question->second.doubted) continue;
      note_time(question->second);  // it took at least so long
      questions.erase(question);
    }
    std::erase(waiting_for_ring, number);
    Outcome outcome;
    outcome.write_id = call.request.write_id;
    outcome.attempts = call.attempts;
    outcome.coordinator = call.asked;
    outcome.node = name_of_node(call.asked);
    outcome.instead_of_client = call.by_a_node && call.asked;
    if (!reply.status) say_the_whole_time(call, reply.status);
    if (reply.status) {
      outcome.context = encode_client_context(
          context_of(reply.object, reply.fastest_reader, cluster_hash(options.cluster)),
          call.request.key);
      if (reply.object.mode == Reconcile::lww) note_stamp(call, reply.object);
      bool once = call.own_id && call.attempts == 1 && reply.minted_once;
      once |= planted(PlantedBug::document_event_settled_early);
      if (once && call.request.kind == Kind::put &&
          call.request.content_type == document_content_type) {
        settled_writes.add(call.request.write_id);
      }
    }
    outcome.reply = std::move(reply);
    if (call.on_done) call.on_done(std::move(outcome));
  }

  void note_time(const Question& question) {
    if (question.held) return;
    Times& of_node = times[question.node];
    (question.get ? of_node.gets : of_node.puts).add(current.instant - question.asked_at);
  }

  // A coordinator knows the time that it was given, which is what was left of the call's.
  void say_the_whole_time(const Call& call, Status& status) const {
    std::uint32_t whole = call.request.options.timeout_ms;
    if (whole == 0) whole = static_cast<std::uint32_t>(options.timeout.millis());
    // It may have had less than it was told to have: the request was on its way for a while.
    std::string text = status.message();
    std::size_t end = text.find(" ms, got ");
    if (end == std::string::npos || end == 0) return;
    std::size_t before = text.find_last_not_of("0123456789", end - 1);
    const std::string within = " within ";
    if (before == std::string::npos || before + 1 < within.size() || before + 1 == end) return;
    if (text.compare(before + 1 - within.size(), within.size(), within) != 0) return;
    std::string told = text.substr(before + 1, end - before - 1), all = std::to_string(whole);
    if (told == all) return;
    text.replace(before + 1, told.size(), all);
    if (call.attempts > 1) text += " (" + std::to_string(call.attempts) + " attempts)";
    status = Status(status.code(), std::move(text), status.maybe_applied());
  }

  // Whom the call may ask, once, with the seeds at the end.
  std::vector<NodeId> all_for(const Call& call) const {
    std::vector<NodeId> all;
    if (ring) all = ring->preference_list(token_of(call.request.key));
    for (const auto& [id, address] : seeds) {
      if (!ring || !members_of_seeds.contains(id)) all.push_back(id);
    }
    return all;
  }
  bool reached_none_for_ever(const Call& call, const std::vector<NodeId>& order) const {
    return !order.empty() && call.open.empty() &&
           std::all_of(order.begin(), order.end(), [&](NodeId node) {
             auto why = why_gone.find(node);
             return why != why_gone.end() && is_final(why->second);
           });
  }
  // "; n1: the connection was refused; …": of those that were not reached.
  std::string reasons(const Call& call) const { return reasons(all_for(call)); }
  std::string reasons(const std::vector<NodeId>& nodes) const {
    std::string text;
    std::size_t named = 0;
    for (NodeId node : nodes) {
      auto why = why_gone.find(node);
      if (why == why_gone.end()) continue;
      if (++named > most_named) continue;
      text += "; " + named_reason(name_of_node(node), why->second);
    }
    if (named > most_named) text += "; and " + std::to_string(named - most_named) + " more";
    return text;
  }
  bool no_ring_for_ever() const {
    return !ring && !seeds.empty() &&
           std::all_of(seeds.begin(), seeds.end(), [&](const auto& seed) {
             auto why = why_gone.find(seed.first);
             return why != why_gone.end() && is_final(why->second);
           });
  }
  Status why_no_ring() const {
    if (ring) return Status::ok();
    std::vector<NodeId> all;
    std::string silent;
    bool late = false;
    for (const auto& [id, address] : seeds) {
      all.push_back(id);
      auto why = why_gone.find(id);
      late |= why == why_gone.end() || why->second.code() == Code::timeout;
      if (why == why_gone.end()) silent += "; " + address + ": silent";
    }
    return Status(late ? Code::timeout : Code::unavailable,
                  "no node gave the routing table: " + (reasons(all) + silent).substr(2));
  }
  void finish_unreached(std::uint64_t number) {
    const Call& call = calls.at(number);
    std::string why = reasons(call);
    finish(number, failure(Status(Code::unavailable,
                                  std::string(verb_of(call.request.kind)) + " " +
                                      printable(call.request.key) + ": no node can be reached" +
                                      (why.empty() ? why : ":" + why.substr(1)))));
  }

  // A read is noted only where its stamp lies ahead of this client's own clock.
  void note_stamp(const Call& call, const Object& object) {
    for (const Version& version : object.versions) {
      if (call.request.kind == Kind::get && version.written_us <= last_born_us) continue;
      own_order.saw(call.request.key, version.written_us);
    }
  }

  void time_out(std::uint64_t number, Now now) {
    Call& call = calls.at(number);
    // Refused, and waiting to ask once more or asked a moment ago: that is the reason, not this silence.
    bool too_soon = call.message == 0 || now.instant - call.asked_at < health.patience(call.asked);
    if (call.refused && too_soon) return finish(number, failure(call.last));
    if (heard_of_none(call)) return finish_unreached(number);
    std::string message =
        std::string(verb_of(call.request.kind)) + " " + printable(call.request.key) +
        ": wanted an answer by its deadline, got none in " + std::to_string(call.attempts) +
        (call.attempts == 1 ? " attempt" : " attempts");
    if (call.message != 0) message += " (" + name_of_node(call.asked) + " silent)";
    message += unreached(call) + reasons(call);
    if (!call.last.is_ok()) message += "; before that: " + call.last.message();
    finish(number, failure(Status(Code::timeout, std::move(message))));
  }
  // Nothing has left, and each node's connection was refused or broke: that is no silence.
  bool heard_of_none(const Call& call) const {
    if (coordinated_by_us(call) || call.refused) return false;
    for (std::uint64_t message : call.open) {
      auto question = questions.find(message);
      if (question != questions.end() && !question->second.held) return false;
    }
    auto all = all_for(call);
    return !all.empty() && std::all_of(all.begin(), all.end(), [&](NodeId node) {
      auto why = why_gone.find(node);
      return why != why_gone.end() && why->second.code() != Code::timeout;
    });
  }
  bool coordinated_by_us(const Call& call) const {
    return options.coordination == Coordination::client && ring && !call.by_a_node;
  }

  // "; believed gone: n1, n2 of 3": of those who might have served it.
  std::string unreached(const Call& call) const {
    std::vector<NodeId> might = all_for(call);
    std::string names;
    std::size_t gone = 0;
    for (NodeId node : might) {
      if (!health.is_down(node) || why_gone.contains(node) || ++gone > most_named) continue;
      names += (names.empty() ? "" : ", ") + name_of_node(node);
    }
    if (gone == 0) return {};
    if (gone > most_named) names += " and " + std::to_string(gone - most_named) + " more";
    return "; believed gone: " + names + " of " + std::to_string(might.size());
  }

  // ---- facts ----

  void on_reply(NodeId from, std::uint64_t number, Message message, Now now) {
    current = now;
    health.heard_from(from, now.instant);
    why_gone.erase(from);
    unproven.erase(from);
    switch (static_cast<Numbered>(number & 3)) {
      case Numbered::coordinator:
        coordinator.on_reply(from, RequestId{number >> 2}, std::move(message), now);
        break;
      case Numbered::ping:
        break;
      case Numbered::table:
        if (number == table_message || earlier_tables.erase(number) > 0)
          on_table(from, message, now);
        break;
      case Numbered::call:
        on_call_reply(from, number, std::move(message), now);
    }
    settle(now);
  }

  void on_call_reply(NodeId from, std::uint64_t number, Message message, Now now) {
    auto it = questions.find(number);
    if (it == questions.end()) return;  // twice, or of a call that is long over
    Question question = it->second;
    questions.erase(it);
    question.held = false;
    note_time(question);
    auto at = calls.find(question.call);
    if (at == calls.end()) return;  // another node answered first and ended the call
    Call& call = at->second;
    std::erase(call.open, number);
    ClientReply reply;
    if (auto* given = std::get_if<ClientReply>(&message)) {
      reply = std::move(*given);
    } else if (auto* refused = std::get_if<Refused>(&message)) {
      reply = failure(refused->status);
      reply.retry_after_ms = refused->retry_after_ms;
    } else {
      return;
    }
    if (number != call.message) {
      // Of a node that was only slow. What went well there went well; a refusal says nothing that the node
      // asked since could not say better.
      call.unsure |= reply.status.maybe_applied();
      if (!reply.status) return;
      call.asked = from;
    }
    on_answered(question.call, std::move(reply), now);
  }

  void on_unreachable(NodeId node, Now now, const Status& why) {
    current = now;
    why_gone[node] = why.is_ok() ? Status(Code::unavailable, "its connection broke") : why;
    const bool news = !health.is_down(node);
    health.unreachable(node, now.instant);
    // This host may have slept: what is past its deadline ends as late, and not for want of this node.
    if (coordinator.next_wake() <= now.instant) coordinator.on_wake(now);
    coordinator.on_unreachable(node, now);
    if (table_message != 0 && table_asked == node) table_failed(now);
    lose_questions(node, now);
    if (news) pull_table(now, true);
    ask_nodes_instead(now);
    settle(now);
  }

  // Nothing that was asked of the node will be answered.
  void lose_questions(NodeId node, Now now) {
    std::vector<std::pair<std::uint64_t, Question>> lost;
    for (auto it = questions.begin(); it != questions.end();) {
      if (it->second.node == node) {
        lost.emplace_back(it->first, it->second);
        it = questions.erase(it);
      } else {
        ++it;
      }
    }
    for (const auto& [message, question] : lost) {
      auto at = calls.find(question.call);
      if (at == calls.end()) continue;  // over, or ended by what another one's end led to
      Call& call = at->second;
      std::erase(call.open, message);
      if (!question.get && !question.held) call.unsure = true;
      if (call.message != message) continue;
      call.refused = false;
      call.message = 0;
      attempt(question.call, now);
    }
  }

  // The node answers not even pings: those who wait for it ask others, and hear it still should it speak.
  void ask_others_than(NodeId node, Now now) {
    if (table_message != 0 && table_asked == node) table_failed(now);
    std::vector<std::uint64_t> waiting;
    for (const auto& [number, call] : calls) {
      if (call.message != 0 && call.asked == node) waiting.push_back(number);
    }
    for (std::uint64_t number : waiting) {
      if (calls.contains(number)) ask_another(number, now);
    }
  }

  void ask_another(std::uint64_t number, Now now) {
    Call& call = calls.at(number);
    if (call.message != 0) call.refused = false;
    call.message = 0;
    attempt(number, now);
  }

  // The first node is late, and not yet given up.
  void ask_early(std::uint64_t number, Now now) {
    Call& call = calls.at(number);
    const bool mute = health.last_heard(call.asked) < call.asked_at;
    // Never reached: perhaps none of its kind is within reach, which pings find out beside the calls.
    if (now.instant - health.last_heard(call.asked) > Duration::seconds(3600)) {
      unproven.insert(call.asked);
      check_first(health, candidates(call, now), now.instant);
    }
    if (!mute && early < price_of_asking_early) {
      call.ask_again = call.give_up_at;
      return touch(number, call);
    }
    if (!mute) early -= price_of_asking_early;
    attempt(number, now, true);
  }

  void doubt_the_silent(Now now) {
    while (!doubts.empty() && doubts.begin()->first <= now.instant) {
      std::uint64_t message = doubts.extract(doubts.begin()).value().second;
      auto it = questions.find(message);
      if (it == questions.end()) continue;  // answered
      NodeId node = it->second.node;
      auto call = calls.find(it->second.call);
      if (call == calls.end()) {
        note_time(it->second);  // it took at least so long
        questions.erase(it);
        health.doubt(node, now.instant);
        continue;
      }
      it->second.doubted = true;
      if (health.doubt(node, now.instant)) {
        check_first(health, candidates(call->second, now), now.instant);
      }
    }
  }

  void on_wake(Now now) {
    current = now;
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
    if (table_early_at <= now.instant) pull_table_early(now);
    if (next_refresh <= now.instant) pull_table(now, false);
    doubt_the_silent(now);
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
    wake_updates(now);
    for (std::uint64_t number : due) {
      auto it = calls.find(number);
      if (it == calls.end()) continue;  // ended by what another one's end led to
      Call& call = it->second;
      if (next_of(number, call) > now.instant) {
        touch(number, call);
      } else if (call.deadline <= now.instant) {
        time_out(number, now);
      } else if (call.message != 0 && now.instant < call.give_up_at) {
        ask_early(number, now);
      } else {
        if (call.message != 0) health.was_silent(call.asked, now.instant);
        ask_another(number, now);
      }
    }
    ask_nodes_instead(now);
    settle(now);
  }

  // ---- what the connections say of messages that wait for them ----

  void on_held(std::uint64_t number) {
    switch (static_cast<Numbered>(number & 3)) {
      case Numbered::call:
        if (auto it = questions.find(number); it != questions.end()) it->second.held = true;
        break;
      case Numbered::coordinator:
        coordinator.on_held(RequestId{number >> 2});
        break;
      default:
        break;
    }
  }
  bool still_wanted(std::uint64_t number) {
    switch (static_cast<Numbered>(number & 3)) {
      case Numbered::call: {
        auto it = questions.find(number);
        if (it == questions.end()) return false;
        it->second.held = false;
        if (calls.contains(it->second.call)) return true;
        questions.erase(it);
        return false;
      }
      case Numbered::coordinator:
        return coordinator.still_wanted(RequestId{number >> 2});
      default:
        return true;
    }
  }

  void settle(Now now) {
    for (NodeId node : health.due_pings(now.instant))
      send(node, number_for(Numbered::ping, next_message++), Ping{});
    for (NodeId node : health.take_fallen_silent()) {
      ask_others_than(node, now);
      pull_table(now, true);  // it may have left
      ask_nodes_instead(now);
    }
    health.take_recovered();  // a client keeps no hints
    if (std::uint64_t messages = coordinator.take_asked_early(); messages != 0) {
      counters.asked_early.fetch_add(messages, std::memory_order_relaxed);
    }
    for (auto outgoing = coordinator.take_outgoing(); !outgoing.empty();
         outgoing = coordinator.take_outgoing()) {
      std::set<NodeId> left;
      for (auto& message : outgoing) {
        if (address_of(message.to).empty()) left.insert(message.to);
        send(message.to,
             number_for(Numbered::coordinator, static_cast<std::uint64_t>(message.number)),
             std::move(message.message), message.asking);
      }
      // A request that began with the ring of before; with this one it may still be served.
      for (NodeId node : left) coordinator.on_unreachable(node, now);
    }
  }

  Instant next_wake() const {
    Instant next = std::min({coordinator.next_wake(), health.next_wake(), next_refresh,
                             table_doubt_at, table_early_at, table_until});
    if (!doubts.empty()) next = std::min(next, doubts.begin()->first);
    if (!clock.empty()) next = std::min(next, clock.begin()->first);
    if (!update_clock.empty()) next = std::min(next, update_clock.begin()->first);
    return next;
  }
};

ClientCore::ClientCore(ClientOptions options, std::uint64_t seed)
    : impl_(std::make_unique<Impl>(std::move(options), seed)) {}
ClientCore::~ClientCore() = default;

void ClientCore::start(Now now) {
  impl_->current = now;
  impl_->pull_table(now, false);
}

std::uint64_t ClientCore::submit(Request request, Now now, OnDone on_done, Instant since) {
  impl_->current = now;
  std::uint64_t number = impl_->submit(std::move(request), now, std::move(on_done), since);
  impl_->settle(now);
  return number;
}

std::uint64_t ClientCore::update(Update update, Now now, OnDone on_done, Instant since) {
  impl_->current = now;
  std::uint64_t number = impl_->update(std::move(update), now, std::move(on_done), since);
  impl_->settle(now);
  return number;
}

std::uint64_t ClientCore::edit(Edit edit, Now now, OnDone on_done, Instant since) {
  impl_->current = now;
  std::uint64_t number = impl_->edit(std::move(edit), now, std::move(on_done), since);
  impl_->settle(now);
  return number;
}

bool ClientCore::is_settled(std::uint64_t print) const {
  return impl_->settled_writes.contains(print);
}

Status ClientCore::answer(std::uint64_t update, std::uint32_t attempt, UpdateAnswer answer,
                          Now now) {
  impl_->current = now;
  Status status = impl_->answer(update, attempt, std::move(answer), now);
  impl_->settle(now);
  return status;
}

void ClientCore::cancel(std::uint64_t request, Now now) {
  impl_->current = now;
  if (auto update = impl_->updates.find(request); update != impl_->updates.end()) {
    if (update->second.call != 0) return cancel(update->second.call, now);
    std::string text = "update " + printable(update->second.request.key) + ": cancelled";
    return impl_->end_update(request, Status(Code::cancelled, text), now);
  }
  auto it = impl_->calls.find(request);
  if (it == impl_->calls.end()) return;
  const auto& call = it->second;
  std::string text =
      std::string(verb_of(call.request.kind)) + " " + printable(call.request.key) + ": cancelled";
  impl_->finish(request, impl_->failure(Status(Code::cancelled, text)));
}

void ClientCore::close(const Status& why, Now now) {
  RINGLET_ASSERT(!why.is_ok());
  impl_->current = now;
  impl_->closed = true;
  impl_->closed_why = why;
  while (!impl_->calls.empty()) {
    auto it = impl_->calls.begin();
    impl_->finish(it->first, impl_->failure(why));
  }
  while (!impl_->updates.empty()) impl_->end_update(impl_->updates.begin()->first, why, now);
}

void ClientCore::on_reply(NodeId from, std::uint64_t number, Message message, Now now) {
  impl_->current = now;
  impl_->on_reply(from, number, std::move(message), now);
}
void ClientCore::on_unreachable(NodeId node, Now now, const Status& why) {
  impl_->current = now;
  impl_->on_unreachable(node, now, why);
}
void ClientCore::on_wake(Now now) {
  impl_->current = now;
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
Status ClientCore::why_no_ring() const {
  return impl_->why_no_ring();
}
bool ClientCore::no_ring_for_ever() const {
  return impl_->no_ring_for_ever();
}
std::size_t ClientCore::unanswered() const {
  // An update with a call under way counts once.
  std::size_t waiting = 0;
  for (const auto& [number, updating] : impl_->updates) waiting += updating.call == 0;
  return impl_->calls.size() + waiting;
}
Reconcile ClientCore::reconcile() const {
  return impl_->coordination.reconcile;
}
void ClientCore::on_held(std::uint64_t number) {
  impl_->on_held(number);
}
bool ClientCore::still_wanted(std::uint64_t number) {
  return impl_->still_wanted(number);
}
const ClientCounters& ClientCore::counters() const {
  return impl_->counters;
}
const ClientOptions& ClientCore::options() const {
  return impl_->options;
}

}  // namespace ringlet
