// What members and clients say to each other. Plain structs; wire/codec turns them into bytes, the
// simulator passes them as they are.
//
// A request is answered by exactly one reply with the same request number, or by silence:
//   ReplicaGet  -> ReplicaObject | Refused        ClientGet -> ClientReply (status inside)
//   MintPut     -> Minted | Refused               ClientPut -> ClientReply
//   ReplicaPut  -> Stored | Refused               RingPull  -> RingTable
//   Ping        -> Pong                           StatusQuery -> StatusText
//   Gossip      -> GossipAnswer | Refused         ClusterCommand -> StatusText
//   TransferPull   -> TransferPage | Refused      TreeCompare -> TreeDiffers | Refused
//   SegmentCompare -> SegmentDiffers | Refused    ReapAsk -> ReapAnswer | Refused
//   Reap        -> Stored | Refused               HeldCheck -> HeldAnswer | Refused
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

// Bytes of values in one object: whatever is stored can be sent in a frame (64 MiB), whole and with what
// goes with it. A merge that would make more of several siblings is refused by whoever would store it: the
// giver keeps its copy (F-107).
inline constexpr std::size_t max_object_bytes = 48 << 20;
std::size_t value_bytes(const Object& object);

// Whom a strict request counts: the N owners of the key and who will be one, as its coordinator sees the
// ring. A replica that knows of another owner, or of one to come, refuses its vote: a request that does
// not count that one need not meet those that do (core/README.md). Empty: not strict, nothing is asked.
struct CountedNodes {
  std::vector<NodeId> nodes;
  std::uint64_t ring_epoch = 0;  // the coordinator's
  friend bool operator==(const CountedNodes&, const CountedNodes&) = default;
};

struct ReplicaGet {
  Key key;
  CountedNodes counted;
};
struct ReplicaObject {
  Object object;  // missing(): the replica has nothing
  // Versions that the replica knows of and could not take in, because its object would be too large.
  std::uint32_t left_out = 0;
};

// The first replica of a put gives the write its dot and stores it.
struct MintPut {
  Key key;
  CausalContext seen;
  Write write;
  NodeId hint_for;  // set: the minter is a fallback and keeps its copy as a hint for this owner
  WriteDurability durability = WriteDurability::unset;
  CountedNodes counted;
  Reconcile reconcile = Reconcile::siblings;  // of a key that is not there yet
};
struct Minted {
  Object object;  // what the minter holds now: replicate this
  Dot dot;        // the write's; without a counter: it was done and replaced before
};

// Join this object into yours: replication, read repair, hint delivery.
struct ReplicaPut {
  Key key;
  Object object;
  NodeId hint_for;
  WriteDurability durability = WriteDurability::unset;
  CountedNodes counted;
  // What the replica holds beside the object is wanted in the answer (M-12).
  bool tell_siblings = false;
};
struct Stored {
  // Where it was wanted: what the replica holds, if there are versions that the request had not seen.
  Object beside;
};

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
  // put: the reply joins what the replicas that answered in time hold beside the write. Without it the reply
  // has what the minter holds.
  bool siblings = false;
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
  // Of a put `got` may be less than `answered`: an owner and its fallback hold one slot. A fallback
  // that was asked for a second owner and did not answer is in `silent` or `refused` as well.
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
  Object object;  // get: what was found; put: what the minter holds after it (options.siblings)
  Dot dot;        // put: this write's
  NodeId fastest_reader;  // get: first to answer
  Tally tally;
  std::uint64_t ring_epoch = 0;  // the coordinator's; higher than mine: pull the table (R6.4-b)
  std::uint32_t retry_after_ms = 0;
  // Versions that are there and not shown, because all together are more than a message holds. The
  // context covers what is shown: to write with it makes room for the rest.
  std::uint32_t left_out = 0;
  // put: this coordinator asked one replica once to mint the write, and that replica did. So no copy of that
  // question can be executed any more. False: it is not known.
  bool minted_once = false;
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
  std::vector<NodeId> next;   // by partition: who will own it (nobody: it stays); empty: none moves
  std::uint8_t r = 0, w = 0;  // the cluster's defaults
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

// An administrator's request, to any node: join, leave, replace, plan, commit, clear, status, repair.
struct ClusterCommand {
  std::string verb;
  std::vector<std::string> arguments;
};

// ---- membership (core/membership) ----

// One round of gossip (R4.8.1-c). `view` is an encoded MembershipView, empty in the first question:
// the digest comes first, so that an idle round is small.
struct Gossip {
  std::string name, address;  // the asker's, as it knows itself
  std::string cluster;
  std::uint64_t digest = 0;  // of the asker's view; 0: it has none yet
  Bytes view;
  // An encoded ClusterSettings; empty: of an older release. `settled`: they and the view are the
  // cluster's, as far as the asker knows; else what its file proposes.
  Bytes settings{};
  bool settled = false;
  // The asker comes back with its directory at another address, which `view` has: to be believed
  // when it is silent at the old one.
  bool moved = false;
};
struct GossipAnswer {
  std::uint64_t digest = 0;  // of the answerer's view, after it took the asker's
  Bytes view;                // when the digests differ
  Bytes settings{};          // as in Gossip
  bool settled = false;
};

// ---- repair (core/repair) ----

struct KeyedObject {
  Key key;
  Object object;
};

// The next page of a partition, for a node that will own it (paper 4.9; R4.9-b: it asks, so nothing
// is sent twice).
struct TransferPull {
  std::uint32_t partition = 0;
  std::uint32_t partitions = 0;  // Q, as the asker sees it
  bool first = true;             // from the beginning; else after `after`
  Key after;
  std::uint32_t max_bytes =
      0;  // 0: asks only whether all of the partition is there; an empty page: yes
};
struct TransferPage {
  std::vector<KeyedObject> objects;  // in the order of the store
  bool last = false;
  std::uint64_t checksum = 0;  // checksum_of(objects) in repair/
};

// Compares hashes of one level of the trees that both sides have (paper 4.7).
//   level 0: `nodes` are partitions; `hashes` their roots, or one hash over all of them
//   level 1: the inner nodes of `partition`     level 2: its segments
struct TreeCompare {
  std::uint8_t level = 0;
  std::uint32_t partition = 0;
  std::vector<std::uint32_t> nodes;
  std::vector<std::uint64_t> hashes;
};
struct TreeDiffers {
  std::vector<std::uint32_t> nodes;  // those of the question whose hash is another one here
};
// The keys of some segments: hash of the key, hash of its clock. The answer has what the asker lacks
// or may lack, and names the keys whose objects the answerer wants.
struct SegmentCompare {
  std::uint32_t partition = 0;
  std::vector<std::uint32_t> segments;                  // rising, at least one
  std::vector<std::uint64_t> key_hashes, clock_hashes;  // as many of each; keys rising
  std::uint64_t after = 0;  // only keys of a greater hash are compared; 0: all
};
struct SegmentDiffers {
  std::vector<KeyedObject> objects;   // by the hash of their keys
  std::vector<std::uint64_t> wanted;  // key hashes, rising
  bool more = false;  // the page was full: ask for what comes after the last that is named
  std::uint32_t listed_to = 0;  // it speaks only of segments below; the others need a new listing
};

// May these tombstones be forgotten? (O-5)
struct ReapAsk {
  std::vector<Key> keys;
  std::vector<std::uint64_t> clock_hashes;  // of the asker's objects, as many
};
struct ReapAnswer {
  std::vector<std::uint8_t> may;  // 1: yes, as far as this node goes
};
struct Reap {
  std::vector<Key> keys;
  std::vector<std::uint64_t> clock_hashes;  // erase only what still has this clock
};

// Does the answerer, an owner of the partition, hold these copies in exactly this state?
struct HeldCheck {
  std::uint32_t partition = 0;
  std::vector<Key> keys;                    // of the partition
  std::vector<std::uint64_t> clock_hashes;  // of the asker's objects, as many
};
// For each key that is not named: yes, and it is on the disk. As good as Stored to a ReplicaPut with
// durability disk.
struct HeldAnswer {
  std::vector<std::uint32_t> lacking;  // places in `keys`, rising
};

using Message =
    std::variant<ReplicaGet, ReplicaObject, MintPut, Minted, ReplicaPut, Stored, Refused, Ping,
                 Pong, ClientGet, ClientPut, ClientReply, RingPull, RingTable, StatusQuery,
                 StatusText, ClusterCommand, Gossip, GossipAnswer, TransferPull, TransferPage,
                 TreeCompare, TreeDiffers, SegmentCompare, SegmentDiffers, ReapAsk, ReapAnswer,
                 Reap, HeldCheck, HeldAnswer>;

const char* name_of(const Message& message);  // "MintPut"
bool is_request(const Message& message);

}  // namespace ringlet
