#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <thread>

#include "fixture.hpp"

using namespace capi_test;

using NodeHandle = Owned<ringlet_node, ringlet_node_release>;

TEST_CASE("a cluster takes writes while one node is dead, and the node catches up") {
  Fixture f;
  CHECK(ringlet_cluster_size(f.cluster.get()) == 3);
  f.put(key_of("c", "before"), "", "1");
  REQUIRE(ringlet_cluster_kill(f.cluster.get(), 1, nullptr) == RINGLET_OK);
  REQUIRE(ringlet_cluster_kill(f.cluster.get(), 1, nullptr) == RINGLET_OK);
  for (int i = 0; i < 5; ++i) f.put(key_of("c", ("k" + std::to_string(i)).c_str()), "", "2");
  REQUIRE(ringlet_cluster_restart(f.cluster.get(), 1, nullptr) == RINGLET_OK);
  REQUIRE(ringlet_cluster_restart(f.cluster.get(), 1, nullptr) == RINGLET_OK);
  CHECK(ringlet_reply_count(f.get(key_of("c", "before")).get()) == 1);
  CHECK(ringlet_reply_count(f.get(key_of("c", "k3")).get()) == 1);
}

TEST_CASE("without enough nodes a strict write fails and says so") {
  Fixture f;
  REQUIRE(ringlet_cluster_kill(f.cluster.get(), 0, nullptr) == RINGLET_OK);
  REQUIRE(ringlet_cluster_kill(f.cluster.get(), 2, nullptr) == RINGLET_OK);
  ringlet_call call = RINGLET_CALL_INIT;
  call.timeout_ms = 500;
  call.strict = 1;
  ringlet_error* error = nullptr;
  ringlet_status status =
      ringlet_put(f.client.get(), key_of("c", "strict"), {}, {"v", 1}, &call, nullptr, &error);
  Error owned(error);
  INFO(message(owned));
  CHECK(status / 100 == 2);
  Text details(ringlet_error_details(owned.get()));
  CHECK(has(text(details), "\"wanted\""));
}

TEST_CASE("last-write-wins clusters hold one version") {
  Fixture f({{"cluster.reconcile", "lww"}});
  f.put(key_of("c", "lww"), "", "1");
  f.put(key_of("c", "lww"), "", "2");
  CHECK(ringlet_reply_count(f.get(key_of("c", "lww")).get()) == 1);
}

TEST_CASE("L19 last-write-wins: what one client writes later is what is read") {
  for (const char* coordination : {"server", "client"}) {
    Fixture f({{"cluster.reconcile", "lww"}});
    f.client = f.open(options({{"client.coordination", coordination}}));
    int gone = 0;
    for (int i = 0; i < 100; ++i) {
      std::string name = "d" + std::to_string(i);
      ringlet_key key = key_of("c", name.c_str());
      f.put(key, "", "x");
      std::string read = text(ringlet_reply_context(f.get(key).get()));
      REQUIRE(ringlet_delete(f.client.get(), key, bytes(read), nullptr, nullptr, nullptr) ==
              RINGLET_OK);
      f.put(key, "", "y");
      gone += ringlet_reply_count(f.get(key).get()) != 1;
    }
    INFO(coordination);
    CHECK(gone == 0);
  }
}

TEST_CASE("a client that coordinates itself reads what others wrote") {
  Fixture f;
  f.put(key_of("c", "coordination"), "", "1");
  f.client = f.open(options({{"client.coordination", "client"}, {"client.timeout_ms", "3000"}}));
  Reply read = f.get(key_of("c", "coordination"));
  REQUIRE(ringlet_reply_count(read.get()) == 1);
  f.put(key_of("c", "coordination"), text(ringlet_reply_context(read.get())), "2");
  CHECK(text(ringlet_reply_value(f.get(key_of("c", "coordination")).get(), 0)) == "2");
}

TEST_CASE("cluster functions with arguments that make no sense") {
  ringlet_cluster* c = nullptr;
  CHECK(ringlet_cluster_start(nullptr, 0, RINGLET_ABI, &c, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_cluster_start(nullptr, 65, RINGLET_ABI, &c, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_cluster_start(nullptr, 3, RINGLET_ABI, nullptr, nullptr) ==
        RINGLET_INVALID_ARGUMENT);
  Options o = options({{"cluster.n", "3"}, {"cluster.w", "4"}});
  ringlet_error* error = nullptr;
  CHECK(ringlet_cluster_start(o.get(), 3, RINGLET_ABI, &c, &error) == RINGLET_INVALID_ARGUMENT);
  Error owned(error);
  CHECK(has(message(owned), "cluster.w"));
  CHECK(c == nullptr);
  CHECK(ringlet_cluster_seeds(nullptr) == nullptr);
  CHECK(ringlet_cluster_size(nullptr) == 0);
  CHECK(ringlet_cluster_kill(nullptr, 0, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_cluster_restart(nullptr, 0, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_cluster_stop(nullptr, 0, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_cluster_log_drain(nullptr, nullptr, nullptr) == 0);
  ringlet_cluster_release(nullptr);
  CHECK(ringlet_cluster_pause(nullptr, 0, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_cluster_resume(nullptr, 0, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_cluster_cut(nullptr, 0, 1, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_cluster_mend(nullptr, 0, 1, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_cluster_heal(nullptr, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_cluster_skew(nullptr, 0, 0, nullptr) == RINGLET_INVALID_ARGUMENT);
  Fixture f({}, 1);
  CHECK(ringlet_cluster_kill(f.cluster.get(), 1, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_cluster_pause(f.cluster.get(), 1, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_cluster_resume(f.cluster.get(), 1, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_cluster_cut(f.cluster.get(), 0, 0, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_cluster_cut(f.cluster.get(), 0, 1, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_cluster_cut(f.cluster.get(), RINGLET_CLIENTS, RINGLET_CLIENTS, nullptr) ==
        RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_cluster_skew(f.cluster.get(), 0, INT64_MAX, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_cluster_skew(f.cluster.get(), 0, INT64_MIN, nullptr) == RINGLET_INVALID_ARGUMENT);
  REQUIRE(ringlet_cluster_kill(f.cluster.get(), 0, nullptr) == RINGLET_OK);
  ringlet_error* down = nullptr;
  CHECK(ringlet_cluster_pause(f.cluster.get(), 0, &down) == RINGLET_INVALID_ARGUMENT);
  Error owned_down(down);
  CHECK(has(message(owned_down), "n1 is down"));
  CHECK(ringlet_cluster_restart(f.cluster.get(), 0xffffffff, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_cluster_stop(f.cluster.get(), 100, nullptr) == RINGLET_OK);
  CHECK(ringlet_cluster_stop(f.cluster.get(), 100, nullptr) == RINGLET_OK);
  CHECK(ringlet_cluster_restart(f.cluster.get(), 0, nullptr) == RINGLET_CLOSED);
  CHECK(ringlet_cluster_pause(f.cluster.get(), 0, nullptr) == RINGLET_CLOSED);
  CHECK(ringlet_cluster_cut(f.cluster.get(), 0, RINGLET_CLIENTS, nullptr) == RINGLET_CLOSED);
  CHECK(ringlet_cluster_heal(f.cluster.get(), nullptr) == RINGLET_CLOSED);
  CHECK(ringlet_cluster_skew(f.cluster.get(), 0, 1, nullptr) == RINGLET_CLOSED);
}

TEST_CASE(
    "a paused node answers nothing, serves what is not too old when it goes on, and can be "
    "killed") {
  Fixture f;
  ringlet_call all = RINGLET_CALL_INIT;
  all.r = all.w = 3;
  auto put_to_all = [&](const char* name, uint32_t timeout_ms = 5000) {
    all.timeout_ms = timeout_ms;
    return ringlet_put(f.client.get(), key_of("c", name), {}, {"v", 1}, &all, nullptr, nullptr);
  };
  REQUIRE(put_to_all("k") == RINGLET_OK);
  for (int i = 0; i < 3; ++i) {
    REQUIRE(ringlet_cluster_pause(f.cluster.get(), 1, nullptr) == RINGLET_OK);
    REQUIRE(ringlet_cluster_pause(f.cluster.get(), 1, nullptr) == RINGLET_OK);
    CHECK(put_to_all("k", 300) != RINGLET_OK);
    f.put(key_of("c", "other"), "", "2");  // two of three are there
    REQUIRE(ringlet_cluster_resume(f.cluster.get(), 1, nullptr) == RINGLET_OK);
    REQUIRE(ringlet_cluster_resume(f.cluster.get(), 1, nullptr) == RINGLET_OK);
    bool again = false;
    for (int tries = 0; tries < 100 && !again; ++tries) again = put_to_all("again") == RINGLET_OK;
    CHECK(again);
  }
  REQUIRE(ringlet_cluster_pause(f.cluster.get(), 2, nullptr) == RINGLET_OK);
  REQUIRE(ringlet_cluster_kill(f.cluster.get(), 2, nullptr) == RINGLET_OK);
  REQUIRE(ringlet_cluster_restart(f.cluster.get(), 2, nullptr) == RINGLET_OK);
  bool again = false;
  for (int tries = 0; tries < 100 && !again; ++tries) again = put_to_all("again") == RINGLET_OK;
  CHECK(again);
  for (int i = 0; i < 300; ++i) {  // a pause that follows at once is not taken for the one before
    REQUIRE(ringlet_cluster_pause(f.cluster.get(), 1, nullptr) == RINGLET_OK);
    REQUIRE(ringlet_cluster_resume(f.cluster.get(), 1, nullptr) == RINGLET_OK);
  }
  // A cluster with faults in force stops within its drain.
  REQUIRE(ringlet_cluster_pause(f.cluster.get(), 0, nullptr) == RINGLET_OK);
  REQUIRE(ringlet_cluster_cut(f.cluster.get(), 1, 2, nullptr) == RINGLET_OK);
  CHECK(ringlet_cluster_stop(f.cluster.get(), 5000, nullptr) == RINGLET_OK);
}

TEST_CASE("what is sent over a cut line waits, and comes when the line is mended") {
  Fixture f;
  ringlet_call all = RINGLET_CALL_INIT;
  all.r = all.w = 3;
  auto put_to_all = [&](uint32_t timeout_ms = 5000) {
    all.timeout_ms = timeout_ms;
    return ringlet_put(f.client.get(), key_of("c", "k"), {}, {"v", 1}, &all, nullptr, nullptr);
  };
  REQUIRE(put_to_all() == RINGLET_OK);
  // In a circle, so that no node can ask both others and hear both.
  for (uint32_t i = 0; i < 3; ++i) {
    REQUIRE(ringlet_cluster_cut(f.cluster.get(), i, (i + 1) % 3, nullptr) == RINGLET_OK);
  }
  CHECK(put_to_all(300) != RINGLET_OK);
  for (uint32_t i = 0; i < 3; ++i) {
    REQUIRE(ringlet_cluster_mend(f.cluster.get(), i, (i + 1) % 3, nullptr) == RINGLET_OK);
    REQUIRE(ringlet_cluster_mend(f.cluster.get(), i, (i + 1) % 3, nullptr) == RINGLET_OK);
  }
  bool again = false;
  for (int tries = 0; tries < 100 && !again; ++tries) again = put_to_all() == RINGLET_OK;
  CHECK(again);
  // Clients are one end, too; heal() mends all.
  for (uint32_t i = 0; i < 3; ++i) {
    REQUIRE(ringlet_cluster_cut(f.cluster.get(), RINGLET_CLIENTS, i, nullptr) == RINGLET_OK);
  }
  ringlet_call soon = RINGLET_CALL_INIT;
  soon.timeout_ms = 200;
  CHECK(ringlet_get(f.client.get(), key_of("c", "k"), &soon, nullptr, nullptr) != RINGLET_OK);
  REQUIRE(ringlet_cluster_heal(f.cluster.get(), nullptr) == RINGLET_OK);
  again = false;
  for (int tries = 0; tries < 100 && !again; ++tries) again = put_to_all() == RINGLET_OK;
  CHECK(again);
}

TEST_CASE("a node of its own serves a client, and stops") {
  Options o = options({{"cluster.n", "1"}, {"cluster.r", "1"}, {"cluster.w", "1"}});
  ringlet_node* node = nullptr;
  ringlet_error* error = nullptr;
  ringlet_status status = ringlet_node_start(o.get(), RINGLET_ABI, &node, &error);
  Error owned(error);
  INFO(message(owned));
  REQUIRE(status == RINGLET_OK);
  const std::string address = ringlet_node_address(node);
  CHECK(has(address, "127.0.0.1:"));
  Options c = options({{"client.seeds", address}});
  ringlet_client* client = nullptr;
  REQUIRE(ringlet_client_open(c.get(), RINGLET_ABI, &client, nullptr) == RINGLET_OK);
  ringlet_error* put_error = nullptr;
  status = ringlet_put(client, key_of("n", "k"), {}, {"v", 1}, nullptr, nullptr, &put_error);
  Error put_owned(put_error);
  INFO(message(put_owned));
  CHECK(status == RINGLET_OK);
  CHECK(ringlet_node_stop(node, 100, nullptr) == RINGLET_OK);
  CHECK(ringlet_node_stop(node, 100, nullptr) == RINGLET_OK);
  ringlet_text_release(ringlet_node_log_next(node));
  ringlet_node_release(node);
  ringlet_client_release(client);
}

// The memory of the node is gone with it, and its first count may not name what others hold of it.
TEST_CASE("F-110 L6 what a node acknowledged outlives the restart of another node of the program") {
  auto start = [](const char* name, const std::string& members) {
    Options o = options({{"node.name", name},
                         {"node.members", members},
                         {"cluster.n", "2"},
                         {"cluster.r", "2"},
                         {"cluster.w", "2"}});
    ringlet_node* node = nullptr;
    ringlet_error* error = nullptr;
    ringlet_status status = ringlet_node_start(o.get(), RINGLET_ABI, &node, &error);
    Error owned(error);
    INFO(message(owned));
    REQUIRE(status == RINGLET_OK);
    return NodeHandle(node);
  };
  const std::string members = "n1=127.0.0.1:27521,n2=127.0.0.1:27522";
  NodeHandle one = start("n1", members), two = start("n2", members);
  auto open = [] {
    Options o = options({{"client.seeds", "127.0.0.1:27521,127.0.0.1:27522"}});
    ringlet_client* client = nullptr;
    REQUIRE(ringlet_client_open(o.get(), RINGLET_ABI, &client, nullptr) == RINGLET_OK);
    return ClientHandle(client);
  };
  constexpr int keys = 20;
  auto put_all = [](ringlet_client* client, const std::string& value) {
    for (int i = 0; i < keys; ++i) {
      ringlet_error* error = nullptr;
      const std::string key = "k" + std::to_string(i);
      ringlet_status status =
          ringlet_put(client, key_of("b", key.c_str()), {}, bytes(value), nullptr, nullptr, &error);
      Error owned(error);
      INFO(message(owned));
      REQUIRE(status == RINGLET_OK);
    }
  };
  const std::string first = "first", second = "second";
  put_all(open().get(), first);
  one.reset();
  one = start("n1", members);
  ClientHandle client = open();
  put_all(client.get(), second);
  int lost = 0;
  for (int i = 0; i < keys; ++i) {
    ringlet_reply* reply = nullptr;
    const std::string key = "k" + std::to_string(i);
    REQUIRE(ringlet_get(client.get(), key_of("b", key.c_str()), nullptr, &reply, nullptr) ==
            RINGLET_OK);
    Reply read(reply);
    if (ringlet_reply_count(read.get()) != 2) ++lost;
  }
  CHECK(lost == 0);
}

TEST_CASE("node functions with arguments that make no sense") {
  ringlet_node* node = nullptr;
  CHECK(ringlet_node_start(nullptr, RINGLET_ABI, &node, nullptr) == RINGLET_INVALID_ARGUMENT);
  Options o = options({{"node.name", "me"}, {"node.members", "a=127.0.0.1:1,b=127.0.0.1:2"}});
  CHECK(ringlet_node_start(o.get(), RINGLET_ABI, nullptr, nullptr) == RINGLET_INVALID_ARGUMENT);
  ringlet_error* error = nullptr;
  CHECK(ringlet_node_start(o.get(), RINGLET_ABI, &node, &error) == RINGLET_INVALID_ARGUMENT);
  Error owned(error);
  CHECK(has(message(owned), "node.name"));
  Options twice = options({{"node.name", "a"}, {"node.members", "a=127.0.0.1:1,a=127.0.0.1:2"}});
  CHECK(ringlet_node_start(twice.get(), RINGLET_ABI, &node, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(node == nullptr);
  CHECK(ringlet_node_address(nullptr) == nullptr);
  CHECK(ringlet_node_stop(nullptr, 0, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_node_log_next(nullptr) == nullptr);
  ringlet_node_release(nullptr);
}

TEST_CASE("log records are handed over on the calling thread only") {
  Fixture f({{"log.level", "trace"}});
  f.put(key_of("c", "log"), "", "1");
  REQUIRE(ringlet_cluster_kill(f.cluster.get(), 0, nullptr) == RINGLET_OK);
  struct Seen {
    std::thread::id caller = std::this_thread::get_id();
    std::size_t records = 0, elsewhere = 0;
  } seen;
  auto count = [](void* user_data, int level, const char* part, const char* text) {
    auto* s = static_cast<Seen*>(user_data);
    ++s->records;
    s->elsewhere += std::this_thread::get_id() != s->caller || level < 0 || level > 4 ||
                    part == nullptr || text == nullptr;
  };
  std::size_t told = ringlet_cluster_log_drain(f.cluster.get(), count, &seen);
  told += ringlet_client_log_drain(f.client.get(), count, &seen);
  CHECK(seen.records == told);
  CHECK(seen.elsewhere == 0);
  CHECK(ringlet_client_log_drain(f.client.get(), nullptr, nullptr) == 0);
  CHECK(ringlet_client_log_drain(nullptr, count, &seen) == 0);
  CHECK(ringlet_client_log_next(nullptr) == nullptr);
}

TEST_CASE("in the child of a fork inherited handles answer FORKED and may be released") {
  Fixture f;
  f.put(key_of("c", "fork"), "", "1");
  Queue q = queue();
  for (std::uint64_t i = 0; i < 50; ++i) {
    ringlet_op op{};
    op.kind = RINGLET_GET;
    op.key = key_of("c", "fork");
    REQUIRE(ringlet_submit(f.client.get(), q.get(), &op, sizeof op, 1, nullptr, nullptr) ==
            RINGLET_OK);
  }
  pid_t child = fork();
  if (child == 0) {
    alarm(20);  // a child that hangs is a failure, not a test that never ends
    ringlet_reply* reply = nullptr;
    ringlet_error* error = nullptr;
    std::size_t n;
    ringlet_event event;
    int wrong = 0;
    wrong |= (ringlet_get(f.client.get(), key_of("c", "fork"), nullptr, &reply, &error) !=
              RINGLET_FORKED)
             << 0;
    wrong |=
        (std::strstr(ringlet_error_message(error), std::to_string(getppid()).c_str()) == nullptr)
        << 1;
    wrong |= (ringlet_drain(q.get(), &event, sizeof event, 1, 0, &n) != RINGLET_FORKED) << 2;
    wrong |= (ringlet_cluster_kill(f.cluster.get(), 0, nullptr) != RINGLET_FORKED) << 3;
    wrong |= (ringlet_client_close(f.client.get(), 0) != RINGLET_FORKED) << 4;
// Threads of a forked child: the thread sanitizer forbids them, and the address sanitizer of gcc 12 may
// have its allocator locked by a thread that the child lacks.
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
    // A new client in the child works, on the parent's cluster.
    Options o(ringlet_options_new());
    ringlet_options_set(o.get(), "client.seeds", ringlet_cluster_seeds(f.cluster.get()), nullptr);
    ringlet_client* fresh = nullptr;
    wrong |= (ringlet_client_open(o.get(), RINGLET_ABI, &fresh, nullptr) != RINGLET_OK) << 5;
    wrong |= (ringlet_get(fresh, key_of("c", "fork"), nullptr, &reply, nullptr) != RINGLET_OK) << 6;
    ringlet_client_release(fresh);
#endif
    ringlet_error_release(error);
    q.reset();
    f.client.reset();
    f.cluster.reset();
    _exit(wrong);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  Drained d;
  drain(q.get(), d, 50);  // the parent noticed nothing
  CHECK(d.count(RINGLET_DONE) == 50);
}

namespace {

std::string run(const std::string& command, int* code) {
  FILE* out = popen((command + " 2>&1").c_str(), "r");
  REQUIRE(out != nullptr);
  std::string text;
  char buffer[256];
  while (std::size_t n = fread(buffer, 1, sizeof buffer, out)) text.append(buffer, n);
  int status = pclose(out);
  *code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return text;
}

}  // namespace

TEST_CASE("the C and the C++ cart fill one cart") {
  Fixture f;
  const std::string seeds = ringlet_cluster_seeds(f.cluster.get());
  const std::string c = std::string(CART_C) + " " + seeds + " alice ";
  const std::string cpp = std::string(CART_CPP) + " " + seeds + " alice ";
  int code = -1;
  CHECK(run(c + "add tea milk", &code) == "milk\ntea\n");
  CHECK(code == 0);
  CHECK(run(cpp + "add bread", &code) == "bread\nmilk\ntea\n");
  CHECK(code == 0);
  // What two shoppers did at the same time.
  f.put(key_of("carts", "alice"), "", "cheese\n");
  CHECK(run(c + "show", &code) == "bread\ncheese\nmilk\ntea\n");
  CHECK(run(cpp + "remove milk", &code) == "bread\ncheese\ntea\n");
  CHECK(run(c + "remove tea", &code) == "bread\ncheese\n");
  CHECK(run(cpp + "show", &code) == "bread\ncheese\n");
  CHECK(code == 0);
  Reply read = f.get(key_of("carts", "alice"));
  REQUIRE(ringlet_reply_count(read.get()) == 1);
  CHECK(text(ringlet_reply_value(read.get(), 0)) == "bread\ncheese\n");
  CHECK(text(ringlet_reply_content_type(read.get(), 0)) == "text/plain");
  for (const std::string& cart : {c, cpp}) {
    for (const char* wrong : {"", "add", "remove", "remove a b", "show x", "buy tea", "add ''"}) {
      CHECK(has(run(cart + wrong, &code), "usage"));
      CHECK(code == 2);
    }
  }
  CHECK(has(run(std::string(CART_C) + " nowhere alice show", &code), "client.seeds"));
  CHECK(code == 1);
}

TEST_CASE("the C and the C++ document cart fill one cart") {
  Fixture f;
  const std::string seeds = ringlet_cluster_seeds(f.cluster.get());
  const std::string c = std::string(DOCUMENT_CART_C) + " " + seeds + " alice ";
  const std::string cpp = std::string(DOCUMENT_CART_CPP) + " " + seeds + " alice ";
  int code = -1;
  CHECK(run(c + "show", &code) == "");
  CHECK(code == 0);
  CHECK(run(c + "add tea 2", &code) == "   2 tea\n");
  CHECK(run(cpp + "add tea", &code) == "   3 tea\n");
  CHECK(run(cpp + "add milk", &code) == "   1 milk\n   3 tea\n");
  CHECK(run(c + "coupon SUMMER", &code) == "coupon SUMMER\n   1 milk\n   3 tea\n");
  CHECK(run(c + "remove milk", &code) == "coupon SUMMER\n   3 tea\n");
  CHECK(run(cpp + "remove tea", &code) == "coupon SUMMER\n");
  CHECK(run(c + "remove tea", &code) == "coupon SUMMER\n");
  CHECK(run(cpp + "show", &code) == "coupon SUMMER\n");
  CHECK(code == 0);
  for (const std::string& cart : {c, cpp}) {
    for (const char* wrong : {"", "add", "add tea 0", "add tea x", "add tea 9999999999999999999999",
                              "remove", "remove a b", "coupon", "show x", "buy tea"}) {
      CHECK(has(run(cart + wrong, &code), "usage"));
      CHECK(code == 2);
    }
    CHECK(has(run(cart + "add ''", &code), "wanted 1 to 1024 bytes, got 0"));
    CHECK(code == 1);
  }
  f.put(key_of("baskets", "bob"), "", "no document");
  for (const char* cart : {DOCUMENT_CART_C, DOCUMENT_CART_CPP}) {
    CHECK(has(run(cart + (" " + seeds + " bob add tea"), &code), "cart: "));
    CHECK(code == 1);
  }
}

TEST_CASE("the C and the C++ order log append each entry once") {
  Fixture f;
  const std::string seeds = ringlet_cluster_seeds(f.cluster.get());
  const std::string c = std::string(ORDER_LOG_C) + " " + seeds + " o1 ";
  const std::string cpp = std::string(ORDER_LOG_CPP) + " " + seeds + " o1 ";
  int code = -1;
  CHECK(run(c + "show", &code) == "");
  CHECK(run(c + "append paid", &code) == "1 paid\n");
  // What a clerk wrote at the same time as the first entry.
  f.put(key_of("orders", "o1"), "", "00000001 0000000000000000 called\n");
  CHECK(run(cpp + "show", &code) == "1 called\n1 paid\n");
  CHECK(run(cpp + "append packed", &code) == "1 called\n1 paid\n2 packed\n");
  f.put(key_of("orders", "o1"), "", "00000002 0000000000000000 called again\n");
  CHECK(run(c + "append packed", &code) ==
        "1 called\n1 paid\n2 called again\n2 packed\n3 packed\n");
  CHECK(code == 0);
  CHECK(ringlet_reply_count(f.get(key_of("orders", "o1")).get()) == 1);
  for (const std::string& log : {c, cpp}) {
    for (const char* wrong : {"", "append", "append ''", "append a b", "show x", "remove a"}) {
      CHECK(has(run(log + wrong, &code), "usage"));
      CHECK(code == 2);
    }
  }
  CHECK(has(run(std::string(ORDER_LOG_C) + " nowhere o1 show", &code), "client.seeds"));
  CHECK(code == 1);
}
