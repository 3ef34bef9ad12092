#include "runtime/address.hpp"

#include <charconv>

namespace ringlet {

Result<Address> Address::parse(const std::string& text) {
  auto wrong = [&](const char* why) {
    return Status(Code::invalid_argument,
                  "address: wanted host:port, got '" + text + "' (" + why + ")");
  };
  std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return wrong("no port");
  Address address;
  address.host = text.substr(0, colon);
  if (address.host.size() >= 2 && address.host.front() == '[' && address.host.back() == ']') {
    address.host = address.host.substr(1, address.host.size() - 2);
  } else if (address.host.find(':') != std::string::npos) {
    return wrong("an IPv6 address goes in brackets");
  }
  if (address.host.empty()) return wrong("no host");
  const char* from = text.data() + colon + 1;
  const char* to = text.data() + text.size();
  auto [end, error] = std::from_chars(from, to, address.port);
  if (from == to || end != to || error != std::errc()) return wrong("the port is 0 to 65535");
  return address;
}

}  // namespace ringlet
