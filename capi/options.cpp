#include "options.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "membership/settings.hpp"

namespace ringlet::capi {
namespace {

constexpr unsigned programs = for_node | for_cluster | for_client;

const char* type_of(const ConfigKey& key) {
  switch (key.type) {
    case ConfigType::integer:
    case ConfigType::power:
      return "integer";
    case ConfigType::word:
      return "choice";
    case ConfigType::addresses:
      return "addresses";
    case ConfigType::address:
      return "address";
    case ConfigType::members:
      return "members";
    case ConfigType::name:
      return "name";
    case ConfigType::text:
      break;
  }
  return "text";
}

const char* described(ConfigUse use) {
  return use == for_client ? "a client"
         : use == for_node ? "a node inside a program"
                           : "a cluster inside a program";
}

}  // namespace

std::size_t max_value_bytes() {
  static const std::size_t most = rule_of(Setting::max_value_bytes).high;
  return most;
}

Status Settings::set(std::string_view name, std::string_view value) {
  const ConfigKey* key = find_config_key(name);
  if (key == nullptr) {
    return Status(Code::unknown_option, "there is no option \"" + printable(name) +
                                            "\"; the nearest is " +
                                            nearest_config_key(name).name());
  }
  if ((key->uses & programs) == 0) {
    return Status(Code::unknown_option, key->name() +
                                            " is for ringletd and its file; a node inside a "
                                            "program keeps its data in memory");
  }
  ConfigValue parsed = key->parse(value);
  if (std::string want = key->wrong(parsed); !want.empty()) {
    return Status(Code::invalid_argument,
                  key->name() + ": wanted " + want + ", got \"" + printable(value) + "\"");
  }
  key->set(config_, parsed);
  set_.insert(key->name());
  return Status::ok();
}

Status Settings::check_use(ConfigUse use) const {
  if (config_.shared) return Status::ok();
  for (const std::string& name : set_) {
    const ConfigKey& key = *find_config_key(name);
    if ((key.uses & use) != 0) continue;
    return Status(
        Code::invalid_argument,
        name + " is for " + users_of(key) + ", and " + described(use) +
            " has no use for it; with options.shared = \"true\" one set of options may serve "
            "several handles, and each takes what is its");
  }
  return Status::ok();
}

std::optional<LogLevel> Settings::log_level() const {
  for (LogLevel level :
       {LogLevel::trace, LogLevel::debug, LogLevel::info, LogLevel::warn, LogLevel::error}) {
    if (config_.log_level == ringlet::name_of(level)) return level;
  }
  return std::nullopt;
}

Result<ClientOptions> Settings::client() const {
  if (config_.client.seeds.empty()) {
    return Status(Code::invalid_argument,
                  "client.seeds: wanted host:port of at least one node, got none");
  }
  ClientOptions options = config_.client;
  // One set of options may serve a cluster and its clients: its name need not be said twice.
  if (!is_set("client.cluster")) options.cluster = config_.ring.cluster;
  return options;
}

NodeOptions Settings::node(std::string name) const {
  NodeOptions options = config_.node;
  options.name = std::move(name);
  options.cluster = config_.ring.cluster;
  SettingValues values = settings_of(options);
  values[Setting::n] = config_.ring.replicas;
  values[Setting::partitions] = config_.ring.partitions;
  for (const SettingRule& rule : setting_rules()) {
    if (!is_set(std::string(rule.section) + "." + rule.key)) continue;
    options.said[rule.setting] = values[rule.setting];
  }
  return options;
}

Ring::Options Settings::ring(std::vector<Member> members) const {
  Ring::Options options = config_.ring;
  options.members = std::move(members);
  return options;
}

Result<std::vector<Member>> Settings::members() const {
  std::set<std::string> names;
  for (const Member& member : config_.ring.members) {
    if (!names.insert(member.name).second) {
      return Status(Code::invalid_argument,
                    "node.members: wanted each name once, got " + member.name + " twice");
    }
  }
  return config_.ring.members;
}

std::string Settings::describe() {
  boost::json::array options;
  for (const ConfigKey& key : config_keys()) {
    if ((key.uses & programs) == 0) continue;
    boost::json::object json;
    json["name"] = key.name();
    json["type"] = type_of(key);
    json["default"] = key.default_text();
    json["doc"] = key.about;
    boost::json::array handles;
    if (key.uses & for_client) handles.emplace_back("client");
    if (key.uses & for_node) handles.emplace_back("node");
    if (key.uses & for_cluster) handles.emplace_back("cluster");
    json["handles"] = std::move(handles);
    if (key.type == ConfigType::integer || key.type == ConfigType::power) {
      json["min"] = key.low;
      json["max"] = key.high;
    }
    if (key.type == ConfigType::word) {
      boost::json::array choices;
      for (const std::string& word : key.words) choices.emplace_back(word);
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
