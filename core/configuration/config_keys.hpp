// The table of all settings: name, type, bounds, default, one sentence, and for whom each is. The node's
// file, `--print-default-config`, the options of the C ABI and with them those of Python and Java are made
// from it; docs/configuration.md is checked against it by tests. What members of a cluster must agree on
// has its bounds in membership/settings.hpp, because it is on disks and in messages, too; this table takes
// them from there.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.hpp"
#include "configuration/config.hpp"

namespace ringlet {

// For whom a key is. A handle that has no use for a key refuses it.
enum ConfigUse : unsigned {
  for_daemon = 1,   // ringletd and its file
  for_node = 2,     // a node inside a program
  for_cluster = 4,  // several of them, in memory
  for_client = 8,
};

enum class ConfigType {
  text,       // any
  name,       // 1 to 64 of A-Z a-z 0-9 . _ -
  word,       // one of `words`
  integer,    // from `low` to `high`
  power,      // likewise, and a power of two
  address,    // host:port, or empty
  addresses,  // a list of host:port
  members,    // a list of name=host:port
};

using ConfigValue = std::variant<std::int64_t, std::string, std::vector<std::string>>;

struct ConfigKey {
  std::string section, key;
  ConfigType type;
  std::int64_t low = 0, high = 0;
  std::vector<std::string> words;
  std::string about;  // one sentence, without a capital and a full stop
  unsigned uses;      // ConfigUse
  std::function<ConfigValue(const Config&)> get;
  // Takes a value for which wrong() is empty.
  std::function<void(Config&, const ConfigValue&)> set;

  std::string name() const { return section + "." + key; }  // "cluster.n"
  std::string wanted() const;                               // "a whole number from 1 to 16"
  // Empty: the value may be set. Else what was wanted.
  std::string wrong(const ConfigValue& value) const;
  // From text, as a program or a command line gives it: a list has commas. Holds a string where the text is
  // not of the key's type, which wrong() then refuses.
  ConfigValue parse(std::string_view text) const;
  std::string default_text() const;  // as parse() takes it
};

// In the order in which they are printed; those of a section stand together.
const std::vector<ConfigKey>& config_keys();
// nullptr: there is none of this name.
const ConfigKey* find_config_key(std::string_view name);
const ConfigKey& nearest_config_key(std::string_view name);
// "ringletd or a node inside a program"
std::string users_of(const ConfigKey& key);

// What no single key shows: R and W within N, patience from least to most, limits that a value which is
// allowed would never fit into. For nodes and clusters.
Status check_together(const Config& config);

}  // namespace ringlet
