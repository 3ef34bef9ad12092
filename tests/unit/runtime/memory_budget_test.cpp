#include "runtime/memory_budget.hpp"

#include <catch2/catch.hpp>

namespace ringlet {
namespace {

constexpr std::size_t mib = 1 << 20;

using Catch::Matchers::Contains;

TEST_CASE("F-50 what is asked and what is owed are bounded, and the refusal has the numbers") {
  MemoryBudget budget({1000, 500});
  CHECK(budget.objection(1000, 500).empty());
  CHECK_THAT(budget.objection(1001, 0), Contains("would have 1001 more, wanted at most 1000"));
  budget.requests = 900;
  CHECK(budget.objection(100, 0).empty());
  CHECK_THAT(budget.objection(101, 0), Contains("has 900 bytes of requests under way"));
  budget.answers = 400;
  CHECK(budget.objection(0, 100).empty());
  CHECK_THAT(budget.objection(0, 101),
             Contains("400 bytes of answers that were not taken yet and expects 101 more"));
}

TEST_CASE("F-50 one answer beyond the limit may be had, a second not") {
  MemoryBudget budget({1000, 500});
  CHECK(budget.objection(10, 4000).empty());
  budget.answers = 1;
  CHECK_FALSE(budget.objection(10, 4000).empty());
}

TEST_CASE("F-106 half frames have a limit, members twice that, and a lone one is always had") {
  MemoryBudget budget({1000, 1000, 0, 100});
  CHECK(budget.resize_reading(0, 500, false));
  CHECK_FALSE(budget.resize_reading(0, 10, false));
  CHECK_FALSE(budget.resize_reading(0, 10, true));
  CHECK(budget.resize_reading(500, 60, false));
  CHECK(budget.resize_reading(0, 40, false));
  CHECK_FALSE(budget.resize_reading(40, 41, false));
  CHECK(budget.resize_reading(0, 100, true));
  CHECK_FALSE(budget.resize_reading(100, 101, true));
  CHECK(budget.resize_reading(40, 0, false));
  CHECK(budget.resize_reading(100, 0, true));
  CHECK(budget.reading == 60);
}

TEST_CASE("F-50 tight from seven eighths of the limit until below three quarters") {
  MemoryBudget budget({1000, 500, 800 * mib});
  CHECK_FALSE(budget.measured(700 * mib));
  CHECK_FALSE(budget.tight());
  CHECK(budget.measured(701 * mib));
  CHECK(budget.tight());
  CHECK(budget.objection(0, 0) == "uses 701 MiB of memory, its limit is 800 MiB");
  CHECK_FALSE(budget.measured(601 * mib));
  CHECK(budget.tight());
  CHECK(budget.measured(600 * mib));
  CHECK(budget.objection(0, 0).empty());
}

TEST_CASE("F-50 members are refused at the limit only") {
  MemoryBudget budget({1000, 500, 800 * mib});
  budget.measured(799 * mib);
  CHECK(budget.full().empty());
  CHECK_FALSE(budget.objection(0, 0).empty());
  budget.measured(800 * mib);
  CHECK(budget.full() == "uses 800 MiB of memory, its limit is 800 MiB");
}

TEST_CASE("no limit of the whole: never tight, never full") {
  MemoryBudget budget({1000, 500});
  CHECK_FALSE(budget.measured(std::size_t{1} << 40));
  CHECK_FALSE(budget.tight());
  CHECK(budget.full().empty());
}

TEST_CASE("this process is resident, and grows with what it touches") {
  std::size_t before = resident_bytes();
  REQUIRE(before > mib);
  std::string touched(64 * mib, 'x');
  CHECK(resident_bytes() > before + 32 * mib);
  CHECK(touched.back() == 'x');
  MemoryBudget budget({1000, 500, 1});
  CHECK(budget.measure(Instant{}));
  CHECK(budget.tight());
}

}  // namespace
}  // namespace ringlet
