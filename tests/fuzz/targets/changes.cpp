// changes: staged orders as a disk gives them back; each plan of what is taken is a whole view
#include "fuzz/target.hpp"
#include "fuzz/views.hpp"

namespace ringlet::fuzz {

Verdict changes(BytesView input) {
  Input in(input);
  std::uint8_t how = in.byte() % 3;
  MembershipView view = lived(founded_view(), in.piece(), 0);
  Changes staged;
  if (how == 2) {  // as an administrator gives them
    bool any = false;
    for (int i = 0; i < 8 && !in.empty(); ++i) {
      Changes before = staged;
      Status done = stage(staged, view, in.byte());
      any = any || done.is_ok();
      hold(done || before.staged() == staged.staged(), "an order is refused and staged");
    }
    if (!any) return Verdict::refused;
  } else {
    Bytes bytes = how == 0 ? Bytes(in.rest()) : sealed(in.rest());
    auto decoded = Changes::decode(bytes);
    if (!decoded) {
      hold(decoded.status().code() == Code::corrupt, "refused with another code");
      return Verdict::refused;
    }
    hold(decoded->encode() == bytes, "what was taken is written otherwise");
    staged = *decoded;
  }
  auto again = Changes::decode(staged.encode());
  hold(again.is_ok() && again->staged() == staged.staged(), "staged orders do not survive");
  for (const auto& change : staged.staged()) hold(!to_string(change).empty(), "an order unnamed");
  auto plan = staged.plan(view, node_id_of("n0"), 99);
  if (!plan) return Verdict::taken;  // of another view: said, and nothing done
  hold_view(plan->view);
  auto merged = view.merge(plan->view);
  hold(merged.is_ok() && *merged == plan->view, "a plan does not go on from the view it is of");
  hold(plan->view.epoch() >= view.epoch(), "a plan is older than its view");
  for (const auto& slot : plan->slots) hold(slot.slot < view.partitions(), "a slot beyond Q moves");
  return Verdict::taken;
}

}  // namespace ringlet::fuzz
