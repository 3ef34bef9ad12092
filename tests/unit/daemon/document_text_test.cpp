#include "daemon/document_text.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

namespace ringlet::test {
namespace {

using document::EditKind;
using document::Scalar;

document::State edited(const std::vector<std::string>& texts) {
  document::Edits edits;
  for (const std::string& text : texts) {
    auto edit = parse_edit(text);
    INFO(text << ": " << edit.status().message());
    REQUIRE(edit);
    edits.push_back(std::move(*edit));
  }
  auto document = document::apply({}, {}, edits, 1'700'000'000'000'000);
  INFO(document.status().message());
  REQUIRE(document);
  return document::resolve(std::move(*document), {Actor{NodeId{1}, 1}, 1}, WriteId{1, 1});
}

TEST_CASE("edits as people write them become a document, which is printed as JSON") {
  auto json =
      json_of(edited({"items/tea += 3", "items/tea -= 1", "coupons add SUMMER", "coupons add 5",
                      "gift enable", "note = ring twice", "size also 0.5", "[3]/a\\/b add \"6\"",
                      "0xff add true", "old add x", "old remove x"}));
  REQUIRE(json);
  CHECK(boost::json::serialize(*json) ==
        R"({"coupons":["SUMMER",5],"gift":true,"items":{"tea":2},"note":"ring twice",)"
        R"("size":[5E-1],"0xff":[true],"[3]":{"a/b":["6"]}})");
  // Names that are printed alike are told apart by their types, however many there are.
  json = json_of(edited({"0xff += 1", "\\0xff += 2", "0xff\\ (a\\ counter) += 3"}));
  REQUIRE(json);
  CHECK(json->size() == 3);
  auto clear = parse_edit("/ clear");
  REQUIRE(clear);
  CHECK(clear->path.empty());
}

TEST_CASE("an edit that cannot be read says what was wanted") {
  auto why = [](const char* text) {
    auto edit = parse_edit(text);
    REQUIRE_FALSE(edit);
    CHECK(edit.status().code() == Code::invalid_argument);
    return edit.status().message();
  };
  using Catch::Contains;
  CHECK_THAT(why(""), Contains("wanted PATH and what to do there"));
  CHECK_THAT(why("items/tea"), Contains("wanted PATH and what to do there"));
  CHECK_THAT(why("items/tea *= 2"), Contains("wanted +=, -=, ="));
  CHECK_THAT(why("items/tea += two"), Contains("wanted a whole number of 64 bits, got \"two\""));
  CHECK_THAT(why("items/tea += 9223372036854775808"), Contains("wanted a whole number"));
  CHECK_THAT(why("coupons add"), Contains("wanted a value behind add"));
  CHECK_THAT(why("gift enable now"), Contains("wanted nothing behind enable"));
  CHECK_THAT(why("items//tea enable"), Contains("wanted 1 to 1024 bytes, got 0"));
  CHECK_THAT(why("note = \"half"), Contains("in quotes"));
  CHECK_THAT(why("note = 99999999999999999999"), Contains("wanted a whole number of 64 bits"));
  CHECK_THAT(why("note = -9223372036854775809"), Contains("a real number has a point"));
}

}  // namespace
}  // namespace ringlet::test
