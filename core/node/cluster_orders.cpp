// What an administrator orders of a node, and what it answers: JSON with a sentence in "message".
#include <algorithm>
#include <charconv>

#include "node/upkeep_impl.hpp"

namespace ringlet {
namespace {

Status wrong(const std::string& text) {
  return {Code::invalid_argument, "cluster: " + text};
}

std::string counted(std::uint64_t count, const std::string& one, const std::string& many = "") {
  return std::to_string(count) + " " + (count == 1 ? one : many.empty() ? one + "s" : many);
}

}  // namespace

Status Upkeep::Impl::keep_staged() {
  Bytes encoded = staged.encode();
  auto done = state->engine().transact(Durability::disk, [&](Transaction& transaction) {
    return encoded.empty() ? transaction.erase(Table::state, NodeState::staged_row)
                           : transaction.put(Table::state, NodeState::staged_row, encoded);
  });
  if (!done) return done.status();
  return state->engine().flush();
}

json::array Upkeep::Impl::staged_json() const {
  json::array list;
  for (const auto& change : staged.staged()) list.push_back(json::value(to_string(change)));
  return list;
}

Result<std::uint32_t> Upkeep::Impl::number(const std::string& text, std::uint32_t low,
                                           std::uint32_t high, const char* what) {
  std::uint32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < low || value > high) {
    return wrong(std::string(what) + ": wanted a number from " + std::to_string(low) + " to " +
                 std::to_string(high) + ", got \"" + printable(text) + "\"");
  }
  return value;
}

StatusText Upkeep::Impl::stage(const ClusterCommand& command) {
  const auto& arguments = command.arguments;
  const MembershipView& view = gossip->view();
  Changes before = staged;
  Status done;
  if (command.verb == "join") {
    if (arguments.size() != 4 && arguments.size() != 5) {
      return {wrong("join wants name, address, zone, weight and perhaps an address for clients"),
              ""};
    }
    auto weight = number(arguments[3], 1, 1000, "weight");
    if (!weight) return {weight.status(), ""};
    done = staged.join(view, Member{{},
                                    arguments[0],
                                    arguments[1],
                                    arguments[2],
                                    *weight,
                                    arguments.size() == 5 ? arguments[4] : ""});
  } else if (command.verb == "move") {
    if (arguments.size() != 2 && arguments.size() != 3) {
      return {wrong("move wants a name, an address and perhaps an address for clients"), ""};
    }
    done = staged.set_address(view, arguments[0], arguments[1],
                              arguments.size() == 3 ? arguments[2] : "=");
  } else if (command.verb == "set") {
    if (arguments.size() != 2) return {wrong("set wants a setting and its value"), ""};
    done = staged.set(view, gossip->settings(), arguments[0], arguments[1]);
  } else if (command.verb == "leave") {
    if (arguments.size() != 1) return {wrong("leave wants a name"), ""};
    done = staged.leave(view, arguments[0]);
  } else if (command.verb == "rebalance") {
    if (!arguments.empty()) return {wrong("rebalance takes no arguments"), ""};
    done = staged.rebalance(view);
  } else if (command.verb == "replace") {
    if (arguments.size() < 3) return {wrong("replace wants name, new name, address"), ""};
    done = staged.replace(view, arguments[0], arguments[1], arguments[2]);
  } else {
    if (arguments.size() != 2) return {wrong("weight wants name and weight"), ""};
    auto weight = number(arguments[1], 1, 1000, "weight");
    if (!weight) return {weight.status(), ""};
    done = staged.set_weight(view, arguments[0], *weight);
  }
  if (done) done = keep_staged();
  if (!done) {
    staged = std::move(before);
    return {done, ""};
  }
  return said({{"message", "staged: " + to_string(staged.staged().back()) +
                               "; see the plan, then commit or clear"},
               {"staged", staged_json()}});
}

StatusText Upkeep::Impl::plan(Now now) {
  auto plan = staged.plan(gossip->view(), state->self(), now.wall_ms);
  if (!plan) return {plan.status(), ""};
  auto name = [&](NodeId id) {
    for (const auto& known : plan->view.known()) {
      if (known.member.id == id) return known.member.name;
    }
    return to_string(id);
  };
  json::array slots;
  for (const auto& slot : plan->slots) {
    slots.push_back(
        json::object{{"partition", slot.slot}, {"from", name(slot.from)}, {"to", name(slot.to)}});
  }
  // The bytes of a few partitions that this node keeps; the others are taken to be alike. A few, for
  // a lane waits meanwhile.
  std::size_t rows = 20'000;
  json::array partitions;
  std::uint64_t bytes = 0, measured = 0, receivers = 0;
  for (const auto& partition : plan->partitions) {
    json::array from, to;
    for (NodeId id : partition.from) from.push_back(json::value(name(id)));
    for (NodeId id : partition.to) to.push_back(json::value(name(id)));
    partitions.push_back(
        json::object{{"partition", partition.partition}, {"from", from}, {"to", to}});
    receivers += partition.to.size();
    if (rows > 0 && store.keeps(partition.partition)) {
      if (auto size = store.bytes_of(partition.partition, rows)) bytes += *size, ++measured;
    }
  }
  std::uint64_t estimate = measured == 0 ? 0 : bytes / measured * receivers;
  std::string text = counted(plan->slots.size(), "slot") + " to change hands, " +
                     std::to_string(plan->partitions.size()) + " of " +
                     std::to_string(ring->partitions()) + " partitions to copy, " +
                     counted(receivers, "copy", "copies") + " of about " +
                     std::to_string(estimate) + " bytes in all; efficiency " +
                     std::to_string(plan->efficiency_before).substr(0, 5) + " -> " +
                     std::to_string(plan->efficiency_after).substr(0, 5);
  auto stay = static_cast<std::uint64_t>(std::count_if(
      plan->view.known().begin(), plan->view.known().end(),
      [](const auto& known) { return known.standing == MembershipView::Standing::in; }));
  if (stay < plan->view.replicas()) {
    text += "; N is " + std::to_string(plan->view.replicas()) + ", and " +
            counted(stay, "member stays", "members stay") + ": a key has " +
            counted(stay, "replica") + " then, and a write waits for " + std::to_string(stay) +
            " at most";
  }
  return said({{"message", text},
               {"staged", staged_json()},
               {"moves", slots},
               {"partitions", partitions},
               {"bytes", estimate},
               {"efficiency_before", plan->efficiency_before},
               {"efficiency_after", plan->efficiency_after}});
}

StatusText Upkeep::Impl::commit(Now now) {
  auto view = staged.commit(gossip->view(), state->self(), now.wall_ms);
  if (!view) return {view.status(), ""};
  std::size_t count = staged.staged().size();
  ClusterSettings settings = staged.settings_after(gossip->settings(), state->self());
  bool set = settings != gossip->settings();
  // The view, the settings and the empty staging are one transaction.
  staged_with_view = Bytes();
  if (set) settings_with_view = settings;
  Status changed = gossip->change(*view);
  bool kept = !staged_with_view;  // else the view did not change
  if (changed && !kept && set) {
    changed = persist(gossip->view(), Keep::at_once);
    kept = changed.is_ok();
  }
  staged_with_view.reset();
  settings_with_view.reset();
  if (!changed) return {changed, ""};
  if (set) gossip->take_settings(settings);
  Changes before = staged;
  staged.clear();
  if (!kept) {
    Status cleared = keep_staged();
    if (!cleared) {
      staged = std::move(before);
      return {cleared, ""};
    }
  }
  follow_ring(now);
  return said({{"message", "committed " + counted(count, "change") + "; epoch " +
                               std::to_string(gossip->view().epoch()) +
                               "; the status says what is still moving"},
               {"epoch", gossip->view().epoch()}});
}

StatusText Upkeep::Impl::cluster_status() {
  const MembershipView& view = gossip->view();
  json::array members;
  std::size_t moving = 0;
  for (const NodeId next : ring->next()) moving += next ? 1 : 0;
  for (const auto& known : view.known()) {
    auto owns = std::count(ring->owners().begin(), ring->owners().end(), known.member.id);
    auto comes = std::count(ring->next().begin(), ring->next().end(), known.member.id);
    members.push_back(json::object{{"name", known.member.name},
                                   {"address", known.member.address},
                                   {"advertise", known.member.advertise},
                                   {"zone", known.member.zone},
                                   {"weight", known.member.weight},
                                   {"state", ringlet::name_of(known.standing)},
                                   {"owns", owns},
                                   {"coming", comes},
                                   {"events", known.events},
                                   {"since_ms", known.since_wall_ms}});
  }
  // A leaver has done its part when it owns nothing and has handed over all it had: copies and hints.
  const auto* self = view.find(state->options().name);
  auto standing = self ? self->standing : MembershipView::Standing::unknown;
  bool goes =
      standing == MembershipView::Standing::leaving || standing == MembershipView::Standing::left;
  bool clean = surplus->progress().clean;
  auto hints = replica.count_hints();
  bool may_stop = standing == MembershipView::Standing::left && clean && hints && *hints == 0;
  std::string about = out_why ? "" : "; " + out_why.message();
  std::string own = state->options().name + " is " + ringlet::name_of(standing);
  if (goes) {
    own += may_stop ? ": it has handed over everything and may be stopped"
                    : ": it still has data to hand over, do not stop it yet";
  }
  json::object settings{{"n", view.replicas()}, {"partitions", view.partitions()}};
  for (const SettingRule& rule : setting_rules()) {
    auto has = gossip->settings().find(rule.setting);
    if (!has) continue;
    if (rule.words.empty()) {
      settings[rule.key] = *has;
    } else {
      settings[rule.key] = to_string(rule.setting, *has);
    }
  }
  return said({{"message", "cluster " + view.cluster() + ", epoch " + std::to_string(view.epoch()) +
                               ", " + counted(moving, "partition") + " moving, " +
                               counted(staged.staged().size(), "change") + " staged" + about +
                               (goes ? "; " + own : "")},
               {"out", out_why.message()},
               {"node", json::object{{"name", state->options().name},
                                     {"state", ringlet::name_of(standing)},
                                     {"surplus_clean", clean},
                                     {"hints", hints ? *hints : 0},
                                     {"may_stop", may_stop}}},
               {"cluster", view.cluster()},
               {"epoch", view.epoch()},
               {"digest", std::to_string(view.digest())},
               {"moving", moving},
               {"members", members},
               {"settings", settings},
               {"staged", staged_json()},
               {"upkeep", upkeep_json()}});
}

StatusText Upkeep::Impl::repair(const ClusterCommand& command, Now now) {
  std::optional<std::uint32_t> partition;
  if (command.arguments.size() > 1) return {wrong("repair wants at most a partition"), ""};
  if (!command.arguments.empty()) {
    auto wanted = number(command.arguments[0], 0, ring->partitions() - 1, "partition");
    if (!wanted) return {wanted.status(), ""};
    partition = *wanted;
  }
  auto peers = tree->repair(partition, now);
  if (!peers) return {peers.status(), ""};
  return said({{"message",
                "comparing with " + counted(*peers, "member") + "; the status says how far it is"},
               {"peers", *peers}});
}

StatusText Upkeep::Impl::command(const ClusterCommand& command, Now now) {
  const std::string& verb = command.verb;
  // A node that does not belong says why, whatever it is asked: its members are nobody's.
  if (gossip->belonging() != Gossiper::Belonging::settled) {
    return {Status(Code::unavailable, gossip->why_not().message()), ""};
  }
  if (!transfer) {
    return {Status(Code::unavailable,
                   "node " + state->options().name + " has not joined the cluster" +
                       (gossip->refusal() ? "" : ": " + gossip->refusal().message())),
            ""};
  }
  if (!out_why && verb != "status") return {Status(Code::unavailable, out_why.message()), ""};
  if (verb == "join" || verb == "leave" || verb == "replace" || verb == "weight" ||
      verb == "rebalance" || verb == "move" || verb == "set") {
    return stage(command);
  }
  if (verb == "repair") return repair(command, now);
  bool known =
      verb == "plan" || verb == "commit" || verb == "clear" || verb == "status" || verb == "reap";
  if (known && !command.arguments.empty()) {
    return {wrong(verb + " takes no arguments, got \"" + printable(command.arguments[0]) + "\""),
            ""};
  }
  if (verb == "plan") return plan(now);
  if (verb == "commit") return commit(now);
  if (verb == "status") return cluster_status();
  if (verb == "reap") {
    tombstones->walk_now(now);
    return said({{"message", "looking for tombstones that may go"}});
  }
  if (verb == "clear") {
    std::size_t count = staged.staged().size();
    Changes before = staged;
    staged.clear();
    Status kept = keep_staged();
    if (!kept) {
      staged = std::move(before);
      return {kept, ""};
    }
    return said({{"message", "forgot " + counted(count, "staged change")}});
  }
  return {
      wrong(
          "wanted join, leave, replace, weight, move, set, rebalance, plan, commit, clear, status, "
          "repair or reap, got \"" +
          printable(verb) + "\""),
      ""};
}

json::object Upkeep::Impl::upkeep_json() const {
  json::object out{{"gossip_rounds", gossip->rounds()},
                   {"epoch", gossip->view().empty() ? 0 : gossip->view().epoch()},
                   {"staged", staged.staged().size()}};
  if (!gossip->refusal()) out["turned_away"] = gossip->refusal().message();
  if (Status apart_why = gossip->why_not(); !apart_why) out["apart"] = apart_why.message();
  if (!transfer) return out;
  auto moved = transfer->progress();
  out["transfer"] =
      json::object{{"partitions", moved.partitions}, {"left", moved.left},
                   {"waiting", moved.waiting},       {"companions", readiness->waiting()},
                   {"objects", moved.objects},       {"bytes", moved.bytes},
                   {"pages", moved.pages},           {"failed_pages", moved.failed_pages},
                   {"busy_ms", moved.busy.millis()}};
  auto pushed = surplus->progress();
  out["surplus"] = json::object{{"checked", pushed.checked},
                                {"pushed", pushed.pushed},
                                {"erased", pushed.erased},
                                {"kept", pushed.kept},
                                {"clean", pushed.clean}};
  auto trees = tree->progress();
  out["anti_entropy"] = json::object{{"exchanges", trees.exchanges},
                                     {"equal", trees.equal},
                                     {"repaired", trees.repaired},
                                     {"abandoned", trees.abandoned},
                                     {"partitions_different", trees.partitions_different},
                                     {"segments_compared", trees.segments_compared},
                                     {"segments_corrected", trees.segments_corrected},
                                     {"keys_received", trees.keys_received},
                                     {"keys_sent", trees.keys_sent},
                                     {"bytes_sent", trees.bytes_sent},
                                     {"bytes_received", trees.bytes_received},
                                     {"busy_ms", trees.busy.millis()},
                                     {"trees_unbuilt", trees.trees_unbuilt},
                                     {"waiting", trees.waiting},
                                     {"idle", tree->idle()},
                                     {"last_error", trees.last_error}};
  auto reaped = tombstones->progress();
  out["tombstones"] = json::object{{"asked", reaped.asked},
                                   {"reaped", reaped.reaped},
                                   {"postponed", reaped.postponed},
                                   {"waiting", reaped.waiting},
                                   {"young", reaped.young}};
  return out;
}

}  // namespace ringlet
