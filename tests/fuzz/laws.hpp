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

inline void hold_join_laws(const Object& a, const Object& b, const Object& c) {
  Object ab = joined(a, b), bc = joined(b, c);
  hold(encode_record(ab) == encode_record(joined(b, a)), "sync is not commutative");
  hold(encode_record(joined(a, a)) == encode_record(a), "sync with itself changes an object");
  hold(encode_record(joined(ab, b)) == encode_record(ab), "sync a second time changes an object");
  hold(decode_record(encode_record(ab)).is_ok(), "what sync makes cannot be read again");
  // A bucket has one mode; objects of both only meet by a wrong configuration.
  if (a.mode != b.mode || b.mode != c.mode) return;
  hold(encode_record(joined(ab, c)) == encode_record(joined(a, bc)), "sync is not associative");
}

}  // namespace ringlet::fuzz
