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

void write_event(protozero::pbf_writer& parent, unsigned field, const MemberEvent& event);
MemberEvent read_event(protozero::pbf_reader in);  // Malformed: not what an administrator can order

}  // namespace ringlet::event_encoding
