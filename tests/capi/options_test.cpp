#include "fixture.hpp"

using namespace capi_test;

namespace {

std::string refused(const char* name, const char* value, ringlet_status wanted) {
  Options o(ringlet_options_new());
  ringlet_error* error = nullptr;
  CHECK(ringlet_options_set(o.get(), name, value, &error) == wanted);
  Error owned(error);
  CHECK(ringlet_error_status(owned.get()) == wanted);
  return message(owned);
}

}  // namespace

TEST_CASE("an unknown option is answered with the nearest one") {
  std::string said = refused("client.seed", "127.0.0.1:1", RINGLET_UNKNOWN_OPTION);
  CHECK(has(said, "client.seed\""));
  CHECK(has(said, "client.seeds"));
  CHECK(has(refused("cluster.partition", "8", RINGLET_UNKNOWN_OPTION), "cluster.partitions"));
}

TEST_CASE("a bad value names the option, what was wanted and what was got") {
  struct {
    const char *name, *value, *wanted;
  } cases[] = {
      {"client.timeout_ms", "soon", "a whole number from 1 to 3600000"},
      {"client.timeout_ms", "0", "a whole number from 1 to 3600000"},
      {"client.timeout_ms", "3600001", "a whole number"},
      {"client.timeout_ms", "-1", "a whole number"},
      {"client.timeout_ms", "99999999999999999999999", "a whole number"},
      {"cluster.partitions", "63", "a power of two"},
      {"client.coordination", "both", "\"server\" or \"client\""},
      {"cluster.reconcile", "", "\"siblings\" or \"lww\""},
      {"client.seeds", "nowhere", "host:port"},
      {"client.seeds", "a:1,,b:2", "host:port"},
      {"client.seeds", "a:65536", "host:port"},
      {"node.members", "a=b:1,c", "name=host:port"},
      {"node.members", "a b=b:1", "name=host:port"},
      {"cluster.name", "with blank", "1 to 64 of"},
      {"log.level", "loud", "\"off\""},
  };
  for (const auto& c : cases) {
    std::string said = refused(c.name, c.value, RINGLET_INVALID_ARGUMENT);
    INFO(said);
    CHECK(has(said, c.name));
    CHECK(has(said, c.wanted));
    CHECK(has(said, "got \"" + std::string(c.value)));
  }
}

TEST_CASE("option names and values are UTF-8 and not NULL") {
  CHECK(has(refused(nullptr, "1", RINGLET_INVALID_ARGUMENT), "name"));
  CHECK(has(refused("cluster.n", nullptr, RINGLET_INVALID_ARGUMENT), "value"));
  CHECK(has(refused("cluster.\xff", "1", RINGLET_INVALID_ARGUMENT), "UTF-8"));
  CHECK(has(refused("cluster.name", "\xed\xa0\x80", RINGLET_INVALID_ARGUMENT), "UTF-8"));
  CHECK(has(refused("cluster.name", "\xc0\x80", RINGLET_INVALID_ARGUMENT), "UTF-8"));
  CHECK(ringlet_options_set(nullptr, "cluster.n", "3", nullptr) == RINGLET_INVALID_ARGUMENT);
}

TEST_CASE("every option is described and takes its own default") {
  Text described(ringlet_options_describe());
  std::string json = text(described);
  for (const char* name : {"client.seeds",
                           "client.cluster",
                           "client.coordination",
                           "client.timeout_ms",
                           "client.refresh_ms",
                           "client.max_in_flight",
                           "log.level",
                           "cluster.n",
                           "cluster.r",
                           "cluster.w",
                           "cluster.partitions",
                           "cluster.reconcile",
                           "cluster.name",
                           "node.name",
                           "node.listen",
                           "node.members",
                           "node.threads",
                           "limits.max_key_bytes",
                           "limits.max_value_bytes",
                           "limits.max_siblings",
                           "limits.max_siblings_bytes",
                           "limits.max_requests_per_connection",
                           "limits.max_request_bytes",
                           "limits.max_answer_bytes",
                           "limits.max_connections",
                           "upkeep.busy_slices"}) {
    CHECK(has(json, std::string("\"name\":\"") + name + "\""));
  }
  CHECK(has(json, "\"doc\""));
  CHECK(has(json, "\"default\":\"siblings\""));
}

TEST_CASE(
    "an option that a handle would ignore is an error, unless the set is for several handles") {
  struct {
    const char *name, *value;
  } of_others[] = {
      {"cluster.n", "5"}, {"cluster.r", "1"}, {"limits.max_requests", "5"}, {"node.threads", "2"}};
  for (const auto& other : of_others) {
    Options o = options({{"client.seeds", "127.0.0.1:1"}, {other.name, other.value}});
    ringlet_client* client = nullptr;
    ringlet_error* error = nullptr;
    CHECK(ringlet_client_open(o.get(), RINGLET_ABI, &client, &error) == RINGLET_INVALID_ARGUMENT);
    Error owned(error);
    CHECK(client == nullptr);
    CHECK(has(message(owned), other.name));
    CHECK(has(message(owned), "a client has no use for it"));
    REQUIRE(ringlet_options_set(o.get(), "options.shared", "true", nullptr) == RINGLET_OK);
    CHECK(ringlet_client_open(o.get(), RINGLET_ABI, &client, nullptr) == RINGLET_OK);
    ringlet_client_release(client);
  }
  Options o = options({{"client.seeds", "127.0.0.1:1"}});
  ringlet_node* node = nullptr;
  ringlet_cluster* cluster = nullptr;
  CHECK(ringlet_node_start(o.get(), RINGLET_ABI, &node, nullptr) == RINGLET_INVALID_ARGUMENT);
  CHECK(ringlet_cluster_start(o.get(), 1, RINGLET_ABI, &cluster, nullptr) ==
        RINGLET_INVALID_ARGUMENT);
  CHECK(has(refused("node.data_dir", "data", RINGLET_UNKNOWN_OPTION), "is for ringletd"));
}

TEST_CASE("every key of the file that a program can use takes effect in it") {
  Options o = options({{"cluster.n", "1"},
                       {"cluster.r", "1"},
                       {"cluster.w", "1"},
                       {"limits.max_value_bytes", "4"},
                       {"limits.max_connections", "50"},
                       {"hints.max_age_ms", "5000"},
                       {"upkeep.gossip_ms", "200"},
                       {"options.shared", "true"}});
  ringlet_cluster* cluster = nullptr;
  REQUIRE(ringlet_cluster_start(o.get(), 1, RINGLET_ABI, &cluster, nullptr) == RINGLET_OK);
  REQUIRE(ringlet_options_set(o.get(), "client.seeds", ringlet_cluster_seeds(cluster), nullptr) ==
          RINGLET_OK);
  ringlet_client* client = nullptr;
  REQUIRE(ringlet_client_open(o.get(), RINGLET_ABI, &client, nullptr) == RINGLET_OK);
  ringlet_key key = key_of("b", "k");
  ringlet_error* error = nullptr;
  const std::string fits = "four", too_long = "five5";
  CHECK(ringlet_put(client, key, {}, bytes(fits), nullptr, nullptr, nullptr) == RINGLET_OK);
  CHECK(ringlet_put(client, key, {}, bytes(too_long), nullptr, nullptr, &error) != RINGLET_OK);
  Error owned(error);
  CHECK(has(message(owned), "4 bytes"));
  ringlet_client_release(client);
  ringlet_cluster_release(cluster);
}

TEST_CASE("a client without seeds is refused, and says so") {
  Options o(ringlet_options_new());
  ringlet_client* client = nullptr;
  ringlet_error* error = nullptr;
  CHECK(ringlet_client_open(o.get(), RINGLET_ABI, &client, &error) == RINGLET_INVALID_ARGUMENT);
  Error owned(error);
  CHECK(client == nullptr);
  CHECK(has(message(owned), "client.seeds"));
}

TEST_CASE("another ABI is refused with both numbers") {
  Options o = options({{"client.seeds", "127.0.0.1:1"}});
  for (std::uint32_t abi : {0u, RINGLET_ABI + 1, RINGLET_ABI + 0x10000, 0xffffffffu}) {
    ringlet_client* client = nullptr;
    ringlet_node* node = nullptr;
    ringlet_cluster* cluster = nullptr;
    ringlet_error* error = nullptr;
    CHECK(ringlet_client_open(o.get(), abi, &client, &error) == RINGLET_ABI_MISMATCH);
    Error owned(error);
    CHECK(has(message(owned), std::to_string(abi >> 16) + "." + std::to_string(abi & 0xffff)));
    CHECK(has(message(owned), "1." + std::to_string(RINGLET_ABI_MINOR)));
    CHECK(ringlet_node_start(o.get(), abi, &node, nullptr) == RINGLET_ABI_MISMATCH);
    CHECK(ringlet_cluster_start(nullptr, 3, abi, &cluster, nullptr) == RINGLET_ABI_MISMATCH);
  }
}

TEST_CASE("versions, features and names of statuses") {
  CHECK(ringlet_abi_version() == RINGLET_ABI);
  CHECK(std::string(ringlet_version()).size() >= 5);
  CHECK(ringlet_has("queue") == 1);
  for (const char* absent : {"check", "metrics", "tls", "", "engine.wiredtiger"}) {
    CHECK(ringlet_has(absent) == 0);
  }
  CHECK(ringlet_has(nullptr) == 0);
  CHECK(std::string(ringlet_status_name(RINGLET_QUORUM_NOT_MET)) == "QUORUM_NOT_MET");
  CHECK(std::string(ringlet_status_name(9999)) == "UNKNOWN");
}
