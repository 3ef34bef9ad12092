// How many slots of a preference list are held. A slot is an owner's place in it: the owner holds it
// with its own copy, a fallback with a hint for that owner. Owner and fallback together hold one
// slot, not two, for the fallback drops the hint once the owner has it. And a member is one disk: it
// counts for one slot, whichever of its slots makes the most of all members.
#pragma once

#include <cstddef>
#include <vector>

#include "base/ids.hpp"

namespace ringlet {

struct Holding {
  NodeId node;
  std::size_t slot;
};

std::size_t held_slots(const std::vector<Holding>& holdings, std::size_t slots);

}  // namespace ringlet
