// The laboratory through the C ABI: that the calls of an ordinary client work in it, that the same acts come to one
// hash in every language (lab_golden.txt), and what it says to bad input.
#include <fstream>
#include <thread>

#include "fixture.hpp"

namespace capi_test {
namespace {

using Lab = Owned<ringlet_lab, ringlet_lab_release>;

Lab lab(const char* settings = "{}") {
  ringlet_lab* made = nullptr;
  ringlet_error* error = nullptr;
  ringlet_status status = ringlet_lab_new(settings, RINGLET_ABI, &made, &error);
  Error owned(error);
  INFO(message(owned));
  REQUIRE(status == RINGLET_OK);
  return Lab(made);
}

ClientHandle client(const Lab& lab, const char* name) {
  ringlet_client* made = nullptr;
  ringlet_error* error = nullptr;
  ringlet_status status = ringlet_lab_client(lab.get(), name, nullptr, &made, &error);
  Error owned(error);
  INFO(message(owned));
  REQUIRE(status == RINGLET_OK);
  return ClientHandle(made);
}

void act(const Lab& lab, const char* text) {
  ringlet_error* error = nullptr;
  ringlet_status status = ringlet_lab_act(lab.get(), text, &error);
  Error owned(error);
  INFO(text << ": " << message(owned));
  REQUIRE(status == RINGLET_OK);
}

std::string refused(const Lab& lab, const char* text, ringlet_status wanted) {
  std::uint64_t before = ringlet_lab_hash(lab.get());
  ringlet_error* error = nullptr;
  CHECK(ringlet_lab_act(lab.get(), text, &error) == wanted);
  CHECK(ringlet_lab_hash(lab.get()) == before);  // nothing was done
  return message(Error(error));
}

std::string ask(const Lab& lab, const char* what, const char* arguments = "{}") {
  ringlet_text* answer = nullptr;
  ringlet_error* error = nullptr;
  ringlet_status status = ringlet_lab_ask(lab.get(), what, arguments, &answer, &error);
  Error owned(error);
  INFO(what << ": " << message(owned));
  REQUIRE(status == RINGLET_OK);
  return text(Text(answer));
}

// As Python's put asks for it, so that the traces agree.
ringlet_status put(const ClientHandle& client, const char* key, const std::string& value,
                   ringlet_bytes context = {nullptr, 0}) {
  static const std::string type = "application/octet-stream";
  ringlet_call call = RINGLET_CALL_INIT;
  call.flags = RINGLET_RETURN_SIBLINGS;
  call.content_type = bytes(type);
  ringlet_error* error = nullptr;
  ringlet_status status = ringlet_put(client.get(), key_of("carts", key), context, bytes(value),
                                      &call, nullptr, &error);
  Error owned(error);
  UNSCOPED_INFO(message(owned));
  return status;
}

Reply get(const ClientHandle& client, const char* key) {
  ringlet_reply* reply = nullptr;
  ringlet_error* error = nullptr;
  ringlet_status status = ringlet_get(client.get(), key_of("carts", key), nullptr, &reply, &error);
  Error owned(error);
  INFO(message(owned));
  REQUIRE(status == RINGLET_OK);
  return Reply(reply);
}

int joined(void* calls, ringlet_merge* merge) {
  ++*static_cast<int*>(calls);
  const ringlet_reply* siblings = ringlet_merge_siblings(merge);
  std::string all;
  for (std::size_t i = 0; i < ringlet_reply_count(siblings); ++i)
    all += text(ringlet_reply_value(siblings, i)) + ";";
  if (!ringlet_merge_written(merge)) all += "rice";
  return ringlet_merge_answer(merge, bytes(all)) == RINGLET_OK ? 0 : 1;
}

std::string hex(std::uint64_t number) {
  char out[17];
  std::snprintf(out, sizeof out, "%016llx", static_cast<unsigned long long>(number));
  return out;
}

}  // namespace

// Done in the same order in python/tests/test_lab.py, which wants the same hash. Whatever changes what nodes say to
// each other changes it; then lab_golden.txt gets the one that this test found.
TEST_CASE("the same acts come to the same hash in every language") {
  Lab world = lab(R"({"nodes": 5, "n": 3, "r": 2, "w": 2, "seed": 7})");
  ClientHandle alice = client(world, "alice"), bob = client(world, "bob");
  act(world,
      R"({"act": "partition", "groups": [["alice", "n1", "n2"], ["bob", "n3", "n4", "n5"]]})");
  REQUIRE(put(alice, "c", "tea") == RINGLET_OK);
  REQUIRE(put(bob, "c", "milk") == RINGLET_OK);
  act(world, R"({"act": "heal"})");
  ringlet_text* said = nullptr;
  REQUIRE(ringlet_lab_settle(world.get(), 300'000'000, &said, nullptr) == RINGLET_OK);
  CHECK(has(text(Text(said)), "\"quiet\":true"));
  Reply both = get(alice, "c");
  CHECK(ringlet_reply_count(both.get()) == 2);
  REQUIRE(put(alice, "c", "tea, milk", ringlet_reply_context(both.get())) == RINGLET_OK);
  act(world, R"({"act": "kill", "host": "n1", "machine": false})");
  for (int i = 0; i < 10; ++i) REQUIRE(put(bob, "d", std::to_string(i)) == RINGLET_OK);
  act(world, R"({"act": "restart", "host": "n1"})");
  REQUIRE(ringlet_lab_run(world.get(), 5'000'000, nullptr) == RINGLET_OK);
  std::string hash = hex(ringlet_lab_hash(world.get()));
  std::string golden;
  std::ifstream(LAB_GOLDEN) >> golden;
  CHECK(hash == golden);
}

TEST_CASE("a history names writers, contexts and what a merge joined") {
  Lab world = lab();
  ClientHandle alice = client(world, "alice"), bob = client(world, "bob");
  REQUIRE(put(alice, "c", "tea") == RINGLET_OK);
  REQUIRE(put(bob, "c", "milk") == RINGLET_OK);
  int calls = 0;
  ringlet_resolver resolver{joined, nullptr, &calls};
  ringlet_reply* merged = nullptr;
  REQUIRE(ringlet_update(bob.get(), key_of("carts", "c"), &resolver, nullptr, &merged, nullptr) ==
          RINGLET_OK);
  Reply owned(merged);
  CHECK(calls == 1);
  CHECK(ringlet_reply_count(merged) == 1);
  std::string history = ask(world, "history", R"({"bucket": "carts", "key": "c"})");
  CHECK(has(history, R"("client":"alice")"));
  CHECK(has(history, R"("merges":true)"));
  CHECK(has(history, R"("state":"living")"));
  CHECK(has(history, R"("state":"replaced")"));
  CHECK(has(ask(world, "inspect", R"({"bucket": "carts", "key": "c"})"), R"("role":"own")"));
  CHECK(has(ask(world, "timeline", R"({"bucket": "carts", "key": "c"})"), R"("ClientPut")"));
  CHECK(has(ask(world, "ring", R"({"bucket": "carts", "key": "c"})"), R"("preference")"));
  CHECK(has(ask(world, "trace"), R"("kind":"store")"));
}

TEST_CASE("requests of a queue are brought about by its drain") {
  Lab world = lab();
  ClientHandle alice = client(world, "alice");
  Queue waiting = queue();
  std::string value = "tea";
  ringlet_op ops[3] = {};
  for (std::size_t i = 0; i < 3; ++i) {
    ops[i].kind = RINGLET_PUT;
    ops[i].tag = i;
    ops[i].key = key_of("carts", i == 0 ? "a" : i == 1 ? "b" : "c");
    ops[i].value = bytes(value);
  }
  REQUIRE(ringlet_submit(alice.get(), waiting.get(), ops, sizeof ops[0], 3, nullptr, nullptr) ==
          RINGLET_OK);
  Drained drained;
  drain(waiting.get(), drained, 3);
  REQUIRE(drained.count(RINGLET_DONE) == 3);
  for (const ringlet_event& done : drained.events) CHECK(done.status == RINGLET_OK);
  // With nothing in flight there is nothing to wait for.
  std::size_t n = 9;
  ringlet_event event;
  REQUIRE(ringlet_drain(waiting.get(), &event, sizeof event, 1, -1, &n) == RINGLET_OK);
  CHECK(n == 0);
  // A queue is of one laboratory at a time.
  Lab other = lab();
  ClientHandle bob = client(other, "bob");
  REQUIRE(ringlet_submit(alice.get(), waiting.get(), ops, sizeof ops[0], 1, nullptr, nullptr) ==
          RINGLET_OK);
  CHECK(ringlet_submit(bob.get(), waiting.get(), ops, sizeof ops[0], 1, nullptr, nullptr) ==
        RINGLET_UNSUPPORTED);
}

TEST_CASE("time passes only while somebody waits for it, and deadlines are of that time") {
  Lab world = lab();
  ClientHandle alice = client(world, "alice");
  CHECK(ringlet_lab_now_us(world.get()) == 0);
  act(world, R"({"act": "partition", "groups": [["alice"], ["n1", "n2", "n3", "n4", "n5"]]})");
  std::uint64_t before = ringlet_lab_now_us(world.get());
  CHECK(put(alice, "c", "tea") == RINGLET_TIMEOUT);
  std::uint64_t waited = ringlet_lab_now_us(world.get()) - before;
  CHECK(waited >= 1'000'000);
  CHECK(waited < 1'100'000);
}

TEST_CASE("going back is doing it again") {
  Lab world = lab(R"({"loss": 0.05})");
  ClientHandle alice = client(world, "alice");
  for (int i = 0; i < 20; ++i) CHECK(put(alice, std::to_string(i % 3).c_str(), "tea") <= 300);
  act(world, R"({"act": "kill", "host": "n2"})");
  int calls = 0;
  ringlet_resolver resolver{joined, nullptr, &calls};
  (void)ringlet_update(alice.get(), key_of("carts", "1"), &resolver, nullptr, nullptr, nullptr);
  std::uint64_t events = ringlet_lab_events(world.get()), hash = ringlet_lab_hash(world.get());
  std::string history = ask(world, "history", R"({"bucket": "carts", "key": "1"})");
  act(world, R"({"act": "restart", "host": "n2"})");
  REQUIRE(ringlet_lab_run(world.get(), 3'000'000, nullptr) == RINGLET_OK);
  CHECK(ringlet_lab_hash(world.get()) != hash);
  REQUIRE(ringlet_lab_rewind(world.get(), events, nullptr) == RINGLET_OK);
  CHECK(ringlet_lab_events(world.get()) == events);
  CHECK(ringlet_lab_hash(world.get()) == hash);
  CHECK(ask(world, "history", R"({"bucket": "carts", "key": "1"})") == history);
  CHECK(calls == 1);  // the resolver is not asked again: its answer is known
  // And on from there.
  CHECK(put(alice, "9", "milk") == RINGLET_OK);
  ringlet_error* error = nullptr;
  CHECK(ringlet_lab_rewind(world.get(), 1'000'000'000, &error) == RINGLET_INVALID_ARGUMENT);
  CHECK(has(message(Error(error)), "which is the last one, got 1000000000"));
}

TEST_CASE(
    "a fork does the same under other settings, and a write follows what its read brought there") {
  Lab world = lab();
  ClientHandle alice = client(world, "alice");
  REQUIRE(put(alice, "c", "tea") == RINGLET_OK);
  Reply read = get(alice, "c");
  REQUIRE(put(alice, "c", "milk", ringlet_reply_context(read.get())) == RINGLET_OK);
  ringlet_lab* made = nullptr;
  REQUIRE(ringlet_lab_fork(world.get(), R"({"seed": 8, "w": 3})", &made, nullptr) == RINGLET_OK);
  Lab other(made);
  CHECK(ringlet_lab_hash(made) != ringlet_lab_hash(world.get()));
  ClientHandle again = client(other, "alice");
  Reply there = get(again, "c");
  REQUIRE(ringlet_reply_count(there.get()) == 1);
  CHECK(text(ringlet_reply_value(there.get(), 0)) == "milk");
  CHECK(has(ask(other, "settings"), R"("seed":8)"));
}

TEST_CASE("what is wrong is said, and nothing is done") {
  Lab world = lab();
  ClientHandle alice = client(world, "alice");
  CHECK(
      has(refused(world, R"({"act": "explode"})", RINGLET_UNKNOWN_OPTION), "there are partition"));
  CHECK(has(refused(world, R"({"act": "kill", "host": "n99"})", RINGLET_INVALID_ARGUMENT),
            "host: wanted one of n1, n2"));
  CHECK(has(refused(world, R"({"act": "kill"})", RINGLET_INVALID_ARGUMENT), "got nothing"));
  CHECK(has(refused(world, R"({"act": "kill", "host": "n1", "how": 1})", RINGLET_UNKNOWN_OPTION),
            "\"how\""));
  CHECK(has(refused(world, R"({"act": "restart", "host": "n1"})", RINGLET_INVALID_ARGUMENT),
            "n1 is up already"));
  CHECK(has(refused(world, R"({"act": "wipe", "host": "n1"})", RINGLET_INVALID_ARGUMENT),
            "kill it first"));
  CHECK(has(refused(world, R"({"act": "resume", "host": "n1"})", RINGLET_INVALID_ARGUMENT),
            "is not paused"));
  CHECK(has(refused(world, R"({"act": "leave", "host": "n6"})", RINGLET_INVALID_ARGUMENT),
            "is not a member"));
  CHECK(has(refused(world, R"({"act": "loss", "chance": 2})", RINGLET_INVALID_ARGUMENT),
            "from 0 to 1, got 2"));
  CHECK(has(refused(world, R"({"act": "partition", "groups": [["n1"], ["n1"]]})",
                    RINGLET_INVALID_ARGUMENT),
            "n1 twice"));
  CHECK(has(refused(world, "nonsense", RINGLET_INVALID_ARGUMENT), "wanted a JSON object"));
  act(world, R"({"act": "kill", "host": "n1"})");
  CHECK(has(refused(world, R"({"act": "kill", "host": "n1"})", RINGLET_INVALID_ARGUMENT),
            "n1 is down already"));
  struct Bad {
    const char *settings, *said;
    ringlet_status status;
  };
  for (const Bad& bad :
       {Bad{R"({"nodes": 2000})", "each node is a whole store", RINGLET_INVALID_ARGUMENT},
        {R"({"nodes": 0})", "wanted a whole number from 1", RINGLET_INVALID_ARGUMENT},
        {R"({"node": 3})", "there is no \"node\"", RINGLET_UNKNOWN_OPTION},
        {R"({"nodes": 3, "r": 4})", "r", RINGLET_INVALID_ARGUMENT},
        {R"({"loss": "much"})", "loss: wanted", RINGLET_INVALID_ARGUMENT},
        {R"({"options": {"upkeep.nonsense": 1}})", "nonsense", RINGLET_UNKNOWN_OPTION},
        {"[]", "wanted a JSON object", RINGLET_INVALID_ARGUMENT}}) {
    ringlet_lab* made = nullptr;
    ringlet_error* error = nullptr;
    CHECK(ringlet_lab_new(bad.settings, RINGLET_ABI, &made, &error) == bad.status);
    CHECK(has(message(Error(error)), bad.said));
    CHECK(made == nullptr);
  }
  ringlet_error* error = nullptr;
  ringlet_client* none = nullptr;
  CHECK(ringlet_lab_client(world.get(), "n1", nullptr, &none, &error) == RINGLET_INVALID_ARGUMENT);
  CHECK(has(message(Error(error)), "not a node's"));
  act(world, R"({"act": "pause", "host": "alice"})");
  CHECK(put(alice, "c", "tea") == RINGLET_BUSY);
}

TEST_CASE("clients outlive their laboratory, and say that it is gone") {
  Lab world = lab();
  ClientHandle alice = client(world, "alice");
  Queue waiting = queue();
  ringlet_op op = {};
  op.kind = RINGLET_GET;
  op.key = key_of("carts", "c");
  REQUIRE(ringlet_submit(alice.get(), waiting.get(), &op, sizeof op, 1, nullptr, nullptr) ==
          RINGLET_OK);
  world.reset();
  CHECK(put(alice, "c", "tea") == RINGLET_CLOSED);
  ringlet_event event;
  std::size_t n = 0;
  REQUIRE(ringlet_drain(waiting.get(), &event, sizeof event, 1, -1, &n) == RINGLET_OK);
  REQUIRE(n == 1);
  CHECK(event.status == RINGLET_CLOSED);
  ringlet_event_clear(&event);
}

TEST_CASE("a second thread at the same time is told so") {
  Lab world = lab();
  std::atomic<bool> stop{false}, busy{false};
  // Runs that are short, so that one of them meets the other thread.
  std::thread other([&] {
    while (!stop) {
      if (ringlet_lab_run(world.get(), 10'000'000, nullptr) == RINGLET_BUSY) busy = true;
    }
  });
  for (int i = 0; i < 2000 && !busy; ++i) {
    if (ringlet_lab_run(world.get(), 10'000'000, nullptr) == RINGLET_BUSY) busy = true;
  }
  stop = true;
  other.join();
  CHECK(busy);
}

TEST_CASE("two hundred nodes work") {
  Lab world = lab(R"({"nodes": 200})");
  ClientHandle alice = client(world, "alice");
  CHECK(put(alice, "c", "tea") == RINGLET_OK);
}

}  // namespace capi_test
