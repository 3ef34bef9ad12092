#include "sim/sim_disk.hpp"

#include "base/assert.hpp"

namespace ringlet::sim {

class SimEngine final : public StorageEngine {
 public:
  explicit SimEngine(SimDisk& disk)
      : disk_(disk), generation_(disk.generation_), intact_(disk.intact_) {}

  Result<std::optional<Bytes>> get(Table table, BytesView key) override {
    if (gone()) return closed();
    if (disk_.broken_) return broken();
    const auto& rows = disk_.rows(table);
    auto it = rows.find(key);
    return it == rows.end() ? std::optional<Bytes>() : std::optional<Bytes>(it->second);
  }

  Result<Ticket> transact(Durability durability, const Body& body) override {
    if (gone()) return closed();
    if (disk_.broken_) return broken();
    RINGLET_ASSERT(!inside_);  // a body may not call the engine: others would wait for themselves
    inside_ = true;
    Writes writes(disk_);
    Status done = body(writes);
    inside_ = false;
    if (!done) return done;
    if (writes.batch.changes.empty()) {
      bool all_synced = disk_.journal_.empty();
      return durability == Durability::disk && !all_synced ? ticket() : Ticket{0};
    }
    if (disk_.full_) return Status(Code::unavailable, "disk full");
    for (const auto& change : writes.batch.changes) {
      if (change.table != Table::hints || change.value || !disk_.on_hint_dropped) continue;
      auto it = disk_.rows(Table::hints).find(change.key);
      if (it != disk_.rows(Table::hints).end()) disk_.on_hint_dropped(it->first, it->second);
    }
    writes.batch.durability = durability;
    std::vector<std::pair<const SimDisk::Change*, Bytes>> erased;
    for (const auto& change : writes.batch.changes) {
      auto it = disk_.rows(change.table).find(change.key);
      if (!change.value && it != disk_.rows(change.table).end())
        erased.emplace_back(&change, it->second);
    }
    SimDisk::apply(disk_.live_, writes.batch);
    for (const auto& change : writes.batch.changes) {
      if (change.value && disk_.on_written)
        disk_.on_written(change.table, change.key, *change.value);
    }
    for (const auto& [change, record] : erased) {
      if (disk_.on_erased) disk_.on_erased(change->table, change->key, record);
    }
    disk_.journal_.push_back(std::move(writes.batch));
    // Not at the opening: a node that stopped before it took fresh epochs must be told again.
    if (durability != Durability::buffer) disk_.intact_ = true;
    ++stats_.commits;
    return durability == Durability::disk ? ticket() : Ticket{0};
  }

  Status scan(Table table, BytesView from, BytesView to, const Visitor& visit) override {
    if (gone()) return closed();
    if (disk_.broken_) return broken();
    const auto& rows = disk_.rows(table);
    for (auto it = rows.lower_bound(from); it != rows.end(); ++it) {
      if (!to.empty() && BytesView(it->first) >= to) break;
      if (!visit(it->first, it->second)) break;
    }
    return Status::ok();
  }

  Ticket durable_up_to() const override { return disk_.durable_; }
  void set_durable_listener(std::function<void(Ticket)> listener) override {
    if (!gone()) disk_.listener_ = std::move(listener);
  }
  Status flush() override {
    RINGLET_ASSERT(!inside_);
    if (gone()) return closed();
    disk_.sync();
    return Status::ok();
  }
  bool history_intact() const override { return intact_; }
  EngineStats stats() const override { return stats_; }
  const char* name() const override { return "simulated"; }
  Status close() override {
    if (gone()) return closed();
    disk_.sync();
    ++disk_.generation_;
    return Status::ok();
  }

 private:
  struct Writes final : Transaction {
    explicit Writes(SimDisk& d) : disk(d) {}
    Result<std::optional<Bytes>> get(Table table, BytesView key) override {
      for (auto it = batch.changes.rbegin(); it != batch.changes.rend(); ++it) {
        if (it->table == table && it->key == key) return it->value;
      }
      const auto& rows = disk.rows(table);
      auto it = rows.find(key);
      return it == rows.end() ? std::optional<Bytes>() : std::optional<Bytes>(it->second);
    }
    Status put(Table table, BytesView key, BytesView value) override {
      batch.changes.push_back({table, Bytes(key), Bytes(value)});
      return Status::ok();
    }
    Status erase(Table table, BytesView key) override {
      batch.changes.push_back({table, Bytes(key), std::nullopt});
      return Status::ok();
    }
    SimDisk& disk;
    SimDisk::Batch batch{Durability::log, {}};
  };

  Ticket ticket() {
    Ticket ticket = disk_.next_ticket_++;
    if (disk_.on_sync_wanted) disk_.on_sync_wanted();
    return ticket;
  }
  bool gone() const { return generation_ != disk_.generation_; }
  static Status broken() { return Status(Code::io, "the disk returns I/O errors"); }
  static Status closed() {
    return Status(Code::closed, "the process that opened this disk is gone");
  }

  SimDisk& disk_;
  std::uint64_t generation_;
  bool intact_;
  bool inside_ = false;  // a transaction's body
  EngineStats stats_;
};

std::shared_ptr<StorageEngine> SimDisk::open() {
  ++generation_;
  return std::make_shared<SimEngine>(*this);
}

void SimDisk::apply(Rooms& rooms, const Batch& batch) {
  for (const auto& change : batch.changes) {
    auto& rows = rooms[static_cast<int>(change.table)];
    if (change.value) {
      rows.insert_or_assign(change.key, *change.value);
    } else {
      rows.erase(change.key);
    }
  }
}

void SimDisk::replay() {
  live_ = synced_;
  for (const auto& batch : journal_) apply(live_, batch);
}

void SimDisk::crash_process() {
  ++generation_;
  listener_ = nullptr;
  // The log is a sequence: what was buffered before a logged commit went out with it.
  while (!journal_.empty() && journal_.back().durability == Durability::buffer) {
    journal_.pop_back();
    intact_ = false;
  }
  replay();
}

void SimDisk::crash_machine() {
  ++generation_;
  listener_ = nullptr;
  journal_.clear();
  intact_ = false;
  replay();
}

void SimDisk::wipe() {
  crash_machine();
  for (auto& rows : synced_) rows.clear();
  replay();
}

void SimDisk::restore(Rooms backup) {
  crash_machine();
  synced_ = std::move(backup);
  replay();
}

void SimDisk::damage(Table table, BytesView row) {
  sync();
  for (Rooms* rooms : {&live_, &synced_}) {
    auto found = (*rooms)[static_cast<int>(table)].find(row);
    RINGLET_ASSERT(found != (*rooms)[static_cast<int>(table)].end() && !found->second.empty());
    found->second.back() = static_cast<char>(found->second.back() ^ 1);
  }
}

void SimDisk::set_broken(bool broken) {
  broken_ = broken;
  if (!broken && !journal_.empty() && on_sync_wanted) on_sync_wanted();
}

void SimDisk::sync() {
  if (broken_) return;  // what was not written stays so, and nobody is told otherwise
  for (const auto& batch : journal_) apply(synced_, batch);
  journal_.clear();
  if (durable_ + 1 == next_ticket_) return;
  durable_ = next_ticket_ - 1;
  if (listener_) listener_(durable_);
}

}  // namespace ringlet::sim
