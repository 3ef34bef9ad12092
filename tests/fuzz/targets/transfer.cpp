// transfer: any pages to a node that pulls a partition, and any pull to the one that has it
#include <map>

#include "fuzz/input.hpp"
#include "fuzz/target.hpp"
#include "repair/partition_transfer.hpp"
#include "versioning/encoding.hpp"
#include "versioning/object.hpp"
#include "wire/codec.hpp"

namespace ringlet::fuzz {
namespace {

constexpr std::uint32_t partitions = 4;

struct Rows {
  bool operator()(const Key& a, const Key& b) const { return row_before(a, b); }
};

// A node's disk and its ring, in which everybody keeps everything.
struct Disk final : OwnCopies, TransferStore, Whereabouts, Health {
  std::map<Key, Object, Rows> copies;
  std::map<std::uint32_t, Bytes> rows;
  bool fails = false;

  Result<std::vector<KeyedObject>> copies_of(std::uint32_t partition, const Key* after,
                                             std::size_t objects, std::size_t bytes) override {
    std::vector<KeyedObject> page;
    std::size_t size = 0;
    for (auto it = after ? copies.upper_bound(*after) : copies.begin(); it != copies.end(); ++it) {
      if (partition_of(it->first) != partition) continue;
      if (page.size() == objects || (!page.empty() && size >= bytes)) break;
      page.push_back({it->first, it->second});
      for (const Version& version : it->second.versions) size += version.value.size();
    }
    return page;
  }
  Result<std::uint32_t> partition_with_copies(std::uint32_t) override { return partitions(); }
  Result<Object> copy_of(const Key& key) override { return copies[key]; }
  Result<bool> has_hint_of(const Key&) override { return false; }
  Result<bool> erase_if_same(const Key&, const Object&) override { return false; }
  Result<std::uint64_t> make_durable() override { return std::uint64_t{0}; }

  Result<std::vector<std::pair<std::uint32_t, TransferCursor>>> cursors() override {
    std::vector<std::pair<std::uint32_t, TransferCursor>> all;
    for (const auto& [partition, bytes] : rows) {
      if (auto cursor = decode_cursor(bytes)) all.emplace_back(partition, *cursor);
    }
    return all;
  }
  Status store_page(std::uint32_t partition, const std::vector<KeyedObject>& objects,
                    const TransferCursor& cursor) override {
    if (fails) return Status(Code::io, "the disk is ill");
    const Key* before = nullptr;
    for (const KeyedObject& each : objects) {
      hold(partition_of(each.key) == partition, "a key of another partition is stored");
      hold(!each.object.missing(), "an object that is none is stored");
      hold(before == nullptr || row_before(*before, each.key), "a page is out of order");
      before = &each.key;
      sync(copies[each.key], each.object);
    }
    rows[partition] = encode_cursor(cursor);
    return {};
  }
  Status forget_cursor(std::uint32_t partition) override {
    rows.erase(partition);
    return {};
  }

  std::uint64_t version() const override { return 1; }
  std::uint32_t partitions() const override { return fuzz::partitions; }
  std::uint32_t partition_of(const Key& key) const override {
    return key.key.empty() ? 0 : static_cast<unsigned char>(key.key[0]) % fuzz::partitions;
  }
  std::vector<NodeId> owners(std::uint32_t) const override { return {NodeId{2}, NodeId{3}}; }
  std::vector<NodeId> members() const override { return {NodeId{1}, NodeId{2}, NodeId{3}}; }
  bool keeps(std::uint32_t) const override { return true; }
  bool moving(std::uint32_t) const override { return true; }

  bool is_down(NodeId) const override { return false; }
  void heard_from(NodeId, Instant) override {}
  void was_silent(NodeId, Instant) override {}
  void unreachable(NodeId, Instant) override {}
  Duration patience(NodeId) const override { return Duration::millis(50); }
  void answer_took(NodeId, Duration) override {}
};

Object object_of(std::uint64_t number, Bytes value) {
  Object object;
  Dot dot{Actor{NodeId{2}, 2}, number};
  object.context.add(dot, 0);
  object.versions.push_back({dot, WriteId{2, number}, 0, false, std::move(value), ""});
  return object;
}

void hold_page(const TransferPage& page, const TransferPull& pull, const Disk& disk) {
  hold(page.checksum == checksum_of(page.objects), "a page's checksum does not fit");
  hold(page.last || !page.objects.empty(), "a page brings nothing and is not the last");
  const Key* before = pull.first ? nullptr : &pull.after;
  for (const KeyedObject& each : page.objects) {
    hold(disk.partition_of(each.key) == pull.partition, "a page of another partition");
    hold(before == nullptr || row_before(*before, each.key), "a page does not go on");
    before = &each.key;
  }
}

}  // namespace

// how(1) | steps: what(1), and a message as type(1) | body in a piece
Verdict transfer(BytesView input) {
  Input in(input);
  Disk source, here;
  for (std::uint8_t i = 0; i < 40; ++i) {
    Key key{"b", Bytes(1, static_cast<char>(i)) + "k"};
    source.copies[key] = object_of(i + 1u, Bytes(i, 'v'));
  }
  PartitionTransfer::Options options;
  options.page_bytes = 64;
  PartitionTransfer pull(NodeId{1}, options, here, here, here, nullptr);
  Now now{Instant{1'000'000}, 1'700'000'000'000};
  if (std::uint8_t how = in.byte(); how % 4 == 3) here.rows[0] = Bytes(in.piece());
  Incoming work;
  work.move = 1;
  work.outgoing = NodeId{2};
  work.staying = {NodeId{3}};
  pull.set_work({work}, now);
  bool taken = false;
  for (int step = 0; step < 60; ++step) {
    now.instant = now.instant + Duration::seconds(11);
    pull.on_wake(now);
    for (auto& out : pull.take_outgoing()) {
      const auto& question = std::get<TransferPull>(out.message);
      Message honest = answer(question, true, 256, source, source, nullptr, now);
      hold(std::holds_alternative<TransferPage>(honest), "an owner refuses an honest pull");
      hold_page(std::get<TransferPage>(honest), question, source);
      std::uint8_t what = in.byte();
      here.fails = what % 8 == 7;
      if (what % 8 == 1 || what % 8 == 2) {
        BytesView piece = in.piece();
        auto said = piece.empty()
                        ? Result<Message>(Status(Code::corrupt, "none"))
                        : wire::decode(static_cast<std::uint8_t>(piece[0]), piece.substr(1));
        if (said) {
          auto* page = std::get_if<TransferPage>(&*said);
          if (page && what % 8 == 2) page->checksum = checksum_of(page->objects);
          auto before = here.copies;
          auto stored = pull.progress().pages;
          pull.on_reply(out.to, out.number, *said, now);
          taken = taken || pull.progress().pages > stored;
          hold(pull.progress().pages > stored || before == here.copies,
               "a page that was not taken is stored");
          if (auto* asked = std::get_if<TransferPull>(&*said)) {
            Message reply = answer(*asked, what / 8 % 2 == 0, 256, source, source, nullptr, now);
            if (auto* sent = std::get_if<TransferPage>(&reply)) hold_page(*sent, *asked, source);
          }
          continue;
        }
      }
      if (what % 8 == 3) {
        pull.on_unreachable(out.to, now);
      } else if (what % 8 == 4) {
        pull.on_reply(out.to, RequestId{static_cast<std::uint64_t>(out.number) + 1}, honest, now);
      } else if (what % 8 != 5) {
        pull.on_reply(out.to, out.number, honest, now);
        pull.on_reply(out.to, out.number, honest, now);  // and again
      }
    }
    if (in.empty() && pull.all_arrived()) break;
  }
  // From here on all goes well.
  here.fails = false;
  for (int step = 0; step < 200 && !pull.all_arrived(); ++step) {
    now.instant = now.instant + Duration::seconds(11);
    pull.on_wake(now);
    for (auto& out : pull.take_outgoing()) {
      pull.on_reply(
          out.to, out.number,
          answer(std::get<TransferPull>(out.message), true, 256, source, source, nullptr, now),
          now);
    }
  }
  hold(pull.all_arrived(), "a pull does not end though its sources answer");
  return taken ? Verdict::taken : Verdict::refused;
}

}  // namespace ringlet::fuzz
