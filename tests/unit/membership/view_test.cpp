// Histories and views: laws of their merge, what events mean, bytes.
#include "membership/view.hpp"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <set>

#include "base/random.hpp"
#include "membership/changes.hpp"
#include "unit/membership/membership_samples.hpp"

namespace ringlet {
namespace {

using namespace membership_samples;
using Standing = MembershipView::Standing;

// Orders at random, on a view that is somebody's.
MembershipView evolved(MembershipView view, Random& random, int orders) {
  for (int i = 0; i < orders; ++i) {
    Changes changes;
    std::string name = "n" + std::to_string(random.below(8));
    switch (random.below(5)) {
      case 0:
      case 1:
        (void)changes.join(view, member(static_cast<int>(random.below(8))));
        break;
      case 2:
        (void)changes.leave(view, name);
        break;
      case 3:
        (void)changes.replace(view, name, "r" + std::to_string(random.below(4)),
                              "r" + std::to_string(random.below(4)) + ":1");
        break;
      default: {
        const auto& members = view.ring()->members();
        NodeId who = members[random.below(members.size())].id;
        view = view.arrived(who, view.arriving(who));
      }
    }
    if (changes.empty()) continue;
    auto next = changes.commit(view, member(static_cast<int>(random.below(3))).id, 5);
    RC_ASSERT(next.is_ok());
    view = *next;
  }
  return view;
}

MembershipView joined(const MembershipView& a, const MembershipView& b) {
  auto merged = a.merge(b);
  INFO(merged.status().to_string());
  REQUIRE(merged.is_ok());
  return *merged;
}

void check_distinct_owners(const MembershipView& view) {
  const Ring& ring = *view.ring();
  std::set<NodeId> owning(ring.owners().begin(), ring.owners().end());
  RC_ASSERT(ring.effective_replicas() == std::min<std::size_t>(owning.size(), view.replicas()));
  for (std::uint32_t p = 0; p < ring.partitions(); ++p) {
    const auto& list = ring.preference_list(p);
    std::set<NodeId> first(list.begin(), list.begin() + ring.effective_replicas());
    RC_ASSERT(first.size() == ring.effective_replicas());
    for (NodeId id : first) RC_ASSERT(ring.find(id) != nullptr);
  }
}

}  // namespace

TEST_CASE("R4.8.1-d O-15 views merge to the same bytes in any order, and owners stay distinct") {
  REQUIRE(rc::check([](std::uint64_t seed) {
    Random random(seed);
    MembershipView origin = founded(1 + static_cast<int>(random.below(3)), 16, 3);
    MembershipView base = evolved(origin, random, static_cast<int>(random.below(4)));
    MembershipView a = evolved(base, random, 3), b = evolved(base, random, 3),
                   c = evolved(base, random, 3);
    RC_ASSERT(joined(a, b) == joined(b, a));
    RC_ASSERT(joined(joined(a, b), c) == joined(a, joined(b, c)));
    RC_ASSERT(joined(a, a) == a);
    RC_ASSERT(joined(a, origin) == a);
    for (const MembershipView& view : {a, joined(a, b), joined(joined(a, b), c)}) {
      check_distinct_owners(view);
      RC_ASSERT(view.epoch() >= a.epoch());
      auto back = MembershipView::decode(view.encode());
      RC_ASSERT(back.is_ok());
      RC_ASSERT(*back == view);
      RC_ASSERT(back->ring()->digest() == view.ring()->digest());
    }
    if (a.digest() != base.digest()) RC_ASSERT(a.epoch() > base.epoch());
  }));
}

TEST_CASE("R4.8.1-b add, remove, add: in, with three events, on whatever side") {
  MembershipView view = founded(3, 16, 3);
  view = after(view, [](Changes& c, const MembershipView& v) { return c.join(v, member(3)); });
  view = settled(view);
  REQUIRE(view.standing("n3") == Standing::in);
  MembershipView old = view;
  view = after(view, [](Changes& c, const MembershipView& v) { return c.leave(v, "n3"); });
  REQUIRE(view.standing("n3") == Standing::leaving);
  REQUIRE(view.ring()->find("n3") != nullptr);
  view = settled(view);
  REQUIRE(view.standing("n3") == Standing::left);
  REQUIRE(view.ring()->find("n3") == nullptr);
  view = after(view, [](Changes& c, const MembershipView& v) { return c.join(v, member(3)); });
  REQUIRE(view.standing("n3") == Standing::in);
  REQUIRE(view.find("n3")->events == 3);
  REQUIRE(joined(old, view) == view);
}

TEST_CASE("R4.9 a joiner is reachable at once and owns slots only after it has arrived") {
  MembershipView view = founded(3, 16, 2);
  view = after(view, [](Changes& c, const MembershipView& v) { return c.join(v, member(3)); });
  NodeId x = member(3).id;
  REQUIRE(view.ring()->find(x) != nullptr);
  std::vector<std::uint32_t> slots = view.arriving(x);
  REQUIRE(slots.size() == 4);
  for (NodeId owner : view.ring()->owners()) REQUIRE(owner != x);
  REQUIRE(view.arrived(x, {}) == view);
  REQUIRE(view.arrived(member(1).id, slots) == view);
  MembershipView there = view.arrived(x, slots);
  for (std::uint32_t p : slots) REQUIRE(there.ring()->owners()[p] == x);
  REQUIRE_FALSE(there.ring()->moving());
  REQUIRE(there.epoch() == view.epoch() + slots.size());
}

TEST_CASE("A replaced node is out at once, and its heir has to fill what it got") {
  MembershipView view = founded(4, 16, 2);
  auto slots_of = [](const MembershipView& v, const std::string& name) {
    std::set<std::uint32_t> slots;
    for (std::uint32_t p = 0; p < v.partitions(); ++p) {
      if (v.ring()->owners()[p] == node_id_of(name)) slots.insert(p);
    }
    return slots;
  };
  std::set<std::uint32_t> before = slots_of(view, "n2");
  view = after(
      view, [](Changes& c, const MembershipView& v) { return c.replace(v, "n2", "n9", "n2:1"); });
  REQUIRE(view.standing("n2") == Standing::replaced);
  REQUIRE(view.ring()->find("n2") == nullptr);
  REQUIRE(slots_of(view, "n9") == before);
  REQUIRE(view.ring()->pulls(node_id_of("n9")).size() >= before.size());
  view = settled(view);
  REQUIRE(slots_of(view, "n9") == before);
  REQUIRE(view.ring()->pulls(node_id_of("n9")).empty());
}

TEST_CASE("Two joined at one address on two sides: the first keeps it") {
  MembershipView base = founded(2, 8, 2);
  auto with = [&](int issuer, const std::string& name) {
    Changes changes;
    REQUIRE(changes.join(base, {{}, name, "same:1", "", 1}).is_ok());
    return *changes.commit(base, member(issuer).id, 7);
  };
  MembershipView merged = joined(with(0, "x"), with(1, "y"));
  int in = 0, clashing = 0;
  for (const char* name : {"x", "y"}) {
    in += merged.standing(name) == Standing::in;
    clashing += merged.standing(name) == Standing::clashing;
  }
  REQUIRE(in == 1);
  REQUIRE(clashing == 1);
  REQUIRE(merged.ring()->members().size() == 3);
}

TEST_CASE("Each leaves on its own side of a split, to the end: the ring is not empty") {
  MembershipView base = founded(2, 8, 2);
  auto without = [&](const std::string& name) {
    return settled(
        after(base, [&](Changes& c, const MembershipView& v) { return c.leave(v, name); }));
  };
  MembershipView merged = joined(without("n0"), without("n1"));
  REQUIRE(merged.ring()->members().size() >= 1);
}

TEST_CASE("Views of another cluster or founding never merge, and say so") {
  auto refusal = [](const MembershipView& a, const MembershipView& b) {
    auto merged = a.merge(b);
    REQUIRE_FALSE(merged.is_ok());
    return merged.status().message();
  };
  MembershipView view = founded(3, 16, 3);
  REQUIRE(refusal(view, founded(4, 16, 3)).find("was founded with other members: here") !=
          std::string::npos);
  REQUIRE(refusal(view, founded(3, 32, 3)).find("Q 32") != std::string::npos);
  Ring::Options options = options_of(3, 16, 3);
  options.cluster = "other";
  REQUIRE(refusal(view, *MembershipView::found(options)).find("got cluster \"other\"") !=
          std::string::npos);
  REQUIRE(joined(MembershipView(), view) == view);
  REQUIRE(joined(view, MembershipView()) == view);
  REQUIRE(MembershipView().encode().empty());
}

TEST_CASE("F-90 numbers that no member counted to are not merged, and orders go on") {
  MembershipView mine = founded(3, 32, 3);
  History history = mine.history();
  OwnershipTable table = mine.table();
  std::string wanted;
  SECTION("an event's") {
    MemberEvent event = history.events().back();
    event.lamport = std::uint64_t{1} << 56;
    event.seq = 1;
    event.member = member(7);
    history.add(event);
    wanted = "has number 72057594037927936, wanted at most 1";
  }
  SECTION("a slot's") {
    table[0].epoch = std::uint64_t{1} << 40;
    wanted = "slot 0 has epoch 1099511627776, wanted at most";
  }
  MembershipView forged =
      MembershipView::of(mine.cluster(), mine.replicas(), std::move(history), std::move(table));
  REQUIRE(MembershipView::decode(forged.encode()).is_ok());  // by itself it is a view
  Status refused = mine.merge(forged).status();
  INFO(refused.message());
  CHECK(refused.message().find(wanted) != std::string::npos);
  Changes changes;
  REQUIRE(changes.join(mine, member(5)).is_ok());
  CHECK(changes.commit(mine, member(0).id, 5).is_ok());
}

TEST_CASE("F-90 a number that somebody made up for an issuer does not stop its next order") {
  MembershipView mine = founded(3, 32, 3);
  History history = mine.history();
  MemberEvent event = history.events().back();
  event.lamport = 1;
  event.issuer = member(0).id;
  event.seq = std::uint64_t{1} << 56;
  event.kind = MemberEvent::Kind::update;
  history.add(event);
  MembershipView forged =
      MembershipView::of(mine.cluster(), mine.replicas(), std::move(history), mine.table());
  auto merged = mine.merge(forged);
  REQUIRE(merged.is_ok());
  Changes changes;
  REQUIRE(changes.join(*merged, member(5)).is_ok());
  auto next = changes.commit(*merged, member(0).id, 5);
  INFO(next.status().to_string());
  CHECK(next.is_ok());
}

TEST_CASE("R4.8.1-d founding is the same whatever the order of the configuration") {
  Ring::Options options = options_of(5, 64, 3);
  MembershipView one = *MembershipView::found(options);
  std::reverse(options.members.begin(), options.members.end());
  REQUIRE(*MembershipView::found(options) == one);
  REQUIRE(one.ring()->owners() == (*Ring::build(options))->owners());
  options.members.clear();
  REQUIRE_FALSE(MembershipView::found(options).is_ok());
}

TEST_CASE("Bytes that are no view are refused, whichever bit is wrong") {
  Bytes good = founded(3, 16, 3).encode();
  REQUIRE(MembershipView::decode(good).is_ok());
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1 << i % 8);
    auto decoded = MembershipView::decode(bad);
    REQUIRE_FALSE(decoded.is_ok());
    REQUIRE(decoded.status().code() == Code::corrupt);
    REQUIRE_FALSE(MembershipView::decode(BytesView(good).substr(0, i)).is_ok());
  }
  REQUIRE_FALSE(MembershipView::decode(good + "x").is_ok());
  REQUIRE_FALSE(MembershipView::decode(Bytes(max_view_bytes + 1, 'x')).is_ok());
}

TEST_CASE("Damage under a good checksum is refused or is a view; nothing crashes") {
  Bytes good = after(founded(3, 16, 3), [](Changes& c, const MembershipView& v) {
                 return c.join(v, member(3));
               }).encode();
  Random random(7);
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    Bytes body = good.substr(9);
    for (std::uint64_t n = 1 + random.below(3); n > 0; --n) {
      body[random.below(body.size())] = static_cast<char>(random.next());
    }
    if (random.below(4) == 0) body.resize(random.below(body.size()));
    auto decoded = MembershipView::decode(sealed(body));
    if (!decoded.is_ok()) {
      ++refused;
      continue;
    }
    REQUIRE(decoded->encode() == sealed(body));
    REQUIRE_FALSE(decoded->ring()->members().empty());
  }
  REQUIRE(refused > 1500);
  // A field from the future would be lost: refused.
  REQUIRE(MembershipView::decode(sealed(good.substr(9) + "\x78\x01"))
              .status()
              .message()
              .find("one form") != std::string::npos);
}

}  // namespace ringlet
