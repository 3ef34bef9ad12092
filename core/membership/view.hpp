// All that a node knows of the cluster and keeps on disk: the name, Q and N, the history of members,
// and the table of slots. An immutable value; copies share. Two views of the same founding merge,
// without a leader, to the same bytes on every node (R4.8.1-c, d; O-15); views of different
// foundings never do. Whatever merged, every partition has N distinct owners.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/status.hpp"
#include "membership/history.hpp"
#include "ring/ownership_table.hpp"
#include "ring/ring.hpp"

namespace ringlet {

class MembershipView {
 public:
  // An empty view: a stranger's. Only empty(), digest() (0), encode() (""), merge() may be called.
  MembershipView() = default;
  bool empty() const { return data_ == nullptr; }

  // The first view, the same on every node whose configuration says the same: one join a member and
  // a table of epoch 1 by constrained placement. Wrong options are refused as Ring::build does.
  static Result<MembershipView> found(const Ring::Options& options);
  // From parts: what commit and flips make. RINGLET_ASSERTs what decode checks.
  static MembershipView of(std::string cluster, std::uint32_t replicas, History history,
                           OwnershipTable table);

  const std::string& cluster() const;
  std::uint32_t partitions() const;
  std::uint32_t replicas() const;
  std::uint64_t founding() const;  // digest of cluster, Q, N and the names of the founders
  const History& history() const;
  const OwnershipTable& table() const;

  enum class Standing {
    unknown,   // the name was never a member
    in,        // a member
    leaving,   // a member until its slots have moved
    left,      // it was one
    replaced,  // it is gone for good, another has its place
    clashing,  // joined at the address of another member, on two sides of a split: waits
  };
  struct Known {
    Member member;
    Standing standing = Standing::unknown;
    std::string replaced_by;
    std::uint32_t events = 0;
    std::int64_t since_wall_ms = 0;
  };
  const std::vector<Known>& known() const;  // everybody there ever was, by id
  const Known* find(std::string_view name) const;
  Standing standing(std::string_view name) const;
  bool is_member(std::string_view name) const;  // in or leaving

  // Members in and leaving, settled owners, next, epoch(). Computed once a view.
  const std::shared_ptr<const Ring>& ring() const;
  std::uint64_t epoch() const;   // never falls in a merge, rises with each change
  std::uint64_t digest() const;  // equal iff the encoded bytes are; never 0 unless empty

  // invalid_argument, with a sentence, for another cluster or founding; the empty view is neutral.
  Result<MembershipView> merge(const MembershipView& other) const;

  // corrupt, with a sentence, when decode would refuse the bytes: it must not be kept (F-111).
  Status check() const;

  // The slots that will be the node's (settled), and the view after it has pulled all of their data:
  // those of `slots` that are still to be its own are. No slot: the same view.
  std::vector<std::uint32_t> arriving(NodeId node) const;
  MembershipView arrived(NodeId node, const std::vector<std::uint32_t>& slots) const;

  // format(1) | xxh3-64 of the rest (8, LE) | message. One encoding a view, at most max_view_bytes.
  const Bytes& encode() const;
  static Result<MembershipView> decode(BytesView bytes);  // corrupt: says what was wrong
  friend bool operator==(const MembershipView& a, const MembershipView& b) {
    return a.encode() == b.encode();
  }

 private:
  struct Data;
  std::shared_ptr<const Data> data_;
};
// The view after an update of a member, by `issuer`.
Result<MembershipView> with_update(const MembershipView& view, const Member& member, NodeId issuer,
                                   std::int64_t wall_ms);
inline constexpr std::size_t max_view_bytes = 8 << 20;
inline constexpr std::size_t max_member_events = 65536;
const char* name_of(MembershipView::Standing standing);  // "leaving"

}  // namespace ringlet
