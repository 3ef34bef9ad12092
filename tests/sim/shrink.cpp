#include "shrink.hpp"

#include <algorithm>
#include <numeric>

namespace ringlet::sim {

Smaller shrink(const Plan& plan, const Violation& violation,
               const std::function<void(const std::string&)>& say) {
  Smaller best;
  auto breaks = [&](const Smaller& smaller) {
    RunReport report = run_plan(made_smaller(plan, smaller));
    return report.violation && report.violation->id == violation.id &&
           report.violation->kind == violation.kind;
  };
  auto take = [&](const Smaller& smaller) {
    if (!breaks(smaller)) return false;
    best = smaller;
    say("still broken with" + best.flags());
    return true;
  };
  std::vector<std::size_t> faults(plan.faults.size());
  std::iota(faults.begin(), faults.end(), 0);
  std::vector<WorkloadKind> workloads = plan.workloads;

  bool progress = true;
  for (int round = 0; progress && round < 4; ++round) {
    progress = false;
    // Halves of the faults, then one at a time.
    for (std::size_t chunk = std::max<std::size_t>(1, faults.size() / 2); chunk >= 1; chunk /= 2) {
      for (std::size_t at = 0; at + chunk <= faults.size();) {
        Smaller smaller = best;
        smaller.faults = faults;
        smaller.faults->erase(smaller.faults->begin() + static_cast<long>(at),
                              smaller.faults->begin() + static_cast<long>(at + chunk));
        if (take(smaller)) {
          faults = *smaller.faults;
          progress = true;
        } else {
          at += chunk;
        }
      }
    }
    for (std::size_t at = 0; at < workloads.size() && workloads.size() > 1;) {
      Smaller smaller = best;
      smaller.workloads = workloads;
      smaller.workloads->erase(smaller.workloads->begin() + static_cast<long>(at));
      if (take(smaller)) {
        workloads = *smaller.workloads;
        progress = true;
      } else {
        ++at;
      }
    }
    for (std::size_t nodes = 1; nodes < best.nodes.value_or(plan.nodes); ++nodes) {
      Smaller smaller = best;
      smaller.nodes = nodes;
      if (!take(smaller)) continue;
      progress = true;
      break;
    }
    for (std::size_t clients = 1; clients < best.clients.value_or(plan.clients); ++clients) {
      Smaller smaller = best;
      smaller.clients = clients;
      if (!take(smaller)) continue;
      progress = true;
      break;
    }
    std::size_t most = best.operations.value_or(
        static_cast<std::size_t>(run_plan(made_smaller(plan, best)).operations));
    for (std::size_t less = most / 2; less >= 1; less /= 2) {
      while (most > less) {
        Smaller smaller = best;
        smaller.operations = most - less;
        if (!take(smaller)) break;
        most = *smaller.operations;
        progress = true;
      }
    }
  }
  return best;
}

}  // namespace ringlet::sim
