#include "versioning/hash.hpp"

#include <xxhash.h>

namespace ringlet {

std::uint64_t xxh3(BytesView bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace ringlet
