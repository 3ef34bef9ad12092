#include "node/replica.hpp"

#include <algorithm>
#include <charconv>

#include "base/planted.hpp"
#include "document/deletes.hpp"
#include "node/hint_key.hpp"
#include "protocol/payload.hpp"
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

// Whether a writer that has seen `theirs` would be shown a version of `ours` that it does not know.
bool shows_more(const Object& ours, const Object& theirs) {
  if (ours.mode != Reconcile::siblings || planted(PlantedBug::siblings_not_told)) return false;
  return std::any_of(ours.versions.begin(), ours.versions.end(),
                     [&](const Version& v) { return !theirs.context.contains(v.dot); });
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
  bool there = false;           // as last read
  std::size_t bytes_there = 0;  // of that record
};

// Keeps a partition's tree in step with one change of an own copy (paper 4.7). Lives around the
// transaction, whose body may run more than once.
class Replica::TreeUpdate {
 public:
  // `bytes`: of the value that is written.
  TreeUpdate(NodeState& state, const Place& place, std::size_t bytes)
      : state_(state), place_(place) {
    if (place.hint_for) return;  // nobody's own copy
    key_hash_ = key_hash(place.key);
    writing_.emplace(state.trees().writing(place.partition, bytes >= bulk_bytes));
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
  place.bytes_there = place.there ? (*record)->size() : 0;
  if (!place.there) return Record{};
  auto row = decode_row(**record);
  if (row || !place.hint_for || row.status().code() != Code::corrupt) return row;
  // A damaged hint is set aside and a new one begins: with an actor of its own, for the old one's count
  // may be what is damaged.
  Status aside = set_aside(transaction, place.row, **record);
  if (!aside) return aside;
  state_->note_damaged_hint(place.row, place.hint_for, row.status());
  return Record{};
}

// Kept where nothing looks for it but a person: perhaps it can be read after all, by another program.
Status Replica::set_aside(Transaction& transaction, BytesView hint_row, BytesView record) {
  Status kept = transaction.put(Table::state, damaged_hint_row(hint_row), record);
  if (!kept) return kept;
  return transaction.erase(Table::state, "hint.actor." + Bytes(hint_row));
}

// Hints found damaged by a scan leave the table, so that no scan meets them again (F-108).
Status Replica::set_aside(NodeId target, const std::vector<Bytes>& rows) {
  HintCounts::Change hints(state_->hint_counts());
  auto done = state_->engine().transact(Durability::log, [&](Transaction& transaction) {
    hints.begin();
    for (const Bytes& row : rows) {
      auto present = transaction.get(Table::hints, row);
      if (!present) return present.status();
      if (!*present || (parse_hint_row(row) && decode_record(**present))) continue;
      if (Status aside = set_aside(transaction, row, **present); !aside) return aside;
      if (Status gone = transaction.erase(Table::hints, row); !gone) return gone;
      hints.drops(target, row.size() + (*present)->size());
    }
    return Status::ok();
  });
  return over(done, hints);
}

// A damaged own copy counts as absent, so that a peer's mends it (F-13). Its minter is unknown, so
// the next to mint into the row takes a fresh epoch. A damaged hint is set aside by read().
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
  Bytes record = encode_record(object, place.hint_for ? 0 : minter);
  if (!place.hint_for) state_->large_keys().seen(LargeKeys::hash_of(place.key), record.size());
  if (place.hint_for && !place.there) {
    place.hint_changes->adds(place.hint_for, place.row.size() + record.size());
  } else if (place.hint_for) {
    place.hint_changes->resizes(place.hint_for, place.bytes_there, record.size());
  }
  return transaction.put(place.table(), place.row, record);
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
  if (!document::sync_stored_with_tables(hint->object, object)) return Status::ok();
  forget_spent(hint->object, std::nullopt, state_->options().spent);
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
                                 const CausalContext& context, const CausalContext& seen,
                                 std::optional<Actor>& fresh) {
  auto used_up = [&](const Actor& actor) {
    return std::max(context.counter(actor), seen.counter(actor)) >= max_seen_counter;
  };
  NodeId self = state_->self();
  std::uint64_t incarnation = state_->incarnation();
  if (planted(PlantedBug::epoch_reused)) return Actor{self, incarnation << 1};
  if (place.hint_for) {
    auto bound = transaction.get(Table::state, hint_actor_row(place.hint_for, place.key));
    if (!bound) return bound.status();
    if (*bound) {
      std::uint64_t epoch = parse_epoch(**bound);
      if (epoch >> 1 >= incarnation && !used_up({self, epoch})) return Actor{self, epoch};
    }
  } else if (local.minter >> 1 >= incarnation) {
    // Its entry may have been truncated; then the count is gone with it.
    Actor actor{self, local.minter};
    if (context.counter(actor) != 0 && !used_up(actor)) return actor;
  }
  if (!fresh) {
    auto epoch = state_->fresh_epoch();
    if (!epoch) return epoch.status();
    fresh = Actor{self, *epoch << 1 | (place.hint_for ? 1 : 0)};
  }
  if (used_up(*fresh)) {
    return Status(Code::invalid_context,
                  "put " + printable(place.key) + ": its context claims to have seen " +
                      to_string(Dot{*fresh, seen.counter(*fresh)}) +
                      ", which no replica made: read the key and write with the context read");
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
  state_->large_keys().seen(LargeKeys::hash_of(key), *record ? (*record)->size() : 0);
  if (!*record) return Object{};
  auto object = decode_record(**record);
  // The tree may have been built before the damage and call the replicas equal.
  if (!object && state_->note_corrupt(place.row, key, object.status())) {
    state_->trees().rebuild(place.partition);
  }
  return object;
}

Message Replica::get(const ReplicaGet& request) {
  Key key = request.key;
  if (planted(PlantedBug::reply_from_another_key) && !key.key.empty()) key.key.back() ^= 1;
  auto object = stored(key);
  if (!object) return refused(object.status());
  ReplicaObject reply{std::move(*object)};
  std::size_t left_out = 0;
  // A fallback's copies are in the hint table, one for each owner it stands in for.
  const HintCounts& counts = state_->hint_counts();
  std::vector<NodeId> targets = counts.any() ? counts.targets() : std::vector<NodeId>{};
  for (NodeId target : targets) {  // also one that this node's table does not have, yet or any more
    auto hinted = state_->engine().get(Table::hints, hint_row(target, request.key));
    if (!hinted) return refused(hinted.status());
    if (!*hinted) continue;
    auto object = decode_record(**hinted);
    // It counts as absent, like a damaged copy; the next delivery sets it aside.
    if (!object) continue;
    Object joined = reply.object;
    document::sync_with_tables(joined, *object);
    if (joined.versions.size() > 1 && value_bytes(joined) > max_object_bytes) {
      left_out +=
          joined.versions.size() - std::min(joined.versions.size(), reply.object.versions.size());
    } else {
      reply.object = std::move(joined);
    }
  }
  left_out += state_->left_out(request.key, reply.object);
  reply.left_out = static_cast<std::uint32_t>(left_out);
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

// Siblings that were each taken in elsewhere may be too many together for a row and for a frame. The
// giver keeps its copy and tries again; a read here says that there are more (F-107).
Status Replica::small_enough(const Place& place, const Object& joined, const Object& given) const {
  std::size_t bytes = joined.versions.size() > 1 ? value_bytes(joined) : 0;
  if (bytes <= max_object_bytes) return Status::ok();
  if (!place.hint_for) state_->note_left_out(place.key, given);
  return Status(
      Code::too_many_siblings,
      "merge " + printable(place.key) + ": wanted at most " + std::to_string(max_object_bytes) +
          " bytes of siblings, together they would be " + std::to_string(joined.versions.size()) +
          " of " + std::to_string(bytes) + " bytes: read the key and write with the context read");
}

Replica::Outcome Replica::mint(const MintPut& request, Now now, Instant until) {
  if (Status leased = state_->prepare_epochs(); !leased) return {refused(leased), 0};
  Minted minted;
  Told told;
  std::optional<Actor> fresh;  // taken once, however often the transaction is repeated
  HintCounts::Change hints(state_->hint_counts());
  Place place(*state_, request.key, request.hint_for, &hints);
  TreeUpdate tree(*state_, place, request.write.value.size());
  auto ticket =
      state_->engine().transact(durability_of(request.durability), [&](Transaction& transaction) {
        hints.begin();
        bool corrupt;
        auto local = read_for_change(transaction, place, corrupt);
        if (!local) return local.status();
        tree.was_corrupt(corrupt);
        tree.before(local->object);
        Object object = std::move(local->object);
        if (Status one = may_be_executed(request, object, now); !one) return one;
        if (object.missing()) {
          object.mode = request.reconcile;
        } else if (request.reconcile == Reconcile::lww && object.mode != Reconcile::lww) {
          Object nothing;
          nothing.mode = Reconcile::lww;
          sync(object, nothing);  // written before the cluster was one of last-write-wins
        }
        // A last-write-wins version is named by its stamp: no dot, and no epoch to take one from.
        Actor actor{state_->self(), 0};
        std::uint64_t minter = local->minter;
        if (object.mode == Reconcile::siblings) {
          auto its_own = actor_for(transaction, place, *local, object.context, request.seen, fresh);
          if (!its_own) return its_own.status();
          actor = *its_own;
          minter = actor.epoch;
        }
        std::int64_t held_us = latest_stamp(object);
        minted.dot =
            document::update_with_tables(object, request.seen, actor, request.write, now.wall_us());
        if (Status few = few_enough(request.key, object); !few) return few;
        if (Status timely = stamps_in_time(request.key, object, held_us, now); !timely) {
          return timely;
        }
        truncate(object, actor, now.wall_ms, state_->options().truncation);
        forget_spent(object, now.wall_us(), state_->options().spent);
        Status written = write(transaction, place, object, minter);
        if (written) written = pass_on(transaction, place, object, &told);
        if (written) written = in_time(request.key, now, until);
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

Status Replica::in_time(const Key& key, Now now, Instant until) const {
  Instant by_now = state_->by_now(now);
  if (by_now <= until || planted(PlantedBug::executed_after_its_age)) return Status::ok();
  state_->counters().refused_late.fetch_add(1, std::memory_order_relaxed);
  return Status(Code::timeout,
                printable(key) + ": node " + state_->options().name + " came to this request " +
                    std::to_string((by_now - until).millis() + 1) + " ms after it was wanted");
}

// Two questions that only a row can answer. One id names one write: the same id with something else in
// it is an error of the caller, who would otherwise lose one of the two without a word. And a repetition
// is executed only where the row can tell that it is one: an id may have been forgotten for want of
// room. A write that is new says so (its age is nothing) and is never refused here.
Status Replica::may_be_executed(const MintPut& request, const Object& object, Now now) const {
  const Write& write = request.write;
  if (contradicts(object, write)) {
    return Status(
        Code::invalid_argument,
        "put " + printable(request.key) + ": write id " + to_string(write.write_id) +
            " names a write of something else that is stored: wanted one id for each write");
  }
  const SpentLimits& limits = state_->options().spent;
  if (object.forgotten_ms == 0 || write.age_ms / 1000 < limits.repeat_s) return Status::ok();
  // By this node's clock; the times of the notes are of other nodes' clocks.
  std::int64_t first_sent_ms = now.wall_ms - static_cast<std::int64_t>(write.age_ms);
  bool known = object.is_spent(write.write_id) ||
               std::any_of(object.versions.begin(), object.versions.end(),
                           [&](const Version& v) { return v.write_id == write.write_id; });
  if (known || first_sent_ms > object.forgotten_ms + limits.clocks_s * 1000) return Status::ok();
  return Status(Code::invalid_argument,
                "put " + printable(request.key) + ": write " + to_string(write.write_id) +
                    " was first sent " + std::to_string(write.age_ms / 1000) +
                    " s ago, and the key was written so often since that it cannot be told whether "
                    "this write was done and replaced: read the key and decide",
                true);
}

std::int64_t Replica::latest_stamp(const Object& object) {
  std::int64_t latest_us = INT64_MIN;
  if (object.mode != Reconcile::lww) return latest_us;
  for (const auto& version : object.versions) latest_us = std::max(latest_us, version.written_us);
  return latest_us;
}

// The latest stamp wins (O-19), so one from the far future would win for as long. What is held here
// (`held_us`) counts in place of the clock only when it is itself too far ahead: had a replica once taken a
// stamp while its clock was wrong, the writes that follow it lie above it, and the key would take none
// until that time. Counted always, it would let stamps run ahead step by step. The stamp next to what
// is held is the one that a write without any error gets.
Status Replica::stamps_in_time(const Key& key, const Object& object, std::int64_t held_us,
                               Now now) const {
  if (object.mode != Reconcile::lww) return Status::ok();
  const std::int64_t most_ms = state_->options().max_stamp_ahead_ms;
  const bool held_is_ahead = held_us / 1000 - now.wall_ms > most_ms;
  const std::int64_t from_ms = held_is_ahead ? held_us / 1000 : now.wall_ms;
  for (const auto& version : object.versions) {
    if (version.written_us <= held_us || version.written_us == held_us + 1) continue;
    std::int64_t ahead_ms = version.written_us / 1000 - from_ms;
    if (ahead_ms <= most_ms) continue;
    return Status(Code::invalid_argument,
                  "put " + printable(key) + ": its stamp is " + std::to_string(ahead_ms) +
                      " ms ahead of this node's clock, wanted at most " + std::to_string(most_ms));
  }
  return Status::ok();
}

// A counter that no minter makes: taken in, it would be in every context of the key, and no context with
// it can be written with.
Status Replica::countable(const Key& key, const Object& object) {
  for (const auto& entry : object.context.entries()) {
    if (entry.counter <= max_seen_counter) continue;
    return Status(Code::invalid_argument, "merge " + printable(key) +
                                              ": wanted counters of at most 2^62, got " +
                                              to_string(Dot{entry.actor, entry.counter}));
  }
  return Status::ok();
}

Replica::Outcome Replica::merge(const ReplicaPut& request, Now now) {
  if (Status status = countable(request.key, request.object); !status) return {refused(status), 0};
  bool went_back = false;
  Told told;
  Object stored;
  Stored reply;
  HintCounts::Change hints(state_->hint_counts());
  Place place(*state_, request.key, request.hint_for, &hints);
  TreeUpdate tree(*state_, place, payload_bytes(request.object));
  auto ticket =
      state_->engine().transact(durability_of(request.durability), [&](Transaction& transaction) {
        hints.begin();
        bool corrupt;
        auto local = read_for_change(transaction, place, corrupt);
        if (!local) return local.status();
        tree.was_corrupt(corrupt);
        Object& object = local->object;
        if (Status timely = stamps_in_time(request.key, request.object, latest_stamp(object), now);
            !timely) {
          return timely;
        }
        tree.before(object);
        tree.after(object);
        went_back = !request.hint_for && !corrupt &&
                    knows_more_of_us(request.object.context, object.context, state_->self(),
                                     state_->incarnation());
        // Nothing new, but perhaps not flushed yet: with `disk` the answer must ride on a flush all the
        // same, or a repeated message would be acknowledged before the first one is safe.
        told.clear();
        bool changed = document::sync_stored_with_tables(object, request.object);
        reply = {};
        if (request.tell_siblings && shows_more(object, request.object)) reply.beside = object;
        if (!changed && durability_of(request.durability) != Durability::disk) {
          return Status::ok();
        }
        if (Status small = small_enough(place, object, request.object); !small) return small;
        forget_spent(object, now.wall_us(), state_->options().spent);
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
  return {std::move(reply), planted(PlantedBug::ack_before_flush) ? 0 : *ticket};
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
    Change change{place.row, key_hash(each.key)};
    auto local = read_for_change(transaction, place, change.corrupt);
    if (!local) return local.status();
    Object& object = local->object;
    if (page.stamps_by) {  // a page that moves in has what its giver holds, whatever that is
      if (Status status = countable(each.key, each.object); !status) return status;
      Status timely = stamps_in_time(each.key, each.object, latest_stamp(object), *page.stamps_by);
      if (!timely) return timely;
    }
    change.before = clock_hash(object);
    went_back |= !change.corrupt && knows_more_of_us(each.object.context, object.context,
                                                     state_->self(), state_->incarnation());
    if (document::sync_stored_with_tables(object, each.object)) {
      if (Status small = small_enough(place, object, each.object); !small) return small;
      std::optional<std::int64_t> wall_us;
      if (page.stamps_by) wall_us = page.stamps_by->wall_us();
      forget_spent(object, wall_us, state_->options().spent);
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
      // A page that moves in goes on without what there is no room for: who gives it keeps it.
      bool alone = status.code() == Code::too_many_siblings ||
                   (page.held != nullptr && status.code() == Code::invalid_argument);
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
  std::vector<Bytes> damaged;
  Bytes from = after ? hint_row(target, *after) + '\0' : hint_prefix(target);
  Status scanned = state_->engine().scan(
      Table::hints, from, after_prefix(hint_prefix(target)), [&](BytesView row, BytesView record) {
        auto parsed = parse_hint_row(row);
        auto object = decode_record(record);
        if (parsed && object) {
          hints.push_back({target, std::move(parsed->key), std::move(*object)});
        } else {
          damaged.emplace_back(row);
          state_->note_damaged_hint(
              row, target,
              parsed ? object.status() : Status(Code::corrupt, "a hint's row is malformed"));
        }
        return hints.size() < limit && damaged.size() < limit;
      });
  if (!scanned) return scanned;
  if (damaged.empty()) return hints;
  // Should the disk refuse, the next scan meets them again, and goes past them again.
  bool more = damaged.size() == limit && hints.size() < limit;
  if (Status aside = set_aside(target, damaged); !aside)
    return more ? Result<std::vector<Hint>>(aside) : hints;
  if (!more) return hints;
  auto rest = hints_for(target, hints.empty() ? after : &hints.back().key, limit - hints.size());
  if (!rest) return rest;
  for (Hint& hint : *rest) hints.push_back(std::move(hint));
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
    hints.drops(hint.target, row.size() + record.size());
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
