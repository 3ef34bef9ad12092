// WiredTiger itself: one connection, a pool of sessions with their cursors, and its return codes as
// Status. Nothing here knows of tickets or buffers.
#pragma once

#include <wiredtiger.h>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/instant.hpp"
#include "base/log.hpp"
#include "storage/storage_engine.hpp"

namespace ringlet {

// One thread's at a time; cursors stay open between uses.
struct WtSession {
  WT_SESSION* session = nullptr;
  std::array<WT_CURSOR*, table_count> cursors{};
};

class WtConnection {
 public:
  struct Options {
    std::string directory;
    std::uint64_t min_free_bytes, cache_bytes;
    Duration checkpoint_interval;
    std::uint64_t checkpoint_bytes;
    std::uint64_t tight_bytes;  // fewer free ones: nothing is reserved when opening
  };
  WtConnection(Options options, LogSink log);
  ~WtConnection();  // closes if close() was not called

  Status open(const std::string& tables_path);
  Status close();

  // Gives the session back when it goes away.
  class Lease {
   public:
    Lease(WtConnection& owner, std::unique_ptr<WtSession> session)
        : owner_(&owner), session_(std::move(session)) {}
    Lease(Lease&&) = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (session_) owner_->give_back(std::move(session_));
    }
    WT_SESSION* session() const { return session_->session; }
    WT_CURSOR* cursor(Table table) const { return session_->cursors[static_cast<int>(table)]; }

   private:
    WtConnection* owner_;
    std::unique_ptr<WtSession> session_;
  };
  Result<Lease> lease();

  // The Status of a return code; remembers a broken engine.
  Status status_of(int code, const char* doing);
  Status broken() const;  // ok, or Code::io after a panic or a failed fsync
  void set_broken();
  // ok, or Code::unavailable "disk full". Looks every 100 ms, and sooner when much was written.
  Status room();
  // Bytes that must be free besides min_free_bytes: those that the ballast lacks after a start used it.
  void keep_free_too(std::uint64_t bytes) {
    owed_bytes_.store(bytes, std::memory_order_relaxed);
    next_look_.store(0);
  }
  void wrote(std::size_t bytes) {
    unseen_bytes_.fetch_add(bytes, std::memory_order_relaxed);
    since_checkpoint_.fetch_add(bytes, std::memory_order_relaxed);
  }
  // Due when much was written since the last one, or some a while ago; never on a full disk.
  bool checkpoint_due();
  Status checkpoint();
  std::uint64_t cache_bytes_in_use();

 private:
  struct Handler : WT_EVENT_HANDLER {
    WtConnection* owner;
  };
  static int on_error(WT_EVENT_HANDLER*, WT_SESSION*, int error, const char* message);
  static int on_message(WT_EVENT_HANDLER*, WT_SESSION*, const char* message);
  static int on_progress(WT_EVENT_HANDLER*, WT_SESSION*, const char*, std::uint64_t);
  Status failed_open(int code, const std::string& tables_path);
  void say(LogLevel level, const std::string& text) const;
  void give_back(std::unique_ptr<WtSession> session);

  const Options options_;
  const LogSink log_;
  Handler handler_{};
  WT_CONNECTION* connection_ = nullptr;
  std::mutex pool_mutex_;
  std::vector<std::unique_ptr<WtSession>> pool_;
  std::atomic<bool> broken_{false}, damage_seen_{false}, no_room_seen_{false};
  std::atomic<bool> full_{false};
  std::atomic<std::int64_t> next_look_{0};      // steady microseconds
  std::atomic<std::uint64_t> owed_bytes_{0};    // that the ballast lacks
  std::atomic<std::uint64_t> unseen_bytes_{0};  // written since the last look
  std::atomic<std::uint64_t> since_checkpoint_{0};
  std::int64_t checkpoint_at_ = 0;  // of the checkpointing thread, as the next two
  std::int64_t checkpoint_wait_us_ = 0;
  std::uint64_t checkpoint_bytes_ = 0;
};

inline WT_ITEM item_of(BytesView bytes) {
  WT_ITEM item{};
  item.data = bytes.data() == nullptr ? "" : bytes.data();
  item.size = bytes.size();
  return item;
}
// WiredTiger 3.2.1 refuses an empty key, so every key has one byte in front. Good until the same
// thread's next call.
inline WT_ITEM key_item_of(BytesView key) {
  thread_local Bytes stored;
  stored.assign(1, 'k').append(key);
  return item_of(stored);
}
inline BytesView view_of(const WT_ITEM& item) {
  return {static_cast<const char*>(item.data), item.size};
}
inline BytesView key_of(const WT_ITEM& item) {
  return view_of(item).substr(1);
}

}  // namespace ringlet
