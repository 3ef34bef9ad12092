#include <catch2/catch.hpp>

#include "document/edits.hpp"
#include "unit/document/model.hpp"

namespace ringlet::document::test {
namespace {

constexpr std::int64_t now_us = 1'700'000'000'000'000;

State sample() {
  State state;
  Edits edits = {{EditKind::add, {name("coupons")}, name("SUMMER")},
                 {EditKind::increment, {name("items"), name("tea")}, {}, 2},
                 {EditKind::enable, {name("gift")}},
                 {EditKind::set, {name("note")}, name("ring twice")},
                 {EditKind::set_all, {name("colour")}, Scalar::of_real(0.5)}};
  for (std::uint64_t n = 1; n <= 3; ++n) {
    auto document = apply(state, state.cover.seen(), edits, now_us);
    REQUIRE(document);
    state =
        resolve(std::move(*document), {Actor{NodeId{n % 2 + 1}, 7}, (n + 1) / 2}, WriteId{n, n});
  }
  return state;
}

TEST_CASE("a document of a later format is unsupported and says so; damage is corrupt") {
  Bytes bytes = encode(*apply(sample(), {}, {}, now_us));
  Bytes later = bytes;
  later[0] = 2;
  CHECK(decode(later).status().code() == Code::unsupported);
  CHECK(decode(later).status().message().find("wanted format 1, got format 2") !=
        std::string::npos);
  CHECK(decode("").status().code() == Code::corrupt);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto cut = decode(bytes.substr(0, i));
    REQUIRE_FALSE(cut);
    CHECK(cut.status().code() == Code::corrupt);
  }
  CHECK_FALSE(decode(bytes + "x"));
}

TEST_CASE("bytes that are read are the ones that would be written: there is one form only") {
  Bytes bytes = encode(*apply(sample(), {}, {{EditKind::enable, {name("own")}}}, now_us));
  Random random(1);
  int taken = 0;
  for (int i = 0; i < 20'000; ++i) {
    Bytes changed = bytes;
    for (std::uint64_t n = random.below(3) + 1; n > 0; --n) {
      changed[random.below(changed.size())] = static_cast<char>(random.below(256));
    }
    auto document = decode(changed);
    if (!document) continue;
    ++taken;
    REQUIRE(encode(*document) == changed);
  }
  CHECK(taken > 100);
}

TEST_CASE(
    "documents of format 1 are read for ever: these bytes were written by its first release") {
  const std::string hex =
      "01c096aac3c1c482030201000000000000000102000000000000000102020269737cd8ff930f07020201"
      "cf5ec6e03d7656870402020518636f6c6f75720501000005ff1c636f75706f6e7301011853554d4d4552"
      "0010676966740300146974656d7300010c7465610202000104010104030004020204040204106e6f7465"
      "040100000f000000000000e03f";
  Bytes bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  auto document = decode(bytes);
  INFO(document.status().message());
  REQUIRE(document);
  CHECK(encode(*document) == bytes);
  State state = resolve(std::move(*document), {Actor{NodeId{2}, 1}, 3}, WriteId{1, 5});
  CHECK(look(state) == Seen{{"colour=0xff", 0},
                            {"coupons/SUMMER", 0},
                            {"gift", 0},
                            {"items/tea", 10},
                            {"note=[0.500000]", 0}});
}

TEST_CASE("a document of thousand items costs at most half as much again as its JSON") {
  State state;
  std::size_t json = 2;
  Edits edits;
  for (int i = 0; i < 1000; ++i) {
    std::string item = "item-" + std::to_string(i);
    bool set = i % 2 == 0;
    json += item.size() + 3 + (set ? 0 : 2);
    if (set) edits.push_back({EditKind::add, {name("set")}, Scalar::of_text(item)});
    if (!set) edits.push_back({EditKind::increment, {name("items"), Scalar::of_text(item)}, {}, 2});
    if (edits.size() < 10) continue;
    // By writes of three nodes, a minute apart.
    auto n = static_cast<std::uint64_t>(i / 10);
    auto document = apply(state, state.cover.seen(), edits, now_us + 60'000'000 * i);
    REQUIRE(document);
    state = resolve(std::move(*document), {Actor{NodeId{n % 3 + 1}, 1}, n / 3 + 1}, WriteId{1, n});
    edits.clear();
  }
  Bytes bytes = encode(*apply(state, state.cover.seen(), {}, now_us));
  INFO(bytes.size() << " bytes, as JSON " << json);
  CHECK(bytes.size() * 2 <= json * 3);
}

}  // namespace
}  // namespace ringlet::document::test
