#include "wire/handshake.hpp"

#include <algorithm>

#include "wire/codec.hpp"
#include "wire/fields.hpp"

namespace ringlet::wire {
namespace {

template <typename Write>
void encode_handshake(Type type, Bytes& out, Write&& write) {
  std::size_t begun = begin_frame(0, static_cast<std::uint8_t>(type), 0, out);
  {
    protozero::pbf_writer writer(out);
    write(writer);
  }
  end_frame(begun, out);
}

std::string range(std::uint32_t lowest, std::uint32_t highest) {
  std::string text = std::to_string(lowest);
  return lowest == highest ? text : text + " to " + std::to_string(highest);
}

Status check_type(const Frame& frame, Type wanted, const char* name) {
  if (frame.version == 0 && frame.type == static_cast<std::uint8_t>(wanted)) return Status::ok();
  return Status(Code::corrupt, std::string("handshake: wanted ") + name + " (type " +
                                   std::to_string(static_cast<int>(wanted)) +
                                   " in version 0), got type " + std::to_string(frame.type) +
                                   " in version " + std::to_string(frame.version));
}

}  // namespace

void encode_frame(const Hello& hello, Bytes& out) {
  encode_handshake(Type::hello, out, [&](protozero::pbf_writer& writer) {
    write_number(writer, 1, hello.lowest_version);
    write_number(writer, 2, hello.highest_version);
    write_number(writer, 3, hello.features);
    write_text(writer, 4, hello.cluster);
    write_text(writer, 5, hello.name);
    write_fixed64(writer, 6, hello.node.value);
    write_number(writer, 7, static_cast<std::uint64_t>(hello.role));
    write_fixed64(writer, 15, hello.sent_us);
  });
}

void encode_frame(const Welcome& welcome, Bytes& out) {
  encode_handshake(Type::welcome, out, [&](protozero::pbf_writer& writer) {
    write_number(writer, 1, welcome.version);
    write_number(writer, 2, welcome.features);
    write_text(writer, 3, welcome.cluster);
    write_text(writer, 4, welcome.name);
    write_fixed64(writer, 5, welcome.node.value);
  });
}

void encode_frame(const Goodbye& goodbye, Bytes& out) {
  encode_handshake(Type::goodbye, out,
                   [&](protozero::pbf_writer& writer) { write_status(writer, 1, goodbye.status); });
}

Result<Hello> decode_hello(const Frame& frame) {
  if (Status status = check_type(frame, Type::hello, "Hello"); !status) return status;
  return strictly<Hello>("Hello", [&]() -> Result<Hello> {
    FieldReader fields("Hello", frame.body);
    Hello hello;
    hello.lowest_version = hello.highest_version = 0;
    hello.features = 0;
    while (fields.next()) {
      switch (fields.tag()) {
        case 1:
          hello.lowest_version =
              static_cast<std::uint32_t>(fields.number("lowest_version", UINT32_MAX));
          break;
        case 2:
          hello.highest_version =
              static_cast<std::uint32_t>(fields.number("highest_version", UINT32_MAX));
          break;
        case 3:
          hello.features = fields.number("features");
          break;
        case 4:
          hello.cluster = fields.text("cluster", max_name_bytes);
          break;
        case 5:
          hello.name = fields.text("name", max_name_bytes);
          break;
        case 6:
          hello.node.value = fields.fixed64("node");
          break;
        case 7:
          hello.role = static_cast<Role>(fields.number("role", 1));
          break;
        case 15:
          hello.sent_us = fields.fixed64("sent_us");
          break;
        default:
          fields.skip();
      }
    }
    if (hello.lowest_version == 0 || hello.highest_version < hello.lowest_version) {
      fields.fail("lowest_version", "wanted versions from 1 up, got " +
                                        range(hello.lowest_version, hello.highest_version));
    }
    return hello;
  });
}

Result<Welcome> decode_welcome(const Frame& frame) {
  if (frame.version == 0 && frame.type == static_cast<std::uint8_t>(Type::goodbye)) {
    auto goodbye = decode_goodbye(frame);
    return goodbye ? goodbye->status : goodbye.status();
  }
  if (Status status = check_type(frame, Type::welcome, "Welcome"); !status) return status;
  return strictly<Welcome>("Welcome", [&]() -> Result<Welcome> {
    FieldReader fields("Welcome", frame.body);
    Welcome welcome;
    welcome.version = 0;
    while (fields.next()) {
      switch (fields.tag()) {
        case 1:
          welcome.version = static_cast<std::uint32_t>(fields.number("version", UINT32_MAX));
          break;
        case 2:
          welcome.features = fields.number("features");
          break;
        case 3:
          welcome.cluster = fields.text("cluster", max_name_bytes);
          break;
        case 4:
          welcome.name = fields.text("name", max_name_bytes);
          break;
        case 5:
          welcome.node.value = fields.fixed64("node");
          break;
        default:
          fields.skip();
      }
    }
    return welcome;
  });
}

Result<Goodbye> decode_goodbye(const Frame& frame) {
  if (Status status = check_type(frame, Type::goodbye, "Goodbye"); !status) return status;
  return strictly<Goodbye>("Goodbye", [&]() -> Result<Goodbye> {
    FieldReader fields("Goodbye", frame.body);
    Goodbye goodbye;
    while (fields.next()) {
      switch (fields.tag()) {
        case 1:
          goodbye.status = read_status(fields.bytes("status"));
          break;
        default:
          fields.skip();
      }
    }
    if (goodbye.status.is_ok()) fields.fail("status", "is missing");
    return goodbye;
  });
}

Result<Welcome> answer_hello(const Hello& hello, const Self& self) {
  std::string who = self.name.empty() ? "this node" : self.name;
  std::uint32_t version = std::min(hello.highest_version, self.highest_version);
  if (version < std::max(hello.lowest_version, self.lowest_version)) {
    return Status(Code::unsupported, "handshake: no common protocol version: " + who + " speaks " +
                                         range(self.lowest_version, self.highest_version) +
                                         ", the peer " +
                                         range(hello.lowest_version, hello.highest_version));
  }
  if (hello.cluster != self.cluster) {
    return Status(Code::invalid_argument, "handshake: " + who + " belongs to cluster '" +
                                              self.cluster + "', the peer wanted cluster '" +
                                              hello.cluster + "'");
  }
  if (hello.role == Role::member && hello.node != node_id_of(hello.name)) {
    return Status(Code::invalid_argument, "handshake: member '" + hello.name + "' wanted id " +
                                              to_string(node_id_of(hello.name)) + ", got " +
                                              to_string(hello.node));
  }
  return Welcome{version, hello.features & self.features, self.cluster, self.name, self.node};
}

Status check_welcome(const Welcome& welcome, const Hello& hello) {
  if (welcome.version < hello.lowest_version || welcome.version > hello.highest_version) {
    return Status(Code::unsupported, "handshake: offered protocol version " +
                                         range(hello.lowest_version, hello.highest_version) + ", " +
                                         (welcome.name.empty() ? "the node" : welcome.name) +
                                         " chose " + std::to_string(welcome.version));
  }
  if (welcome.cluster != hello.cluster) {
    return Status(Code::invalid_argument, "handshake: wanted cluster '" + hello.cluster +
                                              "', got a node of cluster '" + welcome.cluster + "'");
  }
  return Status::ok();
}

}  // namespace ringlet::wire
