// One write (a delete is a write of a tombstone), from the first replica asked to the last owner
// taken care of.
//
//   minting      ask one replica to give the write its dot: the preferred one, the other owners,
//                the fallbacks (which keep it as a hint), at last those believed down. Whoever
//                refuses or stays silent is followed by the next, with the same write id, for as long
//                as the caller waits for this coordinator: a dot that the write was given later
//                could come back after the write was replaced (L18). Who is late by the measure of its
//                own answers is followed early, as often as a ration allows (early_asking.hpp), and is
//                waited for all the same
//   replicating  send the minted object to the other owners, or to the next fallback with a hint in
//                place of one that is believed down, refuses or stays silent
//   lingering    the caller has its answer; every owner that has no copy yet gets a hint somewhere,
//                at the very last beside the copy of somebody who stored it
//   done         every owner holds the write or has a hint waiting
//
// With last-write-wins one replica mints as well: it stamps the write above what it holds (L19).
//
// The vote: W slots of the preference list that are held (held_slots.hpp), each once: by the owner,
// the minter included, or by a fallback with a hint for it (`strict`: by owners only). An owner and
// its fallback are two disks today and one when the hint is handed over, and W is a promise about
// then. It costs no request its answer: while W is not reached, a fallback whose owner has answered
// after all is asked to stand in for another one too, so that any W members will do.
//
// The vote is lost when too few slots are left that anybody could hold, or at the deadline. The
// answer goes out the moment it is settled; while it is not and nobody else is left, silent ones
// are asked again. A reply after its node's patience still counts, that of a second minter too (its
// object is joined to the first's).
#pragma once

#include <optional>
#include <vector>

#include "coordination/asked.hpp"
#include "coordination/quorum.hpp"
#include "protocol/effects.hpp"
#include "protocol/health.hpp"

namespace ringlet {

class PutOperation {
 public:
  struct Plan {
    Key key;
    CausalContext seen;
    Write write;
    Participants participants;
    NodeId preferred;        // mints first; nobody: the order of the members
    std::size_t wanted = 1;  // W, at least 1 and at most the number of owners
    bool strict = false;
    Duration timeout;
    Duration linger;
    // For how long the asker bears silence before it asks another coordinator; 0: it asks no other.
    Duration silence;
    WriteDurability durability = WriteDurability::unset;
    Reconcile reconcile = Reconcile::siblings;  // of a key that is not there yet
    // The answer joins what those who stored the write hold beside it; only they know, where the minter had
    // not heard of a concurrent write yet.
    bool tell_siblings = false;
  };

  // `health` outlives the operation; it is told of silence, once a question.
  PutOperation(Plan plan, Health& health);

  void start(Now now, Effects& out);
  void on_message(NodeId from, std::uint32_t question, const Message& message, Now now,
                  Effects& out);
  void on_unreachable(NodeId node, Now now, Effects& out);
  void on_wake(Now now, Effects& out);
  // A question waits for its connection; may it leave now? Not when its caller was told that nothing had.
  void on_held(NodeId node, std::uint32_t question);
  bool may_leave(NodeId node, std::uint32_t question);
  // Nobody waits any more: the answer, if none was given, is `status`; hints are still left behind.
  void abandon(const Status& status, Now now, Effects& out);
  // Bytes of the values that each of its messages carries.
  std::size_t payload() const;

 private:
  // What is known of one owner: index in `members`.
  struct Slot {
    bool stored = false;     // it has the write
    bool hinted = false;     // a fallback has it for it
    bool exhausted = false;  // nobody is left who could keep a hint
    bool settled() const { return stored || hinted || exhausted; }
  };

  void ask_next_minter(Now now, Effects& out);
  NodeId next_minter(bool down_too = true) const;
  void start_replicating(Now now, Effects& out);
  void store_at(NodeId node, std::size_t slot, Now now, Effects& out);
  void replace_owner(std::size_t slot, Now now, Effects& out);
  void keep_hint_beside_a_copy(std::size_t slot, Now now, Effects& out);
  void ask_whoever_is_left(Now now, Effects& out);
  bool ask_one_more(Now now, Effects& out);
  void ask_early(Now now, Effects& out);
  void mint_early(Now now, Effects& out);
  void store_early(Now now, Effects& out);
  bool ask_a_fallback(bool down, Now now, Effects& out);
  bool ask_the_silent(std::size_t index, Now now, Effects& out);
  void ask_again(Asked& asked, Now now, Effects& out);
  void on_minted(const Asked& minter, const Minted& minted, Now now, Effects& out);
  void count_stored(Asked& asked);
  void give_up_on(std::size_t index, Reply reply, Now now, Effects& out);
  bool may_begin_again(Instant now) const;
  bool too_large_to_repeat(Instant now) const;
  void notice_sleep(Now now);
  void settle(Now now, Effects& out);
  void answer(Status status, Now now, Effects& out);
  void show_siblings(ClientReply& reply) const;
  void fail(Now now, Effects& out);
  void give_up_asleep(Now now, Effects& out);
  void leave_hints(Effects& out);
  void finish(Effects& out);

  Asked& remember(NodeId node, std::size_t slot, Asked::For what, Now now, Effects& out);
  void send_mint(const Asked& asked, Now now, Effects& out);
  void send_copy(const Asked& asked, Effects& out);
  Asked* answered_by(NodeId node, std::uint32_t question, const Message& message);
  NodeId next_fallback(std::size_t slot, bool down) const;
  NodeId spare_fallback(std::size_t slot) const;
  bool was_asked_for(NodeId node, std::size_t slot) const;
  bool would_hold_more(NodeId node, std::size_t slot, Expected expected = Expected::waiting) const;
  std::size_t slot_to_mint_for(NodeId minter) const;
  bool somebody_waited_for(std::size_t slot) const;
  bool anybody_waited_for() const;
  Quorum vote() const;
  bool may_fall_short(Expected expected = Expected::waiting) const;
  bool ends_the_request(Code code) const;
  bool may_be_applied() const;
  bool is_owner_of(NodeId node, std::size_t slot) const { return members()[slot] == node; }
  NodeId hint_for(NodeId node, std::size_t slot) const {
    return is_owner_of(node, slot) ? NodeId{} : members()[slot];
  }
  // What a hint counts for is nobody's vote in a strict request, so it is never refused.
  CountedNodes counted_by(NodeId hint) const {
    return hint ? CountedNodes{} : plan_.participants.counted;
  }
  std::uint32_t number_of(const Asked& asked) const {
    return static_cast<std::uint32_t>(&asked - asked_.data());
  }
  const std::vector<NodeId>& members() const { return *plan_.participants.members; }

  Plan plan_;
  Health& health_;
  Instant began_, deadline_, linger_until_;
  std::vector<Asked> asked_;
  std::vector<Slot> slots_;       // one an owner
  std::optional<Object> object_;  // what to replicate; nothing: still minting
  Object beside_;                 // what others said that they hold; it is shown and not replicated
  Dot dot_;
  std::uint32_t mints_asked_ = 0;  // questions to mint that were sent, repetitions too
  std::vector<NodeId> stored_by_;  // in the order heard
  Refusals refusals_;
  bool answered_ = false, done_ = false;
  bool refused_but_stored_ = false;  // perhaps: a replica could not say, or its vote came too late
  bool told_not_applied_ = false;    // the answer was a failure that nothing had left for
  bool overslept_ = false;  // so long that the asker has been to another coordinator meanwhile
};

}  // namespace ringlet
