#include "repair/partition_transfer.hpp"

#include <catch2/catch.hpp>
#include <deque>
#include <memory>

#include "base/planted.hpp"
#include "cluster_fake.hpp"
#include "repair/flip_readiness.hpp"

using namespace ringlet;

namespace {

const NodeId A{1}, B{2}, C{3}, X{9};

// X pulls from A, B and C. `meddle` sees each message by its number and may say what becomes of it.
struct Scene {
  enum class Fate { good, lost, reply_lost, twice, late, corrupt, refused, unready };

  explicit Scene(int each = 12) {
    ring.members = {A, B, C, X};
    for (std::uint32_t p = 0; p < ring.partitions; ++p) {
      ring.owners[p] = {A, B, C};
      ring.incoming[p] = {X};
    }
    for (NodeId node : {A, B, C, X}) stores.emplace(node, std::make_unique<FakeStore>(node, ring));
    options.page_bytes = 400;  // four objects
    for (std::uint32_t p = 0; p < 2; ++p) {
      for (int i = 0; i < each; ++i) {
        put(A, key_in(p, i), object_of(A, 1, Bytes(100, 'a')));
        put(B, key_in(p, i), object_of(A, 1, Bytes(100, 'a')));
      }
      // What only one of them has: a write that the others lack.
      put(A, key_in(p, 100), object_of(A, 7));
      put(B, key_in(p, 101), object_of(B, 7));
      put(C, key_in(p, 102), object_of(C, 7));
    }
    restart();
  }

  void put(NodeId node, const Key& key, const Object& object) {
    sync(stores.at(node)->copies[key], object);
  }
  FakeStore& x() { return *stores.at(X); }
  std::vector<Incoming> work(std::uint64_t move = 5) const {
    return {{0, move, A, {B, C}}, {1, move, A, {B, C}}};
  }
  void restart(std::uint64_t move = 5) {
    machine =
        std::make_unique<PartitionTransfer>(X, options, x(), x().placement, health, pace.get());
    late.clear();
    machine->set_work(work(move), now);
  }

  void exchange(const Outgoing& out) {
    int number = messages++;
    Fate fate = meddle ? meddle(number, out) : Fate::good;
    if (fate == Fate::lost || gone.contains(out.to)) return;
    Message reply =
        answer(std::get<TransferPull>(out.message), true, 1 << 20, stores.at(out.to)->placement,
               *stores.at(out.to), source_pace.get(), now);
    if (fate == Fate::refused) reply = Refused{Status(Code::internal, "no"), 0};
    if (fate == Fate::unready) reply = Refused{Status(Code::unavailable, "not yet"), 200};
    auto* page = std::get_if<TransferPage>(&reply);
    if (page != nullptr && fate == Fate::corrupt) page->checksum ^= 1;
    if (page != nullptr && fate == Fate::good) sent_objects += page->objects.size();
    if (fate == Fate::reply_lost) return;
    if (fate == Fate::late) return late.push_back({out, reply});
    machine->on_reply(out.to, out.number, reply, now);
    if (fate == Fate::twice) machine->on_reply(out.to, out.number, reply, now);
  }

  // One message, or the next wake.
  bool step(Instant end) {
    for (auto& out : machine->take_outgoing()) queue.push_back(out);
    if (!queue.empty()) {
      auto out = queue.front();
      queue.pop_front();
      exchange(out);
      return true;
    }
    Instant next = machine->next_wake();
    if (next > end) return false;
    now.instant = std::max(now.instant, next);
    machine->on_wake(now);
    if (!late.empty() && now.instant > Instant{30'000'000}) {
      for (auto& [out, reply] : std::exchange(late, {})) {
        machine->on_reply(out.to, out.number, reply, now);
      }
    }
    return true;
  }
  bool run(Duration longest = Duration::seconds(120)) {
    Instant end = now.instant + longest;
    while (!machine->all_arrived() && step(end)) {
    }
    return machine->all_arrived();
  }
  bool has(NodeId node, std::uint32_t p, int i) const {
    return stores.at(node)->copies.contains(key_in(p, i));
  }
  bool holds_all_of(NodeId source, int partition = -1) const {
    for (const auto& [key, object] : stores.at(source)->copies) {
      std::uint32_t p = stores.at(source)->placement.partition_of(key);
      if (partition >= 0 && p != static_cast<std::uint32_t>(partition)) continue;
      auto found = stores.at(X)->copies.find(key);
      if (found == stores.at(X)->copies.end()) return false;
      Object mine = found->second;
      if (sync(mine, object)) return false;
    }
    return true;
  }

  FakeRing ring;
  std::map<NodeId, std::unique_ptr<FakeStore>> stores;
  FakeHealth health;
  std::set<NodeId> gone;
  PartitionTransfer::Options options;
  std::unique_ptr<Pace> pace, source_pace;
  std::unique_ptr<PartitionTransfer> machine;
  std::function<Fate(int, const Outgoing&)> meddle;
  std::deque<Outgoing> queue;
  std::vector<std::pair<Outgoing, Message>> late;
  int messages = 0;
  std::size_t sent_objects = 0;
  Now now{Instant{1'000'000}, 0};
};

}  // namespace

TEST_CASE("R4.9-b each object of a partition comes once, from one source") {
  Scene scene;
  REQUIRE(scene.run());
  CHECK(scene.holds_all_of(A));
  CHECK(scene.sent_objects == 2 * 13);
  CHECK_FALSE(scene.has(X, 0, 101));  // of B: not needed, A's place is what X takes
  CHECK(scene.machine->take_news());
  CHECK_FALSE(scene.machine->take_news());
  auto progress = scene.machine->progress();
  CHECK(progress.objects == 26);
  CHECK(progress.left == 0);
  CHECK(progress.failed_pages == 0);
  CHECK(scene.machine->arrived(0));
  CHECK_FALSE(scene.machine->arrived(3));  // not in the work
  // A restart asks nothing again.
  int before = scene.messages;
  scene.restart();
  CHECK(scene.run());
  CHECK(scene.messages == before);
}

TEST_CASE("R4.9-b a source that has not heard of the move yet is waited for, and read alone") {
  Scene scene;
  const Instant begun = scene.now.instant;
  Duration unready = Duration::seconds(4);
  scene.meddle = [&](int, const Outgoing& out) {
    bool early = scene.now.instant - begun < unready;
    return out.to == A && early ? Scene::Fate::unready : Scene::Fate::good;
  };
  REQUIRE(scene.run());
  CHECK(scene.sent_objects == 2 * 13);
  CHECK_FALSE(scene.has(X, 0, 101));  // nobody else was asked
  CHECK(scene.now.instant - begun < unready + Duration::seconds(1));
  CHECK(scene.machine->progress().failed_pages == 0);

  // Not for ever: then the others make up for it.
  scene.machine.reset();
  scene.x().copies.clear();
  scene.x().cursor_rows.clear();
  unready = Duration::seconds(3600);
  scene.restart();
  REQUIRE(scene.run());
  for (int p : {0, 1}) CHECK((scene.holds_all_of(B, p) && scene.holds_all_of(C, p)));
  CHECK_FALSE(scene.has(X, 0, 100));
}

TEST_CASE("R4.9-b any one message lost, repeated, late, damaged or refused: all arrives") {
  using Fate = Scene::Fate;
  for (Fate fate : {Fate::lost, Fate::reply_lost, Fate::twice, Fate::late, Fate::corrupt,
                    Fate::refused, Fate::unready}) {
    for (int which = 0; which < 10; ++which) {
      INFO("fate " << static_cast<int>(fate) << " of message " << which);
      Scene scene;
      scene.meddle = [&](int number, const auto&) { return number == which ? fate : Fate::good; };
      REQUIRE(scene.run());
      for (int p : {0, 1}) {
        CHECK((scene.holds_all_of(A, p) || (scene.holds_all_of(B, p) && scene.holds_all_of(C, p))));
      }
    }
  }
}

TEST_CASE("F-70 the destination crashes after every step: at most a page a partition comes again") {
  for (int crash = 1;; ++crash) {
    INFO("crash after step " << crash);
    Scene scene;
    int steps = 0;
    bool crashed = false;
    while (!scene.machine->all_arrived()) {
      REQUIRE(scene.step(Instant{300'000'000}));
      if (++steps != crash) continue;
      crashed = true;
      scene.queue.clear();
      scene.restart();
    }
    CHECK(scene.holds_all_of(A));
    CHECK(scene.sent_objects <= 26 + 2 * 4);
    if (!crashed) break;
    REQUIRE(crash < 100);
  }
}

TEST_CASE("F-70 every call of the destination's disk fails once: all arrives all the same") {
  for (int call = 1; call < 14; ++call) {
    INFO("call " << call);
    Scene scene;
    scene.machine.reset();
    scene.x().calls = 0;
    scene.x().fail_at = call;
    scene.restart();
    REQUIRE(scene.run());
    CHECK(scene.holds_all_of(A));
  }
}

TEST_CASE("R4.9-b without the outgoing owner every owner that stays is read") {
  for (int dies_after = 0; dies_after < 8; ++dies_after) {
    INFO("A dies after message " << dies_after);
    Scene scene;
    bool dead = false;
    scene.meddle = [&](int number, const auto&) {
      if (number >= dies_after && !dead) {
        dead = true;
        scene.gone.insert(A);
        scene.health.down.insert(A);
      }
      return Scene::Fate::good;
    };
    REQUIRE(scene.run());
    for (int p : {0, 1}) {
      CHECK((scene.holds_all_of(A, p) || (scene.holds_all_of(B, p) && scene.holds_all_of(C, p))));
    }
  }
}

TEST_CASE("R4.9-b one owner that stays is not enough, until patience for the other ends") {
  Scene scene;
  scene.health.down = {A, C};
  CHECK_FALSE(scene.run(Duration::seconds(300)));
  CHECK(scene.holds_all_of(B));
  CHECK(scene.machine->progress().waiting == 2);
  SECTION("the other returns") {
    scene.health.down.erase(C);
    scene.machine->on_recovered(C, scene.now);
    REQUIRE(scene.run(Duration::seconds(10)));
    CHECK(scene.holds_all_of(C));
    CHECK(scene.machine->progress().lenient == 0);
  }
  SECTION("the outgoing one returns, and is enough") {
    scene.health.down.erase(A);
    scene.machine->on_recovered(A, scene.now);
    REQUIRE(scene.run(Duration::seconds(10)));
    CHECK(scene.holds_all_of(A));
    CHECK_FALSE(scene.has(X, 0, 102));
  }
  SECTION("nobody returns") {
    REQUIRE(scene.run(Duration::seconds(400)));
    CHECK(scene.machine->progress().lenient == 2);
  }
}

TEST_CASE("without any source nothing arrives; with nobody left to ask it is over at once") {
  Scene scene;
  scene.health.down = {A, B, C};
  scene.restart();
  CHECK_FALSE(scene.run(Duration::seconds(3600)));
  CHECK(scene.messages == 0);
  scene.machine->set_work({{0, 6, NodeId{}, {}}}, scene.now);
  CHECK(scene.machine->all_arrived());
}

TEST_CASE("L7 R4.9 a partition is all here when it has arrived, or was never to be pulled") {
  Scene scene;
  CHECK_FALSE(scene.machine->has_all_of(0));
  REQUIRE(scene.run());
  CHECK(scene.machine->has_all_of(0));
  TransferPull question;
  question.partition = 0;
  question.partitions = scene.ring.partitions;
  auto yes = [&] {
    Message said = answer_whether(question, scene.ring.partitions, *scene.machine);
    return std::holds_alternative<TransferPage>(said);
  };
  CHECK(yes());
  scene.machine->set_work(scene.work(6), scene.now);  // another move: not arrived yet
  CHECK_FALSE(scene.machine->has_all_of(0));
  CHECK_FALSE(yes());
  scene.machine->set_work({}, scene.now);
  CHECK(scene.machine->has_all_of(0));
  question.partitions *= 2;  // of another cluster
  CHECK_FALSE(yes());
  scene.ring.incoming[0].clear();
  CHECK_FALSE(scene.machine->has_all_of(0));
}

TEST_CASE("F-73 a partition that leaves the work and returns begins anew") {
  Scene scene;
  for (int i = 0; i < 4; ++i) scene.step(scene.now.instant);
  CHECK(scene.x().cursor_rows.size() == 2);
  CHECK(scene.x().copies.size() >= 8);
  scene.queue.clear();
  scene.machine->set_work({}, scene.now);
  CHECK(scene.x().cursor_rows.empty());
  scene.x().copies.clear();  // surplus had its way
  scene.machine->set_work(scene.work(7), scene.now);
  REQUIRE(scene.run());
  CHECK(scene.holds_all_of(A));

  // The same when it left and returned while this node was down.
  Scene slept;
  for (int i = 0; i < 4; ++i) slept.step(slept.now.instant);
  slept.queue.clear();
  slept.x().copies.clear();
  slept.restart(7);
  REQUIRE(slept.run());
  CHECK(slept.holds_all_of(A));
}

TEST_CASE("a new list with the same move goes on; a source that left it is not read on") {
  Scene scene;
  for (int i = 0; i < 4; ++i) scene.step(scene.now.instant);
  scene.machine->set_work(scene.work(), scene.now);
  REQUIRE(scene.run());
  CHECK(scene.sent_objects == 26);

  Scene replaced;
  for (int i = 0; i < 4; ++i) replaced.step(replaced.now.instant);
  replaced.machine->set_work({{0, 5, NodeId{}, {B, C}}, {1, 5, NodeId{}, {B, C}}}, replaced.now);
  REQUIRE(replaced.run());
  CHECK(replaced.holds_all_of(B));
  CHECK(replaced.holds_all_of(C));
}

TEST_CASE("L12 what was pulled stays good when only the flips of others are waited for") {
  Scene scene;
  for (int i = 0; i < 4; ++i) scene.step(scene.now.instant);
  scene.machine->set_work(scene.work(0), scene.now);
  REQUIRE(scene.run());
  CHECK(scene.sent_objects == 26);
  scene.machine->set_work(scene.work(0), scene.now);
  CHECK(scene.machine->all_arrived());
  // Of what happened while the process was down nobody knows.
  scene.restart(0);
  CHECK_FALSE(scene.machine->all_arrived());
  REQUIRE(scene.run());
  CHECK(scene.sent_objects == 52);
}

TEST_CASE("a page that cannot be right is thrown away, and another source asked") {
  using Fate = Scene::Fate;
  for (std::string what : {"order", "foreign", "repeated", "empty", "nothing", "type"}) {
    INFO(what);
    Scene scene;
    scene.meddle = [&](int, const Outgoing& out) {
      if (out.to != A) return Fate::good;
      TransferPage page;
      const Object o = object_of(A, 99);
      if (what == "order") page.objects = {{key_in(0, 5), o}, {key_in(0, 4), o}};
      if (what == "foreign") page.objects = {{key_in(3, 5), o}};
      if (what == "repeated") page.objects = {{key_in(0, 5), o}, {key_in(0, 5), o}};
      if (what == "nothing") page.objects = {{key_in(0, 5), Object{}}};
      page.last = what != "empty";
      page.checksum = checksum_of(page.objects);
      Message reply = page;
      if (what == "type") reply = Pong{};
      std::uint32_t p = std::get<TransferPull>(out.message).partition;
      if (p == 0) scene.machine->on_reply(out.to, out.number, reply, scene.now);
      return Fate::lost;
    };
    REQUIRE(scene.run());
    for (const auto& [key, object] : scene.x().copies) {
      CHECK(object.context.counter(Actor{A, 2}) != 99);
    }
    CHECK(scene.holds_all_of(B));
    CHECK(scene.holds_all_of(C));
  }
}

TEST_CASE("R6.5 a pull takes its slices from the pace") {
  Scene scene(200);
  Pace::Options slow;
  slow.floor = 1;
  slow.most = 10;
  slow.slice_bytes = 400;
  scene.pace = std::make_unique<Pace>(slow);
  scene.restart();
  scene.queue.clear();
  Instant start = scene.now.instant;
  REQUIRE(scene.run(Duration::seconds(1000)));
  auto pages = static_cast<std::int64_t>(scene.machine->progress().pages);
  CHECK(scene.now.instant - start > Duration::millis(100) * pages);
}

TEST_CASE("R6.5-a a source that serves requests says when to come again, which is no failure") {
  Scene scene;
  Pace::Options slow;
  slow.busy = 10;
  slow.floor = 5;
  slow.slice_bytes = 400;
  slow.step_bytes = 1;
  slow.busy_step = 300;
  scene.source_pace = std::make_unique<Pace>(slow);
  for (int i = 0; i < 10; ++i) scene.source_pace->served(scene.now);
  TransferPull pull;
  pull.partitions = 4;
  pull.max_bytes = 10'000;
  FakeStore& a = *scene.stores.at(A);
  auto ask = [&] {
    return answer(pull, true, 1 << 20, a.placement, a, scene.source_pace.get(), scene.now);
  };
  Message first = ask();
  REQUIRE(std::holds_alternative<TransferPage>(first));
  CHECK(std::get<TransferPage>(first).objects.size() <= 3);
  Message reply = ask();
  REQUIRE(std::holds_alternative<Refused>(reply));
  auto refused = std::get<Refused>(reply);
  CHECK(refused.status.code() == Code::overloaded);
  CHECK(refused.status.message().find("serves requests first") != std::string::npos);
  CHECK(refused.retry_after_ms > 10);
  CHECK(refused.retry_after_ms <= 200);

  scene.pace = std::make_unique<Pace>(Pace::Options{});
  scene.restart();
  CHECK_FALSE(scene.pace->report(scene.now).busy);
  std::set<std::uint32_t> sizes;  // who pulls is as busy as the sources, and asks for as little
  scene.options.page_bytes = 1 << 20;
  scene.restart();
  scene.meddle = [&](int, const Outgoing& out) {
    sizes.insert(std::get<TransferPull>(out.message).max_bytes);
    return Scene::Fate::good;
  };
  REQUIRE(scene.run(Duration::seconds(1000)));
  CHECK(sizes == std::set<std::uint32_t>{8 * 1024, 1024 * 1024});
  auto progress = scene.machine->progress();
  CHECK(progress.left == 0);
  CHECK(progress.failed_pages == 0);
}

TEST_CASE("a source answers with pages of the size asked for, and refuses what it cannot mean") {
  Scene scene;
  FakeStore& a = *scene.stores.at(A);
  TransferPull pull;
  pull.partitions = 4;
  pull.max_bytes = 400;
  auto answer = [&](const TransferPull& asked, bool may, std::uint32_t most,
                    const Whereabouts& where, OwnCopies& copies) {
    return ringlet::answer(asked, may, most, where, copies, nullptr, scene.now);
  };
  auto page = std::get<TransferPage>(answer(pull, true, 1 << 20, a.placement, a));
  CHECK(page.objects.size() == 4);
  CHECK_FALSE(page.last);
  CHECK(page.checksum == checksum_of(page.objects));
  CHECK(std::get<TransferPage>(answer(pull, true, 100, a.placement, a)).objects.size() == 1);
  pull.max_bytes = 1 << 20;
  CHECK(std::get<TransferPage>(answer(pull, true, 1 << 20, a.placement, a)).last);

  auto refused = [&](TransferPull bad, bool may = true) {
    return std::get<Refused>(answer(bad, may, 1 << 20, a.placement, a)).status;
  };
  TransferPull bad = pull;
  bad.partitions = 8;
  CHECK(refused(bad).message() ==
        "transfer of partition 0: wanted one of 4 partitions, asked for one of 8");
  bad = pull;
  bad.partition = 4;
  CHECK(refused(bad).code() == Code::invalid_argument);
  bad = pull;
  bad.first = false;
  bad.after = key_in(3, 0);
  CHECK(refused(bad).code() == Code::invalid_argument);
  bad = pull;
  bad.max_bytes = 0;
  CHECK(refused(bad).code() == Code::invalid_argument);
  CHECK(refused(pull, false).retryable());
  a.calls = 0;
  a.fail_at = 1;
  CHECK(refused(pull).code() == Code::io);
}

TEST_CASE("a cursor survives its bytes; a damaged one is corrupt") {
  TransferCursor cursor{77, {A, B}, C, key_in(1, 2), false};
  Bytes bytes = encode_cursor(cursor);
  auto back = decode_cursor(bytes);
  REQUIRE(back);
  CHECK(*back == cursor);
  TransferCursor none{1, {}, {}, std::nullopt, true};
  CHECK(*decode_cursor(encode_cursor(none)) == none);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    Bytes flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    CHECK(decode_cursor(flipped).status().code() == Code::corrupt);
    CHECK(decode_cursor(BytesView(bytes).substr(0, i)).status().code() == Code::corrupt);
  }
}

TEST_CASE("the checksum sees keys, objects, order and number") {
  std::vector<KeyedObject> objects{{key_in(0, 1), object_of(A, 1)},
                                   {key_in(0, 2), object_of(A, 2)}};
  auto sum = checksum_of(objects);
  CHECK(checksum_of({objects[1], objects[0]}) != sum);
  CHECK(checksum_of({objects[0]}) != sum);
  objects[1].object.versions[0].value = "w";
  CHECK(checksum_of(objects) != sum);
  CHECK(checksum_of({{{"a", "bc"}, {}}}) != checksum_of({{{"ab", "c"}, {}}}));
}
