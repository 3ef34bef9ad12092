#include "membership/changes.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "membership/event_encoding.hpp"
#include "ring/placement.hpp"

namespace ringlet {
namespace {

using Kind = MemberEvent::Kind;
using Standing = MembershipView::Standing;

constexpr std::size_t max_staged = 1024;

Status wrong(std::string why) {
  return {Code::invalid_argument, "membership: " + std::move(why)};
}

std::string quoted(std::string_view name) {
  return "\"" + printable(name) + "\"";
}

// The members as they will be, built up order by order.
class Draft {
 public:
  explicit Draft(const MembershipView& view) : view_(view) {
    for (const MembershipView::Known& known : view.known()) {
      if (known.standing == Standing::in) staying_[known.member.name] = known.member;
      if (known.standing == Standing::leaving) leaving_[known.member.name] = known.member;
    }
  }

  // Those who stay, by id.
  std::vector<Member> members() const {
    std::vector<Member> members;
    for (const auto& [name, member] : staying_) members.push_back(member);
    std::sort(members.begin(), members.end(),
              [](const Member& a, const Member& b) { return a.id < b.id; });
    return members;
  }
  // Who takes the place of a lost member.
  NodeId heir_of(NodeId old) const {
    auto at = heirs_.find(old);
    return at == heirs_.end() ? old : at->second;
  }

  // Completes the change (a leave's member as it is, a replacement's zone and weight).
  Status apply(StagedChange& change) {
    if (change.set) {
      auto [setting, value] = *change.set;
      auto [at, fresh] = set_.try_emplace(setting, value);
      if (fresh) return {};
      return wrong("set " + std::string(rule_of(setting).key) + " " +
                   ringlet::to_string(setting, at->second) +
                   " is staged already; commit or clear that first");
    }
    if (change.rebalance) {
      if (rebalances_) return wrong("rebalance is staged already");
      rebalances_ = true;
      return {};
    }
    Member& member = change.member;
    for (const std::string& name : {member.name, change.replaces}) {
      auto at = touched_.find(name);
      if (name.empty() || at == touched_.end()) continue;
      if (at->second == to_string(change)) return wrong(at->second + " is staged already");
      return wrong(to_string(change) + " contradicts what is staged: " + at->second +
                   "; commit or clear that first");
    }
    Status status;
    switch (change.kind) {
      case Kind::join:
        status = join(member);
        break;
      case Kind::leave:
        status = leave(member);
        break;
      case Kind::replace:
        status = replace(change.replaces, member);
        break;
      case Kind::update:
        status = update(member);
        break;
    }
    if (!status) return status;
    touched_[member.name] = to_string(change);
    if (!change.replaces.empty()) touched_[change.replaces] = to_string(change);
    return {};
  }

 private:
  Status be_new(Member& member, const std::string& except) {
    if (!member.id) member.id = node_id_of(member.name);
    if (Status status = check_member(member); !status) return status;
    if (staying_.contains(member.name)) return wrong(quoted(member.name) + " is a member already");
    if (leaving_.contains(member.name)) {
      return wrong(quoted(member.name) +
                   " is leaving; it may join again once all of its partitions have moved");
    }
    return own_address(member, except);
  }

  Status own_address(const Member& member, const std::string& except) {
    if (member.address.ends_with(":0")) return {};
    for (const auto* members : {&staying_, &leaving_}) {
      for (const auto& [name, other] : *members) {
        if (name == except || name == member.name || other.address != member.address) continue;
        return wrong(quoted(member.name) + " wants the address " + quoted(member.address) +
                     ", which is that of member " + quoted(name));
      }
    }
    return {};
  }

  Status join(Member& member) {
    if (Status status = be_new(member, ""); !status) return status;
    if (staying_.size() + 1 > view_.partitions()) {
      return wrong(std::to_string(view_.partitions()) + " partitions are too few for " +
                   std::to_string(staying_.size() + 1) + " members");
    }
    staying_[member.name] = member;
    return {};
  }

  Status leave(Member& member) {
    if (leaving_.contains(member.name)) return wrong(quoted(member.name) + " is leaving already");
    auto at = staying_.find(member.name);
    if (at == staying_.end()) return not_a_member(member.name);
    if (staying_.size() == 1) {
      return wrong(quoted(member.name) + " is the last member and cannot leave");
    }
    member = at->second;
    leaving_.insert(*at);
    staying_.erase(at);
    return {};
  }

  Status replace(const std::string& old_name, Member& member) {
    if (old_name == member.name) {
      return wrong(quoted(old_name) +
                   " cannot be replaced by itself; a node that lost its directory is repaired");
    }
    auto staying = staying_.find(old_name), leaving = leaving_.find(old_name);
    if (staying == staying_.end() && leaving == leaving_.end()) return not_a_member(old_name);
    const Member& old = staying != staying_.end() ? staying->second : leaving->second;
    member.zone = old.zone;
    member.weight = old.weight;
    if (Status status = be_new(member, old_name); !status) return status;
    heirs_[old.id] = member.id;
    staying_.erase(old_name);
    leaving_.erase(old_name);
    staying_[member.name] = member;
    return {};
  }

  // Of the weight or the address: the other is as it was.
  Status update(Member& member) {
    auto at = staying_.find(member.name);
    if (leaving_.contains(member.name)) {
      return wrong(quoted(member.name) + " is leaving and cannot be changed any more");
    }
    if (at == staying_.end()) return not_a_member(member.name);
    if (Status status = check_member(member); !status) return status;
    if (Status status = own_address(member, ""); !status) return status;
    at->second = member;
    return {};
  }

  Status not_a_member(const std::string& name) const {
    switch (view_.standing(name)) {
      case Standing::left:
        return wrong(quoted(name) + " has left and is no member any more");
      case Standing::replaced:
        return wrong(quoted(name) + " was replaced by " + quoted(view_.find(name)->replaced_by) +
                     " and is no member any more");
      case Standing::clashing:
        return wrong(quoted(name) + " joined at an address that is another member's");
      default:
        return wrong(quoted(name) + " is not a member");
    }
  }

  const MembershipView& view_;
  std::map<std::string, Member> staying_, leaving_;
  std::map<std::string, std::string> touched_;  // by name: the order that did
  std::map<NodeId, NodeId> heirs_;
  std::map<Setting, std::uint64_t> set_;
  bool rebalances_ = false;
};

// Who has each slot when all that moves has arrived.
std::vector<NodeId> final_owners(const Ring& ring) {
  std::vector<NodeId> finals = ring.owners();
  if (!ring.moving()) return finals;
  for (std::size_t p = 0; p < finals.size(); ++p) {
    if (ring.next()[p]) finals[p] = ring.next()[p];
  }
  return finals;
}

// A slot that is on its way to a member that stays goes on to it. Its newcomer flips it by its own word, so
// an order that gave it to somebody else could cross that flip, and strict requests of those who know of
// the one would not meet those of the others. Who was to have it gets another slot of the member it stays
// with, if there is one at rest; if not, shares are uneven until that member or another claims its own.
void keep_what_moves(const Ring& ring, const std::vector<std::uint32_t>& wanted, std::uint32_t n,
                     std::vector<std::uint32_t>& owners) {
  if (!ring.moving()) return;
  std::size_t q = owners.size();
  auto kept = [&](std::size_t p) { return ring.next()[p] && wanted[p] != no_owner; };
  auto repeats = [&](std::size_t p, std::uint32_t owner) {
    for (std::size_t d = 1; d < n && d < q; ++d) {
      if (owners[(p + d) % q] == owner || owners[(p + q - d) % q] == owner) return true;
    }
    return false;
  };
  for (std::size_t p = 0; p < q; ++p) {
    if (!kept(p) || owners[p] == wanted[p]) continue;
    std::uint32_t other = std::exchange(owners[p], wanted[p]);
    std::size_t best = q;
    for (std::size_t each = 0; each < q; ++each) {
      if (each == p || kept(each) || owners[each] != wanted[p]) continue;
      if (best == q || !repeats(each, other)) best = each;
      if (!repeats(each, other)) break;
    }
    if (best != q) owners[best] = other;
  }
}

// Who is to have each slot in the end: all of `members` (sorted by id) their shares, with the fewest
// moves.
Result<std::vector<NodeId>> fair_owners(const MembershipView& view, const Draft& draft,
                                        const std::vector<Member>& members) {
  std::vector<PlacementNode> nodes;
  for (const Member& member : members) nodes.push_back({member.weight, member.zone});
  std::uint32_t q = view.partitions();
  if (nodes.size() > q) {
    return wrong(std::to_string(q) + " partitions are too few to give every one of " +
                 std::to_string(nodes.size()) + " members one");
  }
  std::vector<std::uint32_t> numbers;
  for (NodeId owner : final_owners(*view.ring())) {
    NodeId id = draft.heir_of(owner);
    auto at = std::lower_bound(members.begin(), members.end(), id,
                               [](const Member& m, NodeId wanted) { return m.id < wanted; });
    bool stays = at != members.end() && at->id == id;
    numbers.push_back(stays ? static_cast<std::uint32_t>(at - members.begin()) : no_owner);
  }
  std::vector<std::uint32_t> fair = rebalanced_owners(nodes, numbers, q, view.replicas());
  keep_what_moves(*view.ring(), numbers, view.replicas(), fair);
  std::vector<NodeId> owners;
  for (std::uint32_t number : fair) owners.push_back(members[number].id);
  return owners;
}

// Mean load over hottest load, by weight, when each owner is the one given.
double efficiency_of(const MembershipView& view, std::vector<Member> members,
                     std::vector<NodeId> owners) {
  Ring::Options options;
  options.cluster = view.cluster();
  options.partitions = view.partitions();
  options.replicas = view.replicas();
  options.members = std::move(members);
  auto ring = Ring::from_owners(std::move(options), std::move(owners));
  if (!ring) return 0;
  std::map<NodeId, std::uint32_t> loads;
  for (std::uint32_t p = 0; p < (*ring)->partitions(); ++p) {
    const auto& list = (*ring)->preference_list(p);
    for (std::uint32_t i = 0; i < (*ring)->effective_replicas(); ++i) ++loads[list[i]];
  }
  double total = 0, weights = 0, hottest = 0;
  for (const auto& [id, load] : loads) {
    double weight = (*ring)->find(id)->weight;
    total += load;
    weights += weight;
    hottest = std::max(hottest, load / weight);
  }
  return total / weights / hottest;
}

std::pair<Setting, std::uint64_t> read_set(protozero::pbf_reader in) {
  std::uint64_t number = 0, value = 0;
  while (in.next()) {
    if (in.tag_and_type() == event_encoding::varint(1)) {
      number = in.get_uint64();
    } else if (in.tag_and_type() == event_encoding::varint(2)) {
      value = in.get_uint64();
    } else {
      in.skip();
    }
  }
  for (const SettingRule& rule : setting_rules()) {
    if (static_cast<std::uint64_t>(rule.setting) != number || rule.fixed != nullptr) continue;
    if (value >= rule.low && value <= rule.high) return {rule.setting, value};
  }
  throw event_encoding::Malformed{"setting " + std::to_string(number) + " cannot be set to " +
                                  std::to_string(value)};
}

}  // namespace

std::string to_string(const StagedChange& change) {
  if (change.set) {
    return "set " + std::string(rule_of(change.set->first).key) + " " +
           to_string(change.set->first, change.set->second);
  }
  if (change.rebalance) return "rebalance";
  const Member& member = change.member;
  switch (change.kind) {
    case Kind::join:
      return "join " + member.name + " at " + member.address +
             (member.zone.empty() ? " (" : " (zone " + member.zone + ", ") +
             (member.advertise.empty() ? "" : "for clients at " + member.advertise + ", ") +
             "weight " + std::to_string(member.weight) + ")";
    case Kind::leave:
      return "leave " + member.name;
    case Kind::replace:
      return "replace " + change.replaces + " by " + member.name + " at " + member.address;
    case Kind::update:
      return "update " + member.name + " at " + member.address +
             (member.advertise.empty() ? " (" : " (for clients at " + member.advertise + ", ") +
             "weight " + std::to_string(member.weight) + ")";
  }
  return "unknown";
}

Status Changes::stage(const MembershipView& view, StagedChange change) {
  if (view.empty()) {
    return wrong("this node is a member of no cluster yet; ask one that is");
  }
  if (staged_.size() >= max_staged) {
    return wrong(std::to_string(max_staged) + " changes are staged; commit or clear them first");
  }
  Draft draft(view);
  for (StagedChange staged : staged_) {
    if (Status status = draft.apply(staged); !status) return status;
  }
  if (Status status = draft.apply(change); !status) return status;
  staged_.push_back(std::move(change));
  return {};
}

namespace {

// Port 0 is "any", for a node that listens. No other node finds it there.
Status reachable(const std::string& address) {
  if (address.find_last_not_of('0') == std::string::npos || !address.ends_with("0")) return {};
  if (address[address.find_last_not_of('0')] != ':') return {};
  return wrong("wanted an address with a port from 1 to 65535, got " + quoted(address));
}

}  // namespace

Status Changes::join(const MembershipView& view, const Member& member) {
  for (const std::string* address : {&member.address, &member.advertise}) {
    if (Status status = reachable(*address); !status) return status;
  }
  return stage(view, {Kind::join, member, "", false, {}});
}

Status Changes::leave(const MembershipView& view, const std::string& name) {
  StagedChange change{Kind::leave, {}, "", false, {}};
  change.member.name = name;
  return stage(view, std::move(change));
}

Status Changes::replace(const MembershipView& view, const std::string& old_name,
                        const std::string& new_name, const std::string& address) {
  if (Status status = reachable(address); !status) return status;
  StagedChange change{Kind::replace, {}, old_name, false, {}};
  change.member.name = new_name;
  change.member.address = address;
  return stage(view, std::move(change));
}

Status Changes::set_weight(const MembershipView& view, const std::string& name,
                           std::uint32_t weight) {
  StagedChange change{Kind::update, {}, "", false, {}};
  if (const auto* known = view.empty() ? nullptr : view.find(name)) change.member = known->member;
  change.member.name = name;
  change.member.weight = weight;
  return stage(view, std::move(change));
}

Status Changes::set_address(const MembershipView& view, const std::string& name,
                            const std::string& address, const std::string& advertise) {
  for (const std::string* each : {&address, &advertise}) {
    if (Status status = reachable(*each); !status) return status;
  }
  StagedChange change{Kind::update, {}, "", false, {}};
  if (const auto* known = view.empty() ? nullptr : view.find(name)) {
    change.member = known->member;
    bool same = address == known->member.address &&
                (advertise == "=" || advertise == known->member.advertise);
    if (same) {
      std::string clients = advertise == "=" && !known->member.advertise.empty()
                                ? "; clients reach it at " + quoted(known->member.advertise) +
                                      ", which --advertise changes (none: at its address again)"
                                : "";
      return wrong(quoted(name) + " is at " + quoted(address) + " already" + clients);
    }
  }
  change.member.name = name;
  change.member.address = address;
  if (advertise != "=") change.member.advertise = advertise;
  return stage(view, std::move(change));
}

Status Changes::set(const MembershipView& view, const ClusterSettings& settings,
                    const std::string& key, const std::string& value) {
  const SettingRule* rule = find_setting(key);
  if (rule == nullptr) {
    std::string may;
    for (const SettingRule& each : setting_rules()) {
      if (each.fixed == nullptr) may += (may.empty() ? "" : ", ") + std::string(each.key);
    }
    return wrong("set: wanted a setting of the cluster (" + may + "), got \"" + printable(key) +
                 "\"; all others are each node's own, in its file");
  }
  if (rule->fixed != nullptr) {
    return wrong("set: " + std::string(rule->section) + "." + rule->key +
                 " never changes: " + rule->fixed);
  }
  auto wanted = parse_setting(*rule, value);
  if (!wanted) return wanted.status();
  if (view.empty()) return stage(view, {});
  bool quorum = rule->setting == Setting::r || rule->setting == Setting::w;
  if (quorum && *wanted > view.replicas()) {
    return wrong("set: cluster." + std::string(rule->key) + ": wanted at most cluster.n (" +
                 std::to_string(view.replicas()) + "), got " + std::to_string(*wanted));
  }
  if (settings.find(rule->setting) == *wanted) {
    return wrong("set: " + std::string(rule->section) + "." + rule->key + " is " +
                 ringlet::to_string(rule->setting, *wanted) + " already");
  }
  StagedChange change;
  change.set = {rule->setting, *wanted};
  return stage(view, std::move(change));
}

ClusterSettings Changes::settings_after(const ClusterSettings& settings, NodeId issuer) const {
  SettingValues values;
  for (const StagedChange& change : staged_) {
    if (change.set) values[change.set->first] = change.set->second;
  }
  return values.empty() ? settings : settings.with(values, issuer);
}

Status Changes::rebalance(const MembershipView& view) {
  StagedChange change;
  change.rebalance = true;
  return stage(view, std::move(change));
}

Result<MembershipPlan> Changes::plan(const MembershipView& view, NodeId issuer,
                                     std::int64_t wall_ms) const {
  if (view.empty()) return wrong("this node is a member of no cluster yet; ask one that is");
  if (staged_.empty()) return wrong("nothing is staged");
  // Half of what a view may hold: two sides of a split that both went that far can still be merged.
  if (view.history().size() + staged_.size() > max_member_events / 2) {
    return wrong("the history is full: wanted at most " + std::to_string(max_member_events / 2) +
                 " events, got " + std::to_string(view.history().size() + staged_.size()) +
                 "; found a new cluster and copy the data");
  }
  Draft draft(view);
  History history = view.history();
  std::uint64_t lamport = history.last_lamport() + 1;
  std::uint64_t wall = static_cast<std::uint64_t>(std::max<std::int64_t>(0, wall_ms));
  std::uint64_t seq = history.next_seq(issuer, wall);
  for (StagedChange change : staged_) {
    if (Status status = draft.apply(change); !status) return status;
    if (change.rebalance || change.set) continue;
    history.add({lamport, issuer, seq++, static_cast<std::int64_t>(wall), change.kind,
                 change.member, change.replaces});
  }

  // Settings and addresses alone move nothing.
  bool moves = std::any_of(staged_.begin(), staged_.end(), [&](const StagedChange& change) {
    if (change.set) return false;
    const auto* known = view.find(change.member.name);
    return change.rebalance || change.kind != Kind::update || known == nullptr ||
           known->member.weight != change.member.weight;
  });
  if (!moves) {
    MembershipPlan plan;
    plan.efficiency_before = plan.efficiency_after =
        efficiency_of(view, view.ring()->members(), final_owners(*view.ring()));
    plan.view =
        MembershipView::of(view.cluster(), view.replicas(), std::move(history), view.table());
    if (Status readable = plan.view.check(); !readable) return readable;
    return plan;
  }

  std::vector<Member> members = draft.members();
  auto targets = fair_owners(view, draft, members);
  if (!targets) return targets.status();

  const Ring& ring = *view.ring();
  MembershipPlan plan;
  OwnershipTable table = view.table();
  for (std::uint32_t p = 0; p < table.size(); ++p) {
    NodeId target = (*targets)[p];
    NodeId was = ring.owners()[p], owner = draft.heir_of(was);
    bool unfilled = owner != was || (ring.moving() && ring.next()[p] == was);
    NodeId next = target != owner ? target : unfilled ? owner : NodeId{};
    if (next) plan.slots.push_back({p, was, next});
    if (table[p].owner != owner || table[p].next != next) {
      table[p] = {table[p].epoch + 1, owner, next};
    }
  }
  plan.efficiency_before = efficiency_of(view, ring.members(), final_owners(ring));
  plan.efficiency_after = efficiency_of(view, std::move(members), std::move(*targets));
  plan.view =
      MembershipView::of(view.cluster(), view.replicas(), std::move(history), std::move(table));
  if (Status readable = plan.view.check(); !readable) return readable;
  const Ring& after = *plan.view.ring();
  std::map<std::uint32_t, MembershipPlan::Partition> partitions;
  for (const Member& member : after.members()) {
    for (std::uint32_t p : after.pulls(member.id)) {
      MembershipPlan::Partition& moving = partitions[p];
      moving.partition = p;
      moving.from = after.outgoing(p);
      moving.to.push_back(member.id);
    }
  }
  for (auto& [p, moving] : partitions) plan.partitions.push_back(std::move(moving));
  return plan;
}

Result<MembershipView> Changes::commit(const MembershipView& view, NodeId issuer,
                                       std::int64_t wall_ms) const {
  Result<MembershipPlan> planned = plan(view, issuer, wall_ms);
  if (!planned) return planned.status();
  return planned->view;
}

MembershipView claim_share(const MembershipView& view, NodeId self) {
  if (view.empty() || view.ring()->moving()) return view;
  Draft draft(view);
  auto targets = fair_owners(view, draft, draft.members());
  if (!targets) return view;  // more joined, here and there, than there are slots
  OwnershipTable table = view.table();
  bool short_of_some = false;
  for (std::size_t p = 0; p < table.size(); ++p) {
    if ((*targets)[p] != self || table[p].owner == self) continue;
    table[p] = {table[p].epoch + 1, table[p].owner, self};
    short_of_some = true;
  }
  if (!short_of_some) return view;
  return MembershipView::of(view.cluster(), view.replicas(), view.history(), std::move(table));
}

Bytes Changes::encode() const {
  if (staged_.empty()) return {};
  Bytes body;
  protozero::pbf_writer out{body};
  for (const StagedChange& change : staged_) {
    if (change.rebalance) {
      out.add_uint64(2, 1);
      continue;
    }
    if (change.set) {
      protozero::pbf_writer set{out, 3};
      set.add_uint32(1, static_cast<std::uint32_t>(change.set->first));
      set.add_uint64(2, change.set->second);
      continue;
    }
    MemberEvent event;
    event.kind = change.kind;
    event.member = change.member;
    event.replaces = change.replaces;
    event_encoding::write_event(out, 1, event);
  }
  return event_encoding::sealed(body);
}

Result<Changes> Changes::decode(BytesView bytes) {
  Changes changes;
  if (bytes.empty()) return changes;
  auto corrupt = [](const std::string& why) {
    return Status(Code::corrupt, "staged changes: " + why);
  };
  Result<BytesView> body = event_encoding::opened(bytes, "staged changes");
  if (!body) return body.status();
  try {
    protozero::pbf_reader in{body->data(), body->size()};
    while (in.next()) {
      if (changes.staged_.size() == max_member_events) return corrupt("more than 65536");
      if (in.tag_and_type() == event_encoding::varint(2)) {
        if (in.get_uint64() != 1) return corrupt("a rebalance that is none");
        StagedChange change;
        change.rebalance = true;
        changes.staged_.push_back(std::move(change));
        continue;
      }
      if (in.tag_and_type() == event_encoding::bytes(3)) {
        StagedChange change;
        change.set = read_set(in.get_message());
        changes.staged_.push_back(std::move(change));
        continue;
      }
      if (in.tag_and_type() != event_encoding::bytes(1)) return corrupt("a field of another kind");
      MemberEvent event = event_encoding::read_event(in.get_message());
      changes.staged_.push_back({event.kind, event.member, event.replaces, false, {}});
    }
  } catch (const event_encoding::Malformed& malformed) {
    return corrupt(malformed.why);
  } catch (const protozero::exception& e) {
    return corrupt(std::string("not a protobuf message (") + e.what() + ")");
  }
  if (changes.encode() != bytes) return corrupt("not in the one form that they are written in");
  return changes;
}

}  // namespace ringlet
