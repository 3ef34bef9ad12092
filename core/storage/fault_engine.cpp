#include "storage/fault_engine.hpp"

namespace ringlet {

class FaultTransaction final : public Transaction {
 public:
  FaultTransaction(FaultEngine& engine, Transaction& inner) : engine_(engine), inner_(inner) {}

  Result<std::optional<Bytes>> get(Table table, BytesView key) override {
    if (!count(FaultOn::reads)) return failure_;
    return inner_.get(table, key);
  }
  Status put(Table table, BytesView key, BytesView value) override {
    if (!count(FaultOn::writes)) return failure_;
    return inner_.put(table, key, value);
  }
  Status erase(Table table, BytesView key) override {
    if (!count(FaultOn::writes)) return failure_;
    return inner_.erase(table, key);
  }
  const Status& failure() const { return failure_; }

 private:
  // After the first failure nothing works any more, as in a real transaction.
  bool count(FaultOn on) {
    if (failure_) failure_ = engine_.count(on);
    return failure_.is_ok();
  }

  FaultEngine& engine_;
  Transaction& inner_;
  Status failure_;
};

FaultEngine::FaultEngine(std::unique_ptr<StorageEngine> inner) : inner_(std::move(inner)) {}

void FaultEngine::fail(Fault fault) {
  RINGLET_ASSERT(!fault.status.is_ok());
  RINGLET_ASSERT(fault.nth >= 1);
  std::lock_guard lock(mutex_);
  fault_ = std::move(fault);
  fired_ = false;
  for (auto& calls : calls_) calls = 0;
}

void FaultEngine::heal() {
  std::lock_guard lock(mutex_);
  fault_.reset();
  fired_ = false;
  disk_full_ = false;
  for (auto& calls : calls_) calls = 0;
}

void FaultEngine::set_disk_full(bool full) {
  std::lock_guard lock(mutex_);
  disk_full_ = full;
}

bool FaultEngine::fired() const {
  std::lock_guard lock(mutex_);
  return fired_;
}

std::uint64_t FaultEngine::calls(FaultOn on) const {
  std::lock_guard lock(mutex_);
  return calls_[static_cast<int>(on)];
}

Status FaultEngine::count(FaultOn on) {
  std::lock_guard lock(mutex_);
  ++calls_[static_cast<int>(on)];
  ++calls_[static_cast<int>(FaultOn::all)];
  if (fault_ && (fault_->on == on || fault_->on == FaultOn::all)) {
    const std::uint64_t call = calls_[static_cast<int>(fault_->on)];
    if (call == fault_->nth || (fault_->from_then_on && call > fault_->nth)) {
      fired_ = true;
      return fault_->status;
    }
  }
  if (disk_full_ && on == FaultOn::writes) {
    return Status(Code::unavailable, "disk full: simulated");
  }
  return Status::ok();
}

Result<std::optional<Bytes>> FaultEngine::get(Table table, BytesView key) {
  if (Status struck = count(FaultOn::reads); !struck) return struck;
  return inner_->get(table, key);
}

Result<StorageEngine::Ticket> FaultEngine::transact(Durability durability, const Body& body) {
  return inner_->transact(durability, [&](Transaction& inner) {
    FaultTransaction transaction(*this, inner);
    Status done = body(transaction);
    if (!transaction.failure()) return transaction.failure();
    return done ? count(FaultOn::commits) : done;
  });
}

Status FaultEngine::scan(Table table, BytesView from, BytesView to, const Visitor& visit) {
  if (Status struck = count(FaultOn::reads); !struck) return struck;
  return inner_->scan(table, from, to, visit);
}

void FaultEngine::set_durable_listener(std::function<void(Ticket)> listener) {
  inner_->set_durable_listener(std::move(listener));
}

Status FaultEngine::flush() {
  if (Status struck = count(FaultOn::flushes); !struck) return struck;
  return inner_->flush();
}

}  // namespace ringlet
