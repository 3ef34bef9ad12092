#include <openssl/crypto.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "member.hpp"

using namespace ringlet;
using namespace ringlet::capi;

struct ringlet_cluster {
  Birthplace birthplace;
  // Fixed after start.
  Settings settings;
  std::shared_ptr<LogQueue> log;
  std::vector<Member> members;
  std::vector<std::shared_ptr<StorageEngine>> engines;  // outlive their nodes, as disks do
  std::shared_ptr<const Ring> ring;
  std::string seeds;

  std::mutex mutex;                              // guards what follows
  std::vector<std::unique_ptr<Server>> servers;  // by index; nullptr: down
  bool stopped = false;
  Counted counted;

  LogSink sink(std::size_t index) { return LogQueue::sink(log, members[index].name + ": "); }
};

namespace {

Status check(ringlet_cluster* cluster) {
  return cluster == nullptr ? missing("cluster") : cluster->birthplace.check("the cluster");
}

Status check_index(ringlet_cluster* cluster, std::uint32_t index) {
  if (index >= cluster->members.size()) {
    return Status(Code::invalid_argument, "index: wanted 0 to " +
                                              std::to_string(cluster->members.size() - 1) +
                                              ", got " + std::to_string(index));
  }
  return cluster->stopped ? Status(Code::closed, "the cluster is stopped") : Status::ok();
}

}  // namespace

ringlet_status ringlet_cluster_start(const ringlet_options* options, uint32_t nodes, uint32_t abi,
                                     ringlet_cluster** cluster, ringlet_error** error) {
  if (cluster != nullptr) *cluster = nullptr;
  return guarded(error, [&]() -> Failure {
    if (Status s = check_abi(abi); !s) return s;
    if (cluster == nullptr) return missing("cluster");
    if (nodes < 1 || nodes > 64) {
      return Status(Code::invalid_argument, "nodes: wanted 1 to 64, got " + std::to_string(nodes));
    }
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);
    auto made = std::make_unique<ringlet_cluster>();
    if (options != nullptr) made->settings = options->settings;
    if (Status s = made->settings.check_use(for_cluster); !s) return s;
    // Fewer nodes than copies: what was not asked for gives way, what was asked for is checked.
    Config& config = made->settings.config();
    auto give_way = [&](const char* name, auto& value) {
      std::uint32_t copies = std::min(config.ring.replicas, nodes);
      if (!made->settings.is_set(name) && value > copies) {
        value = static_cast<std::remove_reference_t<decltype(value)>>(copies);
      }
    };
    give_way("cluster.n", config.ring.replicas);
    give_way("cluster.r", config.node.coordination.r);
    give_way("cluster.w", config.node.coordination.w);
    if (Status s = check_together(config); !s) return s;
    for (auto [name, value] : {std::pair{"cluster.r", config.node.coordination.r},
                               {"cluster.w", config.node.coordination.w}}) {
      if (value > nodes) {
        return Status(Code::invalid_argument, std::string(name) + ": wanted at most the " +
                                                  std::to_string(nodes) + " nodes there are, got " +
                                                  std::to_string(value));
      }
    }
    made->log = LogQueue::make(made->settings.log_level());
    std::vector<std::unique_ptr<Listener>> listeners;
    for (uint32_t i = 0; i < nodes; ++i) {
      Result<std::unique_ptr<Listener>> listener = Listener::open("127.0.0.1:0");
      if (!listener) return listener.status();
      made->members.push_back(member_of("n" + std::to_string(i + 1), (*listener)->address()));
      made->engines.push_back(memory_engine());
      made->seeds += (i > 0 ? "," : "") + made->members.back().address;
      listeners.push_back(std::move(*listener));
    }
    Result<std::shared_ptr<const Ring>> ring = Ring::build(made->settings.ring(made->members));
    if (!ring) return ring.status();
    made->ring = *ring;
    for (uint32_t i = 0; i < nodes; ++i) {
      Result<std::unique_ptr<Server>> server =
          serve(made->settings, made->members[i], made->engines[i], made->ring, made->sink(i),
                std::move(listeners[i]), true);
      if (!server) return server.status();
      made->servers.push_back(std::move(*server));
    }
    *cluster = made.release();
    return {};
  });
}

const char* ringlet_cluster_seeds(const ringlet_cluster* cluster) {
  return cluster == nullptr ? nullptr : cluster->seeds.c_str();
}

uint32_t ringlet_cluster_size(const ringlet_cluster* cluster) {
  return cluster == nullptr ? 0 : static_cast<uint32_t>(cluster->members.size());
}

ringlet_status ringlet_cluster_kill(ringlet_cluster* cluster, uint32_t index,
                                    ringlet_error** error) {
  return guarded(error, [&]() -> Failure {
    if (Status s = check(cluster); !s) return s;
    std::lock_guard lock(cluster->mutex);
    if (Status s = check_index(cluster, index); !s) return s;
    cluster->servers[index].reset();
    return {};
  });
}

ringlet_status ringlet_cluster_restart(ringlet_cluster* cluster, uint32_t index,
                                       ringlet_error** error) {
  return guarded(error, [&]() -> Failure {
    if (Status s = check(cluster); !s) return s;
    std::lock_guard lock(cluster->mutex);
    if (Status s = check_index(cluster, index); !s) return s;
    if (cluster->servers[index] != nullptr) return {};
    Result<std::unique_ptr<Server>> server =
        serve(cluster->settings, cluster->members[index], cluster->engines[index], cluster->ring,
              cluster->sink(index), nullptr, true);
    if (!server) return server.status();
    cluster->servers[index] = std::move(*server);
    return {};
  });
}

ringlet_status ringlet_cluster_stop(ringlet_cluster* cluster, uint32_t drain_ms,
                                    ringlet_error** error) {
  return guarded(error, [&]() -> Failure {
    if (Status s = check(cluster); !s) return s;
    std::lock_guard lock(cluster->mutex);
    cluster->stopped = true;
    Status first = Status::ok();
    for (std::unique_ptr<Server>& server : cluster->servers) {
      if (server == nullptr) continue;
      Status stopped = server->stop(Duration::millis(std::min<uint32_t>(drain_ms, 3600000)));
      if (!stopped && first.is_ok()) first = stopped;
      server.reset();
    }
    return first;
  });
}

void ringlet_cluster_release(ringlet_cluster* cluster) {
  if (cluster == nullptr) return;
  if (cluster->birthplace.forked()) {
    for (std::unique_ptr<Server>& server : cluster->servers) (void)server.release();
  } else {
    ringlet_cluster_stop(cluster, 0, nullptr);
  }
  delete cluster;
}

size_t ringlet_cluster_log_drain(ringlet_cluster* cluster, ringlet_log_fn fn, void* user_data) {
  if (cluster == nullptr || fn == nullptr || cluster->birthplace.forked()) return 0;
  size_t count = 0;
  guarded(nullptr, [&]() -> Failure {
    std::shared_ptr<LogQueue> log = cluster->log;
    count = log->drain(fn, user_data);
    return {};
  });
  return count;
}
