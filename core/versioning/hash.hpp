// XXH3-64, the same number on every machine: checksums of records and contexts, and the last word
// between two values that last-write-wins cannot tell apart.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"

namespace ringlet {

std::uint64_t xxh3(BytesView bytes, std::uint64_t seed = 0);

}  // namespace ringlet
