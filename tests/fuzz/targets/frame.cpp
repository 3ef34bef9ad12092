// frame: a stream of bytes into frames, in pieces of any size, however they are cut
#include <algorithm>
#include <vector>

#include "fuzz/input.hpp"
#include "fuzz/target.hpp"
#include "wire/frame.hpp"

namespace ringlet::fuzz {
namespace {

struct Stream {
  std::vector<Bytes> frames;  // encoded again
  Status end;
};

// Gives the reader `bytes` in pieces of up to 1 + (the next number of `cuts`) * 8 bytes.
Stream read(BytesView bytes, BytesView cuts, std::size_t limit) {
  wire::FrameReader reader(limit);
  Stream stream;
  std::size_t given = 0, piece = 0;
  while (given < bytes.size()) {
    auto room = reader.prepare();
    hold(!room.empty(), "prepare gave no room");
    // What a peer sent, twice, or the buffer that each connection has.
    hold(reader.capacity() <= std::max<std::size_t>(2 * given, 64 * 1024) + 16 * 1024,
         "the buffer is larger than what came");
    std::size_t size = room.size();
    if (!cuts.empty()) {
      size =
          1 + static_cast<std::size_t>(static_cast<unsigned char>(cuts[piece++ % cuts.size()]) * 8);
    }
    size = std::min({size, room.size(), bytes.size() - given});
    std::copy_n(bytes.data() + given, size, room.data());
    reader.commit(size);
    given += size;
    while (true) {
      auto frame = reader.next();
      if (!frame) {
        stream.end = frame.status();
        auto again = reader.next();
        hold(!again && again.status() == stream.end, "a broken stream does not stay broken");
        return stream;
      }
      if (!*frame) break;
      const wire::Frame& got = **frame;
      Bytes encoded;
      std::size_t begun = wire::begin_frame(got.version, got.type, got.number, encoded, got.time);
      encoded += got.body;
      wire::end_frame(begun, encoded);
      stream.frames.push_back(std::move(encoded));
    }
  }
  return stream;
}

}  // namespace

Verdict frame(BytesView input) {
  Input in(input);
  std::size_t limit = std::size_t{16} << in.byte() % 22;  // to 32 MiB
  BytesView cuts = in.bytes(in.byte() % 8);
  BytesView bytes = in.rest();

  Stream whole = read(bytes, {}, limit), cut = read(bytes, cuts, limit);
  hold(whole.frames == cut.frames && whole.end == cut.end, "frames depend on how they were cut");
  Bytes again;
  for (const Bytes& frame : whole.frames) {
    hold(frame.size() <= limit + wire::length_bytes, "a frame is larger than the limit");
    again += frame;
  }
  hold(bytes.substr(0, again.size()) == again, "frames are not the bytes they were read from");
  return whole.end.is_ok() && !whole.frames.empty() ? Verdict::taken : Verdict::refused;
}

}  // namespace ringlet::fuzz
