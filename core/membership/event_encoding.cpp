#include "membership/event_encoding.hpp"

#include "versioning/hash.hpp"

namespace ringlet::event_encoding {
namespace {

constexpr char format = 1;
constexpr std::uint64_t max_number = std::uint64_t{1} << 56;  // room to count on from

namespace event_field {
enum : unsigned {
  lamport = 1,
  issuer = 2,
  seq = 3,
  wall_ms = 4,
  kind = 5,
  name = 6,
  address = 7,
  zone = 8,
  weight = 9,
  replaces = 10,
  advertise = 11  // absent where there is none, so that views of older releases keep their bytes
};
}

std::uint64_t checksum_at(BytesView bytes) {
  std::uint64_t value = 0;
  for (int i = 8; i >= 1; --i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace

Bytes sealed(BytesView body) {
  Bytes out(1, format);
  std::uint64_t checksum = xxh3(body);
  for (int i = 0; i < 8; ++i) out += static_cast<char>(checksum >> (8 * i));
  out += body;
  return out;
}

Result<BytesView> opened(BytesView bytes, const char* what) {
  auto corrupt = [&](const std::string& why) {
    return Status(Code::corrupt, std::string(what) + ": " + why);
  };
  if (bytes.size() < envelope_bytes) {
    return corrupt("wanted at least 9 bytes, got " + std::to_string(bytes.size()));
  }
  if (bytes[0] != format) {
    return corrupt("wanted format 1, got format " +
                   std::to_string(static_cast<unsigned char>(bytes[0])));
  }
  BytesView body = bytes.substr(envelope_bytes);
  if (checksum_at(bytes) != xxh3(body)) {
    return corrupt("the checksum does not fit the " + std::to_string(body.size()) +
                   " bytes it was made for");
  }
  return body;
}

void write_event(protozero::pbf_writer& parent, unsigned field, const MemberEvent& event) {
  protozero::pbf_writer out{parent, field};
  if (event.lamport != 0) out.add_uint64(event_field::lamport, event.lamport);
  if (event.issuer) out.add_fixed64(event_field::issuer, event.issuer.value);
  if (event.seq != 0) out.add_uint64(event_field::seq, event.seq);
  if (event.wall_ms != 0) out.add_uint64(event_field::wall_ms, event.wall_ms);
  out.add_uint32(event_field::kind, static_cast<std::uint32_t>(event.kind));
  out.add_string(event_field::name, event.member.name);
  out.add_string(event_field::address, event.member.address);
  if (!event.member.zone.empty()) out.add_string(event_field::zone, event.member.zone);
  out.add_uint32(event_field::weight, event.member.weight);
  if (!event.replaces.empty()) out.add_string(event_field::replaces, event.replaces);
  if (!event.member.advertise.empty()) {
    out.add_string(event_field::advertise, event.member.advertise);
  }
}

MemberEvent read_event(protozero::pbf_reader in) {
  MemberEvent event;
  std::uint64_t kind = 0, wall_ms = 0, weight = 0;
  while (in.next()) {
    switch (in.tag_and_type()) {
      case varint(event_field::lamport):
        event.lamport = in.get_uint64();
        break;
      case fixed64(event_field::issuer):
        event.issuer.value = in.get_fixed64();
        break;
      case varint(event_field::seq):
        event.seq = in.get_uint64();
        break;
      case varint(event_field::wall_ms):
        wall_ms = in.get_uint64();
        break;
      case varint(event_field::kind):
        kind = in.get_uint64();
        break;
      case bytes(event_field::name):
        event.member.name = in.get_string();
        break;
      case bytes(event_field::address):
        event.member.address = in.get_string();
        break;
      case bytes(event_field::zone):
        event.member.zone = in.get_string();
        break;
      case varint(event_field::weight):
        weight = in.get_uint64();
        break;
      case bytes(event_field::replaces):
        event.replaces = in.get_string();
        break;
      case bytes(event_field::advertise):
        event.member.advertise = in.get_string();
        break;
      default:
        in.skip();
    }
  }
  if (kind < 1 || kind > 4) throw Malformed{"an event of kind " + std::to_string(kind)};
  if (event.lamport > max_number || event.seq > max_number || wall_ms > max_number) {
    throw Malformed{"an event's number is beyond 2^56"};
  }
  event.kind = static_cast<MemberEvent::Kind>(kind);
  event.wall_ms = static_cast<std::int64_t>(wall_ms);
  event.member.weight = weight > UINT32_MAX ? 0 : static_cast<std::uint32_t>(weight);
  event.member.id = node_id_of(event.member.name);
  if (Status status = check_member(event.member); !status) throw Malformed{status.message()};
  bool replaces = event.kind == MemberEvent::Kind::replace;
  if (replaces != !event.replaces.empty()) {
    throw Malformed{"an event " + std::string(name_of(event.kind)) + " that " +
                    (replaces ? "says not whom" : "says whom it replaces")};
  }
  if (replaces) {
    Member old{node_id_of(event.replaces), event.replaces, event.member.address, "", 1};
    if (Status status = check_member(old); !status) throw Malformed{status.message()};
    if (event.replaces == event.member.name) {
      throw Malformed{"\"" + event.replaces + "\" replaced by itself"};
    }
  }
  return event;
}

}  // namespace ringlet::event_encoding
