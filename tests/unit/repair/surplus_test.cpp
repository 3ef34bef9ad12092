#include "repair/surplus.hpp"

#include <catch2/catch.hpp>
#include <memory>

#include "base/planted.hpp"
#include "base/random.hpp"
#include "cluster_fake.hpp"
#include "repair/dual_writes.hpp"
#include "repair/merkle_tree.hpp"

using namespace ringlet;

namespace {

const NodeId A{1}, B{2}, C{3}, X{9};

// A node with its machines, over a disk that outlives them.
struct Node {
  Node(NodeId id, const FakeRing& ring, const Health& health)
      : self(id), disk(id, ring), health(&health) {}
  void restart(Now now, Pace* pace = nullptr) {
    surplus = std::make_unique<Surplus>(Surplus::Options{}, disk, disk.placement, *health, pace);
    surplus->start(now);
  }
  Message serve(const ReplicaPut& put) {
    surplus->before_storing(put.key);
    sync(disk.copies[put.key], put.object);
    return Stored{};
  }
  Message serve(const Message& message, Now now) {
    if (const auto* put = std::get_if<ReplicaPut>(&message)) return serve(*put);
    return surplus->answer(std::get<HeldCheck>(message), now).reply;
  }
  NodeId self;
  FakeStore disk;
  const Health* health;
  std::unique_ptr<Surplus> surplus;
};

// A owned partition 0 until X took its place; B and C stay.
struct Scene {
  enum class Fate { good, lost, reply_lost, twice, refused, late };

  Scene() {
    ring.members = {A, B, C, X};
    ring.owners[0] = {X, B, C};
    ring.owners[1] = {A, B, C};
    for (NodeId id : {A, B, C, X}) add(id);
    for (int i = 0; i < 20; ++i) {
      node(A).disk.copies[key_in(0, i)] = object_of(A, 1);
      node(A).disk.copies[key_in(1, i)] = object_of(A, 1);
    }
  }
  void add(NodeId id) {
    nodes.emplace(id, std::make_unique<Node>(id, ring, health));
    node(id).restart(now);
  }
  Node& node(NodeId id) { return *nodes.at(id); }
  Surplus& surplus() { return *node(A).surplus; }
  // X, B and C have what A has, but for every `but`-th; of that X has nothing and C an older state.
  void owners_hold(std::optional<int> but = {}) {
    for (int i = 0; i < 20; ++i) {
      const Key key = key_in(0, i);
      bool all = !but || i % *but != 1;
      if (!all) sync(node(A).disk.copies[key], object_of(C, 7));
      for (NodeId owner : {X, B, C}) {
        if (owner == X && !all) continue;
        node(owner).disk.copies[key] =
            owner == C && !all ? object_of(A, 1) : node(A).disk.copies[key];
      }
    }
  }

  void exchange(const Outgoing& out) {
    int number = messages++;
    Fate fate = meddle ? meddle(number) : Fate::good;
    if (const auto* put = std::get_if<ReplicaPut>(&out.message)) {
      CHECK_FALSE(put->hint_for);
      CHECK(put->durability == WriteDurability::disk);
      pushed.insert({out.to, put->key});
    } else {
      checked.push_back(out.to);
    }
    if (fate == Fate::lost) return;
    Message reply = Refused{Status(Code::io, "the disk is ill"), 0};
    if (fate != Fate::refused) reply = node(out.to).serve(out.message, now);
    if (fate == Fate::twice) node(out.to).serve(out.message, now);
    if (fate == Fate::reply_lost) return;
    if (fate == Fate::late) return late.emplace_back(out.to, out.number, reply), void();
    surplus().on_reply(out.to, out.number, reply, now);
    if (fate == Fate::twice) surplus().on_reply(out.to, out.number, reply, now);
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
    for (auto& [from, number, reply] : std::exchange(late, {})) {  // when nobody waits any more
      surplus().on_reply(from, number, reply, now);
    }
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
  std::vector<Outgoing> queue;
  std::vector<std::tuple<NodeId, RequestId, Message>> late;
  std::vector<NodeId> checked;              // owners asked, in order
  std::set<std::pair<NodeId, Key>> pushed;  // whole
  int messages = 0;
  bool safe = true;
  Now now{Instant{1'000'000}, 0};
};

}  // namespace

TEST_CASE("L14 what is no longer ours goes to all owners, then goes") {
  Scene scene;
  REQUIRE(scene.run());
  CHECK(scene.safe);
  CHECK(scene.messages == 63);  // a question to each, then each object to each
  for (NodeId owner : {X, B, C}) CHECK(scene.node(owner).disk.copies.size() == 20);
  CHECK(scene.node(A).disk.copies.size() == 20);  // partition 1 is A's
  auto progress = scene.node(A).surplus->progress();
  CHECK(progress.checked == 20);
  CHECK(progress.pushed == 20);
  CHECK(progress.erased == 20);
  CHECK_FALSE(scene.node(A).surplus->busy());
  while (scene.step(scene.now.instant + Duration::seconds(70)) &&
         !scene.node(A).surplus->progress().clean) {
  }
  CHECK(scene.node(A).surplus->progress().clean);
}

TEST_CASE("L14 R4.9-b what the owners hold is asked about, with one flush a page, and not sent") {
  Scene scene;
  scene.owners_hold();
  REQUIRE(scene.run());
  CHECK(scene.safe);
  CHECK(scene.messages == 3);
  CHECK(scene.pushed.empty());
  for (NodeId owner : {X, B, C}) CHECK(scene.node(owner).disk.flushes == 1);
  auto progress = scene.surplus().progress();
  CHECK(progress.checked == 20);
  CHECK(progress.pushed == 0);
  CHECK(progress.erased == 20);
}

TEST_CASE("L14 only to an owner that lacks it, or has another state, an object is sent whole") {
  Scene scene;
  scene.owners_hold(5);
  REQUIRE(scene.run());
  CHECK(scene.safe);
  std::set<std::pair<NodeId, Key>> wanted;
  for (int i = 1; i < 20; i += 5) {
    wanted.insert({X, key_in(0, i)});
    wanted.insert({C, key_in(0, i)});
    CHECK(scene.node(C).disk.copies[key_in(0, i)].versions.size() == 2);  // merged
    CHECK(scene.node(X).disk.copies[key_in(0, i)].versions.size() == 2);
  }
  CHECK(scene.pushed == wanted);
  CHECK(scene.surplus().progress().pushed == 4);
  CHECK(scene.surplus().progress().erased == 20);
}

TEST_CASE("L14 a page is bounded: by keys, by the bytes of the question, by those of the copies") {
  auto longest = [](std::size_t key_bytes, std::size_t value_bytes) {
    Scene scene;
    auto& copies = scene.node(A).disk.copies;
    copies.clear();
    for (int i = 0; i < 1000; ++i) {
      Key key = key_in(0, i);
      key.key += Bytes(key_bytes, 'k');
      copies[key] = object_of(A, 1, Bytes(value_bytes, 'v'));
    }
    std::size_t most = 0;
    while (scene.surplus().progress().checked < 1000) {
      REQUIRE(scene.step(Instant{600'000'000}));
      for (const auto& out : scene.queue) {
        const auto* check = std::get_if<HeldCheck>(&out.message);
        if (check != nullptr) most = std::max(most, check->keys.size());
      }
    }
    return most;
  };
  CHECK(longest(0, 10) == 256);
  CHECK(longest(1000, 10) == 64);
  CHECK(longest(100'000, 10) == 1);
  CHECK(longest(0, 12'000) == 11);  // about 128 KiB
}

TEST_CASE("L14 any one message lost, refused, repeated or late: nothing lost, everything goes") {
  using Fate = Scene::Fate;
  for (Fate fate : {Fate::lost, Fate::reply_lost, Fate::twice, Fate::refused, Fate::late}) {
    for (int held : {0, 1, 2}) {  // the owners have nothing, most, all
      for (int which = 0; which < 63; which += which < 12 ? 1 : 3) {
        INFO("fate " << static_cast<int>(fate) << " of message " << which << ", held " << held);
        Scene scene;
        if (held == 1) scene.owners_hold(5);
        if (held == 2) scene.owners_hold();
        scene.meddle = [&](int number) { return number == which ? fate : Fate::good; };
        REQUIRE(scene.run());
        CHECK(scene.safe);
        if (scene.messages <= which) break;
      }
    }
  }
}

TEST_CASE("L14 F-70 a crash after every step: nothing is lost, everything goes") {
  for (int crash = 1;; ++crash) {
    INFO("crash after step " << crash);
    Scene scene;
    if (crash % 2 == 1) scene.owners_hold(5);
    int steps = 0;
    while (!scene.gone()) {
      REQUIRE(scene.step(Instant{600'000'000}));
      CHECK(scene.nothing_lost());
      if (++steps != crash) continue;
      scene.queue.clear();
      scene.node(A).restart(scene.now);
    }
    if (steps < crash && crash > 80) break;
    REQUIRE(crash < 200);
  }
}

TEST_CASE("L14 the check finds a source that drops with the first confirmation") {
  for (bool most : {false, true}) {
    Scene scene;
    if (most) scene.owners_hold(5);
    plant(PlantedBug::source_drops_early);
    scene.run();
    plant(PlantedBug::none);
    CHECK_FALSE(scene.safe);
  }
}

TEST_CASE("L14 every call of the disk fails once: nothing is lost, everything goes") {
  for (NodeId whose : {A, B}) {
    for (int call = 1; call < 30; ++call) {
      Scene scene;
      scene.owners_hold(5);
      scene.node(whose).disk.fail_at = call;
      REQUIRE(scene.run());
      CHECK(scene.safe);
    }
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
  scene.add(Y);
  while (scene.messages < 5) scene.step(Instant{10'000'000});
  scene.ring.owners[0] = {Y, B, C};
  scene.ring.members.push_back(Y);
  scene.change_ring();
  REQUIRE(scene.run());
  for (int i = 0; i < 20; ++i) CHECK(scene.node(Y).disk.copies.contains(key_in(0, i)));
}

TEST_CASE("L14 F-73 confirmations of owners of a former ring erase nothing") {
  Scene scene;
  scene.owners_hold();
  scene.step(Instant{10'000'000});  // asked
  ++scene.ring.version;             // and nobody has told A yet
  while (scene.messages < 3) scene.step(Instant{10'000'000});
  CHECK(scene.node(A).disk.copies.size() == 40);
  CHECK(scene.surplus().progress().kept == 20);
  CHECK(scene.run());
  CHECK(scene.messages == 6);
}

TEST_CASE("L14 an object that grew on the way is kept and pushed again") {
  Scene scene;
  scene.step(Instant{10'000'000});
  Key key = key_in(0, 0);
  sync(scene.node(A).disk.copies[key], object_of(B, 5));
  REQUIRE(scene.run());
  CHECK(scene.node(X).disk.copies[key].versions.size() == 2);
  CHECK(scene.node(A).surplus->progress().kept >= 1);

  Scene held;
  held.owners_hold();
  held.step(Instant{10'000'000});
  sync(held.node(A).disk.copies[key], object_of(B, 5));
  REQUIRE(held.run());
  CHECK(held.safe);
  CHECK(held.surplus().progress().kept == 1);
  CHECK(held.pushed == std::set<std::pair<NodeId, Key>>{{X, key}, {B, key}, {C, key}});
  CHECK(held.node(X).disk.copies[key].versions.size() == 2);
}

// ---- the owner's side ----

namespace {

HeldCheck check_of(std::uint32_t partition, int keys, const Object& object) {
  HeldCheck check;
  check.partition = partition;
  for (int i = 0; i < keys; ++i) {
    check.keys.push_back(key_in(partition, i));
    check.clock_hashes.push_back(clock_hash(object));
  }
  return check;
}

Status refusal(const Message& reply) {
  INFO("got " << name_of(reply));
  REQUIRE(std::holds_alternative<Refused>(reply));
  return std::get<Refused>(reply).status;
}

}  // namespace

TEST_CASE("L14 an owner confirms what it holds in exactly this state, and only after a flush") {
  Scene scene;
  auto& copies = scene.node(X).disk.copies;
  for (int i = 0; i < 4; ++i) copies[key_in(0, i)] = object_of(A, 1);
  copies[key_in(0, 1)] = object_of(A, 2);  // newer: another clock
  copies.erase(key_in(0, 3));
  auto answer = scene.node(X).surplus->answer(check_of(0, 5, object_of(A, 1)), scene.now);
  CHECK(std::get<HeldAnswer>(answer.reply).lacking == std::vector<std::uint32_t>{1, 3, 4});
  CHECK(answer.ticket == 1);
  CHECK(scene.node(X).disk.flushes == 1);
  answer = scene.node(X).surplus->answer(check_of(0, 5, object_of(A, 9)), scene.now);
  CHECK(std::get<HeldAnswer>(answer.reply).lacking.size() == 5);
  CHECK(answer.ticket == 0);  // nothing is promised, and nothing flushed
  CHECK(scene.node(X).disk.flushes == 1);
}

TEST_CASE("L14 who does not keep the partition confirms nothing, and the asker keeps its copies") {
  Scene scene;
  scene.owners_hold();
  FakeRing other = scene.ring;  // C knows of owners without it
  other.owners[0] = {X, B};
  scene.node(C).disk.placement.see(other);
  Status why = refusal(scene.node(C).serve(check_of(0, 2, object_of(A, 1)), scene.now));
  CHECK(why.code() == Code::unavailable);
  CHECK_THAT(why.message(), Catch::Contains("partition 0 is not this node's"));
  CHECK_FALSE(scene.run(Duration::seconds(20)));
  CHECK(scene.node(A).disk.copies.size() == 40);
  CHECK(scene.pushed.empty());
  CHECK(scene.node(C).disk.flushes == 0);
  scene.node(C).disk.placement.see(scene.ring);
  CHECK(scene.run());

  Scene coming;  // it will be among the N: as good
  coming.owners_hold();
  other.incoming[0] = {C};
  coming.node(C).disk.placement.see(other);
  CHECK(coming.run());
}

TEST_CASE("L14 a question that is wrong is refused with a sentence and promises nothing") {
  Scene scene;
  scene.owners_hold();
  const HeldCheck good = check_of(0, 2, object_of(A, 1));
  HeldCheck none, uneven = good, many = check_of(0, 1, object_of(A, 1)), wide = good;
  uneven.clock_hashes.pop_back();
  many.keys.assign(1025, key_in(0, 0));
  many.clock_hashes.assign(1025, 1);
  wide.keys[0].bucket = Bytes(256 * 1024, 'b');
  HeldCheck beyond = good, foreign = good;
  beyond.partition = 4;
  foreign.keys[1] = key_in(1, 0);
  const std::pair<HeldCheck, const char*> wrong[] = {
      {none, "wanted 1 to 1024 keys and a clock for each, got 0 keys and 0 clocks"},
      {uneven, "got 2 keys and 1 clocks"},
      {many, "got 1025 keys"},
      {wide, "wanted at most 262144 bytes of keys"},
      {beyond, "partition 4: wanted below 4"},
      {foreign, "wanted keys of partition 0"}};
  for (const auto& [check, sentence] : wrong) {
    auto answer = scene.node(X).surplus->answer(check, scene.now);
    Status why = refusal(answer.reply);
    CHECK(why.code() == Code::invalid_argument);
    CHECK_THAT(why.message(), Catch::Contains(sentence));
  }
  CHECK(scene.node(X).disk.flushes == 0);
  // Nothing is there in the state "nothing": an owner without a copy has not confirmed it.
  HeldCheck nothing = check_of(0, 1, Object{});
  scene.node(X).disk.copies.clear();
  CHECK(std::get<HeldAnswer>(scene.node(X).serve(nothing, scene.now)).lacking.size() == 1);
}

TEST_CASE("L14 an answer that does not fit the question confirms nothing") {
  const Message wrong[] = {HeldAnswer{{20}},         HeldAnswer{{3, 3}}, HeldAnswer{{4, 3}},
                           HeldAnswer{{0xffffffff}}, Stored{},           ReapAnswer{{1, 1}}};
  for (const Message& answer : wrong) {
    Scene scene;
    scene.owners_hold();
    scene.step(Instant{10'000'000});
    auto asked = scene.surplus().take_outgoing();
    REQUIRE(asked.size() == 3);
    for (int i : {0, 1}) {
      scene.surplus().on_reply(asked[i].to, asked[i].number,
                               scene.node(asked[i].to).serve(asked[i].message, scene.now),
                               scene.now);
    }
    scene.surplus().on_reply(B, asked[0].number, HeldAnswer{}, scene.now);  // not whom it asked
    scene.surplus().on_reply(asked[2].to, asked[2].number, answer, scene.now);
    CHECK(scene.node(A).disk.copies.size() == 40);
    CHECK(scene.surplus().progress().kept == 20);
    CHECK(scene.run());
  }
}

TEST_CASE("an owner that serves requests first is asked again when it said, and it alone") {
  Scene scene;
  scene.owners_hold();
  Pace::Options slow;
  slow.floor = 1;
  slow.most = 4;
  slow.step = Duration::seconds(1000);
  Pace pace(slow);
  while (pace.take(Pace::Kind::transfer, 0, scene.now)) {
  }
  scene.node(C).restart(scene.now, &pace);
  auto refused = scene.node(C).serve(check_of(0, 2, object_of(A, 1)), scene.now);
  CHECK(refusal(refused).code() == Code::overloaded);
  CHECK(std::get<Refused>(refused).retry_after_ms > 0);
  CHECK(std::get<Refused>(refused).retry_after_ms <= 1000);
  CHECK(scene.node(C).disk.flushes == 0);

  Scene told;
  told.owners_hold();
  told.step(Instant{10'000'000});
  auto asked = told.surplus().take_outgoing();
  REQUIRE(asked.size() == 3);
  for (auto& out : asked) {
    Message reply = told.node(out.to).serve(out.message, told.now);
    if (out.to == C) reply = Refused{Status(Code::overloaded, "busy"), 700};
    told.surplus().on_reply(out.to, out.number, reply, told.now);
  }
  Instant refused_at = told.now.instant;
  CHECK(told.surplus().next_wake() == refused_at + Duration::millis(700));
  told.surplus().on_wake({refused_at + Duration::millis(699), 0});
  CHECK(told.surplus().take_outgoing().empty());
  REQUIRE(told.run());
  CHECK(told.now.instant == refused_at + Duration::millis(700));
  CHECK(told.checked == std::vector<NodeId>{C});
  CHECK(told.surplus().progress().kept == 0);
}

TEST_CASE("L14 a key that this node confirms while it asks about it is kept") {
  for (bool by_check : {true, false}) {
    Scene scene;
    scene.owners_hold();
    scene.step(Instant{10'000'000});  // asked
    const Key key = key_in(0, 3);
    HeldCheck check;
    check.keys = {key, key_in(0, 4)};
    check.clock_hashes = {clock_hash(object_of(A, 1)), 1};  // of the second it has another state
    auto owners =
        std::exchange(scene.ring.owners[0], {A, B});  // the same version: only the mark helps
    if (by_check) {
      Message said = scene.node(A).serve(check, scene.now);
      CHECK(std::get<HeldAnswer>(said).lacking == std::vector<std::uint32_t>{1});
    } else {
      scene.node(A).serve(ReplicaPut{key, object_of(A, 1), {}, WriteDurability::disk});
    }
    scene.ring.owners[0] = owners;
    while (scene.messages < 3) scene.step(Instant{10'000'000});
    CHECK(scene.node(A).disk.copies.size() == 21);  // the other partition, and this key
    CHECK(scene.node(A).disk.copies.contains(key));
    CHECK(scene.surplus().progress().kept == 1);
    CHECK(scene.run());  // and asked about anew
  }
}

// Three nodes whose rings contradict each other and change under way, the machine told or not yet; any
// message overtakes any other, comes twice or never.
TEST_CASE("L14 F-73 nodes that each take another for the owner never erase the last copy") {
  int erased = 0, pushed = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    FakeHealth health;
    const std::vector<NodeId> all = {A, B, C};
    std::map<NodeId, FakeRing> rings;
    std::map<NodeId, std::unique_ptr<Node>> nodes;
    std::uint64_t versions = 0;
    auto new_ring = [&](NodeId node) {
      FakeRing& ring = rings[node];
      ring.members = all;
      ring.version = ++versions;
      ring.owners[0].clear();
      std::size_t without = random.below(3);
      for (std::size_t i = 0; i < 3; ++i) {
        if (i != without) ring.owners[0].push_back(all[i]);
      }
      if (random.chance(0.5)) ring.owners[0].pop_back();
    };
    Now now{Instant{1'000'000}, 0};
    const Key key = key_in(0, 0);
    for (NodeId id : all) {
      new_ring(id);
      nodes.emplace(id, std::make_unique<Node>(id, rings[id], health));
      nodes[id]->restart(now);
      for (NodeId minter : {A, B}) {  // one write, the other, both or none
        if (random.chance(0.7)) sync(nodes[id]->disk.copies[key], object_of(minter, 1));
      }
    }
    auto holds = [&](NodeId minter) {
      return std::any_of(all.begin(), all.end(), [&](NodeId id) {
        const auto& copies = nodes[id]->disk.copies;
        auto copy = copies.find(key);
        return copy != copies.end() && copy->second.context.counter(Actor{minter, 2}) == 1;
      });
    };
    const bool first = holds(A), second = holds(B);
    struct Flying {
      NodeId from, to;
      RequestId number;
      Message message;
    };
    std::vector<Flying> flying;
    for (int step = 0; step < 400; ++step) {
      for (NodeId id : all) {
        for (auto& out : nodes[id]->surplus->take_outgoing()) {
          flying.push_back({id, out.to, out.number, out.message});
        }
      }
      NodeId one = all[random.below(3)];
      if (random.chance(0.05)) new_ring(one);
      if (random.chance(0.1)) nodes[one]->surplus->on_ring_changed(now);
      if (!flying.empty() && random.chance(0.8)) {  // any of those under way, question or answer
        std::size_t which = random.below(flying.size());
        Flying f = flying[which];
        if (random.chance(0.9)) flying.erase(flying.begin() + static_cast<std::ptrdiff_t>(which));
        if (random.chance(0.05)) continue;
        if (is_request(f.message)) {
          pushed += std::holds_alternative<ReplicaPut>(f.message);
          flying.push_back({f.to, f.from, f.number, nodes[f.to]->serve(f.message, now)});
        } else {
          nodes[f.to]->surplus->on_reply(f.from, f.number, f.message, now);
        }
      } else {
        now.instant = now.instant + Duration::millis(500);
        for (NodeId id : all) nodes[id]->surplus->on_wake(now);
      }
      REQUIRE(holds(A) == first);
      REQUIRE(holds(B) == second);
    }
    for (NodeId id : all) erased += static_cast<int>(nodes[id]->surplus->progress().erased);
  }
  CHECK(erased > 400);
  CHECK(pushed > 400);
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
      for (NodeId to : newcomers_to_tell(owners[i], owners, {A}, {X})) {
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
        n->surplus->on_reply(out.to, out.number, node(out.to).serve(out.message, now), now);
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
