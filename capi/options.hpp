// The settings that come as text: one table of names, types, defaults and explanations, and what a
// client, a node and a cluster read of them.
#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.hpp"
#include "client/client_core.hpp"
#include "handles.hpp"
#include "node/node_state.hpp"
#include "ring/ring.hpp"
#include "runtime/server_limits.hpp"

namespace ringlet::capi {

class Settings {
 public:
  // Checks the name, then the value against the type of that name.
  Status set(std::string_view name, std::string_view value);
  const std::string& text(std::string_view name) const;  // the value, or the default
  bool is_set(std::string_view name) const { return values_.find(name) != values_.end(); }
  std::uint64_t number(std::string_view name) const;
  std::vector<std::string> list(std::string_view name) const;  // split at commas, without blanks

  // Empty: logging is off.
  std::optional<LogLevel> log_level() const;
  Result<ClientOptions> client() const;  // client.seeds must be there
  NodeOptions node(std::string name) const;
  ServerLimits server_limits() const;
  // Checks that N, R and W fit each other.
  Status check_cluster() const;
  Ring::Options ring(std::vector<Member> members) const;
  Result<std::vector<Member>> members() const;  // of node.members

  static std::string describe();  // JSON

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace ringlet::capi

struct ringlet_options {
  ringlet::capi::Settings settings;
  std::atomic<bool> busy{false};
  ringlet::capi::Counted counted;
};
