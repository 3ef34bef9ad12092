#include "membership/fault_detector.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace ringlet;

namespace {

const NodeId A{1}, B{2}, C{3};
Instant at(std::int64_t ms) {
  return Instant{} + Duration::millis(ms);
}

FaultDetector detector(FaultDetector::Options options = {}) {
  return FaultDetector(options, 1);
}

}  // namespace

TEST_CASE("R4.8.3-a one silence is none, two in a row are suspicious") {
  FaultDetector d = detector();
  CHECK(!d.is_down(B));
  d.was_silent(B, at(0));
  CHECK(!d.is_down(B));
  d.was_silent(B, at(100));
  CHECK(d.is_down(B));
  CHECK(!d.is_down(C));
  CHECK(d.down() == std::vector<NodeId>{B});
}

TEST_CASE("R4.8.3-a an answer in between starts the count anew") {
  FaultDetector d = detector();
  for (int i = 0; i < 10; ++i) {
    d.was_silent(B, at(i));
    d.heard_from(B, at(i));
  }
  CHECK(!d.is_down(B));
  CHECK(d.take_recovered().empty());  // it was never down
}

TEST_CASE("R4.8.3-a a stall that makes many questions late at once is one silence") {
  FaultDetector::Options options;
  FaultDetector d = detector(options);
  for (int i = 0; i < 500; ++i) d.answer_took(B, Duration::micros(500));
  REQUIRE(d.patience(B) == options.min_patience);  // 20 ms
  // Sixteen questions of the last patience run out one after the other.
  for (int i = 0; i < 16; ++i) d.was_silent(B, at(1000 + i));
  CHECK(!d.is_down(B));
  // One that was asked after the first of them was noticed says something new.
  d.was_silent(B, at(1019));
  CHECK(!d.is_down(B));
  d.was_silent(B, at(1020));
  CHECK(d.is_down(B));
}

TEST_CASE("R4.8.3-a a question asked before the last answer says nothing new") {
  FaultDetector d = detector();  // first_patience: 100 ms
  d.was_silent(B, at(1000));
  d.heard_from(B, at(1050));
  d.was_silent(B, at(1100));  // asked at 1000
  d.was_silent(B, at(1149));
  d.was_silent(B, at(1150));  // asked at 1050: counts, the first in a row
  CHECK(!d.is_down(B));
  d.was_silent(B, at(1250));
  CHECK(d.is_down(B));
}

TEST_CASE("R4.8.3-a a node that died under load is found out within two patiences") {
  FaultDetector d = detector();
  for (int i = 0; i < 500; ++i) d.answer_took(B, Duration::micros(500));
  d.heard_from(B, at(1000));
  int ms = 1001;
  while (!d.is_down(B) && ms < 2000) d.was_silent(B, at(ms++));  // a question every millisecond
  CHECK(ms <= 1000 + 2 * 20 + 1);
}

TEST_CASE("a broken connection is enough") {
  FaultDetector d = detector();
  d.unreachable(B, at(0));
  CHECK(d.is_down(B));
}

TEST_CASE("R4.8.3-a one way broken: A routes around B, C does not; healed, A is back in a period") {
  FaultDetector a = detector(), c = FaultDetector({}, 2);
  for (int i = 0; i < 3; ++i) {
    a.was_silent(B, at(i * 100));
    c.heard_from(B, at(i * 100));
  }
  CHECK(a.is_down(B));
  CHECK(!c.is_down(B));
  Duration retry = FaultDetector::Options{}.retry;
  Instant asks = a.next_wake();
  CHECK(asks <= at(100) + retry);
  CHECK(a.due_pings(asks) == std::vector<NodeId>{B});
  a.heard_from(B, asks + Duration::millis(1));
  CHECK(!a.is_down(B));
  CHECK(a.take_recovered() == std::vector<NodeId>{B});
  CHECK(a.take_recovered().empty());
  CHECK(a.next_wake() == Instant::never());
}

TEST_CASE("R4.8.3-a with no traffic and nobody down nothing is sent") {
  FaultDetector d = detector();
  CHECK(d.next_wake() == Instant::never());
  CHECK(d.due_pings(at(1'000'000)).empty());
  d.heard_from(B, at(0));
  d.was_silent(C, at(0));
  CHECK(d.due_pings(at(0)) == std::vector<NodeId>{C});
  d.heard_from(C, at(1));
  CHECK(d.next_wake() == Instant::never());
  CHECK(d.due_pings(at(1'000'000)).empty());
}

TEST_CASE("R4.8.3-a L9 a silence is followed by a ping, and that one's silence is the second") {
  FaultDetector d = detector();  // first_patience: 100 ms
  d.was_silent(B, at(1000));
  CHECK(d.next_wake() == at(1000));
  CHECK(d.due_pings(at(1000)) == std::vector<NodeId>{B});
  CHECK(d.due_pings(at(1050)).empty());
  CHECK(!d.is_in_doubt(B));  // for one silence only
  CHECK(d.next_wake() == at(1100));
  d.notice_silence(at(1099));
  CHECK(!d.is_down(B));
  d.notice_silence(at(1100));
  CHECK(d.is_down(B));
  CHECK(d.take_fallen_silent() == std::vector<NodeId>{B});
  CHECK(d.take_fallen_silent().empty());
  CHECK(d.next_wake() == at(1100) + FaultDetector::Options{}.retry);  // as who is down
}

TEST_CASE("R4.8.3-a a ping that is answered ends the doubt; one more silence is the first again") {
  FaultDetector d = detector();
  d.was_silent(B, at(1000));
  d.due_pings(at(1000));
  d.heard_from(B, at(1001));
  d.notice_silence(at(1100));
  d.was_silent(B, at(2000));
  CHECK(!d.is_down(B));
  CHECK(d.take_fallen_silent().empty());
}

TEST_CASE(
    "L9 who is checked is pinged, unless it was heard a moment ago; unanswered it is in doubt") {
  FaultDetector d = detector();
  d.heard_from(A, at(950));
  d.check(A, at(1000));
  d.check(B, at(1000));
  d.check(B, at(1000));
  CHECK(d.due_pings(at(1000)) == std::vector<NodeId>{B});
  d.check(B, at(1050));  // it is on its way
  CHECK(d.due_pings(at(1050)).empty());
  d.notice_silence(at(1100));
  CHECK(d.is_in_doubt(B));
  CHECK(!d.is_down(B));
  CHECK(d.due_pings(at(1100)) == std::vector<NodeId>{B});
  SECTION("answered then, it is as good as before") {
    d.heard_from(B, at(1101));
    CHECK(!d.is_in_doubt(B));
    CHECK(d.next_wake() == Instant::never());
    CHECK(d.take_recovered().empty());  // it was never down
  }
  SECTION("a second ping without an answer, and it is down") {
    d.notice_silence(at(1200));
    CHECK(d.is_down(B));
    CHECK(!d.is_in_doubt(B));
  }
}

TEST_CASE("L9 a doubt is never the last silence: a ping decides, however suspicious one is") {
  for (int limit : {1, 2, 5}) {
    FaultDetector::Options options;
    options.silences_to_suspect = limit;
    FaultDetector d = detector(options);
    for (int i = 0; i < 10; ++i) {
      CHECK(d.doubt(B, at(1000 * (i + 1))));
      CHECK(d.due_pings(at(1000 * (i + 1))) == std::vector<NodeId>{B});
      CHECK(!d.is_down(B));
      d.heard_from(B, at(1000 * (i + 1) + 1));
      CHECK(!d.doubt(B, at(1000 * (i + 1) + 2)));  // only slow: nobody else need be checked
      CHECK(d.due_pings(at(1000 * (i + 1) + 2)).empty());
    }
    CHECK(d.doubt(B, at(20'000)));
    int pings = 0;
    while (!d.is_down(B) && pings < 10) {
      Instant next = d.next_wake();
      pings += static_cast<int>(d.due_pings(next).size());
    }
    CHECK(pings == std::max(1, limit - 1));
  }
}

TEST_CASE("a node that is down is pinged once a period, jittered, however often one asks") {
  FaultDetector::Options options;
  options.retry = Duration::millis(500);
  FaultDetector d = detector(options);
  d.unreachable(B, at(0));
  CHECK(d.due_pings(at(499)).empty());
  int pings = 0;
  std::set<std::int64_t> gaps;
  std::int64_t last = 0;
  for (std::int64_t ms = 0; ms <= 100'000; ++ms) {
    if (d.due_pings(at(ms)).empty()) continue;
    ++pings;
    if (ms - last > 500 || (pings > 1 && ms - last < 375)) FAIL("a gap of " << ms - last << " ms");
    gaps.insert(ms - last);
    last = ms;
  }
  CHECK(pings >= 200);
  CHECK(pings <= 267);
  CHECK(gaps.size() > 20);
  d.unreachable(B, at(100'000));  // more bad news does not put the next ping off
  CHECK(d.next_wake() <= at(last) + options.retry);
}

TEST_CASE("who came back and is gone again has not come back") {
  FaultDetector d = detector();
  d.unreachable(B, at(0));
  d.heard_from(B, at(1));
  d.unreachable(B, at(2));
  CHECK(d.take_recovered().empty());
}

TEST_CASE("patience is four times the smoothed answer time, within its limits") {
  FaultDetector::Options options;
  FaultDetector d = detector(options);
  CHECK(d.patience(B) == options.first_patience);
  for (int i = 0; i < 200; ++i) d.answer_took(B, Duration::millis(10));
  CHECK(d.patience(B) == Duration::millis(40));
  for (int i = 0; i < 400; ++i) d.answer_took(B, Duration::micros(50));
  CHECK(d.patience(B) == options.min_patience);
  for (int i = 0; i < 200; ++i) d.answer_took(B, Duration::seconds(9));
  CHECK(d.patience(B) == options.max_patience);
  CHECK(d.patience(C) == options.first_patience);
}

TEST_CASE("one very late answer does not make everybody wait") {
  FaultDetector d = detector();
  for (int i = 0; i < 50; ++i) d.answer_took(B, Duration::millis(1));
  d.answer_took(B, Duration::seconds(60));
  CHECK(d.patience(B) < Duration::millis(150));
}

TEST_CASE("fast reads do not make slow writes look silent") {
  FaultDetector d = detector();
  for (int i = 0; i < 1000; ++i) {
    d.answer_took(B, i % 10 == 0 ? Duration::millis(30) : Duration::micros(100));
    if (i > 100) REQUIRE(d.patience(B) > Duration::millis(30));
  }
}

TEST_CASE("the same seed gives the same pings") {
  FaultDetector one = FaultDetector({}, 7), two = FaultDetector({}, 7);
  for (FaultDetector* d : {&one, &two}) d->unreachable(A, at(0));
  for (int i = 0; i < 50; ++i) {
    REQUIRE(one.next_wake() == two.next_wake());
    Instant next = one.next_wake();
    REQUIRE(one.due_pings(next) == two.due_pings(next));
  }
}
