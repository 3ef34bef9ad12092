// Bugs on purpose. A checker that never fails proves nothing, so test builds carry named bugs that
// the simulator switches on one at a time and must find. Without RINGLET_PLANTED_BUGS every
// question is the constant false and no code remains.
#pragma once

namespace ringlet {

enum class PlantedBug {
  none = 0,
  refusal_not_counted,            // coordination: a refusal never moves the vote
  answered_twice,                 // coordination
  no_fallback,                    // coordination: a silent owner is never replaced
  no_hint_at_quorum,              // coordination: late replicas are forgotten at W
  context_covers_too_much,        // node: a read's context claims one more than was read
  hint_dropped_on_send,           // repair: a hint leaves before its owner confirmed
  epoch_reused,                   // node: an actor mints again after losing its copy
  write_id_ignored,               // versioning: siblings fold by dot only
  sync_keeps_ancestors,           // versioning
  ack_before_flush,               // node: durability promised too early
  tree_not_updated,               // node: a write passes its Merkle tree by
  in_flight_write_not_forwarded,  // node: a moving partition's new owner misses a write
  reap_before_all_owners,         // repair: a silent or refusing member does not stop reaping
  doomstone,                      // repair: reaping does not ask for hints and fallbacks' copies
  source_drops_early,             // repair: surplus goes with the first confirmation
  table_tie_by_arrival,           // ring: of two entries of one epoch whoever came first stays
  slot_epoch_not_raised,          // membership: a slot that arrived keeps its epoch
  plain_clocks,                   // versioning: a node's newer version takes its older one's place
  reply_from_another_key,         // node: a replica reads the neighbouring row
  tie_by_arrival,                 // versioning: of two equal stamps whoever came first stays
  lease_not_synced,               // node: a machine stop hands epochs out again
  stale_read_repair,              // coordination: the old versions, with the context of the new
  tie_never_repaired,             // coordination: as many versions pass for the same ones
  dead_owner_waited_for,          // membership: patience without an end
  tombstone_reaped_at_once,       // node: gone before anybody else has it
  late_replies_kept,              // coordination: a finished request still waits for its replies
  never_done,                     // coordination: a request that is answered and stays
  executed_after_its_age,         // node: a request is executed after its asker has given it up
  spent_forgotten_by_sync,        // versioning: ids of replaced writes do not reach other replicas
  spent_forgotten_by_update,      // versioning: ids of replaced writes are not noted
  stamp_not_above_held,           // versioning: a stamp may lie below the one it finds
  stamp_not_above_seen,           // versioning: a stamp may lie below the one its writer has seen
  reconcile_not_compared,         // membership: what never changes may differ between members
  pointer_order,  // coordination: requests hear of a lost node in the order of their addresses
  tombstone_aged_by_wall_clock,  // repair: a delete is as old as its stamp says
  hint_released_unconfirmed,     // repair: a hint beyond the bound goes before any owner has it
  first_epoch_by_clock_alone,    // node: two stores that start in one second count alike
  flip_counted_before_data,  // coordination, node: strict requests count only the owners of now, though
                             // replicas know of incoming ones
  siblings_not_told,         // replica: it does not say what it holds beside a copy (M-12)
  edit_twice,  // client: an update asks for its edit again after the edit was acknowledged
  document_tag_forgotten,        // document: beside a tag of one side that of the other goes
  document_cover_too_large,      // document: a writer claims one write more than it has seen
  document_gap_skipped,          // document: a version's cover has what lies before its dot
  document_self_of_another,      // document: each sibling's own tags get the first one's dot
  document_write_counted_twice,  // document: two dots of one write are two events
  document_table_deleted,  // document: what a document knew of earlier writes goes with its delete
  document_event_settled_early,  // client: a write of a document is never executed twice
  note_by_clock_alone,           // versioning: the time of a note is its minter's clock alone
  learnt_notes_by_clock,  // versioning: learnt notes keep the times of the clocks they were made by
  born_by_clock_alone,    // versioning: a client's clock is judged by the minter's alone
  forgotten_in_the_future,  // versioning: a time that no clock can have told is taken as it is
  count,
};

#ifdef RINGLET_PLANTED_BUGS
bool planted(PlantedBug bug);  // is this bug on, on this thread?
void plant(PlantedBug bug);    // one at a time; none removes it. Per thread.
const char* name_of(PlantedBug bug);
const char* number_of(PlantedBug bug);  // "P12", of failure-modes; "-": not listed there
#else
constexpr bool planted(PlantedBug) {
  return false;
}
#endif

}  // namespace ringlet
