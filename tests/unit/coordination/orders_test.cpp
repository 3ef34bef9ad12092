// The small cases, all of them.
#include <algorithm>
#include <catch2/catch.hpp>

#include "unit/coordination/world.hpp"

using namespace ringlet;
using namespace ringlet::test;

namespace {

const Key key{"carts", "alice"};

CoordinationOptions with(std::size_t r, std::size_t w) {
  CoordinationOptions options;
  options.r = static_cast<std::uint8_t>(r);
  options.w = static_cast<std::uint8_t>(w);
  options.timeout = Duration::millis(300);
  options.linger = Duration::millis(200);
  return options;
}

}  // namespace

TEST_CASE("R4.5-d all (N,R,W), N <= 5: a put returns at exactly W copies, a get at exactly R") {
  for (std::uint32_t n = 1; n <= 5; ++n) {
    for (std::size_t wanted = 1; wanted <= n; ++wanted) {
      INFO("N=" << n << " R=W=" << wanted);
      World put(n + 2, n, with(1, wanted));
      put.coordinator.put(key, {}, a_write(1), {}, {}, put.now, put.remember());
      for (std::size_t copies = 1; copies <= n; ++copies) {
        REQUIRE(put.replies.size() == (copies > wanted ? 1 : 0));
        REQUIRE(put.deliver_one());
      }
      REQUIRE(put.replies.size() == 1);
      CHECK(put.replies[0].status.is_ok());
      CHECK(put.replies[0].tally.got == wanted);
      CHECK(put.asked.size() == n);  // R4.5-c: all healthy, only the owners are contacted
      CHECK(put.coordinator.in_flight() == 0);

      World get(n + 2, n, with(wanted, 1));
      get.coordinator.get(key, {}, get.now, get.remember());
      for (std::size_t answers = 1; answers <= n; ++answers) {
        REQUIRE(get.replies.size() == (answers > wanted ? 1 : 0));
        REQUIRE(get.deliver_one());
      }
      REQUIRE(get.replies.size() == 1);
      CHECK(get.replies[0].status.is_ok());
      CHECK(get.replies[0].tally.not_found == wanted);
      CHECK(get.asked.size() == n);
      CHECK(get.coordinator.in_flight() == 0);
    }
  }
}

TEST_CASE("R4.5-c with m owners known down exactly the next m of the preference list join") {
  for (std::size_t m = 0; m <= 3; ++m) {
    World world(6, 3, with(2, 2));
    const auto& members = world.members_for(key);
    for (std::size_t i = 0; i < m; ++i) world.down.insert(members[i]);
    world.coordinator.get(key, {}, world.now, world.remember());
    world.collect();
    std::vector<NodeId> expected(members.begin() + static_cast<std::ptrdiff_t>(m),
                                 members.begin() + static_cast<std::ptrdiff_t>(m + 3));
    CHECK(world.asked == expected);
  }
}

TEST_CASE("R5-d every outcome and order of three owners: the verdict counts those that answer") {
  const Mood moods[] = {Mood::well, Mood::silent, Mood::refusing, Mood::unreachable};
  int cases = 0;
  for (bool put : {false, true}) {
    for (std::uint32_t wanted = 1; wanted <= 3; ++wanted) {
      for (int combination = 0; combination < 64; ++combination) {
        std::vector<std::size_t> order{0, 1, 2};
        do {
          World world(3, 3, with(wanted, wanted));
          const auto& members = world.members_for(key);
          std::uint32_t well = 0;
          bool silent = false;
          for (std::size_t i = 0; i < 3; ++i) {
            Mood mood = moods[(combination >> (2 * i)) % 4];
            // The order of the list decides who is asked and heard first.
            world.moods[members[order[i]]] = mood;
            well += mood == Mood::well;
            silent |= mood == Mood::silent;
          }
          if (put)
            world.coordinator.put(key, {}, a_write(1), {}, {}, world.now, world.remember());
          else
            world.coordinator.get(key, {}, world.now, world.remember());
          world.run();
          ++cases;
          INFO((put ? "put" : "get") << " wanted " << wanted << " combination " << combination
                                     << " order " << order[0] << order[1] << order[2]);
          REQUIRE(world.replies.size() == 1);
          const ClientReply& reply = world.replies[0];
          CHECK(reply.status.is_ok() == (well >= wanted));
          if (!reply.status.is_ok()) {
            Code code = reply.status.code();
            CHECK((code == Code::timeout || code == Code::quorum_not_met));
            if (!silent) CHECK(reply.status.code() == Code::quorum_not_met);
            CHECK(reply.status.retryable());
            CHECK(reply.status.message().find("carts/alice") != std::string::npos);
          }
          if (put && well > 0 && reply.status.is_ok()) {
            for (NodeId owner : members) {
              bool taken_care_of = world.holds(owner, key, {}, WriteId{9, 1});
              for (NodeId other : members) {
                taken_care_of |= world.holds(other, key, owner, WriteId{9, 1});
              }
              CHECK(taken_care_of);
            }
          }
          CHECK(world.coordinator.in_flight() == 0);
          CHECK(world.coordinator.next_wake() == Instant::never());
        } while (std::next_permutation(order.begin(), order.end()));
      }
    }
  }
  CHECK(cases == 2 * 3 * 64 * 6);
}
