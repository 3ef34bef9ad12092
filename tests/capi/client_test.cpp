#include <array>
#include <thread>

#include "fixture.hpp"

using namespace capi_test;

TEST_CASE("a value is written, read, replaced and deleted") {
  Fixture f;
  ringlet_key key = key_of("carts", "alice");
  Reply missing = f.get(key);
  CHECK(ringlet_reply_count(missing.get()) == 0);

  ringlet_call call = RINGLET_CALL_INIT;
  call.content_type = {"text/plain", 10};
  Reply first = f.put(key, text(ringlet_reply_context(missing.get())), "tea\n", &call);
  CHECK(ringlet_reply_count(first.get()) == 0);  // without RINGLET_RETURN_SIBLINGS
  Reply read = f.get(key);
  REQUIRE(ringlet_reply_count(read.get()) == 1);
  CHECK(text(ringlet_reply_value(read.get(), 0)) == "tea\n");
  CHECK(text(ringlet_reply_content_type(read.get(), 0)) == "text/plain");
  CHECK(ringlet_reply_dot(read.get(), 0).size == 24);
  CHECK(ringlet_reply_written_ms(read.get(), 0) > 1600000000000);
  CHECK(ringlet_reply_is_tombstone(read.get(), 0) == 0);
  CHECK(ringlet_reply_value(read.get(), 1).data == nullptr);

  call.flags = RINGLET_RETURN_SIBLINGS;
  Reply second = f.put(key, text(ringlet_reply_context(read.get())), "tea\nmilk\n", &call);
  REQUIRE(ringlet_reply_count(second.get()) == 1);
  CHECK(text(ringlet_reply_value(second.get(), 0)) == "tea\nmilk\n");

  ringlet_reply* gone = nullptr;
  REQUIRE(ringlet_delete(f.client.get(), key, ringlet_reply_context(second.get()), nullptr, &gone,
                         nullptr) == RINGLET_OK);
  Reply owned(gone);
  CHECK(ringlet_reply_count(f.get(key).get()) == 0);
}

TEST_CASE("blind writes are siblings, a write with their context replaces both") {
  Fixture f;
  ringlet_key key = key_of("carts", "bob");
  f.put(key, "", "tea\n");
  f.put(key, "", "milk\n");
  Reply conflict = f.get(key);
  REQUIRE(ringlet_reply_count(conflict.get()) == 2);
  Text explained(ringlet_reply_explain(conflict.get()));
  CHECK(has(text(explained), "\"versions\""));
  f.put(key, text(ringlet_reply_context(conflict.get())), "milk\ntea\n");
  CHECK(ringlet_reply_count(f.get(key).get()) == 1);
}

TEST_CASE("M-2 a delete beside a write is a tombstone among the siblings where it is asked for") {
  Fixture f;
  ringlet_key key = key_of("carts", "carol");
  f.put(key, "", "tea\n");
  Reply read = f.get(key);
  f.put(key, "", "milk\n");  // a version that `read` has not seen
  REQUIRE(ringlet_delete(f.client.get(), key, ringlet_reply_context(read.get()), nullptr, nullptr,
                         nullptr) == RINGLET_OK);
  CHECK(ringlet_reply_count(f.get(key).get()) == 1);
  ringlet_call call = RINGLET_CALL_INIT;
  call.flags = RINGLET_DELETES_ASK;
  ringlet_reply* made = nullptr;
  REQUIRE(ringlet_get(f.client.get(), key, &call, &made, nullptr) == RINGLET_OK);
  Reply both(made);
  REQUIRE(ringlet_reply_count(both.get()) == 2);
  CHECK(ringlet_reply_is_tombstone(both.get(), 0) + ringlet_reply_is_tombstone(both.get(), 1) == 1);
}

TEST_CASE("one write id twice is one version") {
  Fixture f;
  ringlet_key key = key_of("carts", "dan");
  ringlet_call call = RINGLET_CALL_INIT;
  call.write_id[0] = 7;
  call.write_id[1] = 9;
  f.put(key, "", "tea\n", &call);
  f.put(key, "", "tea\n", &call);
  CHECK(ringlet_reply_count(f.get(key).get()) == 1);
}

TEST_CASE("L18 F-101 a write repeated after it was replaced or deleted brings nothing back") {
  Fixture f;
  ringlet_key key = key_of("orders", "42");
  ringlet_call call = RINGLET_CALL_INIT;
  call.write_id[0] = 7;
  call.write_id[1] = 10;
  f.put(key, "", "open", &call);
  std::string read = text(ringlet_reply_context(f.get(key).get()));
  REQUIRE(ringlet_delete(f.client.get(), key, bytes(read), nullptr, nullptr, nullptr) ==
          RINGLET_OK);
  f.put(key, "", "open", &call);  // done already: success, and nothing is there
  CHECK(ringlet_reply_count(f.get(key).get()) == 0);

  key = key_of("orders", "43");
  call.write_id[1] = 11;
  f.put(key, "", "A", &call);
  read = text(ringlet_reply_context(f.get(key).get()));
  f.put(key, read, "B");
  f.client = f.open();  // from another client, which knows nothing of the first
  f.put(key, "", "A", &call);
  Reply now = f.get(key);
  REQUIRE(ringlet_reply_count(now.get()) == 1);
  CHECK(text(ringlet_reply_value(now.get(), 0)) == "B");

  call.write_id[1] = 12;  // one id for two values
  key = key_of("orders", "44");
  f.put(key, "", "one", &call);
  ringlet_error* error = nullptr;
  CHECK(ringlet_put(f.client.get(), key, {}, {"two", 3}, &call, nullptr, &error) ==
        RINGLET_INVALID_ARGUMENT);
  Error owned(error);
  CHECK(has(message(owned), "one id for each write"));
}

TEST_CASE("contexts that are cut, altered or of another key are refused and nothing is written") {
  Fixture f;
  ringlet_key key = key_of("carts", "erin");
  f.put(key, "", "tea\n");
  Reply read = f.get(key);
  const std::string good = text(ringlet_reply_context(read.get()));
  REQUIRE(good.size() >= 9);
  std::vector<std::string> bad;
  for (std::size_t n = 1; n < good.size(); ++n) bad.push_back(good.substr(0, n));
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string flipped = good;
    flipped[i] = static_cast<char>(flipped[i] ^ (1 << (i % 8)));
    bad.push_back(flipped);
  }
  bad.push_back(good + good);
  bad.push_back(std::string(4096, 'x'));
  bad.push_back(std::string(100000, 'x'));
  Reply other = f.put(key_of("carts", "other"), "", "x");
  bad.push_back(text(ringlet_reply_context(f.get(key_of("carts", "other")).get())));
  for (const std::string& context : bad) {
    ringlet_error* error = nullptr;
    const std::string value = "must not be";
    CHECK(ringlet_put(f.client.get(), key, bytes(context), bytes(value), nullptr, nullptr,
                      &error) == RINGLET_INVALID_CONTEXT);
    Error owned(error);
    CHECK(has(message(owned), "carts/erin"));
    CHECK(ringlet_error_maybe_applied(owned.get()) == 0);
    CHECK(ringlet_delete(f.client.get(), key, bytes(context), nullptr, nullptr, nullptr) ==
          RINGLET_INVALID_CONTEXT);
  }
  Reply after = f.get(key);
  REQUIRE(ringlet_reply_count(after.get()) == 1);
  CHECK(text(ringlet_reply_value(after.get(), 0)) == "tea\n");
  CHECK(text(ringlet_reply_dot(after.get(), 0)) == text(ringlet_reply_dot(read.get(), 0)));
}

TEST_CASE("contexts of one key compare") {
  Fixture f;
  ringlet_key key = key_of("carts", "fay");
  f.put(key, "", "1");
  std::string older = text(ringlet_reply_context(f.get(key).get()));
  f.put(key, older, "2");
  std::string newer = text(ringlet_reply_context(f.get(key).get()));
  int order = 7;
  CHECK(ringlet_context_compare(bytes(older), bytes(newer), &order) == RINGLET_OK);
  CHECK(order == -1);
  CHECK(ringlet_context_compare(bytes(newer), bytes(older), &order) == RINGLET_OK);
  CHECK(order == 1);
  CHECK(ringlet_context_compare(bytes(newer), bytes(newer), &order) == RINGLET_OK);
  CHECK(order == 0);
  CHECK(ringlet_context_compare({nullptr, 0}, bytes(newer), &order) == RINGLET_OK);
  CHECK(order == -1);
  std::string junk = "not a context at all";
  CHECK(ringlet_context_compare(bytes(junk), bytes(newer), &order) == RINGLET_INVALID_CONTEXT);
  CHECK(ringlet_context_compare({nullptr, 5}, bytes(newer), &order) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_context_compare(bytes(older), bytes(newer), nullptr) == RINGLET_INVALID_ARGUMENT);
}

TEST_CASE("R4.4-f a context shows what it covers, and with its key whether it is whole") {
  Fixture f({}, 1);
  const ringlet_key key = key_of("carts", "gil"), other = key_of("carts", "hal");
  f.put(key, "", "1");
  const std::string good = text(ringlet_reply_context(f.get(key).get()));
  auto describe = [](const ringlet_key* of, ringlet_bytes context, std::string& said) {
    ringlet_text* out = nullptr;
    ringlet_error* error = nullptr;
    ringlet_status status = ringlet_context_describe(of, context, &out, &error);
    Text text_owned(out);
    Error error_owned(error);
    CHECK((out == nullptr) == (status != RINGLET_OK));
    said = status == RINGLET_OK ? text(text_owned) : message(error_owned);
    return status;
  };
  std::string said;
  REQUIRE(describe(&key, bytes(good), said) == RINGLET_OK);
  CHECK(has(said, "\"checked\":true"));
  CHECK(has(said, "\"counter\":1"));
  REQUIRE(describe(nullptr, bytes(good), said) == RINGLET_OK);
  CHECK(has(said, "\"checked\":false"));
  CHECK(has(said, "\"counter\":1"));
  CHECK(describe(&key, {nullptr, 0}, said) == RINGLET_OK);
  CHECK(has(said, "\"seen\":[]"));
  CHECK(describe(&other, bytes(good), said) == RINGLET_INVALID_CONTEXT);
  CHECK(has(said, "another key"));
  // Without the key an altered one may still have the form: compare() and this say what it reads.
  int accepted = 0, order = 0;
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ 1 << bit % 8);
    INFO(bit);
    CHECK(describe(&key, bytes(bad), said) == RINGLET_INVALID_CONTEXT);
    CHECK(has(said, "carts/gil"));
    ringlet_status without = describe(nullptr, bytes(bad), said);
    CHECK((without == RINGLET_OK || without == RINGLET_INVALID_CONTEXT));
    CHECK(ringlet_context_compare(bytes(bad), bytes(good), &order) == without);
    accepted += without == RINGLET_OK;
  }
  CHECK(accepted >= 64);  // the checksum's own bits at least
  for (std::size_t size = 1; size < good.size(); ++size) {
    CHECK(describe(&key, {good.data(), size}, said) == RINGLET_INVALID_CONTEXT);
  }
  const ringlet_key none = {{"b", 1}, {nullptr, 0}};
  CHECK(describe(&none, bytes(good), said) == RINGLET_INVALID_ARGUMENT);
  CHECK(describe(&key, {nullptr, 9}, said) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_context_describe(&key, bytes(good), nullptr, nullptr) == RINGLET_INVALID_ARGUMENT);
}

TEST_CASE("NULL and impossible sizes are refused before anything is read") {
  Fixture f;
  const ringlet_key key = key_of("b", "k");
  const std::string value = "v";
  const std::size_t huge = std::size_t{1} << 40;
  ringlet_reply* reply = nullptr;
  ringlet_client* c = f.client.get();
  CHECK(ringlet_get(nullptr, key, nullptr, &reply, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_get(c, key, nullptr, nullptr, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_put(nullptr, key, {}, bytes(value), nullptr, nullptr, nullptr) ==
        RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_delete(nullptr, key, {}, nullptr, nullptr, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_get(c, {{nullptr, 1}, {"k", 1}}, nullptr, &reply, nullptr) ==
        RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_get(c, {{"b", 1}, {nullptr, 1}}, nullptr, &reply, nullptr) ==
        RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_get(c, {{"b", 1}, {nullptr, 0}}, nullptr, &reply, nullptr) ==
        RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_get(c, {{nullptr, huge}, {"k", 1}}, nullptr, &reply, nullptr) == RINGLET_TOO_LARGE);
  CHECK(ringlet_get(c, {{"b", 1}, {nullptr, huge}}, nullptr, &reply, nullptr) == RINGLET_TOO_LARGE);
  CHECK(ringlet_put(c, key, {nullptr, 9}, bytes(value), nullptr, nullptr, nullptr) ==
        RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_put(c, key, {nullptr, huge}, bytes(value), nullptr, nullptr, nullptr) ==
        RINGLET_INVALID_CONTEXT);
  CHECK(ringlet_put(c, key, {}, {nullptr, huge}, nullptr, nullptr, nullptr) == RINGLET_TOO_LARGE);
  CHECK(ringlet_put(c, key, {}, {nullptr, 1}, nullptr, nullptr, nullptr) ==
        RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_put(c, key, {}, {nullptr, 0}, nullptr, nullptr, nullptr) == RINGLET_OK);
  CHECK(reply == nullptr);
}

TEST_CASE("call structs of every size from 0 to 4096") {
  Fixture f;
  const ringlet_key key = key_of("b", "sizes");
  alignas(ringlet_call) std::array<unsigned char, 5000> memory{};
  auto* call = reinterpret_cast<ringlet_call*>(memory.data());
  auto try_size = [&](std::uint32_t size) {
    call->struct_size = size;
    ringlet_reply* reply = nullptr;
    ringlet_status status = ringlet_get(f.client.get(), key, call, &reply, nullptr);
    ringlet_reply_release(reply);
    return status;
  };
  for (std::uint32_t size = 0; size < sizeof(ringlet_call); ++size) {
    CHECK(try_size(size) == RINGLET_INVALID_ARGUMENT);
  }
  for (std::uint32_t size = sizeof(ringlet_call); size <= 4096; size += size < 200 ? 1 : 557) {
    CHECK(try_size(size) == RINGLET_OK);
    if (size == sizeof(ringlet_call)) continue;
    memory[size - 1] = 1;  // something a newer program set
    CHECK(try_size(size) == RINGLET_UNSUPPORTED);
    memory[size - 1] = 0;
    memory[size] = 1;  // beyond the size given: not read
    CHECK(try_size(size) == RINGLET_OK);
    memory[size] = 0;
  }
  CHECK(try_size(4097) == RINGLET_INVALID_ARGUMENT);
  CHECK(try_size(0xffffffff) == RINGLET_INVALID_ARGUMENT);
}

TEST_CASE("fields of a call that make no sense are named") {
  Fixture f;
  const ringlet_key key = key_of("b", "fields");
  auto refused = [&](const ringlet_call& call, ringlet_status wanted, const char* name) {
    ringlet_reply* reply = nullptr;
    ringlet_error* error = nullptr;
    CHECK(ringlet_get(f.client.get(), key, &call, &reply, &error) == wanted);
    Error owned(error);
    INFO(message(owned));
    CHECK(has(message(owned), name));
  };
  ringlet_call call = RINGLET_CALL_INIT;
  call.timeout_ms = 3600001;
  refused(call, RINGLET_INVALID_ARGUMENT, "timeout_ms");
  call = RINGLET_CALL_INIT;
  call.r = 17;
  refused(call, RINGLET_INVALID_ARGUMENT, "call.r");
  call = RINGLET_CALL_INIT;
  call.w = 255;
  refused(call, RINGLET_INVALID_ARGUMENT, "call.w");
  call = RINGLET_CALL_INIT;
  call.strict = 2;
  refused(call, RINGLET_INVALID_ARGUMENT, "strict");
  call = RINGLET_CALL_INIT;
  call.durability = 4;
  refused(call, RINGLET_INVALID_ARGUMENT, "durability");
  call = RINGLET_CALL_INIT;
  call.flags = 8;
  refused(call, RINGLET_UNSUPPORTED, "flags");
  call = RINGLET_CALL_INIT;
  call.content_type = {nullptr, 3};
  refused(call, RINGLET_INVALID_ARGUMENT, "content_type");
  call.content_type = {nullptr, std::size_t{1} << 40};
  refused(call, RINGLET_TOO_LARGE, "content_type");
}

TEST_CASE("several gets at once: an answer or an error for each") {
  Fixture f;
  f.put(key_of("m", "a"), "", "A");
  f.put(key_of("m", "b"), "", "B");
  ringlet_key keys[3] = {key_of("m", "a"), key_of("m", "missing"), key_of("m", "b")};
  ringlet_reply* replies[3];
  ringlet_error* errors[3];
  REQUIRE(ringlet_multi_get(f.client.get(), keys, 3, nullptr, replies, errors) == RINGLET_OK);
  CHECK(text(ringlet_reply_value(replies[0], 0)) == "A");
  CHECK(ringlet_reply_count(replies[1]) == 0);
  CHECK(text(ringlet_reply_value(replies[2], 0)) == "B");
  for (int i = 0; i < 3; ++i) {
    CHECK(errors[i] == nullptr);
    ringlet_reply_release(replies[i]);
  }
  CHECK(ringlet_multi_get(f.client.get(), nullptr, 0, nullptr, nullptr, nullptr) == RINGLET_OK);
  CHECK(ringlet_multi_get(f.client.get(), nullptr, 3, nullptr, replies, errors) ==
        RINGLET_INVALID_ARGUMENT);
  CHECK(replies[0] == nullptr);
  REQUIRE(errors[0] != nullptr);
  ringlet_error_release(errors[0]);
  CHECK(ringlet_multi_get(f.client.get(), keys, std::size_t{1} << 40, nullptr, nullptr, nullptr) ==
        RINGLET_TOO_LARGE);
  keys[1].key = {nullptr, 0};
  CHECK(ringlet_multi_get(f.client.get(), keys, 3, nullptr, replies, errors) ==
        RINGLET_INVALID_ARGUMENT);
  REQUIRE(errors[1] != nullptr);
  CHECK(has(ringlet_error_message(errors[1]), "keys[1]"));
  ringlet_error_release(errors[1]);
}

TEST_CASE("a closed client answers CLOSED; closing again is fine; its replies live on") {
  Fixture f;
  ringlet_key key = key_of("carts", "gus");
  f.put(key, "", "tea\n");
  Reply read = f.get(key);
  CHECK(ringlet_client_close(f.client.get(), 100) == RINGLET_OK);
  CHECK(ringlet_client_close(f.client.get(), 0) == RINGLET_OK);
  ringlet_reply* reply = nullptr;
  CHECK(ringlet_get(f.client.get(), key, nullptr, &reply, nullptr) == RINGLET_CLOSED);
  f.client.reset();
  f.cluster.reset();
  CHECK(text(ringlet_reply_value(read.get(), 0)) == "tea\n");
}

TEST_CASE("an unreachable cluster shows in the first call, within its deadline") {
  Options o = options({{"client.seeds", "127.0.0.1:1"}});
  ringlet_client* client = nullptr;
  REQUIRE(ringlet_client_open(o.get(), RINGLET_ABI, &client, nullptr) == RINGLET_OK);
  ClientHandle owned(client);
  ringlet_call call = RINGLET_CALL_INIT;
  call.timeout_ms = 300;
  ringlet_reply* reply = nullptr;
  ringlet_error* error = nullptr;
  auto begun = std::chrono::steady_clock::now();
  ringlet_status status = ringlet_get(client, key_of("b", "k"), &call, &reply, &error);
  auto took = std::chrono::steady_clock::now() - begun;
  Error e(error);
  INFO(message(e));
  CHECK((status == RINGLET_TIMEOUT || status == RINGLET_UNAVAILABLE));
  CHECK(ringlet_error_retryable(e.get()) == 1);
  CHECK(took < std::chrono::seconds(2));
  Text details(ringlet_error_details(e.get()));
  CHECK(has(text(details), "\"status\""));
}

TEST_CASE("operators' questions") {
  Fixture f({{"cluster.w", "3"}});  // so that two looks at a key show the same
  f.put(key_of("carts", "hal"), "", "tea\n");
  auto ask = [&](const char* command, const char* json, ringlet_status wanted) {
    ringlet_text* answer = nullptr;
    ringlet_error* error = nullptr;
    CHECK(ringlet_admin(f.client.get(), command, json, nullptr, &answer, &error) == wanted);
    Error e(error);
    Text t(answer);
    return wanted == RINGLET_OK ? text(t) : message(e);
  };
  CHECK(has(ask("ring", nullptr, RINGLET_OK), "\"n2\""));
  CHECK(has(ask("status", "{}", RINGLET_OK), "{"));
  std::string inspected = ask("key.inspect", R"({"bucket":"carts","key":"hal"})", RINGLET_OK);
  CHECK(has(inspected, "\"replicas\""));
  CHECK(ask("key.inspect", R"({"bucket_hex":"6361727473","key_hex":"68616c"})", RINGLET_OK) ==
        inspected);
  CHECK(has(ask("reboot", "{}", RINGLET_INVALID_ARGUMENT), "reboot"));
  CHECK(has(ask("ring", "{\"a\":\"b\"}", RINGLET_INVALID_ARGUMENT), "\"a\""));
  CHECK(has(ask("ring", "[", RINGLET_INVALID_ARGUMENT), "JSON"));
  CHECK(has(ask("key.inspect", "{}", RINGLET_INVALID_ARGUMENT), "key"));
  CHECK(has(ask("key.inspect", R"({"key_hex":"0g"})", RINGLET_INVALID_ARGUMENT), "key_hex"));
  CHECK(has(ask(nullptr, "{}", RINGLET_INVALID_ARGUMENT), "command"));
  CHECK(ringlet_admin(f.client.get(), "ring", "{}", nullptr, nullptr, nullptr) ==
        RINGLET_INVALID_ARGUMENT);
}
