// ringlet.hpp on a real cluster: owners, results, the exceptions of one's own functions, and futures. What the calls do
// is tested in C; that C++ has every call, by complete.sh.
#include <ringlet/ringlet.hpp>

#include <catch2/catch.hpp>
#include <chrono>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ringlet::Answer;
using ringlet::Client;
using ringlet::Cluster;
using ringlet::Key;
using ringlet::Reply;
using ringlet::Result;

constexpr Key cart{"carts", "alice"};

std::set<std::string> words(const Reply& siblings) {
  std::set<std::string> all;
  for (const ringlet::Sibling& sibling : siblings.siblings()) {
    std::istringstream text(sibling.value.str());
    for (std::string word; text >> word;) all.insert(word);
  }
  return all;
}
Answer union_of(const Reply& siblings) {
  std::string out;
  for (const std::string& word : words(siblings)) out += (out.empty() ? "" : " ") + word;
  return out;
}
std::string only(const Reply& reply) {
  REQUIRE(reply.value().has_value());
  return reply.value()->str();
}

TEST_CASE("values and contexts go in and out as they are") {
  Cluster cluster = Cluster::start(3).value();
  Client client = cluster.connect().value();
  CHECK(client.get(cart).value().missing());
  CHECK_FALSE(client.get(cart).value().value().has_value());

  const std::vector<std::uint8_t> bytes = {0, 255, 10, 0};
  client.put(cart, bytes, {}, {.content_type = "application/octet-stream"}).value();
  Reply first = client.get(cart).value();
  REQUIRE(first.size() == 1);
  CHECK(*first.value() == ringlet::BytesView(bytes));
  CHECK(first[0].content_type == "application/octet-stream");
  CHECK(first[0].dot.size() == 24);
  CHECK(std::chrono::abs(std::chrono::system_clock::now() - first[0].written) < 60s);
  CHECK(first.value()->bytes()[1] == std::byte{255});

  // A write with the context follows, one without it stands beside.
  client.put(cart, "tea", first.context()).value();
  client.put(cart, "milk").value();
  Reply both = client.get(cart).value();
  CHECK(both.conflict());
  CHECK(words(both) == std::set<std::string>{"tea", "milk"});
  CHECK_FALSE(both.value().has_value());
  CHECK(ringlet::compare(first.context(), both.context()).value() == ringlet::Order::before);
  CHECK(ringlet::describe_context(cart, both.context()).value().find("\"seen\"") !=
        std::string::npos);

  client.erase(cart, both.context()).value();
  CHECK(client.get(cart).value().missing());

  client.put({"carts", "bob"}, "salt").value();
  const std::vector<Key> keys = {cart, {"carts", "bob"}};
  const std::vector<Result<Reply>> all = client.multi_get(keys);
  REQUIRE(all.size() == 2);
  CHECK(all[0].value().missing());
  CHECK(only(all[1].value()) == "salt");
  // A key that cannot be sent: none is asked for, and each says why.
  const std::vector<Key> wrong = {cart, {"carts", ""}};
  for (const Result<Reply>& each : client.multi_get(wrong))
    CHECK(each.error().message().find("keys[1]") != std::string_view::npos);
}

TEST_CASE("a failed call says why, and only value() throws") {
  Result<ringlet::Options> options = ringlet::Options::of({{"client.seed", "x:1"}});
  REQUIRE_FALSE(options);
  CHECK(options.error().status() == RINGLET_UNKNOWN_OPTION);
  CHECK(options.error().message().find("client.seeds") != std::string_view::npos);
  CHECK(options.error().name() == "UNKNOWN_OPTION");
  CHECK_THROWS_AS(options.value(), ringlet::Failure);

  Client unreachable = Client::connect("127.0.0.1:1").value();
  const Result<Reply> put = unreachable.put(cart, "tea", {}, {.timeout = 200ms});
  REQUIRE_FALSE(put);
  CHECK(put.error().status() / 100 == 2);
  CHECK(put.error().retryable());
  CHECK_FALSE(put.error().maybe_applied());
  CHECK(put.error().details().find("write_id") != std::string::npos);
  try {
    put.value();
    FAIL("value() of a failed call returned");
  } catch (const ringlet::Failure& failure) {
    CHECK(failure.error().status() == put.error().status());
    CHECK(failure.what() == put.error().message());
  }
}

TEST_CASE("what is empty answers, and what is copied owns the same") {
  Client empty;
  CHECK(empty.get(cart).error().status() == RINGLET_INVALID_ARGUMENT);
  CHECK(Client(empty).close().error().status() == RINGLET_INVALID_ARGUMENT);
  CHECK(Reply().missing());
  CHECK(Reply().context().empty());
  CHECK_FALSE(Reply().value().has_value());
  CHECK(ringlet::Node().address().empty());

  const int before = ringlet::has("debug.live_handles");
  {
    Cluster cluster = Cluster::start(1).value();
    Client first = cluster.connect().value();
    Client second = first;
    Client moved = std::move(first);
    CHECK(first.get(cart).error().status() == RINGLET_INVALID_ARGUMENT);
    moved = second;
    moved.put(cart, "tea").value();
    Reply reply = second.get(cart).value();
    Reply copy = reply;
    reply = Reply();
    second.close().value();
    CHECK(moved.get(cart).error().status() == RINGLET_CLOSED);
    CHECK(only(copy) == "tea");  // a reply outlives its client
  }
  CHECK(ringlet::has("debug.live_handles") == before);
}

TEST_CASE("an update edits once and merges what it met") {
  Cluster cluster = Cluster::start(3).value();
  Client client = cluster.connect().value();
  client.put(cart, "tea").value();
  client.put(cart, "milk").value();
  int edits = 0;
  const Reply reply = client
                          .update(
                              cart,
                              [&](const Reply& siblings) {
                                ++edits;
                                client.put(cart, "rye").value();  // a rival
                                std::string out;
                                for (const std::string& word : words(siblings)) out += word + " ";
                                return out + "salt";
                              },
                              union_of)
                          .value();
  CHECK(edits == 1);
  CHECK(reply.merged());
  CHECK(only(reply) == "milk rye salt tea");

  CHECK(client.update(cart, [](const Reply&) { return Answer::erase(); }).value().missing());
  CHECK(client.update(cart, [](const Reply&) { return Answer::keep(); }).value().missing());
  const auto failed = client.update(cart, [](const Reply&) { return Answer::fail("sold out"); });
  REQUIRE_FALSE(failed);
  CHECK(failed.error().status() == RINGLET_MERGE_FAILED);
  CHECK(failed.error().message().find("sold out") != std::string_view::npos);
}

TEST_CASE("an exception of the edit or the merge comes out of the update as itself") {
  struct Mine {
    int number;
  };
  Cluster cluster = Cluster::start(1).value();
  Client client = cluster.connect().value();
  try {
    (void)client.update(cart, [](const Reply&) -> Answer { throw Mine{7}; });
    FAIL("the exception was lost");
  } catch (const Mine& mine) {
    CHECK(mine.number == 7);
  }
  CHECK(client.get(cart).value().missing());  // out of the edit: nothing was written

  try {
    (void)client.update(
        cart,
        [&](const Reply&) {
          client.put(cart, "milk").value();
          return "tea";
        },
        [](const Reply&) -> Answer { throw Mine{8}; });
    FAIL("the exception was lost");
  } catch (const Mine& mine) {
    CHECK(mine.number == 8);
  }
  // Out of the merge: the edit is written.
  CHECK(words(client.get(cart).value()) == std::set<std::string>{"tea", "milk"});
}

TEST_CASE("documents are edited and read by their paths") {
  Cluster cluster = Cluster::start(3).value();
  Client client = cluster.connect().value();
  ringlet::Edits edits;
  edits.increment({"items", "tea"}, 2).increment({"items", "milk"});
  edits.add({"coupons"}, "SUMMER")
      .add({"coupons"}, 7)
      .enable({"gift"})
      .set({"note"}, "by the door");
  edits.set_all({"notes"}, 1.5).increment({"tea"}, 40);
  CHECK(edits.size() == 8);
  client.edit(cart, edits).value();
  const Reply reply = client.edit(cart, ringlet::Edits().increment({"items", "tea"}, -1)).value();

  const auto document = ringlet::Document::read(reply).value();
  CHECK(document.counter({"items", "tea"}) == 1);
  CHECK(document.counter({"items", "milk"}) == 1);
  CHECK(document.counter({"tea"}) == 40);  // a name of another depth is another field
  CHECK(document.counter({"items", "salt"}) == 0);
  CHECK(document.counter({"milk"}) == 0);
  CHECK(document.enabled({"gift"}));
  CHECK_FALSE(document.enabled({"items"}));
  CHECK(document.find({"note"})->value.text() == "by the door");
  CHECK(document.find({"items"})->type == RINGLET_MAP);
  CHECK_FALSE(document.find({"items", "tea", "more"}));
  REQUIRE(document.elements({"coupons"}).size() == 2);
  CHECK(document.elements({"notes"}).at(0).real() == 1.5);
  CHECK(document.elements({"items"}).empty());
  const auto parsed = ringlet::Document::parse(*reply.value()).value();
  CHECK(parsed.size() == document.size());
  CHECK_FALSE(ringlet::Document::parse("no document"));

  // The first edit that is refused is kept, and nothing is sent.
  ringlet::Edits wrong;
  wrong.increment({}, 1).increment({"tea"}, 1);
  REQUIRE(wrong.error().has_value());
  CHECK(client.edit(cart, wrong).error().status() == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet::Document::read(client.get(cart).value()).value().counter({"tea"}) == 40);

  // What a program of before wrote is taken over by an update of one's own.
  const Key old{"carts", "bob"};
  client.put(old, "tea").value();
  const auto taken_over = [](const Reply& siblings) {
    ringlet::Edits held;
    held.add({"items"}, siblings[0].value.text());
    const std::vector<std::pair<std::size_t, ringlet::BytesView>> taken = {{0, held.bytes()}};
    return Answer(ringlet::Document::take_over(siblings, taken, {}).value());
  };
  client.update(old, taken_over, {.content_type = "application/vnd.ringlet.document"}).value();
  const auto now = ringlet::Document::read(client.get(old).value()).value();
  CHECK(now.elements({"items"}).at(0) == ringlet::Scalar("tea"));
}

TEST_CASE("a queue brings each request to one end") {
  Cluster cluster = Cluster::start(3).value();
  Client client = cluster.connect().value();
  ringlet::Queue queue = ringlet::Queue::open().value();
  CHECK(queue.fd() >= 0);
  CHECK(queue.drain(0ms).value().empty());
  std::thread waker([&] { queue.wake(); });
  CHECK(queue.drain(10s).value().empty());
  waker.join();

  using Kind = ringlet::Request::Kind;
  const std::vector<ringlet::Request> requests = {
      {.kind = Kind::put, .key = cart, .value = "tea", .tag = 1},
      {.kind = Kind::put, .key = {"carts", ""}, .value = "tea", .tag = 2},
      {.kind = Kind::update, .key = {"carts", "bob"}, .tag = 3}};
  // The second one's key is wrong, so none is sent.
  CHECK(queue.submit(client, requests).error().status() == RINGLET_INVALID_ARGUMENT);
  queue.submit(client, requests[0]).value();
  queue.submit(client, requests[2]).value();
  std::set<std::uint64_t> ended;
  while (ended.size() < 2) {
    for (ringlet::Event& event : queue.drain(10s).value()) {
      if (event.done) {
        CHECK(event.result.has_value());
        CHECK(ended.insert(event.tag).second);
      } else {
        CHECK_FALSE(event.merge.written());
        CHECK(event.merge.attempt() == 1);
        event.merge.answer("milk").value();
        // BUSY, or CLOSED where the update has ended already.
        const ringlet_status again = event.merge.answer("again").error().status();
        CHECK((again == RINGLET_BUSY || again == RINGLET_CLOSED));
      }
    }
  }
  CHECK(only(client.get({"carts", "bob"}).value()) == "milk");
}

TEST_CASE("futures are kept, failed and cancelled") {
  Cluster cluster = Cluster::start(3).value();
  Client client = cluster.connect().value();
  auto async = ringlet::Async::open(client).value();
  std::vector<ringlet::Async::Future> all;
  for (int i = 0; i < 200; ++i) {
    const auto append = [i](const Reply& siblings) {
      std::string out;
      for (const std::string& word : words(siblings)) out += word + " ";
      return Answer(out + "w" + std::to_string(i));
    };
    all.push_back(
        async->update({"many", std::to_string(i % 4)}, append, union_of, {.timeout = 30s}));
  }
  for (auto& future : all) future.get().value();
  std::size_t stored = 0;
  for (int i = 0; i < 4; ++i)
    stored += words(client.get({"many", std::to_string(i)}).value()).size();
  CHECK(stored == 200);

  async->put(cart, "tea").get().value();
  CHECK(only(async->get(cart).get().value()) == "tea");
  ringlet::Edits edits;
  edits.enable({"gift"});
  async->edit({"documents", "a"}, edits).get().value();
  CHECK(async->edit(cart, ringlet::Edits().increment({})).get().error().status() ==
        RINGLET_INVALID_ARGUMENT);
  CHECK(async->get({"carts", ""}).get().error().status() == RINGLET_INVALID_ARGUMENT);
  auto thrown = async->update(
      cart, [](const Reply&) -> Answer { throw std::runtime_error("mine"); }, union_of);
  CHECK_THROWS_WITH(thrown.get(), "mine");
  const Reply last = client.get(cart).value();
  async->erase(cart, last.context()).get().value();

  // No node answers: the end of the object does not wait for the deadline.
  for (std::uint32_t i = 0; i < 3; ++i) cluster.kill(i).value();
  auto hanging = async->get(cart, {.timeout = 60s});
  const auto began = std::chrono::steady_clock::now();
  async.reset();
  CHECK(std::chrono::steady_clock::now() - began < 10s);
  const Result<Reply> cancelled = hanging.get();
  REQUIRE_FALSE(cancelled);
  CHECK(cancelled.error().status() / 100 == 2);
}

TEST_CASE("a laboratory has every call") {
  ringlet::Lab lab = ringlet::Lab::make(R"({"nodes": 3})").value();
  Client alice = lab.client("alice").value();
  alice.put(cart, "tea").value();
  CHECK(words(alice.get(cart).value()) == std::set<std::string>{"tea"});
  const std::uint64_t events = lab.events(), hash = lab.hash();
  lab.act(R"({"act": "kill", "host": "n1"})").value();
  CHECK(lab.step(10).value() == 10);
  lab.run(1s).value();
  CHECK(lab.now() > 1s);
  CHECK(lab.settle().value().find("\"quiet\":true") != std::string::npos);
  CHECK(lab.ask("status").value().find("alice") != std::string::npos);
  CHECK(lab.fork(R"({"r": 1})").value().now() == lab.now());
  lab.rewind(events).value();
  CHECK(lab.hash() == hash);
  CHECK_FALSE(lab.rewind(events + 1));
}

TEST_CASE("nodes, logs and questions of operators") {
  Cluster cluster = Cluster::start(3).value();
  CHECK(cluster.size() == 3);
  Client client = cluster.connect().value();
  client.put(cart, "tea").value();
  CHECK(client.admin("ring").value().find("n1") != std::string::npos);
  CHECK(client.admin("nonsense").error().status() == RINGLET_INVALID_ARGUMENT);
  CHECK(client.counters().find("\"puts\"") != std::string::npos);
  cluster.pause(0).value();
  cluster.resume(0).value();
  cluster.cut(0, 1).value();
  cluster.mend(0, 1).value();
  cluster.cut(0, Cluster::clients).value();
  cluster.heal().value();
  cluster.skew(0, 1000ms).value();
  CHECK_FALSE(cluster.cut(0, 9));
  cluster.kill(0).value();
  client.put(cart, "milk").value();
  cluster.restart(0).value();
  CHECK_FALSE(cluster.kill(9));
  std::size_t called = 0;
  const std::size_t drained = cluster.log_drain(
      [&](int, std::string_view part, std::string_view) { called += !part.empty(); });
  CHECK(called == drained);
  client.log_drain([](int, std::string_view, std::string_view) {});
  CHECK_FALSE(client.log_next().has_value());
  cluster.stop(100ms).value();

  ringlet::Node node =
      ringlet::Node::start(ringlet::Options::of({{"node.name", "solo"}}).value()).value();
  CHECK(Client::connect(std::string(node.address())).value().put(cart, "tea").has_value());
  node.log_next();
  node.stop().value();
  CHECK(ringlet::Options::describe().find("client.seeds") != std::string::npos);
  CHECK(ringlet::abi_version() == RINGLET_ABI);
}

}  // namespace
