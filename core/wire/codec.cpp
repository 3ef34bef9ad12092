#include "wire/codec.hpp"

#include <utility>

#include "wire/fields.hpp"
#include "wire/frame.hpp"
#include "wire/message_codecs.hpp"

namespace ringlet::wire {
namespace {

template <typename M>
Result<Message> decode_as(const char* name, BytesView body) {
  return strictly<Message>(name, [&]() -> Result<Message> {
    Message message(std::in_place_type<M>);
    read(body, std::get<M>(message));
    return message;
  });
}

}  // namespace

Type type_of(const Message& message) {
  // The variant is in the order of the numbers; a new message goes to the end of both.
  static_assert(std::variant_size_v<Message> == static_cast<std::size_t>(Type::held_answer));
  static_assert(std::is_same_v<std::variant_alternative_t<11, Message>, ClientReply>);
  return static_cast<Type>(message.index() + 1);
}

void encode(const Message& message, Bytes& out) {
  pbf_writer writer(out);
  std::visit([&](const auto& m) { write(m, writer, out); }, message);
}

Result<Message> decode(std::uint8_t type, BytesView body) {
  switch (static_cast<Type>(type)) {
    case Type::replica_get:
      return decode_as<ReplicaGet>("ReplicaGet", body);
    case Type::replica_object:
      return decode_as<ReplicaObject>("ReplicaObject", body);
    case Type::mint_put:
      return decode_as<MintPut>("MintPut", body);
    case Type::minted:
      return decode_as<Minted>("Minted", body);
    case Type::replica_put:
      return decode_as<ReplicaPut>("ReplicaPut", body);
    case Type::stored:
      return decode_as<Stored>("Stored", body);
    case Type::refused:
      return decode_as<Refused>("Refused", body);
    case Type::ping:
      return decode_as<Ping>("Ping", body);
    case Type::pong:
      return decode_as<Pong>("Pong", body);
    case Type::client_get:
      return decode_as<ClientGet>("ClientGet", body);
    case Type::client_put:
      return decode_as<ClientPut>("ClientPut", body);
    case Type::client_reply:
      return decode_as<ClientReply>("ClientReply", body);
    case Type::ring_pull:
      return decode_as<RingPull>("RingPull", body);
    case Type::ring_table:
      return decode_as<RingTable>("RingTable", body);
    case Type::status_query:
      return decode_as<StatusQuery>("StatusQuery", body);
    case Type::status_text:
      return decode_as<StatusText>("StatusText", body);
    case Type::cluster_command:
      return decode_as<ClusterCommand>("ClusterCommand", body);
    case Type::gossip:
      return decode_as<Gossip>("Gossip", body);
    case Type::gossip_answer:
      return decode_as<GossipAnswer>("GossipAnswer", body);
    case Type::transfer_pull:
      return decode_as<TransferPull>("TransferPull", body);
    case Type::transfer_page:
      return decode_as<TransferPage>("TransferPage", body);
    case Type::tree_compare:
      return decode_as<TreeCompare>("TreeCompare", body);
    case Type::tree_differs:
      return decode_as<TreeDiffers>("TreeDiffers", body);
    case Type::segment_compare:
      return decode_as<SegmentCompare>("SegmentCompare", body);
    case Type::segment_differs:
      return decode_as<SegmentDiffers>("SegmentDiffers", body);
    case Type::reap_ask:
      return decode_as<ReapAsk>("ReapAsk", body);
    case Type::reap_answer:
      return decode_as<ReapAnswer>("ReapAnswer", body);
    case Type::reap:
      return decode_as<Reap>("Reap", body);
    case Type::held_check:
      return decode_as<HeldCheck>("HeldCheck", body);
    case Type::held_answer:
      return decode_as<HeldAnswer>("HeldAnswer", body);
    case Type::hello:
    case Type::welcome:
    case Type::goodbye:
      break;
  }
  return Status(Code::corrupt, "frame: wanted the type of a message, 1 to 30, got " +
                                   std::to_string(static_cast<int>(type)));
}

void encode_frame(std::uint8_t version, std::uint64_t number, const Message& message, Bytes& out,
                  const FrameTime& time) {
  std::size_t begun =
      begin_frame(version, static_cast<std::uint8_t>(type_of(message)), number, out, time);
  encode(message, out);
  end_frame(begun, out);
}

}  // namespace ringlet::wire
