#include "node/hint_counts.hpp"

#include "base/assert.hpp"
#include "node/hint_key.hpp"

namespace ringlet {

Status HintCounts::read(StorageEngine& engine) {
  std::map<NodeId, Waiting> counts;
  std::int64_t total = 0;
  Status scanned = engine.scan(Table::hints, {}, {}, [&](BytesView row, BytesView record) {
    if (auto target = parse_hint_target(row)) {
      Waiting& waiting = counts[*target];
      ++waiting.rows, ++total;
      waiting.bytes += static_cast<std::int64_t>(row.size() + record.size());
    }
    return true;
  });
  if (!scanned) return scanned;
  std::lock_guard lock(mutex_);
  counts_ = std::move(counts);
  total_.store(total, std::memory_order_release);
  return Status::ok();
}

bool HintCounts::any_for(NodeId target) const {
  if (!any()) return false;
  std::lock_guard lock(mutex_);
  return counts_.contains(target);
}

std::vector<NodeId> HintCounts::targets() const {
  std::lock_guard lock(mutex_);
  std::vector<NodeId> targets;
  for (const auto& [target, count] : counts_) targets.push_back(target);
  return targets;
}

std::uint64_t HintCounts::total() const {
  return static_cast<std::uint64_t>(total_.load(std::memory_order_acquire));
}

std::uint64_t HintCounts::bytes_for(NodeId target) const {
  std::lock_guard lock(mutex_);
  auto at = counts_.find(target);
  return at == counts_.end() ? 0 : static_cast<std::uint64_t>(at->second.bytes);
}

std::uint64_t HintCounts::total_bytes() const {
  std::lock_guard lock(mutex_);
  std::int64_t bytes = 0;
  for (const auto& [target, waiting] : counts_) bytes += waiting.bytes;
  return static_cast<std::uint64_t>(bytes);
}

void HintCounts::add(NodeId target, std::int64_t rows, std::int64_t bytes) {
  std::lock_guard lock(mutex_);
  Waiting& waiting = counts_[target];
  waiting.rows += rows;
  waiting.bytes += bytes;
  RINGLET_ASSERT(waiting.rows >= 0 && waiting.bytes >= 0);
  if (waiting.rows == 0) counts_.erase(target);
  total_.fetch_add(rows, std::memory_order_acq_rel);
}

void HintCounts::Change::begin() {
  for (const Delta& added : added_) counts_.add(added.target, -added.rows, -added.bytes);
  added_.clear();
  dropped_.clear();
}

void HintCounts::Change::grows(NodeId target, std::int64_t rows, std::size_t bytes) {
  counts_.add(target, rows, static_cast<std::int64_t>(bytes));
  added_.push_back({target, rows, static_cast<std::int64_t>(bytes)});
}

void HintCounts::Change::resizes(NodeId target, std::size_t from, std::size_t to) {
  if (to > from) grows(target, 0, to - from);
  if (to < from) shrinks(target, 0, from - to);
}

void HintCounts::Change::committed() {
  for (const Delta& dropped : dropped_) counts_.add(dropped.target, -dropped.rows, -dropped.bytes);
  added_.clear();
  dropped_.clear();
}

void HintCounts::Change::perhaps_committed() {
  if (!added_.empty() || !dropped_.empty()) {
    counts_.exact_.store(false, std::memory_order_relaxed);
  }
  added_.clear();
  dropped_.clear();
}

}  // namespace ringlet
