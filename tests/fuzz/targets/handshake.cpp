// handshake: Hello, Welcome and Goodbye; what is agreed on is what both can do
#include "wire/handshake.hpp"
#include "fuzz/input.hpp"
#include "fuzz/target.hpp"
#include "wire/codec.hpp"

namespace ringlet::fuzz {
namespace {

wire::Frame only_frame(wire::FrameReader& reader, BytesView bytes) {
  while (!bytes.empty()) {
    auto room = reader.prepare();
    std::size_t size = std::min(room.size(), bytes.size());
    std::copy_n(bytes.data(), size, room.data());
    reader.commit(size);
    bytes.remove_prefix(size);
  }
  auto frame = reader.next();
  hold(frame.is_ok() && frame->has_value(), "what a handshake wrote is no frame");
  return **frame;
}

void survives(const wire::Hello& hello) {
  Bytes bytes;
  wire::encode_frame(hello, bytes);
  wire::FrameReader reader(wire::max_handshake_bytes);
  auto again = wire::decode_hello(only_frame(reader, bytes));
  hold(again.is_ok() && *again == hello, "a Hello does not survive encode and decode");
}
void survives(const wire::Welcome& welcome) {
  Bytes bytes;
  wire::encode_frame(welcome, bytes);
  wire::FrameReader reader(wire::max_handshake_bytes);
  auto again = wire::decode_welcome(only_frame(reader, bytes));
  hold(again.is_ok() && *again == welcome, "a Welcome does not survive encode and decode");
}
void survives(const wire::Goodbye& goodbye) {
  Bytes bytes;
  wire::encode_frame(goodbye, bytes);
  wire::FrameReader reader(1 << 20);  // a reason may come later, under the agreed limit
  auto again = wire::decode_goodbye(only_frame(reader, bytes));
  hold(again.is_ok() && again->status == goodbye.status,
       "a Goodbye does not survive encode and decode");
}

void hold_agreement(const wire::Hello& hello) {
  wire::Self self{"ringlet", "n1", node_id_of("n1"), 1, 3, 5};
  auto welcome = wire::answer_hello(hello, self);
  if (!welcome) {
    hold(!welcome.status().message().empty(), "refused without a sentence");
    return;
  }
  hold(hello.cluster == self.cluster, "a stranger's Hello was welcomed");
  hold(welcome->version >= self.lowest_version && welcome->version <= self.highest_version,
       "agreed on a version this node does not speak");
  hold((welcome->features & ~(hello.features & self.features)) == 0,
       "agreed on an ability that one side lacks");
  Status checked = wire::check_welcome(*welcome, hello);
  hold(checked.is_ok(), "the asker refuses what it was given: " + checked.message());
  survives(*welcome);
}

}  // namespace

Verdict handshake(BytesView input) {
  Input in(input);
  wire::Frame frame;
  frame.type = static_cast<std::uint8_t>(wire::Type::hello);
  switch (in.byte() % 4) {
    case 0:
      break;
    case 1:
      frame.type = static_cast<std::uint8_t>(wire::Type::welcome);
      break;
    case 2:
      frame.type = static_cast<std::uint8_t>(wire::Type::goodbye);
      break;
    default:
      frame.version = in.byte();
      frame.type = in.byte();
  }
  frame.body = in.rest();

  Verdict verdict = Verdict::refused;
  if (auto hello = wire::decode_hello(frame)) {
    survives(*hello);
    hold_agreement(*hello);
    verdict = Verdict::taken;
  }
  if (auto welcome = wire::decode_welcome(frame)) {
    survives(*welcome);
    verdict = Verdict::taken;
  }
  if (auto goodbye = wire::decode_goodbye(frame)) {
    survives(*goodbye);
    verdict = Verdict::taken;
  }
  return verdict;
}

}  // namespace ringlet::fuzz
