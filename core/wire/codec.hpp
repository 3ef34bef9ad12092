// Messages as bytes: the messages of ringlet.proto, in its canonical form (fields in order, defaults
// left out), written and read with protozero.
//
// decode is strict: a field twice, of the wrong wire type, out of its range, or missing where the
// message makes no sense without it, is Code::corrupt and the sentence names message and field.
// Fields it does not know are skipped: a newer peer may send them.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/status.hpp"
#include "protocol/messages.hpp"
#include "wire/frame.hpp"

namespace ringlet::wire {

// The type byte of a frame. Numbers are never reused.
enum class Type : std::uint8_t {
  replica_get = 1,
  replica_object = 2,
  mint_put = 3,
  minted = 4,
  replica_put = 5,
  stored = 6,
  refused = 7,
  ping = 8,
  pong = 9,
  client_get = 10,
  client_put = 11,
  client_reply = 12,
  ring_pull = 13,
  ring_table = 14,
  status_query = 15,
  status_text = 16,
  cluster_command = 17,
  gossip = 18,
  gossip_answer = 19,
  transfer_pull = 20,
  transfer_page = 21,
  tree_compare = 22,
  tree_differs = 23,
  segment_compare = 24,
  segment_differs = 25,
  reap_ask = 26,
  reap_answer = 27,
  reap = 28,
  held_check = 29,
  held_answer = 30,
  hello = 100,
  welcome = 101,
  goodbye = 102,  // handshake.hpp
};

Type type_of(const Message& message);
void encode(const Message& message, Bytes& out);  // appends the body
Result<Message> decode(std::uint8_t type, BytesView body);

// A whole frame, appended.
void encode_frame(std::uint8_t version, std::uint64_t number, const Message& message, Bytes& out,
                  const FrameTime& time = {});

}  // namespace ringlet::wire
