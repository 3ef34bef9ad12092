#include "wire/codec.hpp"

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include <memory>

#include "base/random.hpp"
#include "ringlet.pb.h"
#include "unit/wire/generate.hpp"
#include "wire/limits.hpp"

namespace ringlet {
namespace {

constexpr std::size_t kinds = std::variant_size_v<Message>;

Bytes bytes_of(const Message& message) {
  Bytes bytes;
  wire::encode(message, bytes);
  return bytes;
}

std::unique_ptr<google::protobuf::Message> protobuf_for(const Message& message) {
  const auto* descriptor =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(
          std::string("ringlet.v1.") + name_of(message));
  REQUIRE(descriptor != nullptr);
  return std::unique_ptr<google::protobuf::Message>(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(descriptor)->New());
}

std::uint8_t type(const Message& message) {
  return static_cast<std::uint8_t>(wire::type_of(message));
}

// Decodes field-number/bytes pairs: a hand-made body.
Bytes field(int tag, int wire_type, Bytes rest) {
  return Bytes(1, static_cast<char>(tag << 3 | wire_type)) + rest;
}
Bytes text(int tag, Bytes content) {
  return field(tag, 2, Bytes(1, static_cast<char>(content.size())) + content);
}

TEST_CASE("every message survives encode and decode, byte for byte") {
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    CHECK(rc::check(std::string("round trip ") + std::to_string(kind), [kind] {
      Message message = test::any_message(kind);
      RC_ASSERT(message.index() == kind);
      Bytes bytes = bytes_of(message);
      auto decoded = wire::decode(type(message), bytes);
      if (!decoded) RC_FAIL(decoded.status().to_string());
      RC_ASSERT(decoded->index() == kind);
      RC_ASSERT(bytes_of(*decoded) == bytes);
    }));
  }
}

TEST_CASE("decode gives back the values of the fields") {
  ClientPut put{{"carts", "alice"}, "ctx", {}, {1500, 2, 3, true, WriteDurability::disk}, true};
  put.write.write_id = {7, 9};
  put.write.value = Bytes("a\0b", 3);
  put.write.content_type = "text";
  auto decoded = wire::decode(type(put), bytes_of(put));
  REQUIRE(decoded.is_ok());
  const auto& got = std::get<ClientPut>(*decoded);
  CHECK(got.key == put.key);
  CHECK(got.context == put.context);
  CHECK(got.write.write_id == put.write.write_id);
  CHECK(got.write.value == put.write.value);
  CHECK(got.write.content_type == put.write.content_type);
  CHECK(got.options == put.options);
  CHECK(got.forwarded);

  ClientReply reply;
  reply.status = Status(Code::quorum_not_met, "wanted 2, got 1", true);
  reply.dot = {{NodeId{5}, 6}, 7};
  reply.tally = {2, 1, 3, 1, {NodeId{1}}, {NodeId{2}, NodeId{3}}, {NodeId{4}}, {NodeId{5}}};
  reply.ring_epoch = 8;
  auto again = wire::decode(type(reply), bytes_of(reply));
  REQUIRE(again.is_ok());
  const auto& read = std::get<ClientReply>(*again);
  CHECK(read.status == reply.status);
  CHECK(read.dot == reply.dot);
  CHECK(read.tally == reply.tally);
  CHECK(read.ring_epoch == 8);
}

TEST_CASE("protobuf's own runtime reads what we write, and we read what it writes") {
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    CHECK(rc::check(std::string("protobuf ") + std::to_string(kind), [kind] {
      Message message = test::any_message(kind);
      Bytes bytes = bytes_of(message);
      auto protobuf = protobuf_for(message);
      RC_ASSERT(protobuf->ParseFromString(bytes));
      RC_ASSERT(protobuf->GetReflection()->GetUnknownFields(*protobuf).empty());
      Bytes theirs = protobuf->SerializeAsString();
      auto decoded = wire::decode(type(message), theirs);
      if (!decoded) RC_FAIL(decoded.status().to_string());
      RC_ASSERT(bytes_of(*decoded) == bytes);
    }));
  }
}

TEST_CASE("F-90 truncated and mutated bytes are refused or read, never a crash") {
  Random random(90);
  std::size_t refused = 0;
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    rc::check([&] {
      Message message = test::any_message(kind);
      Bytes bytes = bytes_of(message);
      for (int i = 0; i < 10 && !bytes.empty(); ++i) {
        Bytes cut = bytes.substr(0, random.below(bytes.size()));
        Bytes flipped = bytes;
        flipped[random.below(bytes.size())] ^= static_cast<char>(1 << random.below(8));
        for (const Bytes& bad : {cut, flipped}) {
          auto decoded = wire::decode(type(message), bad);
          if (decoded) continue;
          ++refused;
          RC_ASSERT(decoded.status().code() == Code::corrupt);
          RC_ASSERT(!decoded.status().message().empty());
        }
      }
    });
  }
  CHECK(refused > 100);
  for (int i = 0; i < 20'000; ++i) {
    Bytes noise(random.below(64), 0);
    for (char& c : noise) c = static_cast<char>(random.next());
    auto decoded = wire::decode(static_cast<std::uint8_t>(random.below(18)), noise);
    if (!decoded) CHECK(decoded.status().code() == Code::corrupt);
  }
}

TEST_CASE("what is wrong is named: message and field") {
  auto wrong = [](wire::Type type, const Bytes& body) {
    auto decoded = wire::decode(static_cast<std::uint8_t>(type), body);
    REQUIRE_FALSE(decoded.is_ok());
    CHECK(decoded.status().code() == Code::corrupt);
    return decoded.status().message();
  };
  using Catch::Matchers::Contains;
  CHECK_THAT(wrong(wire::Type::replica_get, ""), Contains("ReplicaGet.key") && Contains("missing"));
  CHECK_THAT(wrong(wire::Type::replica_get, text(1, "") + text(1, "")), Contains("twice"));
  CHECK_THAT(wrong(wire::Type::replica_get, field(1, 0, "\x05")),
             Contains("ReplicaGet.key") && Contains("wire type"));
  CHECK_THAT(wrong(wire::Type::client_get, text(1, "") + text(2, field(2, 0, "\x80\x02"))),
             Contains("RequestOptions.r: wanted at most 255, got 256"));
  CHECK_THAT(wrong(wire::Type::client_put, text(1, "") + text(3, "")), Contains("Write.write_id"));
  CHECK_THAT(wrong(wire::Type::ring_table, text(2, "\xff")),
             Contains("RingTable.cluster") && Contains("UTF-8"));
  CHECK_THAT(wrong(wire::Type::ring_table, text(7, "123")), Contains("RingTable.owners"));
  CHECK_THAT(wrong(static_cast<wire::Type>(77), ""), Contains("77"));
}

TEST_CASE("F-91 a table of countless empty members is refused before it takes memory") {
  Bytes body;
  for (std::size_t i = 0; i <= wire::max_members; ++i) body += text(6, "");
  auto decoded = wire::decode(static_cast<std::uint8_t>(wire::Type::ring_table), body);
  REQUIRE_FALSE(decoded.is_ok());
  CHECK_THAT(decoded.status().message(), Catch::Contains("members: wanted at most 4096"));
}

TEST_CASE("F-91 a held check of too many keys, or of too long ones, is refused while it is read") {
  using Catch::Matchers::Contains;
  auto refused = [](const HeldCheck& check) {
    auto decoded = wire::decode(type(check), bytes_of(check));
    REQUIRE_FALSE(decoded.is_ok());
    CHECK(decoded.status().code() == Code::corrupt);
    return decoded.status().message();
  };
  HeldCheck check;
  check.keys.assign(wire::max_held, Key{"b", "k"});
  check.clock_hashes.assign(wire::max_held, 1);
  CHECK(wire::decode(type(check), bytes_of(check)).is_ok());
  check.keys.push_back(Key{"b", "k"});
  CHECK_THAT(refused(check), Contains("HeldCheck.keys: wanted at most 1024, got more"));
  CHECK_THAT(refused({0, {Key{}, Key{}}, {1}}),
             Contains("HeldCheck.clock_hashes: wanted 2, got 1"));
  HeldCheck wide{0, {5, Key{"b", Bytes(60'000, 'k')}}, {1, 2, 3, 4, 5}};
  CHECK_THAT(refused(wide), Contains("wanted at most 262144 bytes together, got more"));
  HeldAnswer answer{std::vector<std::uint32_t>(wire::max_held + 1)};
  auto decoded = wire::decode(type(answer), bytes_of(answer));
  REQUIRE_FALSE(decoded.is_ok());
  CHECK_THAT(decoded.status().message(), Contains("HeldAnswer.lacking: wanted up to 1024"));
}

TEST_CASE("F-92 fields of a newer peer are skipped") {
  Bytes body = text(1, text(1, "b") + text(2, "k") + text(9, "new")) + text(15, "later");
  auto decoded = wire::decode(static_cast<std::uint8_t>(wire::Type::client_get), body);
  REQUIRE(decoded.is_ok());
  CHECK(std::get<ClientGet>(*decoded).key == Key{"b", "k"});
}

}  // namespace
}  // namespace ringlet
