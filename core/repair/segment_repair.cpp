#include "repair/segment_repair.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace ringlet {
namespace {

Status check(const SegmentCompare& asked, const SegmentDiffers& differs) {
  auto invalid = [](std::string sentence) {
    return Status(Code::invalid_argument, std::move(sentence));
  };
  if (differs.listed_to <= asked.segments.front() || differs.listed_to > tree_segments) {
    return invalid("it listed segments below " + std::to_string(differs.listed_to) + ": wanted " +
                   std::to_string(asked.segments.front() + 1) + " to " +
                   std::to_string(tree_segments));
  }
  auto answered = std::lower_bound(asked.segments.begin(), asked.segments.end(), differs.listed_to);
  std::uint64_t before = asked.after;
  for (const KeyedObject& keyed : differs.objects) {
    std::uint64_t hash = key_hash(keyed.key);
    if (!std::binary_search(asked.segments.begin(), answered, segment_of(hash))) {
      return invalid(printable(keyed.key) + " is not of segment " +
                     std::to_string(asked.segments.front()) + " nor another asked about");
    }
    if (keyed.object.missing()) return invalid(printable(keyed.key) + " without an object");
    if (hash < before || (hash == asked.after && hash != 0)) {
      return invalid(printable(keyed.key) + " is not in its turn: wanted rising hashes of keys");
    }
    before = hash;
  }
  const auto& wanted = differs.wanted;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    bool rising = i == 0 || wanted[i - 1] < wanted[i];
    if (!rising || !std::binary_search(asked.segments.begin(), answered, segment_of(wanted[i])) ||
        !std::binary_search(asked.key_hashes.begin(), asked.key_hashes.end(), wanted[i])) {
      return invalid("it wants a key that it was not told of, or one twice");
    }
  }
  if (differs.more && differs.objects.empty()) {
    return invalid("a page without objects, and more to come");
  }
  return {};
}

}  // namespace

SegmentRepair::SegmentRepair(const TreeExchange::Options& options, const PartitionTrees& trees,
                             std::uint32_t partition, const std::vector<std::uint32_t>& segments)
    : options_(options),
      trees_(trees),
      partition_(partition),
      waiting_(segments.begin(), segments.end()) {}

Result<std::size_t> SegmentRepair::read_listing(RepairStore& store, std::size_t rows) {
  return listing_->read_page(store, rows);
}

std::vector<SegmentCompare> SegmentRepair::questions(Now now) {
  std::erase_if(open_, [&](const auto& entry) {
    const bool ended = entry.second.settled() && !entry.second.more;
    if (ended) end(entry.second);
    return ended;
  });
  open_some(now);
  std::vector<SegmentCompare> questions;
  for (auto& [first, batch] : open_) {
    if (batch.settled() && batch.again <= now.instant) questions.push_back(ask(batch));
  }
  return questions;
}

void SegmentRepair::open_some(Now now) {
  while (!waiting_.empty() && open_.size() < options_.batch_window) {
    std::uint32_t first = waiting_.front();
    if (!listing_ || !listing_->covers(first)) {
      if (!open_.empty()) return;  // which still need the former one
      listing_.emplace(trees_, partition_, first, options_.listing_keys);
    }
    if (!listing_->ready()) return;
    // Beyond the peer's listing one question at a time: each begins another listing there.
    if (first >= peer_listed_to_ && !open_.empty()) return;
    Batch& batch = open_[first];
    batch.give_up = now.instant + options_.segment_patience;
    fill(batch);
  }
}

void SegmentRepair::fill(Batch& batch) {
  const std::uint32_t first = waiting_.front();
  const std::uint32_t end = first < peer_listed_to_ ? peer_listed_to_ : tree_segments;
  std::size_t keys = 0;
  while (!waiting_.empty() && listing_->covers(waiting_.front()) && waiting_.front() < end &&
         batch.segments.size() < options_.batch_segments) {
    keys += listing_->segment(waiting_.front()).size();
    if (!batch.segments.empty() && keys > options_.batch_keys) return;
    batch.segments.push_back(waiting_.front());
    waiting_.pop_front();
  }
}

SegmentCompare SegmentRepair::ask(Batch& batch) const {
  batch.asked = true;
  auto pairs = listing_->pairs(batch.segments, batch.after);
  return {partition_, batch.segments, std::move(pairs.keys), std::move(pairs.clocks), batch.after};
}

// The hashes differ and no key does: one of the trees is wrong (F-72), or a write came between. Each
// side can tell of its own.
void SegmentRepair::end(const Batch& batch) {
  for (std::uint32_t segment : batch.segments) {
    ++compared_;
    suspect_ |= !batch.different.contains(segment) &&
                listing_->hash(segment) != trees_.segment(partition_, segment);
  }
}

Result<std::vector<KeyedObject>> SegmentRepair::take(const SegmentCompare& asked,
                                                     const SegmentDiffers& differs, Now now) {
  if (Status wrong = check(asked, differs); !wrong) return wrong;
  Batch& batch = batch_of(asked.segments.front());
  batch.asked = false;
  batch.refusals = 0;
  batch.more = differs.more;
  batch.give_up = now.instant + options_.segment_patience;
  peer_listed_to_ = differs.listed_to;
  auto beyond = std::lower_bound(batch.segments.begin(), batch.segments.end(), peer_listed_to_);
  waiting_.insert(waiting_.begin(), beyond, batch.segments.end());  // it said nothing of them
  batch.segments.erase(beyond, batch.segments.end());
  auto differ = [&](std::uint64_t hash) {
    batch.after = std::max(batch.after, hash);
    batch.different.insert(segment_of(hash));
  };
  for (const KeyedObject& keyed : differs.objects) differ(key_hash(keyed.key));
  batch.unsettled += differs.objects.size();
  for (std::uint64_t hash : differs.wanted) {
    differ(hash);
    for (const auto& entry : listing_->with_hash(hash)) send(batch, entry.key);
  }
  return differs.objects;
}

bool SegmentRepair::refused(const SegmentCompare& asked, std::uint32_t retry_after_ms, Now now) {
  Batch& batch = batch_of(asked.segments.front());
  if (now.instant >= batch.give_up) return false;
  batch.asked = false;
  // Longer each time: a question is as long as its segments.
  Duration wait = Duration::micros(std::int64_t{500} << std::min(batch.refusals++, 13));
  Duration told = Duration::millis(std::min<std::uint32_t>(retry_after_ms, 5000));
  batch.again = now.instant + std::max(wait, told);
  return true;
}

void SegmentRepair::send(Batch& batch, const Key& key) {
  ++batch.unsettled;
  to_send_.push_back(key);
}

bool SegmentRepair::merged(const KeyedObject& keyed, const Object& held) {
  const std::uint64_t hash = key_hash(keyed.key), clock = clock_hash(held);
  Batch& batch = batch_of(segment_of(hash));
  --batch.unsettled;
  if (clock != clock_hash(keyed.object)) send(batch, keyed.key);
  return listing_->update(hash, keyed.key, clock) != clock;
}

void SegmentRepair::not_merged(const Key& key) {
  --batch_of(key).unsettled;
}

std::vector<Key> SegmentRepair::take_to_send() {
  return std::exchange(to_send_, {});
}

void SegmentRepair::sent(const Key& key) {
  --batch_of(key).unsettled;
}

std::size_t SegmentRepair::take_compared() {
  return std::exchange(compared_, 0);
}

bool SegmentRepair::take_suspect() {
  return std::exchange(suspect_, false);
}

Instant SegmentRepair::next_wake() const {
  Instant next = Instant::never();
  for (const auto& [first, batch] : open_) {
    if (batch.settled()) next = std::min(next, batch.again);
  }
  return next;
}

}  // namespace ringlet
