// Fills a partition of which this owner has nothing from another owner's, page by page in the order of
// rows, as a transfer does: where all differs, comparing hashes finds nothing out. One question at a
// time; the next one goes out while the last page is merged.
#pragma once

#include <optional>
#include <vector>

#include "protocol/messages.hpp"

namespace ringlet {

class Refill {
 public:
  Refill(std::uint32_t partition, std::uint32_t partitions, std::uint32_t page_bytes);

  // What to ask now; nothing: an answer or merges are waited for, or it is over.
  std::optional<TransferPull> next();
  void ask_again() { asked_ = false; }  // the last question was refused for now
  // Checks the page and returns its objects, which are to be merged.
  Result<std::vector<KeyedObject>> take(TransferPage page);
  void merged(std::size_t objects) { merging_ -= objects; }
  bool over() const { return last_ && merging_ == 0; }

 private:
  TransferPull question_;
  bool asked_ = false, last_ = false;
  std::size_t merging_ = 0, page_ = 0;  // objects not merged yet; of the last page
};

}  // namespace ringlet
