#include <catch2/catch.hpp>

#include "document/edits.hpp"
#include "unit/document/model.hpp"

namespace ringlet::document::test {
namespace {

constexpr std::int64_t now_us = 1'700'000'000'000'000;

// Why these edits are refused, where there is the set "set" and the counter items/tea of 5.
std::string refused(const Edits& edits, Code code = Code::invalid_argument) {
  auto first = apply({}, {},
                     {{EditKind::add, {name("set")}, name("x")},
                      {EditKind::increment, {name("items"), name("tea")}, {}, 5}},
                     now_us);
  REQUIRE(first);
  State state = resolve(std::move(*first), {Actor{NodeId{1}, 1}, 1}, WriteId{1, 1});
  auto document = apply(state, state.cover.seen(), edits, now_us);
  REQUIRE_FALSE(document);
  CHECK(document.status().code() == code);
  return document.status().message();
}

TEST_CASE("an edit that does not fit says which, where, what was wanted and what was got") {
  CHECK(refused({{EditKind::add, {name("set")}, name("y")},
                 {EditKind::increment, {name("set")}, {}, 1}}) ==
        "edit 2, increment set: wanted a counter at set, got a set");
  CHECK(refused({{EditKind::add, {name("items"), name("tea"), name("leaves")}, name("y")}}) ==
        "edit 1, add items/tea/leaves: wanted a map at items/tea, got a counter");
  CHECK(refused({{EditKind::enable, {name("items")}}}) ==
        "edit 1, enable items: wanted a flag at items, got a map");
  CHECK(refused({{EditKind::erase, {name("items"), name("milk")}}}) ==
        "edit 1, erase items/milk: wanted a field there, got nothing");
  CHECK(refused({{EditKind::add, {}, name("y")}}) ==
        "edit 1, add the document: wanted a path, got an empty one");
}

TEST_CASE("a counter that would leave 64 bits is refused") {
  CHECK(refused({{EditKind::increment, {name("items"), name("tea")}, {}, INT64_MAX}}) ==
        "edit 1, increment items/tea: wanted a sum of 64 bits, got 5 + 9223372036854775807");
  CHECK(refused({{EditKind::increment, {name("n")}, {}, INT64_MIN},
                 {EditKind::increment, {name("n")}, {}, INT64_MIN}})
            .find("wanted a sum of 64 bits") != std::string::npos);
  // Concurrent increments that fit one by one may leave it together; then the way back is open.
  Edit most{EditKind::increment, {name("n")}, {}, INT64_MAX};
  State one = resolve(*apply({}, {}, {most}, now_us), {Actor{NodeId{1}, 1}, 1}, WriteId{1, 1});
  join(one, resolve(*apply({}, {}, {most}, now_us), {Actor{NodeId{2}, 1}, 1}, WriteId{1, 2}));
  CHECK(to_string(total(std::get<Counter>(one.root.fields[0].node))) == "18446744073709551614");
  CHECK_FALSE(apply(one, {}, {{EditKind::increment, {name("n")}, {}, 1}}, now_us));
  CHECK(apply(one, {}, {{EditKind::increment, {name("n")}, {}, -1}}, now_us));
}

TEST_CASE("names and elements of the wrong kind, length or spelling are refused") {
  auto with_name = [](Scalar scalar) {
    return refused({{EditKind::enable, {name("f"), std::move(scalar)}}});
  };
  CHECK(with_name(name("")) ==
        "edit 1, enable f/: name 2 of its path: wanted 1 to 1024 bytes, got 0");
  CHECK(with_name(Scalar::of_text(Bytes(65'536, 'n'))).find("wanted 1 to 1024 bytes, got 65536") !=
        std::string::npos);
  CHECK(with_name(name("\xff\xfe")).find("wanted UTF-8") != std::string::npos);
  CHECK(with_name(Scalar()).find("got nothing") != std::string::npos);
  CHECK(with_name(Scalar::of_real(1.5)).find("got a real number") != std::string::npos);
  auto with_element = [](Scalar scalar) {
    return refused({{EditKind::add, {name("set")}, std::move(scalar)}});
  };
  CHECK(with_element(Scalar::of_text(Bytes(65'536, 'n'))).find("at most") == std::string::npos);
  CHECK(with_element(Scalar::of_text(Bytes(65'536, 'n')))
            .find("wanted 0 to 65535 bytes, got 65536") != std::string::npos);
  CHECK(with_element(name("\xc0\x80")).find("wanted UTF-8") != std::string::npos);
  CHECK(with_element(Scalar::of_real(1)).find("got a real number") != std::string::npos);
  CHECK(refused({{EditKind::set, {name("r")}, name("\xed\xa0\x80")}}).find("wanted UTF-8") !=
        std::string::npos);
  CHECK(refused({{EditKind::enable, std::vector<Scalar>(33, name("d"))}})
            .find("wanted a path of at most 32 names, got 33") != std::string::npos);
  // Bytes of any spelling, integers and booleans are names and elements too.
  Edits fine = {{EditKind::add, {Scalar::of_bytes("\xff")}, Scalar::of_bytes("")},
                {EditKind::add, {Scalar::of_integer(-5)}, Scalar::of_boolean(true)},
                {EditKind::set, {Scalar::of_boolean(false)}, Scalar::of_real(2.5)}};
  auto document = apply({}, {}, fine, now_us);
  REQUIRE(document);
  CHECK(decode(encode(*document))->root == document->root);
}

TEST_CASE("ten thousand edits in one call are refused") {
  Edits many(10'000, {EditKind::enable, {name("f")}});
  const char* said = "wanted at most 4096 edits in one call, got 10000";
  CHECK(refused(many, Code::too_large) == said);
  // As bytes too, for so Java and a queue give them.
  CHECK(decode_edits(encode(many)).status().code() == Code::too_large);
  CHECK(decode_edits(encode(many)).status().message() == said);
  Edits deep{{EditKind::enable, std::vector<Scalar>(33, name("f"))}};
  CHECK(decode_edits(encode(deep)).status().code() == Code::invalid_argument);
  CHECK(decode_edits(encode(deep)).status().message() == refused(deep));
  CHECK(apply({}, {}, Edits(max_edits, {EditKind::increment, {name("f")}, {}, 1}), now_us));
}

TEST_CASE("a list of edits is the same after its bytes, and other bytes are refused") {
  Edits edits = {{EditKind::add, {name("a"), Scalar::of_integer(3)}, name("x")},
                 {EditKind::increment, {name("n")}, {}, INT64_MIN},
                 {EditKind::set_all, {name("r")}, Scalar::of_real(-0.0)},
                 {EditKind::clear, {}}};
  Bytes bytes = encode(edits);
  auto again = decode_edits(bytes);
  REQUIRE(again);
  CHECK(*again == edits);
  for (std::size_t i = 0; i < bytes.size(); ++i) CHECK_FALSE(decode_edits(bytes.substr(0, i)));
  CHECK_FALSE(decode_edits(bytes + '\0'));
  Bytes later = bytes;
  later[0] = 2;
  CHECK(decode_edits(later).status().code() == Code::unsupported);
  CHECK_FALSE(decode_edits(encode(Edits{{EditKind::enable, {}}})));
}

}  // namespace
}  // namespace ringlet::document::test
