// A DNS server of a test: answers on 127.0.0.1 what it was told to, or nothing.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace ringlet::test {

class NameServer {
 public:
  NameServer() {
    socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(socket_, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
    socklen_t size = sizeof at;
    ::getsockname(socket_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~NameServer() {
    stop_ = true;
    thread_.join();
    ::close(socket_);
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  // IPv4 addresses in numbers; a name that was never set does not exist.
  void set(const std::string& name, std::vector<std::string> addresses) {
    std::lock_guard lock(mutex_);
    names_[name] = std::move(addresses);
  }
  void be_silent(bool silent) { silent_ = silent; }
  int asked() const { return asked_; }

 private:
  void run() {
    while (!stop_) {
      pollfd ready{socket_, POLLIN, 0};
      if (::poll(&ready, 1, 20) <= 0) continue;
      unsigned char question[512];
      sockaddr_in from{};
      socklen_t size = sizeof from;
      ssize_t got = ::recvfrom(socket_, question, sizeof question, 0,
                               reinterpret_cast<sockaddr*>(&from), &size);
      if (got < 17) continue;
      ++asked_;
      if (silent_) continue;
      std::string answer =
          answer_to({reinterpret_cast<char*>(question), static_cast<std::size_t>(got)});
      ::sendto(socket_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }

  std::string answer_to(const std::string& question) {
    std::string name;
    std::size_t at = 12;
    while (at < question.size() && question[at] != 0) {
      auto length = static_cast<unsigned char>(question[at]);
      name += (name.empty() ? "" : ".") + question.substr(at + 1, length);
      at += length + 1;
    }
    bool v4 = question[at + 2] == 1;  // the type: A
    std::lock_guard lock(mutex_);
    auto known = names_.find(name);
    std::vector<std::string> addresses;
    if (known != names_.end() && v4) addresses = known->second;
    std::string answer = question.substr(0, 2);
    answer += '\x81';
    answer += known == names_.end() ? '\x83' : '\x80';  // no such name; or no error
    answer += std::string("\0\1\0", 3);
    answer += static_cast<char>(addresses.size());
    answer += std::string("\0\0\0\0", 4) + question.substr(12, at + 5 - 12);
    for (const std::string& address : addresses) {
      answer += std::string("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4", 12);
      in_addr number{};
      ::inet_pton(AF_INET, address.c_str(), &number);
      answer.append(reinterpret_cast<char*>(&number), 4);
    }
    return answer;
  }

  int socket_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_{false}, silent_{false};
  std::atomic<int> asked_{0};
  std::mutex mutex_;
  std::map<std::string, std::vector<std::string>> names_;
  std::thread thread_;
};

}  // namespace ringlet::test
