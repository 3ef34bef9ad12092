// One TCP connection that carries frames, either way. Only on the I/O thread that owns it; keeps
// itself alive while the socket has work under way.
//
//   reading   one read may bring many frames; each goes to Events::on_frame in order
//   writing   frames gather in `queued_` until flush(); one write carries all of them. A large frame
//             waits beside them and goes when no small one waits, so that only one that is being
//             written already holds small ones up: frames need no order, each has its number
//   slow      while more than max_queued_bytes wait, nothing is read; when that lasts for
//             stalled_within, or twice as much waits, or the peer takes nothing at all for that
//             long while something waits, the connection is dropped
//   idle      a connection on which nothing comes holds no buffer
//   memory    a buffer of more than a few frames' size is asked of the budget before it grows; without room
//             reading pauses, and a frame that waited for stalled_within is given up. While others wait for
//             memory, a frame that has it and comes too slowly (least_progress) is given up after a
//             second or two
//   deadlines check() drops a peer that is late with its handshake or with the rest of a frame
//   held      for tests that cut a line (Cuts): what would be written waits here, what comes waits in the
//             socket, as both do while packets are lost; it goes on where it stopped
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/instant.hpp"
#include "protocol/request_time.hpp"
#include "runtime/asio.hpp"
#include "runtime/io_thread.hpp"
#include "runtime/memory_budget.hpp"
#include "wire/codec.hpp"
#include "wire/frame.hpp"

namespace ringlet {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  class Events {
   public:
    virtual ~Events() = default;
    // A failed Status drops the connection with it.
    virtual Status on_frame(Connection& connection, const wire::Frame& frame) = 0;
    // Once, last; never from inside a call of the owner's.
    virtual void on_closed(Connection& connection, const Status& why) = 0;
  };
  struct Limits {
    std::size_t max_frame_bytes = wire::default_max_frame_bytes;
    std::size_t max_queued_bytes = 64 * 1024 * 1024;
    // Two members that each wait for the other to take what is queued would both wait for ever.
    bool reads_always = false;
    Duration handshake_within = Duration::seconds(5);
    Duration frame_within = Duration::seconds(30);
    Duration stalled_within = Duration::seconds(10);
    // A request without a time of its own (protocol version 1) is taken to be late when its sender stopped for
    // longer than this in the middle of it, or took longer for all of it than this and a second for each
    // least_progress bytes.
    Duration untimed_pause = Duration::seconds(2);
    Duration peer_gone_after = Duration::seconds(10);
    MemoryBudget* budget = nullptr;               // of what is read; null: no bound
    std::atomic<std::size_t>* waiting = nullptr;  // counts what waits on many connections; may be 0
  };

  Connection(IoThread& thread, tcp::socket socket, std::uint64_t link, Limits limits,
             Events& events);
  ~Connection();

  void start();                                                    // begins to read
  void handshake_done(std::uint8_t version, bool member = false);  // member: at the other end
  bool established() const { return version_ != 0; }
  // Goes out with the next flush(). A request says how long it is wanted, from `since` on, when it was
  // asked for: it may have waited for the connection.
  void send(std::uint64_t number, const Message& message);
  void send(std::uint64_t number, const Message& message, const Asking& asking, Instant since);
  // A large frame that comes more slowly is given up when others wait for its memory: so many bytes a
  // second, and as many as it needs to be whole within frame_within.
  static constexpr std::size_t least_progress = 64 * 1024;

  // The same, encoded already for version(); `payload`: payload_bytes() of it.
  void send_encoded(Bytes frame, std::size_t payload);
  // Inside Events::on_frame, of the frame that is given out.
  wire::OwnFrame take(const wire::Frame& frame) { return reader_.take(frame); }
  std::uint8_t version() const { return version_; }
  // What is known of a frame's age; each frame is told once, in the order received.
  Arrival arrived(const wire::FrameTime& time, Instant now);
  Bytes& raw() { return queued_; }  // handshake frames are appended here
  void flush();
  // Whether reading and writing pause. A connection that is closed while writing is held does not say why.
  void hold(bool reading, bool writing);
  void check(Instant now);
  // Closes now. The owner hears on_closed later, unless it said forget().
  void close(const Status& why);
  void forget() { events_ = nullptr; }

  std::uint64_t link() const { return link_; }
  const std::string& remote() const { return remote_; }  // "127.0.0.1:5312"
  bool has_unread() const;  // bytes that came and were not looked at yet
  bool mid_frame() const { return reader_.mid_frame(); }
  bool flushed() const { return queued_.empty() && large_.empty() && !writing_now_; }
  std::size_t waiting_bytes() const {
    return queued_.size() + large_bytes_ + written_.size() - taken_;
  }
  std::size_t max_queued_bytes() const { return limits_.max_queued_bytes; }

 private:
  void read();
  void on_readable(ErrorCode error);
  Status take_frames(std::size_t bytes);  // that came with the last read
  Status why_no_handshake(const Status& why) const;
  void write();
  void on_written(ErrorCode error, std::size_t bytes);
  void count_waiting();
  bool send_now();
  bool room_to_read();
  void count_reading(std::size_t bytes);
  void wait_to_read(std::size_t bytes);
  bool keeps_others_waiting(Instant now);

  IoThread& thread_;
  tcp::socket socket_;
  std::uint64_t link_;
  Limits limits_;
  Events* events_;
  std::string remote_;
  wire::FrameReader reader_;
  LeastDelay delay_;         // of what the other end sends
  Bytes queued_, written_;   // gathering; under way
  std::deque<Bytes> large_;  // frames
  std::size_t large_bytes_ = 0;
  std::size_t taken_ = 0;  // of written_, by the socket
  std::size_t counted_waiting_ = 0, counted_reading_ = 0, counted_wait_to_read_ = 0;
  bool reading_ = false, writing_now_ = false, closed_ = false;
  bool reading_held_ = false, writing_held_ = false;
  std::uint8_t version_ = 0;
  std::string first_bytes_;  // until the handshake, a few: is this a Ringlet at all?
  Instant opened_;
  Instant frame_since_ = Instant::never();    // an unfinished frame is here since
  Instant bytes_at_;                          // the last of it came then
  Duration longest_pause_;                    // between two parts of it
  std::size_t frame_bytes_ = 0;               // of it, that came
  bool late_ = false;                         // the frame that is given out now, if it has no time
  Instant looked_at_ = Instant::never();      // how fast it came was looked at then
  std::size_t looked_at_bytes_ = 0;           // what had come by then
  bool slow_ = false;                         // found then
  Instant stalled_since_ = Instant::never();  // too much waits since
  Instant taken_at_ = Instant::never();       // bytes under way, and the last were taken then
  bool read_since_check_ = false;
  bool member_ = false;
  Instant no_room_since_ = Instant::never();  // reading pauses since
  std::optional<asio::steady_timer> look_for_room_;
};

}  // namespace ringlet
