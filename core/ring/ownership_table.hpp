// Who owns each slot and who will, with an epoch a slot, so that tables that grew apart merge without
// a leader (O-15). A slot is a partition's token: its owner is the first of the partition's N, and
// among the N of those just before it. A plan sets (epoch + 1, owner, next); once `next` has pulled
// everything it flips its own slots to (epoch + 1, next, nobody).
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.hpp"

namespace ringlet {

struct SlotEntry {
  std::uint64_t epoch = 0;
  NodeId owner;  // serves
  NodeId next;   // will serve; nobody: the owner stays; the owner itself: it serves, but has to be
                 // filled first (it took the place of a node that was lost)
  friend bool operator==(const SlotEntry&, const SlotEntry&) = default;
};

// A total order: the higher epoch, then the larger owner, then the larger next.
bool wins_over(const SlotEntry& a, const SlotEntry& b);

using OwnershipTable = std::vector<SlotEntry>;  // by partition

// Entry by entry, the one that wins. Commutative, associative, idempotent. As long as each other.
OwnershipTable merge(OwnershipTable a, const OwnershipTable& b);

// Who owns and will own each slot, given who is a member. Total: a slot without a member for an
// owner goes to its next, else to the member with the fewest slots, then the smallest id, who has to
// be filled; a leaving owner without a next gets one by the same rule. A pure function, and one
// that does not change its mind while those nodes flip, one after the other.
struct Ownership {
  std::vector<NodeId> owners;
  std::vector<NodeId> next;  // by partition
};
// `staying`: members that are not leaving, sorted. `leaving`: sorted; owns what it owns until then.
// One of the two must have somebody.
Ownership settle(const OwnershipTable& table, const std::vector<NodeId>& staying,
                 const std::vector<NodeId>& leaving);

}  // namespace ringlet
