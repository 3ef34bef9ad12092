// A smaller plan that breaks the same law: fewer faults, workloads, clients, nodes, operations, tried
// in turn until nothing more can go.
#pragma once

#include <functional>
#include <string>

#include "plan.hpp"
#include "run.hpp"

namespace ringlet::sim {

// `say` hears of each step. The result breaks the law of `violation`.
Smaller shrink(const Plan& plan, const Violation& violation,
               const std::function<void(const std::string&)>& say);

}  // namespace ringlet::sim
