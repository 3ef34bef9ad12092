// Keys of the engine's tables.
//
//   objects  partition(4, BE) | bucket length(4, BE) | bucket | key
//   hints    target(8, BE)    | bucket length(4, BE) | bucket | key
//   state    "node.name", "node.epochs", "node.age", "membership", "membership.staged",
//            "hint.actor." | the hint's row, "hint.damaged." | the hint's row,
//            "tombstone." | the object's row, "transfer." | partition(4, BE)
//
// so that the objects of a partition, and the hints for one owner, are one sequential scan.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/ids.hpp"

namespace ringlet {

Bytes object_row(std::uint32_t partition, const Key& key);
Bytes object_prefix(std::uint32_t partition);
Bytes hint_row(NodeId target, const Key& key);
Bytes hint_actor_row(NodeId target, const Key& key);  // of the state table: who mints into the hint
// Of the state table: a hint that cannot be read, as it was found.
Bytes damaged_hint_row(BytesView hint_row);
inline constexpr BytesView damaged_hint_prefix = "hint.damaged.";
Bytes hint_prefix(NodeId target);
Bytes after_prefix(Bytes prefix);  // the first row that does not start with it; empty: none

struct HintRow {
  NodeId target;
  Key key;
};
std::optional<HintRow> parse_hint_row(BytesView row);  // nothing: not a hint row
std::optional<NodeId> parse_hint_target(BytesView row);
std::optional<Key> parse_object_row(BytesView row);
std::optional<std::uint32_t> parse_object_partition(BytesView row);

}  // namespace ringlet
