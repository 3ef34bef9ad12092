#include "repair/own_copies.hpp"

#include <tuple>

namespace ringlet {

bool row_before(const Key& a, const Key& b) {
  return std::forward_as_tuple(a.bucket.size(), a.bucket, a.key) <
         std::forward_as_tuple(b.bucket.size(), b.bucket, b.key);
}

std::size_t size_about(const Key& key) {
  return 8 + key.bucket.size() + key.key.size();
}

std::size_t size_about(const Object& object) {
  std::size_t bytes = 8 + 24 * object.context.size();
  for (const Version& version : object.versions) {
    bytes += 60 + version.value.size() + version.content_type.size();
  }
  return bytes;
}

std::size_t size_about(const Key& key, const Object& object) {
  return size_about(key) + size_about(object);
}

std::size_t size_about(const std::vector<KeyedObject>& objects) {
  std::size_t bytes = 0;
  for (const KeyedObject& each : objects) bytes += size_about(each.key, each.object);
  return bytes;
}

}  // namespace ringlet
