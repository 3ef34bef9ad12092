#include "base/bytes.hpp"

namespace ringlet {

std::string printable(BytesView bytes, std::size_t limit) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (char c : bytes.substr(0, limit)) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '\\') {
      out += "\\\\";  // so that what is printed can be read back in one way only
    } else if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      out += "\\x";
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  if (bytes.size() > limit) out += "...";
  return out;
}

std::string printable(const Key& key) {
  if (key.bucket.empty()) return printable(key.key);
  return printable(key.bucket) + "/" + printable(key.key);
}

}  // namespace ringlet
