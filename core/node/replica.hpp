// The local store as one replica: the other end of ReplicaGet, MintPut and ReplicaPut. Each change
// is one storage transaction around one pure function of versioning/.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/instant.hpp"
#include "node/node_state.hpp"
#include "protocol/messages.hpp"
#include "repair/dual_writes.hpp"
#include "repair/hint_delivery.hpp"
#include "versioning/encoding.hpp"

namespace ringlet {

class Replica final : public HintStore, public LateHints {
 public:
  explicit Replica(std::shared_ptr<NodeState> state) : state_(std::move(state)) {}

  // Sends what is written into a partition that moves to its new owner; without one it leaves hints.
  void set_dual_writes(DualWrites* dual_writes) { dual_writes_ = dual_writes; }

  // A reply, and the ticket it must wait for (0: send at once).
  struct Outcome {
    Message reply;
    StorageEngine::Ticket ticket = 0;
  };
  // What is here of the key, hints for others included (O-6: reads search the hint store).
  Message get(const ReplicaGet& request);
  // What is stored as this node's own copy, hints left out: for operators and checkers.
  Result<Object> stored(const Key& key);
  // Executed after `until` it would come too late (L18): then it is refused as Code::timeout, and nothing
  // was changed. Looked at last, right before the commit.
  Outcome mint(const MintPut& request, Now now, Instant until = Instant::never());
  Outcome merge(const ReplicaPut& request, Now now);
  // Joins objects of one partition into this node's own copies, in one transaction. `held`: for each
  // what is stored after it, or why it alone was refused. Failed: nothing was stored, or
  // (maybe_applied) perhaps all.
  Status merge_page(std::uint32_t partition, std::span<const KeyedObject> objects, Now now,
                    std::vector<Result<Object>>& held);
  // The same for a partition that moves here, together with `also`. All or nothing, and stamps that an
  // owner took are taken.
  using Also = std::function<Status(Transaction&)>;
  Status take_page(std::uint32_t partition, std::span<const KeyedObject> objects, const Also& also);

  Result<std::vector<Hint>> hints_for(NodeId target, const Key* after, std::size_t limit) override;
  Result<std::vector<NodeId>> targets() override;
  std::uint64_t bytes_for(NodeId target) override {
    return state_->hint_counts().bytes_for(target);
  }
  Status drop_if_same(const Hint& hint) override;
  Status keep_hint_of(const Key& key, NodeId target) override;  // for dual writes only: counted so
  Result<std::uint64_t> count_hints();  // from memory, unless a transaction ended in doubt

 private:
  struct Place;
  class TreeUpdate;
  Result<Record> read(Transaction& transaction, Place& place);
  Result<Record> read_for_change(Transaction& transaction, Place& place, bool& corrupt);
  static Status set_aside(Transaction& transaction, BytesView hint_row, BytesView record);
  Status set_aside(NodeId target, const std::vector<Bytes>& rows);
  Status write(Transaction& transaction, const Place& place, const Object& object,
               std::uint64_t minter);
  using Told = std::vector<NodeId>;
  void tell(const Told& told, const Key& key, const Object& object, Now now);
  Status pass_on(Transaction& transaction, const Place& place, const Object& object, Told* told);
  Status join_hint(Transaction& transaction, const Key& key, NodeId target, const Object& object,
                   HintCounts::Change& hints);
  Result<Actor> actor_for(Transaction& transaction, const Place& place, const Record& local,
                          const CausalContext& context, const CausalContext& seen,
                          std::optional<Actor>& fresh);
  struct Page;
  Status join(Page page);
  Status in_time(const Key& key, Now now, Instant until) const;
  Status few_enough(const Key& key, const Object& object) const;
  Status small_enough(const Place& place, const Object& joined, const Object& given) const;
  static Status countable(const Key& key, const Object& object);
  Status may_be_executed(const MintPut& request, const Object& object, Now now) const;
  static std::int64_t latest_stamp(const Object& object);
  Status stamps_in_time(const Key& key, const Object& object, std::int64_t held_us, Now now) const;
  Durability durability_of(WriteDurability wanted) const;
  std::shared_ptr<NodeState> state_;
  DualWrites* dual_writes_ = nullptr;
};

}  // namespace ringlet
