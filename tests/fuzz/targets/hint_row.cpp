// hint_row: keys of the tables of hints and objects, read from a disk and made anew
#include "fuzz/input.hpp"
#include "fuzz/target.hpp"
#include "node/hint_key.hpp"

namespace ringlet::fuzz {
namespace {

bool parse(BytesView row) {
  auto hint = parse_hint_row(row);
  if (hint) hold(hint_row(hint->target, hint->key) == row, "a hint's row has two readings");
  auto object = parse_object_row(row);
  if (object) {
    std::uint32_t partition = 0;
    for (int i = 0; i < 4; ++i) partition = partition << 8 | static_cast<unsigned char>(row[i]);
    hold(object_row(partition, *object) == row, "an object's row has two readings");
  }
  return hint.has_value() || object.has_value();
}

// The scan for one owner is [prefix, after): all of its hints, and nobody else's.
bool scanned(NodeId target, const Bytes& row) {
  Bytes prefix = hint_prefix(target), after = after_prefix(prefix);
  return prefix <= row && (after.empty() || row < after);
}

void build(Input& in) {
  NodeId one{in.number<std::uint64_t>()};
  NodeId two{one.value + static_cast<std::uint64_t>(static_cast<std::int8_t>(in.byte()))};
  Key key{Bytes(in.piece()), Bytes(in.rest())};
  Bytes row = hint_row(one, key);
  auto parsed = parse_hint_row(row);
  hold(parsed && parsed->target == one && parsed->key == key, "a hint's row is read as another");
  hold(scanned(one, row), "a hint is outside the scan for its owner");
  hold(scanned(two, row) == (one == two), "a hint is in the scan for another owner");
  hold(hint_actor_row(one, key).ends_with(row), "an actor's row does not name its hint");

  auto partition = static_cast<std::uint32_t>(one.value);
  auto object = parse_object_row(object_row(partition, key));
  hold(object && *object == key, "an object's row is read as another");
}

}  // namespace

Verdict hint_row(BytesView input) {
  Input in(input);
  if (in.byte() % 2 == 0) return parse(in.rest()) ? Verdict::taken : Verdict::refused;
  build(in);
  return Verdict::taken;
}

}  // namespace ringlet::fuzz
