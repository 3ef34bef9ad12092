// F-50, F-51: which request of a lane is served, which waits, which is refused.
#include "runtime/admission.hpp"

#include <catch2/catch.hpp>

#include <vector>

#include "wire/codec.hpp"

namespace ringlet {
namespace {

constexpr std::uint64_t member = 99;  // its link; all others are clients'

Instant at(std::int64_t ms) {
  return Instant{} + Duration::millis(ms);
}

struct Lane {
  explicit Lane(const ServerLimits& wanted = {}) : limits(wanted) {}

  // What became of it on arrival: "now", "waits", or why it is refused.
  std::string ask(std::uint64_t link, std::uint64_t number, std::int64_t ms,
                  const std::string& key = "key", std::size_t bytes = 100) {
    Bytes body(bytes, 'x');
    wire::Frame frame;
    frame.version = 1;
    frame.type = static_cast<std::uint8_t>(wire::Type::client_get);
    frame.number = number;
    frame.body = body;
    auto full = admission.arrived(link, link == member, frame, at(ms));
    if (!full) return full.status().message();
    if (!full->empty()) return *full;
    std::string refused;
    auto now = admission.take(
        {link, number, frame.type, link == member, ClientGet{{"", key}, {}}, bytes, at(ms)}, at(ms),
        refused);
    return now ? "now" : refused.empty() ? "waits" : refused;
  }
  // A turn at `ms` that has time for `most`: numbers served, refused ones negative.
  std::vector<std::int64_t> turn(std::int64_t ms, std::size_t most = 1000) {
    std::vector<std::int64_t> done;
    admission.begin_turn(at(ms));
    while (done.size() < most) {
      auto next = admission.next(at(ms));
      if (!next) break;
      auto number = static_cast<std::int64_t>(next->request.number);
      done.push_back(next->refused.empty() ? number : -number);
      why = next->refused;
    }
    return done;
  }
  void answer(std::uint64_t link, std::uint64_t number, std::int64_t ms, std::size_t bytes = 10) {
    admission.answered(link, number, bytes, at(ms));
  }
  bool nothing_is_owed() const {
    return shared.requests == 0 && shared.memory.requests == 0 && shared.memory.answers == 0;
  }

  ServerLimits limits;
  Admission::Shared shared{limits};
  Admission admission{limits, shared};
  std::string why;
};

using Numbers = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("a young round is served as it comes, an old one waits, and is served in order") {
  Lane lane;
  CHECK(lane.ask(1, 1, 0) == "now");
  CHECK(lane.ask(1, 2, 1) == "now");
  CHECK(lane.ask(1, 3, 2, "a") == "waits");
  CHECK(lane.ask(2, 4, 2, "b") == "waits");
  CHECK(lane.ask(2, 5, 0, "c") == "waits");  // behind those that wait
  CHECK(lane.admission.wants_turn());
  CHECK(lane.turn(3) == Numbers{3, 4, 5});
  CHECK_FALSE(lane.admission.wants_turn());
  CHECK(lane.ask(1, 6, 4, "d") == "now");  // the turn has ended the round
}

TEST_CASE("members go first: theirs is work already admitted") {
  Lane lane;
  lane.ask(1, 1, 0, "a");
  lane.ask(1, 2, 5, "b");
  CHECK(lane.ask(member, 3, 5) == "waits");
  CHECK(lane.turn(6) == Numbers{3, 2});
}

TEST_CASE("F-50 each limit refuses the next one with its number, and an answer makes room") {
  ServerLimits limits;
  limits.max_requests_per_connection = 2;
  limits.max_requests_per_node = 3;
  limits.max_request_bytes = 1000;
  Lane lane(limits);
  CHECK(lane.ask(1, 1, 0, "a") == "now");
  CHECK(lane.ask(1, 2, 0, "b") == "now");
  CHECK(lane.ask(1, 3, 0, "c") == "serves 2 requests of this connection, its limit");
  CHECK(lane.ask(2, 1, 0, "d", 801) ==
        "has 200 bytes of requests under way and would have 801 more, wanted at most 1000");
  CHECK(lane.ask(2, 1, 0, "d") == "now");
  CHECK(lane.ask(2, 2, 0, "e") == "serves 3 requests, its limit");
  CHECK(lane.ask(member, 1, 0, "f") == "now");
  lane.answer(1, 1, 1);
  CHECK(lane.ask(2, 2, 1, "e") == "now");
  CHECK(lane.admission.refused_full() == 3);
}

TEST_CASE("F-107 what large values are expected to take leaves small requests their room") {
  ServerLimits limits;
  limits.max_answer_bytes = 100 << 20;
  Lane lane(limits);
  LargeKeys known;
  lane.shared.large_keys = &known;
  auto get = [](const std::string& key) { return Admission::key_of(ClientGet{{"", key}, {}}); };
  CHECK(lane.ask(1, 1, 0, "a") == "now");
  CHECK(lane.admission.arrived_for(1, 1, get("a"), 8 << 20).empty());
  CHECK(lane.ask(1, 2, 0, "b") == "now");
  CHECK(lane.admission.arrived_for(1, 2, get("b"), 8 << 20).empty());
  CHECK(lane.shared.memory.large == 80 << 20);
  CHECK(lane.ask(1, 3, 0, "c") == "now");
  CHECK(
      lane.admission.arrived_for(1, 3, get("c"), 8 << 20) ==
      "expects 83886080 bytes for requests of large values and would expect 41943040 more, wanted "
      "at most 104857600");
  lane.answer(1, 3, 1);
  CHECK(known.bytes_of(get("a")) == 0);
  lane.answer(1, 1, 1, 8 << 20);
  CHECK(known.bytes_of(get("a")) == 8 << 20);
  lane.answer(1, 2, 1, 8 << 20);
  CHECK(lane.shared.memory.large == 0);
  // What is large is expected of its key and of no other: a crowd of small requests is taken.
  for (std::uint64_t i = 0; i < 200; ++i) {
    INFO(i);
    REQUIRE(lane.ask(2, 100 + i, 2, "d" + std::to_string(i)).find("answers") == std::string::npos);
  }
  lane.admission.close_all(Instant{} + Duration::millis(5));
  CHECK(lane.nothing_is_owed());
  CHECK(lane.shared.memory.large == 0);
  // One alone is always taken.
  lane.turn(9);
  CHECK(lane.ask(3, 1, 9, "e") == "now");
  CHECK(lane.admission.arrived_for(3, 1, get("e"), 60 << 20).empty());
}

TEST_CASE("a number that is under way already is a broken peer") {
  Lane lane;
  CHECK(lane.ask(1, 7, 0) == "now");
  CHECK(lane.ask(1, 7, 0) == "wanted the number of no request under way, got 7 again");
  CHECK(lane.ask(2, 7, 0) == "now");
  lane.answer(1, 7, 0);
  CHECK(lane.ask(1, 7, 0) == "now");
}

TEST_CASE("F-50 a burst is served however long it waited, a queue that stands is cut") {
  ServerLimits limits;
  limits.shed_after = Duration::millis(50);
  Lane lane(limits);
  lane.ask(1, 1, 0, "a");
  for (std::uint64_t i = 2; i <= 4; ++i) lane.ask(1, i, 10, "b" + std::to_string(i));
  CHECK(lane.turn(70) == Numbers{2, 3, 4});  // 60 ms, once
  // A lane that does one every 10 ms, of a hundred.
  lane.ask(1, 99, 80, "c");
  for (std::uint64_t i = 100; i < 200; ++i) lane.ask(1, i, 90, "c" + std::to_string(i));
  std::vector<std::int64_t> refused_at;
  for (std::int64_t ms = 100; ms < 300; ms += 10) {
    Numbers done = lane.turn(ms, 1);
    REQUIRE(done.size() == 1);
    if (done[0] < 0) refused_at.push_back(ms);
  }
  REQUIRE_FALSE(refused_at.empty());
  CHECK(refused_at.front() == 260);  // late from 150 on, and that for more than 100 ms
  CHECK(refused_at.size() == 4);
  CHECK(lane.why == "has requests that wait for 200 ms, its limit is 50 ms");
  CHECK(lane.admission.shed() == 4);
}

TEST_CASE("F-50 where a queue was cut, newcomers are refused on arrival until it is short") {
  ServerLimits limits;
  limits.shed_after = Duration::millis(40);
  Lane lane(limits);
  lane.ask(1, 1, 0, "a");
  for (std::uint64_t i = 2; i <= 40; ++i) lane.ask(1, i, 10, "a" + std::to_string(i));
  CHECK(lane.ask(1, 100, 45, "b") == "waits");  // 35 ms behind, but nobody was refused yet
  CHECK(lane.turn(60, 1).front() > 0);
  CHECK(lane.turn(100, 1).front() > 0);
  CHECK(lane.turn(150, 1).front() < 0);  // late since 60, for more than 80 ms
  CHECK(lane.ask(1, 101, 151, "c") ==
        "has requests that wait for 141 ms, after it refused some that waited for 40 ms");
  CHECK(lane.ask(member, 1, 151) == "now");  // work that somebody admitted
  lane.turn(152);                            // all that waited too long
  CHECK(lane.admission.waiting() == 0);
  lane.ask(1, 200, 160, "d");
  CHECK(lane.ask(1, 201, 170, "e") == "waits");
  CHECK(lane.ask(1, 202, 190, "f") == "waits");  // 20 ms behind: half of the limit
  CHECK(lane.ask(1, 203, 191, "g") ==
        "has requests that wait for 21 ms, after it refused some that waited for 40 ms");
  CHECK(lane.ask(1, 204, 270, "h") != "waits");  // 191 began another 80 ms
  CHECK(lane.ask(1, 205, 351, "i") == "waits");
}

TEST_CASE("F-50 a node that answers late is given less at once, one in time more") {
  Lane lane;
  int before = lane.admission.window();
  std::uint64_t number = 0;
  for (std::int64_t ms = 0; ms < 5000; ms += 10) {
    ++number;
    lane.ask(1, number, ms, std::to_string(number));
    lane.answer(1, number, ms + 500);
    lane.turn(ms);
  }
  CHECK(lane.admission.window() < before / 4);
  CHECK(lane.admission.window() >= 16);
  // Closed: what comes now waits, until something is answered.
  int least = lane.admission.window();
  for (int i = 0; i < least; ++i)
    lane.ask(2, static_cast<std::uint64_t>(i), 6000, "x" + std::to_string(i));
  CHECK(lane.ask(2, 1000, 6000, "y") == "waits");
  CHECK(lane.turn(6001).empty());
  lane.answer(2, 0, 6002);
  CHECK(lane.admission.wants_turn());
  CHECK(lane.turn(6002) == Numbers{1000});
  for (int i = 1; i < least; ++i) lane.answer(2, static_cast<std::uint64_t>(i), 6003);
  CHECK(lane.admission.window() >= least);
}

TEST_CASE(
    "F-50 requests that only wait for other machines keep nobody out and are no sign of load") {
  ServerLimits limits;
  limits.max_requests_per_key = 400;
  Lane lane(limits);
  // 300 reads that wait for a machine that is stopped; the lane has nothing to do.
  for (std::uint64_t i = 0; i < 300; ++i) lane.ask(1, i, 0, std::to_string(i % 100));
  CHECK(lane.ask(2, 1, 1) == "waits");
  CHECK(lane.turn(1).empty());
  CHECK(lane.admission.next_wake() == at(100));
  lane.admission.rested(Duration::millis(98), at(100));
  CHECK(lane.turn(100).front() == 256);  // of the 300; the window of 256 is empty again
  CHECK(lane.admission.only_waiting() == 256);
  lane.admission.rested(Duration::millis(100), at(200));
  lane.turn(200);
  CHECK(lane.admission.only_waiting() == 301);
  CHECK(lane.ask(2, 2, 300) == "now");
  int before = lane.admission.window();
  for (std::uint64_t i = 0; i < 300; ++i) lane.answer(1, i, 1000 + static_cast<std::int64_t>(i));
  CHECK(lane.admission.window() >= before);
  CHECK(lane.admission.only_waiting() == 1);
  lane.answer(2, 1, 1300);
  lane.answer(2, 2, 1300);
  CHECK(lane.nothing_is_owed());
}

TEST_CASE("F-50 a lane that is busy keeps what it has in the window, however long that takes") {
  Lane lane;
  for (std::uint64_t i = 0; i < 256; ++i) lane.ask(1, i, 0, std::to_string(i));
  lane.admission.rested(Duration::millis(40), at(100));
  CHECK(lane.turn(500).empty());
  CHECK(lane.admission.only_waiting() == 0);
  CHECK(lane.ask(2, 1, 501) == "waits");
}

TEST_CASE("F-51 who only waits gives the turn of its key to the next") {
  ServerLimits limits;
  limits.max_requests_per_key = 2;
  Lane lane(limits);
  CHECK(lane.ask(1, 1, 0) == "now");
  CHECK(lane.ask(2, 2, 0) == "now");
  CHECK(lane.ask(3, 3, 1) == "waits");
  lane.admission.rested(Duration::millis(99), at(100));
  CHECK(lane.turn(100) == Numbers{3});
  for (std::uint64_t i = 1; i <= 3; ++i) lane.answer(i, i, 200);
  CHECK(lane.nothing_is_owed());
  CHECK(lane.ask(4, 4, 300) == "now");
}

TEST_CASE("F-51 the third of a key waits for a turn and goes on when one ends") {
  ServerLimits limits;
  limits.max_requests_per_key = 2;
  limits.key_wait = Duration::millis(200);
  Lane lane(limits);
  CHECK(lane.ask(1, 1, 0) == "now");
  CHECK(lane.ask(2, 2, 0) == "now");
  CHECK(lane.ask(3, 3, 0) == "waits");
  CHECK(lane.ask(4, 4, 0) == "waits");
  CHECK(lane.ask(5, 5, 0, "other") == "now");
  CHECK(lane.admission.waiting_for_turns() == 2);
  CHECK(lane.turn(1).empty());
  lane.answer(1, 1, 100);
  CHECK(lane.admission.wants_turn());
  CHECK(lane.turn(100) == Numbers{3});
  CHECK(lane.turn(201) == Numbers{-4});
  CHECK(lane.why == "has requests of this key that wait for 201 ms, its limit is 200 ms");
  CHECK(lane.admission.waiting() == 0);
}

TEST_CASE("a connection that closes takes its requests along, waiting or served") {
  ServerLimits limits;
  limits.max_requests_per_key = 1;
  Lane lane(limits);
  lane.ask(1, 1, 0);
  lane.ask(1, 2, 0);           // waits for the turn
  lane.ask(2, 3, 0);           // behind it
  lane.ask(1, 4, 5, "other");  // waits for the lane
  lane.ask(member, 5, 5);
  lane.admission.closed(1, at(6));
  CHECK(lane.turn(6) == Numbers{5, 3});
  lane.answer(1, 1, 7);  // too late to matter
  lane.answer(2, 3, 7);
  CHECK(lane.nothing_is_owed());
  lane.ask(1, 1, 10);
  lane.ask(2, 2, 20, "other");
  lane.ask(member, 3, 20);
  lane.admission.close_all(at(21));
  CHECK(lane.nothing_is_owed());
  CHECK(lane.admission.waiting() == 0);
}

TEST_CASE("F-50 a read is charged for what objects had lately; the first of them is let through") {
  ServerLimits limits;
  limits.max_answer_bytes = 100'000;
  Lane lane(limits);
  for (std::uint64_t i = 1; i <= 64; ++i) {
    lane.ask(1, i, 0, std::to_string(i));
    lane.answer(1, i, 0, 10'000);
  }
  CHECK(lane.ask(1, 100, 0, "a") == "now");
  CHECK(lane.shared.memory.answers > 40'000);
  CHECK(lane.ask(1, 101, 0, "b") == "now");
  CHECK_THAT(lane.ask(1, 102, 0, "c"), Catch::Contains("wanted at most 100000"));
  lane.answer(1, 100, 1);
  lane.answer(1, 101, 1);
  CHECK(lane.ask(1, 102, 1, "c") == "now");
  lane.answer(1, 102, 2);
  CHECK(lane.nothing_is_owed());
}

TEST_CASE("F-50 in tight memory clients are refused, at the limit members too") {
  ServerLimits limits;
  limits.max_resident_bytes = 100 << 20;
  Lane lane(limits);
  lane.shared.memory.measured(90 << 20);
  CHECK(lane.ask(1, 1, 0) == "uses 90 MiB of memory, its limit is 100 MiB");
  CHECK(lane.ask(member, 1, 0) == "now");
  lane.shared.memory.measured(100 << 20);
  CHECK(lane.ask(member, 2, 0) == "uses 100 MiB of memory, its limit is 100 MiB");
  lane.shared.memory.measured(50 << 20);
  CHECK(lane.ask(1, 1, 0) == "now");
}

}  // namespace ringlet
