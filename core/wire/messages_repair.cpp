// Between the machines of core/repair.
#include "wire/message_codecs.hpp"
#include "wire/parts.hpp"

namespace ringlet::wire {

namespace {

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

}  // namespace

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

}  // namespace ringlet::wire
