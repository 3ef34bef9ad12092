// File descriptors: a node that runs out of them loses its store, whose engine takes a file that cannot
// be opened for a failure of the disk. So connections may have what is left beside all that must never
// lack one.
#pragma once

#include <cstddef>

#include "base/status.hpp"
#include "runtime/server_limits.hpp"

namespace ringlet {

// What connections must leave, beside the descriptors that are open already: files that WiredTiger opens
// later (its log files and what a checkpoint writes; it had 9 open at its start and never more than 10 in
// a minute of writes through twelve log files), the log, name look-ups, files of /proc, and the connection
// that is told that it is one too many.
inline constexpr std::size_t descriptors_kept = 48;
// Each lane has connections of its own to the other members.
inline constexpr std::size_t descriptors_a_member = 2;
inline constexpr std::size_t least_connections = 32;

struct Descriptors {
  std::size_t limit;  // the soft limit (RLIMIT_NOFILE)
  std::size_t open;   // by this process, now
};
Descriptors descriptors_of_this_process();

// How many connections may be accepted: at most `wanted`, and what the descriptors leave where
// `lanes` connect to `members` other members. `own_process`: false in a program that the node is only
// a part of; of what is left a half is that program's. overloaded, in words, when less is left than
// `least_connections` (and than was wanted).
Result<std::size_t> places_for_connections(std::size_t wanted, Descriptors descriptors,
                                           std::size_t lanes, std::size_t members,
                                           bool own_process);

}  // namespace ringlet
