// What a node's own copies look like, in a few hashes: so that two owners of a partition find what
// they differ in without telling each other what they agree on (paper 4.7; O-13).
//
//   root of a partition     XOR of its 32 inner nodes
//   inner node i            XOR of segments 32 i .. 32 i + 31
//   segment s, of 1024      XOR of mix(key hash, clock hash) of the keys whose hash begins with s
//
// XOR, so that a write changes one number in place and order does not matter. Only the segments are
// kept, 12 KiB a partition: what is above them is computed when asked for and cannot be wrong by
// itself. Trees live in memory and are built by a scan after every start, so none is ever stale.
// Hints never enter a tree: they are nobody's own copy.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/status.hpp"
#include "versioning/object.hpp"

namespace ringlet {

inline constexpr std::uint32_t tree_segments = 1024;
inline constexpr std::uint32_t tree_inner_nodes = 32;
inline constexpr std::uint32_t segments_per_inner_node = tree_segments / tree_inner_nodes;

std::uint64_t key_hash(const Key& key);
std::uint32_t segment_of(std::uint64_t key_hash);

// Two replicas' objects have the same clock hash iff sync would change neither, apart from the times
// in a context (last_ms), which compare equal. 0: there is no object. Of siblings it is a hash over
// the context and each version's dot, write id and stamp; what a dot names does not vary, so values
// are not read (O-13). Of last-write-wins, whose order reads everything, it covers everything.
//
// The whole context counts, so a pruned copy differs from an unpruned one (F-65). That ends: sync
// gives the pruned one its entries back, and only a minter prunes, at its next write. Two owners
// are equal after one exchange, at a price of one object for each write to a key of more actors than the
// threshold. Leaving out entries instead would hide that a replica had not seen a version that a
// third still holds.
std::uint64_t clock_hash(const Object& object);

class MerkleTree {
 public:
  MerkleTree();
  // The object of a key was `before` and is `after` (clock hashes; 0: none). From any thread.
  void apply(std::uint64_t key_hash, std::uint64_t before, std::uint64_t after);
  std::uint64_t root() const;
  std::uint64_t inner(std::uint32_t node) const;       // below tree_inner_nodes
  std::uint64_t segment(std::uint32_t segment) const;  // below tree_segments
  std::uint32_t keys_in(std::uint32_t segment) const;  // how many keys, tombstones included
  std::uint64_t keys() const;
  void plant(std::uint32_t segment, std::uint64_t bits);  // damage, for tests (F-72)

 private:
  struct Segment {
    std::atomic<std::uint64_t> hash{0};
    std::atomic<std::uint32_t> keys{0};
  };
  std::unique_ptr<Segment[]> segments_;
};

// What a segment of these keys has as its hash.
std::uint64_t mixed(std::uint64_t key_hash, std::uint64_t clock_hash);

enum class TreeState { unbuilt, building, built };

// The trees of all partitions of one node. Every function may be called from any thread.
//
// While a tree is being built from pages in the order of rows, a write to a row that the pages have
// passed goes into the tree, one beyond is left to the page that will read it. No page is read while
// a write to the partition is under way, nor the reverse, so nothing is counted twice. A page is
// short; a writer that meets one waits for it. A thread must not hold two Writings of a partition,
// nor one when it calls build_page.
class PartitionTrees {
  struct Partition;

 public:
  explicit PartitionTrees(std::uint32_t partitions);
  ~PartitionTrees();
  std::uint32_t partitions() const;

  // Held around the transaction that changes an own copy and the apply() after it.
  class Writing {
   public:
    Writing(Writing&& other) noexcept
        : partition_(std::exchange(other.partition_, nullptr)), takes_long_(other.takes_long_) {}
    Writing& operator=(Writing&&) = delete;
    ~Writing();
    // `row` is the key of the objects table, in the order in which pages are read. Does nothing when
    // before == after.
    void apply(BytesView row, std::uint64_t key_hash, std::uint64_t before, std::uint64_t after);

   private:
    friend class PartitionTrees;
    Writing(Partition* partition, bool takes_long)
        : partition_(partition), takes_long_(takes_long) {}
    Partition* partition_;
    bool takes_long_ = false;
  };
  // `takes_long`: its transaction writes megabytes.
  Writing writing(std::uint32_t partition, bool takes_long = false);
  // Such a write is under way: a page would wait for it, and all other writes of the partition for the page.
  bool is_held_long(std::uint32_t partition) const;

  // Reads rows after `after` (empty: from the start of the partition) in their order, calls visit for
  // each with its clock hash, and says whether that was the last of the partition.
  using Visit =
      std::function<void(BytesView row, std::uint64_t key_hash, std::uint64_t clock_hash)>;
  using ReadPage = std::function<Result<bool>(BytesView after, const Visit& visit)>;

  // One page more of a tree that is unbuilt, being built or being rebuilt. True: it is complete, also
  // when there was nothing to do. After a failure the same page is read again by the next call.
  Result<bool> build_page(std::uint32_t partition, const ReadPage& read);
  // Builds it anew from the store; until that is complete the old one answers. An unbuilt one
  // stays unbuilt.
  void rebuild(std::uint32_t partition);
  // Rises with every rebuild() that began one: whoever reads the pages looks at wants_pages anew.
  std::uint64_t rebuilds() const;
  void forget(std::uint32_t partition);             // it is not kept here any more: unbuilt again
  TreeState state(std::uint32_t partition) const;   // built also while it is being rebuilt
  bool wants_pages(std::uint32_t partition) const;  // building or being rebuilt
  // Segments found wrong by rebuilds so far (F-72).
  std::uint64_t segments_corrected() const;

  // Nothing unless built.
  std::optional<std::uint64_t> root(std::uint32_t partition) const;
  std::vector<std::uint64_t> inner(std::uint32_t partition) const;     // tree_inner_nodes or none
  std::vector<std::uint64_t> segments(std::uint32_t partition) const;  // tree_segments or none
  std::optional<std::uint64_t> segment(std::uint32_t partition, std::uint32_t segment) const;
  std::uint32_t keys_in(std::uint32_t partition, std::uint32_t segment) const;  // 0 unless built
  std::uint64_t keys(std::uint32_t partition) const;                            // 0 unless built
  // A wrong bit, for tests (F-72); nothing happens unless built.
  void plant(std::uint32_t partition, std::uint32_t segment, std::uint64_t bits);

 private:
  Partition& at(std::uint32_t partition) const;
  std::uint32_t count_;
  std::unique_ptr<Partition[]> partitions_;
  std::atomic<std::uint64_t> segments_corrected_{0}, rebuilds_{0};
};

}  // namespace ringlet
