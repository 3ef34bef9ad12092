#include "base/assert.hpp"

#include <catch2/catch.hpp>
#include <stdexcept>
#include <string>

#include "base/random.hpp"
#include "base/status.hpp"

namespace ringlet {
namespace {

struct Broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Routes broken promises into exceptions for one test.
struct ThrowingAsserts {
  AssertHandler former = set_assert_handler([](const char* file, int line, const char* expression) {
    throw Broken(std::string(file) + ":" + std::to_string(line) + ": " + expression);
  });
  ~ThrowingAsserts() { set_assert_handler(former); }
};

TEST_CASE("assert: a kept promise costs nothing, a broken one names file, line and expression") {
  ThrowingAsserts guard;
  int evaluated = 0;
  RINGLET_ASSERT(++evaluated == 1);
  CHECK(evaluated == 1);
  try {
    RINGLET_ASSERT(evaluated == 7);
    FAIL("a broken promise went unnoticed");
  } catch (const Broken& broken) {
    std::string text = broken.what();
    CHECK(text.find("assert_test.cpp:") != std::string::npos);
    CHECK(text.find("evaluated == 7") != std::string::npos);
  }
}

TEST_CASE("assert: the former handler comes back") {
  AssertHandler mine = [](const char*, int, const char*) {};
  AssertHandler former = set_assert_handler(mine);
  CHECK(set_assert_handler(former) == mine);
}

TEST_CASE("result: reading the value of a failure is a programmer's mistake") {
  ThrowingAsserts guard;
  Result<int> failed = Status(Code::timeout, "wanted an answer within 50 ms, got none");
  CHECK_FALSE(failed.is_ok());
  CHECK(failed.status().code() == Code::timeout);
  CHECK_THROWS_AS(*failed, Broken);
  CHECK_THROWS_AS(Result<int>(Status::ok()), Broken);  // a failure that says it is none
  CHECK(*Result<int>(7) == 7);
}

TEST_CASE("random: impossible bounds are a programmer's mistake") {
  ThrowingAsserts guard;
  Random random(1);
  CHECK_THROWS_AS(random.below(0), Broken);
  CHECK_THROWS_AS(random.between(2, 1), Broken);
}

}  // namespace
}  // namespace ringlet
