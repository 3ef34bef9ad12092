// What one seed decided before anything ran: the cluster, the workloads, the faults and when. A plan
// can be made smaller without its rest changing: each part has a random stream of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/client_core.hpp"
#include "sim/world.hpp"

namespace ringlet::sim {

enum class WorkloadKind {
  carts,
  registers,
  sets,
  deletes,
  sessions,
  hot_key,
  stamps,
  strict,     // quorums that overlap, of several clients (L21)
  careful,    // one client to a key, each step after the one before was acknowledged (L18)
  counters,   // updates whose edit is not idempotent (L22)
  documents,  // edits of values that merge themselves (L23)
  count
};
const char* name_of(WorkloadKind kind);
std::optional<WorkloadKind> workload_named(const std::string& name);

enum class FaultKind {
  process_crash,  // kill -9
  machine_crash,  // what was not synced is gone; all machines at once where writes wait for the disk
  dead_owners,    // every owner of a key is killed
  lost_disk,      // F-14
  old_disk,       // F-15: a backup comes back
  pause,          // F-08
  split,          // F-20: two sides, each with clients
  one_way,        // F-21
  zone_split,     // a zone apart from the others
  loss,           // F-22: the next four
  delay,
  duplicates,
  slow_node,
  slow_disk,   // F-12
  full_disk,   // F-10
  io_errors,   // F-11
  skew,        // F-30: every clock is off by minutes from the start
  clock_jump,  // F-30: a node's clock jumps, there and back
  // Added with a stream of their own, so that it changes no other seed.
  part_split,    // two groups do not hear each other; the rest, and every client, hears both
  hint_holder,   // F-05: whoever has the most hints is killed
  far_clock,     // F-109: a node's clock is days ahead, or behind, from then on
  client_pause,  // F-100: a client sleeps, with calls under way
  // The ring changes; only plans with strangers have these.
  ring_join,         // a stranger is joined
  ring_leave,        // a member leaves
  ring_replace,      // O-14, F-42: a dead member is replaced, and comes back later
  split_changes,     // F-40: a split, and a change on each side
  transfer_crash,    // F-70: source, destination or a third owner is killed during a transfer
  join_lost_disk,    // a disk is lost while partitions move
  leave_with_hints,  // F-45: whom hints are for, or who has them, leaves
  count
};
const char* name_of(FaultKind kind);

struct FaultSpec {
  FaultKind kind;
  Duration at, length;  // `at` from the start of the run
  std::uint64_t seed;   // whom it hits, and how
};

struct Plan {
  std::uint64_t seed = 0;
  std::size_t nodes = 3, clients = 3, keys = 2;
  std::uint32_t partitions = 16, n = 3;
  std::uint8_t r = 2, w = 2;
  Coordination coordination = Coordination::server;
  WriteDurability durability = WriteDurability::log;
  Reconcile reconcile = Reconcile::siblings;
  Duration timeout = Duration::millis(2000);  // of a client's call
  Duration retry = Duration::millis(500);     // of the failure detector
  Duration scan = Duration::millis(1000);     // for hints
  Duration length = Duration::seconds(8);
  std::size_t max_siblings = 1000;
  std::size_t zones = 1;
  std::size_t strangers = 0;   // nodes that wait to be joined; 0: the ring never changes
  bool slow_moves = false;     // transfers take seconds
  bool mixed_files = false;    // the last founder's file says another reconcile (F-102)
  bool forged_stamps = false;  // now and then a context says that it has seen stamps of next year
  bool reaping = false;        // tombstones are forgotten within seconds
  Duration grace = Duration::millis(1500);  // of deletes, where they are forgotten
  bool anti_entropy = false;           // trees are compared every second, not every half minute
  std::uint64_t hint_bytes = 0;        // kept for one owner that is down; 0: as many as there are
  std::vector<std::uint32_t> weights;  // one a node; empty: equal
  std::size_t operations = SIZE_MAX;   // no more begin
  std::vector<WorkloadKind> workloads;
  std::vector<FaultSpec> faults;

  bool has(FaultKind kind) const;
  // Replaced writes that a row remembers: few, so that a run comes to where they are forgotten.
  static constexpr std::size_t most_spent() { return 64; }
  static constexpr std::size_t most_joined() { return 4 * most_spent(); }
  std::string text() const;
};

// The swarm: everything is drawn. The shoppers: carts on three to six nodes, as the first simulator.
Plan draw_swarm(std::uint64_t seed);
Plan draw_shoppers(std::uint64_t seed);
// Strict readers and writers while nodes join, leave, are replaced and die (L21).
Plan draw_strict(std::uint64_t seed);

// What is left of a plan after shrinking, and the flags that say so.
struct Smaller {
  std::optional<std::size_t> nodes, clients, operations;
  std::optional<std::vector<std::size_t>> faults;  // by their number in the drawn plan
  std::optional<std::vector<WorkloadKind>> workloads;
  std::string flags() const;
};
Plan made_smaller(Plan plan, const Smaller& smaller);

}  // namespace ringlet::sim
