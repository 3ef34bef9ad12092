// Membership views made of an input: orders and arrivals from a founding that is always the same.
#pragma once

#include <string>

#include "fuzz/input.hpp"
#include "fuzz/target.hpp"
#include "membership/changes.hpp"
#include "membership/view.hpp"
#include "versioning/hash.hpp"

namespace ringlet::fuzz {

inline std::string node_name(unsigned n) {
  return "n" + std::to_string(n);
}
inline Member node_member(unsigned n) {
  return {node_id_of(node_name(n)), node_name(n), node_name(n) + ":1", "", 1};
}

inline MembershipView founded_view() {
  Ring::Options options;
  options.partitions = 8;
  options.replicas = 2;
  for (unsigned n = 0; n < 3; ++n) options.members.push_back(node_member(n));
  auto view = MembershipView::found(options);
  hold(view.is_ok(), "three members cannot found a cluster");
  return *view;
}

// format(1) | xxh3-64 of the rest | body: or a mutation never passes the checksum.
inline Bytes sealed(BytesView body) {
  Bytes out(1, '\1');
  append_u64(out, xxh3(body));
  return out + Bytes(body);
}

// One order of an administrator, to whatever name.
inline Status stage(Changes& changes, const MembershipView& view, std::uint8_t what) {
  unsigned who = what >> 3 & 7, other = what >> 6 & 3;
  switch (what & 7) {
    case 0:
    case 1:
      return changes.join(view, node_member(who));
    case 2:
      return changes.leave(view, node_name(who));
    case 3:
      return changes.replace(view, node_name(who), node_name(4 + other),
                             node_name(4 + other) + ":1");
    case 4:
      return changes.set_weight(view, node_name(who), 1 + other);
    case 5:
      return changes.set_address(view, node_name(who), node_name(other) + ":2");
    default:
      return changes.rebalance(view);
  }
}

// Up to eight steps: orders committed by somebody, or a node that has all it waited for.
inline MembershipView lived(MembershipView view, BytesView steps, unsigned issuer) {
  for (std::size_t i = 0; i < std::min<std::size_t>(steps.size(), 8); ++i) {
    auto step = static_cast<std::uint8_t>(steps[i]);
    if ((step & 7) == 7) {
      NodeId node = node_id_of(node_name(step >> 3 & 7));
      view = view.arrived(node, view.arriving(node));
      continue;
    }
    Changes changes;
    if (!stage(changes, view, step)) continue;
    auto next = changes.commit(view, node_id_of(node_name(issuer)), 1000 + static_cast<int>(i));
    if (next) view = *next;
  }
  return view;
}

inline void hold_view(const MembershipView& view) {
  if (view.empty()) return;
  auto again = MembershipView::decode(view.encode());
  hold(again.is_ok(), "a view is refused once encoded: " + again.status().message());
  hold(*again == view && again->digest() == view.digest(), "a view does not survive its bytes");
  const Ring& ring = *view.ring();
  hold(ring.owners().size() == view.partitions(), "not every partition has an owner");
  for (NodeId owner : ring.owners()) {
    hold(ring.find(owner) != nullptr, "a partition's owner is no member");
  }
  for (NodeId next : ring.next()) {
    hold(!next || ring.find(next) != nullptr, "a partition is to be of somebody who is no member");
  }
}

inline void hold_merge_laws(const MembershipView& a, const MembershipView& b,
                            const MembershipView& c) {
  auto ab = a.merge(b), ba = b.merge(a);
  hold(ab.is_ok() == ba.is_ok(), "one of two views refuses the other, and not the reverse");
  auto aa = a.merge(a);
  hold(aa.is_ok() && *aa == a, "a view merged with itself is another");
  if (!ab) return;
  hold(*ab == *ba, "merging is not commutative");
  hold_view(*ab);
  hold(ab->epoch() >= a.epoch() && ab->epoch() >= b.epoch(), "an epoch falls in a merge");
  auto twice = ab->merge(b);
  hold(twice.is_ok() && *twice == *ab, "merging a second time changes a view");
  auto bc = b.merge(c), abc = ab->merge(c);
  if (!bc || !abc) return;
  auto a_bc = a.merge(*bc);
  hold(a_bc.is_ok() && *a_bc == *abc, "merging is not associative");
}

}  // namespace ringlet::fuzz
