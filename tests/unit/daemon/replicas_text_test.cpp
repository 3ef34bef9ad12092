// What `ringlet inspect` and `ringlet why` say of the owners' answers.
#include "daemon/replicas_text.hpp"

#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>

namespace ringlet {
namespace {

std::string name_of(const std::string& id) {
  return id == "aaaaaaaaaaaaaaaa" ? "n1" : id == "bbbbbbbbbbbbbbbb" ? "n2" : id;
}

std::string version(const std::string& dot, const std::string& value, int us,
                    bool deleted = false) {
  return R"({"dot":")" + dot + R"(","written_us":)" + std::to_string(us) + R"(,"tombstone":)" +
         (deleted ? "true" : "false") + R"(,"size":)" + std::to_string(value.size()) +
         R"(,"value":")" + value + R"("})";
}

ReplicaAnswer holding(const std::string& node, const std::string& versions,
                      const std::string& context) {
  return {node,
          boost::json::parse(R"({"versions":[)" + versions + R"(],"context":[)" + context + "]}"),
          ""};
}

const std::string tea_dot = "aaaaaaaaaaaaaaaa.7:1", milk_dot = "bbbbbbbbbbbbbbbb.9:1";
const std::string tea = version(tea_dot, "tea", 1'000'000);
const std::string milk = version(milk_dot, "milk", 1'500'000);
const std::string tea_seen = "\"" + tea_dot + "\"", milk_seen = "\"" + milk_dot + "\"";

}  // namespace

TEST_CASE("siblings that all owners hold are told, and that the owners agree") {
  std::string both = tea + "," + milk, seen = tea_seen + "," + milk_seen;
  std::vector<ReplicaAnswer> owners{holding("n1", both, seen), holding("n2", both, seen)};
  CHECK(any_version(owners));
  CHECK(why_text("carts/c", owners, name_of) ==
        "carts/c has 2 versions side by side, because no writer of one had seen another:\n"
        "  \"tea\" (n1\u00b71:1), made by n1 at 1970-01-01 00:00:01.000 UTC\n"
        "  \"milk\" (n2\u00b71:1), made by n2 at 1970-01-01 00:00:01.500 UTC\n"
        "By the nodes' clocks they were made within 0.500 s. Each was written without a context, "
        "or with "
        "that of a read that did not show the others.\n"
        "A write with the context of a read that shows all of them replaces them.\n"
        "All 2 owners that answered hold the same.\n");
}

TEST_CASE(
    "an owner that lacks a version, one that has replaced it, and one that is silent are named") {
  std::vector<ReplicaAnswer> owners{
      holding("n1", tea, tea_seen),
      holding("n2", milk, tea_seen + "," + milk_seen),
      {"n3", nullptr, "the connection was refused"},
  };
  std::string text = inspect_text("carts/c", owners, name_of);
  CHECK(text ==
        "carts/c: 2 versions at 3 owners\n"
        "  n1\u00b71:1  \"tea\"  written 1970-01-01 00:00:01.000 UTC, by the clock of n1\n"
        "  n2\u00b71:1  \"milk\"  written 1970-01-01 00:00:01.500 UTC, by the clock of n2\n"
        "  n1 holds n1\u00b71:1, its context is n1\u00b71:1\n"
        "  n2 holds n2\u00b71:1, its context is n1\u00b71:1 and n2\u00b71:1\n"
        "n3 did not answer: the connection was refused\n"
        "n2 has replaced n1\u00b71:1, which n1 still holds.\n"
        "n1 lacks n2\u00b71:1, which n2 holds.\n"
        "A read, or `ringlet repair`, brings the owners together.\n");
  // What one owner has replaced is no sibling.
  CHECK(why_text("carts/c", owners, name_of).find("has one version, \"milk\"") !=
        std::string::npos);
}

TEST_CASE("no version, a delete, a second epoch and a long value") {
  std::vector<ReplicaAnswer> none{holding("n1", "", "")};
  CHECK_FALSE(any_version(none));
  CHECK(why_text("k", none, name_of).starts_with("k has no version"));
  std::vector<ReplicaAnswer> gone{holding("n1", version(tea_dot, "", 1, true), tea_seen)};
  CHECK(why_text("k", gone, name_of).starts_with("k has no value: n1 took a delete (n1\u00b71:1)"));
  std::string again = version("aaaaaaaaaaaaaaaa.8:3", std::string(100, 'x'), 2'000'000);
  std::vector<ReplicaAnswer> two{holding("n1", tea + "," + again, tea_seen)};
  std::string text = inspect_text("k", two, name_of);
  CHECK(text.find("n1\u00b72:3") != std::string::npos);
  CHECK(text.find("...\" (100 bytes)") != std::string::npos);
  CHECK(inspect_text("k", {{"n1", boost::json::parse("[1]"), ""}}, name_of)
            .starts_with("k: 0 versions"));
}

}  // namespace ringlet
