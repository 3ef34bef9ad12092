// The directory of an engine, before and around WiredTiger: whose it is, that no other process has
// it open, and whether its history is whole.
//
// Contract
//   open() checks first and writes last: a refused directory is as it was.
//   Files: ringlet.lock (flock'ed, the owner's pid), RINGLET (format, cluster, node), ringlet.state
//   (boot id, device and inode of RINGLET, running or clean), ringlet.unsure (what a crash would
//   lose is not known), wiredtiger/ (the tables).
#pragma once

#include <memory>
#include <string>

#include "base/status.hpp"

namespace ringlet {

class Directory {
 public:
  static Result<std::unique_ptr<Directory>> open(const std::string& path,
                                                 const std::string& cluster,
                                                 const std::string& node);
  ~Directory();  // releases the lock, writes nothing
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  std::string tables_path() const { return path_ + "/wiredtiger"; }
  const std::string& path() const { return path_; }
  bool history_intact() const { return intact_; }
  Status remember_running();  // from here a crash of the process alone loses nothing
  Status mark_unsure();       // until the next clean close, a crash loses what was acknowledged
  Status remember_clean();    // all is on the disk
  void release();             // the lock; the destructor's part, earlier

 private:
  Directory(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
  Status write_state(const char* how);
  std::string identity() const;  // "<device> <inode>" of RINGLET, empty if unknown

  std::string path_;
  int lock_ = -1;
  bool intact_ = false;
};

}  // namespace ringlet
