#include <poll.h>

#include <set>
#include <thread>

#include "fixture.hpp"

using namespace capi_test;

namespace {

ringlet_op op_of(std::uint32_t kind, std::uint64_t tag, ringlet_key key, const char* value = "") {
  ringlet_op op{};
  op.kind = kind;
  op.tag = tag;
  op.key = key;
  op.value = {value, std::strlen(value)};
  return op;
}

std::uint64_t submit(const Fixture& f, ringlet_queue* q, const ringlet_op& op) {
  std::uint64_t number = 0;
  ringlet_error* error = nullptr;
  ringlet_status status = ringlet_submit(f.client.get(), q, &op, sizeof op, 1, &number, &error);
  Error owned(error);
  INFO(message(owned));
  REQUIRE(status == RINGLET_OK);
  return number;
}

bool readable(ringlet_queue* q, int timeout_ms) {
  pollfd p{ringlet_queue_fd(q), POLLIN, 0};
  return poll(&p, 1, timeout_ms) == 1;
}

}  // namespace

TEST_CASE("every request of a queue is done exactly once, with its tag and number") {
  Fixture f;
  Queue q = queue();
  std::vector<ringlet_op> ops;
  // At once, and few enough that a node as slow as a sanitizer makes it refuses none (R6.5: a queue
  // whose head has waited too long is cut).
  for (std::uint64_t i = 0; i < 48; ++i) {
    ops.push_back(
        op_of(i % 2 == 0 ? RINGLET_PUT : RINGLET_GET, i, key_of("q", i % 3 == 0 ? "a" : "b"), "v"));
  }
  std::vector<std::uint64_t> numbers(ops.size());
  REQUIRE(ringlet_submit(f.client.get(), q.get(), ops.data(), sizeof ops[0], ops.size(),
                         numbers.data(), nullptr) == RINGLET_OK);
  CHECK(std::set<std::uint64_t>(numbers.begin(), numbers.end()).size() == ops.size());
  CHECK(readable(q.get(), 5000));
  Drained d;
  drain(q.get(), d, ops.size());
  REQUIRE(d.events.size() == ops.size());
  std::set<std::uint64_t> tags;
  for (const ringlet_event& event : d.events) {
    CHECK(event.kind == RINGLET_DONE);
    CHECK(event.status == RINGLET_OK);
    CHECK(event.error == nullptr);
    CHECK(event.reply != nullptr);
    REQUIRE(event.tag < ops.size());
    CHECK(event.request == numbers[event.tag]);
    tags.insert(event.tag);
  }
  CHECK(tags.size() == ops.size());
  CHECK_FALSE(readable(q.get(), 0));
}

TEST_CASE("an update asks through the queue and is answered from another thread") {
  Fixture f;
  f.put(key_of("q", "update"), "", "a");
  f.put(key_of("q", "update"), "", "b");
  Queue q = queue();
  std::uint64_t number = submit(f, q.get(), op_of(RINGLET_UPDATE, 5, key_of("q", "update")));
  Drained d;
  drain(q.get(), d, 0, 1);
  REQUIRE(d.count(RINGLET_MERGE) == 1);
  ringlet_event& asked = d.events[0];
  CHECK(asked.request == number);
  CHECK(asked.tag == 5);
  CHECK(ringlet_reply_count(ringlet_merge_siblings(asked.merge)) == 2);
  std::thread([&] { CHECK(ringlet_merge_answer(asked.merge, {"ab", 2}) == RINGLET_OK); }).join();
  CHECK(ringlet_merge_answer(asked.merge, {"x", 1}) != RINGLET_OK);
  drain(q.get(), d, 1);
  REQUIRE(d.count(RINGLET_DONE) == 1);
  CHECK(d.events[1].status == RINGLET_OK);
  CHECK(text(ringlet_reply_value(d.events[1].reply, 0)) == "ab");
  CHECK(ringlet_merge_answer(asked.merge, {"late", 4}) == RINGLET_CLOSED);
  CHECK(ringlet_reply_count(f.get(key_of("q", "update")).get()) == 1);
}

TEST_CASE("a merge released without an answer fails its update") {
  Fixture f;
  Queue q = queue();
  submit(f, q.get(), op_of(RINGLET_UPDATE, 1, key_of("q", "released")));
  Drained d;
  drain(q.get(), d, 0, 1);
  REQUIRE(d.count(RINGLET_MERGE) == 1);
  ringlet_event_clear(&d.events[0]);
  d.events.clear();
  drain(q.get(), d, 1);
  REQUIRE(d.count(RINGLET_DONE) == 1);
  CHECK(d.events[0].status == RINGLET_MERGE_FAILED);
}

TEST_CASE("a merge left unanswered ends at its deadline, which poll() notices") {
  Fixture f;
  Queue q = queue();
  ringlet_call call = RINGLET_CALL_INIT;
  call.timeout_ms = 300;
  ringlet_op op = op_of(RINGLET_UPDATE, 1, key_of("q", "unanswered"));
  op.call = &call;
  submit(f, q.get(), op);
  Drained d;
  drain(q.get(), d, 0, 1);
  REQUIRE(d.count(RINGLET_MERGE) == 1);
  CHECK(readable(q.get(), 3000));
  drain(q.get(), d, 1);
  REQUIRE(d.count(RINGLET_DONE) == 1);
  CHECK(d.events[1].status == RINGLET_TIMEOUT);
  CHECK(ringlet_merge_answer(d.events[0].merge, {"late", 4}) == RINGLET_CLOSED);
  CHECK(ringlet_reply_count(f.get(key_of("q", "unanswered")).get()) == 0);
}

TEST_CASE("cancelling: an unanswered merge, a finished request, a number nobody has") {
  Fixture f;
  Queue q = queue();
  std::uint64_t number = submit(f, q.get(), op_of(RINGLET_UPDATE, 1, key_of("q", "cancel")));
  Drained d;
  drain(q.get(), d, 0, 1);
  ringlet_cancel(q.get(), number);
  drain(q.get(), d, 1);
  REQUIRE(d.count(RINGLET_DONE) == 1);
  CHECK(d.events[1].status == RINGLET_CANCELLED);
  CHECK(ringlet_merge_answer(d.events[0].merge, {"late", 4}) == RINGLET_CLOSED);
  ringlet_cancel(q.get(), number);
  ringlet_cancel(q.get(), 123456789);
  ringlet_cancel(nullptr, 1);
  std::size_t n = 9;
  ringlet_event event;
  CHECK(ringlet_drain(q.get(), &event, sizeof event, 1, 50, &n) == RINGLET_OK);
  CHECK(n == 0);
}

TEST_CASE("a request to a dead cluster is cancelled at once") {
  Fixture f;
  for (std::uint32_t i = 0; i < 3; ++i)
    REQUIRE(ringlet_cluster_kill(f.cluster.get(), i, nullptr) == RINGLET_OK);
  Queue q = queue();
  ringlet_call call = RINGLET_CALL_INIT;
  call.timeout_ms = 60000;
  ringlet_op op = op_of(RINGLET_PUT, 1, key_of("q", "dead"), "v");
  op.call = &call;
  std::uint64_t number = submit(f, q.get(), op);
  ringlet_cancel(q.get(), number);
  Drained d;
  drain(q.get(), d, 1);
  REQUIRE(d.count(RINGLET_DONE) == 1);
  CHECK(d.events[0].status != RINGLET_OK);
}

TEST_CASE("wake ends a drain that waits") {
  Queue q = queue();
  std::thread waker([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    ringlet_queue_wake(q.get());
  });
  ringlet_event event;
  std::size_t n = 9;
  auto begun = std::chrono::steady_clock::now();
  CHECK(ringlet_drain(q.get(), &event, sizeof event, 1, 5000, &n) == RINGLET_OK);
  CHECK(n == 0);
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(3));
  waker.join();
  ringlet_queue_wake(q.get());
  CHECK(readable(q.get(), 0));
  CHECK(ringlet_drain(q.get(), &event, sizeof event, 1, 5000, &n) == RINGLET_OK);
  CHECK_FALSE(readable(q.get(), 0));
}

TEST_CASE("a second drain at the same time is BUSY") {
  Queue q = queue();
  std::thread first([&] {
    ringlet_event event;
    std::size_t n;
    ringlet_drain(q.get(), &event, sizeof event, 1, 5000, &n);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  ringlet_event event;
  std::size_t n;
  CHECK(ringlet_drain(q.get(), &event, sizeof event, 1, 0, &n) == RINGLET_BUSY);
  ringlet_queue_wake(q.get());
  first.join();
}

TEST_CASE("all or none: one bad request and nothing is sent") {
  Fixture f;
  Queue q = queue();
  ringlet_op ops[3] = {op_of(RINGLET_PUT, 1, key_of("q", "none"), "v"),
                       op_of(9, 2, key_of("q", "none")),
                       op_of(RINGLET_GET, 3, key_of("q", "none"))};
  ringlet_error* error = nullptr;
  CHECK(ringlet_submit(f.client.get(), q.get(), ops, sizeof ops[0], 3, nullptr, &error) ==
        RINGLET_INVALID_ARGUMENT);
  Error owned(error);
  CHECK(has(message(owned), "ops[1]"));
  std::size_t n = 9;
  ringlet_event event;
  CHECK(ringlet_drain(q.get(), &event, sizeof event, 1, 50, &n) == RINGLET_OK);
  CHECK(n == 0);
  CHECK(ringlet_reply_count(f.get(key_of("q", "none")).get()) == 0);
}

TEST_CASE("queue functions with arguments that make no sense") {
  Fixture f;
  Queue q = queue();
  ringlet_op op = op_of(RINGLET_GET, 1, key_of("q", "k"));
  ringlet_event event;
  std::size_t n;
  ringlet_client* c = f.client.get();
  CHECK(ringlet_queue_new(nullptr, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_queue_fd(nullptr) == -1);
  CHECK(ringlet_submit(nullptr, q.get(), &op, sizeof op, 1, nullptr, nullptr) ==
        RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_submit(c, nullptr, &op, sizeof op, 1, nullptr, nullptr) ==
        RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_submit(c, q.get(), nullptr, sizeof op, 1, nullptr, nullptr) ==
        RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_submit(c, q.get(), nullptr, sizeof op, 0, nullptr, nullptr) == RINGLET_OK);
  CHECK(ringlet_submit(c, q.get(), &op, 0, 1, nullptr, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_submit(c, q.get(), &op, sizeof op - 1, 1, nullptr, nullptr) ==
        RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_submit(c, q.get(), &op, 5000, 1, nullptr, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_submit(c, q.get(), &op, sizeof op, std::size_t{1} << 40, nullptr, nullptr) ==
        RINGLET_TOO_LARGE);
  CHECK(ringlet_drain(nullptr, &event, sizeof event, 1, 0, &n) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_drain(q.get(), nullptr, sizeof event, 1, 0, &n) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_drain(q.get(), &event, 0, 1, 0, &n) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_drain(q.get(), &event, sizeof event, 0, 0, &n) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_drain(q.get(), &event, sizeof event, 1, -2, &n) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_drain(q.get(), &event, sizeof event, 1, 0, nullptr) == RINGLET_INVALID_ARGUMENT);
  struct {
    ringlet_op op;
    unsigned char newer[64];
  } grown{};
  grown.op = op;
  CHECK(ringlet_submit(c, q.get(), &grown.op, sizeof grown, 1, nullptr, nullptr) == RINGLET_OK);
  grown.newer[3] = 1;
  CHECK(ringlet_submit(c, q.get(), &grown.op, sizeof grown, 1, nullptr, nullptr) ==
        RINGLET_UNSUPPORTED);
  struct {
    ringlet_event event;
    unsigned char newer[64];
  } wide;
  std::memset(&wide, 0xff, sizeof wide);
  REQUIRE(ringlet_drain(q.get(), &wide.event, sizeof wide, 1, 5000, &n) == RINGLET_OK);
  REQUIRE(n == 1);
  CHECK(wide.newer[0] == 0);
  CHECK(wide.newer[63] == 0);
  ringlet_event_clear(&wide.event);
  ringlet_event_clear(nullptr);
}

TEST_CASE("a client closed with requests in flight: each has its one DONE") {
  Fixture f;
  Queue q = queue();
  for (std::uint64_t i = 0; i < 300; ++i)
    submit(f, q.get(), op_of(RINGLET_PUT, i, key_of("q", "close"), "v"));
  submit(f, q.get(), op_of(RINGLET_UPDATE, 300, key_of("q", "asked")));
  CHECK(ringlet_client_close(f.client.get(), 0) == RINGLET_OK);
  Drained d;
  drain(q.get(), d, 301);
  CHECK(d.count(RINGLET_DONE) == 301);
  std::set<std::uint64_t> tags;
  for (const ringlet_event& event : d.events) {
    if (event.kind != RINGLET_DONE) continue;
    tags.insert(event.tag);
    CHECK((event.status == RINGLET_OK || event.status == RINGLET_CLOSED));
  }
  CHECK(tags.size() == 301);
}

TEST_CASE("closing with time to drain lets requests finish") {
  Fixture f;
  Queue q = queue();
  for (std::uint64_t i = 0; i < 20; ++i)
    submit(f, q.get(), op_of(RINGLET_PUT, i, key_of("q", "drain"), "v"));
  CHECK(ringlet_client_close(f.client.get(), 5000) == RINGLET_OK);
  Drained d;
  drain(q.get(), d, 20);
  REQUIRE(d.count(RINGLET_DONE) == 20);
  for (const ringlet_event& event : d.events) CHECK(event.status == RINGLET_OK);
}

TEST_CASE("queue and client released in flight, in either order, also with a merge still held") {
  int before = ringlet_has("debug.live_handles");
  for (int order = 0; order < 2; ++order) {
    Fixture f;
    Queue q = queue();
    submit(f, q.get(), op_of(RINGLET_UPDATE, 1, key_of("q", "held")));
    Drained d;
    drain(q.get(), d, 0, 1);
    REQUIRE(d.count(RINGLET_MERGE) == 1);
    for (std::uint64_t i = 0; i < 100; ++i)
      submit(f, q.get(), op_of(RINGLET_PUT, i, key_of("q", "r"), "v"));
    if (order == 0) {
      q.reset();
      f.client.reset();
    } else {
      f.client.reset();
      q.reset();
    }
    CHECK(ringlet_merge_answer(d.events[0].merge, {"late", 4}) == RINGLET_CLOSED);
  }
  CHECK(ringlet_has("debug.live_handles") == before);
}

TEST_CASE("threads submit, cancel and drain one queue at once") {
  Fixture f;
  Queue q = queue();
  constexpr int per_thread = 100;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < per_thread; ++i) {
        ringlet_op op =
            op_of(i % 5 == 0 ? RINGLET_UPDATE : RINGLET_PUT, 1, key_of("q", "storm"), "v");
        std::uint64_t number = 0;
        if (ringlet_submit(f.client.get(), q.get(), &op, sizeof op, 1, &number, nullptr) ==
                RINGLET_OK &&
            (i + t) % 3 == 0) {
          ringlet_cancel(q.get(), number);
        }
      }
    });
  }
  std::size_t done = 0;
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (done < 3 * per_thread && std::chrono::steady_clock::now() < until) {
    ringlet_event events[16];
    std::size_t n = 0;
    REQUIRE(ringlet_drain(q.get(), events, sizeof events[0], 16, 100, &n) == RINGLET_OK);
    for (std::size_t i = 0; i < n; ++i) {
      done += events[i].kind == RINGLET_DONE;
      if (events[i].merge != nullptr) ringlet_merge_answer(events[i].merge, {"m", 1});
      ringlet_event_clear(&events[i]);
    }
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(done == 3 * per_thread);
}
