// One simulated history: a cluster drawn from a seed, shoppers on shared carts, faults, then healing,
// then every law. See cart_run.cpp for the story.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/planted.hpp"

namespace ringlet::sim {

struct Violation {
  std::string law;   // "lost add", "refused though it could have been taken", …
  std::string what;  // one sentence
};

struct RunReport {
  std::string settings;                // what the seed drew, for people
  std::optional<Violation> violation;  // the first one
  std::uint64_t hash = 0;              // of the trace: the same for the same seed, everywhere
  std::uint64_t operations = 0, acknowledged = 0, failed = 0, events = 0;
  std::uint64_t crashes = 0, conflicts = 0, hints_dropped = 0;
};

// `trace` is told each event, in words.
RunReport run_carts(std::uint64_t seed, std::function<void(const std::string&)> trace = nullptr);

// The paper's figure 3 in the simulator (R4.4-f): empty when its contexts are exact, else what differs.
std::string golden_history();

}  // namespace ringlet::sim
