// One request of a queue, from submit to its one DONE. A get, put or delete is one call of the C++
// client; an update is
//
//   reading -> asked -> writing -> done         asked: a MERGE event is out, the answer comes from
//      ^                   |                    any thread, at any time, or never
//      +---- pausing <-----+ the write met new siblings
//
// The read after a pause ends it too when somebody resolved the siblings meanwhile: the value written
// was one of them. An update
// and is over at its deadline, when it is cancelled and when its client closes, whatever it was doing.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "client_handle.hpp"
#include "completion.hpp"
#include "reply.hpp"

namespace ringlet::capi {

struct MergeAnswer {
  enum class Kind { none, value, erase, keep, fail } kind = Kind::none;
  Bytes value;
  std::string reason;
};

class Request : public std::enable_shared_from_this<Request> {
 public:
  Request(std::shared_ptr<ClientState> client, std::shared_ptr<Completion> completion,
          std::uint32_t kind, std::uint64_t tag, Client::Request wanted, bool show_versions);

  void set_number(std::uint64_t number) { number_ = number; }
  std::uint64_t number() const { return number_; }
  void start();
  void cancel();
  void expire();         // the deadline of an unanswered merge has come
  void client_closed();  // its client is closed: what waits for an answer ends
  void no_memory();      // it cannot go on; needs none itself

  // Of attempt `attempt`; CLOSED when the request does not wait for it any more.
  Status answer(std::uint32_t attempt, MergeAnswer answer);
  Status still_asked(std::uint32_t attempt);  // OK, or the CLOSED that answer would give

 private:
  enum class Step { idle, reading, asked, writing, pausing, done };
  using Next = void (Request::*)(Outcome);

  void launch(Step step, Client::Request wanted, Next next);
  void on_single(Outcome outcome);
  void on_read(Outcome outcome);
  void on_written(Outcome outcome);
  void pause();
  void read();
  void ask(Outcome outcome);
  // Takes the reply. With a step: only if the request still is at it.
  void finish(const Failure& failure, ringlet_reply* reply, Step only_from = Step::idle);
  Status too_late(const char* doing) const;
  const char* operation() const;
  std::uint32_t remaining_ms() const;

  // Fixed after start().
  const std::shared_ptr<ClientState> client_;
  const std::shared_ptr<Completion> completion_;
  const std::uint32_t kind_;
  const std::uint64_t tag_;
  const Client::Request wanted_;
  const Clock::time_point deadline_;
  const bool show_versions_;
  std::uint64_t number_ = 0;

  std::atomic<bool> written_{false};  // an attempt of this update was acknowledged
  WriteId last_write_;                // its id; only on the client's thread

  std::mutex mutex_;  // guards what follows; never held while calling the client or the queue
  Step step_ = Step::idle;
  bool cancelled_ = false;
  std::uint64_t launch_ = 0;           // counts calls of the client
  std::uint32_t attempt_ = 0;          // of the merge
  std::uint64_t core_number_ = 0;      // of the client's call under way; 0: none, or not known yet
  Bytes context_;                      // what the merge now asked has seen
  ringlet_reply* siblings_ = nullptr;  // what it was shown; for keep
};

}  // namespace ringlet::capi

struct ringlet_merge {
  std::shared_ptr<ringlet::capi::Request> request;
  ringlet_reply* siblings = nullptr;  // one reference
  std::uint32_t attempt = 0;
  std::atomic<bool> ended{false};
  // Inside a resolver: the answer counts only when the resolver returns 0.
  bool inside_resolver = false;
  ringlet::capi::MergeAnswer held;
  ringlet::capi::Counted counted;
  ~ringlet_merge();
};
