#include "repair/flip_readiness.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace ringlet {

void FlipReadiness::set_work(std::map<NodeId, std::vector<std::uint32_t>> companions,
                             std::uint32_t partitions) {
  partitions_ = partitions;
  begun_ = false;
  companions_.clear();
  for (auto& [node, left] : companions) companions_[node].left = std::move(left);
}

void FlipReadiness::begin(Now now) {
  if (std::exchange(begun_, true)) return;
  for (auto& [node, companion] : companions_) {
    companion.heard = now.instant;
    ask(node, companion, now);
  }
}

void FlipReadiness::ask(NodeId node, Companion& companion, Now now) {
  companion.number = RequestId{++last_number_};
  companion.until = now.instant + options_.patience;
  TransferPull question;
  question.partition = companion.left.back();
  question.partitions = partitions_;
  outgoing_.push_back({node, companion.number, std::move(question)});
}

void FlipReadiness::pause(Companion& companion, Now now) {
  companion.number = RequestId::none;
  companion.again = now.instant + options_.again;
}

void FlipReadiness::on_reply(NodeId from, RequestId number, const Message& message, Now now) {
  auto at = companions_.find(from);
  if (at == companions_.end() || at->second.number != number) return;
  Companion& companion = at->second;
  if (const auto* refused = std::get_if<Refused>(&message)) {
    if (refused->status.retryable()) companion.heard = now.instant;
    return pause(companion, now);
  }
  if (!std::holds_alternative<TransferPage>(message)) return pause(companion, now);
  companion.heard = now.instant;
  companion.left.pop_back();
  if (companion.left.empty()) {
    companions_.erase(at);
    note_ready();
  } else {
    ask(from, companion, now);
  }
}

void FlipReadiness::on_unreachable(NodeId node, Now now) {
  auto at = companions_.find(node);
  if (at != companions_.end() && at->second.number != RequestId::none) pause(at->second, now);
}

void FlipReadiness::on_wake(Now now) {
  if (!begun_) return;
  std::size_t given_up = std::erase_if(companions_, [&](const auto& entry) {
    return now.instant - entry.second.heard >= options_.lenient_after;
  });
  if (given_up > 0) note_ready();
  for (auto& [node, companion] : companions_) {
    if (companion.number != RequestId::none && companion.until <= now.instant)
      pause(companion, now);
    if (companion.number == RequestId::none && companion.again <= now.instant)
      ask(node, companion, now);
  }
}

std::vector<Outgoing> FlipReadiness::take_outgoing() {
  return std::exchange(outgoing_, {});
}

bool FlipReadiness::take_news() {
  return std::exchange(news_, false);
}

Instant FlipReadiness::next_wake() const {
  Instant next = Instant::never();
  if (!begun_) return next;
  for (const auto& [node, companion] : companions_) {
    next = std::min(next, companion.number != RequestId::none ? companion.until : companion.again);
  }
  return next;
}

Message answer_whether(const TransferPull& question, std::uint32_t partitions,
                       const PartitionTransfer& transfer) {
  bool complete = question.partitions == partitions && question.partition < partitions &&
                  transfer.has_all_of(question.partition);
  if (complete) return TransferPage{{}, true, checksum_of({})};
  return Refused{Status(Code::unavailable,
                        "partition " + std::to_string(question.partition) + " is not all here yet"),
                 1000};
}

}  // namespace ringlet
