#include "repair/merkle_tree.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <thread>

#include "base/random.hpp"

using namespace ringlet;

namespace {

Key key(std::uint64_t i) {
  return {"b", std::to_string(1'000'000 + i)};
}
Bytes row(const Key& key) {
  return key.bucket + '/' + key.key;
}
Actor actor(std::uint64_t node) {
  return {NodeId{node}, 2};
}

// An object after some random history: a few writes by a few actors, some of them blind.
Object random_object(Random& random, Reconcile mode = Reconcile::siblings) {
  Object object;
  object.mode = mode;
  for (std::uint64_t n = random.below(5) + 1; n > 0; --n) {
    CausalContext seen = random.chance(0.5) ? object.context : CausalContext{};
    Write write{WriteId{random.below(3), random.below(3) + 1}, random.chance(0.2), "", ""};
    if (!write.tombstone) write.value = Bytes(random.below(4), 'v');
    update(object, seen, actor(random.below(3) + 1), std::move(write),
           static_cast<std::int64_t>(random.below(4)));
  }
  return object;
}

// The store that a tree is built from: rows in order, with the clock hash of each.
using Rows = std::map<Bytes, std::pair<std::uint64_t, std::uint64_t>>;

PartitionTrees::ReadPage page_of(const Rows& rows, std::size_t limit) {
  return [&rows, limit](BytesView after, const PartitionTrees::Visit& visit) -> Result<bool> {
    auto it = rows.upper_bound(Bytes(after));
    for (std::size_t n = 0; n < limit && it != rows.end(); ++n, ++it) {
      visit(it->first, it->second.first, it->second.second);
    }
    return it == rows.end();
  };
}

std::vector<std::uint64_t> hashes_of(const Rows& rows) {
  MerkleTree tree;
  for (const auto& [row, hashes] : rows) tree.apply(hashes.first, 0, hashes.second);
  std::vector<std::uint64_t> all;
  for (std::uint32_t s = 0; s < tree_segments; ++s) all.push_back(tree.segment(s));
  return all;
}

void write(PartitionTrees& trees, Rows& rows, const Key& key, std::uint64_t clock) {
  auto writing = trees.writing(0);
  std::uint64_t hash = key_hash(key), before = 0;
  auto found = rows.find(row(key));
  if (found != rows.end()) before = found->second.second;
  if (clock == 0) {
    rows.erase(row(key));
  } else {
    rows[row(key)] = {hash, clock};
  }
  writing.apply(row(key), hash, before, clock);
}

}  // namespace

TEST_CASE("R4.7-a equal clock hashes iff sync changes neither replica") {
  Random random(7);
  int equal = 0, different = 0;
  for (int i = 0; i < 20'000; ++i) {
    Reconcile mode = random.chance(0.3) ? Reconcile::lww : Reconcile::siblings;
    Object a = random_object(random, mode),
           b = random.chance(0.3) ? a : random_object(random, mode);
    Object joined_a = a, joined_b = b;
    sync(joined_a, b);
    sync(joined_b, a);
    REQUIRE(clock_hash(joined_a) == clock_hash(joined_b));
    bool same = joined_a == a && joined_b == b && a == b;
    // One write id under one dot carries one value; these random writes may break that.
    if (same) REQUIRE(clock_hash(a) == clock_hash(b));
    if (clock_hash(joined_a) != clock_hash(a)) {
      REQUIRE_FALSE(joined_a == a);
    } else if (mode == Reconcile::lww) {
      REQUIRE(joined_a == a);
    } else {
      REQUIRE(joined_a.context == a.context);
      REQUIRE(joined_a.versions.size() == a.versions.size());
    }
    ++(clock_hash(a) == clock_hash(b) ? equal : different);
  }
  CHECK(equal > 1000);
  CHECK(different > 1000);
}

TEST_CASE(
    "R4.7-a a clock hash sees contexts, dots, deletes and stamps, and neither times nor values") {
  Object object;
  CHECK(clock_hash(object) == 0);
  update(object, {}, actor(1), Write{WriteId{1, 1}, false, "v", ""}, 1'000'000);
  const std::uint64_t hash = clock_hash(object);
  CHECK(hash != 0);

  Object other = object;
  std::vector<CausalContext::Entry> entries = other.context.entries();
  entries[0].last_ms += 5;
  other.context.set_entries(entries);
  CHECK(clock_hash(other) == hash);  // times in a context take no part in comparison
  other.versions[0].value = "changed on the disk alone";
  CHECK(clock_hash(other) == hash);

  other = object;
  other.context.add(Dot{actor(2), 1}, 0);
  CHECK(clock_hash(other) != hash);
  other = object;
  remove(other, other.context, actor(1), WriteId{1, 2}, 1'000'000);
  CHECK(clock_hash(other) != hash);

  Object lww = lww_object(NodeId{1}, Write{WriteId{1, 1}, false, "v", ""}, 5);
  Object deleted = lww_object(NodeId{1}, Write{WriteId{1, 1}, true, "", ""}, 5);
  Object later = lww_object(NodeId{1}, Write{WriteId{1, 1}, false, "v", ""}, 6);
  Object value = lww_object(NodeId{1}, Write{WriteId{1, 1}, false, "w", ""}, 5);
  std::set<std::uint64_t> all{clock_hash(lww), clock_hash(deleted), clock_hash(later),
                              clock_hash(value)};
  CHECK(all.size() == 4);
}

TEST_CASE("O-13 hashes of keys and clocks are the same on every machine") {
  // Nodes of different builds compare them: another number here is another protocol.
  Object object;
  update(object, {}, actor(1), Write{WriteId{1, 1}, false, "v", ""}, 1'000'000);
  CHECK(key_hash({"carts", "alice"}) == 0xbc58512464478263);
  CHECK(clock_hash(object) == 0x781eabb0ee7527fd);
  CHECK(key_hash({"a", "bc"}) != key_hash({"ab", "c"}));
  CHECK(key_hash({"", "a"}) != key_hash({"a", ""}));
}

TEST_CASE("F-65 a pruned copy and an unpruned one are equal after one sync, in either direction") {
  Object unpruned;
  for (std::uint64_t n = 1; n <= 60; ++n) {
    update(unpruned, unpruned.context, actor(n), Write{WriteId{1, n}, false, "v", ""},
           static_cast<std::int64_t>(n) * 1'000'000);
  }
  Object pruned = unpruned;
  CHECK(truncate(pruned, actor(60), 10'000'000, {50, 0}) == 10);
  CHECK(clock_hash(pruned) != clock_hash(unpruned));  // found once …
  Object at_pruned = pruned, at_unpruned = unpruned;
  CHECK(sync(at_pruned, unpruned));
  sync(at_unpruned, pruned);
  CHECK(clock_hash(at_pruned) == clock_hash(at_unpruned));  // … and never again
}

TEST_CASE("O-13 a tree is the XOR of its keys, whatever the order of writes") {
  Random random(1);
  MerkleTree grown, at_once;
  std::map<std::uint64_t, std::uint64_t> last;
  for (int i = 0; i < 20'000; ++i) {
    std::uint64_t hash = key_hash(key(random.below(3000)));
    std::uint64_t after = random.below(4);  // 0 is an erased one
    grown.apply(hash, last[hash], after);
    last[hash] = after;
  }
  std::uint64_t keys = 0;
  for (auto& [hash, clock] : last) {
    at_once.apply(hash, 0, clock);
    keys += clock != 0;
  }
  for (std::uint32_t s = 0; s < tree_segments; ++s) REQUIRE(grown.segment(s) == at_once.segment(s));
  for (std::uint32_t i = 0; i < tree_inner_nodes; ++i) REQUIRE(grown.inner(i) == at_once.inner(i));
  CHECK(grown.root() == at_once.root());
  CHECK(grown.keys() == keys);

  std::uint64_t all = 0;
  for (std::uint32_t i = 0; i < tree_inner_nodes; ++i) all ^= grown.inner(i);
  CHECK(all == grown.root());
  for (auto& [hash, clock] : last) grown.apply(hash, clock, 0);
  CHECK(grown.root() == 0);
  CHECK(grown.keys() == 0);
}

TEST_CASE("O-13 keys spread evenly over the segments") {
  MerkleTree tree;
  for (std::uint64_t i = 0; i < 102'400; ++i) tree.apply(key_hash(key(i)), 0, i + 1);
  std::uint32_t least = UINT32_MAX, most = 0;
  for (std::uint32_t s = 0; s < tree_segments; ++s) {
    least = std::min(least, tree.keys_in(s));
    most = std::max(most, tree.keys_in(s));
  }
  CHECK(least > 50);  // 100 each, give or take five deviations
  CHECK(most < 150);
}

TEST_CASE("R4.7 a tree answers when it is built, not before, and not when forgotten") {
  Rows rows;
  PartitionTrees trees(4);
  for (std::uint64_t i = 0; i < 25; ++i) write(trees, rows, key(i), i + 1);
  CHECK(trees.state(0) == TreeState::unbuilt);
  CHECK_FALSE(trees.root(0));
  CHECK(trees.inner(0).empty());
  CHECK(trees.segments(0).empty());
  CHECK_FALSE(trees.segment(0, 5));
  CHECK(trees.keys_in(0, 5) == 0);

  CHECK_FALSE(*trees.build_page(0, page_of(rows, 10)));
  CHECK(trees.state(0) == TreeState::building);
  CHECK_FALSE(trees.root(0));
  CHECK_FALSE(*trees.build_page(0, page_of(rows, 10)));
  CHECK(*trees.build_page(0, page_of(rows, 10)));
  CHECK(trees.state(0) == TreeState::built);
  CHECK(trees.segments(0) == hashes_of(rows));
  CHECK(trees.keys(0) == 25);
  CHECK(*trees.build_page(0, page_of(rows, 10)));  // nothing to do
  CHECK(trees.state(1) == TreeState::unbuilt);     // one is none of the others

  trees.forget(0);
  CHECK(trees.state(0) == TreeState::unbuilt);
  CHECK_FALSE(trees.root(0));
  write(trees, rows, key(100), 5);
  CHECK(*trees.build_page(0, page_of(rows, 100)));
  CHECK(trees.segments(0) == hashes_of(rows));
}

TEST_CASE("R4.7 a failed page is read again, and one that brings nothing ends in an error") {
  Rows rows;
  PartitionTrees trees(1);
  for (std::uint64_t i = 0; i < 25; ++i) write(trees, rows, key(i), i + 1);
  CHECK_FALSE(*trees.build_page(0, page_of(rows, 10)));
  // It fails in its middle: seven rows were visited, and are not visited again.
  auto broken = trees.build_page(0, [&](BytesView after, const auto& visit) -> Result<bool> {
    auto some = page_of(rows, 7)(after, visit);
    return Status(Code::io, "the disk is ill");
  });
  CHECK(broken.status().code() == Code::io);
  write(trees, rows, key(3), 77);   // passed by the first page
  write(trees, rows, key(14), 77);  // by the broken one
  write(trees, rows, key(20), 77);  // by none
  auto nothing = trees.build_page(0, [](BytesView, const auto&) -> Result<bool> { return false; });
  CHECK(nothing.status().code() == Code::internal);
  CHECK(*trees.build_page(0, page_of(rows, 10)));
  CHECK(trees.segments(0) == hashes_of(rows));
}

TEST_CASE("O-13 writes between the pages of a build leave the tree exact, in any interleaving") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Random random(seed);
    Rows rows;
    PartitionTrees trees(1);
    auto some_writes = [&](std::uint64_t most) {
      for (std::uint64_t n = random.below(most + 1); n > 0; --n) {
        write(trees, rows, key(random.below(40)), random.below(3));
      }
    };
    some_writes(60);
    for (int life = 0; life < 3; ++life) {
      while (!*trees.build_page(0, page_of(rows, 1 + random.below(8)))) some_writes(6);
      REQUIRE(trees.segments(0) == hashes_of(rows));
      some_writes(20);
      REQUIRE(trees.segments(0) == hashes_of(rows));
      if (random.chance(0.5)) {
        trees.forget(0);
      } else {
        trees.rebuild(0);
      }
    }
    CHECK(trees.segments_corrected() == 0);
  }
}

TEST_CASE("F-72 a planted wrong bit is gone after a rebuild, the old tree answering meanwhile") {
  Rows rows;
  PartitionTrees trees(1);
  for (std::uint64_t i = 0; i < 100; ++i) write(trees, rows, key(i), i + 1);
  while (!*trees.build_page(0, page_of(rows, 16))) continue;
  trees.plant(0, 17, 0x10);
  CHECK(trees.segments(0) != hashes_of(rows));

  trees.rebuild(0);
  CHECK(trees.wants_pages(0));
  CHECK(trees.state(0) == TreeState::built);
  int pages = 1;
  while (!*trees.build_page(0, page_of(rows, 16))) {
    ++pages;
    CHECK(trees.root(0));
    write(trees, rows, key(static_cast<std::uint64_t>(pages) * 13), 1000);
  }
  CHECK(pages >= 6);
  CHECK_FALSE(trees.wants_pages(0));
  CHECK(trees.segments(0) == hashes_of(rows));
  CHECK(trees.segments_corrected() == 1);
}

TEST_CASE("O-13 threads that write while another builds leave the tree exact") {
  // Rows are split among the writers, as an engine's transactions would do it for one row.
  struct Store {
    std::map<Bytes, std::pair<std::uint64_t, std::atomic<std::uint64_t>>> rows;
  } store;
  constexpr std::uint64_t keys = 600;
  for (std::uint64_t i = 0; i < keys; ++i) {
    auto& entry = store.rows[row(key(i))];
    entry.first = key_hash(key(i));
    entry.second = i % 3;
  }
  PartitionTrees trees(1);
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (std::uint64_t t = 0; t < 3; ++t) {
    writers.emplace_back([&, t] {
      Random random(t);
      while (!stop) {
        std::uint64_t i = random.below(keys / 3) * 3 + t, after = random.below(4);
        auto& entry = store.rows.at(row(key(i)));
        auto writing = trees.writing(0);
        std::uint64_t before = entry.second.exchange(after);
        writing.apply(row(key(i)), entry.first, before, after);
      }
    });
  }
  auto page = [&](BytesView after, const PartitionTrees::Visit& visit) -> Result<bool> {
    auto it = store.rows.upper_bound(Bytes(after));
    for (int n = 0; n < 40 && it != store.rows.end(); ++n, ++it) {
      visit(it->first, it->second.first, it->second.second);
    }
    return it == store.rows.end();
  };
  for (int round = 0; round < 20; ++round) {
    while (!*trees.build_page(0, page)) continue;
    CHECK(trees.root(0));
    trees.rebuild(0);
  }
  while (!*trees.build_page(0, page)) continue;
  stop = true;
  for (std::thread& writer : writers) writer.join();
  Rows last;
  for (auto& [row, entry] : store.rows) {
    if (entry.second != 0) last[row] = {entry.first, entry.second};
  }
  CHECK(trees.segments(0) == hashes_of(last));
  CHECK(trees.segments_corrected() == 0);
  CHECK(trees.keys(0) == last.size());
}
