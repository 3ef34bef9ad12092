#include "repair/hint_delivery.hpp"

#include <algorithm>
#include <deque>
#include <optional>
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
};

// One walk over the hints of one owner.
struct Pass {
  bool walking = false;  // more to read or to send; otherwise only confirmations are waited for
  bool read_all = false;
  std::optional<Key> after;  // the last key read
  std::deque<Parcel> page;   // read, not sent
  std::size_t under_way = 0;
};

struct Sent {
  std::uint64_t parcel;
  NodeId to;
  Instant until;
};

constexpr int most_reads = 16;  // pages without a hint to send, in one go

}  // namespace

struct HintDelivery::Impl {
  NodeId self;
  Options options;
  HintStore& store;
  const Health& health;
  std::map<NodeId, Pass> passes;
  std::map<std::uint64_t, Sent> sent;         // numbers rise, so the oldest is first
  std::map<std::uint64_t, Parcel> under_way;  // by the number of their first message
  std::vector<Outgoing> outgoing;
  std::uint64_t last_number = 0, delivered = 0;
  Instant scan_at = Instant::never();
  Instant pace_at{INT64_MIN / 2};  // the next copy may leave then
  bool held_back = false;          // something waits for pace_at
  NodeId last_served;
  std::function<std::vector<NodeId>(const Hint&)> targets_for;
  std::function<bool(NodeId)> is_member;
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
    for (NodeId target : *targets) begin(target, redirect || (is_member && !is_member(target)));
  }

  void begin(NodeId target, bool also_down = false) {
    if (target == self || (health.is_down(target) && !also_down)) return;
    Pass& pass = passes[target];
    if (pass.walking) return;
    pass.walking = true;
    pass.read_all = false;
    pass.after.reset();
    pass.page.clear();
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
        if (pass.under_way >= options.window) continue;
        if (pass.page.empty() && !read_page(target, pass)) {
          if (!pass.read_all) read_again = now.instant + Duration::millis(1);
          forget_if_over(target);
          continue;
        }
        if (!may_send(pass.page.front(), now)) return;
        send(target, pass, now);
        sent_one = true;
      }
    }
  }

  bool read_page(NodeId target, Pass& pass) {
    for (int reads = 0; pass.page.empty() && !pass.read_all && reads < most_reads; ++reads) {
      auto hints = store.hints_for(target, pass.after ? &*pass.after : nullptr, options.page);
      if (!hints || hints->size() < options.page) pass.read_all = true;
      if (!hints || hints->empty()) return false;
      pass.after = hints->back().key;
      for (Hint& hint : *hints) address(std::move(hint), pass);
    }
    return !pass.page.empty();
  }

  // Not again while it is under way: a pass may begin while the last copies of the one before are
  // unconfirmed. Not now if somebody who must confirm is down.
  void address(Hint hint, Pass& pass) {
    if (is_under_way(hint)) return;
    std::vector<NodeId> to = targets_for ? targets_for(hint) : std::vector<NodeId>{hint.target};
    bool reachable = std::none_of(
        to.begin(), to.end(), [&](NodeId node) { return node != self && health.is_down(node); });
    if (to.empty() || !reachable) return;
    pass.page.push_back({std::move(hint), std::move(to)});
  }

  bool is_under_way(const Hint& hint) const {
    return std::any_of(under_way.begin(), under_way.end(), [&](const auto& entry) {
      return entry.second.hint.target == hint.target && entry.second.hint.key == hint.key;
    });
  }

  bool may_send(const Parcel& parcel, Now now) {
    if (pace == nullptr) return true;
    std::uint64_t bytes = parcel.hint.key.bucket.size() + parcel.hint.key.key.size();
    for (const Version& version : parcel.hint.object.versions) bytes += version.value.size();
    if (pace->take(Pace::Kind::hints, bytes, now)) return true;
    pace_at = pace->next(Pace::Kind::hints, now);
    held_back = true;
    return false;
  }

  void send(NodeId target, Pass& pass, Now now) {
    Parcel parcel = std::move(pass.page.front());
    pass.page.pop_front();
    ++pass.under_way;
    last_served = target;
    parcel.unconfirmed = parcel.to.size();
    std::uint64_t name = last_number + 1;
    for (NodeId to : parcel.to) {
      std::uint64_t number = ++last_number;
      outgoing.push_back({to, number, ReplicaPut{parcel.hint.key, parcel.hint.object, NodeId{}}});
      sent.emplace(number, Sent{name, to, now.instant + options.patience});
    }
    if (planted(PlantedBug::hint_dropped_on_send)) (void)store.drop_if_same(parcel.hint);
    under_way.emplace(name, std::move(parcel));
    forget_if_over(target);
  }

  Hint end_parcel(std::uint64_t name) {
    auto found = under_way.find(name);
    Hint hint = std::move(found->second.hint);
    --passes.at(hint.target).under_way;
    under_way.erase(found);
    std::erase_if(sent, [&](const auto& entry) { return entry.second.parcel == name; });
    return hint;
  }

  void confirmed(std::uint64_t name) {
    if (--under_way.at(name).unconfirmed > 0) return;
    Hint hint = end_parcel(name);
    // A hint that grew meanwhile stays, and the next scan finds it.
    if (store.drop_if_same(hint)) ++delivered;
    forget_if_over(hint.target);
  }

  // It stays; if its own target failed, so would the next ones.
  void failed(std::uint64_t name, NodeId node) {
    NodeId target = end_parcel(name).target;
    if (target == node) {
      leave(target);
    } else {
      forget_if_over(target);
    }
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

void HintDelivery::on_reply(NodeId from, std::uint64_t number, const Message& message, Now now) {
  auto found = impl_->sent.find(number);
  if (found == impl_->sent.end() || found->second.to != from) return;
  std::uint64_t parcel = found->second.parcel;
  impl_->sent.erase(found);
  if (std::holds_alternative<Stored>(message)) {
    impl_->confirmed(parcel);
  } else {
    impl_->failed(parcel, from);
  }
  impl_->fill(now);
}

void HintDelivery::on_unreachable(NodeId node, Now now) {
  std::vector<std::uint64_t> parcels;
  for (const auto& [number, sent] : impl_->sent) {
    if (sent.to == node) parcels.push_back(sent.parcel);
  }
  for (std::uint64_t parcel : parcels) impl_->failed(parcel, node);
  impl_->leave(node);
  impl_->fill(now);
}

void HintDelivery::on_wake(Now now) {
  while (!impl_->sent.empty() && impl_->sent.begin()->second.until <= now.instant) {
    Sent silent = impl_->sent.begin()->second;
    impl_->failed(silent.parcel, silent.to);
  }
  if (impl_->scan_at <= now.instant) impl_->scan(now);
  impl_->fill(now);
}

std::vector<HintDelivery::Outgoing> HintDelivery::take_outgoing() {
  return std::exchange(impl_->outgoing, {});
}

Instant HintDelivery::next_wake() const {
  Instant next = impl_->scan_at;
  next = std::min(next, impl_->read_again);
  if (!impl_->sent.empty()) next = std::min(next, impl_->sent.begin()->second.until);
  if (impl_->held_back) next = std::min(next, impl_->pace_at);
  return next;
}

std::uint64_t HintDelivery::delivered() const {
  return impl_->delivered;
}
std::size_t HintDelivery::under_way() const {
  return impl_->under_way.size();
}

}  // namespace ringlet
