#include "configuration/config_keys.hpp"

#include <algorithm>
#include <charconv>

#include "membership/settings.hpp"
#include "runtime/address.hpp"

namespace ringlet {
namespace {

constexpr std::int64_t gib = 1 << 30;
constexpr std::int64_t hour_ms = 3'600'000;
// Members send each other all siblings of a key in one message, with what goes with them.
constexpr std::int64_t least_frame_bytes = max_object_bytes + (8 << 20);

constexpr unsigned nodes = for_daemon | for_node | for_cluster;
constexpr unsigned members = for_daemon | for_node;
constexpr unsigned programs = for_node | for_cluster | for_client;
constexpr unsigned everybody = nodes | for_client;

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

bool is_address(const std::string& text, bool any_port) {
  for (char c : text) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '=' || c == ',') return false;
  }
  Result<Address> address = Address::parse(text);
  return address && (address->port != 0 || any_port);
}

bool is_member(const std::string& text) {
  std::size_t equals = text.find('=');
  return equals != std::string::npos && is_name(text.substr(0, equals)) &&
         is_address(text.substr(equals + 1), false);
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  if (trimmed(text).empty()) return parts;
  while (true) {
    std::size_t end = text.find(',');
    parts.emplace_back(trimmed(text.substr(0, end)));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string joined(const std::vector<std::string>& list) {
  std::string all;
  for (const std::string& item : list) all += (all.empty() ? "" : ",") + item;
  return all;
}

// Fills the table. A field is named by a function that gives a reference to it, for `get` and `set` alike.
class KeyTable {
 public:
  void section(const char* name) { section_ = name; }

  template <typename Field>
  ConfigKey& text(const char* key, unsigned uses, const char* about, Field field) {
    return add(
        key, ConfigType::text, uses, about,
        [field](const Config& c) { return ConfigValue(field(mutable_of(c))); },
        [field](Config& c, const ConfigValue& v) { field(c) = std::get<std::string>(v); });
  }

  template <typename Field>
  void name(const char* key, unsigned uses, const char* about, Field field) {
    text(key, uses, about, field).type = ConfigType::name;
  }

  template <typename Field>
  void address(const char* key, unsigned uses, const char* about, Field field) {
    text(key, uses, about, field).type = ConfigType::address;
  }

  template <typename Field>
  void word(const char* key, unsigned uses, std::vector<std::string> words, const char* about,
            Field field) {
    ConfigKey& made = text(key, uses, about, field);
    made.type = ConfigType::word;
    made.words = std::move(words);
  }

  // An enumeration or bool whose `first` is words[0], and so on.
  template <typename Field>
  void choice(const char* key, unsigned uses, std::vector<std::string> words, int first,
              const char* about, Field field) {
    ConfigKey& made = add(
        key, ConfigType::word, uses, about,
        [field, words, first](const Config& c) {
          return ConfigValue(
              words.at(static_cast<std::size_t>(static_cast<int>(field(mutable_of(c))) - first)));
        },
        [field, words, first](Config& c, const ConfigValue& v) {
          auto at = std::find(words.begin(), words.end(), std::get<std::string>(v));
          using Type = std::remove_reference_t<decltype(field(c))>;
          field(c) = static_cast<Type>(static_cast<int>(at - words.begin()) + first);
        });
    made.words = std::move(words);
  }

  template <typename Field>
  void addresses(const char* key, unsigned uses, const char* about, Field field) {
    add(
        key, ConfigType::addresses, uses, about,
        [field](const Config& c) { return ConfigValue(field(mutable_of(c))); },
        [field](Config& c, const ConfigValue& v) {
          field(c) = std::get<std::vector<std::string>>(v);
        });
  }

  template <typename Field>
  ConfigKey& number(const char* key, unsigned uses, std::int64_t low, std::int64_t high,
                    const char* about, Field field) {
    ConfigKey& made = add(
        key, ConfigType::integer, uses, about,
        [field](const Config& c) {
          return ConfigValue(static_cast<std::int64_t>(field(mutable_of(c))));
        },
        [field](Config& c, const ConfigValue& v) {
          using Type = std::remove_reference_t<decltype(field(c))>;
          field(c) = static_cast<Type>(std::get<std::int64_t>(v));
        });
    made.low = low;
    made.high = high;
    return made;
  }

  template <typename Field>
  void millis(const char* key, unsigned uses, std::int64_t low, std::int64_t high,
              const char* about, Field field) {
    ConfigKey& made = add(
        key, ConfigType::integer, uses, about,
        [field](const Config& c) { return ConfigValue(field(mutable_of(c)).millis()); },
        [field](Config& c, const ConfigValue& v) {
          field(c) = Duration::millis(std::get<std::int64_t>(v));
        });
    made.low = low;
    made.high = high;
  }

  ConfigKey& add(const char* key, ConfigType type, unsigned uses, const char* about,
                 std::function<ConfigValue(const Config&)> get,
                 std::function<void(Config&, const ConfigValue&)> set) {
    keys_.push_back({section_, key, type, 0, 0, {}, about, uses, std::move(get), std::move(set)});
    return keys_.back();
  }

  std::vector<ConfigKey> take() {
    // What is the cluster's has one pair of bounds, also in messages and on disks.
    for (ConfigKey& key : keys_) {
      const SettingRule* rule = find_setting(key.name());
      if (rule == nullptr || rule->section + std::string(".") + rule->key != key.name()) continue;
      if (!rule->words.empty()) {
        key.words = rule->words;
      } else {
        key.low = static_cast<std::int64_t>(rule->low);
        key.high = static_cast<std::int64_t>(rule->high);
      }
    }
    return std::move(keys_);
  }

 private:
  // The fields of a Config are read through the same functions that give them to be written.
  static Config& mutable_of(const Config& config) { return const_cast<Config&>(config); }

  std::string section_;
  std::vector<ConfigKey> keys_;
};

void add_node_keys(KeyTable& t) {
  t.section("node");
  t.name("name", members, "this node's name, one of the members'",
         [](Config& c) -> auto& { return c.node.name; });
  t.address("listen", members,
            "host:port to listen on; port 0: any free one; empty: the member's address",
            [](Config& c) -> auto& { return c.server.listen; });
  t.address("advertise", members,
            "host:port where clients reach it, behind a port map or NAT; empty: at its address",
            [](Config& c) -> auto& { return c.node.advertise; });
  t.text("data_dir", for_daemon, "where the engine keeps its files; one node a directory",
         [](Config& c) -> auto& { return c.data_dir; });
  t.word("engine", for_daemon, {"wiredtiger", "memory"},
         "wiredtiger, or memory (nothing survives a stop)",
         [](Config& c) -> auto& { return c.engine; });
  t.text("pid_file", for_daemon, "written when ready, removed at the end; empty: none",
         [](Config& c) -> auto& { return c.pid_file; });
  t.text("port_file", for_daemon, "the port listened on, likewise",
         [](Config& c) -> auto& { return c.port_file; });
  t.add(
      "members", ConfigType::members, for_node,
      "all members that found the cluster; empty: this node alone",
      [](const Config& c) {
        std::vector<std::string> list;
        for (const Member& member : c.ring.members)
          list.push_back(member.name + "=" + member.address);
        return ConfigValue(list);
      },
      [](Config& c, const ConfigValue& v) {
        c.ring.members.clear();
        for (const std::string& item : std::get<std::vector<std::string>>(v)) {
          std::size_t equals = item.find('=');
          Member member;
          member.name = item.substr(0, equals);
          member.address = item.substr(equals + 1);
          member.id = node_id_of(member.name);
          c.ring.members.push_back(std::move(member));
        }
      });
  t.number("threads", nodes, 1, 64, "I/O threads, besides one for large writes",
           [](Config& c) -> auto& { return c.server.threads; });
  t.number("cache_mb", for_daemon, 8, 1 << 20, "the engine's cache, MiB",
           [](Config& c) -> auto& { return c.cache_mb; });
  t.number("memory_mb", for_daemon, 0, 1 << 22,
           "the whole process may use, MiB; near it clients are overloaded; 0: no limit",
           [](Config& c) -> auto& { return c.memory_mb; });
}

void add_cluster_keys(KeyTable& t) {
  t.section("cluster");
  t.name("name", everybody, "nodes and clients of another name are refused",
         [](Config& c) -> auto& { return c.ring.cluster; });
  t.addresses("seeds", for_daemon,
              "nodes to hear of the cluster from; with no [[members]] this node waits to be joined",
              [](Config& c) -> auto& { return c.node.seeds; });
  t.number("n", nodes, 0, 0, "replicas of a key (N)",
           [](Config& c) -> auto& { return c.ring.replicas; });
  t.number("r", nodes, 0, 0, "answers a read waits for (R)",
           [](Config& c) -> auto& { return c.node.coordination.r; });
  t.number("w", nodes, 0, 0, "copies a write waits for (W); an owner and its substitute are one",
           [](Config& c) -> auto& { return c.node.coordination.w; });
  t.number("partitions", nodes, 0, 0, "Q, a power of two, the same for ever",
           [](Config& c) -> auto& { return c.ring.partitions; })
      .type = ConfigType::power;
  t.number("epoch", members, 1, INT64_MAX, "raise it with every change of the members",
           [](Config& c) -> auto& { return c.ring.epoch; });
  t.choice(
      "reconcile", nodes, {"siblings", "lww"}, static_cast<int>(Reconcile::siblings),
      "siblings: the application merges; lww: the last stamp wins and concurrent writes are lost",
      [](Config& c) -> auto& { return c.node.coordination.reconcile; });
  t.choice("durability", nodes, {"buffer", "log", "disk"},
           static_cast<int>(WriteDurability::buffer),
           "what an acknowledged write survives: buffer nothing, log the process, disk the machine",
           [](Config& c) -> auto& { return c.node.coordination.durability; });
  t.millis("timeout_ms", nodes, 1, hour_ms, "of a request that names none",
           [](Config& c) -> auto& { return c.node.coordination.timeout; });
  t.millis("linger_ms", nodes, 0, hour_ms, "for late replies, after the answer",
           [](Config& c) -> auto& { return c.node.coordination.linger; });
}

void add_limit_keys(KeyTable& t) {
  t.section("limits");
  t.number("max_key_bytes", nodes, 0, 0, "bucket and key together",
           [](Config& c) -> auto& { return c.node.max_key_bytes; });
  t.number("max_value_bytes", nodes, 0, 0, "one value",
           [](Config& c) -> auto& { return c.node.max_value_bytes; });
  t.number("warn_siblings", nodes, 0, 65536, "said in the log at each multiple of it; 0: never",
           [](Config& c) -> auto& { return c.node.warn_siblings; });
  t.number("max_siblings", nodes, 0, 0, "a write that would make more is refused",
           [](Config& c) -> auto& { return c.node.max_siblings; });
  t.number("max_siblings_bytes", nodes, 0, 0, "likewise, of all siblings of a key together",
           [](Config& c) -> auto& { return c.node.max_siblings_bytes; });
  t.number("max_requests", nodes, 1, 10'000'000, "at once on a thread; more is overloaded",
           [](Config& c) -> auto& { return c.node.max_requests; });
  t.number("max_requests_per_connection", nodes, 1, 10'000'000, "of a client, under way",
           [](Config& c) -> auto& { return c.server.limits.max_requests_per_connection; });
  t.number("max_requests_per_node", nodes, 1, 10'000'000,
           "of clients, under way, all threads together",
           [](Config& c) -> auto& { return c.server.limits.max_requests_per_node; });
  t.number("max_requests_per_key", nodes, 1, 10'000'000,
           "of clients, of one key, served at once by a thread; others wait",
           [](Config& c) -> auto& { return c.server.limits.max_requests_per_key; });
  t.millis("key_wait_ms", nodes, 1, hour_ms,
           "a request that waited longer for others of its key is overloaded",
           [](Config& c) -> auto& { return c.server.limits.key_wait; });
  t.number("max_request_bytes", nodes, 1024, 64 * gib,
           "of clients' requests under way, all threads together",
           [](Config& c) -> auto& { return c.server.limits.max_request_bytes; });
  t.number("max_answer_bytes", nodes, 1024, 64 * gib,
           "of answers not taken yet, all threads together; then reads are overloaded",
           [](Config& c) -> auto& { return c.server.limits.max_answer_bytes; });
  t.number("max_reading_bytes", nodes, 1024, 64 * gib,
           "of frames that are not whole yet, all threads together; beyond it reading pauses",
           [](Config& c) -> auto& { return c.server.limits.max_reading_bytes; });
  t.millis("shed_after_ms", nodes, 1, hour_ms,
           "a client's request that waited longer is overloaded, when that lasts",
           [](Config& c) -> auto& { return c.server.limits.shed_after; });
  t.millis("peer_gone_after_ms", nodes, 1000, hour_ms,
           "nothing acknowledged by the other machine for so long: its connection is closed",
           [](Config& c) -> auto& { return c.server.limits.peer_gone_after; });
  t.number("max_connections", nodes, 1, 1'000'000,
           "at once; fewer where the process may not have as many open files (RLIMIT_NOFILE)",
           [](Config& c) -> auto& { return c.server.limits.max_connections; });
  t.number("member_connections", nodes, 0, 100'000,
           "of them, which clients cannot take; a quarter of all at most",
           [](Config& c) -> auto& { return c.server.limits.member_connections; });
  t.millis("client_idle_ms", nodes, 0, 24 * hour_ms,
           "a client that asks nothing for so long is disconnected; 0: never",
           [](Config& c) -> auto& { return c.server.limits.client_idle; });
  t.number("max_frame_bytes", nodes, least_frame_bytes, gib,
           "one message, which may hold all siblings of a key",
           [](Config& c) -> auto& { return c.server.limits.max_frame_bytes; });
  t.number("max_queued_bytes", nodes, 1024, 4 * gib, "to one slow reader",
           [](Config& c) -> auto& { return c.server.limits.max_queued_bytes; });
}

void add_failure_keys(KeyTable& t) {
  t.section("failure");
  t.number("silences_to_suspect", nodes, 1, 100,
           "in a row, until a node is believed gone; the first is followed by a ping",
           [](Config& c) -> auto& { return c.node.fault_detector.silences_to_suspect; });
  t.millis("retry_ms", nodes, 10, hour_ms, "until a node believed gone is asked again",
           [](Config& c) -> auto& { return c.node.fault_detector.retry; });
  t.millis("min_patience_ms", nodes, 1, hour_ms, "least time a replica may be silent",
           [](Config& c) -> auto& { return c.node.fault_detector.min_patience; });
  t.millis("max_patience_ms", nodes, 1, hour_ms, "most",
           [](Config& c) -> auto& { return c.node.fault_detector.max_patience; });

  t.section("hints");
  t.number("window", nodes, 1, 10'000, "under way to one owner",
           [](Config& c) -> auto& { return c.node.hints.window; });
  t.millis("scan_ms", nodes, 10, hour_ms, "between two looks at the waiting hints",
           [](Config& c) -> auto& { return c.node.hints.scan; });
  ConfigKey& most = t.add(
      "max_mb", ConfigType::integer, nodes,
      "of hints for one owner that is down; beyond it those go that all other owners have",
      [](const Config& c) {
        return ConfigValue(static_cast<std::int64_t>(c.node.hints.max_bytes >> 20));
      },
      [](Config& c, const ConfigValue& v) {
        c.node.hints.max_bytes = static_cast<std::uint64_t>(std::get<std::int64_t>(v)) << 20;
      });
  most.low = 1;
  most.high = 1'048'576;
  t.millis("max_age_ms", nodes, 1000, 366LL * 24 * hour_ms, "likewise when they are older",
           [](Config& c) -> auto& { return c.node.hints.max_age; });
}

void add_upkeep_keys(KeyTable& t) {
  t.section("upkeep");
  t.millis("threshold_ms", nodes, 1, hour_ms,
           "p99 of the storage's calls beyond which background work steps back",
           [](Config& c) -> auto& { return c.node.pace.storage_threshold; });
  t.millis("window_ms", nodes, 1000, hour_ms, "of that p99",
           [](Config& c) -> auto& { return c.node.pace.window; });
  t.millis("queue_threshold_ms", nodes, 1, hour_ms,
           "p99 of the requests' wait for a thread, likewise",
           [](Config& c) -> auto& { return c.node.pace.queue_threshold; });
  t.millis("queue_window_ms", nodes, 1000, hour_ms, "of that p99",
           [](Config& c) -> auto& { return c.node.pace.queue_window; });
  t.number("least_slices", nodes, 1, 1000,
           "a second, each kind of background work; a slice is up to 64 KiB",
           [](Config& c) -> auto& { return c.node.pace.floor; });
  t.number("busy_slices", nodes, 1, 1'000'000,
           "a second, all kinds together, while requests are served",
           [](Config& c) -> auto& { return c.node.pace.busy; });
  t.number("most_slices", nodes, 4000, 1'000'000, "a second, all kinds together",
           [](Config& c) -> auto& { return c.node.pace.most; });
  t.millis("gossip_ms", nodes, 10, hour_ms, "between two rounds of gossip",
           [](Config& c) -> auto& { return c.node.gossip.round; });
  t.number("transfer_parallel", nodes, 1, 1024, "partitions that come in at a time",
           [](Config& c) -> auto& { return c.node.transfer.parallel; });
  t.number("transfer_page_bytes", nodes, 1024, 16 * 1024 * 1024,
           "asked for at a time; 8 KiB while requests are served",
           [](Config& c) -> auto& { return c.node.transfer.page_bytes; });
  t.millis("transfer_patience_ms", nodes, 10, hour_ms,
           "for one page, before another owner is asked",
           [](Config& c) -> auto& { return c.node.transfer.patience; });
  t.millis("repair_ms", nodes, 10, 24 * hour_ms,
           "between two comparisons with an owner of the same partitions (anti-entropy)",
           [](Config& c) -> auto& { return c.node.tree_exchange.period; });
  t.millis("surplus_ms", nodes, 10, 24 * hour_ms,
           "between two looks for objects of partitions that left",
           [](Config& c) -> auto& { return c.node.surplus.scan; });
  t.millis("tombstone_ms", nodes, 10, 24 * hour_ms, "between two walks in search of tombstones",
           [](Config& c) -> auto& { return c.node.tombstones.period; });
  t.millis("tombstone_grace_ms", nodes, 0, 0,
           "a tombstone is kept so long, by each owner's own running time; below an hour also "
           "how long a write that was deleted is known when it is repeated",
           [](Config& c) -> auto& { return c.node.tombstones.grace; });
}

void add_client_keys(KeyTable& t) {
  t.section("client");
  t.addresses("seeds", for_client, "where to find the cluster: host:port, several with commas",
              [](Config& c) -> auto& { return c.client.seeds; });
  t.name("cluster", for_client,
         "the cluster's name, where it is not cluster.name; a node of another one is refused",
         [](Config& c) -> auto& { return c.client.cluster; });
  t.choice("coordination", for_client, {"server", "client"}, static_cast<int>(Coordination::server),
           "what asks the replicas and counts their answers: a node, or this process",
           [](Config& c) -> auto& { return c.client.coordination; });
  t.millis("timeout_ms", for_client, 1, write_life.millis(),
           "a whole call, retries included, unless the call says otherwise",
           [](Config& c) -> auto& { return c.client.timeout; });
  t.millis("refresh_ms", for_client, 10, hour_ms, "how often the routing table is fetched again",
           [](Config& c) -> auto& { return c.client.refresh; });
  t.number("max_in_flight", for_client, 1, 1'000'000, "calls at once; one more is OVERLOADED",
           [](Config& c) -> auto& { return c.client.max_in_flight; });
  t.number("update_attempts", for_client, 1, 1000,
           "how often an update writes before it leaves siblings that it meets to the next reader",
           [](Config& c) -> auto& { return c.update_attempts; });
  t.add(
      "name_servers", ConfigType::addresses, for_client,
      "address:port of the name servers to ask, in numbers; empty: the system's",
      [](const Config& c) { return ConfigValue(split(c.client.name_servers)); },
      [](Config& c, const ConfigValue& v) {
        c.client.name_servers = joined(std::get<std::vector<std::string>>(v));
      });
}

void add_other_keys(KeyTable& t) {
  t.section("log");
  t.word("level", everybody, {"trace", "debug", "info", "warn", "error", "off"},
         "the least important record that is kept: trace, debug, info, warn, error or off",
         [](Config& c) -> auto& { return c.log_level; });
  t.text("file", for_daemon, "empty: stderr; SIGHUP and SIGUSR1 open it again",
         [](Config& c) -> auto& { return c.log_file; });
  t.section("options");
  t.choice("shared", programs, {"false", "true"}, 0,
           "true: several handles are opened with these options, and each takes what is its",
           [](Config& c) -> auto& { return c.shared; });
}

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t best = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = row[j];
      row[j] = best;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string ConfigKey::wanted() const {
  switch (type) {
    case ConfigType::text:
      return "a string";
    case ConfigType::name:
      return "a string: 1 to 64 of A-Z a-z 0-9 . _ -";
    case ConfigType::word: {
      std::string said = "a string:";
      for (const std::string& word : words) {
        said += (&word == &words.front() ? " \"" : " or \"") + word + "\"";
      }
      return said;
    }
    case ConfigType::integer:
      return "a whole number from " + std::to_string(low) + " to " + std::to_string(high);
    case ConfigType::power:
      return "a power of two from " + std::to_string(low) + " to " + std::to_string(high);
    case ConfigType::address:
      return "a string: \"host:port\", or empty";
    case ConfigType::addresses:
      return "a list of host:port";
    case ConfigType::members:
      return "a list of name=host:port";
  }
  return {};
}

std::string ConfigKey::wrong(const ConfigValue& value) const {
  auto fits = [&] {
    if (type == ConfigType::integer || type == ConfigType::power) {
      const auto* number = std::get_if<std::int64_t>(&value);
      return number != nullptr && *number >= low && *number <= high &&
             (type == ConfigType::integer || (*number & (*number - 1)) == 0);
    }
    if (type == ConfigType::addresses || type == ConfigType::members) {
      const auto* list = std::get_if<std::vector<std::string>>(&value);
      return list != nullptr &&
             std::all_of(list->begin(), list->end(), [&](const std::string& item) {
               return type == ConfigType::members ? is_member(item) : is_address(item, false);
             });
    }
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr) return false;
    if (type == ConfigType::name) return is_name(*text);
    if (type == ConfigType::address) return text->empty() || is_address(*text, true);
    return type != ConfigType::word || std::find(words.begin(), words.end(), *text) != words.end();
  };
  return fits() ? "" : wanted();
}

ConfigValue ConfigKey::parse(std::string_view text) const {
  text = trimmed(text);
  if (type == ConfigType::addresses || type == ConfigType::members) return split(text);
  if (type == ConfigType::integer || type == ConfigType::power) {
    std::int64_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size() && !text.empty()) return number;
  }
  return std::string(text);
}

std::string ConfigKey::default_text() const {
  ConfigValue value = get(Config());
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  return joined(std::get<std::vector<std::string>>(value));
}

const std::vector<ConfigKey>& config_keys() {
  static const std::vector<ConfigKey>& keys = *new std::vector<ConfigKey>([] {
    KeyTable table;
    add_node_keys(table);
    add_cluster_keys(table);
    add_limit_keys(table);
    add_failure_keys(table);
    add_upkeep_keys(table);
    add_client_keys(table);
    add_other_keys(table);
    return table.take();
  }());
  return keys;
}

const ConfigKey* find_config_key(std::string_view name) {
  for (const ConfigKey& key : config_keys()) {
    if (key.name() == name) return &key;
  }
  return nullptr;
}

const ConfigKey& nearest_config_key(std::string_view name) {
  const auto& keys = config_keys();
  return *std::min_element(keys.begin(), keys.end(), [&](const ConfigKey& a, const ConfigKey& b) {
    return distance(name.substr(0, 64), a.name()) < distance(name.substr(0, 64), b.name());
  });
}

std::string users_of(const ConfigKey& key) {
  std::string said;
  for (auto [use, word] : {std::pair{for_daemon, "ringletd"},
                           {for_node, "a node inside a program"},
                           {for_cluster, "a cluster inside a program"},
                           {for_client, "a client"}}) {
    if ((key.uses & use) != 0) said += (said.empty() ? "" : ", ") + std::string(word);
  }
  return said;
}

Status check_together(const Config& config) {
  const CoordinationOptions& options = config.node.coordination;
  for (auto [name, value] : {std::pair{"cluster.r", options.r}, {"cluster.w", options.w}}) {
    if (value > config.ring.replicas) {
      return Status(Code::invalid_argument, std::string(name) + ": wanted at most cluster.n (" +
                                                std::to_string(config.ring.replicas) + "), got " +
                                                std::to_string(value));
    }
  }
  const auto& patience = config.node.fault_detector;
  if (patience.min_patience > patience.max_patience) {
    return Status(Code::invalid_argument,
                  "failure.min_patience_ms: wanted at most failure.max_patience_ms (" +
                      std::to_string(patience.max_patience.millis()) + "), got " +
                      std::to_string(patience.min_patience.millis()));
  }
  // A write that its own limits allow must not be refused as overload, again and again.
  const ServerLimits& limits = config.server.limits;
  std::size_t largest = config.node.max_value_bytes + config.node.max_key_bytes;
  for (auto [name, value] : {std::pair{"limits.max_request_bytes", limits.max_request_bytes},
                             {"limits.max_queued_bytes", limits.max_queued_bytes}}) {
    if (value < largest) {
      return Status(Code::invalid_argument,
                    std::string(name) +
                        ": wanted at least limits.max_value_bytes and limits.max_key_bytes (" +
                        std::to_string(largest) + "), got " + std::to_string(value));
    }
  }
  return Status::ok();
}

}  // namespace ringlet
