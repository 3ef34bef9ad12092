// A local opinion of who is gone (paper 4.8.3): asked when a request is planned, told what was
// heard.
#pragma once

#include "base/ids.hpp"
#include "base/instant.hpp"

namespace ringlet {

class Health {
 public:
  virtual ~Health() = default;
  virtual bool is_down(NodeId node) const = 0;
  virtual void heard_from(NodeId node, Instant now) = 0;   // any message of it
  virtual void was_silent(NodeId node, Instant now) = 0;   // a request to it ran out of patience
  virtual void unreachable(NodeId node, Instant now) = 0;  // its connection failed: gone at once
  // How long a replica may stay silent before somebody else is asked.
  virtual Duration patience(NodeId node) const = 0;
  // An answer arrived this long after its request: what patience is measured from.
  virtual void answer_took(NodeId, Duration) {}
};

}  // namespace ringlet
