// The recorded history: every write that was ever asked for, what its writer had been shown, and
// what became of it. Workloads write it, laws read it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "document/edits.hpp"
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

// One update of an application, which adds a token to a counter that is a list of tokens. The token says
// how often the edit had been called before, so that an edit that is called twice leaves two of them.
struct UpdateRecord {
  Key key;
  std::size_t client = 0;
  std::uint32_t edits = 0;     // calls of its edit
  bool written = false;        // its edit's value was handed over while the update waited for it
  bool ended = false;          // its last call is over
  bool acknowledged = false;   // the edit, by the update or by a repetition of its write
  bool maybe_applied = false;  // what the failures said
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

  // Documents: what a write did beside merging; nothing is noted of one that only merged.
  void edited(WriteId id, document::Edits edits) { edits_[id] = std::move(edits); }
  const document::Edits& edits_of(WriteId id) const;

  // Counters: the updates, numbered as they began.
  std::size_t begin_update(const Key& key, std::size_t client);
  UpdateRecord& update(std::size_t number) { return updates_.at(number); }
  const std::vector<UpdateRecord>& updates() const { return updates_; }

 private:
  std::map<WriteId, WriteRecord> writes_;
  std::map<Key, std::vector<WriteId>> by_key_;
  std::map<Key, std::vector<const WriteRecord*>> deletes_;
  std::map<WriteId, std::string> added_;
  std::map<Key, std::set<std::string>> removed_;
  std::vector<UpdateRecord> updates_;
  std::map<WriteId, document::Edits> edits_;
};

// What an application is shown of an object, tombstones included.
std::set<WriteId> shown_by(const Object& object);

std::set<std::string> items_of(const Bytes& value);
Bytes value_of(const std::set<std::string>& items);

// A counter's tokens are items. The number of the update that a token belongs to.
std::string token_of_update(std::size_t update, std::uint32_t call);
std::size_t update_of_token(const std::string& token);

}  // namespace ringlet::sim
