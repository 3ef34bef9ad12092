// A node on Boost.Asio: a listener, and `threads` lanes, each one io_context on one thread with its
// own Node, its own connections to the other members. Thread-safe.
// Overload: see admission.hpp.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "node/node.hpp"
#include "runtime/cuts.hpp"
#include "runtime/server_limits.hpp"

namespace ringlet {

struct ServerOptions {
  std::string listen = "127.0.0.1:0";  // port 0: any free one
  int threads = 1;
  ServerLimits limits;
  // False where the node is a part of somebody else's program: it changes nothing of the process, and
  // leaves half of the descriptors that are free to the rest of the program.
  bool own_process = false;
  LogSink log;
  // As set_cuts() and skew(), from the start.
  Cuts cuts;
  std::int64_t skew_ms = 0;
};

// A listening socket taken before the ring is known, so that a cluster can be built on port 0.
class Listener {
 public:
  static Result<std::unique_ptr<Listener>> open(const std::string& address);
  ~Listener();
  std::string address() const;  // "127.0.0.1:41873"
  struct Impl;
  std::unique_ptr<Impl> impl;
};

class Server {
 public:
  static Result<std::unique_ptr<Server>> start(std::shared_ptr<NodeState> state,
                                               ServerOptions options,
                                               std::unique_ptr<Listener> listener = nullptr);
  ~Server();  // stop(0)
  std::string address() const;
  // How many connections it takes: limits.max_connections, or what the descriptors leave.
  std::size_t max_connections() const;
  // Stops listening, lets requests under way finish for up to `drain`, closes connections, joins.
  Status stop(Duration drain);
  std::string status_json() const;

  // ---- faults, for tests of what is built on a cluster ----
  // Its threads stand still, as a process does after SIGSTOP: its sockets stay open, what is sent to it waits
  // in them and is worked off after resume(), where it is not too old by then. Returns when they do. stop()
  // ends a paused server too, without serving what waits. Thread-safe, as the others.
  Status pause();
  void resume();
  // The cut lines, all of them: those of an earlier call that are not among them are mended. In force when it
  // returns; in a paused server, as soon as that goes on.
  Status set_cuts(const Cuts& cuts);
  // From now on its wall clock is so far ahead (negative: behind) of the machine's. Deadlines do not depend
  // on it.
  void skew(std::int64_t ms);

 private:
  Server();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ringlet
