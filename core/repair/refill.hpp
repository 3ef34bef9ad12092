// Fills partitions of which this owner has nothing from another owner's, page by page in the order of
// rows, as a transfer does: where all differs, comparing hashes finds nothing out. One question at a
// time; the next one, of the next partition should this one be at its end, goes out while the last page
// is merged.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "protocol/messages.hpp"

namespace ringlet {

class Refill {
 public:
  // One partition at least, of Q.
  Refill(std::deque<std::uint32_t> wanted, std::uint32_t partitions, std::uint32_t page_bytes);

  // What to ask now; nothing: an answer or merges are waited for, or it is over.
  std::optional<TransferPull> next();
  void ask_again() { asked_ = false; }  // the last question was refused for now
  // Checks the page and returns its objects, which are to be merged into partition().
  Result<std::vector<KeyedObject>> take(TransferPage page);
  std::uint32_t partition() const { return question_.partition; }  // of the last question
  void merged(std::size_t objects) { merging_ -= objects; }
  bool over() const { return wanted_.empty() && merging_ == 0; }
  // Those whose last page has not come, the one being read first.
  const std::deque<std::uint32_t>& left() const { return wanted_; }

 private:
  std::deque<std::uint32_t> wanted_;
  TransferPull question_;
  bool asked_ = false;
  std::size_t merging_ = 0, page_ = 0;  // objects not merged yet; of the last page
};

}  // namespace ringlet
