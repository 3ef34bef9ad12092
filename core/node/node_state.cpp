#include "node/node_state.hpp"

#include <algorithm>
#include <charconv>

#include "base/planted.hpp"
#include "node/hint_key.hpp"
#include "node/upkeep.hpp"

namespace ringlet {
namespace {

constexpr BytesView name_row = "node.name";
constexpr BytesView view_row = "membership";
constexpr BytesView settings_row = "membership.settings";
// A cluster that was founded with more, by an older release, goes on.
constexpr std::uint32_t max_new_partitions = 4096;
constexpr std::uint64_t tree_bytes = tree_segments * 2 * sizeof(std::uint64_t);

// What the file said where this node is when the cluster last had it there: address, line break,
// address for clients. A file that says otherwise now was corrected; one that does not is older than
// an administrator's order.
constexpr BytesView address_row = "node.address";
constexpr BytesView epochs_row = "node.epochs";  // "leased_to incarnation", decimal

std::optional<std::pair<std::uint64_t, std::uint64_t>> parse_epochs(BytesView text) {
  std::uint64_t leased_to = 0, incarnation = 0;
  const char* end = text.data() + text.size();
  auto first = std::from_chars(text.data(), end, leased_to);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != ' ') return std::nullopt;
  auto second = std::from_chars(first.ptr + 1, end, incarnation);
  if (second.ec != std::errc{} || second.ptr != end) return std::nullopt;
  return std::pair{leased_to, incarnation};
}

}  // namespace

FirstEpoch::FirstEpoch(std::int64_t wall_ms, std::uint64_t random) {
  constexpr int random_bits = 31;
  // An epoch has 63 bits: the lowest of the 64 tells hints from own copies. Until 2106.
  constexpr std::int64_t last_second = (std::int64_t{1} << 32) - 2;
  auto second =
      static_cast<std::uint64_t>(std::clamp<std::int64_t>(wall_ms / 1000, 1, last_second));
  if (planted(PlantedBug::first_epoch_by_clock_alone)) random = 0;
  value_ = second << random_bits | (random & ((std::uint64_t{1} << random_bits) - 1));
}

NodeState::NodeState() = default;
NodeState::~NodeState() = default;

Result<std::shared_ptr<NodeState>> NodeState::open(NodeOptions options, FirstEpoch first,
                                                   std::shared_ptr<StorageEngine> engine,
                                                   std::shared_ptr<const Ring> founding) {
  RINGLET_ASSERT(engine != nullptr);
  if (founding && founding->find(options.name) == nullptr) {
    return Status(Code::invalid_argument,
                  "node \"" + printable(options.name) + "\" is not among the cluster's " +
                      std::to_string(founding->members().size()) + " members");
  }
  std::shared_ptr<NodeState> state(new NodeState());
  state->self_ = node_id_of(options.name);
  state->options_ = std::move(options);
  state->address_in_file_ = state->options_.address;
  state->advertise_in_file_ = state->options_.advertise;
  for (const auto& [setting, value] : state->own_values()) {
    state->values_[static_cast<std::size_t>(setting)] = value;
  }
  auto& siblings_bytes = state->values_[static_cast<std::size_t>(Setting::max_siblings_bytes)];
  siblings_bytes = std::min<std::uint64_t>(siblings_bytes, state->options_.siblings_bytes_here);
  state->engine_ = std::move(engine);

  auto name = state->engine_->get(Table::state, name_row);
  if (!name) return name.status();
  if (*name && **name != state->options_.name) {
    return Status(Code::invalid_argument, "the store belongs to node \"" + printable(**name) +
                                              "\", this is \"" + state->options_.name + "\"");
  }
  Status known = state->read_view(founding.get());
  if (!known) return known;
  auto epochs = state->engine_->get(Table::state, epochs_row);
  if (!epochs) return epochs.status();
  std::uint64_t incarnation = 1;
  if (*epochs) {
    auto parsed = parse_epochs(**epochs);
    if (!parsed) {
      return Status(Code::corrupt, "the store's epoch record is \"" + printable(**epochs) +
                                       "\", wanted two numbers");
    }
    // The rest of the old lease is skipped: nobody knows how much of it was used.
    state->next_epoch_ = parsed->first;
    incarnation = parsed->second;
  }
  bool remembers = *epochs && state->engine_->history_intact();
  if (planted(PlantedBug::epoch_reused) || planted(PlantedBug::lease_not_synced)) {
    remembers = true;
    if (!*epochs) state->next_epoch_ = 1;
  }
  if (!remembers) {
    state->next_epoch_ = std::max(state->next_epoch_, first.value());
    incarnation = state->next_epoch_;
  }
  state->incarnation_.store(incarnation);
  if (Status counted = state->hint_counts_.read(*state->engine_); !counted) return counted;
  if (Status counted = state->count_damaged_hints(); !counted) return counted;
  Status leased = state->lease();
  // A disk that is full takes no lease, and no write that wants an epoch either; what is there can be
  // read (F-112). Each write asks for the lease again.
  bool known_store = epochs->has_value() && !state->first_view_.empty();
  if (leased.code() == Code::unavailable && known_store) {
    state->leased_to_ = state->next_epoch_;
    if (state->options_.log) {
      state->options_.log(LogLevel::warn, "storage",
                          "this node serves reads and refuses writes: " + leased.message());
    }
    leased = Status::ok();
  }
  if (!leased) return leased;
  std::shared_ptr<NodeState> not_owning(std::shared_ptr<NodeState>(), state.get());
  state->upkeep_ = std::make_unique<Upkeep>(
      std::move(not_owning), state->self_.value ^ state->incarnation() ^ state->next_epoch_);
  return state;
}

void NodeState::go_by(const ClusterSettings& settings) {
  for (const SettingRule& rule : setting_rules()) {
    auto has = settings.find(rule.setting);
    if (!has) continue;
    std::uint64_t value = *has;
    bool quorum = rule.setting == Setting::r || rule.setting == Setting::w;
    if (quorum && !first_view_.empty()) {
      value = std::min<std::uint64_t>(value, first_view_.replicas());
    }
    if (rule.setting == Setting::max_siblings_bytes) {
      value = std::min<std::uint64_t>(value, options_.siblings_bytes_here);
    }
    values_[static_cast<std::size_t>(rule.setting)].store(value, std::memory_order_relaxed);
  }
  settings_changes_.fetch_add(1, std::memory_order_acq_rel);
}

Status NodeState::note_address() {
  Bytes record = address_in_file_ + "\n" + advertise_in_file_;
  auto kept = engine_->get(Table::state, address_row);
  if (kept && *kept && **kept == record) return {};
  return engine_
      ->transact(Durability::log,
                 [&](Transaction& transaction) {
                   return transaction.put(Table::state, address_row, record);
                 })
      .status();
}

// Whose address of this node counts, the file's or the view's?
Status NodeState::read_address() {
  const auto* self = first_view_.find(options_.name);
  if (self == nullptr) return {};
  const Member& known = self->member;
  if (options_.address.empty()) options_.address = address_in_file_ = known.address;
  // A file that names no address for clients leaves the one that was ordered.
  bool advertised = options_.advertise.empty() || known.advertise == options_.advertise;
  if (known.address == options_.address && advertised) {
    return founded_now_ ? Status() : note_address();
  }
  if (founded_now_) {
    options_.advertise = known.advertise;
    return {};
  }
  auto kept = engine_->get(Table::state, address_row);
  if (!kept) return kept.status();
  auto say = [&](LogLevel level, const std::string& text) {
    if (options_.log) options_.log(level, "membership", text);
  };
  auto shown = [](const std::string& address, const std::string& advertise) {
    return address + (advertise.empty() ? "" : " (for clients " + advertise + ")");
  };
  std::string in_file = shown(options_.address, options_.advertise);
  std::string in_view = shown(known.address, known.advertise);
  if (*kept && **kept == address_in_file_ + "\n" + advertise_in_file_) {
    say(LogLevel::warn, "an order moved this node: the cluster has it at " + in_view +
                            ", its file says " + in_file + ": correct the file");
    options_.address = known.address;
    options_.advertise = known.advertise;
    return {};
  }
  // A store of an older release has no such row, and had no address for clients either.
  moved_ = true;
  say(LogLevel::warn, "this node was at " + in_view + ", its file says " + in_file +
                          ": it tells the other members");
  return {};
}

// The view of the store, or the founding one.
Status NodeState::read_view(const Ring* founding) {
  auto stored = engine_->get(Table::state, view_row);
  if (!stored) return stored.status();
  auto settings = engine_->get(Table::state, settings_row);
  if (!settings) return settings.status();
  if (*settings) {
    auto decoded = ClusterSettings::decode(**settings);
    if (!decoded) return decoded.status();
    first_settings_ = std::move(*decoded);
  }
  if (*stored) {
    auto view = MembershipView::decode(**stored);
    if (!view) return view.status();
    first_view_ = std::move(*view);
  } else if (founding && founding->partitions() > max_new_partitions) {
    return Status(Code::unsupported,
                  "cluster.partitions: wanted at most " + std::to_string(max_new_partitions) +
                      " for a new cluster, got " + std::to_string(founding->partitions()) +
                      ": each partition that has keys takes " + std::to_string(tree_bytes >> 10) +
                      " KiB of memory at every owner, and the table of all goes to every client");
  } else if (founding) {
    Ring::Options options;
    options.cluster = founding->cluster();
    options.partitions = founding->partitions();
    options.replicas = founding->replicas();
    options.members = founding->members();
    auto view = MembershipView::found(options);
    if (!view) return view.status();
    first_view_ = std::move(*view);
    if (options_.founding_is_agreed || first_view_.known().size() == 1) {
      first_settings_ = ClusterSettings::proposed(own_values(), own_values());
      Status kept = keep(first_view_, Keep::at_once, std::nullopt, first_settings_);
      if (!kept) return kept;
    } else {
      founded_now_ = true;  // kept once it is agreed upon: a wrong file leaves nothing behind
    }
  }
  if (first_view_.empty()) return Status::ok();
  if (founding) options_.cluster = founding->cluster();
  if (options_.cluster != first_view_.cluster()) {
    return Status(Code::invalid_argument, "the store is of cluster \"" + first_view_.cluster() +
                                              "\", the configuration of \"" + options_.cluster +
                                              "\"");
  }
  if (*stored) {
    std::string never;
    for (const SettingDifference& each : differences(
             options_.said, first_settings_, first_view_.replicas(), first_view_.partitions())) {
      if (each.fixed) {
        never += (never.empty() ? "" : "; ") + each.sentence;
      } else if (options_.log) {
        options_.log(LogLevel::warn, "membership", each.sentence);
      }
    }
    if (!never.empty()) return Status(Code::unsupported, never);
  }
  if (!first_settings_.empty()) go_by(first_settings_);
  if (Status status = read_address(); !status) return status;
  set_ring(first_view_.ring());
  return Status::ok();
}

Status NodeState::keep(const MembershipView& view, Keep keep, const std::optional<Bytes>& staged,
                       const std::optional<ClusterSettings>& settings) {
  auto done = engine_->transact(Durability::disk, [&](Transaction& transaction) {
    if (staged) {
      Status kept = staged->empty() ? transaction.erase(Table::state, staged_row)
                                    : transaction.put(Table::state, staged_row, *staged);
      if (!kept) return kept;
    }
    if (settings) {
      Status kept = transaction.put(Table::state, settings_row, settings->encode());
      if (!kept) return kept;
    }
    return transaction.put(Table::state, view_row, view.encode());
  });
  if (!done) return done.status();
  return keep == Keep::at_once ? engine_->flush() : Status::ok();
}

// Writes the next lease, which counts once it is on the disk: lost to a machine stop, it would be
// handed out again. Whoever has a transaction open meanwhile may still take epochs of the lease
// before: mutex_ is not held while the engine works, or the two would wait for each other.
Status NodeState::write_lease() {
  std::uint64_t at_least;
  {
    std::lock_guard lock(mutex_);
    at_least = next_epoch_ + options_.epoch_lease;
  }
  std::string record = std::to_string(at_least) + " " + std::to_string(incarnation_.load());
  auto done = engine_->transact(Durability::disk, [&](Transaction& transaction) {
    Status named = transaction.put(Table::state, name_row, options_.name);
    if (!named) return named;
    return transaction.put(Table::state, epochs_row, record);
  });
  if (!done) return done.status();
  written_ = Lease{at_least, planted(PlantedBug::lease_not_synced) ? 0 : *done};
  return Status::ok();
}

void NodeState::adopt_lease() {
  std::lock_guard lock(mutex_);
  leased_to_ = std::max(leased_to_, written_->to);
  written_.reset();
}

Status NodeState::lease() {
  Status written = write_lease();
  return written ? flush_lease() : written;
}

Status NodeState::flush_lease() {
  if (written_->ticket > engine_->durable_up_to()) {
    if (Status flushed = engine_->flush(); !flushed) return flushed;
  }
  adopt_lease();
  return Status::ok();
}

std::shared_ptr<const Ring> NodeState::ring() const {
  std::lock_guard lock(mutex_);
  return ring_;
}

void NodeState::set_ring(std::shared_ptr<const Ring> ring) {
  RINGLET_ASSERT(ring != nullptr);
  std::lock_guard lock(mutex_);
  // Q never changes, so the trees outlive every ring.
  if (!trees_) trees_ = std::make_unique<PartitionTrees>(ring->partitions());
  ring_ = std::move(ring);
}

Status NodeState::prepare_epochs() {
  auto has = [this](std::uint64_t share) {
    std::lock_guard lock(mutex_);
    return leased_to_ - next_epoch_ >= std::max<std::uint64_t>(options_.epoch_lease / share, 1);
  };
  if (has(2)) return Status::ok();
  std::lock_guard lock(lease_mutex_);
  if (written_ && written_->ticket <= engine_->durable_up_to()) adopt_lease();
  if (has(2)) return Status::ok();
  if (!written_) {
    Status written = write_lease();
    if (!written && !has(4)) return written;
  }
  // Nobody waits for the disk while there is a quarter left: some ten milliseconds of a request.
  if (has(4)) return Status::ok();
  return written_ ? flush_lease() : lease();
}

Result<std::uint64_t> NodeState::fresh_epoch() {
  std::lock_guard lock(mutex_);
  if (next_epoch_ >= leased_to_) {
    return Status(Code::unavailable, "node " + options_.name + ": the " +
                                         std::to_string(options_.epoch_lease) +
                                         " epochs leased are used up: try again");
  }
  counters_.fresh_epochs.fetch_add(1, std::memory_order_relaxed);
  return next_epoch_++;
}

bool NodeState::note_corrupt(BytesView row, const Key& key, const Status& why) {
  constexpr std::size_t remembered = 10'000;
  {
    std::lock_guard lock(corrupt_mutex_);
    if (corrupt_rows_.size() >= remembered || !corrupt_rows_.emplace(row).second) return false;
  }
  counters_.corrupt_records.fetch_add(1, std::memory_order_relaxed);
  if (options_.log) {
    options_.log(LogLevel::error, "storage",
                 "the copy of " + printable(key) + " is damaged (" + why.message() +
                     "): it counts as absent until another owner's copy mends it");
  }
  return true;
}

void NodeState::note_left_out(const Key& key, const Object& given) {
  constexpr std::size_t most_keys = 10'000, most_versions = 1000;
  std::lock_guard lock(left_out_mutex_);
  if (left_out_.size() >= most_keys && !left_out_.contains(key)) return;
  auto [at, first] = left_out_.try_emplace(key);
  for (const Version& version : given.versions) {
    bool known = std::find(at->second.begin(), at->second.end(), version.dot) != at->second.end();
    if (!known && at->second.size() < most_versions) at->second.push_back(version.dot);
  }
  any_left_out_.store(true, std::memory_order_release);
  if (!first || !options_.log) return;
  options_.log(LogLevel::warn, "node",
               printable(key) + " has siblings of more than " + std::to_string(max_object_bytes) +
                   " bytes: some stay with those who gave them, and reads say that they are left "
                   "out, until somebody reads the key and writes with the context read");
}

std::size_t NodeState::left_out(const Key& key, const Object& shown) {
  if (!any_left_out_.load(std::memory_order_acquire)) return 0;
  std::lock_guard lock(left_out_mutex_);
  auto at = left_out_.find(key);
  if (at == left_out_.end()) return 0;
  std::erase_if(at->second, [&](const Dot& dot) { return shown.context.contains(dot); });
  std::size_t left = at->second.size();
  if (left > 0) return left;
  left_out_.erase(at);
  any_left_out_.store(!left_out_.empty(), std::memory_order_release);
  return 0;
}

void NodeState::note_damaged_hint(BytesView row, NodeId target, const Status& why) {
  {
    std::lock_guard lock(corrupt_mutex_);
    if (damaged_hints_.size() >= 10'000 || !damaged_hints_.emplace(row).second) return;
  }
  counters_.hints_damaged.fetch_add(1, std::memory_order_relaxed);
  if (!options_.log) return;
  auto parsed = parse_hint_row(row);
  auto to = ring();
  const Member* member = to ? to->find(target) : nullptr;
  options_.log(LogLevel::error, "storage",
               "a hint for " + (member ? member->name : to_string(target)) + " of " +
                   (parsed ? printable(parsed->key) : std::string("an unreadable key")) +
                   " is damaged (" + why.message() +
                   "): it is set aside in the store, and the other owners' copies mend its owner");
}

Status NodeState::count_damaged_hints() {
  std::uint64_t count = 0;
  Status scanned =
      engine_->scan(Table::state, damaged_hint_prefix, after_prefix(Bytes(damaged_hint_prefix)),
                    [&](BytesView row, BytesView) {
                      ++count;
                      damaged_hints_.emplace(row.substr(damaged_hint_prefix.size()));
                      return true;
                    });
  counters_.hints_damaged.store(count, std::memory_order_relaxed);
  return scanned;
}

void NodeState::note_mended(BytesView row) {
  std::lock_guard lock(corrupt_mutex_);
  auto known = corrupt_rows_.find(row);
  if (known != corrupt_rows_.end()) corrupt_rows_.erase(known);
}

Status NodeState::forget_incarnation() {
  std::lock_guard leasing(lease_mutex_);
  {
    std::lock_guard lock(mutex_);
    incarnation_.store(next_epoch_);
  }
  return lease();
}

}  // namespace ringlet
