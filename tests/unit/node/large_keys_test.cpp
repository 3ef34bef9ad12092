#include "node/large_keys.hpp"

#include <catch2/catch.hpp>

namespace ringlet {

TEST_CASE("F-107 a key is known to be large while it is, and others are not taken for it") {
  LargeKeys keys;
  std::uint64_t a = LargeKeys::hash_of({"b", "a"}), b = LargeKeys::hash_of({"b", "b"});
  CHECK(a != b);
  CHECK(LargeKeys::hash_of({"ba", ""}) != a);
  CHECK(keys.bytes_of(a) == 0);
  keys.seen(a, large_object_bytes - 1);
  CHECK(keys.bytes_of(a) == 0);
  keys.seen(a, 8 << 20);
  CHECK(keys.bytes_of(a) == 8 << 20);
  CHECK(keys.bytes_of(b) == 0);
  keys.seen(b, 10);
  CHECK(keys.bytes_of(a) == 8 << 20);
  keys.seen(a, large_object_bytes);
  CHECK(keys.bytes_of(a) == large_object_bytes);
  keys.seen(a, 10);
  CHECK(keys.bytes_of(a) == 0);
  // One place, two keys: the later one is known, and a small one does not push a large one out.
  std::uint64_t rival = a ^ (std::uint64_t{1} << 60);
  keys.seen(a, 8 << 20);
  keys.seen(rival, 10);
  CHECK(keys.bytes_of(a) == 8 << 20);
  keys.seen(rival, 4 << 20);
  CHECK(keys.bytes_of(a) == 0);
  CHECK(keys.bytes_of(rival) == 4 << 20);
}

}  // namespace ringlet
