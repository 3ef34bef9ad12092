// Who was asked by one request, what became of it, and the words for it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "coordination/held_slots.hpp"
#include "protocol/effects.hpp"
#include "protocol/health.hpp"
#include "ring/ring.hpp"

namespace ringlet {

enum class Reply { waiting, silent, yes, refused, unreachable };

// One question to one node. `silent` means that patience ran out; the answer is still welcome, and
// when nobody else is left the node is asked again, with twice the patience: a message may have
// been lost.
struct Asked {
  NodeId node;
  Instant asked_at;
  Instant until;
  Instant late_at =
      Instant::never();  // waiting: when it becomes late; never: it is, or will not be
  Reply reply = Reply::waiting;
  Code why = Code::ok;                                   // refused: the reason given
  std::size_t slot = 0;                                  // put: the owner it stores for
  enum class For { vote, mint, keep } what = For::vote;  // keep: a last-resort hint, no vote
  bool may_mint = false;  // a MintPut is on its way or was answered by nobody
  bool held = false;      // nothing of the question has left: its connection is not there yet
  bool was_held = false;  // asked again: nothing of the questions before had left by then
  int times = 1;          // asked
  int came_late = 0;      // of those: it said that the question came too late, and did nothing
  bool late = false;      // waiting for longer than its node's answers usually take
  bool replaced = false;  // another replica was asked early in its place
  bool open() const { return reply == Reply::waiting || reply == Reply::silent; }
};

// What both kinds of request are planned with. The ring holds `members`.
struct Participants {
  std::shared_ptr<const Ring> ring;              // for the members' names
  const std::vector<NodeId>* members = nullptr;  // all S in the order to try them, owners first
  std::size_t owners = 0;                        // N: the first of them
  // The nodes that a strict request counts. Each replica is told them, so that it can refuse its vote.
  // While the partition moves, its incoming owners are counted as owners, too: this request then has a
  // list of `members` of its own, and `owners` is greater than N by `newcomers`.
  CountedNodes counted;
  std::shared_ptr<const std::vector<NodeId>> own_list;
  std::size_t newcomers = 0;

  bool is_owner(NodeId node) const;
  // Who stands in for an owner: the first in the order whom `takes` wants, one of the owner's zone
  // before all others (R4.6-d, O-18). Nobody: none is left.
  NodeId fallback_for(NodeId owner, const std::function<bool(NodeId)>& takes) const;
  std::string name(NodeId node) const;
};

bool was_asked(const std::vector<Asked>& asked, NodeId node);

// Marks the entries of `asked` that have become late by now. When this host itself is woken later than it
// wanted, answers may be waiting in its sockets, so no replica is called late yet: the host reads its
// sockets first, and `out` gets the time to look again.
void mark_late(std::vector<Asked>& asked, Now now, Effects& out);
// No message of any kind has come from the node since it was asked.
bool is_mute(const Asked& asked, const Health& health);
std::size_t count_late(const std::vector<Asked>& asked);

// Which slots a put's answers hold. `strict`: only owners hold any. `waiting`: as if every replica that has
// not answered yet had stored it; `punctual`: likewise, without the replicas that are late.
enum class Expected { none, waiting, punctual };
std::vector<Holding> holdings(const std::vector<Asked>& asked, const Participants& participants,
                              bool strict, Expected expected = Expected::none);
// How many slots could be held yet: an owner may hold its own, a fallback any, unless it refused.
std::size_t slots_within_reach(const std::vector<Asked>& asked, const Participants& participants,
                               bool strict);

// What the refusals of one request come to.
struct Refusals {
  void hear(NodeId node, const Refused& refused);
  std::uint32_t retry_after_ms = 0;  // before the request is made again; 0: as its caller likes
  NodeId first;                      // who refused first, and in which words
  std::string words;
};

// How long to wait for the answer to the next question to this node.
Duration next_patience(Duration patience, int times_asked);

// "put carts/alice: wanted 2 replicas within 300 ms, got 1 of 3 (n5 silent, n7 refused: …)"
std::string sentence(const char* verb, const Key& key, const Participants& participants,
                     const std::vector<Asked>& asked, const Refusals& refusals, const Tally& tally,
                     Duration timeout, bool strict);
// unavailable: nobody could be asked; quorum_not_met: enough said no; timeout: at the deadline
// somebody might still have answered.
Code failure_code(const std::vector<Asked>& asked, bool lost);
// Fills in asked, silent and refused, each node once. A request that went well did not wait for
// everybody: then only those whose patience ran out are silent.
void count_missing(const std::vector<Asked>& asked, bool went_well, Tally& tally);

}  // namespace ringlet
