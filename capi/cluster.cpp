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
  std::vector<Cuts> cuts;                        // of each node, also while it is down
  std::vector<std::int64_t> skews_ms;            // likewise
  bool stopped = false;
  Counted counted;

  Result<std::unique_ptr<Server>> open(std::size_t index, std::unique_ptr<Listener> listener) {
    return serve(settings, members[index], engines[index], ring, sink(index), std::move(listener),
                 true, cuts[index], skews_ms[index]);
  }
  // At both ends: one alone would leave the other sending into a line that its peer does not read.
  Status set_line(std::uint32_t from, std::uint32_t to, bool is_cut) {
    auto set_end = [&](Cuts::Direction& direction, std::uint32_t end) {
      if (end == RINGLET_CLIENTS) {
        direction.clients = is_cut;
      } else if (is_cut) {
        direction.members.insert(members[end].id);
      } else {
        direction.members.erase(members[end].id);
      }
    };
    if (from != RINGLET_CLIENTS) {
      set_end(cuts[from].out, to);
      if (Status s = apply_cuts(from); !s) return s;
    }
    if (to != RINGLET_CLIENTS) {
      set_end(cuts[to].in, from);
      if (Status s = apply_cuts(to); !s) return s;
    }
    return Status::ok();
  }
  Status apply_cuts(std::size_t index) {
    return servers[index] == nullptr ? Status::ok() : servers[index]->set_cuts(cuts[index]);
  }
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

Status check_line(ringlet_cluster* cluster, std::uint32_t from, std::uint32_t to) {
  for (std::uint32_t end : {from, to}) {
    if (end == RINGLET_CLIENTS) continue;
    if (Status s = check_index(cluster, end); !s) return s;
  }
  if (from != to)
    return cluster->stopped ? Status(Code::closed, "the cluster is stopped") : Status::ok();
  return Status(Code::invalid_argument,
                "from, to: wanted the two ends of a line, got " +
                    (from == RINGLET_CLIENTS ? "the clients" : std::to_string(from)) + " twice");
}

Status is_down(ringlet_cluster* cluster, std::uint32_t index, const char* what) {
  return Status(Code::invalid_argument, "index: wanted a node that is running to be " +
                                            std::string(what) + ", but " +
                                            cluster->members[index].name + " is down");
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
    made->cuts.resize(nodes);
    made->skews_ms.resize(nodes);
    for (uint32_t i = 0; i < nodes; ++i) {
      Result<std::unique_ptr<Server>> server = made->open(i, std::move(listeners[i]));
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
    Result<std::unique_ptr<Server>> server = cluster->open(index, nullptr);
    if (!server) return server.status();
    cluster->servers[index] = std::move(*server);
    return {};
  });
}

ringlet_status ringlet_cluster_pause(ringlet_cluster* cluster, uint32_t index,
                                     ringlet_error** error) {
  return guarded(error, [&]() -> Failure {
    if (Status s = check(cluster); !s) return s;
    std::lock_guard lock(cluster->mutex);
    if (Status s = check_index(cluster, index); !s) return s;
    if (cluster->servers[index] == nullptr) return is_down(cluster, index, "paused");
    return cluster->servers[index]->pause();
  });
}

ringlet_status ringlet_cluster_resume(ringlet_cluster* cluster, uint32_t index,
                                      ringlet_error** error) {
  return guarded(error, [&]() -> Failure {
    if (Status s = check(cluster); !s) return s;
    std::lock_guard lock(cluster->mutex);
    if (Status s = check_index(cluster, index); !s) return s;
    if (cluster->servers[index] != nullptr) cluster->servers[index]->resume();
    return {};
  });
}

ringlet_status ringlet_cluster_cut(ringlet_cluster* cluster, uint32_t from, uint32_t to,
                                   ringlet_error** error) {
  return guarded(error, [&]() -> Failure {
    if (Status s = check(cluster); !s) return s;
    std::lock_guard lock(cluster->mutex);
    if (Status s = check_line(cluster, from, to); !s) return s;
    return cluster->set_line(from, to, true);
  });
}

ringlet_status ringlet_cluster_mend(ringlet_cluster* cluster, uint32_t from, uint32_t to,
                                    ringlet_error** error) {
  return guarded(error, [&]() -> Failure {
    if (Status s = check(cluster); !s) return s;
    std::lock_guard lock(cluster->mutex);
    if (Status s = check_line(cluster, from, to); !s) return s;
    return cluster->set_line(from, to, false);
  });
}

ringlet_status ringlet_cluster_heal(ringlet_cluster* cluster, ringlet_error** error) {
  return guarded(error, [&]() -> Failure {
    if (Status s = check(cluster); !s) return s;
    std::lock_guard lock(cluster->mutex);
    if (Status s = check_index(cluster, 0); !s) return s;
    for (std::size_t i = 0; i < cluster->members.size(); ++i) {
      cluster->cuts[i] = {};
      if (Status s = cluster->apply_cuts(i); !s) return s;
    }
    return {};
  });
}

ringlet_status ringlet_cluster_skew(ringlet_cluster* cluster, uint32_t index, int64_t ahead_ms,
                                    ringlet_error** error) {
  return guarded(error, [&]() -> Failure {
    if (Status s = check(cluster); !s) return s;
    constexpr int64_t most = int64_t{366} * 24 * 3600 * 1000;
    std::lock_guard lock(cluster->mutex);
    if (Status s = check_index(cluster, index); !s) return s;
    if (ahead_ms < -most || ahead_ms > most) {
      return Status(Code::invalid_argument, "ahead_ms: wanted at most 366 days either way, got " +
                                                std::to_string(ahead_ms));
    }
    cluster->skews_ms[index] = ahead_ms;
    if (cluster->servers[index] != nullptr) cluster->servers[index]->skew(ahead_ms);
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
    // With a line cut or a node paused nothing that is under way there could finish.
    for (std::size_t i = 0; drain_ms > 0 && i < cluster->servers.size(); ++i) {
      if (cluster->servers[i] == nullptr) continue;
      cluster->servers[i]->resume();
      (void)cluster->servers[i]->set_cuts({});
    }
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
