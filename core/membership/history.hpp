// What administrators ordered, as a set of events that only grows (R4.8.1-b): two histories merge by
// union, and every node that has the same events sees the same members. A member's state is what its
// last event says; order is by (lamport, issuer, seq), never by a wall clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ring/ring.hpp"

namespace ringlet {

struct MemberEvent {
  enum class Kind : std::uint8_t { join = 1, leave = 2, replace = 3, update = 4 };
  std::uint64_t lamport = 0;  // 0: a founding member
  NodeId issuer;              // the node that took the order
  std::uint64_t seq = 0;
  std::int64_t wall_ms = 0;  // time of issue, for people
  Kind kind = Kind::join;
  Member member;         // leave: as it was
  std::string replaces;  // of a replace: the name of the member that is gone for good
  friend bool operator==(const MemberEvent&, const MemberEvent&) = default;
};
const char* name_of(MemberEvent::Kind kind);  // "join"

// A total order; equal only for equal events.
bool before(const MemberEvent& a, const MemberEvent& b);

// What the events say of one name. An update changes what a member is, never whether it is one.
struct MemberRecord {
  enum class State : std::uint8_t { in, leaving, replaced };
  Member member;
  State state = State::in;
  std::string replaced_by;
  MemberEvent last;  // the event that made it so
  std::uint32_t events = 0;
};

class History {
 public:
  // Sorted. Two events with one number (a node that lost its directory counted anew) are both kept.
  const std::vector<MemberEvent>& events() const { return events_; }
  std::size_t size() const { return events_.size(); }
  void add(MemberEvent event);
  void merge(const History& other);
  std::uint64_t last_lamport() const { return events_.empty() ? 0 : events_.back().lamport; }
  std::uint64_t last_seq(NodeId issuer) const;
  // From the clock, so that a node that lost its directory does not number two events alike, and above its last.
  std::uint64_t next_seq(NodeId issuer, std::uint64_t wall_ms) const;
  std::vector<MemberRecord> records() const;  // all names there ever were, by id
  friend bool operator==(const History&, const History&) = default;

 private:
  std::vector<MemberEvent> events_;
};

}  // namespace ringlet
