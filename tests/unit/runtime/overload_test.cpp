// Admission control of the foreground, and what background work hears of it.
#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <thread>

#include "node/upkeep.hpp"
#include "runtime/io_thread.hpp"
#include "runtime/timed_engine.hpp"
#include "storage/fault_engine.hpp"
#include "unit/runtime/cluster.hpp"

namespace ringlet {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using test::Cluster;

// Calls under way and what became of them.
struct Calls {
  std::atomic<int> open{0}, ok{0}, overloaded{0}, other{0};
  std::mutex mutex;
  Status last;  // of those that are neither

  Client::OnDone counting() {
    ++open;
    return [this](Outcome outcome) {
      const Status& status = outcome.reply.status;
      if (status.is_ok()) {
        ++ok;
      } else if (status.code() == Code::overloaded) {
        ++overloaded;
      } else {
        ++other;
        std::lock_guard lock(mutex);
        last = status;
      }
      --open;
    };
  }
  void wait() {
    auto end = steady_clock::now() + std::chrono::seconds(60);
    while (open != 0 && steady_clock::now() < end) std::this_thread::sleep_for(milliseconds(5));
    REQUIRE(open == 0);
  }
};

ClientCore::Request put_of(const Key& key, Bytes value = "v") {
  ClientCore::Request request;
  request.kind = ClientCore::Kind::put;
  request.key = key;
  request.value = std::move(value);
  return request;
}

Key numbered(const char* bucket, int number) {
  return {bucket, std::to_string(number)};
}

}  // namespace

TEST_CASE("F-50 a connection with too many requests under way hears so, and all are served once") {
  ServerLimits limits;
  limits.max_requests_per_connection = 4;
  Cluster cluster(1, 1, limits);
  auto options = cluster.client_options();
  options.timeout = Duration::seconds(20);
  auto client = std::move(*Client::open(options));
  Calls calls;
  for (int i = 0; i < 400; ++i) client->submit(put_of(numbered("many", i)), calls.counting());
  calls.wait();
  CHECK(calls.other == 0);
  CHECK(calls.ok > 0);
  CHECK(calls.ok + calls.overloaded == 400);
  // The limit is gone with what was under way.
  for (int i = 0; i < 20; ++i) CHECK(client->put(numbered("later", i), "v").reply.status.is_ok());
}

TEST_CASE("F-50 bytes of requests under way have a limit of their own, and it is given back") {
  ServerLimits limits;
  limits.max_request_bytes = 100'000;
  Cluster cluster(1, 1, limits);
  auto client = cluster.client();
  Outcome refused = client->put({"big", "one"}, Bytes(150'000, 'v'));
  CHECK(refused.reply.status.code() == Code::overloaded);
  CHECK_THAT(refused.reply.status.message(), Catch::Contains("wanted at most 100000"));
  for (int i = 0; i < 50; ++i) {
    CHECK(client->put(numbered("small", i), Bytes(60'000, 'v')).reply.status.is_ok());
  }
}

TEST_CASE(
    "F-50 thousands at once are each answered or refused once, and the lane is well right after") {
  ServerLimits limits;
  limits.shed_after = Duration::millis(1);
  Cluster cluster(1, 1, limits);
  auto options = cluster.client_options();
  options.timeout = Duration::seconds(5);
  auto client = std::move(*Client::open(options));
  REQUIRE(client->ring(Duration::seconds(5)) != nullptr);
  Calls calls;
  Bytes value(2000, 'v');
  for (int i = 0; i < 8000; ++i) client->submit(put_of(numbered("k", i), value), calls.counting());
  calls.wait();
  CHECK(calls.ok > 0);
  CHECK(calls.ok + calls.overloaded + calls.other == 8000);
  // A client that gave up does not take its requests back: the server comes to them in its time. One
  // more on the same connection, answered or refused, says that all before it were read.
  auto read_by = steady_clock::now() + std::chrono::seconds(60);
  Outcome last;
  do {
    last = client->get(numbered("k", 0));
  } while (last.reply.status.code() == Code::timeout && steady_clock::now() < read_by);
  REQUIRE(last.reply.status.code() != Code::timeout);
  auto drained = [&] {
    return cluster.servers[0]->status_json().find("\"queued\":0") != std::string::npos;
  };
  auto end = steady_clock::now() + std::chrono::seconds(20);
  while (!drained() && steady_clock::now() < end) std::this_thread::sleep_for(milliseconds(5));
  CHECK(drained());
  auto calm = cluster.client();
  for (int i = 0; i < 20; ++i) CHECK(calm->put(numbered("after", i), "v").reply.status.is_ok());
}

TEST_CASE("F-51 a hot key with 64 blind writers does not stall its neighbours") {
  Cluster cluster(3);
  std::vector<std::unique_ptr<Client>> writers;
  for (int i = 0; i < 4; ++i) writers.push_back(cluster.client());
  auto neighbour = cluster.client();
  REQUIRE(neighbour->put({"calm", "warm"}, "v").reply.status.is_ok());

  Calls calls;
  std::atomic<bool> stop{false};
  std::atomic<int> too_many{0}, written{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 64; ++i) {
    threads.emplace_back([&, i] {
      while (!stop) {
        Outcome put = writers[static_cast<std::size_t>(i % 4)]->put({"hot", "key"}, "v");
        if (put.reply.status.is_ok()) ++written;
        if (put.reply.status.code() == Code::too_many_siblings) ++too_many;
      }
    });
  }
  int failed = 0, asked = 0;
  constexpr int seconds = 3;
  auto end = steady_clock::now() + std::chrono::seconds(seconds);
  std::vector<double> times;  // of a get and a put, in milliseconds
  while (steady_clock::now() < end) {
    auto start = steady_clock::now();
    Key key = numbered("calm", asked % 50);
    Outcome got = neighbour->get(key);
    Outcome put = neighbour->put(key, "v", got.context);
    times.push_back(std::chrono::duration<double, std::milli>(steady_clock::now() - start).count());
    failed += !got.reply.status.is_ok() || !put.reply.status.is_ok();
    ++asked;
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  std::sort(times.begin(), times.end());
  double median = times[times.size() / 2];
  double hot_put = 64 * seconds * 1000.0 / std::max(1, written + too_many);  // its mean time
  WARN(written << " blind writes, " << too_many << " refused, " << hot_put
               << " ms each; the neighbour made " << asked << " pairs, median " << median
               << " ms, worst " << times.back() << " ms");
  CHECK(failed == 0);  // none of them had to wait for as long as a client's timeout
  CHECK(asked >= 5);
  // Behind the hot key's writers in one queue, a pair would take as long as two of their puts.
  CHECK(median < hot_put);
  // Nothing acknowledged was dropped to make room.
  Outcome hot = neighbour->get({"hot", "key"});
  REQUIRE(hot.reply.status.is_ok());
  CHECK(static_cast<int>(siblings(hot.reply.object).size()) >= std::min(written.load(), 1000));
  CHECK(siblings(hot.reply.object).size() <= 1000 * 3);
  if (written >= 100) CHECK(cluster.log.text().find("siblings: somebody") != std::string::npos);
}

TEST_CASE("R6.5 the pace hears how long storage took and that it failed") {
  auto faulty = make_fault_engine(make_memory_engine());
  FaultEngine& faults = *faulty;
  Ring::Options ring;
  Member member;
  member.name = "n1";
  member.id = node_id_of("n1");
  member.address = "127.0.0.1:1";
  ring.members.push_back(member);
  NodeOptions options;
  options.name = "n1";
  auto state = open_timed_node(options, std::shared_ptr<StorageEngine>(std::move(faulty)),
                               *Ring::build(ring));
  REQUIRE(state.is_ok());
  Pace& pace = (*state)->upkeep().pace();
  CHECK(pace.report(read_clocks()).failed == 0);
  for (int i = 0; i < 100; ++i) {
    auto slow = (*state)->engine().transact(Durability::log, [](Transaction& transaction) {
      std::this_thread::sleep_for(std::chrono::microseconds(300));
      return transaction.put(Table::objects, "k", "v");
    });
    CHECK(slow.is_ok());
  }
  CHECK(pace.report(read_clocks()).storage_p99 >= Duration::micros(300));
  faults.fail(FaultAt::read, 1, Status(Code::io, "by order of the test"), true);
  CHECK(!(*state)->engine().get(Table::objects, "k").is_ok());
  CHECK(pace.report(read_clocks()).failed == 1);
  // The body's own refusal is no fault of the disk.
  auto refused = (*state)->engine().transact(
      Durability::log, [](Transaction&) { return Status(Code::too_many_siblings, "no"); });
  CHECK(!refused.is_ok());
  CHECK(pace.report(read_clocks()).failed == 1);
}

TEST_CASE("R6.5 the status of a node shows what its pace sees") {
  Cluster cluster(1);
  auto client = cluster.client();
  for (int i = 0; i < 50; ++i) REQUIRE(client->put(numbered("k", i), "v").reply.status.is_ok());
  StatusText status = client->query("", "status", {}, Duration::seconds(5));
  REQUIRE(status.status.is_ok());
  CHECK_THAT(status.json, Catch::Contains("\"pace\":{") && Catch::Contains("\"storage_p99_ms\"") &&
                              Catch::Contains("\"queue_p99_ms\""));
}

}  // namespace ringlet
