#include "node/replica.hpp"

#include <algorithm>
#include <charconv>

#include "base/planted.hpp"
#include "node/hint_key.hpp"
#include "repair/merkle_tree.hpp"
#include "repair/partition_transfer.hpp"
#include "versioning/encoding.hpp"

namespace ringlet {
namespace {

Refused refused(Status status) {
  return Refused{std::move(status), 0};
}

// Actors that mint into a node's own copy have even epochs, those of a hint row odd ones.
bool is_own_copy(const Actor& actor) {
  return (actor.epoch & 1) == 0;
}

std::string epoch_text(std::uint64_t epoch) {
  return std::to_string(epoch);
}
std::uint64_t parse_epoch(BytesView text) {
  std::uint64_t epoch = 0;  // of an incarnation long gone, should the record be damaged
  std::from_chars(text.data(), text.data() + text.size(), epoch);
  return epoch;
}

// How a transaction ended, and its hints with it.
Status over(const Result<StorageEngine::Ticket>& ticket, HintCounts::Change& hints) {
  if (ticket) {
    hints.committed();
  } else if (ticket.status().maybe_applied()) {
    hints.perhaps_committed();
  }
  return ticket.status();
}

// A dot of ours above everything we hold under this incarnation: our disk went back in time.
bool knows_more_of_us(const CausalContext& theirs, const CausalContext& ours, NodeId self,
                      std::uint64_t incarnation) {
  for (const auto& entry : theirs.entries()) {
    if (entry.actor.node == self && is_own_copy(entry.actor) &&
        entry.actor.epoch >> 1 >= incarnation && entry.counter > ours.counter(entry.actor)) {
      return true;
    }
  }
  return false;
}

}  // namespace

// Where one request's copy lies. Its token is hashed once.
struct Replica::Place {
  // `hints`: of the transaction that changes it; nullptr: it is only read.
  Place(const NodeState& state, const Key& of, NodeId for_whom, HintCounts::Change* hints)
      : key(of),
        hint_for(for_whom),
        partition(state.ring()->partition_of(token_of(of))),
        hint_changes(hints) {
    row = hint_for ? hint_row(hint_for, key) : object_row(partition, key);
  }
  Table table() const { return hint_for ? Table::hints : Table::objects; }
  const Key& key;
  NodeId hint_for;  // nobody: this node's own copy
  std::uint32_t partition;
  HintCounts::Change* hint_changes;
  Bytes row;
  bool there = false;  // as last read
};

// Keeps a partition's tree in step with one change of an own copy (paper 4.7). Lives around the
// transaction, whose body may run more than once.
class Replica::TreeUpdate {
 public:
  TreeUpdate(NodeState& state, const Place& place) : state_(state), place_(place) {
    if (place.hint_for) return;  // nobody's own copy
    key_hash_ = key_hash(place.key);
    writing_.emplace(state.trees().writing(place.partition));
  }
  void before(const Object& object) {
    if (writing_) before_ = clock_hash(object);
  }
  void after(const Object& object) {
    if (writing_) after_ = clock_hash(object);
  }
  // `before` was nothing that can be read: what the tree has of it is not known.
  void was_corrupt(bool corrupt) { corrupt_ = corrupt; }
  void committed() {
    if (!writing_) return;
    if (!planted(PlantedBug::tree_not_updated)) {
      writing_->apply(place_.row, key_hash_, before_, after_);
    }
    if (corrupt_) {
      state_.note_mended(place_.row);
      rebuild();
    }
  }
  // The transaction failed, or perhaps not: the tree may be wrong in one key (F-72).
  void perhaps_committed() {
    if (writing_) rebuild();
  }

 private:
  void rebuild() {
    writing_.reset();
    state_.trees().rebuild(place_.partition);
  }
  NodeState& state_;
  const Place& place_;
  bool corrupt_ = false;
  std::uint64_t key_hash_ = 0, before_ = 0, after_ = 0;
  std::optional<PartitionTrees::Writing> writing_;
};

Durability Replica::durability_of(WriteDurability wanted) const {
  if (wanted == WriteDurability::unset) {
    wanted = static_cast<WriteDurability>(state_->value(Setting::durability));
  }
  switch (wanted) {
    case WriteDurability::buffer:
      return Durability::buffer;
    case WriteDurability::disk:
      return Durability::disk;
    default:
      return Durability::log;
  }
}

Result<Record> Replica::read(Transaction& transaction, Place& place) {
  auto record = transaction.get(place.table(), place.row);
  if (!record) return record.status();
  place.there = record->has_value();
  if (!place.there) return Record{};
  return decode_row(**record);
}

// A damaged own copy counts as absent, so that a peer's mends it (F-13). Its minter is unknown, so
// the next to mint into the row takes a fresh epoch. A damaged hint stays an error: its actor lies in
// another row and would begin to count anew.
Result<Record> Replica::read_for_change(Transaction& transaction, Place& place, bool& corrupt) {
  corrupt = false;
  auto record = read(transaction, place);
  if (record || place.hint_for || record.status().code() != Code::corrupt) return record;
  corrupt = true;
  state_->note_corrupt(place.row, place.key, record.status());
  return Record{};
}

Status Replica::write(Transaction& transaction, const Place& place, const Object& object,
                      std::uint64_t minter) {
  if (planted(PlantedBug::tombstone_reaped_at_once) && !place.hint_for &&
      std::all_of(object.versions.begin(), object.versions.end(),
                  [](const Version& v) { return v.tombstone; })) {
    return transaction.erase(Table::objects, place.row);
  }
  if (place.hint_for && !place.there) place.hint_changes->adds(place.hint_for);
  return transaction.put(place.table(), place.row,
                         encode_record(object, place.hint_for ? 0 : minter));
}

// While a partition moves, its new owner pulls it page by page; a write to a page it has already
// would pass it by. So it is sent to the new owner as well, as soon as it is stored here (`told`), or
// is left as a hint in the same transaction (O-12) where that is not possible.
Status Replica::pass_on(Transaction& transaction, const Place& place, const Object& object,
                        Told* told) {
  if (told != nullptr) told->clear();  // the transaction may be repeated
  if (place.hint_for) return Status::ok();
  auto ring = state_->ring();
  const auto& incoming = ring->incoming(place.partition);
  if (incoming.empty()) return Status::ok();
  const auto& list = ring->preference_list(place.partition);
  std::vector<NodeId> owners(
      list.begin(), list.begin() + static_cast<std::ptrdiff_t>(ring->effective_replicas()));
  bool direct = told != nullptr && dual_writes_ != nullptr;
  for (NodeId node :
       newcomers_to_tell(state_->self(), owners, ring->outgoing(place.partition), incoming)) {
    if (direct && dual_writes_->takes(node)) {
      told->push_back(node);
      continue;
    }
    Status hinted = join_hint(transaction, place.key, node, object, *place.hint_changes);
    if (!hinted) return hinted;
  }
  return Status::ok();
}

void Replica::tell(const Told& told, const Key& key, const Object& object, Now now) {
  for (NodeId node : told) dual_writes_->send(node, key, object, now);
  state_->counters().dual_writes.fetch_add(told.size(), std::memory_order_relaxed);
}

Status Replica::join_hint(Transaction& transaction, const Key& key, NodeId target,
                          const Object& object, HintCounts::Change& hints) {
  Place hinted(*state_, key, target, &hints);
  auto hint = read(transaction, hinted);
  if (!hint) return hint.status();
  if (!sync(hint->object, object)) return Status::ok();
  return write(transaction, hinted, hint->object, 0);
}

Status Replica::keep_hint_of(const Key& key, NodeId target) {
  HintCounts::Change hints(state_->hint_counts());
  Place own(*state_, key, {}, &hints);
  auto done = state_->engine().transact(Durability::log, [&](Transaction& transaction) {
    hints.begin();
    auto here = read(transaction, own);
    if (!here) return here.status();
    if (here->object.missing()) return Status::ok();
    return join_hint(transaction, key, target, here->object, hints);
  });
  NodeCounters& counters = state_->counters();
  (done ? counters.dual_writes_hinted : counters.dual_writes_failed)
      .fetch_add(1, std::memory_order_relaxed);
  return over(done, hints);
}

// Which actor mints into a row (decision 4): the one that minted into it before, as long as the row
// has been there since. Each row remembers its own: an own copy in its record, a hint in the table of
// states, and both forget it when they are erased. An actor in the context alone is not enough: a copy
// that was dropped, or a hint that was delivered, may come back by way of others who know an older
// count. The lowest bit of an epoch tells the two kinds apart.
Result<Actor> Replica::actor_for(Transaction& transaction, const Place& place, const Record& local,
                                 std::optional<Actor>& fresh) {
  NodeId self = state_->self();
  std::uint64_t incarnation = state_->incarnation();
  if (planted(PlantedBug::epoch_reused)) return Actor{self, incarnation << 1};
  if (place.hint_for) {
    auto bound = transaction.get(Table::state, hint_actor_row(place.hint_for, place.key));
    if (!bound) return bound.status();
    if (*bound) {
      std::uint64_t epoch = parse_epoch(**bound);
      if (epoch >> 1 >= incarnation) return Actor{self, epoch};
    }
  } else if (local.minter >> 1 >= incarnation) {
    // Its entry may have been truncated; then the count is gone with it.
    Actor actor{self, local.minter};
    if (local.object.context.counter(actor) != 0) return actor;
  }
  if (!fresh) {
    auto epoch = state_->fresh_epoch();
    if (!epoch) return epoch.status();
    fresh = Actor{self, *epoch << 1 | (place.hint_for ? 1 : 0)};
  }
  if (place.hint_for) {
    Status bound = transaction.put(Table::state, hint_actor_row(place.hint_for, place.key),
                                   epoch_text(fresh->epoch));
    if (!bound) return bound;
  }
  return *fresh;
}

Result<Object> Replica::stored(const Key& key) {
  Place place(*state_, key, {}, nullptr);
  auto record = state_->engine().get(Table::objects, place.row);
  if (!record) return record.status();
  if (!*record) return Object{};
  auto object = decode_record(**record);
  // The tree may have been built before the damage and call the replicas equal.
  if (!object && state_->note_corrupt(place.row, key, object.status())) {
    state_->trees().rebuild(place.partition);
  }
  return object;
}

Message Replica::get(const ReplicaGet& request) {
  auto ring = state_->ring();
  Key key = request.key;
  if (planted(PlantedBug::reply_from_another_key) && !key.key.empty()) key.key.back() ^= 1;
  auto object = stored(key);
  if (!object) return refused(object.status());
  ReplicaObject reply{std::move(*object)};
  // A fallback's copies are in the hint table, one for each owner it stands in for.
  const HintCounts& counts = state_->hint_counts();
  if (!counts.any()) return reply;
  for (const auto& member : ring->members()) {
    if (member.id == state_->self() || !counts.any_for(member.id)) continue;
    auto hinted = state_->engine().get(Table::hints, hint_row(member.id, request.key));
    if (!hinted) return refused(hinted.status());
    if (!*hinted) continue;
    auto object = decode_record(**hinted);
    if (!object) return refused(object.status());
    sync(reply.object, *object);
  }
  return reply;
}

// A sibling explosion is bounded: what a key's siblings take is read and sent whole each time.
Status Replica::few_enough(const Key& key, const Object& object) const {
  std::size_t max_siblings = state_->value(Setting::max_siblings);
  std::size_t max_bytes = state_->value(Setting::max_siblings_bytes);
  std::size_t siblings = object.versions.size(), bytes = 0;
  for (const auto& version : object.versions) bytes += version.value.size();
  std::string wanted, made;
  if (siblings > max_siblings) {
    wanted = std::to_string(max_siblings) + " siblings";
    made = std::to_string(siblings);
  } else if (siblings > 1 && bytes > max_bytes) {
    wanted = std::to_string(max_bytes) + " bytes of siblings";
    made = std::to_string(siblings) + " of " + std::to_string(bytes) + " bytes";
  } else {
    return Status::ok();
  }
  return Status(Code::too_many_siblings, "put " + printable(key) + ": wanted at most " + wanted +
                                             ", this write would make " + made +
                                             ": read the key and write with the context read");
}

Replica::Outcome Replica::mint(const MintPut& request, Now now) {
  if (Status leased = state_->prepare_epochs(); !leased) return {refused(leased), 0};
  Minted minted;
  Told told;
  std::optional<Actor> fresh;  // taken once, however often the transaction is repeated
  HintCounts::Change hints(state_->hint_counts());
  Place place(*state_, request.key, request.hint_for, &hints);
  TreeUpdate tree(*state_, place);
  auto ticket =
      state_->engine().transact(durability_of(request.durability), [&](Transaction& transaction) {
        hints.begin();
        bool corrupt;
        auto local = read_for_change(transaction, place, corrupt);
        if (!local) return local.status();
        tree.was_corrupt(corrupt);
        auto actor = actor_for(transaction, place, *local, fresh);
        if (!actor) return actor.status();
        tree.before(local->object);
        Object object = std::move(local->object);
        minted.dot = update(object, request.seen, *actor, request.write, now.wall_ms * 1000);
        if (Status few = few_enough(request.key, object); !few) return few;
        truncate(object, *actor, now.wall_ms, state_->options().truncation);
        Status written = write(transaction, place, object, actor->epoch);
        if (written) written = pass_on(transaction, place, object, &told);
        tree.after(object);
        minted.object = std::move(object);
        return written;
      });
  Status done = over(ticket, hints);
  if (!done) {
    if (done.maybe_applied()) tree.perhaps_committed();
    return {refused(done), 0};
  }
  tree.committed();
  tell(told, request.key, minted.object, now);
  state_->counters().minted.fetch_add(1, std::memory_order_relaxed);
  return {std::move(minted), planted(PlantedBug::ack_before_flush) ? 0 : *ticket};
}

// The latest stamp wins (O-19), so one from the far future would win for as long.
Status Replica::stamps_in_time(const Key& key, const Object& object, Now now) const {
  if (object.mode != Reconcile::lww) return Status::ok();
  for (const auto& version : object.versions) {
    std::int64_t ahead_ms = version.written_us / 1000 - now.wall_ms;
    if (ahead_ms <= state_->options().max_stamp_ahead_ms) continue;
    return Status(Code::invalid_argument, "put " + printable(key) + ": its stamp is " +
                                              std::to_string(ahead_ms) +
                                              " ms ahead of this node's clock, wanted at most " +
                                              std::to_string(state_->options().max_stamp_ahead_ms));
  }
  return Status::ok();
}

Replica::Outcome Replica::merge(const ReplicaPut& request, Now now) {
  if (Status timely = stamps_in_time(request.key, request.object, now); !timely) {
    return {refused(timely), 0};
  }
  bool went_back = false;
  Told told;
  Object stored;
  HintCounts::Change hints(state_->hint_counts());
  Place place(*state_, request.key, request.hint_for, &hints);
  TreeUpdate tree(*state_, place);
  auto ticket =
      state_->engine().transact(durability_of(request.durability), [&](Transaction& transaction) {
        hints.begin();
        bool corrupt;
        auto local = read_for_change(transaction, place, corrupt);
        if (!local) return local.status();
        tree.was_corrupt(corrupt);
        Object& object = local->object;
        tree.before(object);
        tree.after(object);
        went_back = !request.hint_for && !corrupt &&
                    knows_more_of_us(request.object.context, object.context, state_->self(),
                                     state_->incarnation());
        // Nothing new, but perhaps not flushed yet: with `disk` the answer must ride on a flush all the
        // same, or a repeated message would be acknowledged before the first one is safe.
        told.clear();
        if (!sync(object, request.object) &&
            durability_of(request.durability) != Durability::disk) {
          return Status::ok();
        }
        Status written = write(transaction, place, object, local->minter);
        if (written) written = pass_on(transaction, place, object, &told);
        tree.after(object);
        if (!told.empty()) stored = std::move(object);
        return written;
      });
  Status done = over(ticket, hints);
  if (!done) {
    if (done.maybe_applied()) tree.perhaps_committed();
    return {refused(done), 0};
  }
  tree.committed();
  tell(told, request.key, stored, now);
  if (went_back) {
    Status forgot = state_->forget_incarnation();
    if (!forgot) return {refused(forgot), 0};
  }
  if (request.hint_for) {
    state_->counters().hints_stored.fetch_add(1, std::memory_order_relaxed);
  }
  state_->counters().merged.fetch_add(1, std::memory_order_relaxed);
  return {Stored{}, planted(PlantedBug::ack_before_flush) ? 0 : *ticket};
}

struct Replica::Page {
  std::uint32_t partition;
  std::span<const KeyedObject> objects;
  std::optional<Now> stamps_by;       // nothing: they are not looked at
  std::vector<Result<Object>>* held;  // nullptr: all or nothing
  const Also* also;                   // or nullptr
};

Status Replica::merge_page(std::uint32_t partition, std::span<const KeyedObject> objects, Now now,
                           std::vector<Result<Object>>& held) {
  return join({partition, objects, now, &held, nullptr});
}
Status Replica::take_page(std::uint32_t partition, std::span<const KeyedObject> objects,
                          const Also& also) {
  return join({partition, objects, std::nullopt, nullptr, &also});
}

Status Replica::join(Page page) {
  struct Change {
    Bytes row;
    std::uint64_t key = 0, before = 0, after = 0;
    bool corrupt = false;  // what was there
  };
  std::vector<Change> changes;
  std::vector<Result<Object>> outcomes;
  bool went_back = false;
  HintCounts::Change hints(state_->hint_counts());
  std::optional<PartitionTrees::Writing> writing(state_->trees().writing(page.partition));
  auto one = [&](Transaction& transaction, const KeyedObject& each) -> Result<Object> {
    Place place(*state_, each.key, {}, &hints);
    if (place.partition != page.partition) {
      return Status(Code::invalid_argument,
                    "merge " + printable(each.key) + ": wanted a key of partition " +
                        std::to_string(page.partition) + ", this one is of " +
                        std::to_string(place.partition));
    }
    if (page.stamps_by) {
      Status timely = stamps_in_time(each.key, each.object, *page.stamps_by);
      if (!timely) return timely;
    }
    Change change{place.row, key_hash(each.key)};
    auto local = read_for_change(transaction, place, change.corrupt);
    if (!local) return local.status();
    Object& object = local->object;
    change.before = clock_hash(object);
    went_back |= !change.corrupt && knows_more_of_us(each.object.context, object.context,
                                                     state_->self(), state_->incarnation());
    if (sync(object, each.object)) {
      change.after = clock_hash(object);
      Status written = write(transaction, place, object, local->minter);
      if (written) written = pass_on(transaction, place, object, nullptr);
      if (!written) return written;
      changes.push_back(std::move(change));
    }
    return std::move(object);
  };
  auto ticket = state_->engine().transact(Durability::log, [&](Transaction& transaction) {
    hints.begin();
    changes.clear();
    outcomes.clear();
    went_back = false;
    for (const KeyedObject& each : page.objects) {
      outcomes.push_back(one(transaction, each));
      const Status& status = outcomes.back().status();
      bool alone = page.held != nullptr && status.code() == Code::invalid_argument;
      if (!status && !alone) return status;
    }
    return page.also != nullptr ? (*page.also)(transaction) : Status::ok();
  });
  Status done = over(ticket, hints);
  bool rebuild = done.maybe_applied();
  if (done) {
    for (const Change& change : changes) {
      if (!planted(PlantedBug::tree_not_updated)) {
        writing->apply(change.row, change.key, change.before, change.after);
      }
      if (!change.corrupt) continue;
      state_->note_mended(change.row);
      rebuild = true;  // the tree may count what was there before the damage
    }
    state_->counters().merged.fetch_add(changes.size(), std::memory_order_relaxed);
  }
  writing.reset();
  if (rebuild) state_->trees().rebuild(page.partition);
  if (!done) return done;
  if (went_back) {
    if (Status forgot = state_->forget_incarnation(); !forgot) return forgot;
  }
  if (page.held != nullptr) *page.held = std::move(outcomes);
  return Status::ok();
}

Result<std::vector<Hint>> Replica::hints_for(NodeId target, const Key* after, std::size_t limit) {
  std::vector<Hint> hints;
  Status damaged;
  Bytes from = after ? hint_row(target, *after) + '\0' : hint_prefix(target);
  Status scanned = state_->engine().scan(
      Table::hints, from, after_prefix(hint_prefix(target)), [&](BytesView row, BytesView record) {
        auto parsed = parse_hint_row(row);
        auto object = decode_record(record);
        if (!parsed || !object) {
          damaged = parsed ? object.status() : Status(Code::corrupt, "a hint's row is malformed");
          return false;
        }
        hints.push_back({target, std::move(parsed->key), std::move(*object)});
        return hints.size() < limit;
      });
  if (!scanned) return scanned;
  if (!damaged) return damaged;
  return hints;
}

Result<std::vector<NodeId>> Replica::targets() {
  return state_->hint_counts().targets();
}

Status Replica::drop_if_same(const Hint& hint) {
  Bytes row = hint_row(hint.target, hint.key);
  Bytes record = encode_record(hint.object);
  HintCounts::Change hints(state_->hint_counts());
  auto done = state_->engine().transact(Durability::log, [&](Transaction& transaction) {
    hints.begin();
    auto present = transaction.get(Table::hints, row);
    if (!present) return present.status();
    if (!*present || **present != record) return Status::ok();
    Status forgotten = transaction.erase(Table::state, hint_actor_row(hint.target, hint.key));
    if (!forgotten) return forgotten;
    hints.drops(hint.target);
    return transaction.erase(Table::hints, row);
  });
  return over(done, hints);
}

Result<std::uint64_t> Replica::count_hints() {
  if (state_->hint_counts().exact()) return state_->hint_counts().total();
  std::uint64_t count = 0;
  Status scanned = state_->engine().scan(Table::hints, {}, {}, [&](BytesView, BytesView) {
    ++count;
    return true;
  });
  if (!scanned) return scanned;
  return count;
}

}  // namespace ringlet
