// Notices fork(): a child has none of the threads that its copied objects count on.
#pragma once

#include <cstdint>

namespace ringlet {

// How often this process or one of its ancestors forked with us in it; the same number as when an
// object was made means that its threads are here.
std::uint32_t fork_generation();

}  // namespace ringlet
