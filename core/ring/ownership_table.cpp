#include "ring/ownership_table.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/assert.hpp"
#include "base/planted.hpp"

namespace ringlet {
namespace {

bool contains(const std::vector<NodeId>& sorted, NodeId node) {
  return std::binary_search(sorted.begin(), sorted.end(), node);
}

// Gives slots away, in their order, each to whoever has fewest. A heir that makes some of its slots
// its own early does not change who gets the others: its count is then what it would have come to.
class Heirs {
 public:
  explicit Heirs(const std::vector<NodeId>& nodes) {
    for (NodeId node : nodes) counts_[node] = 0;
  }
  void count(NodeId node) {
    if (auto at = counts_.find(node); at != counts_.end()) ++at->second;
  }
  NodeId take() {
    auto least = counts_.begin();
    for (auto at = counts_.begin(); at != counts_.end(); ++at) {
      if (at->second < least->second) least = at;
    }
    ++least->second;
    return least->first;
  }

 private:
  std::map<NodeId, std::size_t> counts_;
};

}  // namespace

bool wins_over(const SlotEntry& a, const SlotEntry& b) {
  return std::tie(a.epoch, a.owner, a.next) > std::tie(b.epoch, b.owner, b.next);
}

OwnershipTable merge(OwnershipTable a, const OwnershipTable& b) {
  RINGLET_ASSERT(a.size() == b.size());
  for (std::size_t p = 0; p < a.size(); ++p) {
    if (planted(PlantedBug::table_tie_by_arrival) && a[p].epoch == b[p].epoch) continue;
    if (wins_over(b[p], a[p])) a[p] = b[p];
  }
  return a;
}

Ownership settle(const OwnershipTable& table, const std::vector<NodeId>& staying,
                 const std::vector<NodeId>& leaving) {
  RINGLET_ASSERT(!staying.empty() || !leaving.empty());
  Ownership settled;
  settled.owners.resize(table.size());
  settled.next.resize(table.size());
  Heirs heirs(staying.empty() ? leaving : staying);
  std::vector<std::size_t> orphans;
  for (std::size_t p = 0; p < table.size(); ++p) {
    const SlotEntry& entry = table[p];
    NodeId next = contains(staying, entry.next) ? entry.next : NodeId{};
    bool stays = contains(staying, entry.owner), leaves = contains(leaving, entry.owner);
    if (stays || leaves) {
      settled.owners[p] = entry.owner;
      settled.next[p] = next;
      if (leaves && !next && !staying.empty()) {
        orphans.push_back(p);
      } else {
        heirs.count(next ? next : entry.owner);
      }
    } else if (next) {
      settled.owners[p] = settled.next[p] = next;
      heirs.count(next);
    } else {
      orphans.push_back(p);
    }
  }
  for (std::size_t p : orphans) {
    settled.next[p] = heirs.take();
    if (!settled.owners[p]) settled.owners[p] = settled.next[p];
  }
  return settled;
}

}  // namespace ringlet
