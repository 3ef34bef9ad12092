#include "repair/merkle_tree.hpp"

#include <array>
#include <string>

#include "base/assert.hpp"
#include "versioning/hash.hpp"

namespace ringlet {
namespace {

// Numbers one after the other, hashed as little-endian bytes in one go: fast for a few of them, and
// the same on every machine. Blocks are chained through the seed.
class Hasher {
 public:
  void add(std::uint64_t number) {
    if (filled_ == block_.size()) flush();
    block_[filled_++] = number;
  }
  std::uint64_t finish() {
    flush();
    return seed_;
  }

 private:
  void flush() {
    std::array<char, sizeof(block_)> bytes;
    for (std::size_t i = 0; i < filled_; ++i) {
      for (std::size_t b = 0; b < 8; ++b) {
        bytes[i * 8 + b] = static_cast<char>(block_[i] >> (8 * b));
      }
    }
    seed_ = xxh3(BytesView(bytes.data(), filled_ * 8), seed_);
    filled_ = 0;
  }
  std::array<std::uint64_t, 32> block_;
  std::size_t filled_ = 0;
  std::uint64_t seed_ = 0x52696e676c6574;
};

}  // namespace

std::uint64_t key_hash(const Key& key) {
  return xxh3(key.key, key.bucket.empty() ? 0 : xxh3(key.bucket, 1));
}

std::uint32_t segment_of(std::uint64_t key_hash) {
  static_assert(tree_segments == 1U << 10);
  return static_cast<std::uint32_t>(key_hash >> 54);
}

std::uint64_t clock_hash(const Object& object) {
  if (object.missing()) return 0;
  Hasher hasher;
  hasher.add(static_cast<std::uint64_t>(object.mode));
  hasher.add(object.context.size());
  for (const CausalContext::Entry& entry : object.context.entries()) {
    hasher.add(entry.actor.node.value);
    hasher.add(entry.actor.epoch);
    hasher.add(entry.counter);
  }
  for (const Version& version : object.versions) {
    hasher.add(version.dot.actor.node.value);
    hasher.add(version.dot.actor.epoch);
    hasher.add(version.dot.counter);
    hasher.add(version.write_id.high);
    hasher.add(version.write_id.low);
    hasher.add(static_cast<std::uint64_t>(version.written_us));
    // Only where sync looks at it as well: a difference that no sync mends would be found for ever.
    if (object.mode == Reconcile::lww) {
      hasher.add(version.tombstone ? 1 : 0);
      hasher.add(xxh3(version.value));
      hasher.add(xxh3(version.content_type));
    }
  }
  std::uint64_t hash = hasher.finish();
  return hash == 0 ? 1 : hash;
}

// splitmix64's finisher over both: cheap, and no two of its inputs have one output for a given key.
std::uint64_t mixed(std::uint64_t key_hash, std::uint64_t clock_hash) {
  std::uint64_t z = key_hash * 0x9e3779b97f4a7c15 + clock_hash;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// ---- one tree ----

MerkleTree::MerkleTree() : segments_(std::make_unique<Segment[]>(tree_segments)) {}

// XOR and addition commute, so writers need no order among themselves, and readers want none: a
// hash read in the middle of writes is that of no moment, and the next comparison sees it right.
void MerkleTree::apply(std::uint64_t key_hash, std::uint64_t before, std::uint64_t after) {
  if (before == after) return;
  Segment& segment = segments_[segment_of(key_hash)];
  std::uint64_t change = 0;
  if (before != 0) change ^= mixed(key_hash, before);
  if (after != 0) change ^= mixed(key_hash, after);
  segment.hash.fetch_xor(change, std::memory_order_relaxed);
  if (before == 0) segment.keys.fetch_add(1, std::memory_order_relaxed);
  if (after == 0) segment.keys.fetch_sub(1, std::memory_order_relaxed);
}

std::uint64_t MerkleTree::segment(std::uint32_t segment) const {
  RINGLET_ASSERT(segment < tree_segments);
  return segments_[segment].hash.load(std::memory_order_relaxed);
}

std::uint64_t MerkleTree::inner(std::uint32_t node) const {
  RINGLET_ASSERT(node < tree_inner_nodes);
  std::uint64_t hash = 0;
  for (std::uint32_t i = 0; i < segments_per_inner_node; ++i) {
    hash ^= segment(node * segments_per_inner_node + i);
  }
  return hash;
}

std::uint64_t MerkleTree::root() const {
  std::uint64_t hash = 0;
  for (std::uint32_t node = 0; node < tree_inner_nodes; ++node) hash ^= inner(node);
  return hash;
}

std::uint32_t MerkleTree::keys_in(std::uint32_t segment) const {
  RINGLET_ASSERT(segment < tree_segments);
  return segments_[segment].keys.load(std::memory_order_relaxed);
}

std::uint64_t MerkleTree::keys() const {
  std::uint64_t keys = 0;
  for (std::uint32_t s = 0; s < tree_segments; ++s) keys += keys_in(s);
  return keys;
}

void MerkleTree::plant(std::uint32_t segment, std::uint64_t bits) {
  RINGLET_ASSERT(segment < tree_segments);
  segments_[segment].hash.fetch_xor(bits, std::memory_order_relaxed);
}

// ---- all of them ----

// The gate is what keeps writers and pages apart: the number of writers inside, and a bit with which
// a page keeps new ones out while it waits for those to leave. So a page never starves, and a writer
// waits for one page at most. Everything else changes only while the gate is closed.
struct PartitionTrees::Partition {
  static constexpr std::uint32_t closed = 1U << 31;
  mutable std::atomic<std::uint32_t> gate{0};
  std::atomic<std::uint32_t> held_long{0};  // writers that take long, from before they are inside

  std::unique_ptr<MerkleTree> tree;     // answers; none unless built
  std::unique_ptr<MerkleTree> growing;  // none unless pages are wanted
  Bytes cursor;                         // the last row that is in `growing`
  bool begun = false;                   // is there such a row?

  void enter() const {
    std::uint32_t seen = gate.load(std::memory_order_relaxed);
    for (;;) {
      if (seen & closed) {
        gate.wait(seen, std::memory_order_relaxed);
        seen = gate.load(std::memory_order_relaxed);
      } else if (gate.compare_exchange_weak(seen, seen + 1, std::memory_order_acquire,
                                            std::memory_order_relaxed)) {
        return;
      }
    }
  }
  void leave() const {
    if (gate.fetch_sub(1, std::memory_order_release) == (closed | 1)) gate.notify_all();
  }
  void close() {
    while (gate.fetch_or(closed, std::memory_order_acquire) & closed) {  // another page is read
      gate.wait(gate.load(std::memory_order_relaxed) | closed, std::memory_order_relaxed);
    }
    for (std::uint32_t seen; (seen = gate.load(std::memory_order_acquire)) != closed;) {
      gate.wait(seen, std::memory_order_relaxed);
    }
  }
  void open() {
    gate.fetch_and(~closed, std::memory_order_release);
    gate.notify_all();
  }

  void restart() {
    growing = std::make_unique<MerkleTree>();
    cursor.clear();
    begun = false;
  }
};

namespace {

// Inside as a writer or a reader.
template <typename Partition>
class Inside {
 public:
  explicit Inside(Partition& partition) : partition_(partition) { partition_.enter(); }
  ~Inside() { partition_.leave(); }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  Partition& partition_;
};

// Nobody else is.
template <typename Partition>
class Alone {
 public:
  explicit Alone(Partition& partition) : partition_(partition) { partition_.close(); }
  ~Alone() { partition_.open(); }
  Alone(const Alone&) = delete;
  Alone& operator=(const Alone&) = delete;

 private:
  Partition& partition_;
};

}  // namespace

PartitionTrees::PartitionTrees(std::uint32_t partitions)
    : count_(partitions), partitions_(std::make_unique<Partition[]>(partitions)) {
  RINGLET_ASSERT(partitions >= 1);
}
PartitionTrees::~PartitionTrees() = default;

std::uint32_t PartitionTrees::partitions() const {
  return count_;
}

PartitionTrees::Partition& PartitionTrees::at(std::uint32_t partition) const {
  RINGLET_ASSERT(partition < count_);
  return partitions_[partition];
}

PartitionTrees::Writing PartitionTrees::writing(std::uint32_t partition, bool takes_long) {
  Partition& p = at(partition);
  if (takes_long) p.held_long.fetch_add(1, std::memory_order_relaxed);
  p.enter();
  return {&p, takes_long};
}

bool PartitionTrees::is_held_long(std::uint32_t partition) const {
  return at(partition).held_long.load(std::memory_order_relaxed) != 0;
}

PartitionTrees::Writing::~Writing() {
  if (partition_ == nullptr) return;
  partition_->leave();
  if (takes_long_) partition_->held_long.fetch_sub(1, std::memory_order_relaxed);
}

void PartitionTrees::Writing::apply(BytesView row, std::uint64_t key_hash, std::uint64_t before,
                                    std::uint64_t after) {
  if (before == after) return;
  Partition& p = *partition_;
  if (p.tree) p.tree->apply(key_hash, before, after);
  if (p.growing && p.begun && row <= p.cursor) p.growing->apply(key_hash, before, after);
}

Result<bool> PartitionTrees::build_page(std::uint32_t partition, const ReadPage& read) {
  Partition& p = at(partition);
  Alone alone(p);
  if (!p.growing) {
    if (p.tree) return true;
    p.restart();
  }
  // What a page has brought before it fails is in the tree, and the cursor says so.
  Bytes after = p.cursor;
  auto last = read(after, [&](BytesView row, std::uint64_t key_hash, std::uint64_t clock_hash) {
    RINGLET_ASSERT(!p.begun || row > p.cursor);
    p.growing->apply(key_hash, 0, clock_hash);
    p.cursor.assign(row);
    p.begun = true;
  });
  if (!last) return last.status();
  if (!*last) {
    if (p.cursor != after) return false;
    return Status(Code::internal, "partition " + std::to_string(partition) +
                                      ": a page brought nothing and says that more follows");
  }
  if (p.tree) {
    std::uint64_t corrected = 0;
    for (std::uint32_t s = 0; s < tree_segments; ++s) {
      if (p.tree->segment(s) != p.growing->segment(s)) ++corrected;
    }
    segments_corrected_.fetch_add(corrected, std::memory_order_relaxed);
  }
  p.tree = std::move(p.growing);
  p.cursor = {};
  p.begun = false;
  return true;
}

void PartitionTrees::rebuild(std::uint32_t partition) {
  Partition& p = at(partition);
  Alone alone(p);
  if (!p.tree || p.growing) return;
  p.restart();
  rebuilds_.fetch_add(1, std::memory_order_release);
}

std::uint64_t PartitionTrees::rebuilds() const {
  return rebuilds_.load(std::memory_order_acquire);
}

void PartitionTrees::forget(std::uint32_t partition) {
  Partition& p = at(partition);
  Alone alone(p);
  p.tree.reset();
  p.growing.reset();
  p.cursor = {};
  p.begun = false;
}

TreeState PartitionTrees::state(std::uint32_t partition) const {
  Partition& p = at(partition);
  Inside inside(p);
  if (p.tree) return TreeState::built;
  return p.growing ? TreeState::building : TreeState::unbuilt;
}

bool PartitionTrees::wants_pages(std::uint32_t partition) const {
  Partition& p = at(partition);
  Inside inside(p);
  return p.growing != nullptr;
}

std::uint64_t PartitionTrees::segments_corrected() const {
  return segments_corrected_.load(std::memory_order_relaxed);
}

std::optional<std::uint64_t> PartitionTrees::root(std::uint32_t partition) const {
  Partition& p = at(partition);
  Inside inside(p);
  return p.tree ? std::optional(p.tree->root()) : std::nullopt;
}

std::vector<std::uint64_t> PartitionTrees::inner(std::uint32_t partition) const {
  Partition& p = at(partition);
  Inside inside(p);
  std::vector<std::uint64_t> hashes;
  if (!p.tree) return hashes;
  for (std::uint32_t i = 0; i < tree_inner_nodes; ++i) hashes.push_back(p.tree->inner(i));
  return hashes;
}

std::vector<std::uint64_t> PartitionTrees::segments(std::uint32_t partition) const {
  Partition& p = at(partition);
  Inside inside(p);
  std::vector<std::uint64_t> hashes;
  if (!p.tree) return hashes;
  hashes.reserve(tree_segments);
  for (std::uint32_t s = 0; s < tree_segments; ++s) hashes.push_back(p.tree->segment(s));
  return hashes;
}

std::optional<std::uint64_t> PartitionTrees::segment(std::uint32_t partition,
                                                     std::uint32_t segment) const {
  Partition& p = at(partition);
  Inside inside(p);
  return p.tree ? std::optional(p.tree->segment(segment)) : std::nullopt;
}

std::uint32_t PartitionTrees::keys_in(std::uint32_t partition, std::uint32_t segment) const {
  Partition& p = at(partition);
  Inside inside(p);
  return p.tree ? p.tree->keys_in(segment) : 0;
}

std::uint64_t PartitionTrees::keys(std::uint32_t partition) const {
  Partition& p = at(partition);
  Inside inside(p);
  return p.tree ? p.tree->keys() : 0;
}

void PartitionTrees::plant(std::uint32_t partition, std::uint32_t segment, std::uint64_t bits) {
  Partition& p = at(partition);
  Inside inside(p);
  if (p.tree) p.tree->plant(segment, bits);
}

}  // namespace ringlet
