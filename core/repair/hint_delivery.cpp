#include "repair/hint_delivery.hpp"

#include <algorithm>
#include <deque>
#include <optional>
#include <set>
#include <utility>

#include "base/assert.hpp"
#include "base/planted.hpp"

namespace ringlet {
namespace {

// A hint and who gets it: its target, or all owners of now.
struct Parcel {
  Hint hint;
  std::vector<NodeId> to;
  std::size_t unconfirmed = 0;
  bool released = false;  // its target is not among them, though it owns the key
  bool alone = false;     // no other is under way to the same target meanwhile
};

// One walk over the hints of one owner.
struct Pass {
  bool walking = false;  // more to read or to send; otherwise only confirmations are waited for
  bool read_all = false;
  bool from_behind = false;  // it began in the middle, and goes on at the start
  bool to_start = false;     // that is next, once nothing is under way
  std::optional<Key> after;  // the last key read
  std::deque<Parcel> page;   // read, not sent
  std::size_t under_way = 0;
  bool alone = false;                // what is under way is one that met silence before
  std::uint64_t bytes_released = 0;  // read, and still in the table
};

struct Release {
  std::uint64_t hints = 0, at_last_look = 0;
};

struct Sent {
  RequestId parcel;
  NodeId to;
  Instant until;
};

constexpr int most_reads = 16;                // pages without a hint to send, in one go
constexpr std::size_t most_refused = 10'000;  // remembered
constexpr std::size_t most_suspects = 1'000;  // remembered of one target

// The owner may take everything else: it is this hint that it does not want.
bool is_about_the_hint(const Message& message) {
  const auto* refused = std::get_if<Refused>(&message);
  if (refused == nullptr) return false;
  switch (refused->status.code()) {
    case Code::invalid_argument:
    case Code::too_large:
    case Code::too_many_siblings:
    case Code::corrupt:
    case Code::unsupported:
      return true;
    default:
      return false;
  }
}

std::size_t bytes_of(const Hint& hint) {
  std::size_t bytes = hint.key.bucket.size() + hint.key.key.size();
  for (const Version& version : hint.object.versions) bytes += version.value.size();
  return bytes;
}

}  // namespace

struct HintDelivery::Impl {
  NodeId self;
  Options options;
  HintStore& store;
  const Health& health;
  std::map<NodeId, Pass> passes;
  PendingRequests<Sent> sent;
  std::map<RequestId, Parcel> under_way;  // by the number of their first message
  std::vector<Outgoing> outgoing;
  std::uint64_t delivered = 0, released = 0, refused = 0;
  std::map<std::pair<NodeId, Key>, Instant> refused_until;
  std::map<NodeId, Key> behind;  // where the next pass begins: the one before met silence there
  // Hints that were under way when their target fell silent. Which of them was the cause is not
  // known until each was sent alone.
  std::map<NodeId, std::set<Key>> suspects;
  std::map<NodeId, Release> releasing;  // whose hints are being released
  Instant scan_at = Instant::never();
  Instant pace_at{INT64_MIN / 2};  // the next copy may leave then
  bool held_back = false;          // something waits for pace_at
  NodeId last_served;
  std::function<std::vector<NodeId>(const Hint&)> targets_for;
  std::function<bool(NodeId)> is_member;
  std::function<std::vector<NodeId>(const Hint&)> other_owners;
  Said said;
  Pace* pace = nullptr;
  Instant redirect_at{INT64_MIN / 2};     // then hints of targets that are down are looked at
  Instant read_again = Instant::never();  // a pass had nothing to send for many pages

  Impl(NodeId me, Options o, HintStore& s, const Health& h)
      : self(me), options(o), store(s), health(h) {
    RINGLET_ASSERT(options.window >= 1);
    RINGLET_ASSERT(options.page >= 1);
    RINGLET_ASSERT(options.scan > Duration{});
  }

  void scan(Now now) {
    scan_at = now.instant + options.scan;
    Result<std::vector<NodeId>> targets = store.targets();
    if (!targets) return;  // the store is ill; the next scan asks again
    bool redirect = targets_for && redirect_at <= now.instant;
    if (redirect) redirect_at = now.instant + options.redirect_scan;
    // One who left is asked for nothing, so nobody would notice that it is up.
    for (NodeId target : *targets) {
      bool full = other_owners && is_full(target);
      begin(target, redirect || full || (is_member && !is_member(target)));
    }
    // Nothing went since the last look but one through all: it is over.
    if (redirect) end_releases();
    std::erase_if(suspects, [&](const auto& entry) {
      return std::find(targets->begin(), targets->end(), entry.first) == targets->end();
    });
    std::erase_if(refused_until, [&](const auto& entry) {
      return entry.second + options.redirect_scan < now.instant;
    });
  }

  bool is_full(NodeId target) { return store.bytes_for(target) > options.max_bytes; }

  void end_releases() {
    for (auto it = releasing.begin(); it != releasing.end();) {
      auto& [target, release] = *it;
      if (release.hints != release.at_last_look || is_full(target)) {
        release.at_last_look = release.hints;
        ++it;
        continue;
      }
      say(LogLevel::info, target,
          "they are within their bound again, " + std::to_string(release.hints) + " were released");
      it = releasing.erase(it);
    }
  }

  void note_release(NodeId target) {
    ++released;
    auto [it, first] = releasing.try_emplace(target);
    ++it->second.hints;
    if (!first) return;
    say(LogLevel::warn, target,
        "more than " + std::to_string(options.max_bytes) +
            " bytes of them wait, or some for longer than " +
            std::to_string(options.max_age.millis() / 1000) +
            " s: those that all other owners have are released, and the exchange of trees mends "
            "the "
            "node when it is back");
  }

  void say(LogLevel level, NodeId target, const std::string& text) const {
    if (said) said(level, target, text);
  }

  void begin(NodeId target, bool also_down = false) {
    if (target == self || (health.is_down(target) && !also_down)) return;
    Pass& pass = passes[target];
    if (pass.walking) return;
    pass.walking = true;
    pass.read_all = false;
    pass.after.reset();
    pass.page.clear();
    pass.bytes_released = 0;
    pass.from_behind = pass.to_start = false;
    auto from = behind.find(target);
    if (from == behind.end()) return;
    pass.after = std::move(from->second);
    pass.from_behind = true;
    behind.erase(from);
  }

  // It refused, is silent or gone: what is left waits for the next scan.
  void leave(NodeId target) {
    auto found = passes.find(target);
    if (found == passes.end()) return;
    found->second.walking = false;
    found->second.page.clear();
    forget_if_over(target);
  }

  void forget_if_over(NodeId target) {
    auto found = passes.find(target);
    if (found == passes.end()) return;
    Pass& pass = found->second;
    if (pass.walking && pass.read_all && pass.page.empty()) pass.walking = false;
    if (!pass.walking && pass.under_way == 0) passes.erase(found);
  }

  // One copy an owner in turn, so that a long list does not keep the others waiting.
  void fill(Now now) {
    held_back = false;
    read_again = Instant::never();
    bool sent_one = true;
    while (sent_one) {
      sent_one = false;
      std::vector<NodeId> turn;
      for (auto& [target, pass] : passes) {
        if (pass.walking) turn.push_back(target);
      }
      auto next = std::upper_bound(turn.begin(), turn.end(), last_served);
      std::rotate(turn.begin(), next, turn.end());
      for (NodeId target : turn) {
        Pass& pass = passes.at(target);
        if (pass.alone || pass.under_way >= options.window) continue;
        if (pass.page.empty() && !read_page(target, pass, now)) {
          bool waits = pass.to_start && pass.under_way > 0;  // for an answer
          if (!pass.read_all && !waits) read_again = now.instant + Duration::millis(1);
          forget_if_over(target);
          continue;
        }
        pass.page.front().alone = is_suspect(pass.page.front().hint);
        if (pass.page.front().alone && pass.under_way > 0) continue;
        if (!may_send(pass.page.front(), now)) return;
        send(target, pass, now);
        sent_one = true;
      }
    }
  }

  bool read_page(NodeId target, Pass& pass, Now now) {
    if (pass.to_start) {
      // Not together with what is under way, so that the first of what fails together is the
      // first in the order of keys.
      if (pass.under_way > 0) return false;
      pass.to_start = false;
      pass.after.reset();
    }
    for (int reads = 0; pass.page.empty() && !pass.read_all && reads < most_reads; ++reads) {
      auto hints = store.hints_for(target, pass.after ? &*pass.after : nullptr, options.page);
      if (!hints) {
        pass.read_all = true;
        return false;
      }
      bool end = hints->size() < options.page;
      if (!hints->empty()) pass.after = hints->back().key;
      for (Hint& hint : *hints) address(std::move(hint), pass, now);
      if (!end) continue;
      pass.read_all = !pass.from_behind;
      pass.to_start = pass.from_behind;
      pass.from_behind = false;
      if (pass.to_start) break;
    }
    return !pass.page.empty();
  }

  // Not again while it is under way: a pass may begin while the last copies of the one before are
  // unconfirmed. Not now if somebody who must confirm is down.
  void address(Hint hint, Pass& pass, Now now) {
    if (is_under_way(hint)) return;
    auto refused_at = refused_until.find({hint.target, hint.key});
    if (refused_at != refused_until.end() && refused_at->second > now.instant) return;
    std::vector<NodeId> to = targets_for ? targets_for(hint) : std::vector<NodeId>{hint.target};
    bool release = to == std::vector<NodeId>{hint.target} && health.is_down(hint.target) &&
                   is_to_be_released(hint, pass, now);
    if (release) to = other_owners(hint);
    bool reachable = std::none_of(
        to.begin(), to.end(), [&](NodeId node) { return node != self && health.is_down(node); });
    if (to.empty() || !reachable) return;
    if (release) pass.bytes_released += bytes_of(hint);
    pass.page.push_back({std::move(hint), std::move(to), 0, release});
  }

  bool is_to_be_released(const Hint& hint, const Pass& pass, Now now) {
    if (!other_owners) return false;
    std::uint64_t bytes = store.bytes_for(hint.target);
    if (bytes > options.max_bytes + pass.bytes_released) return true;
    std::int64_t newest_us = INT64_MIN;
    for (const Version& version : hint.object.versions) {
      newest_us = std::max(newest_us, version.written_us);
    }
    // By a clock that may be wrong: too early is as safe as late.
    return newest_us / 1000 < now.wall_ms - options.max_age.millis();
  }

  bool is_under_way(const Hint& hint) const {
    return std::any_of(under_way.begin(), under_way.end(), [&](const auto& entry) {
      return entry.second.hint.target == hint.target && entry.second.hint.key == hint.key;
    });
  }

  bool is_suspect(const Hint& hint) const {
    auto found = suspects.find(hint.target);
    return found != suspects.end() && found->second.contains(hint.key);
  }

  void suspect(const Hint& hint) {
    std::set<Key>& keys = suspects[hint.target];
    // When so many met silence the cause is the target, and none of them.
    if (keys.size() >= most_suspects) keys.clear();
    keys.insert(hint.key);
  }

  void answered(const Hint& hint) {
    auto found = suspects.find(hint.target);
    if (found == suspects.end()) return;
    found->second.erase(hint.key);
    if (found->second.empty()) suspects.erase(found);
  }

  bool may_send(const Parcel& parcel, Now now) {
    if (pace == nullptr) return true;
    if (pace->take(Pace::Kind::hints, bytes_of(parcel.hint), now)) return true;
    pace_at = pace->next(Pace::Kind::hints, now);
    held_back = true;
    return false;
  }

  void send(NodeId target, Pass& pass, Now now) {
    Parcel parcel = std::move(pass.page.front());
    pass.page.pop_front();
    ++pass.under_way;
    pass.alone = parcel.alone;
    last_served = target;
    parcel.unconfirmed = parcel.to.size();
    RequestId name = sent.next();
    for (NodeId to : parcel.to) {
      RequestId number = sent.add({name, to, now.instant + options.patience});
      outgoing.push_back({to, number, ReplicaPut{parcel.hint.key, parcel.hint.object, NodeId{}}});
    }
    if (planted(PlantedBug::hint_dropped_on_send) ||
        (parcel.released && planted(PlantedBug::hint_released_unconfirmed))) {
      (void)store.drop_if_same(parcel.hint);
    }
    under_way.emplace(name, std::move(parcel));
    forget_if_over(target);
  }

  Parcel end_parcel(RequestId name) {
    auto found = under_way.find(name);
    Parcel parcel = std::move(found->second);
    Pass& pass = passes.at(parcel.hint.target);
    --pass.under_way;
    if (parcel.alone) pass.alone = false;
    under_way.erase(found);
    sent.erase_if([&](const Sent& each) { return each.parcel == name; });
    return parcel;
  }

  void confirmed(RequestId name) {
    if (--under_way.at(name).unconfirmed > 0) return;
    Parcel parcel = end_parcel(name);
    NodeId target = parcel.hint.target;
    refused_until.erase({target, parcel.hint.key});
    answered(parcel.hint);
    // A hint that grew meanwhile stays, and the next scan finds it.
    if (store.drop_if_same(parcel.hint)) {
      if (!parcel.released) ++delivered;
      if (parcel.released) note_release(target);
    }
    if (parcel.released) {
      Pass& pass = passes.at(target);
      pass.bytes_released -= std::min<std::uint64_t>(pass.bytes_released, bytes_of(parcel.hint));
    }
    forget_if_over(target);
  }

  // It stays; if its own target failed, so would the next ones.
  void failed(RequestId name, NodeId node, bool silent) {
    Parcel parcel = end_parcel(name);
    NodeId target = parcel.hint.target;
    if (parcel.released) {
      Pass& pass = passes.at(target);
      pass.bytes_released -= std::min<std::uint64_t>(pass.bytes_released, bytes_of(parcel.hint));
    }
    if (target == node) {
      if (silent) suspect(parcel.hint);
      behind.try_emplace(target,
                         std::move(parcel.hint.key));  // the first of those that failed together
      leave(target);
    } else {
      forget_if_over(target);
    }
  }

  // Its owner takes others, and will not take this one for a while.
  void put_off(RequestId name, NodeId by, const Status& why, Now now) {
    Parcel parcel = end_parcel(name);
    const Hint& hint = parcel.hint;
    answered(hint);
    bool news = !refused_until.contains({hint.target, hint.key});
    if (news && refused_until.size() < most_refused) {
      ++refused;
      say(LogLevel::warn, hint.target,
          "the one of " + printable(hint.key) + " was refused" +
              (by == hint.target ? "" : " by " + to_string(by)) +
              ", is kept and will be tried again: " + why.message());
    }
    if (!news || refused_until.size() < most_refused) {
      refused_until[{hint.target, hint.key}] = now.instant + options.redirect_scan;
    }
    if (parcel.released) {
      Pass& pass = passes.at(hint.target);
      pass.bytes_released -= std::min<std::uint64_t>(pass.bytes_released, bytes_of(hint));
    }
    forget_if_over(hint.target);
  }
};

HintDelivery::HintDelivery(NodeId self, Options options, HintStore& store, const Health& health)
    : impl_(std::make_unique<Impl>(self, options, store, health)) {}
HintDelivery::~HintDelivery() = default;

void HintDelivery::set_targets_for(std::function<std::vector<NodeId>(const Hint&)> targets_for) {
  impl_->targets_for = std::move(targets_for);
}
void HintDelivery::set_is_member(std::function<bool(NodeId)> is_member) {
  impl_->is_member = std::move(is_member);
}
void HintDelivery::set_pace(Pace* pace) {
  impl_->pace = pace;
}

void HintDelivery::set_other_owners(std::function<std::vector<NodeId>(const Hint&)> other_owners) {
  impl_->other_owners = std::move(other_owners);
}
void HintDelivery::set_said(Said said) {
  impl_->said = std::move(said);
}

void HintDelivery::on_ring_changed(Now now) {
  impl_->redirect_at = now.instant;
}

void HintDelivery::start(Now now) {
  impl_->scan(now);
  impl_->fill(now);
}

void HintDelivery::on_recovered(NodeId node, Now now) {
  impl_->begin(node);
  impl_->fill(now);
}

void HintDelivery::on_reply(NodeId from, RequestId number, const Message& message, Now now) {
  std::optional<Sent> sent = impl_->sent.take(number, from);
  if (!sent) return;
  RequestId parcel = sent->parcel;
  if (std::holds_alternative<Stored>(message)) {
    impl_->confirmed(parcel);
  } else if (is_about_the_hint(message)) {
    impl_->put_off(parcel, from, std::get<Refused>(message).status, now);
  } else {
    impl_->failed(parcel, from, false);
  }
  impl_->fill(now);
}

void HintDelivery::on_unreachable(NodeId node, Now now) {
  for (RequestId number : impl_->sent.to(node)) {
    if (const Sent* sent = impl_->sent.find(number)) impl_->failed(sent->parcel, node, true);
  }
  impl_->leave(node);
  impl_->fill(now);
}

void HintDelivery::on_wake(Now now) {
  while (std::optional<Sent> silent = impl_->sent.take_silent(now.instant)) {
    impl_->failed(silent->parcel, silent->to, true);
  }
  if (impl_->scan_at <= now.instant) impl_->scan(now);
  impl_->fill(now);
}

std::vector<Outgoing> HintDelivery::take_outgoing() {
  return std::exchange(impl_->outgoing, {});
}

Instant HintDelivery::next_wake() const {
  Instant next = impl_->scan_at;
  next = std::min(next, impl_->read_again);
  next = std::min(next, impl_->sent.next_until());
  if (impl_->held_back) next = std::min(next, impl_->pace_at);
  return next;
}

std::uint64_t HintDelivery::delivered() const {
  return impl_->delivered;
}
std::uint64_t HintDelivery::released() const {
  return impl_->released;
}
std::uint64_t HintDelivery::refused() const {
  return impl_->refused;
}
std::size_t HintDelivery::under_way() const {
  return impl_->under_way.size();
}

}  // namespace ringlet
