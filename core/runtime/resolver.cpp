#include "runtime/resolver.hpp"

#include <ares.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <set>
#include <utility>

#include "base/bytes.hpp"

namespace ringlet {
namespace {

// One name server is asked three times, half a second and then twice as long apart.
constexpr int first_try_ms = 500, tries = 3;
// The addresses of one family wait this long for those of the other (RFC 8305, section 3).
constexpr std::chrono::milliseconds second_family_within{50};

Status failed(const std::string& host, int code) {
  std::string name = "'" + printable(BytesView(host)) + "'";
  switch (code) {
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME:
    case ARES_ENONAME:
      return {Code::invalid_argument, "no address is known for the name " + name};
    case ARES_ETIMEOUT:
      return {Code::timeout, "no name server answered for the name " + name};
    default:
      return {Code::unavailable, "the name " + name + " was not looked up: " + ares_strerror(code)};
  }
}

bool no_such_name(int code) {
  return code == ARES_ENOTFOUND || code == ARES_ENODATA || code == ARES_EBADNAME ||
         code == ARES_ENONAME;
}

}  // namespace

struct Resolver::Impl : std::enable_shared_from_this<Resolver::Impl> {
  struct LookUp {
    std::string host;
    OnDone on_done;
    std::vector<asio::ip::address> v4, v6;
    int asked = 0;                 // families without an answer yet
    int failure = ARES_ENOTFOUND;  // the latest that is not just "none of this family"
    std::unique_ptr<asio::steady_timer> second_family;
  };
  // What c-ares is given, and gives back once: the look-up may be gone by then.
  struct Question {
    std::weak_ptr<Impl> resolver;
    std::uint64_t look_up;
    int family;
  };
  struct Socket {
    explicit Socket(asio::io_context& context) : descriptor(context) {}
    asio::posix::stream_descriptor descriptor;
    bool wants_read = false, wants_write = false, reads = false, writes = false;
  };

  asio::io_context& context;
  ares_channel channel = nullptr;
  int broken = ARES_SUCCESS;
  asio::steady_timer timer;
  std::map<ares_socket_t, std::shared_ptr<Socket>> sockets;
  std::map<std::uint64_t, LookUp> look_ups;
  std::set<std::uint64_t> answered_look_ups;  // whose answer is posted
  std::uint64_t last = 0;

  explicit Impl(asio::io_context& io) : context(io), timer(io) {}

  void open(const std::string& servers) {
    static const int library = ares_library_init(ARES_LIB_INIT_ALL);
    broken = library;
    if (broken != ARES_SUCCESS) return;
    ares_options options{};
    options.timeout = first_try_ms;
    options.tries = tries;
    char files_then_dns[] = "fb";
    options.lookups = files_then_dns;
    options.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
      static_cast<Impl*>(self)->watch(fd, readable != 0, writable != 0);
    };
    options.sock_state_cb_data = this;
    broken = ares_init_options(
        &channel, &options,
        ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);
    if (broken == ARES_SUCCESS && !servers.empty()) {
      broken = ares_set_servers_ports_csv(channel, servers.c_str());
    }
  }

  // c-ares answers every question now, and none is passed on.
  void shut() {
    look_ups.clear();
    answered_look_ups.clear();
    timer.cancel();
    if (channel != nullptr) ares_destroy(std::exchange(channel, nullptr));
    for (auto& [fd, socket] : sockets) socket->descriptor.release();
    sockets.clear();
  }

  std::uint64_t resolve(const std::string& host, OnDone on_done) {
    std::uint64_t number = ++last;
    LookUp& look_up = look_ups[number];
    look_up.host = host;
    look_up.on_done = std::move(on_done);
    // Later, for an answer out of /etc/hosts comes before ares_getaddrinfo returns.
    asio::post(context, [self = weak_from_this(), number] {
      if (auto resolver = self.lock()) resolver->ask(number);
    });
    return number;
  }

  void ask(std::uint64_t number) {
    auto found = look_ups.find(number);
    if (found == look_ups.end()) return;
    if (broken != ARES_SUCCESS) {
      found->second.failure = broken;
      return finish(number);
    }
    const std::string host = found->second.host;
    found->second.asked = 2;
    for (int family : {AF_INET, AF_INET6}) {
      ares_addrinfo_hints hints{};
      hints.ai_family = family;
      hints.ai_socktype = SOCK_STREAM;
      hints.ai_flags = ARES_AI_NOSORT;
      ares_getaddrinfo(channel, host.c_str(), nullptr, &hints, &Impl::answered,
                       new Question{weak_from_this(), number, family});
    }
    arm();
  }

  static void answered(void* argument, int code, int, ares_addrinfo* found) {
    std::unique_ptr<Question> question(static_cast<Question*>(argument));
    std::unique_ptr<ares_addrinfo, decltype(&ares_freeaddrinfo)> owner(found, ares_freeaddrinfo);
    auto resolver = question->resolver.lock();
    if (!resolver || resolver->channel == nullptr) return;
    resolver->on_answer(question->look_up, question->family, code, found);
  }

  void on_answer(std::uint64_t number, int family, int code, const ares_addrinfo* found) {
    auto at = look_ups.find(number);
    if (at == look_ups.end()) return;
    LookUp& look_up = at->second;
    --look_up.asked;
    if (code != ARES_SUCCESS && (!no_such_name(code) || look_up.failure == ARES_ENOTFOUND)) {
      look_up.failure = code;
    }
    const ares_addrinfo_node* node =
        code == ARES_SUCCESS && found != nullptr ? found->nodes : nullptr;
    for (; node != nullptr; node = node->ai_next) take(look_up, family, *node);
    if (look_up.asked == 0) return finish(number);
    if ((family == AF_INET ? look_up.v4 : look_up.v6).empty()) return;
    look_up.second_family = std::make_unique<asio::steady_timer>(context, second_family_within);
    look_up.second_family->async_wait([self = weak_from_this(), number](ErrorCode error) {
      if (error) return;
      if (auto resolver = self.lock()) resolver->finish(number);
    });
  }

  static void take(LookUp& look_up, int family, const ares_addrinfo_node& node) {
    if (node.ai_family != family || node.ai_addr == nullptr) return;
    auto& known = family == AF_INET ? look_up.v4 : look_up.v6;
    tcp::endpoint endpoint;
    if (node.ai_addrlen > endpoint.capacity()) return;
    endpoint.resize(node.ai_addrlen);
    std::memcpy(endpoint.data(), node.ai_addr, node.ai_addrlen);
    if (std::find(known.begin(), known.end(), endpoint.address()) == known.end()) {
      known.push_back(endpoint.address());
    }
  }

  void finish(std::uint64_t number) {
    auto node = look_ups.extract(number);
    if (!node) return;
    LookUp& look_up = node.mapped();
    std::vector<asio::ip::address> all;
    for (std::size_t i = 0; i < std::max(look_up.v4.size(), look_up.v6.size()); ++i) {
      if (i < look_up.v4.size()) all.push_back(look_up.v4[i]);
      if (i < look_up.v6.size()) all.push_back(look_up.v6[i]);
    }
    if (all.size() > most_addresses) all.resize(most_addresses);
    // Never from inside c-ares, which would be called again by whoever looks up the next name.
    answered_look_ups.insert(number);
    asio::post(context, [self = weak_from_this(), number, on_done = std::move(look_up.on_done),
                         answer = all.empty() ? Addresses(failed(look_up.host, look_up.failure))
                                              : Addresses(std::move(all))]() mutable {
      auto resolver = self.lock();
      if (resolver && resolver->answered_look_ups.erase(number) > 0) on_done(std::move(answer));
    });
  }

  // ---- c-ares on Asio ----

  void watch(ares_socket_t fd, bool readable, bool writable) {
    auto found = sockets.find(fd);
    if (!readable && !writable) {
      if (found == sockets.end()) return;
      found->second->wants_read = found->second->wants_write = false;
      found->second->descriptor.release();  // c-ares closes it
      sockets.erase(found);
      return;
    }
    if (found == sockets.end()) {
      auto socket = std::make_shared<Socket>(context);
      ErrorCode error;
      socket->descriptor.assign(fd, error);
      if (error) return;  // the question ends by its time
      found = sockets.emplace(fd, std::move(socket)).first;
    }
    found->second->wants_read = readable;
    found->second->wants_write = writable;
    wait(fd, found->second);
  }

  void wait(ares_socket_t fd, const std::shared_ptr<Socket>& socket) {
    if (socket->wants_read && !std::exchange(socket->reads, true)) {
      socket->descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                    [self = weak_from_this(), fd, socket](ErrorCode error) {
                                      socket->reads = false;
                                      if (auto resolver = self.lock())
                                        resolver->on_ready(fd, ARES_SOCKET_BAD, socket, error);
                                    });
    }
    if (socket->wants_write && !std::exchange(socket->writes, true)) {
      socket->descriptor.async_wait(asio::posix::stream_descriptor::wait_write,
                                    [self = weak_from_this(), fd, socket](ErrorCode error) {
                                      socket->writes = false;
                                      if (auto resolver = self.lock())
                                        resolver->on_ready(ARES_SOCKET_BAD, fd, socket, error);
                                    });
    }
  }

  void on_ready(ares_socket_t read, ares_socket_t write, const std::shared_ptr<Socket>& socket,
                ErrorCode error) {
    if (error || channel == nullptr) return;
    ares_process_fd(channel, read, write);
    if (channel == nullptr) return;
    ares_socket_t fd = read != ARES_SOCKET_BAD ? read : write;
    if (auto found = sockets.find(fd); found != sockets.end() && found->second == socket) {
      wait(fd, socket);
    }
    arm();
  }

  void arm() {
    timeval until{};
    if (channel == nullptr || ares_timeout(channel, nullptr, &until) == nullptr) {
      timer.cancel();
      return;
    }
    // A question is late after its time, not at it: a little more, so as not to look twice.
    timer.expires_after(std::chrono::seconds(until.tv_sec) +
                        std::chrono::microseconds(until.tv_usec) + std::chrono::milliseconds(1));
    timer.async_wait([self = weak_from_this()](ErrorCode error) {
      if (error) return;
      auto resolver = self.lock();
      if (!resolver || resolver->channel == nullptr) return;
      ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
      resolver->arm();
    });
  }
};

Resolver::Resolver(asio::io_context& context, const std::string& servers)
    : impl_(std::make_shared<Impl>(context)) {
  impl_->open(servers);
}

Resolver::~Resolver() {
  impl_->shut();
}

std::uint64_t Resolver::resolve(const std::string& host, OnDone on_done) {
  return impl_->resolve(host, std::move(on_done));
}

void Resolver::forget(std::uint64_t look_up) {
  impl_->look_ups.erase(look_up);
  impl_->answered_look_ups.erase(look_up);
}

}  // namespace ringlet
