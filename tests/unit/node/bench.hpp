// One node without I/O, over a disk that loses things on command.
#pragma once

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <utility>

#include "membership/changes.hpp"
#include "node/node.hpp"
#include "sim/sim_disk.hpp"
#include "versioning/encoding.hpp"

namespace ringlet::test {

inline std::shared_ptr<const Ring> ring_of(std::size_t members, std::uint32_t replicas = 3,
                                           std::uint64_t epoch = 1) {
  Ring::Options options;
  options.partitions = 8;
  options.replicas = replicas;
  options.epoch = epoch;
  for (std::size_t i = 1; i <= members; ++i) {
    Member member;
    member.name = "n" + std::to_string(i);
    member.id = node_id_of(member.name);
    member.address = member.name + ":1";
    options.members.push_back(member);
  }
  auto ring = Ring::build(options);
  REQUIRE(ring.is_ok());
  return *ring;
}

inline Write a_write(std::uint64_t id, Bytes value = "milk") {
  return Write{WriteId{9, id}, false, std::move(value), ""};
}

inline MintPut mint_put(const Key& key, std::uint64_t write, CausalContext seen = {},
                        NodeId hint_for = {}) {
  MintPut put;
  put.key = key;
  put.seen = std::move(seen);
  put.write = a_write(write);
  put.hint_for = hint_for;
  return put;
}

inline ReplicaPut replica_put(const Key& key, Object object, NodeId hint_for = {}) {
  ReplicaPut put;
  put.key = key;
  put.object = std::move(object);
  put.hint_for = hint_for;
  return put;
}

// An object of one version that somebody else minted.
inline Object object_of(NodeId minter, std::uint64_t write, std::uint64_t counter = 1,
                        std::uint64_t epoch = 2) {
  Object object;
  Dot dot{Actor{minter, epoch}, counter};
  object.context.add(dot, 0);
  Version version;
  version.dot = dot;
  version.write_id = WriteId{9, write};
  version.value = "milk";
  object.versions.push_back(version);
  return object;
}

// What a node that starts with this clock begins with.
inline FirstEpoch started_at(std::int64_t wall_ms) {
  static Random bits(1);
  return FirstEpoch(wall_ms, bits.next());
}

struct Bench {
  explicit Bench(std::size_t members = 4, NodeOptions wanted = {}, std::uint32_t replicas = 3)
      : options(std::move(wanted)), ring(ring_of(members, replicas)) {
    if (options.name.empty()) options.name = "n1";
    options.founding_is_agreed = true;
    open();
  }

  void open() {
    auto opened = NodeState::open(options, first_epoch, disk.open(), ring);
    INFO(opened.status().to_string());
    REQUIRE(opened.is_ok());
    state = *opened;
    ring = state->ring();  // the founding one, as a membership view has it
    replica = std::make_unique<Replica>(state);
    node = std::make_unique<Node>(state, 0, 1);
    node->start(now);
  }
  void close() {
    node.reset();
    replica.reset();
    state.reset();
  }
  void restart_after_kill() {
    close();
    disk.crash_process();
    open();
  }
  void restart_after_power_loss() {
    close();
    disk.crash_machine();
    open();
  }

  // A member comes: its partitions move, as far as the ring of this node says.
  void let_join(const std::string& name) {
    Changes changes;
    auto view = state->first_view();
    REQUIRE(changes.join(view, Member{{}, name, name + ":1", "", 1}).is_ok());
    auto next = changes.commit(view, self(), 1000);
    REQUIRE(next.is_ok());
    state->set_ring(next->ring());
    ring = state->ring();
  }

  NodeId self() const { return node_id_of(options.name); }
  static NodeId id(const std::string& name) { return node_id_of(name); }

  // A key that this node is, or is not, an owner of.
  Key key_of(bool owned, int skip = 0) const {
    for (int i = 0;; ++i) {
      Key key{"carts", "k" + std::to_string(i)};
      if (ring->owns(self(), token_of(key)) == owned && skip-- == 0) return key;
    }
  }

  Minted minted(const MintPut& put) {
    auto outcome = replica->mint(put, now);
    auto* reply = std::get_if<Minted>(&outcome.reply);
    REQUIRE(reply != nullptr);
    return *reply;
  }
  Status refusal(const Replica::Outcome& outcome) {
    auto* reply = std::get_if<Refused>(&outcome.reply);
    REQUIRE(reply != nullptr);
    return reply->status;
  }
  Object got(const Key& key) {
    ReplicaGet get;
    get.key = key;
    Message reply = replica->get(get);
    auto* object = std::get_if<ReplicaObject>(&reply);
    REQUIRE(object != nullptr);
    return object->object;
  }

  // Asks the node something that it answers at once.
  Message ask(Message message) {
    node->on_request(7, ++number, std::move(message), now);
    auto replies = node->take_replies();
    REQUIRE(replies.size() == 1);
    CHECK(replies[0].link == 7);
    CHECK(replies[0].number == number);
    return std::move(replies[0].message);
  }
  template <typename Reply>
  Reply ask_for(Message message) {
    Message reply = ask(std::move(message));
    INFO("got " << name_of(reply));
    auto* wanted = std::get_if<Reply>(&reply);
    REQUIRE(wanted != nullptr);
    return *wanted;
  }
  void pass(Duration time) {
    now.instant = now.instant + time;
    now.wall_ms += time.millis();
  }

  NodeOptions options;
  std::shared_ptr<const Ring> ring;
  sim::SimDisk disk;
  Now now{Instant{1'000'000}, 1'700'000'000'000};
  FirstEpoch first_epoch = started_at(now.wall_ms);
  std::shared_ptr<NodeState> state;
  std::unique_ptr<Replica> replica;
  std::unique_ptr<Node> node;
  std::uint64_t number = 100;
};

}  // namespace ringlet::test
