#include "jobs.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace ringlet::sim {
namespace {

// Child and parent are one program: numbers go over the pipe as they are.
struct Head {
  std::uint64_t seed;
  bool begun;  // nothing follows: the child takes up this seed
  RunReport numbers() const;
  std::uint64_t hash, operations, acknowledged, failed, events;
  std::int64_t virtual_us;
  Situations situations;
  int kind;  // of the violation; -1: none
  std::uint32_t lengths[3];
};

void write_all(int fd, const void* data, std::size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    ssize_t done = ::write(fd, at, size);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) _exit(9);  // the parent is gone
    at += done;
    size -= static_cast<std::size_t>(done);
  }
}

bool read_all(int fd, void* data, std::size_t size) {
  char* at = static_cast<char*>(data);
  while (size > 0) {
    ssize_t done = ::read(fd, at, size);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    at += done;
    size -= static_cast<std::size_t>(done);
  }
  return true;
}

void send(int fd, std::uint64_t seed, const RunReport& run) {
  Head head{};
  head.seed = seed;
  head.hash = run.hash;
  head.operations = run.operations;
  head.acknowledged = run.acknowledged;
  head.failed = run.failed;
  head.events = run.events;
  head.virtual_us = run.virtual_us;
  head.situations = run.situations;
  head.kind = run.violation ? static_cast<int>(run.violation->kind) : -1;
  std::string texts;
  if (run.violation) {
    const std::string* parts[3] = {&run.violation->id, &run.violation->law, &run.violation->what};
    for (int i = 0; i < 3; ++i) {
      head.lengths[i] = static_cast<std::uint32_t>(parts[i]->size());
      texts += *parts[i];
    }
  }
  write_all(fd, &head, sizeof head);
  write_all(fd, texts.data(), texts.size());
}

RunReport Head::numbers() const {
  RunReport run;
  run.hash = hash;
  run.operations = operations;
  run.acknowledged = acknowledged;
  run.failed = failed;
  run.events = events;
  run.virtual_us = virtual_us;
  run.situations = situations;
  return run;
}

struct Worker {
  pid_t pid = -1;
  int fd = -1;
  std::uint64_t next = 0;  // its next seed
  std::uint64_t begun = 0;
  bool busy = false;
};

}  // namespace

void run_jobs(std::uint64_t from, std::uint64_t count, unsigned jobs,
              const std::function<RunReport(std::uint64_t)>& one,
              const std::function<bool(const SeedReport&)>& hear) {
  std::uint64_t end = from + count;
  auto start = [&](Worker& worker) {
    if (worker.next >= end) return;
    int fds[2];
    if (::pipe(fds) != 0) {
      std::perror("ringlet_sim: pipe");
      std::exit(4);
    }
    std::fflush(nullptr);
    worker.pid = ::fork();
    if (worker.pid < 0) {
      std::perror("ringlet_sim: fork");
      std::exit(4);
    }
    if (worker.pid == 0) {
      ::close(fds[0]);
      for (std::uint64_t seed = worker.next; seed < end; seed += jobs) {
        Head head{};
        head.seed = seed;
        head.begun = true;
        write_all(fds[1], &head, sizeof head);
        send(fds[1], seed, one(seed));
      }
      ::_exit(0);
    }
    ::close(fds[1]);
    worker.fd = fds[0];
  };
  std::vector<Worker> workers(jobs);
  for (unsigned i = 0; i < jobs; ++i) {
    workers[i].next = from + i;
    start(workers[i]);
  }
  auto leave = [&](Worker& worker, int signal) {
    if (signal != 0) ::kill(worker.pid, signal);
    int status = 0;
    while (::waitpid(worker.pid, &status, 0) < 0 && errno == EINTR) {
    }
    ::close(worker.fd);
    worker.fd = -1;
    return status;
  };
  bool on = true;
  while (on) {
    std::vector<pollfd> polls;
    std::vector<Worker*> who;
    for (Worker& worker : workers) {
      if (worker.fd < 0) continue;
      polls.push_back({worker.fd, POLLIN, 0});
      who.push_back(&worker);
    }
    if (polls.empty()) return;
    if (::poll(polls.data(), polls.size(), -1) < 0) continue;
    for (std::size_t i = 0; i < polls.size() && on; ++i) {
      if (polls[i].revents == 0) continue;
      Worker& worker = *who[i];
      Head head;
      if (!read_all(worker.fd, &head, sizeof head)) {
        int status = leave(worker, 0);
        if (!worker.busy) continue;
        worker.busy = false;
        SeedReport report;
        report.seed = worker.begun;
        std::string how = WIFSIGNALED(status) ? std::string("signal ") + strsignal(WTERMSIG(status))
                                              : "exit code " + std::to_string(WEXITSTATUS(status));
        report.run.violation = Violation{Kind::crash, "crash", "the process died", how};
        on = hear(report);
        worker.next = worker.begun + jobs;
        if (on) start(worker);
        continue;
      }
      worker.begun = head.seed;
      worker.busy = head.begun;
      if (head.begun) continue;
      SeedReport report{head.seed, head.numbers()};
      if (head.kind >= 0) {
        std::string parts[3];
        for (int part = 0; part < 3; ++part) {
          parts[part].resize(head.lengths[part]);
          if (!read_all(worker.fd, parts[part].data(), parts[part].size())) break;
        }
        report.run.violation =
            Violation{static_cast<Kind>(head.kind), parts[0], parts[1], parts[2]};
      }
      on = hear(report);
    }
  }
  for (Worker& worker : workers) {
    if (worker.fd >= 0) leave(worker, SIGKILL);
  }
}

}  // namespace ringlet::sim
