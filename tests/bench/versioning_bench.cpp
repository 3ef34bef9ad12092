// What versioning costs a put, beside the object's own bytes: the aim is under 1 us for update and
// for sync of an object with 3 actors and 1 sibling.
#include <benchmark/benchmark.h>

#include "versioning/encoding.hpp"
#include "versioning/object.hpp"

namespace ringlet {
namespace {

Actor actor(std::uint64_t node) {
  return {NodeId{0x0123456789abcdef * node}, node};
}

Write write_of(std::uint64_t id, std::size_t size) {
  return {WriteId{1, id}, false, Bytes(size, 'v'), "application/json"};
}

// Three actors in the context, one version.
Object three_actors(std::size_t size) {
  Object object;
  for (std::uint64_t n = 1; n <= 3; ++n) {
    update(object, object.context, actor(n), write_of(n, size), 1'700'000'000'000'000);
  }
  return object;
}

void update_1_sibling(benchmark::State& state) {
  Object object = three_actors(100);
  std::uint64_t id = 10;
  for (auto _ : state) {
    // The write takes the former one's value: no allocation but update's own is measured.
    Write write{WriteId{2, ++id}, false, std::move(object.versions[0].value),
                std::move(object.versions[0].content_type)};
    benchmark::DoNotOptimize(update(object, object.context, actor(1), std::move(write), 1));
  }
}
BENCHMARK(update_1_sibling);

void sync_equal(benchmark::State& state) {
  Object object = three_actors(100), other = object;
  for (auto _ : state) benchmark::DoNotOptimize(sync(object, other));
}
BENCHMARK(sync_equal);

// A newer version arrives and supersedes the older: two objects play ping-pong.
void sync_newer(benchmark::State& state) {
  Object minter = three_actors(100), replica = minter;
  std::uint64_t id = 10;
  for (auto _ : state) {
    Write write{WriteId{2, ++id}, false, std::move(minter.versions[0].value),
                std::move(minter.versions[0].content_type)};
    update(minter, minter.context, actor(1), std::move(write), 1);
    benchmark::DoNotOptimize(sync(replica, minter));
  }
}
BENCHMARK(sync_newer);

// A put of a key that is written all the time, at the replica that mints: its row is read, changed and
// stored, and remembers as many replaced writes as a row may.
void update_of_a_hot_key(benchmark::State& state) {
  SpentLimits limits;
  limits.most = static_cast<std::size_t>(state.range(0));
  Object object = three_actors(100);
  std::int64_t now_us = 1'700'000'000'000'000;
  std::uint64_t id = 10;
  auto put = [&](Object& there) {
    now_us += 10'000;
    update(there, there.context, actor(1), write_of(++id * 0x9e3779b97f4a7c15, 100), now_us);
    forget_spent(there, now_us, limits);
  };
  for (std::int64_t i = 0; i < state.range(0) + 10; ++i) put(object);
  Bytes record = encode_record(object);
  for (auto _ : state) {
    auto stored = decode_record(record);
    put(*stored);
    record = encode_record(*stored);
  }
  state.counters["bytes"] = static_cast<double>(record.size());
}
BENCHMARK(update_of_a_hot_key)->Arg(64)->Arg(128)->Arg(256)->Arg(512)->Arg(1024);

void siblings_of_1(benchmark::State& state) {
  Object object = three_actors(100);
  for (auto _ : state) benchmark::DoNotOptimize(siblings(object));
}
BENCHMARK(siblings_of_1);

void encode_record_1k(benchmark::State& state) {
  Object object = three_actors(1024);
  for (auto _ : state) benchmark::DoNotOptimize(encode_record(object));
}
BENCHMARK(encode_record_1k);

void decode_record_1k(benchmark::State& state) {
  Bytes record = encode_record(three_actors(1024));
  for (auto _ : state) benchmark::DoNotOptimize(decode_record(record));
}
BENCHMARK(decode_record_1k);

void client_context_round_trip(benchmark::State& state) {
  ClientContext context{three_actors(1).context, NodeId{1}};
  Key key{"carts", "alice"};
  for (auto _ : state) {
    benchmark::DoNotOptimize(decode_client_context(encode_client_context(context, key), key));
  }
}
BENCHMARK(client_context_round_trip);

void token_of_key(benchmark::State& state) {
  Key key{"carts", "alice"};
  for (auto _ : state) benchmark::DoNotOptimize(token_of(key));
}
BENCHMARK(token_of_key);

}  // namespace
}  // namespace ringlet
