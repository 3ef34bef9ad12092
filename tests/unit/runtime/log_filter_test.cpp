#include "runtime/log_filter.hpp"

#include <vector>

#include <catch2/catch.hpp>

namespace ringlet {
namespace {

Instant at(std::int64_t ms) {
  return Instant{} + Duration::millis(ms);
}

struct Records {
  std::vector<std::string> lines;
  LogFilter filter{[this](LogLevel level, std::string_view part, const std::string& text) {
    lines.push_back(std::string(name_of(level)) + " " + std::string(part) + ": " + text);
  }};
  void warn(const std::string& text, std::int64_t ms) {
    filter.write(LogLevel::warn, "runtime", text, at(ms));
  }
};

TEST_CASE("every record is made one line") {
  Records records;
  records.warn("cluster 'x\n2026 ERROR' is unknown", 0);
  records.filter.write(LogLevel::debug, "runtime", "a\nb", at(1));
  CHECK(records.lines ==
        std::vector<std::string>{"warn runtime: cluster 'x\\x0a2026 ERROR' is unknown",
                                 "debug runtime: a\\x0ab"});
}

TEST_CASE("a condition that repeats is one record at its start and one at its end with the count") {
  Records records;
  for (int i = 0; i < 100; ++i) {
    records.warn("connection from 10.0.0.7:" + std::to_string(4000 + i) + " dropped after " +
                     std::to_string(i) + " ms",
                 i * 100);
    records.filter.look(at(i * 100));
  }
  CHECK(records.lines ==
        std::vector<std::string>{"warn runtime: connection from 10.0.0.7:4000 dropped after 0 ms"});
  records.filter.look(at(9900 + 9'999));
  CHECK(records.lines.size() == 1);
  records.filter.look(at(9900 + 10'000));
  CHECK(records.lines.back() ==
        "warn runtime: no more of this, which was met 100 times in 9.9 s: connection from "
        "10.0.0.7:4000 dropped after 0 ms");
  records.warn("connection from 10.0.0.7:1 dropped after 1 ms", 60'000);
  CHECK(records.lines.size() == 3);
  records.filter.look(Instant::never());  // met once: there is no more to say
  CHECK(records.lines.size() == 3);
}

TEST_CASE("records that say which, and not how much, are told apart") {
  Records records;
  records.warn("carts/alice has 100 siblings", 0);
  records.warn("carts/alice has 200 siblings", 1);
  records.warn("connection to 10.0.0.7:7400 lost", 2);
  records.warn("connection to 10.0.0.8:7400 lost", 3);
  records.filter.write(LogLevel::error, "runtime", "connection to 10.0.0.8:7400 lost", at(4));
  records.filter.write(LogLevel::error, "node", "connection to 10.0.0.8:7400 lost", at(5));
  CHECK(records.lines.size() == 6);
}

TEST_CASE(
    "countless conditions take no countless memory: beyond the bound records pass as they are") {
  Records records;
  for (std::size_t i = 0; i < LogFilter::most_conditions + 10; ++i) {
    records.warn("condition " + std::to_string(i), 0);
  }
  CHECK(records.lines.size() == LogFilter::most_conditions + 10);
  records.warn("condition 0", 1);
  CHECK(records.lines.size() == LogFilter::most_conditions + 10);
  records.warn("condition " + std::to_string(LogFilter::most_conditions), 1);
  CHECK(records.lines.size() == LogFilter::most_conditions + 11);
}

}  // namespace
}  // namespace ringlet
