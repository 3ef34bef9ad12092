#include "base/random.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <vector>

namespace ringlet {
namespace {

TEST_CASE("random: the published sequence of xoshiro256** seeded by splitmix64") {
  Random random(0);
  CHECK(random.next() == 11091344671253066420u);
  CHECK(random.next() == 13793997310169335082u);
  CHECK(random.next() == 1900383378846508768u);
  CHECK(random.next() == 7684712102626143532u);
}

TEST_CASE("random: a seed gives the same numbers on every machine") {
  Random a(7), b(7), other(8);
  CHECK(a.next() == b.next());
  CHECK(Random(7).next() != other.next());
  Random fork = a.fork();
  CHECK(fork.next() != a.next());

  Random golden(42);
  CHECK(golden.below(1000) == 742u);
  CHECK(golden.between(-50, 50) == 6);
  CHECK(golden.uniform() == 0x1.5c2ea66473c93p-1);
  CHECK(golden.exponential(10) == 0x1.9dc9fe1dc9992p+4);
}

TEST_CASE("random: below stays below and is even") {
  Random random(1);
  for (std::uint64_t bound : {1u, 2u, 3u, 7u, 10u}) {
    std::vector<int> seen(bound, 0);
    for (int i = 0; i < 10000; ++i) {
      std::uint64_t n = random.below(bound);
      REQUIRE(n < bound);
      ++seen[n];
    }
    auto expected = 10000.0 / static_cast<double>(bound);
    for (int count : seen) CHECK(std::abs(count - expected) < 6 * std::sqrt(expected));
  }
  // With a bound of three quarters of 2^64 a plain remainder would hit the lower third twice as
  // often: about 500 of 1000 instead of 333.
  int low = 0;
  for (int i = 0; i < 1000; ++i) low += random.below(UINT64_MAX / 4 * 3) < UINT64_MAX / 4;
  CHECK(low > 270);
  CHECK(low < 400);
}

TEST_CASE("random: between includes both ends, over the whole range too") {
  Random random(2);
  bool low = false, high = false;
  for (int i = 0; i < 1000; ++i) {
    std::int64_t n = random.between(-2, 2);
    REQUIRE(n >= -2);
    REQUIRE(n <= 2);
    low |= n == -2;
    high |= n == 2;
  }
  CHECK(low);
  CHECK(high);
  CHECK(random.between(5, 5) == 5);
  bool negative = false, positive = false;
  for (int i = 0; i < 64; ++i) {
    (random.between(INT64_MIN, INT64_MAX) < 0 ? negative : positive) = true;
  }
  CHECK(negative);
  CHECK(positive);
}

TEST_CASE("random: chances and distributions") {
  Random random(3);
  int heads = 0;
  double sum = 0;
  for (int i = 0; i < 10000; ++i) {
    double u = random.uniform();
    REQUIRE(u >= 0);
    REQUIRE(u < 1);
    heads += random.chance(0.25);
    double e = random.exponential(4);
    REQUIRE(e >= 0);
    sum += e;
  }
  CHECK(heads > 2300);
  CHECK(heads < 2700);
  CHECK(sum / 10000 == Approx(4).epsilon(0.05));
  CHECK_FALSE(random.chance(0));
  CHECK(random.chance(1));
}

TEST_CASE("random: the own logarithm agrees with the library's") {
  Random a(4), b(4);
  for (int i = 0; i < 1000; ++i) {
    REQUIRE(a.exponential(1) == Approx(-std::log(1 - b.uniform())).epsilon(1e-14));
  }
}

TEST_CASE("random: shuffle keeps what is there and reaches every order") {
  Random random(5);
  std::vector<std::vector<int>> orders;
  for (int i = 0; i < 500; ++i) {
    std::vector<int> items{1, 2, 3};
    random.shuffle(items);
    std::vector<int> sorted = items;
    std::sort(sorted.begin(), sorted.end());
    REQUIRE(sorted == std::vector<int>{1, 2, 3});
    if (std::find(orders.begin(), orders.end(), items) == orders.end()) orders.push_back(items);
  }
  CHECK(orders.size() == 6);
  std::vector<int> none;
  random.shuffle(none);
  CHECK(none.empty());
}

}  // namespace
}  // namespace ringlet
