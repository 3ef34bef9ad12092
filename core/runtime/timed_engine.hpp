// A node's engine with a stopwatch around it: what each call took, and each that failed, goes to the
// node's pace of background work (R6.5-a). Nothing below this folder has a clock.
//
// Timed are get() and transact(), which every request waits for; not scan() and flush(), whose length
// is that of the work they were given.
#pragma once

#include <memory>

#include "node/node_state.hpp"

namespace ringlet {

// Opens a node of this process: NodeState::open with the clock and the random bits of the system, and with
// `engine` timed for as long as the state lives. What its own opening took is not counted.
Result<std::shared_ptr<NodeState>> open_timed_node(NodeOptions options,
                                                   std::shared_ptr<StorageEngine> engine,
                                                   std::shared_ptr<const Ring> founding);

// The disk's fault, not the caller's: an answer that makes background work step back.
bool is_storage_failure(const Status& status);

}  // namespace ringlet
