#include "storage/fault_engine.hpp"

#include <array>
#include <atomic>
#include <mutex>

namespace ringlet {
namespace {

struct Fault {
  std::uint64_t countdown = 0;  // 0: none
  Status status;
  bool once = true;
};

class Engine final : public FaultEngine {
 public:
  explicit Engine(std::unique_ptr<StorageEngine> under) : under_(std::move(under)) {}

  void fail(FaultAt at, std::uint64_t nth, Status status, bool once) override {
    std::lock_guard lock(mutex_);
    faults_[static_cast<int>(at)] = {nth, std::move(status), once};
  }
  void heal() override {
    std::lock_guard lock(mutex_);
    faults_ = {};
  }
  void full(bool full) override { full_ = full; }

  Result<std::optional<Bytes>> get(Table table, BytesView key) override {
    if (Status met = meet(FaultAt::read); !met) return met;
    return under_->get(table, key);
  }
  Result<Ticket> transact(Durability durability, const Body& body) override {
    if (full_) return Status(Code::unavailable, "disk full: by order of the test");
    return under_->transact(durability, [&](Transaction& inner) {
      Faulty faulty(*this, inner);
      Status done = body(faulty);
      if (!faulty.met) return faulty.met;  // even when the body made nothing of it
      if (!done) return done;
      return meet(FaultAt::commit);
    });
  }
  Status scan(Table table, BytesView from, BytesView to, const Visitor& visit) override {
    if (Status met = meet(FaultAt::read); !met) return met;
    return under_->scan(table, from, to, visit);
  }
  Ticket durable_up_to() const override { return under_->durable_up_to(); }
  void set_durable_listener(std::function<void(Ticket)> listener) override {
    under_->set_durable_listener(std::move(listener));
  }
  Status flush() override { return under_->flush(); }
  bool history_intact() const override { return under_->history_intact(); }
  EngineStats stats() const override { return under_->stats(); }
  const char* name() const override { return under_->name(); }
  Status close() override { return under_->close(); }

 private:
  class Faulty final : public Transaction {
   public:
    Faulty(Engine& engine, Transaction& inner) : engine_(engine), inner_(inner) {}
    Result<std::optional<Bytes>> get(Table table, BytesView key) override {
      if (met) met = engine_.meet(FaultAt::read);
      if (!met) return met;
      return inner_.get(table, key);
    }
    Status put(Table table, BytesView key, BytesView value) override {
      if (met) met = engine_.meet(FaultAt::write);
      return met ? inner_.put(table, key, value) : met;
    }
    Status erase(Table table, BytesView key) override {
      if (met) met = engine_.meet(FaultAt::write);
      return met ? inner_.erase(table, key) : met;
    }
    Status met;

   private:
    Engine& engine_;
    Transaction& inner_;
  };

  Status meet(FaultAt at) {
    std::lock_guard lock(mutex_);
    Fault& fault = faults_[static_cast<int>(at)];
    if (fault.countdown == 0) return Status::ok();
    if (fault.countdown > 1) {
      --fault.countdown;
      return Status::ok();
    }
    Status status = fault.status;
    if (fault.once) fault = {};
    return status;
  }

  const std::unique_ptr<StorageEngine> under_;
  std::mutex mutex_;  // guards faults_
  std::array<Fault, 3> faults_;
  std::atomic<bool> full_{false};
};

}  // namespace

std::unique_ptr<FaultEngine> make_fault_engine(std::unique_ptr<StorageEngine> under) {
  return std::make_unique<Engine>(std::move(under));
}

}  // namespace ringlet
