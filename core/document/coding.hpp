// How documents and edits are written and read: numbers of seven bits a byte, the least one first, and
// scalars behind a number that says what follows. Every value has one form, and no other is read.
#pragma once

#include <limits>
#include <optional>

#include "document/state.hpp"

namespace ringlet::document {

// What is wrong with the bytes. Thrown and caught inside this folder only.
struct Malformed {
  std::string why;
};

class Writer {
 public:
  explicit Writer(Bytes& out) : out_(out) {}
  void byte(unsigned value) { out_ += static_cast<char>(value); }
  void number(std::uint64_t value) { wide(value); }
  void sign(std::int64_t value) {
    number(static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63));
  }
  void sign_wide(Wide value) {
    wide(static_cast<UnsignedWide>(value) << 1 ^ static_cast<UnsignedWide>(value >> 127));
  }
  void fixed(std::uint64_t value) {
    for (int i = 0; i < 8; ++i) out_ += static_cast<char>(value >> (8 * i) & 0xff);
  }
  void piece(BytesView bytes) {
    number(bytes.size());
    out_ += bytes;
  }
  // text: 4 * length, bytes: 4 * length + 1, then the bytes; an integer: 2 and the number; one of the
  // rest: 4 * (false, true, nothing, a real number) + 3.
  void scalar(const Scalar& scalar) {
    switch (scalar.kind) {
      case Scalar::Kind::text:
      case Scalar::Kind::bytes:
        number(std::uint64_t{scalar.text.size()} << 2 | (scalar.kind == Scalar::Kind::bytes));
        out_ += scalar.text;
        return;
      case Scalar::Kind::integer:
        byte(2);
        return sign(scalar.number);
      case Scalar::Kind::boolean:
        return byte(scalar.number != 0 ? 7 : 3);
      case Scalar::Kind::none:
        return byte(11);
      case Scalar::Kind::real:
        byte(15);
        return fixed(static_cast<std::uint64_t>(scalar.number));
    }
  }

 private:
  __extension__ using UnsignedWide = unsigned __int128;
  void wide(UnsignedWide value) {
    for (; value >= 0x80; value >>= 7) out_ += static_cast<char>((value & 0x7f) | 0x80);
    out_ += static_cast<char>(value);
  }
  Bytes& out_;
};

class Reader {
 public:
  explicit Reader(BytesView bytes) : bytes_(bytes), size_(bytes.size()) {}
  bool done() const { return bytes_.empty(); }
  std::size_t left() const { return bytes_.size(); }
  [[noreturn]] void fail(const std::string& why) const {
    throw Malformed{why + " (at byte " + std::to_string(size_ - bytes_.size()) + " of " +
                    std::to_string(size_) + ")"};
  }
  unsigned byte() {
    if (bytes_.empty()) fail("wanted one more byte, got the end");
    unsigned value = static_cast<unsigned char>(bytes_[0]);
    bytes_.remove_prefix(1);
    return value;
  }
  std::uint64_t number(std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) {
    std::uint64_t value = static_cast<std::uint64_t>(wide(64));
    if (value > most) {
      fail("wanted a number of at most " + std::to_string(most) + ", got " + std::to_string(value));
    }
    return value;
  }
  // How many items follow, each of `least` bytes or more: never more than there can be.
  std::size_t count(std::size_t least) { return number(left() / least); }
  std::int64_t sign() {
    std::uint64_t value = number();
    return static_cast<std::int64_t>(value >> 1 ^ (~(value & 1) + 1));
  }
  Wide sign_wide() {
    UnsignedWide value = wide(128);
    return static_cast<Wide>(value >> 1 ^ (~(value & 1) + 1));
  }
  std::uint64_t fixed() {
    BytesView eight = take(8);
    std::uint64_t value = 0;
    for (int i = 7; i >= 0; --i) {
      value = value << 8 | static_cast<unsigned char>(eight[static_cast<std::size_t>(i)]);
    }
    return value;
  }
  BytesView take(std::size_t size) {
    if (bytes_.size() < size) {
      fail("wanted " + std::to_string(size) + " bytes, got " + std::to_string(bytes_.size()));
    }
    BytesView taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  Scalar scalar() {
    std::uint64_t head = number();
    switch (head & 3) {
      case 0:
        return Scalar::of_text(take(head >> 2));
      case 1:
        return Scalar::of_bytes(take(head >> 2));
      case 2:
        if (head == 2) return Scalar::of_integer(sign());
        break;
      case 3:
        if (head >> 2 == 0 || head >> 2 == 1) return Scalar::of_boolean(head >> 2 == 1);
        if (head >> 2 == 2) return {};
        if (head >> 2 == 3) return {Scalar::Kind::real, static_cast<std::int64_t>(fixed()), {}};
        break;
    }
    fail("wanted a scalar, got its kind " + std::to_string(head));
  }
  void check(const Status& status, const char* what) const {
    if (!status) fail(std::string(what) + ": " + status.message());
  }

 private:
  __extension__ using UnsignedWide = unsigned __int128;
  UnsignedWide wide(unsigned bits) {
    UnsignedWide value = 0;
    for (unsigned shift = 0;; shift += 7) {
      unsigned next = byte();
      if (shift + 7 > bits && (shift >= bits || next >> (bits - shift) != 0)) {
        fail("wanted a number of " + std::to_string(bits) + " bits, got a longer one");
      }
      value |= static_cast<UnsignedWide>(next & 0x7f) << shift;
      if (next < 0x80) {
        if (next == 0 && shift > 0) fail("wanted a number in its shortest form");
        return value;
      }
    }
  }
  BytesView bytes_;
  std::size_t size_;
};

}  // namespace ringlet::document
