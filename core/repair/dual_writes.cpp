#include "repair/dual_writes.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "base/planted.hpp"
#include "repair/own_copies.hpp"

namespace ringlet {
namespace {

bool contains(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

bool DualWrites::takes(NodeId to) const {
  if (health_.is_down(to) || bytes_ >= options_.most_bytes) return false;
  auto found = to_each_.find(to);
  return found == to_each_.end() || found->second < options_.most;
}

void DualWrites::send(NodeId to, const Key& key, const Object& object, Now now) {
  std::size_t bytes = size_about(key, object);
  std::uint64_t number = ++last_number_;
  outgoing_.push_back({to, number, ReplicaPut{key, object, NodeId{}}});
  sent_.emplace(number, Sent{to, key, bytes, now.instant + options_.patience});
  ++to_each_[to];
  bytes_ += bytes;
}

DualWrites::Sent DualWrites::end(Number at) {
  Sent sent = std::move(at->second);
  sent_.erase(at);
  auto its = to_each_.find(sent.to);
  RINGLET_ASSERT(its != to_each_.end() && its->second > 0);
  if (--its->second == 0) to_each_.erase(its);
  bytes_ -= sent.bytes;
  return sent;
}

void DualWrites::give_up_on(Number at) {
  Sent sent = end(at);
  ++(store_.keep_hint_of(sent.key, sent.to) ? hinted_ : failed_);
}

void DualWrites::on_reply(NodeId from, std::uint64_t number, const Message& message) {
  auto at = sent_.find(number);
  if (at == sent_.end() || at->second.to != from) return;
  if (!std::holds_alternative<Stored>(message)) return give_up_on(at);
  end(at);
  ++confirmed_;
}

void DualWrites::on_unreachable(NodeId node) {
  for (auto at = sent_.begin(); at != sent_.end();) {
    auto next = std::next(at);
    if (at->second.to == node) give_up_on(at);
    at = next;
  }
}

void DualWrites::on_wake(Now now) {
  while (!sent_.empty() && sent_.begin()->second.until <= now.instant) give_up_on(sent_.begin());
}

std::vector<DualWrites::Outgoing> DualWrites::take_outgoing() {
  return std::exchange(outgoing_, {});
}

Instant DualWrites::next_wake() const {
  return sent_.empty() ? Instant::never() : sent_.begin()->second.until;
}

std::vector<NodeId> newcomers_to_tell(NodeId self, const std::vector<NodeId>& owners,
                                      const std::vector<NodeId>& outgoing,
                                      const std::vector<NodeId>& incoming) {
  if (incoming.empty() || planted(PlantedBug::in_flight_write_not_forwarded)) return {};
  if (!contains(owners, self)) return {};
  if (contains(outgoing, self)) return incoming;
  auto first_staying = std::find_if(owners.begin(), owners.end(),
                                    [&](NodeId node) { return !contains(outgoing, node); });
  return *first_staying == self ? incoming : std::vector<NodeId>{};
}

}  // namespace ringlet
