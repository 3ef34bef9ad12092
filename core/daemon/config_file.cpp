#include "daemon/config_file.hpp"

#include <fstream>
#include <functional>
#include <sstream>

#include "runtime/address.hpp"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace ringlet {
namespace {

// One key of the file: how it is read, how its default is printed, what it means.
struct Entry {
  std::string section, key, about, shown;  // shown: its default, as TOML
  // Empty when taken; else what was wanted.
  std::function<std::string(const toml::node&)> read;
};

std::string quoted(const std::string& text) {
  return "\"" + text + "\"";
}

class Keys {
 public:
  void text(const char* section, const char* key, std::string* value, const char* about,
            std::vector<std::string> allowed = {}) {
    std::string wanted = "a string";
    for (const auto& word : allowed)
      wanted += (&word == &allowed.front() ? ": " : " or ") + quoted(word);
    entries_.push_back(
        {section, key, about, quoted(*value), [=](const toml::node& node) -> std::string {
           auto got = node.value_exact<std::string>();
           if (!got) return wanted;
           if (!allowed.empty() &&
               std::find(allowed.begin(), allowed.end(), *got) == allowed.end()) {
             return wanted;
           }
           *value = *got;
           return "";
         }});
  }

  void addresses(const char* section, const char* key, std::vector<std::string>* value,
                 const char* about) {
    entries_.push_back({section, key, about, "[]", [=](const toml::node& node) -> std::string {
                          const char* wanted = "a list of \"host:port\"";
                          const toml::array* list = node.as_array();
                          if (list == nullptr) return wanted;
                          value->clear();
                          for (const auto& element : *list) {
                            auto text = element.value_exact<std::string>();
                            if (!text || !Address::parse(*text)) return wanted;
                            value->push_back(*text);
                          }
                          return "";
                        }});
  }

  void number(const char* section, const char* key, std::int64_t shown, std::int64_t low,
              std::int64_t high, const char* about, std::function<void(std::int64_t)> set) {
    std::string wanted =
        "a whole number from " + std::to_string(low) + " to " + std::to_string(high);
    entries_.push_back(
        {section, key, about, std::to_string(shown), [=](const toml::node& node) -> std::string {
           auto got = node.value_exact<std::int64_t>();
           if (!got || *got < low || *got > high) return wanted;
           set(*got);
           return "";
         }});
  }

  // Any integer variable.
  template <typename Number>
  void number(const char* section, const char* key, Number* value, std::int64_t low,
              std::int64_t high, const char* about) {
    number(section, key, static_cast<std::int64_t>(*value), low, high, about,
           [value](std::int64_t got) { *value = static_cast<Number>(got); });
  }

  // A span of time, given in milliseconds.
  void millis(const char* section, const char* key, Duration* value, std::int64_t low,
              std::int64_t high, const char* about) {
    number(section, key, value->millis(), low, high, about,
           [value](std::int64_t got) { *value = Duration::millis(got); });
  }

  const Entry* find(std::string_view section, std::string_view key) const {
    for (const auto& entry : entries_) {
      if (entry.section == section && entry.key == key) return &entry;
    }
    return nullptr;
  }
  bool has_section(std::string_view section) const {
    for (const auto& entry : entries_) {
      if (entry.section == section) return true;
    }
    return false;
  }
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

constexpr std::int64_t gib = 1 << 30;
constexpr std::int64_t hour_ms = 3'600'000;

// Every key there is. The pointers are into `config`.
Keys table_of(Config& config, std::string& reconcile, std::string& durability) {
  Keys table;
  table.text("node", "name", &config.node.name, "this node's name, one of the members'");
  table.text("node", "listen", &config.server.listen,
             "host:port to listen on; port 0: any free one; empty: the member's address");
  table.text("node", "data_dir", &config.data_dir,
             "where the engine keeps its files; one node a directory");
  table.text("node", "engine", &config.engine, "wiredtiger, or memory (nothing survives a stop)",
             {"wiredtiger", "memory"});
  table.text("node", "pid_file", &config.pid_file,
             "written when ready, removed at the end; empty: none");
  table.text("node", "port_file", &config.port_file, "the port listened on, likewise");
  table.number("node", "threads", &config.server.threads, 1, 64, "I/O threads");
  table.number("node", "cache_mb", &config.cache_mb, 8, 1 << 20, "the engine's cache, MiB");

  table.text("cluster", "name", &config.ring.cluster,
             "nodes and clients of another name are refused");
  table.addresses(
      "cluster", "seeds", &config.node.seeds,
      "nodes to hear of the cluster from; with no [[members]] this node waits to be joined");
  table.number("cluster", "n", &config.ring.replicas, 1, 16, "replicas of a key (N)");
  table.number("cluster", "r", &config.node.coordination.r, 1, 16, "answers a read waits for (R)");
  table.number("cluster", "w", &config.node.coordination.w, 1, 16, "copies a write waits for (W)");
  table.number("cluster", "partitions", &config.ring.partitions, 1, 65536,
               "Q, a power of two, the same for ever");
  table.number("cluster", "epoch", &config.ring.epoch, 1, INT64_MAX,
               "raise it with every change of the members");
  table.text(
      "cluster", "reconcile", &reconcile,
      "siblings: the application merges; lww: the last stamp wins and concurrent writes are lost",
      {"siblings", "lww"});
  table.text(
      "cluster", "durability", &durability,
      "what an acknowledged write survives: buffer nothing, log the process, disk the machine",
      {"buffer", "log", "disk"});
  table.millis("cluster", "timeout_ms", &config.node.coordination.timeout, 1, hour_ms,
               "of a request that names none");
  table.millis("cluster", "linger_ms", &config.node.coordination.linger, 0, hour_ms,
               "for late replies, after the answer");

  table.number("limits", "max_key_bytes", &config.node.max_key_bytes, 1, 64 * 1024,
               "bucket and key together");
  table.number("limits", "max_value_bytes", &config.node.max_value_bytes, 1, 32 * 1024 * 1024,
               "one value");
  table.number("limits", "max_siblings", &config.node.max_siblings, 1, 65536,
               "a write that would make more is refused");
  table.number("limits", "max_requests", &config.node.max_requests, 1, 10'000'000,
               "at once on a thread; more is overloaded");
  table.number("limits", "max_connections", &config.server.limits.max_connections, 1, 1'000'000,
               "at once");
  table.number("limits", "max_frame_bytes", &config.server.limits.max_frame_bytes, 1024, gib,
               "one message");
  table.number("limits", "max_queued_bytes", &config.server.limits.max_queued_bytes, 1024, 4 * gib,
               "to one slow reader");

  auto& failure = config.node.fault_detector;
  table.number("failure", "silences_to_suspect", &failure.silences_to_suspect, 1, 100,
               "in a row, until a node is believed gone");
  table.millis("failure", "retry_ms", &failure.retry, 10, hour_ms,
               "until a node believed gone is asked again");
  table.millis("failure", "min_patience_ms", &failure.min_patience, 1, hour_ms,
               "least time a replica may be silent");
  table.millis("failure", "max_patience_ms", &failure.max_patience, 1, hour_ms, "most");

  auto& hints = config.node.hints;
  table.number("hints", "window", &hints.window, 1, 10'000, "under way to one owner");
  table.number("hints", "per_second", &hints.per_second, 1, 10'000'000, "all owners together");
  table.millis("hints", "scan_ms", &hints.scan, 10, hour_ms,
               "between two looks at the waiting hints");

  table.text("log", "level", &config.log_level, "trace, debug, info, warn or error",
             {"trace", "debug", "info", "warn", "error"});
  table.text("log", "file", &config.log_file, "empty: stderr");
  return table;
}

class Reader {
 public:
  Reader(const std::string& file, Config& config)
      : file_(file), config_(config), table_(table_of(config, reconcile_, durability_)) {}

  Status read(const toml::table& root) {
    for (const auto& [section, node] : root) {
      Status read =
          section == "members" ? members(node) : this->section(std::string(section.str()), node);
      if (!read) return read;
    }
    if (config_.node.name.empty())
      return Status(Code::invalid_argument, file_ + ": [node] name is missing");
    if (config_.ring.members.empty() && config_.node.seeds.empty()) {
      return Status(Code::invalid_argument,
                    file_ +
                        ": wanted a [[members]] table for each node that founds the cluster, or "
                        "cluster.seeds to join one; got neither");
    }
    config_.node.coordination.reconcile =
        reconcile_ == "lww" ? Reconcile::lww : Reconcile::siblings;
    config_.node.coordination.durability = durability_ == "buffer" ? WriteDurability::buffer
                                           : durability_ == "disk" ? WriteDurability::disk
                                                                   : WriteDurability::log;
    return consistent();
  }

 private:
  Status wrong(const toml::node& node, const std::string& text) const {
    return Status(Code::invalid_argument,
                  file_ + ":" + std::to_string(node.source().begin.line) + ": " + text);
  }

  static std::string shown(const toml::node& node) {
    std::ostringstream out;
    node.visit([&](const auto& value) { out << value; });
    return printable(out.str());
  }

  Status section(const std::string& name, const toml::node& node) {
    if (!table_.has_section(name)) return wrong(node, "unknown section [" + name + "]");
    const toml::table* keys = node.as_table();
    if (keys == nullptr) return wrong(node, "[" + name + "]: wanted a table");
    for (const auto& [key, value] : *keys) {
      std::string path = name + "." + std::string(key.str());
      const Entry* entry = table_.find(name, key.str());
      if (entry == nullptr) return wrong(value, "unknown key " + path);
      std::string wanted = entry->read(value);
      if (!wanted.empty())
        return wrong(value, path + ": wanted " + wanted + ", got " + shown(value));
    }
    return Status::ok();
  }

  Status members(const toml::node& node) {
    const toml::array* list = node.as_array();
    if (list == nullptr) return wrong(node, "members: wanted [[members]] tables");
    for (const auto& element : *list) {
      const toml::table* keys = element.as_table();
      if (keys == nullptr) return wrong(element, "members: wanted [[members]] tables");
      Member member;
      Keys table;
      table.text("members", "name", &member.name, "");
      table.text("members", "address", &member.address, "");
      table.text("members", "zone", &member.zone, "");
      table.number("members", "weight", &member.weight, 1, 1000, "");
      for (const auto& [key, value] : *keys) {
        std::string path = "members." + std::string(key.str());
        const Entry* entry = table.find("members", key.str());
        if (entry == nullptr) return wrong(value, "unknown key " + path);
        std::string wanted = entry->read(value);
        if (!wanted.empty())
          return wrong(value, path + ": wanted " + wanted + ", got " + shown(value));
      }
      if (member.name.empty()) return wrong(element, "members.name is missing");
      if (member.address.empty()) return wrong(element, "members.address is missing");
      member.id = node_id_of(member.name);
      config_.ring.members.push_back(std::move(member));
    }
    return Status::ok();
  }

  // What no single key shows.
  Status consistent() {
    auto bad = [&](const std::string& text) {
      return Status(Code::invalid_argument, file_ + ": " + text);
    };
    const auto& options = config_.node.coordination;
    for (auto [name, value] : {std::pair{"cluster.r", options.r}, {"cluster.w", options.w}}) {
      if (value > config_.ring.replicas) {
        return bad(std::string(name) + ": wanted at most cluster.n (" +
                   std::to_string(config_.ring.replicas) + "), got " + std::to_string(value));
      }
    }
    config_.node.cluster = config_.ring.cluster;
    if (config_.ring.members.empty()) {
      if (config_.server.listen.empty() || config_.server.listen.ends_with(":0")) {
        return bad(
            "node.listen: a node that waits to be joined needs the address that others will reach "
            "it at, host:port with a port of its own, got \"" +
            config_.server.listen + "\"");
      }
      config_.node.address = config_.server.listen;
      return Status::ok();
    }
    auto ring = Ring::build(config_.ring);
    if (!ring) return bad(ring.status().message());
    const Member* self = (*ring)->find(config_.node.name);
    if (self == nullptr)
      return bad("node.name \"" + config_.node.name + "\" is not among the [[members]]");
    if (config_.server.listen.empty()) config_.server.listen = self->address;
    config_.node.address = self->address;
    return Status::ok();
  }

  const std::string& file_;
  Config& config_;
  std::string reconcile_ = "siblings", durability_ = "log";
  Keys table_;
};

}  // namespace

Result<Config> parse_config(const std::string& text, const std::string& file) {
  toml::parse_result parsed = toml::parse(text, file);
  if (!parsed) {
    const auto& error = parsed.error();
    return Status(Code::invalid_argument, file + ":" + std::to_string(error.source().begin.line) +
                                              ": " + std::string(error.description()));
  }
  Config config;
  config.server.listen.clear();
  Reader reader(file, config);
  Status read = reader.read(parsed.table());
  if (!read) return read;
  return config;
}

Result<Config> load_config(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf())) {
    return Status(Code::invalid_argument, path + ": cannot be read, wanted a configuration file");
  }
  return parse_config(text.str(), path);
}

std::string default_config() {
  Config config;
  config.node.name = "n1";
  config.server.listen.clear();
  std::string reconcile = "siblings", durability = "log", section, out;
  Keys table = table_of(config, reconcile, durability);
  for (const auto& entry : table.entries()) {
    if (entry.section != section) {
      section = entry.section;
      out += (out.empty() ? "[" : "\n[") + section + "]\n";
    }
    std::string line = entry.key + " = " + entry.shown;
    if (line.size() < 36) line.resize(36, ' ');
    out += line + "# " + entry.about + "\n";
  }
  return out +
         "\n# One for each node of the cluster, the same in every node's file.\n"
         "[[members]]\nname = \"n1\"\naddress = \"127.0.0.1:7400\"\nzone = \"\"\nweight = 1\n";
}

}  // namespace ringlet
