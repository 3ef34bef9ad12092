// L9 in a quiet cluster: nobody has an opinion of anybody when the network breaks, and the first call
// afterwards must still be served by its deadline.
#include <catch2/catch.hpp>

#include <optional>

#include "sim/world.hpp"

namespace ringlet::sim {
namespace {

struct Quiet {
  Quiet(std::uint64_t seed, std::size_t nodes, Coordination coordination, std::uint8_t n,
        std::uint8_t wanted)
      : world(seed), luck(seed) {
    for (std::size_t i = 1; i <= nodes; ++i) world.add_node("n" + std::to_string(i));
    Ring::Options ring;
    ring.partitions = 64;
    ring.replicas = n;
    NodeOptions options;
    options.coordination.r = options.coordination.w = wanted;
    world.start_cluster(ring, options);
    ClientOptions of_client;
    of_client.coordination = coordination;
    client = world.add_client(of_client);
    world.run_for(Duration::seconds(2));
  }

  // `away` nodes hear nobody and nobody hears them; the client stays with the others.
  void split(std::size_t away) {
    std::vector<HostId> order;
    for (HostId node = 0; node < world.nodes(); ++node) order.push_back(node);
    luck.shuffle(order);
    for (std::size_t i = 0; i < away; ++i) {
      for (std::size_t j = away; j < order.size(); ++j) cut(order[i], order[j]);
      cut(order[i], client);
    }
  }
  void cut(HostId a, HostId b) {
    world.cut(a, b);
    world.cut(b, a);
  }

  ClientCore::Outcome call(ClientCore::Kind kind, const std::string& key) {
    ClientCore::Request request;
    request.kind = kind;
    request.key = {"quiet", key};
    request.value = "milk";
    std::optional<ClientCore::Outcome> told;
    world.submit(client, std::move(request),
                 [&](ClientCore::Outcome outcome) { told = std::move(outcome); });
    world.run_for(Duration::seconds(3));
    REQUIRE(told);
    return *told;
  }

  World world;
  Random luck;
  HostId client = 0;
};

}  // namespace

// The client has lost the first it asks, that one's successor, whom that one hands a put on to, and
// the owners: each may cost its patience, and there is one second for all of them.
TEST_CASE("L9 F-20 the first call after a split is served by those who are left, if two are") {
  auto coordination = GENERATE(Coordination::server, Coordination::client);
  auto kind = GENERATE(ClientCore::Kind::put, ClientCore::Kind::get);
  auto away = GENERATE(std::size_t{1}, std::size_t{3}, std::size_t{5});
  std::string refused;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Quiet quiet(seed, 7, coordination, seed % 2 ? 2 : 3, 2);
    quiet.split(away);
    auto outcome = quiet.call(kind, "k" + std::to_string(seed));
    if (outcome.reply.status) continue;
    refused += std::to_string(seed) + ": " + outcome.reply.status.to_string() + "\n";
  }
  INFO(away << " of seven are away");
  CHECK(refused == "");
}

}  // namespace ringlet::sim
