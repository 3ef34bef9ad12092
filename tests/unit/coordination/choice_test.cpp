#include "coordination/coordinator_choice.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <set>

using namespace ringlet;

namespace {

class Opinion final : public Health {
 public:
  explicit Opinion(std::set<NodeId> down = {}, std::set<NodeId> in_doubt = {})
      : down_(std::move(down)), in_doubt_(std::move(in_doubt)) {}
  bool is_down(NodeId node) const override { return down_.contains(node); }
  bool is_in_doubt(NodeId node) const override { return in_doubt_.contains(node); }
  void heard_from(NodeId, Instant) override {}
  void was_silent(NodeId, Instant) override {}
  void unreachable(NodeId, Instant) override {}
  Duration patience(NodeId) const override { return Duration::millis(50); }

 private:
  std::set<NodeId> down_, in_doubt_;
};

const NodeId A{1}, B{2}, C{3}, D{4}, E{5}, nobody{};
const std::vector<NodeId> preference{A, B, C, D, E};
const std::size_t n = 3;

}  // namespace

TEST_CASE("R5-f the fastest reader mints if it is an owner and healthy") {
  CHECK(choose_minter(preference, n, A, C, Opinion()) == C);
  CHECK(choose_minter(preference, n, D, B, Opinion()) == B);
  CHECK(choose_minter(preference, n, nobody, C, Opinion()) == C);
}

TEST_CASE("R5-f a fastest reader that is down, or no owner any more, is passed over") {
  CHECK(choose_minter(preference, n, B, C, Opinion({C})) == B);
  CHECK(choose_minter(preference, n, B, D, Opinion()) == B);
  CHECK(choose_minter(preference, n, nobody, C, Opinion({C})) == A);
  CHECK(choose_minter(preference, n, nobody, NodeId{77}, Opinion()) == A);
}

TEST_CASE("O-1 no fastest reader: the receiver if it is an owner, else the first healthy member") {
  CHECK(choose_minter(preference, n, B, nobody, Opinion()) == B);
  CHECK(choose_minter(preference, n, D, nobody, Opinion()) == A);
  CHECK(choose_minter(preference, n, nobody, nobody, Opinion({A})) == B);
  CHECK(choose_minter(preference, n, nobody, nobody, Opinion({A, B, C})) == D);
  CHECK(choose_minter(preference, n, nobody, nobody, Opinion({A, B, C, D, E})) == A);
  CHECK(choose_minter({}, n, nobody, A, Opinion()) == nobody);
}

TEST_CASE("L9 who is in doubt mints, and is handed a put, no more than one who is down") {
  CHECK(choose_minter(preference, n, nobody, C, Opinion({}, {A, C})) == B);
  CHECK(forward_to(preference, n, D, nobody, false, Reconcile::siblings, Opinion({B}, {A})) == C);
  CHECK(choose_minter(preference, n, A, nobody, Opinion({}, {A})) == A);
}

TEST_CASE("O-1 nobody believes itself down") {
  CHECK(choose_minter(preference, n, A, A, Opinion({A})) == A);
  CHECK(choose_minter(preference, n, D, nobody, Opinion({A, B, C, D})) == D);
}

TEST_CASE("R4.5-b a node that owns nothing of the key forwards to the first owner, once") {
  auto forward = [](NodeId self, bool already, std::set<NodeId> down) {
    return forward_to(preference, n, self, nobody, already, Reconcile::siblings, Opinion(down));
  };
  CHECK(forward(D, false, {}) == A);
  CHECK(forward(D, true, {}) == nobody);
  CHECK(forward(D, false, {A}) == B);             // the target is down: the next of the list
  CHECK(forward(D, false, {A, B, C}) == nobody);  // it is the first healthy one itself
  CHECK(forward(E, false, {A, B, C}) == D);
  for (NodeId owner : {A, B, C}) CHECK(forward(owner, false, {}) == nobody);
}

TEST_CASE("R5-f a node that owns nothing forwards to the fastest reader") {
  CHECK(forward_to(preference, n, D, C, false, Reconcile::siblings, Opinion()) == C);
  CHECK(forward_to(preference, n, D, C, false, Reconcile::siblings, Opinion({C})) == A);
  CHECK(forward_to(preference, n, A, C, false, Reconcile::siblings, Opinion()) == nobody);
}

TEST_CASE("O-1 with last-write-wins whoever received it coordinates") {
  CHECK(forward_to(preference, n, D, C, false, Reconcile::lww, Opinion()) == nobody);
}

TEST_CASE("R5-f the writes of a hot key spread over its owners when its readers differ") {
  std::map<NodeId, int> load;
  for (int i = 0; i < 300; ++i) {
    NodeId reader = preference[static_cast<std::size_t>(i % 3)];
    ++load[choose_minter(preference, n, nobody, reader, Opinion())];
  }
  CHECK(load == std::map<NodeId, int>{{A, 100}, {B, 100}, {C, 100}});
}
