#include "runtime/timed_engine.hpp"

#include <atomic>
#include <random>

#include "node/upkeep.hpp"
#include "runtime/io_thread.hpp"

namespace ringlet {
namespace {

class TimedEngine final : public StorageEngine {
 public:
  explicit TimedEngine(std::shared_ptr<StorageEngine> under) : under_(std::move(under)) {}

  // The pace lives in the state that owns this engine; nullptr: before and after.
  void report_to(Pace* pace) { pace_ = pace; }

  Result<std::optional<Bytes>> get(Table table, BytesView key) override {
    Now start = read_clocks();
    auto got = under_->get(table, key);
    took(start, got.status());
    return got;
  }
  Result<Ticket> transact(Durability durability, const Body& body) override {
    Now start = read_clocks();
    auto done = under_->transact(durability, body);
    took(start, done.status());
    return done;
  }
  Status scan(Table table, BytesView from, BytesView to, const Visitor& visit) override {
    Status done = under_->scan(table, from, to, visit);
    if (Pace* pace = pace_; pace != nullptr && is_storage_failure(done)) {
      pace->storage_failed(read_clocks());
    }
    return done;
  }
  Ticket durable_up_to() const override { return under_->durable_up_to(); }
  void set_durable_listener(std::function<void(Ticket)> listener) override {
    under_->set_durable_listener(std::move(listener));
  }
  Status flush() override { return under_->flush(); }
  bool history_intact() const override { return under_->history_intact(); }
  Status health() const override { return under_->health(); }
  EngineStats stats() const override { return under_->stats(); }
  const char* name() const override { return under_->name(); }
  Status close() override { return under_->close(); }

 private:
  void took(Now start, const Status& status) {
    Pace* pace = pace_;
    if (pace == nullptr) return;
    Now now = read_clocks();
    pace->storage_took(now.instant - start.instant, now);
    if (is_storage_failure(status)) pace->storage_failed(now);
  }

  const std::shared_ptr<StorageEngine> under_;
  std::atomic<Pace*> pace_{nullptr};
};

}  // namespace

namespace {

// From the operating system, which knows what two starts in the same moment must not share.
std::uint64_t random_bits() {
  std::random_device source;
  return std::uint64_t{source()} << 32 | source();
}

}  // namespace

bool is_storage_failure(const Status& status) {
  switch (status.code()) {
    case Code::unavailable:  // the disk is full
    case Code::io:
    case Code::no_memory:
    case Code::internal:
      return true;
    default:
      return false;
  }
}

Result<std::shared_ptr<NodeState>> open_timed_node(NodeOptions options,
                                                   std::shared_ptr<StorageEngine> engine,
                                                   std::shared_ptr<const Ring> founding) {
  RINGLET_ASSERT(engine != nullptr);
  auto timed = std::make_shared<TimedEngine>(std::move(engine));
  auto opened =
      NodeState::open(std::move(options), FirstEpoch(read_clocks().wall_ms, random_bits()), timed,
                      std::move(founding));
  if (!opened) return opened.status();
  timed->report_to(&(*opened)->upkeep().pace());
  // Whoever lets go of the state last ends the reports with it.
  std::shared_ptr<NodeState> state = std::move(*opened);
  NodeState* bare = state.get();
  return std::shared_ptr<NodeState>(bare, [state = std::move(state), timed](NodeState*) mutable {
    timed->report_to(nullptr);
    state.reset();
  });
}

}  // namespace ringlet
