#include "runtime/places.hpp"

#include <catch2/catch.hpp>

#include "runtime/descriptors.hpp"

namespace ringlet {
namespace {

using Catch::Matchers::Contains;
using Kind = Places::Kind;
using Room = Places::Room;

void come(Places& places, Kind kind, int count) {
  for (int i = 0; i < count; ++i) {
    places.accepted();
    if (kind != Kind::unknown) REQUIRE(places.named(kind));
  }
}

TEST_CASE("F-106 clients never have the places of members, whoever comes first") {
  Places places({10, 3, 5});
  come(places, Kind::client, 7);
  places.accepted();
  CHECK_FALSE(places.named(Kind::client));  // the eighth: it is told so, and leaves
  places.left(Kind::unknown);
  come(places, Kind::member, 3);
  CHECK(places.taken() == 10);
  CHECK(places.room() == Room::cut_client);  // one more may be a member: the idle one makes room
  places.left(Kind::client);
  CHECK(places.room() == Room::free);
  come(places, Kind::member, 1);  // members may have more than their share
  CHECK(places.room() == Room::cut_client);
}

TEST_CASE("F-106 those who say nothing are few, and the first that makes room") {
  Places places({10, 3, 5});
  come(places, Kind::unknown, 5);
  CHECK(places.room() == Room::cut_unknown);  // half of all places are free, and yet
  REQUIRE(places.named(Kind::client));
  CHECK(places.room() == Room::free);
  come(places, Kind::member, 5);
  CHECK(places.taken() == 10);
  CHECK(places.room() == Room::cut_unknown);  // before a client that is idle
}

TEST_CASE("F-106 with members everywhere there is nobody to cut") {
  Places places({4, 1, 4});
  come(places, Kind::member, 4);
  CHECK(places.room() == Room::none);
}

TEST_CASE("F-106 connections may have what the store, the members and the program leave") {
  // 20 open, 48 kept, and 2 to each of 8 members at least.
  CHECK(*places_for_connections(10'000, {1024, 20}, 1, 3, true) == 1024 - 20 - 48 - 16);
  CHECK(*places_for_connections(500, {1024, 20}, 1, 3, true) == 500);
  CHECK(*places_for_connections(10'000, {1024, 20}, 4, 50, true) == 1024 - 20 - 48 - 400);
  // A part of somebody's program leaves half to the program.
  CHECK(*places_for_connections(10'000, {1024, 20}, 1, 3, false) == (1024 - 20 - 48 - 16) / 2);
  CHECK(*places_for_connections(10'000, {100'000, 20}, 1, 3, true) == 10'000);
  auto refused = places_for_connections(10'000, {100, 20}, 1, 3, true);
  REQUIRE_FALSE(refused.is_ok());
  CHECK_THAT(refused.status().message(),
             Contains("wanted a limit (RLIMIT_NOFILE) of at least 116, got 100: 20 are open"));
  CHECK(*places_for_connections(10'000, {116, 20}, 1, 3, true) == 32);
  CHECK(*places_for_connections(1, {85, 20}, 1, 3, true) == 1);  // asked for few, has few
}

}  // namespace
}  // namespace ringlet
