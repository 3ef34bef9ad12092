// The laws of documents over histories that rapidcheck invents, and proof that they can fail.
#include <rapidcheck.h>
#include <catch2/catch.hpp>
#include <sstream>

#include "base/planted.hpp"
#include "unit/document/model.hpp"

namespace ringlet::document::test {
namespace {

rc::Gen<std::vector<Step>> histories() {
  using rc::gen::inRange;
  auto step = rc::gen::build<Step>(rc::gen::set(&Step::kind, inRange<int>(0, Step::kinds)),
                                   rc::gen::set(&Step::replica, inRange(0, replica_count)),
                                   rc::gen::set(&Step::other, inRange(0, replica_count)),
                                   rc::gen::set(&Step::what, inRange(0, 480)));
  return rc::gen::container<std::vector<Step>>(step);
}

State joined(State a, const State& b) {
  join(a, b);
  return a;
}

// Where amounts are summed up at once, merges in another order may keep apart what others have summed up:
// they show the same.
std::optional<std::string> broken_law(const std::vector<Step>& steps,
                                      const Model::Settings& settings = {}) {
  auto equal = [&](const State& a, const State& b) {
    return settings.limits.apart > 0 ? a == b : look(a) == look(b) && a.cover == b.cover;
  };
  Model model(settings);
  model.run(steps);
  if (model.broken()) return model.broken();
  const std::vector<State>& all = model.states();
  for (std::size_t i = 0; i < all.size(); i += 1 + all.size() / 5) {
    const State& a = all[i];
    if (!equal(joined(a, a), a)) return "merging is not idempotent";
    for (std::size_t n = 0; n < all.size(); n += 1 + all.size() / 5) {
      const State& b = all[n];
      if (!equal(joined(a, b), joined(b, a))) return "merging is not commutative";
      const State& c = all[(i + n) / 2];
      if (!equal(joined(joined(a, b), c), joined(a, joined(b, c))))
        return "merging is not associative";
    }
  }
  return std::nullopt;
}

// Fewer steps that break a law as well, in words.
std::string smallest(std::vector<Step> steps, const Model::Settings& settings = {}) {
  for (std::size_t i = steps.size(); i-- > 0;) {
    auto fewer = steps;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    if (broken_law(fewer, settings)) steps = std::move(fewer);
  }
  std::ostringstream out;
  for (const Step& step : steps) showValue(step, out);
  out << " " << broken_law(steps, settings).value_or("");
  return out.str();
}

TEST_CASE(
    "L23 no added element is lost, none that was removed comes back, counters are exact, and "
    "merging "
    "is commutative, associative and idempotent, with writes that are executed twice") {
  CHECK(rc::check([] {
    auto broken = broken_law(*histories());
    if (broken) RC_FAIL(*broken);
  }));
  Random random(1);
  std::size_t twice = 0;
  for (int i = 0; i < 600; ++i) {
    auto steps = random_history(random, 20 + i / 10);
    auto broken = broken_law(steps);
    INFO(i << ": " << (broken ? smallest(steps) : ""));
    REQUIRE_FALSE(broken);
    Model model{Model::Settings{}};
    model.run(steps);
    twice += model.twice();
  }
  CHECK(twice > 1000);
}

// A writer deletes a document after it read a single replica, and the stores forget replaced writes early.
// What the deleted document knew of writes that are executed twice must not be lost with it.
TEST_CASE("L23 what a document knew of earlier writes outlives its delete") {
  Model::Settings settings;
  settings.forgets = true;
  settings.deletes = GENERATE(Deletes::lose, Deletes::win);
  CAPTURE(static_cast<int>(settings.deletes));
  CHECK(rc::check([&] {
    Model model(settings);
    model.run(*histories());
    if (model.broken()) RC_FAIL(*model.broken());
  }));
  Random random(6);
  std::size_t twice = 0, deleted = 0;
  for (int i = 0; i < 600; ++i) {
    auto steps = random_history(random, 20 + i / 10);
    auto broken = [&](const std::vector<Step>& of) {
      Model model(settings);
      model.run(of);
      return model.broken();
    };
    if (broken(steps)) {
      for (std::size_t n = steps.size(); n-- > 0;) {
        auto fewer = steps;
        fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(n));
        if (broken(fewer)) steps = std::move(fewer);
      }
      std::ostringstream out;
      for (const Step& step : steps) showValue(step, out);
      FAIL("history " << i << ": " << out.str() << " " << *broken(steps));
    }
    Model model(settings);
    model.run(steps);
    twice += model.twice();
    deleted += model.deleted();
  }
  CHECK(twice > 1000);
  CHECK(deleted > 500);
}

TEST_CASE("the model finds every planted bug of documents") {
  auto bug = GENERATE(PlantedBug::document_tag_forgotten, PlantedBug::document_cover_too_large,
                      PlantedBug::document_gap_skipped, PlantedBug::document_self_of_another,
                      PlantedBug::document_write_counted_twice, PlantedBug::document_table_deleted,
                      PlantedBug::document_event_settled_early);
  plant(bug);
  Random random(2);
  int found = 0;
  Model::Settings settings;
  settings.forgets = bug == PlantedBug::document_table_deleted;
  for (int i = 0; i < 300; ++i) {
    Model model(settings);
    model.run(random_history(random, 40));
    found += model.broken() ? 1 : 0;
  }
  plant(PlantedBug::none);
  INFO(name_of(bug));
  CHECK(found > 0);
}

TEST_CASE("counters are exact when all amounts are summed up at once, as long as none is removed") {
  Model::Settings settings;
  settings.limits.most = settings.limits.apart = 0;
  settings.removes_counters = false;
  Random random(3);
  for (int i = 0; i < 300; ++i) {
    auto steps = random_history(random, 50);
    std::erase_if(steps, [](const Step& s) {
      return s.kind == Step::twice || s.kind == Step::late || s.kind == Step::sync2;
    });
    auto broken = broken_law(steps, settings);
    INFO(i << ": " << (broken ? smallest(steps, settings) : ""));
    REQUIRE_FALSE(broken);
  }
}

TEST_CASE(
    "M-15 an event whose copy may come late stays, and is in no sum, while all others are summed "
    "up") {
  Model::Settings settings;
  settings.limits.apart = 0;
  settings.removes_counters = false;
  settings.removes = GENERATE(true, false);
  Random random(5);
  std::size_t twice = 0;
  for (int i = 0; i < 600; ++i) {
    auto steps = random_history(random, 20 + i / 10);
    auto broken = broken_law(steps, settings);
    INFO(i << ": " << (broken ? smallest(steps, settings) : ""));
    REQUIRE_FALSE(broken);
    Model model(settings);
    model.run(steps);
    twice += model.twice();
  }
  CHECK(twice > 1000);
}

TEST_CASE("merging and then editing is editing and then merging, where the edits commute") {
  Random random(4);
  std::size_t compared = 0;
  for (int i = 0; i < 200; ++i) {
    Model model{Model::Settings{}};
    model.run(random_history(random, 30));
    const auto& all = model.states();
    if (all.size() < 2) continue;
    const State& a = all[random.below(all.size())];
    const State& b = all[random.below(all.size())];
    Edits edits = {{EditKind::add, {name("new")}, name("x")},
                   {EditKind::increment, {name("items"), name("a")}, {}, 3},
                   {EditKind::enable, {name("fresh")}}};
    Dot dot{Actor{NodeId{99}, 1}, 1};
    auto edited = [&](const State& state) {
      auto document = apply(state, state.cover.seen(), edits, 1'800'000'000'000'000);
      REQUIRE(document);
      return resolve(std::move(*document), dot, WriteId{8, 8});
    };
    CHECK(look(edited(joined(a, b))) == look(joined(edited(a), b)));
    ++compared;
  }
  CHECK(compared > 100);
}

TEST_CASE("documents of all histories survive their bytes, and equal ones have equal bytes") {
  Random random(5);
  for (int i = 0; i < 100; ++i) {
    Model model{Model::Settings{}};
    model.run(random_history(random, 40));
    for (const State& state : model.states()) {
      auto document = apply(state, state.cover.seen(), {{EditKind::add, {name("s")}, name("x")}},
                            1'800'000'000'000'000);
      REQUIRE(document);
      Bytes bytes = encode(*document);
      auto again = decode(bytes);
      REQUIRE(again);
      REQUIRE(encode(*again) == bytes);
      REQUIRE(again->root == document->root);
      REQUIRE(again->saw == document->saw);
    }
  }
}

}  // namespace
}  // namespace ringlet::document::test
