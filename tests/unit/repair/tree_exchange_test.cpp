#include "repair/tree_exchange.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "base/random.hpp"
#include "repair/partition_transfer.hpp"
#include "repair/segment_listing.hpp"
#include "repair/tree_answers.hpp"
#include "wire/codec.hpp"

using namespace ringlet;

namespace {

const NodeId A{1}, B{2}, C{3};

Key key(std::uint64_t i) {
  return {"b", std::to_string(10'000'000 + i)};
}
Bytes row_of(const Key& key) {
  return key.bucket + '/' + key.key;
}

Object object(NodeId minter, std::uint64_t counter, Bytes value = "v") {
  Object o;
  Dot dot{Actor{minter, 2}, counter};
  o.context.add(dot, 0);
  o.versions.push_back({dot, WriteId{minter.value, counter}, 0, false, std::move(value), ""});
  return o;
}

// What many nodes have in common without each holding a million objects: key i has an object that is
// computed from i.
struct Common {
  explicit Common(std::uint64_t count, std::uint32_t partitions) : by_partition(partitions) {
    for (std::uint64_t i = 0; i < count; ++i) {
      by_partition[key_hash(key(i)) % partitions].push_back(i);
    }
  }
  static Object object_of(std::uint64_t i) { return object(A, i + 1); }
  std::vector<std::vector<std::uint64_t>> by_partition;  // rising, which is the order of rows
};

class Store final : public RepairStore {
 public:
  Store(std::uint32_t q, std::shared_ptr<const Common> c) : trees_(q), common(std::move(c)) {
    own.resize(q);
  }

  PartitionTrees& trees() override { return trees_; }
  std::vector<std::uint32_t> owned() const override { return partitions; }
  std::vector<std::uint32_t> shared_with(NodeId peer) const override {
    auto found = shared.find(peer);
    return found == shared.end() ? std::vector<std::uint32_t>{} : found->second;
  }
  std::vector<NodeId> peers() const override {
    std::vector<NodeId> all;
    for (auto& [peer, list] : shared) {
      if (!list.empty()) all.push_back(peer);
    }
    return all;
  }
  Result<bool> page(std::uint32_t p, BytesView after, std::size_t limit,
                    const Visit& visit) override {
    if (broken) return Status(Code::io, "the shelf fell down");
    ++pages;
    // A merge of what all have and what this one has instead; an absent own object hides a common one.
    static const std::vector<std::uint64_t> nothing;
    const auto& all = common ? common->by_partition[p] : nothing;
    auto a =
        after.empty()
            ? all.begin()
            : std::upper_bound(all.begin(), all.end(), after,
                               [](BytesView row, std::uint64_t i) { return row < row_of(key(i)); });
    auto o = own[p].upper_bound(Bytes(after));
    if (after.empty()) o = own[p].begin();
    std::size_t visited = 0;
    while (visited < limit && (a != all.end() || o != own[p].end())) {
      Bytes row = a == all.end() ? Bytes() : row_of(key(*a));
      if (o != own[p].end() && (a == all.end() || o->first <= row)) {
        if (a != all.end() && o->first == row) ++a;
        if (!o->second.second.missing()) {
          visit(o->first, o->second.first, o->second.second);
          ++visited;
        }
        ++o;
      } else {
        visit(row, key(*a), Common::object_of(*a));
        ++visited;
        ++a;
      }
    }
    return a == all.end() && o == own[p].end();
  }
  Result<Object> read(const Key& key) override {
    if (broken) return Status(Code::io, "the shelf fell down");
    std::uint32_t p = partition_of(key);
    auto found = own[p].find(row_of(key));
    if (found != own[p].end()) return found->second.second;
    if (common) {
      const auto& all = common->by_partition[p];
      auto at = std::lower_bound(
          all.begin(), all.end(), row_of(key),
          [](std::uint64_t i, const Bytes& row) { return row_of(::key(i)) < row; });
      if (at != all.end() && ::key(*at) == key) return Common::object_of(*at);
    }
    return Object{};
  }
  Status merge(std::uint32_t p, std::span<const KeyedObject> objects, Now now,
               std::vector<Result<Object>>& held) override {
    for (const KeyedObject& each : objects) held.push_back(merge_one(p, each, now));
    return Status::ok();
  }
  Result<Object> merge_one(std::uint32_t partition, const KeyedObject& keyed, Now) {
    if (broken) return Status(Code::io, "the shelf fell down");
    if (partition_of(keyed.key) != partition) {
      return Status(Code::invalid_argument, "not of this partition");
    }
    merged.insert(keyed.key);
    return put(keyed.key, keyed.object);
  }

  std::uint32_t partition_of(const Key& key) const {
    return static_cast<std::uint32_t>(key_hash(key) % trees_.partitions());
  }
  // As a replica does it: one transaction and the tree, under Writing.
  Object put(const Key& key, const Object& other) {
    auto writing = trees_.writing(partition_of(key));
    Object here = *read(key);
    std::uint64_t before = clock_hash(here);
    sync(here, other);
    own[partition_of(key)][row_of(key)] = {key, here};
    writing.apply(row_of(key), key_hash(key), before, clock_hash(here));
    return here;
  }
  // The truth of a disk that lost something, without a word to the tree.
  void lose(const Key& key) { own[partition_of(key)][row_of(key)] = {key, Object{}}; }

  std::map<Key, Object> contents() {
    std::map<Key, Object> all;
    for (std::uint32_t p = 0; p < own.size(); ++p) {
      REQUIRE(page(p, {}, SIZE_MAX, [&](BytesView, const Key& key, const Object& object) {
                all[key] = object;
              }).is_ok());
    }
    return all;
  }

  PartitionTrees trees_;
  std::shared_ptr<const Common> common;
  std::vector<std::map<Bytes, std::pair<Key, Object>>> own;
  std::map<std::pair<NodeId, Key>, Object> hints;
  std::vector<std::uint32_t> partitions;
  std::map<NodeId, std::vector<std::uint32_t>> shared;
  std::set<Key> merged;  // what came by SegmentDiffers or ReplicaPut
  bool broken = false;
  int pages = 0;
};

class Opinion final : public Health {
 public:
  bool is_down(NodeId node) const override { return down.contains(node); }
  void heard_from(NodeId, Instant) override {}
  void was_silent(NodeId, Instant) override {}
  void unreachable(NodeId, Instant) override {}
  Duration patience(NodeId) const override { return Duration::millis(50); }
  std::set<NodeId> down;
};

// Nodes and the network between them, in virtual time.
struct Scene {
  struct Node {
    std::unique_ptr<Store> store;
    std::unique_ptr<TreeExchange> exchange;
  };
  struct Event {
    NodeId from, to;
    RequestId number;
    bool reply;
    Message message;
  };

  explicit Scene(std::uint32_t partitions = 8, std::shared_ptr<const Common> c = nullptr,
                 std::vector<NodeId> ids = {A, B})
      : q(partitions) {
    for (NodeId id : ids) nodes[id].store = std::make_unique<Store>(q, c);
    std::vector<std::uint32_t> all(q);
    for (std::uint32_t p = 0; p < q; ++p) all[p] = p;
    for (auto& [id, node] : nodes) {
      node.store->partitions = all;
      for (NodeId other : ids) {
        if (other != id) node.store->shared[other] = all;
      }
      restart(id);
    }
  }

  // Trees live in memory.
  void restart(NodeId id) {
    Node& node = nodes.at(id);
    for (std::uint32_t p = 0; p < q; ++p) node.store->trees().forget(p);
    options.seed = id.value;
    node.exchange = std::make_unique<TreeExchange>(
        id, options, *node.store, health, [this](Now at, std::size_t cost) {
          work += cost;
          bool may = pace == 1 || random.chance(pace);
          return may ? at.instant : at.instant + Duration::millis(1);
        });
    node.exchange->start(now);
  }
  Store& store(NodeId id) { return *nodes.at(id).store; }
  TreeExchange& exchange(NodeId id) { return *nodes.at(id).exchange; }

  void post(Event event) {
    Bytes frame;
    wire::encode_frame(1, static_cast<std::uint64_t>(event.number), event.message, frame);
    bytes += frame.size();
    ++sent[name_of(event.message)];
    if (observe) observe(event);
    int copies = random.chance(duplicated) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      if (random.chance(lost)) continue;
      Duration latency = Duration::micros(
          200 + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(spread.us) + 1)));
      events.emplace(now.instant + latency, event);
    }
  }
  void collect() {
    for (auto& [id, node] : nodes) {
      for (auto& out : node.exchange->take_outgoing()) {
        post({id, out.to, out.number, false, std::move(out.message)});
      }
    }
  }
  Message serve(NodeId self, const Event& event) {
    if (auto* put = std::get_if<ReplicaPut>(&event.message)) {
      Store& s = store(self);
      if (put->hint_for) {
        sync(s.hints[{put->hint_for, put->key}], put->object);
        return Stored{};
      }
      auto held = s.merge_one(s.partition_of(put->key), {put->key, put->object}, now);
      if (!held) return Refused{held.status(), 0};
      return Stored{};
    }
    if (auto* pull = std::get_if<TransferPull>(&event.message)) return page_of(store(self), *pull);
    return exchange(self).on_request(event.from, event.message, now);
  }
  Message page_of(Store& store, const TransferPull& pull) {
    if (!pulls_refused.is_ok()) return Refused{pulls_refused, 5};
    TransferPage page;
    std::size_t bytes = 0;
    bool all = true;
    Bytes after = pull.first ? Bytes() : row_of(pull.after);
    auto last = store.page(pull.partition, after, SIZE_MAX,
                           [&](BytesView, const Key& key, const Object& object) {
                             all = page.objects.empty() || bytes < pull.max_bytes;
                             if (!all) return;
                             bytes += size_about(object) + key.key.size();
                             page.objects.push_back({key, object});
                           });
    if (!last) return Refused{last.status(), 0};
    page.last = all;
    page.checksum = checksum_of(page.objects);
    if (spoil) spoil(page);
    return page;
  }
  void deliver(const Event& event) {
    if (silent.contains(event.to) || silent.contains(event.from)) return;
    if (event.reply) {
      exchange(event.to).on_reply(event.from, event.number, event.message, now);
    } else {
      post({event.to, event.from, event.number, true, serve(event.to, event)});
    }
  }
  // One event or wake; false: nothing happens before `end`.
  bool step(Instant end) {
    collect();
    Instant next = events.empty() ? Instant::never() : events.begin()->first;
    NodeId waking;
    for (auto& [id, node] : nodes) {
      if (node.exchange->next_wake() < next) {
        next = node.exchange->next_wake();
        waking = id;
      }
    }
    if (next > end) return false;
    ++steps;
    REQUIRE(steps < 3'000'000);
    now.instant = std::max(now.instant, next);
    if (waking) {
      exchange(waking).on_wake(now);
      CHECK(exchange(waking).next_wake() > now.instant);  // or the driver spins
    } else {
      Event event = std::move(events.begin()->second);
      events.erase(events.begin());
      deliver(event);
    }
    return true;
  }
  void run(Duration time) {
    Instant end = now.instant + time;
    while (step(end)) continue;
    now.instant = end;
  }
  bool idle() {
    collect();
    for (auto& [id, node] : nodes) {
      if (!node.exchange->idle()) return false;
    }
    return events.empty();
  }
  // Until all that was begun or asked for is over; false: it is not within `most`.
  bool settle(Duration most = Duration::seconds(600)) {
    Instant end = now.instant + most;
    while (!idle()) {
      if (!step(end)) return idle();
    }
    return true;
  }
  void repair(NodeId id) {
    REQUIRE(exchange(id).repair(std::nullopt, now).is_ok());
    REQUIRE(settle());
  }
  // Builds all trees, then counts from zero.
  void build() {
    REQUIRE(settle());
    bytes = 0;
    work = 0;
    sent.clear();
    for (auto& [id, node] : nodes) node.store->merged.clear();
  }
  bool equal(NodeId a = A, NodeId b = B) {
    auto x = store(a).contents(), y = store(b).contents();
    return x == y;
  }

  std::uint32_t q;
  TreeExchange::Options options;
  Opinion health;
  std::map<NodeId, Node> nodes;
  std::multimap<Instant, Event> events;
  std::function<void(const Event&)> observe;
  Now now{Instant{1'000'000}, 0};
  Random random{1};
  double lost = 0, duplicated = 0, pace = 1;
  Duration spread = Duration::micros(100);
  std::set<NodeId> silent;
  Status pulls_refused;
  std::function<void(TransferPage&)> spoil;
  std::size_t bytes = 0, work = 0;
  std::map<std::string, int> sent;
  int steps = 0;
};

}  // namespace

TEST_CASE(
    "R4.7-a equal replicas of a million keys say one hash, under 1 KiB; one key apart, under 64") {
  for (std::uint32_t q : {64U, 1U}) {
    auto common = std::make_shared<Common>(1'000'000, q);
    Scene scene(q, common);
    scene.options.period = Duration::seconds(100'000);  // one exchange is measured
    scene.restart(A);
    scene.restart(B);
    scene.build();
    CHECK(scene.store(A).trees().keys(0) + 1 > 1'000'000 / q / 2);

    scene.repair(A);
    CHECK(scene.bytes < 1024);
    CHECK(scene.sent == std::map<std::string, int>{{"TreeCompare", 1}, {"TreeDiffers", 1}});
    CHECK(scene.exchange(A).progress().equal == 1);
    CHECK(scene.exchange(A).progress().partitions_compared == q);

    // One key, changed at one of them: at the asker, at the answerer, at both.
    for (int where = 1; where <= 3; ++where) {
      scene.build();
      Key changed = key(static_cast<std::uint64_t>(where) * 1000);
      Object before = *scene.store(A).read(changed);
      if (where & 1) {
        Object a = before;
        update(a, {}, Actor{A, 4}, Write{WriteId{7, 7}, false, "a", ""}, 1);
        scene.store(A).put(changed, a);
      }
      if (where & 2) {
        Object b = before;
        update(b, {}, Actor{B, 4}, Write{WriteId{8, 8}, false, "b", ""}, 1);
        scene.store(B).put(changed, b);
      }
      scene.repair(A);
      CAPTURE(q, where, scene.bytes);
      CHECK(scene.bytes < 64 * 1024);
      CHECK(*scene.store(A).read(changed) == *scene.store(B).read(changed));
      CHECK(scene.store(A).read(changed)->versions.size() == (where == 3 ? 3 : 2));
      std::set<Key> only = {changed};
      CHECK((scene.store(A).merged.empty() || scene.store(A).merged == only));
      CHECK((scene.store(B).merged.empty() || scene.store(B).merged == only));
      CHECK(scene.sent["ReplicaPut"] == ((where & 1) ? 1 : 0));
      CHECK(scene.store(A).trees().root(scene.store(A).partition_of(changed)) ==
            scene.store(B).trees().root(scene.store(A).partition_of(changed)));
    }
  }
}

TEST_CASE("R4.7-b what both wrote meets in siblings, nothing is overwritten, either way round") {
  for (NodeId asker : {A, B}) {
    Scene scene;
    std::set<WriteId> written;
    Random random(3);
    for (std::uint64_t i = 0; i < 500; ++i) {
      for (NodeId node : {A, B}) {
        if (random.chance(0.3)) continue;
        scene.store(node).put(key(i), object(node, i + 1));
        written.insert(WriteId{node.value, i + 1});
      }
    }
    scene.build();
    scene.repair(asker);
    CHECK(scene.equal());
    std::set<WriteId> held;
    for (auto& [key, object] : scene.store(A).contents()) {
      for (auto& version : object.versions) held.insert(version.write_id);
    }
    CHECK(held == written);
    CHECK(scene.exchange(asker).progress().repaired == 1);
    CHECK(scene.exchange(asker).progress().partitions_different == 8);
    scene.bytes = 0;
    scene.repair(asker);
    CHECK(scene.bytes < 1024);  // and that was all
  }
}

TEST_CASE("F-14 everything of a lost table comes back, asked for by either side") {
  for (NodeId asker : {A, B}) {
    Scene scene(4);
    scene.options.listing_keys = 1000;                             // several listings a partition
    scene.options.page_bytes = scene.options.refill_bytes = 2000;  // several pages a segment
    for (std::uint64_t i = 0; i < 20'000; ++i) scene.store(A).put(key(i), object(A, 1));
    scene.restart(A);
    scene.restart(B);
    scene.build();
    scene.repair(asker);
    CHECK(scene.store(B).contents().size() == 20'000);
    CHECK(scene.equal());
    auto progress = scene.exchange(asker).progress();
    INFO(progress.last_error);
    CHECK((asker == B ? progress.keys_received : progress.keys_sent) == 20'000);
    CHECK(progress.abandoned == 0);
    // Each object moved once.
    CHECK(scene.bytes < 20'000 * 250);
  }
}

TEST_CASE(
    "R4.7-b an exchange of a segment that fills many pages ends, more than one object a page") {
  Scene scene(1);
  scene.options.page_bytes = 300;
  std::vector<Key> same;
  for (std::uint64_t i = 0; same.size() < 40; ++i) {
    if (segment_of(key_hash(key(i))) == 5) same.push_back(key(i));
  }
  scene.restart(A);
  scene.restart(B);
  scene.build();
  for (std::size_t i = 0; i < same.size(); ++i) {
    if (i % 3 != 0) scene.store(A).put(same[i], object(A, 1, Bytes(50, 'a')));
    if (i % 3 != 1) scene.store(B).put(same[i], object(B, 1, Bytes(50, 'b')));
  }
  scene.repair(A);
  CHECK(scene.equal());
  CHECK(scene.sent["SegmentCompare"] > 5);
  CHECK(scene.sent["SegmentCompare"] < 50);
  CHECK(scene.exchange(A).progress().segments_compared == 1);
}

// The lane that builds would wait for the write, and all small writes of the partition for the lane.
TEST_CASE("F-107 no page of a tree is read while a large value is written to its partition") {
  Scene scene(4);
  for (std::uint64_t i = 0; i < 400; ++i) scene.store(A).put(key(i), object(A, 1));
  scene.restart(A);
  PartitionTrees& trees = scene.store(A).trees();
  {
    auto writing = trees.writing(1, true);
    auto moved = std::move(writing);
    CHECK(trees.is_held_long(1));
    CHECK_FALSE(trees.is_held_long(0));
    scene.run(Duration::seconds(5));  // does not hang
    CHECK(trees.state(1) == TreeState::unbuilt);
    for (std::uint32_t partition : {0U, 2U, 3U}) {
      CHECK(trees.state(partition) == TreeState::built);
    }
  }
  CHECK_FALSE(trees.is_held_long(1));
  scene.run(Duration::seconds(1));
  CHECK(trees.state(1) == TreeState::built);
  auto small = trees.writing(1);
  CHECK_FALSE(trees.is_held_long(1));
}

TEST_CASE("F-14 a partition of which nothing is left is read page by page, without comparing") {
  Scene scene(8);
  scene.options.refill_bytes = 2000;
  for (std::uint64_t i = 0; i < 4000; ++i) scene.store(A).put(key(i), object(A, 1));
  // Of one partition B has a key, so that one is compared.
  Key kept = key(7);
  scene.store(B).put(kept, object(A, 1));
  scene.restart(A);
  scene.restart(B);
  scene.build();
  scene.repair(B);
  CHECK(scene.equal());
  auto progress = scene.exchange(B).progress();
  CHECK(progress.keys_received == 3999);
  CHECK(progress.repaired == 1);
  CHECK(scene.sent["TransferPull"] > 7 * 5);
  CHECK(scene.sent["SegmentCompare"] > 0);
  CHECK(scene.bytes < 4000 * 150);
  scene.bytes = 0;
  scene.repair(B);
  CHECK(scene.bytes < 1024);
}

TEST_CASE("F-14 who is told to wait for a page waits, who may have none compares") {
  for (Code code : {Code::overloaded, Code::unsupported}) {
    Scene scene(2);
    for (std::uint64_t i = 0; i < 500; ++i) scene.store(A).put(key(i), object(A, 1));
    scene.build();
    scene.pulls_refused = Status(code, "not now");
    REQUIRE(scene.exchange(B).repair(std::nullopt, scene.now).is_ok());
    scene.run(Duration::seconds(2));
    CHECK((scene.store(B).contents().size() == 500) == (code == Code::unsupported));
    scene.pulls_refused = {};
    REQUIRE(scene.settle());
    CHECK(scene.equal());
    CHECK(scene.exchange(B).progress().abandoned == 0);
  }
  Scene scene(2);  // for ever: it is left
  for (std::uint64_t i = 0; i < 500; ++i) scene.store(A).put(key(i), object(A, 1));
  scene.build();
  scene.pulls_refused = Status(Code::overloaded, "never");
  REQUIRE(scene.exchange(B).repair(std::nullopt, scene.now).is_ok());
  scene.run(scene.options.segment_patience + Duration::seconds(2));
  CHECK(scene.sent["TransferPull"] > 1000);
  CHECK(scene.store(B).contents().size() == 500);  // by comparing, which was not refused
}

TEST_CASE("F-14 pages refused while the last one is being merged: the rest is compared") {
  // One partition of many pages, and many of one page: then the last of two may be merged still.
  auto partitions = GENERATE(1u, 64u);
  Scene scene(partitions);
  for (std::uint64_t i = 0; i < 2000; ++i) scene.store(A).put(key(i), object(A, 1));
  scene.build();
  scene.observe = [&](const Scene::Event& event) {
    const bool page = std::holds_alternative<TransferPage>(event.message);
    if (page) scene.pulls_refused = Status(Code::unsupported, "no more pages");
    scene.pace = page || std::holds_alternative<Refused>(event.message) ? 0 : 1;
  };
  scene.repair(B);
  CHECK(scene.equal());
  auto progress = scene.exchange(B).progress();
  INFO(progress.last_error);
  CHECK(progress.repaired == 1);
  CHECK(scene.sent["SegmentCompare"] > 0);
}

TEST_CASE("F-90 a wrong page is refused with a sentence, and nothing of it is stored") {
  struct Wrong {
    std::function<void(TransferPage&)> spoil;
    std::string sentence;
  };
  std::vector<Wrong> all = {
      {[](TransferPage& page) { ++page.checksum; }, "the checksum does not fit"},
      {[](TransferPage& page) {
         page = TransferPage{};
         page.checksum = checksum_of({});
       },
       "no objects, and more to come"},
      {[](TransferPage& page) {
         std::swap(page.objects.front(), page.objects.back());
         page.checksum = checksum_of(page.objects);
       },
       "wanted rising rows"},
      {[](TransferPage& page) {
         page.objects.back().object = Object{};
         page.checksum = checksum_of(page.objects);
       },
       "without an object"},
  };
  for (auto& wrong : all) {
    INFO(wrong.sentence);
    Scene scene(1);
    for (std::uint64_t i = 0; i < 50; ++i) scene.store(A).put(key(i), object(A, 1));
    scene.build();
    scene.spoil = wrong.spoil;
    scene.repair(B);
    auto progress = scene.exchange(B).progress();
    CHECK(progress.abandoned == 1);
    INFO(progress.last_error);
    CHECK(progress.last_error.find(wrong.sentence) != std::string::npos);
    CHECK(scene.store(B).contents().empty());
  }
}

TEST_CASE("F-14 the keys of many segments that differ are compared by few questions") {
  for (NodeId asker : {A, B}) {
    Scene scene(8);
    for (std::uint64_t i = 0; i < 4000; ++i) scene.store(A).put(key(i), object(A, 1));
    for (std::uint64_t i = 0; i < 100; ++i) scene.store(B).put(key(i), object(A, 1));
    scene.build();
    scene.repair(asker);
    CHECK(scene.equal());
    CHECK(scene.exchange(asker).progress().segments_compared > 2000);
    CHECK(scene.sent["SegmentCompare"] < 8 * 10);
  }
}

TEST_CASE("R4.7-b nodes without a common partition exchange nothing") {
  Scene scene(8, nullptr, {A, B, C});
  for (auto& [id, node] : scene.nodes) {
    node.store->shared.clear();
    for (std::uint64_t i = 0; i < 100; ++i) node.store->put(key(i), object(id, i + 1));
  }
  scene.store(A).shared[B] = scene.store(B).shared[A] = {1, 2};
  scene.store(A).partitions = scene.store(B).partitions = {1, 2};
  scene.store(C).partitions = {0, 3};
  for (NodeId id : {A, B, C}) scene.restart(id);
  bool to_c = false;
  scene.observe = [&](const Scene::Event& event) {
    to_c |= event.to == C || event.from == C;
    if (auto* compare = std::get_if<TreeCompare>(&event.message)) {
      if (compare->level > 0) CHECK((compare->partition == 1 || compare->partition == 2));
    }
  };
  scene.run(Duration::seconds(300));
  CHECK_FALSE(to_c);
  CHECK(scene.store(C).merged.empty());
  for (auto& [key, object] : scene.store(A).contents()) {
    std::uint32_t p = scene.store(A).partition_of(key);
    CHECK(object.versions.size() == (p == 1 || p == 2 ? 2U : 1U));
  }
  CHECK(scene.exchange(A).progress().equal > 3);

  // One that thinks otherwise is told so.
  Message reply = scene.exchange(A).on_request(C, TreeCompare{0, 0, {}, {1}}, scene.now);
  CHECK(std::get<Refused>(reply).status.code() == Code::unavailable);
}

TEST_CASE("R4.7 by its period alone each node meets all its peers, and all become equal") {
  Scene scene(8, nullptr, {A, B, C});
  Random random(5);
  for (std::uint64_t i = 0; i < 300; ++i) {
    NodeId node = std::vector<NodeId>{A, B, C}[random.below(3)];
    scene.store(node).put(key(i), object(node, i + 1));
  }
  for (NodeId id : {A, B, C}) scene.restart(id);
  scene.run(Duration::seconds(2 * 2 * 40));  // two cycles of two peers
  CHECK(scene.equal(A, B));
  CHECK(scene.equal(B, C));
  CHECK(scene.store(A).contents().size() == 300);
  for (NodeId id : {A, B, C}) {
    CHECK(scene.exchange(id).progress().exchanges >= 4);
    CHECK(scene.exchange(id).progress().abandoned == 0);
  }
}

TEST_CASE(
    "F-72 a wrong bit in a tree is found and the tree rebuilt, at the asker or the answerer") {
  for (NodeId damaged : {A, B}) {
    Scene scene(4);
    for (std::uint64_t i = 0; i < 2000; ++i) {
      for (NodeId id : {A, B}) scene.store(id).put(key(i), object(A, 1));
    }
    scene.build();
    std::uint64_t right = *scene.store(damaged).trees().root(2);
    scene.store(damaged).trees().plant(2, 500, 1);
    scene.repair(A);
    CHECK(*scene.store(damaged).trees().root(2) == right);
    CHECK(scene.exchange(damaged).progress().trees_rebuilt == 1);
    CHECK(scene.exchange(damaged).progress().segments_corrected == 1);
    NodeId sound = damaged == A ? B : A;
    CHECK(scene.exchange(sound).progress().trees_rebuilt == 0);
    CHECK(scene.store(A).merged.empty());
    CHECK(scene.store(B).merged.empty());
    scene.bytes = 0;
    scene.repair(A);
    CHECK(scene.bytes < 1024);
  }
}

TEST_CASE("F-72 a tree that claims what the disk has lost is found and the object comes back") {
  Scene scene(1);
  for (std::uint64_t i = 0; i < 100; ++i) {
    for (NodeId id : {A, B}) scene.store(id).put(key(i), object(A, 1));
  }
  scene.build();
  scene.store(A).lose(key(7));  // the trees are equal: nothing tells yet
  scene.repair(A);
  CHECK(scene.store(A).read(key(7))->missing());
  scene.restart(A);  // trees are built from what there is
  scene.build();
  scene.repair(A);
  CHECK(scene.equal());
  CHECK_FALSE(scene.store(A).read(key(7))->missing());
}

TEST_CASE("F-65 a pruned and an unpruned replica are equal after one exchange and say no more") {
  Scene scene(1);
  Object unpruned;
  for (std::uint64_t n = 1; n <= 60; ++n) {
    update(unpruned, unpruned.context, Actor{NodeId{n}, 2}, Write{WriteId{1, n}, false, "v", ""},
           static_cast<std::int64_t>(n) * 1'000'000);
  }
  Object pruned = unpruned;
  CHECK(truncate(pruned, Actor{NodeId{60}, 2}, 10'000'000, {50, 0}) == 10);
  scene.store(A).put(key(1), pruned);
  scene.store(B).put(key(1), unpruned);
  scene.build();
  scene.repair(A);
  CHECK(scene.equal());
  scene.bytes = 0;
  for (int i = 0; i < 5; ++i) scene.repair(i % 2 ? A : B);
  CHECK(scene.exchange(A).progress().keys_received == 1);
  CHECK(scene.exchange(A).progress().keys_sent == 0);
  CHECK(scene.bytes < 5 * 1024);
}

TEST_CASE("F-22 loss, duplicates and reordering: every exchange ends, and all becomes equal") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    Scene scene(4);
    scene.random = Random(seed);
    scene.options.patience = Duration::millis(200);
    scene.options.period = Duration::seconds(5);
    scene.options.page_bytes = 1500;
    for (std::uint64_t i = 0; i < 400; ++i) {
      NodeId node = scene.random.chance(0.5) ? A : B;
      scene.store(node).put(key(i), object(node, i + 1));
    }
    scene.restart(A);
    scene.restart(B);
    scene.lost = 0.2;
    scene.duplicated = 0.2;
    scene.spread = Duration::millis(120);
    scene.run(Duration::seconds(60));
    scene.lost = scene.duplicated = 0;
    scene.run(Duration::seconds(30));
    CAPTURE(seed);
    CHECK(scene.equal());
    CHECK(scene.store(A).contents().size() == 400);
    for (NodeId id : {A, B}) {
      auto progress = scene.exchange(id).progress();
      std::uint64_t ended = progress.equal + progress.repaired + progress.abandoned;
      CHECK(progress.exchanges - ended <= 1);
    }
  }
}

TEST_CASE("F-22 writes to both while they exchange: equal when the writes end, no tree is wrong") {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    Scene scene(4);
    scene.random = Random(seed);
    scene.options.period = Duration::millis(500);
    scene.options.rebuild_pause = Duration::seconds(1);
    scene.options.page_rows = 16;
    scene.restart(A);
    scene.restart(B);
    for (std::uint64_t n = 1; n <= 3000; ++n) {
      NodeId node = scene.random.chance(0.5) ? A : B;
      scene.store(node).put(key(scene.random.below(500)), object(node, n));
      scene.run(Duration::millis(1));
    }
    scene.run(Duration::seconds(10));
    CAPTURE(seed);
    CHECK(scene.equal());
    CHECK(scene.exchange(A).progress().repaired > 0);
    for (NodeId id : {A, B}) {
      CHECK(scene.exchange(id).progress().segments_corrected == 0);
      CHECK(scene.exchange(id).progress().abandoned == 0);
    }
  }
}

TEST_CASE("R4.7 a replica whose tree is being built says so and is asked again") {
  Scene scene(2);
  for (std::uint64_t i = 0; i < 3000; ++i) scene.store(B).put(key(i), object(B, 1));
  scene.options.page_rows = 1;  // it takes its time
  scene.options.slice = Duration::millis(1);
  scene.restart(B);
  scene.options.page_rows = 256;
  scene.restart(A);
  CHECK(*scene.exchange(A).repair(std::nullopt, scene.now) == 1);
  scene.run(Duration::millis(1500));
  CHECK(scene.exchange(B).progress().trees_unbuilt > 0);
  CHECK(scene.exchange(A).progress().abandoned == 1);
  CHECK(scene.exchange(A).progress().waiting == 1);
  std::string why = scene.exchange(A).progress().last_error;
  CHECK(why.find("the tree of partition 0 is being built") != std::string::npos);
  REQUIRE(scene.settle());
  CHECK(scene.equal());
  CHECK(scene.store(A).contents().size() == 3000);
}

TEST_CASE("R4.7 a partition that went and came back meanwhile waits for the next exchange, alone") {
  Scene scene(4);
  scene.options.period = Duration::seconds(100'000);
  scene.options.page_rows = 1;  // a tree takes its time
  scene.options.slice = Duration::millis(1);
  for (std::uint64_t i = 0; i < 8000; ++i) {
    if (i >= 400 && scene.store(B).partition_of(key(i)) != 1) continue;  // the largest by far
    scene.store(B).put(key(i), object(B, 1));
    if (i >= 400 || i % 2 == 0) scene.store(A).put(key(i), object(B, 1));
  }
  scene.restart(A);
  scene.restart(B);
  scene.build();
  bool went = false;
  scene.observe = [&](const Scene::Event& event) {
    auto* compare = std::get_if<TreeCompare>(&event.message);
    if (went || compare == nullptr || compare->level != 1) return;
    went = true;  // partition 0 is being compared; 1 to 3 differ and have their turn later
    for (auto partitions : {std::vector<std::uint32_t>{0, 2, 3}, {0, 1, 2, 3}}) {
      scene.store(A).partitions = partitions;
      scene.exchange(A).on_ring(scene.now);
    }
  };
  scene.repair(A);
  CHECK(went);
  CHECK(scene.exchange(A).progress().repaired == 1);
  std::map<std::uint32_t, int> missing;
  auto here = scene.store(A).contents();
  for (const auto& [each, object] : scene.store(B).contents()) {
    if (!here.contains(each)) ++missing[scene.store(B).partition_of(each)];
  }
  CHECK(missing.size() == 1);
  CHECK(missing[1] > 20);
  scene.repair(A);
  CHECK(scene.equal());
}

TEST_CASE("R4.7-c a join builds no tree anew at nodes that keep their partitions") {
  Scene scene(8, nullptr, {A, B, C});
  for (std::uint64_t i = 0; i < 200; ++i) scene.store(A).put(key(i), object(A, 1));
  scene.restart(A);
  scene.build();
  CHECK(scene.exchange(A).progress().trees_built == 8);
  scene.store(A).partitions = {0, 1, 2, 5, 6};  // three went to somebody else
  scene.exchange(A).on_ring(scene.now);
  REQUIRE(scene.settle());
  CHECK(scene.exchange(A).progress().trees_built == 8);
  CHECK(scene.store(A).trees().state(3) == TreeState::unbuilt);
  CHECK(scene.store(A).trees().state(5) == TreeState::built);
  scene.store(A).partitions = {0, 1, 2, 3, 5, 6};  // one came back
  scene.exchange(A).on_ring(scene.now);
  REQUIRE(scene.settle());
  CHECK(scene.exchange(A).progress().trees_built == 9);
  CHECK(scene.store(A).trees().state(3) == TreeState::built);
}

TEST_CASE("R4.7 a repair asked for by an operator compares one partition, or is refused") {
  Scene scene(8, nullptr, {A, B, C});
  for (std::uint64_t i = 0; i < 200; ++i) scene.store(B).put(key(i), object(B, 1));
  for (NodeId id : {A, B, C}) scene.restart(id);
  scene.build();
  CHECK(*scene.exchange(A).repair(3, scene.now) == 2);
  CHECK(*scene.exchange(A).repair(3, scene.now) == 2);  // not twice
  REQUIRE(scene.settle());
  CHECK(scene.exchange(A).progress().exchanges <= 4);
  for (auto& [key, object] : scene.store(A).contents())
    CHECK(scene.store(A).partition_of(key) == 3);
  CHECK(scene.store(A).contents().size() > 10);
  CHECK(scene.exchange(A).progress().partitions_different >= 1);

  auto refused = scene.exchange(A).repair(8, scene.now);
  CHECK(refused.status().code() == Code::invalid_argument);
  CHECK(refused.status().message().find("got 8 of 8") != std::string::npos);
  scene.store(A).shared[B] = {0, 1};
  scene.store(A).shared[C] = {0};
  CHECK(*scene.exchange(A).repair(1, scene.now) == 1);
}

TEST_CASE(
    "R4.7 a peer that is down is not asked, a silent one is left, one that came back is met") {
  Scene scene(4, nullptr, {A, B, C});
  for (std::uint64_t i = 0; i < 50; ++i) scene.store(A).put(key(i), object(A, 1));
  for (NodeId id : {A, B, C}) scene.restart(id);
  scene.silent.insert(B);
  scene.run(Duration::seconds(200));
  CHECK(scene.exchange(A).progress().abandoned > 0);  // it was silent
  CHECK(scene.equal(A, C));                           // and held nobody up
  scene.health.down.insert(B);
  scene.sent.clear();
  bool to_b = false;
  scene.observe = [&](const Scene::Event& e) { to_b |= e.to == B && e.from != B; };
  scene.run(Duration::seconds(100));
  CHECK_FALSE(to_b);

  scene.health.down.clear();
  scene.silent.clear();
  scene.exchange(A).on_recovered(B, scene.now);
  scene.run(Duration::seconds(8));  // far less than a period for each
  CHECK(scene.equal(A, B));
  scene.exchange(A).on_unreachable(B, scene.now);
  scene.exchange(A).on_unreachable(NodeId{99}, scene.now);
}

TEST_CASE("R6.5 no slice of work without the pace; with little of it everything still ends") {
  Scene scene(2);
  for (std::uint64_t i = 0; i < 2000; ++i) scene.store(A).put(key(i), object(A, 1));
  scene.pace = 0;
  scene.restart(A);
  scene.restart(B);
  int before = scene.store(A).pages;
  scene.exchange(A).repair(std::nullopt, scene.now).is_ok();
  scene.run(Duration::seconds(2));
  CHECK(scene.store(A).pages == before);
  CHECK(scene.steps < 10'000);
  scene.pace = 0.05;
  REQUIRE(scene.settle());
  CHECK(scene.equal());
  CHECK(scene.store(B).contents().size() == 2000);
  CHECK(scene.work > 2000 * 100);
}

TEST_CASE("F-11 a store that fails ends the exchange and the build; both go on when it is well") {
  Scene scene(2);
  for (std::uint64_t i = 0; i < 500; ++i) scene.store(A).put(key(i), object(A, 1));
  scene.store(B).broken = true;
  scene.restart(A);
  scene.restart(B);
  scene.run(Duration::seconds(10));
  CHECK(scene.steps < 20'000);
  CHECK(scene.exchange(B).progress().trees_unbuilt == 2);
  CHECK(scene.exchange(B).progress().last_error.find("fell down") != std::string::npos);
  scene.store(B).broken = false;
  REQUIRE(scene.settle());
  scene.store(B).broken = true;  // between the trees and the merge
  scene.exchange(B).repair(std::nullopt, scene.now).is_ok();
  REQUIRE(scene.settle());
  CHECK(scene.exchange(B).progress().abandoned >= 1);
  scene.store(B).broken = false;
  scene.repair(B);
  CHECK(scene.equal());
}

TEST_CASE("R4.7-b copies kept as hints enter no tree, and what is sent is nobody's hint") {
  Scene scene(2);
  scene.build();
  Scene::Event hint{A, B, RequestId{1}, false, ReplicaPut{key(1), object(A, 1), C}};
  CHECK(std::holds_alternative<Stored>(scene.serve(B, hint)));
  CHECK(scene.store(B).hints.size() == 1);
  scene.store(A).put(key(2), object(A, 1));
  scene.observe = [](const Scene::Event& event) {
    if (auto* put = std::get_if<ReplicaPut>(&event.message)) CHECK_FALSE(put->hint_for);
  };
  scene.repair(A);
  CHECK(scene.sent["ReplicaPut"] == 1);
  CHECK(scene.store(A).read(key(1))->missing());
  CHECK_FALSE(scene.store(B).read(key(2))->missing());
}

TEST_CASE("O-13 two keys of one hash are compared as one and both arrive") {
  // No two such keys are at hand, so the listing is asked.
  std::vector<SegmentListing::Entry> entries = {{5, 1, key(1)}, {5, 2, key(2)}, {6, 3, key(3)}};
  auto group = first_group(entries);
  CHECK(group.size() == 2);
  std::uint64_t clock = clock_of(group);
  entries[1].clock_hash = 9;
  CHECK(clock_of(first_group(entries)) != clock);
  entries[1].clock_hash = 2;
  CHECK(clock_of(first_group(entries)) == clock);
  CHECK(clock_of(std::span(entries).subspan(2)) == 3);
}

TEST_CASE("F-90 a wrong question is refused with a sentence and changes nothing") {
  Scene scene(4);
  for (std::uint64_t i = 0; i < 100; ++i) scene.store(A).put(key(i), object(A, 1));
  scene.build();
  std::uint64_t in_7 = 7ULL << 54;
  struct Wrong {
    Message message;
    std::string sentence;
  };
  std::vector<Wrong> all = {
      {TreeCompare{3, 0, {}, {}}, "level 3 of a tree: wanted 0 to 2"},
      {TreeCompare{0, 0, {}, {}}, "0 hashes: wanted 1"},
      {TreeCompare{0, 0, {}, {1, 2}}, "2 hashes: wanted 1"},
      {TreeCompare{0, 0, {1}, {1, 2}}, "1 nodes with 2 hashes"},
      {TreeCompare{0, 0, {4}, {1}}, "partition 4: wanted below 4"},
      {TreeCompare{0, 0, {1, 1}, {1, 2}}, "partition 1 after 1"},
      {TreeCompare{0, 0, {2, 1}, {1, 2}}, "partition 1 after 2"},
      {TreeCompare{1, 4, {0}, {1}}, "partition 4: wanted below 4"},
      {TreeCompare{1, 0, {32}, {1}}, "inner node 32: wanted below 32"},
      {TreeCompare{2, 0, {1024}, {1}}, "segment 1024: wanted below 1024"},
      {TreeCompare{2, 0, {5, 4}, {1, 1}}, "segment 4 after 5"},
      {SegmentCompare{9, {0}, {}, {}}, "partition 9: wanted below 4"},
      {SegmentCompare{0, {}, {}, {}}, "wanted at least one segment"},
      {SegmentCompare{0, {7, 7}, {}, {}}, "segment 7 after 7"},
      {SegmentCompare{0, {3, 1024}, {}, {}}, "segment 1024: wanted below 1024"},
      {SegmentCompare{0, {7}, {in_7}, {}}, "1 keys with 0 clocks"},
      {SegmentCompare{0, {6, 8}, {in_7}, {1}},
       "a key of segment 7 in a comparison of others: 6 to 8"},
      {SegmentCompare{0, {7}, {in_7 + 1, in_7}, {1, 1}}, "not rising"},
      {SegmentCompare{0, {7}, {in_7, in_7}, {1, 1}}, "not rising"},
      {SegmentCompare{0, {7}, {in_7}, {1}, in_7}, "not rising"},
      {Ping{}, "Ping compares no trees"},
  };
  std::uint64_t refused = 0;
  for (auto& wrong : all) {
    Message reply = scene.exchange(A).on_request(B, wrong.message, scene.now);
    INFO(wrong.sentence);
    REQUIRE(std::holds_alternative<Refused>(reply));
    Status status = std::get<Refused>(reply).status;
    CHECK(status.code() == Code::invalid_argument);
    INFO(status.message());
    CHECK(status.message().find(wrong.sentence) != std::string::npos);
    CHECK(scene.exchange(A).progress().refused == ++refused);
  }
  CHECK(scene.exchange(A).idle());
  CHECK(scene.store(A).contents().size() == 100);
}

TEST_CASE("F-90 a wrong answer ends the exchange with a sentence and changes nothing") {
  std::uint64_t foreign = 3;
  while (segment_of(key_hash(key(foreign))) == segment_of(key_hash(key(1)))) ++foreign;
  const Object thing = object(B, 1);
  struct Wrong {
    std::string to;  // the question that is answered so
    int level;
    Message answer;
    std::string sentence;
  };
  std::vector<Wrong> all = {
      {"TreeCompare", 0, TreeDiffers{{9}}, "node 9: wanted below 1"},
      {"TreeCompare", 0, Pong{}, "a Pong to a TreeCompare"},
      {"TreeCompare", 1, TreeDiffers{{3, 2}}, "node 2 after 3"},
      {"TreeCompare", 1, TreeDiffers{{32}}, "a node of level 1 that was not asked about"},
      {"TreeCompare", 1, Stored{}, "a Stored to a TreeCompare"},
      {"TreeCompare", 2, TreeDiffers{{2000}}, "a node of level 2 that was not asked about"},
      {"SegmentCompare", 0, TreeDiffers{{1}}, "a TreeDiffers to a SegmentCompare"},
      {"SegmentCompare", 0, SegmentDiffers{{{key(foreign), thing}}, {}, false, 1024},
       "is not of segment"},
      {"SegmentCompare", 0, SegmentDiffers{{{key(1), Object{}}}, {}, false, 1024},
       "without an object"},
      {"SegmentCompare", 0, SegmentDiffers{{}, {12}, false, 1024}, "it wants a key"},
      {"SegmentCompare", 0, SegmentDiffers{{}, {}, false, 0},
       "it listed segments below 0: wanted "},
      {"SegmentCompare", 0, SegmentDiffers{{}, {}, false, 1025}, "it listed segments below 1025"},
      {"SegmentCompare", 0,
       SegmentDiffers{{{key(1), thing}, {key(1), thing}, {key(foreign), thing}}, {}, false, 1024},
       "is not of segment"},
      {"SegmentCompare", 0, SegmentDiffers{{}, {}, true, 1024}, "a page without objects"},
      {"SegmentCompare", 0, Refused{Status(Code::invalid_argument, "that is no segment"), 0},
       "that is no segment"},
      {"ReplicaPut", 0, TreeDiffers{}, "a TreeDiffers to a ReplicaPut"},
  };
  for (auto& wrong : all) {
    INFO(wrong.sentence);
    Scene scene(1);
    scene.store(A).put(key(1), object(A, 1));
    scene.build();
    auto before = scene.store(A).contents();
    scene.exchange(A).repair(std::nullopt, scene.now).is_ok();
    bool answered = false;
    for (int i = 0; i < 1000 && !answered; ++i) {
      for (auto& out : scene.exchange(A).take_outgoing()) {
        auto* compare = std::get_if<TreeCompare>(&out.message);
        int level = compare != nullptr ? compare->level : 0;
        answered = name_of(out.message) == wrong.to && level == wrong.level;
        Message answer =
            answered ? wrong.answer : scene.serve(B, {A, B, out.number, false, out.message});
        scene.exchange(A).on_reply(B, out.number, answer, scene.now);
      }
      scene.now.instant = scene.now.instant + Duration::millis(10);
      for (NodeId id : {A, B}) scene.exchange(id).on_wake(scene.now);
    }
    REQUIRE(answered);
    auto progress = scene.exchange(A).progress();
    CHECK(progress.abandoned == 1);
    INFO(progress.last_error);
    CHECK(progress.last_error.find(wrong.sentence) != std::string::npos);
    CHECK_FALSE(progress.peer);
    CHECK(scene.store(A).contents() == before);
    CHECK(scene.store(A).merged.empty());
  }
}

TEST_CASE("F-90 replies that nobody waits for, from whomever, are passed over") {
  Scene scene(1, nullptr, {A, B, C});
  scene.store(A).put(key(1), object(A, 1));
  scene.build();
  scene.exchange(A).on_reply(B, RequestId{77}, Stored{}, scene.now);
  scene.now.instant = scene.now.instant + Duration::millis(10);
  scene.exchange(A).repair(std::nullopt, scene.now).is_ok();
  auto out = scene.exchange(A).take_outgoing();
  REQUIRE(out.size() == 1);
  NodeId other = out[0].to == B ? C : B;
  scene.exchange(A).on_reply(other, out[0].number, TreeDiffers{}, scene.now);
  CHECK(scene.exchange(A).progress().equal == 0);
  scene.exchange(A).on_reply(out[0].to, out[0].number, TreeDiffers{}, scene.now);
  CHECK(scene.exchange(A).progress().equal == 1);
  scene.exchange(A).on_reply(out[0].to, out[0].number, TreeDiffers{}, scene.now);
  CHECK(scene.exchange(A).progress().equal == 1);
}
