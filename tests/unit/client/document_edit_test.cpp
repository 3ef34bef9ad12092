#include "client/document_edit.hpp"

#include <catch2/catch.hpp>

#include "client/client_core.hpp"
#include "unit/document/oracle.hpp"

namespace ringlet::test {
namespace {

using document::Edit;
using document::EditKind;
using document::Edits;
using document::Scalar;

constexpr std::int64_t now_us = 1'700'000'000'000'000;

Edits tea(std::int64_t amount) {
  return {{EditKind::increment, {Scalar::of_text("items"), Scalar::of_text("tea")}, {}, amount}};
}

UpdateQuestion question_of(Object object, bool written = false) {
  UpdateQuestion question;
  question.attempt = written ? 2 : 1;
  question.written = written;
  question.read.reply.object = std::move(object);
  return question;
}

void put(Object& object, const CausalContext& seen, const Bytes& value, std::uint64_t id,
         const char* type = nullptr) {
  update(object, seen, Actor{NodeId{1}, 1},
         {WriteId{1, id}, false, value, type == nullptr ? Bytes(document_content_type) : type},
         now_us);
}

document::test::Seen seen(const Object& object, Deletes deletes = Deletes::lose) {
  auto state = document::read(object, deletes);
  REQUIRE(state);
  return document::test::look(*state);
}

TEST_CASE("M-16 an edit is applied once, and what follows its acknowledgement is a merge alone") {
  Object object;
  UpdateAnswer first = answer_edit(question_of({}), tea(2), Deletes::lose, now_us);
  REQUIRE(first.kind == UpdateAnswer::Kind::value);
  put(object, {}, first.value, 1);
  put(object, {}, answer_edit(question_of({}), tea(5), Deletes::lose, now_us).value, 2);
  REQUIRE(object.versions.size() == 2);
  UpdateAnswer merge = answer_edit(question_of(object, true), tea(2), Deletes::lose, now_us);
  REQUIRE(merge.kind == UpdateAnswer::Kind::value);
  put(object, object.context, merge.value, 3);
  CHECK(object.versions.size() == 1);
  CHECK(seen(object) == document::test::Seen{{"items/tea", 7}});
}

TEST_CASE("M-2 where deletes win, an edit beside a tombstone begins with nothing") {
  Object object;
  put(object, {}, answer_edit(question_of({}), tea(2), Deletes::lose, now_us).value, 1);
  remove(object, {}, Actor{NodeId{2}, 1}, WriteId{1, 2}, now_us);
  CHECK(seen(object) == document::test::Seen{{"items/tea", 2}});
  CHECK(seen(object, Deletes::win).empty());
  put(object, object.context, answer_edit(question_of(object), tea(1), Deletes::win, now_us).value,
      3);
  CHECK(seen(object) == document::test::Seen{{"items/tea", 1}});
}

TEST_CASE("an edit beside what is no document, or in a cluster without siblings, fails in words") {
  Object object;
  put(object, {}, "[\"tea\"]", 1, "application/json");
  UpdateAnswer plain = answer_edit(question_of(object), tea(1), Deletes::lose, now_us);
  CHECK(plain.kind == UpdateAnswer::Kind::fail);
  CHECK(plain.code == Code::invalid_argument);
  CHECK(plain.reason.find("wanted a document") != std::string::npos);

  Object damaged;
  put(damaged, {}, "\x01", 1);
  CHECK(answer_edit(question_of(damaged), tea(1), Deletes::lose, now_us).code == Code::corrupt);
  Object later;
  put(later, {}, "\x02", 1);
  CHECK(answer_edit(question_of(later), tea(1), Deletes::lose, now_us).code == Code::unsupported);

  UpdateAnswer lww = answer_edit(question_of(lww_object(NodeId{1}, {WriteId{1, 1}}, now_us)),
                                 tea(1), Deletes::lose, now_us);
  CHECK(lww.kind == UpdateAnswer::Kind::fail);
  CHECK(lww.code == Code::unsupported);
  CHECK(lww.reason.find("reconcile = siblings") != std::string::npos);
}

TEST_CASE("edits that are wrong in themselves are refused before anything is sent") {
  ClientOptions options;
  options.seeds = {"127.0.0.1:1"};
  ClientCore client(options, 1);
  ClientCore::Edit edit;
  edit.request.key = {"carts", "alice"};
  edit.edits = Edits(10'000, tea(1)[0]);
  int answers = 0;
  client.edit(std::move(edit), Now{Instant{1}, 1}, [&](const ClientCore::Outcome& outcome) {
    ++answers;
    CHECK(outcome.reply.status.code() == Code::too_large);
    CHECK(outcome.reply.status.message() ==
          "edit carts/alice: wanted at most 4096 edits in one call, got 10000");
    CHECK_FALSE(outcome.reply.status.maybe_applied());
  });
  CHECK(answers == 1);
  CHECK(client.unanswered() == 0);
}

}  // namespace
}  // namespace ringlet::test
