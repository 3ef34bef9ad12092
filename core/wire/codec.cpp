#include "wire/codec.hpp"

#include <utility>

#include "versioning/encoding.hpp"
#include "wire/fields.hpp"
#include "wire/frame.hpp"

namespace ringlet::wire {
namespace {

using protozero::pbf_writer;

[[noreturn]] void fail(const Status& status) {
  throw Malformed{status.message()};
}

// ---- parts that several messages have ----

// protozero takes a message back that stayed empty; where its presence matters it is written so.
void write_empty(pbf_writer& out, std::uint32_t tag) {
  out.add_bytes(tag, "", 0);
}

void write_key(pbf_writer& out, std::uint32_t tag, const Key& key) {
  if (key.bucket.empty() && key.key.empty()) return write_empty(out, tag);
  pbf_writer message(out, tag);
  write_text(message, 1, key.bucket);
  write_text(message, 2, key.key);
}

Key read_key(BytesView bytes) {
  FieldReader fields("Key", bytes);
  Key key;
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        key.bucket = fields.bytes("bucket");
        break;
      case 2:
        key.key = fields.bytes("key");
        break;
      default:
        fields.skip();
    }
  }
  return key;
}

// `bytes` is what `out` writes to: versioning appends its own encoding inside the open message.
void write_object(pbf_writer& out, Bytes& bytes, std::uint32_t tag, const Object& object) {
  if (object.missing() && object.mode == Reconcile::siblings) return write_empty(out, tag);
  pbf_writer message(out, tag);
  encode_object(object, bytes);
}

Object read_object(BytesView bytes) {
  auto object = decode_object(bytes);
  if (!object) fail(object.status());
  return std::move(*object);
}

void write_context(pbf_writer& out, Bytes& bytes, std::uint32_t tag, const CausalContext& context) {
  if (context.empty()) return;
  pbf_writer message(out, tag);
  encode_causal_context(context, bytes);
}

CausalContext read_context(BytesView bytes) {
  auto context = decode_causal_context(bytes);
  if (!context) fail(context.status());
  return std::move(*context);
}

void write_dot(pbf_writer& out, std::uint32_t tag, const Dot& dot) {
  if (dot == Dot()) return;
  pbf_writer message(out, tag);
  if (dot.actor == Actor()) {
    write_empty(message, 1);
  } else {
    pbf_writer actor(message, 1);
    write_fixed64(actor, 1, dot.actor.node.value);
    write_number(actor, 2, dot.actor.epoch);
  }
  write_number(message, 2, dot.counter);
}

Actor read_actor(BytesView bytes) {
  FieldReader fields("Actor", bytes);
  Actor actor;
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        actor.node.value = fields.fixed64("node");
        break;
      case 2:
        actor.epoch = fields.number("epoch");
        break;
      default:
        fields.skip();
    }
  }
  return actor;
}

Dot read_dot(BytesView bytes) {
  FieldReader fields("Dot", bytes);
  Dot dot;
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        dot.actor = read_actor(fields.bytes("actor"));
        break;
      case 2:
        dot.counter = fields.number("counter");
        break;
      default:
        fields.skip();
    }
  }
  fields.need(1, "actor");
  return dot;
}

void write_write(pbf_writer& out, std::uint32_t tag, const Write& write) {
  pbf_writer message(out, tag);
  write_fixed64(message, 1, write.write_id.high);
  write_fixed64(message, 2, write.write_id.low);
  write_number(message, 3, write.tombstone);
  write_text(message, 4, write.value);
  write_text(message, 5, write.content_type);
}

Write read_write(BytesView bytes) {
  FieldReader fields("Write", bytes);
  Write write;
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        write.write_id.high = fields.fixed64("write_id_high");
        break;
      case 2:
        write.write_id.low = fields.fixed64("write_id_low");
        break;
      case 3:
        write.tombstone = fields.flag("tombstone");
        break;
      case 4:
        write.value = fields.bytes("value");
        break;
      case 5:
        write.content_type = fields.bytes("content_type");
        break;
      default:
        fields.skip();
    }
  }
  if (!write.write_id) fields.fail("write_id", "is missing");
  if (write.tombstone && !write.value.empty()) fields.fail("value", "a tombstone has none");
  return write;
}

WriteDurability read_durability(FieldReader& fields) {
  return static_cast<WriteDurability>(fields.number("durability", 3));
}

void write_options(pbf_writer& out, std::uint32_t tag, const RequestOptions& options) {
  if (options == RequestOptions()) return;
  pbf_writer message(out, tag);
  write_number(message, 1, options.timeout_ms);
  write_number(message, 2, options.r);
  write_number(message, 3, options.w);
  write_number(message, 4, options.strict);
  write_number(message, 5, static_cast<std::uint64_t>(options.durability));
}

std::uint8_t read_quorum(FieldReader& fields, const char* field) {
  return static_cast<std::uint8_t>(fields.number(field, 255));
}
std::uint32_t read_u32(FieldReader& fields, const char* field) {
  return static_cast<std::uint32_t>(fields.number(field, UINT32_MAX));
}

RequestOptions read_options(BytesView bytes) {
  FieldReader fields("RequestOptions", bytes);
  RequestOptions options;
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        options.timeout_ms = read_u32(fields, "timeout_ms");
        break;
      case 2:
        options.r = read_quorum(fields, "r");
        break;
      case 3:
        options.w = read_quorum(fields, "w");
        break;
      case 4:
        options.strict = fields.flag("strict");
        break;
      case 5:
        options.durability = read_durability(fields);
        break;
      default:
        fields.skip();
    }
  }
  return options;
}

std::uint64_t as_number(NodeId node) {
  return node.value;
}
std::uint64_t as_number(std::uint64_t number) {
  return number;
}
// Packed numbers of `Width` bytes, low byte first. By hand: protozero's writer of packed fields
// leaves its parent open when told the size.
template <int Width, typename Numbers>
void write_packed(pbf_writer& out, std::uint32_t tag, const Numbers& numbers) {
  if (numbers.empty()) return;
  Bytes packed;
  packed.reserve(numbers.size() * Width);
  for (const auto& number : numbers) {
    for (int shift = 0; shift < 8 * Width; shift += 8) {
      packed.push_back(static_cast<char>(as_number(number) >> shift));
    }
  }
  out.add_bytes(tag, packed);
}

void write_nodes(pbf_writer& out, std::uint32_t tag, const std::vector<NodeId>& nodes) {
  write_packed<8>(out, tag, nodes);
}

std::vector<NodeId> read_nodes(FieldReader& fields, const char* field, std::size_t limit) {
  std::vector<NodeId> nodes;
  fields.fixed64s(field, limit, [&](std::uint64_t value) { nodes.push_back(NodeId{value}); });
  return nodes;
}

void write_tally(pbf_writer& out, std::uint32_t tag, const Tally& tally) {
  if (tally == Tally()) return;
  pbf_writer message(out, tag);
  write_number(message, 1, tally.wanted);
  write_number(message, 2, tally.got);
  write_number(message, 3, tally.asked);
  write_number(message, 4, tally.not_found);
  write_nodes(message, 5, tally.answered);
  write_nodes(message, 6, tally.silent);
  write_nodes(message, 7, tally.refused);
  write_nodes(message, 8, tally.substitutes);
}

Tally read_tally(BytesView bytes) {
  FieldReader fields("Tally", bytes);
  Tally tally;
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        tally.wanted = read_u32(fields, "wanted");
        break;
      case 2:
        tally.got = read_u32(fields, "got");
        break;
      case 3:
        tally.asked = read_u32(fields, "asked");
        break;
      case 4:
        tally.not_found = read_u32(fields, "not_found");
        break;
      case 5:
        tally.answered = read_nodes(fields, "answered", max_members);
        break;
      case 6:
        tally.silent = read_nodes(fields, "silent", max_members);
        break;
      case 7:
        tally.refused = read_nodes(fields, "refused", max_members);
        break;
      case 8:
        tally.substitutes = read_nodes(fields, "substitutes", max_members);
        break;
      default:
        fields.skip();
    }
  }
  return tally;
}

void write_member(pbf_writer& out, std::uint32_t tag, const Member& member) {
  if (member == Member{{}, {}, {}, {}, 0}) return write_empty(out, tag);
  pbf_writer message(out, tag);
  write_fixed64(message, 1, member.id.value);
  write_text(message, 2, member.name);
  write_text(message, 3, member.address);
  write_text(message, 4, member.zone);
  write_number(message, 5, member.weight);
}

Member read_member(BytesView bytes) {
  FieldReader fields("Member", bytes);
  Member member;
  member.weight = 0;
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        member.id.value = fields.fixed64("id");
        break;
      case 2:
        member.name = fields.text("name", max_name_bytes);
        break;
      case 3:
        member.address = fields.text("address", max_name_bytes);
        break;
      case 4:
        member.zone = fields.text("zone", max_name_bytes);
        break;
      case 5:
        member.weight = read_u32(fields, "weight");
        break;
      default:
        fields.skip();
    }
  }
  return member;
}

void write_objects(pbf_writer& out, Bytes& bytes, std::uint32_t tag,
                   const std::vector<KeyedObject>& objects) {
  for (const KeyedObject& each : objects) {
    pbf_writer message(out, tag);
    write_key(message, 1, each.key);
    write_object(message, bytes, 2, each.object);
  }
}

void limit_repeated(FieldReader& fields, const char* field, std::size_t have, std::size_t limit) {
  if (have < limit) return;
  fields.fail(field, "wanted at most " + std::to_string(limit) + ", got more");
}

void read_keyed_object(FieldReader& of, std::vector<KeyedObject>& objects) {
  BytesView bytes = of.repeated_bytes("objects");
  limit_repeated(of, "objects", objects.size(), max_page_objects);
  FieldReader fields("KeyedObject", bytes);
  KeyedObject each;
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        each.key = read_key(fields.bytes("key"));
        break;
      case 2:
        each.object = read_object(fields.bytes("object"));
        break;
      default:
        fields.skip();
    }
  }
  fields.need(1, "key");
  fields.need(2, "object");
  objects.push_back(std::move(each));
}

std::vector<std::uint64_t> read_u64s(FieldReader& fields, const char* field, std::size_t limit) {
  std::vector<std::uint64_t> numbers;
  fields.fixed64s(field, limit, [&](std::uint64_t value) { numbers.push_back(value); });
  return numbers;
}
std::vector<std::uint32_t> read_u32s(FieldReader& fields, const char* field, std::size_t limit) {
  std::vector<std::uint32_t> numbers;
  fields.fixed32s(field, limit, [&](std::uint32_t value) { numbers.push_back(value); });
  return numbers;
}

void as_many(const FieldReader& fields, const char* field, std::size_t wanted, std::size_t got) {
  if (wanted == got) return;
  fields.fail(field, "wanted " + std::to_string(wanted) + ", got " + std::to_string(got));
}

// ---- each message: write(…) and read(…) in the order of the variant ----

void write(const ReplicaGet& m, pbf_writer& out, Bytes&) {
  write_key(out, 1, m.key);
}
void read(BytesView bytes, ReplicaGet& m) {
  FieldReader fields("ReplicaGet", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.key = read_key(fields.bytes("key"));
        break;
      default:
        fields.skip();
    }
  }
  fields.need(1, "key");
}

void write(const ReplicaObject& m, pbf_writer& out, Bytes& bytes) {
  write_object(out, bytes, 1, m.object);
}
void read(BytesView bytes, ReplicaObject& m) {
  FieldReader fields("ReplicaObject", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.object = read_object(fields.bytes("object"));
        break;
      default:
        fields.skip();
    }
  }
  fields.need(1, "object");
}

void write(const MintPut& m, pbf_writer& out, Bytes& bytes) {
  write_key(out, 1, m.key);
  write_context(out, bytes, 2, m.seen);
  write_write(out, 3, m.write);
  write_fixed64(out, 4, m.hint_for.value);
  write_number(out, 5, static_cast<std::uint64_t>(m.durability));
}
void read(BytesView bytes, MintPut& m) {
  FieldReader fields("MintPut", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.key = read_key(fields.bytes("key"));
        break;
      case 2:
        m.seen = read_context(fields.bytes("seen"));
        break;
      case 3:
        m.write = read_write(fields.bytes("write"));
        break;
      case 4:
        m.hint_for.value = fields.fixed64("hint_for");
        break;
      case 5:
        m.durability = read_durability(fields);
        break;
      default:
        fields.skip();
    }
  }
  fields.need(1, "key");
  fields.need(3, "write");
}

void write(const Minted& m, pbf_writer& out, Bytes& bytes) {
  write_object(out, bytes, 1, m.object);
  write_dot(out, 2, m.dot);
}
void read(BytesView bytes, Minted& m) {
  FieldReader fields("Minted", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.object = read_object(fields.bytes("object"));
        break;
      case 2:
        m.dot = read_dot(fields.bytes("dot"));
        break;
      default:
        fields.skip();
    }
  }
  fields.need(1, "object");
}

void write(const ReplicaPut& m, pbf_writer& out, Bytes& bytes) {
  write_key(out, 1, m.key);
  write_object(out, bytes, 2, m.object);
  write_fixed64(out, 3, m.hint_for.value);
  write_number(out, 4, static_cast<std::uint64_t>(m.durability));
}
void read(BytesView bytes, ReplicaPut& m) {
  FieldReader fields("ReplicaPut", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.key = read_key(fields.bytes("key"));
        break;
      case 2:
        m.object = read_object(fields.bytes("object"));
        break;
      case 3:
        m.hint_for.value = fields.fixed64("hint_for");
        break;
      case 4:
        m.durability = read_durability(fields);
        break;
      default:
        fields.skip();
    }
  }
  fields.need(1, "key");
  fields.need(2, "object");
}

void write(const Stored&, pbf_writer&, Bytes&) {}
void write(const Ping&, pbf_writer&, Bytes&) {}
void write(const Pong&, pbf_writer&, Bytes&) {}
void read_nothing(const char* message, BytesView bytes) {
  FieldReader fields(message, bytes);
  while (fields.next()) fields.skip();
}
void read(BytesView bytes, Stored&) {
  read_nothing("Stored", bytes);
}
void read(BytesView bytes, Ping&) {
  read_nothing("Ping", bytes);
}
void read(BytesView bytes, Pong&) {
  read_nothing("Pong", bytes);
}

void write(const Refused& m, pbf_writer& out, Bytes&) {
  write_status(out, 1, m.status);
  write_number(out, 2, m.retry_after_ms);
}
void read(BytesView bytes, Refused& m) {
  FieldReader fields("Refused", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.status = read_status(fields.bytes("status"));
        break;
      case 2:
        m.retry_after_ms = read_u32(fields, "retry_after_ms");
        break;
      default:
        fields.skip();
    }
  }
}

void write(const ClientGet& m, pbf_writer& out, Bytes&) {
  write_key(out, 1, m.key);
  write_options(out, 2, m.options);
}
void read(BytesView bytes, ClientGet& m) {
  FieldReader fields("ClientGet", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.key = read_key(fields.bytes("key"));
        break;
      case 2:
        m.options = read_options(fields.bytes("options"));
        break;
      default:
        fields.skip();
    }
  }
  fields.need(1, "key");
}

void write(const ClientPut& m, pbf_writer& out, Bytes&) {
  write_key(out, 1, m.key);
  write_text(out, 2, m.context);
  write_write(out, 3, m.write);
  write_options(out, 4, m.options);
  write_number(out, 5, m.forwarded);
}
void read(BytesView bytes, ClientPut& m) {
  FieldReader fields("ClientPut", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.key = read_key(fields.bytes("key"));
        break;
      case 2:
        m.context = fields.bytes("context");
        break;
      case 3:
        m.write = read_write(fields.bytes("write"));
        break;
      case 4:
        m.options = read_options(fields.bytes("options"));
        break;
      case 5:
        m.forwarded = fields.flag("forwarded");
        break;
      default:
        fields.skip();
    }
  }
  fields.need(1, "key");
  fields.need(3, "write");
}

void write(const ClientReply& m, pbf_writer& out, Bytes& bytes) {
  write_status(out, 1, m.status);
  if (m.object != Object()) write_object(out, bytes, 2, m.object);
  write_dot(out, 3, m.dot);
  write_fixed64(out, 4, m.fastest_reader.value);
  write_tally(out, 5, m.tally);
  write_number(out, 6, m.ring_epoch);
  write_number(out, 7, m.retry_after_ms);
}
void read(BytesView bytes, ClientReply& m) {
  FieldReader fields("ClientReply", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.status = read_status(fields.bytes("status"));
        break;
      case 2:
        m.object = read_object(fields.bytes("object"));
        break;
      case 3:
        m.dot = read_dot(fields.bytes("dot"));
        break;
      case 4:
        m.fastest_reader.value = fields.fixed64("fastest_reader");
        break;
      case 5:
        m.tally = read_tally(fields.bytes("tally"));
        break;
      case 6:
        m.ring_epoch = fields.number("ring_epoch");
        break;
      case 7:
        m.retry_after_ms = read_u32(fields, "retry_after_ms");
        break;
      default:
        fields.skip();
    }
  }
}

void write(const RingPull& m, pbf_writer& out, Bytes&) {
  write_number(out, 1, m.have_epoch);
  write_fixed64(out, 2, m.have_digest);
}
void read(BytesView bytes, RingPull& m) {
  FieldReader fields("RingPull", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.have_epoch = fields.number("have_epoch");
        break;
      case 2:
        m.have_digest = fields.fixed64("have_digest");
        break;
      default:
        fields.skip();
    }
  }
}

void write(const RingTable& m, pbf_writer& out, Bytes&) {
  write_number(out, 1, m.unchanged);
  write_text(out, 2, m.options.cluster);
  write_number(out, 3, m.options.partitions);
  write_number(out, 4, m.options.replicas);
  write_number(out, 5, m.options.epoch);
  for (const Member& member : m.options.members) write_member(out, 6, member);
  write_nodes(out, 7, m.owners);
  write_number(out, 8, m.r);
  write_number(out, 9, m.w);
  write_number(out, 10, static_cast<std::uint64_t>(m.reconcile));
  write_nodes(out, 11, m.next);
}
void read(BytesView bytes, RingTable& m) {
  FieldReader fields("RingTable", bytes);
  m.options.cluster.clear();
  m.options.partitions = m.options.replicas = 0;
  m.options.epoch = 0;
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.unchanged = fields.flag("unchanged");
        break;
      case 2:
        m.options.cluster = fields.text("cluster", max_name_bytes);
        break;
      case 3:
        m.options.partitions = read_u32(fields, "partitions");
        break;
      case 4:
        m.options.replicas = read_u32(fields, "replicas");
        break;
      case 5:
        m.options.epoch = fields.number("epoch");
        break;
      case 6: {
        BytesView member = fields.repeated_bytes("members");
        if (m.options.members.size() == max_members) {
          fields.fail("members", "wanted at most " + std::to_string(max_members) + ", got more");
        }
        m.options.members.push_back(read_member(member));
        break;
      }
      case 7:
        m.owners = read_nodes(fields, "owners", max_partitions);
        break;
      case 8:
        m.r = read_quorum(fields, "r");
        break;
      case 9:
        m.w = read_quorum(fields, "w");
        break;
      case 10:
        m.reconcile = static_cast<Reconcile>(fields.number("reconcile", 1));
        break;
      case 11:
        m.next = read_nodes(fields, "next", max_partitions);
        break;
      default:
        fields.skip();
    }
  }
}

void write(const StatusQuery& m, pbf_writer& out, Bytes&) {
  write_text(out, 1, m.what);
  if (m.key != Key()) write_key(out, 2, m.key);
}
void read(BytesView bytes, StatusQuery& m) {
  FieldReader fields("StatusQuery", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.what = fields.text("what", max_what_bytes);
        break;
      case 2:
        m.key = read_key(fields.bytes("key"));
        break;
      default:
        fields.skip();
    }
  }
}

void write(const StatusText& m, pbf_writer& out, Bytes&) {
  write_status(out, 1, m.status);
  write_text(out, 2, m.json);
}
void read(BytesView bytes, StatusText& m) {
  FieldReader fields("StatusText", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.status = read_status(fields.bytes("status"));
        break;
      case 2:
        m.json = fields.bytes("json");
        break;
      default:
        fields.skip();
    }
  }
}

void write(const ClusterCommand& m, pbf_writer& out, Bytes&) {
  write_text(out, 1, m.verb);
  for (const std::string& argument : m.arguments) out.add_string(2, argument);
}
void read(BytesView bytes, ClusterCommand& m) {
  FieldReader fields("ClusterCommand", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.verb = fields.text("verb", max_name_bytes);
        break;
      case 2:
        limit_repeated(fields, "arguments", m.arguments.size(), max_arguments);
        m.arguments.push_back(fields.repeated_text("arguments", max_name_bytes));
        break;
      default:
        fields.skip();
    }
  }
}

void write(const Gossip& m, pbf_writer& out, Bytes&) {
  write_text(out, 1, m.name);
  write_text(out, 2, m.address);
  write_text(out, 3, m.cluster);
  write_fixed64(out, 4, m.digest);
  write_text(out, 5, m.view);
}
void read(BytesView bytes, Gossip& m) {
  FieldReader fields("Gossip", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.name = fields.text("name", max_name_bytes);
        break;
      case 2:
        m.address = fields.text("address", max_name_bytes);
        break;
      case 3:
        m.cluster = fields.text("cluster", max_name_bytes);
        break;
      case 4:
        m.digest = fields.fixed64("digest");
        break;
      case 5:
        m.view = fields.bytes("view");
        break;
      default:
        fields.skip();
    }
  }
}

void write(const GossipAnswer& m, pbf_writer& out, Bytes&) {
  write_fixed64(out, 1, m.digest);
  write_text(out, 2, m.view);
}
void read(BytesView bytes, GossipAnswer& m) {
  FieldReader fields("GossipAnswer", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.digest = fields.fixed64("digest");
        break;
      case 2:
        m.view = fields.bytes("view");
        break;
      default:
        fields.skip();
    }
  }
}

void write(const TransferPull& m, pbf_writer& out, Bytes&) {
  write_number(out, 1, m.partition);
  write_number(out, 2, m.partitions);
  write_number(out, 3, m.first);
  if (m.after != Key()) write_key(out, 4, m.after);
  write_number(out, 5, m.max_bytes);
}
void read(BytesView bytes, TransferPull& m) {
  FieldReader fields("TransferPull", bytes);
  m.first = false;
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.partition = read_u32(fields, "partition");
        break;
      case 2:
        m.partitions = read_u32(fields, "partitions");
        break;
      case 3:
        m.first = fields.flag("first");
        break;
      case 4:
        m.after = read_key(fields.bytes("after"));
        break;
      case 5:
        m.max_bytes = read_u32(fields, "max_bytes");
        break;
      default:
        fields.skip();
    }
  }
}

void write(const TransferPage& m, pbf_writer& out, Bytes& bytes) {
  write_objects(out, bytes, 1, m.objects);
  write_number(out, 2, m.last);
  write_fixed64(out, 3, m.checksum);
}
void read(BytesView bytes, TransferPage& m) {
  FieldReader fields("TransferPage", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        read_keyed_object(fields, m.objects);
        break;
      case 2:
        m.last = fields.flag("last");
        break;
      case 3:
        m.checksum = fields.fixed64("checksum");
        break;
      default:
        fields.skip();
    }
  }
}

void write(const TreeCompare& m, pbf_writer& out, Bytes&) {
  write_number(out, 1, m.level);
  write_number(out, 2, m.partition);
  write_packed<4>(out, 3, m.nodes);
  write_packed<8>(out, 4, m.hashes);
}
void read(BytesView bytes, TreeCompare& m) {
  FieldReader fields("TreeCompare", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.level = static_cast<std::uint8_t>(fields.number("level", 2));
        break;
      case 2:
        m.partition = read_u32(fields, "partition");
        break;
      case 3:
        m.nodes = read_u32s(fields, "nodes", max_tree_nodes);
        break;
      case 4:
        m.hashes = read_u64s(fields, "hashes", max_tree_nodes);
        break;
      default:
        fields.skip();
    }
  }
}

void write(const TreeDiffers& m, pbf_writer& out, Bytes&) {
  write_packed<4>(out, 1, m.nodes);
}
void read(BytesView bytes, TreeDiffers& m) {
  FieldReader fields("TreeDiffers", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.nodes = read_u32s(fields, "nodes", max_tree_nodes);
        break;
      default:
        fields.skip();
    }
  }
}

void write(const SegmentCompare& m, pbf_writer& out, Bytes&) {
  write_number(out, 1, m.partition);
  write_packed<8>(out, 3, m.key_hashes);
  write_packed<8>(out, 4, m.clock_hashes);
  write_packed<4>(out, 5, m.segments);
  write_fixed64(out, 6, m.after);
}
void read(BytesView bytes, SegmentCompare& m) {
  FieldReader fields("SegmentCompare", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.partition = read_u32(fields, "partition");
        break;
      case 3:
        m.key_hashes = read_u64s(fields, "key_hashes", max_segment_keys);
        break;
      case 4:
        m.clock_hashes = read_u64s(fields, "clock_hashes", max_segment_keys);
        break;
      case 5:
        m.segments = read_u32s(fields, "segments", max_tree_nodes);
        break;
      case 6:
        m.after = fields.fixed64("after");
        break;
      default:
        fields.skip();
    }
  }
  as_many(fields, "clock_hashes", m.key_hashes.size(), m.clock_hashes.size());
}

void write(const SegmentDiffers& m, pbf_writer& out, Bytes& bytes) {
  write_objects(out, bytes, 1, m.objects);
  write_packed<8>(out, 2, m.wanted);
  write_number(out, 3, m.more);
  write_number(out, 4, m.listed_to);
}
void read(BytesView bytes, SegmentDiffers& m) {
  FieldReader fields("SegmentDiffers", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        read_keyed_object(fields, m.objects);
        break;
      case 2:
        m.wanted = read_u64s(fields, "wanted", max_segment_keys);
        break;
      case 3:
        m.more = fields.flag("more");
        break;
      case 4:
        m.listed_to = read_u32(fields, "listed_to");
        break;
      default:
        fields.skip();
    }
  }
}

// ReapAsk and Reap have the same fields.
template <typename M>
void write_reaped(const M& m, pbf_writer& out) {
  for (const Key& key : m.keys) write_key(out, 1, key);
  write_packed<8>(out, 2, m.clock_hashes);
}
template <typename M>
void read_reaped(const char* name, BytesView bytes, M& m) {
  FieldReader fields(name, bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        limit_repeated(fields, "keys", m.keys.size(), max_reaped);
        m.keys.push_back(read_key(fields.repeated_bytes("keys")));
        break;
      case 2:
        m.clock_hashes = read_u64s(fields, "clock_hashes", max_reaped);
        break;
      default:
        fields.skip();
    }
  }
  as_many(fields, "clock_hashes", m.keys.size(), m.clock_hashes.size());
}
void write(const ReapAsk& m, pbf_writer& out, Bytes&) {
  write_reaped(m, out);
}
void read(BytesView bytes, ReapAsk& m) {
  read_reaped("ReapAsk", bytes, m);
}
void write(const Reap& m, pbf_writer& out, Bytes&) {
  write_reaped(m, out);
}
void read(BytesView bytes, Reap& m) {
  read_reaped("Reap", bytes, m);
}

void write(const ReapAnswer& m, pbf_writer& out, Bytes&) {
  write_text(out, 1, Bytes(m.may.begin(), m.may.end()));
}
void read(BytesView bytes, ReapAnswer& m) {
  FieldReader fields("ReapAnswer", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1: {
        BytesView may = fields.bytes("may");
        if (may.size() > max_reaped) {
          fields.fail("may", "wanted at most " + std::to_string(max_reaped) + " answers, got " +
                                 std::to_string(may.size()));
        }
        for (char yes : may) {
          if (yes != 0 && yes != 1) fields.fail("may", "wanted bytes 0 or 1");
          m.may.push_back(static_cast<std::uint8_t>(yes));
        }
        break;
      }
      default:
        fields.skip();
    }
  }
}

void write(const HeldCheck& m, pbf_writer& out, Bytes&) {
  write_number(out, 1, m.partition);
  for (const Key& key : m.keys) write_key(out, 2, key);
  write_packed<8>(out, 3, m.clock_hashes);
}
void read(BytesView bytes, HeldCheck& m) {
  FieldReader fields("HeldCheck", bytes);
  std::size_t key_bytes = 0;
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.partition = read_u32(fields, "partition");
        break;
      case 2: {
        BytesView key = fields.repeated_bytes("keys");
        limit_repeated(fields, "keys", m.keys.size(), max_held);
        key_bytes += key.size();
        if (key_bytes > max_held_bytes) {
          fields.fail("keys", "wanted at most " + std::to_string(max_held_bytes) +
                                  " bytes together, got more");
        }
        m.keys.push_back(read_key(key));
        break;
      }
      case 3:
        m.clock_hashes = read_u64s(fields, "clock_hashes", max_held);
        break;
      default:
        fields.skip();
    }
  }
  as_many(fields, "clock_hashes", m.keys.size(), m.clock_hashes.size());
}

void write(const HeldAnswer& m, pbf_writer& out, Bytes&) {
  write_packed<4>(out, 1, m.lacking);
}
void read(BytesView bytes, HeldAnswer& m) {
  FieldReader fields("HeldAnswer", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.lacking = read_u32s(fields, "lacking", max_held);
        break;
      default:
        fields.skip();
    }
  }
}

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

void encode_frame(std::uint8_t version, std::uint64_t number, const Message& message, Bytes& out) {
  std::size_t begun =
      begin_frame(version, static_cast<std::uint8_t>(type_of(message)), number, out);
  encode(message, out);
  end_frame(begun, out);
}

}  // namespace ringlet::wire
