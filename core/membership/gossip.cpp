#include "membership/gossip.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/assert.hpp"
#include "base/random.hpp"

namespace ringlet {
namespace {

constexpr std::size_t max_sentences = 1000;

Refused refusal_of(Status status) {
  return Refused{std::move(status), 0};
}

std::string quoted(std::string_view name) {
  return "\"" + printable(name) + "\"";
}

struct Asked {
  NodeId to;
  std::string address;
  bool told = false;  // our view went with it
  Instant until;
};

}  // namespace

struct Gossiper::Impl {
  Options options;
  NodeId self;
  MembershipView view;
  GossipHost& host;
  Random random;
  std::map<std::uint64_t, Asked> under_way;
  std::vector<Outgoing> outgoing;
  std::uint64_t last_number = 0, rounds = 0;
  Instant round_at = Instant::never();
  Status refusal;
  std::set<std::string> said;

  Impl(Options o, MembershipView v, GossipHost& h, std::uint64_t seed)
      : options(std::move(o)),
        self(node_id_of(options.name)),
        view(std::move(v)),
        host(h),
        random(seed) {
    RINGLET_ASSERT(options.round > Duration{});
    RINGLET_ASSERT(options.patience > Duration{});
  }

  // Once each; a peer that invents ever new sentences is not heard for ever.
  void say(LogLevel level, const std::string& text) {
    if (said.size() >= max_sentences || !said.insert(text).second) return;
    host.log(level, text);
  }

  Instant after_a_round(Now now) {
    std::int64_t us = options.round.us;
    return now.instant + Duration::micros(us + random.between(-us / 10, us / 10));
  }

  void round(Now now) {
    ++rounds;
    round_at = after_a_round(now);
    std::vector<const Member*> others;
    if (!view.empty()) {
      for (const MembershipView::Known& known : view.known()) {
        if (known.member.id == self) continue;
        if (known.standing == MembershipView::Standing::in ||
            known.standing == MembershipView::Standing::leaving) {
          others.push_back(&known.member);
        }
      }
    }
    if (!others.empty()) {
      const Member& peer = *others[random.below(others.size())];
      ask(peer.id, peer.address, false, now);
    }
    double chance = std::max(options.seed_chance, 1.0 / static_cast<double>(others.size() + 1));
    if (others.empty() || random.chance(chance)) ask_a_seed(now);
  }

  void ask_a_seed(Now now) {
    std::vector<std::string> seeds;
    for (const std::string& seed : options.seeds) {
      if (seed != options.address) seeds.push_back(seed);
    }
    if (seeds.empty()) return;
    const std::string& seed = seeds[random.below(seeds.size())];
    NodeId to;
    if (!view.empty()) {
      for (const MembershipView::Known& known : view.known()) {
        if (known.member.address == seed && view.is_member(known.member.name)) {
          to = known.member.id;
        }
      }
    }
    if (to != self) ask(to, seed, false, now);
  }

  void ask(NodeId to, const std::string& address, bool tell, Now now) {
    Gossip gossip{options.name, options.address, options.cluster, view.digest(), {}};
    if (tell) gossip.view = view.encode();
    std::uint64_t number = ++last_number;
    under_way.emplace(number, Asked{to, address, tell, now.instant + options.patience});
    outgoing.push_back({to, address, number, std::move(gossip)});
  }

  // Takes a view that was merged, or leaves all as it was.
  Status adopt(MembershipView merged, Keep keep = Keep::with_what_follows) {
    if (merged.digest() == view.digest()) return {};
    if (Status status = host.persist(merged, keep); !status) {
      Status failed(status.code(), "membership: the new view was not kept: " + status.message());
      say(LogLevel::error, failed.message());
      return failed;
    }
    view = std::move(merged);
    host.on_view_changed(view);
    return {};
  }

  // What this node would know with `theirs`. A stranger takes only a view that has it as a member.
  Result<MembershipView> merged_with(BytesView theirs) const {
    Result<MembershipView> decoded = MembershipView::decode(theirs);
    if (!decoded) return decoded.status();
    if (decoded->cluster() != options.cluster) {
      return Status(Code::invalid_argument, "membership: wanted cluster " +
                                                quoted(options.cluster) + ", got cluster " +
                                                quoted(decoded->cluster()));
    }
    if (!view.empty()) return view.merge(*decoded);
    const MembershipView::Known* me = decoded->find(options.name);
    if (me == nullptr || !decoded->is_member(options.name)) {
      return Status(Code::closed, "membership: " + quoted(options.name) +
                                      " is not a member of cluster " + quoted(options.cluster));
    }
    if (me->member.address != options.address) {
      return Status(Code::invalid_argument,
                    "membership: " + quoted(options.name) + " at " + quoted(options.address) +
                        " is a member at another address, " + quoted(me->member.address));
    }
    return decoded;
  }

  // May the asker talk, as far as this view knows?
  Status admit(const MembershipView& known_by, const Gossip& gossip) const {
    using Standing = MembershipView::Standing;
    const MembershipView::Known* known = known_by.find(gossip.name);
    Standing standing = known == nullptr ? Standing::unknown : known->standing;
    auto no = [&](Code code, const std::string& why) {
      return Status(
          code, "membership: " + quoted(gossip.name) + " at " + quoted(gossip.address) + " " + why);
    };
    if (standing == Standing::unknown) {
      return no(Code::closed, "is not a member of cluster " + quoted(options.cluster) +
                                  "; an administrator has to join it");
    }
    if (standing == Standing::replaced) {
      return no(Code::closed,
                "was replaced by " + quoted(known->replaced_by) + " and is no member any more");
    }
    if (known->member.address != gossip.address) {
      return no(Code::closed, "has the name of the member at " + quoted(known->member.address) +
                                  ": two nodes are named alike");
    }
    return {};  // one that has left too: it must learn that it has, or is back
  }

  Message answer(const Gossip& gossip) {
    auto refuse = [&](Status status) -> Message {
      say(LogLevel::warn, status.message());
      return refusal_of(std::move(status));
    };
    if (gossip.cluster != options.cluster) {
      return refuse({Code::invalid_argument, "membership: " + quoted(gossip.name) + " at " +
                                                 quoted(gossip.address) + " is of cluster " +
                                                 quoted(gossip.cluster) + ", this is cluster " +
                                                 quoted(options.cluster)});
    }
    if (gossip.name == options.name) {
      return refuse(
          {Code::invalid_argument, "membership: " + quoted(gossip.name) + " at " +
                                       quoted(gossip.address) + " has the name of this node at " +
                                       quoted(options.address) + ": two nodes are named alike"});
    }
    if (gossip.view.empty()) {
      if (view.empty()) return GossipAnswer{};  // a stranger: tell me, if you know anything
      if (Status status = admit(view, gossip); !status) {
        // Its view may know better than mine: it joined, or moved, on another side.
        if (gossip.digest != 0 && gossip.digest != view.digest()) {
          return GossipAnswer{view.digest(), {}};
        }
        return refuse(status);
      }
      if (gossip.digest == view.digest()) return GossipAnswer{view.digest(), {}};
      return GossipAnswer{view.digest(), view.encode()};
    }
    Result<MembershipView> merged = merged_with(gossip.view);
    if (!merged) {
      return refuse({merged.status().code(), "gossip of " + quoted(gossip.name) + " at " +
                                                 quoted(gossip.address) + ": " +
                                                 merged.status().message()});
    }
    if (Status status = admit(*merged, gossip); !status) return refuse(status);
    std::uint64_t theirs = gossip.digest;
    bool stranger = view.empty();
    if (Status status = adopt(std::move(*merged)); !status) return refusal_of(status);
    if (stranger) refusal = {};  // whoever turned it away had not heard that it was joined
    GossipAnswer answer{view.digest(), {}};
    if (view.digest() != theirs) answer.view = view.encode();
    return answer;
  }

  void take(const Asked& asked, const GossipAnswer& answer, Now now) {
    if (answer.view.empty()) {
      // Only a peer that agrees, or took what it was told, has not turned this node away: one that
      // knows more than it says here may still do so when it is told.
      if (answer.digest == view.digest() || asked.told) {
        refusal = {};
      } else if (!view.empty()) {
        ask(asked.to, asked.address, true, now);
      }
      return;
    }
    Result<MembershipView> merged = merged_with(answer.view);
    if (!merged) {
      refusal = merged.status();
      return say(LogLevel::warn, "gossip with " + asked.address + ": " + merged.status().message());
    }
    refusal = {};
    if (!adopt(std::move(*merged))) return;
    if (view.digest() != answer.digest && !asked.told) ask(asked.to, asked.address, true, now);
  }
};

Gossiper::Gossiper(Options options, MembershipView view, GossipHost& host, std::uint64_t seed)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(view), host, seed)) {}
Gossiper::~Gossiper() = default;

// The first round comes within one: nodes that start together do not ask together.
void Gossiper::start(Now now) {
  std::uint64_t us = static_cast<std::uint64_t>(impl_->options.round.us);
  impl_->round_at =
      now.instant + Duration::micros(static_cast<std::int64_t>(impl_->random.below(us)));
}

void Gossiper::on_reply(std::uint64_t number, const Message& message, Now now) {
  auto found = impl_->under_way.find(number);
  if (found == impl_->under_way.end()) return;
  Asked asked = std::move(found->second);
  impl_->under_way.erase(found);
  if (const auto* answer = std::get_if<GossipAnswer>(&message)) {
    impl_->take(asked, *answer, now);
  } else if (const auto* refused = std::get_if<Refused>(&message)) {
    impl_->refusal = refused->status;
    impl_->say(LogLevel::warn, "gossip with " + asked.address +
                                   " was refused: " + printable(refused->status.message(), 400));
  }
}

void Gossiper::on_unreachable(std::uint64_t number, Now) {
  impl_->under_way.erase(number);
}

void Gossiper::on_wake(Now now) {
  std::erase_if(impl_->under_way,
                [&](const auto& entry) { return entry.second.until <= now.instant; });
  if (impl_->round_at <= now.instant) impl_->round(now);
}

Message Gossiper::on_gossip(const Gossip& gossip, Now) {
  return impl_->answer(gossip);
}

Status Gossiper::change(const MembershipView& view, Keep keep) {
  Result<MembershipView> merged = impl_->view.merge(view);
  if (!merged) return merged.status();
  return impl_->adopt(std::move(*merged), keep);
}

const MembershipView& Gossiper::view() const {
  return impl_->view;
}
const Status& Gossiper::refusal() const {
  return impl_->refusal;
}
std::uint64_t Gossiper::rounds() const {
  return impl_->rounds;
}

std::vector<Gossiper::Outgoing> Gossiper::take_outgoing() {
  return std::exchange(impl_->outgoing, {});
}

Instant Gossiper::next_wake() const {
  Instant next = impl_->round_at;
  for (const auto& [number, asked] : impl_->under_way) next = std::min(next, asked.until);
  return next;
}

}  // namespace ringlet
