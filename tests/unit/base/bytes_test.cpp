#include "base/bytes.hpp"

#include <catch2/catch.hpp>

#include "base/ids.hpp"
#include "base/log.hpp"

namespace ringlet {
namespace {

TEST_CASE("printable: what people can read stays, the rest is hexadecimal") {
  CHECK(printable(Key{"carts", "alice"}) == "carts/alice");
  CHECK(printable(Key{"", "alice"}) == "alice");
  CHECK(printable(BytesView("a\0\n\x7f\xff", 5)) == "a\\x00\\x0a\\x7f\\xff");
  CHECK(printable(BytesView("\\x00")) == "\\\\x00");  // not to be taken for a zero byte
  CHECK(printable(BytesView()) == "");
}

TEST_CASE("printable: long keys are cut") {
  CHECK(printable(BytesView(Bytes(64, 'a'))) == Bytes(64, 'a'));
  CHECK(printable(BytesView(Bytes(65, 'a'))) == Bytes(64, 'a') + "...");
  CHECK(printable(BytesView("abcdef"), 3) == "abc...");
}

TEST_CASE("ids: a node's id comes from its name alone") {
  CHECK(to_string(node_id_of("a")) == "0cc175b9c0f1b6a8");  // the first 64 bits of MD5("a")
  CHECK(node_id_of("a") == node_id_of("a"));
  CHECK(node_id_of("a") != node_id_of("b"));
  CHECK(node_id_of(""));
  CHECK_FALSE(NodeId{});
  CHECK(to_string(WriteId{1, 0xab}) == "000000000000000100000000000000ab");
  CHECK_FALSE(WriteId{});
  CHECK(WriteId{0, 1});
}

TEST_CASE("log: levels have names") {
  CHECK(std::string(name_of(LogLevel::warn)) == "warn");
  CHECK(std::string(name_of(static_cast<LogLevel>(99))) == "unknown");
}

}  // namespace
}  // namespace ringlet
