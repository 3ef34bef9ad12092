// What the command line makes of answers: of a node of this release, of an older one, of none at all.
#include <catch2/catch.hpp>

#include "daemon/answers.hpp"

namespace ringlet {
namespace {
namespace json = boost::json;

const char* const status_answer =
    R"({"node":"n1","hints":3,"gets":10,"puts":4,"failed":1,"down":["n2","n3"],"out":"",)"
    R"("memory":{"limit":201326592,"resident":74448896,"requests":0,"answers":0}})";

const char* const cluster_answer =
    R"({"message":"cluster c, epoch 7, 1 partition moving, 1 change staged","out":"",)"
    R"("node":{"name":"n1","state":"in","surplus_clean":true,"hints":0,"may_stop":false},)"
    R"("members":[{"name":"n2","address":"h:2","zone":"b","weight":1,"state":"leaving","owns":5,"coming":2},)"
    R"({"name":"n1","address":"h:1","zone":"","weight":1,"state":"in","owns":59,"coming":0}],)"
    R"("staged":["leave n2"],"moves":[{"partition":5,"from":"n2","to":"n1"}],)"
    R"("upkeep":{"transfer":{"left":1,"objects":2,"bytes":3},"surplus":{"checked":4,"pushed":5,"erased":6},)"
    R"("anti_entropy":{"idle":true,"exchanges":7,"keys_received":8,"keys_sent":9,"bytes_received":10,"bytes_sent":11}}})";

json::value parsed(const std::string& text) {
  auto value = parse_answer("n1", text);
  REQUIRE(value);
  return *value;
}

std::string line(const std::string& text) {
  auto value = parsed(text);
  return status_line("n1", "h:1", NodeAnswer(value));
}

std::string why_out(const std::string& text) {
  auto value = parsed(text);
  return why_it_serves_nobody(NodeAnswer(value));
}

// Calls `with` with the answer in which one place is missing, or holds something else; with all of them.
void spoil(json::value& root, json::value& at,
           const std::function<void(const json::value&)>& with) {
  const json::value others[] = {
      nullptr, true, -1, 1e300, "text\n\x01", json::array{1, "x"}, json::object{{"name", 1}}};
  json::value kept = at;
  for (const auto& other : others) {
    at = other;
    with(root);
  }
  at = kept;
  if (at.is_object()) {
    std::vector<std::string> names;
    for (const auto& field : at.as_object()) names.emplace_back(field.key());
    for (const auto& name : names) {
      json::value field = at.as_object().at(name);
      at.as_object().erase(name);
      with(root);
      at.as_object()[name] = field;
      spoil(root, at.as_object()[name], with);
    }
  } else if (at.is_array()) {
    for (auto& item : at.as_array()) spoil(root, item, with);
  }
}

}  // namespace

TEST_CASE("a status line has the numbers of a whole answer") {
  CHECK(line(status_answer) ==
        "n1  h:1  hints 3  gets 10  puts 4  failed 1  down [n2,n3]  memory 71 of 192 MiB");
}

TEST_CASE("what an answer lacks is shown as a question mark") {
  CHECK(line("{}") == "n1  h:1  hints ?  gets ?  puts ?  failed ?  down [?]");
  CHECK(line(R"({"hints":"x","gets":[],"memory":{"resident":"much"}})") ==
        "n1  h:1  hints x  gets ?  puts ?  failed ?  down [?]  memory ? of ? MiB");
  auto value = parsed(R"({"members":[{}]})");
  CHECK(cluster_text("status", NodeAnswer(value)) == "?  ?  ?  ? partitions, ? coming\n");
}

TEST_CASE("an answer that is no JSON object is a sentence with its beginning") {
  for (const char* text :
       {"", "{", "[]", "7", "null", "\"text\"", "nonsense", "{}{}", "{\"a\":1"}) {
    auto value = parse_answer("n2", text);
    REQUIRE_FALSE(value);
    CHECK(value.status().code() == Code::internal);
    CHECK_THAT(value.status().message(), Catch::StartsWith("n2: wanted a JSON object"));
  }
  std::string deep(100'000, '[');
  CHECK_FALSE(parse_answer("", deep));
}

TEST_CASE("every place of an answer may be missing or of another type") {
  std::size_t seen = 0;
  for (const char* text : {status_answer, cluster_answer}) {
    json::value root = json::parse(text);
    spoil(root, root, [&](const json::value& bad) {
      for (const char* verb : {"status", "plan", "commit"}) cluster_text(verb, NodeAnswer(bad));
      std::string shown = status_line("n1", "h:1", NodeAnswer(bad));
      CHECK(shown.find('\n') == std::string::npos);
      why_it_serves_nobody(NodeAnswer(bad));
      ++seen;
    });
  }
  CHECK(seen > 300);
}

TEST_CASE("the text of cluster status is sorted by name and complete") {
  auto value = parsed(cluster_answer);
  std::string text = cluster_text("status", NodeAnswer(value));
  CHECK(text ==
        "cluster c, epoch 7, 1 partition moving, 1 change staged\n"
        "staged: leave n2\n"
        "n1  h:1  in  59 partitions\n"
        "n2  h:2  leaving  5 partitions, 2 coming  zone b\n"
        "copies to this node: 1 partitions left, 2 objects and 3 bytes came\n"
        "copies it need not keep: 4 checked, 5 handed over, 6 erased\n"
        "repair: idle, 7 exchanges, 8 keys received, 9 sent, 10 bytes in, 11 bytes out\n"
        "partition 5  n2 -> n1\n");
}

TEST_CASE("a node that serves nobody is told from one that does") {
  CHECK(why_out(status_answer).empty());
  CHECK(why_out(cluster_answer).empty());
  CHECK(why_out("{}").empty());  // an older node's answer has none of the fields
  CHECK_THAT(why_out(R"({"node":"n4","joined":false})"), Catch::Contains("n4 serves nobody"));
  CHECK(why_out(R"({"out":"node n2 serves nobody: it was replaced"})") ==
        "node n2 serves nobody: it was replaced");
  for (const char* state : {"left", "replaced", "clashing", "unknown"}) {
    CHECK_THAT(why_out(std::string(R"({"node":{"name":"n2","state":")") + state + "\"}}"),
               Catch::Contains(state));
  }
  for (const char* state : {"in", "leaving"})
    CHECK(why_out(std::string(R"({"node":{"name":"n2","state":")") + state + "\"}}").empty());
  CHECK_FALSE(why_out(R"({"node":"n2","serves":false})").empty());
}

}  // namespace ringlet
