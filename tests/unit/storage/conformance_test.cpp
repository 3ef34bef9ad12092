// One suite over every engine: what storage_engine.hpp promises.
#include <catch2/catch.hpp>
#include <thread>
#include <tuple>

#include "engines.hpp"

namespace ringlet::storage_test {
namespace {

Status put(StorageEngine& engine, Durability durability, BytesView key, BytesView value,
           Table table = Table::objects) {
  auto done = engine.transact(durability, [&](Transaction& t) { return t.put(table, key, value); });
  return done ? Status::ok() : done.status();
}

std::vector<Bytes> keys(StorageEngine& engine, BytesView from, BytesView to,
                        std::size_t most = 99) {
  std::vector<Bytes> found;
  Status done = engine.scan(Table::objects, from, to, [&](BytesView key, BytesView) {
    found.emplace_back(key);
    return found.size() < most;
  });
  INFO(done.to_string());
  REQUIRE(done);
  return found;
}

const Durability all[] = {Durability::buffer, Durability::log, Durability::disk};

TEST_CASE("F-10 an engine keeps what its contract says", "[conformance]") {
  const std::string name = GENERATE(from_range(engine_names()));
  const Durability durability = GENERATE(from_range(std::begin(all), std::end(all)));
  CAPTURE(name, name_of(durability));
  Folder folder;
  auto engine = make(name, folder.path);

  SECTION("put, get, overwrite, erase") {
    CHECK(!engine->get(Table::objects, "a")->has_value());
    REQUIRE(put(*engine, durability, "a", "1"));
    CHECK(**engine->get(Table::objects, "a") == "1");
    CHECK(!engine->get(Table::hints, "a")->has_value());
    REQUIRE(put(*engine, durability, "a", "2"));
    CHECK(**engine->get(Table::objects, "a") == "2");
    for (int twice = 0; twice < 2; ++twice) {  // the second erases what is absent
      REQUIRE(engine->transact(durability,
                               [](Transaction& t) { return t.erase(Table::objects, "a"); }));
      CHECK(!engine->get(Table::objects, "a")->has_value());
    }
  }
  SECTION("a body that writes nothing is made durable with all before it") {
    REQUIRE(put(*engine, durability, "a", "1"));
    auto ticket = engine->transact(Durability::disk, [](Transaction&) { return Status::ok(); });
    REQUIRE(ticket);
    for (int i = 0; i < 5000 && engine->durable_up_to() < *ticket; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    CHECK(engine->durable_up_to() >= *ticket);
  }
  SECTION("empty and binary keys and values, and large ones") {
    const Bytes binary("\0\xff\0", 3), large_key(65536 + 64, 'k'), large(3 << 20, 'v');
    for (const Bytes& key : {Bytes(), binary, large_key}) {
      for (const Bytes& value : {Bytes(), binary, large}) {
        REQUIRE(put(*engine, durability, key, value));
        auto found = engine->get(Table::objects, key);
        REQUIRE(found);
        REQUIRE(found->has_value());
        CHECK((**found == value));
      }
    }
    CHECK((keys(*engine, "", "") == std::vector<Bytes>{"", binary, large_key}));
  }
  SECTION("a row over the limits is refused by name, whatever the body makes of it") {
    const Bytes long_key(max_row_key_bytes + 1, 'k'), fits(max_row_key_bytes, 'k');
    const std::string no_value(max_row_value_bytes + 1, 'v');
    for (auto [key, value, what] : {std::tuple<BytesView, BytesView, const char*>{
                                        long_key, "v", "key of a row: wanted at most 65600"},
                                    {fits, no_value, "value of a row: wanted at most 67108864"}}) {
      auto done = engine->transact(durability, [&, k = key, v = value](Transaction& t) {
        CHECK(t.put(Table::objects, "beside", "it"));
        CHECK(t.put(Table::objects, k, v).code() == Code::too_large);
        return Status::ok();
      });
      REQUIRE(!done);
      CHECK(done.status().code() == Code::too_large);
      CHECK_THAT(done.status().message(), Catch::StartsWith(what));
      CHECK(keys(*engine, "", "").empty());
    }
    CHECK(!engine->get(Table::objects, long_key)->has_value());
    CHECK(engine->transact(durability,
                           [&](Transaction& t) { return t.erase(Table::objects, long_key); }));
    CHECK(put(*engine, durability, fits, "v"));  // the engine goes on
    CHECK(keys(*engine, "", "").size() == 1);
  }
  SECTION("a body that fails applies nothing and its status comes back") {
    REQUIRE(put(*engine, durability, "a", "old"));
    auto done = engine->transact(durability, [](Transaction& t) {
      REQUIRE(t.put(Table::objects, "a", "new"));
      REQUIRE(t.put(Table::state, "b", "new"));
      CHECK(**t.get(Table::objects, "a") == "new");
      REQUIRE(t.erase(Table::objects, "a"));
      CHECK(!t.get(Table::objects, "a")->has_value());
      return Status(Code::too_large, "no");
    });
    REQUIRE(!done);
    CHECK(done.status() == Status(Code::too_large, "no"));
    CHECK(**engine->get(Table::objects, "a") == "old");
    CHECK(!engine->get(Table::state, "b")->has_value());
  }
  SECTION("scan is ordered by unsigned bytes, half open, and stops") {
    for (BytesView key : {"b", "a", "\xff", "ab", "c"}) {
      REQUIRE(put(*engine, durability, key, key));
    }
    CHECK(keys(*engine, "", "") == std::vector<Bytes>{"a", "ab", "b", "c", "\xff"});
    CHECK(keys(*engine, "ab", "c") == std::vector<Bytes>{"ab", "b"});
    CHECK(keys(*engine, "aa", "") == std::vector<Bytes>{"ab", "b", "c", "\xff"});
    CHECK(keys(*engine, "", "", 2) == std::vector<Bytes>{"a", "ab"});
    CHECK(keys(*engine, "d", "e").empty());
  }
  SECTION("buffered and written rows are one table") {
    REQUIRE(put(*engine, Durability::log, "a", "1"));
    REQUIRE(put(*engine, Durability::log, "b", "1"));
    REQUIRE(put(*engine, durability, "b", "2"));
    REQUIRE(put(*engine, durability, "c", "2"));
    REQUIRE(
        engine->transact(durability, [](Transaction& t) { return t.erase(Table::objects, "a"); }));
    CHECK(keys(*engine, "", "") == std::vector<Bytes>{"b", "c"});
    REQUIRE(put(*engine, Durability::log, "b", "3"));
    CHECK(**engine->get(Table::objects, "b") == "3");
    REQUIRE(engine->flush());
    CHECK(keys(*engine, "", "") == std::vector<Bytes>{"b", "c"});
    CHECK(**engine->get(Table::objects, "b") == "3");
  }
  SECTION("four threads add to one counter and none is lost") {
    std::vector<std::thread> threads;
    for (int n = 0; n < 4; ++n) {
      threads.emplace_back([&, n] {
        for (int i = 0; i < 50; ++i) {
          // Two threads with the durability under test, two with log: they share the row.
          auto done = engine->transact(n % 2 ? durability : Durability::log, [](Transaction& t) {
            auto old = t.get(Table::state, "n");
            if (!old) return old.status();
            return t.put(Table::state, "n", std::to_string(*old ? std::stoi(**old) + 1 : 1));
          });
          if (!done) throw std::runtime_error(done.status().to_string());
        }
      });
    }
    for (auto& thread : threads) thread.join();
    CHECK(**engine->get(Table::state, "n") == "200");
  }
  SECTION("a ticket becomes durable and the listener hears of it") {
    std::atomic<StorageEngine::Ticket> heard{0};
    engine->set_durable_listener([&](StorageEngine::Ticket up_to) { heard = up_to; });
    StorageEngine::Ticket last = 0;
    for (int i = 0; i < 20; ++i) {
      auto ticket = engine->transact(durability, [&](Transaction& t) {
        return t.put(Table::objects, std::to_string(i), "v");
      });
      REQUIRE(ticket);
      last = std::max(last, *ticket);
    }
    if (durability != Durability::disk) CHECK(last == 0);
    for (int i = 0; i < 500 && heard < last; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    CHECK(heard >= last);
    CHECK(engine->durable_up_to() >= last);
    engine->set_durable_listener({});
  }
  SECTION("a ticket issued while close() waits is reported by it") {
    std::atomic<StorageEngine::Ticket> heard{0};
    engine->set_durable_listener([&](StorageEngine::Ticket up_to) { heard = up_to; });
    std::atomic<bool> inside{false};
    StorageEngine::Ticket ticket = 0;
    std::thread writer([&] {
      auto done = engine->transact(durability, [&](Transaction& t) {
        inside = true;
        // Long enough for close() to have asked its threads to leave.
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        return t.put(Table::objects, "last", "v");
      });
      if (done) ticket = *done;
    });
    while (!inside) std::this_thread::yield();
    CHECK(engine->close());
    writer.join();
    CHECK((ticket > 0) == (durability == Durability::disk && name.ends_with("wiredtiger")));
    CHECK(heard >= ticket);
    CHECK(engine->durable_up_to() >= ticket);
  }
  SECTION("closed is closed") {
    REQUIRE(put(*engine, durability, "a", "1"));
    REQUIRE(engine->close());
    CHECK(engine->get(Table::objects, "a").status().code() == Code::closed);
    CHECK(put(*engine, durability, "a", "2").code() == Code::closed);
    CHECK(engine->flush().code() == Code::closed);
    if (name.ends_with("wiredtiger")) {
      engine = make(name, folder.path);
      CHECK(**engine->get(Table::objects, "a") == "1");
      CHECK(engine->history_intact() == (durability != Durability::buffer));  // nothing to take up
    }
  }
}

}  // namespace
}  // namespace ringlet::storage_test
