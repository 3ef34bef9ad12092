// Host names to IP addresses without waiting: c-ares on the sockets and the timer of one I/O thread.
//
// getaddrinfo() blocks its thread and cannot be cancelled, so that one name server without an answer held
// up every other look-up and the end of the program. A pool of threads would have moved that problem: a
// thread that cannot be ended is either joined at exit or left to run in a process that is going. With
// c-ares each look-up is a few datagrams beside all others; forgetting it is enough to end it. The price:
// sources of names other than /etc/hosts and DNS (mDNS, LDAP) are not asked.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.hpp"
#include "runtime/asio.hpp"

namespace ringlet {

class Resolver {
 public:
  // IPv4 and IPv6 in turn, IPv4 first ("localhost" is both, and servers listen on 127.0.0.1), at least one
  // and at most `most_addresses`. Failed: invalid_argument when there is no such name, timeout when no name
  // server answered, unavailable for what else may go wrong.
  using Addresses = Result<std::vector<asio::ip::address>>;
  using OnDone = std::function<void(Addresses)>;
  static constexpr std::size_t most_addresses = 64;

  // `servers`: "host:port,…" in numbers, instead of those in /etc/resolv.conf; empty: those.
  Resolver(asio::io_context& context, const std::string& servers);
  ~Resolver();  // forgets what is under way
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // On the context's thread; `on_done` is called once, later, unless forget() or the end comes first.
  // Nothing is kept from one look-up to the next, because addresses change. A look-up ends by itself after
  // a few seconds.
  std::uint64_t resolve(const std::string& host, OnDone on_done);
  void forget(std::uint64_t look_up);  // 0 and what is over: no effect

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace ringlet
