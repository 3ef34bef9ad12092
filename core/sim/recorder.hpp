// What happened in a world, as records and as a book of versions, for those who look at it afterwards: the
// laboratory (capi/lab.hpp) draws from it. It listens and changes nothing: a run with a recorder and one
// without have the same trace.
//
// The book says who wrote which version, having seen which: the true history, whatever the replicas have
// forgotten since. It is taken from the messages in which clients ask for writes, so it holds for puts,
// deletes, updates and edits alike.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "sim/world.hpp"

namespace ringlet::sim {

inline constexpr HostId no_host = SIZE_MAX;

struct TraceRecord {
  enum class Kind : std::uint8_t {
    act,
    call,
    answer,
    send,
    deliver,
    lost,
    store,
    hint,
    hint_done,
    down,
    up
  };
  Kind kind = Kind::act;
  bool reply = false;
  Observer::Loss why = Observer::Loss::cut;  // lost
  std::int32_t key = -1;                     // in keys()
  Instant at;
  std::uint64_t event = 0;  // how many events of the world were over by then
  HostId host = no_host, peer = no_host;
  std::uint64_t request = 0;      // the call that it is of; 0: none
  std::uint64_t cause = 0;        // the record that led to it; 0: none that is known
  const char* message = nullptr;  // send, deliver, lost: its name
  std::vector<Dot> dots;          // store, hint: living there afterwards; of a message: in it
  CausalContext before, after;    // store: of the row
  std::string words;              // act, call, answer
};
const char* name_of(TraceRecord::Kind kind);

// A write that a client asked for, or, with client no_host, one that was found on a disk only.
struct Written {
  WriteId id;
  std::int32_t key = -1;
  Bytes value, content_type;
  bool tombstone = false;
  HostId client = no_host, coordinator = no_host;
  std::optional<Instant> at, read_at;  // when it was asked for, and when what it has seen was read
  std::uint64_t request = 0;
  CausalContext seen;
  std::vector<std::uint64_t> shown;  // fingerprints of the versions that its writer was shown
  bool acknowledged = false;
  std::vector<Dot> dots;      // under which it was stored, in the order of time; empty: nowhere
  std::int64_t stamp_us = 0;  // with last-write-wins, whose dots tell nothing apart; else 0
};

struct CallRecord {
  std::uint64_t id = 0;
  HostId client = no_host;
  const char* kind = "get";
  std::int32_t key = -1;
  Instant from;
  std::optional<Instant> to;  // nothing: not answered yet
  std::string result;         // "ok", else the error in words
  std::uint32_t attempts = 0;
  std::size_t versions = 0;  // shown by the answer
};

// A stretch of time in which something was not as usual; `to` nothing: until now.
struct Span {
  const char* kind;  // "down", "paused", "slow", "skewed", "full_disk", "cut", "hint"
  HostId host = no_host, peer = no_host;  // cut: from and to; hint: the holder and whom it is for
  std::int32_t key = -1;
  Dot dot;
  Instant from;
  std::optional<Instant> to;
};

// One question of anti-entropy (paper 4.7) and what its answer said.
struct TreeStep {
  HostId from = no_host, to = no_host;
  Instant at;
  std::uint32_t partition = 0;
  std::uint32_t level = 0;    // 0 roots, 1 inner nodes, 2 segments, 3 the keys of segments
  std::size_t compared = 0;   // level 0: 1 also for one hash over all partitions that both have
  std::size_t different = 0;  // level 3: keys that one of the two lacked something of
  std::size_t bytes = 0;      // of numbers and hashes, both ways; values are not counted
  bool answered = false;
  std::vector<std::int32_t> keys;  // level 3: whose copies were sent
};

class Recorder final : public Observer {
 public:
  // At most so many records, calls and messages of them are kept; the oldest go first.
  explicit Recorder(std::size_t most) : most_(most) {}
  void attach(World& world);  // before its cluster starts; the world must end first

  // ---- told by the driver of the world ----
  void act(std::string words);
  std::uint64_t begin_call(HostId client, const char* kind, const Key& key);  // until end_cause()
  void end_cause() { cause_ = request_ = 0; }
  // The call goes on: its application answers a question.
  void answered(std::uint64_t call, std::string words);
  // A call was shown this, by its answer or in a question.
  void read(std::uint64_t call, const Object& object);
  void end_call(std::uint64_t call, const ClientCore::Outcome& outcome);
  // No effect on a span that is open, or is not.
  void open(const char* kind, HostId host, HostId peer = no_host, std::int32_t key = -1,
            const Dot& dot = {});
  void close(const char* kind, HostId host, HostId peer = no_host, std::int32_t key = -1);
  void close_all(const char* kind);

  // ---- asked ----
  std::uint64_t first() const { return first_; }  // the number of the oldest record that is kept
  const std::deque<TraceRecord>& records() const { return records_; }
  const std::deque<CallRecord>& calls() const { return calls_; }
  std::uint64_t calls_forgotten() const { return calls_forgotten_; }
  const std::vector<Span>& spans() const { return spans_; }
  const std::deque<TreeStep>& tree_steps() const { return tree_steps_; }  // the latest
  const std::vector<Key>& keys() const { return keys_; }
  std::int32_t find(const Key& key) const;  // -1: never heard of
  // In the order in which they were first heard of.
  const std::vector<Written>& writes() const { return writes_; }
  const std::vector<std::size_t>& writes_of(std::int32_t key) const { return by_key_.at(key); }
  // The place, from 1, of the epoch among those of the node that this key has met; 0: it has met none.
  std::size_t epoch_of(std::int32_t key, const Actor& actor) const;
  std::size_t most() const { return most_; }

  // ---- Observer ----
  void on_sent(HostId from, HostId to, std::uint64_t exchange, bool reply,
               const Message& message) override;
  void on_lost(std::uint64_t exchange, bool reply, Loss why) override;
  void on_arrived(std::uint64_t exchange, bool reply, const Message& message) override;
  void on_started(HostId node) override;
  void on_crashed(HostId node) override;
  void on_event_over() override { end_cause(); }

 private:
  // A request that is under way, or whose reply is.
  struct Exchange {
    HostId from = no_host, to = no_host;
    std::int32_t key = -1;
    std::uint64_t request = 0, sent = 0, arrived = 0, replied = 0;  // records
    const char* message = nullptr;
    const char* answer = nullptr;
    WriteId write;         // of a ClientPut
    std::size_t step = 0;  // of anti-entropy, counted from 1
  };
  std::size_t tree_question(HostId from, HostId to, const Message& message);
  void tree_answer(std::size_t step, const Message& message);
  std::uint64_t add(TraceRecord record);
  std::int32_t number_of(const Key& key);
  CallRecord* call(std::uint64_t id);
  std::uint64_t call_of(HostId client, std::int32_t key) const;
  void asked_to_write(HostId client, std::int32_t key, const CausalContext& seen,
                      const std::vector<std::uint64_t>& shown, const Write& write);
  Written* find(WriteId id);
  void shown(std::int32_t key, const CausalContext& context);
  void stored(HostId node, Table table, BytesView row, BytesView record);
  void note_versions(std::int32_t key, const Object& object);

  World* world_ = nullptr;
  std::size_t most_;
  std::uint64_t first_ = 1, cause_ = 0, request_ = 0, calls_forgotten_ = 0;
  std::deque<TraceRecord> records_;
  std::deque<CallRecord> calls_;
  std::set<std::uint64_t> open_calls_;
  std::vector<Span> spans_;  // the first so many
  std::map<std::tuple<std::string_view, HostId, HostId, std::int32_t>, std::size_t> open_spans_;
  std::vector<Key> keys_;
  std::map<Key, std::int32_t> numbers_;
  std::vector<Written> writes_;
  std::map<WriteId, std::size_t> by_id_;
  std::vector<std::vector<std::size_t>> by_key_;
  std::vector<std::map<NodeId, std::vector<std::uint64_t>>> epochs_;  // by key
  struct Shown {
    Instant at;
    CausalContext context;
  };
  std::vector<std::deque<Shown>> shown_;  // by key, the latest
  std::map<std::uint64_t, Exchange> exchanges_;
  std::deque<TreeStep> tree_steps_;
  std::size_t tree_steps_forgotten_ = 0;
  std::map<std::pair<HostId, Bytes>, CausalContext> rows_;  // of the objects of each disk
};

}  // namespace ringlet::sim
