#include "coordination/held_slots.hpp"

#include <algorithm>

namespace ringlet {
namespace {

// A matching of slots and members, made larger by one augmenting path at a time (Kuhn). A handful of
// either, so lists are searched.
class Matching {
 public:
  Matching(const std::vector<Holding>& holdings, std::size_t slots)
      : holdings_(holdings), holder_(slots) {}

  std::size_t size() {
    std::size_t filled = 0;
    for (std::size_t slot = 0; slot < holder_.size(); ++slot) {
      tried_.clear();
      filled += fill(slot) ? 1 : 0;
    }
    return filled;
  }

 private:
  // A member that holds another slot already makes room if that one finds somebody else.
  bool fill(std::size_t slot) {
    for (const Holding& holding : holdings_) {
      if (holding.slot != slot || contains(tried_, holding.node)) continue;
      tried_.push_back(holding.node);
      auto other = std::find(holder_.begin(), holder_.end(), holding.node);
      bool free = other == holder_.end() || fill(static_cast<std::size_t>(other - holder_.begin()));
      if (!free) continue;
      holder_[slot] = holding.node;
      return true;
    }
    return false;
  }

  static bool contains(const std::vector<NodeId>& nodes, NodeId node) {
    return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
  }

  const std::vector<Holding>& holdings_;
  std::vector<NodeId> holder_;  // by slot; nobody: not held
  std::vector<NodeId> tried_;   // on the way of one path
};

}  // namespace

std::size_t held_slots(const std::vector<Holding>& holdings, std::size_t slots) {
  return Matching(holdings, slots).size();
}

}  // namespace ringlet
