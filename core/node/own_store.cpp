#include "node/own_store.hpp"

#include <algorithm>
#include <set>

#include "node/hint_key.hpp"
#include "versioning/encoding.hpp"

namespace ringlet {
namespace {

bool owns(const Ring& ring, NodeId node, std::uint32_t partition) {
  const auto& list = ring.preference_list(partition);
  auto end = list.begin() + static_cast<std::ptrdiff_t>(ring.effective_replicas());
  return std::find(list.begin(), end, node) != end;
}

}  // namespace

std::vector<std::uint32_t> OwnStore::owned() const {
  return shared_with(state_->self());
}

std::vector<std::uint32_t> OwnStore::shared_with(NodeId peer) const {
  auto ring = state_->ring();
  std::vector<std::uint32_t> shared;
  for (std::uint32_t partition = 0; partition < ring->partitions(); ++partition) {
    if (owns(*ring, state_->self(), partition) && owns(*ring, peer, partition)) {
      shared.push_back(partition);
    }
  }
  return shared;
}

std::vector<NodeId> OwnStore::peers() const {
  auto ring = state_->ring();
  std::set<NodeId> peers;
  for (std::uint32_t partition = 0; partition < ring->partitions(); ++partition) {
    if (!owns(*ring, state_->self(), partition)) continue;
    const auto& list = ring->preference_list(partition);
    peers.insert(list.begin(),
                 list.begin() + static_cast<std::ptrdiff_t>(ring->effective_replicas()));
  }
  peers.erase(state_->self());
  return {peers.begin(), peers.end()};
}

Result<bool> OwnStore::page(std::uint32_t partition, BytesView after, std::size_t limit,
                            const Visit& visit) {
  Bytes prefix = object_prefix(partition);
  std::size_t seen = 0;
  bool last = true;
  Status scanned =
      state_->engine().scan(Table::objects, after.empty() ? prefix : Bytes(after) + '\0',
                            after_prefix(prefix), [&](BytesView row, BytesView record) {
                              if (seen++ == limit) {
                                last = false;
                                return false;
                              }
                              auto key = parse_object_row(row);
                              auto object = decode_record(record);
                              if (key && object) visit(row, *key, *object);
                              return true;
                            });
  if (!scanned) return scanned;
  return last;
}

Result<Object> OwnStore::merge(std::uint32_t partition, const KeyedObject& keyed, Now now) {
  auto ring = state_->ring();
  std::uint32_t its = ring->partition_of(token_of(keyed.key));
  if (its != partition) {
    return Status(Code::invalid_argument,
                  "merge " + printable(keyed.key) + ": wanted a key of partition " +
                      std::to_string(partition) + ", this one is of " + std::to_string(its));
  }
  Object here;
  ReplicaPut put;
  put.key = keyed.key;
  put.object = keyed.object;
  put.durability = WriteDurability::log;
  auto outcome = replica_.merge(put, now, &here);
  if (auto* refused = std::get_if<Refused>(&outcome.reply)) return refused->status;
  return here;
}

}  // namespace ringlet
