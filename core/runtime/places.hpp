// The places of a node's connections: how many there may be, and for whom. Thread-safe; no I/O.
//
//   unknown   accepted, and has not said hello yet. Whether it is a client or a member is not known
//             before that, so their number is bounded by itself, and the oldest makes room.
//   client    may have all places but those that are reserved for members
//   member    may have any
//
// A place is taken when a connection is accepted and keeps its kind until the connection says hello.
// Clients never have more than `all - for_members`; beyond it a newcomer takes the place of the client that
// has been idle longest, or is refused where none is idle. So a member finds the places that are full
// held by connections that can be cut: unknown ones first, then that client.
#pragma once

#include <algorithm>
#include <cstddef>
#include <mutex>

#include "base/assert.hpp"

namespace ringlet {

class Places {
 public:
  enum class Kind { unknown, client, member };
  struct Limits {
    std::size_t all = 0;
    std::size_t for_members = 0;  // of them
    std::size_t unknown = 0;      // at most
  };
  enum class Room { free, cut_unknown, cut_client, none };

  explicit Places(Limits limits) : limits_(limits) {
    RINGLET_ASSERT(limits.for_members < limits.all);
  }

  // What has to happen before one more connection is accepted.
  Room room() const {
    std::lock_guard lock(mutex_);
    if (unknown_ >= limits_.unknown) return Room::cut_unknown;
    if (unknown_ + clients_ + members_ < limits_.all) return Room::free;
    if (unknown_ > 0) return Room::cut_unknown;
    return clients_ > 0 ? Room::cut_client : Room::none;
  }
  void accepted() {
    std::lock_guard lock(mutex_);
    ++unknown_;
  }
  // An unknown connection said hello. False: it is a client and has no place; it stays unknown.
  bool named(Kind kind) {
    std::lock_guard lock(mutex_);
    RINGLET_ASSERT(kind != Kind::unknown && unknown_ > 0);
    if (kind == Kind::client && clients_ >= limits_.all - limits_.for_members) return false;
    --unknown_;
    ++count(kind);
    return true;
  }
  void left(Kind kind) {
    std::lock_guard lock(mutex_);
    RINGLET_ASSERT(count(kind) > 0);
    --count(kind);
  }
  bool full() const {
    std::lock_guard lock(mutex_);
    return unknown_ + clients_ + members_ >= limits_.all;
  }
  std::size_t taken(Kind kind) const {
    std::lock_guard lock(mutex_);
    return kind == Kind::unknown ? unknown_ : kind == Kind::client ? clients_ : members_;
  }
  std::size_t taken() const {
    std::lock_guard lock(mutex_);
    return unknown_ + clients_ + members_;
  }
  const Limits& limits() const { return limits_; }

 private:
  std::size_t& count(Kind kind) {
    return kind == Kind::unknown ? unknown_ : kind == Kind::client ? clients_ : members_;
  }
  const Limits limits_;
  mutable std::mutex mutex_;
  std::size_t unknown_ = 0, clients_ = 0, members_ = 0;
};

}  // namespace ringlet
