#include "coordination/quorum.hpp"

#include <catch2/catch.hpp>

using namespace ringlet;

TEST_CASE("R4.5-d a vote is reached at W, lost when too few are left, pending in between") {
  for (std::size_t voters = 1; voters <= 7; ++voters) {
    for (std::size_t wanted = 1; wanted <= voters; ++wanted) {
      for (std::size_t yes = 0; yes <= voters; ++yes) {
        for (std::size_t no = 0; yes + no <= voters; ++no) {
          Quorum quorum(wanted, voters);
          for (std::size_t i = 0; i < yes; ++i) quorum.yes();
          for (std::size_t i = 0; i < no; ++i) quorum.no();
          Verdict expected = yes >= wanted          ? Verdict::reached
                             : voters - no < wanted ? Verdict::lost
                                                    : Verdict::pending;
          CHECK(quorum.verdict() == expected);
          CHECK(quorum.count() == yes);
        }
      }
    }
  }
}

TEST_CASE("a vote that wants more than there are voters is lost from the start") {
  CHECK(Quorum(3, 2).verdict() == Verdict::lost);
}
