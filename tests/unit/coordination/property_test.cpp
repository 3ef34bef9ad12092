// "Could have taken the write and did not" is the checker to write first.
#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "base/planted.hpp"
#include "unit/coordination/world.hpp"

using namespace ringlet;
using namespace ringlet::test;

namespace {

struct Setting {
  std::size_t members;
  std::uint32_t replicas;
  std::size_t wanted;
  std::vector<Mood> moods;
  std::vector<bool> believed_down;
  bool lww, strict;
};

Setting draw() {
  Setting s;
  s.members = *rc::gen::inRange<std::size_t>(1, 9);
  s.replicas = *rc::gen::inRange<std::uint32_t>(1, 6);
  s.wanted = *rc::gen::inRange<std::size_t>(1, std::min<std::size_t>(s.replicas, s.members) + 1);
  for (std::size_t i = 0; i < s.members; ++i) {
    s.moods.push_back(*rc::gen::weightedElement<Mood>({{3, Mood::well},
                                                       {1, Mood::slow},
                                                       {1, Mood::silent},
                                                       {1, Mood::refusing},
                                                       {1, Mood::unreachable}}));
    s.believed_down.push_back(*rc::gen::weightedElement<bool>({{2, false}, {1, true}}));
  }
  s.lww = *rc::gen::arbitrary<bool>();
  s.strict = *rc::gen::weightedElement<bool>({{3, false}, {1, true}});
  return s;
}

// `answering`: who does, and counts.
World* make(const Setting& s, const Key& key, std::vector<NodeId>& answering) {
  CoordinationOptions options;
  options.r = options.w = static_cast<std::uint8_t>(s.wanted);
  options.reconcile = s.lww ? Reconcile::lww : Reconcile::siblings;
  options.timeout = Duration::millis(2000);  // patience for every member in turn fits in
  auto* world = new World(s.members, s.replicas, options);
  const auto& members = world->members_for(key);
  for (std::size_t i = 0; i < members.size(); ++i) {
    world->moods[members[i]] = s.moods[i];
    if (s.believed_down[i]) world->down.insert(members[i]);
    bool counts = !s.strict || i < world->ring->effective_replicas();
    bool answers = s.moods[i] == Mood::well || s.moods[i] == Mood::slow;
    if (answers && counts) answering.push_back(members[i]);
  }
  return world;
}

}  // namespace

TEST_CASE("R4.6-a R4.6-c with W (R) of S reachable nothing is refused, no owner forgotten") {
  const Key key{"carts", "alice"};
  bool held = rc::check([&] {
    Setting s = draw();
    std::vector<NodeId> well;
    std::unique_ptr<World> world(make(s, key, well));
    RequestOptions request;
    request.strict = s.strict;

    world->coordinator.put(key, {}, a_write(1), request, {}, world->now, world->remember());
    world->run();
    RC_ASSERT(world->replies.size() == 1u);
    RC_ASSERT(world->replies[0].status.is_ok() == (well.size() >= s.wanted));
    RC_ASSERT(world->coordinator.in_flight() == 0u);
    // Nothing stored, nothing claimed.
    if (!world->replies[0].status.is_ok() && !well.empty()) {
      RC_ASSERT(world->replies[0].status.maybe_applied() || world->disks.empty());
    }
    if (world->replies[0].status.is_ok()) {
      const auto& members = world->members_for(key);
      for (std::size_t i = 0; i < world->ring->effective_replicas(); ++i) {
        bool taken_care_of = world->holds(members[i], key, {}, WriteId{9, 1});
        for (NodeId other : members) {
          taken_care_of |= world->holds(other, key, members[i], WriteId{9, 1});
        }
        RC_ASSERT(taken_care_of);
      }
      // L14: what was promised outlives the hints.
      RC_ASSERT(world->disks_after_hand_over(key, WriteId{9, 1}) >= s.wanted);
      RC_ASSERT(world->replies[0].tally.got >= s.wanted);
      RC_ASSERT(world->replies[0].tally.got <= world->ring->effective_replicas());
    }

    world->coordinator.get(key, request, world->now, world->remember());
    world->run();
    RC_ASSERT(world->replies.size() == 2u);
    RC_ASSERT(world->replies[1].status.is_ok() == (well.size() >= s.wanted));
    RC_ASSERT(world->coordinator.in_flight() == 0u);
    // The same members are well for both, and W + R are more than all of them: it is seen.
    if (world->replies[1].status.is_ok() && 2 * s.wanted > well.size()) {
      RC_ASSERT(siblings(world->replies[1].object).size() == 1u);
    }
  });
  CHECK(held);
}

TEST_CASE("the checker above finds each planted bug of availability") {
  const Key key{"carts", "alice"};
  auto owners_without_hint = [&](PlantedBug bug) {
    plant(bug);
    CoordinationOptions options;
    options.timeout = Duration::millis(300);
    World world(5, 3, options);
    const auto& members = world.members_for(key);
    world.moods[members[1]] = Mood::silent;
    world.coordinator.put(key, {}, a_write(1), {}, {}, world.now, world.remember());
    world.run();
    plant(PlantedBug::none);
    bool hinted = false;
    for (NodeId node : members) hinted |= world.holds(node, key, members[1], WriteId{9, 1});
    return !hinted;
  };
  CHECK(!owners_without_hint(PlantedBug::none));
  CHECK(owners_without_hint(PlantedBug::no_hint_at_quorum));
  CHECK(owners_without_hint(PlantedBug::no_fallback));

  auto refused = [&](PlantedBug bug) {
    plant(bug);
    World world(5, 3);
    const auto& members = world.members_for(key);
    world.down = {members[0], members[1]};
    for (NodeId node : world.down) world.moods[node] = Mood::silent;
    world.coordinator.put(key, {}, a_write(1), {}, {}, world.now, world.remember());
    world.run();
    plant(PlantedBug::none);
    return !world.replies.at(0).status.is_ok();
  };
  CHECK(!refused(PlantedBug::none));
  CHECK(refused(PlantedBug::no_fallback));
}

TEST_CASE("R4.6-a a network that loses three messages in ten refuses nothing") {
  const Key key{"carts", "alice"};
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    for (std::size_t members : {3u, 5u}) {
      INFO("seed " << seed << ", " << members << " members");
      CoordinationOptions options;
      options.timeout = Duration::seconds(60);
      World world(members, 3, options);
      world.loss = 0.3;
      world.random = Random(seed);
      world.coordinator.put(key, {}, a_write(1), {}, {}, world.now, world.remember());
      world.run();
      world.coordinator.get(key, {}, world.now, world.remember());
      world.run();
      REQUIRE(world.replies.size() == 2);
      CHECK(world.replies[0].status.is_ok());
      CHECK(world.replies[1].status.is_ok());
      CHECK(siblings(world.replies[1].object).size() <= 1);  // however often it was minted
      CHECK(world.replies[0].tally.answered.size() <= members);
      CHECK(world.disks_after_hand_over(key, WriteId{9, 1}) >= 2);
      CHECK(world.coordinator.in_flight() == 0);
    }
  }
}
