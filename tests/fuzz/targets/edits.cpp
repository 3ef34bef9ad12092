// edits: lists of operations on documents, and what an empty document becomes by them
#include "document/edits.hpp"
#include "fuzz/target.hpp"

namespace ringlet::fuzz {

Verdict edits(BytesView input) {
  using namespace ringlet::document;
  auto list = decode_edits(input);
  if (!list) {
    hold(!list.status().message().empty(), "refused without a word");
    return Verdict::refused;
  }
  hold(encode(*list) == input, "bytes were taken that are not those that would be written");
  auto written = apply({}, {}, *list, 1'700'000'000'000'000);
  if (!written) {
    hold(written.status().code() == Code::invalid_argument, "edits are refused with another code");
    return Verdict::taken;
  }
  auto again = decode(encode(*written));
  hold(again.is_ok(), "what was written cannot be read: " + again.status().message());
  hold(again->root == written->root, "a document does not survive its bytes");
  return Verdict::taken;
}

}  // namespace ringlet::fuzz
