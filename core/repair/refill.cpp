#include "repair/refill.hpp"

#include <string>
#include <utility>

#include "base/assert.hpp"
#include "repair/own_copies.hpp"
#include "repair/partition_transfer.hpp"

namespace ringlet {

Refill::Refill(std::deque<std::uint32_t> wanted, std::uint32_t partitions, std::uint32_t page_bytes)
    : wanted_(std::move(wanted)) {
  RINGLET_ASSERT(!wanted_.empty());
  question_.partition = wanted_.front();
  question_.partitions = partitions;
  question_.first = true;
  question_.max_bytes = page_bytes;
}

std::optional<TransferPull> Refill::next() {
  if (asked_ || wanted_.empty() || merging_ > page_) return std::nullopt;
  if (question_.partition != wanted_.front()) {
    question_.partition = wanted_.front();
    question_.first = true;
    question_.after = {};
  }
  asked_ = true;
  return question_;
}

Result<std::vector<KeyedObject>> Refill::take(TransferPage page) {
  auto invalid = [&](const std::string& what) {
    return Status(Code::invalid_argument,
                  "a page of partition " + std::to_string(question_.partition) + ": " + what);
  };
  if (page.checksum != checksum_of(page.objects)) {
    return invalid("the checksum does not fit its " + std::to_string(page.objects.size()) +
                   " objects");
  }
  if (page.objects.empty() && !page.last) return invalid("no objects, and more to come");
  const Key* before = question_.first ? nullptr : &question_.after;
  for (const KeyedObject& each : page.objects) {
    if (before != nullptr && !row_before(*before, each.key)) {
      return invalid(printable(each.key) + " after " + printable(*before) + ": wanted rising rows");
    }
    if (each.object.missing()) return invalid(printable(each.key) + " without an object");
    before = &each.key;
  }
  asked_ = false;
  if (page.last) wanted_.pop_front();
  page_ = page.objects.size();
  merging_ += page_;
  if (!page.objects.empty()) {
    question_.first = false;
    question_.after = page.objects.back().key;
  }
  return std::move(page.objects);
}

}  // namespace ringlet
