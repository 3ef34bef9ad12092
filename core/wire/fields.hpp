// Strict reading and canonical writing of protobuf fields, shared by the codec and handshake.cpp.
// Only for those two: it throws, and they catch.
#pragma once

#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/status.hpp"
#include "versioning/dot.hpp"

namespace ringlet::wire {

struct Malformed {
  std::string text;
};

// The fields of one message, each at most once; the caller skips none it knows.
class FieldReader {
 public:
  FieldReader(const char* message, BytesView bytes)
      : message_(message), reader_(bytes.data(), bytes.size()) {}

  // Goes to the next field that has a tag up to 63 (others are unknown to us and skipped).
  bool next() {
    while (reader_.next()) {
      if (reader_.tag() < 64) return true;
      reader_.skip();
    }
    return false;
  }
  std::uint32_t tag() const { return reader_.tag(); }
  void skip() { reader_.skip(); }

  BytesView bytes(const char* field) {
    once(field);
    return repeated_bytes(field);
  }
  BytesView repeated_bytes(const char* field) {  // of a field that may come many times
    require(field, protozero::pbf_wire_type::length_delimited);
    auto view = reader_.get_view();
    return {view.data(), view.size()};
  }
  std::string text(const char* field, std::size_t limit) {  // valid UTF-8
    once(field);
    return repeated_text(field, limit);
  }
  std::string repeated_text(const char* field, std::size_t limit);
  std::uint64_t number(const char* field, std::uint64_t limit = UINT64_MAX) {
    once(field);
    require(field, protozero::pbf_wire_type::varint);
    std::uint64_t value = reader_.get_uint64();
    if (value > limit) {
      fail(field, "wanted at most " + std::to_string(limit) + ", got " + std::to_string(value));
    }
    return value;
  }
  bool flag(const char* field) { return number(field, 1) != 0; }
  std::uint64_t fixed64(const char* field) {
    once(field);
    require(field, protozero::pbf_wire_type::fixed64);
    return reader_.get_fixed64();
  }
  // Packed fixed64s.
  template <typename Out>
  void fixed64s(const char* field, std::size_t limit, Out&& each) {
    BytesView packed = bytes(field);
    if (packed.size() % 8 != 0 || packed.size() / 8 > limit) {
      fail(field, "wanted up to " + std::to_string(limit) + " numbers of 8 bytes, got " +
                      std::to_string(packed.size()) + " bytes");
    }
    protozero::const_fixed_iterator<std::uint64_t> at(packed.data()),
        end(packed.data() + packed.size());
    for (; at != end; ++at) each(*at);
  }
  template <typename Out>
  void fixed32s(const char* field, std::size_t limit, Out&& each) {
    BytesView packed = bytes(field);
    if (packed.size() % 4 != 0 || packed.size() / 4 > limit) {
      fail(field, "wanted up to " + std::to_string(limit) + " numbers of 4 bytes, got " +
                      std::to_string(packed.size()) + " bytes");
    }
    protozero::const_fixed_iterator<std::uint32_t> at(packed.data()),
        end(packed.data() + packed.size());
    for (; at != end; ++at) each(*at);
  }
  // The message makes no sense without this field.
  void need(std::uint32_t tag, const char* field) const {
    if ((seen_ >> tag & 1) == 0) fail(field, "is missing");
  }
  [[noreturn]] void fail(const char* field, const std::string& why) const {
    throw Malformed{std::string(message_) + "." + field + ": " + why};
  }

 private:
  void once(const char* field) {
    std::uint64_t bit = std::uint64_t{1} << reader_.tag();
    if ((seen_ & bit) != 0) fail(field, "came twice");
    seen_ |= bit;
  }
  void require(const char* field, protozero::pbf_wire_type wanted) const {
    if (reader_.wire_type() != wanted) {
      fail(field, "wanted wire type " + std::to_string(static_cast<int>(wanted)) + ", got " +
                      std::to_string(static_cast<int>(reader_.wire_type())));
    }
  }
  const char* message_;
  protozero::pbf_reader reader_;
  std::uint64_t seen_ = 0;
};

bool is_utf8(BytesView bytes);
void write_text(protozero::pbf_writer& out, std::uint32_t tag, BytesView bytes);  // if not empty
inline void write_number(protozero::pbf_writer& out, std::uint32_t tag, std::uint64_t value) {
  if (value != 0) out.add_uint64(tag, value);
}
inline void write_fixed64(protozero::pbf_writer& out, std::uint32_t tag, std::uint64_t value) {
  if (value != 0) out.add_fixed64(tag, value);
}

// Shared messages.
void write_status(protozero::pbf_writer& out, std::uint32_t tag,
                  const Status& status);  // if not ok
Status read_status(BytesView bytes);

// Runs `read`; what it throws becomes corrupt, with the message's name in front.
template <typename T, typename Read>
Result<T> strictly(const char* message, Read&& read) {
  try {
    return read();
  } catch (const Malformed& malformed) {
    return Status(Code::corrupt, malformed.text);
  } catch (const protozero::exception& error) {
    return Status(Code::corrupt, std::string(message) + ": " + error.what());
  }
}

}  // namespace ringlet::wire
