// The settings that come as text: a Config filled key by key, by the table of all settings
// (configuration/config_keys.hpp), and what a client, a node and a cluster read of it.
#pragma once

#include <atomic>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.hpp"
#include "configuration/config_keys.hpp"
#include "handles.hpp"

namespace ringlet::capi {

class Settings {
 public:
  // Checks the name, then the value against the type of that name.
  Status set(std::string_view name, std::string_view value);
  bool is_set(const std::string& name) const { return set_.contains(name); }
  // The values and the defaults. Written to by a cluster that has fewer nodes than N.
  Config& config() { return config_; }
  const Config& config() const { return config_; }

  // A key that is set and that the handle has no use for, unless options.shared says that the set is for
  // several handles.
  Status check_use(ConfigUse use) const;
  // Empty: logging is off.
  std::optional<LogLevel> log_level() const;
  Result<ClientOptions> client() const;  // client.seeds must be there
  NodeOptions node(std::string name) const;
  Ring::Options ring(std::vector<Member> members) const;
  Result<std::vector<Member>> members() const;  // of node.members

  static std::string describe();  // JSON

 private:
  Config config_;
  std::set<std::string> set_;  // names
};

}  // namespace ringlet::capi

struct ringlet_options {
  ringlet::capi::Settings settings;
  std::atomic<bool> busy{false};
  ringlet::capi::Counted counted;
};
