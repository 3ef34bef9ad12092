// Who owns which keys, as one immutable snapshot: members, Q equal partitions of the 128-bit circle,
// and an owner for each (paper 4.2, 4.3, 6.2 strategy 3; R4.2-a: a partition is (start, end]).
// Built once from a configuration, shared by const pointer, swapped whole; any thread may read it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/status.hpp"
#include "base/token.hpp"

namespace ringlet {

struct Member {
  NodeId id;                 // node_id_of(name)
  std::string name;          // unique, 1 to 64 bytes of [A-Za-z0-9._-]
  std::string address;       // "host:port"
  std::string zone;          // "" = no zone
  std::uint32_t weight = 1;  // share of the partitions, 1 to 1000
  // "host:port" where clients reach it, behind a port map or NAT; empty: at `address`, as members do.
  std::string advertise{};
  friend bool operator==(const Member&, const Member&) = default;
};

inline const std::string& address_for_clients(const Member& member) {
  return member.advertise.empty() ? member.address : member.advertise;
}

// What is wrong with its name, id, addresses, zone or weight, in a sentence.
Status check_member(const Member& member);
Status check_cluster(const std::string& cluster, std::uint32_t partitions, std::uint32_t replicas);

class Ring {
 public:
  struct Options {
    std::string cluster = "ringlet";  // the cluster's name
    std::uint32_t partitions = 64;    // Q: a power of two, 1 to 65536
    std::uint32_t replicas = 3;  // N, 1 to 16; with fewer members every key lives on all of them
    std::uint64_t epoch = 1;     // of this table; a client with a lower one is stale
    std::vector<Member> members;
  };

  // Constrained placement: any N neighbours on distinct nodes, and distinct zones where there are
  // enough (O-16, R4.6-d); each node has floor or ceil of its weighted share. A pure function of the options, the
  // same on every machine whatever the order of members. invalid_argument names what is wrong.
  static Result<std::shared_ptr<const Ring>> build(Options options);
  // From a table somebody else computed (a routing table pulled by a client); checked as strictly.
  static Result<std::shared_ptr<const Ring>> from_owners(Options options,
                                                         std::vector<NodeId> owners);
  // As from_owners, of a ring in motion: `next` says by partition who will own it (nobody: it
  // stays; the owner itself: it stays but must be filled); empty: nothing moves. Members may own
  // nothing (yet, or any more): they are in every list, after those who own something, and never
  // among the N.
  static Result<std::shared_ptr<const Ring>> from_table(Options options, std::vector<NodeId> owners,
                                                        std::vector<NodeId> next);

  const std::string& cluster() const;
  std::uint64_t epoch() const;
  std::uint32_t partitions() const;
  std::uint32_t replicas() const;              // N as configured
  std::uint32_t effective_replicas() const;    // min(N, members that own a slot)
  const std::vector<Member>& members() const;  // sorted by id
  const Member* find(NodeId id) const;         // nullptr: not a member
  const Member* find(std::string_view name) const;
  const std::vector<NodeId>& owners() const;  // by partition
  std::uint32_t partition_of(const Token& token) const;
  Token end_of(std::uint32_t partition) const;  // its last token (inclusive)

  // All S members in the order to try them: the N owners of the partition (clockwise, distinct
  // nodes, distinct zones while there are any), then the fallbacks (R4.3-b, R4.6-c). Precomputed.
  const std::vector<NodeId>& preference_list(std::uint32_t partition) const;
  const std::vector<NodeId>& preference_list(const Token& token) const {
    return preference_list(partition_of(token));
  }
  bool owns(NodeId node, const Token& token) const;  // among the first effective_replicas()

  // A ring in motion (paper 4.9; O-15). All precomputed, all empty in a ring at rest.
  bool moving() const;
  const std::vector<NodeId>& next() const;  // by partition; empty when nothing moves
  // Who is not among the N of the partition, but will be: with every `next` applied, or with only
  // those of one member, who may be the first to arrive. Sorted. They get every write meanwhile.
  const std::vector<NodeId>& incoming(std::uint32_t partition) const;
  // Who is among the N, but will not be. Sorted.
  const std::vector<NodeId>& outgoing(std::uint32_t partition) const;
  // The N owners once every `next` that is known is applied; the owners now, when nothing moves. Sorted.
  std::vector<NodeId> owners_in_the_end(std::uint32_t partition) const;
  // Whom a strict request counts: the N owners, then incoming().
  std::vector<NodeId> owners_and_incoming(std::uint32_t partition) const;
  // The partitions that the node has to pull before its slots flip: those it is incoming to, and,
  // when it took a lost node's place, those it owns already. Ascending.
  const std::vector<std::uint32_t>& pulls(NodeId node) const;
  // Who else becomes an owner when the node's slots flip, and of which partitions (ascending): a slot
  // that goes to somebody who was among the N already lets the next one in. A node flips its slots
  // only when these, too, have what they need.
  using Companions = std::map<NodeId, std::vector<std::uint32_t>>;
  const Companions& companions(NodeId node) const;

  // A digest of everything above: equal on two members iff they agree.
  std::uint64_t digest() const;

 private:
  Ring() = default;
  struct Data;
  std::shared_ptr<const Data> data_;
};

}  // namespace ringlet
