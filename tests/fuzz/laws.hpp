// That sync is a join (O-2), on any three objects that decode: replicas that have heard the same
// are byte-equal, whoever met whom first, and however often.
#pragma once

#include "fuzz/target.hpp"
#include "versioning/encoding.hpp"
#include "versioning/object.hpp"

namespace ringlet::fuzz {

inline Object joined(Object a, const Object& b) {
  Bytes before = encode_record(a);
  bool changed = sync(a, b);
  hold(changed == (encode_record(a) != before), "sync does not say whether it changed the object");
  return a;
}

// Does one dot name two versions, which an actor's epoch prevents in life? Then every replica keeps the
// same one of the two, but not where a note of the one's write id met it first.
inline bool names_two(const Object& a, const Object& b) {
  for (const Version& mine : a.versions) {
    for (const Version& theirs : b.versions) {
      if (mine.dot == theirs.dot && mine != theirs) return true;
    }
  }
  return false;
}

inline void hold_join_laws(const Object& a, const Object& b, const Object& c) {
  Object ab = joined(a, b), bc = joined(b, c);
  hold(encode_record(ab) == encode_record(joined(b, a)), "sync is not commutative");
  hold(encode_record(joined(a, a)) == encode_record(a), "sync with itself changes an object");
  hold(encode_record(joined(ab, b)) == encode_record(ab), "sync a second time changes an object");
  hold(decode_record(encode_record(ab)).is_ok(), "what sync makes cannot be read again");
  // A bucket has one mode; objects of both only meet by a wrong configuration.
  if (a.mode != b.mode || b.mode != c.mode) return;
  bool notes = !a.spent.empty() || !b.spent.empty() || !c.spent.empty();
  bool dotted = a.mode == Reconcile::siblings;
  if (dotted && notes && (names_two(a, b) || names_two(b, c) || names_two(a, c))) return;
  hold(encode_record(joined(ab, c)) == encode_record(joined(a, bc)), "sync is not associative");
}

}  // namespace ringlet::fuzz
