#include "runtime/descriptors.hpp"

#include <dirent.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

namespace ringlet {

Descriptors descriptors_of_this_process() {
  rlimit limit{};
  bool known = ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  Descriptors found{known ? static_cast<std::size_t>(limit.rlim_cur) : SIZE_MAX / 2, 0};
  std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc/self/fd"), ::closedir);
  if (!directory) {
    found.open = 32;  // no /proc: a fair guess
    return found;
  }
  while (const dirent* entry = ::readdir(directory.get())) {
    if (entry->d_name[0] != '.') ++found.open;
  }
  return found;
}

Result<std::size_t> places_for_connections(std::size_t wanted, Descriptors descriptors,
                                           std::size_t lanes, std::size_t members,
                                           bool own_process) {
  // A ring may grow; and a connection that is made anew overlaps the one that breaks.
  std::size_t peers = lanes * descriptors_a_member * std::max<std::size_t>(members, 8);
  std::size_t kept = descriptors.open + descriptors_kept + peers;
  std::size_t left = descriptors.limit > kept ? descriptors.limit - kept : 0;
  if (!own_process) left /= 2;
  std::size_t places = std::min(wanted, left);
  if (places >= std::min(wanted, least_connections)) return places;
  std::size_t least = std::min(wanted, least_connections) * (own_process ? 1 : 2);
  return Status(Code::overloaded, "open files: wanted a limit (RLIMIT_NOFILE) of at least " +
                                      std::to_string(kept + least) + ", got " +
                                      std::to_string(descriptors.limit) + ": " +
                                      std::to_string(descriptors.open) + " are open, " +
                                      std::to_string(kept - descriptors.open) +
                                      " are kept for the store, the other members and the log");
}

}  // namespace ringlet
