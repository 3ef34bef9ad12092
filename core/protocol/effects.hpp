// What a protocol may ask of its driver (architecture, decision 1). A machine is told facts
// (start, on_message, on_wake, always with now) and appends effects; the driver does them.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "protocol/messages.hpp"
#include "protocol/request_time.hpp"

namespace ringlet {

// Ask `to`. The answer comes back through on_message(to, question, …), or never does. `Stored` does
// not say what was stored: the question tells a machine that asks one node for several things.
struct Send {
  NodeId to;
  Message message;
  std::uint32_t question = 0;  // the machine's own number
  Asking asking;               // how long it is wanted
};
// Call on_wake at or after this instant. The latest one of a machine counts no more than the
// earlier ones: a wake too many is harmless.
struct WakeAt {
  Instant at;
};
// The one answer of the request.
struct Answer {
  ClientReply reply;
};
// Nothing is waited for any more; the machine may be destroyed.
struct Done {};

using Effect = std::variant<Send, WakeAt, Answer, Done>;
using Effects = std::vector<Effect>;

}  // namespace ringlet
