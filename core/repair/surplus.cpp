#include "repair/surplus.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/assert.hpp"
#include "base/planted.hpp"
#include "repair/merkle_tree.hpp"

namespace ringlet {
namespace {

// A copy that is under way: its owners are asked.
struct Copy {
  Object object;
  std::set<NodeId> unconfirmed;  // owners
  bool promised = false;         // this node confirmed the key to somebody meanwhile: it is kept
};

// The copies of one question. All that is under way is of one page.
struct Page {
  HeldCheck question;
  std::uint64_t ring = 0;             // placement.version() when it was read
  std::set<NodeId> unanswered;        // owners that have not answered the question
  std::map<NodeId, Instant> waiting;  // of these: overloaded, to be asked again then
};

struct Asked {
  std::optional<Key> pushed;  // nothing: the question
  NodeId to;
  Instant until;
};

// The keys that are not among those that the answer names.
template <typename Do>
void each_held(const HeldCheck& question, const HeldAnswer& answer, Do&& with) {
  auto lacking = answer.lacking.begin();
  for (std::size_t i = 0; i < question.keys.size(); ++i) {
    if (lacking != answer.lacking.end() && *lacking == i) {
      ++lacking;
    } else {
      with(question.keys[i]);
    }
  }
}

constexpr std::size_t most_steps = 64;  // reads of a page and erasures, in one go

// Of a question, whoever asks.
constexpr std::size_t most_keys = 1024;
constexpr std::size_t most_key_bytes = 256 * 1024;
constexpr std::size_t most_read_bytes = 512 * 1024;  // what lies beyond is not confirmed
constexpr std::uint32_t other_ring_ms = 1000;

}  // namespace

struct Surplus::Impl {
  Options options;
  OwnCopies& copies;
  const Whereabouts& placement;
  const Health& health;
  Pace* pace;

  Page page;
  std::map<Key, Copy> under_way;  // of `page`
  std::deque<Key> to_push, to_erase;
  PendingRequests<Asked> asked;
  std::vector<Outgoing> outgoing;

  // The walk over all partitions.
  bool walking = false, found_any = false;
  std::uint32_t partition = 0;
  std::optional<Key> after;
  Instant scan_at = Instant::never(), pace_at = Instant::never();
  std::uint64_t ring = 0;  // the walk's
  Progress progress;

  Impl(Options o, OwnCopies& c, const Whereabouts& p, const Health& h, Pace* a)
      : options(o), copies(c), placement(p), health(h), pace(a) {
    RINGLET_ASSERT(options.window >= 1);
    RINGLET_ASSERT(options.page >= 1 && options.page <= most_keys);
    RINGLET_ASSERT(options.scan > Duration{});
    RINGLET_ASSERT(options.retry > Duration{});
    RINGLET_ASSERT(options.patience > Duration{});
  }

  // ---- the walk ----

  void begin_walk() {
    walking = true;
    found_any = false;
    partition = 0;
    after.reset();
    ring = placement.version();
    scan_at = Instant::never();
  }

  void end_walk(Now now, Duration pause) {
    walking = false;
    scan_at = std::min(scan_at, now.instant + pause);
  }

  void next_partition() {
    ++partition;
    after.reset();
  }

  // What was not confirmed is found by the next scan, which comes soon.
  void again_soon(Now now) { scan_at = std::min(scan_at, now.instant + options.retry); }

  // Erases what may go, pushes what has to be pushed, then reads on.
  void go_on(Now now) {
    pace_at = Instant::never();
    for (std::size_t steps = 0;;) {
      const bool erases = !to_erase.empty();
      if (!erases && !to_push.empty()) {
        if (asked.size() >= options.window || !push_next(now)) return;
        continue;
      }
      if (!erases && (!under_way.empty() || !walking)) return;
      if (++steps > most_steps) {  // the requests of the node come first
        pace_at = now.instant + Duration::millis(1);
        return;
      }
      if (erases) {
        erase_next(now);
      } else if (placement.version() != ring) {
        return end_walk(now, options.settle);
      } else if (!read_page(now)) {
        return;
      }
    }
  }

  // False: nothing to do now.
  bool read_page(Now now) {
    if (!after) {  // a partition begins: skip those that are kept
      auto next = partition < placement.partitions() ? copies.partition_with_copies(partition)
                                                     : Result<std::uint32_t>(partition);
      if (!next) return end_walk(now, options.retry), false;
      partition = *next;
      if (partition >= placement.partitions()) {
        progress.clean = !found_any;
        end_walk(now, options.scan);
        return false;
      }
      if (placement.keeps(partition)) return next_partition(), true;
    }
    if (pace != nullptr && !pace->open(Pace::Kind::transfer, now)) {
      pace_at = pace->next(Pace::Kind::transfer, now);
      return false;
    }
    auto read =
        copies.copies_of(partition, after ? &*after : nullptr, options.page, options.page_bytes);
    if (!read) return end_walk(now, options.retry), false;
    if (read->empty()) return next_partition(), true;
    found_any = true;
    progress.clean = false;
    std::vector<NodeId> owners = placement.owners(partition);
    bool all_up = std::none_of(owners.begin(), owners.end(),
                               [&](NodeId node) { return health.is_down(node); });
    if (owners.empty() || !all_up) {  // not all can confirm: the partition stays as it is
      next_partition();
      again_soon(now);
      return true;
    }
    ask_about(std::move(*read), owners, now);
    return true;
  }

  // ---- one page ----

  void ask_about(std::vector<KeyedObject> objects, const std::vector<NodeId>& owners, Now now) {
    RINGLET_ASSERT(under_way.empty());
    page = Page{};
    page.question.partition = partition;
    page.ring = placement.version();
    page.unanswered.insert(owners.begin(), owners.end());
    std::size_t key_bytes = 0, bytes = 0;
    for (KeyedObject& o : objects) {
      key_bytes += size_about(o.key) + 8;  // and its hash
      if (key_bytes > options.question_bytes && !page.question.keys.empty()) break;
      bytes += size_about(o.key, o.object);
      after = o.key;
      page.question.keys.push_back(o.key);
      page.question.clock_hashes.push_back(clock_hash(o.object));
      under_way.emplace(std::move(o.key), Copy{std::move(o.object), page.unanswered});
    }
    progress.checked += page.question.keys.size();
    if (pace != nullptr) pace->charge(Pace::Kind::transfer, bytes, now);
    asked.clear();
    for (NodeId owner : owners) ask(owner, now);
  }

  void ask(NodeId owner, Now now) { send(owner, std::nullopt, page.question, now); }

  void send(NodeId owner, std::optional<Key> pushed, Message message, Now now) {
    RequestId number = asked.add({std::move(pushed), owner, now.instant + options.patience});
    outgoing.push_back({owner, number, std::move(message)});
  }

  void answered(NodeId owner, const Message& message, Now now) {
    const auto* refused = std::get_if<Refused>(&message);
    if (refused != nullptr && refused->status.code() == Code::overloaded) {
      page.waiting[owner] = now.instant + std::clamp(Duration::millis(refused->retry_after_ms),
                                                     Duration::millis(10), options.longest_wait);
      return;
    }
    const auto* answer = std::get_if<HeldAnswer>(&message);
    if (answer == nullptr || !fits(*answer)) return leave_partition(now);
    page.unanswered.erase(owner);
    each_held(page.question, *answer, [&](const Key& key) { confirmed(owner, key); });
    if (!page.unanswered.empty()) return;
    for (const auto& [key, copy] : under_way) {
      if (!copy.unconfirmed.empty()) to_push.push_back(key);
    }
  }

  // Places in the question, rising.
  bool fits(const HeldAnswer& answer) const {
    const auto& places = answer.lacking;
    return std::adjacent_find(places.begin(), places.end(), std::greater_equal<>()) ==
               places.end() &&
           (places.empty() || places.back() < page.question.keys.size());
  }

  // False: the pace says not now. The owner reads, merges and flushes.
  bool push_next(Now now) {
    auto found = under_way.find(to_push.front());
    if (found != under_way.end()) {
      const auto& [key, copy] = *found;
      const std::size_t owners = copy.unconfirmed.size();
      if (pace != nullptr &&
          !pace->take(Pace::Kind::transfer, size_about(key, copy.object), now, owners)) {
        pace_at = pace->next(Pace::Kind::transfer, now);
        return false;
      }
      for (NodeId owner : copy.unconfirmed) {
        send(owner, key, ReplicaPut{key, copy.object, NodeId{}, WriteDurability::disk}, now);
      }
      ++progress.pushed;
    }
    to_push.pop_front();
    return true;
  }

  void confirmed(NodeId owner, const Key& key) {
    auto found = under_way.find(key);
    if (found == under_way.end()) return;
    found->second.unconfirmed.erase(owner);
    if (found->second.unconfirmed.empty() || planted(PlantedBug::source_drops_early)) {
      to_erase.push_back(key);
    }
  }

  void erase_next(Now now) {
    Key key = std::move(to_erase.front());
    to_erase.pop_front();
    auto found = under_way.find(key);
    if (found == under_way.end()) return;
    const Copy& copy = found->second;
    bool may = !copy.promised && page.ring == placement.version() &&
               !placement.keeps(page.question.partition);
    auto erased = may ? copies.erase_if_same(key, copy.object) : Result<bool>(false);
    if (!erased || !*erased) return give_up(key, now);
    ++progress.erased;
    forget(key);
  }

  void give_up(const Key& key, Now now) {
    ++progress.kept;
    again_soon(now);
    forget(key);
  }

  void forget(const Key& key) {
    under_way.erase(key);
    asked.erase_if([&](const Asked& each) { return each.pushed == key; });
  }

  void drop_page() {
    progress.kept += under_way.size();
    page = Page{};
    under_way.clear();
    to_push.clear();
    to_erase.clear();
    asked.clear();
  }

  // An owner refuses: it knows another ring, or its disk is ill.
  void leave_partition(Now now) {
    if (walking && partition == page.question.partition) next_partition();
    drop_page();
    again_soon(now);
  }

  // An owner is silent or gone: the others' turn comes with the next scan.
  void break_off(Now now) {
    drop_page();
    again_soon(now);
    if (walking) end_walk(now, options.retry);
  }

  void ask_again(Now now) {
    std::vector<NodeId> due;
    for (const auto& [owner, at] : page.waiting) {
      if (at <= now.instant) due.push_back(owner);
    }
    for (NodeId owner : due) {
      page.waiting.erase(owner);
      ask(owner, now);
    }
  }

  // ---- as an owner ----

  Status check(const HeldCheck& question) const {
    auto invalid = [](std::string why) {
      return Status(Code::invalid_argument, "held check: " + std::move(why));
    };
    std::size_t keys = question.keys.size(), bytes = 0;
    if (keys == 0 || keys > most_keys || question.clock_hashes.size() != keys) {
      return invalid("wanted 1 to " + std::to_string(most_keys) +
                     " keys and a clock for each, got " + std::to_string(keys) + " keys and " +
                     std::to_string(question.clock_hashes.size()) + " clocks");
    }
    if (question.partition >= placement.partitions()) {
      return invalid("partition " + std::to_string(question.partition) + ": wanted below " +
                     std::to_string(placement.partitions()));
    }
    for (const Key& key : question.keys) bytes += size_about(key);
    if (bytes > most_key_bytes) {
      return invalid("wanted at most " + std::to_string(most_key_bytes) + " bytes of keys, got " +
                     std::to_string(bytes));
    }
    for (const Key& key : question.keys) {
      std::uint32_t where = placement.partition_of(key);
      if (where == question.partition) continue;
      return invalid("wanted keys of partition " + std::to_string(question.partition) + ", " +
                     printable(key) + " is of " + std::to_string(where));
    }
    return Status::ok();
  }

  Answer answer(const HeldCheck& question, Now now) {
    auto refuse = [](Status why, std::int64_t retry_after_ms = 0) {
      return Answer{Refused{std::move(why), static_cast<std::uint32_t>(retry_after_ms)}};
    };
    if (Status wrong = check(question); !wrong) return refuse(std::move(wrong));
    if (!placement.keeps(question.partition)) {
      return refuse(
          Status(Code::unavailable, "held check: by the ring known here partition " +
                                        std::to_string(question.partition) + " is not this node's"),
          other_ring_ms);
    }
    if (pace != nullptr && !pace->open(Pace::Kind::transfer, now)) {
      return {requests_first("held check", pace->next(Pace::Kind::transfer, now) - now.instant)};
    }
    HeldAnswer answer;
    std::size_t bytes = 0;
    Status failed;
    for (std::uint32_t i = 0; failed && i < question.keys.size(); ++i) {
      bool held = false;
      if (bytes < most_read_bytes) {
        auto own = copies.copy_of(question.keys[i]);
        if (own) bytes += size_about(question.keys[i], *own);
        held = own && !own->missing() && clock_hash(*own) == question.clock_hashes[i];
        // A damaged copy is none: the push mends it.
        if (!own && own.status().code() != Code::corrupt) failed = own.status();
      }
      if (!held) answer.lacking.push_back(i);
    }
    if (pace != nullptr) {
      pace->charge(Pace::Kind::transfer, std::max<std::size_t>(1, bytes), now);
    }
    if (!failed) return refuse(std::move(failed));
    if (answer.lacking.size() == question.keys.size()) return {std::move(answer)};
    auto ticket = copies.make_durable();
    if (!ticket) return refuse(ticket.status());
    // What is under way here as well is kept: see the header.
    each_held(question, answer, [&](const Key& key) { promised(key); });
    return {std::move(answer), *ticket};
  }

  void promised(const Key& key) {
    auto found = under_way.find(key);
    if (found != under_way.end()) found->second.promised = true;
  }
};

Surplus::Surplus(Options options, OwnCopies& copies, const Whereabouts& placement,
                 const Health& health, Pace* pace)
    : impl_(std::make_unique<Impl>(options, copies, placement, health, pace)) {}
Surplus::~Surplus() = default;

void Surplus::start(Now now) {
  impl_->scan_at = now.instant + impl_->options.settle;
}

void Surplus::on_ring_changed(Now now) {
  impl_->progress.clean = false;
  impl_->walking = false;
  impl_->drop_page();
  impl_->pace_at = Instant::never();
  impl_->scan_at = now.instant + impl_->options.settle;
}

void Surplus::before_storing(const Key& key) {
  impl_->promised(key);
}

void Surplus::on_reply(NodeId from, RequestId number, const Message& message, Now now) {
  std::optional<Asked> asked = impl_->asked.take(number, from);
  if (!asked) return;
  const std::optional<Key>& pushed = asked->pushed;
  if (!pushed) {
    impl_->answered(from, message, now);
  } else if (std::holds_alternative<Stored>(message)) {
    impl_->confirmed(from, *pushed);
  } else {
    impl_->give_up(*pushed, now);
  }
  impl_->go_on(now);
}

void Surplus::on_unreachable(NodeId node, Now now) {
  if (impl_->asked.any_to(node) || impl_->page.waiting.contains(node)) impl_->break_off(now);
  impl_->go_on(now);
}

void Surplus::on_wake(Now now) {
  if (impl_->asked.next_until() <= now.instant) impl_->break_off(now);
  impl_->ask_again(now);
  if (!impl_->walking && impl_->scan_at <= now.instant) impl_->begin_walk();
  impl_->go_on(now);
}

std::vector<Outgoing> Surplus::take_outgoing() {
  return std::exchange(impl_->outgoing, {});
}

Instant Surplus::next_wake() const {
  Instant next = impl_->pace_at;
  if (!impl_->walking) next = std::min(next, impl_->scan_at);
  next = std::min(next, impl_->asked.next_until());
  for (const auto& [owner, at] : impl_->page.waiting) next = std::min(next, at);
  return next;
}

Surplus::Answer Surplus::answer(const HeldCheck& check, Now now) {
  return impl_->answer(check, now);
}

bool Surplus::busy() const {
  return !impl_->under_way.empty();
}

Surplus::Progress Surplus::progress() const {
  return impl_->progress;
}

}  // namespace ringlet
