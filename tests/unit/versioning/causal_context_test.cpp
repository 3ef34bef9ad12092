#include "versioning/causal_context.hpp"

#include <rapidcheck.h>
#include <catch2/catch.hpp>

namespace ringlet {
namespace {

Actor actor(std::uint64_t node, std::uint64_t epoch = 0) {
  return {NodeId{node}, epoch};
}

CausalContext context(std::initializer_list<std::pair<std::uint64_t, std::uint64_t>> entries) {
  CausalContext c;
  for (auto [node, counter] : entries) c.add({actor(node), counter}, 0);
  return c;
}

CausalContext any_context() {
  CausalContext c;
  for (std::uint64_t node = 1; node <= 3; ++node) {
    auto counter = *rc::gen::inRange<std::uint64_t>(0, 3);
    if (counter > 0) c.add({actor(node), counter}, 0);
  }
  return c;
}

CausalOrder inverse(CausalOrder order) {
  if (order == CausalOrder::before) return CausalOrder::after;
  if (order == CausalOrder::after) return CausalOrder::before;
  return order;
}

TEST_CASE("R4.4-d an absent counter is 0") {
  CausalContext c = context({{1, 3}});
  CHECK(c.counter(actor(1)) == 3);
  CHECK(c.counter(actor(2)) == 0);
  CHECK(c.contains({actor(1), 1}));
  CHECK(c.contains({actor(1), 3}));
  CHECK_FALSE(c.contains({actor(1), 4}));
  CHECK_FALSE(c.contains({actor(2), 1}));
  CHECK_FALSE(c.contains({actor(1, 1), 1}));  // another epoch is another actor
  CHECK(context({{1, 1}}).compare(context({{1, 1}, {2, 1}})) == CausalOrder::before);
  CHECK(context({}).compare(context({{2, 1}})) == CausalOrder::before);
}

TEST_CASE("R4.4-d the four answers") {
  CHECK(context({{1, 2}}).compare(context({{1, 2}})) == CausalOrder::equal);
  CHECK(context({{1, 2}}).compare(context({{1, 1}})) == CausalOrder::after);
  CHECK(context({{1, 1}}).compare(context({{1, 2}})) == CausalOrder::before);
  CHECK(context({{1, 2}, {2, 1}}).compare(context({{1, 2}, {3, 1}})) == CausalOrder::concurrent);
}

TEST_CASE("R4.4-d order: reflexive, antisymmetric, transitive, inverse") {
  CHECK(rc::check([] {
    CausalContext a = any_context(), b = any_context(), c = any_context();
    RC_ASSERT(a.compare(a) == CausalOrder::equal);
    RC_ASSERT((a.compare(b) == CausalOrder::equal) == (a == b));
    RC_ASSERT(a.compare(b) == inverse(b.compare(a)));
    if (a.covers(b) && b.covers(c)) RC_ASSERT(a.covers(c));
    if (a.covers(b) && b.covers(a)) RC_ASSERT(a == b);
  }));
}

TEST_CASE("R4.4-d join is the least context that covers both") {
  CHECK(rc::check([] {
    CausalContext a = any_context(), b = any_context(), upper = any_context();
    CausalContext both = a;
    both.join(b);
    RC_ASSERT(both.covers(a));
    RC_ASSERT(both.covers(b));
    if (upper.covers(a) && upper.covers(b)) RC_ASSERT(upper.covers(both));
    CausalContext other = b;
    other.join(a);
    RC_ASSERT(both == other);
  }));
}

TEST_CASE("causal context: entries are sorted, the later time of equal counters is kept") {
  CausalContext c;
  c.add({actor(2), 1}, 10);
  c.add({actor(1), 1}, 20);
  c.add({actor(1), 5}, 15);  // a later event by a clock that was set back
  c.add({actor(2), 1}, 12);
  c.add({actor(2), 1}, 11);
  REQUIRE(c.size() == 2);
  CHECK(c.entries()[0].actor == actor(1));
  CHECK(c.entries()[0].counter == 5);
  CHECK(c.entries()[0].last_ms == 15);
  CHECK(c.entries()[1].last_ms == 12);
  CausalContext later;
  later.add({actor(2), 1}, 99);
  CHECK(later.entries()[0] == c.entries()[1]);  // time takes no part in comparison
  c.join(later);
  CHECK(c.entries()[1].last_ms == 99);
  CHECK(c.size() == 2);
}

TEST_CASE("causal context: erase and set_entries") {
  CausalContext c = context({{1, 1}, {2, 2}});
  c.erase(actor(1));
  c.erase(actor(7));
  CHECK(c == context({{2, 2}}));
  c.set_entries({{actor(3), 1, 0}, {actor(1), 4, 0}, {actor(2), 0, 0}});
  CHECK(c == context({{1, 4}, {3, 1}}));
  CHECK(c.entries()[0].actor < c.entries()[1].actor);
}

TEST_CASE("causal context: dots can be read") {
  CHECK(to_string(Dot{actor(0xab, 7), 3}) == "00000000000000ab.7:3");
}

}  // namespace
}  // namespace ringlet
