#include "storage/wiredtiger/connection.hpp"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>

#include "base/this_thread.hpp"
#include "storage/wiredtiger/directory.hpp"

namespace ringlet {
namespace {

std::int64_t steady_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string uri_of(int table) {
  return std::string("table:") + name_of(static_cast<Table>(table));
}

}  // namespace

WtConnection::WtConnection(Options options, LogSink log)
    : options_(std::move(options)), log_(std::move(log)) {
  handler_.handle_error = &on_error;
  handler_.handle_message = &on_message;
  handler_.handle_progress = &on_progress;
  handler_.handle_close = nullptr;
  handler_.owner = this;
}

WtConnection::~WtConnection() {
  (void)close();
}

void WtConnection::say(LogLevel level, const std::string& text) const {
  if (log_) log_(level, "storage", text);
}

int WtConnection::on_error(WT_EVENT_HANDLER* handler, WT_SESSION*, int error, const char* message) {
  auto* owner = static_cast<Handler*>(handler)->owner;
  if (error == ENOSPC || error == EDQUOT) owner->no_room_seen_ = true;
  if (std::strstr(message, "checksum") != nullptr || std::strstr(message, "corrupt") != nullptr) {
    owner->damage_seen_ = true;
  }
  owner->say(LogLevel::error, message);
  return 0;
}

int WtConnection::on_message(WT_EVENT_HANDLER* handler, WT_SESSION*, const char* message) {
  static_cast<Handler*>(handler)->owner->say(LogLevel::info, message);
  return 0;
}

int WtConnection::on_progress(WT_EVENT_HANDLER*, WT_SESSION*, const char*, std::uint64_t) {
  return 0;
}

// method=none: a commit is handed to the operating system and not fsynced, which is what `log`
// promises; `disk` adds log_flush. A log file must hold the largest value, and not much more:
// recovery reads it to its end.
//
// Checkpoints are the engine's own: WiredTiger's thread for them takes down the whole connection when
// one fails, as on a full disk, while a call that fails says so and may be repeated. They come at other
// times than a neighbour's: nodes that started together and take the same writes would otherwise all be
// slow in the same moment, and a quorum with them. Dirty pages may fill much of the cache, for evicting
// one early means to write it twice; but no more than fits into what is kept free.
Status WtConnection::open(const std::string& tables_path) {
  const std::size_t stagger = std::hash<std::string>{}(tables_path);
  const std::int64_t interval = options_.checkpoint_interval.us;
  checkpoint_wait_us_ = interval * static_cast<std::int64_t>(80 + stagger % 41) / 100;
  checkpoint_bytes_ = options_.checkpoint_bytes * (75 + stagger / 41 % 51) / 100;
  const std::uint64_t cache = std::max<std::uint64_t>(options_.cache_bytes, 1 << 20);
  const std::uint64_t dirty =
      std::min(cache / 5 * 2, std::max(cache / 20, options_.min_free_bytes / 4 * 3));
  // WiredTiger begins a log file at each start and reserves all of it, 80 MiB. On a full disk that is what
  // the ballast has; there the file grows as it is written.
  const bool tight = free_bytes(options_.directory).value_or(UINT64_MAX) < options_.tight_bytes;
  const std::string config = std::string(tight ? "file_extend=(log=0)," : "") +
                             "create,cache_size=" + std::to_string(cache) +
                             ",session_max=512,statistics=(fast)"
                             ",log=(enabled,archive=true,prealloc=false,file_max=80MB)"
                             ",transaction_sync=(enabled=true,method=none)"
                             ",eviction=(threads_min=1,threads_max=2),eviction_dirty_target=" +
                             std::to_string(dirty) + ",eviction_dirty_trigger=" +
                             std::to_string(std::min(cache / 10 * 7, dirty * 2));
  // WiredTiger's threads (eviction, its log) go after those that serve requests, of which they take bursts
  // of 10 to 20 ms once the tables are larger than the cache: they are started by one that does.
  int opened = 0;
  std::thread([&] {
    let_others_go_first();
    opened = wiredtiger_open(tables_path.c_str(), &handler_, config.c_str(), &connection_);
  }).join();
  if (int code = opened) {
    connection_ = nullptr;
    return failed_open(code, tables_path);
  }
  // A leaf is split by whoever writes to it when it has grown to memory_page_max. At the default of 5 MB
  // that takes the request 8 to 15 ms; at a fifth of it, a fifth, more often. Keys are written in no order,
  // so once the tables are larger than what may be dirty, a page is written, and read, for almost each put:
  // pages of 8 KiB make that a third of what WiredTiger's 32 KiB do (24 -> 8.5 KiB written a put at a million
  // rows of 1 KiB). Pages of 4 KiB would halve it again, but the index above them, which should stay in the
  // cache, doubles with each halving. Larger values are rows of their own size, and not overflow records,
  // up to the bound that 32 KiB had. Read when a table is made: an older directory keeps its pages.
  WT_SESSION* session = nullptr;
  int code = connection_->open_session(connection_, nullptr, nullptr, &session);
  for (int table = 0; table < table_count && code == 0; ++table) {
    code = session->create(
        session, uri_of(table).c_str(),
        "key_format=u,value_format=u,memory_page_max=1MB,leaf_page_max=8KB,leaf_value_max=16KB");
  }
  if (session != nullptr) session->close(session, nullptr);
  if (code != 0) {
    Status failed = status_of(code, "make the tables");
    (void)close();
    if (damage_seen_) return {Code::corrupt, failed.message()};
    return failed;
  }
  // A table whose file is damaged is found now, not by the first request.
  auto first = lease();
  if (!first) {
    (void)close();
    return Status(Code::corrupt, "WiredTiger cannot open the tables in " + tables_path + ": " +
                                     first.status().message());
  }
  return Status::ok();
}

// Only what is damaged may be replaced, and even that is better kept: advice is followed.
Status WtConnection::failed_open(int code, const std::string& tables_path) {
  if (no_room_seen_ && code != ENOSPC && code != EDQUOT) code = ENOSPC;  // panics for want of room
  if (code == ENOSPC || code == EDQUOT) {
    return {Code::unavailable,
            "disk full: no room to open the tables in " + options_.directory + ": free " +
                std::to_string(2 * options_.checkpoint_bytes >> 20) +
                " MiB on its file system and start again; nothing in it is lost"};
  }
  if (code > 0 && code != EINVAL && code != ENOENT && code != EEXIST && !damage_seen_) {
    return status_of(code, "open the tables");  // the machine's fault, not that of what is there
  }
  return {Code::corrupt, "WiredTiger cannot open " + tables_path + ": " +
                             wiredtiger_strerror(code) +
                             ": restore the directory, or move it aside " +
                             "and start with an empty one that the other replicas fill"};
}

Status WtConnection::close() {
  if (connection_ == nullptr) return Status::ok();
  pool_.clear();  // the connection closes their sessions and cursors
  WT_CONNECTION* connection = connection_;
  connection_ = nullptr;
  return status_of(connection->close(connection, "leak_memory=false"), "close the tables");
}

Result<WtConnection::Lease> WtConnection::lease() {
  if (Status alive = broken(); !alive) return alive;
  {
    std::lock_guard lock(pool_mutex_);
    if (!pool_.empty()) {
      auto session = std::move(pool_.back());
      pool_.pop_back();
      return Lease(*this, std::move(session));
    }
  }
  auto made = std::make_unique<WtSession>();
  int code = connection_->open_session(connection_, nullptr, "isolation=snapshot", &made->session);
  for (int table = 0; table < table_count && code == 0; ++table) {
    code = made->session->open_cursor(made->session, uri_of(table).c_str(), nullptr, nullptr,
                                      &made->cursors[table]);
  }
  if (code != 0) {
    if (made->session != nullptr) made->session->close(made->session, nullptr);
    return status_of(code, "open a session");
  }
  return Lease(*this, std::move(made));
}

void WtConnection::give_back(std::unique_ptr<WtSession> session) {
  for (WT_CURSOR* cursor : session->cursors) cursor->reset(cursor);  // holds no page meanwhile
  std::lock_guard lock(pool_mutex_);
  pool_.push_back(std::move(session));
}

Status WtConnection::status_of(int code, const char* doing) {
  if (code == 0) return Status::ok();
  const std::string text = std::string("cannot ") + doing + " in " + options_.directory + ": ";
  if (code == ENOSPC || code == EDQUOT) {
    full_ = true;
    return {Code::unavailable, "disk full: " + text + std::strerror(code)};
  }
  if (code == WT_PANIC) broken_ = true;
  // WiredTiger gives up when it meets a damaged page: the call that met it says so, later ones io.
  if ((code == WT_PANIC || code == WT_ERROR || code == WT_TRY_SALVAGE) &&
      damage_seen_.exchange(false)) {
    return {Code::corrupt, text + "a page is damaged"};
  }
  if (code == WT_TRY_SALVAGE) return {Code::corrupt, text + wiredtiger_strerror(code)};
  if (code == ENOMEM) return {Code::no_memory, text + "out of memory"};
  if (code == WT_ROLLBACK || code == WT_CACHE_FULL || code == EBUSY) {
    return {Code::busy, text + wiredtiger_strerror(code)};
  }
  return {Code::io, text + wiredtiger_strerror(code)};
}

Status WtConnection::broken() const {
  if (!broken_) return Status::ok();
  return {Code::io, "the storage in " + options_.directory +
                        " failed and is closed to everything until it is opened again"};
}

void WtConnection::set_broken() {
  broken_ = true;
}

Status WtConnection::room() {
  const std::int64_t now = steady_us();
  const std::uint64_t wanted =
      options_.min_free_bytes + owed_bytes_.load(std::memory_order_relaxed);
  std::int64_t next = next_look_.load();
  // A row is written twice, to the log and to its table: what is kept free must not be gone before
  // the next look, however fast the disk is.
  const bool soon = unseen_bytes_.load(std::memory_order_relaxed) > options_.min_free_bytes / 16;
  if ((now >= next || soon) && next_look_.compare_exchange_strong(next, now + 100'000)) {
    unseen_bytes_.store(0, std::memory_order_relaxed);
    if (const auto free = free_bytes(options_.directory)) {
      const bool full = *free < wanted;
      if (full_.exchange(full) != full) {
        say(full ? LogLevel::error : LogLevel::info,
            full ? "disk full: writes stop" : "disk has room again: writes go on");
      }
    }
  }
  if (!full_) return Status::ok();
  return {Code::unavailable, "disk full: less than " + std::to_string(wanted) +
                                 " bytes are free for " + options_.directory};
}

bool WtConnection::checkpoint_due() {
  const std::int64_t now = steady_us();
  const std::uint64_t bytes = since_checkpoint_.load(std::memory_order_relaxed);
  if (checkpoint_at_ == 0) checkpoint_at_ = now;
  const bool due =
      bytes >= checkpoint_bytes_ || (bytes > 0 && now - checkpoint_at_ >= checkpoint_wait_us_);
  return due && !broken_ && room();
}

Status WtConnection::checkpoint() {
  auto held = lease();
  if (!held) return held.status();
  checkpoint_at_ = steady_us();
  since_checkpoint_.store(0, std::memory_order_relaxed);
  WT_SESSION* session = held->session();
  Status done = status_of(session->checkpoint(session, nullptr), "write a checkpoint");
  if (!done) wrote(1);  // due again after the interval, whether more is written or not
  return done;
}

std::uint64_t WtConnection::cache_bytes_in_use() {
  auto held = lease();
  if (!held) return 0;
  WT_CURSOR* cursor = nullptr;
  WT_SESSION* session = held->session();
  if (session->open_cursor(session, "statistics:", nullptr, "statistics=(fast)", &cursor) != 0) {
    return 0;
  }
  std::uint64_t bytes = 0;
  const char *description = nullptr, *printable = nullptr;
  cursor->set_key(cursor, WT_STAT_CONN_CACHE_BYTES_INUSE);
  if (cursor->search(cursor) == 0) cursor->get_value(cursor, &description, &printable, &bytes);
  cursor->close(cursor);
  return bytes;
}

}  // namespace ringlet
