// Between a client and its coordinator.
#include "wire/message_codecs.hpp"
#include "wire/parts.hpp"

namespace ringlet::wire {

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
  write_number(out, 8, m.left_out);
  write_number(out, 9, m.minted_once);
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
      case 8:
        m.left_out = static_cast<std::uint32_t>(fields.number("left_out", UINT32_MAX));
        break;
      case 9:
        m.minted_once = fields.flag("minted_once");
        break;
      default:
        fields.skip();
    }
  }
}

}  // namespace ringlet::wire
