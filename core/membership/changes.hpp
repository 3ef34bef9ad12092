// Orders of an administrator: staged one by one, planned, committed in one or cleared (R4.8.1-a,
// O-15). Every order is checked against the view when it is staged and again, since the view moves
// on, when it is planned. Pure: whoever hosts this keeps encode() in the store after each call, and
// a commit's view and an empty staging in one transaction, so that a crash leaves it whole (F-46).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "membership/settings.hpp"
#include "membership/view.hpp"

namespace ringlet {

struct StagedChange {
  MemberEvent::Kind kind = MemberEvent::Kind::join;
  Member member;         // as it will be; leave: as it is
  std::string replaces;  // of a replace
  // Nobody comes or goes: commit evens out the table alone. The fields above mean nothing then.
  bool rebalance = false;
  // A setting of the cluster gets another value; likewise.
  std::optional<std::pair<Setting, std::uint64_t>> set{};
  friend bool operator==(const StagedChange&, const StagedChange&) = default;
};
std::string to_string(
    const StagedChange& change);  // "join n4 at 127.0.0.1:7004 (zone b, weight 2)"

struct MembershipPlan {
  struct Slot {
    std::uint32_t slot = 0;
    NodeId from, to;
  };
  struct Partition {
    std::uint32_t partition = 0;
    std::vector<NodeId> from, to;  // whose data goes, who gets it
  };
  std::vector<Slot> slots;
  std::vector<Partition> partitions;  // only those that move
  // Mean load / hottest load by weight, keys being uniform (R6.2-d); before: of what was planned.
  double efficiency_before = 0, efficiency_after = 0;
  MembershipView view;  // after a commit by `issuer`
};

class Changes {
 public:
  // invalid_argument with a sentence: unknown, already a member, leaving already, contradicting what
  // is staged, the last member, too many for Q, a bad name, address, zone or weight.
  Status join(const MembershipView& view, const Member& member);  // id may be 0
  Status leave(const MembershipView& view, const std::string& name);
  // The new one takes the slots of one that is gone for good; zone and weight are the old one's.
  Status replace(const MembershipView& view, const std::string& old_name,
                 const std::string& new_name, const std::string& address);
  Status set_weight(const MembershipView& view, const std::string& name, std::uint32_t weight);
  // `advertise`: for clients; empty: as members; "=": as it was.
  Status set_address(const MembershipView& view, const std::string& name,
                     const std::string& address, const std::string& advertise = "=");
  // Of the cluster's settings, one that may change.
  Status set(const MembershipView& view, const ClusterSettings& settings, const std::string& key,
             const std::string& value);

  // Stages what evens out the shares. Mostly there is nothing to do: see claim_share.
  Status rebalance(const MembershipView& view);

  // The settings after a commit; the same when none is staged.
  ClusterSettings settings_after(const ClusterSettings& settings, NodeId issuer) const;

  bool empty() const { return staged_.empty(); }
  const std::vector<StagedChange>& staged() const { return staged_; }
  void clear() { staged_.clear(); }

  // What a commit now would do; plan.view is the commit. Nothing staged: invalid_argument.
  Result<MembershipPlan> plan(const MembershipView& view, NodeId issuer,
                              std::int64_t wall_ms) const;
  Result<MembershipView> commit(const MembershipView& view, NodeId issuer,
                                std::int64_t wall_ms) const;

  Bytes encode() const;  // "" when empty
  static Result<Changes> decode(BytesView bytes);

 private:
  Status stage(const MembershipView& view, StagedChange change);
  std::vector<StagedChange> staged_;
};

// Every commit ends with each member having floor or ceil of what its weight is due; commits that did
// not know of each other merge slot by slot, and leave some short (F-40). This gives `self` what it
// is short of, as `next` of slots of those who have most; the same view when it is not short, or
// something moves. No order and no leader: members that claim of one view claim disjoint slots, and
// one that has its share is never claimed from, so claims end unless views that grew apart are
// merged again.
MembershipView claim_share(const MembershipView& view, NodeId self);

}  // namespace ringlet
