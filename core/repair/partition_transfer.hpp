// Brings partitions to a node that will own them (paper 4.9; R4.9-a, R4.9-b). The destination asks,
// one page at a time and one source at a time, so nothing is sent twice; each page is checked and
// stored in one transaction with the cursor behind it, so a crash of either side repeats one page.
//
// Which sources suffice. Let X take the place of A among the N. What X holds in the end must make up
// for A in every quorum that counted A:
//   * everything of A is enough, whatever A lacks: a write that A lacks was acknowledged by W others
//     which all stay, a write that A has is now on X. No quorum of the new N sees less than one of the old.
//   * without A, a write acknowledged by A and one owner may be on that owner only, and nobody knows
//     on which: so X pulls from *every* owner that stays. One that is gone too is waited for, up to
//     `lenient_after`; then the others are enough (their union is all that anybody could read), and
//     anti-entropy brings the rest when it returns.
// Writes after a page was read come by themselves (dual_writes.hpp), and to fallbacks' hints for A the rule of
// F-45 applies. Beneath all this: A pushes what it still holds before it erases it (surplus).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "protocol/health.hpp"
#include "repair/background_task.hpp"
#include "repair/own_copies.hpp"
#include "repair/pace.hpp"

namespace ringlet {

std::uint64_t checksum_of(const std::vector<KeyedObject>& objects);

// How far a pull has come; kept under "transfer.<partition>".
struct TransferCursor {
  std::uint64_t move = 0;    // of which move; a cursor of another one is worthless
  std::vector<NodeId> done;  // sources that were read to the end
  NodeId source;             // being read; nobody: the next one begins
  std::optional<Key> after;  // the last key stored from it
  bool arrived = false;      // all that is needed is here
  friend bool operator==(const TransferCursor&, const TransferCursor&) = default;
};
Bytes encode_cursor(const TransferCursor& cursor);
Result<TransferCursor> decode_cursor(BytesView bytes);  // corrupt: says what was wrong

class TransferStore {
 public:
  virtual ~TransferStore() = default;
  // The cursors of all partitions that have one. A damaged one is left out: its pull begins anew.
  virtual Result<std::vector<std::pair<std::uint32_t, TransferCursor>>> cursors() = 0;
  // Joins the objects into the own copies and keeps the cursor, in one transaction.
  virtual Status store_page(std::uint32_t partition, const std::vector<KeyedObject>& objects,
                            const TransferCursor& cursor) = 0;
  virtual Status forget_cursor(std::uint32_t partition) = 0;  // ok also when there is none
};

// One partition that this node will own.
struct Incoming {
  std::uint32_t partition = 0;
  std::uint64_t move = 0;       // epoch of the slot whose `next` is this node; 0: others flip
  NodeId outgoing;              // whose place it takes; nobody: gone for good
  std::vector<NodeId> staying;  // the other owners, in preference order, without this node
  friend bool operator==(const Incoming&, const Incoming&) = default;
};

class PartitionTransfer final : public BackgroundTask {
 public:
  struct Options {
    std::size_t parallel = 4;                      // partitions at a time
    std::uint32_t page_bytes = 128 * 1024;         // at most; less while requests are served
    Duration patience = Duration::seconds(5);      // for one page
    Duration first_pause = Duration::millis(200);  // after a failure; doubles with each
    Duration longest_pause = Duration::seconds(10);
    Duration lenient_after = Duration::seconds(600);  // never(): INT64_MAX us
    // A source that is up but cannot answer yet, since it has not heard of the move, say, is waited for:
    // without A every owner that stays is read, which is twice as much or more.
    Duration ready_within = Duration::seconds(10);
  };
  // `pace` may be nullptr: unpaced.
  PartitionTransfer(NodeId self, Options options, TransferStore& store,
                    const Whereabouts& placement, const Health& health, Pace* pace);
  ~PartitionTransfer() override;

  // The whole list, at the start and whenever the ring changed. What is no longer in it is dropped
  // with its cursor, before surplus may erase what came (F-73); what is in it with the same `move`
  // goes on from its durable cursor, and so does, with move 0, what this process has begun.
  void set_work(std::vector<Incoming> work, Now now);
  void on_reply(NodeId from, RequestId number, const Message& message, Now now) override;
  void on_unreachable(NodeId node, Now now) override;
  void on_recovered(NodeId node, Now now) override;
  void on_wake(Now now) override;

  std::vector<Outgoing> take_outgoing() override;  // TransferPull
  Instant next_wake() const override;

  bool arrived(std::uint32_t partition) const;  // and stored; false for one not in the work
  bool all_arrived() const;                     // true without work
  // This node has all of a partition that is, or will be, its own.
  bool has_all_of(std::uint32_t partition) const;
  bool take_news();  // has any arrived since the last call?
  struct Progress {
    std::size_t partitions = 0, left = 0, waiting = 0;  // waiting: no source answers
    std::uint64_t objects = 0, bytes = 0;               // stored, since the start of the process
    std::uint64_t pages = 0, failed_pages = 0, lenient = 0;
    Duration busy{};  // with a page asked for
  };
  Progress progress() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The source's side: TransferPage, or Refused with a sentence. `may_pull`: the asker is among the N
// of the partition or will be, in this node's ring. That is what makes the pull safe: from then on
// each write here goes to the asker as well. The page is paid for at `pace` (nullptr:
// unpaced); who asks too early is told when to come again, as `overloaded`.
Message answer(const TransferPull& pull, bool may_pull, std::uint32_t most_bytes,
               const Whereabouts& placement, OwnCopies& copies, Pace* pace, Now now);

}  // namespace ringlet
