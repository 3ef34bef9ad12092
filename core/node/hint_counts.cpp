#include "node/hint_counts.hpp"

#include "base/assert.hpp"
#include "node/hint_key.hpp"

namespace ringlet {

Status HintCounts::read(StorageEngine& engine) {
  std::map<NodeId, std::int64_t> counts;
  std::int64_t total = 0;
  Status scanned = engine.scan(Table::hints, {}, {}, [&](BytesView row, BytesView) {
    if (auto target = parse_hint_target(row)) ++counts[*target], ++total;
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

void HintCounts::add(NodeId target, std::int64_t by) {
  std::lock_guard lock(mutex_);
  auto at = counts_.try_emplace(target, 0).first;
  at->second += by;
  RINGLET_ASSERT(at->second >= 0);
  if (at->second == 0) counts_.erase(at);
  total_.fetch_add(by, std::memory_order_acq_rel);
}

void HintCounts::Change::begin() {
  for (NodeId target : added_) counts_.add(target, -1);
  added_.clear();
  dropped_.clear();
}

void HintCounts::Change::adds(NodeId target) {
  counts_.add(target, 1);
  added_.push_back(target);
}

void HintCounts::Change::committed() {
  for (NodeId target : dropped_) counts_.add(target, -1);
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
