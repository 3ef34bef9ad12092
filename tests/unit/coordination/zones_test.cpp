// Zones (paper 4.6; R4.6-d, O-18): a fallback of the owner's own zone comes first, and the loss of a
// whole zone costs no request.
#include <catch2/catch.hpp>

#include "unit/coordination/world.hpp"

using namespace ringlet;
using test::a_write;
using test::Mood;
using test::World;

namespace {

const std::vector<std::string> zones{"east", "north", "west"};

std::string zone_of(const World& world, NodeId node) {
  return world.ring->find(node)->zone;
}

void put(World& world, const Key& key, std::uint64_t id) {
  world.coordinator.put(key, {}, a_write(id), {}, {}, world.now, world.remember());
  world.run();
}

}  // namespace

TEST_CASE("R4.6-d the owners of every key are in three zones") {
  World world(9, 3, {}, "", zones);
  for (int i = 0; i < 200; ++i) {
    const auto& members = world.members_for({"b", std::to_string(i)});
    std::set<std::string> seen;
    for (int owner = 0; owner < 3; ++owner) seen.insert(zone_of(world, members[owner]));
    CHECK(seen.size() == 3);
  }
}

TEST_CASE("O-18 a hint goes to a fallback of the owner's zone, and a get looks for it there") {
  for (int i = 0; i < 60; ++i) {
    World world(9, 3, {}, "", zones);
    Key key{"b", std::to_string(i)};
    NodeId gone = world.members_for(key)[i % 3];
    world.down.insert(gone);
    put(world, key, 1);
    REQUIRE(world.replies.size() == 1);
    REQUIRE(world.replies[0].status);
    std::size_t hints = 0;
    for (auto& [node, rows] : world.disks) {
      if (!world.holds(node, key, gone, a_write(1).write_id)) continue;
      ++hints;
      CHECK(zone_of(world, node) == zone_of(world, gone));
    }
    CHECK(hints == 1);
    world.asked.clear();
    world.coordinator.get(key, {}, world.now, world.remember());
    world.run();
    for (NodeId node : world.asked) {
      const auto& members = world.members_for(key);
      bool owner = std::find(members.begin(), members.begin() + 3, node) != members.begin() + 3;
      if (!owner) CHECK(zone_of(world, node) == zone_of(world, gone));
    }
  }
}

TEST_CASE("O-18 when the zone has nobody left, another zone's fallback serves") {
  World world(6, 3, {}, "", zones);
  Key key{"b", "k"};
  NodeId gone = world.members_for(key)[0];
  for (const Member& member : world.ring->members()) {
    if (member.zone == zone_of(world, gone)) world.down.insert(member.id);
  }
  put(world, key, 1);
  REQUIRE(world.replies.at(0).status);
  std::size_t hints = 0;
  for (auto& [node, rows] : world.disks) {
    hints += world.holds(node, key, gone, a_write(1).write_id) ? 1 : 0;
  }
  CHECK(hints == 1);
}

TEST_CASE("R4.6-d the loss of a zone costs no get and no put, believed gone or only silent") {
  for (bool believed : {false, true}) {
    World world(9, 3, {}, "", zones);
    for (const Member& member : world.ring->members()) {
      if (member.zone != "north") continue;
      world.moods[member.id] = Mood::silent;
      if (believed) world.down.insert(member.id);
    }
    for (int i = 0; i < 100; ++i) {
      Key key{"b", std::to_string(i)};
      put(world, key, 1);
      world.coordinator.get(key, {}, world.now, world.remember());
      world.run();
    }
    REQUIRE(world.replies.size() == 200);
    for (const ClientReply& reply : world.replies) CHECK(reply.status);
  }
}
