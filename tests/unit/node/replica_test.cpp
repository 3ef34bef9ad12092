#include "node/replica.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "base/random.hpp"
#include "bench.hpp"
#include "node/hint_counts.hpp"
#include "node/hint_key.hpp"
#include "node/own_store.hpp"
#include "repair/merkle_tree.hpp"
#include "storage/fault_engine.hpp"
#include "storage/memory_engine.hpp"

namespace ringlet::test {
namespace {

const Key key{"carts", "alice"};

// "[(Sx,2),(Sy,1)]": of actors with different epochs the same node appears twice.
std::string text(const CausalContext& context, const std::vector<Bench*>& nodes) {
  std::string out;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (const auto& entry : context.entries()) {
      if (entry.actor.node != nodes[i]->self()) continue;
      out += std::string(out.empty() ? "" : ",") + "(S" + "xyz"[i] + "," +
             std::to_string(entry.counter) + ")";
    }
  }
  return "[" + out + "]";
}

NodeOptions named(const std::string& name) {
  NodeOptions options;
  options.name = name;
  return options;
}

}  // namespace

TEST_CASE("R4.4-f golden example: D1 to D5 with the exact clocks, through the replicas") {
  Bench sx(3, named("n1")), sy(3, named("n2")), sz(3, named("n3"));
  std::vector<Bench*> all{&sx, &sy, &sz};
  auto give = [](Bench& to, const Object& object) {
    auto outcome = to.replica->merge(replica_put(key, object), to.now);
    REQUIRE(std::holds_alternative<Stored>(outcome.reply));
  };
  Object d1 = sx.minted(mint_put(key, 1)).object;
  CHECK(text(d1.context, all) == "[(Sx,1)]");
  Object d2 = sx.minted(mint_put(key, 2, d1.context)).object;
  CHECK(text(d2.context, all) == "[(Sx,2)]");
  CHECK(d2.versions.size() == 1);
  give(sy, d2);
  give(sz, d2);
  Object d3 = sy.minted(mint_put(key, 3, d2.context)).object;
  CHECK(text(d3.context, all) == "[(Sx,2),(Sy,1)]");
  Object d4 = sz.minted(mint_put(key, 4, d2.context)).object;
  CHECK(text(d4.context, all) == "[(Sx,2),(Sz,1)]");
  give(sx, d3);
  give(sx, d4);
  Object read = sx.got(key);
  CHECK(text(read.context, all) == "[(Sx,2),(Sy,1),(Sz,1)]");
  CHECK(read.versions.size() == 2);
  Object d5 = sx.minted(mint_put(key, 5, read.context)).object;
  CHECK(text(d5.context, all) == "[(Sx,3),(Sy,1),(Sz,1)]");
  CHECK(d5.versions.size() == 1);
  for (Bench* other : {&sy, &sz}) {
    give(*other, d5);
    CHECK(other->got(key) == d5);
  }
}

TEST_CASE("L6 F-14 no dot names two writes, over kills, power losses and empty disks") {
  Bench bench;
  std::set<Dot> dots;
  std::uint64_t write = 0;
  for (int round = 0; round < 24; ++round) {
    for (int i = 0; i < 3; ++i) {
      Dot dot = bench.minted(mint_put(key, ++write, bench.got(key).context)).dot;
      REQUIRE(dot.actor.node == bench.self());
      REQUIRE(dots.insert(dot).second);
    }
    switch (round % 3) {
      case 0:
        bench.restart_after_kill();
        break;
      case 1:
        bench.restart_after_power_loss();
        break;
      case 2:
        bench.close();
        bench.disk.wipe();
        bench.pass(Duration::seconds(1));
        bench.first_epoch = started_at(bench.now.wall_ms);
        bench.open();
    }
  }
  CHECK(dots.size() == 72);
}

TEST_CASE("O-4 a killed process goes on with its actor, so a context stays short") {
  Bench bench;
  Object first = bench.minted(mint_put(key, 1)).object;
  bench.restart_after_kill();
  Minted second = bench.minted(mint_put(key, 2, first.context));
  CHECK(second.dot.actor == first.versions[0].dot.actor);
  CHECK(second.dot.counter == 2);
  CHECK(second.object.context.size() == 1);
}

TEST_CASE(
    "F-15 a peer that knows more of us starts a new incarnation; one that knows less does not") {
  Bench bench;
  Object one = bench.minted(mint_put(key, 1)).object;
  bench.close();
  bench.disk.crash_process();
  sim::SimDisk last_week = bench.disk;
  bench.open();
  Object two = bench.minted(mint_put(key, 2, one.context)).object;
  std::uint64_t incarnation = bench.state->incarnation();
  bench.replica->merge(replica_put(key, one), bench.now);
  bench.replica->merge(replica_put(key, two), bench.now);
  CHECK(bench.state->incarnation() == incarnation);  // nothing that it does not know itself

  bench.close();
  bench.disk = last_week;  // restored, and the engine has not noticed
  bench.open();
  REQUIRE(bench.state->incarnation() == incarnation);
  bench.replica->merge(replica_put(key, two), bench.now);
  CHECK(bench.state->incarnation() > incarnation);
  Dot third = bench.minted(mint_put(key, 3, two.context)).dot;
  CHECK(third.actor != two.versions[0].dot.actor);
  CHECK(third.counter == 1);
  // Of another key as well: what was minted there since last week is unknown.
  Dot other = bench.minted(mint_put({"carts", "bob"}, 4)).dot;
  CHECK(other.actor.epoch >> 1 >= bench.state->incarnation());
}

TEST_CASE("F-60 each hint row has an actor of its own, forgotten with the row") {
  Bench bench;
  NodeId a = Bench::id("n2"), b = Bench::id("n3");
  Minted for_a = bench.minted(mint_put(key, 1, {}, a));
  Minted for_b = bench.minted(mint_put(key, 2, {}, b));
  Minted own = bench.minted(mint_put(key, 3));
  CHECK(for_a.dot.actor != for_b.dot.actor);
  CHECK(for_a.dot.actor != own.dot.actor);
  CHECK(for_b.dot.actor != own.dot.actor);
  CHECK((for_a.dot.actor.epoch & 1) == 1);
  CHECK((own.dot.actor.epoch & 1) == 0);

  // The row lives: one actor, contiguous counters, also over a kill.
  bench.restart_after_kill();
  Minted again = bench.minted(mint_put(key, 4, {}, a));
  CHECK(again.dot.actor == for_a.dot.actor);
  CHECK(again.dot.counter == 2);

  // It is delivered and dropped, and comes back with the old count by way of others.
  REQUIRE(bench.replica->drop_if_same({a, key, again.object}));
  CHECK(*bench.replica->count_hints() == 1);
  bench.replica->merge(replica_put(key, for_a.object, a), bench.now);
  Dot fresh = bench.minted(mint_put(key, 5, {}, a)).dot;
  CHECK(fresh != again.dot);
  CHECK(fresh.actor != for_a.dot.actor);
}

TEST_CASE("F-04 F-60 a hint row that outlives a power loss is counted on by a fresh actor") {
  Bench bench;
  NodeId a = Bench::id("n2");
  Minted first = bench.minted(mint_put(key, 1, {}, a));
  bench.disk.sync();
  // This count is told to others and then lost with the power.
  Minted lost = bench.minted(mint_put(key, 2, {}, a));
  bench.restart_after_power_loss();
  Minted again = bench.minted(mint_put(key, 3, {}, a));
  CHECK(again.object.context.contains(first.dot));
  CHECK(again.dot != lost.dot);
  CHECK(again.dot.actor != first.dot.actor);
}

namespace {

// What the table has, by target.
std::map<NodeId, std::uint64_t> rows_by_target(const sim::SimDisk& disk) {
  std::map<NodeId, std::uint64_t> rows;
  for (const auto& [row, record] : disk.rows(Table::hints)) ++rows[parse_hint_row(row)->target];
  return rows;
}

void check_counts(const Bench& bench) {
  const HintCounts& counts = bench.state->hint_counts();
  auto rows = rows_by_target(bench.disk);
  std::uint64_t total = 0;
  std::vector<NodeId> targets;
  for (const auto& [target, count] : rows) {
    total += count;
    targets.push_back(target);
    CHECK(counts.any_for(target));
  }
  CHECK(counts.targets() == targets);
  CHECK(counts.total() == total);
  std::uint64_t bytes = 0;
  for (const auto& [row, record] : bench.disk.rows(Table::hints))
    bytes += row.size() + record.size();
  CHECK(counts.total_bytes() == bytes);
  CHECK(counts.any() == (total > 0));
  CHECK(*bench.replica->count_hints() == total);
}

}  // namespace

TEST_CASE("O-6 what waits for each owner is known without reading the table, and exactly") {
  Bench bench;
  Random random(7);
  NodeId n5 = Bench::id("n5");
  std::vector<NodeId> targets = {Bench::id("n2"), Bench::id("n3"), Bench::id("n4")};
  std::uint64_t write = 0, most = 0;
  std::size_t most_targets = 0;
  for (int i = 0; i < 2000; ++i) {
    Key key{"carts", "k" + std::to_string(random.below(40))};
    NodeId target = targets[random.below(targets.size())];
    switch (random.below(7)) {
      case 0:  // a hint, new or one more version of it
        bench.minted(mint_put(key, ++write, {}, target));
        break;
      case 1: {
        Object object = object_of(Bench::id("n3"), 1, 1 + random.below(3));
        bench.replica->merge(replica_put(key, object, target), bench.now);
        break;
      }
      case 2:  // an own copy; where its partition moves, a hint for the newcomer beside it
        bench.minted(mint_put(key, ++write));
        break;
      case 3:
        CHECK(bench.replica->keep_hint_of(key, target));
        break;
      case 4: {  // a page of own copies
        std::vector<KeyedObject> page{{key, object_of(Bench::id("n2"), 1, 1 + random.below(3))}};
        auto nothing_more = [](Transaction&) { return Status::ok(); };
        CHECK(
            bench.replica->take_page(bench.ring->partition_of(token_of(key)), page, nothing_more));
        break;
      }
      case 5:  // delivered
        for (NodeId one : {target, n5}) {
          auto hints = bench.replica->hints_for(one, nullptr, 1);
          REQUIRE(hints.is_ok());
          for (const Hint& hint : *hints) CHECK(bench.replica->drop_if_same(hint));
        }
        break;
      case 6:
        if (random.chance(0.9)) break;
        if (i > 1000 && bench.ring->find("n5") == nullptr) bench.let_join("n5");
        if (random.chance(0.5)) break;
        bench.restart_after_kill();
        if (i > 1000) bench.let_join("n5");
    }
    most = std::max(most, bench.state->hint_counts().total());
    most_targets = std::max(most_targets, bench.state->hint_counts().targets().size());
    check_counts(bench);
  }
  CHECK(most > 50);
  CHECK(most_targets == 4);
  std::uint64_t total = bench.state->hint_counts().total();
  bench.disk.set_broken(true);
  CHECK(*bench.replica->count_hints() == total);
}

TEST_CASE("a write that is refused, repeated or in doubt leaves no hint out") {
  HintCounts counts;
  NodeId a = Bench::id("n2"), b = Bench::id("n3");
  {
    HintCounts::Change refused(counts);
    refused.begin();
    refused.adds(a, 10);
    CHECK(counts.any_for(a));  // before anybody can see the row
  }
  CHECK(!counts.any());
  {
    HintCounts::Change repeated(counts);
    for (int run = 0; run < 3; ++run) {
      repeated.begin();
      repeated.adds(a, 10);
    }
    repeated.committed();
  }
  CHECK(counts.total() == 1);
  CHECK(counts.bytes_for(a) == 10);
  {
    HintCounts::Change grows(counts);
    grows.begin();
    grows.resizes(a, 10, 25);
    CHECK(counts.bytes_for(a) == 25);
    grows.begin();
    CHECK(counts.bytes_for(a) == 10);
    grows.resizes(a, 10, 4);
    CHECK(counts.bytes_for(a) == 10);  // never too low
    grows.committed();
    CHECK(counts.bytes_for(a) == 4);
    grows.begin();
    grows.resizes(a, 4, 10);
    grows.committed();
  }
  CHECK(counts.total() == 1);
  {
    HintCounts::Change dropping(counts);
    dropping.begin();
    dropping.drops(a, 10);
    CHECK(counts.any_for(a));  // until nobody can see it any more
    dropping.committed();
  }
  CHECK(!counts.any());
  CHECK(counts.exact());
  {
    HintCounts::Change doubtful(counts);
    doubtful.begin();
    doubtful.adds(b, 10);
    doubtful.perhaps_committed();
  }
  CHECK(counts.any_for(b));
  CHECK(!counts.exact());
}

TEST_CASE("L11 a hint that changed meanwhile is not dropped") {
  Bench bench;
  NodeId a = Bench::id("n2");
  Object first = bench.minted(mint_put(key, 1, {}, a)).object;
  Object second = bench.minted(mint_put(key, 2, {}, a)).object;
  CHECK(bench.replica->drop_if_same({a, key, first}));
  CHECK(*bench.replica->count_hints() == 1);
  auto hints = bench.replica->hints_for(a, nullptr, 10);
  REQUIRE(hints.is_ok());
  REQUIRE(hints->size() == 1);
  CHECK(hints->front().object == second);
  CHECK(bench.replica->drop_if_same({a, key, second}));
  CHECK(*bench.replica->count_hints() == 0);
  CHECK(bench.replica->drop_if_same({a, key, second}));  // gone: no matter
}

TEST_CASE("hints come in pages, in the order of their keys, each owner apart") {
  Bench bench;
  NodeId a = Bench::id("n2"), b = Bench::id("n3");
  for (int i = 0; i < 5; ++i) {
    Key one{"b", std::to_string(i)};
    bench.minted(mint_put(one, static_cast<std::uint64_t>(i) + 1, {}, i == 3 ? b : a));
  }
  auto page = bench.replica->hints_for(a, nullptr, 3);
  REQUIRE(page.is_ok());
  REQUIRE(page->size() == 3);
  CHECK(page->at(2).key.key == "2");
  page = bench.replica->hints_for(a, &page->at(2).key, 3);
  REQUIRE(page->size() == 1);
  CHECK(page->at(0).key.key == "4");
  auto targets = bench.replica->targets();
  REQUIRE(targets.is_ok());
  CHECK(std::set<NodeId>(targets->begin(), targets->end()) == std::set<NodeId>{a, b});
}

TEST_CASE("O-6 a read sees the hints, what is this node's own copy does not") {
  Bench bench;
  Object own = bench.minted(mint_put(key, 1)).object;
  Object hinted = bench.minted(mint_put(key, 2, {}, Bench::id("n2"))).object;
  Object both = bench.got(key);
  CHECK(both.versions.size() == 2);
  CHECK(both.context.covers(hinted.context));
  CHECK(*bench.replica->stored(key) == own);
}

TEST_CASE("F-31 R4.4-g truncation never drops the dot of a living version or the minter's own") {
  NodeOptions options;
  options.truncation.threshold = 3;
  options.truncation.minimum_age_ms = 0;
  Bench bench(4, options);
  // Many who wrote once, at the same time as ours and with actors on both sides of it, so that by age
  // and tie alone ours would go; the oldest of all is still a sibling.
  Object crowd;
  for (std::uint64_t i = 1; i <= 6; ++i) {
    std::int64_t wrote_ms = i == 1 ? 1 : bench.now.wall_ms;
    crowd.context.add(Dot{Actor{NodeId{i}, 2}, 1}, wrote_ms);
    crowd.context.add(Dot{Actor{NodeId{UINT64_MAX - i}, 2}, 1}, bench.now.wall_ms);
  }
  Version old;
  old.dot = Dot{Actor{NodeId{1}, 2}, 1};
  old.write_id = WriteId{1, 1};
  old.value = "tea";
  crowd.versions.push_back(old);
  bench.replica->merge(replica_put(key, crowd), bench.now);
  CHECK(bench.got(key).context.size() == 12);  // only a minter truncates
  Minted minted = bench.minted(mint_put(key, 2));
  CHECK(minted.object.context.size() == 3);
  CHECK(minted.object.context.contains(minted.dot));
  REQUIRE(minted.object.versions.size() == 2);
  for (const Version& version : minted.object.versions) {
    CHECK(minted.object.context.contains(version.dot));
  }
  CHECK(bench.got(key) == minted.object);
}

TEST_CASE("O-3 young entries stay however many they are") {
  NodeOptions options;
  options.truncation.threshold = 3;
  options.truncation.minimum_age_ms = 20'000;
  Bench bench(4, options);
  Object crowd;
  for (std::uint64_t i = 1; i <= 12; ++i) {
    crowd.context.add(Dot{Actor{NodeId{i}, 2}, 1}, bench.now.wall_ms - 1000);
  }
  bench.replica->merge(replica_put(key, crowd), bench.now);
  CHECK(bench.minted(mint_put(key, 1)).object.context.size() == 13);
}

TEST_CASE("F-51 one sibling too many is refused and changes nothing; with the context it goes") {
  NodeOptions options;
  options.max_siblings = 3;
  Bench bench(4, options);
  for (std::uint64_t i = 1; i <= 3; ++i) bench.minted(mint_put(key, i));
  Object before = bench.got(key);
  Status status = bench.refusal(bench.replica->mint(mint_put(key, 4), bench.now));
  CHECK(status.code() == Code::too_many_siblings);
  CHECK_THAT(status.message(), Catch::Contains("at most 3") && Catch::Contains("make 4"));
  CHECK(bench.got(key) == before);
  CHECK(bench.minted(mint_put(key, 4, before.context)).object.versions.size() == 1);
}

TEST_CASE("F-51 siblings of too many bytes are refused likewise; one alone may have more") {
  NodeOptions options;
  options.max_siblings_bytes = 1024;  // the least that may be set
  Bench bench(4, options);
  auto put = [](std::uint64_t id, std::size_t bytes, CausalContext seen = {}) {
    MintPut request = mint_put(key, id, seen);
    request.write.value = Bytes(bytes, 'x');
    return request;
  };
  Object lone = bench.minted(put(1, 1025)).object;
  Status status = bench.refusal(bench.replica->mint(put(2, 1), bench.now));
  CHECK(status.code() == Code::too_many_siblings);
  CHECK_THAT(status.message(), Catch::Contains("at most 1024 bytes of siblings") &&
                                   Catch::Contains("make 2 of 1026 bytes"));
  CHECK(bench.got(key) == lone);
  bench.minted(put(3, 600, lone.context));
  CHECK(bench.minted(put(4, 424)).object.versions.size() == 2);
  CHECK(bench.refusal(bench.replica->mint(put(5, 1), bench.now)).code() == Code::too_many_siblings);
}

TEST_CASE(
    "F-107 siblings that are too many together are merged as far as they fit, and reads say so") {
  Bench bench;
  constexpr int siblings = 10;
  std::vector<Object> each;
  for (int i = 0; i < siblings; ++i) {
    Object one =
        object_of(bench.id("n" + std::to_string(10 + i)), static_cast<std::uint64_t>(i) + 1);
    one.versions[0].value = Bytes(8 << 20, static_cast<char>('a' + i));
    each.push_back(std::move(one));
  }
  std::vector<std::size_t> refused;
  std::vector<std::string> said;
  bench.close();
  bench.options.log = [&](LogLevel, std::string_view, const std::string& text) {
    said.push_back(text);
  };
  bench.open();
  auto merge_all = [&] {
    refused.clear();
    for (std::size_t i = 0; i < each.size(); ++i) {
      auto outcome = bench.replica->merge(replica_put(key, each[i]), bench.now);
      if (std::holds_alternative<Stored>(outcome.reply)) continue;
      CHECK(bench.refusal(outcome).code() == Code::too_many_siblings);
      CHECK_THAT(bench.refusal(outcome).message(), Catch::Contains(std::to_string(48 << 20)));
      refused.push_back(i);
    }
  };
  auto read = [&] { return std::get<ReplicaObject>(bench.replica->get(ReplicaGet{key})); };
  merge_all();
  CHECK(refused.size() == 4);
  CHECK(read().object.versions.size() == 6);
  CHECK(read().left_out == 4);
  merge_all();  // the givers try again
  CHECK(read().left_out == 4);
  // Whatever is stored can be sent.
  CHECK(encode_record(read().object).size() < 64 << 20);
  CHECK(said.size() == 1);
  // A page takes what fits, and says of the rest why not; one that moves in is not held up by it.
  std::uint32_t partition = bench.ring->partition_of(token_of(key));
  std::vector<Result<Object>> held;
  std::vector<KeyedObject> page;
  for (const Object& one : each) page.push_back({key, one});
  REQUIRE(bench.replica->merge_page(partition, page, bench.now, held));
  REQUIRE(held.size() == each.size());
  CHECK(held[0].is_ok());
  CHECK(held[9].status().code() == Code::too_many_siblings);
  CHECK(bench.replica->take_page(partition, page, [](Transaction&) { return Status::ok(); }));
  CHECK(read().object.versions.size() == 6);
  // Whoever writes with what was read makes room, and the rest comes in: nothing is lost.
  Object shown = read().object;
  bench.minted(mint_put(key, 99, shown.context));
  CHECK(read().left_out == 4);
  merge_all();
  CHECK(refused.empty());
  CHECK(read().left_out == 0);
  CHECK(read().object.versions.size() == 5);
}

TEST_CASE("F-107 a read adds hints as far as they fit, and says how many it left out") {
  Bench bench;
  for (int i = 0; i < 3; ++i) {
    Object one =
        object_of(bench.id("n" + std::to_string(10 + i)), static_cast<std::uint64_t>(i) + 1);
    one.versions[0].value = Bytes(20 << 20, static_cast<char>('a' + i));
    NodeId target = i == 0 ? NodeId{} : bench.id("n" + std::to_string(1 + i));
    auto outcome = bench.replica->merge(replica_put(key, one, target), bench.now);
    REQUIRE(std::holds_alternative<Stored>(outcome.reply));
  }
  auto read = std::get<ReplicaObject>(bench.replica->get(ReplicaGet{key}));
  CHECK(read.object.versions.size() == 2);
  CHECK(read.left_out == 1);
}

TEST_CASE("L3 a repeated write id mints nothing") {
  Bench bench;
  Minted first = bench.minted(mint_put(key, 1));
  Minted second = bench.minted(mint_put(key, 1));
  CHECK(second.dot == first.dot);
  CHECK(second.object == first.object);
}

TEST_CASE("L13 a write to the disk has a ticket, also one that changes nothing") {
  Bench bench;
  MintPut put = mint_put(key, 1);
  CHECK(bench.replica->mint(put, bench.now).ticket == 0);  // log, the default
  put.write = a_write(2);
  put.durability = WriteDurability::disk;
  auto minted = bench.replica->mint(put, bench.now);
  CHECK(minted.ticket > bench.disk.open()->durable_up_to());
  bench.restart_after_kill();
  ReplicaPut copy = replica_put(key, object_of(Bench::id("n2"), 3));
  copy.durability = WriteDurability::disk;
  auto first = bench.replica->merge(copy, bench.now);
  auto again = bench.replica->merge(copy, bench.now);  // before the first one is on the platter
  CHECK(first.ticket > 0);
  CHECK(again.ticket > first.ticket);
  copy.durability = WriteDurability::log;
  CHECK(bench.replica->merge(copy, bench.now).ticket == 0);
}

TEST_CASE("a put that names no durability has the node's") {
  NodeOptions options;
  options.coordination.durability = WriteDurability::disk;
  Bench bench(4, options);
  CHECK(bench.replica->mint(mint_put(key, 1), bench.now).ticket > 0);
  MintPut put = mint_put(key, 2);
  put.durability = WriteDurability::buffer;
  CHECK(bench.replica->mint(put, bench.now).ticket == 0);
}

TEST_CASE("L18 F-101 put, read, delete, the same put again: it is done, and nothing is back") {
  Bench bench(3), other(3, named("n2"));
  Object put = bench.minted(mint_put(key, 1)).object;
  MintPut remove = mint_put(key, 2, put.context);
  remove.write.tombstone = true;
  remove.write.value = {};
  Object deleted = bench.minted(remove).object;
  Minted again = bench.minted(mint_put(key, 1));
  CHECK(again.dot == Dot{});
  CHECK(siblings(again.object).empty());
  CHECK(siblings(bench.got(key)).empty());
  // A node that slept executes it late; whichever way the copies meet, it goes.
  Object late = other.minted(mint_put(key, 1)).object;
  CHECK(siblings(late).size() == 1);
  REQUIRE(std::holds_alternative<Stored>(
      bench.replica->merge(replica_put(key, late), bench.now).reply));
  CHECK(siblings(bench.got(key)).empty());
  REQUIRE(std::holds_alternative<Stored>(
      other.replica->merge(replica_put(key, deleted), other.now).reply));
  CHECK(siblings(other.got(key)).empty());
  // Also when it was forgotten and the machine started again.
  bench.now.wall_ms += 1000;
  CHECK(bench.minted(mint_put(key, 1)).dot == Dot{});
}

TEST_CASE("L18 one write id with two values is refused where it can be told") {
  Bench bench(3);
  Object first = bench.minted(mint_put(key, 1)).object;
  MintPut other = mint_put(key, 1);
  other.write.value = "bread";
  Status status = bench.refusal(bench.replica->mint(other, bench.now));
  CHECK(status.code() == Code::invalid_argument);
  CHECK_THAT(status.message(),
             Catch::Contains("carts/alice") && Catch::Contains("one id for each"));
  CHECK(bench.got(key) == first);
  // Nor does a context that has seen the write make another one of it.
  other.seen = first.context;
  CHECK(bench.refusal(bench.replica->mint(other, bench.now)).code() == Code::invalid_argument);
  other.write.value = first.versions[0].value;
  other.write.content_type = "text/plain";
  CHECK(bench.refusal(bench.replica->mint(other, bench.now)).code() == Code::invalid_argument);
  other.write.content_type = first.versions[0].content_type;
  CHECK(bench.minted(other).dot == first.versions[0].dot);
  CHECK(bench.got(key) == first);
}

TEST_CASE(
    "L18 a repetition whose id was forgotten for want of room is refused, a new write never") {
  Bench bench(3);
  Object object = bench.minted(mint_put(key, 1)).object;
  for (std::uint64_t i = 2; i <= 300; ++i) {
    bench.now.wall_ms += 100;
    MintPut put = mint_put(key, i, object.context);
    object = bench.minted(put).object;
  }
  REQUIRE(object.forgotten_ms > 0);
  MintPut again = mint_put(key, 1);
  again.write.age_ms = 29'900;
  Status status = bench.refusal(bench.replica->mint(again, bench.now));
  CHECK(status.code() == Code::invalid_argument);
  CHECK(status.maybe_applied());
  CHECK_THAT(status.message(), Catch::Contains("29 s ago") && Catch::Contains("read the key"));
  CHECK(bench.got(key) == object);
  again = mint_put(key, 299);  // one that is remembered
  again.write.age_ms = 29'900;
  CHECK(bench.minted(again).dot == Dot{});
  // The clock of this node is ahead of those that the notes were made by.
  bench.now.wall_ms += 20'000;
  again = mint_put(key, 1);
  again.write.age_ms = 29'900;
  CHECK(bench.refusal(bench.replica->mint(again, bench.now)).code() == Code::invalid_argument);
  bench.now.wall_ms += 20'000;
  again = mint_put(key, 400);  // first sent after whatever was forgotten
  again.write.age_ms = 5'000;
  CHECK(bench.minted(again).dot.counter > 0);
  CHECK(bench.minted(mint_put(key, 401)).dot.counter > 0);  // new
}

TEST_CASE("L18 a time that no clock can have told does not make a key refuse repetitions") {
  const std::int64_t year_ms = 365 * 86'400'000ll;
  const std::string from =
      GENERATE("a forged context", "the entries of a forged context", "a member");
  CAPTURE(from);
  Bench bench(3);
  Object object = bench.minted(mint_put(key, 1)).object;
  auto replace = [&](std::uint64_t first, std::uint64_t last, bool forged) {
    for (std::uint64_t i = first; i <= last; ++i) {
      bench.now.wall_ms += 100;
      MintPut put = mint_put(key, i, object.context);
      if (forged && from == "a forged context") {
        put.write.above_us = (bench.now.wall_ms + year_ms) * 1000;
      } else if (forged && from == "the entries of a forged context") {
        put.seen.add({Actor{Bench::id("n9"), 1}, 1}, bench.now.wall_ms + year_ms);
      } else if (forged) {
        ReplicaPut copy = replica_put(key, object);
        copy.object.spent.push_back({UINT64_MAX - i, bench.now.wall_ms + year_ms});
        copy.object.forgotten_ms = bench.now.wall_ms + year_ms;
        REQUIRE(std::holds_alternative<Stored>(bench.replica->merge(copy, bench.now).reply));
      }
      object = bench.minted(put).object;
    }
  };
  replace(2, 300, false);
  replace(301, 310, true);
  replace(311, 700, false);
  // The order of the notes is still that of the replacements.
  CHECK(object.is_spent(WriteId{9, 699}));
  CHECK(object.is_spent(WriteId{9, 500}));
  CHECK_FALSE(object.is_spent(WriteId{9, 300}));
  // As ever: what was first sent half a minute after what was forgotten is taken for new.
  MintPut again = mint_put(key, 1);
  again.write.age_ms = 40'000;
  CHECK(bench.refusal(bench.replica->mint(again, bench.now)).code() == Code::invalid_argument);
  bench.now.wall_ms += 40'000;
  again = mint_put(key, 1001);
  again.write.age_ms = 5'000;
  CHECK(bench.minted(again).dot.counter > 0);
}

TEST_CASE("L19 a last-write-wins stamp lies above what is held, and a key stays writable") {
  Bench bench(3);
  MintPut put = mint_put(key, 1);
  put.reconcile = Reconcile::lww;
  put.write.born_us = bench.now.wall_us();
  std::int64_t first = bench.minted(put).object.versions[0].written_us;
  CHECK(first == bench.now.wall_us());
  put.write = a_write(2);
  put.write.born_us = first - 5'000'000;  // of a client whose clock is behind
  CHECK(bench.minted(put).object.versions[0].written_us == first + 1);
  // A context of a stamp that no replica should have taken.
  put.write = a_write(3);
  put.write.above_us = first + 60'001'000;
  CHECK(bench.refusal(bench.replica->mint(put, bench.now)).code() == Code::invalid_argument);
  // The clock was days ahead while a write was taken, and is set right: what follows is taken too.
  const Now right = bench.now;
  bench.now.wall_ms += 12 * 86'400'000ll;
  put.write = a_write(4);
  put.write.born_us = bench.now.wall_us();
  std::int64_t ahead = bench.minted(put).object.versions[0].written_us;
  bench.now = right;
  put.write = a_write(5);
  put.write.born_us = right.wall_us() + 1;
  Object after = bench.minted(put).object;
  CHECK(after.versions[0].write_id == WriteId{9, 5});
  CHECK(after.versions[0].written_us == ahead + 1);
  Object next = lww_object(Bench::id("n2"), a_write(6), ahead + 2);
  CHECK(std::holds_alternative<Stored>(
      bench.replica->merge(replica_put(key, next), bench.now).reply));
  CHECK(bench.got(key).versions[0].write_id == WriteId{9, 6});
}

// Seed 1540 of the swarm: the first write was executed at n2 as well, above what was held there.
TEST_CASE("L19 a copy with a later stamp does not outlive what replaced its write here") {
  Bench bench(3);
  MintPut put = mint_put(key, 1);
  put.reconcile = Reconcile::lww;
  put.write.born_us = bench.now.wall_us();
  std::int64_t seen_us = bench.minted(put).object.versions[0].written_us;
  put.write = a_write(2);
  put.write.born_us = put.write.above_us = seen_us;
  put.write.replaces = {fingerprint(a_write(1).write_id)};
  bench.minted(put);
  Object copy = lww_object(Bench::id("n2"), a_write(1), seen_us + 20'000'000);
  CHECK(std::holds_alternative<Stored>(
      bench.replica->merge(replica_put(key, copy), bench.now).reply));
  Object held = bench.got(key);
  CHECK(held.versions[0].write_id == WriteId{9, 2});
  CHECK(held.versions[0].written_us == seen_us + 20'000'001);
  // Nor one that comes in a page, or is joined into a hint.
  std::vector<KeyedObject> page{
      {key, lww_object(Bench::id("n3"), a_write(1), seen_us + 30'000'000)}};
  std::vector<Result<Object>> joined;
  REQUIRE(
      bench.replica->merge_page(bench.ring->partition_of(token_of(key)), page, bench.now, joined));
  held = bench.got(key);
  CHECK(held.versions[0].write_id == WriteId{9, 2});
  CHECK(held.versions[0].written_us == seen_us + 30'000'001);
  Bench other(3);
  other.now = bench.now;
  NodeId owner = Bench::id("n2");
  Object replaced = held;
  replaced.versions[0].written_us = seen_us + 1;
  for (const ReplicaPut& one : {replica_put(key, replaced, owner), replica_put(key, copy)}) {
    REQUIRE(std::holds_alternative<Stored>(other.replica->merge(one, other.now).reply));
  }
  REQUIRE(other.replica->keep_hint_of(key, owner));
  auto hints = other.replica->hints_for(owner, nullptr, 10);
  REQUIRE(hints.is_ok());
  REQUIRE(hints->size() == 1);
  CHECK((*hints)[0].object.versions[0].write_id == WriteId{9, 2});
  CHECK((*hints)[0].object.versions[0].written_us == seen_us + 20'000'001);
}

TEST_CASE("O-19 F-30 a last-write-wins stamp too far ahead is refused") {
  NodeOptions options;
  options.max_stamp_ahead_ms = 60'000;
  Bench bench(4, options);
  std::int64_t us = bench.now.wall_ms * 1000;
  Object near = lww_object(Bench::id("n2"), a_write(1, "near"), us + 60'000'000);
  Object far = lww_object(Bench::id("n2"), a_write(2, "far"), us + 60'001'000);
  CHECK(std::holds_alternative<Stored>(
      bench.replica->merge(replica_put(key, near), bench.now).reply));
  Status status = bench.refusal(bench.replica->merge(replica_put(key, far), bench.now));
  CHECK(status.code() == Code::invalid_argument);
  CHECK_THAT(status.message(), Catch::Contains("60001") && Catch::Contains("60000"));
  CHECK(bench.got(key).versions[0].value == "near");
  // A stamp at the limit moves it no further: not by a write, nor by what follows it.
  bench.pass(Duration::millis(1));
  CHECK(
      std::holds_alternative<Stored>(bench.replica->merge(replica_put(key, far), bench.now).reply));
  MintPut put = mint_put(key, 3);
  put.reconcile = Reconcile::lww;
  put.write.above_us = us + 60'002'000;
  CHECK(bench.refusal(bench.replica->mint(put, bench.now)).code() == Code::invalid_argument);
  CHECK(bench.got(key).versions[0].value == "far");
  // The key stays writable meanwhile.
  put.write.above_us = 0;
  put.write.born_us = bench.now.wall_us();
  CHECK(bench.minted(put).object.versions[0].written_us == us + 60'001'001);
}

TEST_CASE("F-10 F-11 a failing disk is a refusal, and nothing was changed") {
  std::shared_ptr<FaultEngine> engine = make_fault_engine(make_memory_engine());
  NodeOptions options = named("n1");
  auto state = *NodeState::open(options, started_at(1'700'000'000'000), engine, ring_of(4));
  Replica replica(state);
  Now now{Instant{1}, 1'700'000'000'000};
  REQUIRE(std::holds_alternative<Minted>(replica.mint(mint_put(key, 1), now).reply));
  Object before = *replica.stored(key);
  auto code = [](const Message& reply) {
    auto* refused = std::get_if<Refused>(&reply);
    return refused ? refused->status.code() : Code::ok;
  };
  for (FaultAt at : {FaultAt::read, FaultAt::write, FaultAt::commit}) {
    engine->fail(at, 1, Status(Code::io, "no"), true);
    CHECK(code(replica.mint(mint_put(key, 2), now).reply) == Code::io);
    engine->heal();
    engine->fail(at, 1, Status(Code::io, "no"), true);
    CHECK(code(replica.merge(replica_put(key, object_of(Bench::id("n2"), 3)), now).reply) ==
          Code::io);
    engine->heal();
    CHECK(*replica.stored(key) == before);
  }
  engine->full(true);
  CHECK(code(replica.mint(mint_put(key, 2), now).reply) == Code::unavailable);
  ReplicaGet get;
  get.key = key;
  CHECK(std::holds_alternative<ReplicaObject>(replica.get(get)));
  engine->full(false);
  CHECK(std::holds_alternative<Minted>(replica.mint(mint_put(key, 2), now).reply));
}

TEST_CASE("F-13 a flipped byte in the store is a refusal, never a value") {
  Bench bench;
  bench.minted(mint_put(key, 1));
  auto rows = bench.disk.rows(Table::objects);
  REQUIRE(rows.size() == 1);
  auto [row, record] = *rows.begin();
  for (std::size_t i = 0; i < record.size(); ++i) {
    Bytes flipped = record;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x10);
    REQUIRE(
        bench.state->engine()
            .transact(Durability::log,
                      [&, r = row](Transaction& t) { return t.put(Table::objects, r, flipped); })
            .is_ok());
    ReplicaGet get;
    get.key = key;
    Message reply = bench.replica->get(get);
    auto* refused = std::get_if<Refused>(&reply);
    REQUIRE(refused != nullptr);
    REQUIRE(refused->status.code() == Code::corrupt);
  }
  CHECK(bench.state->counters().corrupt_records == 1);  // one row, known since the first read
}

TEST_CASE("F-13 a damaged copy counts as absent: a merge mends it, a write mints a fresh epoch") {
  NodeOptions options;
  std::vector<std::string> said;
  options.log = [&](LogLevel, std::string_view, std::string_view text) { said.emplace_back(text); };
  Bench bench(4, options);
  Minted first = bench.minted(mint_put(key, 1));
  bench.disk.damage(Table::objects, bench.disk.rows(Table::objects).begin()->first);
  // The owner that has it sends it: the dots of ours in it are no sign that our disk went back.
  std::uint64_t incarnation = bench.state->incarnation();
  auto outcome = bench.replica->merge(replica_put(key, first.object), bench.now);
  REQUIRE(std::holds_alternative<Stored>(outcome.reply));
  CHECK(bench.got(key) == first.object);
  CHECK(bench.state->incarnation() == incarnation);
  CHECK(bench.state->counters().corrupt_records == 1);
  REQUIRE(said.size() == 1);
  CHECK_THAT(said[0], Catch::Contains("carts/alice") && Catch::Contains("damaged"));
  // Its minter is unknown since: the next dot is of a new actor.
  Minted second = bench.minted(mint_put(key, 2, first.object.context));
  CHECK(second.dot.actor.epoch != first.dot.actor.epoch);
  CHECK(siblings(second.object).size() == 1);

  bench.disk.damage(Table::objects, bench.disk.rows(Table::objects).begin()->first);
  Minted third = bench.minted(mint_put(key, 3));
  CHECK(third.dot.counter == 1);
  CHECK(third.dot.actor.epoch != first.dot.actor.epoch);
  CHECK(third.dot.actor.epoch != second.dot.actor.epoch);
  CHECK(bench.got(key) == third.object);
  CHECK(bench.state->counters().corrupt_records == 2);
}

TEST_CASE("a page of a transfer has as many objects of keys that are written often as of others") {
  Bench bench;
  OwnStore store(bench.state);
  std::uint32_t partition = bench.ring->partition_of(token_of(key));
  std::vector<Key> keys;
  for (int i = 0; keys.size() < 20; ++i) {
    Key one{"carts", "k" + std::to_string(i)};
    if (bench.ring->partition_of(token_of(one)) == partition) keys.push_back(one);
  }
  std::uint64_t id = 0;
  std::map<Bytes, CausalContext> seen;
  auto write_all = [&] {
    for (const Key& one : keys) {
      seen[one.key] = bench.minted(mint_put(one, ++id, seen[one.key])).object.context;
    }
  };
  auto in_a_page = [&] {
    auto page = store.copies_of(partition, nullptr, SIZE_MAX, 1000);
    REQUIRE(page.is_ok());
    return page->size();
  };
  write_all();
  std::size_t before = in_a_page();
  CHECK(before >= 4);
  CHECK(before < keys.size());
  for (int i = 0; i < 40; ++i) write_all();
  REQUIRE(bench.got(keys[0]).spent.size() == 40);
  CHECK(in_a_page() == before);
  // No object goes beyond the bytes of a page, but the one that is alone in it.
  for (std::size_t bytes : {1, 200, 500, 1000, 1500}) {
    auto page = store.copies_of(partition, nullptr, SIZE_MAX, bytes);
    REQUIRE(page.is_ok());
    std::size_t all = 0;
    for (const KeyedObject& one : *page) all += size_about(one.key, one.object);
    INFO(bytes);
    REQUIRE_FALSE(page->empty());
    CHECK((all <= bytes || page->size() == 1));
  }
}

TEST_CASE("F-107 while a large value is written, the tree of its partition says so") {
  Bench bench;
  std::uint32_t partition = bench.ring->partition_of(token_of(key));
  bool held = false;
  // The clock is asked last before the commit.
  bench.state->set_clock([&] {
    held = held || bench.state->trees().is_held_long(partition);
    return bench.now.instant;
  });
  bench.minted(mint_put(key, 1));
  CHECK_FALSE(held);
  MintPut large = mint_put(key, 2);
  large.write.value = Bytes(1 << 20, 'x');
  bench.minted(large);
  CHECK(held);
  CHECK_FALSE(bench.state->trees().is_held_long(partition));
}

TEST_CASE("F-13 the tree of a partition is built anew when a damaged copy is met") {
  Bench bench;
  Minted first = bench.minted(mint_put(key, 1));
  OwnStore store(bench.state);
  std::uint32_t partition = bench.ring->partition_of(token_of(key));
  auto build = [&] {
    for (bool complete = false; !complete;) {
      auto built = store.trees().build_page(
          partition, [&](BytesView after, const PartitionTrees::Visit& visit) {
            return store.page(partition, after, 10,
                              [&](BytesView row, const Key& k, const Object& object) {
                                visit(row, key_hash(k), clock_hash(object));
                              });
          });
      REQUIRE(built.is_ok());
      complete = *built;
    }
  };
  build();
  auto whole = store.trees().root(partition);
  CHECK(store.trees().keys(partition) == 1);
  Bytes row = bench.disk.rows(Table::objects).begin()->first;
  bench.disk.damage(Table::objects, row);
  CHECK(bench.replica->stored(key).status().code() == Code::corrupt);
  CHECK(store.trees().wants_pages(partition));
  build();
  CHECK(store.trees().keys(partition) == 0);
  CHECK(store.trees().root(partition) != whole);
  // A page of a transfer mends as a merge does, and the tree is right at once.
  Status stored = store.store_page(partition, {KeyedObject{key, first.object}}, {});
  INFO(stored.to_string());
  REQUIRE(stored.is_ok());
  CHECK(store.trees().root(partition) == whole);
  CHECK(bench.got(key) == first.object);
  // Damaged under a tree that counts it, and mended unseen: only a rebuild can tell.
  bench.disk.damage(Table::objects, row);
  auto outcome = bench.replica->merge(replica_put(key, first.object), bench.now);
  REQUIRE(std::holds_alternative<Stored>(outcome.reply));
  CHECK(store.trees().wants_pages(partition));
  build();
  CHECK(store.trees().root(partition) == whole);
}

TEST_CASE("F-108 F-13 a damaged hint is set aside, and a new one begins under another actor") {
  Bench bench;
  NodeId other = bench.id("n2");
  Dot first = bench.minted(mint_put(key, 1, {}, other)).dot;
  Bytes row = bench.disk.rows(Table::hints).begin()->first;
  bench.disk.damage(Table::hints, row);
  Bytes damaged = bench.disk.rows(Table::hints).at(row);
  CHECK(bench.got(key).missing());  // and no refusal
  Minted second = bench.minted(mint_put(key, 2, {}, other));
  CHECK(second.dot.actor != first.actor);
  CHECK(second.object.versions.size() == 1);
  CHECK(bench.disk.rows(Table::state).at(damaged_hint_row(row)) == damaged);  // as it was found
  CHECK(bench.state->counters().hints_damaged == 1);
  check_counts(bench);
  bench.restart_after_kill();
  CHECK(bench.state->counters().hints_damaged == 1);
  check_counts(bench);
}

TEST_CASE("F-90 no counter that a peer or a client made up closes a key to writes with a context") {
  Bench bench(3);
  constexpr std::uint64_t highest = std::uint64_t{1} << 62;
  Object first = bench.minted(mint_put(key, 1)).object;
  auto writable = [&](const Object& there) {
    ClientContext given = context_of(there, {}, 0);
    auto taken = decode_client_context(encode_client_context(given, key), key);
    REQUIRE(taken.is_ok());
    Object after = bench.minted(mint_put(key, 77, taken->seen)).object;
    CHECK(after.versions.size() == 1);
    CHECK(decode_client_context(encode_client_context(context_of(after, {}, 0), key), key).is_ok());
  };
  SECTION("a copy of a member, beyond what a context may hold") {
    Object absurd = object_of(bench.id("n3"), 7);
    absurd.versions[0].dot.counter = highest + 1;
    absurd.context = {};
    absurd.context.add(absurd.versions[0].dot, 0);
    Status status = bench.refusal(bench.replica->merge(replica_put(key, absurd), bench.now));
    CHECK(status.code() == Code::invalid_argument);
    CHECK_THAT(status.message(), Catch::Contains("at most 2^62"));
    CHECK(bench.got(key) == first);
  }
  SECTION("such a copy in a page: the others of the page are taken") {
    Object absurd = object_of(bench.id("n3"), 7);
    absurd.versions[0].dot.counter = highest + 1;
    absurd.context = {};
    absurd.context.add(absurd.versions[0].dot, 0);
    std::uint32_t partition = bench.ring->partition_of(token_of(key));
    Key other{"", "other"};
    for (int i = 0; bench.ring->partition_of(token_of(other)) != partition; ++i) {
      other.key = "other" + std::to_string(i);
    }
    std::vector<KeyedObject> page{{key, absurd}, {other, object_of(bench.id("n3"), 8)}};
    std::vector<Result<Object>> held;
    REQUIRE(bench.replica->merge_page(partition, page, bench.now, held));
    REQUIRE(held.size() == 2);
    CHECK(held[0].status().code() == Code::invalid_argument);
    CHECK_THAT(held[0].status().message(), Catch::Contains("at most 2^62"));
    CHECK(held[1].is_ok());
    CHECK(bench.got(key) == first);
    CHECK(bench.got(other).versions.size() == 1);
  }
  SECTION("a copy of a member that counts this node's own actor to the highest") {
    Object absurd = first;
    absurd.context.add({first.versions[0].dot.actor, highest}, 0);
    absurd.versions[0].dot.counter = highest;
    REQUIRE(std::holds_alternative<Stored>(
        bench.replica->merge(replica_put(key, absurd), bench.now).reply));
  }
  SECTION("a client's context that counts this node's own actor to the highest") {
    CausalContext seen = first.context;
    seen.add({first.versions[0].dot.actor, highest}, 0);
    Object after = bench.minted(mint_put(key, 2, seen)).object;
    CHECK(after.versions.back().dot.actor != first.versions[0].dot.actor);
  }
  writable(bench.got(key));
}

TEST_CASE(
    "M-12 a replica says what it holds beside a copy, where it is asked and there is something") {
  Bench bench(3);
  auto beside = [&](const Object& object, bool tell) {
    ReplicaPut put = replica_put(key, object);
    put.tell_siblings = tell;
    auto reply = bench.replica->merge(put, bench.now).reply;
    REQUIRE(std::holds_alternative<Stored>(reply));
    return std::get<Stored>(reply).beside;
  };
  Object one = object_of(bench.id("n2"), 1), other = object_of(bench.id("n3"), 1);
  CHECK(beside(one, true).missing());
  CHECK(beside(one, true).missing());  // a repetition changes nothing
  CHECK(beside(other, false).missing());
  Object told = beside(other, true);
  CHECK(told.versions.size() == 2);
  CHECK(told == bench.got(key));
  // A writer that has seen both is told nothing.
  Object both = told;
  CHECK(beside(both, true).missing());
}

TEST_CASE("F-108 damaged and absurd hints stop none of the others") {
  Bench bench;
  NodeId other = bench.id("n2");
  constexpr int hints = 40;
  std::vector<std::string> said;
  bench.close();
  bench.options.log = [&](LogLevel, std::string_view, const std::string& text) {
    said.push_back(text);
  };
  bench.open();
  for (int i = 0; i < hints; ++i) {
    Key each{"carts", "h" + std::to_string(100 + i)};
    bench.minted(mint_put(each, static_cast<std::uint64_t>(i) + 1, {}, other));
  }
  std::vector<Bytes> rows;
  for (const auto& [row, record] : bench.disk.rows(Table::hints)) rows.push_back(row);
  auto write = [&](const Bytes& row, const Bytes& record) {
    auto done = bench.state->engine().transact(Durability::log, [&](Transaction& transaction) {
      return transaction.put(Table::hints, row, record);
    });
    REQUIRE(done.is_ok());
  };
  // The first, the last and half a page in the middle; one with a counter that no minter makes.
  bench.disk.damage(Table::hints, rows.front());
  bench.disk.damage(Table::hints, rows.back());
  for (int i = 10; i < 22; ++i) bench.disk.damage(Table::hints, rows[static_cast<std::size_t>(i)]);
  Object absurd = object_of(bench.id("n3"), 7);
  Dot dot{absurd.versions[0].dot.actor, (std::uint64_t{1} << 63) + 1};
  absurd.versions[0].dot = dot;
  absurd.context = {};
  absurd.context.add(dot, 0);
  write(rows[5], encode_record(absurd));
  bench.restart_after_kill();  // as such rows would be met: by another process
  std::vector<Hint> all;
  while (true) {
    auto page = bench.replica->hints_for(other, all.empty() ? nullptr : &all.back().key, 4);
    INFO(page.status().to_string());
    REQUIRE(page.is_ok());
    if (page->empty()) break;
    for (Hint& hint : *page) all.push_back(std::move(hint));
  }
  constexpr std::size_t bad = 15;
  CHECK(all.size() == hints - bad);
  CHECK(bench.state->counters().hints_damaged == bad);
  CHECK(bench.disk.rows(Table::hints).size() == hints - bad);
  std::size_t kept = 0;
  for (const auto& [row, record] : bench.disk.rows(Table::state)) {
    kept += row.starts_with(damaged_hint_prefix) ? 1 : 0;
  }
  CHECK(kept == bad);
  CHECK(std::count_if(said.begin(), said.end(), [](const std::string& text) {
          return text.find("is damaged") != std::string::npos;
        }) == static_cast<std::ptrdiff_t>(bad));
  check_counts(bench);
  for (const Hint& hint : all) CHECK(bench.replica->drop_if_same(hint));
  CHECK(*bench.replica->count_hints() == 0);
  CHECK(bench.replica->targets()->empty());
}

TEST_CASE("F-108 damaged hints on a disk that takes no writes stop none of the others either") {
  Bench bench;
  NodeId other = bench.id("n2");
  for (int i = 0; i < 20; ++i) {
    Key each{"carts", "h" + std::to_string(100 + i)};
    bench.minted(mint_put(each, static_cast<std::uint64_t>(i) + 1, {}, other));
  }
  bench.disk.damage(Table::hints, bench.disk.rows(Table::hints).begin()->first);
  bench.disk.set_full(true);
  auto hints = bench.replica->hints_for(other, nullptr, 50);
  REQUIRE(hints.is_ok());
  CHECK(hints->size() == 19);
  CHECK(bench.disk.rows(Table::hints).size() == 20);
}

TEST_CASE("O-12 a write to a partition that moves leaves a hint for its new owner") {
  Bench bench(3);
  bench.let_join("n9");
  auto ring = bench.state->ring();
  std::size_t forwarded = 0, moving = 0;
  for (int i = 0; i < 100; ++i) {
    Key each{"carts", "k" + std::to_string(i)};
    std::uint32_t partition = ring->partition_of(token_of(each));
    const auto& list = ring->preference_list(partition);
    auto expected = newcomers_to_tell(bench.self(), {list.begin(), list.begin() + 3},
                                      ring->outgoing(partition), ring->incoming(partition));
    moving += ring->incoming(partition).empty() ? 0 : 1;
    std::size_t before = bench.disk.rows(Table::hints).size();
    Minted minted = bench.minted(mint_put(each, static_cast<std::uint64_t>(i) + 1));
    CHECK(bench.disk.rows(Table::hints).size() - before == expected.size());
    for (NodeId node : expected) {
      auto hints = bench.replica->hints_for(node, nullptr, 1000);
      REQUIRE(hints.is_ok());
      auto its = std::find_if(hints->begin(), hints->end(),
                              [&](const Hint& hint) { return hint.key == each; });
      REQUIRE(its != hints->end());
      CHECK(its->object == minted.object);
      ++forwarded;
    }
    // A copy that comes by merge goes on as well.
    Object more = object_of(bench.id("n2"), 1000 + static_cast<std::uint64_t>(i));
    bench.replica->merge(replica_put(each, more), bench.now);
    for (NodeId node : expected) {
      auto hints = bench.replica->hints_for(node, nullptr, 1000);
      REQUIRE(hints.is_ok());
      auto its = std::find_if(hints->begin(), hints->end(),
                              [&](const Hint& hint) { return hint.key == each; });
      REQUIRE(its != hints->end());
      CHECK(its->object.versions.size() == 2);
    }
  }
  CHECK(moving > 0);
  CHECK(forwarded > 0);
}

}  // namespace ringlet::test
