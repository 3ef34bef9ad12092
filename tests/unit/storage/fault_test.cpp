// Every place where a disk may fail, one at a time: nothing half done, and the engine goes on.
#include <catch2/catch.hpp>

#include "engines.hpp"

namespace ringlet::storage_test {
namespace {

const Status broken(Code::io, "by order of the test");

Result<StorageEngine::Ticket> rewrite(StorageEngine& engine, const Bytes& value) {
  return engine.transact(Durability::log, [&](Transaction& t) {
    for (const char* key : {"a", "b", "c"}) {
      if (auto old = t.get(Table::objects, key); !old) return old.status();
      if (Status put = t.put(Table::objects, key, value); !put) return put;
    }
    return t.erase(Table::hints, "gone");
  });
}

TEST_CASE("F-11 a fault at the n-th call applies nothing", "[fault]") {
  const std::string name = GENERATE("fault+memory"
#ifdef RINGLET_HAVE_WIREDTIGER
                                    ,
                                    "fault+wiredtiger"
#endif
  );
  Folder folder;
  auto engine = make(name, folder.path);
  auto& faults = static_cast<FaultEngine&>(*engine);
  REQUIRE(rewrite(*engine, "old"));
  struct Place {
    FaultAt at;
    std::uint64_t calls;
  };
  // rewrite() reads 3 times, writes 4 times and commits once.
  const Place places[] = {{FaultAt::read, 3}, {FaultAt::write, 4}, {FaultAt::commit, 1}};
  for (Place place : places) {
    for (std::uint64_t n = 1; n <= place.calls; ++n) {
      for (bool once : {true, false}) {
        CAPTURE(name, static_cast<int>(place.at), n, once);
        faults.fail(place.at, n, broken, once);
        auto done = rewrite(*engine, "new");
        REQUIRE(!done);
        CHECK(done.status() == broken);
        if (!once) CHECK(!rewrite(*engine, "new"));  // still
        faults.heal();
        for (const char* key : {"a", "b", "c"}) CHECK(**engine->get(Table::objects, key) == "old");
      }
    }
    faults.fail(place.at, place.calls + 1, broken, true);
    CHECK(rewrite(*engine, "old"));  // it has no such call: the fault waits
    faults.heal();
  }
  CHECK(rewrite(*engine, "new"));
  CHECK(**engine->get(Table::objects, "c") == "new");
}

TEST_CASE("F-11 a body cannot swallow a fault", "[fault]") {
  auto engine = make("fault+memory", "");
  auto& faults = static_cast<FaultEngine&>(*engine);
  faults.fail(FaultAt::write, 1, broken, true);
  auto done = engine->transact(Durability::log, [](Transaction& t) {
    (void)t.put(Table::objects, "a", "1");
    (void)t.put(Table::objects, "b", "1");
    return Status::ok();
  });
  REQUIRE(!done);
  CHECK(!engine->get(Table::objects, "b")->has_value());
}

TEST_CASE("F-10 disk full by order stops writes and nothing else", "[fault]") {
  auto engine = make("fault+memory", "");
  auto& faults = static_cast<FaultEngine&>(*engine);
  REQUIRE(rewrite(*engine, "old"));
  faults.full(true);
  auto done = rewrite(*engine, "new");
  REQUIRE(!done);
  CHECK(done.status().code() == Code::unavailable);
  CHECK(**engine->get(Table::objects, "a") == "old");
  faults.full(false);
  CHECK(rewrite(*engine, "new"));
}

}  // namespace
}  // namespace ringlet::storage_test
