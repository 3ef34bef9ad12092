#include "sim/recorder.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

namespace ringlet::sim {
namespace {

struct Lab {
  Recorder recorder;
  World world;
  HostId alice = 0, bob = 0;

  Lab(bool recorded, std::size_t most, NetworkOptions network = {})
      : recorder(most), world(7, network) {
    for (const char* name : {"n1", "n2", "n3", "n4", "n5"}) world.add_node(name);
    if (recorded) recorder.attach(world);
    Ring::Options ring;
    ring.partitions = 8;
    NodeOptions options;
    options.founding_is_agreed = true;
    world.start_cluster(ring, options);
    alice = world.add_client({}, "alice");
    bob = world.add_client({}, "bob");
    world.run_for(Duration::seconds(1));
  }
  ClientCore::Outcome call(HostId client, ClientCore::Kind kind, const std::string& key,
                           const Bytes& value = {}, const Bytes& context = {}) {
    ClientCore::Request request;
    request.kind = kind;
    request.key = {"carts", key};
    request.value = value;
    request.context = context;
    std::optional<ClientCore::Outcome> end;
    std::uint64_t id =
        recorder.begin_call(client, kind == ClientCore::Kind::get ? "get" : "put", request.key);
    world.submit(client, std::move(request),
                 [&](ClientCore::Outcome outcome) { end = std::move(outcome); });
    recorder.end_cause();
    while (!end) REQUIRE(world.step());
    recorder.end_call(id, *end);
    return *end;
  }
};

std::uint64_t troubled(bool recorded) {
  NetworkOptions network;
  network.loss = 0.05;
  network.duplicate = 0.05;
  Recorder recorder(1000);
  World world(3, network);
  for (const char* name : {"a", "b", "c", "d"}) world.add_node(name);
  if (recorded) recorder.attach(world);
  world.start_cluster({}, {});
  HostId client = world.add_client({});
  for (int i = 0; i < 60; ++i) {
    world.after(Duration::millis(50 * i), [&, i] {
      ClientCore::Request request;
      request.kind = i % 2 ? ClientCore::Kind::get : ClientCore::Kind::put;
      request.key = {"", std::to_string(i / 4)};
      world.submit(client, std::move(request), [](const ClientCore::Outcome&) {});
    });
  }
  world.after(Duration::millis(300), [&] { world.crash(0, false); });
  world.after(Duration::millis(900), [&] { world.pause(2); });
  world.after(Duration::millis(1200), [&] { world.resume(2); });
  world.after(Duration::millis(1300), [&] { world.restart(0); });
  world.run_for(Duration::seconds(40));
  if (recorded) {
    CHECK(recorder.records().size() == 1000);
    CHECK(recorder.first() > 1);
  }
  return world.trace_hash();
}

}  // namespace

TEST_CASE("a run with a recorder is the run without one") {
  CHECK(troubled(true) == troubled(false));
}

TEST_CASE("the book knows who wrote what, having seen which") {
  Lab lab(true, 100'000);
  auto first = lab.call(lab.alice, ClientCore::Kind::put, "c", "tea");
  auto read = lab.call(lab.bob, ClientCore::Kind::get, "c");
  lab.call(lab.alice, ClientCore::Kind::put, "c", "milk");  // blind
  lab.call(lab.bob, ClientCore::Kind::put, "c", "tea, rice", read.context);
  const Recorder& book = lab.recorder;
  std::int32_t key = book.find({"carts", "c"});
  REQUIRE(key >= 0);
  REQUIRE(book.writes_of(key).size() == 3);
  const Written& tea = book.writes()[book.writes_of(key)[0]];
  const Written& milk = book.writes()[book.writes_of(key)[1]];
  const Written& rice = book.writes()[book.writes_of(key)[2]];
  CHECK(tea.value == "tea");
  CHECK(tea.client == lab.alice);
  CHECK(tea.id == first.write_id);
  CHECK(tea.acknowledged);
  CHECK(tea.seen.empty());
  CHECK_FALSE(tea.read_at);
  REQUIRE(tea.dots.size() == 1);
  CHECK(lab.world.name_of_host(tea.coordinator) == first.node);
  CHECK(milk.seen.empty());
  CHECK(rice.client == lab.bob);
  CHECK(rice.seen.contains(tea.dots[0]));
  CHECK_FALSE(rice.seen.contains(milk.dots[0]));
  REQUIRE(rice.read_at);
  CHECK(*rice.read_at < *rice.at);
  CHECK(book.epoch_of(key, tea.dots[0].actor) == 1);
}

TEST_CASE("each record but those that time alone led to has its cause, which came before") {
  Lab lab(true, 100'000);
  lab.call(lab.alice, ClientCore::Kind::put, "c", "tea");
  const auto& records = lab.recorder.records();
  REQUIRE(lab.recorder.first() == 1);
  std::size_t of_call = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    CHECK(records[i].cause <= i);
    if (records[i].kind == TraceRecord::Kind::deliver) CHECK(records[i].cause > 0);
    of_call += records[i].request == 1;
    if (records[i].request == 1 && records[i].kind == TraceRecord::Kind::store)
      CHECK(records[i].dots.size() == 1);
  }
  CHECK(of_call >= 10);  // the call, its message, three replicas, the answers
}

TEST_CASE("a message that is lost says why, and a hint is held until its owner has it") {
  Lab lab(true, 100'000);
  for (HostId node = 1; node < 5; ++node) {
    lab.world.cut(0, node);
    lab.world.cut(node, 0);
  }
  lab.world.crash(4, false);
  for (int i = 0; i < 20; ++i) lab.call(lab.alice, ClientCore::Kind::put, std::to_string(i), "tea");
  std::size_t cut = 0, down = 0;
  for (const TraceRecord& record : lab.recorder.records()) {
    if (record.kind != TraceRecord::Kind::lost) continue;
    CHECK(record.cause > 0);
    cut += record.why == Observer::Loss::cut;
    down += record.why == Observer::Loss::down;
  }
  CHECK(cut > 0);
  CHECK(down > 0);
  auto open = [&](std::string_view kind) {
    return std::count_if(lab.recorder.spans().begin(), lab.recorder.spans().end(),
                         [&](const Span& span) { return span.kind == kind && !span.to; });
  };
  CHECK(open("hint") > 0);
  CHECK(open("down") == 1);
  lab.world.mend_all();
  lab.world.restart(4);
  lab.world.run_for(Duration::seconds(20));
  CHECK(open("hint") == 0);
  CHECK(open("down") == 0);
}

TEST_CASE("anti-entropy is told level by level") {
  Lab lab(true, 100'000);
  lab.call(lab.alice, ClientCore::Kind::put, "c", "tea");
  lab.world.run_for(Duration::seconds(120));
  REQUIRE_FALSE(lab.recorder.tree_steps().empty());
  CHECK(lab.recorder.tree_steps().front().level == 0);
  CHECK(lab.recorder.tree_steps().front().answered);
}

}  // namespace ringlet::sim
