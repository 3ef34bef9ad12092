#include "repair/refill.hpp"

#include <string>
#include <utility>

#include "repair/own_copies.hpp"
#include "repair/partition_transfer.hpp"

namespace ringlet {

Refill::Refill(std::uint32_t partition, std::uint32_t partitions, std::uint32_t page_bytes) {
  question_.partition = partition;
  question_.partitions = partitions;
  question_.first = true;
  question_.max_bytes = page_bytes;
}

std::optional<TransferPull> Refill::next() {
  if (asked_ || last_ || merging_ > page_) return std::nullopt;
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
  last_ = page.last;
  page_ = page.objects.size();
  merging_ += page_;
  if (!page.objects.empty()) {
    question_.first = false;
    question_.after = page.objects.back().key;
  }
  return std::move(page.objects);
}

}  // namespace ringlet
