// tree: any messages to an exchange of trees, as questions and as answers; two owners end up equal
#include <algorithm>
#include <map>

#include "fuzz/input.hpp"
#include "fuzz/target.hpp"
#include "repair/tree_exchange.hpp"
#include "versioning/encoding.hpp"
#include "wire/codec.hpp"

namespace ringlet::fuzz {
namespace {

constexpr std::uint32_t partitions = 3;

struct Nobody final : Health {
  bool is_down(NodeId) const override { return false; }
  void heard_from(NodeId, Instant) override {}
  void was_silent(NodeId, Instant) override {}
  void unreachable(NodeId, Instant) override {}
  Duration patience(NodeId) const override { return Duration::seconds(1); }
  void answer_took(NodeId, Duration) override {}
};

std::uint32_t partition_of(const Key& key) {
  return key.key.empty() ? 0 : static_cast<unsigned char>(key.key[0]) % partitions;
}

struct Shelf final : RepairStore {
  PartitionTrees its{partitions};
  std::map<Bytes, std::pair<Key, Object>> rows[partitions];
  NodeId peer;
  explicit Shelf(NodeId other) : peer(other) {}

  static Bytes row_of(const Key& key) {
    return std::to_string(key.bucket.size()) + "." + key.bucket + key.key;
  }
  PartitionTrees& trees() override { return its; }
  std::vector<std::uint32_t> owned() const override { return {0, 1, 2}; }
  std::vector<std::uint32_t> shared_with(NodeId node) const override {
    return node == peer ? std::vector<std::uint32_t>{0, 1} : std::vector<std::uint32_t>{};
  }
  std::vector<NodeId> peers() const override { return {peer}; }
  Result<bool> page(std::uint32_t p, BytesView after, std::size_t limit,
                    const Visit& visit) override {
    auto it = after.empty() ? rows[p].begin() : rows[p].upper_bound(Bytes(after));
    for (; it != rows[p].end() && limit > 0; ++it, --limit) {
      visit(it->first, it->second.first, it->second.second);
    }
    return it == rows[p].end();
  }
  Result<Object> read(const Key& key) override {
    auto& of = rows[partition_of(key)];
    auto found = of.find(row_of(key));
    return found == of.end() ? Object{} : found->second.second;
  }
  Status merge(std::uint32_t p, std::span<const KeyedObject> objects, Now now,
               std::vector<Result<Object>>& held) override {
    for (const KeyedObject& each : objects) held.push_back(merge_one(p, each, now));
    return Status::ok();
  }
  Result<Object> merge_one(std::uint32_t p, const KeyedObject& keyed, Now) {
    if (partition_of(keyed.key) != p) return Status(Code::invalid_argument, "of another partition");
    Bytes row = row_of(keyed.key);
    auto writing = its.writing(p);
    auto found = rows[p].find(row);
    Object object = found == rows[p].end() ? Object{} : found->second.second;
    std::uint64_t before = clock_hash(object);
    sync(object, keyed.object);
    if (!object.missing()) rows[p][row] = {keyed.key, object};
    writing.apply(row, key_hash(keyed.key), before, clock_hash(object));
    return object;
  }
};

Object object_of(std::uint64_t node, std::uint64_t number) {
  Object object;
  Dot dot{Actor{NodeId{node}, 2}, number};
  object.context.add(dot, 0);
  object.versions.push_back({dot, WriteId{node, number}, 0, false, "v", ""});
  return object;
}

struct Owner {
  NodeId id;
  Nobody health;
  Shelf shelf;
  TreeExchange exchange;
  static TreeExchange::Options options() {
    TreeExchange::Options options;
    options.period = Duration::seconds(10);
    options.page_rows = 8;
    options.page_bytes = 256;
    return options;
  }
  Owner(NodeId self, NodeId peer)
      : id(self), shelf(peer), exchange(self, options(), shelf, health) {}
};

// A message of another member, handled as a node does.
Message serve(Owner& owner, NodeId from, const Message& message, Now now) {
  if (const auto* put = std::get_if<ReplicaPut>(&message)) {
    auto merged = owner.shelf.merge_one(partition_of(put->key), {put->key, put->object}, now);
    return merged ? Message(Stored{}) : Message(Refused{merged.status(), 0});
  }
  return owner.exchange.on_request(from, message, now);
}

void hold_answer(const Message& question, const Message& said, Owner& owner) {
  if (auto* refused = std::get_if<Refused>(&said)) {
    return hold(!refused->status.message().empty(), "refused without a sentence");
  }
  if (std::holds_alternative<TreeCompare>(question)) {
    hold(std::holds_alternative<TreeDiffers>(said), "TreeCompare is answered with another kind");
    const auto& asked = std::get<TreeCompare>(question).nodes;
    if (asked.empty()) return;  // one hash over all: the answer names those that both have
    for (std::uint32_t node : std::get<TreeDiffers>(said).nodes) {
      hold(std::find(asked.begin(), asked.end(), node) != asked.end(), "a node nobody asked about");
    }
  } else if (std::holds_alternative<SegmentCompare>(question)) {
    hold(std::holds_alternative<SegmentDiffers>(said), "SegmentCompare: an answer of another kind");
    for (const KeyedObject& each : std::get<SegmentDiffers>(said).objects) {
      auto here = owner.shelf.read(each.key);
      hold(here.is_ok() && *here == each.object, "an object that is not here is sent");
    }
  }
}

}  // namespace

Verdict tree(BytesView input) {
  Input in(input);
  Owner a(NodeId{1}, NodeId{2}), b(NodeId{2}, NodeId{1});
  Now now{Instant{1'000'000}, 1'700'000'000'000};
  for (std::uint8_t i = 0; i < 24; ++i) {
    Key key{"b", Bytes(1, static_cast<char>(i)) + "k"};
    (void)a.shelf.merge_one(partition_of(key), {key, object_of(1, i + 1u)}, now);
    if (i % 5 != 0)
      (void)b.shelf.merge_one(partition_of(key), {key, object_of(1 + i % 3 / 2, i + 1u)}, now);
  }
  a.exchange.start(now);
  b.exchange.start(now);
  bool taken = false;
  auto pass = [&](Duration time, bool honest) {
    now.instant = now.instant + time;
    for (Owner* owner : {&a, &b}) {
      Owner& other = owner == &a ? b : a;
      owner->exchange.on_wake(now);
      for (auto& out : owner->exchange.take_outgoing()) {
        Message said = serve(other, owner->id, out.message, now);
        hold_answer(out.message, said, other);
        std::uint8_t what = honest ? 0 : in.byte();
        if (what % 4 == 1) {  // another answer instead
          BytesView piece = in.piece();
          if (piece.empty()) continue;
          auto forged = wire::decode(static_cast<std::uint8_t>(piece[0]), piece.substr(1));
          if (!forged) continue;
          said = std::move(*forged);
          taken = true;
        } else if (what % 4 == 2) {
          owner->exchange.on_unreachable(out.to, now);
          continue;
        }
        owner->exchange.on_reply(out.to, out.number, said, now);
        if (what % 4 == 3) owner->exchange.on_reply(out.to, out.number, said, now);
      }
    }
  };
  for (int i = 0; i < 60; ++i) pass(Duration::millis(2), true);  // the trees grow
  for (int step = 0; step < 40 && !in.empty(); ++step) {
    std::uint8_t what = in.byte();
    if (what % 4 == 0) {  // a question from the peer, or from whom it has nothing to do with
      BytesView piece = in.piece();
      if (piece.empty()) continue;
      auto asked = wire::decode(static_cast<std::uint8_t>(piece[0]), piece.substr(1));
      if (!asked) continue;
      if (!std::holds_alternative<TreeCompare>(*asked) &&
          !std::holds_alternative<SegmentCompare>(*asked)) {
        continue;
      }
      Message said = a.exchange.on_request(NodeId{what / 4 % 4 == 3 ? 9u : 2u}, *asked, now);
      hold_answer(*asked, said, a);
      taken = taken || !std::holds_alternative<Refused>(said);
    } else {
      pass(what % 4 == 1 ? Duration::seconds(11) : Duration::millis(5), false);
    }
  }
  // Left alone, the two owners come to hold the same.
  auto equal = [&] {
    return a.shelf.rows[0] == b.shelf.rows[0] && a.shelf.rows[1] == b.shelf.rows[1];
  };
  for (int i = 0; i < 6000 && !equal(); ++i) pass(Duration::millis(i % 8 == 0 ? 500 : 2), true);
  hold(equal(), "two owners left alone stay different");
  return taken ? Verdict::taken : Verdict::refused;
}

}  // namespace ringlet::fuzz
