#include "run.hpp"

#include <algorithm>

#include "fault.hpp"
#include "law.hpp"
#include "node/hint_key.hpp"
#include "ring/placement.hpp"
#include "versioning/encoding.hpp"
#include "workload.hpp"

namespace ringlet::sim {
namespace {

class Run {
 public:
  Run(const Plan& plan, std::function<void(const std::string&)> trace)
      : plan_(plan),
        random_(plan.seed * 0x9E3779B97F4A7C15ULL + 3),
        world_(random_.next()),
        scene_(plan, world_, plan.nodes + plan.strangers + plan.clients),
        faults_(scene_) {
    world_.on_trace = std::move(trace);
    world_.on_violation = [this](const std::string& what) {
      scene_.fail({Kind::safety, "L16", "exactly one answer, then done", what});
    };
  }

  RunReport run() {
    build();
    Instant start = world_.now();
    scene_.end = start + plan_.length;
    // Streams of their own, so that a smaller plan changes nothing else.
    std::vector<std::uint64_t> seeds;
    for (int i = 0; i < static_cast<int>(WorkloadKind::count); ++i) seeds.push_back(random_.next());
    for (WorkloadKind kind : plan_.workloads) {
      workloads_.push_back(make_workload(kind, scene_, seeds[static_cast<std::size_t>(kind)]));
      workloads_.back()->start();
    }
    faults_.schedule();
    Instant last = scene_.end + plan_.timeout * 2;
    while (world_.now() < last && !scene_.violation) {
      tick();
    }
    if (!scene_.violation) live();
    RunReport report;
    report.violation = scene_.violation;
    report.hash = world_.trace_hash();
    report.operations = scene_.operations;
    report.acknowledged = scene_.acknowledged;
    report.failed = scene_.failed;
    report.events = world_.events();
    report.virtual_us = (world_.now() - start).us;
    report.situations = scene_.situations;
    return report;
  }

 private:
  void tick() {
    constexpr int beats = 10;
    for (int i = 0; i < beats && plan_.strangers > 0; ++i) {
      world_.run_for(Duration::millis(500 / beats));
      for (auto& law : scene_.laws) law->on_beat();
    }
    if (plan_.strangers == 0) world_.run_for(Duration::millis(500));
    for (auto& law : scene_.laws) law->on_tick();
  }

  void build() {
    for (std::size_t i = 0; i < plan_.nodes + plan_.strangers; ++i) {
      std::string zone = plan_.zones > 1 ? "z" + std::to_string(i % plan_.zones + 1) : "";
      world_.add_node("n" + std::to_string(i + 1), zone,
                      i < plan_.weights.size() ? plan_.weights[i] : 1);
    }
    Ring::Options ring;
    ring.cluster = "sim";
    ring.partitions = plan_.partitions;
    ring.replicas = plan_.n;
    NodeOptions options;
    options.coordination.r = plan_.r;
    options.coordination.w = plan_.w;
    options.coordination.durability = plan_.durability;
    options.coordination.reconcile = plan_.reconcile;
    options.fault_detector.retry = plan_.retry;
    options.hints.scan = plan_.scan;
    options.max_siblings = plan_.max_siblings;
    if (plan_.hint_bytes > 0) options.hints.max_bytes = plan_.hint_bytes;
    options.epoch_lease = 8;  // small, so that leases are renewed in a run
    options.spent.most = plan_.most_spent();
    options.spent.most_joined = plan_.most_joined();
    if (plan_.anti_entropy) {
      options.tree_exchange.period = Duration::seconds(1);
      options.tree_exchange.retry = Duration::millis(500);
      options.tree_exchange.rebuild_pause = Duration::seconds(1);
    } else {
      options.tree_exchange.period = Duration::seconds(3600);  // hints and reads must do
    }
    if (plan_.strangers > 0) {
      options.gossip.round = Duration::millis(500);
      options.surplus.scan = Duration::seconds(5);
      options.transfer.longest_pause = Duration::seconds(1);
      if (plan_.slow_moves) {
        // A page is four slices or more, so some five a second: 16 to 64 partitions take seconds.
        options.pace.floor = 5;
        options.pace.most = 20;
        options.pace.slice_bytes = 1024;
      }
    }
    if (plan_.reaping) {
      options.tombstones.grace = plan_.grace;
      options.tombstones.write_life = Duration::millis(1500);
      options.tombstones.settle = Duration::seconds(4);
      options.tombstones.period = Duration::seconds(1);
      options.tombstones.patience = Duration::seconds(1);
    }
    for (HostId node = 0; node < world_.nodes(); ++node) listen(node);
    if (plan_.mixed_files) scene_.odd = plan_.nodes - 1;
    world_.on_options = [this](HostId node, NodeOptions& mine) {
      mine.said[Setting::reconcile] = static_cast<std::uint64_t>(plan_.reconcile);
      if (scene_.odd != node) return;
      bool lww = plan_.reconcile == Reconcile::lww;
      mine.coordination.reconcile = lww ? Reconcile::siblings : Reconcile::lww;
      mine.said[Setting::reconcile] = lww ? 0 : 1;
    };
    if (plan_.zones > 1) scene_.saw(Seen::zone_fallback);
    scene_.laws = all_laws(scene_);
    world_.start_cluster(ring, options, Duration::millis(2), plan_.nodes);
    for (HostId node = plan_.nodes; node < world_.nodes(); ++node) world_.restart(node);
    world_.on_delivery = [this](HostId, HostId to, const Message& message) {
      if (const auto* put = std::get_if<ReplicaPut>(&message)) delivered(to, *put);
      const auto* refused = std::get_if<Refused>(&message);
      if (refused && refused->status.message().find("ahead of this") != std::string::npos)
        scene_.saw(Seen::stamp_refused);
      if (refused && refused->status.message().find("after it was wanted") != std::string::npos)
        scene_.saw(Seen::refused_late);
    };
    ClientOptions client;
    client.cluster = "sim";
    client.coordination = plan_.coordination;
    client.timeout = plan_.timeout;
    client.fault_detector.retry = plan_.retry;
    for (std::size_t i = 0; i < plan_.clients; ++i)
      scene_.clients.push_back(world_.add_client(client));
  }

  void listen(HostId node) {
    SimDisk& disk = world_.disk(node);
    disk.on_written = [this, node](Table table, BytesView row, BytesView record) {
      written(node, table, row, record);
    };
    disk.on_erased = [this, node](Table table, BytesView row, BytesView record) {
      if (table != Table::objects) return;
      auto key = parse_object_row(row);
      auto object = decode_record(record);
      RINGLET_ASSERT(key && object.is_ok());
      scene_.saw(scene_.plan.reaping ? Seen::tombstone_reaped : Seen::surplus_erased);
      for (auto& law : scene_.laws) law->on_erased(node, *key, *object);
    };
    disk.on_hint_dropped = [this, node](BytesView row, BytesView record) {
      auto parsed = parse_hint_row(row);
      auto hint = decode_record(record);
      RINGLET_ASSERT(parsed && hint.is_ok());
      HostId owner = world_.host_of(parsed->target);
      for (auto& law : scene_.laws) law->on_hint_dropped(node, owner, parsed->key, *hint);
    };
  }

  void written(HostId node, Table table, BytesView row, BytesView record) {
    if (table == Table::state) {
      if (row == "node.epochs")
        scene_.saw(world_.up(node) ? Seen::epoch_lease_renewed : Seen::incarnation_begun);
      return;
    }
    std::optional<Key> key;
    if (table == Table::objects) {
      key = parse_object_row(row);
    } else if (auto parsed = parse_hint_row(row)) {
      key = std::move(parsed->key);
    }
    auto object = decode_record(record);
    RINGLET_ASSERT(key && object.is_ok());
    for (auto& law : scene_.laws) law->on_stored(node, table, *key, *object);
  }

  void delivered(HostId to, const ReplicaPut& put) {
    if (put.hint_for || to >= world_.nodes() || put.object.versions.empty()) return;
    Object held = world_.stored(to, put.key);
    if (held.missing()) return;
    if (plan_.reconcile == Reconcile::lww) {
      const Version &a = held.versions[0], &b = put.object.versions[0];
      if (a.written_us == b.written_us && a.write_id != b.write_id) scene_.saw(Seen::stamp_tied);
    } else if (held.context.covers(put.object.context)) {
      scene_.saw(Seen::hint_delivered_twice);
    }
  }

  // ---- liveness ----

  void late(const char* id, const char* law, const std::string& what) {
    scene_.fail({Kind::liveness, id, law, what});
  }

  void live() {
    if (scene_.odd) {
      world_.crash(*scene_.odd, false);  // and starts again with its file corrected
      scene_.odd.reset();
    }
    faults_.heal();
    if (plan_.strangers > 0) ring_settles();
    opinions_mend();
    hints_drain();
    world_.run_for(Duration::seconds(3));
    for (auto& law : scene_.laws) {
      if (!scene_.violation) law->hints_are_gone();
    }
    if (!scene_.violation && plan_.anti_entropy) trees_agree();
    if (scene_.violation) return;
    for (int round = 0; round < 3 && !scene_.violation; ++round) read_all();
    write_all();
    world_.run_for(Duration::seconds(6));
    if (plan_.reaping && !scene_.violation) deletes_are_forgotten();
    if (plan_.strangers > 0 && !scene_.violation) ring_settles();
    for (auto& law : scene_.laws) {
      if (!scene_.violation) law->at_the_end();
    }
  }

  // A node that is asked again within one retry period answers (R4.8.3-a).
  void opinions_mend() {
    Instant bound = world_.now() + plan_.retry + Duration::seconds(1);
    auto wrong = [&]() -> std::string {
      for (HostId node = 0; node < world_.nodes(); ++node) {
        const Node* running = world_.node(node);
        if (running == nullptr) return world_.name_of_host(node) + " does not run";
        if (!scene_.is_member(node)) continue;
        for (NodeId down : running->health().down()) {
          if (scene_.ring()->find(down) == nullptr) continue;
          return world_.name_of_host(node) + " still believes " +
                 world_.name_of_host(world_.host_of(down)) + " gone";
        }
      }
      return {};
    };
    while (world_.now() < bound && !wrong().empty()) world_.run_for(Duration::millis(50));
    if (std::string text = wrong(); !text.empty())
      late("L9", "a detector asks again within one period", text + " after healing");
  }

  void hints_drain() {
    Instant bound = world_.now() + plan_.scan * 10 + Duration::seconds(1);
    // A stamp of a clock that ran ahead is refused until the others have caught up (O-19).
    bool clocks = plan_.has(FaultKind::skew) || plan_.has(FaultKind::clock_jump);
    if (clocks && plan_.reconcile == Reconcile::lww) bound = bound + Duration::seconds(800);
    if (plan_.slow_moves) {  // five slices a second, a hint takes two
      std::size_t most = 0;
      for (HostId node = 0; node < world_.nodes(); ++node)
        most = std::max(most, world_.hints_at(node));
      bound = bound + Duration::millis(400) * static_cast<std::int64_t>(most);
    }
    auto left = [&]() -> std::string {
      for (HostId node = 0; node < world_.nodes(); ++node) {
        const Rows& hints = world_.disk(node).rows(Table::hints);
        if (scene_.gone.contains(node) || hints.empty()) continue;
        auto hint = parse_hint_row(hints.begin()->first);
        RINGLET_ASSERT(hint.has_value());
        return world_.name_of_host(node) + " still holds " + std::to_string(hints.size()) +
               " hints, the first for " + world_.name_of_host(world_.host_of(hint->target)) +
               " of " + printable(hint->key);
      }
      return {};
    };
    while (world_.now() < bound && !left().empty()) world_.run_for(Duration::millis(100));
    if (std::string what = left(); !what.empty())
      late("L8", "hints drain within ten periods", what);
  }

  // Who has less than its weight is due, or more; "": nobody (F-40).
  std::string short_of_its_share(const Ring& ring) const {
    std::vector<PlacementNode> nodes;
    for (const Member& member : ring.members()) nodes.push_back({member.weight, member.zone});
    auto shares = weighted_shares(nodes, ring.partitions(), ring.replicas());
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const Member& member = ring.members()[i];
      auto owns = std::count(ring.owners().begin(), ring.owners().end(), member.id);
      if (owns + 1 < shares[i] || owns > shares[i] + 1)
        return member.name + " owns " + std::to_string(owns) + " partitions, its share is " +
               std::to_string(shares[i]);
    }
    return {};
  }

  // Joins, leaves and transfers finish: one ring at rest in which each has its share, and nobody holds
  // what is not its own.
  void ring_settles() {
    Instant bound = world_.now() + Duration::seconds(180);
    auto wrong = [&]() -> std::string {
      auto ring = scene_.ring();
      if (ring->moving()) return "partitions are still moving";
      for (HostId node = 0; node < world_.nodes(); ++node) {
        if (!scene_.is_member(node)) continue;
        NodeState* state = world_.state(node);
        if (state == nullptr) return world_.name_of_host(node) + " does not run";
        if (!state->ring() || state->ring()->digest() != ring->digest())
          return world_.name_of_host(node) + " has another ring than the others";
      }
      if (std::string uneven = short_of_its_share(*ring); !uneven.empty()) return uneven;
      return surplus(scene_);
    };
    std::string why = wrong();
    while (world_.now() < bound && !why.empty() && !scene_.violation) {
      tick();
      why = wrong();
    }
    if (!why.empty()) late("L12", "joins, leaves and transfers finish", why + " after 180 s");
  }

  // Healed, every delete that nothing later covers goes within a few walks; what is created again
  // after that stays (L10).
  void deletes_are_forgotten() {
    Instant bound = world_.now() + Duration::seconds(60) + plan_.grace * 2;
    auto left = [&] {
      std::size_t count = 0;
      for (HostId node = 0; node < world_.nodes(); ++node) {
        for (const auto& [row, record] : world_.disk(node).rows(Table::objects)) {
          auto object = decode_record(record);
          RINGLET_ASSERT(object.is_ok());
          count += shown(*object).versions.empty() ? 1 : 0;
        }
      }
      return count;
    };
    while (world_.now() < bound && left() > 0 && !scene_.violation)
      world_.run_for(Duration::seconds(1));
    if (std::size_t count = left())
      return late("L10", "deletes are forgotten once every owner has them",
                  std::to_string(count) + " tombstones are left");
    Random random(plan_.seed + 1);
    std::size_t client = 0;
    for (const auto& [key, ids] : scene_.book.by_key()) {
      if (key.bucket != "deletes" || client >= 12) continue;
      again_.push_back(key);
      ++client;
    }
    for (const Key& key : again_) {
      Scene::Put put;
      put.key = key;
      put.value = "again";
      scene_.put(client++ % plan_.clients, std::move(put), random,
                 [](const ClientCore::Outcome&) {});
    }
    world_.run_for(Duration::seconds(8));
  }

  // Trees alone make owners equal, in two cycles: a period for each peer, a quarter more or less.
  void trees_agree() {
    bool clocks = plan_.has(FaultKind::skew) || plan_.has(FaultKind::clock_jump);
    auto peers = static_cast<std::int64_t>(world_.nodes());
    Instant bound = world_.now() + Duration::millis(1250) * (2 * peers) + Duration::seconds(2);
    // Five slices of 1 KiB a second for trees, at both ends of an exchange: a cycle takes longer.
    if (plan_.slow_moves) bound = bound + Duration::seconds(60);
    // A stamp from the future is refused until the clocks have caught up.
    if (clocks && plan_.reconcile == Reconcile::lww) bound = bound + Duration::seconds(800);
    while (world_.now() < bound && !difference(scene_).empty())
      world_.run_for(Duration::millis(500));
    if (std::string what = difference(scene_); !what.empty())
      late("L8", "anti-entropy makes owners equal in two cycles", what);
  }

  void read_all() {
    std::size_t client = 0;
    for (const auto& [key, ids] : scene_.book.by_key()) {
      RequestOptions options;
      options.r = static_cast<std::uint8_t>(scene_.owners());
      scene_.get(client++ % plan_.clients, key, options, false,
                 [this, key = key](const ClientCore::Outcome& outcome) {
                   // A client's table may still be the one of before.
                   bool older =
                       plan_.strangers > 0 && outcome.reply.status.code() == Code::invalid_argument;
                   if (!outcome.reply.status && !older)
                     late("L9", "served after healing", outcome.reply.status.to_string());
                 });
    }
    world_.run_for(Duration::seconds(4));
  }

  // Each client can write again.
  void write_all() {
    Random random(plan_.seed);
    for (std::size_t client = 0; client < plan_.clients; ++client) {
      Scene::Put put;
      put.key = {"after", "c" + std::to_string(client)};
      put.value = "healed";
      scene_.put(client, std::move(put), random, [this](const ClientCore::Outcome& outcome) {
        if (!outcome.reply.status)
          late("L9", "served after healing", outcome.reply.status.to_string());
      });
    }
    world_.run_for(Duration::seconds(1));
  }

  const Plan& plan_;
  Random random_;
  World world_;
  Scene scene_;
  Faults faults_;
  std::vector<Key> again_;  // created after their deletes were forgotten
  std::vector<std::unique_ptr<Workload>> workloads_;
};

struct BrokenPromise {
  std::string what;
};
[[noreturn]] void throw_promise(const char* file, int line, const char* expression) {
  throw BrokenPromise{std::string(file) + ":" + std::to_string(line) + ": " + expression};
}

}  // namespace

RunReport run_plan(const Plan& plan, std::function<void(const std::string&)> trace) {
  AssertHandler former = set_assert_handler(&throw_promise);
  RunReport report;
  try {
    report = Run(plan, std::move(trace)).run();
  } catch (const BrokenPromise& broken) {
    report.violation = Violation{Kind::crash, "crash", "a promise in the code", broken.what};
  } catch (const std::exception& error) {
    report.violation = Violation{Kind::crash, "crash", "an exception nobody threw", error.what()};
  }
  set_assert_handler(former);
  return report;
}

}  // namespace ringlet::sim
