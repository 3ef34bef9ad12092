// L20, F-102, F-105: who belongs to the cluster, over a network of gossip machines that lose nothing.
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <set>

#include "membership/gossip.hpp"
#include "unit/membership/membership_samples.hpp"

namespace ringlet {
namespace {

using namespace membership_samples;
using Belonging = Gossiper::Belonging;

struct Host final : GossipHost {
  MembershipView kept;
  ClusterSettings settings;
  std::set<NodeId> alive;  // where they were
  bool moved = false;
  std::string said;
  Status persist(const MembershipView& view, Keep) override {
    kept = view;
    return {};
  }
  void on_view_changed(const MembershipView&) override {}
  Status persist_settings(const MembershipView& view, const ClusterSettings& now, Keep) override {
    kept = view;
    settings = now;
    return {};
  }
  bool may_be_alive(NodeId member) override { return alive.contains(member); }
  void on_moved() override { moved = true; }
  void log(LogLevel, const std::string& text) override { said += text + "\n"; }
};

struct Peer {
  Host host;
  Gossiper::Options options;
  std::unique_ptr<Gossiper> gossip;
};

struct Net {
  std::map<std::string, std::unique_ptr<Peer>> at;  // by address
  Now now{Instant{1'000'000}, 1'700'000'000'000};

  static Gossiper::Options options_for(const std::string& name, const std::string& address,
                                       std::uint64_t reconcile, bool named) {
    Gossiper::Options options;
    options.name = name;
    options.address = address;
    options.cluster = "ringlet";
    SettingValues values{{Setting::reconcile, reconcile}, {Setting::r, 2}, {Setting::w, 2}};
    if (named) options.said = {{Setting::reconcile, reconcile}};
    options.proposal = ClusterSettings::proposed(values, options.said);
    return options;
  }
  Peer& start(Gossiper::Options options, const MembershipView& view) {
    auto peer = std::make_unique<Peer>();
    peer->options = options;
    peer->gossip = std::make_unique<Gossiper>(options, view, peer->host, at.size() + 1);
    peer->gossip->start(now);
    auto& place = at[options.address];
    place = std::move(peer);
    return *place;
  }
  Peer& founder(int n, const MembershipView& view, std::uint64_t reconcile = 0, bool named = true) {
    auto options = options_for(member(n).name, member(n).address, reconcile, named);
    options.founded = true;
    return start(options, view);
  }
  // From what it kept, or of an older release (no settings).
  Peer& again(int n, const MembershipView& view, const ClusterSettings& settings,
              std::uint64_t reconcile = 0) {
    auto options = options_for(member(n).name, member(n).address, reconcile, true);
    options.settings = settings;
    return start(options, view);
  }
  void run(int rounds) {
    for (int i = 0; i < rounds * 20; ++i) {
      now.instant = now.instant + Duration::millis(50);
      for (auto& [address, peer] : at) {
        peer->gossip->on_wake(now);
        for (auto& out : peer->gossip->take_outgoing()) {
          auto to = at.find(out.address);
          if (to == at.end()) {
            peer->gossip->on_unreachable(out.number, now);
            continue;
          }
          Message said = to->second->gossip->on_gossip(std::get<Gossip>(out.message), now);
          peer->gossip->on_reply(out.number, said, now);
        }
      }
    }
  }
};

}  // namespace

TEST_CASE(
    "L20 founders of one list agree, one that is down is not waited for, and nothing was kept "
    "before") {
  Net net;
  MembershipView view = founded(3, 16, 3);
  Peer& n0 = net.founder(0, view);
  CHECK(n0.gossip->belonging() == Belonging::founding);
  net.run(5);
  CHECK(n0.gossip->belonging() == Belonging::founding);
  CHECK(n0.host.kept.empty());
  Peer& n1 = net.founder(1, view);
  net.run(1);
  CHECK(n0.gossip->belonging() == Belonging::settled);
  CHECK(n1.gossip->belonging() == Belonging::settled);
  CHECK(n0.host.kept == view);
  CHECK(n0.host.settings == n1.host.settings);
}

TEST_CASE(
    "F-102 a founder with another list, or another reconcile, is the one that does not serve") {
  Net net;
  MembershipView view = founded(3, 16, 3), wrong = founded(4, 16, 3);
  Peer& n3 = net.founder(3, wrong);
  for (int n : {0, 1}) net.founder(n, view);
  Peer& lww = net.founder(2, view, 1);
  net.run(3);
  CHECK(net.at["n0:1"]->gossip->belonging() == Belonging::settled);
  CHECK(net.at["n1:1"]->gossip->belonging() == Belonging::settled);
  CHECK(lww.gossip->belonging() == Belonging::disagrees);
  CHECK(lww.gossip->why_not().message().find("cluster.reconcile") != Bytes::npos);
  CHECK(n3.gossip->belonging() == Belonging::disagrees);
  CHECK(n3.gossip->why_not().message().find("founded with other members") != Bytes::npos);
  CHECK(n3.host.kept.empty());
  CHECK(lww.host.kept.empty());
}

TEST_CASE(
    "F-102 the file of a founder that disagrees leaves nothing in the view of those that agree") {
  MembershipView right = founded(3, 16, 3);
  auto wrong_list = [&](auto&& change) {
    Ring::Options options = options_of(3, 16, 3);
    change(options.members);
    auto view = MembershipView::found(options);
    INFO(view.status().to_string());
    REQUIRE(view.is_ok());
    REQUIRE(view->founding() == right.founding());
    return *view;
  };
  // Which of two lists a merge prefers depends on their bytes: several of each kind.
  std::vector<MembershipView> lists;
  for (std::uint32_t weight : {2, 3, 5, 8}) {
    lists.push_back(wrong_list([&](auto& members) { members[1].weight = weight; }));
  }
  for (std::string text : {"a", "b", "c", "zz"}) {
    lists.push_back(wrong_list([&](auto& members) { members[1].zone = text; }));
    lists.push_back(wrong_list([&](auto& members) { members[1].address = text + ":7"; }));
    lists.push_back(wrong_list([&](auto& members) { members[2].advertise = text + ":7"; }));
    lists.push_back(wrong_list([&](auto& members) { members[0].address = text + ":7"; }));
  }
  for (const MembershipView& list : lists) {
    for (bool first : {true, false}) {
      for (bool together : {true, false}) {
        Net net;
        const Member& itself = list.find(member(0).name)->member;
        auto options = Net::options_for(itself.name, itself.address, 0, true);
        options.founded = true;
        if (first) net.start(options, list);
        if (first && !together) net.run(2);
        for (int n : {1, 2}) net.founder(n, right);
        if (!first && !together) net.run(2);
        if (!first) net.start(options, list);
        net.run(5);
        for (int n : {1, 2}) {
          const Peer& peer = *net.at[member(n).address];
          INFO(list.encode().size() << " first " << first << " together " << together << "\n"
                                    << peer.host.said);
          CHECK(peer.gossip->belonging() == Belonging::settled);
          CHECK(peer.gossip->view() == right);
          CHECK(peer.host.kept == right);
        }
        // The odd one takes what the cluster has, or serves nobody and has kept nothing.
        const Peer& odd = *net.at[itself.address];
        if (itself.address == member(0).address) {
          CHECK(odd.gossip->belonging() == Belonging::settled);
          CHECK(odd.gossip->view() == right);
        } else {
          CHECK(odd.gossip->belonging() != Belonging::settled);
          CHECK(odd.host.kept.empty());
        }
      }
    }
  }
}

TEST_CASE("F-102 a newcomer with a wrong file keeps no other one out") {
  // Two with empty disks hear each other first: one file names the other reconcile, one names none.
  for (int n : {0, 1, 2}) {
    Net three;
    MembershipView five = founded(5, 16, 3);
    Peer& silent = three.founder(3, five, 0, false);
    Peer& odd = three.founder(4, five, 0, true);
    three.run(1 + n);
    for (int i : {0, 1, 2}) {
      SettingValues values{{Setting::reconcile, 1}, {Setting::r, 2}, {Setting::w, 2}};
      three.again(i, five, ClusterSettings::proposed(values, values), 1);
    }
    three.run(5);
    INFO(silent.host.said);
    CHECK(silent.gossip->belonging() == Belonging::settled);
    CHECK(silent.gossip->settings().find(Setting::reconcile) == 1);
    CHECK(odd.gossip->belonging() == Belonging::disagrees);
    CHECK(three.at["n0:1"]->gossip->belonging() == Belonging::settled);
    CHECK(!three.at["n0:1"]->gossip->disagrees_with(member(3).id));
  }
}

TEST_CASE("L20 an empty disk takes what the cluster has, where its file is silent") {
  Net net;
  MembershipView view = founded(3, 16, 3);
  for (int n : {0, 1}) net.founder(n, view, 1);
  net.run(2);
  Peer& silent = net.founder(2, view, 0, false);
  net.run(2);
  CHECK(silent.gossip->belonging() == Belonging::settled);
  CHECK(silent.gossip->settings().find(Setting::reconcile) == 1);
}

TEST_CASE(
    "F-102 members of an older release find their settings; the one whose file differs stops") {
  Net net;
  MembershipView view = founded(3, 16, 3);
  Peer& n0 = net.again(0, view, {});
  CHECK(n0.gossip->belonging() == Belonging::asking);
  net.run(3);  // the others are not there: it goes on with what its file says
  CHECK(n0.gossip->belonging() == Belonging::settled);
  Peer& n1 = net.again(1, view, {});
  Peer& n2 = net.again(2, view, {}, 1);
  net.run(3);
  CHECK(n1.gossip->belonging() == Belonging::settled);
  CHECK(n2.gossip->belonging() == Belonging::disagrees);
  CHECK(n0.gossip->belonging() == Belonging::settled);
}

TEST_CASE(
    "F-102 of two halves that grew apart unnoticed the smaller stops, of equal ones the one with "
    "lww") {
  MembershipView view = founded(3, 16, 3);
  SettingValues values{{Setting::reconcile, 0}};
  ClusterSettings siblings = ClusterSettings::proposed(values, values);
  values[Setting::reconcile] = 1;
  ClusterSettings lww = ClusterSettings::proposed(values, values);
  Net net;
  net.again(0, view, siblings);
  net.again(1, view, siblings);
  Peer& odd = net.again(2, view, lww, 1);
  net.run(10);
  CHECK(net.at["n0:1"]->gossip->belonging() == Belonging::settled);
  CHECK(odd.gossip->belonging() == Belonging::disagrees);
  CHECK(net.at["n0:1"]->gossip->disagrees_with(member(2).id));
  Net two;
  MembershipView pair = founded(2, 16, 2);
  Peer& a = two.again(0, pair, siblings);
  Peer& b = two.again(1, pair, lww, 1);
  two.run(10);
  CHECK(a.gossip->belonging() == Belonging::settled);
  CHECK(b.gossip->belonging() == Belonging::disagrees);
}

TEST_CASE("F-105 a member that is back at another address is believed when the old one is silent") {
  MembershipView view = founded(3, 16, 3);
  SettingValues values{{Setting::reconcile, 0}};
  ClusterSettings settings = ClusterSettings::proposed(values, values);
  Net net;
  Peer& n0 = net.again(0, view, settings);
  Peer& n1 = net.again(1, view, settings);
  n0.host.alive = n1.host.alive = {member(2).id};
  auto options = Net::options_for("n2", "elsewhere:2", 0, true);
  options.settings = settings;
  options.moved = true;
  Peer& n2 = net.start(options, view);
  net.run(4);
  CHECK(n2.gossip->belonging() == Belonging::moving);  // its directory may be a copy
  CHECK(n0.gossip->view().find("n2")->member.address == "n2:1");
  CHECK(n2.gossip->why_not().message().find("was not found silent") != Bytes::npos);
  n0.host.alive.clear();
  n1.host.alive.clear();
  net.run(4);
  CHECK(n2.gossip->belonging() == Belonging::settled);
  CHECK(n2.host.moved);
  CHECK(n0.gossip->view().find("n2")->member.address == "elsewhere:2");
  CHECK(n1.gossip->view().find("n2")->member.address == "elsewhere:2");
}

TEST_CASE("F-105 members that all moved find each other by the addresses of their files") {
  MembershipView view = founded(3, 16, 3);
  SettingValues values{{Setting::reconcile, 0}};
  ClusterSettings settings = ClusterSettings::proposed(values, values);
  Net net;
  std::vector<Peer*> peers;
  for (int n : {0, 1, 2}) {
    auto options = Net::options_for(member(n).name, "new" + std::to_string(n) + ":1", 0, true);
    options.settings = settings;
    options.moved = true;
    options.seeds = {"new0:1", "new1:1", "new2:1"};
    peers.push_back(&net.start(options, view));
  }
  net.run(10);
  for (Peer* peer : peers) {
    CHECK(peer->gossip->belonging() == Belonging::settled);
    CHECK(peer->host.moved);
    CHECK(peer->gossip->view() == peers[0]->gossip->view());
  }
}

}  // namespace ringlet
