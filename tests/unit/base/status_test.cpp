#include "base/status.hpp"

#include <catch2/catch.hpp>
#include <set>

namespace ringlet {
namespace {

TEST_CASE("status: ok is the default and says nothing") {
  Status status;
  CHECK(status);
  CHECK(status == Status::ok());
  CHECK(status.to_string() == "ok");
  CHECK_FALSE(status.maybe_applied());
}

TEST_CASE("status: a failure says its code, its sentence and whether the write may exist (O-8)") {
  Status status(Code::quorum_not_met, "put carts/alice: wanted 2 copies, got 1", true);
  CHECK_FALSE(status);
  CHECK(status.to_string() == "quorum_not_met: put carts/alice: wanted 2 copies, got 1");
  CHECK(status.maybe_applied());
  status.set_maybe_applied(false);
  CHECK_FALSE(status.maybe_applied());
  CHECK(Status(Code::io, "a") != Status(Code::io, "b"));
}

TEST_CASE("status: every code has its own name, its number is the ABI's") {
  std::set<std::string> names;
  for (int number : {0,   101, 102, 103, 104, 105, 106, 107, 108, 109, 201,
                     202, 203, 204, 205, 301, 302, 401, 402, 501, 502, 503}) {
    std::string name = name_of(static_cast<Code>(number));
    CHECK(name != "unknown");
    CHECK(names.insert(name).second);
  }
  CHECK(std::string(name_of(static_cast<Code>(999))) == "unknown");
  CHECK(std::string(name_of(Code::invalid_context)) == "invalid_context");
}

TEST_CASE("status: what may succeed when it is tried again") {
  for (Code code :
       {Code::timeout, Code::unavailable, Code::quorum_not_met, Code::overloaded, Code::busy}) {
    CHECK(Status(code, "").retryable());
  }
  for (Code code : {Code::invalid_argument, Code::corrupt, Code::closed, Code::cancelled, Code::io,
                    Code::too_many_siblings}) {
    CHECK_FALSE(Status(code, "").retryable());
  }
  CHECK_FALSE(Status().retryable());
}

}  // namespace
}  // namespace ringlet
