#include "repair/hint_delivery.hpp"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "base/assert.hpp"
#include "base/planted.hpp"

namespace ringlet {
namespace {

// One walk over the hints of one owner.
struct Pass {
  bool walking = false;  // more to read or to send; otherwise only confirmations are waited for
  bool read_all = false;
  std::optional<Key> after;  // the last key read
  std::deque<Hint> page;     // read, not sent
  std::size_t under_way = 0;
};

struct Sent {
  Hint hint;
  Instant until;
};

}  // namespace

struct HintDelivery::Impl {
  NodeId self;
  Options options;
  HintStore& store;
  const Health& health;
  std::map<NodeId, Pass> passes;
  std::map<std::uint64_t, Sent> under_way;  // numbers rise, so the oldest is first
  std::vector<Outgoing> outgoing;
  std::uint64_t last_number = 0, delivered = 0;
  Instant scan_at = Instant::never();
  Instant pace_at{INT64_MIN / 2};  // the next copy may leave then
  bool held_back = false;          // something waits for pace_at
  NodeId last_served;
  std::function<std::vector<NodeId>(const Hint&)> targets_for;
  Pace* pace = nullptr;
  Instant redirect_at{INT64_MIN / 2};

  Impl(NodeId me, Options o, HintStore& s, const Health& h)
      : self(me), options(o), store(s), health(h) {
    RINGLET_ASSERT(options.window >= 1);
    RINGLET_ASSERT(options.page >= 1);
    RINGLET_ASSERT(options.per_second >= 1);
    RINGLET_ASSERT(options.scan > Duration{});
  }

  void scan(Now now) {
    scan_at = now.instant + options.scan;
    Result<std::vector<NodeId>> targets = store.targets();
    if (!targets) return;  // the store is ill; the next scan asks again
    for (NodeId target : *targets) begin(target);
  }

  void begin(NodeId target) {
    if (target == self || health.is_down(target)) return;
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
    bool sent = true;
    while (sent) {
      sent = false;
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
          forget_if_over(target);
          continue;
        }
        if (!may_send(now)) return;
        send(target, pass, now);
        sent = true;
      }
    }
  }

  bool read_page(NodeId target, Pass& pass) {
    if (pass.read_all) return false;
    auto hints = store.hints_for(target, pass.after ? &*pass.after : nullptr, options.page);
    if (!hints || hints->size() < options.page) pass.read_all = true;
    if (!hints || hints->empty()) return false;
    pass.after = hints->back().key;
    for (Hint& hint : *hints) {
      if (!is_under_way(hint)) pass.page.push_back(std::move(hint));
    }
    return !pass.page.empty() || read_page(target, pass);
  }

  // A pass may begin while the last copies of the one before are unconfirmed.
  bool is_under_way(const Hint& hint) const {
    return std::any_of(under_way.begin(), under_way.end(), [&](const auto& entry) {
      return entry.second.hint.target == hint.target && entry.second.hint.key == hint.key;
    });
  }

  // Even spacing, with a tenth of a second of arrears allowed.
  bool may_send(Now now) {
    pace_at = std::max(pace_at, now.instant - Duration::millis(100));
    if (pace_at > now.instant) {
      held_back = true;
      return false;
    }
    pace_at = pace_at + Duration::micros(std::max<std::int64_t>(1, 1'000'000 / options.per_second));
    return true;
  }

  void send(NodeId target, Pass& pass, Now now) {
    Hint hint = std::move(pass.page.front());
    pass.page.pop_front();
    ++pass.under_way;
    last_served = target;
    std::uint64_t number = ++last_number;
    outgoing.push_back({target, number, ReplicaPut{hint.key, hint.object, NodeId{}}});
    if (planted(PlantedBug::hint_dropped_on_send)) (void)store.drop_if_same(hint);
    under_way.emplace(number, Sent{std::move(hint), now.instant + options.patience});
    forget_if_over(target);
  }

  std::map<std::uint64_t, Sent>::iterator end_one(std::map<std::uint64_t, Sent>::iterator it) {
    --passes.at(it->second.hint.target).under_way;
    return under_way.erase(it);
  }
};

HintDelivery::HintDelivery(NodeId self, Options options, HintStore& store, const Health& health)
    : impl_(std::make_unique<Impl>(self, options, store, health)) {}
HintDelivery::~HintDelivery() = default;

void HintDelivery::set_targets_for(std::function<std::vector<NodeId>(const Hint&)> targets_for) {
  impl_->targets_for = std::move(targets_for);
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
  auto found = impl_->under_way.find(number);
  if (found == impl_->under_way.end() || found->second.hint.target != from) return;
  Hint hint = std::move(found->second.hint);
  impl_->end_one(found);
  if (std::holds_alternative<Stored>(message)) {
    // A hint that grew meanwhile stays, and the next scan finds it.
    if (impl_->store.drop_if_same(hint)) ++impl_->delivered;
    impl_->forget_if_over(from);
  } else {
    impl_->leave(from);
  }
  impl_->fill(now);
}

void HintDelivery::on_unreachable(NodeId node, Now now) {
  for (auto it = impl_->under_way.begin(); it != impl_->under_way.end();) {
    it = it->second.hint.target == node ? impl_->end_one(it) : std::next(it);
  }
  impl_->leave(node);
  impl_->fill(now);
}

void HintDelivery::on_wake(Now now) {
  std::vector<NodeId> silent;
  while (!impl_->under_way.empty() && impl_->under_way.begin()->second.until <= now.instant) {
    silent.push_back(impl_->under_way.begin()->second.hint.target);
    impl_->end_one(impl_->under_way.begin());
  }
  for (NodeId node : silent) impl_->leave(node);
  if (impl_->scan_at <= now.instant) impl_->scan(now);
  impl_->fill(now);
}

std::vector<HintDelivery::Outgoing> HintDelivery::take_outgoing() {
  return std::exchange(impl_->outgoing, {});
}

Instant HintDelivery::next_wake() const {
  Instant next = impl_->scan_at;
  if (!impl_->under_way.empty()) next = std::min(next, impl_->under_way.begin()->second.until);
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
