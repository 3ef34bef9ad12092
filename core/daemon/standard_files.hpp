// A program may be started with closed standard files. The next file or socket that it opens would then be
// its standard output or error, and what it prints would go into that: a table of the store, another node.
#pragma once

#include <fcntl.h>

namespace ringlet {

// Takes each of the three descriptors that is free. Reading from it fails, and so does writing to it, unless
// it is to be lost (a log). To be called before anything is opened.
inline void take_standard_files(bool lose_output) {
  for (int file = 0; file < 3; ++file) {
    if (fcntl(file, F_GETFD) != -1) continue;
    // The lowest free descriptor is this one.
    (void)open("/dev/null", file == 0 || lose_output ? O_WRONLY : O_RDONLY);
  }
}

}  // namespace ringlet
