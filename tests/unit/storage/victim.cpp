// The process that kill_test.cpp kills: opens the directory, writes rows with `log` from two
// threads, and says each number on its output after the engine acknowledged it.
//   storage_victim <directory> write <first>     writes until killed
//   storage_victim <directory> hold              opens, says "open", waits for the end of its input
//   storage_victim <directory> rss               a hundred small rows, then says how much memory it has
//   storage_victim <directory> buffer            one buffered write, says "done", stops uncleanly
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <thread>

#include "storage/wiredtiger/wiredtiger_engine.hpp"

namespace {

void say(const std::string& line) {
  if (::write(1, line.data(), line.size()) != static_cast<ssize_t>(line.size())) _exit(4);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace ringlet;
  if (argc < 3) return 2;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // never outlives the test
  WiredTigerOptions options;
  options.directory = argv[1];
  options.cluster = "test";
  options.node = "n1";
  auto engine = open_wiredtiger_engine(options);
  if (!engine) {
    say(engine.status().to_string() + "\n");
    return 3;
  }
  const std::string what = argv[2];
  if (what == "hold") {
    say("open\n");
    char byte;
    while (::read(0, &byte, 1) > 0) {
    }
    return 0;
  }
  if (what == "rss") {
    for (int n = 0; n < 100; ++n) {
      auto done = (*engine)->transact(Durability::log, [&](Transaction& t) {
        return t.put(Table::objects, std::to_string(n), Bytes(1024, 'v'));
      });
      if (!done) _exit(5);
    }
    long pages = 0, resident = 0;
    std::FILE* statm = std::fopen("/proc/self/statm", "r");
    if (statm == nullptr || std::fscanf(statm, "%ld %ld", &pages, &resident) != 2) _exit(6);
    std::fclose(statm);
    say(std::to_string(resident * ::sysconf(_SC_PAGESIZE) / 1024) + " KiB resident, " +
        std::to_string((*engine)->stats().cache_bytes) + " bytes of cache\n");
    return 0;
  }
  if (what == "buffer") {
    auto done = (*engine)->transact(
        Durability::buffer, [](Transaction& t) { return t.put(Table::objects, "buffered", "v"); });
    say(done ? "done\n" : "failed\n");
    _exit(0);
  }
  const long first = argc > 3 ? std::stol(argv[3]) : 0;
  auto write_rows = [&](long start) {
    for (long n = start;; n += 2) {
      const std::string key = std::to_string(n);
      auto done = (*engine)->transact(Durability::log, [&](Transaction& t) {
        if (Status put = t.put(Table::objects, key, Bytes(200, 'v') + key); !put) return put;
        return t.put(Table::state, key, "s" + key);  // both or none
      });
      if (!done) _exit(5);
      say(key + "\n");
    }
  };
  std::thread other(write_rows, first + 1);
  write_rows(first);
}
