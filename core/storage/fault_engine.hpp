// An engine that fails on request: for tests, and for the simulator's bad disks. It wraps another
// engine, counts the calls that reach it, and answers the n-th of a kind with a Status of the
// caller's choice instead of passing it on.
//
// Contract
//   A call that fails this way changed nothing. A failed read or write inside transact() fails the
//   whole transaction, even when the body looks away.
//   Counting starts again with every fail(); the calls of a body that runs twice count twice.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "storage/storage_engine.hpp"

namespace ringlet {

enum class FaultOn : std::uint8_t {
  reads,    // get and scan, of the engine and of a transaction
  writes,   // put and erase
  commits,  // a transact() whose body succeeded
  flushes,  // flush()
  all,
};

struct Fault {
  FaultOn on = FaultOn::all;
  std::uint64_t nth = 1;      // 1 is the next call of that kind
  Status status;              // must be a failure
  bool from_then_on = false;  // false: that call alone
};

class FaultEngine final : public StorageEngine {
 public:
  explicit FaultEngine(std::unique_ptr<StorageEngine> inner);

  void fail(Fault fault);         // replaces the former one
  void heal();                    // no fault, and room on the disk
  void set_disk_full(bool full);  // writes fail with Code::unavailable, reads go on
  bool fired() const;             // the fault of the last fail() has struck
  std::uint64_t calls(FaultOn on) const;  // since the last fail() or heal()
  StorageEngine& inner() { return *inner_; }

  Result<std::optional<Bytes>> get(Table table, BytesView key) override;
  Result<Ticket> transact(Durability durability, const Body& body) override;
  Status scan(Table table, BytesView from, BytesView to, const Visitor& visit) override;
  Ticket durable_up_to() const override { return inner_->durable_up_to(); }
  void set_durable_listener(std::function<void(Ticket)> listener) override;
  Status flush() override;
  bool history_intact() const override { return inner_->history_intact(); }
  EngineStats stats() const override { return inner_->stats(); }
  const char* name() const override { return inner_->name(); }
  Status close() override { return inner_->close(); }

 private:
  friend class FaultTransaction;
  Status count(FaultOn on);  // the failure of this call, or ok

  const std::unique_ptr<StorageEngine> inner_;
  mutable std::mutex mutex_;  // guards everything below
  std::optional<Fault> fault_;
  bool fired_ = false;
  bool disk_full_ = false;
  std::uint64_t calls_[5] = {};
};

}  // namespace ringlet
