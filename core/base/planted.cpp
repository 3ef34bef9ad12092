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
    case PlantedBug::table_tie_by_arrival:
      return "table_tie_by_arrival";
    case PlantedBug::slot_epoch_not_raised:
      return "slot_epoch_not_raised";
    case PlantedBug::plain_clocks:
      return "plain_clocks";
    case PlantedBug::reply_from_another_key:
      return "reply_from_another_key";
    case PlantedBug::tie_by_arrival:
      return "tie_by_arrival";
    case PlantedBug::lease_not_synced:
      return "lease_not_synced";
    case PlantedBug::stale_read_repair:
      return "stale_read_repair";
    case PlantedBug::tie_never_repaired:
      return "tie_never_repaired";
    case PlantedBug::dead_owner_waited_for:
      return "dead_owner_waited_for";
    case PlantedBug::tombstone_reaped_at_once:
      return "tombstone_reaped_at_once";
    case PlantedBug::late_replies_kept:
      return "late_replies_kept";
    case PlantedBug::never_done:
      return "never_done";
    case PlantedBug::executed_after_its_age:
      return "executed_after_its_age";
    case PlantedBug::spent_forgotten_by_sync:
      return "spent_forgotten_by_sync";
    case PlantedBug::spent_forgotten_by_update:
      return "spent_forgotten_by_update";
    case PlantedBug::stamp_not_above_held:
      return "stamp_not_above_held";
    case PlantedBug::stamp_not_above_seen:
      return "stamp_not_above_seen";
    case PlantedBug::reconcile_not_compared:
      return "reconcile_not_compared";
    case PlantedBug::edit_twice:
      return "edit_twice";
    case PlantedBug::siblings_not_told:
      return "siblings_not_told";
    case PlantedBug::document_tag_forgotten:
      return "document_tag_forgotten";
    case PlantedBug::document_cover_too_large:
      return "document_cover_too_large";
    case PlantedBug::document_gap_skipped:
      return "document_gap_skipped";
    case PlantedBug::document_self_of_another:
      return "document_self_of_another";
    case PlantedBug::document_write_counted_twice:
      return "document_write_counted_twice";
    case PlantedBug::document_event_settled_early:
      return "document_event_settled_early";
    case PlantedBug::document_table_deleted:
      return "document_table_deleted";
    case PlantedBug::note_by_clock_alone:
      return "note_by_clock_alone";
    case PlantedBug::born_by_clock_alone:
      return "born_by_clock_alone";
    case PlantedBug::learnt_notes_by_clock:
      return "learnt_notes_by_clock";
    case PlantedBug::forgotten_in_the_future:
      return "forgotten_in_the_future";
    case PlantedBug::pointer_order:
      return "pointer_order";
    case PlantedBug::tombstone_aged_by_wall_clock:
      return "tombstone_aged_by_wall_clock";
    case PlantedBug::hint_released_unconfirmed:
      return "hint_released_unconfirmed";
    case PlantedBug::first_epoch_by_clock_alone:
      return "first_epoch_by_clock_alone";
    case PlantedBug::flip_counted_before_data:
      return "flip_counted_before_data";
    case PlantedBug::count:
      break;
  }
  return "unknown";
}

const char* number_of(PlantedBug bug) {
  switch (bug) {
    case PlantedBug::context_covers_too_much:
      return "P1";
    case PlantedBug::plain_clocks:
      return "P2";
    case PlantedBug::reply_from_another_key:
      return "P3";
    case PlantedBug::write_id_ignored:
      return "P4";
    case PlantedBug::sync_keeps_ancestors:
      return "P5";
    case PlantedBug::tie_by_arrival:
      return "P6";
    case PlantedBug::epoch_reused:
      return "P7";
    case PlantedBug::first_epoch_by_clock_alone:
      return "P7";
    case PlantedBug::lease_not_synced:
      return "P8";
    case PlantedBug::stale_read_repair:
      return "P9";
    case PlantedBug::tree_not_updated:
      return "P10";
    case PlantedBug::reap_before_all_owners:
      return "P14";
    case PlantedBug::tombstone_aged_by_wall_clock:
      return "P14";
    case PlantedBug::hint_released_unconfirmed:
      return "P16";
    case PlantedBug::doomstone:
      return "P15";
    case PlantedBug::table_tie_by_arrival:
      return "P17";
    case PlantedBug::slot_epoch_not_raised:
      return "P18";
    case PlantedBug::source_drops_early:
      return "P20";
    case PlantedBug::in_flight_write_not_forwarded:
      return "P21";
    case PlantedBug::tie_never_repaired:
      return "P11";
    case PlantedBug::no_fallback:
      return "P12";
    case PlantedBug::dead_owner_waited_for:
      return "P13";
    case PlantedBug::tombstone_reaped_at_once:
      return "P14";
    case PlantedBug::hint_dropped_on_send:
      return "P16";
    case PlantedBug::ack_before_flush:
      return "P19";
    case PlantedBug::late_replies_kept:
      return "P22";
    case PlantedBug::answered_twice:
      return "P23";
    case PlantedBug::never_done:
      return "P24";
    case PlantedBug::pointer_order:
      return "P25";
    default:
      return "-";
  }
}
#endif

}  // namespace ringlet
