#include "daemon/config_file.hpp"

#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <sstream>

namespace ringlet::test {
namespace {

using Catch::Contains;
using Catch::StartsWith;

const std::string members = "[[members]]\nname = \"n1\"\naddress = \"127.0.0.1:7400\"\n";
const std::string least = "[node]\nname = \"n1\"\n" + members;

Config taken(const std::string& text) {
  auto config = parse_config(text, "node.toml");
  INFO(text << "\n" << config.status().to_string());
  REQUIRE(config.is_ok());
  return *config;
}

std::string refusal(const std::string& text) {
  auto config = parse_config(text, "node.toml");
  INFO(text);
  REQUIRE(!config.is_ok());
  REQUIRE(config.status().code() == Code::invalid_argument);
  return config.status().message();
}

// A configuration whose third line is `line`, in `section`.
std::string with(const std::string& section, const std::string& line) {
  if (section == "node") return "# a comment\n[node]\n" + line + "\nname = \"n1\"\n" + members;
  return "# a comment\n[" + section + "]\n" + line + "\n" + least;
}

struct Number {
  const char *section, *key;
  std::int64_t low, high;
};
// Every number of the file that stands alone, with its range.
const Number numbers[] = {
    {"node", "threads", 1, 64},
    {"node", "cache_mb", 8, 1 << 20},
    {"node", "memory_mb", 0, 1 << 22},
    {"cluster", "n", 1, 16},
    {"cluster", "r", 1, 16},
    {"cluster", "w", 1, 16},
    {"cluster", "partitions", 1, 65536},
    {"cluster", "epoch", 1, INT64_MAX},
    {"cluster", "timeout_ms", 1, 3'600'000},
    {"cluster", "linger_ms", 0, 3'600'000},
    {"limits", "max_key_bytes", 1, 65536},
    {"limits", "max_value_bytes", 1, 32 << 20},
    {"limits", "warn_siblings", 0, 65536},
    {"limits", "max_siblings", 1, 65536},
    {"limits", "max_siblings_bytes", 1024, 32 << 20},
    {"limits", "max_answer_bytes", 1024, 64LL << 30},
    {"limits", "max_requests", 1, 10'000'000},
    {"limits", "max_requests_per_connection", 1, 10'000'000},
    {"limits", "max_requests_per_node", 1, 10'000'000},
    {"limits", "max_requests_per_key", 1, 10'000'000},
    {"limits", "key_wait_ms", 1, 3'600'000},
    {"limits", "max_request_bytes", 1024, 64ll << 30},
    {"limits", "shed_after_ms", 1, 3'600'000},
    {"limits", "peer_gone_after_ms", 1000, 3'600'000},
    {"limits", "max_connections", 1, 1'000'000},
    {"limits", "max_reading_bytes", 1024, 64ll << 30},
    {"limits", "member_connections", 0, 100'000},
    {"limits", "client_idle_ms", 0, 24 * 3'600'000},
    {"limits", "max_frame_bytes", 56 << 20, 1 << 30},
    {"limits", "max_queued_bytes", 1024, 4ll << 30},
    {"failure", "silences_to_suspect", 1, 100},
    {"failure", "retry_ms", 10, 3'600'000},
    {"failure", "min_patience_ms", 1, 3'600'000},
    {"failure", "max_patience_ms", 1, 3'600'000},
    {"hints", "window", 1, 10'000},
    {"hints", "scan_ms", 10, 3'600'000},
    {"hints", "max_mb", 1, 1'048'576},
    {"hints", "max_age_ms", 1000, 366LL * 24 * 3'600'000},
    {"upkeep", "threshold_ms", 1, 3'600'000},
    {"upkeep", "window_ms", 1000, 3'600'000},
    {"upkeep", "queue_threshold_ms", 1, 3'600'000},
    {"upkeep", "queue_window_ms", 1000, 3'600'000},
    {"upkeep", "least_slices", 1, 1000},
    {"upkeep", "busy_slices", 1, 1'000'000},
    {"upkeep", "most_slices", 4000, 1'000'000},
    {"upkeep", "gossip_ms", 10, 3'600'000},
    {"upkeep", "transfer_parallel", 1, 1024},
    {"upkeep", "transfer_page_bytes", 1024, 16 << 20},
    {"upkeep", "transfer_patience_ms", 10, 3'600'000},
    {"upkeep", "repair_ms", 10, 24 * 3'600'000},
    {"upkeep", "surplus_ms", 10, 24 * 3'600'000},
    {"upkeep", "tombstone_ms", 10, 24 * 3'600'000},
    {"upkeep", "tombstone_grace_ms", 0, 10ll * 366 * 24 * 3'600'000},
};

}  // namespace

TEST_CASE("F-93 the least configuration is a name and a member; the rest has defaults") {
  Config config = taken(least);
  CHECK(config.node.name == "n1");
  CHECK(config.server.listen == "127.0.0.1:7400");  // the member's address
  CHECK(config.engine == "wiredtiger");
  CHECK(config.ring.replicas == 3);
  CHECK(config.ring.partitions == 64);
  CHECK(config.node.coordination.r == 2);
  CHECK(config.node.coordination.w == 2);
  CHECK(config.node.coordination.durability == WriteDurability::log);
  CHECK(config.node.coordination.reconcile == Reconcile::siblings);
}

TEST_CASE("F-93 an unknown key or section is an error with its line") {
  for (const char* section : {"node", "cluster", "limits", "failure", "hints", "upkeep", "log"}) {
    CHECK_THAT(
        refusal(with(section, "colour = 3")),
        StartsWith("node.toml:3: ") && Contains("unknown key " + std::string(section) + ".colour"));
  }
  CHECK_THAT(refusal(least + "[nodes]\n"), Contains("node.toml:6: unknown section [nodes]"));
  CHECK_THAT(refusal(least + "weigth = 2\n"), Contains("node.toml:6: unknown key members.weigth"));
  CHECK_THAT(refusal("name = \"n1\"\n" + least), StartsWith("node.toml:1: "));
}

TEST_CASE("F-93 limits that contradict each other are an error that names both") {
  CHECK(
      refusal(with("failure", "min_patience_ms = 300")) ==
      "node.toml: failure.min_patience_ms: wanted at most failure.max_patience_ms (250), got 300");
  CHECK(refusal(with("failure", "max_patience_ms = 10")) ==
        "node.toml: failure.min_patience_ms: wanted at most failure.max_patience_ms (10), got 20");
  taken(with("failure", "min_patience_ms = 300\nmax_patience_ms = 300"));
  for (const char* key : {"max_request_bytes", "max_queued_bytes"}) {
    std::string name = key;
    CHECK(refusal(with("limits", name + " = 1000000")) ==
          "node.toml: limits." + name +
              ": wanted at least limits.max_value_bytes and limits.max_key_bytes (8454144), got "
              "1000000");
    taken(with("limits", name + " = 1000000\nmax_value_bytes = 934464"));
  }
  // Members send each other all siblings of a key at once, up to 48 MiB.
  CHECK_THAT(refusal(with("limits", "max_frame_bytes = 10000000")),
             Contains("limits.max_frame_bytes: wanted a whole number from 58720256"));
}

TEST_CASE("F-93 an address with port 0 can be listened at, and leads nowhere") {
  const std::string second = "[[members]]\nname = \"n2\"\naddress = \"a:0\"\n";
  CHECK(refusal(least + second) ==
        "node.toml: member \"n2\" needs an address with a port of its own, got \"a:0\"");
  CHECK(refusal(least + "advertise = \"a:00\"\n") ==
        "node.toml: member \"n1\" needs an address with a port of its own, got \"a:00\"");
  CHECK(refusal(with("node", "advertise = \"a:0\"")) ==
        "node.toml: node.advertise: wanted a port that leads to this node, got \"a:0\"");
  taken(with("node", "listen = \"127.0.0.1:0\""));
}

TEST_CASE("F-93 every number of a wrong type or beyond its range is an error with its line") {
  for (const Number& number : numbers) {
    std::string path = std::string(number.section) + "." + number.key;
    std::string kind = path == "cluster.partitions" ? "a power of two" : "a whole number";
    std::string wanted = path + ": wanted " + kind + " from " + std::to_string(number.low) +
                         " to " + std::to_string(number.high) + ", got ";
    auto line = [&](const std::string& value) {
      return with(number.section, std::string(number.key) + " = " + value);
    };
    for (const std::string& value : {std::string("1.5"), std::string("\"7\""), std::string("true"),
                                     std::string("[1]"), std::to_string(number.low - 1)}) {
      CHECK_THAT(refusal(line(value)), StartsWith("node.toml:3: " + wanted));
    }
    if (number.high < INT64_MAX) {
      CHECK_THAT(refusal(line(std::to_string(number.high + 1))),
                 StartsWith("node.toml:3: " + wanted + std::to_string(number.high + 1)));
    }
    // Both ends are taken, unless what belongs together (R <= N <= …) forbids them.
    bool alone = std::string(number.section) != "cluster" ||
                 std::string(number.key).ends_with("_ms") || number.key == std::string("epoch");
    for (const char* key :
         {"max_request_bytes", "max_queued_bytes", "min_patience_ms", "max_patience_ms"}) {
      alone = alone && number.key != std::string(key);
    }
    if (!alone) continue;
    taken(line(std::to_string(number.low)));
    taken(line(std::to_string(number.high)));
  }
}

TEST_CASE(
    "F-93 a memory limit that leaves nothing beside the cache is refused, with what is least") {
  CHECK(refusal(with("node", "cache_mb = 100\nmemory_mb = 313")) ==
        "node.toml: node.memory_mb: wanted 0 (no limit) or at least 2.5 times node.cache_mb and 64 "
        "more (314), got 313");
  Config config = taken(with("node", "cache_mb = 100\nmemory_mb = 314"));
  // Room for the largest value.
  CHECK(
      refusal(with("node", "cache_mb = 8\nmemory_mb = 84")) ==
      "node.toml: node.memory_mb: wanted at least 122 (1.25 times node.cache_mb, 32 and ten times "
      "limits.max_value_bytes, which is 8388608), got 84; with that, limits.max_value_bytes may be "
      "4404019");
  CHECK(refusal(with("node", "cache_mb = 8\nmemory_mb = 121")).find("at least 122") !=
        std::string::npos);
  taken(with("node", "cache_mb = 8\nmemory_mb = 122"));
  taken("[limits]\nmax_value_bytes = 4404019\n" + with("node", "cache_mb = 8\nmemory_mb = 84"));
  taken("[limits]\nmax_value_bytes = 4404020\n" + with("node", "cache_mb = 8\nmemory_mb = 85"));
  const ServerLimits& limits = config.server.limits;
  CHECK(limits.max_resident_bytes == std::size_t{314} << 20);
  CHECK(limits.max_request_bytes + limits.max_answer_bytes < std::size_t{314 - 125} << 20);
  CHECK(limits.max_queued_bytes <= limits.max_answer_bytes);
  CHECK(config.node.siblings_bytes_here < limits.max_answer_bytes);
  // What the file allows less of stays.
  Config less = taken("[limits]\nmax_answer_bytes = 4096\n" + with("node", "memory_mb = 4096"));
  CHECK(less.server.limits.max_answer_bytes == 4096);
}

TEST_CASE("F-93 a text of a wrong type, or a word that is none of the choices") {
  for (const auto& [section, key] : {std::pair{"node", "listen"},
                                     {"node", "data_dir"},
                                     {"node", "engine"},
                                     {"node", "pid_file"},
                                     {"node", "port_file"},
                                     {"cluster", "name"},
                                     {"cluster", "reconcile"},
                                     {"cluster", "durability"},
                                     {"log", "level"},
                                     {"log", "file"}}) {
    CHECK_THAT(
        refusal(with(section, std::string(key) + " = 3")),
        StartsWith("node.toml:3: " + std::string(section) + "." + key + ": wanted a string") &&
            Contains("got 3"));
  }
  CHECK_THAT(refusal(with("node", "engine = \"paper\"")),
             Contains("\"wiredtiger\" or \"memory\"") && Contains("paper"));
  CHECK_THAT(refusal(with("cluster", "durability = \"tape\"")),
             Contains("\"buffer\" or \"log\" or \"disk\""));
  CHECK_THAT(refusal(with("cluster", "reconcile = \"LWW\"")), Contains("\"siblings\" or \"lww\""));
  CHECK_THAT(refusal(with("log", "level = \"loud\"")), Contains("\"trace\""));
}

TEST_CASE("F-93 words are taken for what they say") {
  CHECK(taken(with("cluster", "durability = \"buffer\"")).node.coordination.durability ==
        WriteDurability::buffer);
  CHECK(taken(with("cluster", "durability = \"disk\"")).node.coordination.durability ==
        WriteDurability::disk);
  CHECK(taken(with("cluster", "reconcile = \"lww\"")).node.coordination.reconcile ==
        Reconcile::lww);
  CHECK(taken(with("node", "engine = \"memory\"")).engine == "memory");
  CHECK(taken(with("cluster", "timeout_ms = 1234")).node.coordination.timeout ==
        Duration::millis(1234));
  CHECK(taken(with("limits", "max_siblings = 77")).node.max_siblings == 77);
  CHECK(taken(with("node", "listen = \"0.0.0.0:1\"")).server.listen == "0.0.0.0:1");
}

TEST_CASE("F-93 what is there twice is an error with the line of the second") {
  CHECK_THAT(refusal("[node]\nname = \"n1\"\nname = \"n2\"\n" + members),
             StartsWith("node.toml:3: "));
  CHECK_THAT(refusal(least + "[node]\nthreads = 1\n"), StartsWith("node.toml:6: "));
  CHECK_THAT(refusal(least + members), Contains("two members are named \"n1\""));
  CHECK_THAT(refusal(least + "[[members]]\nname = \"n2\"\naddress = \"127.0.0.1:7400\"\n"),
             Contains("same address"));
}

TEST_CASE("F-93 what is missing, or does not go together, is said") {
  CHECK_THAT(refusal(""), Contains("[node] name is missing"));
  CHECK_THAT(refusal("[node]\nname = \"n1\"\n"), Contains("[[members]]") && Contains("got n"));
  CHECK_THAT(refusal(members), Contains("[node] name is missing"));
  CHECK_THAT(refusal("[node]\nname = \"n2\"\n" + members),
             Contains("\"n2\" is not among the [[members]]"));
  // Whoever reads the sentence on a terminal is not to run what the file says.
  CHECK_THAT(refusal("[node]\nname = \"\\u001b2\"\n" + members),
             Contains("node.name: wanted") && Contains(R"(got "\\u001B2")"));
  CHECK_THAT(
      refusal("[node]\nname = \"n1\"\nlisten = \"\\u001b:0\"\n[cluster]\nseeds = [\"a:1\"]\n"),
      Contains("node.listen: wanted") && Contains(R"(got "\\u001B:0")"));
  CHECK_THAT(refusal("[node]\nname = \"n1\"\n[[members]]\naddress = \"a:1\"\n"),
             Contains("members.name is missing"));
  CHECK_THAT(refusal("[node]\nname = \"n1\"\n[[members]]\nname = \"n1\"\n"),
             Contains("members.address is missing"));
  CHECK_THAT(refusal("[node]\nname = \"n1\"\n[[members]]\nname = \"n1\"\naddress = \"nowhere\"\n"),
             Contains("host:port"));
  CHECK_THAT(refusal(with("cluster", "n = 1\nr = 2")), Contains("cluster.r: wanted at most"));
  CHECK_THAT(refusal(with("cluster", "n = 2\nw = 3")), Contains("cluster.w: wanted at most"));
  CHECK_THAT(refusal(with("cluster", "partitions = 12")), Contains("power of two"));
  CHECK_THAT(refusal(least + "weight = 0\n"), Contains("members.weight: wanted"));
  CHECK_THAT(refusal(least + "weight = \"2\"\n"), Contains("members.weight: wanted"));
  CHECK_THAT(refusal(least + "zone = 2\n"), Contains("members.zone: wanted a string"));
}

TEST_CASE("F-93 what is no TOML, or no table where one belongs, names its line") {
  CHECK_THAT(refusal("[node\nname = \"n1\"\n"), StartsWith("node.toml:1: "));
  CHECK_THAT(refusal(least + "[cluster]\nw = \n"), StartsWith("node.toml:7: "));
  CHECK_THAT(refusal("[node]\nname = \"n1\"\n[members]\nname = \"n1\"\n"),
             Contains("[[members]] tables"));
  CHECK_THAT(refusal("members = 3\n[node]\nname = \"n1\"\n"), Contains("[[members]] tables"));
  CHECK_THAT(refusal("members = [3]\n[node]\nname = \"n1\"\n"), Contains("[[members]] tables"));
  CHECK_THAT(refusal("cluster = 3\n" + least), Contains("[cluster]: wanted a table"));
  CHECK_THAT(refusal("[node]\nname = \"\xff\xfe\"\n"), StartsWith("node.toml:"));
}

TEST_CASE("F-93 the printed default configuration is read back as the defaults") {
  Config printed = taken(default_config());
  Config bare = taken(least);
  CHECK(printed.data_dir == bare.data_dir);
  CHECK(printed.engine == bare.engine);
  CHECK(printed.cache_mb == bare.cache_mb);
  CHECK(printed.log_level == bare.log_level);
  CHECK(printed.server.listen == bare.server.listen);
  CHECK(printed.server.threads == bare.server.threads);
  CHECK(printed.server.limits.max_frame_bytes == bare.server.limits.max_frame_bytes);
  CHECK(printed.node.max_value_bytes == bare.node.max_value_bytes);
  CHECK(printed.node.max_siblings == bare.node.max_siblings);
  CHECK(printed.node.coordination.timeout == bare.node.coordination.timeout);
  CHECK(printed.node.fault_detector.retry == bare.node.fault_detector.retry);
  CHECK(printed.node.hints.window == bare.node.hints.window);
  CHECK(printed.ring.members == bare.ring.members);
  // Every number is printed, and with a comment.
  std::string text = default_config();
  for (const Number& number : numbers) {
    auto at = text.find("\n" + std::string(number.key) + " = ");
    INFO(number.key);
    REQUIRE(at != std::string::npos);
    CHECK(text.substr(at + 1, text.find('\n', at + 1) - at).find("# ") != std::string::npos);
  }
}

TEST_CASE("F-93 every value of the default configuration is refused as another type") {
  std::istringstream lines(default_config());
  std::vector<std::string> all;
  for (std::string line; std::getline(lines, line);) all.push_back(line);
  int changed = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto equals = all[i].find(" = ");
    if (equals == std::string::npos || all[i][0] == '#') continue;
    std::string text;
    for (std::size_t k = 0; k < all.size(); ++k) {
      text += (k == i ? all[k].substr(0, equals) + " = 1979-05-27" : all[k]) + "\n";
    }
    CHECK_THAT(refusal(text), StartsWith("node.toml:" + std::to_string(i + 1) + ": ") &&
                                  Contains(all[i].substr(0, equals) + ": wanted"));
    ++changed;
  }
  CHECK(changed >= 36);
}

TEST_CASE("F-93 a file that cannot be read is named") {
  auto config = load_config("/nowhere/node.toml");
  REQUIRE(!config.is_ok());
  CHECK_THAT(config.status().message(), StartsWith("/nowhere/node.toml: "));
  std::string path = "config_file_test.toml";
  // An empty file is read, and says nothing.
  {
    std::ofstream empty(path);
  }
  CHECK_THAT(load_config(path).status().message(), StartsWith(path + ": [node] name is missing"));
  CHECK_THAT(load_config("/").status().message(), StartsWith("/: cannot be read"));
  std::ofstream(path) << least;
  CHECK(load_config(path).is_ok());
  std::ofstream(path) << least << "w = 1\n";
  auto wrong = load_config(path);
  REQUIRE(!wrong.is_ok());
  CHECK_THAT(wrong.status().message(), StartsWith(path + ":6: unknown key members.w"));
  std::remove(path.c_str());
}

TEST_CASE("F-93 F-103 an address for clients is one, said once, and what a file names is noted") {
  CHECK(refusal(with("node", "advertise = \"nowhere\""))
            .find("node.advertise: wanted a string: \"host:port\"") != Bytes::npos);
  Config config = taken(with("node", "advertise = \"a.example:80\""));
  CHECK(config.node.advertise == "a.example:80");
  CHECK(config.node.said.empty());
  config = taken(with("cluster", "n = 3\nr = 1\nreconcile = \"lww\""));
  CHECK(config.node.said ==
        SettingValues{{Setting::n, 3}, {Setting::reconcile, 1}, {Setting::r, 1}});
}

}  // namespace ringlet::test
