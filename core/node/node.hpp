// One lane of a storage node: routes messages between clients, its coordinator, its replica and the
// other members. Without I/O: the driver (runtime/ or sim/) hands in what arrived and sends what
// comes out. A request is served to the end on the lane that received it; lanes share NodeState only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordination/coordinator.hpp"
#include "membership/fault_detector.hpp"
#include "node/node_state.hpp"
#include "node/replica.hpp"
#include "repair/hint_delivery.hpp"

namespace ringlet {

class Node {
 public:
  // A request to another member. Its reply comes back through on_reply with the same number.
  struct ToMember {
    NodeId to;
    std::string address;  // where, when the ring may not know `to`; else empty
    std::uint64_t number;
    Message message;
    Asking asking;  // how long it is wanted
  };
  // The reply to a request that came in on `link` with `number`.
  struct ToRequester {
    std::uint64_t link;
    std::uint64_t number;
    Message message;
  };

  // Lane 0 also delivers hints and does the upkeep. `seed` feeds jitter only.
  Node(std::shared_ptr<NodeState> state, int lane, std::uint64_t seed);
  ~Node();

  void start(Now now);
  // From a client or a member (`from`; nobody: a client): `link` is the driver's name for the
  // connection, unique for ever.
  // What is not wanted any more when it would be executed is refused: to a member or a client that
  // coordinates as Refused with Code::timeout, to another client as `unavailable`. Joining a copy
  // (ReplicaPut) is of use however late, and harmless.
  void on_request(std::uint64_t link, std::uint64_t number, Message message, Now now,
                  NodeId from = {}, const Arrival& arrival = {});
  void on_link_closed(std::uint64_t link);  // its replies are of no use any more
  void on_reply(NodeId from, std::uint64_t number, Message message, Now now);
  // A message to a member was not sent, since too much waits to be sent there already.
  void on_not_sent(NodeId to, std::uint64_t number, Refused why, Now now);
  void on_unreachable(NodeId node,
                      Now now);  // no connection, or it broke: nothing under way will be answered
  void on_wake(Now now);
  void on_durable(StorageEngine::Ticket durable_up_to, Now now);

  std::vector<ToMember> take_requests();
  std::vector<ToRequester> take_replies();
  Instant next_wake() const;

  // Graceful stop: client requests are refused (unavailable, retry elsewhere), those under way go on.
  void drain(Now now);
  bool idle() const;  // nothing unanswered
  std::size_t in_flight() const;
  std::size_t questions() const;  // of its coordinator, to replicas that have not replied
  const FaultDetector& health() const;
  std::string status_json() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ringlet
