#include "repair/surplus.hpp"

#include <catch2/catch.hpp>
#include <memory>

#include "base/planted.hpp"
#include "base/random.hpp"
#include "cluster_fake.hpp"

using namespace ringlet;

namespace {

const NodeId A{1}, B{2}, C{3}, X{9};

// A node with its machines, over a disk that outlives them.
struct Node {
  Node(NodeId id, const FakeRing& ring, const Health& health)
      : self(id), disk(id, ring), health(&health) {}
  void restart(Now now) {
    surplus =
        std::make_unique<Surplus>(self, Surplus::Options{}, disk, disk.placement, *health, nullptr);
    surplus->start(now);
  }
  Message serve(const ReplicaPut& put) {
    sync(disk.copies[put.key], put.object);
    if (surplus) surplus->on_stored(put.key);
    return Stored{};
  }
  NodeId self;
  FakeStore disk;
  const Health* health;
  std::unique_ptr<Surplus> surplus;
};

// A owned partition 0 until X took its place; B and C stay.
struct Scene {
  enum class Fate { good, lost, reply_lost, twice, refused };

  Scene() {
    ring.members = {A, B, C, X};
    ring.owners[0] = {X, B, C};
    ring.owners[1] = {A, B, C};
    for (NodeId id : {A, B, C, X}) nodes.emplace(id, std::make_unique<Node>(id, ring, health));
    for (int i = 0; i < 20; ++i) {
      node(A).disk.copies[key_in(0, i)] = object_of(A, 1);
      node(A).disk.copies[key_in(1, i)] = object_of(A, 1);
    }
    node(A).restart(now);
  }
  Node& node(NodeId id) { return *nodes.at(id); }

  void exchange(const Surplus::Outgoing& out) {
    int number = messages++;
    Fate fate = meddle ? meddle(number) : Fate::good;
    if (fate == Fate::lost) return;
    const auto& put = std::get<ReplicaPut>(out.message);
    CHECK_FALSE(put.hint_for);
    CHECK(put.durability == WriteDurability::disk);
    Message reply = Refused{Status(Code::overloaded, "busy"), 0};
    if (fate != Fate::refused) reply = node(out.to).serve(put);
    if (fate == Fate::twice) node(out.to).serve(put);
    if (fate == Fate::reply_lost) return;
    node(A).surplus->on_reply(out.to, out.number, reply, now);
    if (fate == Fate::twice) node(A).surplus->on_reply(out.to, out.number, reply, now);
  }
  bool step(Instant end) {
    for (auto& out : node(A).surplus->take_outgoing()) queue.push_back(out);
    if (!queue.empty()) {
      auto out = queue.front();
      queue.erase(queue.begin());
      exchange(out);
      return true;
    }
    Instant next = node(A).surplus->next_wake();
    if (next > end) return false;
    now.instant = std::max(now.instant, next);
    node(A).surplus->on_wake(now);
    return true;
  }
  // L14: who is not at A is at all owners.
  bool nothing_lost() {
    for (int i = 0; i < 20; ++i) {
      if (node(A).disk.copies.contains(key_in(0, i))) continue;
      for (NodeId owner : ring.owners[0]) {
        if (owner != A && !node(owner).disk.copies.contains(key_in(0, i))) return false;
      }
    }
    return true;
  }
  bool gone() {
    for (int i = 0; i < 20; ++i) {
      if (node(A).disk.copies.contains(key_in(0, i))) return false;
    }
    return true;
  }
  bool run(Duration longest = Duration::seconds(300)) {
    Instant end = now.instant + longest;
    while (!gone() && step(end)) safe = safe && nothing_lost();
    return gone();
  }
  void change_ring() {
    ++ring.version;
    node(A).surplus->on_ring_changed(now);
  }

  FakeRing ring;
  FakeHealth health;
  std::map<NodeId, std::unique_ptr<Node>> nodes;
  std::function<Fate(int)> meddle;
  std::vector<Surplus::Outgoing> queue;
  int messages = 0;
  bool safe = true;
  Now now{Instant{1'000'000}, 0};
};

}  // namespace

TEST_CASE("L14 what is no longer ours goes to all owners, then goes") {
  Scene scene;
  REQUIRE(scene.run());
  CHECK(scene.safe);
  CHECK(scene.messages == 60);
  for (NodeId owner : {X, B, C}) CHECK(scene.node(owner).disk.copies.size() == 20);
  CHECK(scene.node(A).disk.copies.size() == 20);  // partition 1 is A's
  auto progress = scene.node(A).surplus->progress();
  CHECK(progress.pushed == 20);
  CHECK(progress.erased == 20);
  CHECK_FALSE(scene.node(A).surplus->busy());
  while (scene.step(scene.now.instant + Duration::seconds(70)) &&
         !scene.node(A).surplus->progress().clean) {
  }
  CHECK(scene.node(A).surplus->progress().clean);
}

TEST_CASE("L14 any one message lost, refused or repeated: nothing is lost, everything goes") {
  using Fate = Scene::Fate;
  for (Fate fate : {Fate::lost, Fate::reply_lost, Fate::twice, Fate::refused}) {
    for (int which = 0; which < 60; which += 3) {
      INFO("fate " << static_cast<int>(fate) << " of message " << which);
      Scene scene;
      scene.meddle = [&](int number) { return number == which ? fate : Fate::good; };
      REQUIRE(scene.run());
      CHECK(scene.safe);
    }
  }
}

TEST_CASE("L14 F-70 a crash after every step: nothing is lost, everything goes") {
  for (int crash = 1;; ++crash) {
    INFO("crash after step " << crash);
    Scene scene;
    int steps = 0;
    while (!scene.gone()) {
      REQUIRE(scene.step(Instant{600'000'000}));
      CHECK(scene.nothing_lost());
      if (++steps != crash) continue;
      scene.queue.clear();
      scene.node(A).restart(scene.now);
    }
    if (steps < crash) break;
    REQUIRE(crash < 200);
  }
}

TEST_CASE("L14 the check finds a source that drops with the first confirmation") {
  Scene scene;
  plant(PlantedBug::source_drops_early);
  scene.run();
  plant(PlantedBug::none);
  CHECK_FALSE(scene.safe);
}

TEST_CASE("L14 every call of the disk fails once: nothing is lost, everything goes") {
  for (int call = 1; call < 30; ++call) {
    Scene scene;
    scene.node(A).disk.fail_at = call;
    REQUIRE(scene.run());
    CHECK(scene.safe);
  }
}

TEST_CASE("L14 while an owner is down nothing goes") {
  Scene scene;
  scene.health.down = {C};
  CHECK_FALSE(scene.run(Duration::seconds(200)));
  CHECK(scene.messages == 0);
  scene.health.down.clear();
  CHECK(scene.run(Duration::seconds(70)));
  Scene broken;
  broken.step(Instant{10'000'000});
  broken.node(A).surplus->on_unreachable(C, broken.now);
  broken.queue.clear();
  CHECK_FALSE(broken.node(A).surplus->busy());
  CHECK(broken.run());
  CHECK(broken.safe);
}

TEST_CASE("F-73 a partition that is ours again is kept, however late the confirmations come") {
  for (int after = 0; after < 12; ++after) {
    Scene scene;
    for (int i = 0; i < after; ++i) scene.step(Instant{10'000'000});
    std::size_t left = scene.node(A).disk.copies.size();
    scene.ring.owners[0] = {A, B, C};
    scene.change_ring();
    CHECK_FALSE(scene.run(Duration::seconds(200)));
    CHECK(scene.node(A).disk.copies.size() == left);
  }
  Scene incoming;  // will be ours: as good
  incoming.ring.incoming[0] = {A};
  CHECK_FALSE(incoming.run(Duration::seconds(200)));
  CHECK(incoming.messages == 0);
}

TEST_CASE("L14 owners that changed on the way have to confirm themselves") {
  const NodeId Y{10};
  Scene scene;
  scene.nodes.emplace(Y, std::make_unique<Node>(Y, scene.ring, scene.health));
  while (scene.messages < 5) scene.step(Instant{10'000'000});
  scene.ring.owners[0] = {Y, B, C};
  scene.ring.members.push_back(Y);
  scene.change_ring();
  REQUIRE(scene.run());
  for (int i = 2; i < 20; ++i) CHECK(scene.node(Y).disk.copies.contains(key_in(0, i)));
}

TEST_CASE("L14 an object that grew on the way is kept and pushed again") {
  Scene scene;
  scene.step(Instant{10'000'000});
  Key key = key_in(0, 0);
  sync(scene.node(A).disk.copies[key], object_of(B, 5));
  REQUIRE(scene.run());
  CHECK(scene.node(X).disk.copies[key].versions.size() == 2);
  CHECK(scene.node(A).surplus->progress().kept >= 1);
}

TEST_CASE("L14 two nodes that each take the other for the owner never erase both copies") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    FakeRing of_a, of_b;
    of_a.members = of_b.members = {A, B};
    of_a.owners[0] = {B};
    of_b.owners[0] = {A};
    FakeHealth health;
    Node a(A, of_a, health), b(B, of_b, health);
    Key key = key_in(0, 0);
    a.disk.copies[key] = b.disk.copies[key] = object_of(A, 1);
    Now now{Instant{1'000'000}, 0};
    a.restart(now);
    b.restart(now);
    struct Flying {
      Node *from, *to;
      std::uint64_t number;
      Message message;
    };
    std::vector<Flying> flying;
    for (int step = 0; step < 200; ++step) {
      for (Node* node : {&a, &b}) {
        for (auto& out : node->surplus->take_outgoing()) {
          flying.push_back({node, node == &a ? &b : &a, out.number, out.message});
        }
      }
      if (!flying.empty() && random.chance(0.8)) {  // any of those under way, question or answer
        std::size_t which = random.below(flying.size());
        Flying f = flying[which];
        flying.erase(flying.begin() + static_cast<std::ptrdiff_t>(which));
        if (const auto* put = std::get_if<ReplicaPut>(&f.message)) {
          flying.push_back({f.to, f.from, f.number, f.to->serve(*put)});
        } else {
          f.to->surplus->on_reply(f.from->self, f.number, f.message, now);
        }
      } else {
        now.instant = now.instant + Duration::millis(500);
        a.surplus->on_wake(now);
        b.surplus->on_wake(now);
      }
      REQUIRE(a.disk.copies.size() + b.disk.copies.size() >= 1);
    }
  }
}

// ---- the whole of a move, as a model ----

namespace {

// Partition 0 moves from A to X while writes go on; each write is acknowledged by two of the owners
// of that moment. Crash k ends the machines of all nodes after step k.
struct Move {
  Move() {
    ring.members = {A, B, C, X};
    ring.owners[0] = {A, B, C};
    ring.incoming[0] = {X};
    options.page_bytes = 10;  // an object or two a page
    for (NodeId id : ring.members) nodes.emplace(id, std::make_unique<Node>(id, ring, health));
    for (int i = 0; i < 6; ++i) write(random.below(3));
    restart();
  }
  Node& node(NodeId id) { return *nodes.at(id); }
  void restart() {
    for (auto& [id, n] : nodes) n->restart(now);
    pull = std::make_unique<PartitionTransfer>(X, options, node(X).disk, node(X).disk.placement,
                                               health, nullptr);
    if (!flipped) pull->set_work({{0, 5, A, {B, C}}}, now);
    hints.clear();
    for (NodeId id : ring.members) {
      hints.push_back(
          std::make_unique<HintDelivery>(id, HintDelivery::Options{}, node(id).disk, health));
      hints.back()->set_targets_for([this](const Hint& hint) {
        const auto& owners = ring.owners[0];
        bool owns = std::count(owners.begin(), owners.end(), hint.target) > 0 ||
                    (!flipped && hint.target == X);
        return owns ? std::vector<NodeId>{hint.target} : owners;
      });
      hints.back()->start(now);
    }
  }

  // To two of the three owners, all but number `without`.
  void write(std::uint64_t without) {
    Key key = key_in(0, static_cast<int>((written * 37) % 101));
    Object object = object_of(B, 1);
    const std::vector<NodeId> owners = ring.owners[0];
    for (std::size_t i = 0; i < owners.size(); ++i) {
      if (i == without) continue;
      sync(node(owners[i]).disk.copies[key], object);
      if (flipped) continue;
      for (NodeId to : incoming_to_hint(owners[i], owners, {A}, {X})) {
        sync(node(owners[i]).disk.hints[{to, key}], object);
      }
    }
    acked.push_back(key);
    ++written;
  }

  // Every machine has a turn; one message each.
  void step() {
    for (auto& out : pull->take_outgoing()) {
      Node& source = node(out.to);
      pull->on_reply(out.to, out.number,
                     answer(std::get<TransferPull>(out.message), true, 1 << 20,
                            source.disk.placement, source.disk, nullptr, now),
                     now);
    }
    if (!flipped && pull->all_arrived()) {
      flipped = true;
      ring.owners[0] = {X, B, C};
      ring.incoming.clear();
      ++ring.version;
      pull->set_work({}, now);
      for (auto& [id, n] : nodes) n->surplus->on_ring_changed(now);
    }
    for (std::size_t i = 0; i < hints.size(); ++i) {
      for (auto& out : hints[i]->take_outgoing()) {
        hints[i]->on_reply(out.to, out.number,
                           node(out.to).serve(std::get<ReplicaPut>(out.message)), now);
      }
    }
    for (auto& [id, n] : nodes) {
      for (auto& out : n->surplus->take_outgoing()) {
        n->surplus->on_reply(out.to, out.number,
                             node(out.to).serve(std::get<ReplicaPut>(out.message)), now);
      }
    }
    now.instant = now.instant + Duration::millis(250);
    pull->on_wake(now);
    for (auto& h : hints) h->on_wake(now);
    for (auto& [id, n] : nodes) n->surplus->on_wake(now);
  }
  std::size_t fewest_copies() {
    std::size_t fewest = 99;
    for (const Key& key : acked) {
      std::size_t copies = 0;
      for (auto& [id, n] : nodes) copies += n->disk.copies.contains(key);
      fewest = std::min(fewest, copies);
    }
    return fewest;
  }
  // Owners of now that have the key.
  std::size_t fewest_owners() {
    std::size_t fewest = 99;
    for (const Key& key : acked) {
      std::size_t copies = 0;
      for (NodeId id : ring.owners[0]) copies += node(id).disk.copies.contains(key);
      fewest = std::min(fewest, copies);
    }
    return fewest;
  }

  FakeRing ring;
  FakeHealth health;
  Random random{7};
  PartitionTransfer::Options options;
  std::map<NodeId, std::unique_ptr<Node>> nodes;
  std::unique_ptr<PartitionTransfer> pull;
  std::vector<std::unique_ptr<HintDelivery>> hints;
  std::vector<Key> acked;
  bool flipped = false;
  int written = 0;
  Now now{Instant{1'000'000}, 0};
};

}  // namespace

TEST_CASE(
    "L14 F-70 a whole move under writes, with a crash at every step: never under two copies") {
  for (int crash = 0; crash < 60; ++crash) {
    INFO("crash after step " << crash);
    Move move;
    for (int step = 1; step < 120; ++step) {
      move.step();
      if (step < 30) move.write(move.random.below(3));
      REQUIRE(move.fewest_copies() >= 2);
      if (step == crash) move.restart();
    }
    CHECK(move.flipped);
    CHECK(move.node(A).disk.copies.empty());
    CHECK(move.fewest_owners() >= 2);
    for (const Key& key : move.acked) {  // nothing that A held is missing at X
      CHECK((move.node(X).disk.copies.contains(key) ||
             (move.node(B).disk.copies.contains(key) && move.node(C).disk.copies.contains(key))));
    }
    for (auto& [id, n] : move.nodes) CHECK(n->disk.hints.empty());
  }
}
