// One request of a queue, from submit to its one DONE. A get, put or delete is one call of the C++
// client, an update is one update of it (client/update_operation.hpp): each of its questions becomes a
// MERGE event, whose answer comes from any thread, at any time, or never.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "client_handle.hpp"
#include "completion.hpp"
#include "reply.hpp"

namespace ringlet::capi {

using MergeAnswer = UpdateAnswer;

// What a request shows of its replies.
struct Showing {
  bool versions = true;  // false: the reply's count is 0
  Deletes deletes = Deletes::lose;
};

class Request : public std::enable_shared_from_this<Request> {
 public:
  Request(std::shared_ptr<ClientState> client, std::shared_ptr<Completion> completion,
          std::uint32_t kind, std::uint64_t tag, Client::Request wanted, Showing showing);

  void set_number(std::uint64_t number) { number_ = number; }
  std::uint64_t number() const { return number_; }
  void start();
  void cancel();
  void no_memory();  // it cannot go on; needs none itself

  // Of attempt `attempt`; CLOSED when the request does not wait for it any more.
  Status answer(std::uint32_t attempt, MergeAnswer answer);
  Status still_asked(std::uint32_t attempt);  // OK, or the CLOSED that answer would give

 private:
  void ask(std::uint64_t call, UpdateQuestion question);
  void on_done(Outcome outcome);
  // Takes the reply.
  void finish(const Failure& failure, ringlet_reply* reply);
  Status too_late(const char* doing) const;
  const char* operation() const;

  // Fixed after start().
  const std::shared_ptr<ClientState> client_;
  const std::shared_ptr<Completion> completion_;
  const std::uint32_t kind_;
  const std::uint64_t tag_;
  const Client::Request wanted_;
  const Instant deadline_;
  const Showing showing_;
  std::uint64_t number_ = 0;

  std::mutex mutex_;  // guards what follows; never held while calling the client or the queue
  bool done_ = false, cancelled_ = false;
  std::uint32_t asked_ = 0;  // the attempt that waits for its answer; 0: none does
  std::uint64_t call_ = 0;   // the client's number for it; 0: not known yet
};

}  // namespace ringlet::capi

struct ringlet_merge {
  std::shared_ptr<ringlet::capi::Request> request;
  ringlet_reply* siblings = nullptr;  // one reference
  std::uint32_t attempt = 0;
  bool written = false;
  std::atomic<bool> ended{false};
  // Inside a resolver: the answer counts only when the resolver returns 0.
  bool inside_resolver = false;
  ringlet::capi::MergeAnswer held;
  ringlet::capi::Counted counted;
  ~ringlet_merge();
};
