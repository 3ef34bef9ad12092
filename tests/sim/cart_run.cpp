// The story of one seed:
//
//   draw     nodes, N, R, W, coordination, durability, and a subset of the faults
//   shop     clients read, merge and write shared carts while the faults come and go
//   heal     everybody back, the network whole; hints must drain in bounded time
//   check    owners equal, nothing acknowledged lost, nothing invented
//
// A request that fails is held against the cluster when it could have been served: when R or W nodes
// were up, awake, writable, and in touch with each other and with the client from two seconds before
// it began until it ended.
#include <algorithm>
#include <memory>
#include <vector>

#include "checkers.hpp"
#include "node/hint_key.hpp"
#include "run.hpp"
#include "sim/world.hpp"
#include "versioning/encoding.hpp"

namespace ringlet::sim {
namespace {

struct Settings {
  std::size_t nodes = 3, clients = 3, carts = 2;
  std::uint32_t n = 3;
  std::uint8_t r = 2, w = 2;
  Coordination coordination = Coordination::server;
  WriteDurability durability = WriteDurability::log;
  NetworkOptions network;
  // Faults of this seed.
  bool kills = false, power = false, wipes = false, partitions = false, one_way = false,
       pauses = false, full_disks = false, skews = false, dead_owners = false;

  bool lossy() const { return network.loss > 0; }
  bool quiet() const {
    return !kills && !power && !wipes && !pauses && !full_disks && !dead_owners && !lossy();
  }

  std::string text() const {
    std::string out = "nodes=" + std::to_string(nodes) + " clients=" + std::to_string(clients) +
                      " carts=" + std::to_string(carts) + " N=" + std::to_string(n) +
                      " R=" + std::to_string(r) + " W=" + std::to_string(w) +
                      (coordination == Coordination::client ? " client-driven" : " server-driven") +
                      (durability == WriteDurability::disk ? " disk" : " log");
    for (auto [on, name] : {std::pair{kills, " kills"},
                            {power, " power-cuts"},
                            {wipes, " lost-disks"},
                            {partitions, " partitions"},
                            {one_way, " one-way"},
                            {pauses, " pauses"},
                            {full_disks, " full-disks"},
                            {skews, " skews"},
                            {dead_owners, " dead-owners"},
                            {lossy(), " loss"},
                            {network.duplicate > 0, " duplicates"},
                            {network.slow > 0, " slow"}}) {
      if (on) out += name;
    }
    return out;
  }
};

Settings draw(Random& random) {
  Settings s;
  s.nodes = static_cast<std::size_t>(random.between(3, 6));
  s.n = static_cast<std::uint32_t>(random.between(2, 3));
  s.w = static_cast<std::uint8_t>(random.between(1, s.n));
  s.r = static_cast<std::uint8_t>(random.between(1, s.n));
  if (random.chance(0.5)) s.r = s.w = static_cast<std::uint8_t>(s.n / 2 + 1);
  s.clients = static_cast<std::size_t>(random.between(2, 5));
  s.carts = static_cast<std::size_t>(random.between(1, 3));
  if (random.chance(0.4)) s.coordination = Coordination::client;
  if (random.chance(0.25)) {
    s.network.loss = 0.02 + random.uniform() * 0.28;
    s.network.duplicate = random.uniform() * 0.2;
  }
  if (random.chance(0.2)) s.network.slow = random.uniform() * 0.1;
  s.kills = random.chance(0.5);
  s.partitions = random.chance(0.5);
  s.one_way = random.chance(0.2);
  s.pauses = random.chance(0.3);
  s.full_disks = random.chance(0.3);
  s.skews = random.chance(0.3);
  s.dead_owners = random.chance(0.25);
  if (random.chance(0.25)) {
    s.power = true;
    s.durability = WriteDurability::disk;
  }
  // A disk lost takes its copies along: only where two others have every acknowledged write.
  s.wipes = s.nodes >= 4 && s.w == 3 && s.n == 3 && random.chance(0.5);
  return s;
}

class CartRun {
 public:
  CartRun(std::uint64_t seed, std::function<void(const std::string&)> trace)
      : random_(seed * 0x9E3779B97F4A7C15ULL + 1),
        settings_(draw(random_)),
        world_(random_.next(), settings_.network) {
    report_.settings = settings_.text();
    world_.on_trace = std::move(trace);
    world_.on_violation = [this](const std::string& what) {
      checkers_.fail("an answer twice", what);
    };
  }

  RunReport run() {
    build();
    Instant end = world_.now() + Duration::seconds(8);
    for (std::size_t client = 0; client < settings_.clients; ++client) shop(client, end);
    faults(end);
    world_.run_until(end + Duration::seconds(4));
    if (!checkers_.violation) heal_and_check();
    report_.violation = checkers_.violation;
    report_.hash = world_.trace_hash();
    report_.events = world_.events();
    return report_;
  }

 private:
  void build() {
    for (std::size_t i = 0; i < settings_.nodes; ++i) world_.add_node("n" + std::to_string(i + 1));
    Ring::Options ring;
    ring.cluster = "sim";
    ring.partitions = 16;
    ring.replicas = settings_.n;
    NodeOptions options;
    options.coordination.r = settings_.r;
    options.coordination.w = settings_.w;
    options.coordination.durability = settings_.durability;
    options.epoch_lease = 8;  // small, so that leases are renewed in a run
    world_.start_cluster(ring, options);
    for (HostId node = 0; node < settings_.nodes; ++node) {
      bad_since_.push_back(Instant{0});
      silent_since_.push_back(Instant{0});
      world_.disk(node).on_hint_dropped = [this, node](BytesView row, BytesView record) {
        hint_dropped(node, row, record);
      };
    }
    ClientOptions client;
    client.cluster = "sim";
    client.coordination = settings_.coordination;
    client.timeout = Duration::seconds(2);
    for (std::size_t i = 0; i < settings_.clients; ++i)
      clients_.push_back(world_.add_client(client));
    for (std::size_t i = 0; i < settings_.carts; ++i)
      carts_.push_back({"carts", "k" + std::to_string(i)});
  }

  // A hint may go only when its owner holds all of it (L11).
  void hint_dropped(HostId node, BytesView row, BytesView record) {
    ++report_.hints_dropped;
    auto parsed = parse_hint_row(row);
    auto hint = decode_record(record);
    RINGLET_ASSERT(parsed && hint.is_ok());
    HostId owner = world_.host_of(parsed->target);
    if (lost_disk_.contains(owner)) return;  // it held it once
    Object held = world_.stored(owner, parsed->key);
    if (!held.context.covers(hint->context)) {
      checkers_.fail("a hint dropped before its owner had it",
                     "n" + std::to_string(node + 1) + " dropped a hint of " +
                         printable(parsed->key) + " for n" + std::to_string(owner + 1));
    }
  }

  // ---- shopping ----

  void shop(std::size_t client, Instant end) {
    if (world_.now() >= end) return;
    world_.after(Duration::micros(random_.between(1'000, 60'000)),
                 [this, client, end] { visit(client, end); });
  }

  void visit(std::size_t client, Instant end) {
    if (world_.now() >= end) return;
    const Key& cart = carts_[random_.below(carts_.size())];
    if (random_.chance(0.1)) return put(client, end, cart, {}, {});  // blind: it has read nothing
    ClientCore::Request get;
    get.key = cart;
    Instant began = world_.now();
    ++report_.operations;
    auto answers = std::make_shared<int>(0);
    world_.submit(clients_[client], std::move(get), [=, this, &cart](ClientCore::Outcome outcome) {
      if (++*answers != 1) checkers_.fail("an answer twice", "a get of " + printable(cart));
      if (!outcome.reply.status) {
        ++report_.failed;
        could_have(client, began, settings_.r, outcome.reply.status);
        return shop(client, end);
      }
      checkers_.on_object(cart, outcome.reply.object, "a get by c" + std::to_string(client));
      if (siblings(outcome.reply.object).size() > 1) ++report_.conflicts;
      std::set<std::string> items;
      for (const Version* version : siblings(outcome.reply.object))
        items.merge(items_of(version->value));
      // Sometimes a shopper thinks, so that others write meanwhile.
      Duration thinking = Duration::micros(random_.chance(0.3) ? random_.between(0, 400'000) : 0);
      world_.after(thinking, [=, this, &cart] { put(client, end, cart, items, outcome.context); });
    });
  }

  void put(std::size_t client, Instant end, const Key& cart, std::set<std::string> items,
           Bytes context) {
    std::string item;
    if (!items.empty() && random_.chance(0.05)) {
      std::string gone = *std::next(items.begin(), static_cast<long>(random_.below(items.size())));
      items.erase(gone);
      checkers_.removing(cart, gone);
    } else {
      item = cart.key + "/" + std::to_string(client) + "-" + std::to_string(next_item_++);
      items.insert(item);
    }
    ClientCore::Request request;
    request.kind = ClientCore::Kind::put;
    request.key = cart;
    request.context = context;
    request.value = value_of(items);
    request.write_id = {random_.next(), random_.next() | 1};
    auto seen = decode_client_context(context, cart);
    RINGLET_ASSERT(seen.is_ok());
    checkers_.adding(cart, item, request.write_id, seen->seen);
    write(client, end, request, item, 0);
  }

  void write(std::size_t client, Instant end, const ClientCore::Request& request, std::string item,
             int retries) {
    Instant began = world_.now();
    ++report_.operations;
    auto answers = std::make_shared<int>(0);
    world_.submit(clients_[client], request, [=, this](ClientCore::Outcome outcome) {
      if (++*answers != 1) checkers_.fail("an answer twice", "a put of " + printable(request.key));
      const Status& status = outcome.reply.status;
      if (status) {
        ++report_.acknowledged;
        if (!item.empty()) checkers_.acknowledged(request.key, item);
        checkers_.on_object(request.key, outcome.reply.object,
                            "a put by c" + std::to_string(client));
        // The network may have eaten an answer before: the application repeats itself now and then.
        if (retries == 0 && random_.chance(0.05)) {
          world_.after(Duration::millis(1), [=, this] { write(client, end, request, item, 1); });
          return;
        }
      } else {
        ++report_.failed;
        could_have(client, began, settings_.w, status);
        if (retries < 1 && random_.chance(0.5)) {
          world_.after(Duration::millis(1),
                       [=, this] { write(client, end, request, item, retries + 1); });
          return;
        }
      }
      shop(client, end);
    });
  }

  // ---- availability ----

  void bad_now(HostId node) { bad_since_[node] = silent_since_[node] = world_.now(); }
  bool silent(HostId node) {
    return !world_.up(node) || world_.paused(node) || in_trouble_.contains(node);
  }
  bool bad(HostId node) { return silent(node) || world_.disk(node).full(); }
  // From then on every node answers, if only with a refusal.
  bool all_speak_since(Instant from) {
    for (HostId node = 0; node < settings_.nodes; ++node) {
      if (silent(node) || silent_since_[node] >= from) return false;
    }
    return true;
  }

  void could_have(std::size_t client, Instant began, std::uint32_t wanted, const Status& status) {
    if (settings_.lossy() || settings_.network.slow > 0) return;  // then luck has a part in it
    wanted = std::min<std::uint32_t>(wanted, world_.ring()->effective_replicas());
    if (status.code() == Code::timeout && all_speak_since(began - Duration::seconds(2)) &&
        began - Duration::seconds(2) >= last_cut_of_[client]) {
      checkers_.fail("a refusal taken for silence", "c" + std::to_string(client) + " was told \"" +
                                                        status.to_string() +
                                                        "\" while every node answered");
    }
    Instant from = began - Duration::seconds(2);
    std::vector<HostId> good;
    for (HostId node = 0; node < settings_.nodes; ++node) {
      if (!bad(node) && bad_since_[node] < from) good.push_back(node);
    }
    // Cuts are among the troubles of a node: those that are left are all in touch.
    if (good.size() < wanted || from < last_cut_of_[client]) return;
    checkers_.fail("refused though it could have been taken",
                   "c" + std::to_string(client) + " was told \"" + status.to_string() +
                       "\" while " + std::to_string(good.size()) + " nodes could serve it, " +
                       std::to_string(wanted) + " wanted");
  }

  // ---- faults ----

  void faults(Instant end) {
    if (settings_.skews) {
      for (HostId node = 0; node < settings_.nodes; ++node)
        world_.skew(node, random_.between(-120'000, 120'000));
    }
    for (int i = 0; i < 6; ++i) {
      Instant when = world_.now() + Duration::micros(random_.between(200'000, 7'000'000));
      Duration time = Duration::micros(random_.between(50'000, 2'500'000));
      world_.at(when, [=, this] { one_fault(std::min(time, end - world_.now())); });
    }
  }

  void one_fault(Duration time) {
    std::vector<int> kinds;
    for (auto [on, kind] : {std::pair{settings_.kills, 0},
                            {settings_.partitions, 1},
                            {settings_.pauses, 2},
                            {settings_.full_disks, 3},
                            {settings_.power, 4},
                            {settings_.wipes, 5},
                            {settings_.one_way, 6},
                            {settings_.dead_owners, 7}}) {
      if (on) kinds.push_back(kind);
    }
    if (kinds.empty()) return;
    HostId node = random_.below(settings_.nodes);
    switch (kinds[random_.below(kinds.size())]) {
      case 0:
        kill(node, false, time);
        break;
      case 1:
        isolate(node, time);
        break;
      case 2:
        stop(node, time);
        break;
      case 3:
        fill(node, time);
        break;
      case 4:
        cut_power(time);
        break;
      case 5:
        lose_disk(node, time);
        break;
      case 6:
        deafen(node, time);
        break;
      case 7:
        kill_owners(time);
        break;
    }
  }

  void kill(HostId node, bool machine, Duration time) {
    if (!world_.up(node)) return;
    ++report_.crashes;
    bad_now(node);
    world_.crash(node, machine);
    world_.after(time, [this, node] {
      bad_now(node);
      world_.restart(node);
    });
  }

  void kill_owners(Duration time) {
    const auto& preference =
        world_.ring()->preference_list(token_of(carts_[random_.below(carts_.size())]));
    for (std::size_t i = 0; i < world_.ring()->effective_replicas(); ++i)
      kill(world_.host_of(preference[i]), false, time);
  }

  void cut_power(Duration time) {
    for (HostId node = 0; node < settings_.nodes; ++node) kill(node, true, time);
  }

  void lose_disk(HostId node, Duration time) {
    if (!lost_disk_.empty() || !world_.up(node)) return;
    ++report_.crashes;
    lost_disk_.insert(node);
    bad_now(node);
    world_.crash(node, true);
    world_.wipe(node);
    world_.after(time, [this, node] {
      bad_now(node);
      world_.restart(node);
    });
  }

  void stop(HostId node, Duration time) {
    if (!world_.up(node)) return;
    bad_now(node);
    world_.pause(node);
    world_.after(time, [this, node] {
      bad_now(node);
      world_.resume(node);
    });
  }

  void fill(HostId node, Duration time) {
    bad_since_[node] = world_.now();
    world_.disk(node).set_full(true);
    world_.after(time, [this, node] {
      bad_since_[node] = world_.now();
      world_.disk(node).set_full(false);
    });
  }

  void isolate(HostId node, Duration time) { cut(node, time, true); }
  void deafen(HostId node, Duration time) { cut(node, time, false); }

  // One node apart from the other nodes; sometimes a client or two stay with it.
  void cut(HostId node, Duration time, bool both_ways) {
    bad_now(node);
    in_trouble_.insert(node);
    std::set<std::size_t> with_it;
    for (std::size_t client = 0; client < settings_.clients; ++client) {
      if (random_.chance(0.3)) with_it.insert(client);
    }
    for (HostId other = 0; other < settings_.nodes; ++other) {
      if (other == node) continue;
      world_.cut(node, other);
      if (both_ways) world_.cut(other, node);
    }
    for (std::size_t client = 0; client < settings_.clients; ++client) {
      bool with_node = with_it.contains(client);
      for (HostId other = 0; other < settings_.nodes; ++other) {
        if ((other == node) == with_node) continue;
        world_.cut(clients_[client], other);
        if (both_ways) world_.cut(other, clients_[client]);
      }
      if (with_node) last_cut_of_[client] = Instant::never();
    }
    world_.after(time, [this] {
      world_.mend_all();
      for (HostId troubled : in_trouble_) bad_now(troubled);
      in_trouble_.clear();
      for (auto& [client, last] : last_cut_of_) {
        if (last == Instant::never()) last = world_.now() + Duration::seconds(2);
      }
    });
  }

  // ---- the end ----

  void heal_and_check() {
    world_.mend_all();
    world_.set_network({});
    for (HostId node = 0; node < settings_.nodes; ++node) {
      world_.disk(node).set_full(false);
      world_.resume(node);
      world_.restart(node);
    }
    Instant bound = world_.now() + Duration::seconds(30);
    while (world_.now() < bound && hints_left() > 0) world_.run_for(Duration::millis(100));
    if (hints_left() > 0)
      return checkers_.fail("hints that never drain",
                            std::to_string(hints_left()) + " left 30 s after healing");
    // Whatever a put that was not cut short owed its owners, it gave them: before any read repairs it.
    if (settings_.quiet() && settings_.coordination == Coordination::server) {
      world_.run_for(Duration::seconds(3));
      check_equal("hints alone");
    }
    for (int round = 0; round < 3; ++round) read_all();
    world_.run_for(Duration::seconds(5));
    check_equal("read repair");
    for (const Key& cart : carts_) {
      Object all;
      for (HostId node = 0; node < settings_.nodes; ++node) {
        Object stored = world_.stored(node, cart);
        checkers_.on_object(cart, stored, "n" + std::to_string(node + 1) + " at the end");
        sync(all, stored);
      }
      checkers_.at_the_end(cart, all);
    }
  }

  std::size_t hints_left() {
    std::size_t left = 0;
    for (HostId node = 0; node < settings_.nodes; ++node) left += world_.hints_at(node);
    return left;
  }

  void read_all() {
    for (const Key& cart : carts_) {
      ClientCore::Request get;
      get.key = cart;
      get.options.r = static_cast<std::uint8_t>(world_.ring()->effective_replicas());
      world_.submit(clients_[0], std::move(get), [this, &cart](ClientCore::Outcome outcome) {
        if (outcome.reply.status) {
          checkers_.on_object(cart, outcome.reply.object, "a last get");
        } else {
          checkers_.fail("unavailable after healing", outcome.reply.status.to_string());
        }
      });
      world_.run_for(Duration::seconds(3));
    }
  }

  void check_equal(const std::string& by) {
    for (const Key& cart : carts_) {
      const auto& preference = world_.ring()->preference_list(token_of(cart));
      Object first = world_.stored(world_.host_of(preference[0]), cart);
      for (std::size_t i = 1; i < world_.ring()->effective_replicas(); ++i) {
        if (world_.stored(world_.host_of(preference[i]), cart) == first) continue;
        checkers_.fail("owners differ",
                       "after " + by + ": n" + std::to_string(world_.host_of(preference[0]) + 1) +
                           " and n" + std::to_string(world_.host_of(preference[i]) + 1) +
                           " hold different versions of " + printable(cart));
      }
    }
  }

  Random random_;
  Settings settings_;
  World world_;
  Checkers checkers_;
  RunReport report_;
  std::vector<HostId> clients_;
  std::vector<Key> carts_;
  std::vector<Instant> bad_since_, silent_since_;
  std::set<HostId> in_trouble_, lost_disk_;
  std::map<std::size_t, Instant> last_cut_of_;
  std::uint64_t next_item_ = 1;
};

struct BrokenPromise {
  std::string what;
};
[[noreturn]] void throw_promise(const char* file, int line, const char* expression) {
  throw BrokenPromise{std::string(file) + ":" + std::to_string(line) + ": " + expression};
}

}  // namespace

RunReport run_carts(std::uint64_t seed, std::function<void(const std::string&)> trace) {
  AssertHandler former = set_assert_handler(&throw_promise);
  RunReport report;
  try {
    report = CartRun(seed, std::move(trace)).run();
  } catch (const BrokenPromise& broken) {
    report.violation = Violation{"a promise in the code", broken.what};
  }
  set_assert_handler(former);
  return report;
}

}  // namespace ringlet::sim
