// This node's own copies and its place in the ring, as the background machines of repair/ see them.
// One a node; every call sees the newest ring.
#pragma once

#include <memory>
#include <vector>

#include "node/node_state.hpp"
#include "node/replica.hpp"
#include "repair/own_copies.hpp"
#include "repair/partition_transfer.hpp"
#include "repair/tombstone_collection.hpp"
#include "repair/tree_exchange.hpp"

namespace ringlet {

class OwnStore final : public RepairStore,
                       public OwnCopies,
                       public Whereabouts,
                       public TransferStore,
                       public TombstoneNotes {
 public:
  explicit OwnStore(std::shared_ptr<NodeState> state) : state_(state), replica_(std::move(state)) {}

  // ---- RepairStore ----
  PartitionTrees& trees() override { return state_->trees(); }
  std::vector<std::uint32_t> owned() const override;
  std::vector<std::uint32_t> shared_with(NodeId peer) const override;
  std::vector<NodeId> peers() const override;
  Result<bool> page(std::uint32_t partition, BytesView after, std::size_t limit,
                    const Visit& visit) override;
  Result<Object> read(const Key& key) override { return replica_.stored(key); }
  Status merge(std::uint32_t partition, std::span<const KeyedObject> objects, Now now,
               std::vector<Result<Object>>& held) override {
    return replica_.merge_page(partition, objects, now, held);
  }

  // ---- OwnCopies ----
  Result<std::vector<KeyedObject>> copies_of(std::uint32_t partition, const Key* after,
                                             std::size_t objects, std::size_t bytes) override;
  Result<std::uint32_t> partition_with_copies(std::uint32_t first) override;
  Result<Object> copy_of(const Key& key) override { return replica_.stored(key); }
  Result<bool> has_hint_of(const Key& key) override;
  Result<bool> erase_if_same(const Key& key, const Object& object) override;
  Result<std::uint64_t> make_durable() override;

  // ---- Whereabouts ----
  std::uint64_t version() const override { return state_->ring()->digest(); }
  std::uint32_t partitions() const override { return state_->ring()->partitions(); }
  std::uint32_t partition_of(const Key& key) const override {
    return state_->ring()->partition_of(token_of(key));
  }
  std::vector<NodeId> owners(std::uint32_t partition) const override;
  std::vector<NodeId> members() const override;
  bool keeps(std::uint32_t partition) const override { return keeps(state_->self(), partition); }
  bool moving(std::uint32_t partition) const override;
  bool keeps(NodeId node, std::uint32_t partition) const;  // is or will be among the N

  // ---- TransferStore ----
  Result<std::vector<std::pair<std::uint32_t, TransferCursor>>> cursors() override;
  Status store_page(std::uint32_t partition, const std::vector<KeyedObject>& objects,
                    const TransferCursor& cursor) override;
  Status forget_cursor(std::uint32_t partition) override;

  // ---- TombstoneNotes ----
  Result<Duration> age() override;
  Status keep_age(Duration age) override;
  Result<std::vector<Duration>> known_since(const std::vector<Key>& keys,
                                            const std::vector<std::uint64_t>& clocks,
                                            Duration now) override;
  Status forget_others(std::uint32_t partition, const Key* after, const Key* upto,
                       const std::vector<Key>& keys) override;

  // Bytes of the own copies in a partition. `rows` is how many may be looked at, and is lowered by those
  // that were; of what lies beyond, the tree knows how many keys. Nothing: it is not known.
  std::optional<std::uint64_t> bytes_of(std::uint32_t partition, std::size_t& rows);

 private:
  std::shared_ptr<NodeState> state_;
  Replica replica_;
};

}  // namespace ringlet
