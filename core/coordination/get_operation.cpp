#include "coordination/get_operation.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "document/deletes.hpp"
#include "protocol/payload.hpp"

namespace ringlet {

GetOperation::GetOperation(Plan plan, Health& health)
    : plan_(std::move(plan)),
      health_(health),
      quorum_(plan_.wanted,
              plan_.strict ? plan_.participants.owners : plan_.participants.members->size()) {
  RINGLET_ASSERT(plan_.wanted >= 1);
  RINGLET_ASSERT(plan_.wanted <= plan_.participants.owners);
}

void GetOperation::start(Now now, Effects& out) {
  deadline_ = now.instant + plan_.timeout;
  out.push_back(WakeAt{deadline_});
  const std::vector<NodeId>& members = *plan_.participants.members;
  for (std::size_t i = 0; i < plan_.participants.owners; ++i) {
    if (!health_.is_down(members[i])) ask(members[i], now, out);
  }
  for (std::size_t i = 0; i < plan_.participants.owners; ++i) {
    if (health_.is_down(members[i])) ask_a_fallback(members[i], now, out);
  }
  settle(now, out);
}

// Each node is asked for one thing, so the question says nothing new.
void GetOperation::on_message(NodeId from, std::uint32_t, const Message& message, Now now,
                              Effects& out) {
  Asked* asked = done_ ? nullptr : open_question(from);
  if (asked == nullptr) return;  // twice, unasked, or too late
  if (auto* refused = std::get_if<Refused>(&message)) {
    asked->why = refused->status.code();
    refusals_.hear(from, *refused);
    // A key that no replica takes: each of them would say the same.
    Code code = refused->status.code();
    if (!answered_ && heard_.empty() &&
        (code == Code::too_large || code == Code::invalid_argument)) {
      asked->reply = Reply::refused;
      answer(refused->status, now, out);
      return finish(out);
    }
    return give_up_on(*asked, Reply::refused, now, out);
  }
  auto* found = std::get_if<ReplicaObject>(&message);
  if (found == nullptr) return;  // no answer to what was asked

  asked->reply = Reply::yes;
  quorum_.yes();
  if (!answered_) {
    tally_.answered.push_back(from);
    if (!plan_.participants.is_owner(from)) tally_.substitutes.push_back(from);
    if (found->object.missing()) ++tally_.not_found;
  }
  // The others' answers may be as large, and take as long.
  Duration carried = carrying_time(payload_bytes(found->object));
  for (Asked& other : asked_) {
    if (carried == Duration{} || other.reply != Reply::waiting) continue;
    other.until = std::max(other.until, now.instant + health_.patience(other.node) + carried);
    out.push_back(WakeAt{other.until});
  }
  document::sync_with_tables(merged_, found->object);
  left_out_ = std::max(left_out_, found->left_out);
  heard_.push_back({from, found->object});
  settle(now, out);
}

void GetOperation::on_unreachable(NodeId node, Now now, Effects& out) {
  if (Asked* asked = done_ ? nullptr : open_question(node)) {
    give_up_on(*asked, Reply::unreachable, now, out);
  }
}

void GetOperation::on_wake(Now now, Effects& out) {
  if (done_) return;
  bool too_late = !answered_ && now.instant >= deadline_;  // to ask anybody else
  mark_late(asked_, now, out);
  // By index: asking a replacement makes the vector grow.
  for (std::size_t i = 0; i < asked_.size() && !done_; ++i) {
    if (asked_[i].reply != Reply::waiting || asked_[i].until > now.instant) continue;
    health_.was_silent(asked_[i].node, now.instant);
    check_first(health_, *plan_.participants.members, now.instant);
    if (too_late)
      asked_[i].reply = Reply::silent;
    else
      give_up_on(asked_[i], Reply::silent, now, out);
  }
  if (too_late && !answered_) fail(now, out);
  if (!done_) settle(now, out);
}

void GetOperation::abandon(const Status& status, Now now, Effects& out) {
  if (done_) return;
  answer(status, now, out);
  finish(out);
}

void GetOperation::ask(NodeId node, Now now, Effects& out) {
  const std::size_t others_late = count_late(asked_);
  Asked& asked = asked_.emplace_back();
  asked.node = node;
  asked.asked_at = now.instant;
  asked.late_at = now.instant + health_.late_after(node, Health::Question::read, others_late);
  if (asked.late_at < deadline_) out.push_back(WakeAt{asked.late_at});
  asked.until = now.instant + health_.patience(node);
  out.push_back(Send{
      node, ReplicaGet{plan_.key, plan_.participants.counted}, 0, {deadline_ - now.instant, {}}});
  out.push_back(WakeAt{asked.until});
}

bool GetOperation::ask_a_fallback(NodeId instead_of, Now now, Effects& out) {
  if (plan_.strict || planted(PlantedBug::no_fallback)) return false;
  NodeId fallback = plan_.participants.fallback_for(
      instead_of, [&](NodeId node) { return !health_.is_down(node) && !was_asked(asked_, node); });
  if (fallback) ask(fallback, now, out);
  return bool(fallback);
}

// An owner that is only slow is worth more than the quick word of a substitute, which may know nothing of
// the key: only for one that is mute another one is asked.
void GetOperation::ask_early(Now now, Effects& out) {
  if (plan_.strict) return;
  auto punctual = static_cast<std::size_t>(std::count_if(
      asked_.begin(), asked_.end(), [](auto& a) { return a.reply == Reply::waiting && !a.late; }));
  for (std::size_t i = 0; i < asked_.size() && quorum_.count() + punctual < plan_.wanted; ++i) {
    const Asked& late = asked_[i];
    if (late.reply != Reply::waiting || !late.late || late.replaced) continue;
    if (!is_mute(late, health_) || !health_.may_ask_early(true)) continue;
    if (!ask_a_fallback(late.node, now, out)) return;
    asked_[i].replaced = true;
    ++punctual;
  }
}

// Nothing else is left: an opinion that somebody is gone is no reason to fail.
void GetOperation::ask_whoever_is_left(Now now, Effects& out) {
  if (planted(PlantedBug::no_fallback)) return;
  std::size_t last = plan_.strict ? plan_.participants.owners : plan_.participants.members->size();
  for (std::size_t i = 0; i < last && quorum_.count() + waiting() < plan_.wanted; ++i) {
    NodeId node = (*plan_.participants.members)[i];
    if (!was_asked(asked_, node)) ask(node, now, out);
  }
  for (Asked& asked : asked_) {
    if (quorum_.count() + waiting() >= plan_.wanted) return;
    if (asked.reply != Reply::silent) continue;
    asked.reply = Reply::waiting;
    asked.asked_at = now.instant;
    asked.late_at = Instant::never();
    asked.until = now.instant + next_patience(health_.patience(asked.node), asked.times++);
    out.push_back(Send{asked.node,
                       ReplicaGet{plan_.key, plan_.participants.counted},
                       0,
                       {deadline_ - now.instant, {}}});
    out.push_back(WakeAt{asked.until});
  }
}

void GetOperation::give_up_on(Asked& asked, Reply reply, Now now, Effects& out) {
  bool was_waited_for = asked.reply == Reply::waiting;
  asked.reply = reply;
  if (reply != Reply::silent) quorum_.no();
  if (was_waited_for && !asked.replaced && !answered_) ask_a_fallback(asked.node, now, out);
  settle(now, out);
}

void GetOperation::settle(Now now, Effects& out) {
  if (!answered_ && quorum_.verdict() == Verdict::pending) ask_early(now, out);
  if (!answered_ && quorum_.verdict() == Verdict::pending) ask_whoever_is_left(now, out);
  if (!answered_ && quorum_.verdict() == Verdict::reached) answer(Status::ok(), now, out);
  if (!answered_ && quorum_.verdict() == Verdict::lost) fail(now, out);
  if (!answered_ || done_) return;
  bool nobody_left = std::none_of(asked_.begin(), asked_.end(), [](auto& a) { return a.open(); });
  if (nobody_left || now.instant >= linger_until_) {
    repair(out);
    finish(out);
  }
}

void GetOperation::fail(Now now, Effects& out) {
  Tally tally = tally_;
  tally.wanted = static_cast<std::uint32_t>(plan_.wanted);
  tally.got = static_cast<std::uint32_t>(quorum_.count());
  count_missing(asked_, false, tally);
  bool lost = quorum_.verdict() == Verdict::lost;
  std::string text = sentence("get", plan_.key, plan_.participants, asked_, refusals_, tally,
                              plan_.timeout, plan_.strict);
  answer(Status(failure_code(asked_, lost), std::move(text)), now, out);
}

void GetOperation::answer(Status status, Now now, Effects& out) {
  if (answered_) return;
  answered_ = true;
  // A read that failed has nothing worth waiting for.
  linger_until_ = status.is_ok() ? now.instant + plan_.linger : now.instant;
  ClientReply reply;
  if (status.is_ok()) {
    reply.object = what_fits();
    reply.left_out = left_out_;
    if (reply.object.versions.size() < merged_.versions.size()) {
      reply.left_out = std::max<std::uint32_t>(
          left_out_,
          static_cast<std::uint32_t>(merged_.versions.size() - reply.object.versions.size()));
    }
  } else {
    reply.retry_after_ms = refusals_.retry_after_ms;
  }
  reply.status = std::move(status);
  if (!heard_.empty()) reply.fastest_reader = heard_.front().from;
  reply.tally = tally_;
  reply.tally.wanted = static_cast<std::uint32_t>(plan_.wanted);
  reply.tally.got = static_cast<std::uint32_t>(quorum_.count());
  count_missing(asked_, reply.status.is_ok(), reply.tally);
  if (planted(PlantedBug::answered_twice)) out.push_back(Answer{reply});
  out.push_back(Answer{std::move(reply)});
  out.push_back(WakeAt{linger_until_});
}

// Each replica's object can be sent; all together may be more than a frame holds. What is shown then is what
// some replicas have, joined, so that the context covers nothing that is not shown.
Object GetOperation::what_fits() const {
  if (value_bytes(merged_) <= max_object_bytes) return merged_;
  Object shown;
  for (const Heard& heard : heard_) {
    Object more = shown;
    document::sync_with_tables(more, heard.object);
    if (shown.missing() || value_bytes(more) <= max_object_bytes) shown = std::move(more);
  }
  return shown;
}

void GetOperation::repair(Effects& out) {
  if (value_bytes(merged_) > max_object_bytes) return;  // no owner could store it
  for (Heard& heard : heard_) {
    if (!plan_.participants.is_owner(heard.from)) continue;
    if (planted(PlantedBug::tie_never_repaired) &&
        heard.object.versions.size() == merged_.versions.size())
      continue;
    if (planted(PlantedBug::stale_read_repair)) std::swap(merged_.versions, heard.object.versions);
    if (!lacks(heard.object, merged_)) continue;
    out.push_back(Send{heard.from, ReplicaPut{plan_.key, merged_, NodeId{}, plan_.durability}});
  }
}

void GetOperation::finish(Effects& out) {
  RINGLET_ASSERT(!done_);
  RINGLET_ASSERT(answered_);
  done_ = true;
  if (!planted(PlantedBug::never_done)) out.push_back(Done{});
}

Asked* GetOperation::open_question(NodeId node) {
  auto found = std::find_if(asked_.begin(), asked_.end(),
                            [&](auto& a) { return a.node == node && a.open(); });
  return found == asked_.end() ? nullptr : &*found;
}

std::size_t GetOperation::waiting() const {
  return static_cast<std::size_t>(std::count_if(
      asked_.begin(), asked_.end(), [&](auto& a) { return a.reply == Reply::waiting; }));
}

}  // namespace ringlet
