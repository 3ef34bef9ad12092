// What a replica stores for a key: the versions nobody has superseded, and the exact context of
// everything it ever saw of the key. A version replaces another iff the other's dot was in the
// context it was written with; an object therefore never holds an ancestor beside a descendant.
// (Dotted version vectors: Preguiça et al. 2010, arXiv 1011.5808; Almeida et al., DAIS 2014.)
//
// Three changes only (architecture, decision 3), all pure:
//   update  a put at its minter        remove  a delete at its minter        sync  everything else
// sync is commutative, associative and idempotent.
//
// An object also remembers the ids of writes that were replaced (L18). A write may be executed twice:
// by a node that slept while the client asked another one, or because a client repeats it. The second
// execution has a dot that no context covers, so only the write's id can tell that the write was
// replaced meanwhile. update() notes the ids of what it replaces; sync() joins the notes and removes
// every version whose id is noted.
//
// With last-write-wins (O-19) an object holds one version and no context; its order is
// (written_us, actor, hash of the value), and update() always stamps above what it finds (L19).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "versioning/causal_context.hpp"

namespace ringlet {

enum class Reconcile : std::uint8_t { siblings = 0, lww = 1 };

// One immutable version of a value (R4.4-c).
struct Version {
  Dot dot;
  WriteId write_id;             // which write this is, however often it was minted
  std::int64_t written_us = 0;  // the minter's wall clock, microseconds since 1970
  bool tombstone = false;       // a delete; value is empty
  Bytes value;
  Bytes content_type;
  friend bool operator==(const Version&, const Version&) = default;
};

// Stands for a write id where only its identity matters. Of 128 remembered ones a new write meets one
// by chance once in 10^17.
std::uint64_t fingerprint(WriteId id);

// A write that was replaced, and when: by the minter's clock, and at least a millisecond after the stamp of
// the version, after what the minter's copy had noted or forgotten before, and after all that the writer's
// read had (Write::above_us). So the order of the times is that of the replacements as far as one knew of the
// other, whatever the clocks say, and the oldest can be told where there are too many.
struct SpentWrite {
  std::uint64_t fingerprint = 0;
  std::int64_t time_ms = 0;  // milliseconds since 1970
  friend bool operator==(const SpentWrite&, const SpentWrite&) = default;
};

struct Object {
  Reconcile mode = Reconcile::siblings;
  CausalContext context;          // covers every version's dot (siblings mode)
  std::vector<Version> versions;  // sorted by dot
  // Replaced writes, sorted by fingerprint, each once. In siblings mode none of them is a version's.
  std::vector<SpentWrite> spent;
  // The newest time of those that were forgotten for want of room; 0: none was.
  std::int64_t forgotten_ms = 0;
  bool missing() const { return versions.empty() && context.empty(); }
  bool is_spent(WriteId id) const;
  // Whether both show the same. What they remember of replaced writes is not compared, as the times of
  // a context are not: each replica forgets at its own time.
  friend bool operator==(const Object& a, const Object& b) {
    return a.mode == b.mode && a.context == b.context && a.versions == b.versions;
  }
};

// What a write brings.
struct Write {
  WriteId write_id;
  bool tombstone = false;
  Bytes value;
  Bytes content_type;
  // What is known of its writer; none of it is stored as such.
  std::vector<std::uint64_t> replaces = {};  // fingerprints of the versions its writer was shown
  // Since the write was first sent: by its client's clock, and by what those who hand it on see it wait.
  // 0: it is new.
  std::uint32_t age_ms = 0;
  void grow_older(std::int64_t more_ms);
  std::int64_t born_us = 0;  // last-write-wins: its client's clock when it was made; 0: not told
  // The newest stamp that its writer has seen (newest_stamp_shown); 0: none. Last-write-wins puts the
  // version above it, with siblings the notes of what it replaces are later.
  std::int64_t above_us = 0;
};

// Mints: drops the versions that `seen` covers and those that `write.replaces` names, remembers their
// ids, gives the write the actor's next dot and adds it. A write id that is already among the versions
// mints nothing; its dot is returned. One that was replaced mints nothing either: the write was done,
// and a dot without a counter is returned. `wall_us` is the minter's clock.
//
// With last-write-wins the version's stamp is max(the clock when the write was made, the stamp held
// here + 1, the stamp its writer has seen + 1): what follows, by what its writer knows or at this
// replica, wins, whatever the clocks say. The writer's own clock counts unless it is more than
// `max_born_ahead_us` ahead of the minter's and of the stamp held here, so that one write has one stamp
// whoever executes it.
Dot update(Object& object, const CausalContext& seen, const Actor& actor, Write write,
           std::int64_t wall_us);
inline constexpr std::int64_t max_born_ahead_us = 30'000'000;

// Whether a version carries the write's id and something else than the write: one id for two writes.
bool contradicts(const Object& object, const Write& write);

// A delete: an update whose version is a tombstone, so that a concurrent put survives it (O-5).
Dot remove(Object& object, const CausalContext& seen, const Actor& actor, WriteId write_id,
           std::int64_t wall_us);

// Joins what another replica knows into this one. Returns whether `object` changed.
bool sync(Object& object, const Object& other);

// Joins into what is stored here: sync, and two things which are not part of sync, since it has to be associative.
// With siblings the notes that are learnt come after all that are here, or those of a row whose minter's clock was
// behind would be the first to be forgotten for want of room. And last-write-wins' care for a write that was
// executed twice. Its second copy may have a later stamp than a write that replaced the first copy, having seen it. The notes
// tell: where they say of the earlier version alone that it has replaced the later one, it is stamped anew,
// just above, as it would be if it were executed here now.
bool sync_stored(Object& object, const Object& other);

// Whether sync would change what `object` shows or has seen; more remembered ids alone are no reason to
// send a copy, or replicas that forget at different times would mend each other for ever.
bool lacks(const Object& object, const Object& other);

// Notes more writes as replaced: those that were replaced before versions that are (core/document). A late
// copy of one goes at once. Returns whether `object` changed.
bool add_spent(Object& object, std::vector<SpentWrite> notes);

// How long and how many replaced writes are remembered. A request lives an hour at most (longer
// time-outs are refused), so whatever is older than that is refused before it gets here. The number needs no
// clock: which are the oldest is told by the order of the notes.
struct SpentLimits {
  std::int64_t life_s = 3600 + 600;  // the life of a request, and a margin for clocks that disagree
  // Beyond this the oldest go: 11 bytes each. A row that took the notes of another row has more for a while and
  // loses two with each change: where clocks differ, the times of two rows that did not know of each other do
  // not tell which notes are the older ones, and all notes of one of them would go at once.
  std::size_t most = 256;
  std::size_t most_joined = 1024;  // what is beyond this goes at once
  // A repetition of a write is executed where a row can't tell whether it is one, while the first copy of it
  // may still be under way; a later one is refused there.
  std::int64_t repeat_s = 5;
  std::int64_t clocks_s =
      30;  // two clocks are at most so far apart, where the age of a write is judged
  // In siblings mode beside a tombstone, which replaced what a document knew of earlier writes: as much as a
  // document remembers (document/edits.hpp, Limits).
  std::size_t most_deleted = 1024;
  // Clocks are at most so far apart, the margin of life_s. A time that is further ahead of this clock than
  // that says when nothing was forgotten.
  std::int64_t apart_s = 600;
};
// Forgets what is older than its life by this clock and by the newest version's stamp, so that neither
// clock alone can make a replica forget; and the oldest where there are too many, which raises
// forgotten_ms. The time of a note tells its order, and may be far ahead of all clocks, because one of them was
// ahead or a context is forged. What is forgotten was replaced before now, so forgotten_ms is not later than now
// then; otherwise repetitions of writes of the key would be refused until that time. Without a clock at hand
// (no `wall_us`) the newest version's stamp is taken for it. A local matter of whoever stores, not part of
// sync: cutting a set to its newest is not associative. Returns the number forgotten.
std::size_t forget_spent(Object& object, std::optional<std::int64_t> wall_us, const SpentLimits&);

// The newest stamp that a reader of the object was shown, microseconds since 1970: with last-write-wins the
// version's, with siblings the newest of the versions' and of the notes of replaced writes. 0: none.
std::int64_t newest_stamp_shown(const Object& object);

// A last-write-wins object of one version with this stamp.
Object lww_object(NodeId stamper, Write write, std::int64_t wall_us);

// What an application is shown: each write once, two dots of one write id folded into one
// (decision 5); tombstones left out when nothing else remains. Pointers into `object`.
std::vector<const Version*> siblings(const Object& object);

struct Truncation {
  std::size_t threshold = 50;            // entries; more than this is truncated
  std::int64_t minimum_age_ms = 20'000;  // younger entries stay (O-3)
  std::int64_t apart_ms =
      86'400'000;  // a time further ahead is of no clock, and such entries go first
};
// Drops the oldest entries of a context beyond the threshold (R4.4-g with the guards of O-3): never
// the dot of a living version, never `keep`, never a young one; ties by actor. Only the minter
// truncates, before it replicates. Returns the number dropped.
std::size_t truncate(Object& object, const Actor& keep, std::int64_t wall_ms, const Truncation&);

}  // namespace ringlet
