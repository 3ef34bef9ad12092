#include "wire/frame.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <functional>
#include <vector>

#include "base/random.hpp"
#include "wire/codec.hpp"

namespace ringlet {
namespace {

Bytes frame(std::uint64_t number, BytesView body) {
  Bytes out;
  std::size_t begun = wire::begin_frame(1, 7, number, out);
  out += body;
  wire::end_frame(begun, out);
  return out;
}

// Hands `bytes` to the reader in pieces of up to `piece`, and gives what `each` saw.
Status feed(wire::FrameReader& reader, BytesView bytes, std::size_t piece,
            const std::function<void(const wire::Frame&)>& each) {
  while (!bytes.empty()) {
    auto space = reader.prepare();
    REQUIRE(!space.empty());
    std::size_t n = std::min({piece, bytes.size(), space.size()});
    std::memcpy(space.data(), bytes.data(), n);
    reader.commit(n);
    bytes.remove_prefix(n);
    for (;;) {
      auto next = reader.next();
      if (!next) return next.status();
      if (!*next) break;
      each(**next);
    }
  }
  return Status::ok();
}

TEST_CASE("a frame lies as the header says") {
  Bytes bytes = frame(0x0102030405060708, "abc");
  CHECK(bytes == Bytes("\x0d\0\0\0\x01\x07\x08\x07\x06\x05\x04\x03\x02\x01"
                       "abc",
                       17));
}

TEST_CASE("a frame of version 2 says when it was sent and how long it is wanted") {
  wire::FrameTime time =
      wire::frame_time({Duration::micros(20'001), Duration::seconds(3600)}, Instant{0x0102030405});
  Bytes bytes;
  std::size_t begun = wire::begin_frame(2, 7, 9, bytes, time);
  bytes += "abc";
  wire::end_frame(begun, bytes);
  CHECK(bytes == Bytes("\x1b\0\0\0\x02\x07\x09\0\0\0\0\0\0\0"
                       "\x05\x04\x03\x02\x01\0\0\0\x15\0\0\0\xff\xff"
                       "abc",
                       31));
  wire::FrameReader reader(1000);
  std::size_t seen = 0;
  Status status = feed(reader, bytes, 1, [&](const wire::Frame& got) {
    ++seen;
    CHECK(got.version == 2);
    CHECK(got.body == "abc");
    CHECK(got.time == time);
    CHECK(got.time.asking() == Asking{Duration::millis(21), Duration::millis(65535)});
  });
  CHECK(status.is_ok());
  CHECK(seen == 1);
}

TEST_CASE("a frame of version 2 that is too short for its header is corrupt") {
  wire::FrameReader reader(1000);
  Bytes bytes("\x0a\0\0\0\x02\x07\x09\0\0\0\0\0\0\0", 14);
  Status status = feed(reader, bytes, 14, [](const wire::Frame&) { FAIL("no frame"); });
  CHECK(status.code() == Code::corrupt);
  CHECK(status.message() == "frame: wanted a length of at least 24, got 10");
}

TEST_CASE("frames come out whole, however the stream was cut") {
  Random random(1);
  Bytes stream;
  std::vector<std::size_t> sizes;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    sizes.push_back(i % 100 == 0 ? random.below(100'000) : random.below(200));
    stream += frame(i, Bytes(sizes.back(), static_cast<char>(i)));
  }
  for (std::size_t piece : {std::size_t{7}, std::size_t{1000}, stream.size()}) {
    wire::FrameReader reader(1 << 20);
    std::size_t seen = 0;
    Status status = feed(reader, stream, piece, [&](const wire::Frame& got) {
      REQUIRE(seen < sizes.size());
      REQUIRE(got.number == seen);
      REQUIRE(got.type == 7);
      REQUIRE(got.version == 1);
      REQUIRE(got.body == Bytes(sizes[seen], static_cast<char>(seen)));
      ++seen;
    });
    CHECK(status.is_ok());
    CHECK(seen == 1000);
    CHECK_FALSE(reader.mid_frame());
  }
}

TEST_CASE("F-91 a length beyond the limit is refused before memory is taken") {
  wire::FrameReader reader(1000);
  Bytes header("\xff\xff\xff\x7f", 4);
  Status status = feed(reader, header, 4, [](const wire::Frame&) { FAIL("no frame"); });
  CHECK(status.code() == Code::too_large);
  CHECK_THAT(status.message(), Catch::Contains("1000") && Catch::Contains("2147483647"));
  CHECK(reader.capacity() <= 64 * 1024);
  CHECK_FALSE(reader.next().is_ok());
}

TEST_CASE("a frame announced and not sent costs what was sent of it") {
  wire::FrameReader reader(64 * 1024 * 1024);
  Bytes start = frame(1, Bytes(60 * 1024 * 1024, 'x')).substr(0, 100'000);
  CHECK(feed(reader, start, 4096, [](const wire::Frame&) { FAIL("no frame"); }).is_ok());
  CHECK(reader.mid_frame());
  CHECK(reader.capacity() <= 256 * 1024);
}

TEST_CASE("the buffer grows to what is announced and no further, and says so before it does") {
  wire::FrameReader reader(64 * 1024 * 1024);
  Bytes bytes = frame(1, Bytes(5 * 1024 * 1024, 'x'));
  std::size_t largest = 0;
  for (BytesView rest = bytes; !rest.empty();) {
    std::size_t wanted = reader.wanted_capacity();
    auto space = reader.prepare();
    REQUIRE(reader.capacity() <= wanted);
    if (reader.mid_frame()) REQUIRE(wanted > bytes.size());  // asked for at once, taken bit by bit
    largest = std::max(largest, reader.capacity());
    std::size_t piece = std::min(space.size(), rest.size());
    std::copy_n(rest.data(), piece, space.data());
    reader.commit(piece);
    rest.remove_prefix(piece);
    REQUIRE(reader.next().is_ok());
  }
  CHECK(largest < bytes.size() + 32 * 1024);
  CHECK_FALSE(reader.mid_frame());
}

TEST_CASE("the memory of a large frame is given back") {
  wire::FrameReader reader(64 * 1024 * 1024);
  CHECK(feed(reader, frame(1, Bytes(8 * 1024 * 1024, 'x')), 1 << 20, [](const wire::Frame&) {
        }).is_ok());
  reader.prepare();
  CHECK(reader.capacity() <= 64 * 1024);
}

TEST_CASE("a frame can be taken with its buffer, and those after it are read as before") {
  Random random(3);
  for (int round = 0; round < 40; ++round) {
    wire::FrameReader reader(64 * 1024 * 1024);
    Bytes bytes;
    std::vector<Bytes> bodies;
    for (std::uint64_t i = 0; i < 12; ++i) {
      Bytes body(random.chance(0.3) ? 300'000 + random.below(900'000) : random.below(40'000), 0);
      for (std::size_t at = 0; at < body.size(); at += 97) body[at] = static_cast<char>(i + at);
      bytes += frame(i, body);
      bodies.push_back(std::move(body));
    }
    std::vector<wire::OwnFrame> taken;
    REQUIRE(feed(reader, bytes, 1 + random.below(700'000), [&](const wire::Frame& one) {
              taken.push_back(reader.take(one));
              REQUIRE(reader.capacity() < 8 * 1024 * 1024);
            }).is_ok());
    REQUIRE(taken.size() == bodies.size());
    for (std::size_t i = 0; i < taken.size(); ++i) {
      REQUIRE(taken[i].frame.number == i);
      REQUIRE(taken[i].frame.body == bodies[i]);
    }
    REQUIRE_FALSE(reader.mid_frame());
  }
}

TEST_CASE("an idle reader can give its buffer up, one in the middle of a frame keeps it") {
  wire::FrameReader reader(1 << 20);
  Bytes bytes = frame(1, "abc");
  std::size_t whole = 0;
  auto count = [&](const wire::Frame&) { ++whole; };
  REQUIRE(feed(reader, bytes.substr(0, 9), 100, count));
  reader.release();
  REQUIRE(feed(reader, bytes.substr(9), 100, count));
  CHECK(whole == 1);
  CHECK(reader.capacity() > 0);
  reader.release();
  CHECK(reader.capacity() == 0);
  REQUIRE(feed(reader, bytes, 100, count));
  CHECK(whole == 2);
}

TEST_CASE("a length too small for a header is corrupt") {
  wire::FrameReader reader(1000);
  Status status = feed(reader, Bytes("\x09\0\0\0", 4), 4, [](const wire::Frame&) {});
  CHECK(status.code() == Code::corrupt);
  CHECK_THAT(status.message(), Catch::Contains("at least 10") && Catch::Contains("9"));
}

}  // namespace
}  // namespace ringlet
