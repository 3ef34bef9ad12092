// The directory of an engine, before and around WiredTiger: whose it is, that no other process has
// it open, and whether its history is whole.
//
// Contract
//   open() checks first and writes last: a refused directory is as it was.
//   Files: ringlet.lock (flock'ed, the owner's pid), RINGLET (format, cluster, node), ringlet.state
//   (boot id, identity of RINGLET, running or clean), ringlet.unsure (what a crash would
//   lose is not known), ringlet.ballast (see below), wiredtiger/ (the tables).
//   Ballast  opening writes: a few lines here, and what WiredTiger's recovery makes of its log. On a disk
//   that others have filled there is no room for it, and what is there could not even be read. So a file
//   of a fixed size is kept while there is plenty of room, and given up when a start finds none (F-112).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/status.hpp"

namespace ringlet {

class Directory {
 public:
  // `ballast_bytes`: given up when fewer bytes than that are free.
  static Result<std::unique_ptr<Directory>> open(const std::string& path,
                                                 const std::string& cluster,
                                                 const std::string& node,
                                                 std::uint64_t ballast_bytes);
  ~Directory();  // releases the lock, writes nothing
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  std::string tables_path() const { return path_ + "/wiredtiger"; }
  const std::string& path() const { return path_; }
  bool history_intact() const { return intact_; }
  Status remember_running();  // from here a crash of the process alone loses nothing
  Status mark_unsure();       // until the next clean close, a crash loses what was acknowledged
  Status remember_clean();    // all is on the disk
  // Takes the ballast, or as much of what was given up as leaves a quarter of it free; `spare`: bytes that
  // are free beside it at least, twice, before a new one is made. Does nothing when there is no room.
  // Returns what is still to be taken back of what was given up: no room for anything else.
  std::uint64_t keep_ballast(std::uint64_t bytes, std::uint64_t spare);
  void release();  // the lock; the destructor's part, earlier

 private:
  Directory(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
  Status write_state(const char* how);
  std::string identity() const;  // "<device> <inode> <ctime>" of RINGLET, empty if unknown
  bool is_identity(const std::string& recorded) const;

  std::string path_;
  int lock_ = -1;
  bool intact_ = false;
  bool gave_up_ballast_ = false;
};

// Bytes that this process may still write on the file system of `path`; nothing: it does not say.
std::optional<std::uint64_t> free_bytes(const std::string& path);

}  // namespace ringlet
