// This node's own copies and its place in the ring, as the background machines of repair/ see them.
// One a node; every call sees the newest ring.
#pragma once

#include <memory>
#include <vector>

#include "node/node_state.hpp"
#include "node/replica.hpp"
#include "repair/tree_exchange.hpp"

namespace ringlet {

class OwnStore final : public RepairStore {
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
  Result<Object> merge(std::uint32_t partition, const KeyedObject& keyed, Now now) override;

 private:
  std::shared_ptr<NodeState> state_;
  Replica replica_;
};

}  // namespace ringlet
