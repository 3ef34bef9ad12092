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
      {"client.timeout_ms", "soon", "an integer from 1 to 3600000"},
      {"client.timeout_ms", "0", "an integer from 1 to 3600000"},
      {"client.timeout_ms", "3600001", "an integer"},
      {"client.timeout_ms", "-1", "an integer"},
      {"client.timeout_ms", "99999999999999999999999", "an integer"},
      {"cluster.partitions", "63", "a power of two"},
      {"client.coordination", "both", "one of server client"},
      {"cluster.reconcile", "", "one of siblings lww"},
      {"client.seeds", "nowhere", "host:port"},
      {"client.seeds", "a:1,,b:2", "host:port"},
      {"client.seeds", "a:65536", "host:port"},
      {"node.members", "a=b:1,c", "name=host:port"},
      {"node.members", "a b=b:1", "name=host:port"},
      {"cluster.name", "with blank", "1 to 64 of"},
      {"log.level", "loud", "one of off"},
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
  for (const char* absent : {"lab", "check", "metrics", "tls", "", "engine.wiredtiger"}) {
    CHECK(ringlet_has(absent) == 0);
  }
  CHECK(ringlet_has(nullptr) == 0);
  CHECK(std::string(ringlet_status_name(RINGLET_QUORUM_NOT_MET)) == "QUORUM_NOT_MET");
  CHECK(std::string(ringlet_status_name(9999)) == "UNKNOWN");
}
