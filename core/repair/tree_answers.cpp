#include "repair/tree_answers.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace ringlet {
namespace {

constexpr std::uint32_t tree_soon_ms = 1000;

Status invalid(std::string sentence) {
  return Status(Code::invalid_argument, std::move(sentence));
}

Refused not_ready(std::string sentence, std::uint32_t retry_after_ms) {
  return Refused{Status(Code::unavailable, std::move(sentence)), retry_after_ms};
}

Refused being_built(std::uint32_t partition) {
  return not_ready("the tree of partition " + std::to_string(partition) + " is being built",
                   tree_soon_ms);
}

}  // namespace

Status check_rising(const char* what, const std::vector<std::uint32_t>& numbers,
                    std::uint32_t bound) {
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] >= bound) {
      return invalid(std::string(what) + " " + std::to_string(numbers[i]) + ": wanted below " +
                     std::to_string(bound));
    }
    if (i > 0 && numbers[i] <= numbers[i - 1]) {
      return invalid(std::string(what) + " " + std::to_string(numbers[i]) + " after " +
                     std::to_string(numbers[i - 1]) + ": wanted each once, rising");
    }
  }
  return {};
}

std::size_t size_about(const Message& message) {
  std::size_t bytes = 32;  // frame and small fields
  if (auto* m = std::get_if<TreeCompare>(&message)) {
    bytes += 4 * m->nodes.size() + 8 * m->hashes.size();
  } else if (auto* m = std::get_if<TreeDiffers>(&message)) {
    bytes += 4 * m->nodes.size();
  } else if (auto* m = std::get_if<SegmentCompare>(&message)) {
    bytes += 4 * m->segments.size() + 16 * m->key_hashes.size();
  } else if (auto* m = std::get_if<SegmentDiffers>(&message)) {
    bytes += 8 * m->wanted.size();
    bytes += size_about(m->objects);
  } else if (auto* m = std::get_if<TransferPage>(&message)) {
    bytes += size_about(m->objects);
  } else if (auto* m = std::get_if<ReplicaPut>(&message)) {
    bytes += size_about(m->key, m->object);
  } else if (auto* m = std::get_if<Refused>(&message)) {
    bytes += m->status.message().size();
  }
  return bytes;
}

// ---- hashes ----

Status TreeAnswers::check(const TreeCompare& question) const {
  const std::uint32_t partitions = store_.trees().partitions();
  if (question.level > 2) {
    return invalid("level " + std::to_string(question.level) + " of a tree: wanted 0 to 2");
  }
  if (question.level == 0 && question.nodes.empty()) {
    if (question.hashes.size() == 1) return {};
    return invalid("a comparison of all shared partitions with " +
                   std::to_string(question.hashes.size()) + " hashes: wanted 1");
  }
  if (question.hashes.size() != question.nodes.size()) {
    return invalid("a comparison of " + std::to_string(question.nodes.size()) + " nodes with " +
                   std::to_string(question.hashes.size()) + " hashes: wanted as many");
  }
  if (question.level == 0) return check_rising("partition", question.nodes, partitions);
  if (question.partition >= partitions) {
    return invalid("partition " + std::to_string(question.partition) + ": wanted below " +
                   std::to_string(partitions));
  }
  return question.level == 1 ? check_rising("inner node", question.nodes, tree_inner_nodes)
                             : check_rising("segment", question.nodes, tree_segments);
}

Message TreeAnswers::all_shared(NodeId from, const TreeCompare& question) {
  std::vector<std::uint32_t> shared = store_.shared_with(from);
  if (shared.empty()) {
    return not_ready("by the ring known here no partition is shared with " + to_string(from),
                     tree_soon_ms);
  }
  std::vector<std::uint64_t> roots;
  for (std::uint32_t partition : shared) {
    auto root = store_.trees().root(partition);
    if (!root) return being_built(partition);
    roots.push_back(*root);
  }
  // Which of them differ, the roots will tell; that something does, this.
  if (combined_hash(shared, roots) == question.hashes.front()) return TreeDiffers{};
  return TreeDiffers{std::move(shared)};
}

Message TreeAnswers::answer(NodeId from, const TreeCompare& question, Now now) {
  Status wrong = check(question);
  if (!wrong) return Refused{std::move(wrong), 0};
  if (question.level == 0 && question.nodes.empty()) return all_shared(from, question);

  TreeDiffers differs;
  if (question.level == 0) {
    for (std::size_t i = 0; i < question.nodes.size(); ++i) {
      auto root = store_.trees().root(question.nodes[i]);
      if (!root) return being_built(question.nodes[i]);
      if (*root != question.hashes[i]) differs.nodes.push_back(question.nodes[i]);
    }
    return differs;
  }
  std::vector<std::uint64_t> mine = question.level == 1
                                        ? store_.trees().inner(question.partition)
                                        : store_.trees().segments(question.partition);
  if (mine.empty()) return being_built(question.partition);
  for (std::size_t i = 0; i < question.nodes.size(); ++i) {
    if (mine[question.nodes[i]] != question.hashes[i]) differs.nodes.push_back(question.nodes[i]);
  }
  // A new exchange with this peer, and no listing outlives the exchange it was made for: it would
  // hide what was written since. The keys will be asked about next, so the reading may begin.
  if (question.level == 2) {
    std::erase_if(listings_,
                  [&](const Kept& kept) { return kept.peer == from && kept.listing.ready(); });
  }
  if (question.level == 2 && differs.nodes.size() >= options_.many) {
    listing_for(from, question.partition, differs.nodes.front(), now);
  }
  return differs;
}

// ---- keys ----

Status TreeAnswers::check(const SegmentCompare& question) const {
  const std::uint32_t partitions = store_.trees().partitions();
  if (question.partition >= partitions) {
    return invalid("partition " + std::to_string(question.partition) + ": wanted below " +
                   std::to_string(partitions));
  }
  if (question.segments.empty()) return invalid("keys of no segment: wanted at least one segment");
  Status rising = check_rising("segment", question.segments, tree_segments);
  if (!rising) return rising;
  if (question.key_hashes.size() != question.clock_hashes.size()) {
    return invalid("segments of " + std::to_string(question.key_hashes.size()) + " keys with " +
                   std::to_string(question.clock_hashes.size()) + " clocks: wanted as many");
  }
  for (std::size_t i = 0; i < question.key_hashes.size(); ++i) {
    std::uint32_t segment = segment_of(question.key_hashes[i]);
    if (!std::binary_search(question.segments.begin(), question.segments.end(), segment)) {
      return invalid("a key of segment " + std::to_string(segment) +
                     " in a comparison of others: " + std::to_string(question.segments.front()) +
                     " to " + std::to_string(question.segments.back()));
    }
    std::uint64_t before = i > 0 ? question.key_hashes[i - 1] : question.after;
    if ((i > 0 || before != 0) && question.key_hashes[i] <= before) {
      return invalid("the keys of segment " + std::to_string(segment) +
                     " are not rising: wanted each once, in order");
    }
  }
  return {};
}

Message TreeAnswers::answer(NodeId from, const SegmentCompare& question, std::size_t most_bytes,
                            Now now) {
  Status wrong = check(question);
  if (!wrong) return Refused{std::move(wrong), 0};
  if (store_.trees().state(question.partition) != TreeState::built) {
    return being_built(question.partition);
  }
  SegmentListing* listing = listing_for(from, question.partition, question.segments.front(), now);
  if (listing == nullptr || !listing->ready()) {
    return not_ready("segment " + std::to_string(question.segments.front()) + " of partition " +
                         std::to_string(question.partition) + " is being listed",
                     ready_in_ms(question.partition, listing));
  }
  SegmentDiffers differs;
  differs.listed_to = listing->end();
  Comparison work{question, differs, *listing, most_bytes};
  for (std::uint32_t segment : question.segments) {
    if (!listing->covers(segment)) break;
    if (auto failed = compare(segment, work)) return std::move(*failed);
    if (differs.more) break;
  }
  return differs;
}

// The keys of one segment, theirs beside ours. A Refused when the store is ill.
std::optional<Message> TreeAnswers::compare(std::uint32_t segment, Comparison& work) {
  const auto& keys = work.question.key_hashes;
  const std::size_t named_before = work.differs.objects.size() + work.differs.wanted.size();
  std::vector<SegmentListing::Entry> fresh;  // of the listing, where it was out of date
  std::optional<Message> failed;
  auto want_below = [&](std::uint64_t hash) {
    for (; work.theirs < keys.size() && keys[work.theirs] < hash; ++work.theirs) {
      work.differs.wanted.push_back(keys[work.theirs]);
    }
  };
  for (auto rest = work.listing.segment(segment); !rest.empty();) {
    auto group = first_group(rest);
    rest = rest.subspan(group.size());
    const std::uint64_t hash = group.front().key_hash;
    if (work.question.after != 0 && hash <= work.question.after) continue;
    want_below(hash);
    bool known = work.theirs < keys.size() && keys[work.theirs] == hash;
    std::uint64_t clock = known ? work.question.clock_hashes[work.theirs] : 0;
    if (clock != clock_of(group)) {
      if (work.bytes >= work.most_bytes) {
        work.differs.more = true;
        break;
      }
      failed = offer(group, clock, known, work, fresh);
      if (failed) break;
    }
    if (known) ++work.theirs;
  }
  if (!failed && !work.differs.more) {  // what is left of this segment
    while (work.theirs < keys.size() && segment_of(keys[work.theirs]) == segment) {
      work.differs.wanted.push_back(keys[work.theirs++]);
    }
  }
  for (const auto& entry : fresh) {
    work.listing.update(entry.key_hash, entry.key, entry.clock_hash);
  }
  bool none = work.differs.objects.size() + work.differs.wanted.size() == named_before;
  if (!failed && none && !work.differs.more && work.question.after == 0 &&
      work.listing.hash(segment) != store_.trees().segment(work.question.partition, segment)) {
    suspects_.push_back(work.question.partition);
  }
  return failed;
}

// The objects of one key hash as they are now, which the asker may have given to us since the listing.
std::optional<Message> TreeAnswers::offer(std::span<const SegmentListing::Entry> group,
                                          std::uint64_t clock, bool known, Comparison& work,
                                          std::vector<SegmentListing::Entry>& fresh) {
  std::vector<KeyedObject> objects;
  std::vector<SegmentListing::Entry> now_there;
  for (const auto& entry : group) {
    auto object = store_.read(entry.key);
    if (!object && object.status().code() != Code::corrupt) return Refused{object.status(), 0};
    std::uint64_t read = object ? clock_hash(*object) : 0;
    fresh.push_back({entry.key_hash, read, entry.key});
    if (read == 0) continue;
    now_there.push_back(fresh.back());
    objects.push_back({entry.key, std::move(*object)});
  }
  if (now_there.empty()) {
    if (known) work.differs.wanted.push_back(group.front().key_hash);
    return std::nullopt;
  }
  if (clock_of(now_there) == clock) return std::nullopt;
  for (KeyedObject& keyed : objects) {
    work.bytes += size_about(keyed.key, keyed.object);
    work.differs.objects.push_back(std::move(keyed));
  }
  return std::nullopt;
}

// ---- listings ----

// When its pages follow each other without a pause, which the asker lengthens if they do not.
std::uint32_t TreeAnswers::ready_in_ms(std::uint32_t partition,
                                       const SegmentListing* listing) const {
  constexpr std::int64_t least = 0, most = 5000;
  if (listing == nullptr) return 1000;  // all are in use
  std::uint64_t keys = store_.trees().keys(partition);
  std::uint64_t left = keys > listing->rows_read() ? keys - listing->rows_read() : 0;
  Duration time = options_.slice * static_cast<std::int64_t>(left / options_.page_rows + 1);
  return static_cast<std::uint32_t>(std::clamp(time.millis(), least, most));
}

SegmentListing* TreeAnswers::listing_for(NodeId peer, std::uint32_t partition,
                                         std::uint32_t segment, Now now) {
  std::erase_if(listings_, [&](const Kept& kept) {
    return kept.listing.ready() && kept.made + options_.listing_age <= now.instant;
  });
  // A peer has one exchange at a time and so one listing, which it has left when it asks for another.
  auto its = std::find_if(listings_.begin(), listings_.end(),
                          [&](const Kept& kept) { return kept.peer == peer; });
  if (its != listings_.end()) {
    if (its->listing.partition() == partition && its->listing.covers(segment)) {
      its->used = now.instant;
      return &its->listing;
    }
    listings_.erase(its);
  }
  if (listings_.size() >= options_.listings) {
    // The one that nobody has asked for longest, unless somebody waits for it.
    auto oldest = std::min_element(listings_.begin(), listings_.end(),
                                   [](const Kept& a, const Kept& b) { return a.used < b.used; });
    if (oldest->used + Duration::seconds(10) > now.instant) return nullptr;
    listings_.erase(oldest);
  }
  listings_.push_back({peer,
                       SegmentListing(store_.trees(), partition, segment, options_.listing_keys),
                       now.instant, now.instant});
  return &listings_.back().listing;
}

bool TreeAnswers::wants_pages() const {
  return std::any_of(listings_.begin(), listings_.end(),
                     [](const Kept& kept) { return !kept.listing.ready(); });
}

Result<std::size_t> TreeAnswers::read_page(std::size_t rows, Now now) {
  for (auto it = listings_.begin(); it != listings_.end(); ++it) {
    if (it->listing.ready()) continue;
    auto bytes = it->listing.read_page(store_, rows);
    if (!bytes) {
      listings_.erase(it);  // begun anew when it is asked for again
    } else {
      it->made = now.instant;
    }
    return bytes;
  }
  return std::size_t{0};
}

void TreeAnswers::forget(std::uint32_t partition) {
  std::erase_if(listings_, [&](const Kept& kept) { return kept.listing.partition() == partition; });
}

std::vector<std::uint32_t> TreeAnswers::take_suspects() {
  return std::exchange(suspects_, {});
}

}  // namespace ringlet
