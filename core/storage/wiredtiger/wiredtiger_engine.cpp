#include "storage/wiredtiger/wiredtiger_engine.hpp"

#include <chrono>
#include <condition_variable>
#include <map>
#include <shared_mutex>
#include <thread>

#include "base/this_thread.hpp"
#include "storage/wiredtiger/connection.hpp"
#include "storage/wiredtiger/directory.hpp"

namespace ringlet {
namespace {

// A row written and not yet in WiredTiger; no value is an erased row.
using Rows = std::map<Bytes, std::optional<Bytes>, std::less<>>;
using Buffer = std::array<Rows, table_count>;

std::chrono::microseconds wait_of(Duration duration) {
  return std::chrono::microseconds(duration.us);
}

Result<std::optional<Bytes>> read_row(WtConnection& connection, WT_CURSOR* cursor, BytesView key,
                                      int& code) {
  WT_ITEM item = key_item_of(key), value{};
  cursor->set_key(cursor, &item);
  code = cursor->search(cursor);
  if (code == 0) code = cursor->get_value(cursor, &value);
  if (code == WT_NOTFOUND) {
    code = 0;
    return std::optional<Bytes>();
  }
  if (code != 0) return connection.status_of(code, "read a row");
  std::optional<Bytes> found(Bytes(view_of(value)));
  cursor->reset(cursor);
  return found;
}

int write_row(WT_CURSOR* cursor, BytesView key, const std::optional<BytesView>& value) {
  WT_ITEM item = key_item_of(key);
  cursor->set_key(cursor, &item);
  if (!value) {
    const int code = cursor->remove(cursor);
    return code == WT_NOTFOUND ? 0 : code;
  }
  WT_ITEM content = item_of(*value);
  cursor->set_value(cursor, &content);
  return cursor->insert(cursor);
}

// The body of `log` and `disk`. A code that failed stays, whatever the body makes of it: nothing
// may be committed after it.
class WtTransaction final : public Transaction {
 public:
  WtTransaction(WtConnection& connection, WtConnection::Lease& lease)
      : connection_(connection), lease_(lease) {}

  Result<std::optional<Bytes>> get(Table table, BytesView key) override {
    if (!failed_) return failed_;
    auto row = read_row(connection_, lease_.cursor(table), key, code_);
    if (!row) failed_ = row.status();
    return row;
  }
  Status put(Table table, BytesView key, BytesView value) override {
    return write(table, key, value);
  }
  Status erase(Table table, BytesView key) override { return write(table, key, std::nullopt); }
  int code() const { return code_; }
  const Status& failed() const { return failed_; }

 private:
  Status write(Table table, BytesView key, std::optional<BytesView> value) {
    if (!failed_) return failed_;
    if (value) failed_ = check_row(key, *value);  // what cannot be there may be erased
    if (!failed_) return failed_;
    connection_.wrote(key.size() + (value ? value->size() : 0));
    code_ = write_row(lease_.cursor(table), key, value);
    if (code_ != 0) failed_ = connection_.status_of(code_, "write a row");
    return failed_;
  }
  WtConnection& connection_;
  WtConnection::Lease& lease_;
  int code_ = 0;
  Status failed_;
};

// The body of `buffer`: own writes, then the buffer, then the tables.
class BufferTransaction final : public Transaction {
 public:
  BufferTransaction(WtConnection& connection, WtConnection::Lease& lease, const Buffer& buffer)
      : connection_(connection), lease_(lease), buffer_(buffer) {}

  Result<std::optional<Bytes>> get(Table table, BytesView key) override {
    const int n = static_cast<int>(table);
    if (auto it = written[n].find(key); it != written[n].end()) return it->second;
    if (auto it = buffer_[n].find(key); it != buffer_[n].end()) return it->second;
    int code = 0;
    auto row = read_row(connection_, lease_.cursor(table), key, code);
    if (!row) failed = row.status();
    return row;
  }
  Status put(Table table, BytesView key, BytesView value) override {
    if (Status fits = check_row(key, value); !fits) return failed = fits;
    written[static_cast<int>(table)].insert_or_assign(Bytes(key), std::optional<Bytes>(value));
    return Status::ok();
  }
  Status erase(Table table, BytesView key) override {
    written[static_cast<int>(table)].insert_or_assign(Bytes(key), std::nullopt);
    return Status::ok();
  }
  Buffer written;
  Status failed;

 private:
  WtConnection& connection_;
  WtConnection::Lease& lease_;
  const Buffer& buffer_;
};

class WiredTigerEngine final : public StorageEngine {
 public:
  WiredTigerEngine(WiredTigerOptions options, std::unique_ptr<Directory> directory)
      : options_(std::move(options)),
        directory_(std::move(directory)),
        connection_(
            {options_.directory, options_.min_free_bytes, options_.cache_bytes,
             options_.checkpoint_interval, options_.checkpoint_bytes, 2 * options_.ballast_bytes},
            options_.log) {}
  ~WiredTigerEngine() override { (void)close(); }

  Status open() {
    Status opened = connection_.open(directory_->tables_path());
    if (!opened) {
      closed_ = true;
      return opened;
    }
    if (directory_->history_intact()) {
      if (Status written = directory_->remember_running(); !written) return written;
      remembered_ = true;
    }
    keep_ballast();
    flusher_ = std::thread([this] { run_flusher(); });
    writer_ = std::thread([this] { run_writer(); });
    checkpointer_ = std::thread([this] { run_checkpointer(); });
    return Status::ok();
  }

  Result<std::optional<Bytes>> get(Table table, BytesView key) override {
    std::shared_lock life(life_);
    if (closed_) return closed();
    if (Status alive = connection_.broken(); !alive) return alive;
    ++reads_;
    // A row that is not in the buffer now was last written to the tables: they may be read later.
    if (buffered_ > 0) {
      auto gate = enter_shared();
      const Rows& rows = buffer_[static_cast<int>(table)];
      if (auto it = rows.find(key); it != rows.end()) return it->second;
    }
    auto lease = connection_.lease();
    if (!lease) return lease.status();
    int code = 0;
    return read_row(connection_, lease->cursor(table), key, code);
  }

  Result<Ticket> transact(Durability durability, const Body& body) override {
    std::shared_lock life(life_);
    if (closed_) return closed();
    Result<Ticket> done =
        durability == Durability::buffer ? transact_buffer(body) : transact_log(durability, body);
    ++(done ? commits_ : failures_);
    return done;
  }

  Status scan(Table table, BytesView from, BytesView to, const Visitor& visit) override {
    std::shared_lock life(life_);
    if (closed_) return closed();
    auto lease = connection_.lease();
    if (!lease) return lease.status();
    ++reads_;
    WT_SESSION* session = lease->session();
    Rows over;  // what of the buffer is in the range, of the same moment as the snapshot
    {
      auto gate = enter_shared();
      const Rows& rows = buffer_[static_cast<int>(table)];
      for (auto it = rows.lower_bound(from); it != rows.end(); ++it) {
        if (!to.empty() && BytesView(it->first) >= to) break;
        over.insert(over.end(), *it);
      }
      if (int code = session->begin_transaction(session, "isolation=snapshot")) {
        return connection_.status_of(code, "begin a scan");
      }
    }
    Status done = merge(lease->cursor(table), from, to, over, visit);
    session->rollback_transaction(session, nullptr);
    return done;
  }

  Ticket durable_up_to() const override { return durable_; }
  void set_durable_listener(std::function<void(Ticket)> listener) override {
    std::lock_guard lock(listener_mutex_);
    listener_ = std::move(listener);
  }

  Status flush() override {
    std::shared_lock life(life_);
    if (closed_) return closed();
    {
      auto gate = enter_alone();
      if (Status written = write_buffer(); !written) return written;
    }
    return sync_log();
  }

  bool history_intact() const override { return directory_->history_intact(); }
  Status health() const override { return connection_.broken(); }
  EngineStats stats() const override {
    std::shared_lock life(life_);
    EngineStats stats{reads_, commits_, conflicts_, failures_, flushes_, 0};
    if (!closed_) stats.cache_bytes = const_cast<WtConnection&>(connection_).cache_bytes_in_use();
    return stats;
  }
  const char* name() const override { return "wiredtiger"; }

  Status close() override {
    {
      std::lock_guard lock(wake_mutex_);
      stop_ = true;
    }
    flusher_wake_.notify_all();
    writer_wake_.notify_all();
    checkpointer_wake_.notify_all();
    if (checkpointer_.joinable()) checkpointer_.join();
    if (flusher_.joinable()) flusher_.join();
    if (writer_.joinable()) writer_.join();
    std::unique_lock life(life_);
    if (closed_) return Status::ok();
    Status written = write_buffer();
    Status synced = sync_log();
    closed_ = true;
    // A call that ran until now may have issued tickets after the flusher had left.
    if (synced) report_durable(issued());
    Status shut = connection_.close();
    Status done;
    for (const Status& step : {written, synced, shut}) {
      if (done) done = step;
    }
    // A history that was never taken up anew stays lost for the next who opens.
    if (done && remembered_) done = directory_->remember_clean();
    directory_->release();
    return done;
  }

 private:
  static Status closed() { return {Code::closed, "the storage engine is closed"}; }

  // The turnstile keeps a crowd of readers from locking a writer out for ever.
  std::shared_lock<std::shared_mutex> enter_shared() {
    std::lock_guard turn(turnstile_);
    return std::shared_lock(gate_);
  }
  std::unique_lock<std::shared_mutex> enter_alone() {
    std::lock_guard turn(turnstile_);
    return std::unique_lock(gate_);
  }

  Result<Ticket> transact_log(Durability durability, const Body& body) {
    if (Status room = connection_.room(); !room) return room;
    auto shared = enter_shared();
    if (buffered_ == 0) return run(durability, body);
    shared.unlock();
    // The tables must have what the buffer has before a stronger write goes over it.
    auto alone = enter_alone();
    if (Status written = write_buffer(); !written) return written;
    return run(durability, body);
  }

  // Needs the gate. Runs the body until it meets no conflict.
  Result<Ticket> run(Durability durability, const Body& body) {
    auto lease = connection_.lease();
    if (!lease) return lease.status();
    WT_SESSION* session = lease->session();
    for (int attempt = 0;; ++attempt) {
      if (int code = session->begin_transaction(session, "isolation=snapshot")) {
        return connection_.status_of(code, "begin a transaction");
      }
      WtTransaction transaction(connection_, *lease);
      Status wanted;
      try {
        wanted = body(transaction);
      } catch (...) {  // the session goes back to the pool: nothing may be left open in it
        session->rollback_transaction(session, nullptr);
        throw;
      }
      int code = transaction.code();
      Status failed = transaction.failed();
      if (failed && wanted) {
        code = session->commit_transaction(session, nullptr);  // a failure rolls back
        if (code != 0) failed = connection_.status_of(code, "commit");
      } else {
        session->rollback_transaction(session, nullptr);
      }
      if (code == WT_ROLLBACK) {
        ++conflicts_;
        if (attempt > 8) std::this_thread::sleep_for(std::chrono::microseconds(50 * attempt));
        continue;
      }
      if (!failed) return failed;
      if (!wanted) return wanted;
      break;
    }
    if (Status kept = take_up_history(); !kept) {
      kept.set_maybe_applied(true);
      return kept;
    }
    if (durability != Durability::disk) return Ticket{0};
    Ticket ticket = 0;
    {
      std::lock_guard lock(wake_mutex_);
      ticket = ++issued_;
    }
    flusher_wake_.notify_one();
    return ticket;
  }

  Result<Ticket> transact_buffer(const Body& body) {
    if (Status room = connection_.room(); !room) return room;
    auto alone = enter_alone();
    if (Status marked = mark_unsure(); !marked) return marked;
    if (buffered_ >= 10 * std::max<std::size_t>(options_.buffer_objects, 1)) {
      if (Status written = write_buffer(); !written) return written;  // the writer does not keep up
    }
    auto lease = connection_.lease();
    if (!lease) return lease.status();
    BufferTransaction transaction(connection_, *lease, buffer_);
    Status wanted = body(transaction);
    if (!transaction.failed) return transaction.failed;
    if (!wanted) return wanted;
    std::size_t held = 0;
    for (int table = 0; table < table_count; ++table) {
      for (auto& [key, value] : transaction.written[table]) {
        buffer_[table].insert_or_assign(key, std::move(value));
      }
      held += buffer_[table].size();
    }
    buffered_ = held;
    if (held >= options_.buffer_objects) writer_wake_.notify_one();
    return Ticket{0};
  }

  // Needs the gate alone. The buffer to the tables, in one transaction.
  Status write_buffer() {
    if (buffered_ == 0) return Status::ok();
    if (Status room = connection_.room(); !room) return room;
    auto lease = connection_.lease();
    if (!lease) return lease.status();
    WT_SESSION* session = lease->session();
    int code = WT_ROLLBACK;
    for (int attempt = 0; attempt < 100 && code == WT_ROLLBACK; ++attempt) {
      code = session->begin_transaction(session, "isolation=snapshot");
      if (code != 0) break;
      for (int table = 0; table < table_count && code == 0; ++table) {
        for (auto it = buffer_[table].begin(); it != buffer_[table].end() && code == 0; ++it) {
          connection_.wrote(it->first.size() + (it->second ? it->second->size() : 0));
          code = write_row(lease->cursor(static_cast<Table>(table)), it->first, it->second);
        }
      }
      if (code == 0) {
        code = session->commit_transaction(session, nullptr);
      } else {
        session->rollback_transaction(session, nullptr);
      }
    }
    if (code != 0) return connection_.status_of(code, "write the buffer");
    buffered_ = 0;
    for (Rows& rows : buffer_) rows.clear();
    return Status::ok();
  }

  Status merge(WT_CURSOR* cursor, BytesView from, BytesView to, const Rows& over,
               const Visitor& visit) {
    WT_ITEM item = key_item_of(from), value{};
    int nearness = 0;
    cursor->set_key(cursor, &item);
    int code = cursor->search_near(cursor, &nearness);
    if (code == 0 && nearness < 0) code = cursor->next(cursor);
    auto it = over.begin();
    while (true) {
      BytesView key;
      bool in_table = code == 0;
      if (in_table) {
        if ((code = cursor->get_key(cursor, &item)) != 0) break;
        key = key_of(item);
        if (!to.empty() && key >= to) in_table = false;
      } else if (code != WT_NOTFOUND) {
        break;
      }
      if (it != over.end() && (!in_table || BytesView(it->first) <= key)) {
        const bool same = in_table && it->first == key;
        if (it->second && !visit(it->first, *it->second)) return Status::ok();
        ++it;
        if (same) code = cursor->next(cursor);
        continue;
      }
      if (!in_table) return Status::ok();
      if ((code = cursor->get_value(cursor, &value)) != 0) break;
      if (!visit(key, view_of(value))) return Status::ok();
      code = cursor->next(cursor);
    }
    return connection_.status_of(code, "scan");
  }

  // Once, after the first commit: from now on a crash of the process alone loses nothing. Not
  // earlier: a node that crashed before it took fresh epochs must be told again.
  Status take_up_history() {
    if (remembered_) return Status::ok();
    std::lock_guard lock(history_mutex_);
    if (remembered_) return Status::ok();
    if (Status written = directory_->remember_running(); !written) return written;
    remembered_ = true;
    return Status::ok();
  }

  Status mark_unsure() {
    if (unsure_) return Status::ok();
    std::lock_guard lock(history_mutex_);
    if (unsure_) return Status::ok();
    if (Status marked = directory_->mark_unsure(); !marked) return marked;
    unsure_ = true;
    return Status::ok();
  }

  Status sync_log() {
    auto lease = connection_.lease();
    if (!lease) return lease.status();
    ++flushes_;
    WT_SESSION* session = lease->session();
    const int code = session->log_flush(session, "sync=on");
    if (code == 0) return Status::ok();
    // The kernel may have dropped the pages: a second fsync that succeeds would prove nothing.
    Status failed = connection_.status_of(code, "sync the log");
    connection_.set_broken();
    (void)directory_->mark_unsure();
    return failed;
  }

  Ticket issued() {
    std::lock_guard lock(wake_mutex_);
    return issued_;
  }

  void report_durable(Ticket up_to) {
    std::lock_guard listening(listener_mutex_);
    if (up_to <= durable_) return;
    durable_ = up_to;
    if (listener_) listener_(up_to);
  }

  // Group commit: one fsync for all tickets issued before it began.
  void run_flusher() {
    name_this_thread("wt-flush");
    std::unique_lock lock(wake_mutex_);
    auto next = std::chrono::steady_clock::now();
    while (true) {
      flusher_wake_.wait(lock, [this] { return stop_ || issued_ > durable_; });
      if (issued_ == durable_) return;  // stopped, and nobody waits
      if (!stop_) flusher_wake_.wait_until(lock, next, [this] { return stop_; });
      const Ticket up_to = issued_;
      lock.unlock();
      next = std::chrono::steady_clock::now() + wait_of(options_.flush_interval);
      if (!sync_log()) return;  // these tickets are never durable
      report_durable(up_to);
      lock.lock();
    }
  }

  void run_writer() {
    name_this_thread("wt-write");
    std::unique_lock lock(wake_mutex_);
    while (!stop_) {
      writer_wake_.wait_for(lock, wait_of(options_.buffer_flush_interval));
      if (stop_) return;
      lock.unlock();
      if (buffered_ > 0) {
        auto gate = enter_alone();
        (void)write_buffer();  // full or failed: the rows stay, the next round tries again
      }
      lock.lock();
    }
  }

  // What a start took of the ballast is the next start's: writes would use it up.
  void keep_ballast() {
    connection_.keep_free_too(
        directory_->keep_ballast(options_.ballast_bytes, options_.min_free_bytes));
  }

  void run_checkpointer() {
    name_this_thread("wt-checkpoint");
    let_others_go_first();
    std::unique_lock lock(wake_mutex_);
    for (int turn = 1; !stop_; ++turn) {
      checkpointer_wake_.wait_for(lock, std::chrono::milliseconds(250));
      if (stop_) return;
      lock.unlock();
      if (turn % 40 == 0) keep_ballast();
      if (connection_.checkpoint_due()) {
        Status done = connection_.checkpoint();
        if (!done && options_.log) {
          options_.log(LogLevel::warn, "storage", "no checkpoint, for now: " + done.message());
        }
      }
      lock.lock();
    }
  }

  const WiredTigerOptions options_;
  const std::unique_ptr<Directory> directory_;
  WtConnection connection_;

  mutable std::shared_mutex life_;  // shared by every call, alone in close()
  bool closed_ = false;             // guarded by life_

  std::mutex turnstile_;
  std::shared_mutex gate_;  // guards buffer_; held shared by commits that go past it
  Buffer buffer_;
  std::atomic<std::size_t> buffered_{0};

  std::mutex history_mutex_;
  std::atomic<bool> remembered_{false}, unsure_{false};

  std::mutex wake_mutex_;  // guards issued_ and stop_
  std::condition_variable flusher_wake_, writer_wake_, checkpointer_wake_;
  Ticket issued_ = 0;
  bool stop_ = false;
  std::atomic<Ticket> durable_{0};
  std::mutex listener_mutex_;  // held while the listener runs
  std::function<void(Ticket)> listener_;
  std::thread flusher_, writer_, checkpointer_;

  mutable std::atomic<std::uint64_t> reads_{0}, commits_{0}, conflicts_{0}, failures_{0},
      flushes_{0};
};

}  // namespace

Result<std::unique_ptr<StorageEngine>> open_wiredtiger_engine(WiredTigerOptions options) {
  auto directory =
      Directory::open(options.directory, options.cluster, options.node, options.ballast_bytes);
  if (!directory) return directory.status();
  auto engine = std::make_unique<WiredTigerEngine>(std::move(options), std::move(*directory));
  if (Status opened = engine->open(); !opened) return opened;
  return std::unique_ptr<StorageEngine>(std::move(engine));
}

}  // namespace ringlet
