// A plain sequential copy of the objects of a stopped node's directory through the engine, into a
// fresh directory: what transfer and repair are measured against. Once with one object a
// transaction, once with 64. Prints one line of JSON.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "storage/wiredtiger/wiredtiger_engine.hpp"

namespace ringlet {
namespace {

using Clock = std::chrono::steady_clock;

Result<std::unique_ptr<StorageEngine>> open(const std::string& directory, const std::string& node) {
  WiredTigerOptions options;
  options.directory = directory;
  options.cluster = "bench";
  options.node = node;
  return open_wiredtiger_engine(options);
}

struct Copied {
  std::size_t objects = 0, bytes = 0;
  double seconds = 0;
};

// Pages of the scan are kept until they are written: a visitor must not call the engine.
Result<Copied> copy(StorageEngine& from, StorageEngine& to, std::size_t in_a_transaction) {
  Copied copied;
  auto start = Clock::now();
  std::vector<std::pair<Bytes, Bytes>> page;
  Bytes after;
  bool more = true;
  while (more) {
    page.clear();
    more = false;
    Status scanned = from.scan(Table::objects, after, {}, [&](BytesView key, BytesView value) {
      if (page.size() == 256) {
        more = true;
        return false;
      }
      page.emplace_back(Bytes(key), Bytes(value));
      return true;
    });
    if (!scanned) return scanned;
    for (std::size_t i = 0; i < page.size(); i += in_a_transaction) {
      auto done = to.transact(Durability::log, [&](Transaction& transaction) {
        for (std::size_t j = i; j < std::min(page.size(), i + in_a_transaction); ++j) {
          Status put = transaction.put(Table::objects, page[j].first, page[j].second);
          if (!put) return put;
        }
        return Status::ok();
      });
      if (!done) return done.status();
    }
    for (auto& [key, value] : page) copied.bytes += key.size() + value.size();
    copied.objects += page.size();
    if (!page.empty()) after = page.back().first + '\0';
  }
  copied.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return copied;
}

int fail(const Status& status) {
  std::fprintf(stderr, "ringlet_copy: %s\n", status.to_string().c_str());
  return 2;
}

}  // namespace
}  // namespace ringlet

int main(int argc, char** argv) {
  using namespace ringlet;
  std::string directory, node, to;
  CLI::App app("Copies a stopped node's objects through the engine");
  app.add_option("--from", directory, "data_dir of the node")->required();
  app.add_option("--node", node, "its name")->required();
  app.add_option("--to", to, "an empty folder for the copies")->required();
  CLI11_PARSE(app, argc, argv);
  auto source = open(directory, node);
  if (!source) return fail(source.status());
  Copied results[2];
  const std::size_t sizes[2] = {1, 64};
  for (int i = 0; i < 2; ++i) {
    auto target = open(to + "/copy" + std::to_string(sizes[i]), "copy");
    if (!target) return fail(target.status());
    auto copied = copy(**source, **target, sizes[i]);
    if (!copied) return fail(copied.status());
    results[i] = *copied;
    [[maybe_unused]] auto closed = (*target)->close();
  }
  [[maybe_unused]] auto closed = (*source)->close();
  std::printf("{\"objects\":%zu,\"bytes\":%zu,\"one_per_second\":%.0f,\"many_per_second\":%.0f}\n",
              results[0].objects, results[0].bytes,
              static_cast<double>(results[0].objects) / results[0].seconds,
              static_cast<double>(results[1].objects) / results[1].seconds);
  return 0;
}
