// One io_context on one thread, and the rhythm of work on it: events come in, and once all of one
// turn are in, `turn` runs once and sends what they caused. So answers to many frames of one read,
// and to many sockets of one poll, leave together.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "base/instant.hpp"
#include "base/log.hpp"
#include "runtime/asio.hpp"
#include "runtime/resolver.hpp"

namespace ringlet {

// Monotonic, and it goes on while the machine is suspended (CLOCK_BOOTTIME): a deadline that passed
// meanwhile has passed. A virtual machine that its host stops may lose the time all the same.
Instant read_instant();
Now read_clocks();  // that and the wall clock

class IoThread {
 public:
  // All called on the thread.
  class Work {
   public:
    virtual ~Work() = default;
    virtual void turn(Now now) = 0;     // after events: send what came out of them
    virtual void on_wake(Now now) = 0;  // next_wake() has come
    virtual void sweep(Now now) = 0;    // now and then: what is overdue?
    virtual Instant next_wake() const = 0;
  };

  // `name`: of the thread, in debuggers and traces.
  IoThread(std::string name, Work& work, Duration sweep_every, LogSink log);
  ~IoThread();  // stop()

  // Before start(): as Resolver takes them.
  void set_name_servers(std::string servers) { name_servers_ = std::move(servers); }
  void start();
  asio::io_context& context() { return context_; }
  Resolver& resolver();  // on the thread; made with the first name, most have none to look up
  // From any thread: runs `what` on the thread, then a turn.
  void post(std::function<void()> what);
  // On the thread: a turn is due after the events that are ready now.
  void want_turn();
  // read_clocks(), with the wall clock as far off as skew() said; all that the work is given comes from here.
  Now clocks() const;
  void skew(std::int64_t ms) { skew_ms_ = ms; }  // from any thread, for tests; 0: as the machine's
  bool is_current() const { return std::this_thread::get_id() == thread_.get_id(); }
  void stop();  // ends the loop and joins; what is posted and not yet run is forgotten
  void log(LogLevel level, const std::string& text) const {
    if (log_) log_(level, "runtime", text);
  }

 private:
  void run();
  void run_turn();
  void arm();
  void arm_sweep();

  const std::string name_;
  Work& work_;
  Duration sweep_every_;
  LogSink log_;
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_{context_.get_executor()};
  asio::steady_timer timer_{context_}, sweep_timer_{context_};
  Instant armed_ = Instant::never();
  bool turn_wanted_ = false;
  std::atomic<std::int64_t> skew_ms_{0};
  std::optional<Now> due_;  // a wake was due then; on_wake follows
  int looks_ = 0;           // at the sockets, before it does
  std::string name_servers_;
  std::unique_ptr<Resolver> resolver_;
  std::thread thread_;
};

}  // namespace ringlet
