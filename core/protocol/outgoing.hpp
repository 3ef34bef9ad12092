// A message that a machine wants sent, and the machine's book of what it has asked and not heard yet.
//
// Machines (requests under coordination, the client, gossip, the tasks of repair) have no sockets: they hand
// messages out, their host sends them, and the reply comes back under the same number. The book drops a reply
// whose question was given up or answered, so a host may deliver replies late, twice, or from another node.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/messages.hpp"
#include "protocol/request_time.hpp"

namespace ringlet {

// A machine's own number of a question. A host of several machines derives the number on the wire from it.
enum class RequestId : std::uint64_t { none = 0 };

struct Outgoing {
  NodeId to;
  RequestId number;
  Message message;
  Asking asking = {};        // how long it is wanted
  std::string address = {};  // where, when the ring may not know `to`; else empty
};

// Questions without an answer, by their numbers. `Asked` says what an answer is for; most of the functions
// want its fields `to` (the node that was asked) and `until` (the end of the patience with it).
//
// Invariant: numbers rise and are never used again. One machine has one patience, so `until` rises with them
// and the first question is the first whose patience ends.
template <class Asked>
class PendingRequests {
 public:
  // The number of the next question.
  RequestId next() const { return RequestId{last_ + 1}; }
  RequestId add(Asked asked) {
    RequestId id{++last_};
    pending_.emplace(id, std::move(asked));
    return id;
  }

  Asked* find(RequestId id) {
    auto found = pending_.find(id);
    return found == pending_.end() ? nullptr : &found->second;
  }
  void erase(RequestId id) { pending_.erase(id); }
  std::optional<Asked> take(RequestId id) {
    auto found = pending_.find(id);
    if (found == pending_.end()) return std::nullopt;
    std::optional<Asked> asked = std::move(found->second);
    pending_.erase(found);
    return asked;
  }
  // The question that `from` answers. Nothing when it was given up, answered before, or asked of another node.
  std::optional<Asked> take(RequestId id, NodeId from) {
    auto found = pending_.find(id);
    if (found == pending_.end() || found->second.to != from) return std::nullopt;
    return take(id);
  }
  // The oldest question, when the patience with it is over.
  std::optional<Asked> take_silent(Instant now) {
    if (pending_.empty() || next_until() > now) return std::nullopt;
    return take(pending_.begin()->first);
  }

  // All questions to a node, oldest first.
  std::vector<RequestId> to(NodeId node) const {
    std::vector<RequestId> ids;
    for (const auto& [id, asked] : pending_) {
      if (asked.to == node) ids.push_back(id);
    }
    return ids;
  }
  bool any_to(NodeId node) const {
    for (const auto& [id, asked] : pending_) {
      if (asked.to == node) return true;
    }
    return false;
  }

  Instant next_until() const {
    return pending_.empty() ? Instant::never() : pending_.begin()->second.until;
  }
  bool empty() const { return pending_.empty(); }
  std::size_t size() const { return pending_.size(); }
  template <class Which>
  void erase_if(Which which) {
    std::erase_if(pending_, [&](const auto& entry) { return which(entry.second); });
  }
  void clear() { pending_.clear(); }  // numbers go on rising
  auto begin() const { return pending_.begin(); }
  auto end() const { return pending_.end(); }

 private:
  std::map<RequestId, Asked> pending_;
  std::uint64_t last_ = 0;
};

}  // namespace ringlet
