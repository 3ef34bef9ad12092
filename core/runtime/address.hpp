// "host:port", "[v6]:port".
#pragma once

#include <string>

#include "base/status.hpp"

namespace ringlet {

struct Address {
  std::string host;
  std::uint16_t port = 0;
  // invalid_argument says what was wanted and what was got.
  static Result<Address> parse(const std::string& text);
};

}  // namespace ringlet
