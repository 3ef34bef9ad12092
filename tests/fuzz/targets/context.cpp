// context: what a client brings back: its checksum and its key, and a write with what was taken
#include "base/token.hpp"
#include "fuzz/input.hpp"
#include "fuzz/target.hpp"
#include "versioning/encoding.hpp"
#include "versioning/hash.hpp"

namespace ringlet::fuzz {
namespace {

const Key carts{"carts", "alice"}, other{"carts", "bob"};

bool same(const ClientContext& a, const ClientContext& b) {
  Bytes x, y;
  encode_causal_context(a.seen, x);
  encode_causal_context(b.seen, y);
  return x == y && a.fastest_reader == b.fastest_reader && a.cluster == b.cluster;
}

// A put, a delete and a truncation by a client that brings this context.
void hold_writes(const CausalContext& seen) {
  Actor actor = seen.empty() ? Actor{NodeId{1}, 1} : seen.entries().front().actor;
  Object object;
  constexpr std::int64_t wall_us = 1'700'000'000'000'000;
  Dot put = update(object, seen, actor, {WriteId{1, 1}, false, "tea", ""}, wall_us);
  hold(!seen.contains(put), "a new version's dot is covered by its own client's context");
  hold(object.context.contains(put), "a new version is not covered by its object");
  remove(object, object.context, actor, WriteId{1, 2}, wall_us + 1);
  truncate(object, actor, wall_us / 1000, {2, 1000});
  auto again = decode_record(encode_record(object));
  hold(again.is_ok(), "a write with a context that was taken stores what cannot be read: " +
                          again.status().message());
  hold(*again == object, "an object does not survive its record");
}

// With another key, one byte less, or one bit another, it is refused.
void hold_sealed(BytesView bytes, std::uint16_t where) {
  hold(!decode_client_context(bytes, other), "a context of another key was taken");
  hold(bytes.size() == 1 || !decode_client_context(bytes.substr(1), carts),
       "a context was taken without its first byte");
  hold(bytes.size() == 1 || !decode_client_context(bytes.substr(0, bytes.size() - 1), carts),
       "a context was taken without its last byte");
  Bytes flipped(bytes);
  flipped[where / 8 % flipped.size()] ^= static_cast<char>(1 << where % 8);
  hold(!decode_client_context(flipped, carts), "a context with a flipped bit was taken");
}

}  // namespace

Verdict context(BytesView input) {
  Input in(input);
  bool sealed = in.byte() % 2 == 1;  // the checksum is made to fit, or a mutation never passes it
  auto where = in.number<std::uint16_t>();
  Bytes bytes(in.rest());
  if (sealed) {
    bytes.insert(bytes.begin(), '\1');
    Token token = token_of(carts);
    append_u64(bytes, xxh3(bytes, token.high ^ token.low));
  }

  auto decoded = decode_client_context(bytes, carts);
  if (!decoded) {
    hold(decoded.status().code() == Code::invalid_context, "refused with another code");
    hold(decoded.status().message().find("carts/alice") != std::string::npos,
         "refused without naming the key: " + decoded.status().message());
    return Verdict::refused;
  }
  if (!bytes.empty()) hold_sealed(bytes, where);
  hold_writes(decoded->seen);

  Bytes encoded = encode_client_context(*decoded, carts);
  hold(encoded.size() <= max_context_bytes, "a context is longer than it may be");
  auto again = decode_client_context(encoded, carts);
  hold(again.is_ok(), "a context that was taken is refused once encoded again");
  bool whole = encoded.size() + 64 < max_context_bytes;  // else its oldest entries may be gone
  hold(whole ? same(*again, *decoded) : decoded->seen.covers(again->seen),
       "a context does not survive encode and decode");
  return Verdict::taken;
}

}  // namespace ringlet::fuzz
