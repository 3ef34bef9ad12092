// How many hints wait for each owner, and how many bytes of rows they are. To know it from the table would mean to read the table, and that on
// a lane that serves requests: once for every status, a little for every read of a key (O-6: reads search
// the hint store), and the rows of delivered hints make it no shorter for a while.
//
// Exact while nothing is being written, and never too low: a change counts what it adds before its
// transaction is visible, and what it drops afterwards. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "base/ids.hpp"
#include "storage/storage_engine.hpp"

namespace ringlet {

class HintCounts {
 public:
  // What the table has. Reads it all: before requests are served.
  Status read(StorageEngine& engine);

  bool any() const { return total_.load(std::memory_order_acquire) != 0; }
  bool any_for(NodeId target) const;
  std::vector<NodeId> targets() const;  // in order of their ids
  std::uint64_t total() const;
  std::uint64_t bytes_for(NodeId target) const;  // of rows and records; never too low, as the count
  std::uint64_t total_bytes() const;
  // False once a transaction ended in doubt: total() may be too high until the next start.
  bool exact() const { return exact_.load(std::memory_order_relaxed); }

  // What one transaction does to the table. Lives around it; without committed() it did nothing.
  class Change {
   public:
    explicit Change(HintCounts& counts) : counts_(counts) {}
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;
    ~Change() { begin(); }
    // First in the transaction's body, which may run more than once.
    void begin();
    // A row of so many bytes that was not there.
    void adds(NodeId target, std::size_t bytes) { grows(target, 1, bytes); }
    // A row that was there has so many bytes more, or fewer.
    void resizes(NodeId target, std::size_t from, std::size_t to);
    void drops(NodeId target, std::size_t bytes) { shrinks(target, 1, bytes); }
    void committed();
    void perhaps_committed();  // nobody knows (F-72): what it dropped goes on to count

   private:
    struct Delta {
      NodeId target;
      std::int64_t rows, bytes;
    };
    void grows(NodeId target, std::int64_t rows, std::size_t bytes);
    void shrinks(NodeId target, std::int64_t rows, std::size_t bytes) {
      dropped_.push_back({target, rows, static_cast<std::int64_t>(bytes)});
    }
    HintCounts& counts_;
    std::vector<Delta> added_, dropped_;
  };

 private:
  struct Waiting {
    std::int64_t rows = 0, bytes = 0;
  };
  void add(NodeId target, std::int64_t rows, std::int64_t bytes);
  mutable std::mutex mutex_;  // guards counts_
  std::map<NodeId, Waiting> counts_;
  std::atomic<std::int64_t> total_{0};
  std::atomic<bool> exact_{true};
};

}  // namespace ringlet
