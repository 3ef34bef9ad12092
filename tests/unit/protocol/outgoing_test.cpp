// The book of questions that machines share.
#include "protocol/outgoing.hpp"

#include <catch2/catch.hpp>

using namespace ringlet;

namespace {

struct Asked {
  NodeId to;
  Instant until;
  int what = 0;
};
constexpr NodeId A{1}, B{2};
constexpr Instant at(std::int64_t us) {
  return Instant{us};
}

}  // namespace

TEST_CASE("an answer is taken once, and only from the node that was asked") {
  PendingRequests<Asked> pending;
  RequestId expected = pending.next();
  RequestId first = pending.add({A, at(10), 1});
  CHECK(first == expected);
  CHECK(first != RequestId::none);
  CHECK_FALSE(pending.take(first, B));
  CHECK(pending.size() == 1);
  auto asked = pending.take(first, A);
  REQUIRE(asked);
  CHECK(asked->what == 1);
  CHECK_FALSE(pending.take(first, A));
  CHECK(pending.empty());
}

TEST_CASE("numbers rise and are not used again, also after clear()") {
  PendingRequests<Asked> pending;
  RequestId first = pending.add({A, at(10)});
  pending.clear();
  RequestId second = pending.add({A, at(20)});
  CHECK(first < second);
  CHECK(pending.find(first) == nullptr);
  CHECK_FALSE(pending.take(first, A));
  CHECK(pending.find(second) != nullptr);
}

TEST_CASE("questions whose patience is over are taken oldest first") {
  PendingRequests<Asked> pending;
  CHECK(pending.next_until() == Instant::never());
  CHECK_FALSE(pending.take_silent(Instant::never()));
  pending.add({A, at(10), 1});
  pending.add({B, at(20), 2});
  pending.add({A, at(30), 3});
  CHECK(pending.next_until() == at(10));
  CHECK_FALSE(pending.take_silent(at(9)));
  CHECK(pending.take_silent(at(20))->what == 1);
  CHECK(pending.take_silent(at(20))->what == 2);
  CHECK_FALSE(pending.take_silent(at(20)));
  CHECK(pending.next_until() == at(30));
}

TEST_CASE("all questions to one node are named oldest first") {
  PendingRequests<Asked> pending;
  RequestId first = pending.add({A, at(10)});
  pending.add({B, at(10)});
  RequestId third = pending.add({A, at(10)});
  CHECK(pending.to(A) == std::vector{first, third});
  CHECK(pending.any_to(B));
  pending.erase_if([](const Asked& asked) { return asked.to == A; });
  CHECK_FALSE(pending.any_to(A));
  CHECK(pending.size() == 1);
}
