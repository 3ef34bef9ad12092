// Spreads the membership view (R4.8.1-c): once a second one random member is asked, and at times a
// seed, so that islands meet (4.8.2). The digest goes first, so an idle round is small; no liveness
// verdicts travel (R4.8.3-b). A machine: told facts and time, it answers with numbered messages.
//
// A node without a view is a stranger: it asks its seeds, and takes a view only when that view has
// it, by name and address, as a member. Until then it owns nothing and is in nobody's map.
// What it answers takes no member out of service: it has no view to judge by.
// Refused with a sentence: another cluster, another founding, a name that is no member or was
// replaced, a member's name at another address. Said to the log once each.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/instant.hpp"
#include "base/log.hpp"
#include "membership/settings.hpp"
#include "membership/view.hpp"
#include "protocol/outgoing.hpp"

namespace ringlet {

// When a view is to be on the disk. A caller of persist() serves requests, and an fsync takes some
// ten milliseconds. What others told this node it would hear again; and the log keeps its order, so
// no promise that is made by the new view reaches the disk before the view does.
enum class Keep { at_once, with_what_follows };

class GossipHost {
 public:
  virtual ~GossipHost() = default;
  // Survives the process when this returns ok, and the machine as `keep` says; otherwise the
  // machine's state stays as it was.
  virtual Status persist(const MembershipView& view, Keep keep) = 0;
  virtual void on_view_changed(const MembershipView& view) = 0;  // it has been persisted
  // The settings, and the view when it is one that the cluster has agreed on only now.
  virtual Status persist_settings(const MembershipView& view, const ClusterSettings& settings,
                                  Keep keep) {
    (void)view, (void)settings, (void)keep;
    return {};
  }
  virtual void on_settings_changed(const ClusterSettings& settings) { (void)settings; }
  // May the member still be running where this node knows it? True has it asked, for the next time.
  virtual bool may_be_alive(NodeId member) {
    (void)member;
    return false;
  }
  virtual void on_moved() {}  // another member has taken this node's new address
  virtual void log(LogLevel level, const std::string& text) = 0;
};

class Gossiper {
 public:
  struct Options {
    std::string name, address, cluster;     // this node's
    std::vector<std::string> seeds;         // addresses
    Duration round = Duration::seconds(1);  // jittered by a tenth
    Duration patience = Duration::seconds(2);
    double seed_chance = 0.02;  // a round; raised to 1/members, so one node a round asks a seed

    // Of what members agree on: the cluster's, when the store has them; what this node proposes where
    // nobody has any (empty: it asks for no agreement, as in tests of gossip alone); what its file
    // names.
    ClusterSettings settings, proposal;
    SettingValues said;
    bool founded = false;  // `view` comes from this node's file just now: are the others' alike?
    // This node's directory says that it is the member, the file that it is somewhere else now.
    bool moved = false;
    std::string advertise;  // with `moved`
    std::int64_t wall_ms = 0;
    Duration ask_again = Duration::millis(100);  // all members, until this node knows
    Duration ask_for = Duration::seconds(2);     // then it takes silence for an answer
  };
  // How far this node knows that it belongs to the cluster. It serves nobody unless `settled`.
  enum class Belonging {
    settled,
    founding,   // not yet heard that most founders have the same list and settings
    asking,     // a view of an older release: do others have settings?
    moving,     // not yet believed at its new address
    disagrees,  // with most of those it is said to be with, or its file with the cluster
  };
  // `view`: from the store, or founded, or empty.
  Gossiper(Options options, MembershipView view, GossipHost& host, std::uint64_t seed);
  ~Gossiper();

  void start(Now now);
  void on_reply(RequestId number, const Message& message, Now now);
  void on_unreachable(RequestId number, Now now);
  void on_wake(Now now);
  Message on_gossip(const Gossip& gossip, Now now);  // GossipAnswer | Refused

  // A change made here (a commit, slots that arrived): merged, persisted, told to the host. Peers
  // hear of it in the next rounds.
  Status change(const MembershipView& view, Keep keep = Keep::at_once);

  const MembershipView& view() const;
  const ClusterSettings& settings() const;  // the cluster's; before it is settled: proposed
  // An order's settings, which are kept already.
  void take_settings(const ClusterSettings& settings);
  Belonging belonging() const;
  Status why_not() const;  // ok: settled; else a sentence
  // The member said, last, what this node takes for another cluster.
  bool disagrees_with(NodeId member) const;
  bool any_disagrees() const;
  // Why this node was last turned away, until an exchange succeeds again; ok: it was not.
  const Status& refusal() const;

  // Gossip. The address is always given; `to` is zero for a seed whose id is not known.
  std::vector<Outgoing> take_outgoing();
  Instant next_wake() const;
  std::uint64_t rounds() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ringlet
