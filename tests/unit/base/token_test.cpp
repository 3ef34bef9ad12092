#include "base/token.hpp"

#include <catch2/catch.hpp>
#include <utility>

namespace ringlet {
namespace {

TEST_CASE("R4.1-c the MD5 vectors of RFC 1321") {
  const std::pair<const char*, const char*> vectors[] = {
      {"", "d41d8cd98f00b204e9800998ecf8427e"},
      {"a", "0cc175b9c0f1b6a831c399e269772661"},
      {"abc", "900150983cd24fb0d6963f7d28e17f72"},
      {"message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
      {"abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"},
      {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
       "d174ab98d277d9f5a5611c2c9f419d9f"},
      {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
       "57edf4a22be3c955ac49da2e2107b67a"},
  };
  for (const auto& [text, digest] : vectors) CHECK(to_string(md5(text)) == digest);
}

TEST_CASE("R4.1-c the position of the empty key, big-endian") {
  Token position = token_of(Key{"", ""});
  CHECK(to_string(position) == "d41d8cd98f00b204e9800998ecf8427e");
  CHECK(position.high == 0xd41d8cd98f00b204);
  CHECK(position.low == 0xe9800998ecf8427e);
}

TEST_CASE("R4.1-c buckets keep equal keys apart") {
  CHECK(token_of(Key{"", "abc"}) == md5("abc"));
  CHECK(token_of(Key{"b", "abc"}) == md5(BytesView("b\0abc", 5)));
  CHECK(token_of(Key{"b", "abc"}) != token_of(Key{"ba", "bc"}));
  CHECK(token_of(Key{"", BytesView("\xff\0", 2).data()}) != token_of(Key{"", Bytes("\xff\0", 2)}));
}

TEST_CASE("R4.1-c tokens are ordered as 128-bit numbers") {
  CHECK(Token{1, 0} > Token{0, UINT64_MAX});
  CHECK(Token{1, 1} > Token{1, 0});
}

}  // namespace
}  // namespace ringlet
