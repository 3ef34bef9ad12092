// Seeds in parallel processes: a crash of one costs its seed, not the run.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "run.hpp"

namespace ringlet::sim {

struct SeedReport {
  std::uint64_t seed = 0;
  RunReport run;
};

// Runs `one` for seeds from, from+1, … in `jobs` processes and hands each report to `hear`, in the
// order they come. A process that dies is a violation of kind crash, and another goes on after it.
// `hear` returns false to stop.
void run_jobs(std::uint64_t from, std::uint64_t count, unsigned jobs,
              const std::function<RunReport(std::uint64_t seed)>& one,
              const std::function<bool(const SeedReport&)>& hear);

}  // namespace ringlet::sim
