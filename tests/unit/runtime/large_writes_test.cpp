#include "runtime/large_writes.hpp"

#include <catch2/catch.hpp>

namespace ringlet {
namespace {

constexpr std::size_t mib = 1 << 20;
Instant at_ms(std::int64_t ms) {
  return Instant{} + Duration::millis(ms);
}

}  // namespace

TEST_CASE("F-107 a large write that cannot be done in time is refused at once, with the numbers") {
  LargeWrites writes;
  // Of a node that was never measured all are taken.
  for (int i = 0; i < 4; ++i) CHECK(writes.arrived(8 * mib, at_ms(1000), at_ms(0)).why.empty());
  // 8 MiB each 250 ms.
  for (int i = 1; i <= 4; ++i) writes.done(8 * mib, true, at_ms(250 * i));
  CHECK(writes.bytes_under_way() == 0);
  CHECK(writes.bytes_per_second() == Approx(32.0 * mib));

  for (int i = 0; i < 4; ++i) {
    CHECK(
        writes.arrived(8 * mib, at_ms(3000), at_ms(2000)).why.empty());  // 250, 500, 750, 1,000 ms
  }
  auto fifth = writes.arrived(8 * mib, at_ms(3000), at_ms(2000));
  CHECK(
      fifth.why ==
      "has 33554432 bytes of large values under way and stores 33554432 bytes a second, so one of "
      "8388608 would take 1250 ms and is wanted within 1000 ms");
  CHECK(fifth.retry_after_ms == 1000);
  CHECK(writes.bytes_under_way() == 32 * mib);  // what was refused is not counted
  CHECK(writes.arrived(8 * mib, at_ms(3300), at_ms(2000)).why.empty());  // it has longer
  CHECK(writes.arrived(8 * mib, Instant::never(), at_ms(2000)).why.empty());
}

TEST_CASE("F-107 a node that was slow with large writes finds out that it no longer is") {
  LargeWrites writes;
  CHECK(writes.arrived(8 * mib, at_ms(60'000), at_ms(0)).why.empty());
  writes.done(8 * mib, true, at_ms(50'000));  // a replica was away, say
  CHECK(writes.arrived(8 * mib, at_ms(52'000), at_ms(51'000)).why.empty());  // alone
  CHECK_FALSE(writes.arrived(8 * mib, at_ms(52'000), at_ms(51'000)).why.empty());
  CHECK(writes.arrived(8 * mib, at_ms(57'000), at_ms(56'000)).why.empty());  // believed no more
  for (int i = 0; i < 2; ++i) writes.done(8 * mib, false, at_ms(57'000));
  CHECK(writes.arrived(8 * mib, at_ms(101'000), at_ms(100'000)).why.empty());
  writes.done(8 * mib, true, at_ms(100'100));
  // Fifty seconds without any are no part of the measure.
  double first = 8.0 * mib / 50;
  CHECK(writes.bytes_per_second() > first * 1.9);
  for (int i = 0; i < 10; ++i) {
    std::int64_t ms = 110'000 + 10'000 * i;
    CHECK(writes.arrived(8 * mib, at_ms(ms + 1000), at_ms(ms)).why.empty());
    writes.done(8 * mib, true, at_ms(ms + 100));
  }
  CHECK(writes.bytes_per_second() > 60.0 * mib);
}

TEST_CASE("F-107 what failed or was given up frees its place and measures nothing") {
  LargeWrites writes;
  CHECK(writes.arrived(8 * mib, at_ms(1000), at_ms(0)).why.empty());
  writes.done(8 * mib, false, at_ms(1));
  CHECK(writes.bytes_under_way() == 0);
  CHECK(writes.bytes_per_second() == 0);
  // Answers of one moment are not taken for endless speed.
  for (int i = 0; i < 2; ++i) CHECK(writes.arrived(mib, at_ms(1000), at_ms(10)).why.empty());
  for (int i = 0; i < 2; ++i) writes.done(mib, true, at_ms(10));
  CHECK(writes.bytes_per_second() <= 1000.0 * mib);
}

}  // namespace ringlet
