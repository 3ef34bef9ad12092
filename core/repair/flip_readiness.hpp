// The last step before a node flips its slots. Its flip may make others owners too (Ring::companions),
// who never owned the partition or have not pulled it yet; a read that met such a one could miss what
// R + W > N promises (L7). So each of them is asked whether it has all of it, until it says yes.
//
// Nobody waits in a circle: what a companion needs in order to say yes comes from owners, and never
// depends on a flip. One that stays silent for `lenient_after` is waited for no more, as a source of a
// transfer is: it cannot answer a read either, and anti-entropy fills it when it returns.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "repair/background_task.hpp"
#include "repair/partition_transfer.hpp"

namespace ringlet {

class FlipReadiness final : public BackgroundTask {
 public:
  struct Options {
    Duration again = Duration::seconds(1);  // after a "not yet"
    Duration patience = Duration::seconds(5);
    Duration lenient_after = Duration::seconds(600);
  };
  explicit FlipReadiness(Options options) : options_(options) {}

  // Whom to wait for, and for which of Q partitions. All anew whenever the ring changed.
  void set_work(std::map<NodeId, std::vector<std::uint32_t>> companions, std::uint32_t partitions);
  void begin(Now now);  // this node has all itself: asks from now on
  void on_reply(NodeId from, RequestId number, const Message& message, Now now) override;
  void on_unreachable(NodeId node, Now now) override;
  void on_wake(Now now) override;
  std::vector<Outgoing> take_outgoing() override;  // TransferPull
  Instant next_wake() const override;
  bool take_news();  // have all said yes since the last call?
  bool ready() const { return companions_.empty(); }
  std::size_t waiting() const { return companions_.size(); }

 private:
  struct Companion {
    std::vector<std::uint32_t> left;
    RequestId number = RequestId::none;  // of the question that is out
    Instant until;                       // of its patience
    Instant again;
    Instant heard;
  };
  void ask(NodeId node, Companion& companion, Now now);
  void pause(Companion& companion, Now now);
  void note_ready() { news_ = news_ || companions_.empty(); }

  Options options_;
  std::uint32_t partitions_ = 0;
  std::map<NodeId, Companion> companions_;
  bool begun_ = false, news_ = false;
  std::uint64_t last_number_ = 0;
  std::vector<Outgoing> outgoing_;
};

// The companion's side: an empty page, or Refused with a sentence.
Message answer_whether(const TransferPull& question, std::uint32_t partitions,
                       const PartitionTransfer& transfer);

}  // namespace ringlet
