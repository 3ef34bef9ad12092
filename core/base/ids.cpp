#include "base/ids.hpp"

#include <cstdio>

#include "base/random.hpp"
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

WriteId new_write_id(std::int64_t wall_ms, Random& random) {
  std::uint64_t born = static_cast<std::uint64_t>(wall_ms) & 0xffff'ffff'ffff;
  return {born << 16 | 0x7000 | (random.next() & 0xfff),
          std::uint64_t{2} << 62 | (random.next() >> 2)};
}

std::optional<std::int64_t> birth_of(WriteId id) {
  bool version_7 = (id.high >> 12 & 0xf) == 7 && id.low >> 62 == 2;
  if (!version_7) return std::nullopt;
  return static_cast<std::int64_t>(id.high >> 16);
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
