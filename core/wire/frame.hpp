// Frames: how messages lie one after the other in a stream of bytes.
//
//   offset 0   length of everything after itself    u32, little endian, at least 10 (24)
//          4   protocol version                     u8   0 in the handshake, whose form never changes
//          5   type of the body                     u8   codec.hpp, handshake.hpp
//          6   request number                       u64, little endian; a reply repeats its request's
//         14   from version 2 on:
//              sent                                 u64, little endian: microseconds of the sender's
//                                                   monotonic clock, any start; 0: not said
//         22   wanted for                           u32, little endian, ms from then; 0: not said
//         26   silence borne                        u16, little endian, ms from then; 0: not said
//   14 or 28   body                                 protobuf
//
// What the times are for is in protocol/request_time.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/bytes.hpp"
#include "base/status.hpp"
#include "protocol/request_time.hpp"
#include "wire/limits.hpp"

namespace ringlet::wire {

inline constexpr std::size_t frame_header_bytes = 14;  // of versions 0 and 1
inline constexpr std::size_t timed_header_bytes = 28;
constexpr std::size_t header_bytes(std::uint8_t version) {
  return version < 2 ? frame_header_bytes : timed_header_bytes;
}
inline constexpr std::size_t length_bytes = 4;

// When a frame was sent and for how long it is wanted, as it lies in the header; all 0: not said.
struct FrameTime {
  std::uint64_t sent_us = 0;
  std::uint32_t wanted_ms = 0;
  std::uint16_t silence_ms = 0;
  Asking asking() const;
  friend bool operator==(const FrameTime&, const FrameTime&) = default;
};
// Whole milliseconds, rounded up; what is too long for its field counts as the longest.
FrameTime frame_time(const Asking& asking, Instant sent);

struct Frame {
  std::uint8_t version = 0;
  std::uint8_t type = 0;
  std::uint64_t number = 0;
  FrameTime time;
  BytesView body;  // into the reader's buffer: dead at its next prepare()
};

// Appends a frame's header, `time` where the version has room for it; the body is then appended to
// `out` by the caller, and end_frame, given what begin_frame returned, writes the length.
std::size_t begin_frame(std::uint8_t version, std::uint8_t type, std::uint64_t number, Bytes& out,
                        const FrameTime& time = {});
void end_frame(std::size_t begun, Bytes& out);

// A frame whose body is its holder's.
struct OwnFrame {
  Frame frame;
  std::unique_ptr<char[]> buffer;  // of frame.body
};

// Finds frames in what a socket gave, many in one read, without copying their bodies.
//
//   read into prepare(); commit(how many came); next() until it has none; prepare() again
//
// The buffer grows with the bytes that came and never beyond the length that was announced: a frame of
// 64 MiB that never comes costs what was sent of it, twice at most. (From 256 KiB on it is asked for whole, which
// the system gives as it is written to.)
class FrameReader {
 public:
  explicit FrameReader(std::size_t max_frame_bytes) : max_frame_bytes_(max_frame_bytes) {}

  // How large the buffer will be once the frame that has begun is whole; for a small one, after prepare().
  std::size_t wanted_capacity() const;
  std::span<char> prepare();
  void commit(std::size_t bytes);
  // Gives the buffer up if it is empty. Never while a prepare() waits for its commit().
  void release();
  // The next whole frame, none yet, or why the stream is of no use any more (too_large, corrupt;
  // repeated by every later call).
  Result<std::optional<Frame>> next();

  // Right after next() gave it: a large frame takes the buffer with it, a small one is copied. `frame.body`
  // stays what it was.
  OwnFrame take(const Frame& frame);

  void set_max_frame_bytes(std::size_t limit) { max_frame_bytes_ = limit; }
  bool mid_frame() const { return begin_ != end_; }  // bytes of an unfinished frame are here
  std::size_t capacity() const { return capacity_; }

 private:
  void reserve(std::size_t capacity);
  Status too_short(std::size_t length, std::size_t header);
  std::size_t max_frame_bytes_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0, end_ = 0;  // what is in the buffer and not yet given out
  Status broken_;
};

}  // namespace ringlet::wire
