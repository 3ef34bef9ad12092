#include "base/planted.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <thread>

#ifdef RINGLET_PLANTED_BUGS
namespace ringlet {
namespace {

TEST_CASE("planted: every bug has its own name") {
  std::set<std::string> names;
  for (int bug = 0; bug < static_cast<int>(PlantedBug::count); ++bug) {
    std::string name = name_of(static_cast<PlantedBug>(bug));
    CHECK(name != "unknown");
    CHECK(names.insert(name).second);
  }
  CHECK(std::string(name_of(PlantedBug::count)) == "unknown");
}

TEST_CASE("planted: one bug at a time, on this thread only") {
  CHECK_FALSE(planted(PlantedBug::answered_twice));
  plant(PlantedBug::answered_twice);
  CHECK(planted(PlantedBug::answered_twice));
  CHECK_FALSE(planted(PlantedBug::no_fallback));
  bool elsewhere = true;
  std::thread([&] { elsewhere = planted(PlantedBug::answered_twice); }).join();
  CHECK_FALSE(elsewhere);
  plant(PlantedBug::none);
  CHECK_FALSE(planted(PlantedBug::answered_twice));
  CHECK_FALSE(planted(PlantedBug::none));
}

}  // namespace
}  // namespace ringlet
#endif
