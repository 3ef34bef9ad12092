// node.toml: what a node is told before it starts. Every key has a default but the node's name and
// the members; an unknown key, a wrong type or a number out of range is an error that names file,
// line, key, what was wanted and what was got, and nothing is started.
#pragma once

#include <string>
#include <vector>

#include "node/node_state.hpp"
#include "ring/ring.hpp"
#include "runtime/server.hpp"

namespace ringlet {

struct Config {
  std::string data_dir = "data";
  std::string engine = "wiredtiger";  // or "memory"
  std::string pid_file, port_file;    // "": none
  std::uint64_t cache_mb = 256;
  std::uint64_t memory_mb = 0;  // of the process; 0: no limit. Lowers what `limits` allows.
  std::string log_level = "info";
  std::string log_file;  // "": stderr
  NodeOptions node;      // with coordination, limits, failure, hints
  ServerOptions server;
  Ring::Options ring;  // cluster, partitions, replicas, members
};

// `file` names the text in errors.
Result<Config> parse_config(const std::string& text, const std::string& file);
Result<Config> load_config(const std::string& path);
// A complete configuration with every default and a comment for each key; parse_config accepts it.
std::string default_config();

}  // namespace ringlet
