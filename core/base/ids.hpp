// Who: nodes and writes.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ringlet {

class Random;

// A member of the cluster or a client; 0 is nobody. Derived from the node's name, so that every
// process computes the same id from the same configuration.
struct NodeId {
  std::uint64_t value = 0;
  friend constexpr auto operator<=>(NodeId, NodeId) = default;
  explicit constexpr operator bool() const { return value != 0; }
};
NodeId node_id_of(std::string_view name);  // first 64 bits of MD5(name), never 0

// The identity of one write, drawn by the client and repeated by every retry (architecture,
// decision 5). Zero: none.
struct WriteId {
  std::uint64_t high = 0, low = 0;
  friend constexpr auto operator<=>(const WriteId&, const WriteId&) = default;
  explicit constexpr operator bool() const { return high != 0 || low != 0; }
};

// An id for a write made now, in UUID version 7's layout (RFC 9562): 48 bits of milliseconds since 1970,
// and 74 random ones. So an id tells how old the write is that it names.
WriteId new_write_id(std::int64_t wall_ms, Random& random);
// When it was made, milliseconds since 1970; nothing: it is not of that layout.
std::optional<std::int64_t> birth_of(WriteId id);

std::string to_string(NodeId id);   // 16 hex digits
std::string to_string(WriteId id);  // 32 hex digits

}  // namespace ringlet
