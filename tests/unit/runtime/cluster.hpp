// Nodes on real loopback sockets with memory engines, all in this process, on free ports.
#pragma once

#include <catch2/catch.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/client.hpp"
#include "runtime/server.hpp"
#include "runtime/timed_engine.hpp"
#include "storage/memory_engine.hpp"

namespace ringlet::test {

// What was logged, for tests that ask for the reason.
class Log {
 public:
  LogSink sink() {
    return [this](LogLevel, std::string_view, const std::string& text) {
      std::lock_guard lock(mutex_);
      text_ += text + "\n";
    };
  }
  std::string text() {
    std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  std::mutex mutex_;
  std::string text_;
};

struct Cluster {
  // `advertise`: the address that clients are told for every member.
  explicit Cluster(int nodes, int threads = 1, ServerLimits limits = {},
                   const std::string& advertise = {}) {
    Ring::Options options;
    options.partitions = 16;
    std::vector<std::unique_ptr<Listener>> listeners;
    for (int i = 0; i < nodes; ++i) {
      auto listener = Listener::open("127.0.0.1:0");
      REQUIRE(listener.is_ok());
      Member member;
      member.name = "n" + std::to_string(i + 1);
      member.id = node_id_of(member.name);
      member.address = (*listener)->address();
      member.advertise = advertise;
      options.members.push_back(member);
      listeners.push_back(std::move(*listener));
    }
    auto built = Ring::build(options);
    REQUIRE(built.is_ok());
    ring = *built;
    for (int i = 0; i < nodes; ++i) {
      NodeOptions node;
      node.name = "n" + std::to_string(i + 1);
      node.founding_is_agreed = true;
      node.coordination.w = static_cast<std::uint8_t>(std::min(nodes, 2));
      node.coordination.r = node.coordination.w;
      node.log = log.sink();
      std::shared_ptr<StorageEngine> engine = make_memory_engine();
      engines.push_back(engine);
      auto state = open_timed_node(node, engine, ring);
      REQUIRE(state.is_ok());
      ServerOptions server;
      server.threads = threads;
      server.limits = limits;
      server.log = log.sink();
      auto started =
          Server::start(*state, server, std::move(listeners[static_cast<std::size_t>(i)]));
      REQUIRE(started.is_ok());
      servers.push_back(std::move(*started));
    }
  }

  ClientOptions client_options(Coordination coordination = Coordination::server) {
    ClientOptions options;
    for (auto& server : servers) options.seeds.push_back(server->address());
    options.coordination = coordination;
    options.timeout = Duration::millis(2000);
    options.log = log.sink();
    return options;
  }
  std::unique_ptr<Client> client(Coordination coordination = Coordination::server) {
    auto client = Client::open(client_options(coordination));
    REQUIRE(client.is_ok());
    return std::move(*client);
  }

  Log log;  // before those who write to it
  std::shared_ptr<const Ring> ring;
  std::vector<std::shared_ptr<StorageEngine>> engines;
  std::vector<std::unique_ptr<Server>> servers;
};

}  // namespace ringlet::test
