// The engine that keeps its tables in a directory, with WiredTiger (GPL: only nodes link it).
//
// Contract
//   Directory   one process at a time (Code::busy names the other), one node of one cluster for
//               ever. A directory that is foreign, of another node or of a newer format is refused
//               before anything in it is touched. What WiredTiger cannot read is Code::corrupt.
//   Full        writes and checkpoints stop while less than min_free_bytes are free, so that the log never
//               breaks and what reads must tidy up has room. Without that reserve reads may be
//               unavailable too, and WiredTiger gives up should somebody else take the last byte while
//               it writes a checkpoint: then the engine is broken, and its directory whole; it is opened
//               again once there is room. Everything acknowledged with `log` is in it (F-10).
//   Start       on a full disk works too: it uses a ballast file that was kept for this, serves reads and
//               refuses writes until there is room for the ballast again and min_free_bytes. Where there is
//               no ballast (never room for one, or used up by an earlier start) and not a byte, opening is
//               Code::unavailable and says how much is wanted.
//   Broken      after WiredTiger has given up, every call is Code::io until the directory is opened
//               again; the read that met a damaged page is Code::corrupt.
//   Output      what WiredTiger says goes to `log`; nothing to stderr.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/instant.hpp"
#include "base/log.hpp"
#include "storage/storage_engine.hpp"

namespace ringlet {

struct WiredTigerOptions {
  std::string directory;  // made if absent; its parent must exist
  std::string cluster, node;
  std::uint64_t cache_bytes = 256ull << 20;                // at most; taken as needed
  Duration flush_interval = Duration::millis(2);           // between two fsyncs
  Duration buffer_flush_interval = Duration::millis(100);  // between two buffer writes
  std::size_t buffer_objects = 1000;                       // or when it holds as many
  std::uint64_t min_free_bytes = 64ull << 20;
  // Kept in a file while twice as much and twice min_free_bytes are free. What was written since the last
  // checkpoint must fit, for recovery writes it once more.
  std::uint64_t ballast_bytes = 96ull << 20;
  // From one checkpoint to the next, a fifth more or less; sooner when so much was written.
  Duration checkpoint_interval = Duration::seconds(30);
  std::uint64_t checkpoint_bytes = 64ull << 20;
  LogSink log;
};

Result<std::unique_ptr<StorageEngine>> open_wiredtiger_engine(WiredTigerOptions options);

}  // namespace ringlet
