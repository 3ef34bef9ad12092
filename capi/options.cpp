#include "options.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <charconv>

namespace ringlet::capi {
namespace {

enum class Kind { integer, choice, seeds, address, members, name };

struct Option {
  const char* name;
  Kind kind;
  const char* preset;       // the default
  std::uint64_t low, high;  // of an integer
  const char* choices;      // of a choice: "a|b"
  const char* doc;
};

const Option table[] = {
    {"client.seeds", Kind::seeds, "", 0, 0, "",
     "where to find the cluster: host:port, several with commas"},
    {"client.cluster", Kind::name, "ringlet", 0, 0, "",
     "the cluster's name; a node of another one is refused"},
    {"client.coordination", Kind::choice, "server", 0, 0, "server|client",
     "who asks the replicas and counts their answers: a node, or this process"},
    {"client.timeout_ms", Kind::integer, "1000", 1, 3600000, "",
     "a whole call, retries included, unless the call says otherwise"},
    {"client.refresh_ms", Kind::integer, "10000", 10, 3600000, "",
     "how often the routing table is fetched again"},
    {"client.max_in_flight", Kind::integer, "10000", 1, 1000000, "",
     "calls at once; one more is OVERLOADED"},
    {"client.update_attempts", Kind::integer, "16", 1, 1000, "",
     "how often an update writes before it gives up on meeting new siblings"},
    {"cluster.name", Kind::name, "ringlet", 0, 0, "", "the same on all nodes and clients"},
    {"cluster.n", Kind::integer, "3", 1, 16, "", "N: copies of every key"},
    {"cluster.r", Kind::integer, "2", 1, 16, "", "R: how many replicas must answer a read"},
    {"cluster.w", Kind::integer, "2", 1, 16, "", "W: how many replicas must take a write"},
    {"cluster.partitions", Kind::integer, "64", 1, 65536, "",
     "Q: pieces of the ring, a power of two"},
    {"cluster.reconcile", Kind::choice, "siblings", 0, 0, "siblings|lww",
     "keep concurrent versions for the application to merge, or only the last write"},
    {"cluster.durability", Kind::choice, "log", 0, 0, "buffer|log|disk",
     "how safe a write is when it is acknowledged, unless the call says otherwise"},
    {"cluster.timeout_ms", Kind::integer, "1000", 1, 3600000, "",
     "of requests that name none themselves"},
    {"node.name", Kind::name, "n1", 0, 0, "", "this node among node.members"},
    {"node.listen", Kind::address, "127.0.0.1:0", 0, 0, "", "host:port; port 0 is any free one"},
    {"node.members", Kind::members, "", 0, 0, "",
     "all nodes: name=host:port, several with commas; none: this one alone"},
    {"node.threads", Kind::integer, "1", 1, 64, "", "I/O threads of a node"},
    {"limits.max_key_bytes", Kind::integer, "65536", 1, 65536, "", "bucket and key together"},
    {"limits.max_value_bytes", Kind::integer, "8388608", 1, 62914560, "", "of one value"},
    {"limits.max_siblings", Kind::integer, "1000", 2, 65536, "",
     "of one key; a write beyond is refused, never a sibling dropped"},
    {"limits.max_siblings_bytes", Kind::integer, "16777216", 1024, 33554432, "",
     "of all siblings of one key together, likewise"},
    {"limits.max_requests", Kind::integer, "10000", 1, 1000000, "",
     "at once on one thread of a node; one more is OVERLOADED"},
    {"limits.max_requests_per_connection", Kind::integer, "10000", 1, 10000000, "",
     "of one client, under way at a node; one more is OVERLOADED"},
    {"limits.max_request_bytes", Kind::integer, "268435456", 1024, 68719476736, "",
     "of clients' requests under way at a node, all together"},
    {"limits.max_answer_bytes", Kind::integer, "268435456", 1024, 68719476736, "",
     "of a node's answers that were not taken yet, all together; then reads are OVERLOADED"},
    {"limits.max_connections", Kind::integer, "10000", 1, 1000000, "", "to a node, at once"},
    {"upkeep.busy_slices", Kind::integer, "32", 1, 1000000, "",
     "of 64 KiB a second for a node's background work while it serves requests"},
    {"log.level", Kind::choice, "info", 0, 0, "off|error|warn|info|debug|trace",
     "the least important record that is kept"},
};

const Option* find(std::string_view name) {
  for (const Option& option : table) {
    if (name == option.name) return &option;
  }
  return nullptr;
}

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::integer:
      return "integer";
    case Kind::choice:
      return "choice";
    case Kind::seeds:
      return "addresses";
    case Kind::address:
      return "address";
    case Kind::members:
      return "members";
    case Kind::name:
      return "name";
  }
  return "text";
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    std::size_t end = text.find(separator);
    parts.emplace_back(trim(text.substr(0, end)));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<std::uint64_t> parse(std::string_view text) {
  std::uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

bool is_address(std::string_view text, bool any_port) {
  std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  for (char c : text.substr(0, colon)) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '=' || c == ',') return false;
  }
  std::optional<std::uint64_t> port = parse(text.substr(colon + 1));
  return port && *port <= 65535 && (*port > 0 || any_port);
}

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > 64) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

// What is wrong with the value, as "wanted …"; empty: nothing.
std::string wanted(const Option& option, std::string_view value) {
  switch (option.kind) {
    case Kind::integer: {
      std::optional<std::uint64_t> number = parse(value);
      bool power = std::string_view(option.name) != "cluster.partitions" ||
                   (number && (*number & (*number - 1)) == 0);
      if (number && *number >= option.low && *number <= option.high && power) return {};
      return std::string(power ? "an integer" : "a power of two") + " from " +
             std::to_string(option.low) + " to " + std::to_string(option.high);
    }
    case Kind::choice: {
      std::vector<std::string> choices = split(option.choices, '|');
      if (std::find(choices.begin(), choices.end(), value) != choices.end()) return {};
      std::string text = "one of";
      for (const std::string& choice : choices) text += " " + choice;
      return text;
    }
    case Kind::seeds:
      for (const std::string& seed : split(value, ',')) {
        if (!is_address(seed, false)) return "host:port, several with commas";
      }
      return {};
    case Kind::address:
      return is_address(value, true) ? "" : "host:port";
    case Kind::members:
      for (const std::string& member : split(value, ',')) {
        std::size_t equals = member.find('=');
        if (equals == std::string::npos || !is_name(member.substr(0, equals)) ||
            !is_address(member.substr(equals + 1), false)) {
          return "name=host:port, several with commas";
        }
      }
      return {};
    case Kind::name:
      return is_name(value) ? "" : "1 to 64 of A-Z a-z 0-9 . _ -";
  }
  return {};
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

const char* nearest(std::string_view name) {
  const char* best = table[0].name;
  std::size_t least = SIZE_MAX;
  for (const Option& option : table) {
    std::size_t d = distance(name.substr(0, 64), option.name);
    if (d < least) {
      least = d;
      best = option.name;
    }
  }
  return best;
}

WriteDurability durability(std::string_view text) {
  return text == "buffer" ? WriteDurability::buffer
         : text == "disk" ? WriteDurability::disk
                          : WriteDurability::log;
}

}  // namespace

Status Settings::set(std::string_view name, std::string_view value) {
  const Option* option = find(name);
  if (option == nullptr) {
    return Status(Code::unknown_option, "there is no option \"" + printable(name) +
                                            "\"; the nearest is " + nearest(name));
  }
  value = trim(value);
  if (std::string want = wanted(*option, value); !want.empty()) {
    return Status(Code::invalid_argument, std::string(option->name) + ": wanted " + want +
                                              ", got \"" + printable(value) + "\"");
  }
  values_[option->name] = std::string(value);
  return Status::ok();
}

const std::string& Settings::text(std::string_view name) const {
  if (auto it = values_.find(name); it != values_.end()) return it->second;
  // Defaults are looked up as strings once and live as long as the process; nothing to destroy.
  static const auto* const presets = [] {
    auto* made = new std::map<std::string, std::string, std::less<>>;
    for (const Option& option : table) (*made)[option.name] = option.preset;
    return made;
  }();
  auto it = presets->find(name);
  RINGLET_ASSERT(it != presets->end());
  return it->second;
}

std::uint64_t Settings::number(std::string_view name) const {
  return *parse(text(name));
}

std::vector<std::string> Settings::list(std::string_view name) const {
  const std::string& value = text(name);
  return value.empty() ? std::vector<std::string>{} : split(value, ',');
}

std::optional<LogLevel> Settings::log_level() const {
  const std::string& value = text("log.level");
  for (LogLevel level :
       {LogLevel::trace, LogLevel::debug, LogLevel::info, LogLevel::warn, LogLevel::error}) {
    if (value == ringlet::name_of(level)) return level;
  }
  return std::nullopt;
}

Result<ClientOptions> Settings::client() const {
  ClientOptions options;
  options.seeds = list("client.seeds");
  if (options.seeds.empty()) {
    return Status(Code::invalid_argument,
                  "client.seeds: wanted host:port of at least one node, got none");
  }
  // One set of options may serve a cluster and its clients: its name need not be said twice.
  options.cluster = is_set("client.cluster") ? text("client.cluster") : text("cluster.name");
  options.coordination =
      text("client.coordination") == "client" ? Coordination::client : Coordination::server;
  options.timeout = Duration::millis(static_cast<std::int64_t>(number("client.timeout_ms")));
  options.refresh = Duration::millis(static_cast<std::int64_t>(number("client.refresh_ms")));
  options.max_in_flight = number("client.max_in_flight");
  return options;
}

NodeOptions Settings::node(std::string name) const {
  NodeOptions options;
  options.name = std::move(name);
  options.coordination.r = static_cast<std::uint8_t>(number("cluster.r"));
  options.coordination.w = static_cast<std::uint8_t>(number("cluster.w"));
  options.coordination.reconcile =
      text("cluster.reconcile") == "lww" ? Reconcile::lww : Reconcile::siblings;
  options.coordination.timeout =
      Duration::millis(static_cast<std::int64_t>(number("cluster.timeout_ms")));
  options.coordination.durability = durability(text("cluster.durability"));
  options.max_key_bytes = number("limits.max_key_bytes");
  options.max_value_bytes = number("limits.max_value_bytes");
  options.max_siblings = number("limits.max_siblings");
  options.max_siblings_bytes = number("limits.max_siblings_bytes");
  options.pace.busy = static_cast<std::uint32_t>(number("upkeep.busy_slices"));
  options.max_requests = number("limits.max_requests");
  SettingValues values = settings_of(options);
  for (const SettingRule& rule : setting_rules()) {
    std::string name = std::string(rule.section) + "." + rule.key;
    if (!is_set(name)) continue;
    if (rule.setting == Setting::n || rule.setting == Setting::partitions) {
      options.said[rule.setting] = number(name);
    } else {
      options.said[rule.setting] = values[rule.setting];
    }
  }
  return options;
}

ServerLimits Settings::server_limits() const {
  ServerLimits limits;
  limits.max_requests_per_connection = number("limits.max_requests_per_connection");
  limits.max_request_bytes = number("limits.max_request_bytes");
  limits.max_answer_bytes = number("limits.max_answer_bytes");
  limits.max_connections = number("limits.max_connections");
  return limits;
}

Status Settings::check_cluster() const {
  std::uint64_t n = number("cluster.n");
  for (const char* name : {"cluster.r", "cluster.w"}) {
    if (number(name) > n) {
      return Status(Code::invalid_argument,
                    std::string(name) + ": wanted at most cluster.n, which is " +
                        std::to_string(n) + ", got " + std::to_string(number(name)));
    }
  }
  return Status::ok();
}

Ring::Options Settings::ring(std::vector<Member> members) const {
  Ring::Options options;
  options.cluster = text("cluster.name");
  options.partitions = static_cast<std::uint32_t>(number("cluster.partitions"));
  options.replicas = static_cast<std::uint32_t>(number("cluster.n"));
  options.members = std::move(members);
  return options;
}

Result<std::vector<Member>> Settings::members() const {
  std::vector<Member> members;
  for (const std::string& item : list("node.members")) {
    std::size_t equals = item.find('=');
    Member member;
    member.name = item.substr(0, equals);
    member.address = item.substr(equals + 1);
    member.id = node_id_of(member.name);
    for (const Member& other : members) {
      if (other.name == member.name) {
        return Status(Code::invalid_argument,
                      "node.members: wanted each name once, got " + member.name + " twice");
      }
    }
    members.push_back(std::move(member));
  }
  return members;
}

std::string Settings::describe() {
  boost::json::array options;
  for (const Option& option : table) {
    boost::json::object json;
    json["name"] = option.name;
    json["type"] = name_of(option.kind);
    json["default"] = option.preset;
    json["doc"] = option.doc;
    if (option.kind == Kind::integer) {
      json["min"] = option.low;
      json["max"] = option.high;
    }
    if (option.kind == Kind::choice) {
      boost::json::array choices;
      for (const std::string& choice : split(option.choices, '|')) choices.emplace_back(choice);
      json["choices"] = std::move(choices);
    }
    options.push_back(std::move(json));
  }
  return boost::json::serialize(options);
}

}  // namespace ringlet::capi

using namespace ringlet;
using namespace ringlet::capi;

ringlet_options* ringlet_options_new(void) {
  return guarded_pointer([] { return new ringlet_options; });
}

ringlet_status ringlet_options_set(ringlet_options* options, const char* name, const char* value,
                                   ringlet_error** error) {
  return guarded(error, [&]() -> Failure {
    if (options == nullptr) return missing("options");
    if (Status s = check_text("name", name, 256); !s) return s;
    if (Status s = check_text("value", value, 65536); !s) return s;
    if (options->busy.exchange(true)) {
      return Status(Code::busy, "options are for one thread at a time, another one is using them");
    }
    struct Free {
      std::atomic<bool>& busy;
      ~Free() { busy = false; }
    } free{options->busy};
    return options->settings.set(name, value);
  });
}

ringlet_text* ringlet_options_describe(void) {
  return guarded_pointer([] { return make_text(Settings::describe()); });
}

void ringlet_options_release(ringlet_options* options) {
  delete options;
}
