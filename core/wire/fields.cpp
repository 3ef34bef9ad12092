#include "wire/fields.hpp"

namespace ringlet::wire {

bool is_utf8(BytesView bytes) {
  std::size_t i = 0;
  while (i < bytes.size()) {
    auto first = static_cast<unsigned char>(bytes[i]);
    if (first < 0x80) {
      ++i;
      continue;
    }
    std::size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4 || i + more >= bytes.size()) return false;
    std::uint32_t code = first & (0x3f >> more);
    for (std::size_t k = 1; k <= more; ++k) {
      auto next = static_cast<unsigned char>(bytes[i + k]);
      if ((next & 0xc0) != 0x80) return false;
      code = code << 6 | (next & 0x3f);
    }
    constexpr std::uint32_t lowest[] = {0, 0x80, 0x800, 0x10000};
    if (code < lowest[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return false;
    i += more + 1;
  }
  return true;
}

std::string FieldReader::repeated_text(const char* field, std::size_t limit) {
  BytesView view = repeated_bytes(field);
  if (view.size() > limit) {
    fail(field,
         "wanted at most " + std::to_string(limit) + " bytes, got " + std::to_string(view.size()));
  }
  if (!is_utf8(view)) fail(field, "wanted UTF-8, got '" + printable(view) + "'");
  return std::string(view);
}

void write_text(protozero::pbf_writer& out, std::uint32_t tag, BytesView bytes) {
  if (!bytes.empty()) out.add_bytes(tag, bytes.data(), bytes.size());
}

void write_status(protozero::pbf_writer& out, std::uint32_t tag, const Status& status) {
  if (status == Status()) return;
  protozero::pbf_writer message(out, tag);
  write_number(message, 1, static_cast<std::uint64_t>(status.code()));
  write_text(message, 2, status.message());
  write_number(message, 3, status.maybe_applied());
}

Status read_status(BytesView bytes) {
  FieldReader fields("Status", bytes);
  Code code = Code::ok;
  std::string message;
  bool maybe_applied = false;
  while (fields.next()) {
    switch (fields.tag()) {
      // A newer peer may have codes we cannot name; their category is still theirs.
      case 1:
        code = static_cast<Code>(fields.number("code", 999));
        break;
      case 2:
        message = fields.bytes("message");
        break;
      case 3:
        maybe_applied = fields.flag("maybe_applied");
        break;
      default:
        fields.skip();
    }
  }
  return Status(code, std::move(message), maybe_applied);
}

}  // namespace ringlet::wire
