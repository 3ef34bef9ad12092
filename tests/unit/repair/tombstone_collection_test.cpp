#include "repair/tombstone_collection.hpp"

#include <catch2/catch.hpp>
#include <memory>

#include "base/planted.hpp"
#include "cluster_fake.hpp"
#include "repair/merkle_tree.hpp"

using namespace ringlet;

namespace {

const NodeId A{1}, B{2}, C{3}, D{4};

Object tombstone(std::int64_t written_us = 0) {
  return object_of(A, 2, "", true, written_us);
}
Object old_value() {
  return object_of(A, 1, "old");
}

// A, B, C own partition 0, A first; D is a member that may be a fallback.
struct Scene {
  enum class Fate { good, lost, reply_lost, twice, refused };

  explicit Scene(int keys = 5) {
    ring.members = {A, B, C, D};
    ring.partitions = 1;
    ring.owners[0] = {A, B, C};
    for (NodeId id : ring.members) disks.emplace(id, std::make_unique<FakeStore>(id, ring));
    for (int i = 0; i < keys; ++i) {
      for (NodeId id : {A, B, C}) {
        disk(id).copies[key_in(0, i)] = tombstone();
        disk(id).notes[key_in(0, i)] = {clock_hash(tombstone()), Duration{}};  // the grace is over
      }
    }
    for (NodeId id : ring.members) disk(id).kept_age = options.grace;
    restart();
    for (NodeId id : {B, C, D}) restart(id);
  }
  FakeStore& disk(NodeId id) { return *disks.at(id); }
  void restart() {
    machine = std::make_unique<TombstoneCollection>(A, options, disk(A), disk(A), disk(A).placement,
                                                    health, nullptr);
    machine->start(now);
  }
  void restart(NodeId id) {
    if (id == A) return restart();
    others[id] = std::make_unique<TombstoneCollection>(id, options, disk(id), disk(id),
                                                       disk(id).placement, health, nullptr);
    others[id]->start(now);
  }
  Message serve(NodeId at, const Message& message) {
    if (const auto* ask = std::get_if<ReapAsk>(&message)) return others.at(at)->answer(*ask, now);
    return answer(std::get<Reap>(message), disk(at));
  }
  void exchange(const Outgoing& out) {
    int number = messages++;
    if (before) before(number, out.message);
    Fate fate = meddle ? meddle(number) : Fate::good;
    if (fate == Fate::lost || health.down.contains(out.to)) return;
    Message reply = Refused{Status(Code::internal, "no"), 0};
    if (fate != Fate::refused) reply = serve(out.to, out.message);
    if (fate == Fate::twice) serve(out.to, out.message);
    if (fate == Fate::reply_lost) return;
    machine->on_reply(out.to, out.number, reply, now);
    if (fate == Fate::twice) machine->on_reply(out.to, out.number, reply, now);
  }
  bool step(Instant end) {
    for (auto& out : machine->take_outgoing()) queue.push_back(out);
    if (!queue.empty()) {
      auto out = queue.front();
      queue.erase(queue.begin());
      exchange(out);
      return true;
    }
    Instant next = machine->next_wake();
    for (auto& [id, other] : others) {
      if (!health.down.contains(id)) next = std::min(next, other->next_wake());
    }
    if (next > end) return false;
    pass(next - now.instant);
    if (machine->next_wake() <= now.instant) machine->on_wake(now);
    for (auto& [id, other] : others) {
      if (health.down.contains(id) || other->next_wake() > now.instant) continue;
      other->on_wake(now);
      (void)other->take_outgoing();  // A alone is first owner where that matters
    }
    return true;
  }
  void pass(Duration d) {
    if (d < Duration{}) return;
    now.instant = now.instant + d;
    now.wall_ms += d.millis();
  }
  void run(Duration how_long = Duration::seconds(1000)) {
    Instant end = now.instant + how_long;
    while (step(end)) {
    }
  }
  std::size_t left() {
    std::size_t copies = 0;
    for (auto& [id, d] : disks) copies += d->copies.size();
    return copies;
  }
  // Owners tell each other what they have: what anti-entropy does.
  void equalise() {
    std::map<Key, Object> all;
    for (auto& [id, d] : disks) {
      for (auto& [key, object] : d->copies) sync(all[key], object);
    }
    for (NodeId id : {A, B, C}) {
      for (auto& [key, object] : all) sync(disk(id).copies[key], object);
    }
  }
  bool alive(int i) {
    equalise();
    for (const Version* v : siblings(disk(A).copies[key_in(0, i)])) {
      if (!v->tombstone) return true;
    }
    return false;
  }

  FakeRing ring;
  FakeHealth health;
  TombstoneCollection::Options options;
  std::map<NodeId, std::unique_ptr<FakeStore>> disks;
  std::unique_ptr<TombstoneCollection> machine;  // A's
  std::map<NodeId, std::unique_ptr<TombstoneCollection>> others;
  std::function<Fate(int)> meddle;
  std::function<void(int, const Message&)> before;
  std::vector<Outgoing> queue;
  int messages = 0;
  Now now{Instant{1'000'000}, 0};
};

}  // namespace

TEST_CASE("O-5 tombstones that all owners have are forgotten by all, after grace and settle") {
  Scene scene;
  scene.run(scene.options.period + scene.options.settle - Duration::seconds(1));
  CHECK(scene.left() == 15);
  CHECK(scene.messages == 3);  // asked once
  scene.run();
  CHECK(scene.left() == 0);
  auto progress = scene.machine->progress();
  CHECK(progress.asked == 5);
  CHECK(progress.reaped == 5);
  scene.run();
  CHECK(scene.machine->progress().waiting == 0);
}

TEST_CASE("O-5 only what is nothing but old tombstones is reapable") {
  CHECK(is_all_tombstones(tombstone()));
  CHECK_FALSE(is_all_tombstones(old_value()));
  CHECK_FALSE(is_all_tombstones(Object{}));
  Object both = tombstone();
  sync(both, object_of(B, 1));
  CHECK_FALSE(is_all_tombstones(both));

  Scene scene;
  scene.disk(A).copies[key_in(0, 50)] = scene.disk(B).copies[key_in(0, 50)] =
      scene.disk(C).copies[key_in(0, 50)] = tombstone();
  scene.run();
  CHECK(scene.left() == 3);  // nobody has counted it yet
  CHECK(scene.machine->progress().young == 1);
  scene.run(scene.options.grace + Duration::seconds(2000));
  CHECK(scene.left() == 0);
  for (auto& [id, disk] : scene.disks) CHECK(disk->notes.empty());
}

TEST_CASE("F-109 L10 no wall clock and no stamp ages a tombstone") {
  for (std::string what : {"clocks ahead", "clocks behind", "stamp behind", "stamp ahead"}) {
    INFO(what);
    Scene scene(0);
    std::int64_t days = 12LL * 86'400'000;
    std::int64_t stamp_ms = what == "stamp behind" ? -days : what == "stamp ahead" ? days : 0;
    for (NodeId id : {A, B, C}) {
      scene.disk(id).copies[key_in(0, 0)] = tombstone((scene.now.wall_ms + stamp_ms) * 1000);
    }
    if (what == "clocks ahead") scene.now.wall_ms += days;
    if (what == "clocks behind") scene.now.wall_ms -= days;
    scene.run(scene.options.grace - Duration::seconds(1000));
    CHECK(scene.left() == 3);
    CHECK(scene.messages == 0);
    scene.run(Duration::seconds(4000));
    CHECK(scene.left() == 0);
  }
}

TEST_CASE("F-109 the check finds a tombstone that is aged by the wall clock") {
  Scene scene;
  for (NodeId id : {A, B, C}) scene.disk(id).notes.clear();
  scene.now.wall_ms += scene.options.grace.millis() + 1000;
  plant(PlantedBug::tombstone_aged_by_wall_clock);
  scene.run();
  plant(PlantedBug::none);
  CHECK(scene.left() == 0);
}

TEST_CASE("F-109 the grace is over when it is over by every owner's own count") {
  for (NodeId late : {A, B, C}) {
    Scene scene;
    // One owner lost its disk, and has been filled again.
    scene.disk(late).notes.clear();
    scene.disk(late).kept_age = Duration{};
    scene.restart(late);
    scene.run(scene.options.grace - Duration::seconds(1000));
    CHECK(scene.left() == 15);
    // Two walks that count only may lie between.
    scene.run(Duration::seconds(2 * 43'200 + 4000));
    CHECK(scene.left() == 0);
  }
}

TEST_CASE("O-5 a tombstone that changes counts anew, whatever is older beside it") {
  Scene scene;
  Object more = tombstone();
  sync(more, object_of(B, 7, "", true));
  for (NodeId id : {A, B, C}) scene.disk(id).copies[key_in(0, 0)] = more;
  scene.run(scene.options.grace - Duration::seconds(1000));
  CHECK(scene.left() == 3);
  scene.run(Duration::seconds(2 * 43'200 + 4000));
  CHECK(scene.left() == 0);
}

TEST_CASE("F-109 restarts, reboots and time spent down age nothing, and lose little") {
  Scene scene(0);
  for (NodeId id : {A, B, C}) scene.disk(id).copies[key_in(0, 0)] = tombstone();
  const Duration up = Duration::seconds(86'400), down = Duration::seconds(20 * 86'400);
  for (int round = 0; round < 9; ++round) {
    scene.run(up);
    scene.pass(down);
    // A reboot: the monotonic clock begins again, somewhere.
    scene.now.instant = Instant{round * 1000};
    for (NodeId id : scene.ring.members) scene.restart(id);
    CHECK(scene.left() == 3);
  }
  scene.run(up + Duration::seconds(10 * 30 + 2 * 43'200 + 4000));
  CHECK(scene.left() == 0);
}

TEST_CASE("O-5 a member that is down, silent or refuses postpones; then it is done") {
  using Fate = Scene::Fate;
  for (Fate fate : {Fate::lost, Fate::reply_lost, Fate::twice, Fate::refused}) {
    for (int which = 0; which < 10; ++which) {
      INFO("fate " << static_cast<int>(fate) << " of message " << which);
      Scene scene;
      scene.meddle = [&](int number) { return number == which ? fate : Fate::good; };
      scene.run(Duration::seconds(4000));
      // A broken-off Reap leaves owners that differ, until anti-entropy.
      if (scene.left() > 0) {
        scene.equalise();
        scene.run(Duration::seconds(4000));
      }
      CHECK(scene.left() == 0);
    }
  }
  Scene down;
  down.health.down = {D};
  down.run(Duration::seconds(30 * 86'400));
  CHECK(down.left() == 15);
  CHECK(down.messages == 0);
  down.health.down.clear();
  down.run();
  CHECK(down.left() == 0);
}

TEST_CASE("O-5 F-64 an owner away for a month with the old value: none comes back") {
  Scene scene;
  for (int i = 0; i < 5; ++i) scene.disk(C).copies[key_in(0, i)] = old_value();
  SECTION("it is down") {
    scene.health.down = {C};
    scene.run(Duration::seconds(30 * 86'400));
    scene.health.down.clear();
  }
  SECTION("it answers, and says no") {
    scene.run(Duration::seconds(86'400));
  }
  CHECK(scene.disk(A).copies.size() == 5);
  CHECK(scene.disk(B).copies.size() == 5);
  CHECK_FALSE(scene.alive(0));
  scene.run(scene.options.grace + Duration::seconds(2 * 43'200 + 4000));  // by C's count, too
  CHECK(scene.left() == 0);
}

TEST_CASE("L10 the check finds reaping before all owners know") {
  Scene scene;
  for (int i = 0; i < 5; ++i) scene.disk(C).copies[key_in(0, i)] = old_value();
  scene.health.down = {C};
  plant(PlantedBug::reap_before_all_owners);
  scene.run(Duration::seconds(5000));
  plant(PlantedBug::none);
  CHECK(scene.alive(0));  // back from the dead
}

TEST_CASE("F-62 a hint or a copy on a node that is no owner keeps the tombstone") {
  for (std::string what : {"hint", "copy", "hint at the asker"}) {
    INFO(what);
    Scene scene(1);
    Key key = key_in(0, 0);
    if (what == "hint") scene.disk(D).hints[{C, key}] = old_value();
    if (what == "copy") scene.disk(D).copies[key] = old_value();
    if (what == "hint at the asker") scene.disk(A).hints[{D, key}] = tombstone();
    scene.run(Duration::seconds(5000));
    CHECK(scene.disk(A).copies.size() == 1);
    scene.disk(D).hints.clear();
    scene.disk(D).copies.clear();
    scene.disk(A).hints.clear();
    scene.run();
    CHECK(scene.left() == 0);
  }
  Scene scene(1);
  scene.disk(D).hints[{C, key_in(0, 0)}] = old_value();
  plant(PlantedBug::doomstone);
  scene.run(Duration::seconds(5000));
  plant(PlantedBug::none);
  CHECK(scene.left() == 0);  // the check above finds it
}

TEST_CASE("L10 a value sent before its sender knew of the delete arrives while all are asked") {
  // It was on its way to B when C said yes: B had the tombstone then, so it changes nothing there; to D,
  // as a hint, it is found by the second question.
  for (int arrives = 0; arrives < 6; ++arrives) {
    Scene scene(1);
    scene.before = [&](int number, const Message&) {
      if (number == arrives) scene.disk(D).hints[{C, key_in(0, 0)}] = old_value();
    };
    scene.run(Duration::seconds(5000));
    INFO("arrives before message " << arrives);
    CHECK(scene.disk(A).copies.size() == 1);
  }
}

TEST_CASE("L10 a key that is created again at any moment of the reaping stays") {
  for (NodeId minter : {A, B, C}) {
    for (int when = 0; when < 9; ++when) {
      for (bool knows : {false, true}) {
        INFO("minted by " << minter.value << " before message " << when);
        Scene scene(2);
        Key key = key_in(0, 0);
        scene.before = [&](int number, const Message&) {
          if (number != when) return;
          // With what is there, or, after the reaping, under a fresh epoch.
          Object& own = scene.disk(minter).copies[key];
          CausalContext seen = knows ? own.context : CausalContext{};
          update(own, seen, Actor{minter, 4}, Write{WriteId{8, 8}, false, "new", ""}, 1);
        };
        scene.run(Duration::seconds(5000));
        CHECK(scene.alive(0));
        CHECK_FALSE(scene.alive(1));
      }
    }
  }
}

TEST_CASE(
    "O-5 a crash of the asker at every step forgets nothing too early, and it is done later") {
  for (int crash = 1; crash < 25; ++crash) {
    Scene scene;
    for (int i = 0; i < crash; ++i) scene.step(Instant{2'000'000'000});
    scene.queue.clear();
    scene.restart();
    scene.run(Duration::seconds(3000));
    scene.equalise();
    scene.run(Duration::seconds(3000));
    CHECK(scene.left() == 0);
  }
}

TEST_CASE("O-5 a ring that changes or moves postpones") {
  Scene scene;
  scene.run(scene.options.period + Duration::seconds(1));
  CHECK(scene.messages == 3);
  ++scene.ring.version;
  scene.run(scene.options.settle);
  CHECK(scene.left() == 15);
  CHECK(scene.machine->progress().postponed == 5);
  scene.ring.incoming[0] = {D};
  scene.run(Duration::seconds(3000));
  CHECK(scene.left() == 15);
  scene.ring.incoming.clear();
  scene.run();
  CHECK(scene.left() == 0);
}

TEST_CASE("O-5 a ring that changes between any two messages stops the reaping of before") {
  for (int when = 0; when < 6; ++when) {
    INFO("before message " << when);
    Scene scene;
    int reaps = 0;
    scene.before = [&](int number, const Message& message) {
      if (number == when) ++scene.ring.version;
      if (std::holds_alternative<Reap>(message)) ++reaps;
    };
    scene.run(scene.options.period + scene.options.settle + Duration::seconds(1));
    CHECK(reaps == 0);
    CHECK(scene.left() == 15);
    CHECK(scene.machine->progress().postponed == 5);
  }
}

TEST_CASE("many tombstones go in batches, and an ill disk is asked again") {
  Scene scene(300);
  scene.options.batch = 50;
  scene.options.batches = 2;
  scene.options.page = 30;
  scene.restart();
  scene.run(Duration::seconds(3000));
  CHECK(scene.left() == 0);
  CHECK(scene.machine->progress().reaped == 300);
  for (int call = 1; call < 30; ++call) {
    Scene ill(3);
    ill.disk(A).fail_at = call;
    ill.disk(B).fail_at = call;
    ill.run(Duration::seconds(3000));
    ill.equalise();
    ill.run(Duration::seconds(3000));
    CHECK(ill.left() == 0);
  }
}

TEST_CASE("a node alone forgets by itself; who is not the first owner asks nobody") {
  Scene alone;
  alone.ring.members = {A};
  alone.ring.owners[0] = {A};
  alone.run();
  CHECK(alone.disk(A).copies.empty());
  Scene second;
  second.ring.owners[0] = {B, A, C};
  second.run();
  CHECK(second.messages == 0);
}

TEST_CASE("R6.5 reaping takes its slices from the pace") {
  Scene scene(400);
  Pace::Options slow;
  slow.floor = 1;
  slow.most = 4;
  Pace pace(slow);
  scene.options.page = 10;
  TombstoneCollection machine(A, scene.options, scene.disk(A), scene.disk(A),
                              scene.disk(A).placement, scene.health, &pace);
  machine.walk_now(scene.now);
  CHECK(pace.report(scene.now).taken[static_cast<int>(Pace::Kind::reaping)] == 1);
  CHECK(machine.next_wake() > scene.now.instant);
  CHECK(machine.next_wake() < scene.now.instant + Duration::seconds(2));
}

TEST_CASE("questions about reaping that are malformed are refused, with numbers") {
  Scene scene;
  Message reply = scene.machine->answer(ReapAsk{{key_in(0, 0)}, {}}, scene.now);
  CHECK(std::get<Refused>(reply).status.message() ==
        "reap ask: wanted at most 4096 keys and a clock for each, got 1 keys and 0 clocks");
  reply = answer(Reap{std::vector<Key>(5000), std::vector<std::uint64_t>(5000)}, scene.disk(A));
  CHECK(std::get<Refused>(reply).status.code() == Code::invalid_argument);
  // An answer of another length, or of another kind, postpones.
  for (Message nonsense : {Message(ReapAnswer{{1, 1}}), Message(Pong{})}) {
    Scene confused;
    confused.machine->walk_now(confused.now);
    auto out = confused.machine->take_outgoing();
    REQUIRE(out.size() == 3);
    confused.machine->on_reply(out[0].to, out[0].number, nonsense, confused.now);
    CHECK(confused.machine->progress().postponed == 5);
  }
}
