#include "runtime/client.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include "unit/runtime/cluster.hpp"
#include "versioning/object.hpp"
#include "versioning/shown.hpp"

namespace ringlet {
namespace {

using test::Cluster;

std::vector<std::string> values(const Outcome& outcome) {
  std::vector<std::string> found;
  for (const Version* version : siblings(outcome.reply.object)) {
    if (!version->tombstone) found.push_back(version->value);
  }
  std::sort(found.begin(), found.end());
  return found;
}

UpdateAnswer union_of(const std::vector<const Version*>& siblings, const std::string& add) {
  std::string all;
  for (const Version* version : siblings) {
    for (char c : version->value) {
      if (all.find(c) == std::string::npos) all += c;
    }
  }
  if (all.find(add) == std::string::npos) all += add;
  return {UpdateAnswer::Kind::value, all, {}};
}

TEST_CASE("put, get, siblings, update and delete, through both coordinations") {
  auto coordination = GENERATE(Coordination::server, Coordination::client);
  Cluster cluster(3);
  auto client = cluster.client(coordination);
  Key key{"carts", "alice"};

  auto missing = client->get(key);
  INFO(missing.reply.status.to_string() << "\n" << cluster.log.text());
  REQUIRE(missing.reply.status.is_ok());
  CHECK(values(missing).empty());

  auto first = client->put(key, "a", missing.context);
  INFO(first.reply.status.to_string());
  REQUIRE(first.reply.status.is_ok());
  CHECK(client->put(key, "b", missing.context).reply.status.is_ok());  // did not see "a"
  auto both = client->get(key);
  CHECK(values(both) == std::vector<std::string>{"a", "b"});

  auto merged = client->update(
      key, [](const Version* current) { return union_of({current}, "c"); },
      [](const auto& seen) {
        CHECK(seen.size() == 2);
        return union_of(seen, "");
      });
  INFO(merged.reply.status.to_string());
  REQUIRE(merged.reply.status.is_ok());
  auto after = client->get(key);
  REQUIRE(values(after).size() == 1);
  CHECK(values(after)[0].size() == 3);

  CHECK(client->erase(key, after.context).reply.status.is_ok());
  CHECK(values(client->get(key)).empty());
}

TEST_CASE("a put or delete brings the versions back only where they are asked for") {
  Cluster cluster(3, 2);
  auto client = cluster.client();
  Key key{"b", "k"};
  Outcome put = client->put(key, "a");
  REQUIRE(put.reply.status.is_ok());
  CHECK(put.reply.object.versions.empty());
  Client::WriteOptions options;
  options.return_siblings = true;
  options.content_type = "text/plain";
  Outcome asked = client->put(key, "b", put.context, options);
  REQUIRE(values(asked) == std::vector<std::string>{"b"});
  CHECK(asked.reply.object.versions[0].content_type == "text/plain");
  Outcome gone = client->erase(key, asked.context);
  CHECK(gone.reply.status.is_ok());
  CHECK(gone.reply.object.versions.empty());
}

TEST_CASE("M-14 a put repeated under its write id is one version, also by another client") {
  Cluster cluster(3, 2);
  Key key{"b", "k"};
  Client::WriteOptions options;
  options.write_id = {7, 9};
  for (int i = 0; i < 3; ++i) {
    Outcome put = cluster.client()->put(key, "v", {}, options);
    REQUIRE(put.reply.status.is_ok());
    CHECK(put.write_id == WriteId{7, 9});
  }
  CHECK(values(cluster.client()->get(key)) == std::vector<std::string>{"v"});
}

TEST_CASE("multi_get answers in the order asked") {
  Cluster cluster(3, 2);
  auto client = cluster.client();
  std::vector<Key> keys;
  for (int i = 0; i < 20; ++i) {
    keys.push_back({"b", std::to_string(i)});
    REQUIRE(client->put(keys.back(), std::to_string(i)).reply.status.is_ok());
  }
  auto outcomes = client->multi_get(keys);
  REQUIRE(outcomes.size() == 20);
  for (int i = 0; i < 20; ++i) {
    CHECK(values(outcomes[static_cast<std::size_t>(i)]) ==
          std::vector<std::string>{std::to_string(i)});
  }
}

TEST_CASE("one node of three gone: writes and reads go on") {
  auto coordination = GENERATE(Coordination::server, Coordination::client);
  Cluster cluster(3);
  auto client = cluster.client(coordination);
  REQUIRE(client->put({"", "warm"}, "x").reply.status.is_ok());
  REQUIRE(cluster.servers[0]->stop(Duration{}).is_ok());
  for (int i = 0; i < 30; ++i) {
    Key key{"", std::to_string(i)};
    auto put = client->put(key, "v");
    INFO(i << ": " << put.reply.status.to_string());
    REQUIRE(put.reply.status.is_ok());
    auto got = client->get(key);
    INFO(got.reply.status.to_string());
    REQUIRE(got.reply.status.is_ok());
    REQUIRE(values(got) == std::vector<std::string>{"v"});
  }
}

TEST_CASE("nobody there: the call ends at its deadline") {
  ClientOptions options;
  options.seeds = {"127.0.0.1:1"};
  options.timeout = Duration::millis(300);
  auto client = Client::open(options);
  REQUIRE(client.is_ok());
  auto start = std::chrono::steady_clock::now();
  auto outcome = (*client)->get({"", "k"});
  auto took = std::chrono::steady_clock::now() - start;
  CHECK_FALSE(outcome.reply.status.is_ok());
  CHECK(outcome.reply.status.retryable());
  CHECK(took < std::chrono::milliseconds(1500));
}

TEST_CASE("a refused handshake is told by the call's error, through both coordinations") {
  Cluster cluster(1);
  ClientOptions options =
      cluster.client_options(GENERATE(Coordination::server, Coordination::client));
  options.cluster = "another";
  options.timeout = Duration::millis(400);
  auto client = Client::open(options);
  REQUIRE(client.is_ok());
  for (const Outcome& outcome : {(*client)->get({"", "k"}), (*client)->put({"", "k"}, "v")}) {
    const Status& status = outcome.reply.status;
    INFO(status.to_string());
    CHECK_FALSE(status.is_ok());
    CHECK(status.message().find("refused: handshake: ") != std::string::npos);
    CHECK(status.message().find("'another'") != std::string::npos);
  }
}

TEST_CASE("eight writers of one key all succeed: each pauses, and sees what the others resolved") {
  Cluster cluster(3);
  auto client = cluster.client();
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      std::string item(1, static_cast<char>('a' + t));
      Client::UpdateOptions options;
      options.call.timeout_ms = 20'000;
      // Each coordinator of a later write has met this one, however busy the machine is.
      options.call.w = 3;
      auto done = client->update(
          {"u", "one"},
          [&](const Version* current) {
            return current == nullptr ? union_of({}, item) : union_of({current}, item);
          },
          [](const auto& seen) { return union_of(seen, ""); }, options);
      if (!done.reply.status.is_ok()) ++failed;
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(failed == 0);
  // Two writers may have merged the same versions to the same bytes: two versions, shown as one.
  auto left = client->get({"u", "one"});
  Shown found = shown(left.reply.object, Deletes::lose);
  REQUIRE(found.versions.size() == 1);
  CHECK(!found.conflict);
  CHECK(found.versions[0]->value.size() == 8);
}

TEST_CASE("close with calls under way: each callback once, then CLOSED; again no effect") {
  ClientOptions options;
  options.seeds = {"127.0.0.1:1"};
  options.timeout = Duration::seconds(30);
  auto client = Client::open(options);
  REQUIRE(client.is_ok());
  std::vector<std::atomic<int>> ended(100);
  for (auto& one : ended) {
    Client::Request request;
    request.key = {"", "k"};
    (*client)->submit(request, [&one](Outcome outcome) {
      if (!outcome.reply.status.is_ok()) ++one;
    });
  }
  CHECK((*client)->close(Duration::millis(20)).is_ok());
  for (auto& one : ended) CHECK(one == 1);
  CHECK((*client)->close(Duration{}).is_ok());
  CHECK((*client)->get({"", "k"}).reply.status.code() == Code::closed);
  CHECK((*client)->query("", "status", {}, Duration::millis(10)).status.code() == Code::closed);
}

TEST_CASE("a cancelled call ends CANCELLED, once") {
  ClientOptions options;
  options.seeds = {"127.0.0.1:1"};
  options.timeout = Duration::seconds(30);
  auto client = Client::open(options);
  REQUIRE(client.is_ok());
  std::atomic<int> ended{0};
  std::atomic<Code> code{Code::ok};
  Client::Request request;
  request.key = {"", "k"};
  auto id = (*client)->submit(request, [&](Outcome outcome) {
    code = outcome.reply.status.code();
    ++ended;
  });
  (*client)->cancel(id);
  (*client)->cancel(id);
  (*client)->cancel(9999);
  CHECK((*client)->close(Duration::seconds(5)).is_ok());
  CHECK(ended == 1);
  CHECK(code == Code::cancelled);
}

TEST_CASE("blocking and closing from a callback are refused, not a deadlock") {
  Cluster cluster(1);
  auto client = cluster.client();
  std::atomic<Code> call{Code::ok}, close{Code::ok};
  Client::Request request;
  request.key = {"", "k"};
  client->submit(request, [&](Outcome) {
    call = client->get({"", "k"}).reply.status.code();
    close = client->close(Duration{}).code();
  });
  CHECK(client->close(Duration::seconds(5)).is_ok());
  CHECK(call == Code::busy);
  CHECK(close == Code::busy);
}

TEST_CASE("eight threads of mixed calls lose nothing") {
  Cluster cluster(3, 2);
  auto client = cluster.client();
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i) {
        Key own{"t" + std::to_string(t), std::to_string(i)};
        if (!client->put(own, "v").reply.status.is_ok()) ++wrong;
        if (values(client->get(own)) != std::vector<std::string>{"v"}) ++wrong;
        Client::Request request;
        request.key = own;
        client->cancel(client->submit(request, [](Outcome) {}));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  INFO(cluster.log.text());
  CHECK(wrong == 0);
}

TEST_CASE("F-80 a child of fork is told so, the parent is unharmed") {
  Cluster cluster(1);
  auto client = cluster.client();
  REQUIRE(client->put({"", "k"}, "v").reply.status.is_ok());
  pid_t child = ::fork();
  if (child == 0) {
    ::alarm(5);
    bool told = client->get({"", "k"}).reply.status.code() == Code::forked &&
                client->close(Duration{}).code() == Code::forked;
    client.reset();
    for (auto& server : cluster.servers) server.reset();
    ::_exit(told ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(values(client->get({"", "k"})) == std::vector<std::string>{"v"});
}

TEST_CASE("queries go to the node named; what is wrong is named") {
  Cluster cluster(3);
  auto client = cluster.client();
  auto text = client->query("n2", "status", {}, Duration::seconds(2));
  INFO(text.status.to_string());
  CHECK(text.status.is_ok());
  CHECK(text.json.find("n2") != std::string::npos);
  CHECK(client->query("", "status", {}, Duration::seconds(2)).status.is_ok());
  auto unknown = client->query("n9", "status", {}, Duration::seconds(2));
  CHECK(unknown.status.code() == Code::invalid_argument);
  CHECK_THAT(unknown.status.message(), Catch::Contains("n9"));
  CHECK(client->query("127.0.0.1:1", "status", {}, Duration::seconds(2)).status.code() ==
        Code::unavailable);
}

TEST_CASE("bad options are refused and named") {
  auto refused = [](ClientOptions options) {
    auto client = Client::open(options);
    REQUIRE_FALSE(client.is_ok());
    CHECK(client.status().code() == Code::invalid_argument);
    return client.status().message();
  };
  ClientOptions options;
  CHECK_THAT(refused(options), Catch::Contains("seeds"));
  options.seeds = {"nowhere"};
  CHECK_THAT(refused(options), Catch::Contains("host:port") && Catch::Contains("nowhere"));
  options.seeds = {"a:70000"};
  CHECK_THAT(refused(options), Catch::Contains("70000"));
  options.seeds = {"a:1"};
  options.timeout = Duration{};
  CHECK_THAT(refused(options), Catch::Contains("timeout"));
}

TEST_CASE("an update whose merge fails changes nothing") {
  Cluster cluster(3);
  auto client = cluster.client();
  Key key{"", "k"};
  REQUIRE(client->put(key, "v").reply.status.is_ok());
  auto failed = client->update(
      key, [](const Version*) { return UpdateAnswer{UpdateAnswer::Kind::fail, {}, "no idea"}; });
  CHECK(failed.reply.status.code() == Code::merge_failed);
  CHECK_THAT(failed.reply.status.message(), Catch::Contains("no idea"));
  CHECK(values(client->get(key)) == std::vector<std::string>{"v"});
  CHECK(client->update(key, nullptr).reply.status.code() == Code::invalid_argument);
  CHECK_THROWS_AS(client->update(key, [](const Version*) -> UpdateAnswer { throw 7; }), int);
  CHECK(values(client->get(key)) == std::vector<std::string>{"v"});
}

}  // namespace
}  // namespace ringlet
