#include "runtime/peer.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "runtime/address.hpp"

namespace ringlet {

Peer::Peer(IoThread& thread, NodeId to, std::string address, Options options, Events& events)
    : thread_(thread),
      to_(to),
      address_(std::move(address)),
      options_(std::move(options)),
      events_(events),
      pause_(options_.first_pause),
      resolver_(thread.context()),
      timer_(thread.context()) {
  options_.limits.handshake_within = options_.connect_within * 4;  // the timer here is the limit
}

Peer::~Peer() {
  *alive_ = false;
  if (connection_) {
    connection_->forget();
    connection_->close(Status());
  }
}

void Peer::send(std::uint64_t number, Message message, const Asking& asking) {
  Instant now = read_instant();
  if (state_ == State::ready) {
    ++unanswered_;
    return connection_->send(number, message, asking, now);
  }
  waiting_.push_back({number, std::move(message), asking, now});
  if (state_ == State::idle) connect();
}

void Peer::flush() {
  if (state_ == State::ready) connection_->flush();
}

void Peer::check(Instant now) {
  if (connection_) connection_->check(now);
}

void Peer::connect() {
  state_ = State::connecting;
  ++attempt_;
  timer_.expires_after(std::chrono::microseconds(options_.connect_within.us));
  timer_.async_wait([this, alive = alive_, attempt = attempt_](ErrorCode error) {
    if (error || !*alive || attempt != attempt_ || state_ != State::connecting) return;
    fail(Status(Code::unavailable, "connect: no handshake within " +
                                       std::to_string(options_.connect_within.millis()) + " ms"));
  });
  auto address = Address::parse(address_);
  if (!address) {
    // Never from inside send(): its caller is not ready to hear.
    return asio::post(thread_.context(), [this, alive = alive_, status = address.status()] {
      if (*alive) fail(status);
    });
  }
  ErrorCode error;
  auto ip = asio::ip::make_address(address->host, error);
  if (!error) return connect_to(tcp::endpoint(ip, address->port));
  resolve(address->host, address->port);
}

void Peer::resolve(const std::string& host, std::uint16_t port) {
  resolver_.async_resolve(host, std::to_string(port),
                          [this, alive = alive_, attempt = attempt_](
                              ErrorCode error, const tcp::resolver::results_type& found) {
                            if (!*alive || attempt != attempt_ || state_ != State::connecting)
                              return;
                            if (error || found.empty()) {
                              return fail(Status(Code::unavailable, "resolve: " + error.message()));
                            }
                            // An IPv4 address first: "localhost" is both, and servers listen on 127.0.0.1.
                            tcp::endpoint endpoint = found.begin()->endpoint();
                            for (const auto& one : found) {
                              if (one.endpoint().address().is_v4()) {
                                endpoint = one.endpoint();
                                break;
                              }
                            }
                            connect_to(endpoint);
                          });
}

void Peer::connect_to(const tcp::endpoint& endpoint) {
  socket_ = std::make_unique<tcp::socket>(thread_.context());
  // Made here and not by Asio, which does not set CLOEXEC.
  int fd = ::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  ErrorCode error;
  if (fd < 0) {
    error = ErrorCode(errno, boost::system::system_category());
  } else {
    socket_->assign(endpoint.protocol(), fd, error);
    if (error) ::close(fd);
  }
  if (error) {
    return asio::post(thread_.context(), [this, alive = alive_, attempt = attempt_, error] {
      if (*alive && attempt == attempt_) on_connected(error);
    });
  }
  socket_->async_connect(endpoint, [this, alive = alive_, attempt = attempt_](ErrorCode failed) {
    if (*alive && attempt == attempt_) on_connected(failed);
  });
}

void Peer::on_connected(ErrorCode error) {
  if (state_ != State::connecting) return;
  if (error) return fail(Status(Code::unavailable, "connect: " + error.message()));
  auto socket = std::move(socket_);
  connection_ =
      std::make_shared<Connection>(thread_, std::move(*socket), 0, options_.limits, *this);
  wire::Hello hello = options_.hello;
  hello.sent_us = static_cast<std::uint64_t>(read_instant().us);
  wire::encode_frame(hello, connection_->raw());
  connection_->flush();
  connection_->start();
}

Status Peer::on_frame(Connection& connection, const wire::Frame& frame) {
  if (state_ == State::connecting) {
    auto welcome = wire::decode_welcome(frame);
    if (!welcome) return welcome.status();
    if (Status status = wire::check_welcome(*welcome, options_.hello); !status) return status;
    if (expected_ && welcome->node != expected_) {
      return Status(Code::unavailable, "wanted node " + to_string(expected_) + ", but node '" +
                                           welcome->name + "' answers there");
    }
    connection.handshake_done(static_cast<std::uint8_t>(welcome->version));
    state_ = State::ready;
    pause_ = options_.first_pause;
    timer_.cancel();
    if (int failures = std::exchange(failures_, 0); failures > 1) {
      thread_.log(LogLevel::info, "connection to " + address_ + " is made, after " +
                                      std::to_string(failures) + " times in vain");
    }
    Instant now = read_instant();
    unanswered_ = 0;
    for (const Waiting& waiting : std::exchange(waiting_, {})) {
      bool too_late = waiting.asking.wanted > Duration{} &&
                      now - waiting.since > waiting.asking.wanted;
      if (too_late) continue;  // whoever asked has been told so by its own clock
      ++unanswered_;
      connection.send(waiting.number, waiting.message, waiting.asking, waiting.since);
    }
    connection.flush();
    return Status::ok();
  }
  if (frame.version == 0) {
    auto goodbye = wire::decode_goodbye(frame);
    return goodbye ? goodbye->status : goodbye.status();
  }
  auto message = wire::decode(frame.type, frame.body);
  if (!message) return message.status();
  if (is_request(*message)) {
    return Status(Code::corrupt,
                  std::string("wanted a reply, got the request ") + name_of(*message));
  }
  if (unanswered_ > 0) --unanswered_;
  events_.on_reply(to_, frame.number, std::move(*message));
  return Status::ok();
}

void Peer::on_closed(Connection& connection, const Status& why) {
  if (connection_.get() != &connection) return;
  // A node says Code::timeout to a connection that it ends for being idle.
  if (state_ == State::ready && unanswered_ == 0 && why.code() == Code::timeout) {
    return end_quietly();
  }
  fail(why);
}

void Peer::end_quietly() {
  ++attempt_;
  connection_->forget();
  connection_.reset();
  state_ = State::idle;
}

void Peer::fail(const Status& why) {
  ++attempt_;
  resolver_.cancel();
  socket_.reset();
  if (connection_) {
    connection_->forget();
    connection_->close(Status());
    connection_.reset();
  }
  waiting_.clear();
  // The first failure may be the node's restart. That it cannot be reached again is the operator's to
  // know; a client's owner hears of it by the calls that fail.
  ++failures_;
  bool member = options_.hello.role == wire::Role::member;
  thread_.log(member && failures_ > 1 ? LogLevel::warn : LogLevel::info,
              "connection to " + address_ + (failures_ > 1 ? " cannot be made: " : " lost: ") +
                  why.to_string());
  rest();
  events_.on_unreachable(to_, why);
  thread_.want_turn();
}

void Peer::rest() {
  state_ = State::resting;
  timer_.expires_after(std::chrono::microseconds(pause_.us));
  pause_ = std::min(pause_ * 2, options_.longest_pause);
  timer_.async_wait([this, alive = alive_, attempt = attempt_](ErrorCode error) {
    if (error || !*alive || attempt != attempt_) return;
    state_ = State::idle;
    if (!waiting_.empty()) connect();
  });
}

}  // namespace ringlet
