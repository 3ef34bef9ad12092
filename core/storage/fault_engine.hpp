// An engine whose disk fails on command, around any other engine: for tests and the simulator.
//
// Contract
//   fail()   the n-th call of that kind from now (1 is the next) returns the status and does
//            nothing; `once`, or that call and all after it. A failed commit applies nothing.
//   full()   while true, transact() is Code::unavailable "disk full" and all else works.
//   Reads are get(), scan() and a transaction's get(); writes its put() and erase(); a commit is
//   the end of a body that returned ok. A transaction that met a fault commits nothing.
#pragma once

#include <memory>

#include "storage/storage_engine.hpp"

namespace ringlet {

enum class FaultAt { read, write, commit };

class FaultEngine : public StorageEngine {
 public:
  virtual void fail(FaultAt at, std::uint64_t nth, Status status, bool once) = 0;
  virtual void heal() = 0;  // forgets every fault
  virtual void full(bool full) = 0;
};

std::unique_ptr<FaultEngine> make_fault_engine(std::unique_ptr<StorageEngine> under);

}  // namespace ringlet
