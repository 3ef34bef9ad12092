// The answering side of TreeExchange: what is asked is checked, compared with this node's trees, and
// answered at once or refused. It remembers nothing of a peer but the listings that peers need.
#pragma once

#include <list>
#include <optional>
#include <span>
#include <vector>

#include "repair/own_copies.hpp"
#include "repair/segment_listing.hpp"
#include "repair/tree_exchange.hpp"

namespace ringlet {

class TreeAnswers {
 public:
  TreeAnswers(TreeExchange::Options options, RepairStore& store)
      : options_(options), store_(store) {}

  Message answer(NodeId from, const TreeCompare& question, Now now);
  // With objects of about `most_bytes`; one is always sent.
  Message answer(NodeId from, const SegmentCompare& question, std::size_t most_bytes, Now now);

  bool wants_pages() const;
  // One page of the listing that was asked for first; how many bytes it saw, about.
  Result<std::size_t> read_page(std::size_t rows, Now now);
  void forget(std::uint32_t partition);  // listings of it

  // Partitions whose tree and whose listing contradict each other, since the last call.
  std::vector<std::uint32_t> take_suspects();

 private:
  struct Kept {
    NodeId peer;
    SegmentListing listing;
    Instant made;  // when it was begun, then when it was ready
    Instant used;
  };
  // One question about keys on its way to an answer.
  struct Comparison {
    const SegmentCompare& question;
    SegmentDiffers& differs;
    SegmentListing& listing;
    std::size_t most_bytes;
    std::size_t theirs = 0;  // of the asker's keys, so many were compared
    std::size_t bytes = 0;   // of the objects in the answer
  };
  std::optional<Message> compare(std::uint32_t segment, Comparison& work);
  std::optional<Message> offer(std::span<const SegmentListing::Entry> group, std::uint64_t clock,
                               bool known, Comparison& work,
                               std::vector<SegmentListing::Entry>& fresh);
  Message all_shared(NodeId from, const TreeCompare& question);
  Status check(const TreeCompare& question) const;
  Status check(const SegmentCompare& question) const;
  std::uint32_t ready_in_ms(std::uint32_t partition, const SegmentListing* listing) const;
  SegmentListing* listing_for(NodeId peer, std::uint32_t partition, std::uint32_t segment, Now now);

  TreeExchange::Options options_;
  RepairStore& store_;
  std::list<Kept> listings_;
  std::vector<std::uint32_t> suspects_;
};

// Are these rising, each below `bound`? The sentence says which is not.
Status check_rising(const char* what, const std::vector<std::uint32_t>& numbers,
                    std::uint32_t bound);
std::size_t size_about(const Message& message);  // on the wire, within some per cent

}  // namespace ringlet
