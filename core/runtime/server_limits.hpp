// What a server takes before it refuses.
#pragma once

#include <cstddef>

#include "base/instant.hpp"

namespace ringlet {

struct ServerLimits {
  std::size_t max_frame_bytes = 64 * 1024 * 1024;  // refused before memory is taken
  // At once. Fewer where the process may not have the descriptors (descriptors.hpp).
  std::size_t max_connections = 10'000;
  // Of them, places that clients cannot take; a quarter of all at most.
  std::size_t member_connections = 64;
  // A client that asked nothing for so long is disconnected. It connects again with its next request.
  // Zero: never.
  Duration client_idle = Duration::seconds(600);
  std::size_t max_queued_bytes =
      64 * 1024 * 1024;  // to one slow reader; more: reading from it stops, then it is dropped
  // Of clients, under way: from read to answered.
  std::size_t max_requests_per_connection = 10'000;
  std::size_t max_requests_per_node = 20'000;         // all lanes together
  std::size_t max_request_bytes = 256 * 1024 * 1024;  // all lanes together
  // Of answers that were not taken, all lanes together: beyond it nothing more is read for clients.
  std::size_t max_answer_bytes = 256 * 1024 * 1024;
  // Of what was read and is no whole frame yet, all lanes together: beyond it reading pauses, of clients
  // first; members have twice as much.
  std::size_t max_reading_bytes = 128 * 1024 * 1024;
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
  // What was sent is not acknowledged for so long by the other end's kernel: its machine or the line is
  // gone, and the connection is closed. An idle connection is probed after three times as long, in whole
  // seconds.
  Duration peer_gone_after = Duration::seconds(10);
};

}  // namespace ringlet
