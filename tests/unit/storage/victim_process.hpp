// Starts storage_victim, reads what it says, kills it by its id.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

namespace ringlet::storage_test {

class Victim {
 public:
  explicit Victim(std::vector<std::string> arguments) {
    int in[2], out[2];
    if (::pipe(in) != 0 || ::pipe(out) != 0) throw std::runtime_error("no pipe");
    std::vector<char*> argv{const_cast<char*>(RINGLET_STORAGE_VICTIM)};
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("no process");
    if (pid_ == 0) {
      ::dup2(in[0], 0);
      ::dup2(out[1], 1);
      for (int file : {in[0], in[1], out[0], out[1]}) ::close(file);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    in_ = in[1];
    out_ = out[0];
  }
  ~Victim() {
    kill_now();
    ::close(in_);
    ::close(out_);
  }
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

  // Until it said as many lines or ended.
  void read_lines(std::ptrdiff_t lines) {
    while (std::count(text_.begin(), text_.end(), '\n') < lines && read_some()) {
    }
  }
  void kill_now() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
    while (read_some()) {
    }
  }
  const std::string& text() const { return text_; }
  pid_t pid() const { return pid_; }

 private:
  bool read_some() {
    char bytes[4096];
    const ssize_t got = ::read(out_, bytes, sizeof bytes);
    if (got > 0) text_.append(bytes, static_cast<std::size_t>(got));
    return got > 0;
  }
  pid_t pid_ = -1;
  int in_ = -1, out_ = -1;
  std::string text_;
};

}  // namespace ringlet::storage_test
