#include "versioning/shown.hpp"

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include <ctime>
#include <set>

namespace ringlet::test {
namespace {

Object object_of(std::vector<Version> versions) {
  Object object;
  std::uint64_t node = 0;
  for (Version& version : versions) {
    version.dot = Dot{Actor{NodeId{++node}, 2}, 1};
    version.write_id = WriteId{node, 7};
    object.context.add(version.dot, 0);
    object.versions.push_back(std::move(version));
  }
  return object;
}

Version living(Bytes value, std::int64_t written_us = 0, Bytes type = {}) {
  Version version;
  version.value = std::move(value);
  version.written_us = written_us;
  version.content_type = std::move(type);
  return version;
}

Version deleted() {
  Version version;
  version.tombstone = true;
  return version;
}

std::vector<Bytes> values(const Shown& shown) {
  std::vector<Bytes> found;
  for (const Version* version : shown.versions) {
    found.push_back(version->tombstone ? "deleted" : version->value);
  }
  return found;
}

using Values = std::vector<Bytes>;

TEST_CASE("M-1 living versions that differ in value or content type are a conflict") {
  CHECK_FALSE(shown(object_of({})).conflict);
  CHECK_FALSE(shown(object_of({living("a")})).conflict);
  CHECK(shown(object_of({living("a"), living("b")})).conflict);
  CHECK(shown(object_of({living("a", 0, "text/plain"), living("a", 0, "text/html")})).conflict);
}

TEST_CASE("M-1 equal living versions are shown as one, with the newest one's dot and time") {
  Object object = object_of({living("a", 10), living("b", 5), living("a", 20), living("a", 15)});
  Shown one_each = shown(object);
  CHECK(one_each.conflict);
  REQUIRE(one_each.versions.size() == 2);
  CHECK(one_each.versions[0]->value == "b");
  CHECK(one_each.versions[1]->dot == object.versions[2].dot);
  CHECK(one_each.versions[1]->written_us == 20);

  Shown only_equal = shown(object_of({living("a", 1), living("a", 1)}));
  CHECK_FALSE(only_equal.conflict);
  CHECK(only_equal.versions.size() == 1);
}

TEST_CASE("M-1 equal bytes of two documents are two events, and stay two versions") {
  Bytes type(document_content_type);
  Shown both = shown(object_of({living("d", 0, type), living("d", 0, type)}));
  CHECK(both.conflict);
  CHECK(both.versions.size() == 2);
}

TEST_CASE("L15 as many siblings as a key may have are looked through in a moment") {
  // Values of one size, as those of a counter or of ids are: comparing each with each takes ten seconds and more.
  std::vector<Version> versions;
  for (int i = 0; i < 65536; ++i) versions.push_back(living(std::to_string(100'000 + i / 2), i));
  Object object = object_of(std::move(versions));
  std::clock_t began = std::clock();  // of the processor: the machine may be busy with others
  Shown one_each = shown(object);
  double seconds = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
  CHECK(one_each.conflict);
  REQUIRE(one_each.versions.size() == 32768);
  CHECK(one_each.versions[0]->dot == object.versions[1].dot);
  CHECK(seconds < 2);
}

TEST_CASE("M-2 a delete beside a concurrent write is the bucket's choice") {
  Object object = object_of({living("cart"), deleted()});
  CHECK(values(shown(object)) == Values{"cart"});
  CHECK_FALSE(shown(object).conflict);
  CHECK(values(shown(object, Deletes::win)).empty());
  CHECK_FALSE(shown(object, Deletes::win).conflict);
  CHECK(values(shown(object, Deletes::ask)) == Values{"cart", "deleted"});
  CHECK(shown(object, Deletes::ask).conflict);
}

TEST_CASE("M-2 two deletes beside a write are asked about once") {
  Shown asked = shown(object_of({deleted(), living("cart"), deleted()}), Deletes::ask);
  CHECK(asked.versions.size() == 2);
}

TEST_CASE("M-2 a key that is only deleted reads as missing, whatever the choice") {
  for (Deletes deletes : {Deletes::lose, Deletes::win, Deletes::ask}) {
    CHECK(shown(object_of({deleted(), deleted()}), deletes).versions.empty());
    CHECK_FALSE(shown(object_of({deleted()}), deletes).conflict);
  }
}

TEST_CASE("M-1 M-2 what is shown is each living value once, in the order of dots") {
  CHECK(rc::check("over random objects", [] {
    std::vector<Version> versions;
    std::set<Bytes> alive;
    bool dead = false;
    for (int n = *rc::gen::inRange(0, 8); n > 0; --n) {
      if (*rc::gen::inRange(0, 4) == 0) {
        versions.push_back(deleted());
        dead = true;
        continue;
      }
      Bytes value(1, static_cast<char>('a' + *rc::gen::inRange(0, 4)));
      alive.insert(value);
      versions.push_back(living(value, *rc::gen::inRange(0, 100)));
    }
    Object object = object_of(std::move(versions));
    Shown lose = shown(object, Deletes::lose);
    RC_ASSERT(lose.versions.size() == alive.size());
    RC_ASSERT(lose.conflict == (alive.size() > 1));
    RC_ASSERT(std::is_sorted(lose.versions.begin(), lose.versions.end(),
                             [](auto* a, auto* b) { return a->dot < b->dot; }));
    Shown win = shown(object, Deletes::win);
    RC_ASSERT(win.versions.size() == (dead ? 0 : alive.size()));
    Shown ask = shown(object, Deletes::ask);
    RC_ASSERT(ask.versions.size() == alive.size() + (dead && !alive.empty() ? 1 : 0));
  }));
}

}  // namespace
}  // namespace ringlet::test
