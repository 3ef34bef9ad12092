// The cluster's settings: merging, bytes, what a file may say; and views that could not be read again.
#include "membership/settings.hpp"

#include <catch2/catch.hpp>

#include "base/random.hpp"
#include "unit/membership/membership_samples.hpp"

namespace ringlet {
namespace {

using namespace membership_samples;

SettingValues defaults() {
  return {{Setting::reconcile, 0},
          {Setting::r, 2},
          {Setting::w, 2},
          {Setting::durability, 2},
          {Setting::max_value_bytes, 1000},
          {Setting::max_siblings, 10},
          {Setting::tombstone_grace_ms, 500}};
}

ClusterSettings ordered(ClusterSettings settings, Random& random) {
  int orders = static_cast<int>(random.below(3));
  for (int i = 0; i < orders; ++i) {
    SettingValues values;
    if (random.chance(0.6)) values[Setting::r] = 1 + random.below(3);
    if (random.chance(0.6)) values[Setting::w] = 1 + random.below(3);
    if (random.chance(0.3)) values[Setting::max_siblings] = 1 + random.below(100);
    if (!values.empty())
      settings = settings.with(values, member(static_cast<int>(random.below(3))).id);
  }
  return settings;
}

}  // namespace

TEST_CASE("L20 settings merge to one value, whatever the order, and what they made is read back") {
  Random random(7);
  ClusterSettings base = ClusterSettings::proposed(defaults(), {{Setting::r, 3}});
  for (int i = 0; i < 300; ++i) {
    ClusterSettings a = ordered(base, random), b = ordered(base, random), c = ordered(base, random);
    auto ab = *a.merge(b);
    REQUIRE(ab == *b.merge(a));
    REQUIRE(*ab.merge(c) == *a.merge(*b.merge(c)));
    REQUIRE(*ab.merge(ab) == ab);
    auto again = ClusterSettings::decode(ab.encode());
    INFO(again.status().to_string());
    REQUIRE(again.is_ok());
    REQUIRE(*again == ab);
  }
}

TEST_CASE("L20 a file that names a value counts for more than one that is silent") {
  ClusterSettings silent = ClusterSettings::proposed(defaults(), {});
  ClusterSettings named = ClusterSettings::proposed(defaults(), {{Setting::w, 1}});
  CHECK(silent.merge(named)->find(Setting::w) == 1);
  CHECK(named.merge(silent)->find(Setting::w) == 1);
  CHECK(silent.with({{Setting::w, 3}}, member(0).id).merge(named)->find(Setting::w) == 3);
}

TEST_CASE("F-90 a version that is far above all others is not merged, so that orders still count") {
  ClusterSettings mine = ClusterSettings::proposed(defaults(), {{Setting::r, 2}});
  // 2^56 is the highest that is read; the next order would be beyond it.
  Bytes entry = Bytes("\x08\x04\x10", 3) + Bytes(8, '\x80') + "\x01" + Bytes("\x20\x01", 2);
  auto forged =
      ClusterSettings::decode(sealed(Bytes("\x0a", 1) + static_cast<char>(entry.size()) + entry));
  INFO(forged.status().to_string());
  REQUIRE(forged.is_ok());
  Status refused = mine.merge(*forged).status();
  CHECK(refused.message().find("72057594037927936, wanted at most") != std::string::npos);
  CHECK(mine.with({{Setting::r, 1}}, member(0).id).merge(mine)->find(Setting::r) == 1);
}

TEST_CASE("F-102 what never changes is not merged, and said") {
  ClusterSettings siblings = ClusterSettings::proposed(defaults(), {});
  ClusterSettings lww = ClusterSettings::proposed(defaults(), {{Setting::reconcile, 1}});
  auto merged = siblings.merge(lww);
  REQUIRE_FALSE(merged.is_ok());
  CHECK(
      merged.status().message() ==
      "settings: cluster.reconcile is \"siblings\" here and \"lww\" there: such members cannot be "
      "together");
}

TEST_CASE("F-102 a file is compared key by key") {
  ClusterSettings cluster = ClusterSettings::proposed(defaults(), {});
  CHECK(differences({{Setting::n, 3}, {Setting::r, 2}}, cluster, 3, 64).empty());
  auto list = differences({{Setting::n, 2},
                           {Setting::partitions, 32},
                           {Setting::reconcile, 1},
                           {Setting::durability, 3}},
                          cluster, 3, 64);
  REQUIRE(list.size() == 4);
  CHECK((list[0].fixed && list[1].fixed && list[2].fixed));
  CHECK_FALSE(list[3].fixed);
  CHECK(list[3].sentence ==
        "cluster.durability: the cluster has \"log\", this file \"disk\"; change it with \"ringlet "
        "cluster set durability disk\"");
}

TEST_CASE("F-91 settings that are no settings are refused with a sentence") {
  Bytes good = ClusterSettings::proposed(defaults(), {}).encode();
  for (std::size_t size = 1; size < good.size(); ++size) {
    REQUIRE_FALSE(ClusterSettings::decode(BytesView(good).substr(0, size)).is_ok());
  }
  CHECK_FALSE(ClusterSettings::decode(Bytes(5000, 'x')).is_ok());
  CHECK(ClusterSettings::decode("").is_ok());
  // r = 99, and the same setting twice.
  auto refused = ClusterSettings::decode(sealed(Bytes("\x0a\x04\x08\x04\x20\x63", 6)));
  REQUIRE_FALSE(refused.is_ok());
  CHECK(refused.status().message() == "settings: cluster.r: wanted 1 to 16, got 99");
  refused = ClusterSettings::decode(
      sealed(Bytes("\x0a\x04\x08\x04\x20\x02\x0a\x04\x08\x04\x20\x02", 12)));
  REQUIRE_FALSE(refused.is_ok());
  CHECK(refused.status().message() == "settings: setting 4 is there twice");
}

TEST_CASE("F-91 settings whose entry is of another wire type are refused") {
  // Field 1 as a varint, as 8 bytes and as 4 bytes; an entry is a message.
  for (std::string body : {std::string("\x08\x05"), "\x09" + std::string(8, 'x'),
                           "\x0d" + std::string(4, 'x'), std::string("\x0b\x0c")}) {
    INFO(printable(body));
    auto refused = ClusterSettings::decode(sealed(body));
    CHECK(refused.status().code() == Code::corrupt);
  }
}

TEST_CASE("F-92 a setting of a newer release is kept and handed on") {
  Bytes newer = sealed(Bytes("\x0a\x04\x08\x04\x20\x02\x0a\x06\x08\x63\x10\x03\x20\x07", 14));
  auto settings = ClusterSettings::decode(newer);
  INFO(settings.status().to_string());
  REQUIRE(settings.is_ok());
  ClusterSettings mine = ClusterSettings::proposed(defaults(), {});
  auto merged = mine.merge(*settings);
  REQUIRE(merged.is_ok());
  CHECK(merged->entries().at(99).value == 7);
}

TEST_CASE("L20 an order of a setting is staged, kept and committed; a wrong one is refused") {
  MembershipView view = founded(3, 16, 3);
  ClusterSettings settings = ClusterSettings::proposed(defaults(), {});
  Changes changes;
  CHECK(changes.set(view, settings, "cluster.r", "1").is_ok());
  CHECK_FALSE(changes.set(view, settings, "r", "3").is_ok());  // staged already
  CHECK(changes.set(view, settings, "max_siblings", "7").is_ok());
  for (auto [key, value] : {std::pair{"reconcile", "lww"},
                            {"n", "2"},
                            {"w", "4"},
                            {"w", "-1"},
                            {"w", ""},
                            {"w", "2"},
                            {"threads", "2"},
                            {"", "1"}}) {
    Status status = changes.set(view, settings, key, value);
    INFO(key << " = " << value);
    CHECK(status.code() == Code::invalid_argument);
  }
  auto again = Changes::decode(changes.encode());
  REQUIRE(again.is_ok());
  CHECK(again->staged() == changes.staged());
  auto plan = changes.plan(view, member(0).id, 1000);
  REQUIRE(plan.is_ok());
  CHECK(plan->view == view);  // nothing moves
  CHECK(plan->slots.empty());
  ClusterSettings after = changes.settings_after(settings, member(0).id);
  CHECK(after.find(Setting::r) == 1);
  CHECK(after.find(Setting::w) == 2);
  CHECK(after.find(Setting::max_siblings) == 7);
}

TEST_CASE("F-105 an address of a member moves nothing else, and is read back") {
  MembershipView view = founded(3, 16, 3);
  Changes changes;
  REQUIRE(changes.set_address(view, "n1", "10.0.0.1:7", "example.org:80").is_ok());
  CHECK_FALSE(Changes().set_address(view, "n1", "n1:1").is_ok());  // there already
  CHECK_FALSE(Changes().set_address(view, "n1", "n2:1").is_ok());  // another's
  CHECK_FALSE(Changes().set_address(view, "n1", "n1:2", "nowhere").is_ok());
  auto moved = changes.commit(view, member(0).id, 1000);
  REQUIRE(moved.is_ok());
  CHECK(moved->find("n1")->member.address == "10.0.0.1:7");
  CHECK(moved->find("n1")->member.advertise == "example.org:80");
  CHECK(moved->table() == view.table());
  CHECK(MembershipView::decode(moved->encode()).is_ok());
}

TEST_CASE("F-111 a view that could not be read again is not made by a commit or an arrival") {
  MembershipView view = founded(3, 16, 3);
  OwnershipTable table = view.table();
  for (SlotEntry& entry : table) entry.epoch = std::uint64_t{1} << 40;  // the most that is read
  MembershipView edge = MembershipView::of(view.cluster(), 3, view.history(), table);
  REQUIRE(MembershipView::decode(edge.encode()).is_ok());
  REQUIRE(edge.check().is_ok());
  Changes changes;
  REQUIRE(changes.leave(edge, "n2").is_ok());
  auto commit = changes.commit(edge, member(0).id, 1000);
  REQUIRE_FALSE(commit.is_ok());
  CHECK(commit.status().message().find("could not be read again") != Bytes::npos);

  History history = view.history();
  MemberEvent event;
  event.kind = MemberEvent::Kind::update;
  event.member = member(1);
  event.issuer = member(0).id;
  event.lamport = std::uint64_t{1} << 56;
  history.add(event);
  MembershipView late = MembershipView::of(view.cluster(), 3, history, view.table());
  REQUIRE(late.check().is_ok());
  CHECK_FALSE(with_update(late, member(2), member(0).id, 1000).is_ok());
  Changes one_more;
  REQUIRE(one_more.leave(late, "n2").is_ok());
  CHECK_FALSE(one_more.commit(late, member(0).id, 1000).is_ok());
}

TEST_CASE("F-111 the union of two long histories is merged, or refused before it is kept") {
  MembershipView view = founded(2, 4, 2);
  auto grown = [&](int issuer, std::size_t events) {
    History history = view.history();
    History more;
    MembershipView base = view;
    // Appended in order, so that each add is cheap.
    for (std::size_t i = 0; i < events; ++i) {
      MemberEvent event;
      event.kind = MemberEvent::Kind::update;
      event.member = member(issuer);
      event.issuer = member(issuer).id;
      event.lamport = i + 1;
      event.seq = i + 1;
      more.add(event);
    }
    history.merge(more);
    return MembershipView::of(view.cluster(), 2, std::move(history), view.table());
  };
  MembershipView a = grown(0, max_member_events / 2), b = grown(1, max_member_events / 2 - 4);
  auto both = a.merge(b);
  REQUIRE(both.is_ok());
  CHECK(both->check().is_ok());
  MembershipView more = grown(1, max_member_events / 2 + 4);
  auto beyond = a.merge(more);
  REQUIRE(beyond.is_ok());
  Status status = beyond->check();
  CHECK(status.code() == Code::corrupt);
  CHECK(status.message().find("more than 65536 events") != Bytes::npos);
  Changes changes;  // at half of it no more orders are taken
  REQUIRE(changes.leave(a, "n1").is_ok());
  CHECK(changes.commit(a, member(0).id, 1).status().message().find("the history is full") !=
        Bytes::npos);
}

}  // namespace ringlet
