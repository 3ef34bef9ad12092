// What Merkle upkeep costs a put, which takes some 20 us through WiredTiger: the aim is under 5 % of
// it (O-13). And how fast a tree is built.
#include <benchmark/benchmark.h>

#include "base/random.hpp"
#include "repair/merkle_tree.hpp"

namespace ringlet {
namespace {

Object object_of(std::uint64_t actors, std::size_t value_size, Reconcile mode) {
  Object object;
  object.mode = mode;
  for (std::uint64_t n = 1; n <= actors; ++n) {
    update(object, object.context, Actor{NodeId{0x0123456789abcdef * n}, 2},
           Write{WriteId{1, n}, false, Bytes(value_size, 'v'), "application/json"},
           1'700'000'000'000'000 + static_cast<std::int64_t>(n));
  }
  return object;
}

// All that a put pays: the key's hash, the hash of the object before and after, the gate, the tree.
void put_upkeep(benchmark::State& state, std::uint64_t actors, Reconcile mode, bool building) {
  PartitionTrees trees(64);
  bool first = true;
  Result<bool> built = trees.build_page(7, [&](BytesView, const auto& visit) -> Result<bool> {
    if (building && std::exchange(first, false)) visit("b/m", 1, 1);
    return !building;
  });
  if (!built) state.SkipWithError("no tree");
  Object object = object_of(actors, 1024, mode);
  Key key{"carts", "alice-0123456789"};
  Bytes row = "b/alice-0123456789";
  std::uint64_t counter = 0;
  for (auto _ : state) {
    auto writing = trees.writing(7);
    std::uint64_t before = clock_hash(object);
    object.versions[0].write_id.low = ++counter;
    writing.apply(row, key_hash(key), before, clock_hash(object));
  }
}
BENCHMARK_CAPTURE(put_upkeep, siblings_3_actors, 3, Reconcile::siblings, false);
BENCHMARK_CAPTURE(put_upkeep, siblings_50_actors, 50, Reconcile::siblings, false);
BENCHMARK_CAPTURE(put_upkeep, lww_1k, 1, Reconcile::lww, false);
BENCHMARK_CAPTURE(put_upkeep, while_building, 3, Reconcile::siblings, true);

void clock_hash_3_actors(benchmark::State& state) {
  Object object = object_of(3, 1024, Reconcile::siblings);
  for (auto _ : state) benchmark::DoNotOptimize(clock_hash(object));
}
BENCHMARK(clock_hash_3_actors);

// Several lanes write to one partition.
void apply_contended(benchmark::State& state) {
  static PartitionTrees trees(1);
  if (state.thread_index() == 0) {
    trees.forget(0);
    if (!trees.build_page(0, [](BytesView, const auto&) -> Result<bool> { return true; })) return;
  }
  Random random(static_cast<std::uint64_t>(state.thread_index()));
  for (auto _ : state) trees.writing(0).apply("row", random.next(), 1, 2);
}
BENCHMARK(apply_contended)->Threads(1)->Threads(2);

// A million keys in pages of 256, hashing included, reading left out.
void build_1m(benchmark::State& state) {
  Object object = object_of(3, 100, Reconcile::siblings);
  for (auto _ : state) {
    PartitionTrees trees(1);
    std::uint64_t next = 0;
    Key key{"carts", "00000000"};
    auto page = [&](BytesView, const PartitionTrees::Visit& visit) -> Result<bool> {
      for (int i = 0; i < 256 && next < 1'000'000; ++i, ++next) {
        std::uint64_t digits = next;
        for (std::size_t d = 8; d-- > 0; digits /= 10) {
          key.key[d] = static_cast<char>('0' + digits % 10);
        }
        visit(key.key, key_hash(key), clock_hash(object));
      }
      return next == 1'000'000;
    };
    for (;;) {
      auto done = trees.build_page(0, page);
      if (!done) state.SkipWithError(done.status().message().c_str());
      if (!done || *done) break;
    }
    benchmark::DoNotOptimize(trees.root(0));
  }
  state.SetItemsProcessed(state.iterations() * 1'000'000);
}
BENCHMARK(build_1m)->Unit(benchmark::kMillisecond);

// What the asker of an exchange of equal replicas computes: the roots of 64 partitions.
void roots_of_64(benchmark::State& state) {
  PartitionTrees trees(64);
  for (std::uint32_t p = 0; p < 64; ++p) {
    auto built = trees.build_page(p, [](BytesView, const auto& visit) -> Result<bool> {
      visit("a", 1, 1);
      return true;
    });
    if (!built) state.SkipWithError("no tree");
  }
  for (auto _ : state) {
    for (std::uint32_t p = 0; p < 64; ++p) benchmark::DoNotOptimize(trees.root(p));
  }
}
BENCHMARK(roots_of_64);

}  // namespace
}  // namespace ringlet
