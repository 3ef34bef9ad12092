// How many hints wait for each owner. To know it from the table would mean to read the table, and that on
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
    void adds(NodeId target);
    void drops(NodeId target) { dropped_.push_back(target); }
    void committed();
    void perhaps_committed();  // nobody knows (F-72): what it dropped goes on to count

   private:
    HintCounts& counts_;
    std::vector<NodeId> added_, dropped_;
  };

 private:
  void add(NodeId target, std::int64_t by);
  mutable std::mutex mutex_;  // guards counts_
  std::map<NodeId, std::int64_t> counts_;
  std::atomic<std::int64_t> total_{0};
  std::atomic<bool> exact_{true};
};

}  // namespace ringlet
