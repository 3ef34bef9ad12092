#include "checkers.hpp"

namespace ringlet::sim {

std::set<std::string> items_of(const Bytes& value) {
  std::set<std::string> items;
  for (std::size_t at = 0; at < value.size();) {
    std::size_t end = value.find('\n', at);
    items.insert(value.substr(at, end - at));
    at = end + 1;
  }
  return items;
}

Bytes value_of(const std::set<std::string>& items) {
  Bytes value;
  for (const auto& item : items) value += item + '\n';
  return value;
}

void Checkers::adding(const Key& key, const std::string& item, WriteId write_id,
                      const CausalContext& seen) {
  if (!item.empty()) known_[key].insert(item);
  seen_by_[write_id] = seen;
}

void Checkers::on_object(const Key& key, const Object& object, const std::string& where) {
  std::set<WriteId> shown;
  for (const Version* version : siblings(object)) {
    if (!shown.insert(version->write_id).second) {
      fail("a write shown twice", where + " shows write " + to_string(version->write_id) + " of " +
                                      printable(key) + " twice");
    }
  }
  for (const auto& version : object.versions) {
    auto [known, fresh] = dots_[key].emplace(version.dot, version.write_id);
    if (!fresh && known->second != version.write_id) {
      fail("a dot minted twice",
           where + ": " + to_string(version.dot) + " of " + printable(key) + " names two writes");
    }
    if (!seen_by_.contains(version.write_id)) {
      fail("phantom", where + " shows a write of " + printable(key) + " that nobody made");
    }
    for (const auto& item : items_of(version.value)) {
      if (!known_[key].contains(item))
        fail("phantom", where + " shows " + item + " in " + printable(key));
    }
    for (const auto& other : object.versions) {
      if (&other != &version && other.write_id != version.write_id &&
          seen_by_[other.write_id].contains(version.dot)) {
        fail("an ancestor beside a descendant", where + ": " + to_string(version.dot) + " beside " +
                                                    to_string(other.dot) +
                                                    ", which was written having read it");
      }
    }
  }
}

void Checkers::at_the_end(const Key& key, const Object& object) {
  std::set<std::string> left;
  for (const Version* version : siblings(object)) {
    for (const auto& item : items_of(version->value)) left.insert(item);
  }
  for (const auto& item : acknowledged_[key]) {
    if (!left.contains(item) && !removed_[key].contains(item)) {
      fail("a lost add", item + " was acknowledged and is in no version of " + printable(key));
    }
  }
}

}  // namespace ringlet::sim
