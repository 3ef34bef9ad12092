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
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <unordered_map>
#include <utility>
#include <vector>

#include "node/upkeep.hpp"
#include "protocol/payload.hpp"
#include "runtime/address.hpp"
#include "runtime/admission.hpp"
#include "runtime/asio.hpp"
#include "runtime/connection.hpp"
#include "runtime/descriptors.hpp"
#include "runtime/fork_guard.hpp"
#include "runtime/io_thread.hpp"
#include "runtime/large_writes.hpp"
#include "runtime/log_filter.hpp"
#include "runtime/peer.hpp"
#include "runtime/places.hpp"
#include "wire/handshake.hpp"

namespace ringlet {
namespace {

// A write whose value is large, as far as its frame tells. Its body is not decoded yet: that alone takes as long
// as a hundred small requests.
bool is_large_write(const wire::Frame& frame) {
  if (frame.body.size() < large_object_bytes) return false;
  switch (static_cast<wire::Type>(frame.type)) {
    case wire::Type::client_put:
    case wire::Type::mint_put:
    case wire::Type::replica_put:
      return true;
    default:
      return false;
  }
}

}  // namespace

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
  std::vector<std::unique_ptr<Lane>> lanes;  // the last one is the lane of large writes
  std::shared_ptr<LogFilter> log_filter;
  std::optional<Places> places;
  std::optional<Admission::Shared> admission;
  LargeWrites large_writes;  // of clients
  std::atomic<std::uint64_t> next_link{1};
  std::atomic<bool> draining{false};

  std::mutex mutex;  // guards stopped; held while stopping
  bool stopped = false;
  std::mutex idle_mutex;
  std::condition_variable became_idle;

  // pause(): each lane's thread rests inside rest(), with whatever is in its sockets.
  std::mutex pause_mutex;  // guards the three below
  std::condition_variable pause_changed;
  bool paused = false;
  std::uint64_t resumed =
      0;  // how often: a lane that is not awake yet does not take the next pause for its own
  std::size_t resting = 0;

  void log(LogLevel level, const std::string& text) const {
    if (options.log) options.log(level, "runtime", text);
  }
  Connection::Limits connection_limits() {
    Connection::Limits limits;
    limits.max_frame_bytes = options.limits.max_frame_bytes;
    limits.max_queued_bytes = options.limits.max_queued_bytes;
    limits.handshake_within = options.limits.handshake_within;
    limits.frame_within = options.limits.frame_within;
    limits.stalled_within = std::min(options.limits.frame_within, Duration::seconds(10));
    limits.peer_gone_after = options.limits.peer_gone_after;
    limits.budget = &admission->memory;
    return limits;
  }
  Duration sweep_every() const {
    Duration shortest = std::min(options.limits.handshake_within, options.limits.frame_within) / 4;
    if (options.limits.client_idle > Duration{}) {
      shortest = std::min(shortest, options.limits.client_idle / 4);
    }
    return std::clamp(shortest, Duration::millis(10), Duration::seconds(1));
  }
  // How many connections there may be, of those whom the descriptors allow.
  Status find_places() {
    const ServerLimits& limits = options.limits;
    Descriptors descriptors = descriptors_of_this_process();
    auto ring = state->ring();
    auto all = places_for_connections(limits.max_connections, descriptors,
                                      static_cast<std::size_t>(options.threads) + 1,
                                      ring ? ring->members().size() : 0, options.own_process);
    if (!all) return all.status();
    if (*all < limits.max_connections) {
      log(options.own_process ? LogLevel::warn : LogLevel::info,
          "at most " + std::to_string(*all) + " connections, not " +
              std::to_string(limits.max_connections) +
              " (limits.max_connections): this process may have " +
              std::to_string(descriptors.limit) + " open files (RLIMIT_NOFILE)");
    }
    places.emplace(
        Places::Limits{*all, std::min(limits.member_connections, *all / 4),
                       std::max<std::size_t>(*all / 4, std::min<std::size_t>(*all, 16))});
    state->gauges().max_connections = *all;
    return Status::ok();
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
    gauges.connections = places->taken();
    gauges.client_connections = places->taken(Places::Kind::client);
    gauges.member_connections = places->taken(Places::Kind::member);
    gauges.requests = admission->requests.load();
    gauges.request_bytes = memory.requests.load();
    gauges.answer_bytes = memory.answers.load();
    gauges.reading_bytes = memory.reading.load();
    gauges.stalled_frames = memory.stalled_frames.load();
    gauges.resident_bytes = memory.resident();
  }
  Status stop(Duration drain);
  void pause();
  void resume();
  void rest() {
    std::unique_lock lock(pause_mutex);
    ++resting;
    pause_changed.notify_all();
    pause_changed.wait(lock, [&, before = resumed] { return resumed != before; });
    --resting;
    pause_changed.notify_all();
  }
};

// One io_context, one thread, one Node, its links (accepted) and its peers (connected to). Lane 0
// also accepts, and deals the sockets out in turn. One lane more has no links: the others hand it the large
// writes that they read, and what is asked of keys that are known to have large values; one answers for it, and nothing small waits while a value of megabytes is decoded,
// stored, written to the engine's log and copied to the other replicas. It serves one after the other, so
// that the first is done early instead of all of them late.
class Server::Impl::Lane final : IoThread::Work, Connection::Events, Peer::Events {
 public:
  Lane(Impl& server, int index, std::uint64_t seed)
      : server_(server),
        measures_(index == 0),
        of_large_writes_(index == server.options.threads),
        thread_(of_large_writes_ ? "ringlet-large" : "ringlet-lane-" + std::to_string(index), *this,
                server.sweep_every(), server.options.log),
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
      node_.start(clocks());
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
      node_.on_durable(durable_.load(), clocks());
    });
  }
  void drain() {
    thread_.post([this] {
      ErrorCode ignored;
      acceptor_.close(ignored);
      node_.drain(clocks());
    });
  }
  bool idle() const { return idle_.load(); }
  void skew(std::int64_t ms) { thread_.skew(ms); }
  void rest() {
    thread_.post([this] { server_.rest(); });
  }
  // Ready when it is done.
  std::future<void> set_cuts(const Cuts& cuts) {
    auto done = std::make_shared<std::promise<void>>();
    thread_.post([this, done, cuts] {
      cuts_ = cuts;
      for (auto& [id, link] : links_) hold(link);
      for (auto& [to, peer] : peers_) hold(to.first, *peer);
      done->set_value();
    });
    return done->get_future();
  }
  // Closes every connection; ready when that is done. Then stop().
  std::future<void> close_all() {
    auto closed = std::make_shared<std::promise<void>>();
    thread_.post([this, closed] {
      ErrorCode ignored;
      acceptor_.close(ignored);
      turn(clocks());
      for (auto& [id, link] : std::exchange(links_, {})) {
        settle_handed(link);
        link.connection->forget();
        link.connection->close(Status(Code::unavailable, "the node stops"));
        server_.places->left(link.kind);
      }
      if (waiting_fd_ >= 0) ::close(std::exchange(waiting_fd_, -1));
      admission_.close_all(clocks().instant);
      peers_.clear();
      closed->set_value();
    });
    return closed->get_future();
  }
  void stop() { thread_.stop(); }
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
           ",\"only_waiting\":" + std::to_string(admission_.only_waiting()) +
           ",\"large\":" + std::to_string(large_.size()) +
           ",\"large_served\":" + std::to_string(large_served_) +
           ",\"node\":" + node_.status_json() + "}";
  }

 private:
  static constexpr int accepted_in_a_round = 64;
  static constexpr Duration idle_enough_to_cut = Duration::seconds(1);

  // An accepted connection.
  struct Link {
    std::shared_ptr<Connection> connection;
    NodeId member;  // at the other end; none: a client
    Places::Kind kind = Places::Kind::unknown;
    Instant used;                              // a frame came
    std::list<std::uint64_t>::iterator order;  // in unknown_ or clients_; members are in neither
    // To the lane of large writes, by number: bytes, and whether they are in large_writes.
    std::map<std::uint64_t, std::pair<std::size_t, bool>> handed;
    bool ever_handed = false;
  };
  // What another lane has read and this one serves: a large write, which is decoded here, or a request for a key
  // that has large values.
  struct Large {
    Lane* from;
    std::uint64_t link;
    std::uint8_t version;  // of its connection
    NodeId member;
    wire::OwnFrame frame;
    std::optional<Message> message;
    Arrival arrival;
  };
  struct Reader {
    Lane* lane;
    std::uint8_t version;
  };

  Now clocks() const { return thread_.clocks(); }

  void hold(Link& link) {
    if (link.kind == Places::Kind::unknown) return;  // until it says who it is
    bool client = link.kind == Places::Kind::client;
    auto held = [&](const Cuts::Direction& cut) {
      return client ? cut.clients : cut.cuts(link.member);
    };
    link.connection->hold(held(cuts_.in), held(cuts_.out));
  }
  void hold(NodeId to, Peer& peer) { peer.hold(cuts_.in.cuts(to), cuts_.out.cuts(to)); }

  // ---- IoThread::Work ----
  Instant next_wake() const override { return std::min(node_.next_wake(), admission_.next_wake()); }
  void on_wake(Now now) override { node_.on_wake(now); }

  // The lane is idle from the end of a turn to the first event after it.
  void awake(Instant now) {
    if (idle_since_ == Instant::never()) return;
    admission_.rested(now - std::exchange(idle_since_, Instant::never()), now);
  }

  void turn(Now now) override {
    awake(now.instant);
    if (measures_) server_.measure_memory(now);
    serve_queues(now);
    if (!large_.empty()) serve_large(now);
    for (Node::ToMember& request : node_.take_requests()) {
      bool bulk = payload_bytes(request.message) >= bulk_bytes;
      if (Peer* peer = peer_of(request.to, request.address, bulk)) {
        peer->send(request.number, std::move(request.message), request.asking);
        if (std::find(touched_peers_.begin(), touched_peers_.end(), peer) == touched_peers_.end()) {
          touched_peers_.push_back(peer);
        }
      }
    }
    for (Node::ToRequester& reply : node_.take_replies()) {
      if (auto from = readers_.find(reply.link); from != readers_.end()) {
        answer_from(from->second, std::move(reply));
        continue;
      }
      auto link = links_.find(reply.link);
      if (link == links_.end()) continue;  // gone meanwhile
      send_reply(link->second, reply, now);
    }
    for (Peer* peer : touched_peers_) peer->flush();
    touched_peers_.clear();
    for (std::uint64_t link : touched_links_) {
      if (auto found = links_.find(link); found != links_.end()) {
        found->second.connection->flush();
      }
    }
    touched_links_.clear();
    if (admission_.wants_turn() || !large_.empty()) thread_.want_turn();
    idle_since_ = clocks().instant;
    if (server_.draining) {
      bool flushed = std::all_of(links_.begin(), links_.end(), [](const auto& link) {
        return link.second.connection->flushed();
      });
      bool waiting = admission_.waiting() != 0 || handed_ != 0 || !large_.empty();
      if (node_.idle() && flushed && !waiting && !idle_.exchange(true)) {
        std::lock_guard lock(server_.idle_mutex);
        server_.became_idle.notify_all();
      }
    }
  }

  void sweep(Now now) override {
    if (measures_) {
      server_.measure_memory(now);
      server_.log_filter->look(now.instant);
    }
    for (auto& [id, link] : links_) link.connection->check(now.instant);
    cut_idle(now.instant);
    for (auto& [id, peer] : peers_) peer->check(now.instant);
  }

  // ---- links ----
  void accept() {
    acceptor_.async_wait(tcp::acceptor::wait_read, [this](ErrorCode error) {
      if (!error && acceptor_.is_open()) take_waiting();
    });
  }

  // A round of those who wait to be accepted; then the loop looks at the other sockets.
  void take_waiting() {
    for (int i = 0; i < accepted_in_a_round; ++i) {
      int fd = ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd >= 0) {
        waiting_fd_ = fd;
        if (!find_place(0)) return;  // another lane is asked; it goes on from there
        continue;
      }
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      if (errno == EINTR || errno == ECONNABORTED) continue;
      // Out of descriptors or memory: those who connect wait in the backlog, and this loop pauses.
      server_.log(LogLevel::error,
                  std::string("accepting connections pauses for 100 ms: ") + std::strerror(errno));
      accept_pause_.expires_after(std::chrono::milliseconds(100));
      accept_pause_.async_wait([this](ErrorCode cancelled) {
        if (!cancelled && acceptor_.is_open()) accept();
      });
      return;
    }
    accept();
  }

  // For the connection just accepted. Places are made by cutting others, in the lane that has them.
  // False: lane `asked` of the others was asked to cut one, and find_place() is called again.
  bool find_place(std::size_t asked) {
    Places::Room room = server_.places->room();
    auto kind = room == Places::Room::cut_unknown ? Places::Kind::unknown : Places::Kind::client;
    if (room == Places::Room::free || (room != Places::Room::none && asked == 0 && cut_one(kind))) {
      deal_out(std::exchange(waiting_fd_, -1));
      return true;
    }
    if (room == Places::Room::none || asked + 1 >= server_.lanes.size()) {
      // Too many unknown ones, all of whom have said something that was not read yet: they are unknown
      // for a moment only.
      int fd = std::exchange(waiting_fd_, -1);
      room == Places::Room::cut_unknown && !server_.places->full() ? deal_out(fd) : turn_away(fd);
      return true;
    }
    Lane& other = *server_.lanes[asked + 1];
    other.thread_.post([this, &other, kind, asked] {
      bool cut = other.cut_one(kind);
      thread_.post([this, cut, asked] {
        if (waiting_fd_ < 0 || !acceptor_.is_open()) return;
        if (cut) {
          deal_out(std::exchange(waiting_fd_, -1));
          accept();
        } else if (find_place(asked + 1)) {
          accept();
        }
      });
    });
    return false;
  }

  void turn_away(int fd) {
    Status full(Code::overloaded, "wanted at most " + std::to_string(server_.places->limits().all) +
                                      " connections, this is one more");
    Bytes frame;
    wire::encode_frame(wire::Goodbye{full}, frame);
    [[maybe_unused]] auto sent =
        ::send(fd, frame.data(), frame.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    ::close(fd);
    server_.log(LogLevel::warn, "connection refused: " + full.message());
  }

  void deal_out(int fd) {
    server_.places->accepted();
    Lane& lane = *server_.lanes[next_lane_++ % (server_.lanes.size() - 1)];
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
      server_.places->left(Places::Kind::unknown);
      return server_.log(LogLevel::error, "accept: " + error.message());
    }
    std::uint64_t link = server_.next_link++;
    Connection::Limits limits = server_.connection_limits();
    limits.waiting = &server_.admission->memory.answers;
    auto connection = std::make_shared<Connection>(thread_, std::move(socket), link, limits,
                                                   static_cast<Connection::Events&>(*this));
    Link& opened = links_[link];
    opened.connection = connection;
    opened.order = unknown_.insert(unknown_.end(), link);
    connection->start();
  }

  // Gives the place of an unknown connection, or of an idle client, to another connection.
  bool cut_one(Places::Kind kind) {
    Instant now = clocks().instant;
    std::list<std::uint64_t>& longest_first = kind == Places::Kind::unknown ? unknown_ : clients_;
    int looked_at = 0;
    for (std::uint64_t id : longest_first) {
      if (++looked_at > 64) return false;
      Link& link = links_.at(id);
      bool waits = kind == Places::Kind::unknown ? !link.connection->has_unread()
                                                 : is_idle(id, link, now, idle_enough_to_cut);
      if (!waits) continue;
      cut(id, link,
          kind == Places::Kind::unknown
              ? Status(Code::overloaded, "its place is needed, and it has not said hello yet")
              : Status(Code::timeout, "its place is needed, and it is the client idle longest"));
      return true;
    }
    return false;
  }

  bool is_idle(std::uint64_t id, const Link& link, Instant now, Duration since) const {
    return now - link.used >= since && !admission_.has_work(id) && link.connection->flushed() &&
           !link.connection->mid_frame() && !link.connection->has_unread();
  }

  void cut_idle(Instant now) {
    Duration limit = server_.options.limits.client_idle;
    if (limit == Duration{}) return;
    while (!clients_.empty()) {
      std::uint64_t id = clients_.front();
      Link& link = links_.at(id);
      if (now - link.used < limit) return;
      if (is_idle(id, link, now, limit)) {
        cut(id, link, Status(Code::timeout, "idle for " + std::to_string(limit.millis()) + " ms"));
      } else {
        used(link, now);  // what it asked is under way all this time
      }
    }
  }

  // The place is free at once; on_closed comes later and does the rest.
  void cut(std::uint64_t id, Link& link, const Status& why) {
    auto connection = link.connection;
    forget(links_.find(id));
    connection->close(why);
  }

  void used(Link& link, Instant now) {
    link.used = now;
    if (link.kind == Places::Kind::client) clients_.splice(clients_.end(), clients_, link.order);
  }

  void forget(std::map<std::uint64_t, Link>::iterator found) {
    Link& link = found->second;
    if (link.kind == Places::Kind::unknown) unknown_.erase(link.order);
    if (link.kind == Places::Kind::client) clients_.erase(link.order);
    server_.places->left(link.kind);
    settle_handed(link);
    admission_.closed(found->first, clocks().instant);
    links_.erase(found);
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
    Now now = clocks();
    awake(now.instant);
    used(link, now.instant);
    std::uint64_t id = connection.link();
    Arrival arrival = connection.arrived(frame.time, now.instant);
    auto full = admission_.arrived(id, bool(link.member), frame, now.instant);
    if (!full) return full.status();
    if (!full->empty()) {
      refuse(link, frame.type, frame.number, *full, now);
      return Status::ok();
    }
    if (is_large_write(frame)) {
      hand_over(connection, link, frame, std::nullopt, arrival, now);
      return Status::ok();
    }
    auto message = wire::decode(frame.type, frame.body);
    if (!message) return message.status();
    if (!is_request(*message)) {
      return Status(Code::corrupt,
                    std::string("wanted a request, got the reply ") + name_of(*message));
    }
    if (std::uint64_t key = Admission::key_of(*message); key != 0) {
      if (std::size_t bytes = server_.state->large_keys().bytes_of(key); bytes != 0) {
        if (std::string no = admission_.arrived_for(id, frame.number, key, bytes); !no.empty()) {
          admission_.answered(id, frame.number, 0, now.instant);
          refuse(link, frame.type, frame.number, no, now);
        } else {
          hand_over(connection, link, frame, std::move(*message), arrival, now);
        }
        return Status::ok();
      }
    }
    auto request =
        admission_.take({id, frame.number, frame.type, bool(link.member), std::move(*message),
                         frame.body.size(), now.instant, 0, arrival},
                        now.instant, *full);
    if (request) {
      pace().queue_waited(now.instant - request->arrived, now);
      serve(link, std::move(*request), now);
    } else if (!full->empty()) {
      refuse(link, frame.type, frame.number, *full, now);
    }
    return Status::ok();
  }

  void serve(Link& link, Admission::Request request, Now now) {
    node_.on_request(request.link, request.number, std::move(request.message), now, link.member,
                     request.arrival);
  }

  // `encoded`: the reply's frame, unless it is empty.
  void send_reply(Link& link, Node::ToRequester& reply, Now now, Bytes encoded = {}) {
    std::size_t waited = link.connection->waiting_bytes();
    if (waited > link.connection->max_queued_bytes()) {
      do_without_value(link, reply);
      encoded.clear();
    }
    if (encoded.empty()) {
      link.connection->send(reply.number, reply.message);
    } else {
      link.connection->send_encoded(std::move(encoded), bulk_bytes);
    }
    admission_.answered(reply.link, reply.number, link.connection->waiting_bytes() - waited,
                        now.instant);
    touched_links_.push_back(reply.link);
  }

  // ---- large writes: where they were read ----
  // It is counted in, and is answered, refused or forgotten like all others; a member's counts from here on.
  void hand_over(Connection& connection, Link& link, const wire::Frame& frame,
                 std::optional<Message> message, const Arrival& arrival, Now now) {
    std::uint64_t id = connection.link();
    std::size_t bytes = frame.body.size();
    bool counts = !link.member && !message;
    if (link.member) {
      MemoryBudget& memory = server_.admission->memory;
      if (link.handed.contains(frame.number))
        return;  // its asker gave up the first, or is confused
      if (memory.requests + bytes > 2 * server_.options.limits.max_request_bytes) {
        return refuse(link, frame.type, frame.number, "has too many bytes of requests under way",
                      now);
      }
      memory.requests += bytes;
    } else if (counts) {
      auto refusal = server_.large_writes.arrived(bytes, arrival.until, now.instant);
      if (!refusal.why.empty()) {
        admission_.answered(id, frame.number, 0, now.instant);
        return refuse(link, frame.type, frame.number, refusal.why, now, refusal.retry_after_ms);
      }
    }
    link.handed.emplace(frame.number, std::pair(bytes, counts));
    link.ever_handed = true;
    ++handed_;
    wire::OwnFrame own{frame, nullptr};
    if (!message) own = connection.take(frame);
    server_.lanes.back()->take_large(
        {this, id, connection.version(), link.member, std::move(own), std::move(message), arrival});
  }

  // From the lane of large writes.
  void answer_large(Node::ToRequester reply, Bytes encoded) {
    struct Answer {
      Node::ToRequester reply;
      Bytes encoded;
    };
    auto answer = std::make_shared<Answer>(Answer{std::move(reply), std::move(encoded)});
    thread_.post([this, answer] {
      auto link = links_.find(answer->reply.link);
      if (link == links_.end()) return;
      Now now = clocks();
      awake(now.instant);
      Node::ToRequester& reply = answer->reply;
      settle_handed(link->second, reply.number, !is_refusal(reply.message), now.instant);
      send_reply(link->second, reply, now, std::move(answer->encoded));
    });
  }
  void drop_link(std::uint64_t id, Status why) {
    thread_.post([this, id, why = std::move(why)] {
      if (auto link = links_.find(id); link != links_.end()) link->second.connection->close(why);
    });
  }
  static bool is_refusal(const Message& reply) {
    auto* of_client = std::get_if<ClientReply>(&reply);
    return std::holds_alternative<Refused>(reply) || (of_client && !of_client->status.is_ok());
  }
  void settle_handed(Link& link, std::uint64_t number, bool stored, Instant now) {
    auto handed = link.handed.find(number);
    if (handed == link.handed.end()) return;
    auto [bytes, counts] = handed->second;
    if (link.member) {
      server_.admission->memory.requests -= bytes;
    } else if (counts) {
      server_.large_writes.done(bytes, stored, now);
    }
    link.handed.erase(handed);
    --handed_;
  }
  // The connection is closed, so its large writes that are still queued have no requester any more.
  void settle_handed(Link& link) {
    if (!link.ever_handed) return;
    Instant now = clocks().instant;
    while (!link.handed.empty()) settle_handed(link, link.handed.begin()->first, false, now);
    server_.lanes.back()->forget_large(link.connection->link());
  }

  // ---- large writes: where they are served ----
  void take_large(Large write) {
    thread_.post([this, write = std::make_shared<Large>(std::move(write))] {
      readers_[write->link] = {write->from, write->version};
      large_.push_back(std::move(*write));
    });
  }
  void forget_large(std::uint64_t link) {
    thread_.post([this, link] {
      std::erase_if(large_, [&](const Large& write) { return write.link == link; });
      node_.on_link_closed(link);
      readers_.erase(link);
    });
  }
  // One in a turn: answers of other replicas come in between.
  void serve_large(Now now) {
    Large write = std::move(large_.front());
    ++large_served_;
    large_.pop_front();
    if (now.instant > write.arrival.until &&
        write.frame.frame.type != static_cast<std::uint8_t>(wire::Type::replica_put)) {
      return write.from->answer_large(too_late(write, now.instant), {});
    }
    if (!write.message) {
      auto message = wire::decode(write.frame.frame.type, write.frame.frame.body);
      if (!message) return write.from->drop_link(write.link, message.status());
      write.message = std::move(*message);
      write.frame.buffer.reset();
    }
    node_.on_request(write.link, write.frame.frame.number, std::move(*write.message), now,
                     write.member, write.arrival);
  }

  // A large answer is encoded here, which takes as long as some hundred small ones.
  static void answer_from(const Reader& reader, Node::ToRequester reply) {
    Bytes encoded;
    if (payload_bytes(reply.message) >= bulk_bytes) {
      wire::encode_frame(reader.version, reply.number, reply.message, encoded);
    }
    reader.lane->answer_large(std::move(reply), std::move(encoded));
  }

  // The refusal that the node would give. The request is refused before it is decoded: decoding requests
  // whose deadline has passed would delay those whose callers still wait.
  Node::ToRequester too_late(const Large& write, Instant now) const {
    server_.state->counters().refused_late.fetch_add(1, std::memory_order_relaxed);
    Status status(Code::unavailable, "node " + server_.state->options().name +
                                         " came to this request " +
                                         std::to_string((now - write.arrival.until).millis() + 1) +
                                         " ms after it was wanted");
    auto type = static_cast<wire::Type>(write.frame.frame.type);
    if (type == wire::Type::client_put || type == wire::Type::client_get) {
      ClientReply reply;
      reply.status = std::move(status);
      return {write.link, write.frame.frame.number, std::move(reply)};
    }
    return {write.link, write.frame.frame.number,
            Refused{Status(Code::timeout, status.message()), 0}};
  }

  // The answer of a lane that has no time: `why` follows the node's name.
  void refuse(Link& link, std::uint8_t type, std::uint64_t number, const std::string& why,
              Now now) {
    refuse(link, type, number, why, now, admission_.retry_after_ms(now.instant));
  }
  void refuse(Link& link, std::uint8_t type, std::uint64_t number, const std::string& why, Now,
              std::uint32_t retry_after_ms) {
    server_.state->counters().refused_overload.fetch_add(1, std::memory_order_relaxed);
    Status status(Code::overloaded, "node " + server_.state->options().name + " " + why);
    auto kind = static_cast<wire::Type>(type);
    if (kind == wire::Type::client_get || kind == wire::Type::client_put) {
      ClientReply reply;
      reply.status = std::move(status);
      reply.retry_after_ms = retry_after_ms;
      link.connection->send(number, reply);
    } else {
      link.connection->send(number, Refused{std::move(status), retry_after_ms});
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
      now = clocks();
    }
  }

  // A reader that has not taken what it asked for before is told so instead of being sent more: only when
  // that does not help either is its connection dropped. What a put is answered stays: it has happened.
  void do_without_value(const Link& link, Node::ToRequester& reply) {
    if (payload_bytes(reply.message) < bulk_bytes) return;
    Status why(Code::overloaded,
               "node " + server_.state->options().name + " has " +
                   std::to_string(link.connection->waiting_bytes()) +
                   " bytes of answers that this connection did not take yet, wanted at most " +
                   std::to_string(link.connection->max_queued_bytes()));
    if (auto* answer = std::get_if<ClientReply>(&reply.message)) {
      if (!admission_.is_read(reply.link, reply.number)) return;
      ClientReply refusal;
      refusal.status = std::move(why);
      refusal.retry_after_ms = 200;
      refusal.ring_epoch = answer->ring_epoch;
      reply.message = std::move(refusal);
    } else if (std::holds_alternative<ReplicaObject>(reply.message)) {
      reply.message = Refused{std::move(why), 200};
    }
  }

  Pace& pace() { return server_.state->upkeep().pace(); }

  Status shake_hands(Connection& connection, const wire::Frame& frame) {
    auto hello = wire::decode_hello(frame);
    if (!hello) return hello.status();
    auto welcome = wire::answer_hello(*hello, {hello_.cluster, hello_.name, hello_.node});
    if (!welcome) return welcome.status();
    Link& link = links_.at(connection.link());
    bool member = hello->role == wire::Role::member;
    Places::Kind kind = member ? Places::Kind::member : Places::Kind::client;
    if (!server_.places->named(kind) && !(cut_one(kind) && server_.places->named(kind))) {
      const Places::Limits& limits = server_.places->limits();
      return {Code::overloaded, "wanted at most " +
                                    std::to_string(limits.all - limits.for_members) +
                                    " connections of clients, this is one more"};
    }
    unknown_.erase(link.order);
    link.kind = kind;
    link.used = clocks().instant;
    if (member) {
      link.member = hello->node;
    } else {
      link.order = clients_.insert(clients_.end(), connection.link());
    }
    hold(link);
    wire::encode_frame(*welcome, connection.raw());
    connection.handshake_done(static_cast<std::uint8_t>(welcome->version), member);
    // The first request may itself have waited for this connection: the line is measured before.
    connection.arrived({hello->sent_us, 0, 0}, read_instant());
    connection.flush();
    return Status::ok();
  }

  void on_closed(Connection& connection, const Status& why) override {
    auto found = links_.find(connection.link());
    // What was cut for its place, or for being idle, is no fault of anybody's.
    bool ordinary =
        why.code() == Code::unavailable || why.code() == Code::io || found == links_.end();
    server_.log(ordinary ? LogLevel::debug : LogLevel::warn,
                "connection from " + connection.remote() + " dropped: " + why.to_string());
    node_.on_link_closed(connection.link());
    if (found != links_.end()) forget(found);
  }

  // ---- peers ----
  // `address`: where it is, should the ring not know it. `bulk`: the connection for large messages, behind
  // which no ping, no read and no small write has to wait.
  Peer* peer_of(NodeId to, const std::string& known_address, bool bulk) {
    auto ring = server_.state->ring();
    const Member* member = ring ? ring->find(to) : nullptr;
    const std::string& address = member ? member->address : known_address;
    if (address.empty()) {
      // Left the ring since the message was planned.
      thread_.post([this, to] { node_.on_unreachable(to, clocks()); });
      return nullptr;
    }
    auto found = peers_.find({to, bulk});
    if (found == peers_.end()) {
      Peer::Options options;
      options.hello = hello_;
      options.limits = server_.connection_limits();
      options.refuses_what_is_too_much = true;
      auto peer =
          std::make_unique<Peer>(thread_, to, address, options, static_cast<Peer::Events&>(*this));
      if (member) peer->set_expected(to);
      hold(to, *peer);
      found = peers_.emplace(std::pair(to, bulk), std::move(peer)).first;
    }
    found->second->set_address(address);
    return found->second.get();
  }

  void on_reply(NodeId from, std::uint64_t number, Message message) override {
    Now now = clocks();
    awake(now.instant);
    node_.on_reply(from, number, std::move(message), now);
  }
  void on_not_sent(NodeId to, std::uint64_t number, Refused why) override {
    node_.on_not_sent(to, number, std::move(why), clocks());
  }
  void on_unreachable(NodeId node, const Status&) override { node_.on_unreachable(node, clocks()); }

  Impl& server_;
  const bool measures_;  // the node's memory
  const bool of_large_writes_;
  IoThread thread_;  // before all that holds sockets
  Node node_;
  Admission admission_;
  wire::Hello hello_;
  tcp::acceptor acceptor_;  // lane 0
  asio::steady_timer accept_pause_;
  std::size_t next_lane_ = 0;
  int waiting_fd_ = -1;  // lane 0: accepted, and its place is not found yet
  std::map<std::uint64_t, Link> links_;
  std::list<std::uint64_t> unknown_, clients_;  // of links_; the longest waiting, or idle, first
  std::map<std::pair<NodeId, bool>, std::unique_ptr<Peer>> peers_;  // true: for large messages
  Cuts cuts_;
  std::vector<Peer*> touched_peers_;
  std::vector<std::uint64_t> touched_links_;
  std::size_t handed_ = 0;  // large writes, of all links
  std::uint64_t large_served_ = 0;
  std::deque<Large> large_;                  // in the lane of large writes: not served yet
  std::map<std::uint64_t, Reader> readers_;  // likewise: of each link that sent any
  Instant idle_since_ = Instant::never();
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
  impl.log_filter = std::make_shared<LogFilter>(impl.options.log ? std::move(impl.options.log)
                                                                 : [](auto&&...) {});
  impl.options.log = [filter = impl.log_filter](LogLevel level, std::string_view part,
                                                const std::string& text) {
    filter->write(level, part, text, read_clocks().instant);
  };
  if (Status placed = impl.find_places(); !placed) {
    impl.stopped = true;
    return placed;
  }
  impl.admission.emplace(impl.options.limits);
  impl.admission->large_keys = &impl.state->large_keys();
  impl.state->set_clock(read_instant);
  impl.state->gauges().memory_limit = impl.options.limits.max_resident_bytes;
  std::random_device random;
  for (int i = 0; i < impl.options.threads + 1; ++i) {
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
  for (auto& lane : impl.lanes) {
    lane->skew(impl.options.skew_ms);
    if (impl.options.cuts != Cuts{}) lane->set_cuts(impl.options.cuts);
    lane->start();
  }
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

std::size_t Server::max_connections() const {
  return impl_->places->limits().all;
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
    resume();
    for (auto& lane : lanes) lane->drain();
    std::unique_lock lock(idle_mutex);
    finished = became_idle.wait_for(lock, std::chrono::microseconds(drain.us), [&] {
      return std::all_of(lanes.begin(), lanes.end(), [](auto& lane) { return lane->idle(); });
    });
  }
  state->engine().set_durable_listener([](StorageEngine::Ticket) {});
  // All are told before a paused one goes on, which would otherwise serve what waits in its sockets.
  std::vector<std::future<void>> closed;
  for (auto& lane : lanes) closed.push_back(lane->close_all());
  resume();
  for (auto& each : closed) each.wait();
  for (auto& lane : lanes) lane->stop();
  log(LogLevel::info, "stopped listening on " + address);
  if (!finished) {
    return Status(Code::timeout, "stop: requests under way did not finish within " +
                                     std::to_string(drain.millis()) + " ms");
  }
  return Status::ok();
}

void Server::Impl::pause() {
  std::unique_lock lock(pause_mutex);
  if (std::exchange(paused, true)) return;
  pause_changed.wait(lock, [&] { return resting == 0; });  // resumed just now, and not gone on yet
  for (auto& lane : lanes) lane->rest();
  pause_changed.wait(lock, [&] { return resting == lanes.size(); });
}

void Server::Impl::resume() {
  std::lock_guard lock(pause_mutex);
  if (!std::exchange(paused, false)) return;
  ++resumed;
  pause_changed.notify_all();
}

Status Server::pause() {
  if (impl_->generation != fork_generation()) {
    return Status(Code::forked, "pause: the server was started before fork()");
  }
  for (auto& lane : impl_->lanes) {
    if (lane->is_current()) {
      return Status(Code::busy, "pause: called on the server's own thread");
    }
  }
  std::lock_guard guard(impl_->mutex);
  if (impl_->stopped) return Status(Code::closed, "pause: the server is stopped");
  impl_->pause();
  return Status::ok();
}

void Server::resume() {
  if (impl_->generation == fork_generation()) impl_->resume();
}

void Server::skew(std::int64_t ms) {
  for (auto& lane : impl_->lanes) lane->skew(ms);
}

Status Server::set_cuts(const Cuts& cuts) {
  if (impl_->generation != fork_generation()) {
    return Status(Code::forked, "set_cuts: the server was started before fork()");
  }
  std::lock_guard guard(impl_->mutex);
  if (impl_->stopped) return Status(Code::closed, "set_cuts: the server is stopped");
  std::vector<std::future<void>> done;
  for (auto& lane : impl_->lanes) done.push_back(lane->set_cuts(cuts));
  {
    // A paused lane takes it as the first thing when it goes on.
    std::lock_guard lock(impl_->pause_mutex);
    if (impl_->paused) return Status::ok();
  }
  for (auto& each : done) each.wait();
  return Status::ok();
}

std::string Server::status_json() const {
  std::string json = "{\"address\":\"" + impl_->address +
                     "\",\"connections\":" + std::to_string(impl_->places->taken()) +
                     ",\"reading\":" + std::to_string(impl_->admission->memory.reading.load()) +
                     ",\"lanes\":[";
  std::lock_guard guard(impl_->mutex);
  {
    std::lock_guard lock(impl_->pause_mutex);
    if (impl_->paused) return json + "],\"paused\":true}";
  }
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
