#include "coordination/held_slots.hpp"

#include <rapidcheck.h>
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

using namespace ringlet;

namespace {

constexpr NodeId a{1}, b{2}, c{3}, d{4}, e{5};

// By trying everything: the first slot left empty, or given to each member that holds it.
std::size_t tried_out(const std::vector<Holding>& holdings, std::size_t slot, std::size_t slots,
                      std::set<NodeId> used = {}) {
  if (slot == slots) return 0;
  std::size_t best = tried_out(holdings, slot + 1, slots, used);
  for (const Holding& holding : holdings) {
    if (holding.slot != slot || used.contains(holding.node)) continue;
    auto more = used;
    more.insert(holding.node);
    best = std::max(best, 1 + tried_out(holdings, slot + 1, slots, more));
  }
  return best;
}

}  // namespace

TEST_CASE("a slot counts once and a member counts once") {
  CHECK(held_slots({}, 3) == 0);
  CHECK(held_slots({{a, 0}, {b, 1}, {c, 2}}, 3) == 3);
  CHECK(held_slots({{a, 0}, {d, 1}, {b, 1}}, 3) == 2);  // b came back, d stood in for it
  CHECK(held_slots({{a, 0}, {d, 1}, {d, 2}}, 3) == 2);  // two hints on one disk
}

TEST_CASE("a fallback counts for whichever of its slots makes the most") {
  CHECK(held_slots({{a, 0}, {d, 1}, {b, 1}, {d, 2}}, 3) == 3);  // d for c, as b has its own
  CHECK(held_slots({{d, 0}, {d, 1}, {e, 0}}, 3) == 2);          // d gives slot 0 to e
  CHECK(held_slots({{d, 0}, {e, 0}, {d, 1}, {e, 2}, {c, 2}}, 3) == 3);
}

TEST_CASE("no other way of counting finds more") {
  bool held = rc::check([] {
    auto slots = *rc::gen::inRange<std::size_t>(1, 6);
    std::vector<Holding> holdings;
    for (int n = *rc::gen::inRange(0, 12); n > 0; --n) {
      holdings.push_back({NodeId{*rc::gen::inRange<std::uint64_t>(1, 7)},
                          *rc::gen::inRange<std::size_t>(0, slots)});
    }
    RC_ASSERT(held_slots(holdings, slots) == tried_out(holdings, 0, slots));
  });
  CHECK(held);
}
