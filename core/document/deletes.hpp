// What a store does besides versioning where documents are deleted.
//
// A document carries a table of the writes that it has seen lately (state.hpp). A tombstone has no table.
// Without it a second copy of a write, executed after the document was deleted, would bring the deleted
// effects back. So the functions below, when they drop a document beside a tombstone, add the writes of its
// table to the object's notes of replaced writes (L18), from which the next reader takes them. These writes
// were replaced: the document's writer had seen them, and the document is replaced.
//
// Not part of sync(), which has to be associative: a document that is dropped because another document has
// seen it leaves its table there.
#pragma once

#include <vector>

#include "document/state.hpp"

namespace ringlet::document {

// sync(), sync_stored() and update() of versioning/object.hpp, and the notes. Without a tombstone they cost
// no more than those.
bool sync_with_tables(Object& object, const Object& other);
bool sync_stored_with_tables(Object& object, const Object& other);
Dot update_with_tables(Object& object, const CausalContext& seen, const Actor& actor, Write write,
                       std::int64_t wall_us);

}  // namespace ringlet::document
