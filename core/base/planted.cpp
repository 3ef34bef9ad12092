#include "base/planted.hpp"

namespace ringlet {

#ifdef RINGLET_PLANTED_BUGS
namespace {

thread_local PlantedBug current_bug = PlantedBug::none;

}  // namespace

bool planted(PlantedBug bug) {
  return bug != PlantedBug::none && current_bug == bug;
}
void plant(PlantedBug bug) {
  current_bug = bug;
}
#endif

const char* name_of(PlantedBug bug) {
  switch (bug) {
    case PlantedBug::none:
      return "none";
    case PlantedBug::refusal_not_counted:
      return "refusal_not_counted";
    case PlantedBug::answered_twice:
      return "answered_twice";
    case PlantedBug::no_fallback:
      return "no_fallback";
    case PlantedBug::no_hint_at_quorum:
      return "no_hint_at_quorum";
    case PlantedBug::context_covers_too_much:
      return "context_covers_too_much";
    case PlantedBug::hint_dropped_on_send:
      return "hint_dropped_on_send";
    case PlantedBug::epoch_reused:
      return "epoch_reused";
    case PlantedBug::write_id_ignored:
      return "write_id_ignored";
    case PlantedBug::sync_keeps_ancestors:
      return "sync_keeps_ancestors";
    case PlantedBug::ack_before_flush:
      return "ack_before_flush";
    case PlantedBug::tree_not_updated:
      return "tree_not_updated";
    case PlantedBug::in_flight_write_not_forwarded:
      return "in_flight_write_not_forwarded";
    case PlantedBug::reap_before_all_owners:
      return "reap_before_all_owners";
    case PlantedBug::doomstone:
      return "doomstone";
    case PlantedBug::source_drops_early:
      return "source_drops_early";
    case PlantedBug::count:
      break;
  }
  return "unknown";
}

}  // namespace ringlet
