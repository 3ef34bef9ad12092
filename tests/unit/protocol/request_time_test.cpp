#include "protocol/request_time.hpp"

#include <catch2/catch.hpp>

#include "base/random.hpp"

namespace ringlet {
namespace {

// Two hosts: the receiver's clock is `offset` ahead and runs `ppm` faster.
struct Line {
  std::int64_t offset_us = 0, ppm = 0;
  LeastDelay delay;
  // Sent at the sender's `at`, on its way for `way`.
  Duration sent(Instant at, Duration way) {
    std::int64_t true_us = at.us + way.us;
    return delay.heard(static_cast<std::uint64_t>(at.us),
                       Instant{true_us + true_us / 1'000'000 * ppm + offset_us});
  }
};

TEST_CASE("F-100 how long a message was held up does not depend on what the clocks say") {
  for (std::int64_t offset : {std::int64_t{0}, std::int64_t{1} << 40, -(std::int64_t{1} << 40)}) {
    Line line{offset, 0, {}};
    Instant t{Duration::seconds(2'000'000).us};
    CHECK(line.sent(t, Duration::micros(300)) == Duration{});
    CHECK(line.sent(t, Duration::micros(200)) == Duration{});
    // The least delay may have risen by a thousandth of the time that passed.
    Duration held_up = line.sent(t + Duration::millis(5), Duration::millis(900));
    CHECK(held_up > Duration::millis(898));
    CHECK(held_up < Duration::millis(900));
    // The quickest ever still counts.
    CHECK(line.sent(t + Duration::seconds(2), Duration::micros(200)) < Duration::millis(3));
  }
}

TEST_CASE("F-100 clocks that run unlike each other make nobody late over days") {
  for (std::int64_t ppm :
       {std::int64_t{-500}, std::int64_t{-50}, std::int64_t{50}, std::int64_t{500}}) {
    Line line{77, ppm, {}};
    Instant t{Duration::seconds(1000).us};
    Duration worst{};
    for (int minute = 0; minute < 4 * 24 * 60; ++minute) {
      t = t + Duration::seconds(60);
      worst = std::max(worst, line.sent(t, Duration::micros(200)));
    }
    INFO(ppm);
    CHECK(worst < Duration::millis(1));
    CHECK(line.sent(t + Duration::seconds(1), Duration::seconds(2)) > Duration::millis(1900));
  }
}

TEST_CASE("F-100 a long sleep is seen, and so are many messages in a row that are late") {
  Line line;
  Instant t{Duration::seconds(1000).us};
  line.sent(t, Duration::micros(200));
  CHECK(line.sent(t + Duration::seconds(1), Duration::seconds(3600)) > Duration::seconds(3595));
  for (int i = 0; i < 100; ++i) {
    t = t + Duration::millis(100);
    CHECK(line.sent(t, Duration::seconds(3600)) > Duration::seconds(3500));
  }
}

TEST_CASE("F-100 a way that became longer for good is the way in the end") {
  Line line;
  Instant t{Duration::seconds(1000).us};
  line.sent(t, Duration::micros(200));
  for (int second = 0; second < 200; ++second) {
    line.sent(t = t + Duration::seconds(1), Duration::millis(120));
  }
  CHECK(line.sent(t, Duration::millis(120)) == Duration{});
}

TEST_CASE("F-90 F-100 one message with an absurd time makes no later one late") {
  for (std::int64_t lie :
       {std::int64_t{3'601'000'000}, std::int64_t{1} << 40, std::int64_t{1} << 62}) {
    Line line;
    Instant t{Duration::seconds(1000).us};
    line.sent(t, Duration::micros(200));
    CHECK(line.delay.heard(static_cast<std::uint64_t>(t.us + lie), t + Duration::millis(1)) ==
          Duration{});
    CHECK(line.sent(t + Duration::millis(2), Duration::micros(200)) < Duration::millis(1));
    // What was held up is seen as before.
    CHECK(line.sent(t + Duration::seconds(1), Duration::seconds(2)) > Duration::millis(1900));
  }
}

TEST_CASE("F-90 F-100 several messages with absurd times make no later one late") {
  for (std::int64_t lie :
       {std::int64_t{3'601'000'000}, std::int64_t{1} << 40, std::int64_t{1} << 62}) {
    for (int lies : {2, 3, 1000}) {
      Line line;
      Instant t{Duration::seconds(1000).us};
      for (int second = 0; second <= 11; ++second) {
        line.sent(t = t + Duration::seconds(1), Duration::micros(200));
      }
      for (int i = 0; i < lies; ++i) {
        t = t + Duration::millis(10);
        CHECK(line.delay.heard(static_cast<std::uint64_t>(t.us + lie), t) == Duration{});
      }
      INFO(lie << " " << lies);
      CHECK(line.sent(t + Duration::millis(2), Duration::micros(200)) < Duration::millis(20));
      // What was held up is seen as before.
      CHECK(line.sent(t + Duration::seconds(1), Duration::seconds(2)) > Duration::millis(1900));
    }
  }
}

TEST_CASE("F-100 a receiver whose clock went back by hours finds the line again within a minute") {
  Line line;
  Instant t{Duration::seconds(100'000).us};
  for (int second = 0; second <= 20; ++second) {
    line.sent(t = t + Duration::seconds(1), Duration::micros(200));
  }
  line.offset_us = -Duration::seconds(20'000).us;
  for (int second = 0; second <= 62; ++second) {
    CHECK(line.sent(t = t + Duration::seconds(1), Duration::micros(200)) < Duration::millis(1));
  }
  CHECK(line.sent(t + Duration::seconds(1), Duration::seconds(2)) > Duration::millis(1900));
}

TEST_CASE("F-100 a first message that was held up for hours is found out by those after it") {
  Line line;
  Instant t{Duration::seconds(100'000).us};
  line.sent(t, Duration::seconds(10'000));
  line.sent(t + Duration::seconds(10'001), Duration::micros(200));
  CHECK(line.sent(t + Duration::seconds(10'002), Duration::micros(200)) == Duration{});
  CHECK(line.sent(t + Duration::seconds(10'003), Duration::seconds(2)) > Duration::millis(1900));
}

TEST_CASE("F-90 whatever a peer claims to have sent when, nothing overflows") {
  Random random(5);
  LeastDelay delay;
  Instant now{};
  for (int i = 0; i < 10'000; ++i) {
    now = Instant{random.chance(0.1) ? static_cast<std::int64_t>(random.next() >> 1)
                                     : now.us / 2 + random.between(0, 1000)};
    Duration held_up = delay.heard(random.next(), now);
    REQUIRE(held_up >= Duration{});
    Arrival at =
        arrival({Duration::millis(UINT32_MAX), Duration::millis(1)}, held_up, Instant{now.us / 2});
    REQUIRE(at.on_its_way == held_up);
  }
}

TEST_CASE("F-100 until when a request is wanted") {
  Instant now{Duration::seconds(5).us};
  CHECK(arrival({}, Duration::seconds(9), now).until == Instant::never());
  CHECK(arrival({Duration::millis(100), {}}, Duration::millis(30), now).until ==
        now + Duration::millis(70));
  CHECK(arrival({Duration::millis(100), {}}, Duration::millis(130), now).until < now);
  // The asker bears a node that is busy for long, one that is silent not.
  Asking client{Duration::millis(600), Duration::millis(50)};
  CHECK(arrival(client, Duration::millis(30), now).until == now + Duration::millis(570));
  CHECK(arrival(client, Duration::millis(51), now).until < now);
  CHECK(arrival(client, Duration::millis(51), now).silence == Duration::millis(50));
}

}  // namespace
}  // namespace ringlet
