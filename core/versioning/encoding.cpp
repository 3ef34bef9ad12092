#include "versioning/encoding.hpp"

#include <algorithm>
#include <limits>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>
#include <tuple>
#include <utility>

#include "versioning/hash.hpp"

// The fields are core/wire/ringlet.proto's. As proto3 has it, a number that is zero and bytes that
// are empty are not written: the bytes are the ones protobuf's own runtime writes.

namespace ringlet {
namespace {

using protozero::pbf_reader;
using protozero::pbf_writer;

constexpr std::size_t max_items = 65536;
// Far beyond any history. A context comes from outside, and the next counter is one more than its;
// so an object may have higher ones, or a write with a forged context would store what no replica
// can read.
constexpr std::uint64_t max_counter = std::uint64_t{1} << 63;
constexpr char record_format = 1, row_format = 2;
constexpr char context_format = 1;
constexpr std::size_t checksum_bytes = 8;

namespace actor_field {
enum : unsigned { node = 1, epoch = 2 };
}
namespace dot_field {
enum : unsigned { actor = 1, counter = 2 };
}
namespace context_field {
enum : unsigned { entries = 1 };
}
namespace entry_field {
enum : unsigned { actor = 1, counter = 2, last_ms = 3 };
}
namespace version_field {
enum : unsigned {
  dot = 1,
  write_id_high = 2,
  write_id_low = 3,
  written_us = 4,
  tombstone = 5,
  value = 6,
  content_type = 7
};
}
namespace object_field {
enum : unsigned {
  mode = 1,
  context = 2,
  versions = 3,
  spent = 4,         // fingerprints, packed
  spent_newest = 5,  // seconds since 1970
  spent_before = 6,  // how many milliseconds before the newest, packed, one each
  forgotten = 7
};
}
namespace client_field {
enum : unsigned { seen = 1, fastest_reader = 2, cluster = 3, shown = 4, stamp = 5 };
}

// ---- writing ----

void write_actor(pbf_writer& parent, unsigned field, const Actor& actor) {
  pbf_writer out{parent, field};
  if (actor.node) out.add_fixed64(actor_field::node, actor.node.value);
  if (actor.epoch != 0) out.add_uint64(actor_field::epoch, actor.epoch);
}

void write_context(pbf_writer& out, const CausalContext& context) {
  for (const CausalContext::Entry& entry : context.entries()) {
    pbf_writer item{out, context_field::entries};
    write_actor(item, entry_field::actor, entry.actor);
    item.add_uint64(entry_field::counter, entry.counter);
    if (entry.last_ms != 0) item.add_int64(entry_field::last_ms, entry.last_ms);
  }
}

void write_version(pbf_writer& parent, const Version& version) {
  pbf_writer out{parent, object_field::versions};
  {
    pbf_writer dot{out, version_field::dot};
    write_actor(dot, dot_field::actor, version.dot.actor);
    dot.add_uint64(dot_field::counter, version.dot.counter);
  }
  const WriteId& id = version.write_id;
  if (id.high != 0) out.add_fixed64(version_field::write_id_high, id.high);
  if (id.low != 0) out.add_fixed64(version_field::write_id_low, id.low);
  if (version.written_us != 0) out.add_int64(version_field::written_us, version.written_us);
  if (version.tombstone) out.add_bool(version_field::tombstone, true);
  if (!version.value.empty()) out.add_bytes(version_field::value, version.value);
  if (!version.content_type.empty()) {
    out.add_bytes(version_field::content_type, version.content_type);
  }
}

// A row of a key that is written often has some hundred notes, and each of its writes reads and stores them:
// so they are written into room of a known size, not element by element.
void write_spent(pbf_writer& out, const Object& object) {
  const std::vector<SpentWrite>& spent = object.spent;
  if (!spent.empty()) {
    std::int64_t newest = 0;
    for (const SpentWrite& s : spent) newest = std::max(newest, s.time_ms);
    Bytes packed(
        std::max(sizeof(std::uint64_t), std::size_t{protozero::max_varint_length}) * spent.size(),
        '\0');
    char* end = packed.data();
    for (const SpentWrite& s : spent) {
      for (int i = 0; i < 8; ++i) *end++ = static_cast<char>(s.fingerprint >> (8 * i) & 0xff);
    }
    auto written = [&] { return static_cast<std::size_t>(end - packed.data()); };
    out.add_bytes(object_field::spent, packed.data(), written());
    if (newest != 0) out.add_uint64(object_field::spent_newest, static_cast<std::uint64_t>(newest));
    end = packed.data();
    for (const SpentWrite& s : spent) {
      end += protozero::add_varint_to_buffer(end, static_cast<std::uint64_t>(newest - s.time_ms));
    }
    out.add_bytes(object_field::spent_before, packed.data(), written());
  }
  if (object.forgotten_ms != 0) {
    out.add_uint64(object_field::forgotten, static_cast<std::uint64_t>(object.forgotten_ms));
  }
}

void append_u64(Bytes& out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

std::uint64_t read_u64(BytesView bytes) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

// ---- reading ----

// What is wrong with the bytes. Thrown and caught in this file only, like protozero's own.
struct Malformed {
  std::string why;
};

BytesView view(pbf_reader& in) {
  auto v = in.get_view();
  return {v.data(), v.size()};
}

pbf_reader reader_of(BytesView bytes) {
  return pbf_reader{bytes.data(), bytes.size()};
}

constexpr std::uint32_t varint(unsigned field) {
  return protozero::tag_and_type(field, protozero::pbf_wire_type::varint);
}
constexpr std::uint32_t fixed64(unsigned field) {
  return protozero::tag_and_type(field, protozero::pbf_wire_type::fixed64);
}
constexpr std::uint32_t bytes(unsigned field) {
  return protozero::tag_and_type(field, protozero::pbf_wire_type::length_delimited);
}

Actor read_actor(pbf_reader in) {
  Actor actor;
  while (in.next()) {
    switch (in.tag_and_type()) {
      case fixed64(actor_field::node):
        actor.node.value = in.get_fixed64();
        break;
      case varint(actor_field::epoch):
        actor.epoch = in.get_uint64();
        break;
      default:
        in.skip();
    }
  }
  return actor;
}

std::uint64_t read_counter(pbf_reader& in, std::uint64_t limit) {
  std::uint64_t counter = in.get_uint64();
  if (counter > limit) {
    throw Malformed{"a counter is " + std::to_string(counter) + ", at most " +
                    (limit == max_counter ? "2^63" : "2^62") + " is possible"};
  }
  return counter;
}

Dot read_dot(pbf_reader in) {
  Dot dot;
  while (in.next()) {
    switch (in.tag_and_type()) {
      case bytes(dot_field::actor):
        dot.actor = read_actor(in.get_message());
        break;
      case varint(dot_field::counter):
        dot.counter = read_counter(in, max_counter);
        break;
      default:
        in.skip();
    }
  }
  return dot;
}

CausalContext::Entry read_entry(pbf_reader in, std::uint64_t limit) {
  CausalContext::Entry entry;
  while (in.next()) {
    switch (in.tag_and_type()) {
      case bytes(entry_field::actor):
        entry.actor = read_actor(in.get_message());
        break;
      case varint(entry_field::counter):
        entry.counter = read_counter(in, limit);
        break;
      case varint(entry_field::last_ms):
        entry.last_ms = in.get_int64();
        break;
      default:
        in.skip();
    }
  }
  return entry;
}

CausalContext read_context(pbf_reader in, std::uint64_t limit) {
  std::vector<CausalContext::Entry> entries;
  while (in.next()) {
    if (in.tag_and_type() != bytes(context_field::entries)) {
      in.skip();
      continue;
    }
    CausalContext::Entry entry = read_entry(in.get_message(), limit);
    auto fail = [&](const char* why) {
      throw Malformed{"context entry " + to_string(Dot{entry.actor, entry.counter}) + " " + why};
    };
    if (entry.counter == 0) fail("has no counter");
    if (!entries.empty() && !(entries.back().actor < entry.actor)) fail("is out of order or twice");
    if (entries.size() == max_items) throw Malformed{"more than 65536 context entries"};
    entries.push_back(entry);
  }
  CausalContext context;
  context.set_entries(std::move(entries));
  return context;
}

Version read_version(pbf_reader in) {
  Version version;
  while (in.next()) {
    switch (in.tag_and_type()) {
      case bytes(version_field::dot):
        version.dot = read_dot(in.get_message());
        break;
      case fixed64(version_field::write_id_high):
        version.write_id.high = in.get_fixed64();
        break;
      case fixed64(version_field::write_id_low):
        version.write_id.low = in.get_fixed64();
        break;
      case varint(version_field::written_us):
        version.written_us = in.get_int64();
        break;
      case varint(version_field::tombstone):
        version.tombstone = in.get_uint64() != 0;  // get_bool() may read beyond the end (1.7.1)
        break;
      case bytes(version_field::value):
        version.value = Bytes(view(in));
        break;
      case bytes(version_field::content_type):
        version.content_type = Bytes(view(in));
        break;
      default:
        in.skip();
    }
  }
  return version;
}

std::int64_t read_millis(std::uint64_t millis, const char* what) {
  // Far beyond any clock, and small enough to be told in microseconds.
  constexpr std::uint64_t most = std::uint64_t{1} << 52;
  if (millis > most) {
    throw Malformed{std::string(what) + " is " + std::to_string(millis) +
                    " ms, at most 2^52 is possible"};
  }
  return static_cast<std::int64_t>(millis);
}

void read_fingerprints(pbf_reader& in, std::vector<std::uint64_t>& prints, const char* what) {
  auto packed = in.get_packed_fixed64();
  if (prints.size() + packed.size() > max_items) {
    throw Malformed{std::string("more than 65536 ") + what};
  }
  prints.reserve(prints.size() + packed.size());
  for (std::uint64_t print : packed) prints.push_back(print);
}

// Replaced writes as they come: their times follow their fingerprints, counted back from the newest.
struct SpentFields {
  std::vector<std::uint64_t> prints, before;
  std::int64_t newest = 0;

  void read_before(pbf_reader& in) {
    before.reserve(before.size() + prints.size());  // as many, in what this writes
    for (std::uint64_t millis : in.get_packed_uint64()) {
      if (before.size() == max_items) throw Malformed{"more than 65536 times of replaced writes"};
      before.push_back(millis);
    }
  }
  void give(Object& object) const {
    if (prints.empty() && before.empty() && newest == 0) return;
    if (prints.size() != before.size()) {
      throw Malformed{std::to_string(prints.size()) + " replaced writes have " +
                      std::to_string(before.size()) + " times, wanted as many"};
    }
    object.spent.reserve(prints.size() + 2);  // the next write adds one, mostly
    object.spent.resize(prints.size());
    bool reached = prints.empty() && newest == 0;
    std::uint64_t earliest = 0;
    for (std::size_t i = 0; i < prints.size(); ++i) {
      if (i > 0 && prints[i - 1] >= prints[i]) {
        throw Malformed{"a replaced write is out of order or twice"};
      }
      earliest = std::max(earliest, before[i]);
      reached |= before[i] == 0;
      object.spent[i] = {prints[i],
                         static_cast<std::int64_t>(static_cast<std::uint64_t>(newest) - before[i])};
    }
    if (earliest > static_cast<std::uint64_t>(newest)) {
      throw Malformed{"a replaced write is of a time before 1970"};
    }
    if (!reached) throw Malformed{"no replaced write is of the time of the newest"};
  }
};

void check(const Object& object) {
  const Version* last = nullptr;
  for (const Version& version : object.versions) {
    auto fail = [&](const char* why) {
      throw Malformed{"version " + to_string(version.dot) + " " + why};
    };
    if (version.dot.counter == 0) fail("has no counter");
    if (last != nullptr && !(last->dot < version.dot)) fail("is out of order or twice");
    if (version.tombstone && !version.value.empty()) fail("is a tombstone with a value");
    if (object.mode == Reconcile::siblings && !object.context.contains(version.dot)) {
      fail("is not covered by the object's context");
    }
    if (object.mode == Reconcile::siblings && object.is_spent(version.write_id)) {
      fail("is of a write that was replaced, as the same object says");
    }
    last = &version;
  }
  if (object.mode == Reconcile::lww && object.versions.size() > 1) {
    throw Malformed{"a last-write-wins object has " + std::to_string(object.versions.size()) +
                    " versions, at most 1 is possible"};
  }
  if (object.mode == Reconcile::lww && !object.context.empty()) {
    throw Malformed{"a last-write-wins object has a context"};
  }
}

Object read_object(pbf_reader in) {
  Object object;
  SpentFields spent;
  while (in.next()) {
    switch (in.tag_and_type()) {
      case varint(object_field::mode): {
        std::uint64_t mode = in.get_uint64();
        if (mode > 1) throw Malformed{"mode is " + std::to_string(mode) + ", 0 and 1 are known"};
        object.mode = static_cast<Reconcile>(mode);
        break;
      }
      case bytes(object_field::context):
        object.context = read_context(in.get_message(), max_counter);
        break;
      case bytes(object_field::versions):
        if (object.versions.size() == max_items) throw Malformed{"more than 65536 versions"};
        object.versions.push_back(read_version(in.get_message()));
        break;
      case bytes(object_field::spent):
        read_fingerprints(in, spent.prints, "replaced writes");
        break;
      case varint(object_field::spent_newest):
        spent.newest = read_millis(in.get_uint64(), "the newest replaced write's time");
        break;
      case bytes(object_field::spent_before):
        spent.read_before(in);
        break;
      case varint(object_field::forgotten):
        object.forgotten_ms = read_millis(in.get_uint64(), "the time of the forgotten writes");
        break;
      default:
        in.skip();
    }
  }
  spent.give(object);
  check(object);
  return object;
}

ClientContext read_client_context(pbf_reader in) {
  ClientContext context;
  while (in.next()) {
    switch (in.tag_and_type()) {
      case bytes(client_field::seen):
        context.seen = read_context(in.get_message(), max_seen_counter);
        break;
      case fixed64(client_field::fastest_reader):
        context.fastest_reader.value = in.get_fixed64();
        break;
      case fixed64(client_field::cluster):
        context.cluster = in.get_fixed64();
        break;
      case bytes(client_field::shown):
        read_fingerprints(in, context.shown, "writes in a context");
        break;
      case varint(client_field::stamp):
        context.stamp_us = in.get_int64();
        break;
      default:
        in.skip();
    }
  }
  return context;
}

// The one place where malformed bytes become a Status: fail(why) says of what.
template <typename Read, typename Fail>
auto guarded(const Read& read, const Fail& fail) -> Result<decltype(read())> {
  try {
    return read();
  } catch (const Malformed& malformed) {
    return fail(malformed.why);
  } catch (const protozero::exception& e) {
    return fail(std::string("not a protobuf message (") + e.what() + ")");
  }
}

// Sentences are put together only when something is wrong.
auto corrupt(const char* what) {
  return [what](const std::string& why) { return Status(Code::corrupt, what + (": " + why)); };
}

}  // namespace

void encode_object(const Object& object, Bytes& out) {
  pbf_writer writer{out};
  if (object.mode != Reconcile::siblings) {
    writer.add_uint64(object_field::mode, static_cast<std::uint64_t>(object.mode));
  }
  if (!object.context.empty()) {
    pbf_writer context{writer, object_field::context};
    write_context(context, object.context);
  }
  for (const Version& version : object.versions) write_version(writer, version);
  write_spent(writer, object);
}

Result<Object> decode_object(BytesView bytes) {
  return guarded([&] { return read_object(reader_of(bytes)); }, corrupt("object"));
}

Bytes encode_record(const Object& object, std::uint64_t minter) {
  std::size_t estimate = 64 + 48 * object.context.size() + 11 * object.spent.size();
  for (const Version& v : object.versions) estimate += 96 + v.value.size() + v.content_type.size();
  Bytes out;
  out.reserve(estimate);
  out.assign(1 + checksum_bytes, '\0');
  out[0] = minter == 0 ? record_format : row_format;
  if (minter != 0) append_u64(out, minter);
  encode_object(object, out);
  // The format is the seed of the checksum (0 for the first), so one is not taken for the other.
  std::uint64_t checksum =
      xxh3(BytesView(out).substr(1 + checksum_bytes), minter == 0 ? 0 : row_format);
  for (std::size_t i = 0; i < checksum_bytes; ++i) {
    out[1 + i] = static_cast<char>(checksum >> (8 * i));
  }
  return out;
}

Result<Record> decode_row(BytesView bytes) {
  if (bytes.size() < 1 + checksum_bytes) {
    return Status(Code::corrupt,
                  "record: wanted at least 9 bytes, got " + std::to_string(bytes.size()));
  }
  if (bytes[0] != record_format && bytes[0] != row_format) {
    return Status(Code::corrupt, "record: wanted format 1 or 2, got format " +
                                     std::to_string(static_cast<unsigned char>(bytes[0])));
  }
  BytesView body = bytes.substr(1 + checksum_bytes);
  if (read_u64(bytes.substr(1, checksum_bytes)) !=
      xxh3(body, bytes[0] == record_format ? 0 : row_format)) {
    return Status(Code::corrupt, "record: the checksum does not fit the " +
                                     std::to_string(body.size()) + " bytes it was made for");
  }
  Record record;
  if (bytes[0] == row_format) {
    if (body.size() < 8) {
      return Status(Code::corrupt,
                    "record: wanted 8 bytes of minter, got " + std::to_string(body.size()));
    }
    record.minter = read_u64(body.substr(0, 8));
    body.remove_prefix(8);
    if (record.minter == 0) return Status(Code::corrupt, "record: format 2 has minter 0");
  }
  auto object = guarded([&] { return read_object(reader_of(body)); }, corrupt("record"));
  if (!object) return object.status();
  record.object = std::move(*object);
  return record;
}

Result<Object> decode_record(BytesView bytes) {
  auto record = decode_row(bytes);
  if (!record) return record.status();
  return std::move(record->object);
}

void encode_causal_context(const CausalContext& context, Bytes& out) {
  pbf_writer writer{out};
  write_context(writer, context);
}

Result<CausalContext> decode_causal_context(BytesView bytes) {
  return guarded([&] { return read_context(reader_of(bytes), max_seen_counter); },
                 corrupt("context"));
}

namespace {

std::uint64_t seed_of(const Key& key) {
  Token token = token_of(key);
  return token.high ^ token.low;
}

Bytes encode_body(const ClientContext& context) {
  Bytes out(1, context_format);
  pbf_writer writer{out};
  if (!context.seen.empty()) {
    pbf_writer seen{writer, client_field::seen};
    write_context(seen, context.seen);
  }
  if (context.fastest_reader) {
    writer.add_fixed64(client_field::fastest_reader, context.fastest_reader.value);
  }
  if (context.cluster != 0) writer.add_fixed64(client_field::cluster, context.cluster);
  if (!context.shown.empty()) {
    writer.add_packed_fixed64(client_field::shown, context.shown.begin(), context.shown.end());
  }
  if (context.stamp_us != 0) writer.add_int64(client_field::stamp, context.stamp_us);
  return out;
}

// A context that has become too long forgets what changed longest ago. That is safe: a client that
// claims to have seen less supersedes less, so the worst is a sibling that was none (a false
// conflict, which its next write merges), never a lost write.
void forget_oldest(CausalContext& seen, std::size_t count) {
  std::vector<CausalContext::Entry> entries = seen.entries();
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::tie(a.last_ms, a.actor) < std::tie(b.last_ms, b.actor);
  });
  entries.erase(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(count));
  seen.set_entries(std::move(entries));
}

Status invalid_context(const Key& key, const std::string& why) {
  return Status(Code::invalid_context, "context for " + printable(key) + ": " + why);
}

}  // namespace

ClientContext context_of(const Object& object, NodeId fastest_reader, std::uint64_t cluster) {
  ClientContext context;
  context.seen = object.context;
  context.fastest_reader = fastest_reader;
  context.cluster = cluster;
  context.stamp_us = newest_stamp_shown(object);
  for (const Version& version : object.versions) {
    if (!version.write_id) continue;
    std::uint64_t print = fingerprint(version.write_id);
    auto& shown = context.shown;
    if (std::find(shown.begin(), shown.end(), print) == shown.end()) shown.push_back(print);
    if (shown.size() == max_shown) break;
  }
  return context;
}

std::uint64_t cluster_hash(BytesView name) {
  return std::max<std::uint64_t>(xxh3(name), 1);
}

Status check_cluster(const ClientContext& context, const Key& key, BytesView cluster) {
  if (context.cluster == 0 || context.cluster == cluster_hash(cluster)) return Status::ok();
  return invalid_context(key,
                         "is of another cluster, wanted one of \"" + printable(cluster) + "\"");
}

Bytes encode_client_context(const ClientContext& context, const Key& key) {
  constexpr std::size_t room = max_context_bytes - checksum_bytes;
  // 2 + actor (2 + 9 + 11) + counter 11 + last_ms 11: never more, so no more is dropped than must be.
  constexpr std::size_t longest_entry = 46;
  Bytes out = encode_body(context);
  if (out.size() > room) {
    ClientContext shorter = context;
    while (out.size() > room) {
      std::size_t too_many = (out.size() - room + longest_entry - 1) / longest_entry;
      forget_oldest(shorter.seen, std::min(too_many, shorter.seen.size()));
      out = encode_body(shorter);
    }
  }
  append_u64(out, xxh3(out, seed_of(key)));
  return out;
}

Result<ClientContext> decode_client_context(BytesView bytes, const Key& key) {
  if (bytes.empty()) return ClientContext{};
  auto fail = [&](const std::string& why) { return invalid_context(key, why); };

  if (bytes.size() < 1 + checksum_bytes || bytes.size() > max_context_bytes) {
    return fail("wanted 9 to " + std::to_string(max_context_bytes) + " bytes, got " +
                std::to_string(bytes.size()));
  }
  if (bytes[0] != context_format) {
    return fail("wanted format 1, got format " +
                std::to_string(static_cast<unsigned char>(bytes[0])));
  }
  BytesView signed_part = bytes.substr(0, bytes.size() - checksum_bytes);
  if (read_u64(bytes.substr(signed_part.size())) != xxh3(signed_part, seed_of(key))) {
    return fail("context is damaged or belongs to another key (its checksum does not fit)");
  }
  return guarded([&] { return read_client_context(reader_of(signed_part.substr(1))); }, fail);
}

}  // namespace ringlet
