// ringletd: one storage node as a process.
//
// Exit codes: 0 stopped as asked, 2 wrong configuration or flags (nothing was started), 3 the data
// directory or the address could not be taken, 1 anything else.
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include <spdlog/details/file_helper.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <CLI/CLI.hpp>

#include "daemon/config_file.hpp"
#include "daemon/standard_files.hpp"
#include "node/upkeep.hpp"
#include "runtime/address.hpp"
#include "runtime/io_thread.hpp"
#include "runtime/log_filter.hpp"
#include "runtime/timed_engine.hpp"
#include "storage/memory_engine.hpp"
#ifdef RINGLET_HAVE_WIREDTIGER
#include "storage/wiredtiger/wiredtiger_engine.hpp"
#endif

namespace ringlet {
namespace {

constexpr int exit_usage = 2, exit_taken = 3, exit_broken = 5;

int complain(int code, const std::string& text) {
  std::fprintf(stderr, "ringletd: %s\n", text.c_str());
  return code;
}

// A log file that can be opened again under its name, for whoever renamed the old one (logrotate).
class LogFile final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit LogFile(std::string path) : path_(std::move(path)) { open(); }
  // Throws spdlog_ex when the path cannot be opened; then the file that was open stays in use.
  void reopen() {
    std::lock_guard lock(mutex_);
    open();
  }

 private:
  void open() {
    auto file = std::make_unique<spdlog::details::file_helper>();
    file->open(path_);
    file_ = std::move(file);
  }
  void sink_it_(const spdlog::details::log_msg& record) override {
    spdlog::memory_buf_t line;
    formatter_->format(record, line);
    file_->write(line);
  }
  void flush_() override { file_->flush(); }

  const std::string path_;
  std::unique_ptr<spdlog::details::file_helper> file_;
};

// The log of this process: to a file or to stderr, escaped, each condition that repeats said twice.
class Log {
 public:
  static Result<std::shared_ptr<Log>> open(const Config& config) {
    auto log = std::make_shared<Log>();
    try {
      spdlog::sink_ptr sink;
      if (config.log_file.empty()) {
        sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
      } else {
        sink = log->file_ = std::make_shared<LogFile>(config.log_file);
      }
      log->logger_ = std::make_shared<spdlog::logger>(config.node.name, std::move(sink));
    } catch (const spdlog::spdlog_ex& error) {
      return Status(Code::io, "log.file: " + std::string(error.what()));
    }
    log->logger_->set_level(spdlog::level::from_str(config.log_level));
    log->logger_->flush_on(spdlog::level::info);
    return log;
  }
  ~Log() { filter_.look(Instant::never()); }
  static LogSink sink(std::shared_ptr<Log> log) {
    return [log = std::move(log)](LogLevel level, std::string_view part, const std::string& text) {
      log->filter_.write(level, part, text, read_clocks().instant);
    };
  }
  void look() { filter_.look(read_clocks().instant); }

  // What SIGHUP and SIGUSR1 ask for.
  void reopen(const char* signal) {
    if (file_ == nullptr) {
      return write(LogLevel::info, "ringletd",
                   std::string(signal) +
                       ": the log goes to stderr (log.file is empty), there is no file to reopen");
    }
    try {
      file_->reopen();
      write(LogLevel::info, "ringletd", std::string(signal) + ": reopened the log file");
    } catch (const spdlog::spdlog_ex& error) {
      write(LogLevel::error, "ringletd",
            std::string(signal) + ": the log goes on into the old file: " + error.what());
    }
  }

 private:
  void write(LogLevel level, std::string_view part, const std::string& text) {
    static constexpr spdlog::level::level_enum levels[] = {
        spdlog::level::trace, spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
        spdlog::level::err};
    logger_->log(levels[static_cast<int>(level)], "{}: {}", part, text);
  }

  std::shared_ptr<spdlog::logger> logger_;
  std::shared_ptr<LogFile> file_;  // null: stderr
  LogFilter filter_{[this](LogLevel level, std::string_view part, const std::string& text) {
    write(level, part, text);
  }};
};

// Written beside and renamed, so that whoever sees the file sees all of it.
class PublishedFile {
 public:
  static Result<std::unique_ptr<PublishedFile>> write(const std::string& path,
                                                      const std::string& text) {
    if (path.empty()) return std::unique_ptr<PublishedFile>();
    std::string beside = path + ".new";
    std::FILE* file = std::fopen(beside.c_str(), "we");
    bool written = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
    if (file != nullptr && std::fclose(file) != 0) written = false;
    if (!written || std::rename(beside.c_str(), path.c_str()) != 0) {
      const int error = errno;
      ::unlink(beside.c_str());
      if (error == ENOSPC || error == EDQUOT) {
        return Status(Code::unavailable, path + ": cannot be written, the disk is full");
      }
      return Status(Code::io, path + ": cannot be written: " + std::strerror(error));
    }
    return std::unique_ptr<PublishedFile>(new PublishedFile(path));
  }
  ~PublishedFile() { ::unlink(path_.c_str()); }

 private:
  explicit PublishedFile(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

Result<std::shared_ptr<StorageEngine>> open_engine(const Config& config,
                                                   [[maybe_unused]] const LogSink& log) {
  if (config.engine == "memory") return std::shared_ptr<StorageEngine>(make_memory_engine());
#ifdef RINGLET_HAVE_WIREDTIGER
  WiredTigerOptions options;
  options.directory = config.data_dir;
  options.cluster = config.ring.cluster;
  options.node = config.node.name;
  options.cache_bytes = config.cache_mb << 20;
  options.log = log;
  auto engine = open_wiredtiger_engine(std::move(options));
  if (!engine) return engine.status();
  return std::shared_ptr<StorageEngine>(std::move(*engine));
#else
  return Status(Code::unsupported, "node.engine: this build has no wiredtiger, wanted memory");
#endif
}

std::uint64_t now_in_micros() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

// Large buffers come and go with requests: they are to go back to the system, not to stay in the
// arenas of many threads.
void keep_memory_small() {
  ::mallopt(M_ARENA_MAX, 2);
  ::mallopt(M_MMAP_THRESHOLD, 256 * 1024);
  ::mallopt(M_TRIM_THRESHOLD, 8 * 1024 * 1024);
}

// A copy of the members' addresses beside the store, so that --check-config can compare them with the
// file without opening the store.
constexpr const char* members_file = "/ringlet.members";

class MembersFile {
 public:
  MembersFile(const Config& config, std::shared_ptr<NodeState> state)
      : path_(config.engine == "memory" ? "" : config.data_dir + members_file),
        state_(std::move(state)) {}

  void follow() {
    if (path_.empty() || state_->upkeep().is_apart()) return;
    auto ring = state_->ring();
    if (!ring || ring == written_) return;
    std::string text;
    for (const Member& member : ring->members()) {
      text += member.name + " " + member.address + " " + member.advertise + "\n";
    }
    std::ofstream out(path_ + ".new", std::ios::binary);
    out << text;
    out.close();
    if (out && std::rename((path_ + ".new").c_str(), path_.c_str()) == 0) written_ = ring;
  }

 private:
  std::string path_;
  std::shared_ptr<NodeState> state_;
  std::shared_ptr<const Ring> written_;
};

// Where the file and what the node last knew of its cluster have other addresses, line by line.
std::vector<std::string> contradictions(const Config& config) {
  std::vector<std::string> lines;
  std::ifstream in(config.data_dir + members_file);
  std::map<std::string, std::pair<std::string, std::string>> known;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name, address, advertise;
    words >> name >> address >> advertise;
    known[name] = {address, advertise};
  }
  if (known.empty()) return lines;
  auto differ = [&](const std::string& name, const std::string& address) {
    auto at = known.find(name);
    bool own = name == config.node.name;
    if (at == known.end()) {
      lines.push_back("\"" + name + "\" at " + address +
                      " is not a member of the cluster that the store "
                      "knows; the list of members counts for an empty store only");
    } else if (at->second.first != address && !address.ends_with(":0")) {
      lines.push_back(
          "the store has " + name + " at " + at->second.first + ", this file at " + address +
          (own ? ": at its start the node tells the other members that it has moved; when all "
                 "have moved, see --set-address"
               : ": the store counts; the file's address is asked when this node has moved, too"));
    }
  };
  for (const Member& member : config.ring.members) differ(member.name, member.address);
  if (config.ring.members.empty()) differ(config.node.name, config.node.address);
  return lines;
}

bool listens_anywhere(const Config& config) {
  auto listen = Address::parse(config.server.listen);
  return listen && (listen->host == "0.0.0.0" || listen->host == "::");
}

// Where `listen` is another address than the one at which the [[members]] table sends the others: right
// behind a port map, and wrong where only one of the two was corrected. Empty: they agree.
std::string listens_elsewhere(const Config& config) {
  auto listen = Address::parse(config.server.listen), told = Address::parse(config.node.address);
  if (config.ring.members.empty() || !listen || !told) return "";
  if (listen->port == 0 || told->port == 0) return "";
  bool here = listens_anywhere(config) || listen->host == told->host;
  if (listen->port == told->port && here) return "";
  return "node.listen is " + config.server.listen + ", and the [[members]] table of " +
         config.node.name + " sends the others to " + config.node.address +
         ", which has to lead here; a node that moved needs the new address there";
}

// While no node runs: the same order at each, so that they find each other again.
int set_addresses(Config config, const std::vector<std::string>& moves) {
  auto opened = Log::open(config);
  if (!opened) return complain(exit_usage, opened.status().message());
  config.node.log = Log::sink(*opened);
  std::map<std::string, std::pair<std::string, std::string>> wanted;
  for (const std::string& move : moves) {
    std::size_t equals = move.find('='), comma = move.find(',');
    std::string name = move.substr(0, equals);
    std::string address =
        equals == std::string::npos
            ? ""
            : move.substr(equals + 1,
                          comma == std::string::npos ? std::string::npos : comma - equals - 1);
    std::string advertise = comma == std::string::npos ? "=" : move.substr(comma + 1);
    bool good = !name.empty() && Address::parse(address) &&
                (advertise == "=" || advertise == "none" || Address::parse(advertise));
    if (!good) {
      return complain(exit_usage,
                      "--set-address: wanted NAME=HOST:PORT, NAME=HOST:PORT,HOST:PORT or "
                      "NAME=HOST:PORT,none, got \"" +
                          printable(move) + "\"");
    }
    if (!wanted.emplace(name, std::pair(address, advertise)).second) {
      return complain(exit_usage, "--set-address: \"" + printable(name) + "\" is there twice");
    }
  }
  if (config.engine == "memory") {
    return complain(exit_usage,
                    "--set-address: engine \"memory\" keeps nothing between two starts");
  }
  if (!std::filesystem::exists(config.data_dir + "/RINGLET")) {
    return complain(exit_usage, "--set-address: " + config.data_dir + " is no store of a node yet");
  }
  auto engine = open_engine(config, config.node.log);
  if (!engine) return complain(exit_taken, engine.status().message());
  auto state = open_timed_node(config.node, *engine, nullptr);
  if (!state) return complain(exit_taken, state.status().message());
  MembershipView view = (*state)->first_view();
  if (view.empty()) return complain(exit_usage, "--set-address: this store knows no members yet");
  std::string said;
  for (const auto& [name, where] : wanted) {
    const auto* known = view.find(name);
    if (known == nullptr || !view.is_member(name)) {
      return complain(exit_usage, "--set-address: \"" + printable(name) +
                                      "\" is not a member of cluster " + view.cluster());
    }
    Member member = known->member;
    said += name + ": " + member.address + " -> " + where.first;
    member.address = where.first;
    std::string before = member.advertise;
    if (where.second != "=") member.advertise = where.second == "none" ? "" : where.second;
    if (!member.advertise.empty()) {
      said += " (clients " + std::string(member.advertise == before ? "still " : "") + "at " +
              member.advertise + ")";
    } else if (!before.empty()) {
      said += " (clients there, too, no more at " + before + ")";
    }
    said += "\n";
    if (member == known->member) continue;
    auto next = with_update(view, member, (*state)->self(),
                            static_cast<std::int64_t>(now_in_micros() / 1000));
    if (!next) return complain(exit_usage, "--set-address: " + next.status().message());
    view = std::move(*next);
  }
  for (const auto& known : view.known()) {
    if (known.standing == MembershipView::Standing::clashing) {
      return complain(exit_usage, "--set-address: two members would be at " + known.member.address);
    }
  }
  if (Status kept = (*state)->keep(view, Keep::at_once); !kept) {
    return complain(exit_taken, kept.message());
  }
  state->reset();
  if (Status closed = (*engine)->close(); !closed) {
    return complain(1, "closing the store: " + closed.message());
  }
  std::cout << said
            << "written; give every other member's store the same order before a node starts\n";
  return 0;
}

// systemd gives a process 1024 descriptors and lets it have more (the soft and the hard limit): as many
// as it can have are this node's. What it has then bounds max_connections (Server::start).
void raise_descriptor_limit(const LogSink& log) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  rlim_t before = std::exchange(limit.rlim_cur, limit.rlim_max);
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    log(LogLevel::warn, "ringletd",
        "open files: the limit of " + std::to_string(before) +
            " cannot be raised to the hard one of " + std::to_string(limit.rlim_max) + ": " +
            std::strerror(errno));
  }
}

const std::pair<int, const char*> signals_heard[] = {{SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"},
                                                     {SIGHUP, "SIGHUP"},   {SIGUSR1, "SIGUSR1"},
                                                     {SIGUSR2, "SIGUSR2"}, {SIGQUIT, "SIGQUIT"}};

const char* name_of_signal(int number) {
  for (const auto& [signal, name] : signals_heard) {
    if (signal == number) return name;
  }
  return "a signal";
}

// The signal that asks this process to stop; -1 when the store failed for good. Whoever supervises this
// process starts it again, and the store is opened anew: that mends what can be mended.
int wait_for_stop(const sigset_t& signals, const StorageEngine& engine, Log& log,
                  const LogSink& say, MembersFile& members) {
  const timespec second{1, 0};
  for (;;) {
    members.follow();
    int caught = ::sigtimedwait(&signals, nullptr, &second);
    if (caught == SIGTERM || caught == SIGINT) return caught;
    if (caught == SIGHUP || caught == SIGUSR1) {
      log.reopen(name_of_signal(caught));
    } else if (caught > 0) {
      say(LogLevel::info, "ringletd",
          std::string(name_of_signal(caught)) +
              " is ignored: SIGTERM stops this node, SIGHUP reopens its log file");
    }
    log.look();
    if (!engine.health()) return -1;
  }
}

int run(Config config) {
  if (config.memory_mb != 0) keep_memory_small();
  // Before any thread starts, so that every thread inherits the mask and only the wait below gets them.
  sigset_t signals;
  sigemptyset(&signals);
  for (const auto& [number, name] : signals_heard) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);

  auto opened = Log::open(config);
  if (!opened) return complain(exit_usage, opened.status().message());
  std::shared_ptr<Log> log_of_process = *opened;
  LogSink log = Log::sink(log_of_process);
  raise_descriptor_limit(log);
  if (std::string elsewhere = listens_elsewhere(config); !elsewhere.empty()) {
    log(listens_anywhere(config) ? LogLevel::info : LogLevel::warn, "ringletd", elsewhere);
  }
  config.node.log = config.server.log = log;

  auto listener = Listener::open(config.server.listen);
  if (!listener) return complain(exit_taken, listener.status().message());
  std::string address = (*listener)->address();
  std::string port = address.substr(address.rfind(':') + 1);
  for (auto& member : config.ring.members) {
    // Port 0 becomes known only now; the other members' files must name a real one.
    if (member.name == config.node.name && member.address.ends_with(":0")) member.address = address;
  }
  std::shared_ptr<const Ring> founding;  // none: this node waits to be joined
  if (!config.ring.members.empty()) {
    auto ring = Ring::build(config.ring);
    if (!ring) return complain(exit_usage, ring.status().message());
    founding = std::move(*ring);
    if (config.node.address.ends_with(":0")) config.node.address = address;
  }
  auto engine = open_engine(config, log);
  if (!engine) return complain(exit_taken, engine.status().message());

  // Where the file has others, should they not be where the store has them any more.
  for (const Member& member : config.ring.members) {
    if (member.name != config.node.name) config.node.seeds.push_back(member.address);
  }
  auto state = open_timed_node(config.node, *engine, founding);
  if (!state) {
    bool of_the_file = state.status().code() == Code::unsupported;
    return complain(of_the_file ? exit_usage : exit_taken, state.status().message());
  }
  auto server = Server::start(*state, config.server, std::move(*listener));
  if (!server) return complain(exit_taken, server.status().message());

  // On a full disk the node serves what it has; without these files somebody has to look for it.
  auto publish = [&](const char* key, const std::string& path,
                     const std::string& text) -> Result<std::unique_ptr<PublishedFile>> {
    auto file = PublishedFile::write(path, text);
    if (file || file.status().code() != Code::unavailable) return file;
    log(LogLevel::warn, "ringletd", std::string(key) + ": " + file.status().message());
    return std::unique_ptr<PublishedFile>();
  };
  auto pid_file = publish("node.pid_file", config.pid_file, std::to_string(::getpid()) + "\n");
  if (!pid_file) return complain(1, "node.pid_file: " + pid_file.status().message());
  auto port_file = publish("node.port_file", config.port_file, port + "\n");
  if (!port_file) return complain(1, "node.port_file: " + port_file.status().message());
  log(LogLevel::info, "ringletd",
      "node " + config.node.name + " of cluster " + config.ring.cluster +
          ((*state)->ring() ? " serves at " : " waits to be joined at ") + address + ", engine " +
          (*engine)->name());
  sd_notify(0, "READY=1");

  MembersFile members(config, *state);
  int caught = wait_for_stop(signals, **engine, *log_of_process, log, members);
  members.follow();  // what was learnt since the last look
  sd_notify(0, "STOPPING=1");
  if (caught < 0) {
    log(LogLevel::error, "ringletd", "stopping: " + (*engine)->health().message());
    (void)(*server)->stop(Duration::seconds(1));
    (void)(*engine)->close();
    return complain(exit_broken, (*engine)->health().message() + ": start this node again");
  }
  log(LogLevel::info, "ringletd", std::string("stopping: ") + name_of_signal(caught));
  Status stopped = (*server)->stop(Duration::seconds(5));
  if (!stopped) log(LogLevel::warn, "ringletd", "stopping: " + stopped.message());
  Status closed = (*engine)->close();
  if (!closed) return complain(1, "closing the store: " + closed.message());
  log(LogLevel::info, "ringletd", "stopped");
  return 0;
}

int main_of(int argc, char** argv) {
  CLI::App app{
      "A storage node of Ringlet, an always-writeable key-value store.\n"
      "Exit codes: 0 stopped as asked, 2 wrong configuration or flags, 3 directory or address not "
      "to be had, 5 the store failed while it ran: start the node again."};
  std::string path;
  std::vector<std::string> moves;
  bool check = false, print = false, version = false;
  app.add_option("--config", path, "the node's configuration, a TOML file");
  app.add_flag("--check-config", check,
               "read the configuration, say what is wrong with it, and stop");
  app.add_option("--set-address", moves,
                 "NAME=HOST:PORT, perhaps ,HOST:PORT for clients (,none: as members): write where "
                 "members are now into this "
                 "node's store, and stop. For a cluster whose members all moved; no node may run")
      ->expected(1, 1000);
  app.add_flag("--print-default-config", print,
               "print a configuration with every key and its default");
  app.add_flag("--version", version, "print the version");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_usage;
  }
  if (version) {
    std::cout << "ringletd " RINGLET_VERSION_TEXT "\n";
    return 0;
  }
  if (print) {
    std::cout << default_config();
    return 0;
  }
  if (path.empty())
    return complain(exit_usage, "wanted --config FILE; --print-default-config shows one");
  auto config = load_config(path);
  if (!config) return complain(exit_usage, config.status().message());
  if (!moves.empty()) return set_addresses(std::move(*config), moves);
  if (check) {
    for (const std::string& line : contradictions(*config))
      std::cout << path << ": " << line << "\n";
    if (std::string elsewhere = listens_elsewhere(*config); !elsewhere.empty())
      std::cout << path << ": " << elsewhere << "\n";
    std::cout << path << ": node " << config->node.name << " of cluster " << config->ring.cluster
              << ", " << config->ring.members.size() << " members: ok\n";
    return 0;
  }
  return run(std::move(*config));
}

}  // namespace
}  // namespace ringlet

int main(int argc, char** argv) {
  ringlet::take_standard_files(true);
  return ringlet::main_of(argc, argv);
}
