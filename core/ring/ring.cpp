#include "ring/ring.hpp"

#include <algorithm>
#include <bit>
#include <map>
#include <optional>
#include <string_view>

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "ring/placement.hpp"

namespace ringlet {

struct Ring::Data {
  Options options;  // members sorted by id
  std::uint32_t effective_replicas = 0;
  int bits = 0;  // partitions = 2^bits
  std::vector<NodeId> owners;
  std::vector<NodeId> next;                             // empty: nothing moves
  std::vector<std::vector<NodeId>> lists;               // by partition: all members
  std::vector<std::vector<NodeId>> incoming, outgoing;  // by partition; empty: nothing moves
  std::vector<std::vector<NodeId>> in_the_end;          // the same
  std::map<NodeId, std::vector<std::uint32_t>> pulls;
  std::map<NodeId, Companions> companions;

  // Fills the last five. Members as numbers.
  void set_in_motion(const Options& options, const std::vector<std::uint32_t>& numbers,
                     const std::vector<std::uint32_t>& final_numbers,
                     const std::map<std::uint32_t, std::vector<std::uint32_t>>& arriving);
  std::uint64_t digest = 0;
};

namespace {

constexpr std::uint32_t max_partitions = 65536;
constexpr std::uint32_t max_replicas = 16;
constexpr std::uint32_t max_weight = 1000;

Status wrong(std::string what) {
  return {Code::invalid_argument, "ring: " + std::move(what)};
}

std::string quoted(std::string_view text) {
  return "\"" + printable(text) + "\"";
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

bool is_address(std::string_view address) {
  std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || address.size() > 255) return false;
  std::string_view host = address.substr(0, colon), port = address.substr(colon + 1);
  bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (!bracketed && host.find_first_of(":[]") != std::string_view::npos) return false;
  if (std::any_of(host.begin(), host.end(), [](char c) { return c <= ' ' || c >= 0x7f; })) {
    return false;
  }
  if (port.empty() || port.size() > 5) return false;
  std::uint32_t number = 0;
  for (char c : port) {
    if (c < '0' || c > '9') return false;
    number = number * 10 + static_cast<std::uint32_t>(c - '0');
  }
  return number <= 65535;
}

}  // namespace

Status check_member(const Member& member) {
  if (!is_name(member.name)) {
    return wrong("a member's name must be 1 to 64 of A-Z a-z 0-9 . _ -, got " +
                 quoted(member.name));
  }
  std::string who = "member " + quoted(member.name);
  if (member.id != node_id_of(member.name)) {
    return wrong(who + " must have the id of its name, " + to_string(node_id_of(member.name)) +
                 ", got " + to_string(member.id));
  }
  if (!is_address(member.address)) {
    return wrong(who + " needs an address \"host:port\" with a port up to 65535, got " +
                 quoted(member.address));
  }
  if (!member.advertise.empty() && !is_address(member.advertise)) {
    return wrong(who + " advertises " + quoted(member.advertise) +
                 " to clients, wanted \"host:port\" with a port up to 65535");
  }
  if (!member.zone.empty() && !is_name(member.zone)) {
    return wrong(who + " has zone " + quoted(member.zone) +
                 ", wanted none or 1 to 64 of A-Z a-z 0-9 . _ -");
  }
  if (member.weight < 1 || member.weight > max_weight) {
    return wrong(who + " has weight " + std::to_string(member.weight) + ", wanted 1 to " +
                 std::to_string(max_weight));
  }
  return {};
}

Status check_cluster(const std::string& cluster, std::uint32_t partitions, std::uint32_t replicas) {
  if (!is_name(cluster)) {
    return wrong("the cluster's name must be 1 to 64 of A-Z a-z 0-9 . _ -, got " + quoted(cluster));
  }
  if (!std::has_single_bit(partitions) || partitions > max_partitions) {
    return wrong("partitions must be a power of two from 1 to " + std::to_string(max_partitions) +
                 ", got " + std::to_string(partitions));
  }
  if (replicas < 1 || replicas > max_replicas) {
    return wrong("replicas must be 1 to " + std::to_string(max_replicas) + ", got " +
                 std::to_string(replicas));
  }
  return {};
}

namespace {

// Also gives members without an id the one of their name, and sorts them.
Status check(Ring::Options& options, bool idle_members) {
  std::uint32_t q = options.partitions;
  if (Status status = check_cluster(options.cluster, q, options.replicas); !status) return status;
  if (options.members.empty()) return wrong("a ring needs at least one member, got none");
  if (options.members.size() > q && !idle_members) {
    return wrong("each member needs a partition: wanted at least " +
                 std::to_string(options.members.size()) + " partitions for as many members, got " +
                 std::to_string(q));
  }
  for (Member& member : options.members) {
    if (!member.id) member.id = node_id_of(member.name);
    if (Status status = check_member(member); !status) return status;
  }
  auto by_id = [](const Member& a, const Member& b) {
    return a.id != b.id ? a.id < b.id : a.name < b.name;
  };
  std::sort(options.members.begin(), options.members.end(), by_id);
  for (std::size_t i = 1; i < options.members.size(); ++i) {
    const Member &a = options.members[i - 1], &b = options.members[i];
    if (a.name == b.name) return wrong("two members are named " + quoted(a.name));
    if (a.id == b.id) {
      return wrong("members " + quoted(a.name) + " and " + quoted(b.name) + " have the same id " +
                   to_string(a.id) + ": rename one");
    }
  }
  std::map<std::string_view, const Member*> addresses;
  for (const Member& member : options.members) {
    auto [at, fresh] = addresses.try_emplace(member.address, &member);
    // Port 0 is "any port", known only once the member listens: it may repeat.
    if (!fresh && !member.address.ends_with(":0")) {
      return wrong("members " + quoted(at->second->name) + " and " + quoted(member.name) +
                   " have the same address " + quoted(member.address));
    }
  }
  return {};
}

// Members as numbers (places in the list sorted by id), for one pass over the partitions.
class ListBuilder {
 public:
  ListBuilder(const std::vector<Member>& members, std::uint32_t replicas)
      : members_(members), replicas_(replicas), zone_of_(members.size()), owning_(members.size()) {
    std::map<std::string_view, std::uint32_t> numbers;
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (members[i].zone.empty()) {
        zone_of_[i] = zones_++;
      } else {
        auto [at, fresh] = numbers.try_emplace(members[i].zone, zones_);
        if (fresh) ++zones_;
        zone_of_[i] = at->second;
      }
    }
  }

  std::vector<std::vector<NodeId>> build(const std::vector<std::uint32_t>& owners) {
    for (std::uint32_t owner : owners) owning_[owner] = true;
    // The order in which nodes are met from a partition is the order from the next one with the
    // owner moved to the front; so walk backwards, after one round to have an order to start with.
    std::vector<std::uint32_t> order(members_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::uint32_t>(i);
    auto move_to_front = [&](std::uint32_t owner) {
      auto at = std::find(order.begin(), order.end(), owner);
      std::rotate(order.begin(), at, at + 1);
    };
    for (std::size_t p = owners.size(); p-- > 0;) move_to_front(owners[p]);
    std::vector<std::vector<NodeId>> lists(owners.size());
    for (std::size_t p = owners.size(); p-- > 0;) {
      move_to_front(owners[p]);
      lists[p] = list_from(order);
    }
    return lists;
  }

 private:
  // N owners first: one a zone while there are unused zones, then two a zone, and so on (O-18).
  std::vector<NodeId> list_from(const std::vector<std::uint32_t>& order) {
    std::vector<NodeId> list;
    list.reserve(order.size());
    std::vector<bool> taken(order.size(), false);
    std::vector<std::uint32_t> used(zones_, 0);
    for (std::uint32_t round = 1; list.size() < replicas_; ++round) {
      for (std::size_t i = 0; i < order.size() && list.size() < replicas_; ++i) {
        std::uint32_t& in_zone = used[zone_of_[order[i]]];
        if (taken[i] || in_zone >= round || !owning_[order[i]]) continue;
        ++in_zone;
        taken[i] = true;
        list.push_back(members_[order[i]].id);
      }
    }
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (!taken[i]) list.push_back(members_[order[i]].id);
    }
    return list;
  }

  const std::vector<Member>& members_;
  std::uint32_t replicas_;
  std::uint32_t zones_ = 0;
  std::vector<std::uint32_t> zone_of_;
  std::vector<bool> owning_;  // has a slot: may be among the N
};

// The first N of a partition's list, sorted, without the list: it looks clockwise only as far as it
// must. Agrees with ListBuilder, for as many different tables as there are nodes in motion.
class OwnersFinder {
 public:
  OwnersFinder(const std::vector<Member>& members, const std::vector<std::uint32_t>& owners,
               std::uint32_t replicas)
      : members_(members), owners_(owners), zone_of_(members.size()) {
    std::map<std::string_view, std::uint32_t> numbers;
    std::vector<bool> owning(members.size());
    for (std::uint32_t owner : owners) owning[owner] = true;
    std::uint32_t zones = 0, count = 0;
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (!owning[i]) continue;
      ++count;
      if (members[i].zone.empty()) {
        zone_of_[i] = zones++;
      } else {
        auto [at, fresh] = numbers.try_emplace(members[i].zone, zones);
        if (fresh) ++zones;
        zone_of_[i] = at->second;
      }
    }
    replicas_ = std::min(replicas, count);
    sizes_.resize(zones);
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (owning[i]) ++sizes_[zone_of_[i]];
    }
    // `rounds_` nodes a zone are needed; of those before the last, every zone gives what it has.
    for (std::uint32_t found = 0; found < replicas_;) {
      ++rounds_;
      full_ = found;
      found = 0;
      for (std::uint32_t size : sizes_) found += std::min(size, rounds_);
    }
  }

  std::vector<NodeId> first(std::uint32_t partition) const {
    std::vector<std::uint32_t> early, late;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> used;  // zone, met
    std::size_t q = owners_.size();
    for (std::size_t step = 0; step < q; ++step) {
      if (early.size() == full_ && full_ + late.size() >= replicas_) break;
      std::uint32_t node = owners_[(partition + step) % q];
      if (std::find(early.begin(), early.end(), node) != early.end()) continue;
      if (std::find(late.begin(), late.end(), node) != late.end()) continue;
      auto zone = std::find_if(used.begin(), used.end(),
                               [&](const auto& entry) { return entry.first == zone_of_[node]; });
      if (zone == used.end()) zone = used.insert(used.end(), {zone_of_[node], 0});
      if (zone->second >= rounds_) continue;
      (++zone->second < rounds_ ? early : late).push_back(node);
    }
    std::vector<NodeId> found;
    for (std::uint32_t node : early) found.push_back(members_[node].id);
    for (std::uint32_t node : late) {
      if (found.size() < replicas_) found.push_back(members_[node].id);
    }
    std::sort(found.begin(), found.end());
    return found;
  }

 private:
  const std::vector<Member>& members_;
  const std::vector<std::uint32_t>& owners_;
  std::vector<std::uint32_t> zone_of_, sizes_;
  std::uint32_t replicas_ = 0, rounds_ = 0, full_ = 0;
};

void add_to(std::vector<NodeId>& sorted, NodeId node) {
  auto at = std::lower_bound(sorted.begin(), sorted.end(), node);
  if (at == sorted.end() || *at != node) sorted.insert(at, node);
}

std::uint64_t digest_of(const Ring::Options& options, const std::vector<NodeId>& owners,
                        const std::vector<NodeId>& next) {
  Bytes text;
  auto number = [&](std::uint64_t n) {
    for (int shift = 56; shift >= 0; shift -= 8) text.push_back(static_cast<char>(n >> shift));
  };
  auto string = [&](const std::string& s) {
    number(s.size());
    text += s;
  };
  string(options.cluster);
  number(options.epoch);
  number(options.partitions);
  number(options.replicas);
  number(options.members.size());
  for (const Member& member : options.members) {
    number(member.id.value);
    string(member.name);
    string(member.address);
    string(member.zone);
    number(member.weight);
    // Only where it is said: rings of members that do not know of it keep their digest.
    if (!member.advertise.empty()) string(member.advertise);
  }
  for (NodeId owner : owners) number(owner.value);
  for (NodeId node : next) number(node.value);
  return md5(text).high;
}

}  // namespace

Result<std::shared_ptr<const Ring>> Ring::build(Options options) {
  if (Status status = check(options, false); !status) return status;
  std::vector<PlacementNode> nodes;
  for (const Member& member : options.members) nodes.push_back({member.weight, member.zone});
  std::vector<NodeId> owners;
  owners.reserve(options.partitions);
  for (std::uint32_t owner : constrained_owners(nodes, options.partitions, options.replicas)) {
    owners.push_back(options.members[owner].id);
  }
  return from_owners(std::move(options), std::move(owners));
}

Result<std::shared_ptr<const Ring>> Ring::from_owners(Options options, std::vector<NodeId> owners) {
  return from_table(std::move(options), std::move(owners), {});
}

Result<std::shared_ptr<const Ring>> Ring::from_table(Options options, std::vector<NodeId> owners,
                                                     std::vector<NodeId> next) {
  if (Status status = check(options, true); !status) return status;
  if (owners.size() != options.partitions) {
    return wrong("wanted an owner for each of " + std::to_string(options.partitions) +
                 " partitions, got " + std::to_string(owners.size()));
  }
  if (!next.empty() && next.size() != options.partitions) {
    return wrong("wanted a next owner for each of " + std::to_string(options.partitions) +
                 " partitions or none at all, got " + std::to_string(next.size()));
  }
  auto number_of = [&](NodeId node) -> std::optional<std::uint32_t> {
    auto at = std::lower_bound(options.members.begin(), options.members.end(), node,
                               [](const Member& member, NodeId id) { return member.id < id; });
    if (at == options.members.end() || at->id != node) return std::nullopt;
    return static_cast<std::uint32_t>(at - options.members.begin());
  };
  auto data = std::make_shared<Data>();
  std::vector<std::uint32_t> numbers(owners.size());
  std::vector<bool> owning(options.members.size());
  for (std::size_t p = 0; p < owners.size(); ++p) {
    auto number = number_of(owners[p]);
    if (!number) {
      return wrong("partition " + std::to_string(p) + " is owned by " + to_string(owners[p]) +
                   ", who is not a member");
    }
    numbers[p] = *number;
    owning[*number] = true;
  }
  if (std::all_of(next.begin(), next.end(), [](NodeId node) { return !node; })) next.clear();
  std::map<std::uint32_t, std::vector<std::uint32_t>> arriving;  // by member: slots
  std::vector<std::uint32_t> final_numbers = numbers;
  for (std::size_t p = 0; p < next.size(); ++p) {
    if (!next[p]) continue;
    auto number = number_of(next[p]);
    if (!number) {
      return wrong("partition " + std::to_string(p) + " goes to " + to_string(next[p]) +
                   ", who is not a member");
    }
    final_numbers[p] = *number;
    arriving[*number].push_back(static_cast<std::uint32_t>(p));
  }
  data->effective_replicas = static_cast<std::uint32_t>(
      std::min<std::size_t>(options.replicas, std::count(owning.begin(), owning.end(), true)));
  data->bits = std::countr_zero(options.partitions);
  data->lists = ListBuilder(options.members, data->effective_replicas).build(numbers);
  data->digest = digest_of(options, owners, next);
  if (!next.empty()) {
    data->set_in_motion(options, numbers, final_numbers, arriving);
  }
  data->options = std::move(options);
  data->owners = std::move(owners);
  data->next = std::move(next);
  std::shared_ptr<Ring> ring(new Ring);
  ring->data_ = std::move(data);
  return std::shared_ptr<const Ring>(std::move(ring));
}

void Ring::Data::set_in_motion(
    const Options& options, const std::vector<std::uint32_t>& numbers,
    const std::vector<std::uint32_t>& final_numbers,
    const std::map<std::uint32_t, std::vector<std::uint32_t>>& arriving) {
  const std::vector<Member>& members = options.members;
  std::uint32_t q = options.partitions, n = options.replicas;
  std::vector<std::vector<NodeId>> now(q);
  incoming.resize(q);
  outgoing.resize(q);
  OwnersFinder current(members, numbers, n);
  for (std::uint32_t p = 0; p < q; ++p) now[p] = current.first(p);
  // `flips`: whose slots alone are applied; nobody: everybody's.
  auto compare = [&](const std::vector<std::uint32_t>& applied, NodeId flips) {
    OwnersFinder finder(members, applied, n);
    for (std::uint32_t p = 0; p < q; ++p) {
      std::vector<NodeId> then = finder.first(p);
      if (then == now[p]) continue;
      for (NodeId node : then) {
        if (std::binary_search(now[p].begin(), now[p].end(), node)) continue;
        add_to(incoming[p], node);
        if (flips && flips != node) companions[flips][node].push_back(p);
      }
      for (NodeId node : now[p]) {
        if (!std::binary_search(then.begin(), then.end(), node)) add_to(outgoing[p], node);
      }
    }
  };
  in_the_end.resize(q);
  OwnersFinder last(members, final_numbers, n);
  for (std::uint32_t p = 0; p < q; ++p) in_the_end[p] = last.first(p);
  if (arriving.size() > 1) compare(final_numbers, {});
  std::vector<std::uint32_t> applied = numbers;
  for (const auto& [member, slots] : arriving) {
    for (std::uint32_t slot : slots) applied[slot] = member;
    compare(applied, members[member].id);
    for (std::uint32_t slot : slots) applied[slot] = numbers[slot];
  }
  for (std::uint32_t p = 0; p < q; ++p) {
    for (NodeId node : incoming[p]) pulls[node].push_back(p);
  }
  // Whoever took the place of a lost node has to fill all that this brought it.
  for (const auto& [member, slots] : arriving) {
    if (std::none_of(slots.begin(), slots.end(),
                     [&](std::uint32_t slot) { return numbers[slot] == member; })) {
      continue;
    }
    NodeId node = members[member].id;
    std::vector<std::uint32_t>& all = pulls[node];
    for (std::uint32_t p = 0; p < q; ++p) {
      if (std::binary_search(now[p].begin(), now[p].end(), node)) all.push_back(p);
    }
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
  }
}

const std::string& Ring::cluster() const {
  return data_->options.cluster;
}
std::uint64_t Ring::epoch() const {
  return data_->options.epoch;
}
std::uint32_t Ring::partitions() const {
  return data_->options.partitions;
}
std::uint32_t Ring::replicas() const {
  return data_->options.replicas;
}
std::uint32_t Ring::effective_replicas() const {
  return data_->effective_replicas;
}
const std::vector<Member>& Ring::members() const {
  return data_->options.members;
}
const std::vector<NodeId>& Ring::owners() const {
  return data_->owners;
}
std::uint64_t Ring::digest() const {
  return data_->digest;
}

const Member* Ring::find(NodeId id) const {
  auto at =
      std::lower_bound(members().begin(), members().end(), id,
                       [](const Member& member, NodeId wanted) { return member.id < wanted; });
  return at != members().end() && at->id == id ? &*at : nullptr;
}

const Member* Ring::find(std::string_view name) const {
  for (const Member& member : members()) {
    if (member.name == name) return &member;
  }
  return nullptr;
}

std::uint32_t Ring::partition_of(const Token& token) const {
  if (data_->bits == 0) return 0;
  // Ends are inclusive, so a token counts with the one before it; token 0 with the last partition.
  std::uint64_t high = token.low == 0 ? token.high - 1 : token.high;
  return static_cast<std::uint32_t>(high >> (64 - data_->bits));
}

Token Ring::end_of(std::uint32_t partition) const {
  return equal_range_end(partition, data_->options.partitions);
}

const std::vector<NodeId>& Ring::preference_list(std::uint32_t partition) const {
  RINGLET_ASSERT(partition < data_->lists.size());
  return data_->lists[partition];
}

bool Ring::moving() const {
  return !data_->next.empty();
}
const std::vector<NodeId>& Ring::next() const {
  return data_->next;
}

const std::vector<NodeId>& Ring::incoming(std::uint32_t partition) const {
  RINGLET_ASSERT(partition < data_->lists.size());
  static const std::vector<NodeId> none;
  return moving() ? data_->incoming[partition] : none;
}

const std::vector<NodeId>& Ring::outgoing(std::uint32_t partition) const {
  RINGLET_ASSERT(partition < data_->lists.size());
  static const std::vector<NodeId> none;
  return moving() ? data_->outgoing[partition] : none;
}

std::vector<NodeId> Ring::owners_in_the_end(std::uint32_t partition) const {
  if (moving()) return data_->in_the_end[partition];
  const std::vector<NodeId>& list = preference_list(partition);
  std::vector<NodeId> owners(list.begin(), list.begin() + data_->effective_replicas);
  std::sort(owners.begin(), owners.end());
  return owners;
}

std::vector<NodeId> Ring::owners_and_incoming(std::uint32_t partition) const {
  const std::vector<NodeId>& list = preference_list(partition);
  std::vector<NodeId> all(list.begin(), list.begin() + data_->effective_replicas);
  const std::vector<NodeId>& newcomers = incoming(partition);
  all.insert(all.end(), newcomers.begin(), newcomers.end());
  return all;
}

const std::vector<std::uint32_t>& Ring::pulls(NodeId node) const {
  static const std::vector<std::uint32_t> none;
  auto at = data_->pulls.find(node);
  return at == data_->pulls.end() ? none : at->second;
}

const Ring::Companions& Ring::companions(NodeId node) const {
  static const Companions none;
  auto at = data_->companions.find(node);
  return at == data_->companions.end() ? none : at->second;
}

bool Ring::owns(NodeId node, const Token& token) const {
  const std::vector<NodeId>& list = preference_list(token);
  auto last = list.begin() + static_cast<std::ptrdiff_t>(data_->effective_replicas);
  return std::find(list.begin(), last, node) != last;
}

}  // namespace ringlet
