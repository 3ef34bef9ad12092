// Bytes are opaque: any value, any length. Owned bytes are a std::string, borrowed ones a view.
#pragma once

#include <string>
#include <string_view>

namespace ringlet {

using Bytes = std::string;
using BytesView = std::string_view;

// What names a value: a bucket and a key inside it, both opaque.
struct Key {
  Bytes bucket;
  Bytes key;
  friend auto operator<=>(const Key&, const Key&) = default;
  friend bool operator==(const Key&, const Key&) = default;
};

// For messages: "carts/alice", unprintable bytes as \xNN, cut at 64 bytes. Never a value.
std::string printable(const Key& key);
std::string printable(BytesView bytes, std::size_t limit = 64);

}  // namespace ringlet
