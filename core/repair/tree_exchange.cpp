#include "repair/tree_exchange.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "base/assert.hpp"
#include "base/random.hpp"
#include "repair/pace.hpp"
#include "repair/refill.hpp"
#include "repair/segment_repair.hpp"
#include "repair/tree_answers.hpp"
#include "repair/tree_builder.hpp"

namespace ringlet {
namespace {

constexpr std::size_t roots_at_once = 1024;
constexpr int turns_when_not_ready = 20;

// One exchange to be made.
struct Turn {
  NodeId peer;
  std::optional<std::uint32_t> only;  // this partition; else all that are shared
  Instant at;
  int tries = 0;
};

// A message under way. All are idempotent, so what is lost is simply sent again.
struct Ask {
  Message message;
  Instant until;
  int tries = 0;
};

// With one peer, from the top of the trees to the last object.
struct Exchange {
  Turn turn;
  bool different = false;
  std::vector<std::uint32_t> compare;      // partitions whose roots are still to be compared
  std::deque<std::uint32_t> partitions;    // that differ, in their turn
  std::optional<std::uint32_t> partition;  // the one at work; of it:
  std::vector<std::uint32_t> unsettled;    // segments that differed once
  Instant settle_at = Instant::never();
  bool settled = false;
  std::optional<SegmentRepair> segments;
  std::optional<Refill> refill;          // instead, of all that are empty here
  bool cannot_refill = false;            // the peer refused it
  Instant refill_at = Instant::never();  // the peer is not ready; ask then
  Instant refill_give_up = Instant::never();
  struct ToMerge {
    std::uint32_t partition;
    KeyedObject keyed;
  };
  std::deque<ToMerge> to_merge;
  std::deque<Key> to_send;
};

std::vector<std::uint32_t> both(const std::vector<std::uint32_t>& a,
                                const std::vector<std::uint32_t>& b) {
  std::vector<std::uint32_t> common;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(common));
  return common;
}

}  // namespace

std::uint64_t combined_hash(const std::vector<std::uint32_t>& partitions,
                            const std::vector<std::uint64_t>& roots) {
  RINGLET_ASSERT(partitions.size() == roots.size());
  std::uint64_t hash = partitions.size();
  for (std::size_t i = 0; i < roots.size(); ++i) {
    hash = mixed(hash, mixed(partitions[i] + 1, roots[i]));
  }
  return hash;
}

struct TreeExchange::Impl {
  NodeId self;
  Options options;
  RepairStore& store;
  const Health& health;
  MayRun may_run;
  StepBytes step_bytes;
  TreeAnswers answers;
  TreeBuilder builder;
  Random random;
  Progress done;
  std::optional<Instant> repairing_since;

  std::deque<Turn> turns;  // asked for; those of the period are not in here
  Instant next_period = Instant::never();
  NodeId last_peer;
  std::optional<Exchange> exchange;
  PendingRequests<Ask> under_way;
  std::size_t puts_under_way = 0;
  std::vector<Outgoing> outgoing;

  Instant work_at{INT64_MIN / 2};     // the next slice of work, or put
  std::size_t page_cost = 64 * 1024;  // of the last page read

  Impl(NodeId me, Options o, RepairStore& s, const Health& h, MayRun m, StepBytes b)
      : self(me),
        options(o),
        store(s),
        health(h),
        may_run(std::move(m)),
        step_bytes(std::move(b)),
        answers(o, s),
        builder(options, s),
        random(o.seed) {
    RINGLET_ASSERT(options.period > Duration{} && options.retry > Duration{});
    RINGLET_ASSERT(options.slice > Duration{} && options.patience > Duration{});
    RINGLET_ASSERT(options.page_rows >= 1 && options.merges >= 1 && options.listings >= 1);
    RINGLET_ASSERT(options.window >= 1 && options.batch_window >= 1 && options.tries >= 1);
    RINGLET_ASSERT(options.batch_segments >= 1 && options.page_bytes >= 1);
  }

  // ---- whose turn it is ----

  void on_ring() {
    for (std::uint32_t partition : builder.on_ring()) answers.forget(partition);
  }

  Duration jittered(Duration period) {
    return Duration::micros(period.us - period.us / 4 +
                            static_cast<std::int64_t>(random.below(period.us / 2 + 1)));
  }

  void add_turn(NodeId peer, std::optional<std::uint32_t> only, Instant at, int tries = 0) {
    for (Turn& turn : turns) {
      if (turn.peer != peer || turn.only != only) continue;
      turn.at = std::min(turn.at, at);
      return;
    }
    turns.push_back({peer, only, at, tries});
  }

  std::optional<Turn> next_turn(Now now) {
    auto due = std::find_if(turns.begin(), turns.end(),
                            [&](const Turn& turn) { return turn.at <= now.instant; });
    if (due != turns.end()) {
      Turn turn = *due;
      turns.erase(due);
      return turn;
    }
    if (next_period > now.instant) return std::nullopt;
    next_period = now.instant + jittered(options.period);
    std::vector<NodeId> peers = store.peers();
    std::erase_if(peers, [&](NodeId peer) { return peer == self || health.is_down(peer); });
    if (peers.empty()) return std::nullopt;
    auto next = std::upper_bound(peers.begin(), peers.end(), last_peer);
    last_peer = next == peers.end() ? peers.front() : *next;
    return Turn{last_peer, std::nullopt, now.instant, 0};
  }

  void take_turns(Now now) {
    while (!exchange) {
      auto turn = next_turn(now);
      if (!turn) return;
      begin(*turn, now);
    }
  }

  // ---- begin and end ----

  void begin(const Turn& turn, Now now) {
    ++done.exchanges;
    exchange.emplace();
    exchange->turn = turn;
    std::vector<std::uint32_t> shared = store.shared_with(turn.peer);
    if (turn.only) shared = both(shared, {*turn.only});
    if (shared.empty()) return abandon("no partition is shared with " + name(turn.peer), now);
    for (std::uint32_t partition : shared) {
      if (store.trees().state(partition) == TreeState::built) {
        exchange->compare.push_back(partition);
      }
    }
    bool all = exchange->compare.size() == shared.size();
    if (!all) again_later(now);
    if (exchange->compare.empty()) return abandon("the trees of this node are being built", now);
    if (!all || turn.only) return compare_roots(now);
    ask(TreeCompare{0, 0, {}, {combined_hash(shared, roots_of(shared))}}, now);
  }

  static std::string name(NodeId peer) { return "node " + to_string(peer); }

  std::vector<std::uint64_t> roots_of(const std::vector<std::uint32_t>& partitions) {
    std::vector<std::uint64_t> roots;
    for (std::uint32_t partition : partitions) {
      roots.push_back(store.trees().root(partition).value_or(0));
    }
    return roots;
  }

  void again_later(Now now) {
    const Turn& turn = exchange->turn;
    if (turn.tries >= turns_when_not_ready) return;
    add_turn(turn.peer, turn.only, now.instant + options.retry, turn.tries + 1);
  }

  void end() {
    exchange.reset();
    under_way.clear();
    puts_under_way = 0;
  }

  void finish() {
    ++(exchange->different ? done.repaired : done.equal);
    end();
  }

  // What was merged or sent stays so; the rest waits for the peer's next turn.
  void abandon(std::string why, Now now) {
    ++done.abandoned;
    done.last_error = std::move(why);
    end();
    take_turns_later(now);
  }

  // Not from inside begin(), or a peer without anything would be asked for ever.
  void take_turns_later(Now now) { work_at = std::max(work_at, now.instant + options.slice); }

  void wrong_answer(const std::string& what, Now now) {
    ++done.refused;
    abandon(name(exchange->turn.peer) + " answered wrongly: " + what, now);
  }

  // ---- messages ----

  void ask(Message message, Now now, int tries = 1) {
    if (std::holds_alternative<ReplicaPut>(message)) ++puts_under_way;
    done.bytes_sent += size_about(message);
    outgoing.push_back({exchange->turn.peer, under_way.next(), message});
    under_way.add({std::move(message), now.instant + options.patience, tries});
  }

  void silence(Now now) {
    while (std::optional<Ask> oldest = under_way.take_silent(now.instant)) {
      Ask silent = std::move(*oldest);
      if (std::holds_alternative<ReplicaPut>(silent.message)) --puts_under_way;
      NodeId peer = exchange->turn.peer;
      if (silent.tries >= options.tries || health.is_down(peer)) {
        return abandon(name(peer) + " did not answer a " + name_of(silent.message), now);
      }
      ask(std::move(silent.message), now, silent.tries + 1);
    }
  }

  void on_answer(const Ask& asked, const Message& reply, Now now) {
    if (auto* refused = std::get_if<Refused>(&reply)) return on_refused(asked, *refused, now);
    if (auto* put = std::get_if<ReplicaPut>(&asked.message)) {
      if (std::holds_alternative<Stored>(reply)) return on_stored(*put, true, now);
    } else if (auto* compare = std::get_if<TreeCompare>(&asked.message)) {
      if (auto* differs = std::get_if<TreeDiffers>(&reply)) {
        return on_differs(*compare, differs->nodes, now);
      }
    } else if (std::holds_alternative<TransferPull>(asked.message)) {
      if (auto* page = std::get_if<TransferPage>(&reply)) return on_page(*page, now);
    } else if (auto* compare = std::get_if<SegmentCompare>(&asked.message)) {
      if (auto* differs = std::get_if<SegmentDiffers>(&reply)) {
        return on_segments(*compare, *differs, now);
      }
    }
    wrong_answer(std::string("a ") + name_of(reply) + " to a " + name_of(asked.message), now);
  }

  void on_refused(const Ask& asked, const Refused& refused, Now now) {
    const bool later = refused.status.retryable();
    if (std::holds_alternative<TransferPull>(asked.message)) return on_page_refused(refused, now);
    if (auto* compare = std::get_if<SegmentCompare>(&asked.message)) {
      if (later && exchange->segments->refused(*compare, refused.retry_after_ms, now)) return;
    } else if (auto* put = std::get_if<ReplicaPut>(&asked.message)) {
      if (!later) {  // this object alone
        done.last_error = refused.status.to_string();
        return on_stored(*put, false, now);
      }
    }
    if (later) again_later(now);
    abandon(name(exchange->turn.peer) + " refused: " + refused.status.to_string(), now);
  }

  // ---- down the trees ----

  void compare_roots(Now now) {
    Exchange& x = *exchange;
    std::size_t count = std::min(roots_at_once, x.compare.size());
    auto end = x.compare.begin() + static_cast<std::ptrdiff_t>(count);
    std::vector<std::uint32_t> chunk(x.compare.begin(), end);
    x.compare.erase(x.compare.begin(), end);
    ask(TreeCompare{0, 0, chunk, roots_of(chunk)}, now);
  }

  void on_differs(const TreeCompare& asked, const std::vector<std::uint32_t>& nodes, Now now) {
    Exchange& x = *exchange;
    const bool combined = asked.level == 0 && asked.nodes.empty();
    Status wrong = check_rising("node", nodes, combined ? store.trees().partitions() : UINT32_MAX);
    if (!wrong) return wrong_answer(wrong.message(), now);
    if (combined) {
      if (nodes.empty()) {
        done.partitions_compared += x.compare.size();
        return finish();
      }
      x.compare = both(x.compare, nodes);
      if (x.compare.empty()) {
        return abandon(name(x.turn.peer) + " shares other partitions by the ring it knows", now);
      }
      return compare_roots(now);
    }
    if (!std::includes(asked.nodes.begin(), asked.nodes.end(), nodes.begin(), nodes.end())) {
      return wrong_answer(
          "a node of level " + std::to_string(asked.level) + " that was not asked about", now);
    }
    if (asked.level == 0) {
      done.partitions_compared += asked.nodes.size();
      done.partitions_different += nodes.size();
      x.different |= !nodes.empty();
      x.partitions.insert(x.partitions.end(), nodes.begin(), nodes.end());
      return x.compare.empty() ? walk(now) : compare_roots(now);
    }
    if (nodes.empty()) return walk(now);  // it came to an end by itself
    if (asked.level == 1) {
      std::vector<std::uint32_t> below;
      for (std::uint32_t node : nodes) {
        for (std::uint32_t i = 0; i < segments_per_inner_node; ++i) {
          below.push_back(node * segments_per_inner_node + i);
        }
      }
      return compare_segments(std::move(below), now);
    }
    if (!x.settled && nodes.size() < options.many) {
      x.unsettled = nodes;
      x.settle_at = now.instant + options.settle;
      x.settled = true;
      return;
    }
    x.segments.emplace(options, store.trees(), *x.partition, nodes);
    go_on_with_segments(now);
  }

  void compare_segments(std::vector<std::uint32_t> segments, Now now) {
    std::vector<std::uint64_t> all = store.trees().segments(*exchange->partition), hashes;
    if (all.empty()) return walk(now);  // not ours any more
    for (std::uint32_t segment : segments) hashes.push_back(all[segment]);
    ask(TreeCompare{2, *exchange->partition, std::move(segments), std::move(hashes)}, now);
  }

  // The next partition that differs, or the end.
  void walk(Now now) {
    Exchange& x = *exchange;
    x.refill.reset();
    x.segments.reset();
    x.unsettled.clear();
    x.settled = false;
    if (begin_refill(now)) return go_on_refilling(now);
    auto built =
        std::find_if(x.partitions.begin(), x.partitions.end(), [&](std::uint32_t partition) {
          return store.trees().state(partition) == TreeState::built;
        });
    x.partitions.erase(x.partitions.begin(), built);  // the next exchange compares them
    if (x.partitions.empty()) return finish();
    x.partition = x.partitions.front();
    x.partitions.pop_front();
    compare_inner(now);
  }

  bool begin_refill(Now now) {
    Exchange& x = *exchange;
    if (x.cannot_refill) return false;
    auto full = std::stable_partition(x.partitions.begin(), x.partitions.end(),
                                      [&](std::uint32_t partition) {
                                        return store.trees().state(partition) == TreeState::built &&
                                               store.trees().keys(partition) == 0;
                                      });
    std::deque<std::uint32_t> empty(x.partitions.begin(), full);
    if (empty.empty()) return false;
    x.partitions.erase(x.partitions.begin(), full);
    x.refill.emplace(std::move(empty), store.trees().partitions(),
                     static_cast<std::uint32_t>(options.refill_bytes));
    x.refill_give_up = now.instant + options.segment_patience;
    return true;
  }

  void compare_inner(Now now) {
    std::vector<std::uint32_t> nodes(tree_inner_nodes);
    for (std::uint32_t i = 0; i < tree_inner_nodes; ++i) nodes[i] = i;
    ask(TreeCompare{1, *exchange->partition, std::move(nodes),
                    store.trees().inner(*exchange->partition)},
        now);
  }

  // ---- partitions of which nothing is here ----

  void go_on_refilling(Now now) {
    Exchange& x = *exchange;
    if (x.refill->over()) return walk(now);
    x.refill_at = Instant::never();
    if (auto question = x.refill->next()) ask(std::move(*question), now);
  }

  void on_page(const TransferPage& page, Now now) {
    Exchange& x = *exchange;
    auto objects = x.refill->take(page);
    if (!objects) return wrong_answer(objects.status().message(), now);
    x.refill_give_up = now.instant + options.segment_patience;
    queue_merges(x.refill->partition(), std::move(*objects));
    go_on_refilling(now);
  }

  void on_page_refused(const Refused& refused, Now now) {
    Exchange& x = *exchange;
    x.refill->ask_again();
    if (refused.status.retryable() && now.instant < x.refill_give_up) {
      std::uint32_t wait = std::clamp<std::uint32_t>(refused.retry_after_ms, 1, 5000);
      x.refill_at = now.instant + Duration::millis(wait);
      return;
    }
    x.cannot_refill = true;  // compare, then: that finds again what is not merged yet
    std::set<std::uint32_t> unfinished(x.refill->left().begin(), x.refill->left().end());
    for (const auto& each : x.to_merge) unfinished.insert(each.partition);
    x.to_merge.clear();
    x.partitions.insert(x.partitions.begin(), unfinished.begin(), unfinished.end());
    walk(now);
  }

  // ---- segments ----

  void go_on_with_segments(Now now) {
    Exchange& x = *exchange;
    for (SegmentCompare& question : x.segments->questions(now)) ask(std::move(question), now);
    if (x.segments->take_suspect()) builder.suspect(*x.partition, now);
    done.segments_compared += x.segments->take_compared();
    if (x.segments->over()) walk(now);
  }

  void on_segments(const SegmentCompare& asked, const SegmentDiffers& differs, Now now) {
    auto objects = exchange->segments->take(asked, differs, now);
    if (!objects) return wrong_answer(objects.status().message(), now);
    queue_merges(*exchange->partition, std::move(*objects));
    queue_sends();
    go_on_with_segments(now);
  }

  void queue_merges(std::uint32_t partition, std::vector<KeyedObject> objects) {
    for (KeyedObject& each : objects) exchange->to_merge.push_back({partition, std::move(each)});
  }

  void queue_sends() {
    for (Key& key : exchange->segments->take_to_send()) {
      exchange->to_send.push_back(std::move(key));
    }
  }

  // ---- work in slices ----

  bool allowed(std::size_t cost, Now now) {
    Instant when = may_run ? may_run(now, cost) : now.instant;
    if (when <= now.instant) return true;
    work_at = std::max(when, now.instant + options.slice);
    return false;
  }

  std::size_t most_bytes(Now now) const { return step_bytes ? step_bytes(now) : SIZE_MAX; }
  // By the size of an object of 1 KiB.
  std::size_t rows(Now now) const {
    return std::clamp<std::size_t>(most_bytes(now) / 1024, 1, options.page_rows);
  }

  bool wants_listing() const {
    return exchange && exchange->segments && exchange->segments->wants_listing();
  }
  bool may_send() const {
    return exchange && !exchange->to_send.empty() && puts_under_way < options.window;
  }
  bool builds(Instant now) const { return builder.waiting() && builder.build_at() <= now; }
  bool has_work() const {
    return (exchange && !exchange->to_merge.empty()) || wants_listing() || may_send() ||
           answers.wants_pages() || builder.waiting();
  }

  // What somebody waits for comes first; a tree can wait for its next page.
  void work(Now now) {
    if (work_at > now.instant) return;
    send_some(now);
    if (work_at > now.instant) return;
    bool busy = true;
    if (exchange && !exchange->to_merge.empty()) {
      merge_some(now);
    } else if (wants_listing()) {
      read_listing(now);
    } else if (answers.wants_pages()) {
      if (allowed(page_cost, now)) note_page(answers.read_page(rows(now), now));
    } else if (builds(now.instant)) {
      build_some(now);
    } else {
      busy = false;
    }
    if (busy) work_at = std::max(work_at, now.instant + options.slice);
  }

  // The cost of the next page is taken to be that of the last.
  void note_page(const Result<std::size_t>& bytes) {
    if (bytes) page_cost = std::max<std::size_t>(*bytes, 1);
  }

  void send_some(Now now) {
    for (std::size_t sent = 0; may_send();) {
      if (sent >= most_bytes(now)) {
        work_at = now.instant + options.slice;
        return;
      }
      Key key = exchange->to_send.front();
      auto object = store.read(key);
      const bool here = object && !object->missing();
      if (here && !allowed(size_about(*object), now)) return;
      exchange->to_send.pop_front();
      if (here) {
        sent += size_about(*object);
        ask(ReplicaPut{std::move(key), std::move(*object), NodeId{}}, now);
      } else {
        if (!object) done.last_error = object.status().to_string();
        put_over(key, now);
      }
    }
  }

  void put_over(const Key& key, Now now) {
    exchange->segments->sent(key);
    go_on_with_segments(now);
  }

  void on_stored(const ReplicaPut& put, bool stored, Now now) {
    if (stored) ++done.keys_sent;
    put_over(put.key, now);
  }

  void merge_some(Now now) {
    Exchange& x = *exchange;
    std::size_t count = 0, cost = 0;
    const std::size_t most = most_bytes(now);
    const std::uint32_t partition = x.to_merge.front().partition;
    while (count < std::min(options.merges, x.to_merge.size()) && cost < most &&
           x.to_merge[count].partition == partition) {
      cost += size_about(x.to_merge[count++].keyed.object);
    }
    if (!allowed(cost, now)) return;
    auto end = x.to_merge.begin() + static_cast<std::ptrdiff_t>(count);
    std::vector<KeyedObject> objects;
    for (auto each = x.to_merge.begin(); each != end; ++each) {
      objects.push_back(std::move(each->keyed));
    }
    x.to_merge.erase(x.to_merge.begin(), end);
    std::vector<Result<Object>> held;
    Status merged = store.merge(partition, objects, now, held);
    for (std::size_t i = 0; i < count && merged; ++i) merged = take_merged(objects[i], held[i]);
    if (!merged) return abandon("the store of this node: " + merged.to_string(), now);
    if (x.refill) {
      x.refill->merged(count);
      return go_on_refilling(now);
    }
    queue_sends();
    go_on_with_segments(now);
  }

  // Not ok: the store is ill.
  Status take_merged(const KeyedObject& keyed, const Result<Object>& held) {
    Exchange& x = *exchange;
    if (!held) {
      if (held.status().retryable() || held.status().code() == Code::io) return held.status();
      ++done.refused;  // this object alone
      done.last_error = held.status().to_string();
      if (x.segments) x.segments->not_merged(keyed.key);
    } else if (x.refill || x.segments->merged(keyed, *held)) {
      ++done.keys_received;  // of a refill, what the peer lacks the next exchange finds
    }
    return {};
  }

  void read_listing(Now now) {
    if (!allowed(page_cost, now)) return;
    auto bytes = exchange->segments->read_listing(store, rows(now));
    note_page(bytes);
    if (!bytes) return abandon("the store of this node: " + bytes.status().to_string(), now);
    go_on_with_segments(now);
  }

  void build_some(Now now) {
    if (!allowed(page_cost, now)) return;
    auto bytes = builder.build_page(rows(now), now);
    note_page(bytes);
    if (!bytes) done.last_error = "the store of this node: " + bytes.status().to_string();
  }

  // ---- every event ends here ----

  void step(Now now) {
    if (repairing_since) done.busy = done.busy + (now.instant - *repairing_since);
    repairing_since.reset();
    go_on(now);
    if (exchange && exchange->different) repairing_since = now.instant;
  }

  void go_on(Now now) {
    builder.take_rebuilds();
    for (std::uint32_t partition : answers.take_suspects()) builder.suspect(partition, now);
    if (work_at <= now.instant) take_turns(now);
    work(now);
  }

  void on_time(Now now) {
    if (exchange) silence(now);
    if (exchange && exchange->settle_at <= now.instant) {
      exchange->settle_at = Instant::never();
      compare_segments(std::move(exchange->unsettled), now);
    }
    if (exchange && exchange->refill_at <= now.instant) go_on_refilling(now);
    if (exchange && exchange->segments) go_on_with_segments(now);
  }

  Instant next_wake() const {
    Instant next = has_work() ? std::max(work_at, work_only_builds() ? builder.build_at() : work_at)
                              : Instant::never();
    if (!exchange) {
      Instant turn = next_period;
      for (const Turn& t : turns) turn = std::min(turn, t.at);
      return std::min(next, std::max(turn, work_at));
    }
    next = std::min(next, under_way.next_until());
    next = std::min({next, exchange->settle_at, exchange->refill_at});
    if (exchange->segments) next = std::min(next, exchange->segments->next_wake());
    return next;
  }
  bool work_only_builds() const {
    return !(exchange && !exchange->to_merge.empty()) && !wants_listing() && !may_send() &&
           !answers.wants_pages();
  }
};

TreeExchange::TreeExchange(NodeId self, Options options, RepairStore& store, const Health& health,
                           MayRun may_run, StepBytes step_bytes)
    : impl_(std::make_unique<Impl>(self, options, store, health, std::move(may_run),
                                   std::move(step_bytes))) {}
TreeExchange::~TreeExchange() = default;

void TreeExchange::start(Now now) {
  impl_->on_ring();
  // Nodes that start together do not ask together.
  impl_->next_period = now.instant + impl_->jittered(impl_->options.period / 2);
  impl_->step(now);
}

void TreeExchange::on_ring(Now now) {
  impl_->on_ring();
  impl_->step(now);
}

Message TreeExchange::on_request(NodeId from, const Message& message, Now now) {
  Message reply = Refused{
      Status(Code::invalid_argument, std::string(name_of(message)) + " compares no trees"), 0};
  if (auto* m = std::get_if<TreeCompare>(&message)) reply = impl_->answers.answer(from, *m, now);
  if (auto* m = std::get_if<SegmentCompare>(&message)) {
    // Objects of about 1 KiB each, up to a page.
    const std::size_t most = std::min(impl_->options.page_bytes, impl_->most_bytes(now));
    std::size_t cost = std::min(most, 1024 * (1 + m->segments.size()));
    Instant when = impl_->may_run ? impl_->may_run(now, cost) : now.instant;
    if (when > now.instant) {
      reply = requests_first("segments", when - now.instant);
    } else {
      reply = impl_->answers.answer(from, *m, most, now);
    }
  }
  if (auto* refused = std::get_if<Refused>(&reply);
      refused != nullptr && refused->status.code() == Code::invalid_argument) {
    ++impl_->done.refused;
  }
  impl_->done.bytes_received += size_about(message);
  impl_->done.bytes_sent += size_about(reply);
  impl_->step(now);
  return reply;
}

void TreeExchange::on_reply(NodeId from, RequestId number, const Message& message, Now now) {
  if (impl_->under_way.find(number) == nullptr || impl_->exchange->turn.peer != from) return;
  Ask asked = *impl_->under_way.take(number);
  if (std::holds_alternative<ReplicaPut>(asked.message)) --impl_->puts_under_way;
  impl_->done.bytes_received += size_about(message);
  impl_->on_answer(asked, message, now);
  impl_->step(now);
}

void TreeExchange::on_unreachable(NodeId node, Now now) {
  if (impl_->exchange && impl_->exchange->turn.peer == node) {
    impl_->abandon(Impl::name(node) + " is unreachable", now);
  }
  impl_->step(now);
}

void TreeExchange::on_recovered(NodeId node, Now now) {
  // Hints are on their way to it now; what they bring need not be compared.
  if (!impl_->store.shared_with(node).empty()) {
    impl_->add_turn(node, std::nullopt, now.instant + impl_->options.retry);
  }
  impl_->step(now);
}

void TreeExchange::on_wake(Now now) {
  impl_->on_time(now);
  impl_->step(now);
}

std::vector<Outgoing> TreeExchange::take_outgoing() {
  return std::exchange(impl_->outgoing, {});
}

Instant TreeExchange::next_wake() const {
  return impl_->next_wake();
}

Result<std::size_t> TreeExchange::repair(std::optional<std::uint32_t> partition, Now now) {
  const auto& owned = impl_->builder.owned();
  if (partition && !std::binary_search(owned.begin(), owned.end(), *partition)) {
    return Status(Code::invalid_argument, "repair: wanted a partition that this node owns, got " +
                                              std::to_string(*partition) + " of " +
                                              std::to_string(impl_->store.trees().partitions()));
  }
  std::size_t count = 0;
  for (NodeId peer : impl_->store.peers()) {
    if (peer == impl_->self) continue;
    std::vector<std::uint32_t> shared = impl_->store.shared_with(peer);
    if (partition && !std::binary_search(shared.begin(), shared.end(), *partition)) continue;
    impl_->add_turn(peer, partition, now.instant);
    ++count;
  }
  impl_->step(now);
  return count;
}

TreeExchange::Progress TreeExchange::progress() const {
  Progress progress = impl_->done;
  progress.segments_corrected = impl_->store.trees().segments_corrected();
  progress.trees_built = impl_->builder.built();
  progress.trees_rebuilt = impl_->builder.rebuilt();
  progress.trees_unbuilt = impl_->builder.unbuilt();
  progress.waiting = impl_->turns.size();
  if (impl_->exchange) progress.peer = impl_->exchange->turn.peer;
  return progress;
}

bool TreeExchange::idle() const {
  return !impl_->exchange && impl_->turns.empty() && !impl_->builder.waiting() &&
         !impl_->answers.wants_pages();
}

}  // namespace ringlet
