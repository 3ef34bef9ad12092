#include "document/scalar.hpp"

#include <bit>

namespace ringlet::document {
namespace {

Status wanted(std::string what) {
  return Status(Code::invalid_argument, "wanted " + std::move(what));
}

Status check_length(const Scalar& scalar, std::size_t least, std::size_t most) {
  if (scalar.text.size() >= least && scalar.text.size() <= most) return Status::ok();
  return wanted(std::to_string(least) + " to " + std::to_string(most) + " bytes, got " +
                std::to_string(scalar.text.size()));
}

Status check_text(const Scalar& scalar) {
  if (scalar.kind != Scalar::Kind::text || is_utf8(scalar.text)) return Status::ok();
  return wanted("UTF-8, got '" + ringlet::printable(BytesView(scalar.text)) +
                "' (give it as bytes)");
}

Status check_kind(const Scalar& scalar) {
  switch (scalar.kind) {
    case Scalar::Kind::text:
    case Scalar::Kind::bytes:
    case Scalar::Kind::integer:
    case Scalar::Kind::boolean:
      return Status::ok();
    case Scalar::Kind::none:
    case Scalar::Kind::real:
      break;
  }
  return wanted(std::string("text, bytes, an integer or a boolean, got ") + name_of(scalar.kind));
}

bool has_text(const Scalar& scalar) {
  return scalar.kind == Scalar::Kind::text || scalar.kind == Scalar::Kind::bytes;
}

}  // namespace

Scalar Scalar::of_real(double value) {
  return {Kind::real, std::bit_cast<std::int64_t>(value), {}};
}

double Scalar::real() const {
  return std::bit_cast<double>(number);
}

const char* name_of(Scalar::Kind kind) {
  switch (kind) {
    case Scalar::Kind::text:
      return "text";
    case Scalar::Kind::bytes:
      return "bytes";
    case Scalar::Kind::integer:
      return "an integer";
    case Scalar::Kind::boolean:
      return "a boolean";
    case Scalar::Kind::none:
      return "nothing";
    case Scalar::Kind::real:
      return "a real number";
  }
  return "unknown";
}

std::string printable(const Scalar& scalar) {
  switch (scalar.kind) {
    case Scalar::Kind::text:
      return ringlet::printable(BytesView(scalar.text));
    case Scalar::Kind::bytes: {
      static const char digits[] = "0123456789abcdef";
      std::string out = "0x";
      for (unsigned char byte : BytesView(scalar.text).substr(0, 32)) {
        out += digits[byte >> 4];
        out += digits[byte & 15];
      }
      return scalar.text.size() > 32 ? out + "..." : out;
    }
    case Scalar::Kind::integer:
      return "[" + std::to_string(scalar.number) + "]";
    case Scalar::Kind::boolean:
      return scalar.number != 0 ? "[true]" : "[false]";
    case Scalar::Kind::none:
      return "[nothing]";
    case Scalar::Kind::real:
      return "[" + std::to_string(scalar.real()) + "]";
  }
  return "?";
}

bool is_utf8(BytesView bytes) {
  for (std::size_t i = 0; i < bytes.size();) {
    auto at = [&](std::size_t n) {
      return i + n < bytes.size() ? static_cast<unsigned char>(bytes[i + n]) : 0u;
    };
    unsigned first = at(0);
    std::size_t length = first < 0x80   ? 1
                         : first < 0xc2 ? 0
                         : first < 0xe0 ? 2
                         : first < 0xf0 ? 3
                         : first < 0xf5 ? 4
                                        : 0;
    if (length == 0) return false;
    for (std::size_t n = 1; n < length; ++n) {
      if ((at(n) & 0xc0) != 0x80) return false;
    }
    unsigned second = at(1);
    // Overlong forms, surrogates, and beyond U+10FFFF.
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) {
      return false;
    }
    i += length;
  }
  return true;
}

Status check_name(const Scalar& name) {
  Status status = check_kind(name);
  if (status && has_text(name)) status = check_length(name, 1, max_name_bytes);
  return status ? check_text(name) : status;
}

Status check_element(const Scalar& element) {
  Status status = check_kind(element);
  if (status && has_text(element)) status = check_length(element, 0, max_element_bytes);
  return status ? check_text(element) : status;
}

Status check_value(const Scalar& value) {
  return check_text(value);
}

}  // namespace ringlet::document
