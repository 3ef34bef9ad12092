// Somebody else is asked early when a replica is late by the measure of its own answers (early_asking.hpp).
// What one request does then is in tests/transcripts; here is when, and how often.
#include <catch2/catch.hpp>

#include "base/planted.hpp"
#include "coordination/early_asking.hpp"
#include "unit/coordination/world.hpp"

using namespace ringlet;
using namespace ringlet::test;

namespace {

using Kind = EarlyAsking::Kind;

const Key key{"carts", "alice"};
const NodeId node = node_id_of("n1");

EarlyAsking that_knows(Duration took) {
  EarlyAsking early;
  for (int i = 0; i < 100; ++i) early.answer_took(node, Kind::write, took);
  return early;
}

// How long the last put took, of a few that go before it and go well.
Duration time_of_put(World& world, NodeId minter, const RequestOptions& options = {}) {
  world.replies.clear();
  Instant begun = world.now.instant, answered;
  world.coordinator.put(key, {}, a_write(world.random.next()), options, minter, world.now,
                        [&](ClientReply reply) {
                          answered = world.now.instant;
                          world.replies.push_back(std::move(reply));
                        });
  world.run();
  REQUIRE(world.replies.size() == 1);
  return answered - begun;
}

}  // namespace

TEST_CASE("a replica is late after three times its usual time, 8 ms at least") {
  CHECK(that_knows(Duration::micros(300)).after(node, Kind::write, 0) == Duration::millis(8));
  Duration slow = that_knows(Duration::millis(20)).after(node, Kind::write, 0);
  CHECK(slow >= Duration::millis(60));
  CHECK(slow <= Duration::millis(90));
}

TEST_CASE("reads say nothing of writes, nor one node of another") {
  EarlyAsking early = that_knows(Duration::millis(20));
  Duration stranger = early.after(node_id_of("n2"), Kind::write, 0);
  CHECK(early.after(node, Kind::read, 0) == stranger);
  CHECK(stranger < Duration::millis(50));
}

TEST_CASE("each replica that was late with the same request doubles the time for the next one") {
  EarlyAsking early = that_knows(Duration::micros(300));
  CHECK(early.after(node, Kind::write, 1) == Duration::millis(16));
  CHECK(early.after(node, Kind::write, 3) == Duration::millis(64));
  CHECK(early.after(node, Kind::write, 60) == early.after(node, Kind::write, 6));
}

TEST_CASE(
    "in the long run a tenth of the requests is asked early of slow replicas, half of mute ones") {
  for (bool mute : {false, true}) {
    EarlyAsking early;
    while (early.may_ask(mute)) {
    }
    int asked = 0;
    for (int i = 0; i < 10'000; ++i) {
      early.request_began();
      while (early.may_ask(mute)) ++asked;
    }
    CHECK(asked == (mute ? 5'000 : 1'000));
  }
}

TEST_CASE("what was saved while all was well is bounded") {
  EarlyAsking early;
  for (int i = 0; i < 100'000; ++i) early.request_began();
  int asked = 0;
  while (early.may_ask(false)) ++asked;
  CHECK(asked == 50);
}

TEST_CASE("a put whose minter is silent takes a few milliseconds more and no patience") {
  for (const char* self : {"", "n9"}) {
    World world(5, 3, {}, self);
    NodeId minter = world.members_for(key)[0];
    for (int i = 0; i < 20; ++i) CHECK(time_of_put(world, minter) < Duration::millis(1));
    world.moods[minter] = Mood::silent;
    CHECK(time_of_put(world, minter) == Duration::millis(8));
    CHECK(world.coordinator.take_asked_early() == 1);
    CHECK(world.replies[0].status);
    CHECK(world.replies[0].tally.substitutes.empty());
    CHECK(world.silences[minter] == 1);  // once patience was over, as before
  }
}

TEST_CASE("a silent owner costs a put that wants all three no patience") {
  World world(5, 3);
  const auto members = world.members_for(key);
  RequestOptions all;
  all.w = 3;
  for (int i = 0; i < 20; ++i) time_of_put(world, members[0], all);
  for (NodeId silent : {members[1], members[0]}) {
    world.moods = {{silent, Mood::silent}};
    CHECK(time_of_put(world, members[0], all) == Duration::millis(8));
    CHECK(world.replies[0].status);
    CHECK(world.replies[0].tally.got == 3);
  }
}

TEST_CASE("a get that wants all three does not wait for a silent one") {
  World world(5, 3);
  const auto members = world.members_for(key);
  RequestOptions all;
  all.r = 3;
  auto time_of_get = [&](const RequestOptions& options) {
    Instant begun = world.now.instant, answered;
    world.coordinator.get(key, options, world.now, [&](ClientReply reply) {
      CHECK(reply.status);
      answered = world.now.instant;
    });
    world.run();
    return answered - begun;
  };
  for (int i = 0; i < 20; ++i) time_of_get(all);
  world.moods = {{members[1], Mood::silent}};
  CHECK(time_of_get(all) == Duration::millis(8));
  CHECK(time_of_get({}) == Duration{});
}

TEST_CASE("strict requests ask no substitute early") {
  World world(5, 3);
  const auto members = world.members_for(key);
  RequestOptions strict;
  strict.w = strict.r = 3;
  strict.strict = true;
  for (int i = 0; i < 20; ++i) time_of_put(world, members[0], strict);
  world.moods = {{members[1], Mood::silent}};
  world.asked.clear();
  time_of_put(world, members[0], strict);
  world.coordinator.get(key, strict, world.now, world.remember());
  world.run();
  CHECK(world.coordinator.take_asked_early() == 0);
  for (const ClientReply& reply : world.replies) CHECK(!reply.status);
}

TEST_CASE("a large value is not sent early to another replica") {
  World world(5, 3);
  const auto members = world.members_for(key);
  for (int i = 0; i < 20; ++i) time_of_put(world, members[0]);
  world.moods = {{members[0], Mood::silent}};
  world.asked.clear();
  Write write = a_write(1, std::string(100'000, 'x'));
  world.coordinator.put(key, {}, write, {}, members[0], world.now, world.remember());
  world.collect();
  world.deliver_one();
  world.now.instant = world.now.instant + Duration::millis(49);
  world.coordinator.on_wake(world.now);
  world.collect();
  CHECK(world.asked == std::vector<NodeId>{members[0]});
  world.run();
  CHECK(world.replies.back().status);
  CHECK(world.coordinator.take_asked_early() == 0);
}

TEST_CASE("F-107 a large value is minted again only where there is time to carry it") {
  for (std::uint32_t timeout_ms : {1'000, 2'000}) {
    World world(5, 3);
    const auto members = world.members_for(key);
    world.moods = {{members[0], Mood::silent}};
    RequestOptions options;
    options.timeout_ms = timeout_ms;
    world.coordinator.put(key, {}, a_write(1, std::string(8 << 20, 'x')), options, members[0],
                          world.now, world.remember());
    world.run();
    CHECK(world.replies.back().status.is_ok() == (timeout_ms == 2'000));
    CHECK((world.asked.size() == 1) == (timeout_ms == 1'000));
    if (timeout_ms == 1'000) CHECK(world.replies.back().status.code() == Code::timeout);
  }
}

TEST_CASE("a stall of everybody is not answered with a question to everybody") {
  World world(5, 3);
  const auto members = world.members_for(key);
  for (int i = 0; i < 20; ++i) time_of_put(world, members[0]);
  world.coordinator.take_asked_early();
  for (NodeId member : members) world.moods[member] = Mood::silent;
  RequestOptions short_one;
  short_one.timeout_ms = 45;
  std::size_t begun = 0;
  for (; begun < 1'000; ++begun) {
    world.coordinator.put(key, {}, a_write(begun + 1), short_one, members[0], world.now,
                          world.remember());
  }
  world.run();
  auto early = world.coordinator.take_asked_early();
  CHECK(early > 100);
  CHECK(early <= begun / 2 + 250);
}
