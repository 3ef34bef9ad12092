#include "runtime/server.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <unordered_map>
#include <utility>
#include <vector>

#include "node/upkeep.hpp"
#include "runtime/address.hpp"
#include "runtime/admission.hpp"
#include "runtime/asio.hpp"
#include "runtime/connection.hpp"
#include "runtime/fork_guard.hpp"
#include "runtime/io_thread.hpp"
#include "runtime/peer.hpp"
#include "wire/handshake.hpp"

namespace ringlet {

// ---- Listener ----

struct Listener::Impl {
  int fd = -1;
  std::string address;
  ~Impl() {
    if (fd >= 0) ::close(fd);
  }
};

Listener::~Listener() = default;

std::string Listener::address() const {
  return impl->address;
}

Result<std::unique_ptr<Listener>> Listener::open(const std::string& text) {
  auto address = Address::parse(text);
  if (!address) return Status(address.status().code(), "listen: " + address.status().message());
  asio::io_context context;
  ErrorCode error;
  tcp::endpoint endpoint;
  auto ip = asio::ip::make_address(address->host, error);
  if (!error) {
    endpoint = tcp::endpoint(ip, address->port);
  } else {
    tcp::resolver resolver(context);
    auto found = resolver.resolve(tcp::v4(), address->host, std::to_string(address->port), error);
    if (error || found.empty()) {
      return Status(Code::invalid_argument,
                    "listen: no address for host '" + address->host + "': " + error.message());
    }
    endpoint = found.begin()->endpoint();
  }
  auto listener = std::make_unique<Listener>();
  listener->impl = std::make_unique<Impl>();
  int& fd = listener->impl->fd;
  auto failed = [&](const char* what) {
    return Status(Code::io, "listen on " + text + ": " + what + ": " + std::strerror(errno));
  };
  fd = ::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return failed("socket");
  int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd, endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0) {
    return failed("bind");
  }
  if (::listen(fd, 1024) != 0) return failed("listen");
  socklen_t size = static_cast<socklen_t>(endpoint.capacity());
  ::getsockname(fd, endpoint.data(), &size);
  std::string host = endpoint.address().to_string();
  if (endpoint.address().is_v6()) host = "[" + host + "]";
  listener->impl->address = host + ":" + std::to_string(endpoint.port());
  return listener;
}

// ---- Server ----

struct Server::Impl {
  class Lane;

  std::shared_ptr<NodeState> state;
  ServerOptions options;
  std::unique_ptr<Listener> listener;
  std::string address;
  const std::uint32_t generation = fork_generation();
  std::vector<std::unique_ptr<Lane>> lanes;
  std::atomic<std::size_t> connections{0};
  std::optional<Admission::Shared> admission;
  std::atomic<std::uint64_t> next_link{1};
  std::atomic<bool> draining{false};

  std::mutex mutex;  // guards stopped; held while stopping
  bool stopped = false;
  std::mutex idle_mutex;
  std::condition_variable became_idle;

  void log(LogLevel level, const std::string& text) const {
    if (options.log) options.log(level, "runtime", text);
  }
  Connection::Limits connection_limits() const {
    return {options.limits.max_frame_bytes,
            options.limits.max_queued_bytes,
            options.limits.handshake_within,
            options.limits.frame_within,
            std::min(options.limits.frame_within, Duration::seconds(10)),
            options.limits.peer_gone_after};
  }
  Duration sweep_every() const {
    Duration shortest = std::min(options.limits.handshake_within, options.limits.frame_within) / 4;
    return std::clamp(shortest, Duration::millis(10), Duration::seconds(1));
  }
  // By lane 0, often.
  void measure_memory(Now now) {
    MemoryBudget& memory = admission->memory;
    if (memory.measure(now.instant)) {
      log(LogLevel::warn, std::string(memory.tight() ? "memory is tight, clients are refused"
                                                     : "memory is no longer tight") +
                              ": " + std::to_string(memory.resident() >> 20) + " MiB of " +
                              std::to_string(memory.limits().resident_bytes >> 20) + " MiB");
    }
    NodeGauges& gauges = state->gauges();
    gauges.connections = connections.load();
    gauges.requests = admission->requests.load();
    gauges.request_bytes = memory.requests.load();
    gauges.answer_bytes = memory.answers.load();
    gauges.resident_bytes = memory.resident();
  }
  Status stop(Duration drain);
};

// One io_context, one thread, one Node, its links (accepted) and its peers (connected to). Lane 0
// also accepts, and deals the sockets out in turn.
class Server::Impl::Lane final : IoThread::Work, Connection::Events, Peer::Events {
 public:
  Lane(Impl& server, int index, std::uint64_t seed)
      : server_(server),
        measures_(index == 0),
        thread_("ringlet-lane-" + std::to_string(index), *this, server.sweep_every(),
                server.options.log),
        node_(server.state, index, seed),
        admission_(server.options.limits, *server.admission),
        acceptor_(thread_.context()),
        accept_pause_(thread_.context()) {
    hello_.cluster = server.state->options().cluster;
    hello_.name = server.state->options().name;
    hello_.node = server.state->self();
    hello_.role = wire::Role::member;
  }

  // Before the thread runs.
  Status listen(const tcp::endpoint& endpoint, int fd) {
    ErrorCode error;
    acceptor_.assign(endpoint.protocol(), fd, error);
    if (error) return Status(Code::io, "listen: " + error.message());
    return Status::ok();
  }
  void start() {
    thread_.post([this] {
      node_.start(read_clocks());
      if (acceptor_.is_open()) accept();
    });
    thread_.start();
  }

  void adopt(int fd) {
    thread_.post([this, fd] { open_link(fd); });
  }
  // From any thread, often: many tickets in one turn are one event.
  void durable_up_to(StorageEngine::Ticket ticket) {
    StorageEngine::Ticket seen = durable_.load();
    while (seen < ticket && !durable_.compare_exchange_weak(seen, ticket)) {
    }
    if (durable_posted_.exchange(true)) return;
    thread_.post([this] {
      durable_posted_ = false;
      node_.on_durable(durable_.load(), read_clocks());
    });
  }
  void drain() {
    thread_.post([this] {
      ErrorCode ignored;
      acceptor_.close(ignored);
      node_.drain(read_clocks());
    });
  }
  bool idle() const { return idle_.load(); }
  // Closes every connection and ends the thread.
  void stop() {
    auto closed = std::make_shared<std::promise<void>>();
    thread_.post([this, closed] {
      ErrorCode ignored;
      acceptor_.close(ignored);
      turn(read_clocks());
      for (auto& [id, link] : std::exchange(links_, {})) {
        link.connection->forget();
        link.connection->close(Status(Code::unavailable, "the node stops"));
        --server_.connections;
      }
      admission_.close_all(read_clocks().instant);
      peers_.clear();
      closed->set_value();
    });
    closed->get_future().wait();
    thread_.stop();
  }
  bool is_current() const { return thread_.is_current(); }
  void query(std::shared_ptr<std::promise<std::string>> answer) {
    thread_.post([this, answer] { answer->set_value(status_json()); });
  }
  std::string status_json() const {
    return "{\"links\":" + std::to_string(links_.size()) +
           ",\"peers\":" + std::to_string(peers_.size()) +
           ",\"queued\":" + std::to_string(admission_.waiting()) +
           ",\"waiting_for_their_key\":" + std::to_string(admission_.waiting_for_turns()) +
           ",\"refused_full\":" + std::to_string(admission_.refused_full()) +
           ",\"shed\":" + std::to_string(admission_.shed()) +
           ",\"window\":" + std::to_string(admission_.window()) +
           ",\"node\":" + node_.status_json() + "}";
  }

 private:
  // ---- IoThread::Work ----
  Instant next_wake() const override { return node_.next_wake(); }
  void on_wake(Now now) override { node_.on_wake(now); }

  void turn(Now now) override {
    if (measures_) server_.measure_memory(now);
    serve_queues(now);
    for (Node::ToMember& request : node_.take_requests()) {
      if (Peer* peer = peer_of(request.to, request.address)) {
        peer->send(request.number, std::move(request.message));
        if (std::find(touched_peers_.begin(), touched_peers_.end(), peer) == touched_peers_.end()) {
          touched_peers_.push_back(peer);
        }
      }
    }
    for (Node::ToRequester& reply : node_.take_replies()) {
      auto link = links_.find(reply.link);
      if (link == links_.end()) continue;  // gone meanwhile
      std::size_t waited = link->second.connection->waiting_bytes();
      link->second.connection->send(reply.number, reply.message);
      admission_.answered(reply.link, reply.number,
                          link->second.connection->waiting_bytes() - waited, now.instant);
      touched_links_.push_back(reply.link);
    }
    for (Peer* peer : touched_peers_) peer->flush();
    touched_peers_.clear();
    for (std::uint64_t link : touched_links_) {
      if (auto found = links_.find(link); found != links_.end()) {
        found->second.connection->flush();
      }
    }
    touched_links_.clear();
    if (admission_.wants_turn()) thread_.want_turn();
    if (server_.draining) {
      bool flushed = std::all_of(links_.begin(), links_.end(), [](const auto& link) {
        return link.second.connection->flushed();
      });
      if (node_.idle() && flushed && admission_.waiting() == 0 && !idle_.exchange(true)) {
        std::lock_guard lock(server_.idle_mutex);
        server_.became_idle.notify_all();
      }
    }
  }

  void sweep(Now now) override {
    if (measures_) server_.measure_memory(now);
    for (auto& [id, link] : links_) link.connection->check(now.instant);
    for (auto& [id, peer] : peers_) peer->check(now.instant);
  }

  // ---- links ----
  void accept() {
    acceptor_.async_wait(tcp::acceptor::wait_read, [this](ErrorCode error) {
      if (error || !acceptor_.is_open()) return;
      for (;;) {
        int fd =
            ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
          deal_out(fd);
          continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) break;
        if (errno == EINTR || errno == ECONNABORTED) continue;
        // Out of descriptors or memory: the backlog waits, we do not spin.
        server_.log(LogLevel::error, std::string("accept: ") + std::strerror(errno));
        accept_pause_.expires_after(std::chrono::milliseconds(100));
        accept_pause_.async_wait([this](ErrorCode cancelled) {
          if (!cancelled && acceptor_.is_open()) accept();
        });
        return;
      }
      accept();
    });
  }

  void deal_out(int fd) {
    if (++server_.connections > server_.options.limits.max_connections) {
      --server_.connections;
      Status full(Code::overloaded, "wanted at most " +
                                        std::to_string(server_.options.limits.max_connections) +
                                        " connections, this is one more");
      Bytes frame;
      wire::encode_frame(wire::Goodbye{full}, frame);
      [[maybe_unused]] auto sent =
          ::send(fd, frame.data(), frame.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      ::close(fd);
      server_.log(LogLevel::warn, "connection refused: " + full.message());
      return;
    }
    Lane& lane = *server_.lanes[next_lane_++ % server_.lanes.size()];
    if (&lane == this) return open_link(fd);
    lane.adopt(fd);
  }

  void open_link(int fd) {
    sockaddr_storage name{};
    socklen_t size = sizeof name;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size);
    tcp::socket socket(thread_.context());
    ErrorCode error;
    socket.assign(name.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), fd, error);
    if (error) {
      ::close(fd);
      --server_.connections;
      return server_.log(LogLevel::error, "accept: " + error.message());
    }
    std::uint64_t link = server_.next_link++;
    Connection::Limits limits = server_.connection_limits();
    limits.waiting = &server_.admission->memory.answers;
    auto connection = std::make_shared<Connection>(thread_, std::move(socket), link, limits,
                                                   static_cast<Connection::Events&>(*this));
    links_[link].connection = connection;
    connection->start();
  }

  Status on_frame(Connection& connection, const wire::Frame& frame) override {
    if (!connection.established()) return shake_hands(connection, frame);
    if (frame.version == 0) {
      auto goodbye = wire::decode_goodbye(frame);
      return goodbye ? goodbye->status : goodbye.status();
    }
    auto found = links_.find(connection.link());
    RINGLET_ASSERT(found != links_.end());
    Link& link = found->second;
    Now now = read_clocks();
    std::uint64_t id = connection.link();
    auto full = admission_.arrived(id, bool(link.member), frame, now.instant);
    if (!full) return full.status();
    if (!full->empty()) {
      refuse(link, frame.type, frame.number, *full, now);
      return Status::ok();
    }
    auto message = wire::decode(frame.type, frame.body);
    if (!message) return message.status();
    if (!is_request(*message)) {
      return Status(Code::corrupt,
                    std::string("wanted a request, got the reply ") + name_of(*message));
    }
    auto request = admission_.take({id, frame.number, frame.type, bool(link.member),
                                    std::move(*message), frame.body.size(), now.instant},
                                   now.instant, *full);
    if (request) {
      pace().queue_waited(now.instant - request->arrived, now);
      serve(link, std::move(*request), now);
    } else if (!full->empty()) {
      refuse(link, frame.type, frame.number, *full, now);
    }
    return Status::ok();
  }

  // An accepted connection.
  struct Link {
    std::shared_ptr<Connection> connection;
    NodeId member;  // at the other end; nobody: a client
  };

  void serve(Link& link, Admission::Request request, Now now) {
    node_.on_request(request.link, request.number, std::move(request.message), now, link.member);
  }

  // The answer of a lane that has no time: `why` follows the node's name.
  void refuse(Link& link, std::uint8_t type, std::uint64_t number, const std::string& why,
              Now now) {
    server_.state->counters().refused_overload.fetch_add(1, std::memory_order_relaxed);
    Status status(Code::overloaded, "node " + server_.state->options().name + " " + why);
    auto kind = static_cast<wire::Type>(type);
    if (kind == wire::Type::client_get || kind == wire::Type::client_put) {
      ClientReply reply;
      reply.status = std::move(status);
      reply.retry_after_ms = admission_.retry_after_ms(now.instant);
      link.connection->send(number, reply);
    } else {
      link.connection->send(number,
                            Refused{std::move(status), admission_.retry_after_ms(now.instant)});
    }
    touched_links_.push_back(link.connection->link());
  }

  void serve_queues(Now now) {
    admission_.begin_turn(now.instant);
    while (auto next = admission_.next(now.instant)) {
      if (next->for_lane) pace().queue_waited(next->waited, now);
      auto link = links_.find(next->request.link);
      if (link == links_.end()) continue;  // gone meanwhile
      if (next->refused.empty()) {
        serve(link->second, std::move(next->request), now);
      } else {
        refuse(link->second, next->request.type, next->request.number, next->refused, now);
      }
      now = read_clocks();
    }
  }

  Pace& pace() { return server_.state->upkeep().pace(); }

  Status shake_hands(Connection& connection, const wire::Frame& frame) {
    auto hello = wire::decode_hello(frame);
    if (!hello) return hello.status();
    auto welcome = wire::answer_hello(*hello, {hello_.cluster, hello_.name, hello_.node});
    if (!welcome) return welcome.status();
    wire::encode_frame(*welcome, connection.raw());
    if (hello->role == wire::Role::member) links_[connection.link()].member = hello->node;
    connection.handshake_done(static_cast<std::uint8_t>(welcome->version));
    connection.flush();
    return Status::ok();
  }

  void on_closed(Connection& connection, const Status& why) override {
    bool ordinary = why.code() == Code::unavailable || why.code() == Code::io;
    server_.log(ordinary ? LogLevel::debug : LogLevel::warn,
                "connection from " + connection.remote() + " dropped: " + why.to_string());
    node_.on_link_closed(connection.link());
    auto found = links_.find(connection.link());
    if (found == links_.end()) return;
    admission_.closed(connection.link(), read_clocks().instant);
    links_.erase(found);
    --server_.connections;
  }

  // ---- peers ----
  // `address`: where it is, should the ring not know it.
  Peer* peer_of(NodeId to, const std::string& known_address) {
    auto ring = server_.state->ring();
    const Member* member = ring ? ring->find(to) : nullptr;
    const std::string& address = member ? member->address : known_address;
    if (address.empty()) {
      // Left the ring since the message was planned.
      thread_.post([this, to] { node_.on_unreachable(to, read_clocks()); });
      return nullptr;
    }
    auto found = peers_.find(to);
    if (found == peers_.end()) {
      Peer::Options options;
      options.hello = hello_;
      options.limits = server_.connection_limits();
      auto peer =
          std::make_unique<Peer>(thread_, to, address, options, static_cast<Peer::Events&>(*this));
      if (member) peer->set_expected(to);
      found = peers_.emplace(to, std::move(peer)).first;
    }
    found->second->set_address(address);
    return found->second.get();
  }

  void on_reply(NodeId from, std::uint64_t number, Message message) override {
    node_.on_reply(from, number, std::move(message), read_clocks());
  }
  void on_unreachable(NodeId node, const Status&) override {
    node_.on_unreachable(node, read_clocks());
  }

  Impl& server_;
  const bool measures_;  // the node's memory
  IoThread thread_;      // before all that holds sockets
  Node node_;
  Admission admission_;
  wire::Hello hello_;
  tcp::acceptor acceptor_;  // lane 0
  asio::steady_timer accept_pause_;
  std::size_t next_lane_ = 0;
  std::map<std::uint64_t, Link> links_;
  std::map<NodeId, std::unique_ptr<Peer>> peers_;
  std::vector<Peer*> touched_peers_;
  std::vector<std::uint64_t> touched_links_;
  // Any thread.
  std::atomic<StorageEngine::Ticket> durable_{0};
  std::atomic<bool> durable_posted_{false}, idle_{false};
};

Server::Server() : impl_(std::make_unique<Impl>()) {}

Result<std::unique_ptr<Server>> Server::start(std::shared_ptr<NodeState> state,
                                              ServerOptions options,
                                              std::unique_ptr<Listener> listener) {
  if (options.threads < 1 || options.threads > 256) {
    return Status(Code::invalid_argument,
                  "threads: wanted 1 to 256, got " + std::to_string(options.threads));
  }
  if (listener == nullptr) {
    auto opened = Listener::open(options.listen);
    if (!opened) return opened.status();
    listener = std::move(*opened);
  }
  std::unique_ptr<Server> server(new Server());
  Impl& impl = *server->impl_;
  impl.state = std::move(state);
  impl.options = std::move(options);
  impl.listener = std::move(listener);
  impl.address = impl.listener->address();
  impl.admission.emplace(impl.options.limits);
  impl.state->gauges().memory_limit = impl.options.limits.max_resident_bytes;
  std::random_device random;
  for (int i = 0; i < impl.options.threads; ++i) {
    std::uint64_t seed = (std::uint64_t{random()} << 32) | random();
    impl.lanes.push_back(std::make_unique<Impl::Lane>(impl, i, seed));
  }
  bool v6 = impl.address.front() == '[';
  tcp::endpoint endpoint(v6 ? tcp::v6() : tcp::v4(), 0);
  if (Status status = impl.lanes[0]->listen(endpoint, impl.listener->impl->fd); !status) {
    impl.lanes.clear();
    impl.stopped = true;
    return status;
  }
  impl.listener->impl->fd = -1;  // the acceptor's now
  for (auto& lane : impl.lanes) lane->start();
  impl.state->engine().set_durable_listener([&impl](StorageEngine::Ticket ticket) {
    for (auto& lane : impl.lanes) lane->durable_up_to(ticket);
  });
  impl.log(LogLevel::info, "listening on " + impl.address);
  return server;
}

Server::~Server() {
  if (impl_->generation != fork_generation()) {
    // A child of fork() has none of the threads; the copy is left as it is.
    [[maybe_unused]] Impl* left = impl_.release();
    return;
  }
  [[maybe_unused]] auto ignored = stop(Duration{});
}

std::string Server::address() const {
  return impl_->address;
}

Status Server::stop(Duration drain) {
  if (impl_->generation != fork_generation()) {
    return Status(Code::forked, "stop: the server was started before fork()");
  }
  return impl_->stop(drain);
}

Status Server::Impl::stop(Duration drain) {
  for (auto& lane : lanes) {
    if (lane->is_current()) return Status(Code::busy, "stop: called on the server's own thread");
  }
  std::lock_guard guard(mutex);
  if (stopped) return Status::ok();
  stopped = true;
  draining = true;
  bool finished = true;
  if (drain > Duration{}) {
    for (auto& lane : lanes) lane->drain();
    std::unique_lock lock(idle_mutex);
    finished = became_idle.wait_for(lock, std::chrono::microseconds(drain.us), [&] {
      return std::all_of(lanes.begin(), lanes.end(), [](auto& lane) { return lane->idle(); });
    });
  }
  state->engine().set_durable_listener([](StorageEngine::Ticket) {});
  for (auto& lane : lanes) lane->stop();
  log(LogLevel::info, "stopped listening on " + address);
  if (!finished) {
    return Status(Code::timeout, "stop: requests under way did not finish within " +
                                     std::to_string(drain.millis()) + " ms");
  }
  return Status::ok();
}

std::string Server::status_json() const {
  std::string json = "{\"address\":\"" + impl_->address +
                     "\",\"connections\":" + std::to_string(impl_->connections.load()) +
                     ",\"lanes\":[";
  std::lock_guard guard(impl_->mutex);
  bool first = true;
  for (auto& lane : impl_->lanes) {
    if (!std::exchange(first, false)) json += ",";
    if (impl_->stopped || lane->is_current()) {
      json += lane->status_json();
      continue;
    }
    auto answer = std::make_shared<std::promise<std::string>>();
    auto future = answer->get_future();
    lane->query(answer);
    json += future.get();
  }
  return json + "]}";
}

}  // namespace ringlet
