// A disk that is really full, and one whose fsync fails.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <thread>

#include "engines.hpp"

namespace {

std::atomic<bool> sync_fails{false};
std::atomic<int> syncs_failed{0};

}  // namespace

// In front of libc's, also for libwiredtiger: what the kernel says when it lost written pages.
extern "C" __attribute__((visibility("default"))) int fdatasync(int fd) {
  if (sync_fails) {
    ++syncs_failed;
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

namespace ringlet::storage_test {
namespace {

using Ticket = StorageEngine::Ticket;

WiredTigerOptions options_for(const std::string& path) {
  WiredTigerOptions options;
  options.directory = path;
  options.cluster = "test";
  options.node = "n1";
  return options;
}

Result<Ticket> put(StorageEngine& engine, Durability durability, BytesView key, BytesView value) {
  return engine.transact(durability,
                         [&](Transaction& t) { return t.put(Table::objects, key, value); });
}

// A file system of its own, in memory; `mounted` is false where that needs another user.
struct SmallDisk {
  explicit SmallDisk(const char* size) {
    mounted = ::mount("ringlet-test", folder.path.c_str(), "tmpfs", 0, size) == 0;
    why = mounted ? "" : std::strerror(errno);
  }
  ~SmallDisk() {
    if (mounted) ::umount2(folder.path.c_str(), MNT_DETACH);
  }
  std::uint64_t free() const {
    struct statvfs info{};
    REQUIRE(::statvfs(folder.path.c_str(), &info) == 0);
    return std::uint64_t{info.f_bavail} * info.f_frsize;
  }
  // Takes all there is: the next byte anybody writes is ENOSPC.
  void fill() const {
    int file = ::open(ballast().c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    REQUIRE(file >= 0);
    const std::string block(4096, 'b');
    while (::write(file, block.data(), block.size()) > 0) {
    }
    CHECK(errno == ENOSPC);
    ::close(file);
    CHECK(free() == 0);
  }
  void make_room() const { ::unlink(ballast().c_str()); }
  std::string ballast() const { return folder.path + "/ballast"; }

  Folder folder;
  bool mounted = false;
  std::string why;
};

TEST_CASE("F-10 a file system without a free byte: writes are refused, reads go on", "[full]") {
  SmallDisk disk("size=48m");
  if (!disk.mounted) {
    WARN("skipped, it needs a file system of its own: cannot mount tmpfs: " << disk.why);
    return;
  }
  const Durability durability = GENERATE(Durability::buffer, Durability::log, Durability::disk);
  CAPTURE(name_of(durability));
  auto options = options_for(disk.folder.path + "/data");
  options.min_free_bytes = 8 << 20;
  auto opened = open_wiredtiger_engine(options);
  INFO((opened ? "" : opened.status().to_string()));
  REQUIRE(opened);
  StorageEngine& engine = **opened;
  // Rows until the engine says stop: room is left for what must still be written.
  int rows = 0;
  Status last;
  for (; rows < 4000 && last; ++rows) {
    auto done = put(engine, Durability::log, std::to_string(rows), Bytes(64 << 10, 'v'));
    last = done ? Status::ok() : done.status();
  }
  INFO(last.to_string());
  REQUIRE(last.code() == Code::unavailable);
  CHECK_THAT(last.message(), Catch::StartsWith("disk full"));
  CHECK(rows > 100);
  // What WiredTiger puts off until a page is next visited is done out of what was kept free.
  CHECK(engine.scan(Table::objects, "", "", [](BytesView, BytesView) { return true; }));
  disk.fill();
  auto row = [](StorageEngine& of, const Bytes& key) {
    auto got = of.get(Table::objects, key);
    INFO(got.status().to_string());
    REQUIRE(got);
    REQUIRE(*got);
    return **got;
  };
  auto refused = [&] {
    auto done = put(engine, durability, "0", "new");
    return !done && done.status().code() == Code::unavailable;
  };
  for (int n = 0; n < 20; ++n) {
    CHECK(refused());
    CHECK((row(engine, "0") == Bytes(64 << 10, 'v')));
    CHECK((row(engine, std::to_string(rows - 2)) == Bytes(64 << 10, 'v')));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  int seen = 0;
  CHECK(engine.scan(Table::objects, "", "", [&](BytesView, BytesView) { return ++seen > 0; }));
  CHECK(seen == rows - 1);
  // Room: the file system grows, as the rows themselves leave too little.
  disk.make_room();
  REQUIRE(::mount("ringlet-test", disk.folder.path.c_str(), "tmpfs", MS_REMOUNT, "size=96m") == 0);
  for (int n = 0; n < 100 && refused(); ++n) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  CHECK(put(engine, durability, "0", "new"));
  CHECK(row(engine, "0") == "new");
  REQUIRE(engine.close());
  auto again = open_wiredtiger_engine(options);
  REQUIRE(again);
  CHECK(row(**again, "0") == "new");
  CHECK((row(**again, "1") == Bytes(64 << 10, 'v')));
}

TEST_CASE(
    "F-112 a node starts on a disk without a free byte: it reads, and writes once there is room",
    "[full]") {
  SmallDisk disk("size=192m");
  if (!disk.mounted) {
    WARN("skipped, it needs a file system of its own: cannot mount tmpfs: " << disk.why);
    return;
  }
  auto options = options_for(disk.folder.path + "/data");
  options.min_free_bytes = 4 << 20;
  options.ballast_bytes = 32 << 20;
  options.checkpoint_bytes = 8 << 20;
  constexpr int rows = 100;
  const bool killed = GENERATE(false, true);
  CAPTURE(killed);
  // Another process, so that nothing of it is left here when it is killed.
  pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    auto opened = open_wiredtiger_engine(options);
    bool good = opened.is_ok();
    for (int n = 0; n < rows && good; ++n) {
      good = put(**opened, Durability::log, std::to_string(n), Bytes(64 << 10, 'v')).is_ok();
    }
    if (good && !killed) good = (*opened)->close().is_ok();
    ::_exit(good ? 0 : 1);
  }
  int how = 0;
  REQUIRE(::waitpid(child, &how, 0) == child);
  REQUIRE(how == 0);
  const std::string kept = options.directory + "/ringlet.ballast";
  struct stat info{};
  REQUIRE(::stat(kept.c_str(), &info) == 0);
  CHECK(static_cast<std::uint64_t>(info.st_size) == options.ballast_bytes);
  auto has_all = [](StorageEngine& engine) {
    for (int n = 0; n < rows; ++n) {
      auto got = engine.get(Table::objects, std::to_string(n));
      if (!got || !*got || **got != Bytes(64 << 10, 'v')) return false;
    }
    return true;
  };
  auto refused = [](StorageEngine& engine) {
    auto done = put(engine, Durability::log, "more", "v");
    return !done && done.status().code() == Code::unavailable;
  };
  disk.fill();
  SECTION("with the ballast it starts, again and again") {
    for (int start = 0; start < 3; ++start) {
      CAPTURE(start);
      disk.fill();  // what the last start set free, others take
      REQUIRE(::stat(kept.c_str(), &info) == 0);
      auto had = static_cast<std::uint64_t>(info.st_size);
      auto opened = open_wiredtiger_engine(options);
      INFO((opened ? "" : opened.status().to_string()));
      REQUIRE(opened);
      CHECK((*opened)->history_intact());
      CHECK(has_all(**opened));
      REQUIRE(::stat(kept.c_str(), &info) == 0);
      auto has = static_cast<std::uint64_t>(info.st_size);
      // A log that was reserved and is read to its end is given back: then there is room. What is free of
      // the ballast itself is none.
      const bool room = has == options.ballast_bytes && disk.free() >= options.min_free_bytes;
      INFO("the ballast had " << had << " bytes and has " << has << ", free are " << disk.free());
      CHECK(refused(**opened) == !room);
      disk.fill();
      std::this_thread::sleep_for(std::chrono::milliseconds(150));  // until the engine looks again
      CHECK(refused(**opened));
      CHECK(has_all(**opened));
      if (start < 2) {
        (void)(*opened)->close();  // as well as it can
        continue;
      }
      disk.make_room();
      for (int n = 0; n < 100 && refused(**opened); ++n) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
      CHECK(put(**opened, Durability::log, "more", "v"));
      CHECK((*opened)->close());
    }
    auto again = open_wiredtiger_engine(options);
    REQUIRE(again);
    CHECK(has_all(**again));
    CHECK(::stat(kept.c_str(), &info) == 0);
    CHECK(static_cast<std::uint64_t>(info.st_size) == options.ballast_bytes);
  }
  SECTION("without it the advice is to make room, and following it loses nothing") {
    REQUIRE(::truncate(kept.c_str(), 0) == 0);
    disk.fill();
    auto opened = open_wiredtiger_engine(options);
    if (!opened) {
      CHECK(opened.status().code() == Code::unavailable);
      CHECK_THAT(opened.status().message(),
                 Catch::StartsWith("disk full") && !Catch::Contains("empty"));
    } else {
      CHECK(has_all(**opened));
      CHECK(refused(**opened));
      (void)(*opened)->close();
    }
    disk.make_room();
    auto again = open_wiredtiger_engine(options);
    INFO((again ? "" : again.status().to_string()));
    REQUIRE(again);
    CHECK(has_all(**again));
  }
}

TEST_CASE("F-10 a checkpoint waits for room, or the engine would give up", "[full]") {
  SmallDisk disk("size=64m");
  if (!disk.mounted) {
    WARN("skipped, it needs a file system of its own: cannot mount tmpfs: " << disk.why);
    return;
  }
  auto options = options_for(disk.folder.path + "/data");
  options.min_free_bytes = 16 << 20;
  options.checkpoint_interval = Duration::millis(300);
  std::atomic<int> failed{0};
  options.log = [&](LogLevel, std::string_view, const std::string& text) {
    if (text.find("no checkpoint") != std::string::npos) ++failed;
  };
  auto opened = open_wiredtiger_engine(options);
  INFO((opened ? "" : opened.status().to_string()));
  REQUIRE(opened);
  StorageEngine& engine = **opened;
  auto fill = [&](int round) {
    for (int i = 0; i < 200; ++i) {
      REQUIRE(put(engine, Durability::log, std::to_string(i),
                  std::to_string(round) + Bytes(20 << 10, 'v')));
    }
  };
  for (int round = 0; round < 3; ++round) {
    fill(round);
    disk.fill();
    std::this_thread::sleep_for(std::chrono::milliseconds(1200));
    INFO(engine.health().to_string());
    REQUIRE(engine.health());
    CHECK(failed <= round + 1);  // at most the one that had begun
    auto got = engine.get(Table::objects, "7");
    REQUIRE(got);
    REQUIRE(*got);
    CHECK((**got)[0] == '0' + round);
    disk.make_room();
    for (int n = 0; n < 100 && !put(engine, Durability::log, "0", "new"); ++n) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(700));  // one is written now
  }
  REQUIRE(engine.close());
}

TEST_CASE("F-11 after a failed fsync no ticket of it is ever durable", "[sync]") {
  Folder folder;
  auto options = options_for(folder.path);
  struct Works {
    ~Works() { sync_fails = false; }
  } afterwards;
  {
    std::atomic<Ticket> heard{0};
    auto opened = open_wiredtiger_engine(options);
    REQUIRE(opened);
    StorageEngine& engine = **opened;
    engine.set_durable_listener([&](Ticket up_to) { heard = up_to; });
    auto good = put(engine, Durability::disk, "good", "1");
    REQUIRE(good);
    for (int n = 0; n < 500 && heard < *good; ++n) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    REQUIRE(heard == *good);
    syncs_failed = 0;
    sync_fails = true;
    auto lost = put(engine, Durability::disk, "lost", "1");
    REQUIRE(lost);
    for (int n = 0; n < 500 && syncs_failed == 0; ++n) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    REQUIRE(syncs_failed > 0);
    // The next fsync would succeed and prove nothing: the kernel has forgotten the pages.
    sync_fails = false;
    Status after;
    for (int n = 0; n < 500 && after; ++n) {  // until the flusher has seen it
      auto done = put(engine, Durability::disk, "after", "1");
      after = done ? Status::ok() : done.status();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    CHECK(after.code() == Code::io);
    CHECK(engine.flush().code() == Code::io);
    CHECK(engine.health().code() == Code::io);
    CHECK(engine.get(Table::objects, "good").status().code() == Code::io);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    CHECK(heard == *good);
    CHECK(engine.durable_up_to() == *good);
    CHECK(!engine.close());
    CHECK(heard == *good);
    CHECK(engine.durable_up_to() == *good);
  }
  // What was never promised may be gone, so the node must not mint where it left off.
  auto again = open_wiredtiger_engine(options);
  REQUIRE(again);
  CHECK(!(*again)->history_intact());
  CHECK(**(*again)->get(Table::objects, "good") == "1");
}

}  // namespace
}  // namespace ringlet::storage_test
