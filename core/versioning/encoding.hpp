// Objects and contexts as bytes.
//
//   object   ringlet.proto's Object message: what goes over the wire
//   record   what a storage engine keeps:  format(1) | xxh3-64 of the rest(8, LE) | object
//            format 2 has the minter (8, LE) before the object
//   context  what a client holds between get and put, opaque to it (R4.1-b, O-10):
//            format(1) | body (ClientContext message) | xxh3-64 of all before, seeded with the
//            key's token (8, LE).  At most 4096 bytes. Stored contexts are accepted for ever.
#pragma once

#include "base/bytes.hpp"
#include "base/status.hpp"
#include "base/token.hpp"
#include "versioning/object.hpp"

namespace ringlet {

void encode_object(const Object& object, Bytes& out);  // appends
Result<Object> decode_object(BytesView bytes);         // corrupt: says what was wrong
// `minter`: epoch of the actor that last minted into this very row (0: none did). It belongs to the
// row, not to the object: it does not travel, and is forgotten when the row is erased (decision 4).
struct Record {
  Object object;
  std::uint64_t minter = 0;
};
Bytes encode_record(const Object& object, std::uint64_t minter = 0);
Result<Object> decode_record(BytesView bytes);  // the object alone
Result<Record> decode_row(BytesView bytes);
void encode_causal_context(const CausalContext& context, Bytes& out);
Result<CausalContext> decode_causal_context(BytesView bytes);

inline constexpr std::size_t max_context_bytes = 4096;
// Of a dot that a client's context may name, far beyond any history. An actor that has reached it mints no
// more (Replica::actor_for), and a replica takes no object with a higher one.
inline constexpr std::uint64_t max_seen_counter = std::uint64_t{1} << 62;

struct ClientContext {
  CausalContext seen;
  NodeId fastest_reader;      // who answered the read first: may coordinate the next write (R5-f)
  std::uint64_t cluster = 0;  // whose versions were seen, by cluster_hash; 0: does not say
  // Fingerprints of the versions that were shown. A minter that is behind has not got them and could not
  // tell otherwise which writes the next one replaces (L18).
  std::vector<std::uint64_t> shown = {};
  std::int64_t stamp_us = 0;  // the newest one shown (newest_stamp_shown); 0: none
};
inline constexpr std::size_t max_shown =
    128;  // a kilobyte; copies of others are told by dots alone
// What a client that was given `object` has seen.
ClientContext context_of(const Object& object, NodeId fastest_reader, std::uint64_t cluster);
std::uint64_t cluster_hash(BytesView name);  // never 0
Bytes encode_client_context(const ClientContext& context, const Key& key);
// Empty bytes are the empty context. Truncated, bit-flipped and other keys' contexts are
// invalid_context with a sentence that names the key.
Result<ClientContext> decode_client_context(BytesView bytes, const Key& key);
// Not ok: it says that it is of another cluster. Nodes of two clusters may have the same names, so one's
// actors mean something else in the other, and a put with them would replace what nobody has seen.
Status check_cluster(const ClientContext& context, const Key& key, BytesView cluster);

}  // namespace ringlet
