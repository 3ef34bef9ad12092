#include "membership/gossip.hpp"

#include <algorithm>
#include <map>
#include <optional>
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
  PendingRequests<Asked> under_way;
  std::vector<Outgoing> outgoing;
  std::uint64_t rounds = 0;
  Instant round_at = Instant::never();
  Status refusal;
  std::set<std::string> said;

  // What a member said last of the cluster.
  struct Opinion {
    enum { silent, agrees, differs } is = silent;
    bool settled = false;  // it serves by it
    bool knows = false;    // it has settings, or proposes some
    std::optional<std::uint64_t> reconcile;
    std::uint64_t founding = 0;  // 0: not heard
    std::string why;             // differs
  };
  std::map<NodeId, Opinion> opinions;
  std::size_t differing = 0;  // of them
  ClusterSettings settings;   // the cluster's once settled
  bool agreement = false;     // is one wanted?
  bool settled = true, founded = false;
  Status file_differs;  // from the cluster in what never changes
  Instant ask_at = Instant::never(), asks_until = Instant::never();
  std::optional<MembershipView> claim;  // `view` with this node at its new address
  bool moving = false;                  // such a claim is wanted

  Impl(Options o, MembershipView v, GossipHost& h, std::uint64_t seed)
      : options(std::move(o)),
        self(node_id_of(options.name)),
        view(std::move(v)),
        host(h),
        random(seed) {
    RINGLET_ASSERT(options.round > Duration{});
    RINGLET_ASSERT(options.patience > Duration{});
    agreement = !options.proposal.empty();
    if (!agreement) return;
    settled = !options.settings.empty();
    settings = settled ? options.settings : options.proposal;
    founded = options.founded;
    if (options.moved && view.is_member(options.name)) {
      moving = true;
      make_claim();
    }
  }

  // ---- agreement (L20) ----

  std::vector<const Member*> others() const {
    std::vector<const Member*> list;
    if (view.empty()) return list;
    for (const MembershipView::Known& known : view.known()) {
      if (known.member.id != self && (known.standing == MembershipView::Standing::in ||
                                      known.standing == MembershipView::Standing::leaving)) {
        list.push_back(&known.member);
      }
    }
    return list;
  }

  struct Count {
    std::size_t members = 1, agree = 1, differ = 0, differ_settled = 0, silent = 0;
    const Opinion* against = nullptr;
    const Member* who = nullptr;
  };
  Count count() const {
    Count count;
    for (const Member* member : others()) {
      ++count.members;
      auto at = opinions.find(member->id);
      const Opinion* opinion = at == opinions.end() ? nullptr : &at->second;
      if (opinion == nullptr || opinion->is == Opinion::silent) {
        ++count.silent;
      } else if (opinion->is == Opinion::agrees) {
        ++count.agree;
      } else {
        ++count.differ;
        count.differ_settled += opinion->settled ? 1 : 0;
        if (count.against == nullptr || opinion->settled) {
          count.against = opinion;
          count.who = member;
        }
      }
    }
    return count;
  }

  // Of two halves that went on with other settings or another founding, in a release that did not
  // compare them, one stops. Siblings lose nothing, so they are the half that stays.
  bool yields_to(const Opinion& other) const {
    auto mine = settings.find(Setting::reconcile);
    if (mine && other.reconcile && *mine != *other.reconcile) return *mine > *other.reconcile;
    return other.founding != 0 && !view.empty() && view.founding() > other.founding;
  }

  Belonging belonging() const {
    if (!agreement) return Belonging::settled;
    if (!file_differs) return Belonging::disagrees;
    if (settled && differing == 0 && !claim) return Belonging::settled;
    if (view.empty()) return Belonging::settled;  // a stranger: it serves nobody anyhow
    Count now = count();
    bool outvoted =
        now.differ_settled > now.agree ||
        (now.differ_settled == now.agree && now.differ_settled > 0 && yields_to(*now.against));
    if (!settled && now.differ > 0 && (now.differ_settled > 0 || now.differ > now.agree)) {
      return Belonging::disagrees;
    }
    if (outvoted) return Belonging::disagrees;
    if (!settled) return founded ? Belonging::founding : Belonging::asking;
    if (claim && asks_until != Instant::never()) return Belonging::moving;
    return Belonging::settled;
  }

  Status why_not() const {
    auto no = [&](const std::string& text) {
      return Status(Code::closed, "node " + options.name + " serves nobody: " + text);
    };
    Count now = count();
    switch (belonging()) {
      case Belonging::settled:
        return {};
      case Belonging::founding:
        return no("it waits until most of the " + std::to_string(now.members) +
                  " founding members say that they were given the same [[members]] and settings; " +
                  std::to_string(now.agree - 1) + " of the others did" +
                  (now.against ? ", " + now.who->name + " did not: " + now.against->why : ""));
      case Belonging::asking:
        return no("it asks the other members for the cluster's settings");
      case Belonging::moving:
        return no("it has the directory of " + options.name + ", a member at " + address_in(view) +
                  ", and is at " + options.address + " now; no member has taken that yet" +
                  (refusal ? "" : ": " + refusal.message()));
      case Belonging::disagrees:
        if (!file_differs) return no(file_differs.message());
        return no("it disagrees with " + std::to_string(now.differ) + " of its " +
                  std::to_string(now.members - 1) + " fellow members: " + now.against->why);
    }
    return {};
  }

  std::string address_in(const MembershipView& in) const {
    const MembershipView::Known* me = in.empty() ? nullptr : in.find(options.name);
    return me == nullptr ? "" : me->member.address;
  }

  const MembershipView& told() const { return claim ? *claim : view; }

  void make_claim() {
    const MembershipView::Known* me = view.find(options.name);
    if (me == nullptr || !view.is_member(options.name)) return believed();
    Member there = me->member;
    there.address = options.address;
    if (!options.advertise.empty()) there.advertise = options.advertise;
    if (there == me->member) return believed();
    auto claimed = with_update(view, there, self, options.wall_ms);
    if (claimed) claim = std::move(*claimed);
    if (!claimed)
      say(LogLevel::error, "it cannot say where it is now: " + claimed.status().message());
  }

  void believed() {
    if (!moving) return;
    claim.reset();
    moving = false;
    if (settled) ask_at = asks_until = Instant::never();
    host.on_moved();
  }

  // What never changes differs: of the two, one is not what it thinks it is. A file that is silent
  // takes what a cluster has; among founders its default is what it wants.
  Status conflict_of(const ClusterSettings& theirs, bool from_settled) const {
    if (!agreement) return {};
    // What this node heard of others that have not agreed either is not its own: a cluster that has
    // agreed is compared with its file alone, or one wrong file keeps a second node out.
    const ClusterSettings& own = !settled && from_settled ? options.proposal : settings;
    for (const SettingRule& rule : setting_rules()) {
      auto number = static_cast<std::uint32_t>(rule.setting);
      auto mine = own.entries().find(number), other = theirs.entries().find(number);
      if (rule.fixed == nullptr || mine == own.entries().end() || other == theirs.entries().end() ||
          mine->second.value == other->second.value) {
        continue;
      }
      if (!settled && from_settled && mine->second.version == 0) continue;
      if (settled && !from_settled && other->second.version == 0) continue;
      if (Status why = own.merge(theirs).status(); !why) return why;
    }
    return {};
  }

  // `from` was heard, and its view, if it came, goes with this one.
  void heard_agreement(NodeId from, const ClusterSettings& theirs, bool is_settled, bool old) {
    if (!agreement || !is_fellow(from)) return;
    if (is_settled) founded = false;
    if (!settled && !is_settled && !old) {
      // What a file names counts for more than what another file is silent about.
      if (auto merged = settings.merge(theirs)) settings = std::move(*merged);
    }
    Opinion& opinion = opinions[from];
    opinion = {};
    opinion.is = Opinion::agrees;
    opinion.settled = is_settled;
    opinion.knows = !old;
    opinion.reconcile = theirs.find(Setting::reconcile);
    count_differing();
  }

  void count_differing() {
    differing = static_cast<std::size_t>(
        std::count_if(opinions.begin(), opinions.end(),
                      [](const auto& entry) { return entry.second.is == Opinion::differs; }));
  }

  void heard_difference(NodeId from, const Status& why, const ClusterSettings& theirs,
                        bool is_settled, std::uint64_t founding) {
    if (!agreement || !is_fellow(from)) return;
    Opinion& opinion = opinions[from];
    opinion = {};
    opinion.is = Opinion::differs;
    opinion.settled = is_settled;
    opinion.knows = true;
    opinion.reconcile = theirs.find(Setting::reconcile);
    opinion.founding = founding;
    opinion.why = why.message();
    count_differing();
    say(LogLevel::warn, "member " + name_of(from) + " does not agree: " + why.message());
  }

  bool is_fellow(NodeId id) const {
    auto list = others();
    return std::any_of(list.begin(), list.end(), [&](const Member* m) { return m->id == id; });
  }

  std::string name_of(NodeId id) const {
    if (!view.empty()) {
      for (const MembershipView::Known& known : view.known()) {
        if (known.member.id == id) return known.member.name;
      }
    }
    return to_string(id);
  }

  // The file counts where the cluster says nothing; where it says another thing it is told so.
  void compare_file(const ClusterSettings& cluster) {
    file_differs = {};
    for (const SettingDifference& each :
         differences(options.said, cluster, view.replicas(), view.partitions())) {
      if (each.fixed) {
        file_differs = Status(Code::invalid_argument, each.sentence);
        say(LogLevel::error, each.sentence);
      } else {
        say(LogLevel::warn, each.sentence);
      }
    }
  }

  void take_settings(const ClusterSettings& theirs) {
    Result<ClusterSettings> merged = settled ? settings.merge(theirs) : theirs;
    if (!merged || (settled && *merged == settings)) return;
    compare_file(*merged);
    if (!file_differs) {
      // It does not go by them, but remembers them: a start with this file is refused from now on.
      if (founded || view.empty()) return;
      if (Status kept = host.persist_settings(view, *merged, Keep::with_what_follows); !kept) {
        say(LogLevel::error, "the cluster's settings were not kept: " + kept.message());
      }
      return;
    }
    if (Status kept = host.persist_settings(view, *merged, Keep::with_what_follows); !kept) {
      return say(LogLevel::error, "the cluster's settings were not kept: " + kept.message());
    }
    settings = std::move(*merged);
    bool was = std::exchange(settled, true);
    founded = false;
    host.on_settings_changed(settings);
    if (!was) {
      say(LogLevel::info, "this node goes by the settings of cluster " + options.cluster);
      if (!claim) ask_at = asks_until = Instant::never();
    }
  }

  // The members that said nothing have had their time, or most have agreed.
  void settle_if_due(Now now) {
    if (!agreement || settled || view.empty() || !file_differs) return;
    Count so_far = count();
    if (founded) {
      if (so_far.agree * 2 <= so_far.members) return;
    } else {
      bool heard_all = so_far.silent == 0, waited = asks_until <= now.instant;
      if ((!heard_all && !waited) || belonging() == Belonging::disagrees) return;
    }
    compare_file(settings);
    if (!file_differs) return;
    // From now on also what no file named is the cluster's.
    SettingValues values;
    for (const SettingRule& rule : setting_rules()) {
      if (auto value = settings.find(rule.setting)) values[rule.setting] = *value;
    }
    ClusterSettings agreed_on = ClusterSettings::proposed(values, values);
    if (Status kept = host.persist_settings(view, agreed_on, Keep::at_once); !kept) {
      return say(LogLevel::error, "the cluster's settings were not kept: " + kept.message());
    }
    settings = std::move(agreed_on);
    settled = true;
    founded = false;
    if (!claim) ask_at = asks_until = Instant::never();
    host.on_settings_changed(settings);
    say(LogLevel::info, "cluster " + options.cluster + " is agreed upon by " +
                            std::to_string(so_far.agree) + " of " + std::to_string(so_far.members) +
                            " members");
  }

  bool asks_everybody() const { return agreement && !view.empty() && (!settled || claim); }

  void begin_to_ask(Now now) {
    if (!asks_everybody()) return;
    ask_at = now.instant;
    asks_until = now.instant + options.ask_for;
  }

  // Until this node knows whether it belongs: everybody, often; then once a round.
  void ask_everybody(Now now) {
    if (ask_at > now.instant) return;
    bool urgent = asks_until != Instant::never() && asks_until > now.instant;
    ask_at = now.instant + (urgent ? options.ask_again : options.round);
    std::set<std::string> asked;
    for (const auto& [number, each] : under_way) asked.insert(each.address);
    for (const Member* member : others()) {
      if (asked.insert(member->address).second) ask(member->id, member->address, false, now);
    }
    if (!claim) return;
    for (const std::string& seed : options.seeds) {
      if (seed == options.address || !asked.insert(seed).second) continue;
      if (seed != address_in(view)) ask({}, seed, false, now);
    }
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
    Gossip gossip{options.name, options.address, options.cluster, told().digest(), {}};
    if (claim) {
      tell = true;
      gossip.moved = true;
    }
    if (tell) gossip.view = told().encode();
    gossip.settings = settings.encode();
    gossip.settled = settled && agreement;
    RequestId number = under_way.add({to, address, tell, now.instant + options.patience});
    outgoing.push_back({to, number, std::move(gossip), {}, address});
  }

  // Takes a view that was merged, or leaves all as it was.
  Status adopt(MembershipView merged, Keep keep = Keep::with_what_follows) {
    if (merged.digest() == view.digest()) return {};
    // A founding that the others have not agreed on yet is not kept: a file that was wrong leaves
    // nothing behind. What is kept must be readable again (F-111).
    if (Status readable = merged.check(); !readable) {
      say(LogLevel::error, readable.message());
      return readable;
    }
    if (Status status = founded ? Status() : host.persist(merged, keep); !status) {
      Status failed(status.code(), "membership: the new view was not kept: " + status.message());
      say(LogLevel::error, failed.message());
      return failed;
    }
    view = std::move(merged);
    if (moving) make_claim();
    host.on_view_changed(view);
    return {};
  }

  GossipAnswer answering(bool with_view) const {
    GossipAnswer answer{view.digest(), {}};
    if (with_view) answer.view = view.encode();
    answer.settings = settings.encode();
    answer.settled = settled && agreement;
    return answer;
  }

  // What this node would know with `theirs`. A stranger takes only a view that has it as a member.
  Result<MembershipView> merged_with(BytesView theirs, bool from_settled = true) const {
    Result<MembershipView> decoded = MembershipView::decode(theirs);
    if (!decoded) return decoded.status();
    if (decoded->cluster() != options.cluster) {
      return Status(Code::invalid_argument, "membership: wanted cluster " +
                                                quoted(options.cluster) + ", got cluster " +
                                                quoted(decoded->cluster()));
    }
    // The founding of this node's file was theirs, and is past: what its file says of the founders
    // beside their names is not merged, or one wrong file would count for all.
    bool theirs_counts = founded && from_settled && decoded->founding() == view.founding();
    if (!view.empty() && !theirs_counts) return view.merge(*decoded);
    const MembershipView::Known* me = decoded->find(options.name);
    if (theirs_counts && me != nullptr && !decoded->is_member(options.name)) return decoded;
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

  Message answer(const Gossip& gossip, Now now) {
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
    NodeId from = node_id_of(gossip.name);
    Result<ClusterSettings> theirs = ClusterSettings::decode(gossip.settings);
    if (!theirs) {
      return refuse({theirs.status().code(), "gossip of " + quoted(gossip.name) + " at " +
                                                 quoted(gossip.address) + ": " +
                                                 theirs.status().message()});
    }
    bool old = gossip.settings.empty(), from_settled = old || gossip.settled;
    // Not to be with: the asker gets this node's own words, and finds out for itself.
    auto differ = [&](const Status& why, std::uint64_t founding) -> Message {
      heard_difference(from, why, *theirs, from_settled, founding);
      say(LogLevel::warn, "gossip of " + quoted(gossip.name) + " at " + quoted(gossip.address) +
                              ": " + why.message());
      return answering(true);
    };
    bool both = agreement && !old && !view.empty();
    if (both) {
      if (Status why = conflict_of(*theirs, from_settled); !why) return differ(why, 0);
      if (founded && !from_settled && gossip.digest != 0 && gossip.digest != view.digest()) {
        return differ(other_founding(gossip.view), 0);
      }
    }
    if (gossip.view.empty()) {
      if (view.empty()) return GossipAnswer{};  // a stranger: tell me, if you know anything
      if (Status status = admit(view, gossip); !status) {
        // Its view may know better than mine: it joined, or moved, on another side.
        if (gossip.digest != 0 && gossip.digest != view.digest()) return answering(false);
        return refuse(status);
      }
      if (gossip.digest != view.digest()) return answering(true);
      heard_agreement(from, *theirs, from_settled, old);
      if (both && gossip.settled) take_settings(*theirs);
      settle_if_due(now);
      return answering(false);
    }
    if (both && settled && !from_settled && !gossip.moved) {
      // A founding of the asker's own: not merged, it takes this node's view or stays away.
      Result<MembershipView> own = MembershipView::decode(gossip.view);
      if (!own) return refuse(own.status());
      if (own->founding() != view.founding() || own->cluster() != view.cluster()) {
        return differ(view.merge(*own).status(), own->founding());
      }
      if (Status status = admit(view, gossip); !status) return refuse(status);
      return answering(true);
    }
    Result<MembershipView> merged = merged_with(gossip.view, from_settled);
    if (!merged) {
      if (view.empty() && merged.status().code() == Code::closed) {
        // It waits to be joined itself, so it says nothing about the asker. A refusal would take a
        // member out of service (Upkeep).
        say(LogLevel::warn, "gossip of " + quoted(gossip.name) + " at " + quoted(gossip.address) +
                                ": " + merged.status().message());
        return GossipAnswer{};
      }
      if (both && merged.status().code() == Code::invalid_argument) {
        auto own = MembershipView::decode(gossip.view);
        if (own && own->cluster() == view.cluster() &&
            (founded || own->founding() != view.founding())) {
          return differ(merged.status(), own->founding());
        }
      }
      return refuse({merged.status().code(), "gossip of " + quoted(gossip.name) + " at " +
                                                 quoted(gossip.address) + ": " +
                                                 merged.status().message()});
    }
    if (Status status = admit(*merged, gossip); !status) return refuse(status);
    const MembershipView::Known* known = view.empty() ? nullptr : view.find(gossip.name);
    if (gossip.moved && known != nullptr && known->member.address != gossip.address) {
      if (host.may_be_alive(from)) {
        return refuse({Code::unavailable,
                       "membership: " + quoted(gossip.name) + " at " + quoted(gossip.address) +
                           " says that it has moved, but the member at " +
                           quoted(known->member.address) +
                           " was not found silent: stop that one, or this copy of its directory"});
      }
      say(LogLevel::warn, "member " + quoted(gossip.name) + " has moved from " +
                              quoted(known->member.address) + " to " + quoted(gossip.address));
    }
    std::uint64_t digest = gossip.digest;
    bool stranger = view.empty();
    if (from_settled) founded = false;
    if (Status status = adopt(std::move(*merged)); !status) return refusal_of(status);
    if (stranger) {
      refusal = {};  // whoever turned it away had not heard that it was joined
      begin_to_ask(now);
    }
    heard_agreement(from, *theirs, from_settled, old);
    if (agreement && !old && gossip.settled) take_settings(*theirs);
    settle_if_due(now);
    return answering(view.digest() != digest);
  }

  // Both sides were given lists of founders, and not the same.
  Status other_founding(BytesView theirs) const {
    auto own = MembershipView::decode(theirs);
    if (own && !own->empty()) {
      if (Status why = view.merge(*own).status(); !why) return why;
    }
    return {Code::invalid_argument,
            "membership: its file names other [[members]], or other addresses, zones or weights of "
            "them"};
  }

  void take(const Asked& asked, const GossipAnswer& answer, Now now) {
    Result<ClusterSettings> theirs = ClusterSettings::decode(answer.settings);
    if (!theirs) {
      refusal = theirs.status();
      return say(LogLevel::warn, "gossip with " + asked.address + ": " + theirs.status().message());
    }
    bool old = answer.settings.empty(), from_settled = old || answer.settled;
    bool both = agreement && !old && !view.empty() && answer.digest != 0;
    if (both) {
      if (Status why = conflict_of(*theirs, from_settled); !why) {
        return heard_difference(asked.to, why, *theirs, from_settled, 0);
      }
      if (founded && !from_settled && answer.digest != view.digest()) {
        if (answer.view.empty() && !asked.told) return ask(asked.to, asked.address, true, now);
        return heard_difference(asked.to, other_founding(answer.view), *theirs, false, 0);
      }
    }
    if (answer.view.empty() && answer.digest == 0) {
      // A node without a view neither turns this one away nor takes back what a member refused.
      if (!asked.told && !view.empty()) ask(asked.to, asked.address, true, now);
      return;
    }
    if (answer.view.empty()) {
      // Only a peer that agrees, or took what it was told, has not turned this node away: one that
      // knows more than it says here may still do so when it is told.
      if (answer.digest == told().digest() || asked.told) {
        refusal = {};
        agreed(asked, answer.digest == told().digest(), *theirs, from_settled, old, now);
      } else if (!view.empty()) {
        ask(asked.to, asked.address, true, now);
      }
      return;
    }
    if (both && settled && !from_settled && answer.digest != view.digest()) {
      // A founding of the other's own, as in answer(): not merged. It hears what this node has.
      Result<MembershipView> own = MembershipView::decode(answer.view);
      if (own && own->cluster() == view.cluster() && own->founding() == view.founding()) {
        if (!asked.told) ask(asked.to, asked.address, true, now);
        return;
      }
    }
    bool stranger = view.empty();
    Result<MembershipView> merged = merged_with(answer.view, from_settled);
    if (!merged) {
      if (both && merged.status().code() == Code::invalid_argument) {
        auto own = MembershipView::decode(answer.view);
        if (own && own->cluster() == view.cluster() &&
            (founded || own->founding() != view.founding())) {
          return heard_difference(asked.to, merged.status(), *theirs, from_settled,
                                  own->founding());
        }
      }
      refusal = merged.status();
      return say(LogLevel::warn, "gossip with " + asked.address + ": " + merged.status().message());
    }
    refusal = {};
    if (from_settled) founded = false;
    if (!adopt(std::move(*merged))) return;
    if (stranger) begin_to_ask(now);
    agreed(asked, false, *theirs, from_settled, old, now);
    if (view.digest() != answer.digest && !asked.told) ask(asked.to, asked.address, true, now);
  }

  // The one that was asked has a view that goes with this node's.
  void agreed(const Asked& asked, bool has_claim, const ClusterSettings& theirs, bool from_settled,
              bool old, Now now) {
    heard_agreement(asked.to, theirs, from_settled, old);
    if (agreement && !old && from_settled && !view.empty()) take_settings(theirs);
    if (claim && has_claim) {
      MembershipView there = *claim;
      (void)adopt(std::move(there), Keep::at_once);
    }
    settle_if_due(now);
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
  if (impl_->claim && impl_->others().empty()) {
    MembershipView there = *impl_->claim;
    (void)impl_->adopt(std::move(there), Keep::at_once);
  }
  impl_->begin_to_ask(now);
  impl_->settle_if_due(now);
}

void Gossiper::on_reply(RequestId number, const Message& message, Now now) {
  std::optional<Asked> asked = impl_->under_way.take(number);
  if (!asked) return;
  if (const auto* answer = std::get_if<GossipAnswer>(&message)) {
    impl_->take(*asked, *answer, now);
  } else if (const auto* refused = std::get_if<Refused>(&message)) {
    impl_->refusal = refused->status;
    impl_->say(LogLevel::warn, "gossip with " + asked->address +
                                   " was refused: " + printable(refused->status.message(), 400));
  }
}

void Gossiper::on_unreachable(RequestId number, Now) {
  impl_->under_way.erase(number);
}

void Gossiper::on_wake(Now now) {
  while (impl_->under_way.take_silent(now.instant)) {
  }
  if (impl_->round_at <= now.instant) impl_->round(now);
  if (!impl_->asks_everybody()) return;
  impl_->settle_if_due(now);
  if (impl_->asks_everybody()) impl_->ask_everybody(now);
  // Silence of all others: nobody holds its old place either.
  if (impl_->claim && impl_->settled && impl_->asks_until <= now.instant &&
      !impl_->refusal.is_ok()) {
    impl_->asks_until = now.instant + impl_->options.ask_for;
  } else if (impl_->asks_until <= now.instant && impl_->settled) {
    impl_->asks_until = Instant::never();
  }
}

Message Gossiper::on_gossip(const Gossip& gossip, Now now) {
  return impl_->answer(gossip, now);
}

Status Gossiper::change(const MembershipView& view, Keep keep) {
  Result<MembershipView> merged = impl_->view.merge(view);
  if (!merged) return merged.status();
  return impl_->adopt(std::move(*merged), keep);
}

const MembershipView& Gossiper::view() const {
  return impl_->view;
}
const ClusterSettings& Gossiper::settings() const {
  return impl_->settings;
}
void Gossiper::take_settings(const ClusterSettings& settings) {
  impl_->settings = settings;
  impl_->host.on_settings_changed(settings);
}
Gossiper::Belonging Gossiper::belonging() const {
  return impl_->belonging();
}
Status Gossiper::why_not() const {
  return impl_->why_not();
}
bool Gossiper::disagrees_with(NodeId member) const {
  auto at = impl_->opinions.find(member);
  return at != impl_->opinions.end() && at->second.is == Impl::Opinion::differs;
}
bool Gossiper::any_disagrees() const {
  return impl_->differing > 0;
}
const Status& Gossiper::refusal() const {
  return impl_->refusal;
}
std::uint64_t Gossiper::rounds() const {
  return impl_->rounds;
}

std::vector<Outgoing> Gossiper::take_outgoing() {
  return std::exchange(impl_->outgoing, {});
}

Instant Gossiper::next_wake() const {
  Instant next =
      std::min(impl_->round_at, impl_->asks_everybody() ? impl_->ask_at : Instant::never());
  return std::min(next, impl_->under_way.next_until());
}

}  // namespace ringlet
