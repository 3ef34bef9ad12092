// What members and clients say to each other. Plain structs; wire/codec turns them into bytes, the
// simulator passes them as they are.
//
// A request is answered by exactly one reply with the same request number, or by silence:
//   ReplicaGet  -> ReplicaObject | Refused        ClientGet -> ClientReply (status inside)
//   MintPut     -> Minted | Refused               ClientPut -> ClientReply
//   ReplicaPut  -> Stored | Refused               RingPull  -> RingTable
//   Ping        -> Pong                           StatusQuery -> StatusText
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "base/status.hpp"
#include "ring/ring.hpp"
#include "versioning/object.hpp"

namespace ringlet {

// How long an acknowledged write lives: the same numbers as storage's and the C ABI's.
enum class WriteDurability : std::uint8_t { unset = 0, buffer = 1, log = 2, disk = 3 };

// ---- to one replica ----

struct ReplicaGet {
  Key key;
};
struct ReplicaObject {
  Object object;  // missing(): the replica has nothing
};

// The first replica of a put gives the write its dot and stores it.
struct MintPut {
  Key key;
  CausalContext seen;
  Write write;
  NodeId hint_for;  // set: the minter is a fallback and keeps its copy as a hint for this owner
  WriteDurability durability = WriteDurability::unset;
};
struct Minted {
  Object object;  // what the minter holds now: replicate this
  Dot dot;        // the write's
};

// Join this object into yours: replication, read repair, hint delivery.
struct ReplicaPut {
  Key key;
  Object object;
  NodeId hint_for;
  WriteDurability durability = WriteDurability::unset;
};
struct Stored {};

struct Refused {
  Status status;
  std::uint32_t retry_after_ms = 0;  // overloaded: come back then
};

struct Ping {};
struct Pong {};

// ---- from a client to a coordinator ----

// 0 means the cluster's default. Limits are the coordinator's to check.
struct RequestOptions {
  std::uint32_t timeout_ms = 0;
  std::uint8_t r = 0, w = 0;
  bool strict = false;  // only owners count (O-6)
  WriteDurability durability = WriteDurability::unset;
  friend bool operator==(const RequestOptions&, const RequestOptions&) = default;
};

struct ClientGet {
  Key key;
  RequestOptions options;
};
struct ClientPut {  // and delete: write.tombstone
  Key key;
  Bytes context;  // as given by an earlier reply (versioning/encoding.hpp); empty: blind
  Write write;    // write_id is never zero here
  RequestOptions options;
  bool forwarded = false;  // by a node that may not coordinate it; forwarded once only (R4.5-b)
};

// Who answered: the numbers of a verdict, for errors and for explain().
struct Tally {
  std::uint32_t wanted = 0, got = 0, asked = 0;
  std::uint32_t not_found = 0;   // of a get's answers (O-6)
  std::vector<NodeId> answered;  // in the order heard
  std::vector<NodeId> silent;    // asked, not heard by the deadline
  std::vector<NodeId> refused;
  std::vector<NodeId> substitutes;  // fallbacks among `answered`
  friend bool operator==(const Tally&, const Tally&) = default;
};

struct ClientReply {
  Status status;
  Object object;          // get: what was found; put: what the minter holds after it
  Dot dot;                // put: this write's
  NodeId fastest_reader;  // get: first to answer
  Tally tally;
  std::uint64_t ring_epoch = 0;  // the coordinator's; higher than mine: pull the table (R6.4-b)
  std::uint32_t retry_after_ms = 0;
};

// ---- the routing table ----

struct RingPull {
  std::uint64_t have_epoch = 0;  // of mine; same as the node's: an empty table comes back
  std::uint64_t have_digest = 0;
};
struct RingTable {
  bool unchanged = false;
  Ring::Options options;       // with members
  std::vector<NodeId> owners;  // by partition
  std::uint8_t r = 0, w = 0;   // the cluster's defaults
  Reconcile reconcile = Reconcile::siblings;
};

// ---- operators ----

struct StatusQuery {
  std::string what;  // "status" | "hints" | "replica" (with key): JSON in the answer
  Key key;
};
struct StatusText {
  Status status;
  std::string json;
};

using Message = std::variant<ReplicaGet, ReplicaObject, MintPut, Minted, ReplicaPut, Stored,
                             Refused, Ping, Pong, ClientGet, ClientPut, ClientReply, RingPull,
                             RingTable, StatusQuery, StatusText>;

const char* name_of(const Message& message);  // "MintPut"
bool is_request(const Message& message);

}  // namespace ringlet
