// Small clusters for the tests of membership.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "membership/changes.hpp"
#include "membership/view.hpp"
#include "versioning/hash.hpp"

namespace ringlet::membership_samples {

inline Member member(int n) {
  std::string name = "n" + std::to_string(n);
  return {node_id_of(name), name, name + ":1", "", 1};
}

inline Ring::Options options_of(int members, std::uint32_t q, std::uint32_t n) {
  Ring::Options options;
  options.partitions = q;
  options.replicas = n;
  for (int i = 0; i < members; ++i) options.members.push_back(member(i));
  return options;
}

inline MembershipView founded(int members, std::uint32_t q, std::uint32_t n) {
  auto view = MembershipView::found(options_of(members, q, n));
  INFO(view.status().to_string());
  REQUIRE(view.is_ok());
  return *view;
}

inline MembershipView after(const MembershipView& view,
                            const std::function<Status(Changes&, const MembershipView&)>& order,
                            int issuer = 0) {
  Changes changes;
  Status status = order(changes, view);
  INFO(status.to_string());
  REQUIRE(status.is_ok());
  auto next = changes.commit(view, member(issuer).id, 1000);
  INFO(next.status().to_string());
  REQUIRE(next.is_ok());
  return *next;
}

// Everybody has pulled what it had to.
inline MembershipView settled(MembershipView view) {
  for (const Member& m : std::vector<Member>(view.ring()->members())) {
    view = view.arrived(m.id, view.arriving(m.id));
  }
  return view;
}

inline Bytes sealed(const Bytes& body) {
  Bytes out(1, '\1');
  std::uint64_t checksum = xxh3(body);
  for (int i = 0; i < 8; ++i) out += static_cast<char>(checksum >> (8 * i));
  return out + body;
}

}  // namespace ringlet::membership_samples
