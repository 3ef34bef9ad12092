// Tables of slots: laws of their merge, and rings in motion.
#include "ring/ownership_table.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "base/random.hpp"
#include "ring/ring.hpp"

namespace ringlet {
namespace {

NodeId node(std::uint64_t n) {
  return {n};
}

SlotEntry any_entry(Random& random) {
  return {random.below(3), node(1 + random.below(4)), node(random.below(5))};
}

OwnershipTable any_table(Random& random, std::size_t slots) {
  OwnershipTable table(slots);
  for (SlotEntry& entry : table) entry = any_entry(random);
  return table;
}

Member member(int n, const std::string& zone = "") {
  std::string name = "n" + std::to_string(n);
  return {node_id_of(name), name, name + ":1", zone, 1};
}

Ring::Options options_of(int members, std::uint32_t q, std::uint32_t n, int zones = 0) {
  Ring::Options options;
  options.partitions = q;
  options.replicas = n;
  for (int i = 0; i < members; ++i) {
    options.members.push_back(
        member(i, zones > 0 ? "z" + std::to_string(i % zones) : std::string()));
  }
  return options;
}

std::vector<NodeId> first_n(const Ring& ring, std::uint32_t p) {
  const auto& list = ring.preference_list(p);
  std::vector<NodeId> first(list.begin(), list.begin() + ring.effective_replicas());
  std::sort(first.begin(), first.end());
  return first;
}

std::shared_ptr<const Ring> table_ring(const Ring::Options& options, std::vector<NodeId> owners,
                                       std::vector<NodeId> next) {
  auto ring = Ring::from_table(options, std::move(owners), std::move(next));
  INFO(ring.status().to_string());
  REQUIRE(ring.is_ok());
  return *ring;
}

}  // namespace

TEST_CASE("O-15 merging tables is commutative, associative, idempotent and never goes back") {
  REQUIRE(rc::check([](std::uint64_t seed) {
    Random random(seed);
    std::size_t slots = 1 + random.below(8);
    OwnershipTable a = any_table(random, slots), b = any_table(random, slots),
                   c = any_table(random, slots);
    RC_ASSERT(merge(a, b) == merge(b, a));
    RC_ASSERT(merge(merge(a, b), c) == merge(a, merge(b, c)));
    RC_ASSERT(merge(a, a) == a);
    OwnershipTable ab = merge(a, b);
    for (std::size_t p = 0; p < slots; ++p) {
      RC_ASSERT(!wins_over(a[p], ab[p]) && !wins_over(b[p], ab[p]));
      RC_ASSERT(ab[p] == a[p] || ab[p] == b[p]);
    }
  }));
}

TEST_CASE("O-15 the higher epoch wins, then the larger owner, then the larger next") {
  REQUIRE(wins_over({2, node(1), node(0)}, {1, node(9), node(9)}));
  REQUIRE(wins_over({1, node(2), node(0)}, {1, node(1), node(9)}));
  REQUIRE(wins_over({1, node(1), node(2)}, {1, node(1), node(1)}));
  REQUIRE_FALSE(wins_over({1, node(1), node(1)}, {1, node(1), node(1)}));
}

TEST_CASE("O-15 settling gives every slot a member, whatever the table says") {
  REQUIRE(rc::check([](std::uint64_t seed) {
    Random random(seed);
    OwnershipTable table = any_table(random, 1 + random.below(16));
    std::vector<NodeId> staying, leaving;
    for (std::uint64_t n = 1; n <= 5; ++n) {
      std::uint64_t draw = random.below(3);
      if (draw == 0) staying.push_back(node(n));
      if (draw == 1) leaving.push_back(node(n));
    }
    if (staying.empty() && leaving.empty()) staying.push_back(node(3));
    Ownership settled = settle(table, staying, leaving);
    std::set<NodeId> members(staying.begin(), staying.end());
    members.insert(leaving.begin(), leaving.end());
    for (std::size_t p = 0; p < table.size(); ++p) {
      RC_ASSERT(members.contains(settled.owners[p]));
      RC_ASSERT(!settled.next[p] || members.contains(settled.next[p]));
      if (members.contains(table[p].owner)) RC_ASSERT(settled.owners[p] == table[p].owner);
      bool leaves = std::count(leaving.begin(), leaving.end(), settled.owners[p]) > 0;
      if (leaves && !staying.empty()) {
        RC_ASSERT(std::count(staying.begin(), staying.end(), settled.next[p]) == 1);
      }
    }
  }));
}

TEST_CASE("O-15 settling does not change its mind while heirs flip one after the other") {
  REQUIRE(rc::check([](std::uint64_t seed) {
    Random random(seed);
    OwnershipTable table = any_table(random, 4 + random.below(28));
    std::vector<NodeId> staying{node(2), node(3), node(5)};  // 1 is gone, 4 leaves
    Ownership settled = settle(table, staying, {node(4)});
    std::vector<NodeId> order = staying;
    random.shuffle(order);
    for (NodeId heir : order) {
      for (std::size_t p = 0; p < table.size(); ++p) {
        if (settled.next[p] == heir) table[p] = {table[p].epoch + 1, heir, {}};
      }
      Ownership after = settle(table, staying, {node(4)});
      for (std::size_t p = 0; p < table.size(); ++p) {
        NodeId was = settled.next[p] ? settled.next[p] : settled.owners[p];
        RC_ASSERT((after.next[p] ? after.next[p] : after.owners[p]) == was);
      }
    }
  }));
}

TEST_CASE("R4.9-a golden example: X joins between A and B of A..G") {
  // Eight slots of a circle; A owns two, and X takes the second of them: (A,X] in the paper's
  // words is then slot 1, (G,A] slot 0, (F,G] slot 7.
  Ring::Options options = options_of(8, 8, 3);  // n0..n6 are A..G, n7 is X
  auto id = [&](int n) { return member(n).id; };
  std::vector<NodeId> owners{id(0), id(1), id(1), id(2), id(3), id(4), id(5), id(6)};
  std::vector<NodeId> next(8);
  next[1] = id(7);
  auto ring = table_ring(options, owners, next);
  REQUIRE(ring->moving());
  using Ids = std::vector<NodeId>;
  for (std::uint32_t p : {7u, 0u, 1u}) REQUIRE(ring->incoming(p) == Ids{id(7)});
  for (std::uint32_t p : {2u, 3u, 4u, 5u, 6u}) {
    REQUIRE(ring->incoming(p).empty());
    REQUIRE(ring->outgoing(p).empty());
  }
  REQUIRE(ring->outgoing(7) == Ids{id(1)});  // B drops (F,G]
  REQUIRE(ring->outgoing(0) == Ids{id(2)});  // C drops (G,A]
  REQUIRE(ring->outgoing(1) == Ids{id(3)});  // D drops (A,X]
  REQUIRE(ring->pulls(id(7)) == std::vector<std::uint32_t>{0, 1, 7});
  REQUIRE(ring->pulls(id(1)).empty());
  for (std::uint32_t p = 0; p < 8; ++p) REQUIRE(ring->preference_list(p).back() == id(7));
}

TEST_CASE("R4.9 incoming and outgoing are the difference to the rings to come") {
  REQUIRE(rc::check([](std::uint64_t seed) {
    Random random(seed);
    int members = 1 + static_cast<int>(random.below(8));
    std::uint32_t q = 8u << random.below(3);
    std::uint32_t n = 1 + static_cast<std::uint32_t>(random.below(4));
    Ring::Options options = options_of(members, q, n, static_cast<int>(random.below(4)));
    std::vector<NodeId> owners(q), next(q);
    std::uint64_t owning = 1 + random.below(static_cast<std::uint64_t>(members));
    for (NodeId& owner : owners) owner = options.members[random.below(owning)].id;
    for (NodeId& node : next) {
      if (random.below(3) == 0) {
        node = options.members[random.below(static_cast<std::uint64_t>(members))].id;
      }
    }
    auto ring = table_ring(options, owners, next);
    std::vector<std::vector<NodeId>> to_come;
    auto apply = [&](NodeId only) {
      std::vector<NodeId> applied = owners;
      for (std::uint32_t p = 0; p < q; ++p) {
        if (next[p] && (!only || next[p] == only)) applied[p] = next[p];
      }
      to_come.push_back(applied);
    };
    apply({});
    for (const Member& m : options.members) apply(m.id);
    for (std::uint32_t p = 0; p < q; ++p) {
      std::vector<NodeId> now = first_n(*ring, p);
      RC_ASSERT(std::set<NodeId>(now.begin(), now.end()).size() == now.size());
      std::set<NodeId> in, out;
      for (const auto& applied : to_come) {
        std::vector<NodeId> then = first_n(*table_ring(options, applied, {}), p);
        for (NodeId id : then) {
          if (!std::binary_search(now.begin(), now.end(), id)) in.insert(id);
        }
        for (NodeId id : now) {
          if (!std::binary_search(then.begin(), then.end(), id)) out.insert(id);
        }
      }
      RC_ASSERT(ring->incoming(p) == std::vector<NodeId>(in.begin(), in.end()));
      RC_ASSERT(ring->outgoing(p) == std::vector<NodeId>(out.begin(), out.end()));
    }
    // to_come[0] is everybody's flip, the next that of the first member alone, and so on.
    for (std::size_t i = 0; i < options.members.size(); ++i) {
      Ring::Companions companions;
      auto then = table_ring(options, to_come[i + 1], {});
      for (std::uint32_t p = 0; p < q; ++p) {
        std::vector<NodeId> now = first_n(*ring, p);
        for (NodeId id : first_n(*then, p)) {
          bool was = std::binary_search(now.begin(), now.end(), id);
          if (!was && id != options.members[i].id) companions[id].push_back(p);
        }
      }
      RC_ASSERT(ring->companions(options.members[i].id) == companions);
      for (const auto& [id, partitions] : companions) {  // they pull it, too
        const auto& pulls = ring->pulls(id);
        RC_ASSERT(std::includes(pulls.begin(), pulls.end(), partitions.begin(), partitions.end()));
      }
    }
    for (const Member& m : options.members) {
      for (std::uint32_t p : ring->pulls(m.id)) {
        bool comes = std::binary_search(ring->incoming(p).begin(), ring->incoming(p).end(), m.id);
        std::vector<NodeId> now = first_n(*ring, p);
        RC_ASSERT(comes || std::binary_search(now.begin(), now.end(), m.id));
      }
    }
  }));
}

TEST_CASE("R4.8.1-a a member without slots is in every list and never among the N") {
  for (int zones : {0, 4}) {
    Ring::Options options = options_of(5, 16, 3, zones);
    std::vector<NodeId> owners(16);
    for (std::size_t p = 0; p < 16; ++p) owners[p] = member(static_cast<int>(p % 2)).id;
    auto ring = table_ring(options, owners, {});
    REQUIRE(ring->effective_replicas() == 2);
    REQUIRE_FALSE(ring->moving());
    for (std::uint32_t p = 0; p < 16; ++p) {
      REQUIRE(ring->preference_list(p).size() == 5);
      std::set<NodeId> first{ring->preference_list(p)[0], ring->preference_list(p)[1]};
      REQUIRE(first == std::set<NodeId>{member(0).id, member(1).id});
      REQUIRE(ring->incoming(p).empty());
    }
  }
}

TEST_CASE("R4.9 whoever took a lost node's place pulls all that it owns") {
  Ring::Options options = options_of(3, 9 - 1, 2);
  std::vector<NodeId> owners(8), next(8);
  for (std::size_t p = 0; p < 8; ++p) owners[p] = member(static_cast<int>(p % 3)).id;
  for (std::size_t p = 0; p < 8; ++p) {
    if (owners[p] == member(2).id) next[p] = owners[p];
  }
  auto ring = table_ring(options, owners, next);
  std::vector<std::uint32_t> owned;
  for (std::uint32_t p = 0; p < 8; ++p) {
    REQUIRE(ring->incoming(p).empty());
    if (ring->owns(member(2).id, ring->end_of(p))) owned.push_back(p);
  }
  REQUIRE(owned.size() >= 4);
  REQUIRE(ring->pulls(member(2).id) == owned);
}

TEST_CASE("A ring's digest covers what moves; nothing that moves is the ring at rest") {
  Ring::Options options = options_of(3, 4, 2);
  std::vector<NodeId> owners(4, member(0).id), next(4);
  auto rest = Ring::from_owners(options, owners);
  REQUIRE(table_ring(options, owners, next)->digest() == (*rest)->digest());
  REQUIRE(table_ring(options, owners, {})->digest() == (*rest)->digest());
  next[2] = member(1).id;
  std::uint64_t one = table_ring(options, owners, next)->digest();
  next[2] = member(2).id;
  REQUIRE(one != (*rest)->digest());
  REQUIRE(one != table_ring(options, owners, next)->digest());
}

TEST_CASE("Tables that are none are refused") {
  Ring::Options options = options_of(2, 4, 2);
  std::vector<NodeId> owners(4, member(0).id);
  auto short_next = Ring::from_table(options, owners, {member(1).id});
  REQUIRE(short_next.status().message().find("wanted a next owner for each of 4") !=
          std::string::npos);
  auto stranger = Ring::from_table(options, owners, std::vector<NodeId>(4, member(7).id));
  REQUIRE(stranger.status().message().find("who is not a member") != std::string::npos);
  REQUIRE_FALSE(Ring::from_table(options, {}, {}).is_ok());
}

}  // namespace ringlet
