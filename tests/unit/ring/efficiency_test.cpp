// E-8: figure 8 of the paper by Monte Carlo. By default large placements are drawn
// fewer times, since they vary little (the standard error stays below 0.003); RINGLET_LONG=1 draws
// each 1000 times.
#include "ring/efficiency.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>

namespace ringlet {
namespace {

constexpr std::uint32_t nodes = 30;
constexpr std::size_t replicas = 3;

struct Point {
  std::uint32_t tokens;  // T; units = 30 T
  double first, second, third;
};
constexpr Point table[] = {{2, .529, .523, .863},   {4, .612, .611, .876},
                           {8, .693, .692, .900},   {16, .763, .762, .924},
                           {32, .821, .819, .943},  {64, .867, .857, .958},
                           {128, .903, .877, .970}, {256, .930, .861, .978},
                           {512, .948, .851, .984}, {1024, .964, .838, .989}};

std::uint32_t trials_for(std::uint32_t tokens) {
  const char* full = std::getenv("RINGLET_LONG");
  if (full != nullptr && full[0] == '1') return 1000;
  if (tokens <= 8) return 1000;
  if (tokens <= 32) return 400;
  return tokens <= 128 ? 120 : 40;
}

}  // namespace

TEST_CASE("E-8 efficiency of strategies 1, 2 and 3 at the thirty points of figure 8") {
  for (const Point& point : table) {
    std::uint32_t trials = trials_for(point.tokens), units = nodes * point.tokens;
    double first = measure_efficiency(
                       [&](Random& r) { return Placement::random_tokens(nodes, point.tokens, r); },
                       replicas, trials, 1)
                       .mean;
    double second =
        measure_efficiency(
            [&](Random& r) { return Placement::token_partitions(nodes, point.tokens, 1024, r); },
            replicas, trials, 2)
            .mean;
    double third =
        measure_efficiency([&](Random& r) { return Placement::random_owners(nodes, units, r); },
                           replicas, trials, 3)
            .mean;
    INFO("units " << units << ", " << trials << " placements: " << first << " " << second << " "
                  << third);
    CHECK(first == Approx(point.first).margin(0.015));
    CHECK(second == Approx(point.second).margin(0.015));
    CHECK(third == Approx(point.third).margin(0.015));
    if (units >= 1920) {
      CHECK(third > first);
      CHECK(first >= second);
    }
  }
}

TEST_CASE("R6.2-d efficiency and its deviation, worked out by hand") {
  constexpr std::uint64_t quarter = std::uint64_t{1} << 62;
  // Node 0 has a quarter of the circle, node 1 the rest: (1/2) / (3/4).
  Placement uneven = Placement::of_tokens({{{quarter, 0}, 0}, {{0, 0}, 1}});
  Placement even = Placement::of_tokens({{{2 * quarter, 0}, 0}, {{0, 0}, 1}});
  CHECK(efficiency_of(uneven, 1) == Approx(2.0 / 3));
  CHECK(efficiency_of(even, 1) == Approx(1));
  CHECK(efficiency_of(uneven, 2) == Approx(1));  // both hold everything
  int turn = 0;
  auto measured =
      measure_efficiency([&](Random&) { return ++turn % 2 ? uneven : even; }, 1, 100, 1);
  CHECK(measured.mean == Approx(5.0 / 6));
  CHECK(measured.deviation == Approx(1.0 / 6));
}

TEST_CASE("O-16 constrained placement is exactly even when S divides Q") {
  for (std::uint32_t s : {3u, 4u, 8u, 16u, 30u, 32u}) {
    for (std::uint32_t each : {1u, 2u, 16u}) {
      Placement placement =
          Placement::constrained(std::vector<PlacementNode>(s), s * each, replicas);
      INFO("S=" << s << " Q=" << s * each);
      CHECK(efficiency_of(placement, replicas) == Approx(1).epsilon(1e-12));
    }
  }
}

TEST_CASE("efficiency is the mean over the hottest, and can be bad") {
  // Node 0 has three quarters of the circle, node 1 a quarter: mean 1/2 over 3/4.
  Placement placement = Placement::of_tokens({{{std::uint64_t{3} << 62, 0}, 0}, {{0, 0}, 1}});
  CHECK(efficiency_of(placement, 1) == Approx(2.0 / 3));
  CHECK(efficiency_of(placement, 2) == Approx(1));
  auto same = measure_efficiency([&](Random&) { return placement; }, 1, 5, 1);
  CHECK(same.mean == Approx(2.0 / 3));
  CHECK(same.deviation == Approx(0).margin(1e-6));
}

}  // namespace ringlet
