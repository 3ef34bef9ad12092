// What a process is told before it starts: as a node's file (daemon/config_file.hpp), as options of the C
// ABI (capi/options.hpp). Each key of both is in one table (config_keys.hpp).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/client_core.hpp"
#include "node/node_state.hpp"
#include "ring/ring.hpp"
#include "runtime/server.hpp"

namespace ringlet {

struct Config {
  Config() {
    node.name = "n1";
    server.listen.clear();
  }
  std::string data_dir = "data";
  std::string engine = "wiredtiger";  // or "memory"
  std::string pid_file, port_file;    // "": none
  std::uint64_t cache_mb = 256;
  std::uint64_t memory_mb = 0;  // of the process; 0: no limit. Lowers what `limits` allows.
  std::string log_level = "info";
  std::string log_file;  // "": stderr
  NodeOptions node;      // with coordination, limits, failure, hints
  ServerOptions server;  // listen "": where the members say
  Ring::Options ring;    // cluster, partitions, replicas, members

  ClientOptions client;
  std::uint32_t update_attempts = 16;
  bool shared = false;  // several handles are opened with these options, each takes what is its
};

}  // namespace ringlet
