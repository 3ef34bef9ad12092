// view: what gossip and disks bring, as membership views; the laws of merging on any three
#include "fuzz/target.hpp"
#include "fuzz/views.hpp"

namespace ringlet::fuzz {

Verdict view(BytesView input) {
  Input in(input);
  std::uint8_t how = in.byte() % 3;
  if (how == 0) {  // as it came
    auto view = MembershipView::decode(in.rest());
    if (!view) {
      hold(view.status().code() == Code::corrupt, "refused with another code");
      return Verdict::refused;
    }
    hold_view(*view);
    return Verdict::taken;
  }
  if (how == 1) {  // of any content
    BytesView first = in.piece(), second = in.piece();
    auto a = MembershipView::decode(sealed(first)), b = MembershipView::decode(sealed(second));
    auto c = MembershipView::decode(sealed(in.rest()));
    if (!a || !b || !c) return Verdict::refused;
    for (const auto* each : {&a, &b, &c}) hold_view(**each);
    hold_merge_laws(*a, *b, *c);
    return Verdict::taken;
  }
  // Three administrators who do not hear of each other.
  MembershipView base = lived(founded_view(), in.piece(), 0);
  MembershipView a = lived(base, in.piece(), 0), b = lived(base, in.piece(), 1);
  MembershipView c = lived(base, in.rest(), 2);
  for (const auto* each : {&base, &a, &b, &c}) hold_view(*each);
  hold_merge_laws(a, b, c);
  auto back = base.merge(a);
  hold(back.is_ok() && *back == a, "a view that came from another does not contain it");
  return Verdict::taken;
}

}  // namespace ringlet::fuzz
