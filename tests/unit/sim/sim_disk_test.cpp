#include "sim/sim_disk.hpp"

#include <catch2/catch.hpp>

namespace ringlet::sim {
namespace {

StorageEngine::Ticket put(StorageEngine& engine, const Bytes& key, Durability durability,
                          const Bytes& value = "v", Table table = Table::objects) {
  auto ticket = engine.transact(
      durability, [&](Transaction& transaction) { return transaction.put(table, key, value); });
  REQUIRE(ticket.is_ok());
  return *ticket;
}

void erase(StorageEngine& engine, const Bytes& key, Table table = Table::objects) {
  REQUIRE(engine
              .transact(Durability::log,
                        [&](Transaction& transaction) { return transaction.erase(table, key); })
              .is_ok());
}

// "a b": the keys that are there.
std::string keys(const SimDisk& disk, Table table = Table::objects) {
  std::string text;
  for (const auto& [key, value] : disk.rows(table)) text += (text.empty() ? "" : " ") + key;
  return text;
}

}  // namespace

TEST_CASE("L13 a killed process keeps log and disk, and loses what was only buffered") {
  SimDisk disk;
  auto engine = disk.open();
  put(*engine, "disk", Durability::disk);
  put(*engine, "log", Durability::log);
  put(*engine, "tail", Durability::buffer);
  CHECK(keys(disk) == "disk log tail");
  disk.crash_process();
  CHECK(keys(disk) == "disk log");
}

TEST_CASE("L13 what was buffered before a logged commit went out with it: the log is a sequence") {
  SimDisk disk;
  auto engine = disk.open();
  put(*engine, "a", Durability::buffer);
  put(*engine, "b", Durability::log);
  put(*engine, "c", Durability::buffer);
  put(*engine, "d", Durability::buffer);
  disk.crash_process();
  CHECK(keys(disk) == "a b");
}

TEST_CASE("L13 a stopped machine keeps what was synced and nothing else") {
  SimDisk disk;
  auto engine = disk.open();
  put(*engine, "buffer", Durability::buffer);
  put(*engine, "log", Durability::log);
  disk.sync();
  put(*engine, "late", Durability::log);
  put(*engine, "later", Durability::disk);  // its ticket was never reported
  put(*engine, "log", Durability::log, "changed");
  erase(*engine, "buffer");
  CHECK(keys(disk) == "late later log");
  disk.crash_machine();
  CHECK(keys(disk) == "buffer log");
  CHECK(disk.rows(Table::objects).at("log") == "v");
  disk.open();
  disk.crash_machine();  // and again: there is nothing left to lose
  CHECK(keys(disk) == "buffer log");
}

TEST_CASE("a wiped disk is empty, also of what was synced, and stays so over crashes") {
  SimDisk disk;
  auto engine = disk.open();
  put(*engine, "a", Durability::log);
  put(*engine, "h", Durability::log, "v", Table::hints);
  disk.sync();
  disk.wipe();
  for (int table = 0; table < table_count; ++table) {
    CHECK(disk.rows(static_cast<Table>(table)).empty());
  }
  disk.open();
  disk.crash_machine();
  CHECK(keys(disk).empty());
}

TEST_CASE("a ticket is durable once the disk was synced, and the listener hears it") {
  SimDisk disk;
  auto engine = disk.open();
  int wanted = 0;
  disk.on_sync_wanted = [&] { ++wanted; };
  std::vector<StorageEngine::Ticket> heard;
  engine->set_durable_listener([&](StorageEngine::Ticket up_to) { heard.push_back(up_to); });
  CHECK(put(*engine, "a", Durability::log) == 0);
  CHECK(put(*engine, "a", Durability::buffer) == 0);
  CHECK(wanted == 0);
  auto first = put(*engine, "a", Durability::disk);
  auto second = put(*engine, "b", Durability::disk);
  CHECK(wanted == 2);
  CHECK(second > first);
  CHECK(engine->durable_up_to() < first);
  CHECK(heard.empty());
  disk.sync();
  CHECK(engine->durable_up_to() == second);
  CHECK(heard == std::vector<StorageEngine::Ticket>{second});
  disk.sync();  // nothing new
  CHECK(heard.size() == 1);
}

TEST_CASE("a transaction that writes nothing has a ticket for what others wrote before it") {
  SimDisk disk;
  auto engine = disk.open();
  auto ask = [&](Durability durability) {
    return *engine->transact(durability, [](Transaction&) { return Status::ok(); });
  };
  CHECK(ask(Durability::disk) == 0);  // all there is is on the platter
  put(*engine, "a", Durability::log);
  CHECK(ask(Durability::log) == 0);
  auto ticket = ask(Durability::disk);
  CHECK(ticket > engine->durable_up_to());
  disk.sync();
  CHECK(ticket == engine->durable_up_to());
  disk.crash_machine();
  CHECK(keys(disk) == "a");
}

TEST_CASE("F-02 a crash before the sync never reports its tickets") {
  for (bool machine : {false, true}) {
    SimDisk disk;
    auto engine = disk.open();
    int heard = 0;
    engine->set_durable_listener([&](StorageEngine::Ticket) { ++heard; });
    put(*engine, "a", Durability::disk);
    if (machine) {
      disk.crash_machine();
    } else {
      disk.crash_process();
    }
    auto next = disk.open();
    disk.sync();
    CHECK(heard == 0);
    CHECK(keys(disk) == (machine ? "" : "a"));
  }
}

TEST_CASE("history is intact after a kill that lost nothing and after a clean close only") {
  SimDisk disk;
  CHECK(!disk.open()->history_intact());  // new
  disk.crash_process();
  auto engine = disk.open();
  CHECK(!engine->history_intact());  // nobody has taken it up: whoever was told wrote nothing
  put(*engine, "a", Durability::log);
  disk.crash_process();
  engine = disk.open();
  CHECK(engine->history_intact());
  put(*engine, "a", Durability::buffer);
  disk.crash_process();
  CHECK(!disk.open()->history_intact());  // a buffered write is missing
  engine = disk.open();
  put(*engine, "a", Durability::log);
  REQUIRE(engine->close());
  CHECK(disk.open()->history_intact());
  CHECK(keys(disk) == "a");
  disk.crash_machine();
  CHECK(!disk.open()->history_intact());
  disk.crash_process();
  disk.wipe();
  CHECK(!disk.open()->history_intact());
}

TEST_CASE("after a crash the old engine is closed, and harms the new one in nothing") {
  SimDisk disk;
  auto old = disk.open();
  put(*old, "a", Durability::log);
  disk.crash_process();
  auto engine = disk.open();
  int heard = 0;
  engine->set_durable_listener([&](StorageEngine::Ticket) { ++heard; });
  old->set_durable_listener(nullptr);
  CHECK(old->get(Table::objects, "a").status().code() == Code::closed);
  CHECK(
      old->transact(Durability::log, [](Transaction& t) { return t.put(Table::objects, "z", "z"); })
          .status()
          .code() == Code::closed);
  CHECK(old->scan(Table::objects, "", "", [](BytesView, BytesView) { return true; }).code() ==
        Code::closed);
  CHECK(old->flush().code() == Code::closed);
  CHECK(old->close().code() == Code::closed);
  CHECK(keys(disk) == "a");
  put(*engine, "b", Durability::disk);
  disk.sync();
  CHECK(heard == 1);
}

TEST_CASE("F-10 a full disk refuses writes, serves reads, and takes them again with room") {
  SimDisk disk;
  auto engine = disk.open();
  put(*engine, "a", Durability::log);
  disk.set_full(true);
  auto refused = engine->transact(Durability::log,
                                  [](Transaction& t) { return t.put(Table::objects, "b", "v"); });
  CHECK(refused.status().code() == Code::unavailable);
  CHECK(**engine->get(Table::objects, "a") == "v");
  CHECK(engine->transact(Durability::log, [](Transaction&) { return Status::ok(); }).is_ok());
  CHECK(keys(disk) == "a");
  disk.set_full(false);
  put(*engine, "b", Durability::log);
  CHECK(keys(disk) == "a b");
}

TEST_CASE("a body that fails applies nothing; a transaction sees its own writes") {
  SimDisk disk;
  auto engine = disk.open();
  auto failed = engine->transact(Durability::log, [](Transaction& t) {
    REQUIRE(t.put(Table::objects, "a", "1"));
    CHECK(**t.get(Table::objects, "a") == "1");
    REQUIRE(t.erase(Table::objects, "a"));
    CHECK(!t.get(Table::objects, "a")->has_value());
    return Status(Code::io, "no");
  });
  CHECK(failed.status().code() == Code::io);
  CHECK(keys(disk).empty());
}

TEST_CASE("a hint that goes is shown once, with its last content") {
  SimDisk disk;
  auto engine = disk.open();
  std::vector<std::string> dropped;
  disk.on_hint_dropped = [&](BytesView row, BytesView record) {
    dropped.push_back(std::string(row) + "=" + std::string(record));
  };
  put(*engine, "h", Durability::log, "1", Table::hints);
  put(*engine, "h", Durability::log, "2", Table::hints);
  put(*engine, "h", Durability::log);  // another table's row of the same name
  erase(*engine, "h");
  CHECK(dropped.empty());
  erase(*engine, "h", Table::hints);
  erase(*engine, "h", Table::hints);  // gone already
  CHECK(dropped == std::vector<std::string>{"h=2"});
}

}  // namespace ringlet::sim
