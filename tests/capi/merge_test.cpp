#include <functional>
#include <stdexcept>
#include <thread>

#include "fixture.hpp"

using namespace capi_test;

namespace {

// A resolver from a C++ lambda, counting how often it is asked and destroyed.
struct Resolver {
  std::function<int(ringlet_merge*)> body;
  int asked = 0, destroyed = 0;
  ringlet_resolver c() {
    return {[](void* self, ringlet_merge* merge) {
              auto* r = static_cast<Resolver*>(self);
              ++r->asked;
              return r->body(merge);
            },
            [](void* self) { ++static_cast<Resolver*>(self)->destroyed; }, this};
  }
};

struct Updated {
  ringlet_status status;
  Reply reply;
  Error error;
};

Updated update(const Fixture& f, ringlet_key key, Resolver& resolver,
               const ringlet_call* call = nullptr) {
  ringlet_resolver c = resolver.c();
  ringlet_reply* reply = nullptr;
  ringlet_error* error = nullptr;
  ringlet_status status = ringlet_update(f.client.get(), key, &c, call, &reply, &error);
  return {status, Reply(reply), Error(error)};
}

// Whoever coordinates the next call knows of a put that has ended, also where a machine is so busy that
// one replica lags behind.
const std::initializer_list<std::pair<const char*, std::string>> everywhere = {{"cluster.w", "3"}};

std::string all(const ringlet_reply* reply) {
  std::string joined;
  for (std::size_t i = 0; i < ringlet_reply_count(reply); ++i)
    joined += text(ringlet_reply_value(reply, i));
  return joined;
}

}  // namespace

TEST_CASE("an update reads, asks and writes; the conflict is gone") {
  Fixture f(everywhere);
  ringlet_key key = key_of("u", "basic");
  f.put(key, "", "a");
  f.put(key, "", "b");
  Resolver merge{[](ringlet_merge* m) {
    CHECK(ringlet_merge_attempt(m) == 1);
    CHECK(ringlet_reply_count(ringlet_merge_siblings(m)) == 2);
    std::string merged = all(ringlet_merge_siblings(m)) + "c";
    CHECK(ringlet_merge_answer(m, bytes(merged)) == RINGLET_OK);
    return 0;
  }};
  Updated done = update(f, key, merge);
  INFO(message(done.error));
  REQUIRE(done.status == RINGLET_OK);
  CHECK(merge.asked == 1);
  CHECK(merge.destroyed == 1);
  REQUIRE(ringlet_reply_count(done.reply.get()) == 1);
  CHECK(text(ringlet_reply_value(done.reply.get(), 0)).size() == 3);
  CHECK(ringlet_reply_count(f.get(key).get()) == 1);
}

TEST_CASE("a write that meets new siblings asks again") {
  Fixture f(everywhere);
  ringlet_key key = key_of("u", "again");
  f.put(key, "", "a");
  Resolver merge{[&](ringlet_merge* m) {
    // Re-entrant: another write of the same key, behind the update's back, the first time.
    if (ringlet_merge_attempt(m) == 1) f.put(key, "", "b");
    std::string merged = all(ringlet_merge_siblings(m)) + "+";
    ringlet_merge_answer(m, bytes(merged));
    return 0;
  }};
  Updated done = update(f, key, merge);
  INFO(message(done.error));
  REQUIRE(done.status == RINGLET_OK);
  CHECK(merge.asked == 2);
  std::string value = text(ringlet_reply_value(f.get(key).get(), 0));
  CHECK(has(value, "a"));
  CHECK(has(value, "b"));
}

TEST_CASE("M-12 an update that never gets alone succeeds, and says that siblings are left") {
  Fixture f({{"client.update_attempts", "3"}, {"cluster.w", "3"}});
  ringlet_key key = key_of("u", "exhausted");
  Resolver merge{[&](ringlet_merge* m) {
    f.put(key, "", "x" + std::to_string(ringlet_merge_attempt(m)));
    std::string merged = all(ringlet_merge_siblings(m)) + "+";
    ringlet_merge_answer(m, bytes(merged));
    return 0;
  }};
  Updated done = update(f, key, merge);
  INFO(message(done.error));
  REQUIRE(done.status == RINGLET_OK);
  CHECK(merge.asked == 3);
  CHECK(ringlet_reply_merged(done.reply.get()) == 0);
  CHECK(ringlet_reply_count(done.reply.get()) == 2);
  ringlet_text* explained = ringlet_reply_explain(done.reply.get());
  CHECK(has(text(ringlet_text_bytes(explained)), "\"left\":2"));
  CHECK(has(text(ringlet_text_bytes(explained)), "limit of 3 attempts"));
  ringlet_text_release(explained);
}

TEST_CASE("M-10 the edit is asked for once; what it met is only merged") {
  Fixture f(everywhere);
  ringlet_key key = key_of("u", "edit once");
  f.put(key, "", "n");
  int edits = 0, merges = 0;
  Resolver add_one{[&](ringlet_merge* m) {
    if (ringlet_merge_written(m)) {
      ++merges;
      CHECK(ringlet_reply_count(ringlet_merge_siblings(m)) == 2);
      // The greater count: a merge that is no edit.
      std::string a = text(ringlet_reply_value(ringlet_merge_siblings(m), 0));
      std::string b = text(ringlet_reply_value(ringlet_merge_siblings(m), 1));
      std::string more = std::max(a, b);
      ringlet_merge_answer(m, bytes(more));
      return 0;
    }
    ++edits;
    f.put(key, "", "m");  // a rival, behind the update's back
    std::string counted = all(ringlet_merge_siblings(m)) + "1";
    ringlet_merge_answer(m, bytes(counted));
    return 0;
  }};
  Updated done = update(f, key, add_one);
  INFO(message(done.error));
  REQUIRE(done.status == RINGLET_OK);
  CHECK(edits == 1);
  CHECK(merges == 1);
  CHECK(ringlet_reply_merged(done.reply.get()) == 1);
  CHECK(all(f.get(key).get()) == "n1");
}

TEST_CASE(
    "M-12 a resolver that fails after the edit was acknowledged leaves the siblings, and says so") {
  Fixture f(everywhere);
  ringlet_key key = key_of("u", "fails later");
  Resolver merge{[&](ringlet_merge* m) {
    if (ringlet_merge_written(m)) return static_cast<int>(ringlet_merge_fail(m, "no such cart"));
    f.put(key, "", "rival");
    return static_cast<int>(ringlet_merge_answer(m, {"mine", 4}));
  }};
  Updated done = update(f, key, merge);
  INFO(message(done.error));
  REQUIRE(done.status == RINGLET_OK);
  CHECK(ringlet_reply_merged(done.reply.get()) == 0);
  ringlet_text* explained = ringlet_reply_explain(done.reply.get());
  CHECK(has(text(ringlet_text_bytes(explained)), "no such cart"));
  ringlet_text_release(explained);
  CHECK(ringlet_reply_count(f.get(key).get()) == 2);
}

TEST_CASE("M-1 equal versions count once; M-2 a delete beside a write is what the flags say") {
  Fixture f(everywhere);
  ringlet_key same = key_of("u", "same");
  f.put(same, "", "a");
  f.put(same, "", "a");
  CHECK(ringlet_reply_count(f.get(same).get()) == 1);

  ringlet_key key = key_of("u", "deletes");
  f.put(key, "", "old");
  Reply read = f.get(key);
  f.put(key, text(ringlet_reply_context(read.get())), "new");
  ringlet_error* error = nullptr;
  REQUIRE(ringlet_delete(f.client.get(), key, ringlet_reply_context(read.get()), nullptr, nullptr,
                         &error) == RINGLET_OK);
  auto count = [&](std::uint32_t flags) {
    ringlet_call call = RINGLET_CALL_INIT;
    call.flags = flags;
    ringlet_reply* reply = nullptr;
    REQUIRE(ringlet_get(f.client.get(), key, &call, &reply, nullptr) == RINGLET_OK);
    Reply owned(reply);
    return ringlet_reply_count(reply);
  };
  CHECK(count(0) == 1);
  CHECK(count(RINGLET_DELETES_WIN) == 0);
  CHECK(count(RINGLET_DELETES_ASK) == 2);
  ringlet_call both = RINGLET_CALL_INIT;
  both.flags = RINGLET_DELETES_WIN | RINGLET_DELETES_ASK;
  ringlet_reply* none = nullptr;
  CHECK(ringlet_get(f.client.get(), key, &both, &none, nullptr) == RINGLET_INVALID_ARGUMENT);
}

TEST_CASE("with one write id, each attempt still writes its own value") {
  Fixture f(everywhere);
  ringlet_key key = key_of("u", "write id");
  ringlet_call call = RINGLET_CALL_INIT;
  call.write_id[0] = 1;
  call.write_id[1] = 2;
  Resolver merge{[&](ringlet_merge* m) {
    if (ringlet_merge_attempt(m) == 1) f.put(key, "", "b");
    std::string merged = all(ringlet_merge_siblings(m)) + "!";
    ringlet_merge_answer(m, bytes(merged));
    return 0;
  }};
  REQUIRE(update(f, key, merge, &call).status == RINGLET_OK);
  Reply read = f.get(key);
  REQUIRE(ringlet_reply_count(read.get()) == 1);
  CHECK(has(all(read.get()), "b"));
}

TEST_CASE("keep writes nothing, erase deletes") {
  Fixture f(everywhere);
  ringlet_key key = key_of("u", "keep");
  f.put(key, "", "a");
  std::string before = text(ringlet_reply_dot(f.get(key).get(), 0));
  Resolver keep{[](ringlet_merge* m) { return static_cast<int>(ringlet_merge_keep(m)); }};
  Updated kept = update(f, key, keep);
  CHECK(kept.status == RINGLET_OK);
  CHECK(all(kept.reply.get()) == "a");
  CHECK(text(ringlet_reply_dot(f.get(key).get(), 0)) == before);
  Resolver erase{[](ringlet_merge* m) { return static_cast<int>(ringlet_merge_erase(m)); }};
  CHECK(update(f, key, erase).status == RINGLET_OK);
  CHECK(ringlet_reply_count(f.get(key).get()) == 0);
}

TEST_CASE("resolvers that fail: nothing is written, MERGE_FAILED says how, destroy runs once") {
  Fixture f(everywhere);
  ringlet_key key = key_of("u", "fails");
  f.put(key, "", "a");
  const std::string value = "must not be";
  struct {
    const char* says;
    std::function<int(ringlet_merge*)> body;
  } cases[] = {
      {"returned 1", [](ringlet_merge*) { return 1; }},
      {"returned 1",
       [&](ringlet_merge* m) {
         ringlet_merge_answer(m, bytes(value));
         return 1;
       }},
      {"threw: out of tea", [](ringlet_merge*) -> int { throw std::runtime_error("out of tea"); }},
      {"threw", [](ringlet_merge*) -> int { throw 7; }},
      {"threw",
       [&](ringlet_merge* m) -> int {
         ringlet_merge_answer(m, bytes(value));
         throw 7;
       }},
      {"without an answer", [](ringlet_merge*) { return 0; }},
      {"no such cart",
       [](ringlet_merge* m) {
         ringlet_merge_fail(m, "no such cart");
         return 0;
       }},
      {"without an answer",
       [](ringlet_merge* m) {
         ringlet_merge_release(m);
         return 0;
       }},
      {"no \\x1b[31mcart\\x0a",
       [](ringlet_merge* m) {
         ringlet_merge_fail(m, "no \x1b[31mcart\n");
         return 0;
       }},
  };
  for (auto& c : cases) {
    Resolver merge{c.body};
    Updated done = update(f, key, merge);
    INFO(message(done.error));
    CHECK(done.status == RINGLET_MERGE_FAILED);
    CHECK(has(message(done.error), c.says));
    CHECK(has(message(done.error), "u/fails"));
    CHECK_FALSE(has(message(done.error) + "$", ": $"));
    CHECK(merge.destroyed == 1);
    CHECK(ringlet_error_maybe_applied(done.error.get()) == 0);
    CHECK(all(f.get(key).get()) == "a");
  }
}

TEST_CASE("of two answers the first counts and the second is BUSY") {
  Fixture f;
  ringlet_key key = key_of("u", "two answers");
  Resolver merge{[](ringlet_merge* m) {
    const std::string first = "first", second = "second";
    CHECK(ringlet_merge_answer(m, bytes(first)) == RINGLET_OK);
    CHECK(ringlet_merge_answer(m, bytes(second)) == RINGLET_BUSY);
    CHECK(ringlet_merge_erase(m) == RINGLET_BUSY);
    return 0;
  }};
  REQUIRE(update(f, key, merge).status == RINGLET_OK);
  CHECK(all(f.get(key).get()) == "first");
}

TEST_CASE("bad arguments of an answer do not use it up") {
  Fixture f;
  ringlet_key key = key_of("u", "bad answers");
  Resolver merge{[](ringlet_merge* m) {
    CHECK(ringlet_merge_answer(m, {nullptr, 4}) == RINGLET_INVALID_ARGUMENT);
    CHECK(ringlet_merge_answer(m, {nullptr, std::size_t{1} << 40}) == RINGLET_TOO_LARGE);
    CHECK(ringlet_merge_fail(m, nullptr) == RINGLET_INVALID_ARGUMENT);
    CHECK(ringlet_merge_fail(m, "\xff") == RINGLET_INVALID_ARGUMENT);
    CHECK(ringlet_merge_answer(m, {"ok", 2}) == RINGLET_OK);
    return 0;
  }};
  REQUIRE(update(f, key, merge).status == RINGLET_OK);
  CHECK(ringlet_merge_answer(nullptr, {}) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_merge_keep(nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_merge_siblings(nullptr) == nullptr);
  CHECK(ringlet_merge_attempt(nullptr) == 0);
}

TEST_CASE("an answer after the deadline is CLOSED, the update TIMEOUT, nothing is written") {
  Fixture f(everywhere);
  ringlet_key key = key_of("u", "late");
  f.put(key, "", "a");
  ringlet_call call = RINGLET_CALL_INIT;
  call.timeout_ms = 100;
  Resolver merge{[](ringlet_merge* m) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    CHECK(ringlet_merge_answer(m, {"late", 4}) == RINGLET_CLOSED);
    return 0;
  }};
  Updated done = update(f, key, merge, &call);
  INFO(message(done.error));
  CHECK(done.status == RINGLET_TIMEOUT);
  CHECK(all(f.get(key).get()) == "a");
}

TEST_CASE("inside a resolver: other calls work, closing the client is BUSY, releasing it is fine") {
  Fixture f;
  ringlet_key key = key_of("u", "inside");
  ringlet_client* client = f.client.get();
  Resolver merge{[&](ringlet_merge* m) {
    CHECK(ringlet_reply_count(f.get(key_of("u", "elsewhere")).get()) == 0);
    CHECK(ringlet_client_close(client, 0) == RINGLET_BUSY);
    ringlet_merge_answer(m, {"v", 1});
    ringlet_client_release(f.client.release());
    return 0;
  }};
  ringlet_resolver c = merge.c();
  ringlet_reply* reply = nullptr;
  CHECK(ringlet_update(client, key, &c, nullptr, &reply, nullptr) == RINGLET_OK);
  ringlet_reply_release(reply);
  CHECK(merge.destroyed == 1);
}

TEST_CASE("an update without client, resolver or key is refused, and destroys what it was given") {
  Fixture f;
  Resolver merge{[](ringlet_merge*) { return 0; }};
  ringlet_resolver c = merge.c();
  CHECK(ringlet_update(nullptr, key_of("u", "k"), &c, nullptr, nullptr, nullptr) ==
        RINGLET_INVALID_ARGUMENT);
  CHECK(merge.destroyed == 1);
  CHECK(ringlet_update(f.client.get(), {}, &c, nullptr, nullptr, nullptr) ==
        RINGLET_INVALID_ARGUMENT);
  CHECK(merge.destroyed == 2);
  c.resolve = nullptr;
  CHECK(ringlet_update(f.client.get(), key_of("u", "k"), &c, nullptr, nullptr, nullptr) ==
        RINGLET_INVALID_ARGUMENT);
  CHECK(merge.destroyed == 3);
  CHECK(ringlet_update(f.client.get(), key_of("u", "k"), nullptr, nullptr, nullptr, nullptr) ==
        RINGLET_INVALID_ARGUMENT);
  CHECK(merge.asked == 0);
}

TEST_CASE("eight writers of one key all succeed within the usual attempts: nothing is lost") {
  Fixture f;
  ringlet_key key = key_of("u", "threads");
  std::vector<std::thread> threads;
  std::atomic<int> failed{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5; ++i) {
        std::string item(1, static_cast<char>('A' + t * 5 + i));
        Resolver merge{[&](ringlet_merge* m) {
          std::string merged, old = all(ringlet_merge_siblings(m)) + item;
          for (char ch : old) {
            if (merged.find(ch) == std::string::npos) merged += ch;
          }
          ringlet_merge_answer(m, bytes(merged));
          return 0;
        }};
        ringlet_call call = RINGLET_CALL_INIT;
        call.timeout_ms = 20000;
        ringlet_resolver c = merge.c();
        ringlet_status status = ringlet_update(f.client.get(), key, &c, &call, nullptr, nullptr);
        if (status != RINGLET_OK) ++failed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failed == 0);
  std::string value = all(f.get(key).get());
  for (int i = 0; i < 40; ++i) CHECK(value.find(static_cast<char>('A' + i)) != std::string::npos);
}

TEST_CASE(
    "an update that pauses before its next attempt can be cancelled, and ends with its client") {
  // Company without end: each attempt meets another write, whichever node coordinates it.
  Fixture f({{"client.update_attempts", "1000"}, {"cluster.w", "3"}});
  ringlet_key key = key_of("u", "pausing");
  ringlet_error* error = nullptr;
  ringlet_queue* made = nullptr;
  REQUIRE(ringlet_queue_new(&made, &error) == RINGLET_OK);
  Queue queue(made);
  bool cancels = GENERATE(true, false);
  ringlet_op op{};
  op.kind = RINGLET_UPDATE;
  op.key = key;
  std::uint64_t number = 0;
  REQUIRE(ringlet_submit(f.client.get(), queue.get(), &op, sizeof op, 1, &number, &error) ==
          RINGLET_OK);
  ringlet_status status = RINGLET_INTERNAL;
  int merged = 1;
  for (int asked = 0, over = 0; over == 0;) {
    ringlet_event event{};
    std::size_t count = 0;
    REQUIRE(ringlet_drain(queue.get(), &event, sizeof event, 1, 5000, &count) == RINGLET_OK);
    REQUIRE(count == 1);
    if (event.kind == RINGLET_MERGE && asked < 8) {
      f.put(key, "", "x" + std::to_string(++asked));
      CHECK(ringlet_merge_answer(event.merge, {"mine", 4}) == RINGLET_OK);
      // By now writing or, mostly, pausing; both must end.
      if (asked == 8) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        if (cancels) {
          ringlet_cancel(queue.get(), number);
        } else {
          CHECK(ringlet_client_close(f.client.get(), 0) == RINGLET_OK);
        }
      }
    } else if (event.kind == RINGLET_DONE) {
      status = event.status;
      merged = ringlet_reply_merged(event.reply);
      over = 1;
    }
    ringlet_event_clear(&event);
  }
  // Its edit was acknowledged long before, so it succeeded; only the merging was stopped.
  CHECK(status == RINGLET_OK);
  CHECK(merged == 0);
}
