// What WiredTiger's engine promises beyond the common contract: the directory, damage, room.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "engines.hpp"
#include "victim_process.hpp"

namespace ringlet::storage_test {
namespace {

namespace fs = std::filesystem;

WiredTigerOptions options_for(const std::string& path) {
  WiredTigerOptions options;
  options.directory = path;
  options.cluster = "test";
  options.node = "n1";
  return options;
}

Status put(StorageEngine& engine, BytesView key, BytesView value) {
  auto done = engine.transact(Durability::log,
                              [&](Transaction& t) { return t.put(Table::objects, key, value); });
  return done ? Status::ok() : done.status();
}

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Of the directory and all that is in it: the content, and when it was last touched.
using Contents = std::map<std::string, std::pair<std::string, fs::file_time_type>>;
Contents contents(const std::string& path) {
  Contents files;
  files[path] = {"", fs::last_write_time(path)};
  for (auto& entry : fs::recursive_directory_iterator(path)) {
    files[entry.path().string()] = {entry.is_regular_file() ? text_of(entry.path()) : "",
                                    fs::last_write_time(entry.path())};
  }
  return files;
}

void refused_untouched(const WiredTigerOptions& options, Code code, const std::string& words) {
  const auto before = contents(options.directory);
  auto opened = open_wiredtiger_engine(options);
  REQUIRE(!opened);
  CHECK(opened.status().code() == code);
  CHECK_THAT(opened.status().message(), Catch::Contains(words));
  CHECK((contents(options.directory) == before));
}

TEST_CASE("F-12 a directory that is not this node's is refused untouched", "[directory]") {
  Folder folder;
  auto options = options_for(folder.path);
  SECTION("foreign files") {
    std::ofstream(folder.path + "/thesis.tex") << "ten years of work";
    refused_untouched(options, Code::invalid_argument, "thesis.tex");
  }
  SECTION("another node, cluster or a newer format") {
    make("wiredtiger", folder.path);
    options.node = "n2";
    refused_untouched(options, Code::invalid_argument, "belongs to node \"n1\", wanted \"n2\"");
    options = options_for(folder.path);
    options.cluster = "other";
    refused_untouched(options, Code::invalid_argument, "belongs to cluster \"test\"");
    options = options_for(folder.path);
    std::ofstream(folder.path + "/RINGLET") << "format 2\ncluster test\nnode n1\n";
    refused_untouched(options, Code::unsupported, "format 2");
    std::ofstream(folder.path + "/RINGLET") << "nonsense";
    refused_untouched(options, Code::corrupt, "damaged");
  }
  SECTION("a name that is two lines") {
    options.node = "n1\nnode n2";
    refused_untouched(options, Code::invalid_argument, "line break");
  }
  SECTION("no parent") {
    options.directory = folder.path + "/a/b";
    CHECK(open_wiredtiger_engine(options).status().code() == Code::io);
  }
}

TEST_CASE("F-12 a copied directory opens and its history is not intact", "[directory]") {
  Folder folder;
  const std::string original = folder.path + "/one", copy = folder.path + "/two";
  REQUIRE(put(*make("wiredtiger", original), "a", "1"));
  CHECK(make("wiredtiger", original)->history_intact());
  fs::copy(original, copy, fs::copy_options::recursive);
  {
    auto engine = make("wiredtiger", copy);
    CHECK(!engine->history_intact());
    CHECK(**engine->get(Table::objects, "a") == "1");
  }
  // Nobody committed fresh epochs: the next who opens must hear it too.
  CHECK(!make("wiredtiger", copy)->history_intact());
  REQUIRE(put(*make("wiredtiger", copy), "b", "1"));
  CHECK(make("wiredtiger", copy)->history_intact());
}

// A file system gives the inode of a removed file to the next one, and `cp` into a directory that is there
// keeps the inodes. Taken for intact, such a history lets a node give a dot that others hold to a new write.
TEST_CASE("F-15 a directory that is put back at the same inodes is not intact", "[directory]") {
  Folder folder;
  const std::string original = folder.path + "/one", backup = folder.path + "/backup";
  REQUIRE(put(*make("wiredtiger", original), "a", "1"));
  fs::copy(original, backup, fs::copy_options::recursive);
  REQUIRE(put(*make("wiredtiger", original), "a", "2"));
  REQUIRE(make("wiredtiger", original)->history_intact());
  fs::remove_all(original + "/wiredtiger");
  fs::copy(backup + "/wiredtiger", original + "/wiredtiger", fs::copy_options::recursive);
  for (const char* name : {"/RINGLET", "/ringlet.state"}) {
    fs::copy_file(backup + name, original + name, fs::copy_options::overwrite_existing);
  }
  auto engine = make("wiredtiger", original);
  CHECK(!engine->history_intact());
  CHECK(**engine->get(Table::objects, "a") == "1");
  REQUIRE(put(*engine, "b", "1"));
  engine.reset();
  CHECK(make("wiredtiger", original)->history_intact());
}

TEST_CASE("a directory that a release without the time of change in its state left is intact",
          "[directory]") {
  Folder folder;
  REQUIRE(put(*make("wiredtiger", folder.path), "a", "1"));
  std::ifstream state(folder.path + "/ringlet.state");
  std::string boot, identity, how;
  std::getline(state, boot);
  std::getline(state, identity);
  std::getline(state, how);
  identity.resize(identity.rfind(' '));
  std::ofstream(folder.path + "/ringlet.state") << boot + "\n" + identity + "\n" + how + "\n";
  CHECK(make("wiredtiger", folder.path)->history_intact());
}

TEST_CASE("F-13 a damaged file is a sentence, never a wrong value", "[damage]") {
  Folder folder;
  {
    auto engine = make("wiredtiger", folder.path);
    for (int n = 0; n < 2000; ++n) REQUIRE(put(*engine, std::to_string(n), Bytes(500, 'v')));
    REQUIRE(engine->close());
  }
  const bool head = GENERATE(true, false);
  const std::string file = folder.path + "/wiredtiger/objects.wt";
  const auto size = fs::file_size(file);
  {
    std::fstream damage(file, std::ios::in | std::ios::out | std::ios::binary);
    for (std::uintmax_t at = head ? 0 : 4096 + 100; at < (head ? 4096 : size); at += 512) {
      damage.seekp(static_cast<std::streamoff>(at));
      damage << "damage";
    }
  }
  auto options = options_for(folder.path);
  std::atomic<int> said = 0;  // by threads of the engine's too
  options.log = [&](LogLevel, std::string_view, const std::string&) { ++said; };
  auto opened = open_wiredtiger_engine(options);
  if (!opened) {
    INFO(opened.status().to_string());
    CHECK(opened.status().code() == Code::corrupt);
    return;
  }
  std::map<Code, int> seen;
  for (int n = 0; n < 2000; ++n) {
    auto row = (*opened)->get(Table::objects, std::to_string(n));
    ++seen[row.status().code()];
    if (row) CHECK((row->has_value() && **row == Bytes(500, 'v')));
  }
  CHECK(seen[Code::corrupt] >= 1);
  CHECK(seen[Code::ok] + seen[Code::corrupt] + seen[Code::io] == 2000);
  CHECK(said > 0);
}

// The limit lies between what is free and what is free beside a large file.
TEST_CASE("F-10 a full disk stops writes, not reads, and room lets them go on", "[full]") {
  Folder folder;
  struct statvfs info{};
  REQUIRE(::statvfs(folder.path.c_str(), &info) == 0);
  const std::uint64_t free = std::uint64_t{info.f_bavail} * info.f_frsize, gap = 1ull << 30;
  REQUIRE(free > 4 * gap);
  auto options = options_for(folder.path);
  options.min_free_bytes = free - gap;
  auto opened = open_wiredtiger_engine(options);
  REQUIRE(opened);
  StorageEngine& engine = **opened;
  REQUIRE(put(engine, "a", "old"));
  const std::string ballast = folder.path + "/ballast";
  int file = ::open(ballast.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  REQUIRE(::posix_fallocate(file, 0, static_cast<off_t>(2 * gap)) == 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  for (Durability durability : {Durability::buffer, Durability::log, Durability::disk}) {
    auto done = engine.transact(durability,
                                [](Transaction& t) { return t.put(Table::objects, "a", "new"); });
    REQUIRE(!done);
    CHECK(done.status().code() == Code::unavailable);
    CHECK_THAT(done.status().message(), Catch::StartsWith("disk full"));
    CHECK(**engine.get(Table::objects, "a") == "old");
  }
  ::close(file);
  fs::remove(ballast);
  Status done = put(engine, "a", "new");
  for (int n = 0; n < 50 && !done; ++n) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    done = put(engine, "a", "new");
  }
  CHECK(done);
  CHECK(**engine.get(Table::objects, "a") == "new");
}

namespace {

// The nice values of this process's threads: from the stat of each, what follows its name in brackets.
std::multimap<int, std::string> threads_by_niceness() {
  std::multimap<int, std::string> threads;
  for (auto& task : fs::directory_iterator("/proc/self/task")) {
    std::string stat = text_of(task.path() / "stat");
    auto open = stat.find('('), close = stat.rfind(')');
    if (open == std::string::npos || close == std::string::npos) continue;  // it ended meanwhile
    std::istringstream rest(stat.substr(close + 2));
    std::string field;
    for (int number = 3; number <= 19; ++number) rest >> field;
    threads.emplace(std::stoi(field), stat.substr(open + 1, close - open - 1));
  }
  return threads;
}

}  // namespace

TEST_CASE("the engine's own threads go after those that serve, and the opener stays as it was") {
  Folder folder;
  const int own = getpriority(PRIO_PROCESS, static_cast<id_t>(gettid()));
  auto engine = make("wiredtiger", folder.path);
  std::multimap<int, std::string> threads;
  std::set<std::string> later, others;
  // They name themselves and give way when they begin.
  for (int i = 0; i < 500 && !(later.contains("wt-checkpoint") && others.contains("wt-flush"));
       ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    later.clear(), others.clear();
    threads = threads_by_niceness();
    for (const auto& [nice, name] : threads) (nice > own ? later : others).insert(name);
  }
  CHECK(later.contains("wt-checkpoint"));
  CHECK(others.contains("wt-flush"));  // answers wait for it
  CHECK(threads.count(own + 5) >= 3);  // the checkpoint's and WiredTiger's
  CHECK(getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())) == own);
}

TEST_CASE("buffered writes reach the tables by time and by number", "[buffer]") {
  Folder folder;
  auto options = options_for(folder.path);
  options.buffer_objects = 10;
  options.buffer_flush_interval = Duration::millis(20);
  {
    auto engine = open_wiredtiger_engine(options);
    REQUIRE(engine);
    for (int n = 0; n < 500; ++n) {
      REQUIRE((*engine)->transact(Durability::buffer, [&](Transaction& t) {
        return t.put(Table::objects, std::to_string(n), "v" + std::to_string(n));
      }));
    }
    for (int n = 0; n < 500; ++n) {
      CHECK(**(*engine)->get(Table::objects, std::to_string(n)) == "v" + std::to_string(n));
    }
    REQUIRE((*engine)->close());
  }
  auto engine = make("wiredtiger", folder.path);
  int rows = 0;
  REQUIRE(engine->scan(Table::objects, "", "", [&](BytesView, BytesView) { return ++rows > 0; }));
  CHECK(rows == 500);
}

TEST_CASE("F-10 the largest value goes in and comes back", "[large]") {
  Folder folder;
  const Bytes value(64u << 20, 'v');
  REQUIRE(put(*make("wiredtiger", folder.path), "a", value));
  auto row = make("wiredtiger", folder.path)->get(Table::objects, "a");
  REQUIRE(row);
  CHECK((*row == value));
}

TEST_CASE("P-4 a fresh engine is under 40 MiB resident", "[memory]") {
  Folder folder;
  Victim victim({folder.path, "rss"});
  victim.read_lines(1);
  long kib = 0, cache = 0;
  INFO(victim.text());
  REQUIRE(std::sscanf(victim.text().c_str(), "%ld KiB resident, %ld bytes of cache", &kib,
                      &cache) == 2);
  CHECK(cache > 0);
  CHECK(cache < (8 << 20));
  CHECK(kib > 1024);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  WARN("the resident size is the sanitizer's: " << kib << " KiB");
#else
  CHECK(kib < 40 * 1024);
#endif
}

}  // namespace
}  // namespace ringlet::storage_test
