// The requests of one lane, from read to answered: which is served next, which waits, which is
// refused. No I/O and no clock; one thread, apart from `Shared`.
//
// A lane reads all that its sockets have. What comes while the round is young and nobody waits is
// served at once, the rest is queued: what members ask first, for that is work already admitted,
// then clients, each in the order read. A client's request is refused, as Code::overloaded, and
// costs next to nothing,
//
//   on arrival   when its connection or the node has too many under way, or no memory to spare
//   later        when it waited too long for the turn of its key, or for the lane while everybody
//                did so for a while: a burst is served, a queue that stands is cut
//   on arrival   where a queue was cut a moment ago and is half as long again: it costs less to say
//                so before the request is decoded than after it has waited
//
// How many the node is given at once is bounded by a window that follows its answers: it grows
// while they come in time and shrinks by a quarter when most of those of a while were late. So a
// node that falls behind lets requests wait, and be refused, instead of starting what it cannot end.
//
// A request that only waits for other machines is no load. When the lane itself is idle for half of the
// time, late answers say nothing about it; what the node has had for longer than an answer should take
// then leaves the window and gives back the turn of its key. Such requests are bounded by their number,
// their memory and their deadlines like all others, and keep nobody out.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>

#include "node/large_keys.hpp"
#include "protocol/messages.hpp"
#include "protocol/request_time.hpp"
#include "runtime/key_turns.hpp"
#include "runtime/memory_budget.hpp"
#include "runtime/server_limits.hpp"
#include "wire/frame.hpp"

namespace ringlet {

class Admission {
 public:
  // Of all lanes of a node. Thread-safe.
  struct Shared {
    explicit Shared(const ServerLimits& limits)
        : memory({limits.max_request_bytes, limits.max_answer_bytes, limits.max_resident_bytes,
                  limits.max_reading_bytes}) {}
    MemoryBudget memory;
    std::atomic<std::size_t> requests{0};  // of clients, under way
    LargeKeys* large_keys = nullptr;       // null: nothing is known of any key
  };
  struct Request {
    std::uint64_t link, number;
    std::uint8_t type;
    bool member;  // at the other end of the link
    Message message;
    std::size_t bytes;
    Instant arrived;
    std::uint64_t key = 0;  // its hash; set here
    Arrival arrival = {};   // until when it is wanted
  };
  struct Next {
    Request request;
    Duration waited;
    std::string refused;   // why; empty: it is to be served, and counts as given to the node
    bool for_lane = true;  // it waited for the lane, not for its key's turn
  };

  Admission(const ServerLimits& limits, Shared& shared);
  // LargeKeys::hash_of() of the key of what reads or writes one; 0: another message.
  static std::uint64_t key_of(const Message& message);

  // A frame has come, and its body is not decoded yet. Empty: it is counted in, take() comes next.
  // A text: why it is refused. A failed status: the peer broke the protocol.
  Result<std::string> arrived(std::uint64_t link, bool member, const wire::Frame& frame,
                              Instant now);
  // The same request, decoded, of a key that is known to have so many bytes. Empty: they are in its account,
  // and take() may be left out. A text: why it is refused after all.
  std::string arrived_for(std::uint64_t link, std::uint64_t number, std::uint64_t key,
                          std::size_t bytes);
  // The same request, decoded. Returned: serve it now. Otherwise it waits here for next(), or is
  // refused, and said so by `refused`.
  std::optional<Request> take(Request request, Instant now, std::string& refused);
  // The lane had nothing to do for so long, until `now`. A lane that never says so counts as busy.
  void rested(Duration time, Instant now);
  // Begins to serve what waits, for a while.
  void begin_turn(Instant now);
  std::optional<Next> next(Instant now);
  bool wants_turn() const;
  // When a turn may find room for what waits though nothing happened.
  Instant next_wake() const;

  // Of `bytes`. What was refused on arrival or by next() is no longer counted.
  void answered(std::uint64_t link, std::uint64_t number, std::size_t bytes, Instant now);
  // Nothing of it is under way any more; what waits of it is dropped in its turn.
  void closed(std::uint64_t link, Instant now);
  void close_all(Instant now);

  bool has_work(std::uint64_t link) const;  // of it, under way
  bool is_read(std::uint64_t link, std::uint64_t number) const;
  std::uint32_t retry_after_ms(Instant now) const;  // twice as long as the oldest has waited
  std::size_t waiting() const { return admitted_.size() + asked_.size() + turns_.waiting(); }
  std::size_t waiting_for_turns() const { return turns_.waiting(); }
  std::size_t only_waiting() const { return only_waiting_; }  // for other machines
  int window() const { return static_cast<int>(window_); }
  std::uint64_t refused_full() const { return refused_full_; }
  std::uint64_t shed() const { return shed_; }

 private:
  // A client's, under way.
  struct Work {
    std::size_t bytes = 0;
    std::size_t expected = 0;           // bytes of its answer and what it is made of
    Instant served = Instant::never();  // given to the node
    bool is_read = false;
    bool is_coordinated = false;
    std::uint64_t key = 0;                 // its hash, once it is decoded
    std::size_t large = 0;                 // bytes expected of a key that is known to be large
    bool only_waits = false;               // for other machines: served, and no part of the window
    std::optional<std::uint64_t> turn_of;  // the key of which it has one of the turns
  };
  using Works = std::unordered_map<std::uint64_t, Work>;  // by number

  std::string admit(Works& works, const wire::Frame& frame, Instant now);
  Work* find(std::uint64_t link, std::uint64_t number);
  void settle(const Work& work);
  void end_turn(std::uint64_t key, Instant now);
  void object_seen(std::size_t bytes);
  void window_heard(Duration took, Instant now);
  bool window_open() const;
  void set_apart_who_waits(Instant now);
  void serve(Work& work, std::uint64_t link, std::uint64_t number, Instant now);
  bool sheds(Duration waited, Instant now);
  Next shed(Request request, Instant now, const char* what, Duration limit);

  const ServerLimits limits_;
  Shared& shared_;
  std::unordered_map<std::uint64_t, Works> links_;  // those that had any
  KeyTurns<Request> turns_;
  std::deque<Request> admitted_, asked_;  // of members; of clients
  bool round_open_ = false;               // something was read since the last turn
  Instant round_began_, turn_ends_;
  Instant late_since_ = Instant::never();
  Instant stands_until_;  // the queue is taken to stand, since requests were refused for it
  std::uint64_t refused_full_ = 0, shed_ = 0;
  double window_ = 256;      // of clients' requests that the node is given and has not answered
  std::size_t serving_ = 0;  // those, but for the ones that only wait
  std::size_t only_waiting_ = 0;
  struct Served {
    std::uint64_t link, number;
    Instant at;
  };
  std::deque<Served> served_;  // in order; some are answered
  bool busy_ = true;           // over the last while
  Duration rest_;
  Instant load_since_;
  std::size_t heard_ = 0, late_ = 0;  // answers since window_since_, and those that were late
  Instant window_since_;
  double usual_object_ = 0;  // bytes, of what was read and what members sent to keep, lately
};

}  // namespace ringlet
