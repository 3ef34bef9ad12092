// Whom a node waits for before it flips, and for how long.
#include "repair/flip_readiness.hpp"

#include <catch2/catch.hpp>
#include <set>

#include "cluster_fake.hpp"

using namespace ringlet;

namespace {

const NodeId B{2}, C{3};

struct Waiting {
  FlipReadiness machine{FlipReadiness::Options()};
  Now now{Instant{1'000'000}, 0};
  std::set<NodeId> silent;
  std::set<std::pair<NodeId, std::uint32_t>> there;  // who has all of what
  std::size_t asked = 0;

  Waiting() { machine.set_work({{B, {1, 2}}, {C, {2}}}, 4); }

  Message answer(NodeId node, const TransferPull& pull) const {
    CHECK(pull.partitions == 4);
    CHECK(pull.max_bytes == 0);
    if (there.contains({node, pull.partition})) return TransferPage{{}, true, 0};
    return Refused{Status(Code::unavailable, "not yet"), 1000};
  }
  // Is it ready within that time?
  bool run(Duration longest) {
    Instant end = now.instant + longest;
    while (!machine.ready()) {
      for (auto& out : machine.take_outgoing()) {
        ++asked;
        if (silent.contains(out.to)) continue;
        machine.on_reply(out.to, out.number, answer(out.to, std::get<TransferPull>(out.message)),
                         now);
      }
      if (machine.ready()) break;
      Instant next = machine.next_wake();
      if (next > end) return false;
      now.instant = std::max(now.instant, next);
      machine.on_wake(now);
    }
    return true;
  }
};

}  // namespace

TEST_CASE("L7 R4.9 a node flips when all whom its flip makes owners have what they need") {
  Waiting waiting;
  CHECK(waiting.machine.take_outgoing().empty());  // not before it has all itself
  CHECK(waiting.machine.next_wake() == Instant::never());
  waiting.there = {{B, 1}, {B, 2}};
  waiting.machine.begin(waiting.now);
  CHECK_FALSE(waiting.run(Duration::seconds(3600)));  // slow is not silent
  CHECK(waiting.machine.waiting() == 1);
  CHECK_FALSE(waiting.machine.take_news());
  CHECK(waiting.asked <= 3600 + 4);
  waiting.there.insert({C, 2});
  CHECK(waiting.run(Duration::seconds(2)));
  CHECK(waiting.machine.take_news());
  CHECK_FALSE(waiting.machine.take_news());
}

TEST_CASE("L7 R4.9 who is silent is waited for ten minutes, not for ever") {
  Waiting waiting;
  waiting.there = {{B, 1}, {B, 2}};
  waiting.silent = {C};
  waiting.machine.begin(waiting.now);
  CHECK_FALSE(waiting.run(Duration::seconds(590)));
  waiting.machine.on_unreachable(C, waiting.now);
  CHECK(waiting.run(Duration::seconds(20)));
  CHECK(waiting.machine.take_news());
}

TEST_CASE("L7 R4.9 a changed ring asks anew; answers to what was asked before count for nothing") {
  Waiting waiting;
  waiting.machine.begin(waiting.now);
  auto before = waiting.machine.take_outgoing();
  REQUIRE(before.size() == 2);
  waiting.machine.set_work({{C, {3}}}, 4);
  for (const auto& out : before) {
    waiting.machine.on_reply(out.to, out.number, TransferPage{{}, true, 0}, waiting.now);
  }
  CHECK_FALSE(waiting.machine.ready());
  waiting.there = {{C, 3}};
  waiting.machine.begin(waiting.now);
  CHECK(waiting.run(Duration::seconds(1)));
  waiting.machine.set_work({}, 4);
  CHECK(waiting.machine.ready());
}
