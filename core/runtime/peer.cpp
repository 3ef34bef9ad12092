#include "runtime/peer.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <utility>

#include "protocol/payload.hpp"
#include "runtime/address.hpp"

namespace ringlet {

namespace {

std::string text_of(const tcp::endpoint& endpoint) {
  std::string host = endpoint.address().to_string();
  if (endpoint.address().is_v6()) host = "[" + host + "]";
  return host + ":" + std::to_string(endpoint.port());
}

Status why_not_connected(const ErrorCode& error) {
  if (error == asio::error::connection_refused) {
    return {Code::unavailable, "the connection was refused: no process listens there"};
  }
  Code code = error == asio::error::timed_out ? Code::timeout : Code::unavailable;
  return {code, "connect: " + error.message()};
}

bool is_final(const Status& why) {
  return why.code() == Code::invalid_argument || why.code() == Code::unsupported ||
         why.code() == Code::corrupt;
}

}  // namespace

Peer::Peer(IoThread& thread, NodeId to, std::string address, Options options, Events& events)
    : thread_(thread),
      to_(to),
      address_(std::move(address)),
      options_(std::move(options)),
      events_(events),
      pause_(options_.first_pause),
      timer_(thread.context()),
      next_(thread.context()) {
  options_.limits.reads_always = true;
  // What an application has under way is its own to bound; its connection is not the place to break off.
  if (options_.hello.role == wire::Role::client) options_.limits.max_queued_bytes = SIZE_MAX / 4;
  options_.limits.handshake_within = options_.connect_within * 4;  // the timer here is the limit
}

Peer::~Peer() {
  *alive_ = false;
  if (look_up_ != 0) thread_.resolver().forget(look_up_);
  end_tries();
  if (connection_) {
    connection_->forget();
    connection_->close(Status());
  }
}

// Whoever sends hears of it now, instead of by a connection that breaks with all that is under way on it.
bool Peer::refuse(std::uint64_t number, std::size_t bytes) {
  if (!options_.refuses_what_is_too_much || bytes < bulk_bytes) return false;
  std::size_t before = waiting_payload_ + (connection_ ? connection_->waiting_bytes() : 0);
  std::size_t most = options_.limits.max_queued_bytes;
  if (before == 0 || before + bytes <= most) return false;
  Status why(Code::overloaded, std::to_string(before) + " bytes wait to be sent to " + address_ +
                                   ", with " + std::to_string(bytes) + " more, wanted at most " +
                                   std::to_string(most));
  asio::post(thread_.context(), [this, alive = alive_, number, why] {
    if (!*alive) return;
    events_.on_not_sent(to_, number, Refused{why, 100});
    thread_.want_turn();
  });
  return true;
}

bool Peer::send(std::uint64_t number, Message message, const Asking& asking) {
  Instant now = read_instant();
  std::size_t bytes = payload_bytes(message);
  if (refuse(number, bytes)) return false;
  if (state_ == State::ready) {
    ++unanswered_;
    connection_->send(number, message, asking, now);
    return true;
  }
  waiting_.push_back({number, std::move(message), asking, now});
  waiting_payload_ += bytes;
  if (state_ == State::idle) connect();
  return false;
}

void Peer::flush() {
  if (state_ == State::ready) connection_->flush();
}

void Peer::hold(bool reading, bool writing) {
  reading_held_ = reading;
  writing_held_ = writing;
  if (connection_) connection_->hold(reading, writing);
  for (Try& one : tries_) {
    if (one.connection) one.connection->hold(reading, writing);
  }
}

void Peer::check(Instant now) {
  if (connection_) connection_->check(now);
}

void Peer::connect() {
  state_ = State::connecting;
  ++attempt_;
  auto address = Address::parse(address_);
  if (!address) {
    // Never from inside send(): its caller is not ready to hear.
    return asio::post(thread_.context(), [this, alive = alive_, status = address.status()] {
      if (*alive) fail(status);
    });
  }
  ErrorCode error;
  auto ip = asio::ip::make_address(address->host, error);
  if (!error) return try_all({tcp::endpoint(ip, address->port)});
  look_up(address->host, address->port);
}

void Peer::fail_when_late(Duration within, Status why) {
  timer_.expires_after(std::chrono::microseconds(within.us));
  timer_.async_wait([this, alive = alive_, attempt = attempt_, why](ErrorCode error) {
    if (error || !*alive || attempt != attempt_ || state_ != State::connecting) return;
    fail(tries_.empty() ? why : why_none());
  });
}

void Peer::look_up(const std::string& host, std::uint16_t port) {
  fail_when_late(
      options_.look_up_within,
      Status(Code::timeout, "no name server answered for the name '" + printable(BytesView(host)) +
                                "' within " + std::to_string(options_.look_up_within.millis()) +
                                " ms"));
  look_up_ = thread_.resolver().resolve(
      host, [this, port, alive = alive_, attempt = attempt_](Resolver::Addresses found) {
        if (!*alive || attempt != attempt_ || state_ != State::connecting) return;
        look_up_ = 0;
        if (!found) return fail(found.status());
        std::vector<tcp::endpoint> endpoints;
        for (const auto& one : *found) endpoints.emplace_back(one, port);
        try_all(std::move(endpoints));
        thread_.want_turn();
      });
}

void Peer::try_all(std::vector<tcp::endpoint> endpoints) {
  std::stable_partition(endpoints.begin(), endpoints.end(),
                        [&](const auto& endpoint) { return endpoint == last_good_; });
  tries_.clear();
  tried_ = 0;
  for (auto& endpoint : endpoints)
    tries_.push_back({std::move(endpoint), nullptr, nullptr, false, {}});
  auto others = static_cast<std::int64_t>(tries_.size()) - 1;
  fail_when_late(options_.connect_within + options_.try_next_after * others, Status());
  try_next();
}

void Peer::try_next() {
  if (tried_ == tries_.size()) return;
  std::size_t which = tried_++;
  Try& one = tries_[which];
  one.socket = std::make_unique<tcp::socket>(thread_.context());
  // Made here and not by Asio, which does not set CLOEXEC.
  int fd =
      ::socket(one.endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  ErrorCode error;
  if (fd < 0) {
    error = ErrorCode(errno, boost::system::system_category());
  } else {
    one.socket->assign(one.endpoint.protocol(), fd, error);
    if (error) ::close(fd);
  }
  auto on_connect = [this, which, alive = alive_, attempt = attempt_](ErrorCode failed) {
    if (*alive && attempt == attempt_ && state_ == State::connecting) on_connected(which, failed);
  };
  if (error) {
    asio::post(thread_.context(), [on_connect, error] { on_connect(error); });
  } else {
    one.socket->async_connect(one.endpoint, on_connect);
  }
  if (tried_ == tries_.size()) return;
  next_.expires_after(std::chrono::microseconds(options_.try_next_after.us));
  next_.async_wait([this, alive = alive_, attempt = attempt_, tried = tried_](ErrorCode stopped) {
    if (stopped || !*alive || attempt != attempt_ || state_ != State::connecting) return;
    if (tried == tried_) try_next();
  });
}

void Peer::on_connected(std::size_t which, ErrorCode error) {
  if (which >= tries_.size() || tries_[which].over) return;
  if (error) return end_try(which, why_not_connected(error));
  Try& one = tries_[which];
  auto socket = std::move(one.socket);
  one.connection =
      std::make_shared<Connection>(thread_, std::move(*socket), 0, options_.limits, *this);
  one.connection->hold(reading_held_, writing_held_);
  wire::Hello hello = options_.hello;
  hello.sent_us = static_cast<std::uint64_t>(read_instant().us);
  wire::encode_frame(hello, one.connection->raw());
  one.connection->flush();
  one.connection->start();
}

void Peer::end_try(std::size_t which, const Status& why) {
  Try& one = tries_[which];
  one.over = true;
  one.why = why;
  one.socket.reset();
  if (one.connection) {
    one.connection->forget();
    one.connection->close(Status());
    one.connection.reset();
  }
  if (tried_ < tries_.size()) return try_next();
  if (std::all_of(tries_.begin(), tries_.end(), [](const Try& t) { return t.over; })) {
    fail(why_none());
  }
}

void Peer::end_tries() {
  for (Try& one : tries_) {
    one.socket.reset();
    if (!one.connection) continue;
    one.connection->forget();
    one.connection->close(Status());
  }
  tries_.clear();
  tried_ = 0;
  next_.cancel();
}

// Why none of the addresses will do: final if all are, silence if one was silent.
Status Peer::why_none() const {
  std::string within = std::to_string(options_.connect_within.millis()) + " ms";
  std::string text;
  Code code = Code::unavailable;
  bool silent = false, final = true;
  constexpr std::size_t most_said = 8;
  std::size_t said = 0;
  for (const Try& one : tries_) {
    Status why = one.why;
    if (!one.over) {
      why = Status(Code::timeout, one.connection
                                      ? "it took the connection and said nothing within " + within
                                      : "it did not take the connection within " + within);
    }
    silent = silent || why.code() == Code::timeout;
    final = final && is_final(why);
    if (is_final(why)) code = why.code();
    if (said++ >= most_said) continue;
    if (tries_.size() > 1) text += (text.empty() ? "" : "; ") + text_of(one.endpoint) + ": ";
    text += why.message();
  }
  if (said > most_said) text += "; and " + std::to_string(said - most_said) + " more addresses";
  if (!final) code = silent ? Code::timeout : Code::unavailable;
  return {code, text};
}

Status Peer::on_frame(Connection& connection, const wire::Frame& frame) {
  if (state_ == State::connecting) return on_welcome(connection, frame);
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

Status Peer::on_welcome(Connection& connection, const wire::Frame& frame) {
  auto won = std::find_if(tries_.begin(), tries_.end(),
                          [&](const Try& t) { return t.connection.get() == &connection; });
  if (won == tries_.end()) return Status::ok();
  auto welcome = wire::decode_welcome(frame);
  if (!welcome) return welcome.status();
  if (Status status = wire::check_welcome(*welcome, options_.hello); !status) return status;
  if (expected_ && welcome->node != expected_) {
    return Status(Code::unavailable, "wanted node " + to_string(expected_) + ", but node '" +
                                         printable(BytesView(welcome->name)) + "' answers there");
  }
  connection_ = std::move(won->connection);
  last_good_ = won->endpoint;
  end_tries();
  connection.handshake_done(static_cast<std::uint8_t>(welcome->version), true);
  state_ = State::ready;
  ready_since_ = read_instant();
  timer_.cancel();
  if (int failures = std::exchange(failures_, 0); failures > 1) {
    thread_.log(LogLevel::info, "connection to " + address_ + " is made, after " +
                                    std::to_string(failures) + " times in vain");
  }
  unanswered_ = 0;
  Instant now = read_instant();
  waiting_payload_ = 0;
  for (const Waiting& waiting : std::exchange(waiting_, {})) {
    if (!events_.still_wanted(waiting.number)) continue;
    bool too_late =
        waiting.asking.wanted > Duration{} && now - waiting.since > waiting.asking.wanted;
    if (too_late) continue;  // the asker has been told so by its own clock
    ++unanswered_;
    connection.send(waiting.number, waiting.message, waiting.asking, waiting.since);
  }
  connection.flush();
  return Status::ok();
}

void Peer::on_closed(Connection& connection, const Status& why) {
  if (connection_.get() == &connection) {
    // A node says Code::timeout to a connection that it ends for being idle.
    if (unanswered_ == 0 && why.code() == Code::timeout) return end_quietly();
    return fail(why);
  }
  for (std::size_t i = 0; i < tries_.size(); ++i) {
    if (tries_[i].connection.get() == &connection) return end_try(i, why);
  }
}

void Peer::end_quietly() {
  ++attempt_;
  connection_->forget();
  connection_.reset();
  state_ = State::idle;
  ready_since_ = Instant::never();
  pause_ = options_.first_pause;
}

void Peer::fail(const Status& why) {
  ++attempt_;
  if (look_up_ != 0) thread_.resolver().forget(std::exchange(look_up_, 0));
  end_tries();
  if (connection_) {
    connection_->forget();
    connection_->close(Status());
    connection_.reset();
  }
  waiting_.clear();
  waiting_payload_ = 0;
  // The first failure may be the node's restart. That it cannot be reached again is the operator's to
  // know; a client's owner hears of it by the calls that fail.
  ++failures_;
  bool member = options_.hello.role == wire::Role::member;
  thread_.log(member && failures_ > 1 ? LogLevel::warn : LogLevel::info,
              "connection to " + address_ + (failures_ > 1 ? " cannot be made: " : " lost: ") +
                  why.to_string());
  // A handshake proves little: a node may end each, and break the connection with the first answer. Only a
  // connection that lasted makes the next pause short again.
  if (ready_since_ != Instant::never() && read_instant() - ready_since_ >= options_.longest_pause) {
    pause_ = options_.first_pause;
  }
  ready_since_ = Instant::never();
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
