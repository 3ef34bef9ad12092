// What the engine costs over WiredTiger itself: get and put of 1 KiB, through the contract and with
// bare calls of the same configuration.
#include <benchmark/benchmark.h>

#ifdef RINGLET_HAVE_STORAGE_WIREDTIGER
#include <stdlib.h>
#include <wiredtiger.h>

#include <filesystem>
#include <fstream>

#include "base/random.hpp"
#include "storage/wiredtiger/wiredtiger_engine.hpp"

namespace ringlet {
namespace {

constexpr int rows = 10'000;

struct Folder {
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "ringlet-bench-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

struct Engine {
  Engine() {
    WiredTigerOptions options;
    options.directory = folder.path;
    options.cluster = "bench";
    options.node = "n1";
    auto opened = open_wiredtiger_engine(options);
    if (!opened) std::abort();
    engine = std::move(*opened);
  }
  Folder folder;
  std::unique_ptr<StorageEngine> engine;
};

Bytes key_of(int n) {
  return "k" + std::to_string(n * 7919 % rows);
}

void put(StorageEngine& engine, Durability durability, const Bytes& key, const Bytes& value) {
  auto done = engine.transact(durability,
                              [&](Transaction& t) { return t.put(Table::objects, key, value); });
  if (!done) std::abort();
}

void engine_put(benchmark::State& state) {
  Engine held;
  const Bytes value(1024, 'v');
  const auto durability = static_cast<Durability>(state.range(0));
  int n = 0;
  for (auto _ : state) put(*held.engine, durability, key_of(n++ % rows), value);
  state.SetLabel(name_of(durability));
}
BENCHMARK(engine_put)->Name("storage/engine_put")->Arg(1)->Arg(2)->Arg(3);

void engine_get(benchmark::State& state) {
  Engine held;
  for (int n = 0; n < rows; ++n) put(*held.engine, Durability::log, key_of(n), Bytes(1024, 'v'));
  int n = 0;
  for (auto _ : state) {
    auto row = held.engine->get(Table::objects, key_of(n++ % rows));
    if (!row || !*row) std::abort();
    benchmark::DoNotOptimize(row);
  }
}
BENCHMARK(engine_get)->Name("storage/engine_get");

// What the process has handed to the operating system to write, in bytes; -1 where that is not told.
double written_bytes() {
  std::ifstream io("/proc/self/io");
  std::string name;
  double count = 0;
  while (io >> name >> count) {
    if (name == "wchar:") return count;
  }
  return -1;
}

// Puts to rows in no order, of a table that is larger than what of it may be dirty: KiB written a put.
void engine_put_of_many(benchmark::State& state) {
  Engine held;
  const auto many = static_cast<std::uint64_t>(state.range(0));
  auto key = [](std::uint64_t n) { return "k" + std::to_string(n * 0x9e3779b97f4a7c15); };
  for (std::uint64_t n = 0; n < many; ++n)
    put(*held.engine, Durability::log, key(n), Bytes(1100, 'v'));
  Random random(1);
  const double before = written_bytes();
  std::int64_t puts = 0;
  for (auto _ : state) {
    put(*held.engine, Durability::log, key(random.below(many)), Bytes(1100, 'w'));
    ++puts;
  }
  state.counters["KiB_a_put"] = (written_bytes() - before) / 1024 / static_cast<double>(puts);
}
BENCHMARK(engine_put_of_many)
    ->Name("storage/engine_put_of_many")
    ->Arg(100'000)
    ->Arg(1'000'000)
    ->Iterations(200'000);

struct Bare {
  Bare() {
    const char* config =
        "create,cache_size=256MB,log=(enabled,prealloc=false,file_max=80MB),"
        "transaction_sync=(enabled=true,method=none)";
    if (wiredtiger_open(folder.path.c_str(), nullptr, config, &connection) != 0 ||
        connection->open_session(connection, nullptr, "isolation=snapshot", &session) != 0 ||
        session->create(session, "table:objects", "key_format=u,value_format=u") != 0 ||
        session->open_cursor(session, "table:objects", nullptr, nullptr, &cursor) != 0) {
      std::abort();
    }
  }
  ~Bare() { connection->close(connection, nullptr); }
  void put(const Bytes& key, const Bytes& value) {
    WT_ITEM k{}, v{};
    k.data = key.data(), k.size = key.size(), v.data = value.data(), v.size = value.size();
    if (session->begin_transaction(session, nullptr) != 0) std::abort();
    cursor->set_key(cursor, &k);
    cursor->set_value(cursor, &v);
    if (cursor->insert(cursor) != 0 || session->commit_transaction(session, nullptr) != 0) {
      std::abort();
    }
  }
  Folder folder;
  WT_CONNECTION* connection = nullptr;
  WT_SESSION* session = nullptr;
  WT_CURSOR* cursor = nullptr;
};

void bare_put(benchmark::State& state) {
  Bare bare;
  const Bytes value(1024, 'v');
  int n = 0;
  for (auto _ : state) bare.put(key_of(n++ % rows), value);
}
BENCHMARK(bare_put)->Name("storage/bare_put");

void bare_get(benchmark::State& state) {
  Bare bare;
  for (int n = 0; n < rows; ++n) bare.put(key_of(n), Bytes(1024, 'v'));
  int n = 0;
  for (auto _ : state) {
    const Bytes key = key_of(n++ % rows);
    WT_ITEM k{}, v{};
    k.data = key.data(), k.size = key.size();
    bare.cursor->set_key(bare.cursor, &k);
    if (bare.cursor->search(bare.cursor) != 0 || bare.cursor->get_value(bare.cursor, &v) != 0) {
      std::abort();
    }
    Bytes value(static_cast<const char*>(v.data), v.size);
    benchmark::DoNotOptimize(value);
    bare.cursor->reset(bare.cursor);
  }
}
BENCHMARK(bare_get)->Name("storage/bare_get");

}  // namespace
}  // namespace ringlet
#endif
