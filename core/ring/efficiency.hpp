// Load balancing efficiency (R6.2-d): mean load of a node / load of the hottest node, when keys are
// uniform and every replica of a range carries the range's load. 1 is perfect. Figure 8 of the
// paper is its mean over many random placements.
#pragma once

#include <cstdint>
#include <functional>

#include "base/random.hpp"
#include "ring/placement.hpp"

namespace ringlet {

double efficiency_of(const Placement& placement, std::size_t replicas);

struct Efficiency {
  double mean = 0;
  double deviation = 0;  // of one placement
};

// `place` is called `trials` times, each time to draw another placement.
Efficiency measure_efficiency(const std::function<Placement(Random&)>& place, std::size_t replicas,
                              std::uint32_t trials, std::uint64_t seed);

}  // namespace ringlet
