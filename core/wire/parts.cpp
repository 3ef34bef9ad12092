#include "wire/parts.hpp"

#include <string>
#include <utility>

#include "versioning/encoding.hpp"

namespace ringlet::wire {

namespace {

[[noreturn]] void fail(const Status& status) {
  throw Malformed{status.message()};
}

// protozero takes a message back that stayed empty; where its presence matters it is written so.
void write_empty(pbf_writer& out, std::uint32_t tag) {
  out.add_bytes(tag, "", 0);
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

}  // namespace

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
  if (!write.replaces.empty()) {
    message.add_packed_fixed64(6, write.replaces.begin(), write.replaces.end());
  }
  write_number(message, 7, write.age_ms);
  write_number(message, 8, static_cast<std::uint64_t>(write.born_us));
  write_number(message, 9, static_cast<std::uint64_t>(write.above_us));
}

// Far beyond any clock: what is added to it stays a number.
constexpr std::uint64_t most_us = std::uint64_t{1} << 62;

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
      case 6:
        fields.fixed64s("replaces", 2 * max_shown,
                        [&](std::uint64_t print) { write.replaces.push_back(print); });
        break;
      case 7:
        write.age_ms = static_cast<std::uint32_t>(fields.number("age_ms", UINT32_MAX));
        break;
      case 8:
        write.born_us = static_cast<std::int64_t>(fields.number("born_us", most_us));
        break;
      case 9:
        write.above_us = static_cast<std::int64_t>(fields.number("above_us", most_us));
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
  write_number(message, 6, options.siblings);
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
      case 6:
        options.siblings = fields.flag("siblings");
        break;
      default:
        fields.skip();
    }
  }
  return options;
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
  write_text(message, 6, member.advertise);
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
      case 6:
        member.advertise = fields.text("advertise", max_name_bytes);
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

}  // namespace ringlet::wire
