// Who coordinates a request (O-1, R5-f): pure functions, asked by nodes and clients.
//
//   read            whoever received it
//   write           the context's fastest reader, if it is an owner and healthy; else the receiver,
//                   if it is an owner; else the first healthy member of the preference list. With
//                   last-write-wins whoever received it
//
// The opinion of who is healthy is local, so two nodes may choose differently: dots make that safe.
#pragma once

#include <cstddef>
#include <vector>

#include "protocol/health.hpp"
#include "versioning/object.hpp"

namespace ringlet {

// Who mints first. `preference` holds all members, its first `n` are the owners; `self` and
// `fastest_reader` may be nobody. With everybody believed down: the first owner. The answer is
// nobody only when there are no members.
NodeId choose_minter(const std::vector<NodeId>& preference, std::size_t n, NodeId self,
                     NodeId fastest_reader, const Health& health);

// Whom a node must hand a client's write to; nobody: coordinate it here. An owner never hands on
// (it may still let another owner mint first), nothing is handed on twice.
NodeId forward_to(const std::vector<NodeId>& preference, std::size_t n, NodeId self,
                  NodeId fastest_reader, bool already_forwarded, Reconcile reconcile,
                  const Health& health);

}  // namespace ringlet
