// Between a coordinator and a replica.
#include "wire/message_codecs.hpp"
#include "wire/parts.hpp"

namespace ringlet::wire {

namespace {

void read_nothing(const char* message, BytesView bytes) {
  FieldReader fields(message, bytes);
  while (fields.next()) fields.skip();
}

// The same field in all requests to a replica; away where a request is not strict.
constexpr std::uint32_t counted_tag = 16;

void write_counted(pbf_writer& out, const CountedNodes& counted) {
  if (counted.nodes.empty()) return;
  pbf_writer message(out, counted_tag);
  write_nodes(message, 1, counted.nodes);
  write_number(message, 2, counted.ring_epoch);
}
CountedNodes read_counted(BytesView bytes) {
  CountedNodes counted;
  FieldReader fields("Counted", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        counted.nodes = read_nodes(fields, "nodes", max_counted);
        break;
      case 2:
        counted.ring_epoch = fields.number("ring_epoch");
        break;
      default:
        fields.skip();
    }
  }
  return counted;
}

}  // namespace

void write(const ReplicaGet& m, pbf_writer& out, Bytes&) {
  write_key(out, 1, m.key);
  write_counted(out, m.counted);
}
void read(BytesView bytes, ReplicaGet& m) {
  FieldReader fields("ReplicaGet", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.key = read_key(fields.bytes("key"));
        break;
      case counted_tag:
        m.counted = read_counted(fields.bytes("counted"));
        break;
      default:
        fields.skip();
    }
  }
  fields.need(1, "key");
}

void write(const ReplicaObject& m, pbf_writer& out, Bytes& bytes) {
  write_object(out, bytes, 1, m.object);
  write_number(out, 2, m.left_out);
}
void read(BytesView bytes, ReplicaObject& m) {
  FieldReader fields("ReplicaObject", bytes);
  while (fields.next()) {
    switch (fields.tag()) {
      case 1:
        m.object = read_object(fields.bytes("object"));
        break;
      case 2:
        m.left_out = static_cast<std::uint32_t>(fields.number("left_out", UINT32_MAX));
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
  write_number(out, 6, static_cast<std::uint64_t>(m.reconcile));
  write_counted(out, m.counted);
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
      case 6:
        m.reconcile = static_cast<Reconcile>(fields.number("reconcile", 1));
        break;
      case counted_tag:
        m.counted = read_counted(fields.bytes("counted"));
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
  write_number(out, 5, m.tell_siblings);
  write_counted(out, m.counted);
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
      case 5:
        m.tell_siblings = fields.flag("tell_siblings");
        break;
      case counted_tag:
        m.counted = read_counted(fields.bytes("counted"));
        break;
      default:
        fields.skip();
    }
  }
  fields.need(1, "key");
  fields.need(2, "object");
}

void write(const Stored& m, pbf_writer& out, Bytes& bytes) {
  if (!m.beside.missing()) write_object(out, bytes, 1, m.beside);
}
void write(const Ping&, pbf_writer&, Bytes&) {}
void write(const Pong&, pbf_writer&, Bytes&) {}
void read(BytesView bytes, Stored& m) {
  FieldReader fields("Stored", bytes);
  while (fields.next()) {
    if (fields.tag() == 1) {
      m.beside = read_object(fields.bytes("beside"));
    } else {
      fields.skip();
    }
  }
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

}  // namespace ringlet::wire
