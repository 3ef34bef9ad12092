#include "repair/tree_builder.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "repair/own_copies.hpp"

namespace ringlet {
namespace {

constexpr Duration held_long_retry = Duration::millis(50);

}  // namespace

void TreeBuilder::add(std::uint32_t partition) {
  if (std::find(to_build_.begin(), to_build_.end(), partition) == to_build_.end()) {
    to_build_.push_back(partition);
  }
}

std::vector<std::uint32_t> TreeBuilder::on_ring() {
  std::vector<std::uint32_t> now_owned = store_.owned(), gone;
  std::set_difference(owned_.begin(), owned_.end(), now_owned.begin(), now_owned.end(),
                      std::back_inserter(gone));
  for (std::uint32_t partition : gone) {
    store_.trees().forget(partition);
    suspected_.erase(partition);
  }
  owned_ = std::move(now_owned);
  std::erase_if(to_build_, [&](std::uint32_t partition) {
    return !std::binary_search(owned_.begin(), owned_.end(), partition);
  });
  for (std::uint32_t partition : owned_) {
    if (store_.trees().state(partition) != TreeState::built) add(partition);
  }
  return gone;
}

void TreeBuilder::suspect(std::uint32_t partition, Now now) {
  auto last = suspected_.find(partition);
  if (last != suspected_.end() && last->second + options_.rebuild_pause > now.instant) return;
  if (store_.trees().state(partition) != TreeState::built) return;
  suspected_[partition] = now.instant;
  store_.trees().rebuild(partition);
  add(partition);
}

void TreeBuilder::take_rebuilds() {
  std::uint64_t begun = store_.trees().rebuilds();
  if (begun == rebuilds_seen_) return;
  rebuilds_seen_ = begun;
  for (std::uint32_t partition : owned_) {
    if (store_.trees().wants_pages(partition)) add(partition);
  }
}

Result<std::size_t> TreeBuilder::build_page(std::size_t rows, Now now) {
  // Not while a large value is written there: the lane would wait for it, and so would small writes.
  std::size_t held = 0;
  while (held < to_build_.size() && store_.trees().is_held_long(to_build_.front())) {
    to_build_.push_back(to_build_.front());
    to_build_.pop_front();
    ++held;
  }
  if (held == to_build_.size()) {
    build_at_ = now.instant + held_long_retry;
    return std::size_t{0};
  }
  std::uint32_t partition = to_build_.front();
  std::size_t bytes = 0;
  const bool anew = store_.trees().state(partition) == TreeState::built;
  auto complete = store_.trees().build_page(
      partition, [&](BytesView after, const PartitionTrees::Visit& visit) {
        return store_.page(partition, after, rows,
                           [&](BytesView row, const Key& key, const Object& object) {
                             bytes += size_about(object);
                             visit(row, key_hash(key), clock_hash(object));
                           });
      });
  if (!complete) {
    build_at_ = now.instant + options_.retry;
    return complete.status();
  }
  if (*complete) {
    ++(anew ? rebuilt_ : built_);
    to_build_.pop_front();
  }
  return bytes;
}

std::size_t TreeBuilder::unbuilt() const {
  return static_cast<std::size_t>(
      std::count_if(owned_.begin(), owned_.end(), [&](std::uint32_t partition) {
        return store_.trees().state(partition) != TreeState::built;
      }));
}

}  // namespace ringlet
