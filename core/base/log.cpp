#include "base/log.hpp"

#include <cstdint>

namespace ringlet {
namespace {

// How many bytes the well-formed UTF-8 character at the front of `text` has; 0: there is none. The C1
// control characters, which terminals obey as well, count as none.
std::size_t character_at(std::string_view text) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  std::uint32_t point = first & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return 0;
    point = point << 6 | (byte(i) & 0x3fU);
  }
  if (point < 0xa0) return 0;
  if ((length == 3 && point < 0x800) || (length == 4 && point < 0x10000)) return 0;
  if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return 0;
  if (point >= 0x2028 && point <= 0x202e) return 0;  // line separators, changes of direction
  return length;
}

}  // namespace

const char* name_of(LogLevel level) {
  switch (level) {
    case LogLevel::trace:
      return "trace";
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warn:
      return "warn";
    case LogLevel::error:
      return "error";
  }
  return "unknown";
}

std::string one_line(std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    if (std::size_t length = character_at(text)) {
      out += text.substr(0, length);
      text.remove_prefix(length);
      continue;
    }
    auto byte = static_cast<unsigned char>(text.front());
    out += "\\x";
    out += digits[byte >> 4];
    out += digits[byte & 15];
    text.remove_prefix(1);
  }
  return out;
}

}  // namespace ringlet
