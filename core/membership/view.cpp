#include "membership/view.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>

#include "base/assert.hpp"
#include "base/planted.hpp"
#include "membership/event_encoding.hpp"
#include "versioning/hash.hpp"

namespace ringlet {

using event_encoding::Malformed;

struct MembershipView::Data {
  std::string cluster;
  std::uint32_t replicas = 0;
  History history;
  OwnershipTable table;
  // Derived from the above.
  Bytes encoded;
  std::uint64_t digest = 0, epoch = 0, founding = 0;
  std::vector<Known> known;
  std::vector<NodeId> staying, leaving;
  Ownership settled;
  // Made when first asked for: most views of a merge are only stepping stones.
  mutable std::atomic<std::shared_ptr<const std::shared_ptr<const Ring>>> ring;

  void derive();
  void stand(bool those_who_left, bool everybody);
};

namespace {

constexpr std::uint64_t max_slot_epoch = std::uint64_t{1} << 40;

namespace view_field {
enum : unsigned {
  cluster = 1,
  replicas = 2,
  ids = 3,  // of the owners, ascending; the tables below count from 1 in them
  events = 4,
  slot_epochs = 5,
  slot_owners = 6,
  slot_nexts = 7  // 0: nobody
};
}

Status refused(std::string why) {
  return {Code::invalid_argument, "membership: " + std::move(why)};
}

std::uint64_t founding_of(const std::string& cluster, std::size_t q, std::uint32_t replicas,
                          const History& history) {
  Bytes text = cluster + '\0' + std::to_string(q) + '\0' + std::to_string(replicas);
  std::vector<std::string> names;
  for (const MemberEvent& event : history.events()) {
    if (event.lamport == 0) names.push_back(event.member.name);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  for (const std::string& name : names) text += '\0' + name;
  return xxh3(text);
}

std::string founders_of(const History& history) {
  std::string names;
  std::size_t count = 0;
  for (const MemberEvent& event : history.events()) {
    if (event.lamport != 0) continue;
    if (++count > 8) return names + ", ...";
    names += (count > 1 ? ", " : "") + event.member.name;
  }
  return names;
}

Bytes body_of(const std::string& cluster, std::uint32_t replicas, const History& history,
              const OwnershipTable& table) {
  std::set<NodeId> unique;
  for (const SlotEntry& entry : table) {
    unique.insert(entry.owner);
    if (entry.next) unique.insert(entry.next);
  }
  std::map<NodeId, std::uint32_t> numbers;
  std::vector<std::uint64_t> ids;
  for (NodeId id : unique) {
    ids.push_back(id.value);
    numbers[id] = static_cast<std::uint32_t>(ids.size());
  }
  Bytes body;
  protozero::pbf_writer out{body};
  out.add_string(view_field::cluster, cluster);
  out.add_uint32(view_field::replicas, replicas);
  out.add_packed_fixed64(view_field::ids, ids.begin(), ids.end());
  for (const MemberEvent& event : history.events()) {
    event_encoding::write_event(out, view_field::events, event);
  }
  std::vector<std::uint64_t> epochs;
  std::vector<std::uint32_t> owners, nexts;
  bool moving = false;
  for (const SlotEntry& entry : table) {
    epochs.push_back(entry.epoch);
    owners.push_back(numbers[entry.owner]);
    nexts.push_back(entry.next ? numbers[entry.next] : 0);
    moving |= static_cast<bool>(entry.next);
  }
  out.add_packed_uint64(view_field::slot_epochs, epochs.begin(), epochs.end());
  out.add_packed_uint32(view_field::slot_owners, owners.begin(), owners.end());
  if (moving) out.add_packed_uint32(view_field::slot_nexts, nexts.begin(), nexts.end());
  return body;
}

// The rings in use, by the digest of their view: nodes of one process share them (a ring of 300
// members has 2 MB of lists), and a view that is decoded again costs no new one.
class Rings {
 public:
  static std::shared_ptr<const Ring> of(std::uint64_t digest) {
    std::lock_guard lock(all().mutex);
    auto it = all().rings.find(digest);
    return it == all().rings.end() ? nullptr : it->second.lock();
  }
  static std::shared_ptr<const Ring> keep(std::uint64_t digest, std::shared_ptr<const Ring> ring) {
    std::lock_guard lock(all().mutex);
    std::erase_if(all().rings, [](const auto& entry) { return entry.second.expired(); });
    auto [it, fresh] = all().rings.emplace(digest, ring);
    if (fresh) return ring;
    auto other = it->second.lock();
    return other ? other : ring;
  }

 private:
  static Rings& all() {
    // Never destroyed: a thread may outlive the statics at the end of the process.
    static Rings& rings = *new Rings;
    return rings;
  }
  std::mutex mutex;
  std::map<std::uint64_t, std::weak_ptr<const Ring>> rings;
};

struct Parts {
  std::string cluster;
  std::uint32_t replicas = 0;
  History history;
  OwnershipTable table;
};

template <typename Range>
std::vector<std::uint64_t> numbers_in(const Range& range, const char* what) {
  std::vector<std::uint64_t> numbers;
  for (auto at = range.begin(); at != range.end(); ++at) {
    if (numbers.size() == 2 * 65536) throw Malformed{std::string("too many ") + what};
    numbers.push_back(*at);
  }
  return numbers;
}

Parts read_view(BytesView body) {
  protozero::pbf_reader in{body.data(), body.size()};
  Parts parts;
  std::vector<std::uint64_t> ids, epochs, owners, nexts;
  std::vector<MemberEvent> events;
  while (in.next()) {
    switch (in.tag_and_type()) {
      case event_encoding::bytes(view_field::cluster):
        parts.cluster = in.get_string();
        break;
      case event_encoding::varint(view_field::replicas):
        parts.replicas = in.get_uint32();
        break;
      case event_encoding::bytes(view_field::ids):
        ids = numbers_in(in.get_packed_fixed64(), "owners");
        break;
      case event_encoding::bytes(view_field::events):
        if (events.size() == max_member_events) throw Malformed{"more than 65536 events"};
        events.push_back(event_encoding::read_event(in.get_message()));
        if (events.size() > 1 && !before(events[events.size() - 2], events.back())) {
          throw Malformed{"an event of " + events.back().member.name + " is out of order or twice"};
        }
        break;
      case event_encoding::bytes(view_field::slot_epochs):
        epochs = numbers_in(in.get_packed_uint64(), "slots");
        break;
      case event_encoding::bytes(view_field::slot_owners):
        owners = numbers_in(in.get_packed_uint64(), "slots");
        break;
      case event_encoding::bytes(view_field::slot_nexts):
        nexts = numbers_in(in.get_packed_uint64(), "slots");
        break;
      default:
        in.skip();
    }
  }
  std::size_t q = epochs.size();
  if (owners.size() != q || (!nexts.empty() && nexts.size() != q)) {
    throw Malformed{"epochs, owners and nexts of " + std::to_string(q) + ", " +
                    std::to_string(owners.size()) + " and " + std::to_string(nexts.size()) +
                    " slots"};
  }
  if (Status status = check_cluster(parts.cluster, static_cast<std::uint32_t>(q), parts.replicas);
      !status) {
    throw Malformed{status.message()};
  }
  if (events.empty() || events.front().lamport != 0) throw Malformed{"no founding member"};
  for (MemberEvent& event : events) {
    if (event.lamport == 0 && event.kind != MemberEvent::Kind::join) {
      throw Malformed{"a founding event that is no join"};
    }
    if (!event.issuer) throw Malformed{"an event by nobody"};
    parts.history.add(std::move(event));
  }
  for (std::size_t p = 0; p < q; ++p) {
    auto id = [&](std::uint64_t number) -> NodeId {
      if (number == 0 || number > ids.size() || ids[number - 1] == 0) {
        throw Malformed{"slot " + std::to_string(p) + " has owner number " +
                        std::to_string(number) + " of " + std::to_string(ids.size())};
      }
      return {ids[number - 1]};
    };
    if (epochs[p] == 0 || epochs[p] > max_slot_epoch) {
      throw Malformed{"slot " + std::to_string(p) + " has epoch " + std::to_string(epochs[p])};
    }
    parts.table.push_back(
        {epochs[p], id(owners[p]), nexts.empty() || nexts[p] == 0 ? NodeId{} : id(nexts[p])});
  }
  return parts;
}

}  // namespace

const char* name_of(MembershipView::Standing standing) {
  switch (standing) {
    case MembershipView::Standing::unknown:
      return "unknown";
    case MembershipView::Standing::in:
      return "in";
    case MembershipView::Standing::leaving:
      return "leaving";
    case MembershipView::Standing::left:
      return "left";
    case MembershipView::Standing::replaced:
      return "replaced";
    case MembershipView::Standing::clashing:
      return "clashing";
  }
  return "unknown";
}

// Fills known, staying and leaving. Orders given on sides of a split that did not hear of each other
// may leave nobody in; then those who left stand again, or everybody: a ring is never empty.
void MembershipView::Data::stand(bool those_who_left, bool everybody) {
  known.clear();
  staying.clear();
  leaving.clear();
  std::set<NodeId> owning;
  for (const SlotEntry& entry : table) owning.insert(entry.owner);
  std::vector<MemberRecord> records = history.records();
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const MemberRecord& record = records[i];
    Known entry{record.member, Standing::in, record.replaced_by, record.events,
                record.last.wall_ms};
    if (record.state == MemberRecord::State::replaced && !everybody) {
      entry.standing = Standing::replaced;
    } else if (record.state == MemberRecord::State::leaving && !everybody) {
      bool stays = owning.contains(record.member.id) || those_who_left;
      entry.standing = stays ? Standing::leaving : Standing::left;
    }
    known.push_back(std::move(entry));
    order.push_back(i);
  }
  // Whoever came first keeps an address.
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (known[a].standing != known[b].standing) return known[a].standing < known[b].standing;
    if (records[a].last != records[b].last) return before(records[a].last, records[b].last);
    return a < b;
  });
  std::set<std::string> addresses;
  for (std::size_t i : order) {
    Known& entry = known[i];
    if (entry.standing != Standing::in && entry.standing != Standing::leaving) continue;
    if (!entry.member.address.ends_with(":0") && !addresses.insert(entry.member.address).second) {
      entry.standing = Standing::clashing;
    }
  }
  for (const Known& entry : known) {
    if (entry.standing == Standing::in) staying.push_back(entry.member.id);
    if (entry.standing == Standing::leaving) leaving.push_back(entry.member.id);
  }
}

void MembershipView::Data::derive() {
  encoded = event_encoding::sealed(body_of(cluster, replicas, history, table));
  digest = std::max<std::uint64_t>(1, xxh3(encoded));
  founding = founding_of(cluster, table.size(), replicas, history);
  epoch = history.size();
  for (const SlotEntry& entry : table) epoch += entry.epoch;
  stand(false, false);
  if (staying.empty() && leaving.empty()) stand(true, false);
  if (staying.empty() && leaving.empty()) stand(true, true);
  settled = settle(table, staying, leaving);
}

MembershipView MembershipView::of(std::string cluster, std::uint32_t replicas, History history,
                                  OwnershipTable table) {
  RINGLET_ASSERT(history.size() > 0 && !table.empty());
  auto data = std::make_shared<Data>();
  data->cluster = std::move(cluster);
  data->replicas = replicas;
  data->history = std::move(history);
  data->table = std::move(table);
  data->derive();
  MembershipView view;
  view.data_ = std::move(data);
  return view;
}

Result<MembershipView> MembershipView::found(const Ring::Options& options) {
  auto built = Ring::build(options);
  if (!built) return built.status();
  const Ring& ring = **built;
  History history;
  for (const Member& member : ring.members()) {
    history.add({0, member.id, 0, 0, MemberEvent::Kind::join, member, ""});
  }
  OwnershipTable table;
  for (NodeId owner : ring.owners()) table.push_back({1, owner, {}});
  return of(ring.cluster(), ring.replicas(), std::move(history), std::move(table));
}

const std::string& MembershipView::cluster() const {
  return data_->cluster;
}
std::uint32_t MembershipView::partitions() const {
  return static_cast<std::uint32_t>(data_->table.size());
}
std::uint32_t MembershipView::replicas() const {
  return data_->replicas;
}
std::uint64_t MembershipView::founding() const {
  return data_->founding;
}
const History& MembershipView::history() const {
  return data_->history;
}
const OwnershipTable& MembershipView::table() const {
  return data_->table;
}
const std::vector<MembershipView::Known>& MembershipView::known() const {
  return data_->known;
}
std::uint64_t MembershipView::epoch() const {
  return data_->epoch;
}
std::uint64_t MembershipView::digest() const {
  return empty() ? 0 : data_->digest;
}

const MembershipView::Known* MembershipView::find(std::string_view name) const {
  for (const Known& entry : data_->known) {
    if (entry.member.name == name) return &entry;
  }
  return nullptr;
}

MembershipView::Standing MembershipView::standing(std::string_view name) const {
  const Known* entry = find(name);
  return entry == nullptr ? Standing::unknown : entry->standing;
}

bool MembershipView::is_member(std::string_view name) const {
  Standing now = standing(name);
  return now == Standing::in || now == Standing::leaving;
}

const std::shared_ptr<const Ring>& MembershipView::ring() const {
  if (auto made = data_->ring.load()) return *made;
  Ring::Options options;
  options.cluster = data_->cluster;
  options.partitions = partitions();
  options.replicas = data_->replicas;
  options.epoch = data_->epoch;
  for (const Known& entry : data_->known) {
    if (entry.standing == Standing::in || entry.standing == Standing::leaving) {
      options.members.push_back(entry.member);
    }
  }
  auto ring = Rings::of(data_->digest);
  if (!ring) {
    auto built = Ring::from_table(std::move(options), data_->settled.owners, data_->settled.next);
    RINGLET_ASSERT(built.is_ok());  // every part was checked, and the members' clashes resolved
    ring = Rings::keep(data_->digest, *built);
  }
  // Two threads may both have made it; the first stays, so that references to it do.
  std::shared_ptr<const std::shared_ptr<const Ring>> none;
  auto made = std::make_shared<const std::shared_ptr<const Ring>>(std::move(ring));
  data_->ring.compare_exchange_strong(none, made);
  return *data_->ring.load();
}

namespace {

// Numbers that only grow and that a member makes by adding one to the greatest it knows. One that is far above
// what is known here is damage or a lie. It must not be taken: the next number would be beyond what a view may
// hold, and nothing could be ordered any more.
constexpr std::uint64_t far_ahead = std::uint64_t{1} << 20;

Status plausible(const MembershipView& mine, const MembershipView& theirs) {
  std::uint64_t last = 0;
  for (const MemberEvent& event : theirs.history().events()) {
    // An event is numbered after all that its issuer knew, and a view has all of those.
    if (event.lamport > last + 1) {
      return refused("an event about \"" + event.member.name + "\" has number " +
                     std::to_string(event.lamport) + ", wanted at most " +
                     std::to_string(last + 1) + " after the events before it");
    }
    last = event.lamport;
  }
  std::uint64_t greatest = 0;
  for (const auto& slot : mine.table()) greatest = std::max(greatest, slot.epoch);
  for (std::size_t p = 0; p < theirs.table().size(); ++p) {
    std::uint64_t epoch = theirs.table()[p].epoch;
    if (epoch <= greatest + far_ahead) continue;
    return refused("slot " + std::to_string(p) + " has epoch " + std::to_string(epoch) +
                   ", wanted at most " + std::to_string(greatest + far_ahead));
  }
  return {};
}

}  // namespace

Result<MembershipView> MembershipView::merge(const MembershipView& other) const {
  if (empty()) return other;
  if (other.empty() || other.data_ == data_ || other.digest() == digest()) return *this;
  if (other.cluster() != cluster()) {
    return refused("wanted cluster \"" + cluster() + "\", got cluster \"" + other.cluster() + "\"");
  }
  if (other.founding() != founding()) {
    return refused("cluster \"" + cluster() + "\" was founded with other members: here " +
                   founders_of(history()) + " (Q " + std::to_string(partitions()) + ", N " +
                   std::to_string(replicas()) + "), there " + founders_of(other.history()) +
                   " (Q " + std::to_string(other.partitions()) + ", N " +
                   std::to_string(other.replicas()) + ")");
  }
  if (Status status = plausible(*this, other); !status) return status;
  History both = history();
  both.merge(other.history());
  return of(cluster(), replicas(), std::move(both), ringlet::merge(table(), other.table()));
}

std::vector<std::uint32_t> MembershipView::arriving(NodeId node) const {
  std::vector<std::uint32_t> slots;
  for (std::uint32_t p = 0; p < partitions(); ++p) {
    if (data_->settled.next[p] == node) slots.push_back(p);
  }
  return slots;
}

MembershipView MembershipView::arrived(NodeId node, const std::vector<std::uint32_t>& slots) const {
  OwnershipTable table = data_->table;
  bool changed = false;
  for (std::uint32_t p : slots) {
    if (p >= table.size() || data_->settled.next[p] != node) continue;
    std::uint64_t raise = planted(PlantedBug::slot_epoch_not_raised) ? 0 : 1;
    table[p] = {table[p].epoch + raise, node, {}};
    changed = true;
  }
  if (!changed) return *this;
  return of(cluster(), replicas(), history(), std::move(table));
}

Status MembershipView::check() const {
  if (empty()) return {};
  Status readable = decode(data_->encoded).status();
  if (readable) return {};
  return {Code::corrupt,
          "the view that this would make could not be read again, and is not kept: " +
              readable.message()};
}

Result<MembershipView> with_update(const MembershipView& view, const Member& member, NodeId issuer,
                                   std::int64_t wall_ms) {
  if (Status status = check_member(member); !status) return status;
  History history = view.history();
  std::uint64_t wall = static_cast<std::uint64_t>(std::max<std::int64_t>(0, wall_ms));
  MemberEvent event;
  event.lamport = history.last_lamport() + 1;
  event.issuer = issuer;
  event.seq = history.next_seq(issuer, wall);
  event.wall_ms = static_cast<std::int64_t>(wall);
  event.kind = MemberEvent::Kind::update;
  event.member = member;
  history.add(std::move(event));
  MembershipView updated =
      MembershipView::of(view.cluster(), view.replicas(), std::move(history), view.table());
  if (Status status = updated.check(); !status) return status;
  return updated;
}

const Bytes& MembershipView::encode() const {
  static const Bytes none;
  return empty() ? none : data_->encoded;
}

Result<MembershipView> MembershipView::decode(BytesView bytes) {
  auto corrupt = [](const std::string& why) {
    return Status(Code::corrupt, "membership view: " + why);
  };
  if (bytes.size() > max_view_bytes) {
    return corrupt("wanted at most " + std::to_string(max_view_bytes) + " bytes, got " +
                   std::to_string(bytes.size()));
  }
  Result<BytesView> body = event_encoding::opened(bytes, "membership view");
  if (!body) return body.status();
  try {
    Parts parts = read_view(*body);
    MembershipView view = of(std::move(parts.cluster), parts.replicas, std::move(parts.history),
                             std::move(parts.table));
    // A field unknown here would be lost, and the digests never agree.
    if (view.encode() != bytes) return corrupt("not in the one form that a view is written in");
    return view;
  } catch (const Malformed& malformed) {
    return corrupt(malformed.why);
  } catch (const protozero::exception& e) {
    return corrupt(std::string("not a protobuf message (") + e.what() + ")");
  }
}

}  // namespace ringlet
