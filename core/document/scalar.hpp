// What a document's names, elements and registers are made of.
#pragma once

#include <compare>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/status.hpp"

namespace ringlet::document {

struct Scalar {
  enum class Kind : std::uint8_t {
    text = 0,
    bytes = 1,
    integer = 2,
    boolean = 3,
    none = 4,
    real = 5
  };
  Kind kind = Kind::none;
  std::int64_t number = 0;  // integer; boolean: 0 or 1; real: the bits of the double
  Bytes text;               // text: UTF-8; bytes: any

  static Scalar of_text(BytesView text) { return {Kind::text, 0, Bytes(text)}; }
  static Scalar of_bytes(BytesView bytes) { return {Kind::bytes, 0, Bytes(bytes)}; }
  static Scalar of_integer(std::int64_t value) { return {Kind::integer, value, {}}; }
  static Scalar of_boolean(bool value) { return {Kind::boolean, value ? 1 : 0, {}}; }
  static Scalar of_real(double value);
  double real() const;
  friend auto operator<=>(const Scalar&, const Scalar&) = default;
  friend bool operator==(const Scalar&, const Scalar&) = default;
};

inline constexpr std::size_t max_name_bytes = 1024;
inline constexpr std::size_t max_element_bytes = 65'535;

const char* name_of(Scalar::Kind kind);
std::string printable(const Scalar& scalar);  // tea, 0x7465, [5], [true]; cut at 64 bytes
bool is_utf8(BytesView bytes);
// Not ok: what was wanted and what was got, without a subject ("wanted 1 to 1024 bytes, got 0").
Status check_name(const Scalar& name);  // text or bytes of 1 to 1024 bytes, integer, boolean
Status check_element(
    const Scalar& element);               // text or bytes of at most 65535 bytes, integer, boolean
Status check_value(const Scalar& value);  // of a register: any kind; text is UTF-8

}  // namespace ringlet::document
