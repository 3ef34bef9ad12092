#include "node/large_keys.hpp"

#include <algorithm>

#include "versioning/hash.hpp"

namespace ringlet {
namespace {

constexpr std::size_t unit = 4096;
constexpr std::uint64_t most_units = (std::uint64_t{1} << 24) - 1;

}  // namespace

std::uint64_t LargeKeys::hash_of(const Key& key) {
  return xxh3(key.key, xxh3(key.bucket));
}

void LargeKeys::seen(std::uint64_t hash, std::size_t bytes) {
  std::atomic<std::uint64_t>& place = places_[hash % places];
  std::uint64_t held = place.load(std::memory_order_relaxed);
  if (bytes >= large_object_bytes) {
    std::uint64_t is = (hash & ~most_units) | std::min<std::uint64_t>(bytes / unit, most_units);
    if (held != is) place.store(is, std::memory_order_relaxed);
  } else if (held != 0 && (held & ~most_units) == (hash & ~most_units)) {
    place.store(0, std::memory_order_relaxed);
  }
}

std::size_t LargeKeys::bytes_of(std::uint64_t hash) const {
  std::uint64_t held = places_[hash % places].load(std::memory_order_relaxed);
  if (held == 0 || (held & ~most_units) != (hash & ~most_units)) return 0;
  return static_cast<std::size_t>(held & most_units) * unit;
}

}  // namespace ringlet
