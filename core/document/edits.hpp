// An edit of a document as data: a list of operations on paths. It is applied to what the writer has
// read, by whoever does the reading (ClientCore), and may be sent again under the same write id.
#pragma once

#include <functional>
#include <vector>

#include "document/state.hpp"

namespace ringlet::document {

enum class EditKind : std::uint8_t {
  add = 1,        // to a set: `value`
  remove = 2,     // from a set: `value`; nothing happens where it is not
  increment = 3,  // a counter, by `amount`, which may be negative
  set = 4,        // a register, to `value`
  set_all = 5,    // a register that keeps all concurrent values
  enable = 6,     // a flag
  disable = 7,    // a flag; nothing happens where it is not enabled
  erase = 8,      // the field, whatever it holds; an error where it is not
  discard = 9,    // the same; nothing happens where it is not
  clear = 10,     // what the field holds, or with an empty path the document
};
const char* name_of(EditKind kind);

struct Edit {
  EditKind kind = EditKind::clear;
  std::vector<Scalar> path;  // names of fields from the root to the one that is edited
  Scalar value;
  std::int64_t amount = 0;
  friend bool operator==(const Edit&, const Edit&) = default;
};
using Edits = std::vector<Edit>;

inline constexpr std::size_t max_edits = 4096;  // in one list

// "items/tea"; "the document" for an empty path.
std::string printable(const std::vector<Scalar>& path);

// Not ok: which edit, what was wanted and what was got, by name: invalid_argument; too many: too_large.
Status check(const Edits& edits);
// Bytes and back, canonical like a document's. A list that check() refuses is not read, and refused as there.
Bytes encode(const Edits& edits);
Result<Edits> decode_edits(BytesView bytes);

// How long and how many events a document remembers, and how many actors it says it has seen. An event
// leaves the table at once when its write is known to be executed once (Settled); others stay for as long as a
// request may live. Why the number is enough: those that stay are writes whose client has not edited the key
// since, one of each such client, and writes that were asked of two replicas or twice, which are as many as
// replicas that fell silent have cost. Of those beyond it an event is told by its dots alone: if it
// was written twice and both of its dots have never met, it counts twice (docs/documents.md).
struct Limits {
  std::int64_t life_s = 3600;  // longer than any request lives
  std::size_t most = 1024;     // beyond this the oldest go
  // So many of the latest writes of each actor have their amounts apart, so that a counter which is removed
  // while they are written loses what the remover had seen, and no more.
  std::uint64_t apart = 256;
  std::size_t actors = 64;  // beyond this those go that the store has forgotten
};

// Whether the write with this fingerprint is known to have one dot, now and for ever. Empty: none is.
using Settled = std::function<bool(std::uint64_t print)>;

// The document that a writer writes who has read `state` under the context `seen`: nothing is written
// where an edit does not fit. `now_us`: the writer's clock. Without edits it is a merge.
Result<Document> apply(State state, const CausalContext& seen, const Edits& edits,
                       std::int64_t now_us, const Limits& limits = {}, const Settled& settled = {});

// The document of a value that is none (TakeOver), written at `written_us`: what it holds, said as edits,
// in as many lists as it takes.
Result<Document> taken_over(const std::vector<Edits>& edits, std::int64_t written_us);

}  // namespace ringlet::document
