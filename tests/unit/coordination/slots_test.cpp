// What a put counts: the places of the key's owners, each once, whoever holds it (law L14). A fallback
// that was asked in vain does not make a request fail (R4.6): it is asked for another owner.
#include <catch2/catch.hpp>

#include "unit/coordination/world.hpp"

using namespace ringlet;
using namespace ringlet::test;

namespace {

const Key key{"carts", "alice"};

// A put with W=3 of three owners a, b, c. The test says who answers what, and when.
class Conversation {
 public:
  explicit Conversation(std::size_t members, Reconcile reconcile = Reconcile::siblings)
      : world(members, 3, options(reconcile)), start(world.now.instant) {
    const auto& list = world.members_for(key);
    a = list[0], b = list[1], c = list[2], d = list[3];
    if (members > 4) e = list[4];
    world.coordinator.put(key, {}, a_write(1), {}, {}, world.now, world.remember());
    world.collect();
  }

  static CoordinationOptions options(Reconcile reconcile) {
    CoordinationOptions options;
    options.w = 3;
    options.timeout = Duration::millis(300);
    options.reconcile = reconcile;
    return options;
  }

  void at(std::int64_t millis) {
    world.now.instant = start + Duration::millis(millis);
    world.coordinator.on_wake(world.now);
    world.collect();
  }
  // Does what the node was asked to and gives the answer, to its first question or that of a hint.
  void answers(NodeId node, NodeId hint_for = {}) {
    const auto* question = asked(node, hint_for);
    REQUIRE(question != nullptr);
    Message reply = world.answer(node, question->message);
    world.coordinator.on_reply(node, question->number, std::move(reply), world.now);
    world.collect();
  }
  void refuses(NodeId node, NodeId hint_for = {}) {
    const auto* question = asked(node, hint_for);
    REQUIRE(question != nullptr);
    Refused busy{Status(Code::overloaded, "busy"), 0};
    world.coordinator.on_reply(node, question->number, busy, world.now);
    world.collect();
  }
  const Outgoing* asked(NodeId node, NodeId hint_for = {}) const {
    for (const auto& out : world.wire) {
      auto* put = std::get_if<ReplicaPut>(&out.message);
      NodeId owner = put != nullptr ? put->hint_for : NodeId{};
      if (out.to == node && owner == hint_for) return &out;
    }
    return nullptr;
  }
  std::string names(const std::vector<NodeId>& nodes) const {
    std::string text;
    for (NodeId node : nodes) text += node == a ? 'a' : node == b ? 'b' : node == c ? 'c' : 'd';
    return text;
  }
  std::string name(NodeId node) const { return world.ring->find(node)->name; }

  World world;
  Instant start;
  NodeId a, b, c, d, e;
};

}  // namespace

TEST_CASE("L14 a fallback and the owner it stands in for hold one place") {
  for (Reconcile reconcile : {Reconcile::siblings, Reconcile::lww}) {
    Conversation put(5, reconcile);
    put.answers(put.a);
    put.at(50);
    put.answers(put.d, put.b);
    put.answers(put.b);
    CHECK(put.world.replies.empty());  // b drops out of d's hints now: two disks
    put.answers(put.c);
    REQUIRE(put.world.replies.size() == 1);
    CHECK(put.world.replies[0].status);
    CHECK(put.world.replies[0].tally.got == 3);
    CHECK(put.world.disks_after_hand_over(key, a_write(1).write_id) == 3);
  }
}

TEST_CASE("R4.6-a a fallback whose owner answers after all stands in for another one") {
  for (Reconcile reconcile : {Reconcile::siblings, Reconcile::lww}) {
    Conversation put(4, reconcile);  // c is dead, and nobody is left for it but d
    put.answers(put.a);
    put.at(50);
    put.answers(put.d, put.b);
    CHECK(put.world.replies.empty());
    put.answers(put.b);
    CHECK(put.world.replies.empty());
    put.answers(put.d, put.c);
    REQUIRE(put.world.replies.size() == 1);
    CHECK(put.world.replies[0].status);
    CHECK(put.world.replies[0].tally.got == 3);
    CHECK(put.names(put.world.replies[0].tally.answered) == "adb");
    CHECK(put.names(put.world.replies[0].tally.substitutes) == "d");
    CHECK(put.world.disks_after_hand_over(key, a_write(1).write_id) == 3);
  }
}

TEST_CASE("R4.6-a a fallback believed gone, and asked in vain, stands in for another one") {
  Conversation put(4);
  put.answers(put.a);
  put.at(50);
  put.answers(put.d, put.b);
  put.world.down.insert(put.d);
  put.answers(put.b);
  put.answers(put.d, put.c);
  REQUIRE(put.world.replies.size() == 1);
  CHECK(put.world.replies[0].status);
}

TEST_CASE("L14 what was stored for one owner is no vote for another") {
  Conversation put(4);
  put.answers(put.a);
  put.at(50);
  put.answers(put.b);
  REQUIRE(put.asked(put.d, put.c) != nullptr);  // while d's hint for b is still under way
  put.answers(put.d, put.b);
  CHECK(put.world.replies.empty());
  put.answers(put.d, put.c);
  CHECK(put.world.replies.size() == 1);
}

TEST_CASE("a verdict counts places, and names a node by what became of its last question") {
  Conversation put(4);
  put.answers(put.a);
  put.at(50);
  put.answers(put.d, put.b);
  put.answers(put.b);
  REQUIRE(put.asked(put.d, put.c) != nullptr);
  std::string start = "put carts/alice: wanted 3 replicas within 300 ms, got 2 of 4 (";

  SECTION("refused by all that are left: no need to wait") {
    put.refuses(put.c);
    put.refuses(put.d, put.c);
    REQUIRE(put.world.replies.size() == 1);
    const ClientReply& reply = put.world.replies[0];
    CHECK(reply.status.code() == Code::quorum_not_met);
    CHECK(reply.status.message() == start + put.name(put.c) + " refused: overloaded, " +
                                        put.name(put.d) + " refused: overloaded); " +
                                        put.name(put.c) + ": busy");
    CHECK(reply.tally.got == 2);
    CHECK(reply.tally.asked == 4);
    CHECK(put.names(reply.tally.answered) == "adb");
    CHECK(put.names(reply.tally.refused) == "cd");
    CHECK(reply.tally.silent.empty());
  }
  SECTION("silent until the deadline") {
    for (std::int64_t millis : {100, 150, 200, 250, 300}) put.at(millis);
    REQUIRE(put.world.replies.size() == 1);
    const ClientReply& reply = put.world.replies[0];
    CHECK(reply.status.code() == Code::timeout);
    CHECK(reply.status.message() ==
          start + put.name(put.c) + " silent, " + put.name(put.d) + " silent)");
    CHECK(reply.tally.got == 2);
    CHECK(reply.tally.asked == 4);
    CHECK(put.names(reply.tally.silent) == "cd");
    CHECK(reply.tally.refused.empty());
  }
}
