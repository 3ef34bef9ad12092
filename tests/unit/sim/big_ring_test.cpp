// Rings of 10 to 300 nodes in virtual time: they form, hear of a change in as many rounds as gossip
// should take, and serve. R2.1-d, R4.8.1-c, R6.6-a.
#include <catch2/catch.hpp>
#include <string>

#include "node/node_state.hpp"
#include "sim/world.hpp"
#include "versioning/object.hpp"

using namespace ringlet;
using sim::HostId;
using sim::World;

namespace {

void ring_of(std::size_t nodes, std::uint32_t partitions, int p99) {
  World world(nodes);
  for (std::size_t i = 0; i <= nodes; ++i) world.add_node("n" + std::to_string(i + 1));
  Ring::Options ring;
  ring.partitions = partitions;
  ring.replicas = 3;
  NodeOptions options;
  options.tree_exchange.period = Duration::seconds(3600);
  world.start_cluster(ring, options, Duration::millis(2), nodes);
  world.restart(nodes);  // a stranger
  HostId client = world.add_client({});
  std::uint64_t bytes = 0;
  world.on_delivery = [&](HostId, HostId, const Message& message) {
    constexpr std::size_t around = 40;  // a frame's header, tags, the digest
    if (auto* ask = std::get_if<Gossip>(&message)) {
      bytes +=
          around + ask->name.size() + ask->address.size() + ask->cluster.size() + ask->view.size();
    } else if (auto* told = std::get_if<GossipAnswer>(&message)) {
      bytes += around + told->view.size();
    }
  };
  world.run_for(Duration::seconds(2));
  bytes = 0;
  world.run_for(Duration::seconds(10));
  std::uint64_t idle = bytes / 10 / nodes;
  CHECK(idle < 1000);

  std::string fresh = "n" + std::to_string(nodes + 1);
  REQUIRE(world.command(0, {"join", {fresh, fresh + ":1", "", "1"}}).status);
  REQUIRE(world.command(0, {"commit", {}}).status);
  auto know = [&] {
    std::size_t count = 0;
    for (HostId node = 0; node < nodes; ++node) {
      count += world.state(node)->ring()->find(fresh) != nullptr ? 1 : 0;
    }
    return count;
  };
  int rounds = 0;
  for (; know() < nodes && rounds < 100; ++rounds) world.run_for(Duration::seconds(1));
  CHECK(rounds <= p99 + 2);
  WARN("R4.8.1-c R6.6-a: " << nodes << " nodes: " << rounds << " rounds, idle " << idle
                           << " gossip bytes a second and node");

  // It converges: one ring at rest, in which the new one owns something.
  auto settled = [&] {
    auto first = world.state(0)->ring();
    if (first->moving()) return false;
    for (HostId node = 0; node <= nodes; ++node) {
      auto its = world.state(node)->ring();
      if (!its || its->digest() != first->digest()) return false;
    }
    return true;
  };
  for (int i = 0; i < 60 && !settled(); ++i) world.run_for(Duration::seconds(1));
  CHECK(settled());

  for (int i = 0; i < 50; ++i) {
    int done = 0;
    ClientCore::Request put;
    put.kind = ClientCore::Kind::put;
    put.key = {"b", "k" + std::to_string(i)};
    put.value = "v";
    world.submit(client, put, [&](ClientCore::Outcome outcome) {
      CHECK(outcome.reply.status);
      ++done;
    });
    while (done < 1) REQUIRE(world.step());
    ClientCore::Request get;
    get.key = put.key;
    world.submit(client, get, [&](ClientCore::Outcome outcome) {
      CHECK(outcome.reply.status);
      CHECK(siblings(outcome.reply.object).size() == 1);
      ++done;
    });
    while (done < 2) REQUIRE(world.step());
  }
}

}  // namespace

TEST_CASE("R2.1-d R4.8.1-c R6.6-a: a ring of 10 nodes") {
  ring_of(10, 64, 5);
}
TEST_CASE("R2.1-d R4.8.1-c R6.6-a: a ring of 30 nodes") {
  ring_of(30, 128, 6);
}
TEST_CASE("R2.1-d R4.8.1-c R6.6-a: a ring of 100 nodes") {
  ring_of(100, 512, 8);
}
TEST_CASE("R2.1-d R4.8.1-c R6.6-a: a ring of 300 nodes") {
  ring_of(300, 1024, 9);
}
