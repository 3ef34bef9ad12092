#include "coordination/put_operation.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "document/deletes.hpp"
#include "protocol/payload.hpp"

namespace ringlet {

PutOperation::PutOperation(Plan plan, Health& health)
    : plan_(std::move(plan)), health_(health), slots_(plan_.participants.owners) {
  RINGLET_ASSERT(plan_.wanted >= 1);
  RINGLET_ASSERT(plan_.wanted <= plan_.participants.owners);
}

std::size_t PutOperation::payload() const {
  if (object_) return payload_bytes(*object_);
  return plan_.write.value.size();
}

void PutOperation::start(Now now, Effects& out) {
  began_ = now.instant;
  deadline_ = now.instant + plan_.timeout;
  out.push_back(WakeAt{deadline_});
  ask_next_minter(now, out);
  settle(now, out);
}

void PutOperation::on_message(NodeId from, std::uint32_t question, const Message& message, Now now,
                              Effects& out) {
  notice_sleep(now);
  Asked* asked = done_ ? nullptr : answered_by(from, question, message);
  if (asked == nullptr) return;  // twice, unasked, or too late
  if (auto* refused = std::get_if<Refused>(&message)) {
    if (refused->status.code() == Code::timeout) {
      // It came too late there and was not executed: this node did not take it, and may be asked again.
      ++asked->came_late;
      asked->may_mint = asked->came_late < asked->times;
      return give_up_on(question, Reply::silent, now, out);
    }
    asked->why = refused->status.code();
    refusals_.hear(from, *refused);
    refused_but_stored_ |= refused->status.maybe_applied();
    if (ends_the_request(asked->why)) {
      asked->reply = Reply::refused;
      Status status = refused->status;
      status.set_maybe_applied(status.maybe_applied() || may_be_applied());
      answer(std::move(status), now, out);
      return finish(out);
    }
    return give_up_on(question, Reply::refused, now, out);
  }
  if (asked->open()) count_stored(*asked);
  if (auto* stored = std::get_if<Stored>(&message);
      stored != nullptr && !answered_ && plan_.tell_siblings && !stored->beside.missing()) {
    document::sync_with_tables(beside_, stored->beside);
  }
  if (auto* minted = std::get_if<Minted>(&message)) {
    asked->may_mint = false;
    on_minted(*asked, *minted, now, out);
  }
  settle(now, out);
}

void PutOperation::on_unreachable(NodeId node, Now now, Effects& out) {
  notice_sleep(now);
  // By index: asking a replacement makes the vector grow.
  for (std::size_t i = 0; i < asked_.size() && !done_; ++i) {
    if (asked_[i].node == node && asked_[i].open()) {
      give_up_on(i, Reply::unreachable, now, out);
    }
  }
}

void PutOperation::on_wake(Now now, Effects& out) {
  if (done_) return;
  notice_sleep(now);
  bool too_late = !answered_ && now.instant >= deadline_;  // to ask anybody else
  mark_late(asked_, now, out);
  for (std::size_t i = 0; i < asked_.size() && !done_; ++i) {
    if (asked_[i].reply != Reply::waiting || asked_[i].until > now.instant) continue;
    health_.was_silent(asked_[i].node, now.instant);
    check_first(health_, *plan_.participants.members, now.instant);
    if (too_late)
      asked_[i].reply = Reply::silent;
    else
      give_up_on(i, Reply::silent, now, out);
  }
  if (too_late && !answered_) fail(now, out);
  if (!done_) settle(now, out);
}

void PutOperation::on_held(NodeId node, std::uint32_t question) {
  if (answered_ || question >= asked_.size() || asked_[question].node != node) return;
  Asked& asked = asked_[question];
  asked.held = asked.times == 1 || asked.was_held;  // one that was repeated may have left before
}

bool PutOperation::may_leave(NodeId node, std::uint32_t question) {
  if (told_not_applied_) return false;
  if (question < asked_.size() && asked_[question].node == node) {
    asked_[question].held = asked_[question].was_held = false;
  }
  return true;
}

void PutOperation::abandon(const Status& status, Now now, Effects& out) {
  if (done_) return;
  Status told = status;
  told.set_maybe_applied(may_be_applied());
  answer(std::move(told), now, out);
  leave_hints(out);
  finish(out);
}

// ---- minting ----

// After the deadline the caller has been told, and after a sleep that was longer than its patience it
// has asked another coordinator: there the write may have been minted, read and replaced by now.
bool PutOperation::may_begin_again(Instant now) const {
  return !answered_ && !overslept_ && now < deadline_ && vote().verdict() == Verdict::pending;
}

// A replica that has received the value may still answer. Where the time left is too short to carry the value
// again, a second copy could not be answered in time and would only take bandwidth.
bool PutOperation::too_large_to_repeat(Instant now) const {
  return deadline_ - now < carrying_time(payload());
}

// Every question has a wake at the end of its patience. One that is long overdue says that this host
// slept, or had no time for as long.
void PutOperation::notice_sleep(Now now) {
  if (object_ || overslept_ || plan_.silence <= Duration{}) return;
  Instant due = Instant::never();
  for (const Asked& asked : asked_) {
    if (asked.reply == Reply::waiting) due = std::min(due, asked.until);
  }
  overslept_ = due != Instant::never() && due + plan_.silence < now.instant;
}

void PutOperation::ask_next_minter(Now now, Effects& out) {
  if (NodeId minter = next_minter()) {
    std::size_t slot = slot_to_mint_for(minter);
    Asked& asked = remember(minter, slot, Asked::For::mint, now, out);
    asked.may_mint = true;
    return send_mint(asked, now, out);
  }
  if (planted(PlantedBug::no_fallback)) return;
  // Everybody was asked. Of the silent ones, who was asked least; the write id makes it safe.
  Asked* again = nullptr;
  for (Asked& asked : asked_) {
    if (asked.reply != Reply::silent) continue;
    if (again == nullptr || asked.times < again->times) again = &asked;
  }
  if (again != nullptr) ask_again(*again, now, out);
}

NodeId PutOperation::next_minter(bool down_too) const {
  auto fresh = [&](NodeId node) { return !was_asked(asked_, node); };
  // Whoever chose it has looked at its health.
  if (plan_.preferred && fresh(plan_.preferred)) return plan_.preferred;
  // Owners come first in `members`, so one walk each for the healthy and for the others.
  bool replace = !planted(PlantedBug::no_fallback);
  std::size_t last = replace ? members().size() : plan_.participants.owners;
  for (bool down : {false, true}) {
    if (down && !down_too) break;
    for (std::size_t i = 0; i < last; ++i) {
      if (fresh(members()[i]) && health_.is_down(members()[i]) == down) return members()[i];
    }
  }
  return {};
}

// A fallback mints in the place of an owner that nobody is asked for at the moment.
std::size_t PutOperation::slot_to_mint_for(NodeId minter) const {
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    if (is_owner_of(minter, slot)) return slot;
  }
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    if (!somebody_waited_for(slot)) return slot;
  }
  return 0;
}

// The late minter is still welcome, and what it mints is the same write. Whoever comes first is enough.
void PutOperation::mint_early(Now now, Effects& out) {
  bool punctual = std::any_of(asked_.begin(), asked_.end(),
                              [](auto& a) { return a.reply == Reply::waiting && !a.late; });
  if (punctual || !may_begin_again(now.instant) || planted(PlantedBug::no_fallback)) return;
  auto late = std::find_if(asked_.begin(), asked_.end(),
                           [](auto& a) { return a.reply == Reply::waiting && !a.replaced; });
  if (late == asked_.end() || !next_minter(false)) return;
  if (!health_.may_ask_early(is_mute(*late, health_))) return;
  late->replaced = true;
  ask_next_minter(now, out);
}

void PutOperation::on_minted(const Asked& minter, const Minted& minted, Now now, Effects& out) {
  if (!object_) {
    object_ = minted.object;
    dot_ = minted.dot;
    return start_replicating(now, out);
  }
  // A minter that had been given up answers after all. Its version has a dot of its own: whoever
  // knows only one of the two must learn the other, or it would outlive the next write there alone.
  bool news = lacks(*object_, minted.object);
  bool behind = lacks(minted.object, *object_);
  document::sync_with_tables(*object_, minted.object);
  if (!news) {
    // Last-write-wins: this one gave the same write an earlier stamp. A write that follows what is read
    // there would lie above that one only, and lose to the write that its writer was shown.
    if (behind) send_copy(minter, out);
    return;
  }
  for (const Asked& other : asked_) {
    if (other.what == Asked::For::keep) continue;
    bool was_sent_the_first = other.open() && other.what == Asked::For::vote;
    if (other.reply == Reply::yes || was_sent_the_first) send_copy(other, out);
  }
}

// ---- replicating ----

void PutOperation::start_replicating(Now now, Effects& out) {
  std::size_t n = slots_.size();
  for (std::size_t slot = 0; slot < n; ++slot) {
    NodeId owner = members()[slot];
    if (!slots_[slot].settled() && !was_asked(asked_, owner) && !health_.is_down(owner)) {
      store_at(owner, slot, now, out);
    }
  }
  for (std::size_t slot = 0; slot < n; ++slot) replace_owner(slot, now, out);
}

void PutOperation::store_at(NodeId node, std::size_t slot, Now now, Effects& out) {
  send_copy(remember(node, slot, Asked::For::vote, now, out), out);
}

// Somebody else takes the owner's copy, unless somebody has it or is being asked already.
void PutOperation::replace_owner(std::size_t slot, Now now, Effects& out) {
  if (slots_[slot].settled() || somebody_waited_for(slot)) return;
  if (planted(PlantedBug::no_fallback)) return;
  NodeId fallback = next_fallback(slot, false);
  if (!fallback) fallback = spare_fallback(slot);
  if (fallback) return store_at(fallback, slot, now, out);
  if (may_fall_short() && !was_asked(asked_, members()[slot])) {
    return store_at(members()[slot], slot, now, out);
  }
  keep_hint_beside_a_copy(slot, now, out);
}

// The last resort: every member was tried or is believed gone. Whoever has the write keeps a hint
// as well. That is one copy on one disk: it makes no vote more.
void PutOperation::keep_hint_beside_a_copy(std::size_t slot, Now now, Effects& out) {
  for (NodeId node : stored_by_) {
    if (was_asked_for(node, slot)) continue;
    return send_copy(remember(node, slot, Asked::For::keep, now, out), out);
  }
  // Whoever stores it later is asked then.
  bool more = std::any_of(asked_.begin(), asked_.end(),
                          [](const Asked& a) { return a.open() && a.what != Asked::For::keep; });
  if (!more && !stored_by_.empty()) slots_[slot].exhausted = true;
}

void PutOperation::ask_whoever_is_left(Now now, Effects& out) {
  if (planted(PlantedBug::no_fallback)) return;
  while (may_fall_short() && ask_one_more(now, out)) {
  }
}

// An opinion that somebody is gone is no reason to fail. An owner is worth asking though a fallback
// holds its slot: that one can then stand in for another owner.
bool PutOperation::ask_one_more(Now now, Effects& out) {
  if (ask_a_fallback(false, now, out)) return true;
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    if (was_asked(asked_, members()[slot])) continue;
    store_at(members()[slot], slot, now, out);
    return true;
  }
  if (ask_a_fallback(true, now, out)) return true;
  for (std::size_t i = 0; i < asked_.size(); ++i) {
    if (asked_[i].reply == Reply::silent && ask_the_silent(i, now, out)) return true;
  }
  return false;
}

bool PutOperation::ask_a_fallback(bool down, Now now, Effects& out) {
  if (plan_.strict) return false;
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    NodeId fallback = next_fallback(slot, down);
    if (!fallback) fallback = spare_fallback(slot);
    if (!fallback || !would_hold_more(fallback, slot)) continue;
    store_at(fallback, slot, now, out);
    return true;
  }
  return false;
}

// A silent fallback is asked for an owner that needs it now, not always for the one it was asked for.
bool PutOperation::ask_the_silent(std::size_t index, Now now, Effects& out) {
  Asked& asked = asked_[index];
  NodeId node = asked.node;
  if (is_owner_of(node, asked.slot)) {
    ask_again(asked, now, out);
    return true;
  }
  if (plan_.strict || plan_.participants.is_owner(node)) return false;
  if (would_hold_more(node, asked.slot)) {
    ask_again(asked, now, out);
    return true;
  }
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    if (was_asked_for(node, slot) || !would_hold_more(node, slot)) continue;
    store_at(node, slot, now, out);
    return true;
  }
  return false;
}

void PutOperation::ask_early(Now now, Effects& out) {
  object_ ? store_early(now, out) : mint_early(now, out);
}

// A hint for an owner that is only slow would be stored, sent and dropped for nothing: only for one that is
// mute a fallback is asked, and only when those who are not late may be too few.
void PutOperation::store_early(Now now, Effects& out) {
  if (plan_.strict || planted(PlantedBug::no_fallback)) return;
  for (std::size_t i = 0; i < asked_.size() && may_fall_short(Expected::punctual); ++i) {
    const Asked& late = asked_[i];
    const std::size_t slot = late.slot;
    if (late.reply != Reply::waiting || !late.late || late.what == Asked::For::keep) continue;
    NodeId fallback = next_fallback(slot, false);
    if (!fallback || !would_hold_more(fallback, slot, Expected::punctual)) continue;
    if (!is_mute(late, health_) || !health_.may_ask_early(true)) continue;
    asked_[i].replaced = true;
    store_at(fallback, slot, now, out);
  }
}

void PutOperation::ask_again(Asked& asked, Now now, Effects& out) {
  asked.reply = Reply::waiting;
  asked.asked_at = now.instant;
  asked.late_at = Instant::never();
  asked.late = asked.replaced = false;
  asked.was_held = std::exchange(asked.held, false);
  asked.until = now.instant + next_patience(health_.patience(asked.node), asked.times++);
  out.push_back(WakeAt{asked.until});
  if (!object_) {
    asked.may_mint = true;  // also where it had said that the question before came too late
    return send_mint(asked, now, out);
  }
  asked.what = Asked::For::vote;
  send_copy(asked, out);
}

void PutOperation::count_stored(Asked& asked) {
  asked.reply = Reply::yes;
  Slot& slot = slots_[asked.slot];
  bool owner = is_owner_of(asked.node, asked.slot);
  (owner ? slot.stored : slot.hinted) = true;
  bool known = std::find(stored_by_.begin(), stored_by_.end(), asked.node) != stored_by_.end();
  if (!known) stored_by_.push_back(asked.node);
}

void PutOperation::give_up_on(std::size_t index, Reply reply, Now now, Effects& out) {
  Asked& asked = asked_[index];
  bool was_waited_for = asked.reply == Reply::waiting;
  asked.reply = reply;
  if (was_waited_for) {
    if (object_)
      replace_owner(asked.slot, now, out);
    else if (may_begin_again(now.instant) && !(asked.replaced && anybody_waited_for()) &&
             !(reply == Reply::silent && too_large_to_repeat(now.instant)))
      ask_next_minter(now, out);
  }
  settle(now, out);
}

// ---- the answer ----

void PutOperation::settle(Now now, Effects& out) {
  if (!answered_) {
    Verdict verdict = vote().verdict();
    if (verdict == Verdict::pending) ask_early(now, out);
    if (verdict == Verdict::pending && object_) ask_whoever_is_left(now, out);
    if (verdict == Verdict::reached) answer(Status::ok(), now, out);
    if (verdict == Verdict::lost) fail(now, out);
    if (verdict == Verdict::pending && overslept_ && !object_) give_up_asleep(now, out);
  }
  if (!answered_ || done_) return;
  if (planted(PlantedBug::no_hint_at_quorum)) return finish(out);

  // Owners for whom nobody was left to ask before anybody had stored the write.
  if (object_ && !stored_by_.empty()) {
    for (std::size_t slot = 0; slot < slots_.size(); ++slot) replace_owner(slot, now, out);
  }
  bool settled = std::all_of(slots_.begin(), slots_.end(), [](auto& s) { return s.settled(); });
  // A minter that is only slow has a version that nobody else knows of.
  bool minting = std::any_of(asked_.begin(), asked_.end(),
                             [](const Asked& a) { return a.open() && a.may_mint; });
  if ((settled || stored_by_.empty()) && !minting) return finish(out);
  if (now.instant >= linger_until_) {
    leave_hints(out);
    finish(out);
  }
}

void PutOperation::fail(Now now, Effects& out) {
  Tally tally;
  tally.wanted = static_cast<std::uint32_t>(plan_.wanted);
  tally.got = static_cast<std::uint32_t>(vote().count());
  count_missing(asked_, false, tally);
  const char* verb = plan_.write.tombstone ? "delete" : "put";
  bool lost = vote().verdict() == Verdict::lost;
  std::string text = sentence(verb, plan_.key, plan_.participants, asked_, refusals_, tally,
                              plan_.timeout, plan_.strict);
  Status status(failure_code(asked_, lost), std::move(text));
  status.set_maybe_applied(may_be_applied());
  answer(std::move(status), now, out);
}

// Nobody may be asked any more: whoever was asked before may answer yet.
void PutOperation::give_up_asleep(Now now, Effects& out) {
  bool waits = std::any_of(asked_.begin(), asked_.end(),
                           [](const Asked& a) { return a.reply == Reply::waiting; });
  if (waits) return;
  Status status(Code::unavailable, std::string(plan_.write.tombstone ? "delete " : "put ") +
                                       printable(plan_.key) +
                                       ": this coordinator was held up for longer than its caller "
                                       "waits for it: ask another one");
  status.set_maybe_applied(may_be_applied());
  answer(std::move(status), now, out);
}

void PutOperation::answer(Status status, Now now, Effects& out) {
  if (answered_) return;
  answered_ = true;
  linger_until_ = now.instant + plan_.linger;
  ClientReply reply;
  if (!status.is_ok()) reply.retry_after_ms = refusals_.retry_after_ms;
  told_not_applied_ = !status.is_ok() && !status.maybe_applied();
  reply.status = std::move(status);
  if (object_) reply.object = *object_;
  if (reply.status.is_ok()) show_siblings(reply);
  reply.dot = dot_;
  reply.minted_once = reply.status.is_ok() && mints_asked_ == 1 && dot_.counter != 0;
  reply.tally.wanted = static_cast<std::uint32_t>(plan_.wanted);
  reply.tally.got = static_cast<std::uint32_t>(vote().count());
  reply.tally.answered = stored_by_;
  for (NodeId node : stored_by_) {
    if (!plan_.participants.is_owner(node)) reply.tally.substitutes.push_back(node);
  }
  count_missing(asked_, reply.status.is_ok(), reply.tally);
  if (planted(PlantedBug::answered_twice)) out.push_back(Answer{reply});
  out.push_back(Answer{std::move(reply)});
  out.push_back(WakeAt{linger_until_});
}

// Each replica's object can be sent; all together may be more than a frame holds.
void PutOperation::show_siblings(ClientReply& reply) const {
  if (beside_.missing() || beside_.mode != reply.object.mode) return;
  Object all = reply.object;
  document::sync_with_tables(all, beside_);
  if (value_bytes(all) <= max_object_bytes) {
    reply.object = std::move(all);
  } else {
    std::size_t shown = std::min(all.versions.size(), reply.object.versions.size());
    reply.left_out = static_cast<std::uint32_t>(all.versions.size() - shown);
  }
}

// Nobody will hear the confirmations: the hints beside a copy are sent and not waited for.
void PutOperation::leave_hints(Effects& out) {
  if (stored_by_.empty() || planted(PlantedBug::no_fallback)) return;
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot].settled()) continue;
    NodeId node = stored_by_.front();
    out.push_back(
        Send{node, ReplicaPut{plan_.key, *object_, hint_for(node, slot), plan_.durability}});
  }
}

void PutOperation::finish(Effects& out) {
  RINGLET_ASSERT(!done_);
  RINGLET_ASSERT(answered_);
  done_ = true;
  if (!planted(PlantedBug::never_done)) out.push_back(Done{});
}

// ---- small questions ----

Asked& PutOperation::remember(NodeId node, std::size_t slot, Asked::For what, Now now,
                              Effects& out) {
  const std::size_t others_late = count_late(asked_);
  Asked& asked = asked_.emplace_back();
  asked.node = node;
  asked.slot = slot;
  asked.what = what;
  asked.asked_at = now.instant;
  if (!answered_) {
    asked.late_at = now.instant + health_.late_after(node, Health::Question::write, others_late);
    if (asked.late_at < deadline_) out.push_back(WakeAt{asked.late_at});
  }
  asked.until = now.instant + health_.patience(node);
  out.push_back(WakeAt{asked.until});
  return asked;
}

// Wanted until somebody else is asked instead. A ReplicaPut says no such thing: it adds no dot, and
// joining a copy late does what a hint or the trees would do later still.
void PutOperation::send_mint(const Asked& asked, Now now, Effects& out) {
  NodeId owner = hint_for(asked.node, asked.slot);
  MintPut mint{plan_.key,        plan_.seen,        plan_.write,    owner,
               plan_.durability, counted_by(owner), plan_.reconcile};
  mint.write.grow_older((now.instant - began_).millis());
  Duration wanted = std::min(asked.until, deadline_) - now.instant;
  ++mints_asked_;
  out.push_back(Send{asked.node, std::move(mint), number_of(asked), {wanted, {}}});
}

void PutOperation::send_copy(const Asked& asked, Effects& out) {
  NodeId owner = hint_for(asked.node, asked.slot);
  bool tell = plan_.tell_siblings && !answered_ && asked.what == Asked::For::vote;
  ReplicaPut copy{plan_.key, *object_, owner, plan_.durability, counted_by(owner), tell};
  out.push_back(Send{asked.node, std::move(copy), number_of(asked)});
}

// The question, if this may answer it: Minted only a MintPut, Stored only a ReplicaPut.
Asked* PutOperation::answered_by(NodeId node, std::uint32_t question, const Message& message) {
  if (question >= asked_.size() || asked_[question].node != node) return nullptr;
  Asked& asked = asked_[question];
  bool may = false;
  if (std::holds_alternative<Minted>(message)) {
    may = asked.may_mint && (asked.open() || asked.reply == Reply::yes);
  } else if (std::holds_alternative<Stored>(message)) {
    may = asked.open() && asked.what != Asked::For::mint;
  } else if (std::holds_alternative<Refused>(message)) {
    may = asked.open();
  }
  return may ? &asked : nullptr;
}

NodeId PutOperation::next_fallback(std::size_t slot, bool down) const {
  return plan_.participants.fallback_for(members()[slot], [&](NodeId node) {
    return health_.is_down(node) == down && !was_asked(asked_, node);
  });
}

// A fallback that was asked for another owner already, is no loss there, and could hold this slot too.
NodeId PutOperation::spare_fallback(std::size_t slot) const {
  return plan_.participants.fallback_for(members()[slot], [&](NodeId node) {
    bool in_vain = std::any_of(asked_.begin(), asked_.end(), [&](const Asked& a) {
      return a.node == node && a.reply != Reply::yes && a.reply != Reply::waiting;
    });
    return !in_vain && was_asked(asked_, node) && !was_asked_for(node, slot) &&
           would_hold_more(node, slot);
  });
}

bool PutOperation::was_asked_for(NodeId node, std::size_t slot) const {
  return std::any_of(asked_.begin(), asked_.end(),
                     [&](const Asked& a) { return a.node == node && a.slot == slot; });
}

bool PutOperation::somebody_waited_for(std::size_t slot) const {
  return std::any_of(asked_.begin(), asked_.end(),
                     [&](const Asked& a) { return a.slot == slot && a.reply == Reply::waiting; });
}

bool PutOperation::anybody_waited_for() const {
  return std::any_of(asked_.begin(), asked_.end(),
                     [](const Asked& a) { return a.reply == Reply::waiting; });
}

bool PutOperation::would_hold_more(NodeId node, std::size_t slot, Expected expected) const {
  std::vector<Holding> held = holdings(asked_, plan_.participants, false, expected);
  std::size_t before = held_slots(held, slots_.size());
  held.push_back({node, slot});
  return held_slots(held, slots_.size()) > before;
}

Quorum PutOperation::vote() const {
  Quorum quorum(plan_.wanted, slots_.size());
  quorum.yes(held_slots(holdings(asked_, plan_.participants, plan_.strict), slots_.size()));
  quorum.no(slots_.size() - slots_within_reach(asked_, plan_.participants, plan_.strict));
  return quorum;
}

// Could those who stored it and those being waited for be too few?
bool PutOperation::may_fall_short(Expected expected) const {
  return held_slots(holdings(asked_, plan_.participants, plan_.strict, expected), slots_.size()) <
         plan_.wanted;
}

// What every other minter would say as well, as long as nobody holds the write.
bool PutOperation::ends_the_request(Code code) const {
  bool same_everywhere =
      code == Code::invalid_context || code == Code::too_large || code == Code::too_many_siblings;
  // A write id that names another write, or whose fate is forgotten. With last-write-wins a stamp that
  // one replica's clock refuses has the same code, and another replica may take it.
  same_everywhere |= code == Code::invalid_argument && plan_.reconcile == Reconcile::siblings;
  return same_everywhere && stored_by_.empty() && !answered_;
}

bool PutOperation::may_be_applied() const {
  // Each copy of a question may be executed, but one that was refused, that came too late, or that has
  // not left. A refusal speaks of one copy: an earlier one may have been executed before the disk failed.
  return refused_but_stored_ || std::any_of(asked_.begin(), asked_.end(), [](const Asked& a) {
           int left = a.was_held ? 1 : a.times;
           int not_executed = a.came_late + (a.reply == Reply::refused ? 1 : 0);
           return !a.held && not_executed < left;
         });
}

}  // namespace ringlet
