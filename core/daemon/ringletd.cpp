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
#include <iostream>

#include <spdlog/details/file_helper.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <CLI/CLI.hpp>

#include "daemon/config_file.hpp"
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

// Large buffers come and go with requests: they are to go back to the system, not to stay in the
// arenas of many threads.
void keep_memory_small() {
  ::mallopt(M_ARENA_MAX, 2);
  ::mallopt(M_MMAP_THRESHOLD, 256 * 1024);
  ::mallopt(M_TRIM_THRESHOLD, 8 * 1024 * 1024);
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
                  const LogSink& say) {
  const timespec second{1, 0};
  for (;;) {
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

  auto state = open_timed_node(config.node, *engine, founding);
  if (!state) return complain(exit_taken, state.status().message());
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

  int caught = wait_for_stop(signals, **engine, *log_of_process, log);
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
  bool check = false, print = false, version = false;
  app.add_option("--config", path, "the node's configuration, a TOML file");
  app.add_flag("--check-config", check,
               "read the configuration, say what is wrong with it, and stop");
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
  if (check) {
    std::cout << path << ": node " << config->node.name << " of cluster " << config->ring.cluster
              << ", " << config->ring.members.size() << " members: ok\n";
    return 0;
  }
  return run(std::move(*config));
}

}  // namespace
}  // namespace ringlet

int main(int argc, char** argv) {
  return ringlet::main_of(argc, argv);
}
