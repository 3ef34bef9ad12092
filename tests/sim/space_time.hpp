// A trace in columns, one a host: who did what when, read from top to bottom.
#pragma once

#include <string>
#include <vector>

#include "plan.hpp"

namespace ringlet::sim {

class SpaceTime {
 public:
  explicit SpaceTime(const Plan& plan);
  std::string header() const;
  std::string line(const std::string& event) const;  // of World::on_trace

 private:
  std::string cells(const std::string& time, std::size_t column, const std::string& text) const;
  std::vector<std::string> hosts_;
};

}  // namespace ringlet::sim
