#include "ring/efficiency.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/assert.hpp"

namespace ringlet {

double efficiency_of(const Placement& placement, std::size_t replicas) {
  std::vector<Placement::Node> nodes = placement.nodes();
  std::vector<double> loads(nodes.back() + 1, 0.0);
  for (std::size_t range = 0; range < placement.ranges(); ++range) {
    double share = placement.share_of(range);
    for (Placement::Node node : placement.replicas(range, replicas)) loads[node] += share;
  }
  double total = std::accumulate(loads.begin(), loads.end(), 0.0);
  return total / static_cast<double>(nodes.size()) / *std::max_element(loads.begin(), loads.end());
}

Efficiency measure_efficiency(const std::function<Placement(Random&)>& place, std::size_t replicas,
                              std::uint32_t trials, std::uint64_t seed) {
  RINGLET_ASSERT(trials >= 1);
  Random random(seed);
  double sum = 0, squares = 0;
  for (std::uint32_t i = 0; i < trials; ++i) {
    double e = efficiency_of(place(random), replicas);
    sum += e;
    squares += e * e;
  }
  double mean = sum / trials;
  return {mean, std::sqrt(std::max(0.0, squares / trials - mean * mean))};
}

}  // namespace ringlet
