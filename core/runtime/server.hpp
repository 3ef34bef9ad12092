// A node on Boost.Asio: a listener, and `threads` lanes, each one io_context on one thread with its
// own Node, its own connections to the other members. Thread-safe.
//
// Overload. A lane reads all that its sockets have and serves what it has read: what members ask
// first, for that is work already admitted, then clients, each in the order read. A client's
// request is refused with Code::overloaded and a time to come back, and costs next to nothing, when
// its connection or the node has too many under way, when the node has no memory to spare, or when
// it waited too long for the lane.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "node/node.hpp"

namespace ringlet {

struct ServerLimits {
  std::size_t max_frame_bytes = 64 * 1024 * 1024;  // refused before memory is taken
  std::size_t max_connections = 10'000;
  std::size_t max_queued_bytes =
      64 * 1024 * 1024;  // to one slow reader; more: reading from it stops, then it is dropped
  // Of clients, under way: from read to answered.
  std::size_t max_requests_per_connection = 10'000;
  std::size_t max_requests_per_node = 20'000;         // all lanes together
  std::size_t max_request_bytes = 256 * 1024 * 1024;  // all lanes together
  // Of answers that were not taken, all lanes together: beyond it nothing more is read for clients.
  std::size_t max_answer_bytes = 256 * 1024 * 1024;
  // Of the whole process; near it clients, at it members too are refused (memory_budget.hpp).
  // 0: no limit, as it has to be where the process is somebody else's.
  std::size_t max_resident_bytes = 0;
  // Of one key, in service at once in a lane: others of it wait for their turn, those of other keys
  // do not wait for them. `key_wait`: longer than that, and it is refused.
  std::size_t max_requests_per_key = 8;
  Duration key_wait = Duration::seconds(1);
  // A client's request that waited for its lane longer than this is refused, once that has been so
  // for twice as long: a burst is served, a queue that stands is cut.
  Duration shed_after = Duration::millis(50);
  Duration handshake_within = Duration::seconds(5);
  Duration frame_within =
      Duration::seconds(30);  // slow-loris: from a frame's first byte to its last
};

struct ServerOptions {
  std::string listen = "127.0.0.1:0";  // port 0: any free one
  int threads = 1;
  ServerLimits limits;
  LogSink log;
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
  // Stops listening, lets requests under way finish for up to `drain`, closes connections, joins.
  Status stop(Duration drain);
  std::string status_json() const;

 private:
  Server();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ringlet
