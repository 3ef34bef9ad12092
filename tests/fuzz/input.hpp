// Takes an input apart: numbers and pieces, of as many bytes as there still are.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/bytes.hpp"

namespace ringlet::fuzz {

class Input {
 public:
  explicit Input(BytesView bytes) : bytes_(bytes) {}

  bool empty() const { return bytes_.empty(); }
  // Low byte first; zeros follow what there is.
  template <typename Number>
  Number number() {
    Number value = 0;
    BytesView piece = bytes(sizeof(Number));
    for (std::size_t i = 0; i < piece.size(); ++i) {
      value |=
          static_cast<Number>(static_cast<Number>(static_cast<unsigned char>(piece[i])) << (8 * i));
    }
    return value;
  }
  std::uint8_t byte() { return number<std::uint8_t>(); }
  BytesView bytes(std::size_t count) {
    BytesView piece = bytes_.substr(0, std::min(count, bytes_.size()));
    bytes_.remove_prefix(piece.size());
    return piece;
  }
  BytesView piece() { return bytes(number<std::uint16_t>()); }  // length(2, LE) | bytes
  BytesView rest() { return bytes(bytes_.size()); }

 private:
  BytesView bytes_;
};

inline void append_piece(Bytes& out, BytesView piece) {  // what piece() reads
  out += static_cast<char>(piece.size() & 0xff);
  out += static_cast<char>(piece.size() >> 8 & 0xff);
  out += piece;
}
inline void append_u64(Bytes& out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

}  // namespace ringlet::fuzz
