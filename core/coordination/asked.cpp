#include "coordination/asked.hpp"

#include <algorithm>
#include <string_view>

namespace ringlet {
namespace {

bool refusal(const Asked& a) {
  return a.reply == Reply::refused || a.reply == Reply::unreachable;
}

// A node is named once, by what became of its last question; a hint beside a copy is none.
bool is_last_word(const std::vector<Asked>& asked, const Asked& question) {
  if (question.what == Asked::For::keep) return false;
  auto later = asked.begin() + (&question - asked.data()) + 1;
  return std::none_of(later, asked.end(), [&](const Asked& a) {
    return a.node == question.node && a.what != Asked::For::keep;
  });
}

}  // namespace

bool Participants::is_owner(NodeId node) const {
  auto end = members->begin() + static_cast<std::ptrdiff_t>(owners);
  return std::find(members->begin(), end, node) != end;
}

NodeId Participants::fallback_for(NodeId owner, const std::function<bool(NodeId)>& takes) const {
  auto zone_of = [&](NodeId node) {
    const Member* member = ring ? ring->find(node) : nullptr;
    return member != nullptr ? std::string_view(member->zone) : std::string_view();
  };
  std::string_view zone = zone_of(owner);
  NodeId first;
  for (std::size_t i = owners; i < members->size(); ++i) {
    NodeId node = (*members)[i];
    if (!takes(node)) continue;
    if (zone.empty() || zone_of(node) == zone) return node;
    if (!first) first = node;
  }
  return first;
}

std::string Participants::name(NodeId node) const {
  const Member* member = ring ? ring->find(node) : nullptr;
  return member != nullptr ? member->name : to_string(node);
}

bool was_asked(const std::vector<Asked>& asked, NodeId node) {
  return std::any_of(asked.begin(), asked.end(), [&](const Asked& a) { return a.node == node; });
}

void mark_late(std::vector<Asked>& asked, Now now, Effects& out) {
  constexpr Duration late_host = Duration::millis(4);
  for (Asked& a : asked) {
    if (a.reply != Reply::waiting || a.late_at > now.instant) continue;
    if (now.instant - a.late_at > late_host) {
      a.late_at = now.instant + late_host;
      out.push_back(WakeAt{a.late_at});
    } else {
      a.late = true;
      a.late_at = Instant::never();
    }
  }
}

bool is_mute(const Asked& asked, const Health& health) {
  return health.last_heard(asked.node) < asked.asked_at;
}

std::size_t count_late(const std::vector<Asked>& asked) {
  return static_cast<std::size_t>(
      std::count_if(asked.begin(), asked.end(), [](const Asked& a) { return a.late; }));
}

// What an owner keeps for another lies on the disk of its own copy, so it holds nothing more.
std::vector<Holding> holdings(const std::vector<Asked>& asked, const Participants& participants,
                              bool strict, Expected expected) {
  std::vector<Holding> holdings;
  for (const Asked& a : asked) {
    bool awaited = a.reply == Reply::waiting && (expected == Expected::waiting || !a.late);
    bool stored = a.reply == Reply::yes || (expected != Expected::none && awaited);
    bool owner = (*participants.members)[a.slot] == a.node;
    bool fallback = !strict && !participants.is_owner(a.node);
    if (stored && (owner || fallback)) holdings.push_back({a.node, a.slot});
  }
  return holdings;
}

std::size_t slots_within_reach(const std::vector<Asked>& asked, const Participants& participants,
                               bool strict) {
  std::size_t n = participants.owners;
  if (std::none_of(asked.begin(), asked.end(), refusal)) return n;
  std::vector<Holding> possible = holdings(asked, participants, strict);
  for (std::size_t i = 0; i < (strict ? n : participants.members->size()); ++i) {
    NodeId node = (*participants.members)[i];
    bool refused = std::any_of(asked.begin(), asked.end(),
                               [&](const Asked& a) { return a.node == node && refusal(a); });
    for (std::size_t slot = 0; slot < n && !refused; ++slot) {
      if (i >= n || i == slot) possible.push_back({node, slot});
    }
  }
  return held_slots(possible, n);
}

void Refusals::hear(NodeId node, const Refused& refused) {
  // A member that left says when to ask it again, not when others may do what was asked.
  if (refused.status.code() == Code::overloaded)
    retry_after_ms = std::max(retry_after_ms, refused.retry_after_ms);
  if (first) return;
  first = node;
  words = printable(BytesView(refused.status.message()), 200);
}

Duration next_patience(Duration patience, int times_asked) {
  return patience * (std::int64_t{1} << std::min(times_asked, 6));
}

std::string sentence(const char* verb, const Key& key, const Participants& participants,
                     const std::vector<Asked>& asked, const Refusals& refusals, const Tally& tally,
                     Duration timeout, bool strict) {
  std::string text = verb;
  text += ' ' + printable(key) + ": wanted " + std::to_string(tally.wanted);
  if (strict)
    text += tally.wanted == 1 ? " owner" : " owners";
  else
    text += tally.wanted == 1 ? " replica" : " replicas";
  text += " within " + std::to_string(timeout.millis()) + " ms, got " + std::to_string(tally.got) +
          " of " + std::to_string(tally.asked);
  std::string reasons;
  for (const Asked& a : asked) {
    if (!is_last_word(asked, a) || a.reply == Reply::yes) continue;
    reasons += (reasons.empty() ? "" : ", ") + participants.name(a.node);
    if (a.open()) {
      bool was_silent = a.reply == Reply::silent || a.times > 1;
      reasons += was_silent ? " silent" : " not heard yet";
    }
    if (a.reply == Reply::unreachable) reasons += " unreachable";
    if (a.reply == Reply::refused) reasons += std::string(" refused: ") + name_of(a.why);
  }
  if (!reasons.empty()) text += " (" + reasons + ")";
  if (!refusals.words.empty())
    text += "; " + participants.name(refusals.first) + ": " + refusals.words;
  return text;
}

Code failure_code(const std::vector<Asked>& asked, bool lost) {
  if (asked.empty()) return Code::unavailable;
  bool waits = std::any_of(asked.begin(), asked.end(),
                           [](const Asked& a) { return a.open() && a.what != Asked::For::keep; });
  return waits && !lost ? Code::timeout : Code::quorum_not_met;
}

void count_missing(const std::vector<Asked>& asked, bool went_well, Tally& tally) {
  for (const Asked& a : asked) {
    if (!is_last_word(asked, a)) continue;
    ++tally.asked;
    bool silent = went_well ? a.reply == Reply::silent : a.open();
    if (silent) tally.silent.push_back(a.node);
    if (refusal(a)) tally.refused.push_back(a.node);
  }
}

}  // namespace ringlet
