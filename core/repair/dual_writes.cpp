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
  RequestId number = sent_.add({to, key, bytes, now.instant + options_.patience});
  outgoing_.push_back({to, number, ReplicaPut{key, object, NodeId{}}});
  ++to_each_[to];
  bytes_ += bytes;
}

void DualWrites::ended(const Sent& sent) {
  auto its = to_each_.find(sent.to);
  RINGLET_ASSERT(its != to_each_.end() && its->second > 0);
  if (--its->second == 0) to_each_.erase(its);
  bytes_ -= sent.bytes;
}

void DualWrites::give_up_on(const Sent& sent) {
  ended(sent);
  ++(store_.keep_hint_of(sent.key, sent.to) ? hinted_ : failed_);
}

void DualWrites::on_reply(NodeId from, RequestId number, const Message& message) {
  std::optional<Sent> sent = sent_.take(number, from);
  if (!sent) return;
  if (!std::holds_alternative<Stored>(message)) return give_up_on(*sent);
  ended(*sent);
  ++confirmed_;
}

void DualWrites::on_unreachable(NodeId node) {
  for (RequestId number : sent_.to(node)) give_up_on(*sent_.take(number));
}

void DualWrites::on_wake(Now now) {
  while (std::optional<Sent> silent = sent_.take_silent(now.instant)) give_up_on(*silent);
}

std::vector<Outgoing> DualWrites::take_outgoing() {
  return std::exchange(outgoing_, {});
}

Instant DualWrites::next_wake() const {
  return sent_.next_until();
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
