#include "book.hpp"

#include "base/assert.hpp"

namespace ringlet::sim {

WriteRecord& Book::begin(WriteRecord record) {
  by_key_[record.key].push_back(record.id);
  auto [it, fresh] = writes_.emplace(record.id, std::move(record));
  RINGLET_ASSERT(fresh);
  if (it->second.tombstone) deletes_[it->second.key].push_back(&it->second);
  return it->second;
}

WriteRecord* Book::find(WriteId id) {
  auto it = writes_.find(id);
  return it == writes_.end() ? nullptr : &it->second;
}

std::set<WriteId> Book::explained_by(const Key& key,
                                     const std::vector<const Object*>& present) const {
  std::set<WriteId> ids;
  for (const Object* object : present) {
    for (const Version& version : object->versions) ids.insert(version.write_id);
  }
  return explained_by(key, ids);
}

std::set<WriteId> Book::explained_by(const Key& key, const std::set<WriteId>& present) const {
  std::set<WriteId> explained = present;
  std::vector<WriteId> next(present.begin(), present.end());
  auto explain = [&](WriteId id) {
    if (explained.insert(id).second) next.push_back(id);
  };
  // A tombstone may be forgotten once it has done its work; that it did is a law of its own.
  auto of_key = deletes_.find(key);
  if (of_key != deletes_.end()) {
    for (const WriteRecord* write : of_key->second) {
      if (!write->dots.empty()) explain(write->id);
    }
  }
  while (!next.empty()) {
    auto it = writes_.find(next.back());
    next.pop_back();
    if (it == writes_.end()) continue;  // a phantom; told elsewhere
    for (WriteId id : it->second.shown) explain(id);
  }
  return explained;
}

bool Book::was_removed(const Key& key, const std::string& item) const {
  auto it = removed_.find(key);
  return it != removed_.end() && it->second.contains(item);
}

std::size_t Book::begin_update(const Key& key, std::size_t client) {
  updates_.push_back({key, client});
  return updates_.size() - 1;
}

const document::Edits& Book::edits_of(WriteId id) const {
  static const document::Edits none;
  auto it = edits_.find(id);
  return it == edits_.end() ? none : it->second;
}

std::string token_of_update(std::size_t update, std::uint32_t call) {
  return std::to_string(update) + "." + std::to_string(call);
}

std::size_t update_of_token(const std::string& token) {
  return std::stoul(token.substr(0, token.find('.')));
}

std::set<WriteId> shown_by(const Object& object) {
  // Those too that shown() leaves out: a copy beside its equal, a tombstone. The context covers them.
  std::set<WriteId> shown;
  for (const Version& version : object.versions) shown.insert(version.write_id);
  return shown;
}

std::set<std::string> items_of(const Bytes& value) {
  std::set<std::string> items;
  for (std::size_t at = 0; at < value.size();) {
    std::size_t end = std::min(value.find('\n', at), value.size());
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

}  // namespace ringlet::sim
