// What an application is shown of an object: one rule for every surface (the value of a reply, its
// count of siblings, whether it is a conflict, when an update has come to its end).
//
// A version is living or deleted (a tombstone). Two or more living versions that differ in value or
// content type are a conflict (Dynamo 4.4: the application reconciles them). What a delete beside a
// concurrent write means is the reader's choice, `Deletes`, because stores cannot know it: a cart
// keeps the write, a session that was logged out must not come back.
#pragma once

#include <cstdint>
#include <vector>

#include "versioning/object.hpp"

namespace ringlet {

enum class Deletes : std::uint8_t {
  lose = 0,  // the concurrent write survives; the tombstone is not shown (R4.4-b)
  win = 1,   // the key reads as missing while a tombstone is among its versions
  ask = 2,   // tombstones are shown beside living versions, flagged; the resolver decides
};

// The content type of a document (core/document). Equal bytes of two documents may be two different
// events, each written with tags that mean its own dot, so documents are never shown as one.
inline constexpr BytesView document_content_type = "application/vnd.ringlet.document";

struct Shown {
  std::vector<const Version*> versions;  // by dot; pointers into the object
  bool conflict = false;                 // wants a resolver before it is one value
};

// The versions that a reader with this choice is shown. Living versions that are equal in value and
// content type are shown as one, under the newest one's dot and time; a write with the context
// replaces all of them. Empty: the key reads as missing. The pointers live as long as `object`.
Shown shown(const Object& object, Deletes deletes = Deletes::lose);

}  // namespace ringlet
