// What was acknowledged with `log` is there after kill -9, however often.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <set>
#include <sstream>

#include "engines.hpp"
#include "victim_process.hpp"

namespace ringlet::storage_test {
namespace {

TEST_CASE("O-3 every write acknowledged with log survives kill -9", "[kill]") {
  const char* wanted = std::getenv("RINGLET_KILLS");
  const int kills = wanted ? std::atoi(wanted) : 100;
  Folder folder;
  std::set<long> acknowledged;
  for (int kill = 0; kill < kills; ++kill) {
    const long first = 1'000'000L * kill;
    Victim victim({folder.path, "write", std::to_string(first)});
    // Killed after a different number of acknowledgements each time, in the middle of the next.
    victim.read_lines(1 + kill * 7 % 90);
    victim.kill_now();
    std::size_t before = acknowledged.size();
    std::istringstream lines(victim.text());
    for (std::string line; std::getline(lines, line) && !lines.eof();) {
      acknowledged.insert(std::stol(line));
    }
    INFO(victim.text().substr(0, 300));
    REQUIRE(acknowledged.size() > before);
  }
  auto engine = make("wiredtiger", folder.path);
  CHECK(engine->history_intact());
  std::size_t missing = 0;
  for (long n : acknowledged) {
    const std::string key = std::to_string(n);
    auto row = engine->get(Table::objects, key);
    REQUIRE(row);
    if (!*row || **row != Bytes(200, 'v') + key) ++missing;
  }
  CHECK(missing == 0);
  std::set<std::string> objects, states;  // a transaction is there whole or not at all
  REQUIRE(engine->scan(Table::objects, "", "",
                       [&](BytesView key, BytesView) { return objects.emplace(key), true; }));
  REQUIRE(engine->scan(Table::state, "", "",
                       [&](BytesView key, BytesView) { return states.emplace(key), true; }));
  CHECK((objects == states));
  CHECK(objects.size() >= acknowledged.size());
}

TEST_CASE("a buffered write before a crash makes the history unsure", "[kill]") {
  Folder folder;
  {
    auto engine = make("wiredtiger", folder.path);
    CHECK(!engine->history_intact());  // new
    REQUIRE(engine->transact(Durability::log,
                             [](Transaction& t) { return t.put(Table::state, "e", "1"); }));
    REQUIRE(engine->close());
  }
  {
    Victim victim({folder.path, "buffer"});
    victim.read_lines(1);
    CHECK(victim.text() == "done\n");
    victim.kill_now();
  }
  {
    auto engine = make("wiredtiger", folder.path);
    CHECK(!engine->history_intact());
    REQUIRE(engine->transact(Durability::log,
                             [](Transaction& t) { return t.put(Table::state, "e", "2"); }));
    REQUIRE(engine->close());
  }
  CHECK(make("wiredtiger", folder.path)->history_intact());
}

TEST_CASE("F-12 a second process is refused and told who has the directory", "[kill]") {
  Folder folder;
  Victim victim({folder.path, "hold"});
  victim.read_lines(1);
  REQUIRE(victim.text() == "open\n");
  WiredTigerOptions options;
  options.directory = folder.path;
  options.cluster = "test";
  options.node = "n1";
  auto refused = open_wiredtiger_engine(options);
  REQUIRE(!refused);
  CHECK(refused.status().code() == Code::busy);
  CHECK(refused.status().message().find(std::to_string(victim.pid())) != std::string::npos);
  victim.kill_now();
  CHECK(open_wiredtiger_engine(options));
}

}  // namespace
}  // namespace ringlet::storage_test
