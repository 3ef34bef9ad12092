#include "node/node_state.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "bench.hpp"
#include "membership/changes.hpp"
#include "node/upkeep.hpp"
#include "storage/fault_engine.hpp"
#include "storage/memory_engine.hpp"

namespace ringlet::test {
namespace {

const FirstEpoch first = started_at(1'700'000'000'000);

std::uint64_t taken(NodeState& state) {
  REQUIRE(state.prepare_epochs());
  auto epoch = state.fresh_epoch();
  REQUIRE(epoch.is_ok());
  return *epoch;
}

// What the platter says is reserved.
std::uint64_t leased_to(const sim::SimDisk& disk) {
  auto row = disk.rows(Table::state).find("node.epochs");
  REQUIRE(row != disk.rows(Table::state).end());
  return std::stoull(row->second);
}

Status refused(const NodeOptions& options, std::shared_ptr<StorageEngine> engine,
               std::size_t members = 3) {
  auto state = NodeState::open(options, first, std::move(engine), ring_of(members));
  REQUIRE(!state.is_ok());
  return state.status();
}

NodeOptions named(const std::string& name) {
  NodeOptions options;
  options.name = name;
  return options;
}

}  // namespace

TEST_CASE("O-4 F-03 an epoch is never handed out twice, whatever dies between lease and use") {
  NodeOptions options;
  options.epoch_lease = 3;
  Bench bench(4, options);
  std::set<std::uint64_t> used;
  std::uint64_t highest = 0;
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < round % 5; ++i) {  // 0: the lease is taken, and nothing of it used
      std::uint64_t epoch = taken(*bench.state);
      REQUIRE(used.insert(epoch).second);
      REQUIRE(epoch > highest);
      highest = epoch;
      REQUIRE(leased_to(bench.disk) > epoch);
    }
    if (round % 2) {
      bench.restart_after_power_loss();
    } else {
      bench.restart_after_kill();
    }
  }
  CHECK(used.size() == 60);
}

TEST_CASE("O-4 the lease is on the disk before its first epoch is used") {
  Bench bench;
  std::uint64_t before = leased_to(bench.disk);
  bench.close();
  bench.disk.crash_machine();  // only what was synced
  CHECK(leased_to(bench.disk) == before);
}

TEST_CASE(
    "a killed process goes on as the same incarnation, a stopped machine as a new one (F-04)") {
  Bench bench;
  std::uint64_t incarnation = bench.state->incarnation();
  std::uint64_t last = taken(*bench.state);
  bench.restart_after_kill();
  CHECK(bench.state->incarnation() == incarnation);
  bench.restart_after_power_loss();
  CHECK(bench.state->incarnation() > last);
}

TEST_CASE("F-14 F-110 a wiped disk begins above whatever an earlier store of the name has used") {
  Bench bench;
  std::uint64_t begin = bench.first_epoch.value();
  CHECK(bench.state->incarnation() == begin);
  std::uint64_t last = 0;
  for (int i = 0; i < 20; ++i) last = taken(*bench.state);
  bench.close();
  bench.disk.wipe();
  bench.first_epoch = started_at(bench.now.wall_ms + 1000);
  CHECK(bench.first_epoch.value() > last);
  bench.open();
  CHECK(bench.state->incarnation() == bench.first_epoch.value());
  CHECK(taken(*bench.state) > last);
  // A store that remembers is not moved by the clock.
  std::uint64_t incarnation = bench.state->incarnation();
  bench.first_epoch = started_at(bench.now.wall_ms + 3'600'000);
  bench.restart_after_kill();
  CHECK(bench.state->incarnation() == incarnation);
  CHECK(taken(*bench.state) < bench.first_epoch.value());
}

TEST_CASE("F-110 L6 stores that begin at the same moment, or at an earlier one, share no epoch") {
  constexpr std::int64_t second = 1'700'000'000;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> used;
  for (int start = 0; start < 200; ++start) {
    // The clock stands still, goes on, and was put back by an hour.
    std::int64_t wall_ms = second * 1000 + (start % 3 == 1   ? start
                                            : start % 3 == 2 ? -3'600'000
                                                             : 0);
    std::uint64_t begin = started_at(wall_ms).value();
    used.emplace_back(begin, begin + 100);
  }
  std::sort(used.begin(), used.end());
  for (std::size_t i = 1; i < used.size(); ++i) REQUIRE(used[i - 1].second <= used[i].first);
  // Whatever an older release counted from its clock in microseconds lies below.
  CHECK(used.front().first > std::uint64_t{second} * 1'000'000);
}

TEST_CASE("F-110 a clock that nobody has set leaves room for epochs") {
  for (std::int64_t wall_ms : {INT64_MIN, std::int64_t{-1}, std::int64_t{0}, INT64_MAX}) {
    std::uint64_t begin = FirstEpoch(wall_ms, UINT64_MAX).value();
    CHECK(begin > 0);
    CHECK(begin < (std::uint64_t{1} << 63) - (std::uint64_t{1} << 31));  // an actor doubles it
  }
}

TEST_CASE("F-15 a forgotten incarnation stays forgotten over restarts") {
  Bench bench;
  std::uint64_t last = taken(*bench.state);
  REQUIRE(bench.state->forget_incarnation());
  std::uint64_t incarnation = bench.state->incarnation();
  CHECK(incarnation > last);
  CHECK(taken(*bench.state) >= incarnation);
  bench.restart_after_kill();
  CHECK(bench.state->incarnation() == incarnation);
}

TEST_CASE("F-11 a lease that cannot be written hands out nothing; with room it goes on") {
  NodeOptions options;
  options.epoch_lease = 2;
  Bench bench(4, options);
  std::uint64_t last = taken(*bench.state);
  last = taken(*bench.state);
  bench.disk.set_full(true);
  CHECK(bench.state->prepare_epochs().code() == Code::unavailable);
  auto none = bench.state->fresh_epoch();
  REQUIRE(!none.is_ok());
  CHECK(none.status().code() == Code::unavailable);
  CHECK(bench.state->forget_incarnation().code() == Code::unavailable);
  bench.disk.set_full(false);
  std::uint64_t next = taken(*bench.state);
  CHECK(next > last);
  CHECK(leased_to(bench.disk) > next);
}

TEST_CASE("F-112 a node starts on a full disk, reads, and takes writes once there is room") {
  for (bool power_loss : {false, true}) {
    Bench bench;
    Key key{"carts", "alice"};
    std::uint64_t last = bench.minted(mint_put(key, 1)).dot.actor.epoch;
    Object stored = bench.got(key);
    REQUIRE(bench.state->engine().flush());
    bench.close();
    if (power_loss) {
      bench.disk.crash_machine();
    } else {
      bench.disk.crash_process();
    }
    bench.disk.set_full(true);
    bench.open();
    CHECK(bench.got(key) == stored);
    CHECK(bench.refusal(bench.replica->mint(mint_put(key, 2), bench.now)).code() ==
          Code::unavailable);
    CHECK(bench.got(key) == stored);
    bench.disk.set_full(false);
    Minted next = bench.minted(mint_put({"carts", "bob"}, 3));
    CHECK(next.dot.actor.epoch > last);
    bench.restart_after_kill();
    CHECK(bench.got(key) == stored);
  }
  // There is nothing to serve yet, and nowhere to note who this is.
  sim::SimDisk disk;
  disk.set_full(true);
  CHECK(refused(named("n1"), disk.open()).code() == Code::unavailable);
}

// An fsync takes tens of milliseconds on many a disk, and the lane that renews serves requests.
TEST_CASE("O-4 R2.2-a the next lease goes to the disk while there are epochs left of this one") {
  NodeOptions options;
  options.epoch_lease = 100;
  Bench bench(4, options);
  auto flushes = [&] { return bench.state->engine().durable_up_to(); };
  std::uint64_t first = leased_to(bench.disk), last = 0;
  auto before = flushes();
  for (int i = 0; i < 70; ++i) last = taken(*bench.state);
  CHECK(flushes() == before);            // nobody waited
  CHECK(leased_to(bench.disk) > first);  // but the next one is written,
  bench.disk.sync();                     // and reaches the disk
  auto after = flushes();
  for (int i = 0; i < 40; ++i) last = taken(*bench.state);
  CHECK(last > first);
  CHECK(flushes() == after);

  // A disk that takes its time: whoever would use the last quarter waits, for the lease under way.
  auto commits = bench.state->engine().stats().commits;
  while (flushes() == after) {
    last = taken(*bench.state);
    REQUIRE(last < leased_to(bench.disk));
  }
  CHECK(bench.state->engine().stats().commits == commits);  // and writes no other
  std::uint64_t used = last;
  bench.restart_after_power_loss();
  CHECK(taken(*bench.state) > used);
}

TEST_CASE("O-4 F-04 a lease that is written but not on the disk is used by nobody") {
  NodeOptions options;
  options.epoch_lease = 100;
  Bench bench(4, options);
  std::uint64_t first = leased_to(bench.disk), last = 0;
  for (int i = 0; i < 70; ++i) last = taken(*bench.state);
  REQUIRE(leased_to(bench.disk) > first);
  CHECK(last < first);
  bench.restart_after_power_loss();  // the second lease is gone
  CHECK(taken(*bench.state) >= first);
}

TEST_CASE(
    "O-4 more new keys than a lease has epochs: it is renewed before a transaction, never in one") {
  // The disk's engine asserts that nobody calls it from inside a transaction; WiredTiger's would wait
  // for itself for ever.
  NodeOptions options;
  options.epoch_lease = 4;
  Bench bench(4, options);
  for (int i = 0; i < 50; ++i) {
    MintPut put;
    put.key = {"b", "k" + std::to_string(i)};
    put.write.write_id = {1, static_cast<std::uint64_t>(i + 1)};
    put.write.value = "v";
    auto outcome = bench.replica->mint(put, bench.now);
    CHECK(std::holds_alternative<Minted>(outcome.reply));
  }
  CHECK(bench.state->counters().fresh_epochs.load() == 50);
}

TEST_CASE("F-16 a store of another node, an unknown name and a damaged record are refused") {
  using Catch::Contains;
  sim::SimDisk disk;
  REQUIRE(NodeState::open(named("n1"), first, disk.open(), ring_of(3)).is_ok());
  Status other = refused(named("n2"), disk.open());
  CHECK(other.code() == Code::invalid_argument);
  CHECK_THAT(other.message(), Contains("\"n1\"") && Contains("\"n2\""));
  CHECK(disk.rows(Table::state).at("node.name") == "n1");  // untouched

  Status stranger = refused(named("n9"), disk.open());
  CHECK(stranger.code() == Code::invalid_argument);
  CHECK_THAT(stranger.message(), Contains("\"n9\"") && Contains("3 members"));

  for (const char* record : {"", "7", "7 ", "7 x", "x 7", "7 8 9", "-1 2", "7 8\n"}) {
    INFO("\"" << record << "\"");
    auto engine = disk.open();
    REQUIRE(
        engine
            ->transact(Durability::log,
                       [&](Transaction& t) { return t.put(Table::state, "node.epochs", record); })
            .is_ok());
    Status damaged = refused(named("n1"), engine);
    CHECK(damaged.code() == Code::corrupt);
    CHECK_THAT(damaged.message(), Contains("two numbers"));
  }
}

TEST_CASE("F-11 a node does not start on a disk that fails") {
  for (FaultAt at : {FaultAt::read, FaultAt::write, FaultAt::commit}) {
    std::shared_ptr<FaultEngine> engine = make_fault_engine(make_memory_engine());
    engine->fail(at, 1, Status(Code::io, "the disk is gone"), false);
    Status status = refused(named("n1"), engine);
    CHECK(status.code() == Code::io);
    engine->heal();
    CHECK(NodeState::open(named("n1"), first, engine, ring_of(3)).is_ok());
  }
}

TEST_CASE("hints of an earlier process are looked up again") {
  Bench bench;
  Key key = bench.key_of(false);
  CHECK(!bench.state->hint_counts().any());
  bench.replica->merge(replica_put(key, object_of(Bench::id("n2"), 1), Bench::id("n3")), bench.now);
  bench.restart_after_kill();
  CHECK(bench.state->hint_counts().any_for(Bench::id("n3")));
  CHECK(!bench.state->hint_counts().any_for(Bench::id("n2")));
  CHECK(bench.got(key) == object_of(Bench::id("n2"), 1));
}

TEST_CASE("F-46 a view and what is staged are kept in one transaction") {
  Bench bench;
  auto staged = [&] {
    auto row = bench.state->engine().get(Table::state, NodeState::staged_row);
    REQUIRE(row.is_ok());
    return *row;
  };
  Bytes view = bench.state->first_view().encode();
  auto kept = [&] {
    auto row = bench.state->engine().get(Table::state, "membership");
    REQUIRE(row.is_ok());
    REQUIRE(row->has_value());
    return **row;
  };
  REQUIRE(bench.state->keep(bench.state->first_view(), Keep::at_once, Bytes("orders")).is_ok());
  CHECK(staged() == Bytes("orders"));
  REQUIRE(bench.state->keep(bench.state->first_view(), Keep::at_once).is_ok());
  CHECK(staged() == Bytes("orders"));  // says nothing of them
  Changes changes;
  REQUIRE(changes.leave(bench.state->first_view(), "n3").is_ok());
  auto next = changes.commit(bench.state->first_view(), bench.self(), 1000);
  REQUIRE(next.is_ok());
  bench.disk.set_full(true);
  CHECK_FALSE(bench.state->keep(*next, Keep::at_once, Bytes()).is_ok());
  CHECK(staged() == Bytes("orders"));
  CHECK(kept() == view);
  bench.disk.set_full(false);
  REQUIRE(bench.state->keep(*next, Keep::at_once, Bytes()).is_ok());
  CHECK_FALSE(staged().has_value());
  CHECK(kept() == next->encode());
}

TEST_CASE(
    "R6.5 F-04 a view heard of waits for no disk, and reaches it before what is promised by it") {
  Bench bench;
  Changes changes;
  REQUIRE(changes.leave(bench.state->first_view(), "n3").is_ok());
  auto next = changes.commit(bench.state->first_view(), bench.self(), 1000);
  REQUIRE(next.is_ok());
  auto on_platter = [&] { return bench.disk.synced_rows(Table::state).find("membership")->second; };
  Bytes before = on_platter();

  auto flushed = bench.state->engine().durable_up_to();
  REQUIRE(bench.state->keep(*next, Keep::with_what_follows).is_ok());
  CHECK(bench.state->engine().durable_up_to() == flushed);
  CHECK(on_platter() == before);
  bench.restart_after_kill();
  CHECK(bench.state->first_view() == *next);  // the process may die
}

TEST_CASE("F-04 F-46 a view is on the disk no later than what follows it, and an order at once") {
  for (bool synced : {false, true}) {
    Bench bench;
    Changes changes;
    MembershipView old = bench.state->first_view();
    REQUIRE(changes.leave(old, "n3").is_ok());
    auto next = changes.commit(old, bench.self(), 1000);
    REQUIRE(next.is_ok());
    REQUIRE(bench.state->keep(*next, Keep::with_what_follows).is_ok());
    Key key = bench.key_of(true);
    auto outcome = bench.replica->mint(mint_put(key, 1), bench.now);
    REQUIRE(std::holds_alternative<Minted>(outcome.reply));
    if (synced) bench.disk.sync();
    bench.restart_after_power_loss();
    CHECK(bench.state->first_view() == (synced ? *next : old));
    CHECK(bench.got(key).versions.size() == (synced ? 1 : 0));

    REQUIRE(bench.state->keep(*next, Keep::at_once).is_ok());
    bench.restart_after_power_loss();
    CHECK(bench.state->first_view() == *next);
  }
}

TEST_CASE("O-4 lanes that take epochs in transactions do not wait for one that renews the lease") {
  struct Work {
    std::shared_ptr<StorageEngine> engine = make_memory_engine();
    std::shared_ptr<NodeState> state;
    std::atomic<int> ended{0};
    std::atomic<std::uint64_t> taken{0}, failed{0};
  };
  auto work = std::make_shared<Work>();  // a thread that is stuck keeps it
  NodeOptions options = named("n1");
  options.epoch_lease = 8;
  auto opened = NodeState::open(options, first, work->engine, ring_of(3));
  REQUIRE(opened.is_ok());
  work->state = *opened;
  constexpr int lanes = 4, epochs = 2000;
  for (int lane = 0; lane < lanes; ++lane) {
    std::thread([work] {
      for (int i = 0; i < epochs; ++i) {
        if (!work->state->prepare_epochs()) ++work->failed;
        auto done = work->engine->transact(Durability::log, [&](Transaction&) {
          auto epoch = work->state->fresh_epoch();
          if (epoch) ++work->taken;
          return epoch.status();
        });
        // Others may have used up what was left.
        if (!done && done.status().code() != Code::unavailable) ++work->failed;
      }
      ++work->ended;
    }).detach();
  }
  for (int i = 0; i < 6000 && work->ended < lanes; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  REQUIRE(work->ended == lanes);
  CHECK(work->failed == 0);
  CHECK(work->taken > epochs);
  CHECK(work->state->counters().fresh_epochs == work->taken);
}

TEST_CASE("a new cluster has at most 4096 partitions, an older one of more goes on") {
  Ring::Options options;
  options.partitions = 8192;
  options.members = {Member{node_id_of("n1"), "n1", "n1:1", "", 1}};
  auto ring = Ring::build(options);
  REQUIRE(ring.is_ok());
  std::shared_ptr<StorageEngine> engine = make_memory_engine();
  auto refused = NodeState::open(named("n1"), first, engine, *ring);
  REQUIRE_FALSE(refused.is_ok());
  CHECK(refused.status().message().find(
            "cluster.partitions: wanted at most 4096 for a new cluster, got 8192") == 0);
  auto view = MembershipView::found(options);
  REQUIRE(view.is_ok());
  REQUIRE(engine
              ->transact(Durability::log,
                         [&](Transaction& transaction) {
                           return transaction.put(Table::state, "membership", view->encode());
                         })
              .is_ok());
  auto opened = NodeState::open(named("n1"), first, engine, *ring);
  INFO(opened.status().to_string());
  REQUIRE(opened.is_ok());
  CHECK((*opened)->ring()->partitions() == 8192);
}

TEST_CASE(
    "L20 a founding that is not agreed upon is not kept, and a node of one member is at once") {
  std::shared_ptr<StorageEngine> engine = make_memory_engine();
  auto opened = NodeState::open(named("n1"), first, engine, ring_of(3));
  REQUIRE(opened.is_ok());
  CHECK((*opened)->founded_now());
  CHECK((*opened)->upkeep().is_apart());
  CHECK_FALSE((*engine->get(Table::state, "membership")).has_value());
  auto alone = NodeState::open(named("n1"), first, make_memory_engine(), ring_of(1));
  REQUIRE(alone.is_ok());
  CHECK_FALSE((*alone)->upkeep().is_apart());
}

TEST_CASE("F-102 a store refuses a file that says otherwise in what never changes") {
  std::shared_ptr<StorageEngine> engine = make_memory_engine();
  NodeOptions options = named("n1");
  options.founding_is_agreed = true;
  REQUIRE(NodeState::open(options, first, engine, ring_of(3)).is_ok());
  options.said = {{Setting::reconcile, 1}, {Setting::r, 1}};
  auto refused = NodeState::open(options, first, engine, ring_of(3));
  REQUIRE_FALSE(refused.is_ok());
  CHECK(refused.status().message().find(
            "cluster.reconcile: the cluster has \"siblings\", this file \"lww\"") == 0);
  options.said = {{Setting::r, 1}};
  std::string logged;
  options.log = [&](LogLevel, std::string_view, const std::string& text) { logged += text; };
  auto opened = NodeState::open(options, first, engine, ring_of(3));
  REQUIRE(opened.is_ok());
  CHECK((*opened)->value(Setting::r) == 2);
  CHECK(logged.find("cluster.r: the cluster has 2, this file 1") != Bytes::npos);
}

}  // namespace ringlet::test
