#include "base/this_thread.hpp"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

namespace ringlet {

void name_this_thread(const std::string& name) {
  (void)pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
}

void let_others_go_first() {
  // On Linux a nice value belongs to the thread, and is handed down to the threads it starts.
  constexpr int nicer = 5;
  (void)setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), nicer);
}

}  // namespace ringlet
