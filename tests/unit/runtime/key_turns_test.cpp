// F-51: the turns of one key.
#include "runtime/key_turns.hpp"

#include <catch2/catch.hpp>

#include <vector>

namespace ringlet {
namespace {

struct Ask {
  std::uint64_t key;
  int number;
  Instant arrived;
  std::uint64_t link = 7;
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

TEST_CASE("F-51 a client with a thousand requests for a key delays another by one") {
  KeyTurns<Ask> turns(1);
  REQUIRE(turns.enter(1));
  for (int i = 0; i < 1000; ++i) turns.wait({1, i, at(i), 7});
  turns.wait({1, 5000, at(1000), 8});
  turns.wait({1, 5001, at(1001), 8});
  turns.wait({1, 6000, at(1002), 9});
  std::vector<int> served;
  for (int i = 0; i < 6; ++i) served.push_back(turns.leave(1)->number);
  CHECK(served == std::vector<int>{0, 5000, 6000, 1, 5001, 2});
  CHECK(turns.expired(at(4))->number == 3);  // and the oldest are told of their wait all the same
  CHECK(turns.waiting() == 996);
  for (int i = 0; i < 996; ++i) REQUIRE(turns.leave(1).has_value());
  CHECK_FALSE(turns.leave(1).has_value());
  CHECK_FALSE(turns.expired(at(5000)).has_value());
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
