// A write to a partition that moves: it reaches the newcomer at once, or a hint for it stays behind.
#include "repair/dual_writes.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <utility>

#include "base/planted.hpp"
#include "cluster_fake.hpp"

using namespace ringlet;

namespace {

const NodeId A{1}, B{2}, C{3}, X{9}, Y{10};

struct Doubling final : LateHints {
  FakeHealth health;
  std::set<std::pair<Key, NodeId>> hints;
  bool disk_fails = false;
  Now now{Instant{1'000'000}, 0};
  DualWrites machine;

  explicit Doubling(DualWrites::Options options = {}) : machine(options, *this, health) {}
  Status keep_hint_of(const Key& key, NodeId target) override {
    if (disk_fails) return Status(Code::io, "full");
    hints.emplace(key, target);
    return Status::ok();
  }
  RequestId sent(NodeId to, const Key& key, Bytes value = "v") {
    Object object = object_of(B, 1);
    object.versions[0].value = std::move(value);
    machine.send(to, key, object, now);
    auto out = machine.take_outgoing();
    REQUIRE(out.size() == 1);
    CHECK(out[0].to == to);
    const auto& put = std::get<ReplicaPut>(out[0].message);
    CHECK(put.key == key);
    CHECK(put.object == object);
    CHECK_FALSE(put.hint_for);
    return out[0].number;
  }
};

const Key key = key_in(0, 1), other = key_in(0, 2);
using Hints = std::set<std::pair<Key, NodeId>>;

}  // namespace

TEST_CASE("O-15 a newcomer that confirms gets the write and no hint") {
  Doubling doubling;
  RequestId number = doubling.sent(X, key);
  CHECK(doubling.machine.next_wake() == doubling.now.instant + Duration::millis(1000));
  doubling.machine.on_reply(B, number, Stored{});  // it was not asked
  CHECK(doubling.machine.under_way() == 1);
  doubling.machine.on_reply(X, number, Stored{});
  doubling.machine.on_reply(X, number, Refused{Status(Code::unavailable, "late"), 0});
  CHECK(doubling.machine.under_way() == 0);
  CHECK(doubling.machine.confirmed() == 1);
  CHECK(doubling.hints.empty());
  CHECK(doubling.machine.next_wake() == Instant::never());
}

TEST_CASE("O-15 R4.9-a a newcomer that refuses, is silent or gone gets a hint instead") {
  Doubling doubling;
  SECTION("refuses") {
    doubling.machine.on_reply(X, doubling.sent(X, key),
                              Refused{Status(Code::overloaded, "later"), 10});
  }
  SECTION("says something else") {
    doubling.machine.on_reply(X, doubling.sent(X, key), Pong{});
  }
  SECTION("is gone") {
    doubling.sent(X, key);
    doubling.machine.on_unreachable(Y);
    CHECK(doubling.hints.empty());
    doubling.machine.on_unreachable(X);
  }
  SECTION("is silent") {
    RequestId number = doubling.sent(X, key);
    doubling.now.instant = doubling.now.instant + Duration::millis(999);
    doubling.machine.on_wake(doubling.now);
    CHECK(doubling.hints.empty());
    doubling.sent(X, other);
    doubling.now.instant = doubling.now.instant + Duration::millis(1);
    doubling.machine.on_wake(doubling.now);
    CHECK(doubling.machine.under_way() == 1);  // the other has its own patience
    doubling.machine.on_reply(X, number,
                              Stored{});  // too late: the hint goes out, and does no harm
    CHECK(doubling.machine.confirmed() == 0);
  }
  CHECK(doubling.hints == Hints{{key, X}});
  CHECK(doubling.machine.hinted() == 1);
}

TEST_CASE("O-15 a hint that the disk does not take is counted; nothing waits for it") {
  Doubling doubling;
  doubling.disk_fails = true;
  doubling.sent(X, key);
  doubling.machine.on_unreachable(X);
  CHECK(doubling.machine.under_way() == 0);
  CHECK(doubling.machine.failed() == 1);
  CHECK(doubling.machine.hinted() == 0);
}

TEST_CASE("O-15 one that is down or has too much under way is sent nothing") {
  DualWrites::Options few;
  few.most = 2;
  few.most_bytes = 2000;
  Doubling doubling(few);
  CHECK(doubling.machine.takes(X));
  doubling.health.down = {X};
  CHECK_FALSE(doubling.machine.takes(X));
  doubling.health.down.clear();
  RequestId first = doubling.sent(X, key);
  CHECK(doubling.machine.takes(X));
  doubling.sent(X, other);
  CHECK_FALSE(doubling.machine.takes(X));
  CHECK(doubling.machine.takes(Y));
  doubling.machine.on_reply(X, first, Stored{});
  CHECK(doubling.machine.takes(X));
  RequestId large = doubling.sent(Y, key, Bytes(3000, 'v'));
  CHECK_FALSE(doubling.machine.takes(X));  // bytes are counted over all
  doubling.machine.on_reply(Y, large, Stored{});
  CHECK(doubling.machine.takes(X));
}

TEST_CASE("R4.9-a writes go on from the owner that goes and from the first that stays") {
  const std::vector<NodeId> owners{A, B, C};
  auto told = [&](NodeId self, const std::vector<NodeId>& going) {
    return newcomers_to_tell(self, owners, going, {X});
  };
  const std::vector<NodeId> newcomer{X}, nobody;
  CHECK(told(A, {A}) == newcomer);
  CHECK(told(B, {A}) == newcomer);  // A may not know yet that it goes
  CHECK(told(C, {A}) == nobody);
  CHECK(told(B, {A, B}) == newcomer);
  CHECK(told(C, {A, B}) == newcomer);
  CHECK(told(A, {}) == newcomer);  // the one that went is gone for good
  CHECK(told(B, {}) == nobody);
  CHECK(told(X, {A}) == nobody);
  CHECK(newcomers_to_tell(A, owners, {A}, {}).empty());
  plant(PlantedBug::in_flight_write_not_forwarded);
  CHECK(told(A, {A}) == nobody);
  plant(PlantedBug::none);
}
