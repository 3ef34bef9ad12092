// record: what a disk gives back, as objects; the laws of sync on any three that are taken
#include <algorithm>

#include "fuzz/input.hpp"
#include "fuzz/laws.hpp"
#include "fuzz/target.hpp"
#include "versioning/hash.hpp"

namespace ringlet::fuzz {
namespace {

// The object of a record whose checksum is made to fit, or a mutation never passes it.
Result<Object> decode_sealed(BytesView body) {
  Bytes record(1, '\1');
  append_u64(record, xxh3(body));
  record += body;
  auto object = decode_record(record);
  auto direct = decode_object(body);
  hold(object.is_ok() == direct.is_ok(), "a record is taken where its object is not, or reversed");
  return object;
}

void hold_survives(const Object& object) {
  Bytes bytes = encode_record(object);
  auto again = decode_record(bytes);
  hold(again.is_ok(), "what was taken is refused once encoded again: " + again.status().message());
  hold(*again == object && encode_record(*again) == bytes, "an object does not survive its record");
}

// What a node does to an object that it read: shows it, writes to it, truncates it.
void hold_usable(Object object) {
  std::size_t shown = siblings(object).size();
  hold(shown <= object.versions.size(), "more is shown than there is");
  CausalContext seen = object.context;
  constexpr std::int64_t wall_us = 1'700'000'000'000'000;
  Actor actor = seen.empty() ? Actor{NodeId{1}, 1} : seen.entries().back().actor;
  update(object, seen, actor, {WriteId{9, 9}, false, "tea", "text/plain"}, wall_us);
  truncate(object, actor, wall_us / 1000, {2, 1000});
  for (const Version& version : object.versions) {
    hold(object.mode == Reconcile::lww || object.context.contains(version.dot),
         "truncation forgot a living version");
  }
  auto again = decode_record(encode_record(object));
  hold(again.is_ok(),
       "an object that was taken cannot be read after one more write: " + again.status().message());
}

}  // namespace

Verdict record(BytesView input) {
  Input in(input);
  std::uint8_t how = in.byte();
  if (how % 2 == 0) {  // as it lay on the disk
    auto object = decode_record(in.rest());
    if (!object) {
      hold(object.status().code() == Code::corrupt, "refused with another code");
      return Verdict::refused;
    }
    hold_survives(*object);
    return Verdict::taken;
  }
  if (how % 4 == 3) {  // with a minter, as own copies lie (format 2)
    BytesView body = in.rest();
    Bytes row(1, '\2');
    append_u64(row, xxh3(body, 2));
    row += body;
    auto record = decode_row(row);
    if (!record) {
      hold(record.status().code() == Code::corrupt, "refused with another code");
      return Verdict::refused;
    }
    hold(record->minter != 0, "a row of format 2 has no minter");
    auto object = decode_record(row);
    hold(object.is_ok() && *object == record->object, "a row reads as two objects");
    auto again = decode_row(encode_record(record->object, record->minter));
    hold(again.is_ok() && again->minter == record->minter && again->object == record->object,
         "a row does not survive");
    hold_survives(record->object);
    hold_usable(record->object);
    return Verdict::taken;
  }
  BytesView first = in.piece(), second = in.piece();
  auto a = decode_sealed(first), b = decode_sealed(second), c = decode_sealed(in.rest());
  for (const auto* each : {&a, &b, &c}) {
    if (!*each) return Verdict::refused;
    hold_survives(**each);
    hold_usable(**each);
  }
  hold_join_laws(*a, *b, *c);
  return Verdict::taken;
}

}  // namespace ringlet::fuzz
