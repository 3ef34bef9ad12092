#include "runtime/connection.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <utility>

#include "protocol/payload.hpp"
#include "wire/handshake.hpp"

namespace ringlet {
namespace {

constexpr std::size_t most_first_bytes = 24;
constexpr Duration room_looked_for_every = Duration::millis(50);
constexpr std::size_t usual_buffer = 16 * 1024, small_buffer = 64 * 1024;  // of a reader
constexpr std::size_t most_read = 256 * 1024;                              // at once
constexpr std::size_t kept_capacity = 1024 * 1024;  // of a buffer that was larger for a while

// A machine or a line that is gone sends no FIN. Probes of an idle connection find that out, and what was
// sent is repeated no longer than this: the kernel's own pauses between repetitions grow to two minutes,
// so that after a long split a connection would stay mute for as long though the line is mended.
void close_when_gone(int socket, Duration after) {
  auto set = [&](int level, int option, std::int64_t value) {
    int wanted = static_cast<int>(std::clamp<std::int64_t>(value, 1, 32'767));
    [[maybe_unused]] int ignored = ::setsockopt(socket, level, option, &wanted, sizeof wanted);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, after.millis() * 3 / 1000);
  set(IPPROTO_TCP, TCP_KEEPINTVL, after.millis() / 4000);
  set(IPPROTO_TCP, TCP_KEEPCNT, 4);
  unsigned unanswered_ms =
      static_cast<unsigned>(std::clamp<std::int64_t>(after.millis(), 1, INT_MAX));
  [[maybe_unused]] int ignored =
      ::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered_ms, sizeof unanswered_ms);
}

}  // namespace

Connection::Connection(IoThread& thread, tcp::socket socket, std::uint64_t link, Limits limits,
                       Events& events)
    : thread_(thread),
      socket_(std::move(socket)),
      link_(link),
      limits_(limits),
      events_(&events),
      reader_(std::min(limits.max_frame_bytes, wire::max_handshake_bytes)),
      opened_(read_clocks().instant) {
  ErrorCode ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  close_when_gone(socket_.native_handle(), limits.peer_gone_after);
  auto remote = socket_.remote_endpoint(ignored);
  remote_ = remote.address().to_string() + ":" + std::to_string(remote.port());
}

Connection::~Connection() {
  closed_ = true;
  count_waiting();
  count_reading(0);
  wait_to_read(0);
}

void Connection::start() {
  read();
}

void Connection::handshake_done(std::uint8_t version, bool member) {
  version_ = version;
  first_bytes_.clear();
  member_ = member;
  reader_.set_max_frame_bytes(limits_.max_frame_bytes);
}

void Connection::send(std::uint64_t number, const Message& message) {
  if (closed_) return;
  if (payload_bytes(message) < bulk_bytes) {
    return wire::encode_frame(version_, number, message, queued_);
  }
  wire::encode_frame(version_, number, message, large_.emplace_back());
  large_bytes_ += large_.back().size();
}

void Connection::send_encoded(Bytes frame, std::size_t payload) {
  if (closed_) return;
  if (payload < bulk_bytes) {
    queued_ += frame;
    return;
  }
  large_bytes_ += frame.size();
  large_.push_back(std::move(frame));
}

void Connection::send(std::uint64_t number, const Message& message, const Asking& asking,
                      Instant since) {
  if (closed_) return;
  wire::encode_frame(version_, number, message, queued_, wire::frame_time(asking, since));
}

Arrival Connection::arrived(const wire::FrameTime& time, Instant now) {
  if (time.sent_us == 0) {
    Arrival unknown;
    if (late_) unknown.until = now - Duration::micros(1);
    return unknown;
  }
  return arrival(time.asking(), delay_.heard(time.sent_us, now), now);
}

void Connection::count_waiting() {
  if (limits_.waiting == nullptr) return;
  std::size_t waiting = closed_ ? 0 : waiting_bytes();
  limits_.waiting->fetch_add(waiting - counted_waiting_, std::memory_order_relaxed);
  counted_waiting_ = waiting;
}

void Connection::flush() {
  if (closed_) return;
  std::size_t waiting = waiting_bytes();
  if (waiting > limits_.max_queued_bytes) {
    if (stalled_since_ == Instant::never()) stalled_since_ = read_clocks().instant;
    if (waiting > 2 * limits_.max_queued_bytes) {
      return close(Status(Code::overloaded, "slow reader: " + std::to_string(waiting) +
                                                " bytes wait for it, wanted at most " +
                                                std::to_string(limits_.max_queued_bytes)));
    }
  }
  if (writing_now_ || writing_held_) return count_waiting();
  while (send_now()) {
  }
}

void Connection::hold(bool reading, bool writing) {
  bool reads_again = reading_held_ && !reading, writes_again = writing_held_ && !writing;
  reading_held_ = reading;
  writing_held_ = writing;
  if (closed_) return;
  if (reads_again) {
    // The pause was the line's: a frame that is half here has as long as one that begins now.
    if (frame_since_ != Instant::never()) frame_since_ = read_clocks().instant;
    read();
  }
  if (!writes_again) return;
  if (taken_ < written_.size() && !writing_now_) {
    taken_at_ = read_clocks().instant;
    write();
  } else {
    flush();
  }
}

// True: all of what was to go was taken at once, and more waits.
bool Connection::send_now() {
  if (queued_.empty() && !large_.empty()) {
    large_bytes_ -= large_.front().size();
    queued_ = std::move(large_.front());
    large_.pop_front();
  }
  if (queued_.empty()) {
    count_waiting();
    return false;
  }
  // Mostly the socket takes it all at once: then there is no completion to come back for, which
  // would be another round of the loop for every message.
  ssize_t sent =
      ::send(socket_.native_handle(), queued_.data(), queued_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent == static_cast<ssize_t>(queued_.size())) {
    stalled_since_ = Instant::never();
    queued_.clear();
    if (queued_.capacity() > kept_capacity) queued_.shrink_to_fit();
    count_waiting();
    return !large_.empty();
  }
  // What is left, and an error of the socket, are the completion's.
  written_.clear();
  if (written_.capacity() > kept_capacity) written_.shrink_to_fit();
  written_.swap(queued_);
  taken_ = sent > 0 ? static_cast<std::size_t>(sent) : 0;
  taken_at_ = read_clocks().instant;
  count_waiting();
  write();
  return false;
}

// Piece by piece, so that a reader that is slow can be told from one that takes nothing.
void Connection::write() {
  writing_now_ = true;
  socket_.async_write_some(asio::buffer(written_.data() + taken_, written_.size() - taken_),
                           [self = shared_from_this()](ErrorCode error, std::size_t bytes) {
                             self->on_written(error, bytes);
                           });
}

void Connection::on_written(ErrorCode error, std::size_t bytes) {
  writing_now_ = false;
  if (closed_) return;
  if (error) return close(Status(Code::io, "write: " + error.message()));
  taken_ += bytes;
  taken_at_ = read_clocks().instant;
  if (taken_ < written_.size()) {
    count_waiting();
    if (writing_held_) {
      taken_at_ = Instant::never();
      return;
    }
    return write();
  }
  written_.clear();
  taken_ = 0;
  taken_at_ = Instant::never();
  if (waiting_bytes() <= limits_.max_queued_bytes) stalled_since_ = Instant::never();
  flush();
  if (!reading_) read();
  thread_.want_turn();
}

void Connection::read() {
  bool stalled = stalled_since_ != Instant::never() && !limits_.reads_always;
  if (closed_ || reading_ || stalled || reading_held_) return;
  reading_ = true;
  // Waits without a buffer: most connections are idle most of the time.
  socket_.async_wait(tcp::socket::wait_read,
                     [self = shared_from_this()](ErrorCode error) { self->on_readable(error); });
}

void Connection::on_readable(ErrorCode error) {
  reading_ = false;
  if (closed_ || reading_held_) return;
  if (error) return close(why_no_handshake(Status(Code::io, "read: " + error.message())));
  if (!room_to_read()) return;
  auto space = reader_.prepare();
  // A part of what is there of a large frame: small ones on other connections are read in between.
  ssize_t got = ::recv(socket_.native_handle(), space.data(), std::min(space.size(), most_read),
                       MSG_DONTWAIT);
  if (got == 0) return close(why_no_handshake(Status(Code::unavailable, "the peer closed")));
  if (got < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return read();
    return close(why_no_handshake(Status(Code::io, std::string("read: ") + std::strerror(errno))));
  }
  read_since_check_ = true;
  if (!established() && first_bytes_.size() < most_first_bytes) {
    first_bytes_.append(space.data(),
                        std::min<std::size_t>(static_cast<std::size_t>(got),
                                              most_first_bytes - first_bytes_.size()));
  }
  reader_.commit(static_cast<std::size_t>(got));
  Status status = take_frames(static_cast<std::size_t>(got));
  thread_.want_turn();
  if (!status) return close(status);
  read();
}

// Asks the budget for the whole of the frame that has begun: were each large frame given a part, all could
// wait for one another. False: this connection reads nothing, and looks again in a while. Small buffers
// are not counted; near the limit of the process clients have none beyond the usual.
bool Connection::room_to_read() {
  if (limits_.budget == nullptr) return true;
  std::size_t wanted = reader_.wanted_capacity(), counted = wanted > small_buffer ? wanted : 0;
  bool grows = wanted > reader_.capacity() && wanted > usual_buffer;
  bool spared = grows && !member_ && counted_reading_ == 0 && limits_.budget->tight();
  if (!spared && limits_.budget->resize_reading(counted_reading_, counted, member_)) {
    counted_reading_ = counted;
    if (no_room_since_ != Instant::never()) {
      no_room_since_ = Instant::never();
      bytes_at_ = read_clocks().instant;  // it was this node that paused
      wait_to_read(0);
    }
    return true;
  }
  if (no_room_since_ == Instant::never()) no_room_since_ = read_clocks().instant;
  wait_to_read(counted);
  if (!look_for_room_) look_for_room_.emplace(thread_.context());
  look_for_room_->expires_after(std::chrono::microseconds(room_looked_for_every.us));
  look_for_room_->async_wait([self = shared_from_this()](ErrorCode error) {
    if (!error && !self->closed_) self->read();
  });
  return false;
}

void Connection::count_reading(std::size_t bytes) {
  if (limits_.budget == nullptr || bytes == counted_reading_) return;
  limits_.budget->resize_reading(counted_reading_, bytes, true);
  counted_reading_ = bytes;
}

void Connection::wait_to_read(std::size_t bytes) {
  if (limits_.budget == nullptr) return;
  limits_.budget->wait_to_read.fetch_add(bytes - counted_wait_to_read_, std::memory_order_relaxed);
  counted_wait_to_read_ = bytes;
}

// A frame that has memory, does not grow, and is in the way of others. What lies unread in the socket is
// this node's delay, not the sender's.
bool Connection::keeps_others_waiting(Instant now) {
  if (counted_reading_ == 0 || frame_since_ == Instant::never()) {
    looked_at_ = Instant::never();
    slow_ = false;
    return false;
  }
  if (looked_at_ != Instant::never() && now - looked_at_ >= Duration::seconds(1)) {
    double came = static_cast<double>(frame_bytes_ - std::min(frame_bytes_, looked_at_bytes_));
    double wanted = std::max(
        static_cast<double>(least_progress),
        static_cast<double>(counted_reading_) * 1e6 / static_cast<double>(limits_.frame_within.us));
    slow_ = reading_ && !has_unread() &&
            came < wanted * static_cast<double>((now - looked_at_).us) / 1e6;
    looked_at_ = Instant::never();
  }
  if (looked_at_ == Instant::never()) {
    looked_at_ = now;
    looked_at_bytes_ = frame_bytes_;
  }
  return slow_ && limits_.budget->reading_is_short();
}

bool Connection::has_unread() const {
  if (closed_) return false;
  int unread = 0;
  int socket = const_cast<tcp::socket&>(socket_).native_handle();  // Asio has no const one
  return ::ioctl(socket, FIONREAD, &unread) == 0 && unread > 0;
}

Status Connection::take_frames(std::size_t bytes) {
  bool any = false;
  if (frame_since_ != Instant::never()) {
    Instant now = read_clocks().instant;
    longest_pause_ = std::max(longest_pause_, now - bytes_at_);
    bytes_at_ = now;
    frame_bytes_ += bytes;
    Duration enough =
        limits_.untimed_pause +
        Duration::micros(static_cast<std::int64_t>(frame_bytes_) * 1'000'000 / least_progress);
    late_ = longest_pause_ > limits_.untimed_pause || now - frame_since_ > enough;
  }
  for (;;) {
    auto frame = reader_.next();
    if (!frame) return established() ? frame.status() : why_no_handshake(frame.status());
    if (!*frame) break;
    any = true;
    if (established() && (*frame)->version != version_ && (*frame)->version != 0) {
      return Status(Code::corrupt, "frame: wanted protocol version " + std::to_string(version_) +
                                       ", got " + std::to_string((*frame)->version));
    }
    if (events_ == nullptr) return Status::ok();
    Status status = events_->on_frame(*this, **frame);
    late_ = false;
    if (!status || closed_) return status;
  }
  if (!reader_.mid_frame()) {
    frame_since_ = Instant::never();
  } else if (any || frame_since_ == Instant::never()) {
    frame_since_ = bytes_at_ = read_clocks().instant;
    frame_bytes_ = bytes;
    longest_pause_ = Duration{};
    looked_at_ = Instant::never();
  }
  return Status::ok();
}

// Strangers are told apart by what they say first; `why` is how that ended.
Status Connection::why_no_handshake(const Status& why) const {
  if (established()) return why;
  if (first_bytes_.empty()) {
    if (why.code() == Code::io)
      return {Code::unavailable, "reset before the handshake: " + why.message()};
    return {Code::unavailable, "closed before the handshake, without a word"};
  }
  auto starts = [&](std::string_view with) { return first_bytes_.starts_with(with); };
  auto byte = [&](std::size_t i) {
    return i < first_bytes_.size() ? static_cast<unsigned char>(first_bytes_[i]) : 0;
  };
  // An alert or a handshake record of TLS, of whichever version.
  if ((byte(0) == 0x15 || byte(0) == 0x16) && byte(1) == 0x03 && byte(2) <= 0x04) {
    return {Code::corrupt, "TLS is spoken there, wanted Ringlet's protocol in plain"};
  }
  if (starts("HTTP/") || starts("GET ") || starts("POST ") || starts("HEAD ") || starts("PUT ")) {
    return {Code::corrupt, "HTTP is spoken there, wanted Ringlet's protocol"};
  }
  // A node's Hello, Welcome or Goodbye that ended too early: what comes first is a length, then version 0.
  bool node = first_bytes_.size() > 5 && byte(2) == 0 && byte(3) == 0 && byte(4) == 0;
  if (node && why.code() != Code::too_large) return why;
  return {Code::corrupt, "no Ringlet node: wanted its handshake, got '" +
                             printable(BytesView(first_bytes_), most_first_bytes) + "'"};
}

void Connection::check(Instant now) {
  if (closed_) return;
  if (!established() && now - opened_ > limits_.handshake_within) {
    close(Status(Code::timeout, "no handshake within " +
                                    std::to_string(limits_.handshake_within.millis()) + " ms"));
  } else if (frame_since_ != Instant::never() && no_room_since_ == Instant::never() && reading_ &&
             now - frame_since_ > limits_.frame_within) {
    close(Status(Code::timeout, "the rest of a frame did not come within " +
                                    std::to_string(limits_.frame_within.millis()) + " ms"));
  } else if (stalled_since_ != Instant::never() && now - stalled_since_ > limits_.stalled_within) {
    close(Status(Code::overloaded, "slow reader: " + std::to_string(waiting_bytes()) +
                                       " bytes waited for " +
                                       std::to_string(limits_.stalled_within.millis()) + " ms"));
  } else if (taken_at_ != Instant::never() && now - taken_at_ > limits_.stalled_within) {
    close(Status(Code::overloaded, "slow reader: it took nothing of " +
                                       std::to_string(waiting_bytes()) + " bytes for " +
                                       std::to_string(limits_.stalled_within.millis()) + " ms"));
  } else if (no_room_since_ != Instant::never() && now - no_room_since_ > limits_.stalled_within) {
    close(Status(Code::overloaded,
                 "no memory for the rest of a frame within " +
                     std::to_string(limits_.stalled_within.millis()) + " ms: half frames take " +
                     std::to_string(limits_.budget->reading.load()) + " bytes, wanted at most " +
                     std::to_string(limits_.budget->limits().reading_bytes)));
  } else if (keeps_others_waiting(now)) {
    limits_.budget->stalled_frames.fetch_add(1, std::memory_order_relaxed);
    close(Status(Code::overloaded, "stopped within a frame: " + std::to_string(frame_bytes_) +
                                       " bytes of " + std::to_string(counted_reading_) +
                                       " came in " + std::to_string((now - frame_since_).millis()) +
                                       " ms, and others wait for its memory"));
  } else if (!std::exchange(read_since_check_, false)) {
    reader_.release();
    if (!reader_.mid_frame()) count_reading(0);
  }
}

void Connection::close(const Status& why) {
  if (std::exchange(closed_, true)) return;
  // The reason as the last frame, if the socket takes it now and nothing is half sent.
  if (!writing_now_ && !writing_held_ && !why.is_ok()) {
    wire::encode_frame(wire::Goodbye{why}, queued_);
    [[maybe_unused]] auto sent = ::send(socket_.native_handle(), queued_.data(), queued_.size(),
                                        MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  queued_.clear();
  large_.clear();
  large_bytes_ = 0;
  count_waiting();
  wait_to_read(0);
  if (look_for_room_) look_for_room_->cancel();
  ErrorCode ignored;
  socket_.shutdown(tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
  asio::post(thread_.context(), [self = shared_from_this(), why] {
    if (self->events_ != nullptr) std::exchange(self->events_, nullptr)->on_closed(*self, why);
    self->thread_.want_turn();
  });
}

}  // namespace ringlet
