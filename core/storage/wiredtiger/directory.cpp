#include "storage/wiredtiger/directory.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

namespace ringlet {
namespace {

constexpr int newest_format = 1;

Status io_error(const std::string& what, int error) {
  if (error == ENOSPC || error == EDQUOT) return {Code::unavailable, "disk full: " + what};
  return {Code::io, what + ": " + std::strerror(error)};
}

std::optional<std::string> read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Whole or not at all, on the disk when it returns.
Status write_text(const std::string& folder, const std::string& name, const std::string& text) {
  const std::string path = folder + "/" + name, draft = path + ".new";
  int file = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return io_error("cannot write " + draft, errno);
  const auto size = static_cast<ssize_t>(text.size());
  const bool written = ::write(file, text.data(), text.size()) == size && ::fsync(file) == 0;
  const int error = errno == 0 ? EIO : errno;
  ::close(file);
  if (!written) return io_error("cannot write " + draft, error);
  if (::rename(draft.c_str(), path.c_str()) != 0) return io_error("cannot write " + path, errno);
  int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return io_error("cannot open " + folder, errno);
  const bool synced = ::fsync(directory) == 0;
  const int sync_error = errno;
  ::close(directory);
  return synced ? Status::ok() : io_error("cannot sync " + folder, sync_error);
}

std::string boot_id() {
  std::string text = read_text("/proc/sys/kernel/random/boot_id").value_or("");
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// One name a line in RINGLET; a line break in a name would forge the next line.
bool fits_a_line(const std::string& name) {
  return !name.empty() && name.find('\n') == std::string::npos;
}

std::string format_text(const std::string& cluster, const std::string& node) {
  return "format " + std::to_string(newest_format) + "\ncluster " + cluster + "\nnode " + node +
         "\n";
}

// What open() itself may have left behind before RINGLET was there, and what mkfs makes.
bool is_harmless(const std::string& name) {
  return name == "ringlet.lock" || name == "RINGLET.new" || name == "lost+found";
}

// ok when the directory is ours or may become ours; `fresh` says which.
Status check(const std::string& path, const std::string& cluster, const std::string& node,
             bool& fresh) {
  fresh = false;
  std::error_code error;
  std::optional<std::string> text = read_text(path + "/RINGLET");
  if (!text) {
    auto entries = std::filesystem::directory_iterator(path, error);
    if (error) return {Code::io, "cannot read " + path + ": " + error.message()};
    for (const auto& entry : entries) {
      const std::string name = entry.path().filename().string();
      if (is_harmless(name)) continue;
      return {Code::invalid_argument, path +
                                          " is not a Ringlet directory: wanted an empty one or " +
                                          "one with the file RINGLET, found " + name};
    }
    fresh = true;
    return Status::ok();
  }
  std::istringstream lines(*text);
  std::string format, its_cluster, its_node;
  std::getline(lines, format);
  int number = 0;
  if (std::sscanf(format.c_str(), "format %d", &number) != 1 || number < 1) {
    return {Code::corrupt, path + "/RINGLET is damaged: wanted \"format 1\" in its first line"};
  }
  if (number > newest_format) {
    return {Code::unsupported, path + " has format " + std::to_string(number) +
                                   ", this program knows formats up to " +
                                   std::to_string(newest_format) + ": use a newer Ringlet"};
  }
  std::getline(lines, its_cluster);
  std::getline(lines, its_node);
  if (!its_cluster.starts_with("cluster ") || !its_node.starts_with("node ")) {
    return {Code::corrupt, path + "/RINGLET is damaged: it names no cluster and node"};
  }
  if (its_cluster.substr(8) != cluster) {
    return {Code::invalid_argument, path + " belongs to cluster \"" + its_cluster.substr(8) +
                                        "\", wanted \"" + cluster + "\""};
  }
  if (its_node.substr(5) != node) {
    return {Code::invalid_argument,
            path + " belongs to node \"" + its_node.substr(5) + "\", wanted \"" + node + "\""};
  }
  return Status::ok();
}

}  // namespace

std::optional<std::uint64_t> free_bytes(const std::string& path) {
  struct statvfs info{};
  if (::statvfs(path.c_str(), &info) != 0) return std::nullopt;
  return std::uint64_t{info.f_bavail} * info.f_frsize;
}

Result<std::unique_ptr<Directory>> Directory::open(const std::string& path,
                                                   const std::string& cluster,
                                                   const std::string& node,
                                                   std::uint64_t ballast_bytes) {
  if (path.empty()) return Status(Code::invalid_argument, "the storage directory has no name");
  if (!fits_a_line(cluster) || !fits_a_line(node)) {
    return Status(Code::invalid_argument,
                  "the names of cluster and node must not be empty or hold a line break");
  }
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
    return io_error("cannot make " + path, errno);
  }
  bool fresh = false;
  if (Status fit = check(path, cluster, node, fresh); !fit) return fit;

  const std::string lock_path = path + "/ringlet.lock";
  int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock < 0) return io_error("cannot open " + lock_path, errno);
  std::unique_ptr<Directory> directory(new Directory(path, lock));
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return io_error("cannot lock " + lock_path, errno);
    std::string pid = read_text(lock_path).value_or("");
    while (!pid.empty() && pid.back() == '\n') pid.pop_back();
    return Status(Code::busy, path + " is in use by process " + (pid.empty() ? "unknown" : pid));
  }
  // Another process may have made it its own between the first look and the lock.
  if (Status fit = check(path, cluster, node, fresh); !fit) return fit;
  // The state is first written after a commit: where it is, tables were. WiredTiger would make new
  // ones, and an intact history of nothing would let a node mint its old dots again.
  if (!fresh && std::filesystem::exists(path + "/ringlet.state") &&
      !std::filesystem::exists(directory->tables_path() + "/WiredTiger")) {
    return Status(Code::corrupt, path + " has lost its tables: wanted " + directory->tables_path() +
                                     "/WiredTiger: keep what is there, restore the " +
                                     "directory or start with an empty one elsewhere");
  }
  const std::string ballast = path + "/ringlet.ballast";
  if (!fresh && free_bytes(path).value_or(UINT64_MAX) < ballast_bytes) {
    directory->gave_up_ballast_ = ::truncate(ballast.c_str(), 0) == 0;
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock, 0) != 0 ||
      ::pwrite(lock, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return io_error("cannot write " + lock_path, errno);
  }
  if (fresh) {
    if (Status made = write_text(path, "RINGLET", format_text(cluster, node)); !made) return made;
  }
  if (::mkdir(directory->tables_path().c_str(), 0755) != 0 && errno != EEXIST) {
    return io_error("cannot make " + directory->tables_path(), errno);
  }
  std::istringstream state(read_text(path + "/ringlet.state").value_or(""));
  std::string boot, device, how;
  std::getline(state, boot);
  std::getline(state, device);
  std::getline(state, how);
  const std::string now = boot_id();
  const bool same_place = directory->is_identity(device);
  const bool unsure = std::filesystem::exists(path + "/ringlet.unsure");
  directory->intact_ = same_place && !unsure &&
                       (how == "clean" || (how == "running" && !now.empty() && boot == now));
  return directory;
}

std::uint64_t Directory::keep_ballast(std::uint64_t bytes, std::uint64_t spare) {
  const std::string path = path_ + "/ringlet.ballast";
  struct stat info{};
  const std::uint64_t has =
      ::stat(path.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
  const std::uint64_t free = free_bytes(path_).value_or(0);
  std::uint64_t wanted = 0;
  if (free >= 2 * (spare + bytes)) {
    wanted = bytes;
  } else if (gave_up_ballast_ && free > bytes / 4) {
    wanted = std::min(bytes, has + free - bytes / 4);
  }
  auto owed = [&](std::uint64_t kept) {
    return gave_up_ballast_ ? bytes - std::min(bytes, kept) : 0;
  };
  if (wanted <= has) return owed(has);
  int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return owed(has);
  const bool taken = ::posix_fallocate(file, 0, static_cast<off_t>(wanted)) == 0;
  if (!taken && ::ftruncate(file, static_cast<off_t>(has)) != 0) ::unlink(path.c_str());
  ::close(file);
  gave_up_ballast_ = gave_up_ballast_ && !(taken && wanted == bytes);
  return owed(taken ? wanted : has);
}

Directory::~Directory() {
  release();
}

void Directory::release() {
  if (lock_ >= 0) ::close(lock_);
  lock_ = -1;
}

std::string Directory::identity() const {
  struct stat info{};
  if (::stat((path_ + "/RINGLET").c_str(), &info) != 0) return "";
  // The inode alone is not enough: ext4 gives a number that was freed to the next file, so that a directory
  // that was removed and put back mostly has the same one. No program can set the time of the last change
  // (ctime) back. Whatever else moves it, chown say, costs a new incarnation and nothing else.
  return std::to_string(info.st_dev) + " " + std::to_string(info.st_ino) + " " +
         std::to_string(info.st_ctim.tv_sec) + "." + std::to_string(info.st_ctim.tv_nsec);
}

// Releases before wrote device and inode only.
bool Directory::is_identity(const std::string& recorded) const {
  const std::string mine = identity();
  if (recorded.empty() || mine.empty()) return false;
  const bool of_before = std::count(recorded.begin(), recorded.end(), ' ') == 1;
  return recorded == (of_before ? mine.substr(0, mine.rfind(' ')) : mine);
}

Status Directory::write_state(const char* how) {
  return write_text(path_, "ringlet.state", boot_id() + "\n" + identity() + "\n" + how + "\n");
}

Status Directory::remember_running() {
  return write_state("running");
}

Status Directory::mark_unsure() {
  return write_text(path_, "ringlet.unsure", "unsure\n");
}

Status Directory::remember_clean() {
  if (Status written = write_state("clean"); !written) return written;
  if (::unlink((path_ + "/ringlet.unsure").c_str()) != 0 && errno != ENOENT) {
    return io_error("cannot remove " + path_ + "/ringlet.unsure", errno);
  }
  return Status::ok();
}

}  // namespace ringlet
