// What a node asks of its disk. One contract, several engines; tests/unit/storage runs the same
// conformance suite over each.
//
// Contract
//   Tables    three, each an ordered map of bytes to bytes (unsigned lexicographic order), empty
//             keys and values included. Keys to max_row_key_bytes, values to max_row_value_bytes: a
//             put() of more is Code::too_large, and its transaction applies nothing.
//   Atomic    transact() runs the body on a snapshot and applies all its writes or none. On a
//             conflict with another thread the body runs again: it must have no effect but through
//             its Transaction. A body that returns a failed Status applies nothing and that Status
//             is returned.
//   Visible   after transact() returns ok, every later read on any thread sees it.
//   Durable   buffer: in memory, written later, a crash loses it.  log: survives the process
//             (kill -9).  disk: survives the machine, once flushed: a ticket > 0 comes back and the
//             durable listener is told when durable_up_to() reaches it, by close() at the latest;
//             ticket 0 means it already is. That is said of all that was visible when the transaction
//             ended, whoever wrote it: a body that writes nothing asks for no more than that.
//   Full      when the disk is full, writes fail with Code::unavailable and change nothing, reads go on,
//             writes work again once there is room. After an I/O error on fsync the engine never
//             reports the lost tickets durable (F-11).
//   Threads   every function may be called from any thread, except close(), which is called once,
//             last, and waits for what is running.
//   Damage    a record the engine knows is damaged is Code::corrupt, never a wrong value.
//
// transact() and reads work in memory for hot data and may block on the disk for cold data; they
// never wait for an fsync.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "base/bytes.hpp"
#include "base/status.hpp"

namespace ringlet {

enum class Table : std::uint8_t { objects = 0, hints = 1, state = 2 };
inline constexpr int table_count = 3;
const char* name_of(Table table);

enum class Durability : std::uint8_t { buffer = 1, log = 2, disk = 3 };
const char* name_of(Durability durability);

// A user's key with what a table adds to it, and what one frame and one log file can hold.
inline constexpr std::size_t max_row_key_bytes = (64 << 10) + 64;
inline constexpr std::size_t max_row_value_bytes = 64 << 20;
Status check_row(BytesView key, BytesView value);  // ok, or too_large with both numbers

class Transaction {
 public:
  virtual ~Transaction() = default;
  virtual Result<std::optional<Bytes>> get(Table table, BytesView key) = 0;  // sees own writes
  virtual Status put(Table table, BytesView key, BytesView value) = 0;
  virtual Status erase(Table table, BytesView key) = 0;  // absent: ok
};

struct EngineStats {
  std::uint64_t reads = 0, commits = 0, conflicts = 0, failures = 0, flushes = 0;
  std::uint64_t cache_bytes = 0;
};

class StorageEngine {
 public:
  using Ticket = std::uint64_t;
  using Body = std::function<Status(Transaction&)>;
  // Returns false to stop. The views are dead after it returns. Must not call the engine.
  using Visitor = std::function<bool(BytesView key, BytesView value)>;

  virtual ~StorageEngine() = default;

  virtual Result<std::optional<Bytes>> get(Table table, BytesView key) = 0;
  virtual Result<Ticket> transact(Durability durability, const Body& body) = 0;
  // Visits keys in [from, to) in order, on one snapshot; empty `to` is the end of the table.
  virtual Status scan(Table table, BytesView from, BytesView to, const Visitor& visit) = 0;

  virtual Ticket durable_up_to() const = 0;
  // Called on an engine thread, or inside transact, after durable_up_to() rose; replaces the
  // former listener. When set_... returns, the former one is not running and never will.
  virtual void set_durable_listener(std::function<void(Ticket durable_up_to)> listener) = 0;
  virtual Status flush() = 0;  // everything so far to the disk; waits

  // True when nothing that was ever acknowledged with `log` or stronger can be missing since the
  // last open: a clean close, or a crash of the process alone, of this very directory. False after a
  // machine stop, for a new, copied or restored directory. A node that reads false takes fresh
  // epochs (architecture, decision 4).
  virtual bool history_intact() const = 0;
  // Code::io once nothing but opening it again would help; what it cannot do for now is no such thing.
  virtual Status health() const { return Status::ok(); }
  virtual EngineStats stats() const = 0;
  virtual const char* name() const = 0;  // "memory", "wiredtiger"
  virtual Status close() = 0;            // clean: flushes; later calls are Code::closed
};

}  // namespace ringlet
