#include "protocol/payload.hpp"

#include <variant>

namespace ringlet {

std::size_t payload_bytes(const Object& object) {
  std::size_t bytes = 0;
  for (const Version& version : object.versions) bytes += version.value.size();
  return bytes;
}

std::size_t payload_bytes(const Message& message) {
  return std::visit(
      [](const auto& m) -> std::size_t {
        if constexpr (requires { m.write.value; }) {
          return m.write.value.size();
        } else if constexpr (requires { m.object.versions; }) {
          return payload_bytes(m.object);
        } else if constexpr (requires { m.objects; }) {
          std::size_t bytes = 0;
          for (const KeyedObject& one : m.objects) bytes += payload_bytes(one.object);
          return bytes;
        } else {
          return 0;
        }
      },
      message);
}

Duration carrying_time(std::size_t bytes) {
  if (bytes < bulk_bytes) return {};
  return Duration::micros(static_cast<std::int64_t>(bytes / 16));  // 16 bytes a microsecond
}

}  // namespace ringlet
