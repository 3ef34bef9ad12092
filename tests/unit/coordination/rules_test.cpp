// One rule a test: who is asked, who is not, and what an answer says. Each was once broken by a change of one line
// that no other test noticed (tests/mutants).
#include <algorithm>
#include <catch2/catch.hpp>

#include "coordination/asked.hpp"
#include "unit/coordination/world.hpp"

using namespace ringlet;
using namespace ringlet::test;

namespace {

const Key key{"carts", "alice"};

// One request of which the test says who answers what, and when. Nodes are named by their place in the preference
// list; the first `replicas` are the owners.
struct Talk {
  explicit Talk(std::size_t members, std::uint32_t replicas = 3, std::uint8_t wanted = 2)
      : world(members, replicas, options(wanted)), list(world.members_for(key)) {}

  static CoordinationOptions options(std::uint8_t wanted) {
    CoordinationOptions options;
    options.r = options.w = wanted;
    options.timeout = Duration::seconds(10);
    return options;
  }

  void put(bool strict = false, NodeId preferred = {}) {
    RequestOptions request;
    request.strict = strict;
    world.coordinator.put(key, {}, a_write(1), request, preferred, world.now, world.remember());
    world.collect();
  }
  void get() {
    world.coordinator.get(key, {}, world.now, world.remember());
    world.collect();
  }

  // The first question to the node that is not answered yet; `hint`: the one with a hint for that owner.
  std::deque<Outgoing>::iterator question(std::size_t node, NodeId hint = {}) {
    return std::find_if(world.wire.begin(), world.wire.end(), [&](const auto& out) {
      return out.to == list[node] && hint_of(out.message) == hint;
    });
  }
  static NodeId hint_of(const Message& message) {
    if (const auto* put = std::get_if<ReplicaPut>(&message)) return put->hint_for;
    if (const auto* mint = std::get_if<MintPut>(&message)) return mint->hint_for;
    return {};
  }
  bool is_asked(std::size_t node, NodeId hint = {}) {
    return question(node, hint) != world.wire.end();
  }
  std::size_t times_asked(std::size_t node) const {
    return static_cast<std::size_t>(std::count(world.asked.begin(), world.asked.end(), list[node]));
  }

  Outgoing take(std::size_t node, NodeId hint = {}) {
    auto at = question(node, hint);
    REQUIRE(at != world.wire.end());
    Outgoing out = std::move(*at);
    world.wire.erase(at);
    return out;
  }
  void replies(const Outgoing& to, Message reply) {
    world.coordinator.on_reply(to.to, to.number, std::move(reply), world.now);
    world.collect();
  }
  // Does what it was asked to, and says so.
  void answers(std::size_t node, NodeId hint = {}) {
    Outgoing out = take(node, hint);
    replies(out, world.answer(out.to, out.message));
  }
  void refuses(std::size_t node, Code why = Code::overloaded, NodeId hint = {}) {
    replies(take(node, hint), Refused{Status(why, "no"), 7});
  }
  void wake() {
    world.now.instant = std::max(world.now.instant, world.coordinator.next_wake());
    world.coordinator.on_wake(world.now);
    world.collect();
  }
  // Time goes on until the patience with this node has run out once more.
  void silence_of(std::size_t node) {
    const int before = world.silences[list[node]];
    while (world.silences[list[node]] == before && world.coordinator.in_flight() > 0) wake();
  }
  // A node mints, for whomever it was asked to.
  void mints(std::size_t node) {
    NodeId hint;
    for (const auto& out : world.wire) {
      if (out.to == list[node] && std::holds_alternative<MintPut>(out.message))
        hint = hint_of(out.message);
    }
    answers(node, hint);
  }
  const ClientReply& reply() const {
    REQUIRE(world.replies.size() == 1);
    return world.replies[0];
  }

  World world;
  std::vector<NodeId> list;
};

}  // namespace

// ---- reads ----

TEST_CASE("R4.6-a a read names as substitutes the members that are no owners, and only those") {
  Talk read(5, 3, 3);
  read.world.down = {read.list[0]};
  read.get();
  for (std::size_t node : {1, 2, 3}) read.answers(node);
  CHECK(read.reply().tally.answered ==
        std::vector<NodeId>{read.list[1], read.list[2], read.list[3]});
  CHECK(read.reply().tally.substitutes == std::vector<NodeId>{read.list[3]});
}

TEST_CASE("R4.5-c a read that has its answer asks nobody in the place of a late owner") {
  Talk read(5);
  read.get();
  read.answers(0);
  read.answers(1);
  CHECK(read.reply().status.is_ok());
  SECTION("that refuses") {
    read.refuses(2);
  }
  SECTION("that stays silent") {
    read.world.run();
  }
  CHECK(read.world.asked.size() == 3);
}

TEST_CASE("R5-e read repair goes to owners, not to a fallback that was asked in the place of one") {
  Talk read(5, 3, 3);
  read.world.disks[read.list[1]][{key, NodeId{}}] = lww_object({}, a_write(1), 1);
  read.world.down = {read.list[0]};
  read.get();
  for (std::size_t node : {1, 2, 3}) read.answers(node);
  REQUIRE(read.world.wire.size() == 1);
  CHECK(read.world.wire[0].to == read.list[2]);
  CHECK(std::holds_alternative<ReplicaPut>(read.world.wire[0].message));
}

TEST_CASE("F-50 a read that is refused for overload passes on when to come back") {
  Talk read(3);
  read.get();
  for (std::size_t node : {0, 1}) read.refuses(node);
  CHECK(read.reply().status.code() == Code::quorum_not_met);
  CHECK(read.reply().retry_after_ms == 7);
}

TEST_CASE("R4.6-a a fallback that is believed down is passed over, by reads and by hints") {
  for (bool put : {false, true}) {
    INFO((put ? "put" : "get"));
    Talk talk(5);
    talk.world.down = {talk.list[1], talk.list[3]};
    put ? talk.put() : talk.get();
    talk.world.run();
    CHECK(talk.reply().status.is_ok());
    CHECK(talk.times_asked(3) == 0);
    CHECK(talk.times_asked(4) == 1);
  }
}

// ---- who mints ----

TEST_CASE("R4.4-f silent minters are asked again in turn, each as often as the others") {
  Talk put(3);
  put.put();
  while (put.world.asked.size() < 9 && put.world.replies.empty()) put.wake();
  REQUIRE(put.world.asked.size() == 9);
  for (std::size_t i = 0; i < 9; ++i) CHECK(put.world.asked[i] == put.list[i % 3]);
}

TEST_CASE("R4.4-f a fallback mints in the place of an owner of which nothing is awaited") {
  Talk put(4, 2, 1);
  put.world.down = {put.list[1]};
  put.put();
  while (put.times_asked(2) == 0 && put.world.replies.empty()) put.wake();
  // Whether the first owner is late or was given up by then: if it may still answer, the hint is not for it.
  bool given_up = put.world.silences[put.list[0]] > 0;
  CHECK(put.is_asked(2, put.list[given_up ? 0 : 1]));
}

TEST_CASE("R4.4-f what a second minter says is sent on only when it is news") {
  Talk put(3, 3, 3);
  put.put();
  auto first = put.take(0);
  put.silence_of(0);
  REQUIRE(put.is_asked(1));
  // The second one knows of the first one's version already, and repeats that.
  Message minted = put.world.answer(first.to, first.message);
  put.replies(put.take(1), minted);
  REQUIRE(put.is_asked(2));
  std::size_t before = put.world.asked.size();
  SECTION("it is none") {
    put.replies(first, minted);
    CHECK(put.world.asked.size() == before);
  }
  SECTION("it is") {
    Object other;
    Dot dot = update(other, {}, Actor{put.list[0], 8}, a_write(1), put.world.now.wall_us());
    put.replies(first, Minted{other, dot});
    // To the minter before, and to the one that is being asked.
    CHECK(put.world.asked.size() > before);
    CHECK(put.is_asked(1));
  }
}

TEST_CASE("R4.4-f a minter that has taken the copy meanwhile is heard about its own version, too") {
  Talk put(3, 3, 3);
  put.put();
  auto mint = put.take(0);
  Message minted = put.world.answer(mint.to, mint.message);  // its answer is overtaken
  put.silence_of(0);
  put.answers(1);
  REQUIRE(put.is_asked(0));  // W=3 needs it
  put.answers(0);
  put.replies(mint, minted);
  CHECK(put.world.replies.empty());
  put.answers(1);
  put.answers(2);
  put.answers(2);
  CHECK(put.reply().status.is_ok());
  for (NodeId node : put.list) {
    CHECK(put.world.disks[node][{key, NodeId{}}].versions.size() == 2);
  }
}

// ---- who stores ----

TEST_CASE(
    "R4.6-a an owner that is believed down is asked only if there would be too few without it") {
  for (std::uint8_t w : {2, 3}) {
    INFO("W=" << int{w});
    Talk put(3, 3, w);
    put.world.down = {put.list[2]};
    put.put();
    put.answers(0);
    CHECK(put.is_asked(2) == (w == 3));
    put.world.run();
    CHECK(put.reply().status.is_ok());
    bool hinted = put.world.holds(put.list[0], key, put.list[2], a_write(1).write_id);
    CHECK(hinted == (w == 2));
  }
}

TEST_CASE("R4.6-c an owner whose hint was refused gets it beside the next copy") {
  Talk put(3);
  put.world.down = {put.list[2]};
  put.put();
  put.answers(0);
  REQUIRE(put.is_asked(1));
  put.refuses(0, Code::io, put.list[2]);
  put.answers(1);
  CHECK(put.reply().status.is_ok());
  CHECK(put.is_asked(1, put.list[2]));
  put.answers(1, put.list[2]);
  CHECK(put.world.coordinator.in_flight() == 0);
}

TEST_CASE(
    "R4.6-a a fallback of which nothing is wanted yet comes before one that has a hint already") {
  Talk put(5, 3, 3);
  put.put(false, put.list[1]);
  auto mint = put.take(1);
  put.silence_of(1);
  put.answers(0);
  put.answers(3, put.list[1]);
  // The owner answers after all, so its fallback could take another one's copy.
  put.replies(mint, put.world.answer(mint.to, mint.message));
  put.refuses(2);
  CHECK(put.is_asked(4, put.list[2]));
  CHECK_FALSE(put.is_asked(3, put.list[2]));
}

TEST_CASE("R4.6 a strict put asks no fallback for the sake of its vote") {
  SECTION("that is believed down, when an owner is silent") {
    Talk put(5, 3, 3);
    put.world.down = {put.list[3], put.list[4]};
    put.put(true);
    put.answers(0);
    put.answers(1);
    put.take(2);
    for (int i = 0; i < 3; ++i) put.silence_of(2);
    CHECK(put.world.replies.empty());
    CHECK(put.times_asked(3) == 0);
    CHECK(put.times_asked(4) == 0);
    CHECK(put.times_asked(2) > 1);
  }
  SECTION("that was silent, for another owner") {
    Talk put(4, 2, 2);
    put.world.down = {put.list[1]};
    put.put(true);
    put.silence_of(0);
    put.silence_of(2);
    REQUIRE(put.times_asked(3) == 1);
    put.mints(3);
    REQUIRE(put.is_asked(1));
    for (int i = 0; i < 3; ++i) put.silence_of(1);
    CHECK(put.world.replies.empty());
    CHECK(put.times_asked(2) == 1);
    CHECK(put.times_asked(1) > 1);
  }
}

// ---- how it ends ----

TEST_CASE("R4.5-d a refusal that holds everywhere ends a put only while nobody has stored it") {
  for (Code why : {Code::too_large, Code::too_many_siblings, Code::invalid_context}) {
    INFO(name_of(why));
    Talk put(3);
    put.put();
    put.refuses(0, why);
    CHECK(put.reply().status.code() == why);
    CHECK(put.world.coordinator.in_flight() == 0);

    Talk stored(3);
    stored.put();
    stored.answers(0);
    stored.refuses(1, why);
    CHECK(stored.world.replies.empty());
    stored.answers(2);
    CHECK(stored.reply().status.is_ok());
  }
}

TEST_CASE("R4.5-d a put that nobody stored, and nobody can store any more, ends with its answer") {
  Talk put(3);
  put.put();
  for (std::size_t node : {0, 1}) put.refuses(node);
  CHECK(put.reply().status.code() == Code::quorum_not_met);
  CHECK(put.world.coordinator.in_flight() == 0);
}

TEST_CASE(
    "R4.6-c a put that is abandoned leaves hints for those owners only that are not taken care "
    "of") {
  Talk put(3);
  put.put();
  put.answers(0);
  put.answers(1);
  CHECK(put.reply().status.is_ok());
  put.world.wire.clear();
  put.world.coordinator.abandon(Status(Code::closed, "the client was closed"), put.world.now);
  put.world.collect();
  REQUIRE(put.world.wire.size() == 1);
  CHECK(put.is_asked(0, put.list[2]));
}

TEST_CASE("R4.5-d an owner that is not heard yet when the answer is given was not silent") {
  for (bool is_put : {false, true}) {
    INFO((is_put ? "put" : "get"));
    Talk talk(3);
    is_put ? talk.put() : talk.get();
    talk.answers(0);
    talk.answers(1);
    CHECK(talk.reply().tally.asked == 3);
    CHECK(talk.reply().tally.silent.empty());
  }
}

TEST_CASE("R4.8.3-a patience with a node doubles with each question, up to a bound") {
  const Duration patience = Duration::millis(50);
  CHECK(next_patience(patience, 1) == patience * 2);
  for (int times = 1; times < 6; ++times) {
    CHECK(next_patience(patience, times + 1) == next_patience(patience, times) * 2);
  }
  CHECK(next_patience(patience, 1000) == next_patience(patience, 6));
}

TEST_CASE("a timeout that is just the limit is taken") {
  Talk read(3);
  CoordinationOptions options = Talk::options(2);
  options.max_timeout = Duration::millis(500);
  read.world.coordinator.set_options(options);
  RequestOptions request;
  request.timeout_ms = 500;
  read.world.coordinator.get(key, request, read.world.now, read.world.remember());
  CHECK(read.world.replies.empty());
  read.world.run();
  CHECK(read.reply().status.is_ok());
}
