// Spreads the membership view (R4.8.1-c): once a second one random member is asked, and at times a
// seed, so that islands meet (4.8.2). The digest goes first, so an idle round is small; no liveness
// verdicts travel (R4.8.3-b). A machine: told facts and time, it answers with numbered messages.
//
// A node without a view is a stranger: it asks its seeds, and takes a view only when that view has
// it, by name and address, as a member. Until then it owns nothing and is in nobody's map.
// Refused with a sentence: another cluster, another founding, a name that is no member or was
// replaced, a member's name at another address. Said to the log once each.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/instant.hpp"
#include "base/log.hpp"
#include "membership/view.hpp"
#include "protocol/messages.hpp"

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
  };
  // `view`: from the store, or founded, or empty.
  Gossiper(Options options, MembershipView view, GossipHost& host, std::uint64_t seed);
  ~Gossiper();

  void start(Now now);
  void on_reply(std::uint64_t number, const Message& message, Now now);
  void on_unreachable(std::uint64_t number, Now now);
  void on_wake(Now now);
  Message on_gossip(const Gossip& gossip, Now now);  // GossipAnswer | Refused

  // A change made here (a commit, slots that arrived): merged, persisted, told to the host. Peers
  // hear of it in the next rounds.
  Status change(const MembershipView& view, Keep keep = Keep::at_once);

  const MembershipView& view() const;
  // Why this node was last turned away, until an exchange succeeds again; ok: it was not.
  const Status& refusal() const;

  struct Outgoing {
    NodeId to;            // nobody: a seed whose id is not known
    std::string address;  // always
    std::uint64_t number;
    Message message;  // Gossip
  };
  std::vector<Outgoing> take_outgoing();
  Instant next_wake() const;
  std::uint64_t rounds() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ringlet
