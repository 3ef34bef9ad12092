// A disk in virtual time: what was committed with `log` survives the process, what was synced
// survives the machine, `buffer` survives neither. One disk outlives the engines opened on it.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "storage/storage_engine.hpp"

namespace ringlet::sim {

using Rows = std::map<Bytes, Bytes, std::less<>>;
using Rooms = std::array<Rows, table_count>;

class SimDisk {
 public:
  // A view as a storage engine; at most one open at a time. After a crash the old one answers
  // every call with Code::closed.
  std::shared_ptr<StorageEngine> open();

  void crash_process();  // keeps log and stronger
  void crash_machine();  // keeps what was synced; history_intact() is false at the next open
  void wipe();           // a new, empty disk
  void sync();           // everything committed so far is on the platter; the listener hears it
  void set_full(bool full) { full_ = full; }  // writes are refused, reads served
  bool full() const { return full_; }
  void set_broken(bool broken);  // while so, every read, write and sync is an I/O error
  bool broken() const { return broken_; }
  // A backup of the directory, and its return: a store that has gone back in time.
  Rooms backup() const { return live_; }
  void restore(Rooms backup);
  // Flips a bit of the last byte of a row, as it lies on the platter.
  void damage(Table table, BytesView row);
  // A ticket waits for sync(): whoever owns the time schedules one.
  std::function<void()> on_sync_wanted;
  // A row of the hint table is about to go; its last content.
  std::function<void(BytesView row, BytesView record)> on_hint_dropped;
  // A row was erased by a commit; its last content.
  std::function<void(Table table, BytesView row, BytesView record)> on_erased;
  // A row was committed with this content.
  std::function<void(Table table, BytesView row, BytesView record)> on_written;

  const Rows& rows(Table table) const { return live_[static_cast<int>(table)]; }
  // What a power cut would leave.
  const Rows& synced_rows(Table table) const { return synced_[static_cast<int>(table)]; }

 private:
  friend class SimEngine;
  struct Change {
    Table table;
    Bytes key;
    std::optional<Bytes> value;  // nothing: erased
  };
  struct Batch {
    Durability durability;
    std::vector<Change> changes;
  };
  static void apply(Rooms& rooms, const Batch& batch);
  void replay();

  Rooms synced_, live_;
  std::vector<Batch> journal_;  // committed since the last sync
  StorageEngine::Ticket next_ticket_ = 1, durable_ = 0;
  std::function<void(StorageEngine::Ticket)> listener_;
  std::uint64_t generation_ = 0;  // of the engine that is open
  bool intact_ = false, full_ = false, broken_ = false;
};

}  // namespace ringlet::sim
