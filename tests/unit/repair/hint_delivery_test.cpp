#include "repair/hint_delivery.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <optional>
#include <set>

#include "base/planted.hpp"

using namespace ringlet;

namespace {

const NodeId A{1}, B{2}, D{4};

class Shelf final : public HintStore {
 public:
  Result<std::vector<Hint>> hints_for(NodeId target, const Key* after, std::size_t limit) override {
    ++reads;
    if (broken) return Status(Code::io, "the shelf fell down");
    std::vector<Hint> page;
    for (auto& [row, object] : rows) {
      if (row.first != target || (after != nullptr && row.second <= *after)) continue;
      if (page.size() == limit) break;
      page.push_back({target, row.second, object});
    }
    return page;
  }
  Result<std::vector<NodeId>> targets() override {
    if (broken) return Status(Code::io, "the shelf fell down");
    std::set<NodeId> all;
    for (auto& [row, object] : rows) all.insert(row.first);
    return std::vector<NodeId>(all.begin(), all.end());
  }
  std::uint64_t bytes_for(NodeId target) override {
    std::uint64_t bytes = 0;
    for (auto& [row, object] : rows) {
      if (row.first != target) continue;
      bytes += row.second.bucket.size() + row.second.key.size();
      for (const Version& version : object.versions) bytes += version.value.size();
    }
    return bytes;
  }
  Status drop_if_same(const Hint& hint) override {
    auto found = rows.find({hint.target, hint.key});
    if (found != rows.end() && found->second == hint.object) rows.erase(found);
    return Status::ok();
  }

  std::map<std::pair<NodeId, Key>, Object> rows;
  bool broken = false;
  int reads = 0;
};

class Opinion final : public Health {
 public:
  bool is_down(NodeId node) const override { return down.contains(node); }
  void heard_from(NodeId, Instant) override {}
  void was_silent(NodeId, Instant) override {}
  void unreachable(NodeId, Instant) override {}
  Duration patience(NodeId) const override { return Duration::millis(50); }
  std::set<NodeId> down;
};

Key key(int i) {
  return {"b", std::to_string(10'000 + i)};
}

Object object(NodeId minter, std::uint64_t counter) {
  Object o;
  Dot dot{Actor{minter, 1}, counter};
  o.context.add(dot, 0);
  o.versions.push_back({dot, WriteId{1, counter}, 0, false, "v", ""});
  return o;
}

// D holds hints; owners store what they are sent.
struct Scene {
  explicit Scene(HintDelivery::Options o = {}) : options(o) { restart(); }

  void restart() { delivery = std::make_unique<HintDelivery>(D, options, shelf, health); }
  void fill(int count, NodeId target = A) {
    for (int i = 0; i < count; ++i) shelf.rows[{target, key(i)}] = object(D, 1);
  }
  std::vector<Outgoing> take() {
    auto out = delivery->take_outgoing();
    for (auto& o : out) ++sent[o.to];
    return out;
  }
  void store(const Outgoing& out) {
    auto& put = std::get<ReplicaPut>(out.message);
    CHECK(!put.hint_for);  // for the owner it is its own copy
    sync(owners[out.to][put.key], put.object);
  }
  void confirm(const Outgoing& out) {
    auto no = refuse ? refuse(std::get<ReplicaPut>(out.message)) : std::nullopt;
    if (no) return delivery->on_reply(out.to, out.number, *no, now);
    store(out);
    delivery->on_reply(out.to, out.number, Stored{}, now);
  }
  // Confirms everything, moving the clock only when nothing is under way.
  void run_until(Instant end) {
    while (true) {
      auto out = take();
      for (auto& o : out) confirm(o);
      if (!out.empty()) continue;
      if (delivery->next_wake() > end) return;
      now.instant = std::max(now.instant, delivery->next_wake());
      delivery->on_wake(now);
    }
  }

  HintDelivery::Options options;
  std::function<std::optional<Message>(const ReplicaPut&)> refuse;
  Shelf shelf;
  Opinion health;
  std::unique_ptr<HintDelivery> delivery;
  std::map<NodeId, std::map<Key, Object>> owners;
  std::map<NodeId, int> sent;
  Now now{Instant{1'000'000}, 0};
};

}  // namespace

TEST_CASE("R4.6-b a thousand hints reach the owner that came back, then none is left") {
  Scene scene;
  scene.fill(1000);
  scene.health.down.insert(A);
  scene.delivery->start(scene.now);
  scene.run_until(scene.now.instant + Duration::seconds(5));
  CHECK(scene.sent[A] == 0);  // not while it is believed down
  CHECK(scene.shelf.rows.size() == 1000);

  scene.health.down.clear();
  scene.delivery->on_recovered(A, scene.now);
  CHECK(scene.delivery->under_way() > 0);  // at once, not with the next scan
  scene.run_until(scene.now.instant + Duration::seconds(5));
  CHECK(scene.owners[A].size() == 1000);
  CHECK(scene.shelf.rows.empty());
  CHECK(scene.sent[A] == 1000);
  CHECK(scene.delivery->delivered() == 1000);
  CHECK(scene.delivery->under_way() == 0);
}

TEST_CASE("R4.6-b a crash in the middle loses nothing, and redelivery changes nothing") {
  Scene scene;
  scene.fill(200);
  scene.delivery->start(scene.now);
  int confirmed = 0;
  while (confirmed < 50) {
    auto out = scene.take();
    if (out.empty()) {
      scene.now.instant = scene.delivery->next_wake();
      scene.delivery->on_wake(scene.now);
    }
    for (auto& o : out) {
      if (confirmed < 50) scene.confirm(o);
      // The rest arrives at the owner, but its confirmation finds nobody.
      else
        scene.store(o);
      ++confirmed;
    }
  }
  CHECK(scene.shelf.rows.size() == 150);
  scene.restart();
  scene.delivery->start(scene.now);
  scene.run_until(scene.now.instant + Duration::seconds(5));
  CHECK(scene.shelf.rows.empty());
  CHECK(scene.owners[A].size() == 200);
  for (auto& [k, o] : scene.owners[A]) CHECK(o == object(D, 1));
}

TEST_CASE("a hint stays until its owner confirmed it") {
  Scene scene;
  scene.fill(1);
  scene.delivery->start(scene.now);
  CHECK(scene.take().size() == 1);
  CHECK(scene.shelf.rows.size() == 1);
  // No confirmation: after its patience it is sent again with the next scan.
  scene.now.instant = scene.now.instant + scene.options.patience;
  scene.delivery->on_wake(scene.now);
  CHECK(scene.delivery->under_way() <= 1);
  scene.run_until(scene.now.instant + Duration::seconds(3));
  CHECK(scene.shelf.rows.empty());
  CHECK(scene.sent[A] == 2);
}

TEST_CASE("a hint that changed on the way stays and is sent again") {
  Scene scene;
  scene.fill(1);
  scene.delivery->start(scene.now);
  auto out = scene.take();
  REQUIRE(out.size() == 1);
  sync(scene.shelf.rows[{A, key(0)}], object(B, 5));
  scene.confirm(out[0]);
  CHECK(scene.shelf.rows.size() == 1);
  scene.run_until(scene.now.instant + Duration::seconds(3));
  CHECK(scene.shelf.rows.empty());
  CHECK(scene.owners[A][key(0)].versions.size() == 2);
}

TEST_CASE("at most a window of copies is under way to one owner") {
  HintDelivery::Options options;
  options.window = 4;
  options.page = 3;
  Scene scene(options);
  scene.fill(50, A);
  scene.fill(50, B);
  scene.delivery->start(scene.now);
  auto out = scene.take();
  CHECK(scene.sent[A] == 4);
  CHECK(scene.sent[B] == 4);
  CHECK(scene.delivery->under_way() == 8);
  scene.confirm(out[0]);
  CHECK(scene.take().size() == 1);
}

TEST_CASE("all owners together get no more than the pace") {
  Pace::Options slow;
  slow.floor = 10;
  slow.most = 100;
  slow.step_bytes = slow.slice_bytes;  // each hint a slice
  Pace pace(slow);
  Scene scene;
  scene.fill(500, A);
  scene.fill(500, B);
  scene.delivery->set_pace(&pace);
  Instant start = scene.now.instant;
  scene.delivery->start(scene.now);
  scene.run_until(start + Duration::seconds(5));
  int sent = scene.sent[A] + scene.sent[B];
  CHECK(sent >= 490);
  CHECK(sent <= 520);  // five seconds and a tenth of arrears
  CHECK(std::abs(scene.sent[A] - scene.sent[B]) <= 2);
}

TEST_CASE("an owner that refuses, breaks off or is silent is left until the next scan") {
  for (std::string how : {"refused", "unreachable", "silent"}) {
    INFO(how);
    const Refused refusal{Status(Code::overloaded, "busy"), 0};
    HintDelivery::Options options;
    options.window = 2;
    options.patience = Duration::millis(100);
    Scene scene(options);
    scene.fill(20, A);
    scene.fill(20, B);
    scene.delivery->start(scene.now);
    Instant scan = scene.now.instant + options.scan;
    while (true) {
      auto out = scene.take();
      for (auto& o : out) {
        if (o.to == B)
          scene.confirm(o);
        else if (how == "refused")
          scene.delivery->on_reply(A, o.number, refusal, scene.now);
        else if (how == "unreachable")
          scene.delivery->on_unreachable(A, scene.now);
      }
      if (!out.empty()) continue;
      Instant next = scene.delivery->next_wake();
      if (next >= scan) break;
      scene.now.instant = next;
      scene.delivery->on_wake(scene.now);
    }
    CHECK(scene.owners[B].size() == 20);
    CHECK(scene.sent[A] <= 2);
    CHECK(scene.delivery->under_way() == 0);
    scene.run_until(scan + Duration::seconds(1));
    CHECK(scene.owners[A].size() == 20);
    CHECK(scene.shelf.rows.empty());
  }
}

TEST_CASE(
    "F-108 a hint that its owner refuses for what it is holds up no other, and is said once") {
  for (Code code : {Code::invalid_argument, Code::too_large, Code::too_many_siblings}) {
    Scene scene;
    scene.fill(50);
    std::vector<std::string> said;
    scene.restart();
    scene.delivery->set_said([&](LogLevel, NodeId target, const std::string& text) {
      CHECK(target == A);
      said.push_back(text);
    });
    scene.refuse = [&](const ReplicaPut& put) -> std::optional<Message> {
      if (put.key == key(7)) return Refused{Status(code, "no room for it"), 0};
      return std::nullopt;
    };
    scene.delivery->start(scene.now);
    scene.run_until(scene.now.instant + Duration::seconds(5));
    CHECK(scene.owners[A].size() == 49);
    CHECK(scene.shelf.rows.size() == 1);
    CHECK(scene.sent[A] == 50);  // not with each scan
    CHECK(scene.delivery->refused() == 1);
    REQUIRE(said.size() == 1);
    CHECK(said[0].find("no room for it") != std::string::npos);
    scene.run_until(scene.now.instant + scene.options.redirect_scan * 3);
    CHECK(scene.sent[A] >= 52);
    CHECK(said.size() == 1);
    scene.refuse = nullptr;  // there is room, or the clocks have caught up
    scene.run_until(scene.now.instant + scene.options.redirect_scan * 2);
    CHECK(scene.shelf.rows.empty());
  }
}

TEST_CASE("F-108 a hint that breaks the connection whenever it is sent holds up no other") {
  for (int poison : {0, 3, 20, 49}) {
    INFO("hint " << poison);
    HintDelivery::Options options;
    options.window = 4;
    Scene scene(options);
    scene.fill(50);
    scene.delivery->start(scene.now);
    for (int scan = 0; scan < 60 && scene.shelf.rows.size() > 1; ++scan) {
      while (true) {
        auto out = scene.take();
        bool breaks = std::any_of(out.begin(), out.end(), [&](auto& o) {
          return std::get<ReplicaPut>(o.message).key == key(poison);
        });
        if (breaks) scene.delivery->on_unreachable(A, scene.now);
        if (!breaks) {
          for (auto& o : out) scene.confirm(o);
        }
        if (breaks || out.empty()) break;
      }
      scene.now.instant = scene.delivery->next_wake();
      scene.delivery->on_wake(scene.now);
    }
    CHECK(scene.shelf.rows.size() == 1);
    CHECK(scene.owners[A].size() == 49);
  }
}

TEST_CASE("F-108 hints beyond their bound go when all other owners have them, and only then") {
  const NodeId C{3};
  HintDelivery::Options options;
  options.max_bytes = 10 * 7;  // a key and a value are seven bytes
  Scene scene(options);
  scene.fill(50);
  scene.health.down = {A};
  std::vector<std::string> said;
  auto host = [&] {
    scene.restart();
    scene.delivery->set_targets_for([](const Hint& hint) { return std::vector{hint.target}; });
    scene.delivery->set_other_owners([&](const Hint&) { return std::vector{B, C}; });
    scene.delivery->set_said(
        [&](LogLevel, NodeId, const std::string& text) { said.push_back(text); });
  };
  host();
  scene.now.wall_ms = 1000;
  SECTION("both confirm") {
    scene.delivery->start(scene.now);
    scene.run_until(scene.now.instant + Duration::seconds(5));
    CHECK(scene.shelf.rows.size() == 10);
    CHECK(scene.owners[B].size() == 40);
    CHECK(scene.owners[C].size() == 40);
    CHECK(scene.sent[A] == 0);
    CHECK(scene.delivery->released() == 40);
    CHECK(scene.delivery->delivered() == 0);
    REQUIRE(said.size() == 1);
    CHECK(said[0].find("70 bytes") != std::string::npos);
    scene.run_until(scene.now.instant + scene.options.redirect_scan * 3);
    REQUIRE(said.size() == 2);
    CHECK(said[1].find("40 were released") != std::string::npos);
    // What is left goes to its owner.
    scene.health.down.clear();
    scene.run_until(scene.now.instant + Duration::seconds(5));
    CHECK(scene.owners[A].size() == 10);
    CHECK(scene.shelf.rows.empty());
  }
  SECTION("one is down as well: all stays, and more is taken") {
    scene.health.down = {A, C};
    scene.delivery->start(scene.now);
    scene.run_until(scene.now.instant + scene.options.redirect_scan * 3);
    CHECK(scene.shelf.rows.size() == 50);
    CHECK(scene.sent[B] == 0);
  }
  SECTION("one refuses: all stays") {
    scene.refuse = [&](const ReplicaPut&) -> std::optional<Message> {
      return Refused{Status(Code::unavailable, "disk full"), 0};
    };
    scene.delivery->start(scene.now);
    scene.run_until(scene.now.instant + scene.options.redirect_scan * 3);
    CHECK(scene.shelf.rows.size() == 50);
  }
  SECTION("there is no other owner: all stays") {
    scene.delivery->set_other_owners([&](const Hint&) { return std::vector<NodeId>{}; });
    scene.delivery->start(scene.now);
    scene.run_until(scene.now.instant + scene.options.redirect_scan * 3);
    CHECK(scene.shelf.rows.size() == 50);
  }
  SECTION("old ones go, however few they are") {
    scene.options.max_bytes = 1 << 20;
    host();
    for (int i = 0; i < 50; ++i) {
      scene.shelf.rows[{A, key(i)}].versions[0].written_us = i < 20 ? 0 : 3'600'000'000LL;
    }
    scene.now.wall_ms = scene.options.max_age.millis() + 1000;
    scene.delivery->start(scene.now);
    scene.run_until(scene.now.instant + scene.options.redirect_scan * 2);
    CHECK(scene.shelf.rows.size() == 30);
    CHECK(scene.owners[B].size() == 20);
    CHECK(scene.owners[C].size() == 20);
  }
  SECTION("the check finds those that go before anybody has them") {
    plant(PlantedBug::hint_released_unconfirmed);
    scene.delivery->start(scene.now);
    (void)scene.take();
    plant(PlantedBug::none);
    CHECK(scene.shelf.rows.size() < 50);
    CHECK(scene.owners[B].empty());
  }
}

TEST_CASE("a store that fails is asked again with the next scan") {
  Scene scene;
  scene.fill(3);
  scene.shelf.broken = true;
  scene.delivery->start(scene.now);
  scene.run_until(scene.now.instant + Duration::millis(500));
  CHECK(scene.sent[A] == 0);
  scene.shelf.broken = false;
  scene.run_until(scene.now.instant + Duration::seconds(2));
  CHECK(scene.shelf.rows.empty());
}

TEST_CASE("a confirmation by somebody else, or twice, drops nothing") {
  Scene scene;
  scene.fill(2);
  scene.delivery->start(scene.now);
  auto out = scene.take();
  REQUIRE(out.size() == 2);
  scene.delivery->on_reply(B, out[0].number, Stored{}, scene.now);
  scene.delivery->on_reply(A, RequestId{999}, Stored{}, scene.now);
  CHECK(scene.shelf.rows.size() == 2);
  scene.confirm(out[0]);
  scene.confirm(out[0]);
  CHECK(scene.shelf.rows.size() == 1);
  CHECK(scene.delivery->delivered() == 1);
}

TEST_CASE("with nothing to deliver only the scan wakes it") {
  Scene scene;
  scene.delivery->start(scene.now);
  CHECK(scene.take().empty());
  CHECK(scene.delivery->next_wake() == scene.now.instant + scene.options.scan);
}

TEST_CASE("the test of confirmations finds the hint that is dropped when it is sent") {
  Scene scene;
  scene.fill(1);
  plant(PlantedBug::hint_dropped_on_send);
  scene.delivery->start(scene.now);
  plant(PlantedBug::none);
  CHECK(scene.take().size() == 1);
  CHECK(scene.shelf.rows.empty());  // lost, if the owner never gets it
}

TEST_CASE("F-45 a hint for one who owns its key no longer goes to all owners, then it is dropped") {
  const NodeId C{3};
  for (bool down : {false, true}) {
    Scene scene;
    scene.fill(30, A);
    scene.fill(5, B);
    if (down) scene.health.down.insert(A);  // gone for good
    scene.delivery->set_targets_for([&](const Hint& hint) {
      return hint.target == A ? std::vector<NodeId>{B, C, D} : std::vector<NodeId>{hint.target};
    });
    scene.delivery->start(scene.now);
    scene.run_until(scene.now.instant + Duration::seconds(5));
    CHECK(scene.shelf.rows.empty());
    CHECK(scene.sent[A] == 0);
    for (NodeId owner : {B, C, D}) CHECK(scene.owners[owner].size() == 30);  // itself included
    CHECK(scene.delivery->delivered() == 35);
    CHECK(scene.delivery->under_way() == 0);
  }
}

TEST_CASE("F-45 as long as one of the owners has not confirmed the hint stays") {
  const NodeId C{3};
  for (std::string how : {"silent", "refused", "unreachable", "down"}) {
    INFO(how);
    Scene scene;
    scene.fill(4, A);
    scene.delivery->set_targets_for([&](const Hint&) { return std::vector<NodeId>{B, C}; });
    if (how == "down") scene.health.down.insert(C);
    scene.delivery->start(scene.now);
    Instant end = scene.now.instant + Duration::millis(3500);
    while (scene.now.instant < end) {
      for (auto& o : scene.take()) {
        if (o.to == B) {
          scene.confirm(o);
        } else if (how == "refused") {
          scene.delivery->on_reply(o.to, o.number, Refused{Status(Code::overloaded, "busy"), 0},
                                   scene.now);
        } else if (how == "unreachable") {
          scene.delivery->on_unreachable(o.to, scene.now);
        }
      }
      scene.now.instant = scene.now.instant + Duration::millis(100);
      scene.delivery->on_wake(scene.now);
    }
    CHECK(scene.shelf.rows.size() == 4);
    scene.health.down.clear();
    scene.run_until(scene.now.instant + Duration::seconds(5));
    CHECK(scene.shelf.rows.empty());
    CHECK(scene.owners[C].size() == 4);
  }
}

TEST_CASE("F-45 a ring that changes sends the waiting hints of a lost node elsewhere soon") {
  Scene scene;
  scene.fill(300, A);
  scene.health.down.insert(A);
  bool replaced = false;
  scene.delivery->set_targets_for(
      [&](const Hint& hint) { return std::vector<NodeId>{replaced ? B : hint.target}; });
  scene.delivery->start(scene.now);
  scene.run_until(scene.now.instant + Duration::seconds(5));
  CHECK(scene.shelf.rows.size() == 300);
  replaced = true;
  scene.delivery->on_ring_changed(scene.now);
  scene.run_until(scene.now.instant + Duration::seconds(2));
  CHECK(scene.shelf.rows.empty());
  CHECK(scene.owners[B].size() == 300);
}

TEST_CASE(
    "F-45 a hint for one who left goes soon, though that one counts as down and owners were") {
  Scene scene;
  scene.health.down = {A, B};
  scene.delivery->set_targets_for([](const Hint&) { return std::vector<NodeId>{B}; });
  scene.delivery->set_is_member([](NodeId node) { return node != A; });
  scene.delivery->start(scene.now);
  scene.delivery->on_ring_changed(scene.now);
  scene.run_until(scene.now.instant + Duration::seconds(5));
  scene.fill(300, A);  // from somebody who had not heard that A left
  scene.run_until(scene.now.instant + Duration::seconds(5));
  CHECK(scene.shelf.rows.size() == 300);
  scene.health.down.erase(B);
  scene.run_until(scene.now.instant + Duration::seconds(3));
  CHECK(scene.shelf.rows.empty());
  CHECK(scene.owners[B].size() == 300);
}

TEST_CASE("R6.5 with a pace, hints take their slices from it") {
  Pace::Options slow;
  slow.floor = 10;
  slow.most = 50;
  slow.step_bytes = slow.slice_bytes;  // each hint a slice
  Pace pace(slow);
  Scene scene;
  scene.fill(1000, A);
  scene.delivery->set_pace(&pace);
  scene.delivery->start(scene.now);
  scene.run_until(scene.now.instant + Duration::seconds(4));
  CHECK(scene.sent[A] >= 190);
  CHECK(scene.sent[A] <= 210);
}
