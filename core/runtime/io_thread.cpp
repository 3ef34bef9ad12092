#include "runtime/io_thread.hpp"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <ctime>
#include <exception>
#include <utility>

#include "base/this_thread.hpp"

namespace ringlet {

Instant read_instant() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return {static_cast<std::int64_t>(time.tv_sec) * 1'000'000 + time.tv_nsec / 1000};
}

Now read_clocks() {
  using std::chrono::duration_cast;
  auto wall =
      duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch());
  return {read_instant(), wall.count() / 1000, wall.count() % 1000};
}

Now IoThread::clocks() const {
  Now now = read_clocks();
  now.wall_ms += skew_ms_.load(std::memory_order_relaxed);
  return now;
}

IoThread::IoThread(std::string name, Work& work, Duration sweep_every, LogSink log)
    : name_(std::move(name)), work_(work), sweep_every_(sweep_every), log_(std::move(log)) {}

IoThread::~IoThread() {
  stop();
}

void IoThread::start() {
  arm_sweep();
  // Signals are the embedding process's: its own threads take them, never this one.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void IoThread::run() {
  name_this_thread(name_);
  for (;;) {
    try {
      context_.run();
      return;
    } catch (const std::exception& error) {
      // Nothing of ours throws; a callback of the embedder did, or memory ran out.
      log(LogLevel::error, std::string("exception on an I/O thread: ") + error.what());
      turn_wanted_ = false;
      want_turn();
    }
  }
}

Resolver& IoThread::resolver() {
  if (!resolver_) resolver_ = std::make_unique<Resolver>(context_, name_servers_);
  return *resolver_;
}

void IoThread::post(std::function<void()> what) {
  asio::post(context_, [this, what = std::move(what)] {
    want_turn();
    what();
  });
}

void IoThread::want_turn() {
  if (std::exchange(turn_wanted_, true)) return;
  asio::post(context_, [this] { run_turn(); });
}

void IoThread::run_turn() {
  turn_wanted_ = false;
  Now now = clocks();
  if (due_) {
    if (--looks_ > 0) {
      want_turn();
    } else {
      work_.on_wake(*std::exchange(due_, std::nullopt));
    }
  } else if (work_.next_wake() <= now.instant) {
    // This thread may have had no CPU for a while, with answers in its sockets that came in time: no
    // deadline has passed before all is read that came until it was noticed. A turn runs after what
    // the look at the sockets before the one before it found, hence two.
    due_ = now;
    looks_ = 2;
    want_turn();
  }
  work_.turn(now);
  arm();
}

// A timer that is armed too early wakes once for nothing, which is cheaper than to rearm it for
// every request whose deadline moves the next wake by a little.
void IoThread::arm() {
  Instant wake = work_.next_wake();
  if (wake >= armed_ || due_) return;
  armed_ = wake;
  timer_.expires_after(
      std::chrono::microseconds(std::max<std::int64_t>((wake - read_instant()).us, 0)));
  timer_.async_wait([this](ErrorCode error) {
    if (error) return;
    armed_ = Instant::never();
    want_turn();
  });
}

void IoThread::arm_sweep() {
  sweep_timer_.expires_after(std::chrono::microseconds(sweep_every_.us));
  sweep_timer_.async_wait([this](ErrorCode error) {
    if (error) return;
    work_.sweep(clocks());
    want_turn();
    arm_sweep();
  });
}

void IoThread::stop() {
  if (!thread_.joinable()) return;
  context_.stop();
  thread_.join();
}

}  // namespace ringlet
