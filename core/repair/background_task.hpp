// What all background work of a node has in common, so that its host (core/node/upkeep.cpp) needs one line for each task.
//
// A task is told facts and the time and never blocks: replies, members that became unreachable or came back, and the
// instants that it asked for. It wants messages sent through take_outgoing(), which its host calls after each of
// these. The host calls all functions from one thread at a time.
#pragma once

#include <vector>

#include "protocol/outgoing.hpp"

namespace ringlet {

class BackgroundTask {
 public:
  virtual ~BackgroundTask() = default;

  // The reply to a message of take_outgoing(), under its number. A task ignores what it does not wait for.
  virtual void on_reply(NodeId from, RequestId number, const Message& message, Now now) = 0;
  // Nothing that was asked of the node will be answered: the connection is gone, or it counts as down.
  virtual void on_unreachable(NodeId node, Now now) = 0;
  // The node answers again.
  virtual void on_recovered(NodeId /*node*/, Now /*now*/) {}
  // Called at or after next_wake(); a call too early is harmless.
  virtual void on_wake(Now now) = 0;
  virtual std::vector<Outgoing> take_outgoing() = 0;
  virtual Instant next_wake() const = 0;
};

}  // namespace ringlet
