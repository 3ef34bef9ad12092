// What the operating system should know of the calling thread.
#pragma once

#include <string>

namespace ringlet {

// What a debugger, `top -H` and a trace of the scheduler call it; Linux keeps the first 15 bytes.
void name_this_thread(const std::string& name);

// It, and the threads it starts from now on, leave the processor to others that want it: about a third
// of what a thread that serves requests gets. There is no way back.
void let_others_go_first();

}  // namespace ringlet
