// Where a key lies on the ring: MD5 of the key as a 128-bit big-endian number (paper, 4.1; R4.1-c).
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "base/bytes.hpp"

namespace ringlet {

struct Token {
  std::uint64_t high = 0, low = 0;
  friend constexpr auto operator<=>(const Token&, const Token&) = default;
};

Token md5(BytesView bytes);             // RFC 1321, through OpenSSL
Token token_of(const Key& key);         // md5(key) for the empty bucket, else md5(bucket NUL key)
std::string to_string(const Token& t);  // 32 hex digits

}  // namespace ringlet
