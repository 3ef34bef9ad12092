// F-51: the turns of one key.
#include "runtime/key_turns.hpp"

#include <catch2/catch.hpp>

namespace ringlet {
namespace {

struct Ask {
  std::uint64_t key;
  int number;
  Instant arrived;
};

Instant at(int us) {
  return Instant{us};
}

}  // namespace

TEST_CASE("F-51 the third of a hot key waits, the first of another does not") {
  KeyTurns<Ask> turns(2);
  CHECK(turns.enter(1));
  CHECK(turns.enter(1));
  CHECK_FALSE(turns.enter(1));
  CHECK(turns.enter(2));
  CHECK(turns.waiting() == 0);  // enter() only says
}

TEST_CASE("F-51 turns go on in the order of arrival, and are gone when nobody wants one") {
  KeyTurns<Ask> turns(1);
  REQUIRE(turns.enter(1));
  turns.wait({1, 1, at(10)});
  turns.wait({1, 2, at(20)});
  CHECK(turns.waiting() == 2);
  CHECK(turns.leave(1)->number == 1);
  CHECK_FALSE(turns.enter(1));  // it is the waiter's
  CHECK(turns.leave(1)->number == 2);
  CHECK_FALSE(turns.leave(1).has_value());
  CHECK(turns.waiting() == 0);
  CHECK(turns.enter(1));
}

TEST_CASE("F-51 who waited too long is told once, the oldest first, over all keys") {
  KeyTurns<Ask> turns(1);
  REQUIRE(turns.enter(1));
  REQUIRE(turns.enter(2));
  turns.wait({1, 1, at(10)});
  turns.wait({2, 2, at(20)});
  turns.wait({1, 3, at(30)});
  turns.wait({2, 4, at(40)});
  CHECK_FALSE(turns.expired(at(10)).has_value());
  CHECK(turns.leave(1)->number == 1);  // has its turn: no longer to be told
  CHECK(turns.expired(at(31))->number == 2);
  CHECK(turns.expired(at(31))->number == 3);
  CHECK_FALSE(turns.expired(at(31)).has_value());
  CHECK(turns.waiting() == 1);
  CHECK(turns.leave(2)->number == 4);
  CHECK_FALSE(turns.expired(at(100)).has_value());
}

}  // namespace ringlet
