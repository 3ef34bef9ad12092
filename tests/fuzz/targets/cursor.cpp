// cursor: how far a pull had come, as a disk gives it back
#include "fuzz/input.hpp"
#include "fuzz/target.hpp"
#include "repair/partition_transfer.hpp"
#include "versioning/hash.hpp"

namespace ringlet::fuzz {

Verdict cursor(BytesView input) {
  Input in(input);
  bool as_it_lay = in.byte() % 2 == 0;
  Bytes bytes(in.rest());
  if (!as_it_lay) append_u64(bytes, xxh3(bytes));
  auto cursor = decode_cursor(bytes);
  if (!cursor) {
    hold(cursor.status().code() == Code::corrupt, "refused with another code");
    return Verdict::refused;
  }
  auto again = decode_cursor(encode_cursor(*cursor));
  hold(again.is_ok() && *again == *cursor, "a cursor does not survive its bytes");
  return Verdict::taken;
}

}  // namespace ringlet::fuzz
