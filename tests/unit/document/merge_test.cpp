#include <catch2/catch.hpp>

#include "document/edits.hpp"
#include "unit/document/model.hpp"

namespace ringlet::document::test {
namespace {

const Actor a{NodeId{1}, 1}, b{NodeId{2}, 1};
constexpr std::int64_t start_us = 1'700'000'000'000'000;

std::vector<Scalar> path(std::initializer_list<const char*> names) {
  std::vector<Scalar> path;
  for (const char* each : names) path.push_back(name(each));
  return path;
}

CausalContext context(std::initializer_list<Dot> dots) {
  CausalContext context;
  for (const Dot& dot : dots) context.add(dot, 0);
  return context;
}

// What one write makes of what it has read.
State write(const State& read, const Edits& edits, const Dot& dot, std::uint64_t id,
            std::int64_t now_us = start_us, const Limits& limits = {}) {
  auto document = apply(read, read.cover.seen(), edits, now_us, limits);
  INFO(document.status().message());
  REQUIRE(document);
  return resolve(std::move(*decode(encode(*document))), dot, WriteId{1, id});
}

State both(State one, const State& other) {
  join(one, other);
  return one;
}

Edit add(const char* element) {
  return {EditKind::add, path({"set"}), name(element)};
}
Edit remove(const char* element) {
  return {EditKind::remove, path({"set"}), name(element)};
}
Edit count(std::int64_t amount, const char* item = "tea") {
  return {EditKind::increment, path({"items", item}), {}, amount};
}

TEST_CASE("an element is gone when all of its additions were seen by the one who removed it") {
  State first = write({}, {add("x"), add("y")}, {a, 1}, 1);
  State removed = write(first, {remove("x")}, {a, 2}, 2);
  State beside = write(first, {add("z")}, {b, 1}, 3);
  CHECK(look(both(removed, beside)) == Seen{{"set/y", 0}, {"set/z", 0}});
  State again = write(first, {add("x")}, {b, 2}, 4);
  CHECK(look(both(removed, again)).contains("set/x"));
}

TEST_CASE("what a value that is no document holds is one thing to all who take it over") {
  auto version = [](const Dot& dot, std::uint64_t id, const char* holds, std::int64_t written_us) {
    Version version;
    version.dot = dot;
    version.write_id = WriteId{1, id};
    version.written_us = written_us;
    version.value = holds;
    return version;
  };
  auto take = [](const Version& v) -> Result<std::optional<Document>> {
    std::vector<Edits> lists{{add(v.value.c_str()), count(10)},
                             {{EditKind::set, path({"note"}), name(v.value.c_str())}}};
    auto made = taken_over(lists, v.written_us);
    if (!made) return made.status();
    return std::optional<Document>(std::move(*made));
  };
  const std::int64_t old_us = start_us - std::int64_t{1} * 365 * 86'400 * 1'000'000;
  Object object;
  object.versions = {version({a, 1}, 1, "x", old_us)};
  State taken = *read(object, Deletes::lose, take);
  CHECK_FALSE(read(object, Deletes::lose));
  CHECK(look(taken) == Seen{{"set/x", 0}, {"items/tea", 10}, {"note=x", 0}});
  State one = write(taken, {count(1)}, {a, 2}, 2);
  State other = write(taken, {count(1), remove("x")}, {b, 1}, 3);
  CHECK(look(both(one, other)) == Seen{{"items/tea", 12}, {"note=x", 0}});
  CHECK(look(both(other, one)) == look(both(one, other)));
  // The counter that one of them removes is gone.
  State gone = write(taken, {{EditKind::discard, path({"items"})}}, {b, 1}, 3);
  CHECK(look(both(one, gone)) == Seen{{"set/x", 0}, {"items/tea", 1}, {"note=x", 0}});
  // Two values of one time are added, and the later register is shown, whatever the order of their dots.
  object.versions = {version({a, 1}, 1, "x", start_us), version({b, 1}, 2, "y", old_us)};
  State two = *read(object, Deletes::lose, take);
  CHECK(look(two) ==
        Seen{{"set/x", 0}, {"set/y", 0}, {"items/tea", 20}, {"note=x", 0}, {"note=y", 0}});
  const Field* note = find(two.root, name("note"), Type::register_latest);
  REQUIRE(note != nullptr);
  CHECK(latest(std::get<Register>(note->node))->value == name("x"));
}

TEST_CASE("removing a field removes what was seen of it, and a concurrent edit inside survives") {
  State first = write({}, {count(5), count(1, "milk")}, {a, 1}, 1);
  State removed = write(first, {{EditKind::erase, path({"items"})}}, {a, 2}, 2);
  CHECK(look(removed).empty());
  State more = write(first, {count(2)}, {b, 1}, 3);
  CHECK(look(both(removed, more)) == Seen{{"items/tea", 2}});
}

TEST_CASE("one write under two dots counts once, and is gone when one who saw either removed it") {
  State first = write({}, {count(5), add("x")}, {a, 1}, 1);
  State second = write({}, {count(5), add("x")}, {b, 1}, 1);  // the same write
  CHECK(look(both(first, second)) == Seen{{"items/tea", 5}, {"set/x", 0}});
  // Two readers, each of whom has seen one of the dots.
  State one = write(first, {count(1)}, {a, 2}, 2);
  State other = write(second, {count(1)}, {b, 2}, 3);
  CHECK(look(both(one, other)) == Seen{{"items/tea", 7}, {"set/x", 0}});
  State removed = write(first, {remove("x"), {EditKind::clear, path({"items"})}}, {a, 3}, 4);
  CHECK(look(both(removed, other)) == Seen{{"items/tea", 1}});
}

TEST_CASE("amounts that nobody can count twice any more are summed up, the others are kept apart") {
  State state;
  Limits limits;
  limits.most = 64;
  limits.apart = 8;
  // The writes 10, 20, 30, … are not known to be executed once.
  auto settled = [](std::uint64_t print) {
    for (std::uint64_t n = 10; n <= 100; n += 10) {
      if (print == fingerprint(WriteId{1, n})) return false;
    }
    return true;
  };
  for (std::uint64_t n = 1; n <= 100; ++n) {
    auto document = apply(state, state.cover.seen(), {count(1)},
                          start_us + static_cast<std::int64_t>(n) * 10'000'000, limits, settled);
    REQUIRE(document);
    state = resolve(std::move(*document), {n % 2 == 0 ? a : b, (n + 1) / 2}, WriteId{1, n});
  }
  CHECK(state.events.size() == 10);
  const auto& counter = std::get<Counter>(std::get<Map>(state.root.fields[0].node).fields[0].node);
  CHECK(counter.sums.size() == 2);
  // The last eight of each actor, one of which is an event, the other eight events, and its own.
  CHECK(counter.parts.size() == 25);
  CHECK(total(counter) == 100);
  limits.apart = 0;
  // An hour later one number is left for each actor.
  state = write(state, {}, {a, 51}, 200, start_us + 5'000'000'000, limits);
  state = write(state, {}, {a, 52}, 201, start_us + 10'000'000'000, limits);
  const auto& later = std::get<Counter>(std::get<Map>(state.root.fields[0].node).fields[0].node);
  CHECK(later.parts.empty());
  CHECK(total(later) == 100);
  CHECK(encode(*apply(state, state.cover.seen(), {}, start_us, limits)).size() < 100);
}

TEST_CASE("one clock that is years ahead makes no document forget") {
  State state = write({}, {count(1)}, {a, 1}, 1);
  State ahead = write(state, {count(1)}, {a, 2}, 2, start_us + 400'000'000'000'000);
  CHECK(ahead.events.size() == 2);
  State after = write(ahead, {count(1)}, {b, 1}, 3);
  CHECK(after.events.size() == 3);
  CHECK(after.time_us > ahead.time_us);
}

TEST_CASE(
    "a flag that one enables and the other disables is enabled; a register takes the latest") {
  Edit on{EditKind::enable, path({"gift"})}, off{EditKind::disable, path({"gift"})};
  State first = write({}, {on}, {a, 1}, 1);
  State disabled = write(first, {off}, {a, 2}, 2), enabled = write(first, {on}, {b, 1}, 3);
  CHECK(look(disabled).empty());
  CHECK(look(both(disabled, enabled)).contains("gift"));

  Edit early{EditKind::set, path({"note"}), name("early")}, late = early;
  late.value = name("late");
  State one = write({}, {late}, {a, 1}, 1, start_us + 5), two = write({}, {early}, {b, 1}, 2);
  State merged = both(one, two);
  const auto& note = std::get<Register>(merged.root.fields.at(0).node);
  CHECK(note.values.size() == 2);
  CHECK(latest(note)->value == name("late"));
  // What follows wins, whatever the clock says.
  State follows = write(one, {early}, {b, 2}, 3, start_us - 1'000'000);
  CHECK(latest(std::get<Register>(both(one, follows).root.fields.at(0).node))->value ==
        name("early"));
}

TEST_CASE("a version whose dot lies beyond a gap says nothing of what is in the gap") {
  // b has seen nothing, and a's second write came meanwhile: the third covers itself only.
  State first = write({}, {add("x")}, {a, 1}, 1), second = write(first, {add("y")}, {a, 2}, 2);
  State blind = write({}, {add("z")}, {a, 3}, 3);
  CHECK(blind.cover.contains({a, 3}));
  CHECK_FALSE(blind.cover.contains({a, 2}));
  State merged = both(blind, second);
  CHECK(look(merged) == Seen{{"set/x", 0}, {"set/y", 0}, {"set/z", 0}});
  CHECK(merged.cover.beyond().empty());
  CHECK(merged.cover.seen().counter(a) == 3);
}

TEST_CASE("two types under one name, made concurrently, are both kept, and one can be edited") {
  State set = write({}, {{EditKind::add, path({"f"}), name("x")}}, {a, 1}, 1);
  State counter = write({}, {{EditKind::increment, path({"f"}), {}, 2}}, {b, 1}, 2);
  State merged = both(set, counter);
  CHECK(merged.root.fields.size() == 2);
  State edited = write(merged, {{EditKind::increment, path({"f"}), {}, 1}}, {a, 2}, 3);
  CHECK(look(edited) == Seen{{"f", 3}, {"f/x", 0}});
  CHECK(look(write(edited, {{EditKind::erase, path({"f"})}}, {a, 3}, 4)).empty());
}

TEST_CASE("a context that was truncated brings back, and loses and miscounts nothing") {
  State first = write({}, {add("x"), count(2)}, {a, 1}, 1);
  State beside = write(first, {add("y"), count(3)}, {b, 1}, 2);
  // It has read all, and the store has forgotten that of it; the document remembers.
  auto kept = apply(first, {}, {remove("x")}, start_us);
  REQUIRE(kept);
  CHECK(kept->saw.contains({a, 1}));
  Limits none;
  none.actors = none.most = none.apart = 0;
  auto cut = apply(first, context({{b, 7}}), {remove("x")}, start_us, none);
  REQUIRE(cut);
  CHECK_FALSE(cut->saw.contains({a, 1}));
  State state = resolve(std::move(*cut), {a, 2}, WriteId{1, 3});
  Seen seen = look(both(state, write(first, {add("z"), count(3)}, {b, 8}, 4)));
  CHECK(seen["items/tea"] == 5);
  CHECK(seen.contains("set/x"));  // back
  CHECK(seen.contains("set/z"));
  CHECK(look(both(resolve(std::move(*kept), {a, 2}, WriteId{1, 3}), beside)) ==
        Seen{{"items/tea", 5}, {"set/y", 0}});
}

TEST_CASE("reading an object merges its living documents and names what is none") {
  Object object;
  CHECK(look(*read(object)).empty());
  auto put = [&](const State& read, const Edits& edits, const CausalContext& seen,
                 std::uint64_t id) {
    Bytes bytes = encode(*apply(read, seen, edits, start_us));
    update(object, seen, a, {WriteId{1, id}, false, bytes, Bytes(document_content_type)}, start_us);
  };
  put({}, {add("x")}, {}, 1);
  put({}, {add("y")}, {}, 2);
  CHECK(look(*read(object)) == Seen{{"set/x", 0}, {"set/y", 0}});
  ringlet::remove(object, {}, a, WriteId{1, 3}, start_us);
  CHECK(look(*read(object)) == Seen{{"set/x", 0}, {"set/y", 0}});
  update(object, {}, a, {WriteId{1, 4}, false, "[1]", "application/json"}, start_us);
  auto mixed = read(object);
  REQUIRE_FALSE(mixed);
  CHECK(mixed.status().code() == Code::invalid_argument);
  CHECK(mixed.status().message().find("wanted a document") != std::string::npos);
  CHECK(mixed.status().message().find("application/json") != std::string::npos);
}

}  // namespace
}  // namespace ringlet::document::test
