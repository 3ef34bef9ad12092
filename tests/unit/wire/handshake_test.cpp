#include "wire/handshake.hpp"

#include <catch2/catch.hpp>

#include "base/random.hpp"
#include "wire/codec.hpp"

namespace ringlet {
namespace {

wire::Frame as_frame(const Bytes& bytes) {
  REQUIRE(bytes.size() >= wire::frame_header_bytes);
  return {static_cast<std::uint8_t>(bytes[4]), static_cast<std::uint8_t>(bytes[5]), 0, {},
          BytesView(bytes).substr(wire::frame_header_bytes)};
}

wire::Hello member(const std::string& name) {
  wire::Hello hello;
  hello.cluster = "shop";
  hello.name = name;
  hello.node = node_id_of(name);
  hello.role = wire::Role::member;
  return hello;
}

const wire::Self self{"shop", "n1", node_id_of("n1")};

TEST_CASE("Hello, Welcome and Goodbye survive") {
  wire::Hello hello = member("n2");
  hello.features = 5;
  hello.sent_us = 123'456'789;
  Bytes bytes;
  wire::encode_frame(hello, bytes);
  auto read = wire::decode_hello(as_frame(bytes));
  REQUIRE(read.is_ok());
  CHECK(*read == hello);

  wire::Welcome welcome{1, 4, "shop", "n1", NodeId{7}};
  bytes.clear();
  wire::encode_frame(welcome, bytes);
  auto welcomed = wire::decode_welcome(as_frame(bytes));
  REQUIRE(welcomed.is_ok());
  CHECK(*welcomed == welcome);

  bytes.clear();
  wire::encode_frame(wire::Goodbye{Status(Code::overloaded, "too many")}, bytes);
  CHECK(wire::decode_welcome(as_frame(bytes)).status() == Status(Code::overloaded, "too many"));
}

TEST_CASE("F-92 the highest common version is agreed on") {
  wire::Hello newer = member("n2");
  newer.lowest_version = 1;
  newer.highest_version = 9;
  newer.features = 7;
  wire::Self both = self;
  both.highest_version = 3;
  both.features = 6;
  auto welcome = wire::answer_hello(newer, both);
  REQUIRE(welcome.is_ok());
  CHECK(welcome->version == 3);
  CHECK(welcome->features == 6);
  CHECK(wire::check_welcome(*welcome, newer).is_ok());
}

TEST_CASE("F-92 without a common version both are named") {
  wire::Hello newer = member("n2");
  newer.lowest_version = 4;
  newer.highest_version = 6;
  auto refused = wire::answer_hello(newer, self);
  REQUIRE_FALSE(refused.is_ok());
  CHECK(refused.status().code() == Code::unsupported);
  CHECK_THAT(refused.status().message(),
             Catch::Contains("n1 speaks 1") && Catch::Contains("4 to 6"));
  wire::Welcome odd{9, 0, "shop", "n1", NodeId{7}};
  CHECK(wire::check_welcome(odd, member("n2")).code() == Code::unsupported);
}

TEST_CASE("a stranger's cluster is refused and both are named") {
  wire::Hello hello = member("n2");
  hello.cluster = "bank";
  auto refused = wire::answer_hello(hello, self);
  REQUIRE_FALSE(refused.is_ok());
  CHECK_THAT(refused.status().message(), Catch::Contains("'shop'") && Catch::Contains("'bank'"));
}

TEST_CASE("a member whose id is not its name's is refused") {
  wire::Hello hello = member("n2");
  hello.node = NodeId{1};
  CHECK(wire::answer_hello(hello, self).status().code() == Code::invalid_argument);
}

TEST_CASE("anything else in the handshake is corrupt") {
  Bytes message;
  wire::encode_frame(1, 5, Ping{}, message);
  CHECK(wire::decode_hello(as_frame(message)).status().code() == Code::corrupt);
  CHECK(wire::decode_welcome(as_frame(message)).status().code() == Code::corrupt);
  wire::Frame no_version{0, 100, 0, {}, ""};
  CHECK_THAT(wire::decode_hello(no_version).status().message(), Catch::Contains("versions"));
  Random random(92);
  for (int i = 0; i < 5000; ++i) {
    Bytes noise(random.below(40), 0);
    for (char& c : noise) c = static_cast<char>(random.next());
    auto hello = wire::decode_hello({0, 100, 0, {}, noise});
    if (!hello) CHECK(hello.status().code() == Code::corrupt);
  }
}

}  // namespace
}  // namespace ringlet
