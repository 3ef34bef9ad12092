// The laws of versioning over histories that rapidcheck invents, and proof that they can fail.
#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "base/planted.hpp"
#include "unit/versioning/history.hpp"

namespace ringlet::test {
namespace {

rc::Gen<std::vector<Step>> histories(bool truncates) {
  using rc::gen::inRange;
  auto step = rc::gen::build<Step>(
      rc::gen::set(&Step::kind, inRange<int>(0, truncates ? Step::kinds : Step::truncate)),
      rc::gen::set(&Step::replica, inRange(0, replica_count)),
      rc::gen::set(&Step::other, inRange(0, 1000)),
      rc::gen::set(&Step::client, inRange(0, client_count)));
  return rc::gen::container<std::vector<Step>>(step);
}

Object joined(Object a, const Object& b) {
  sync(a, b);
  return a;
}

// Bytes, so that the times of entries are compared too: replicas must end byte-equal.
Bytes bytes_of(const Object& object) {
  return encode_record(object);
}

std::optional<std::string> broken_law(const std::vector<Step>& steps, bool fresh_epochs = true) {
  History history(fresh_epochs);
  history.run(steps);
  if (history.broken()) return history.broken();
  if (auto lost = history.lost_write()) return lost;

  std::vector<Object> objects;
  for (const auto& replica : history.replicas()) objects.push_back(replica.object);
  for (std::size_t i = 0; i < history.mail().size() && i < 3; ++i) {
    objects.push_back(history.mail()[i]);
  }
  for (const Object& a : objects) {
    Object same = a;
    if (sync(same, a) || !(same == a)) return "sync is not idempotent";
    for (const Object& b : objects) {
      if (bytes_of(joined(a, b)) != bytes_of(joined(b, a))) return "sync is not commutative";
      for (const Object& c : objects) {
        if (bytes_of(joined(joined(a, b), c)) != bytes_of(joined(a, joined(b, c)))) {
          return "sync is not associative";
        }
      }
    }
  }
  return std::nullopt;
}

void hold(bool truncates) {
  CHECK(rc::check([=] {
    auto steps = *histories(truncates);
    auto broken = broken_law(steps);
    if (broken) RC_FAIL(*broken);
  }));
  // rapidcheck's histories are short at first and shrink well; these are long.
  Random random(truncates ? 1 : 2);
  for (int i = 0; i < 150; ++i) {
    auto broken = broken_law(random_history(random, 60, truncates));
    INFO(broken.value_or(""));
    REQUIRE_FALSE(broken);
  }
}

TEST_CASE(
    "O-2 laws: sync is a join, no write lost, no sibling twice, no ancestor by a descendant") {
  hold(false);
}

TEST_CASE("O-3 laws: truncation never loses a write") {
  hold(true);
}

TEST_CASE("O-3 the histories do truncate, write and hold several versions") {
  Random random(3);
  int truncated = 0;
  std::size_t writes = 0, widest = 0;
  for (int i = 0; i < 50; ++i) {
    History history;
    history.run(random_history(random, 60, true));
    truncated += history.truncated();
    writes += history.write_count();
    widest = std::max(widest, siblings(history.everything()).size());
  }
  CHECK(truncated > 10);
  CHECK(writes > 500);
  CHECK(widest >= 4);
}

std::optional<std::string> first_broken(bool fresh_epochs = true) {
  Random random(4);
  for (int i = 0; i < 200; ++i) {
    if (auto broken = broken_law(random_history(random, 60, false), fresh_epochs)) return broken;
  }
  return std::nullopt;
}

TEST_CASE("decision 4: without fresh epochs the same histories break a law") {
  REQUIRE_FALSE(first_broken(true));
  CHECK(first_broken(false));
}

#ifdef RINGLET_PLANTED_BUGS
struct Planted {
  explicit Planted(PlantedBug bug) { plant(bug); }
  ~Planted() { plant(PlantedBug::none); }
};

TEST_CASE("planted: the laws find a sync that keeps ancestors") {
  Planted bug(PlantedBug::sync_keeps_ancestors);
  auto broken = first_broken();
  REQUIRE(broken);
  CHECK(broken->find("ancestor") != std::string::npos);
}

TEST_CASE("planted: L18 the laws find replaced writes that are not noted, or not told") {
  for (PlantedBug which :
       {PlantedBug::spent_forgotten_by_update, PlantedBug::spent_forgotten_by_sync}) {
    Planted bug(which);
    auto broken = first_broken();
    REQUIRE(broken);
    INFO(*broken);
    // Replicas that do not tell each other do not end alike either.
    bool told = broken->find("was replaced and is back") != std::string::npos ||
                (which == PlantedBug::spent_forgotten_by_sync &&
                 broken->find("sync is not") != std::string::npos);
    CHECK(told);
  }
}

TEST_CASE("planted: L18 the laws find notes that have the time of a clock alone") {
  Planted bug(PlantedBug::note_by_clock_alone);
  auto broken = first_broken();
  REQUIRE(broken);
  CHECK(broken->find("a note is as old") != std::string::npos);
}

TEST_CASE("planted: the laws find a retry that becomes a second sibling (decision 5)") {
  Planted bug(PlantedBug::write_id_ignored);
  auto broken = first_broken();
  REQUIRE(broken);
  bool told = broken->find("is shown twice") != std::string::npos ||
              broken->find("was minted again") != std::string::npos;
  INFO(*broken);
  CHECK(told);
}
#endif

}  // namespace
}  // namespace ringlet::test
