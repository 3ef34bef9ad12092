// The recorded history: every write that was ever asked for, what its writer had been shown, and
// what became of it. Workloads write it, laws read it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "versioning/object.hpp"

namespace ringlet::sim {

struct WriteRecord {
  WriteId id;
  Key key;
  Bytes value;
  bool tombstone = false;
  std::size_t client = 0;
  CausalContext seen;       // what the write claims to have seen
  std::set<WriteId> shown;  // what its writer was shown
  bool acknowledged = false;
  std::size_t copies = 0;     // that its acknowledgement promised
  std::int64_t stamp_us = 0;  // last-write-wins: as acknowledged
  Instant until;              // the deadline of the last call that asked for it
  std::set<Dot> dots;         // under which it was stored anywhere
};

class Book {
 public:
  WriteRecord& begin(WriteRecord record);
  WriteRecord* find(WriteId id);
  const std::map<WriteId, WriteRecord>& writes() const { return writes_; }
  const std::map<Key, std::vector<WriteId>>& by_key() const { return by_key_; }

  // The write ids that may rightly be absent when `present` are there: what they, or somebody they
  // had been shown, had been shown. `present` included.
  std::set<WriteId> explained_by(const Key& key, const std::vector<const Object*>& present) const;
  std::set<WriteId> explained_by(const Key& key, const std::set<WriteId>& present) const;

  // Carts: the items each write added, and those that somebody took out.
  void added(WriteId id, const std::string& item) { added_[id] = item; }
  void removed(const Key& key, const std::string& item) { removed_[key].insert(item); }
  const std::map<WriteId, std::string>& added() const { return added_; }
  bool was_removed(const Key& key, const std::string& item) const;

 private:
  std::map<WriteId, WriteRecord> writes_;
  std::map<Key, std::vector<WriteId>> by_key_;
  std::map<Key, std::vector<const WriteRecord*>> deletes_;
  std::map<WriteId, std::string> added_;
  std::map<Key, std::set<std::string>> removed_;
};

// What an application is shown of an object, tombstones included.
std::set<WriteId> shown_by(const Object& object);

std::set<std::string> items_of(const Bytes& value);
Bytes value_of(const std::set<std::string>& items);

}  // namespace ringlet::sim
