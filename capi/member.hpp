// A storage node inside this process, with its data in memory: what ringlet_node is one of and
// ringlet_cluster several.
#pragma once

#include <memory>
#include <string>

#include "log_queue.hpp"
#include "options.hpp"
#include "runtime/server.hpp"
#include "storage/storage_engine.hpp"

namespace ringlet::capi {

// Serves on `listener`, or on the member's own address when there is none.
Result<std::unique_ptr<Server>> serve(const Settings& settings, const Member& member,
                                      std::shared_ptr<StorageEngine> engine,
                                      std::shared_ptr<const Ring> ring, LogSink log,
                                      std::unique_ptr<Listener> listener,
                                      bool opens_all_members = false, const Cuts& cuts = {},
                                      std::int64_t skew_ms = 0);
Member member_of(std::string name, std::string address);
std::shared_ptr<StorageEngine> memory_engine();

}  // namespace ringlet::capi
