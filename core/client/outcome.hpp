// What a client's call wants and what it brought, for ClientCore, for UpdateOperation, and for the
// surfaces over them.
#pragma once

#include <cstdint>
#include <string>

#include "protocol/messages.hpp"

namespace ringlet {

// Of an update: how far it came (M-12). The edit and the merges after it are different
// things: a merge that did not end is no failure of the edit.
struct UpdateEnd {
  bool edited = false;     // the own edit was acknowledged: it is in the store, once
  // One version was left (or none) of what the replicas that answered last held when they answered: the W
  // that took the last write, or the R that were read. A write that is concurrent to this one and reached
  // none of them is met by its own writer, where W + W > N.
  bool merged = true;
  std::uint32_t left = 0;  // versions left side by side when it is not merged
  std::string why;         // why merging stopped, a sentence; empty when merged
};

struct ClientOutcome {
  ClientReply reply;  // with status
  Bytes context;      // get: what to hand to the next put; put: what the minter holds now
  WriteId write_id;   // the write's, for a later retry
  std::uint32_t attempts = 0;
  NodeId coordinator;  // who coordinated; unset: this client
  std::string node;    // its name or address, for people
  // Client coordination was wanted, but a node coordinated: too few members were in the client's reach.
  bool instead_of_client = false;
  UpdateEnd update;  // of an update only
};

}  // namespace ringlet
