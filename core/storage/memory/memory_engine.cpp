#include "storage/memory_engine.hpp"

#include <array>
#include <map>
#include <mutex>

namespace ringlet {
namespace {

using Rows = std::map<Bytes, Bytes, std::less<>>;

Status closed() {
  return Status(Code::closed, "the memory engine is closed");
}

// The body's writes lie over the tables until it returns ok.
class MemoryTransaction final : public Transaction {
 public:
  explicit MemoryTransaction(std::array<Rows, table_count>& tables) : tables_(tables) {}

  Result<std::optional<Bytes>> get(Table table, BytesView key) override {
    auto& written = written_[static_cast<int>(table)];
    if (auto it = written.find(key); it != written.end()) return it->second;
    auto& rows = tables_[static_cast<int>(table)];
    auto it = rows.find(key);
    return it == rows.end() ? std::optional<Bytes>() : std::optional<Bytes>(it->second);
  }
  Status put(Table table, BytesView key, BytesView value) override {
    if (Status fits = check_row(key, value); !fits) return failed_ = fits;
    written_[static_cast<int>(table)].insert_or_assign(Bytes(key), std::optional<Bytes>(value));
    return Status::ok();
  }
  Status erase(Table table, BytesView key) override {
    written_[static_cast<int>(table)].insert_or_assign(Bytes(key), std::nullopt);
    return Status::ok();
  }
  const Status& failed() const { return failed_; }  // stays, whatever the body makes of it
  void apply() {
    for (int table = 0; table < table_count; ++table) {
      for (auto& [key, value] : written_[table]) {
        if (value) {
          tables_[table].insert_or_assign(key, std::move(*value));
        } else {
          tables_[table].erase(key);
        }
      }
    }
  }

 private:
  std::array<Rows, table_count>& tables_;
  Status failed_;
  std::array<std::map<Bytes, std::optional<Bytes>, std::less<>>, table_count> written_;
};

class MemoryEngine final : public StorageEngine {
 public:
  Result<std::optional<Bytes>> get(Table table, BytesView key) override {
    std::lock_guard lock(mutex_);
    if (closed_) return closed();
    ++stats_.reads;
    auto& rows = tables_[static_cast<int>(table)];
    auto it = rows.find(key);
    return it == rows.end() ? std::optional<Bytes>() : std::optional<Bytes>(it->second);
  }

  Result<Ticket> transact(Durability, const Body& body) override {
    std::lock_guard lock(mutex_);
    if (closed_) return closed();
    MemoryTransaction transaction(tables_);
    Status done = body(transaction);
    if (!transaction.failed()) done = transaction.failed();
    if (!done) {
      ++stats_.failures;
      return done;
    }
    transaction.apply();
    ++stats_.commits;
    return Ticket{0};  // as durable as it will ever be
  }

  // Under the lock throughout: that is the snapshot.
  Status scan(Table table, BytesView from, BytesView to, const Visitor& visit) override {
    std::lock_guard lock(mutex_);
    if (closed_) return closed();
    auto& rows = tables_[static_cast<int>(table)];
    for (auto it = rows.lower_bound(from); it != rows.end(); ++it) {
      if (!to.empty() && BytesView(it->first) >= to) break;
      if (!visit(it->first, it->second)) break;
    }
    return Status::ok();
  }

  Ticket durable_up_to() const override { return 0; }
  void set_durable_listener(std::function<void(Ticket)>) override {}  // no ticket is ever above 0
  Status flush() override {
    std::lock_guard lock(mutex_);
    if (closed_) return closed();
    ++stats_.flushes;
    return Status::ok();
  }
  // The object lives as long as its memory: who holds it has lost nothing.
  bool history_intact() const override { return true; }
  EngineStats stats() const override {
    std::lock_guard lock(mutex_);
    return stats_;
  }
  const char* name() const override { return "memory"; }
  Status close() override {
    std::lock_guard lock(mutex_);
    closed_ = true;
    for (auto& rows : tables_) rows.clear();
    return Status::ok();
  }

 private:
  mutable std::mutex mutex_;  // guards everything below
  std::array<Rows, table_count> tables_;
  EngineStats stats_;
  bool closed_ = false;
};

}  // namespace

std::unique_ptr<StorageEngine> make_memory_engine() {
  return std::make_unique<MemoryEngine>();
}

}  // namespace ringlet
