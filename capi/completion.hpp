// Where finished requests and merge questions wait for whoever drains them.
//
// Every request added here ends in exactly one DONE event. Thread-safe; the fd is an eventfd that is
// readable while something waits or after a wake. Deadlines, of unanswered merges too, are the
// client's to keep, so no time is kept here.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "backend.hpp"
#include "handles.hpp"

namespace ringlet::capi {

class Request;
using Wait = std::chrono::milliseconds;

class Completion : public std::enable_shared_from_this<Completion> {
 public:
  // With or without a descriptor: a blocking update needs none.
  static Result<std::shared_ptr<Completion>> make(bool with_fd);
  ~Completion();

  int fd() const { return event_fd_; }
  void close_fd();  // in the child of a fork too: takes no lock

  std::uint64_t add(std::shared_ptr<Request> request);  // its number
  void forget(std::uint64_t request);                   // taken back before it began
  std::shared_ptr<Request> find(std::uint64_t request);

  void push(const ringlet_event& event);  // a MERGE
  void push_done(std::uint64_t request, const ringlet_event& event);

  // Waits for the first event. busy, closed: of a laboratory, as Advance says.
  Result<std::size_t> drain(std::vector<ringlet_event>& events, std::size_t room, Wait wait);
  // The requests to come are of a laboratory (or nullptr: of a cluster), whose time passes while a drain waits.
  // unsupported: some of another one are in flight.
  Status bind(std::shared_ptr<Advance> advance);
  bool stands_still();  // of a laboratory: a drain that found nothing would find nothing again
  void wake();
  void close();  // nobody will drain: cancels and clears

 private:
  void signal();  // with mutex_: brings the eventfd up to date

  int event_fd_ = -1;  // fixed after make()
  std::mutex mutex_;   // guards what follows
  std::condition_variable changed_;
  std::deque<ringlet_event> events_;
  std::map<std::uint64_t, std::shared_ptr<Request>> in_flight_;
  std::uint64_t next_ = 1;
  std::shared_ptr<Advance> advance_;
  bool woken_ = false, closed_ = false, signalled_ = false;
};

}  // namespace ringlet::capi
