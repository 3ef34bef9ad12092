// The first words on a connection, so that strangers part at once and say why.
//
//   who connects   Hello: the versions it speaks, its abilities, its cluster, who it is
//   who accepts    Welcome: what was agreed on; or Goodbye: why not, and the connection is closed
//
// Goodbye may also come later, as the last frame of a connection that is dropped for a reason.
// These three keep their form for ever; their frames have version 0 and number 0.
#pragma once

#include <cstdint>
#include <string>

#include "base/ids.hpp"
#include "base/status.hpp"
#include "wire/frame.hpp"
#include "wire/limits.hpp"

namespace ringlet::wire {

enum class Role : std::uint8_t { client = 0, member = 1 };

struct Hello {
  std::uint32_t lowest_version = min_version, highest_version = max_version;
  std::uint64_t features = wire::features;
  std::string cluster;
  std::string name;  // a member's; a client may have none
  NodeId node;       // a member's
  Role role = Role::client;
  // When it was sent, by the sender's monotonic clock; 0: not said. The first measure of the line.
  std::uint64_t sent_us = 0;
  friend bool operator==(const Hello&, const Hello&) = default;
};

struct Welcome {
  std::uint32_t version = max_version;
  std::uint64_t features = 0;
  std::string cluster;
  std::string name;
  NodeId node;
  friend bool operator==(const Welcome&, const Welcome&) = default;
};

struct Goodbye {
  Status status;
};

void encode_frame(const Hello& hello, Bytes& out);
void encode_frame(const Welcome& welcome, Bytes& out);
void encode_frame(const Goodbye& goodbye, Bytes& out);
Result<Hello> decode_hello(const Frame& frame);
Result<Welcome> decode_welcome(const Frame& frame);  // a Goodbye comes back as its status
Result<Goodbye> decode_goodbye(const Frame& frame);

// What the accepting side is.
struct Self {
  std::string cluster;
  std::string name;
  NodeId node;
  std::uint32_t lowest_version = min_version, highest_version = max_version;
  std::uint64_t features = wire::features;
};
// The highest version both speak, or unsupported (names both ranges), or invalid_argument (names
// both clusters; a member whose id is not its name's).
Result<Welcome> answer_hello(const Hello& hello, const Self& self);
// The connecting side's last look: a version outside what it offered is unsupported.
Status check_welcome(const Welcome& welcome, const Hello& hello);

}  // namespace ringlet::wire
