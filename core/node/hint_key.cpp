#include "node/hint_key.hpp"

namespace ringlet {
namespace {

template <typename Number>
void append_big_endian(Bytes& out, Number number) {
  for (int shift = 8 * (sizeof(Number) - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(number >> shift));
  }
}

template <typename Number>
Number read_big_endian(BytesView bytes) {
  Number number = 0;
  for (std::size_t i = 0; i < sizeof(Number); ++i) {
    number = static_cast<Number>(number << 8) | static_cast<unsigned char>(bytes[i]);
  }
  return number;
}

void append_key(Bytes& out, const Key& key) {
  append_big_endian(out, static_cast<std::uint32_t>(key.bucket.size()));
  out += key.bucket;
  out += key.key;
}

std::optional<Key> parse_key(BytesView bytes) {
  if (bytes.size() < 4) return std::nullopt;
  auto bucket_size = read_big_endian<std::uint32_t>(bytes);
  bytes.remove_prefix(4);
  if (bytes.size() < bucket_size) return std::nullopt;
  return Key{Bytes(bytes.substr(0, bucket_size)), Bytes(bytes.substr(bucket_size))};
}

}  // namespace

Bytes object_row(std::uint32_t partition, const Key& key) {
  Bytes row;
  row.reserve(8 + key.bucket.size() + key.key.size());
  append_big_endian(row, partition);
  append_key(row, key);
  return row;
}

Bytes object_prefix(std::uint32_t partition) {
  Bytes row;
  append_big_endian(row, partition);
  return row;
}

Bytes hint_prefix(NodeId target) {
  Bytes row;
  append_big_endian(row, target.value);
  return row;
}

Bytes hint_row(NodeId target, const Key& key) {
  Bytes row = hint_prefix(target);
  append_key(row, key);
  return row;
}

Bytes hint_actor_row(NodeId target, const Key& key) {
  return "hint.actor." + hint_row(target, key);
}

Bytes damaged_hint_row(BytesView hint_row) {
  return Bytes(damaged_hint_prefix).append(hint_row);
}

Bytes after_prefix(Bytes prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty())
    prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

std::optional<NodeId> parse_hint_target(BytesView row) {
  if (row.size() < 8) return std::nullopt;
  return NodeId{read_big_endian<std::uint64_t>(row)};
}

std::optional<HintRow> parse_hint_row(BytesView row) {
  auto target = parse_hint_target(row);
  if (!target) return std::nullopt;
  auto key = parse_key(row.substr(8));
  if (!key) return std::nullopt;
  return HintRow{*target, std::move(*key)};
}

std::optional<std::uint32_t> parse_object_partition(BytesView row) {
  if (row.size() < 4) return std::nullopt;
  return read_big_endian<std::uint32_t>(row);
}

std::optional<Key> parse_object_row(BytesView row) {
  if (row.size() < 4) return std::nullopt;
  return parse_key(row.substr(4));
}

}  // namespace ringlet
