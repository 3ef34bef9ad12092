// Gossip over a small network of machines: rounds until all know, islands, splits, refusals, bytes.
#include "membership/gossip.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <functional>
#include <map>
#include <set>

#include "base/random.hpp"
#include "unit/membership/membership_samples.hpp"
#include "wire/codec.hpp"

namespace ringlet {
namespace {

using namespace membership_samples;

struct Node : GossipHost {
  std::string name, address;
  MembershipView stored;
  bool disk_full = false;
  int persisted = 0;
  Keep kept{};  // how, the last time
  std::vector<std::string> logs;
  std::unique_ptr<Gossiper> gossip;

  Status persist(const MembershipView& view, Keep keep) override {
    if (disk_full) return {Code::io, "disk full"};
    stored = view;
    kept = keep;
    ++persisted;
    return {};
  }
  void on_view_changed(const MembershipView& view) override {
    REQUIRE(view == stored);  // kept before it is told
  }
  void log(LogLevel, const std::string& text) override { logs.push_back(text); }
  bool logged(const std::string& part) const {
    return std::any_of(logs.begin(), logs.end(), [&](const std::string& text) {
      return text.find(part) != std::string::npos;
    });
  }
};

std::size_t bytes_of(const Message& message) {
  Bytes out;
  wire::encode_frame(1, 1, message, out);
  return out.size();
}

// Messages arrive after 1 ms; a question or its answer may be lost.
class Network {
 public:
  explicit Network(std::uint64_t seed) : random_(seed) {}

  Node& add(const std::string& name, const std::string& address, MembershipView view,
            std::vector<std::string> seeds = {}, const std::string& cluster = "ringlet") {
    auto node = std::make_unique<Node>();
    node->name = name;
    node->address = address;
    node->stored = view;
    Gossiper::Options options;
    options.name = name;
    options.address = address;
    options.cluster = cluster;
    options.seeds = std::move(seeds);
    node->gossip = std::make_unique<Gossiper>(options, view, *node, random_.next());
    node->gossip->start({now, 0});
    nodes.push_back(std::move(node));
    return *nodes.back();
  }
  Node& add(int n, MembershipView view, std::vector<std::string> seeds = {}) {
    return add(member(n).name, member(n).address, std::move(view), std::move(seeds));
  }

  void run(Duration span) {
    Instant end = now + span;
    while (true) {
      Instant next = Instant::never();
      for (auto& node : nodes) next = std::min(next, node->gossip->next_wake());
      if (!mail_.empty()) next = std::min(next, mail_.begin()->first);
      if (next > end) break;
      now = std::max(now, next);
      while (!mail_.empty() && mail_.begin()->first <= now) {
        auto deliver = std::move(mail_.begin()->second);
        mail_.erase(mail_.begin());
        deliver();
      }
      for (auto& node : nodes) {
        if (node->gossip->next_wake() <= now) node->gossip->on_wake({now, 0});
        send_from(*node);
      }
    }
    now = end;
  }

  // Seconds until all agree; `limit` if they do not.
  int rounds_until_equal(int limit) {
    for (int round = 1; round <= limit; ++round) {
      run(Duration::seconds(1));
      if (all_equal()) return round;
    }
    return limit + 1;
  }

  bool all_equal() const {
    return std::all_of(nodes.begin(), nodes.end(), [&](const auto& node) {
      return node->gossip->view() == nodes.front()->gossip->view();
    });
  }

  Node& operator[](std::size_t i) { return *nodes[i]; }

  std::vector<std::unique_ptr<Node>> nodes;
  Instant now{};
  double loss = 0;
  std::uint64_t bytes = 0, messages = 0;
  std::function<bool(const Node&, const Node&)> cut = [](const Node&, const Node&) {
    return false;
  };

 private:
  void post(std::function<void()> deliver) {
    mail_.emplace(now + Duration::millis(1), std::move(deliver));
  }

  void send_from(Node& from) {
    for (auto& out : from.gossip->take_outgoing()) {
      bytes += bytes_of(out.message);
      ++messages;
      Node* to = nullptr;
      for (auto& node : nodes) {
        if (node->address == out.address) to = node.get();
      }
      if (to == nullptr) {
        from.gossip->on_unreachable(out.number, {now, 0});
        continue;
      }
      if (random_.chance(loss) || cut(from, *to)) continue;
      post([this, &from, to, out] {
        Message answer = to->gossip->on_gossip(std::get<Gossip>(out.message), {now, 0});
        send_from(*to);
        bytes += bytes_of(answer);
        ++messages;
        if (random_.chance(loss) || cut(*to, from)) return;
        post([this, &from, number = out.number, answer] {
          from.gossip->on_reply(number, answer, {now, 0});
          send_from(from);
        });
      });
    }
  }

  Random random_;
  std::multimap<Instant, std::function<void()>> mail_;
};

void check_owners(const MembershipView& view) {
  const Ring& ring = *view.ring();
  std::set<NodeId> owning(ring.owners().begin(), ring.owners().end());
  REQUIRE(ring.effective_replicas() == std::min<std::size_t>(owning.size(), view.replicas()));
  for (std::uint32_t p = 0; p < ring.partitions(); ++p) {
    const auto& list = ring.preference_list(p);
    std::set<NodeId> first(list.begin(), list.begin() + ring.effective_replicas());
    REQUIRE(first.size() == ring.effective_replicas());
  }
}

MembershipView weight_changed(const MembershipView& view) {
  return after(view, [](Changes& c, const MembershipView& v) {
    return c.set_weight(v, "n0", 1);  // an event, and no slot moves
  });
}

void converge(int members, std::uint32_t q, int p99, double loss, int seeds) {
  MembershipView view = founded(members, q, 3);
  double total = 0;
  int worst = 0;
  for (int seed = 1; seed <= seeds; ++seed) {
    Network network(static_cast<std::uint64_t>(seed) * 977);
    network.loss = loss;
    for (int i = 0; i < members; ++i) network.add(i, view);
    network.run(Duration::millis(1500));
    REQUIRE(network[0].gossip->change(weight_changed(view)).is_ok());
    int rounds = network.rounds_until_equal(60);
    worst = std::max(worst, rounds);
    total += rounds;
  }
  std::printf("gossip: S=%d, loss %.0f %%: mean %.2f, worst of %d: %d rounds\n", members,
              loss * 100, total / seeds, seeds, worst);
  REQUIRE(worst <= (loss > 0 ? 2 : 1) * (p99 + 2));
}

}  // namespace

TEST_CASE("R4.8.1-c rounds until all know, without loss") {
  converge(10, 64, 5, 0, 40);
  converge(30, 64, 6, 0, 15);
  converge(100, 128, 8, 0, 4);
}

TEST_CASE("R4.8.1-c rounds until all know, with 20 % of the messages lost") {
  converge(10, 64, 5, 0.2, 40);
  converge(30, 64, 6, 0.2, 15);
  converge(100, 128, 8, 0.2, 4);
}

TEST_CASE("R4.8.1-c an idle round is under 300 bytes, and nothing is written") {
  Network network(3);
  MembershipView view = founded(10, 1024, 3);
  for (int i = 0; i < 10; ++i) network.add(i, view);
  network.run(Duration::seconds(20));
  double a_round = static_cast<double>(network.bytes) / (static_cast<double>(network.messages) / 2);
  std::printf("gossip: idle round of two messages: %.0f bytes\n", a_round);
  REQUIRE(network.messages >= 360);
  REQUIRE(a_round < 300);
  for (auto& node : network.nodes) REQUIRE(node->persisted == 0);
}

TEST_CASE("R6.6-a bytes of a view of 300 nodes and 4096 partitions") {
  MembershipView view = founded(300, 4096, 3);
  std::printf("gossip: 300 nodes, Q=4096: a view is %zu bytes; idle question and answer %zu\n",
              view.encode().size(),
              bytes_of(Gossip{"n100", "n100:1", "ringlet", view.digest(), {}}) +
                  bytes_of(GossipAnswer{view.digest(), {}}));
  REQUIRE(view.encode().size() < 64 * 1024);
}

TEST_CASE("R4.8.2-a islands never meet without a seed, and do with one") {
  // n0 founded; on one side n1..n4 came and n0 went, on the other n5..n8.
  MembershipView origin = founded(1, 64, 3);
  auto island = [&](int first) {
    MembershipView view = settled(after(origin, [&](Changes& c, const MembershipView& v) {
      for (int i = 0; i < 4; ++i) {
        if (Status status = c.join(v, member(first + i)); !status) return status;
      }
      return c.leave(v, "n0");
    }));
    REQUIRE(view.ring()->members().size() == 4);
    return view;
  };
  MembershipView a = island(1), b = island(5);
  for (bool seed : {false, true}) {
    Network network(11);
    std::vector<std::string> seeds;
    if (seed) seeds.push_back("n1:1");
    for (int i = 1; i <= 4; ++i) network.add(i, a, seeds);
    for (int i = 5; i <= 8; ++i) network.add(i, b, seeds);
    int rounds = network.rounds_until_equal(60);
    INFO("rounds " << rounds);
    REQUIRE((rounds <= 8) == seed);  // 2 log2(8) + 2
    if (!seed) continue;
    std::printf("gossip: two islands of 4 with one seed: equal after %d rounds\n", rounds);
    REQUIRE(network[7].gossip->view().ring()->members().size() == 8);
    check_owners(network[7].gossip->view());
  }
}

TEST_CASE("O-15 two administrators on two sides of a split end with one table") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Network network(seed);
    MembershipView view = founded(6, 64, 3);
    for (int i = 0; i < 6; ++i) network.add(i, view);
    network.add(6, {}, {"n0:1"});
    network.add(7, {}, {"n3:1"});
    auto left = [](const Node& node) { return node.name == "n6" || node.name < "n3"; };
    network.cut = [&](const Node& x, const Node& y) { return left(x) != left(y); };
    auto order = [&](std::size_t where, const std::function<Status(Changes&)>& give) {
      Changes changes;
      const MembershipView& here = network[where].gossip->view();
      REQUIRE(give(changes).is_ok());
      auto next = changes.commit(here, node_id_of(network[where].name), 1);
      REQUIRE(next.is_ok());
      REQUIRE(network[where].gossip->change(*next).is_ok());
    };
    order(0, [&](Changes& c) { return c.join(network[0].gossip->view(), member(6)); });
    order(1, [&](Changes& c) { return c.leave(network[1].gossip->view(), "n4"); });
    order(3, [&](Changes& c) { return c.join(network[3].gossip->view(), member(7)); });
    order(4, [&](Changes& c) { return c.leave(network[4].gossip->view(), "n1"); });
    for (int second = 0; second < 60; ++second) {
      if (second == 15) {
        network.cut = [](const Node&, const Node&) { return false; };
      }
      network.run(Duration::seconds(1));
      for (auto& node : network.nodes) {
        const MembershipView& at = node->gossip->view();
        if (at.empty()) continue;
        check_owners(at);
        NodeId id = node_id_of(node->name);
        // Pulls take no time here; each flips its own a few seconds apart.
        if (second % 4 == static_cast<int>(id.value % 4)) {
          REQUIRE(node->gossip->change(at.arrived(id, at.arriving(id))).is_ok());
        }
      }
    }
    const MembershipView& end = network[0].gossip->view();
    REQUIRE_FALSE(end.ring()->moving());
    for (auto& node : network.nodes) {
      if (end.is_member(node->name)) REQUIRE(node->gossip->view() == end);
    }
    REQUIRE(end.is_member("n6"));
    REQUIRE(end.is_member("n7"));
    REQUIRE(end.standing("n1") == MembershipView::Standing::left);
    REQUIRE(end.standing("n4") == MembershipView::Standing::left);
  }
}

TEST_CASE("R4.8.1-a a stranger owns nothing and is in nobody's map until it is joined") {
  Network network(5);
  MembershipView view = founded(3, 32, 2);
  for (int i = 0; i < 3; ++i) network.add(i, view);
  Node& stranger = network.add(3, {}, {"n0:1"});
  network.run(Duration::seconds(30));
  REQUIRE(stranger.gossip->view().empty());
  REQUIRE(stranger.gossip->refusal().message().find("is not a member of cluster") !=
          std::string::npos);
  REQUIRE(stranger.logs.size() == 1);  // said once, not thirty times
  for (int i = 0; i < 3; ++i) {
    REQUIRE(network[static_cast<std::size_t>(i)].gossip->view() == view);
    REQUIRE(network[static_cast<std::size_t>(i)].logs.size() <= 1);
  }
  REQUIRE(network[1]
              .gossip
              ->change(after(
                  view, [](Changes& c, const MembershipView& v) { return c.join(v, member(3)); }))
              .is_ok());
  network.run(Duration::seconds(8));
  REQUIRE(network.all_equal());
  REQUIRE(stranger.gossip->view().is_member("n3"));
  REQUIRE(stranger.gossip->refusal().is_ok());
  REQUIRE(stranger.persisted == 1);
}

TEST_CASE("R4.8.1-a a stranger takes no view that has its name at another address") {
  Network network(5);
  MembershipView view = founded(4, 32, 2);
  Node& stranger = network.add("n3", "n3:9", {});
  Gossip gossip{"n0", "n0:1", "ringlet", view.digest(), view.encode()};
  Message said = stranger.gossip->on_gossip(gossip, {network.now, 0});
  CHECK(stranger.gossip->view().empty());
  CHECK(stranger.persisted == 0);
  // At the address that the view has it is the member.
  Node& member_itself = network.add("n3", "n3:1", {});
  said = member_itself.gossip->on_gossip(gossip, {network.now, 0});
  CHECK(member_itself.gossip->view() == view);
}

TEST_CASE("R4.8.1-a a stranger that is told that it was joined is turned away no more") {
  Network network(5);
  MembershipView view = founded(3, 32, 2);
  for (int i = 0; i < 3; ++i) network.add(i, view);
  Node& stranger = network.add(3, {}, {"n0:1"});
  network.run(Duration::seconds(5));
  REQUIRE(stranger.gossip->refusal().code() == Code::closed);
  MembershipView joined =
      after(view, [](Changes& c, const MembershipView& v) { return c.join(v, member(3)); });
  // By another's round: its own may find dead nodes for a while.
  Gossip told{"n1", "n1:1", "ringlet", joined.digest(), joined.encode()};
  Message said = stranger.gossip->on_gossip(told, {network.now, 0});
  REQUIRE(std::holds_alternative<GossipAnswer>(said));
  REQUIRE(stranger.gossip->view().is_member("n3"));
  REQUIRE(stranger.gossip->refusal().is_ok());
}

TEST_CASE("F-43 a node that is no member itself turns no member away") {
  Network network(7);
  MembershipView view = founded(3, 32, 2);
  for (int i = 0; i < 3; ++i) network.add(i, view, {"n6:1"});  // an address that was used before
  Node& stranger = network.add(6, {});
  for (int tenth = 0; tenth < 300; ++tenth) {
    network.run(Duration::millis(100));
    for (std::size_t i = 0; i < 3; ++i) {
      INFO(network[i].gossip->refusal().message());
      REQUIRE(network[i].gossip->refusal().is_ok());
    }
  }
  CHECK(stranger.gossip->view().empty());
  CHECK(stranger.logged("\"n6\" is not a member of cluster"));  // its own log says why it waits
}

TEST_CASE("F-42 a node that is no member itself does not take back what a member refused") {
  Network network(8);
  MembershipView old = founded(3, 32, 2);
  MembershipView replaced = after(
      old, [](Changes& c, const MembershipView& v) { return c.replace(v, "n2", "n4", "n4:1"); });
  network.add(0, replaced);
  Node& back = network.add(2, old, {"n6:1"});
  Node& stranger = network.add(6, {});
  Gossip shown{"n2", "n2:1", "ringlet", old.digest(), old.encode()};
  back.gossip->on_wake({{10'000'000}, 0});
  auto out = back.gossip->take_outgoing();
  REQUIRE_FALSE(out.empty());
  Message refused = network[0].gossip->on_gossip(shown, {network.now, 0});
  REQUIRE(std::holds_alternative<Refused>(refused));
  back.gossip->on_reply(out[0].number, refused, {{10'000'000}, 0});
  REQUIRE(back.gossip->refusal().code() == Code::closed);
  int answers = 0;
  for (std::int64_t second = 11; second < 200; ++second) {
    Now now{{second * 1'000'000}, 0};
    back.gossip->on_wake(now);
    for (auto asked = back.gossip->take_outgoing(); !asked.empty();
         asked = back.gossip->take_outgoing()) {
      for (auto& each : asked) {
        if (each.address != "n6:1") {
          back.gossip->on_unreachable(each.number, now);
          continue;
        }
        Message said = stranger.gossip->on_gossip(std::get<Gossip>(each.message), now);
        back.gossip->on_reply(each.number, said, now);
        ++answers;
      }
    }
    REQUIRE(back.gossip->refusal().code() == Code::closed);
  }
  CHECK(answers > 10);
}

TEST_CASE("R4.8.1-b add, remove, add, while the node keeps its old directory") {
  Network network(6);
  for (int i = 0; i < 3; ++i) network.add(i, founded(3, 32, 2));
  network.add(3, {}, {"n0:1"});
  auto order = [&](bool join) {
    const MembershipView& here = network[2].gossip->view();
    REQUIRE(network[2]
                .gossip
                ->change(settled(after(here,
                                       [&](Changes& c, const MembershipView& v) {
                                         return join ? c.join(v, member(3)) : c.leave(v, "n3");
                                       })))
                .is_ok());
    network.run(Duration::seconds(10));
  };
  order(true);
  order(false);
  REQUIRE(network[0].gossip->view().standing("n3") == MembershipView::Standing::left);
  REQUIRE(network[3].gossip->view().standing("n3") == MembershipView::Standing::left);
  order(true);
  REQUIRE(network.all_equal());
  for (auto& node : network.nodes) {
    REQUIRE(node->gossip->view().standing("n3") == MembershipView::Standing::in);
    REQUIRE(node->gossip->view().find("n3")->events == 3);
    REQUIRE(node->stored == node->gossip->view());
  }
}

TEST_CASE("F-42 a replaced node that comes back with its old directory is refused") {
  MembershipView old = founded(4, 32, 3);
  MembershipView now = settled(after(
      old, [](Changes& c, const MembershipView& v) { return c.replace(v, "n2", "n9", "n9:1"); }));
  Network network(7);
  for (int i : {0, 1, 3, 9}) network.add(i, now);
  Node& back = network.add(2, old);
  network.run(Duration::seconds(10));
  REQUIRE(back.gossip->refusal().code() == Code::closed);
  REQUIRE(back.gossip->refusal().message().find("was replaced by \"n9\"") != std::string::npos);
  REQUIRE(back.logged("was replaced by \"n9\" and is no member any more"));
  for (int i = 0; i < 300; ++i) {  // and at no moment between two rounds does it look admitted
    network.run(Duration::millis(37));
    REQUIRE(back.gossip->refusal().code() == Code::closed);
  }
  for (std::size_t i = 0; i < 4; ++i) {
    REQUIRE(network[i].gossip->view() == now);
    REQUIRE(network[i].persisted == 0);
  }
}

TEST_CASE("F-43 a duplicate name, another cluster and another founding are refused, said once") {
  MembershipView view = founded(3, 32, 2);
  Network network(8);
  for (int i = 0; i < 3; ++i) network.add(i, view);
  Node& twin = network.add("n1", "elsewhere:1", view);
  Node& other = network.add("x", "x:1", {}, {"n0:1"}, "another");
  Node& alien = network.add("n5", "n5:1", *MembershipView::found([] {
                              Ring::Options options = options_of(2, 32, 2);
                              options.members.push_back(member(5));
                              return options;
                            }()));
  network.run(Duration::seconds(20));
  REQUIRE(twin.logged("two nodes are named alike"));
  REQUIRE(twin.gossip->refusal().code() == Code::closed);  // so it serves nobody
  REQUIRE(other.logged("is of cluster \"another\", this is cluster \"ringlet\""));
  REQUIRE(alien.logged("was founded with other members"));
  for (std::size_t i = 0; i < 3; ++i) {
    REQUIRE(network[i].gossip->view() == view);
    std::set<std::string> once(network[i].logs.begin(), network[i].logs.end());
    REQUIRE(once.size() == network[i].logs.size());
  }
}

TEST_CASE("A member that moved is admitted by whoever has not heard, once it shows its view") {
  MembershipView old = founded(3, 32, 2);
  MembershipView moved = after(
      old, [](Changes& c, const MembershipView& v) { return c.set_address(v, "n2", "new:1"); });
  Network network(9);
  network.add(0, old);
  network.add(1, old);
  network.add("n2", "new:1", moved);
  network.run(Duration::seconds(6));
  REQUIRE(network.all_equal());
  REQUIRE(network[0].gossip->view() == moved);
}

TEST_CASE("A view that cannot be kept is not taken, on either side") {
  MembershipView old = founded(2, 16, 2);
  MembershipView next = weight_changed(old);
  Network network(10);
  network.add(0, next);
  Node& full = network.add(1, old);
  full.disk_full = true;
  network.run(Duration::seconds(10));
  REQUIRE(full.gossip->view() == old);
  REQUIRE(full.logs.size() <= 2);
  REQUIRE(full.logged("disk full"));
  Message answer = full.gossip->on_gossip({"n0", "n0:1", "ringlet", next.digest(), next.encode()},
                                          {network.now, 0});
  REQUIRE(std::holds_alternative<Refused>(answer));
  REQUIRE(std::get<Refused>(answer).status.code() == Code::io);
  REQUIRE(full.gossip->change(next).code() == Code::io);
  full.disk_full = false;
  network.run(Duration::seconds(6));
  REQUIRE(network.all_equal());
  REQUIRE(full.gossip->view() == next);
}

TEST_CASE("R6.5 an order is on the disk before it is obeyed; who hears of it waits for no disk") {
  MembershipView old = founded(2, 16, 2);
  Network network(12);
  Node& told = network.add(0, old);
  Node& hears = network.add(1, old);
  REQUIRE(told.gossip->change(weight_changed(old)).is_ok());
  CHECK(told.kept == Keep::at_once);
  network.run(Duration::seconds(6));
  REQUIRE(network.all_equal());
  REQUIRE(hears.persisted == 1);
  CHECK(hears.kept == Keep::with_what_follows);
}

TEST_CASE("Corrupt gossip of a buggy peer is refused, logged once, and changes nothing") {
  MembershipView view = founded(3, 16, 2);
  Network network(12);
  Node& node = network.add(0, view);
  Random random(1);
  for (int i = 0; i < 300; ++i) {
    Bytes bytes = weight_changed(view).encode();
    bytes[random.below(bytes.size())] ^= 0x10;
    Message answer = node.gossip->on_gossip({"n1", "n1:1", "ringlet", 7, bytes}, {{}, 0});
    REQUIRE(std::holds_alternative<Refused>(answer));
    REQUIRE(std::get<Refused>(answer).status.code() == Code::corrupt);
  }
  REQUIRE(node.gossip->view() == view);
  REQUIRE(node.persisted == 0);
  std::set<std::string> once(node.logs.begin(), node.logs.end());
  REQUIRE(once.size() == node.logs.size());
  // As an answer, and answers nobody asked for.
  node.gossip->on_reply(RequestId{99}, GossipAnswer{1, "junk"}, {{}, 0});
  node.gossip->on_wake({{10'000'000}, 0});
  auto out = node.gossip->take_outgoing();
  REQUIRE(out.size() == 1);
  node.gossip->on_reply(out[0].number, GossipAnswer{1, "junk"}, {{10'000'000}, 0});
  node.gossip->on_reply(out[0].number, Pong{}, {{10'000'000}, 0});
  REQUIRE(node.gossip->view() == view);
  REQUIRE(node.gossip->take_outgoing().empty());
}

}  // namespace ringlet
