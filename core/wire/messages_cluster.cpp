// Rings, status, orders and gossip.
#include "wire/message_codecs.hpp"
#include "wire/parts.hpp"

namespace ringlet::wire {

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
  write_text(out, 6, m.settings);
  write_number(out, 7, m.settled);
  write_number(out, 8, m.moved);
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
      case 6:
        m.settings = fields.bytes("settings");
        break;
      case 7:
        m.settled = fields.flag("settled");
        break;
      case 8:
        m.moved = fields.flag("moved");
        break;
      default:
        fields.skip();
    }
  }
}

void write(const GossipAnswer& m, pbf_writer& out, Bytes&) {
  write_fixed64(out, 1, m.digest);
  write_text(out, 2, m.view);
  write_text(out, 3, m.settings);
  write_number(out, 4, m.settled);
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
      case 3:
        m.settings = fields.bytes("settings");
        break;
      case 4:
        m.settled = fields.flag("settled");
        break;
      default:
        fields.skip();
    }
  }
}

}  // namespace ringlet::wire
