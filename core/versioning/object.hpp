// What a replica stores for a key: the versions nobody has superseded, and the exact context of
// everything it ever saw of the key. A version replaces another iff the other's dot was in the
// context it was written with; an object therefore never holds an ancestor beside a descendant.
// (Dotted version vectors: Preguiça et al. 2010, arXiv 1011.5808; Almeida et al., DAIS 2014.)
//
// Three changes only (architecture, decision 3), all pure:
//   update  a put at its minter        remove  a delete at its minter        sync  everything else
// sync is commutative, associative and idempotent.
//
// With last-write-wins (dynamo.md O-19) an object holds one version and no context; its order is
// (written_us, actor, hash of the value).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "versioning/causal_context.hpp"

namespace ringlet {

enum class Reconcile : std::uint8_t { siblings = 0, lww = 1 };

// One immutable version of a value (R4.4-c).
struct Version {
  Dot dot;
  WriteId write_id;             // which write this is, however often it was minted
  std::int64_t written_us = 0;  // the minter's wall clock, microseconds since 1970
  bool tombstone = false;       // a delete; value is empty
  Bytes value;
  Bytes content_type;
  friend bool operator==(const Version&, const Version&) = default;
};

struct Object {
  Reconcile mode = Reconcile::siblings;
  CausalContext context;          // covers every version's dot (siblings mode)
  std::vector<Version> versions;  // sorted by dot
  bool missing() const { return versions.empty() && context.empty(); }
  friend bool operator==(const Object&, const Object&) = default;
};

// What a write brings.
struct Write {
  WriteId write_id;
  bool tombstone = false;
  Bytes value;
  Bytes content_type;
};

// Mints: drops the versions that `seen` covers, gives the write the actor's next dot and adds it.
// A write id that is already among the versions mints nothing; its dot is returned. `wall_us` is
// the minter's clock.
Dot update(Object& object, const CausalContext& seen, const Actor& actor, Write write,
           std::int64_t wall_us);

// A delete: an update whose version is a tombstone, so that a concurrent put survives it (O-5).
Dot remove(Object& object, const CausalContext& seen, const Actor& actor, WriteId write_id,
           std::int64_t wall_us);

// Joins what another replica knows into this one. Returns whether `object` changed.
bool sync(Object& object, const Object& other);

// A last-write-wins object of one version, stamped by whoever coordinates it.
Object lww_object(NodeId stamper, Write write, std::int64_t wall_us);

// What an application is shown: each write once, two dots of one write id folded into one
// (decision 5); tombstones left out when nothing else remains. Pointers into `object`.
std::vector<const Version*> siblings(const Object& object);

struct Truncation {
  std::size_t threshold = 50;            // entries; more than this is truncated
  std::int64_t minimum_age_ms = 20'000;  // younger entries stay (O-3)
};
// Drops the oldest entries of a context beyond the threshold (R4.4-g with the guards of O-3): never
// the dot of a living version, never `keep`, never a young one; ties by actor. Only the minter
// truncates, before it replicates. Returns the number dropped.
std::size_t truncate(Object& object, const Actor& keep, std::int64_t wall_ms, const Truncation&);

}  // namespace ringlet
