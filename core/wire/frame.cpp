#include "wire/frame.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.hpp"

namespace ringlet::wire {
namespace {

constexpr std::size_t usual_capacity = 16 * 1024;
constexpr std::size_t whole_from = 256 * 1024;

template <typename T>
void store_le(T value, char* to) {
  for (std::size_t i = 0; i < sizeof(T); ++i) to[i] = static_cast<char>(value >> (8 * i));
}

template <typename T>
T load_le(const char* from) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value |= static_cast<T>(static_cast<unsigned char>(from[i])) << (8 * i);
  }
  return value;
}

}  // namespace

Asking FrameTime::asking() const {
  return {Duration::millis(wanted_ms), Duration::millis(silence_ms)};
}

FrameTime frame_time(const Asking& asking, Instant sent) {
  auto whole_ms = [](Duration time, std::int64_t most) {
    return std::clamp<std::int64_t>(time.us / 1000 + (time.us % 1000 > 0 ? 1 : 0), 0, most);
  };
  FrameTime time;
  time.sent_us = static_cast<std::uint64_t>(sent.us);
  time.wanted_ms = static_cast<std::uint32_t>(whole_ms(asking.wanted, UINT32_MAX));
  time.silence_ms = static_cast<std::uint16_t>(whole_ms(asking.silence, UINT16_MAX));
  return time;
}

std::size_t begin_frame(std::uint8_t version, std::uint8_t type, std::uint64_t number, Bytes& out,
                        const FrameTime& time) {
  char header[timed_header_bytes] = {};
  header[4] = static_cast<char>(version);
  header[5] = static_cast<char>(type);
  store_le(number, header + 6);
  store_le(time.sent_us, header + 14);
  store_le(time.wanted_ms, header + 22);
  store_le(time.silence_ms, header + 26);
  std::size_t begun = out.size();
  out.append(header, header_bytes(version));
  return begun;
}

void end_frame(std::size_t begun, Bytes& out) {
  std::size_t length = out.size() - begun - length_bytes;
  RINGLET_ASSERT(length <= UINT32_MAX);
  store_le(static_cast<std::uint32_t>(length), out.data() + begun);
}

std::size_t FrameReader::wanted_capacity() const {
  std::size_t held = end_ - begin_;
  if (held == 0) {
    return capacity_ == 0 || capacity_ > 4 * usual_capacity ? usual_capacity : capacity_;
  }
  bool grows = end_ == capacity_ && held * 2 > capacity_;
  std::size_t next = grows ? capacity_ * 2 : capacity_;
  if (held < length_bytes) return next;
  // All of the frame, and of the next as much as usual.
  std::size_t whole =
      length_bytes + load_le<std::uint32_t>(buffer_.get() + begin_) + usual_capacity;
  return whole > 4 * usual_capacity ? std::max(capacity_, whole) : next;
}

std::span<char> FrameReader::prepare() {
  std::size_t held = end_ - begin_, wanted = wanted_capacity();
  if (held == 0) {
    begin_ = end_ = 0;
    // One large frame does not keep its memory for the life of the connection.
    if (capacity_ != wanted) reserve(wanted);
  } else if (end_ == capacity_) {
    if (held * 2 > capacity_) {
      bool whole = held >= whole_from && wanted > capacity_;
      reserve(whole                ? wanted
              : wanted > capacity_ ? std::min(wanted, capacity_ * 2)
                                   : capacity_ * 2);
    } else {
      std::memmove(buffer_.get(), buffer_.get() + begin_, held);
      begin_ = 0;
      end_ = held;
    }
  }
  return {buffer_.get() + end_, capacity_ - end_};
}

void FrameReader::reserve(std::size_t capacity) {
  auto larger = std::make_unique_for_overwrite<char[]>(capacity);
  std::size_t held = end_ - begin_;
  if (held != 0) std::memcpy(larger.get(), buffer_.get() + begin_, held);
  buffer_ = std::move(larger);
  capacity_ = capacity;
  begin_ = 0;
  end_ = held;
}

void FrameReader::release() {
  if (begin_ != end_) return;
  buffer_.reset();
  begin_ = end_ = capacity_ = 0;
}

void FrameReader::commit(std::size_t bytes) {
  RINGLET_ASSERT(bytes <= capacity_ - end_);
  end_ += bytes;
}

OwnFrame FrameReader::take(const Frame& frame) {
  OwnFrame own{frame, nullptr};
  std::size_t held = end_ - begin_;
  if (frame.body.size() < capacity_ / 2 || held > usual_capacity) {
    own.buffer = std::make_unique_for_overwrite<char[]>(frame.body.size());
    std::memcpy(own.buffer.get(), frame.body.data(), frame.body.size());
    own.frame.body = BytesView(own.buffer.get(), frame.body.size());
    return own;
  }
  auto rest = std::make_unique_for_overwrite<char[]>(2 * usual_capacity);
  std::memcpy(rest.get(), buffer_.get() + begin_, held);
  own.buffer = std::exchange(buffer_, std::move(rest));
  capacity_ = 2 * usual_capacity;
  begin_ = 0;
  end_ = held;
  return own;
}

Status FrameReader::too_short(std::size_t length, std::size_t header) {
  broken_ = Status(Code::corrupt, "frame: wanted a length of at least " +
                                      std::to_string(header - length_bytes) + ", got " +
                                      std::to_string(length));
  return broken_;
}

Result<std::optional<Frame>> FrameReader::next() {
  if (!broken_) return broken_;
  std::size_t held = end_ - begin_;
  if (held < length_bytes) return std::optional<Frame>();
  const char* at = buffer_.get() + begin_;
  std::size_t length = load_le<std::uint32_t>(at);
  if (length < frame_header_bytes - length_bytes) return too_short(length, frame_header_bytes);
  if (length > max_frame_bytes_) {
    broken_ = Status(Code::too_large, "frame: wanted at most " + std::to_string(max_frame_bytes_) +
                                          " bytes, got a length of " + std::to_string(length));
    return broken_;
  }
  if (held == length_bytes) return std::optional<Frame>();
  Frame frame;
  frame.version = static_cast<std::uint8_t>(at[4]);
  std::size_t header = header_bytes(frame.version);
  if (length < header - length_bytes) return too_short(length, header);
  if (held < length_bytes + length) return std::optional<Frame>();
  frame.type = static_cast<std::uint8_t>(at[5]);
  frame.number = load_le<std::uint64_t>(at + 6);
  if (header == timed_header_bytes) {
    frame.time.sent_us = load_le<std::uint64_t>(at + 14);
    frame.time.wanted_ms = load_le<std::uint32_t>(at + 22);
    frame.time.silence_ms = load_le<std::uint16_t>(at + 26);
  }
  frame.body = BytesView(at + header, length + length_bytes - header);
  begin_ += length_bytes + length;
  return std::optional<Frame>(frame);
}

}  // namespace ringlet::wire
