#include "completion.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "request.hpp"

namespace ringlet::capi {

Result<std::shared_ptr<Completion>> Completion::make(bool with_fd) {
  auto made = std::make_shared<Completion>();
  if (!with_fd) return made;
  made->event_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (made->event_fd_ < 0) {
    return Status(Code::io, std::string("queue: eventfd failed: ") + std::strerror(errno));
  }
  return made;
}

Completion::~Completion() {
  close_fd();
}

void Completion::close_fd() {
  if (event_fd_ >= 0) ::close(event_fd_);
  event_fd_ = -1;
}

std::uint64_t Completion::add(std::shared_ptr<Request> request) {
  std::lock_guard lock(mutex_);
  in_flight_[next_] = std::move(request);
  return next_++;
}

void Completion::forget(std::uint64_t request) {
  std::shared_ptr<Request> last;  // dies after the lock is gone
  std::lock_guard lock(mutex_);
  if (auto it = in_flight_.find(request); it != in_flight_.end()) {
    last = std::move(it->second);
    in_flight_.erase(it);
  }
}

std::shared_ptr<Request> Completion::find(std::uint64_t request) {
  std::lock_guard lock(mutex_);
  auto it = in_flight_.find(request);
  return it == in_flight_.end() ? nullptr : it->second;
}

void Completion::push(const ringlet_event& event) {
  {
    std::lock_guard lock(mutex_);
    if (!closed_) {
      events_.push_back(event);
      signal();
      changed_.notify_all();
      return;
    }
  }
  ringlet_event gone = event;
  ringlet_event_clear(&gone);
}

void Completion::push_done(std::uint64_t request, const ringlet_event& event) {
  std::shared_ptr<Request> last;
  {
    std::lock_guard lock(mutex_);
    if (auto it = in_flight_.find(request); it != in_flight_.end()) {
      last = std::move(it->second);
      in_flight_.erase(it);
    }
    if (!closed_) {
      events_.push_back(event);
      signal();
      changed_.notify_all();
      return;
    }
  }
  ringlet_event gone = event;
  ringlet_event_clear(&gone);
}

Status Completion::bind(std::shared_ptr<Advance> advance) {
  std::lock_guard lock(mutex_);
  if (advance_ == advance) return Status::ok();
  if (!in_flight_.empty() || !events_.empty()) {
    return Status(
        Code::unsupported,
        "queue: it has requests of another laboratory, or of a cluster: use a queue for each");
  }
  advance_ = std::move(advance);
  return Status::ok();
}

Result<std::size_t> Completion::drain(std::vector<ringlet_event>& events, std::size_t room,
                                      Wait wait) {
  std::unique_lock lock(mutex_);
  std::shared_ptr<Advance> advance = advance_;
  if (advance != nullptr) {
    // With nothing in flight there is nothing to wait for, however long.
    auto ready = [&] {
      std::lock_guard again(mutex_);
      return !events_.empty() || woken_ || in_flight_.empty();
    };
    lock.unlock();
    bool for_ever = wait >= std::chrono::hours(2);
    auto time = Duration::millis(for_ever ? -1 : wait.count());
    if (Status s = advance->wait(time, ready); !s) return s;
    lock.lock();
  } else {
    changed_.wait_until(lock, std::chrono::steady_clock::now() + wait,
                        [&] { return !events_.empty() || woken_; });
  }
  woken_ = false;
  std::size_t count = std::min(room, events_.size());
  events.assign(events_.begin(), events_.begin() + static_cast<std::ptrdiff_t>(count));
  events_.erase(events_.begin(), events_.begin() + static_cast<std::ptrdiff_t>(count));
  signal();
  return count;
}

bool Completion::stands_still() {
  std::lock_guard lock(mutex_);
  return advance_ != nullptr && events_.empty();
}

void Completion::wake() {
  std::lock_guard lock(mutex_);
  woken_ = true;
  signal();
  changed_.notify_all();
}

void Completion::close() {
  std::deque<ringlet_event> events;
  std::vector<std::shared_ptr<Request>> requests;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    events.swap(events_);
    for (auto& [number, request] : in_flight_) requests.push_back(request);
  }
  // Their DONE comes back through push_done, where a closed queue drops it.
  for (const std::shared_ptr<Request>& request : requests) request->cancel();
  for (ringlet_event& event : events) ringlet_event_clear(&event);
}

void Completion::signal() {
  if (event_fd_ < 0) return;
  bool wanted = !events_.empty() || woken_;
  if (wanted != signalled_) {
    std::uint64_t one = 1;
    // Neither can fail: the counter is 0 or 1.
    ssize_t done =
        wanted ? ::write(event_fd_, &one, sizeof one) : ::read(event_fd_, &one, sizeof one);
    (void)done;
    signalled_ = wanted;
  }
}

}  // namespace ringlet::capi

using namespace ringlet;
using namespace ringlet::capi;

struct ringlet_queue {
  std::shared_ptr<Completion> completion;
  Birthplace birthplace;
  std::atomic<bool> draining{false};
  Counted counted;
};

namespace ringlet::capi {

const std::shared_ptr<Completion>& completion_of(ringlet_queue* queue) {
  return queue->completion;
}
Status check_queue(ringlet_queue* queue) {
  return queue == nullptr ? missing("queue") : queue->birthplace.check("the queue");
}

}  // namespace ringlet::capi

ringlet_status ringlet_queue_new(ringlet_queue** queue, ringlet_error** error) {
  if (queue != nullptr) *queue = nullptr;
  return guarded(error, [&]() -> Failure {
    if (queue == nullptr) return missing("queue");
    Result<std::shared_ptr<Completion>> completion = Completion::make(true);
    if (!completion) return completion.status();
    auto made = std::make_unique<ringlet_queue>();
    made->completion = std::move(*completion);
    *queue = made.release();
    return {};
  });
}

int ringlet_queue_fd(ringlet_queue* queue) {
  return queue == nullptr || queue->birthplace.forked() ? -1 : queue->completion->fd();
}

void ringlet_queue_wake(ringlet_queue* queue) {
  if (queue != nullptr && !queue->birthplace.forked()) queue->completion->wake();
}

void ringlet_queue_release(ringlet_queue* queue) {
  if (queue == nullptr) return;
  if (queue->birthplace.forked()) {
    // A thread that is gone may have held the locks inside, and destroying a condition variable
    // waits for its waiters: the descriptors are closed, the rest of it is left where it is.
    queue->completion->close_fd();
    (void)new (std::nothrow) std::shared_ptr<Completion>(queue->completion);
  } else {
    queue->completion->close();
  }
  delete queue;
}

ringlet_status ringlet_drain(ringlet_queue* queue, ringlet_event* events, size_t event_size,
                             size_t room, int32_t timeout_ms, size_t* count) {
  if (count != nullptr) *count = 0;
  return guarded(nullptr, [&]() -> Failure {
    if (Status s = check_queue(queue); !s) return s;
    if (events == nullptr) return missing("events");
    if (count == nullptr) return missing("count");
    if (event_size < sizeof(ringlet_event) || event_size > max_struct_bytes) {
      return Status(Code::invalid_argument, "event_size: wanted sizeof(ringlet_event)");
    }
    if (room == 0) return Status(Code::invalid_argument, "room: wanted at least 1");
    if (timeout_ms < -1) return Status(Code::invalid_argument, "timeout_ms: wanted -1 or more");
    if (queue->draining.exchange(true)) return Status(Code::busy, "another thread is draining");
    struct Free {
      std::atomic<bool>& busy;
      ~Free() { busy = false; }
    } free{queue->draining};
    // A year is for ever, and no overflow.
    Wait wait = timeout_ms < 0 ? Wait(std::chrono::hours(24 * 365)) : Wait(timeout_ms);
    std::vector<ringlet_event> taken;
    Result<std::size_t> drained =
        queue->completion->drain(taken, std::min<std::size_t>(room, 4096), wait);
    if (!drained) return drained.status();
    std::size_t n = *drained;
    for (std::size_t i = 0; i < n; ++i) {
      char* at = reinterpret_cast<char*>(events) + i * event_size;
      std::memcpy(at, &taken[i], sizeof taken[i]);
      std::memset(at + sizeof taken[i], 0, event_size - sizeof taken[i]);
    }
    *count = n;
    return {};
  });
}

void ringlet_cancel(ringlet_queue* queue, uint64_t number) {
  if (queue == nullptr || queue->birthplace.forked()) return;
  guarded(nullptr, [&]() -> Failure {
    if (std::shared_ptr<Request> request = queue->completion->find(number)) request->cancel();
    return {};
  });
}

void ringlet_event_clear(ringlet_event* event) {
  if (event == nullptr) return;
  ringlet_reply_release(event->reply);
  ringlet_error_release(event->error);
  ringlet_merge_release(event->merge);
  *event = ringlet_event{};
}
