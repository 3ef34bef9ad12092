// document: what a version's bytes may be: there is one form only, and merging what was taken holds its laws
#include "document/edits.hpp"
#include "fuzz/input.hpp"
#include "fuzz/target.hpp"

namespace ringlet::fuzz {

Verdict document(BytesView input) {
  using namespace ringlet::document;
  Input in(input);
  BytesView first = in.piece();
  BytesView second = in.rest();
  auto one = decode(first);
  if (!one) {
    hold(!one.status().message().empty(), "refused without a word");
    return Verdict::refused;
  }
  hold(encode(*one) == first, "bytes were taken that are not those that would be written");
  auto other = decode(second);
  Dot a{Actor{NodeId{1}, 1}, 3}, b{Actor{NodeId{2}, 1}, 2};
  State left = resolve(*one, a, WriteId{1, 1});
  State right = other ? resolve(*other, b, WriteId{1, 2}) : resolve(*one, b, WriteId{1, 1});
  State same = left;
  join(same, left);
  hold(same == left, "merging with itself changes a document");
  State ab = left, ba = right;
  join(ab, right);
  join(ba, left);
  hold(ab == ba, "a+b is not b+a");
  auto written = apply(ab, ab.cover.seen(), {{EditKind::enable, {Scalar::of_text("f")}}},
                       1'700'000'000'000'000);
  if (written) {
    auto again = decode(encode(*written));
    hold(again.is_ok(), "what was written cannot be read: " + again.status().message());
    hold(again->root == written->root && again->saw == written->saw &&
             again->events == written->events,
         "a document does not survive its bytes");
  }
  return Verdict::taken;
}

}  // namespace ringlet::fuzz
