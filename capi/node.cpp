#include <openssl/crypto.h>

#include <algorithm>
#include <mutex>

#include "member.hpp"
#include "runtime/timed_engine.hpp"
#include "storage/memory_engine.hpp"

using namespace ringlet;
using namespace ringlet::capi;

namespace ringlet::capi {

Result<std::unique_ptr<Server>> serve(const Settings& settings, const Member& member,
                                      std::shared_ptr<StorageEngine> engine,
                                      std::shared_ptr<const Ring> ring, LogSink log,
                                      std::unique_ptr<Listener> listener, bool opens_all_members,
                                      const Cuts& cuts, std::int64_t skew_ms) {
  NodeOptions options = settings.node(member.name);
  options.founding_is_agreed = opens_all_members;
  options.log = log;
  Result<std::shared_ptr<NodeState>> state =
      open_timed_node(std::move(options), std::move(engine), std::move(ring));
  if (!state) return state.status();
  ServerOptions server = settings.config().server;
  server.listen = member.address;
  server.log = std::move(log);
  server.cuts = cuts;
  server.skew_ms = skew_ms;
  return Server::start(std::move(*state), std::move(server), std::move(listener));
}

Member member_of(std::string name, std::string address) {
  Member member;
  member.id = node_id_of(name);
  member.name = std::move(name);
  member.address = std::move(address);
  return member;
}

std::shared_ptr<StorageEngine> memory_engine() {
  return make_memory_engine();
}

}  // namespace ringlet::capi

struct ringlet_node {
  Birthplace birthplace;
  std::shared_ptr<LogQueue> log;
  std::string address;  // fixed after start
  std::mutex mutex;     // guards server
  std::unique_ptr<Server> server;
  Counted counted;
};

ringlet_status ringlet_node_start(const ringlet_options* options, uint32_t abi, ringlet_node** node,
                                  ringlet_error** error) {
  if (node != nullptr) *node = nullptr;
  return guarded(error, [&]() -> Failure {
    if (Status s = check_abi(abi); !s) return s;
    if (options == nullptr) return missing("options");
    if (node == nullptr) return missing("node");
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);
    const Settings& settings = options->settings;
    if (Status s = settings.check_use(for_node); !s) return s;
    if (Status s = check_together(settings.config()); !s) return s;
    Result<std::vector<Member>> members = settings.members();
    if (!members) return members.status();
    const std::string& name = settings.config().node.name;
    auto self = std::find_if(members->begin(), members->end(),
                             [&](const Member& m) { return m.name == name; });
    if (!members->empty() && self == members->end()) {
      return Status(Code::invalid_argument, "node.name: wanted one of node.members, got " + name);
    }
    const std::string& listen = settings.config().server.listen;
    Result<std::unique_ptr<Listener>> listener =
        Listener::open(!listen.empty()          ? listen
                       : self != members->end() ? self->address
                                                : "127.0.0.1:0");
    if (!listener) return listener.status();
    if (members->empty()) members->push_back(member_of(name, (*listener)->address()));
    Result<std::shared_ptr<const Ring>> ring = Ring::build(settings.ring(*members));
    if (!ring) return ring.status();
    auto made = std::make_unique<ringlet_node>();
    made->log = LogQueue::make(settings.log_level());
    made->address = (*listener)->address();
    Result<std::unique_ptr<Server>> server =
        serve(settings, member_of(name, made->address), memory_engine(), *ring,
              LogQueue::sink(made->log), std::move(*listener));
    if (!server) return server.status();
    made->server = std::move(*server);
    *node = made.release();
    return {};
  });
}

const char* ringlet_node_address(const ringlet_node* node) {
  return node == nullptr ? nullptr : node->address.c_str();
}

ringlet_status ringlet_node_stop(ringlet_node* node, uint32_t drain_ms, ringlet_error** error) {
  return guarded(error, [&]() -> Failure {
    if (node == nullptr) return missing("node");
    if (Status s = node->birthplace.check("the node"); !s) return s;
    std::lock_guard lock(node->mutex);
    if (node->server == nullptr) return {};
    Status stopped = node->server->stop(Duration::millis(std::min<uint32_t>(drain_ms, 3600000)));
    node->server.reset();
    return stopped;
  });
}

void ringlet_node_release(ringlet_node* node) {
  if (node == nullptr) return;
  if (node->birthplace.forked()) {
    (void)node->server.release();  // its threads are the parent's; nothing here to join
  } else {
    ringlet_node_stop(node, 0, nullptr);
  }
  delete node;
}

ringlet_text* ringlet_node_log_next(ringlet_node* node) {
  return guarded_pointer([&]() -> ringlet_text* {
    if (node == nullptr || node->birthplace.forked()) return nullptr;
    return node->log->next_text();
  });
}
