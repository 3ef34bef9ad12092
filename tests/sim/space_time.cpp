#include "space_time.hpp"

#include <algorithm>

namespace ringlet::sim {
namespace {

constexpr std::size_t width = 20;

}  // namespace

SpaceTime::SpaceTime(const Plan& plan) {
  for (std::size_t i = 0; i < plan.clients; ++i) hosts_.push_back("c" + std::to_string(i));
  for (std::size_t i = 0; i < plan.nodes + plan.strangers; ++i)
    hosts_.push_back("n" + std::to_string(i + 1));
}

std::string SpaceTime::cells(const std::string& time, std::size_t column,
                             const std::string& text) const {
  std::string out = std::string(11 - std::min<std::size_t>(11, time.size()), ' ') + time + " |";
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    std::string cell = i == column ? text.substr(0, width - 1) : "";
    out += " " + cell + std::string(width - 1 - cell.size(), ' ') + "|";
  }
  return out;
}

std::string SpaceTime::header() const {
  std::string out = "       time |";
  for (const std::string& host : hosts_)
    out += " " + host + std::string(width - 1 - host.size(), ' ') + "|";
  return out + "\n------------+" + std::string(hosts_.size() * (width + 1), '-');
}

std::string SpaceTime::line(const std::string& event) const {
  std::size_t space = event.find(' ');
  std::string us = event.substr(0, space), text = event.substr(space + 1);
  us = std::string(us.size() < 7 ? 7 - us.size() : 0, '0') + us;
  std::string time = us.substr(0, us.size() - 6) + "." + us.substr(us.size() - 6);
  std::string host = text.substr(0, text.find(' '));
  auto found = std::find(hosts_.begin(), hosts_.end(), host);
  if (found == hosts_.end())
    return std::string(11 - std::min<std::size_t>(11, time.size()), ' ') + time + " | " + text;
  return cells(time, static_cast<std::size_t>(found - hosts_.begin()),
               text.substr(std::min(text.size(), host.size() + 1)));
}

}  // namespace ringlet::sim
