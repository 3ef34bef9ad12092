// What several messages of ringlet.proto have in common: written and read as fields of one. Only for the
// codec: reading throws, and it catches.
#pragma once

#include <cstdint>
#include <vector>

#include "protocol/messages.hpp"
#include "wire/fields.hpp"
#include "wire/limits.hpp"

namespace ringlet::wire {

using protozero::pbf_writer;

void write_key(pbf_writer& out, std::uint32_t tag, const Key& key);
Key read_key(BytesView bytes);
void write_object(pbf_writer& out, Bytes& bytes, std::uint32_t tag, const Object& object);
Object read_object(BytesView bytes);
void write_context(pbf_writer& out, Bytes& bytes, std::uint32_t tag, const CausalContext& context);
CausalContext read_context(BytesView bytes);
void write_dot(pbf_writer& out, std::uint32_t tag, const Dot& dot);
Dot read_dot(BytesView bytes);
void write_write(pbf_writer& out, std::uint32_t tag, const Write& write);
Write read_write(BytesView bytes);
WriteDurability read_durability(FieldReader& fields);
void write_options(pbf_writer& out, std::uint32_t tag, const RequestOptions& options);
std::uint8_t read_quorum(FieldReader& fields, const char* field);
std::uint32_t read_u32(FieldReader& fields, const char* field);
RequestOptions read_options(BytesView bytes);
void write_nodes(pbf_writer& out, std::uint32_t tag, const std::vector<NodeId>& nodes);
std::vector<NodeId> read_nodes(FieldReader& fields, const char* field, std::size_t limit);
void write_tally(pbf_writer& out, std::uint32_t tag, const Tally& tally);
Tally read_tally(BytesView bytes);
void write_member(pbf_writer& out, std::uint32_t tag, const Member& member);
Member read_member(BytesView bytes);
void write_objects(pbf_writer& out, Bytes& bytes, std::uint32_t tag,
                   const std::vector<KeyedObject>& objects);
void limit_repeated(FieldReader& fields, const char* field, std::size_t have, std::size_t limit);
void read_keyed_object(FieldReader& of, std::vector<KeyedObject>& objects);
std::vector<std::uint64_t> read_u64s(FieldReader& fields, const char* field, std::size_t limit);
std::vector<std::uint32_t> read_u32s(FieldReader& fields, const char* field, std::size_t limit);
void as_many(const FieldReader& fields, const char* field, std::size_t wanted, std::size_t got);

inline std::uint64_t as_number(NodeId node) {
  return node.value;
}
inline std::uint64_t as_number(std::uint64_t number) {
  return number;
}
// Packed numbers of `Width` bytes, low byte first. By hand: protozero's writer of packed fields
// leaves its parent open when told the size.
template <int Width, typename Numbers>
void write_packed(pbf_writer& out, std::uint32_t tag, const Numbers& numbers) {
  if (numbers.empty()) return;
  Bytes packed;
  packed.reserve(numbers.size() * Width);
  for (const auto& number : numbers) {
    for (int shift = 0; shift < 8 * Width; shift += 8) {
      packed.push_back(static_cast<char>(as_number(number) >> shift));
    }
  }
  out.add_bytes(tag, packed);
}

}  // namespace ringlet::wire
