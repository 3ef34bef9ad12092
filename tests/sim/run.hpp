// One simulated history of a plan, in two phases:
//
//   safety    workloads run while faults come and go; every law listens
//   liveness  the faults stop; hints drain, opinions mend, everything is read, owners agree, all in
//             bounded virtual time
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/planted.hpp"
#include "scene.hpp"

namespace ringlet::sim {

struct RunReport {
  std::optional<Violation> violation;  // the first one
  std::uint64_t hash = 0;              // of the trace: the same for the same seed, everywhere
  std::uint64_t operations = 0, acknowledged = 0, failed = 0, events = 0;
  std::int64_t virtual_us = 0;
  Situations situations{};
};

// `trace` is told each event, in words.
RunReport run_plan(const Plan& plan, std::function<void(const std::string&)> trace = nullptr);

// The paper's figure 3 in the simulator (R4.4-f): empty when its contexts are exact, else what differs.
std::string golden_history();

}  // namespace ringlet::sim
