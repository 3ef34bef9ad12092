// What the background machines of repair/ need of their host: this node's own copies, and where
// partitions lie. Implemented once by node/ for all of them; every call sees the newest state.
// Objects of a partition come in the order of their rows: bucket length, bucket, key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/ids.hpp"
#include "protocol/messages.hpp"

namespace ringlet {

class OwnCopies {
 public:
  virtual ~OwnCopies() = default;
  // Own copies of the partition (hints left out) after `after` (nullptr: from the start), in row
  // order: up to `objects` of them and about `bytes` of values, one at least if there is one. Fewer
  // does not mean the end; none does.
  virtual Result<std::vector<KeyedObject>> copies_of(std::uint32_t partition, const Key* after,
                                                     std::size_t objects, std::size_t bytes) = 0;
  // The lowest partition >= `first` with an own copy; partitions(): there is none.
  virtual Result<std::uint32_t> partition_with_copies(std::uint32_t first) = 0;
  virtual Result<Object> copy_of(const Key& key) = 0;  // missing(): none
  // A copy kept here for somebody else, whoever it is.
  virtual Result<bool> has_hint_of(const Key& key) = 0;
  // Erases the own copy if it still equals this one, in one transaction; says whether it did.
  virtual Result<bool> erase_if_same(const Key& key, const Object& object) = 0;
  // Sends all that was read here so far to the disk: the engine's ticket to wait for, 0 if it is there.
  virtual Result<std::uint64_t> make_durable() = 0;
};

class Whereabouts {
 public:
  virtual ~Whereabouts() = default;
  virtual std::uint64_t version() const = 0;  // another number with every change of the ring
  virtual std::uint32_t partitions() const = 0;
  virtual std::uint32_t partition_of(const Key& key) const = 0;
  virtual std::vector<NodeId> owners(std::uint32_t partition) const = 0;  // the N, in order
  virtual std::vector<NodeId> members() const = 0;  // all whom a message can reach, self included
  // This node is among the N of the partition, or will be.
  virtual bool keeps(std::uint32_t partition) const = 0;
  virtual bool moving(std::uint32_t partition) const = 0;  // its N are about to change
};

// The order of rows, as a comparison of keys.
bool row_before(const Key& a, const Key& b);

// Bytes on the wire or in memory, within some per cent.
std::size_t size_about(const Key& key);
std::size_t size_about(const Object& object);
std::size_t size_about(const Key& key, const Object& object);
std::size_t size_about(const std::vector<KeyedObject>& objects);

}  // namespace ringlet
