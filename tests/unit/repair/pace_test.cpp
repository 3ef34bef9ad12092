#include "repair/pace.hpp"

#include <catch2/catch.hpp>

using namespace ringlet;

namespace {

using Kind = Pace::Kind;

struct Scene {
  explicit Scene(Pace::Options o = {}) : options(o), pace(o) {}
  // One kind takes all it can for that long, in steps of a millisecond; reads take `read` each.
  std::uint64_t work(std::vector<Kind> kinds, Duration how_long, Duration read = {}) {
    std::uint64_t taken = 0;
    Instant end = now.instant + how_long;
    while (now.instant < end) {
      now.instant = now.instant + Duration::millis(1);
      if (read > Duration{} && now.instant.us % 10'000 == 0) pace.storage_took(read, now);
      for (Kind kind : kinds) {
        while (pace.take(kind, 0, now)) ++taken;
      }
    }
    return taken;
  }
  Pace::Options options;
  Pace pace;
  Now now{Instant{1'000'000}, 0};
};

}  // namespace

TEST_CASE("R6.5-a reads of 80 ms bring the slices to the floor within a window, and back without") {
  Scene scene;
  const std::uint32_t floor = scene.options.floor * Pace::kinds;
  scene.work({Kind::transfer}, Duration::seconds(5), Duration::millis(2));
  CHECK(scene.pace.report(scene.now).slices == scene.options.most);
  scene.work({Kind::transfer}, scene.options.window, Duration::millis(80));
  CHECK(scene.pace.report(scene.now).slices == floor);
  CHECK(scene.pace.report(scene.now).storage_p99 >= Duration::millis(80));
  // At the floor there is progress, and not more of it.
  std::uint64_t taken = scene.work({Kind::transfer}, Duration::seconds(10), Duration::millis(80));
  CHECK(taken >= 10 * scene.options.floor);
  CHECK(taken <= 11 * floor);

  scene.work({Kind::transfer}, scene.options.window + Duration::seconds(30), Duration::millis(2));
  CHECK(scene.pace.report(scene.now).slices == scene.options.most);
}

TEST_CASE("R6.5-a while requests are served there are few slices, and all of them when they end") {
  Scene scene;
  const std::uint64_t busy = scene.options.busy;
  auto second = [&](int requests) {  // of them, evenly
    std::uint64_t taken = 0;
    for (int i = 0; i < requests; ++i) {
      scene.pace.served(scene.now);
      taken += scene.work({Kind::transfer}, Duration::micros(1'000'000 / requests));
    }
    return taken;
  };
  scene.work({Kind::transfer}, Duration::seconds(1));
  // From the fifth request on, and what had gathered before does not count.
  for (int i = 0; i < 5; ++i) scene.pace.served(scene.now);
  scene.now.instant = scene.now.instant + Duration::millis(50);
  CHECK(scene.work({Kind::transfer}, Duration::millis(10)) <= busy / 10 + 2);
  CHECK(scene.pace.report(scene.now).busy);
  CHECK(scene.pace.report(scene.now).slices == busy);
  CHECK(scene.pace.step(scene.now) == scene.options.busy_step);

  CHECK(second(500) <= busy + busy / 10);
  std::uint64_t taken = second(500);
  CHECK(taken >= busy - busy / 10);
  CHECK(taken <= busy + busy / 10);
  // Three in each window are not many.
  second(20);
  CHECK(second(20) > 10 * busy);
  scene.now.instant = scene.now.instant + Duration::millis(200);
  CHECK_FALSE(scene.pace.report(scene.now).busy);
  CHECK(scene.pace.step(scene.now) == SIZE_MAX);
  CHECK(scene.work({Kind::transfer}, Duration::seconds(1)) >= scene.options.most * 9 / 10);
}

TEST_CASE("R6.5-a who works for a peer that serves requests is as busy, for a second at a time") {
  Scene scene;
  const std::uint64_t busy = scene.options.busy;
  scene.work({Kind::transfer}, Duration::seconds(1));
  std::uint64_t taken = 0;
  for (int i = 0; i < 4; ++i) {
    scene.pace.peer_is_busy(scene.now);
    taken += scene.work({Kind::transfer}, Duration::millis(900));
  }
  CHECK(scene.pace.report(scene.now).busy);
  CHECK(taken <= busy * 4 + 4);
  scene.now.instant = scene.now.instant + Duration::millis(200);
  CHECK_FALSE(scene.pace.report(scene.now).busy);
}

TEST_CASE("R6.5-a p99, not the slowest read, is what counts") {
  for (int slow : {0, 1, 3}) {  // of two hundred
    Scene scene;
    for (int second = 0; second < 30; ++second) {
      for (int i = 0; i < 200; ++i) {
        scene.now.instant = scene.now.instant + Duration::millis(5);
        scene.pace.storage_took(Duration::millis(i < slow ? 80 : 49), scene.now);
        (void)scene.pace.next(Kind::tree, scene.now);
      }
    }
    INFO(slow << " of 200 slow");
    CHECK((scene.pace.report(scene.now).slices < scene.options.most) == (slow == 3));
  }
}

TEST_CASE("R6.5-a an idle node gives background work everything at once") {
  Scene scene;
  std::uint64_t taken = scene.work({Kind::hints}, Duration::seconds(1));
  CHECK(taken >= scene.options.most * 9 / 10);
  CHECK(taken <= scene.options.most * 12 / 10);
  // Also after a long silence, and with few samples, however slow.
  scene.now.instant = scene.now.instant + Duration::seconds(7200);
  for (int i = 0; i < 5; ++i) scene.pace.storage_took(Duration::millis(500), scene.now);
  CHECK(scene.work({Kind::hints}, Duration::seconds(1)) >= scene.options.most * 9 / 10);
}

TEST_CASE("O-20 no kind starves another, in plenty and at the floor") {
  for (bool hurt : {false, true}) {
    Scene scene;
    std::vector<Kind> all{Kind::hints, Kind::transfer, Kind::tree, Kind::reaping};
    Duration read = hurt ? Duration::millis(80) : Duration::millis(1);
    scene.work(all, Duration::seconds(20), read);
    auto before = scene.pace.report(scene.now);
    scene.work(all, Duration::seconds(10), read);
    auto after = scene.pace.report(scene.now);
    std::uint64_t least = UINT64_MAX, most = 0;
    for (int i = 0; i < Pace::kinds; ++i) {
      std::uint64_t taken = after.taken[i] - before.taken[i];
      least = std::min(least, taken);
      most = std::max(most, taken);
      CHECK(taken >= 10 * scene.options.floor);
    }
    CHECK(most <= least + least / 10 + 2);
  }
}

TEST_CASE("O-20 while requests are served each kind has its floor, though all together have less") {
  Scene scene;
  REQUIRE(scene.options.busy < scene.options.floor * Pace::kinds);
  std::vector<Kind> all{Kind::hints, Kind::transfer, Kind::tree, Kind::reaping};
  auto busy_second = [&] {
    for (int i = 0; i < 100; ++i) {
      scene.pace.served(scene.now);
      scene.work(all, Duration::millis(10));
    }
  };
  for (int i = 0; i < 3; ++i) busy_second();
  auto before = scene.pace.report(scene.now);
  for (int i = 0; i < 10; ++i) busy_second();
  auto after = scene.pace.report(scene.now);
  for (int i = 0; i < Pace::kinds; ++i) {
    CHECK(after.taken[i] - before.taken[i] >= 10 * scene.options.floor - 2);
  }
}

TEST_CASE("R6.5-a failed storage calls and long queue waits take slices away") {
  Scene scene;
  scene.work({Kind::tree}, Duration::seconds(2));
  auto before = scene.pace.report(scene.now).slices;
  scene.pace.storage_failed(scene.now);
  scene.work({Kind::tree}, Duration::seconds(1));
  CHECK(scene.pace.report(scene.now).slices == before / 2);
  CHECK(scene.pace.report(scene.now).failed == 1);

  Scene queue;
  queue.work({Kind::tree}, Duration::seconds(2));
  for (int i = 0; i < 100; ++i) queue.pace.queue_waited(Duration::millis(30), queue.now);
  queue.work({Kind::tree}, Duration::seconds(1));
  CHECK(queue.pace.report(queue.now).slices == queue.options.most / 2);
  CHECK(queue.pace.report(queue.now).queue_p99 >= Duration::millis(30));
  queue.work({Kind::tree}, queue.options.queue_window + Duration::seconds(25));
  CHECK(queue.pace.report(queue.now).slices == queue.options.most);
}

TEST_CASE("a step dearer than what is left is let through and owed") {
  Scene scene;
  scene.work({Kind::transfer}, Duration::seconds(1));
  scene.now.instant = scene.now.instant + Duration::millis(1);
  const std::uint64_t a_second = scene.options.most;
  CHECK(scene.pace.take(Kind::transfer, a_second * scene.options.slice_bytes, scene.now));
  Instant next = scene.pace.next(Kind::transfer, scene.now);
  CHECK(next > scene.now.instant + Duration::millis(900));
  CHECK(next < scene.now.instant + Duration::millis(1100));
  CHECK_FALSE(scene.pace.take(Kind::transfer, 0, scene.now));
  CHECK(scene.pace.next(Kind::hints, scene.now) == scene.now.instant);  // not the others' debt
  scene.now.instant = next;
  CHECK(scene.pace.take(Kind::transfer, 0, scene.now));
  scene.pace.charge(Kind::transfer, a_second * scene.options.slice_bytes, scene.now);
  CHECK(scene.pace.next(Kind::transfer, scene.now) > scene.now.instant + Duration::millis(900));
}

TEST_CASE("what a step makes others do is paid for as often") {
  for (std::uint64_t owners : {1U, 3U}) {
    Scene scene;
    scene.work({Kind::transfer}, Duration::seconds(1));
    scene.now.instant = scene.now.instant + Duration::millis(200);
    int taken = 0;
    while (scene.pace.take(Kind::transfer, 65536 - scene.options.step_bytes, scene.now, owners)) {
      ++taken;
    }
    CHECK(taken == static_cast<int>((scene.options.most / 50 + owners - 1) / owners));
  }
}

TEST_CASE("to ask whether a step may be taken costs nothing, until it is charged") {
  Scene scene;
  for (int i = 0; i < 1000; ++i) CHECK(scene.pace.open(Kind::transfer, scene.now));
  scene.pace.charge(Kind::transfer, 10 * scene.options.slice_bytes, scene.now);
  CHECK_FALSE(scene.pace.open(Kind::transfer, scene.now));
  CHECK(scene.pace.next(Kind::transfer, scene.now) > scene.now.instant);
}

TEST_CASE("next says when a slice is there, neither earlier nor much later") {
  Pace::Options options;
  options.most = 400;
  Scene scene(options);
  int taken = 0;
  Instant end = scene.now.instant + Duration::seconds(5);
  while (scene.now.instant < end) {
    if (scene.pace.take(Kind::hints, 0, scene.now)) {
      ++taken;
      continue;
    }
    Instant next = scene.pace.next(Kind::hints, scene.now);
    REQUIRE(next > scene.now.instant);
    scene.now.instant = next;
    REQUIRE(scene.pace.take(Kind::hints, 0, scene.now));
    ++taken;
  }
  CHECK(taken >= 5 * 400 - 5);
  CHECK(taken <= 5 * 400 + 45);
}

TEST_CASE("p99 is exact to a fifth") {
  for (std::int64_t us : {0, 1, 7, 100, 999, 5'000, 50'000, 1'000'000, 40'000'000}) {
    Scene scene;
    for (int i = 0; i < 20; ++i) scene.pace.storage_took(Duration::micros(us), scene.now);
    Duration p99 = scene.pace.report(scene.now).storage_p99;
    CHECK(p99.us >= us);
    CHECK(p99.us <= us + us / 4 + 1);
  }
}

TEST_CASE("every kind of work has a name") {
  CHECK(std::string(name_of(Kind::hints)) == "hints");
  CHECK(std::string(name_of(Kind::transfer)) == "transfer");
  CHECK(std::string(name_of(Kind::tree)) == "tree");
  CHECK(std::string(name_of(Kind::reaping)) == "reaping");
}
