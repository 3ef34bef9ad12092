#include "ring/ring.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <set>

#include "base/random.hpp"

namespace ringlet {
namespace {

using Names = std::vector<std::string>;

Member member(const std::string& name, const std::string& zone = "", std::uint32_t weight = 1) {
  return {node_id_of(name), name, name + ":1", zone, weight};
}

Ring::Options options_of(std::uint32_t members, std::uint32_t partitions,
                         std::uint32_t replicas = 3) {
  Ring::Options options;
  options.partitions = partitions;
  options.replicas = replicas;
  for (std::uint32_t i = 0; i < members; ++i) {
    options.members.push_back(member("n" + std::to_string(i)));
  }
  return options;
}

std::shared_ptr<const Ring> built(Ring::Options options) {
  auto ring = Ring::build(std::move(options));
  INFO(ring.status().to_string());
  REQUIRE(ring.is_ok());
  return *ring;
}

std::map<NodeId, std::uint32_t> counts_of(const Ring& ring) {
  std::map<NodeId, std::uint32_t> counts;
  for (NodeId owner : ring.owners()) ++counts[owner];
  return counts;
}

std::string refusal(Ring::Options options) {
  auto ring = Ring::build(std::move(options));
  REQUIRE(!ring.is_ok());
  REQUIRE(ring.status().code() == Code::invalid_argument);
  return ring.status().message();
}

Token random_token(Random& random) {
  Token token;
  token.high = random.next();
  token.low = random.next();
  return token;
}

}  // namespace

TEST_CASE("R4.2-a a key exactly on a partition's end belongs to it, and the circle wraps") {
  for (std::uint32_t q : {1u, 2u, 64u, 65536u}) {
    auto ring = built(options_of(1, q));
    CHECK(ring->partition_of({0, 0}) == q - 1);  // 0 is 2^128, the last one's end
    CHECK(ring->partition_of({0, 1}) == 0);
    CHECK(ring->partition_of({UINT64_MAX, UINT64_MAX}) == q - 1);
    CHECK(ring->end_of(q - 1) == Token{0, 0});
    for (std::uint32_t p = 0; p < q; p += std::max(1u, q / 64)) {
      Token end = ring->end_of(p);
      REQUIRE(ring->partition_of(end) == p);
      Token after = end;
      after.low += 1;  // the ends of 2^k partitions have no low bits to carry from
      REQUIRE(ring->partition_of(after) == (p + 1) % q);
    }
  }
  CHECK(built(options_of(2, 2))->end_of(0) == Token{std::uint64_t{1} << 63, 0});
}

TEST_CASE("R4.3-b a preference list has every member once, the owner first") {
  Random random(1);
  for (std::uint32_t members : {1u, 2u, 3u, 4u, 5u, 7u, 16u, 30u}) {
    auto ring = built(options_of(members, 64));
    CHECK(ring->replicas() == 3);
    CHECK(ring->effective_replicas() == std::min(3u, members));
    for (std::uint32_t p = 0; p < 64; ++p) {
      const auto& list = ring->preference_list(p);
      REQUIRE(list.size() == members);
      REQUIRE(list.front() == ring->owners()[p]);
      REQUIRE(std::set<NodeId>(list.begin(), list.end()).size() == members);
      // Clockwise: without zones it is the order in which the owners are met.
      std::vector<NodeId> met;
      for (std::uint32_t step = 0; step < 64; ++step) {
        NodeId owner = ring->owners()[(p + step) % 64];
        if (std::find(met.begin(), met.end(), owner) == met.end()) met.push_back(owner);
      }
      REQUIRE(list == met);
    }
    for (int i = 0; i < 100; ++i) {
      Token token = random_token(random);
      const auto& list = ring->preference_list(token);
      REQUIRE(&list == &ring->preference_list(ring->partition_of(token)));
      for (std::size_t k = 0; k < list.size(); ++k) {
        REQUIRE(ring->owns(list[k], token) == (k < ring->effective_replicas()));
      }
    }
  }
}

TEST_CASE(
    "R4.3-a the worked example: a key between A and B lives on B, C, D; D holds three ranges") {
  Ring::Options options;
  options.partitions = 8;  // eight equal arcs, ending at A B C D E F G and at A again
  Names names = {"A", "B", "C", "D", "E", "F", "G"};
  std::vector<NodeId> owners;
  for (auto& name : names) {
    options.members.push_back(member(name));
    owners.push_back(node_id_of(name));
  }
  owners.push_back(node_id_of("A"));
  auto ring = *Ring::from_owners(options, owners);
  auto first_three = [&](std::uint32_t p) {
    std::string text;
    for (int i = 0; i < 3; ++i) text += ring->find(ring->preference_list(p)[i])->name;
    return text;
  };
  CHECK(first_three(1) == "BCD");  // (A, B]
  CHECK(first_three(6) == "GAB");  // the second A is skipped: distinct nodes
  std::set<std::uint32_t> held;
  for (std::uint32_t p = 0; p < 8; ++p) {
    if (ring->owns(node_id_of("D"), ring->end_of(p))) held.insert(p);
  }
  CHECK(held == std::set<std::uint32_t>{1, 2, 3});
}

TEST_CASE("R4.6-d with three zones every key has a replica in each, even when they are unequal") {
  for (auto sizes : std::vector<std::vector<int>>{{1, 1, 1}, {2, 2, 2}, {4, 2, 1}, {5, 5, 5}}) {
    Ring::Options options;
    options.partitions = 256;
    for (std::size_t zone = 0; zone < 3; ++zone) {
      for (int i = 0; i < sizes[zone]; ++i) {
        std::string z = "z" + std::to_string(zone);
        options.members.push_back(member(z + "-" + std::to_string(i), z));
      }
    }
    auto ring = built(options);
    for (std::uint32_t p = 0; p < 256; ++p) {
      std::set<std::string> zones;
      for (int i = 0; i < 3; ++i) zones.insert(ring->find(ring->preference_list(p)[i])->zone);
      REQUIRE(zones.size() == 3);
    }
  }
}

TEST_CASE("O-18 with fewer zones than replicas each zone gets its share before any gets more") {
  Ring::Options options;
  options.partitions = 128;
  options.replicas = 4;
  for (int i = 0; i < 6; ++i) options.members.push_back(member("a" + std::to_string(i), "a"));
  for (int i = 0; i < 2; ++i) options.members.push_back(member("b" + std::to_string(i), "b"));
  auto ring = built(options);
  for (std::uint32_t p = 0; p < 128; ++p) {
    int in_b = 0;
    for (int i = 0; i < 4; ++i) in_b += ring->find(ring->preference_list(p)[i])->zone == "b";
    REQUIRE(in_b == 2);
  }
}

TEST_CASE("O-18 members without a zone share their fate with nobody") {
  Ring::Options options;
  options.partitions = 4;
  options.members = {member("a1", "a"), member("a2", "a"), member("x"), member("y")};
  std::vector<NodeId> owners;
  for (const char* name : {"a1", "a2", "x", "y"}) owners.push_back(node_id_of(name));
  auto ring = Ring::from_owners(options, owners);
  REQUIRE(ring.is_ok());
  std::vector<NodeId> wanted;
  for (const char* name : {"a1", "x", "y", "a2"}) wanted.push_back(node_id_of(name));
  CHECK((*ring)->preference_list(0u) == wanted);  // zone a is used up by a1
}

TEST_CASE("as many members as partitions own one each") {
  auto ring = built(options_of(16, 16));
  for (auto& [node, count] : counts_of(*ring)) CHECK(count == 1);
  CHECK(counts_of(*ring).size() == 16);
}

TEST_CASE("the digest covers the weights, also where they move no partition") {
  Ring::Options options = options_of(3, 8);
  auto ring = built(options);
  auto digest = [&] { return (*Ring::from_owners(options, ring->owners()))->digest(); };
  CHECK(digest() == ring->digest());
  options.members[1].weight = 2;
  CHECK(digest() != ring->digest());
}

TEST_CASE("an address may have 255 bytes and no more") {
  Ring::Options options = options_of(3, 8);
  options.members[1].address = std::string(253, 'a') + ":1";
  CHECK(Ring::build(options).is_ok());
  options.members[1].address = std::string(254, 'a') + ":1";
  CHECK_THAT(refusal(options), Catch::Contains("host:port"));
}

TEST_CASE("R2.3-c(iii) a node of twice the weight gets twice the partitions, within 10 %") {
  Ring::Options options = options_of(10, 1024);
  options.members[4].weight = 2;
  auto ring = built(options);
  auto counts = counts_of(*ring);
  double twice = counts[node_id_of("n4")];
  for (auto& [node, count] : counts) {
    if (node == node_id_of("n4")) continue;
    CHECK(twice / count == Approx(2).epsilon(0.1));
    CHECK((count == 1024 / 11 || count == 1024 / 11 + 1));
  }
}

TEST_CASE("a ring of 300 nodes and 4096 partitions is built in less than a second") {
  auto options = options_of(300, 4096);
  auto start = std::chrono::steady_clock::now();
  auto ring = built(options);
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  INFO("it took " << took.count() << " s");
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  CHECK(took.count() < 1);
#endif
  CHECK(ring->preference_list(0u).size() == 300);
}

TEST_CASE("the order in which members are listed does not matter; everything else does") {
  Ring::Options options = options_of(9, 128);
  options.members[2].weight = 3;
  options.members[5].zone = "east";
  auto ring = built(options);
  Random random(7);
  for (int i = 0; i < 20; ++i) {
    random.shuffle(options.members);
    auto other = built(options);
    REQUIRE(other->owners() == ring->owners());
    REQUIRE(other->members() == ring->members());
    REQUIRE(other->digest() == ring->digest());
  }
  std::set<std::uint64_t> digests{ring->digest()};
  auto differs = [&](auto change) {
    Ring::Options changed = options;
    change(changed);
    return digests.insert(built(changed)->digest()).second;
  };
  CHECK(differs([](auto& o) { o.cluster = "other"; }));
  CHECK(differs([](auto& o) { o.epoch = 2; }));
  CHECK(differs([](auto& o) { o.partitions = 64; }));
  CHECK(differs([](auto& o) { o.replicas = 2; }));
  CHECK(differs([](auto& o) { o.members[0].address = "elsewhere:1"; }));
  CHECK(differs([](auto& o) { o.members[0].zone = "west"; }));
  CHECK(differs([](auto& o) { o.members[0].weight = 9; }));
  CHECK(differs([](auto& o) { o.members.pop_back(); }));
  std::vector<NodeId> owners = ring->owners();
  auto at = std::find_if(owners.begin(), owners.end(), [&](NodeId id) { return id != owners[0]; });
  std::iter_swap(owners.begin(), at);
  CHECK((*Ring::from_owners(options, owners))->digest() != ring->digest());
  CHECK((*Ring::from_owners(options, ring->owners()))->digest() == ring->digest());
}

TEST_CASE("members are found by id and by name") {
  auto ring = built(options_of(5, 64));
  REQUIRE(ring->find("n3"));
  CHECK(ring->find("n3")->id == node_id_of("n3"));
  CHECK(ring->find(node_id_of("n3")) == ring->find("n3"));
  CHECK(ring->find("n5") == nullptr);
  CHECK(ring->find(NodeId{1}) == nullptr);
  CHECK(ring->cluster() == "ringlet");
  CHECK(ring->epoch() == 1);
}

TEST_CASE("a ring that cannot be is refused with what was wanted and what was got") {
  using Catch::Contains;
  Ring::Options good = options_of(3, 64);
  auto with = [&](auto change) {
    Ring::Options bad = good;
    change(bad);
    return refusal(bad);
  };
  CHECK_THAT(with([](auto& o) { o.members.clear(); }), Contains("at least one member, got none"));
  CHECK_THAT(with([](auto& o) { o.members.push_back(o.members[0]); }),
             Contains("two members are named \"n0\""));
  CHECK_THAT(with([](auto& o) { o.members[1].id = o.members[0].id; }),
             Contains("\"n1\" must have the id of its name"));
  CHECK_THAT(with([](auto& o) { o.members[1].name = "a b"; }), Contains("\"a b\""));
  CHECK_THAT(with([](auto& o) { o.members[1].name = ""; }), Contains("1 to 64"));
  CHECK_THAT(with([](auto& o) { o.members[1].name = std::string(65, 'x'); }), Contains("1 to 64"));
  for (const char* address :
       {"", "host", ":1", "host:", "host:65536", "host:1x", "a:b:1", "a b:1", "[]:1", "host:-1"}) {
    INFO(address);
    CHECK_THAT(with([&](auto& o) { o.members[1].address = address; }), Contains("host:port"));
  }
  CHECK_THAT(with([](auto& o) { o.members[1].address = o.members[0].address; }),
             Contains("same address \"n0:1\""));
  CHECK_THAT(with([](auto& o) { o.members[1].zone = "no/good"; }), Contains("zone \"no/good\""));
  CHECK_THAT(with([](auto& o) { o.members[1].weight = 0; }),
             Contains("weight 0, wanted 1 to 1000"));
  CHECK_THAT(with([](auto& o) { o.members[1].weight = 1001; }), Contains("weight 1001"));
  for (std::uint32_t q : {0u, 3u, 100u, 131072u}) {
    CHECK_THAT(with([&](auto& o) { o.partitions = q; }),
               Contains("power of two") && Contains("got " + std::to_string(q)));
  }
  CHECK_THAT(with([](auto& o) { o.replicas = 0; }), Contains("replicas must be 1 to 16, got 0"));
  CHECK_THAT(with([](auto& o) { o.replicas = 17; }), Contains("got 17"));
  CHECK_THAT(with([](auto& o) { o.partitions = 2; }), Contains("at least 3 partitions"));
  CHECK_THAT(with([](auto& o) { o.cluster = ""; }), Contains("cluster's name"));

  auto owners = built(good)->owners();
  owners.pop_back();
  CHECK_THAT(Ring::from_owners(good, owners).status().message(), Contains("64 partitions, got 63"));
  owners.push_back(NodeId{5});
  CHECK_THAT(Ring::from_owners(good, owners).status().message(),
             Contains("partition 63 is owned by 0000000000000005"));
  owners.back() = owners.front();
  CHECK(Ring::from_owners(good, owners).is_ok());
  for (const char* address : {"127.0.0.1:0", "[::1]:65535", "host.example:80"}) {
    Ring::Options fine = good;
    fine.members[1].address = address;
    CHECK(Ring::build(fine).is_ok());
  }
}

TEST_CASE("any members, weights, zones and sizes: shares, lists and digests hold") {
  REQUIRE(rc::check([] {
    auto members = *rc::gen::inRange<std::uint32_t>(1, 24);
    auto bits = *rc::gen::inRange<std::uint32_t>(5, 10);
    auto replicas = *rc::gen::inRange<std::uint32_t>(1, 6);
    auto zones = *rc::gen::inRange<std::uint32_t>(0, 6);
    Ring::Options options = options_of(members, 1u << bits, replicas);
    for (Member& m : options.members) {
      m.weight = *rc::gen::inRange<std::uint32_t>(1, 4);
      if (zones > 0) m.zone = "z" + std::to_string(*rc::gen::inRange<std::uint32_t>(0, zones));
    }
    auto ring = Ring::build(options);
    RC_ASSERT(ring.is_ok());
    auto counts = counts_of(**ring);
    RC_ASSERT(counts.size() == members);
    std::set<std::string> all_zones;
    for (const Member& m : (*ring)->members()) {
      all_zones.insert(m.zone.empty() ? "/" + m.name : m.zone);
    }
    for (std::uint32_t p = 0; p < (*ring)->partitions(); ++p) {
      const auto& list = (*ring)->preference_list(p);
      RC_ASSERT(std::set<NodeId>(list.begin(), list.end()).size() == members);
      std::set<std::string> owner_zones;
      for (std::uint32_t i = 0; i < (*ring)->effective_replicas(); ++i) {
        const Member* m = (*ring)->find(list[i]);
        owner_zones.insert(m->zone.empty() ? "/" + m->name : m->zone);
      }
      RC_ASSERT(owner_zones.size() ==
                std::min<std::size_t>((*ring)->effective_replicas(), all_zones.size()));
    }
  }));
}

}  // namespace ringlet
