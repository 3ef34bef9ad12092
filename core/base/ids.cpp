#include "base/ids.hpp"

#include <cstdio>

#include "base/token.hpp"

namespace ringlet {
namespace {

std::string hex(std::uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

}  // namespace

NodeId node_id_of(std::string_view name) {
  Token hash = md5(name);
  return NodeId{hash.high != 0 ? hash.high : 1};
}

std::string to_string(NodeId id) {
  return hex(id.value);
}
std::string to_string(WriteId id) {
  return hex(id.high) + hex(id.low);
}
std::string to_string(const Token& t) {
  return hex(t.high) + hex(t.low);
}

}  // namespace ringlet
