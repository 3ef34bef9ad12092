// What a node tells an operator, as JSON.
#pragma once

#include <string>
#include <vector>

#include "node/node_state.hpp"

namespace ringlet {

struct NodeReport {
  std::int64_t hints = 0;  // waiting; -1: could not be counted
  std::uint64_t hints_delivered = 0;
  std::uint64_t in_flight = 0;
  std::vector<std::string> down;
  bool draining = false;
  std::string out;  // why this node serves no client; empty: it serves
};
std::string status_text(NodeState& state, const Ring& ring, const NodeReport& report);

// One replica's copy of a key: digest of its bytes, versions with dots, context. "bytes" is the
// hex digest of the versions and the context, equal on two replicas iff they hold the same; what is
// remembered of replaced writes is left out.
std::string replica_json(const std::string& node, const Key& key, const Object& object);

}  // namespace ringlet
