#include "coordination/coordinator_choice.hpp"

#include <algorithm>

namespace ringlet {
namespace {

bool among_owners(const std::vector<NodeId>& preference, std::size_t n, NodeId node) {
  auto end = preference.begin() + static_cast<std::ptrdiff_t>(std::min(n, preference.size()));
  return node && std::find(preference.begin(), end, node) != end;
}

}  // namespace

NodeId choose_minter(const std::vector<NodeId>& preference, std::size_t n, NodeId self,
                     NodeId fastest_reader, const Health& health) {
  if (among_owners(preference, n, fastest_reader) && !health.may_be_gone(fastest_reader)) {
    return fastest_reader;
  }
  if (among_owners(preference, n, self)) return self;
  for (NodeId node : preference) {
    if (node == self || !health.may_be_gone(node)) return node;
  }
  return preference.empty() ? NodeId{} : preference.front();
}

NodeId forward_to(const std::vector<NodeId>& preference, std::size_t n, NodeId self,
                  NodeId fastest_reader, bool already_forwarded, Reconcile reconcile,
                  const Health& health) {
  if (already_forwarded || reconcile == Reconcile::lww) return {};
  if (among_owners(preference, n, self)) return {};
  NodeId chosen = choose_minter(preference, n, self, fastest_reader, health);
  return chosen == self ? NodeId{} : chosen;
}

}  // namespace ringlet
