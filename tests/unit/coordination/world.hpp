// A few members in memory, each as well as it is told to be, and one coordinator that asks them.
// Messages arrive in the order they were sent; the clock moves only when nothing is under way. Who is
// slow does at once what it is asked to, and its answer comes when patience with it has run out.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "coordination/coordinator.hpp"

namespace ringlet::test {

enum class Mood { well, slow, silent, refusing, unreachable };

class World final : public Health {
 public:
  World(std::size_t members, std::uint32_t replicas, CoordinationOptions options = {},
        std::string self_name = "", std::vector<std::string> zones = {})
      : self(self_name.empty() ? NodeId{} : node_id_of(self_name)),
        coordinator(self, options, *this) {
    Ring::Options ring;
    ring.replicas = replicas;
    for (std::size_t i = 0; i < members; ++i) {
      std::string name = "n" + std::to_string(i + 1);
      std::string zone = zones.empty() ? "" : zones[i % zones.size()];
      ring.members.push_back({node_id_of(name), name, name + ":1", zone, 1});
    }
    this->ring = *Ring::build(ring);
    coordinator.set_ring(this->ring);
    now.instant = Instant{1'000'000};
    now.wall_ms = 1'700'000'000'000;
  }

  const std::vector<NodeId>& members_for(const Key& key) const {
    return ring->preference_list(token_of(key));
  }

  // ---- Health: told by the test, except for what it records ----
  bool is_down(NodeId node) const override { return down.contains(node); }
  bool is_in_doubt(NodeId node) const override { return in_doubt.contains(node); }
  void check(NodeId node, Instant) override { checked.insert(node); }
  void heard_from(NodeId node, Instant) override { ++heard[node]; }
  void was_silent(NodeId node, Instant) override { ++silences[node]; }
  void unreachable(NodeId node, Instant) override { ++lost[node]; }
  Duration patience(NodeId) const override { return Duration::millis(50); }
  void answer_took(NodeId node, Duration took) override { answer_times[node].push_back(took); }

  // ---- the members ----
  Message answer(NodeId node, const Message& message) {
    auto& rows = disks[node];
    if (auto* get = std::get_if<ReplicaGet>(&message)) {
      ReplicaObject found;
      for (auto& [row, object] : rows) {
        if (row.first == get->key) sync(found.object, object);
      }
      return found;
    }
    if (auto* mint = std::get_if<MintPut>(&message)) {
      Object& object = rows[{mint->key, mint->hint_for}];
      if (object.missing()) object.mode = mint->reconcile;
      Dot dot = update(object, mint->seen, Actor{node, 1}, mint->write, now.wall_us());
      return Minted{object, dot};
    }
    auto& put = std::get<ReplicaPut>(message);
    sync(rows[{put.key, put.hint_for}], put.object);
    return Stored{};
  }

  // Takes what the coordinator wants sent; says how many were.
  std::size_t collect() {
    std::size_t count = 0;
    for (auto& out : coordinator.take_outgoing()) {
      asked.push_back(out.to);
      wire.push_back(std::move(out));
      ++count;
    }
    return count;
  }

  // The oldest message arrives, or does not; false: there is none.
  bool deliver_one() {
    collect();
    if (wire.empty()) return false;
    Outgoing out = std::move(wire.front());
    wire.pop_front();
    if (random.chance(loss)) return true;
    if (random.chance(loss)) {  // the answer is lost, what was asked is done
      if (!moods.contains(out.to)) answer(out.to, out.message);
      return true;
    }
    switch (moods.contains(out.to) ? moods[out.to] : Mood::well) {
      case Mood::well:
        coordinator.on_reply(out.to, out.number, answer(out.to, out.message), now);
        break;
      case Mood::slow:
        late.emplace(now.instant + Duration::millis(70),
                     Late{out.to, out.number, answer(out.to, out.message)});
        break;
      case Mood::refusing:
        coordinator.on_reply(out.to, out.number, Refused{Status(why, "no"), 7}, now);
        break;
      case Mood::unreachable:
        coordinator.on_unreachable(out.to, now);
        break;
      case Mood::silent:
        break;
    }
    collect();
    return true;
  }

  // Until the coordinator has nothing left to do.
  void run() {
    for (int step = 0; step < 10'000; ++step) {
      if (deliver_one()) continue;
      Instant next = coordinator.next_wake();
      if (next == Instant::never()) return late.clear();
      if (!late.empty()) next = std::min(next, late.begin()->first);
      now.instant = std::max(now.instant, next);
      hear_the_late();
      coordinator.on_wake(now);
    }
    throw std::runtime_error("the coordinator never comes to rest");
  }

  void hear_the_late() {
    while (!late.empty() && late.begin()->first <= now.instant) {
      Late heard = late.extract(late.begin()).mapped();
      coordinator.on_reply(heard.from, heard.number, std::move(heard.message), now);
      collect();
    }
  }

  bool holds(NodeId node, const Key& key, NodeId hint_for, WriteId write) {
    auto found = disks[node].find({key, hint_for});
    if (found == disks[node].end()) return false;
    for (const Version& v : found->second.versions) {
      if (v.write_id == write) return true;
    }
    return false;
  }

  // How many disks hold the write once each hint whose owner has it was dropped.
  std::size_t disks_after_hand_over(const Key& key, WriteId write) {
    std::size_t count = 0;
    for (NodeId node : members_for(key)) {
      bool keeps = holds(node, key, {}, write);
      for (NodeId owner : members_for(key)) {
        keeps |= holds(node, key, owner, write) && !holds(owner, key, {}, write);
      }
      count += keeps ? 1 : 0;
    }
    return count;
  }

  Coordinator::OnAnswer remember() {
    return [this](ClientReply reply) { replies.push_back(std::move(reply)); };
  }

  struct Late {
    NodeId from;
    RequestId number;
    Message message;
  };

  NodeId self;
  std::shared_ptr<const Ring> ring;
  std::set<NodeId> down, in_doubt, checked;
  std::map<NodeId, Mood> moods;
  Code why = Code::overloaded;  // of those refusing
  std::map<NodeId, int> heard, silences, lost;
  std::map<NodeId, std::vector<Duration>> answer_times;
  std::map<NodeId, std::map<std::pair<Key, NodeId>, Object>> disks;
  std::deque<Outgoing> wire;
  std::multimap<Instant, Late> late;  // answers on their way
  std::vector<NodeId> asked;
  std::vector<ClientReply> replies;
  double loss = 0;  // of each message
  Random random{1};
  Now now;
  Coordinator coordinator;
};

inline Write a_write(std::uint64_t id, std::string value = "milk") {
  return Write{WriteId{9, id}, false, std::move(value), ""};
}

}  // namespace ringlet::test
