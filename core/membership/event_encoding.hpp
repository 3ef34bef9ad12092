// Member events as bytes, and the envelope around what membership keeps on disk and sends:
// format(1) | xxh3-64 of the rest (8, LE) | message. For the .cpp files of this folder.
#pragma once

#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>
#include <string>

#include "base/bytes.hpp"
#include "base/status.hpp"
#include "membership/history.hpp"

namespace ringlet::event_encoding {

inline constexpr std::size_t envelope_bytes = 9;
Bytes sealed(BytesView body);
Result<BytesView> opened(BytesView bytes, const char* what);

// What is wrong with the bytes; thrown and caught inside this folder, like protozero's own.
struct Malformed {
  std::string why;
};

// A field's tag with the wire type it must have: another one is a field that is not known.
constexpr std::uint32_t varint(unsigned field) {
  return protozero::tag_and_type(field, protozero::pbf_wire_type::varint);
}
constexpr std::uint32_t fixed64(unsigned field) {
  return protozero::tag_and_type(field, protozero::pbf_wire_type::fixed64);
}
constexpr std::uint32_t bytes(unsigned field) {
  return protozero::tag_and_type(field, protozero::pbf_wire_type::length_delimited);
}

void write_event(protozero::pbf_writer& parent, unsigned field, const MemberEvent& event);
MemberEvent read_event(protozero::pbf_reader in);  // Malformed: not what an administrator can order

}  // namespace ringlet::event_encoding
