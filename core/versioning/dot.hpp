// A dot names one event: the counter-th version of a key minted by an actor (architecture,
// decision 4). An actor is a node for as long as it remembers: (node, epoch).
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "base/ids.hpp"

namespace ringlet {

struct Actor {
  NodeId node;
  std::uint64_t epoch = 0;
  friend constexpr auto operator<=>(const Actor&, const Actor&) = default;
};

struct Dot {
  Actor actor;
  std::uint64_t counter = 0;  // from 1, contiguous per key and actor
  friend constexpr auto operator<=>(const Dot&, const Dot&) = default;
};

std::string to_string(const Dot& dot);

}  // namespace ringlet
