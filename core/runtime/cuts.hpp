// Lines of a node that a test has cut (Server::set_cuts), one direction at a time: nothing is lost with a line,
// what is sent waits until the line is mended or the connection is given up, as with TCP over a network that
// loses every packet. Of the simulator's faults these are what a node in a real process can be given.
#pragma once

#include <set>

#include "base/ids.hpp"

namespace ringlet {

struct Cuts {
  struct Direction {
    std::set<NodeId> members;  // the other ends
    bool clients = false;      // and every client
    bool operator==(const Direction&) const = default;
    bool cuts(NodeId member) const { return members.contains(member); }
  };
  Direction in, out;  // nothing comes from these; nothing goes to these
  bool operator==(const Cuts&) const = default;
};

}  // namespace ringlet
