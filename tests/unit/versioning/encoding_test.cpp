#include "versioning/encoding.hpp"

#include <catch2/catch.hpp>

#include "base/random.hpp"
#include "versioning/hash.hpp"

namespace ringlet {
namespace {

const Key key{"carts", "alice"};

Object sample() {
  Object object;
  std::int64_t us = 1'700'000'000'000'000;
  update(object, {}, {NodeId{0xfedcba9876543210}, 1},
         {WriteId{1, 2}, false, Bytes("a\0b", 3), "text/plain"}, us);
  update(object, {}, {NodeId{7}, 300}, {WriteId{3, 4}, false, "", ""}, us + 1);
  remove(object, {}, {NodeId{8}, 0}, WriteId{5, 0}, -1);
  object.context.add({{NodeId{9}, 1}, 12}, 77);
  return object;
}

ClientContext sample_context() {
  return {sample().context, NodeId{7}};
}

Bytes object_bytes(const Object& object) {
  Bytes out;
  encode_object(object, out);
  return out;
}

// A record whose checksum is right, whatever its body.
Bytes record_of(BytesView body) {
  Bytes out(1, 1);
  std::uint64_t sum = xxh3(body);
  for (int i = 0; i < 8; ++i) out += static_cast<char>(sum >> (8 * i));
  return out.append(body);
}

Bytes context_of(BytesView body, char format = 1) {
  Bytes out = Bytes(1, format).append(body);
  Token t = token_of(key);
  std::uint64_t sum = xxh3(out, t.high ^ t.low);
  for (int i = 0; i < 8; ++i) out += static_cast<char>(sum >> (8 * i));
  return out;
}

bool says(const Status& status, const char* what) {
  return status.message().find(what) != std::string::npos;
}

TEST_CASE("encoding: objects come back as they were, times of entries included") {
  Object object = sample();
  auto again = decode_object(object_bytes(object));
  REQUIRE(again);
  CHECK(*again == object);
  CHECK(object_bytes(*again) == object_bytes(object));
  CHECK(again->context.entries()[2].last_ms == object.context.entries()[2].last_ms);

  auto record = decode_record(encode_record(object));
  REQUIRE(record);
  CHECK(*record == object);

  CHECK(object_bytes(Object{}).empty());
  auto nothing = decode_object("");
  REQUIRE(nothing);
  CHECK(nothing->missing());

  Object stamped = lww_object(NodeId{5}, {WriteId{1, 1}, false, Bytes(100'000, '\xff'), "x"}, 5);
  auto stamped_again = decode_record(encode_record(stamped));
  REQUIRE(stamped_again);
  CHECK(*stamped_again == stamped);

  Bytes appended = "before";
  encode_causal_context(object.context, appended);
  auto context = decode_causal_context(BytesView(appended).substr(6));
  REQUIRE(context);
  CHECK(*context == object.context);
}

TEST_CASE("encoding: the bytes of an object are pinned, stored ones are read for ever") {
  Object object;
  update(object, {}, {NodeId{0x0102030405060708}, 3}, {WriteId{0, 9}, false, "v", "t"}, 5'000'000);
  const unsigned char golden[] = {
      0x12, 0x14, 0x0a, 0x12, 0x0a, 0x0b, 0x09, 8,    7,    6,    5,    4,    3,    2, 1, 0x10,
      3,    0x10, 1,    0x18, 0x88, 0x27, 0x1a, 0x25, 0x0a, 0x0f, 0x0a, 0x0b, 0x09, 8, 7, 6,
      5,    4,    3,    2,    1,    0x10, 3,    0x10, 1,    0x19, 9,    0,    0,    0, 0, 0,
      0,    0,    0x20, 0xc0, 0x96, 0xb1, 0x02, 0x32, 1,    'v',  0x3a, 1,    't'};
  Bytes wanted(reinterpret_cast<const char*>(golden), sizeof golden);
  CHECK(object_bytes(object) == wanted);
  auto again = decode_object(wanted);
  REQUIRE(again);
  CHECK(*again == object);
}

TEST_CASE("L18 encoding: replaced writes come back with their times; older bytes have none") {
  Object object = sample();
  CHECK(object.spent.empty());
  CHECK(decode_object(object_bytes(object))->spent.empty());
  object.spent = {
      {5, 1'700'000'000'000}, {1ull << 63, 1'700'000'090'000}, {~0ull, 1'699'999'000'007}};
  object.forgotten_ms = 1'699'990'000'001;
  auto again = decode_record(encode_record(object));
  REQUIRE(again);
  CHECK(*again == object);
  CHECK(again->spent == object.spent);
  CHECK(again->forgotten_ms == object.forgotten_ms);
  CHECK(encode_record(*again) == encode_record(object));
  // What is compared is what is shown, not what is remembered.
  CHECK(object == sample());

  Object hot = object;
  hot.spent.clear();
  for (std::uint64_t i = 0; i < 64; ++i) {
    hot.spent.push_back({i << 50, 1'700'000'000'000 + static_cast<std::int64_t>(i * 50'000)});
  }
  CHECK(object_bytes(hot).size() < object_bytes(sample()).size() + 750);
}

TEST_CASE("L18 F-90 encoding: replaced writes that make no sense are refused") {
  auto refuse = [](const Bytes& more, const char* why) {
    auto result = decode_object(object_bytes(sample()) + more);
    REQUIRE_FALSE(result);
    INFO(result.status().to_string());
    CHECK(says(result.status(), why));
  };
  Bytes one = Bytes("\x22\x08", 2) + Bytes(8, '\1');
  refuse(one, "1 replaced writes have 0 times");
  refuse(one + Bytes("\x32\x01\x01", 3), "before 1970");
  refuse(one + Bytes("\x28\x05\x32\x01\x01", 5), "no replaced write is of the time of the newest");
  refuse(Bytes("\x22\x10", 2) + Bytes(16, '\1') + Bytes("\x32\x02\0\0", 4),
         "out of order or twice");
  refuse(Bytes("\x28", 1) + Bytes(8, '\xff') + "\1", "at most 2^52");
  Object living = sample();
  living.spent = {{fingerprint(living.versions[0].write_id), 5}};
  CHECK_FALSE(decode_object(object_bytes(living)));
}

TEST_CASE("L18 L19 a context tells the writes that were shown, and the stamp") {
  Object object = sample();
  ClientContext context = context_of(object, NodeId{7}, 3);
  CHECK(context.shown.size() == 3);
  auto again = decode_client_context(encode_client_context(context, key), key);
  REQUIRE(again);
  CHECK(again->shown == context.shown);
  CHECK(again->stamp_us == newest_stamp_shown(object));
  CHECK(again->stamp_us == 1'700'000'000'000'001);  // the newest version's
  object.spent = {{1, 1'800'000'000'000}, {2, 1'600'000'000'000}};
  CHECK(context_of(object, {}, 0).stamp_us == 1'800'000'000'000'000);  // or of a replacement
  object.forgotten_ms = 1'900'000'000'000;
  CHECK(context_of(object, {}, 0).stamp_us == 1'900'000'000'000'000);
  Object lww = lww_object(NodeId{1}, {WriteId{1, 1}, false, "v", ""}, 77);
  again = decode_client_context(encode_client_context(context_of(lww, {}, 0), key), key);
  REQUIRE(again);
  CHECK(again->stamp_us == 77);
  CHECK(again->shown == std::vector<std::uint64_t>{fingerprint({1, 1})});
  // A thousand siblings: as many as there is room for, and the context stays short enough.
  Object wide;
  for (std::uint64_t i = 1; i <= 1000; ++i) {
    update(wide, {}, {NodeId{i}, 1}, {WriteId{2, i}, false, "", ""}, 1'000'000);
  }
  Bytes bytes = encode_client_context(context_of(wide, {}, 0), key);
  CHECK(bytes.size() <= max_context_bytes);
  CHECK(decode_client_context(bytes, key)->shown.size() == max_shown);
}

TEST_CASE("encoding: fields of later versions are skipped, wrong wire types too") {
  Bytes later = object_bytes(sample()) + Bytes("\xf8\x07\x01", 3);  // field 127, a varint
  auto object = decode_object(later);
  REQUIRE(object);
  CHECK(*object == sample());
}

TEST_CASE("encoding: a row remembers who minted into it") {
  Bytes row = encode_record(sample(), 42);
  auto again = decode_row(row);
  REQUIRE(again);
  CHECK(again->object == sample());
  CHECK(again->minter == 42);
  CHECK(*decode_record(row) == sample());
  CHECK(decode_row(encode_record(sample()))->minter == 0);
  for (std::size_t n = 0; n < row.size(); ++n) {
    REQUIRE_FALSE(decode_row(BytesView(row).substr(0, n)));
  }
  for (std::size_t bit = 0; bit < row.size() * 8; ++bit) {
    Bytes flipped = row;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    REQUIRE_FALSE(decode_row(flipped));
  }
}

TEST_CASE("encoding: records cut at every length and with every bit flipped are corrupt") {
  Bytes record = encode_record(sample());
  for (std::size_t n = 0; n < record.size(); ++n) {
    auto cut = decode_record(BytesView(record).substr(0, n));
    REQUIRE_FALSE(cut);
    REQUIRE(cut.status().code() == Code::corrupt);
    REQUIRE(says(cut.status(), "record: "));
  }
  for (std::size_t bit = 0; bit < record.size() * 8; ++bit) {
    Bytes flipped = record;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    auto damaged = decode_record(flipped);
    REQUIRE_FALSE(damaged);
    REQUIRE(damaged.status().code() == Code::corrupt);
  }
  CHECK(says(decode_record("").status(), "wanted at least 9 bytes, got 0"));
  CHECK(says(decode_record(Bytes("\x03", 1) + record.substr(1)).status(),
             "wanted format 1 or 2, got format 3"));
  CHECK(says(decode_record(Bytes("\x02", 1) + record.substr(1)).status(), "checksum"));
  CHECK(says(decode_record(record + "x").status(), "checksum"));
}

TEST_CASE("encoding: objects without a checksum never crash the reader, whatever their bytes") {
  Bytes bytes = object_bytes(sample());
  Random random(1);
  int refused = 0;
  auto feed = [&](BytesView wanted) {
    // A block that ends where the input does, not with a zero behind it: the address sanitizer sees
    // one byte too many.
    std::vector<char> block(wanted.begin(), wanted.end());
    BytesView input(block.data(), block.size());
    auto object = decode_object(input);
    if (object) {
      auto again = decode_object(object_bytes(*object));  // what was accepted is sound
      REQUIRE(again);
      REQUIRE(*again == *object);
    } else {
      ++refused;
      REQUIRE(object.status().code() == Code::corrupt);
      REQUIRE(says(object.status(), "object: "));
    }
    (void)decode_causal_context(input).is_ok();
    (void)decode_record(record_of(input)).is_ok();
    (void)decode_client_context(context_of(input), key).is_ok();
  };
  feed(Bytes("\x1a\x01\x28", 3));  // a version that ends in its tombstone's tag
  for (std::size_t n = 0; n < bytes.size(); ++n) feed(BytesView(bytes).substr(0, n));
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    Bytes flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    feed(flipped);
  }
  for (int i = 0; i < 2000; ++i) {
    Bytes noise;
    for (std::uint64_t n = random.below(40); n > 0; --n)
      noise += static_cast<char>(random.below(256));
    feed(noise);
  }
  CHECK(refused > 1000);
}

TEST_CASE("encoding: objects that break a promise are corrupt, and the sentence says which") {
  auto refuse = [](const Object& object, const char* why) {
    auto result = decode_object(object_bytes(object));
    REQUIRE_FALSE(result);
    CHECK(result.status().code() == Code::corrupt);
    INFO(result.status().to_string());
    CHECK(says(result.status(), why));
    CHECK_FALSE(decode_record(record_of(object_bytes(object))));
  };
  Object object = sample();
  std::swap(object.versions[0], object.versions[1]);
  refuse(object, "out of order or twice");
  object = sample();
  object.versions.push_back(object.versions.back());
  refuse(object, "out of order or twice");
  object = sample();
  object.context = {};
  refuse(object, "is not covered by the object's context");
  object = sample();
  object.versions[0].dot.counter = 0;
  refuse(object, "has no counter");
  object = sample();
  for (Version& v : object.versions) v.value = "x";
  refuse(object, "a tombstone with a value");
  object = sample();
  object.mode = Reconcile::lww;
  refuse(object, "has 3 versions, at most 1");
  object.versions.resize(1);
  refuse(object, "has a context");
  object = sample();
  object.mode = static_cast<Reconcile>(2);
  refuse(object, "mode is 2, 0 and 1 are known");
  object = sample();
  object.versions.back().dot.counter = UINT64_MAX;
  refuse(object, "at most 2^63");
}

TEST_CASE("encoding: counts are limited") {
  auto many = [](int n) {
    std::vector<CausalContext::Entry> entries;
    for (int i = 0; i < n; ++i)
      entries.push_back({{NodeId{static_cast<std::uint64_t>(i + 1)}, 0}, 1, 0});
    CausalContext context;
    context.set_entries(std::move(entries));
    Bytes out;
    encode_causal_context(context, out);
    return out;
  };
  CHECK(decode_causal_context(many(65536)));
  auto over = decode_causal_context(many(65537));
  REQUIRE_FALSE(over);
  CHECK(says(over.status(), "more than 65536 context entries"));
  // The counters are bounded, too: a replica that takes a context in counts on from the counters in it.
  for (std::uint64_t counter : {std::uint64_t{1} << 62, (std::uint64_t{1} << 62) + 1}) {
    CausalContext high;
    high.add({{NodeId{1}, 0}, counter}, 0);
    Bytes bytes;
    encode_causal_context(high, bytes);
    CHECK(decode_causal_context(bytes).is_ok() == (counter <= max_seen_counter));
  }

  Object object;
  object.context.add({{NodeId{1}, 0}, 65537}, 0);
  for (std::uint64_t n = 1; n <= 65536; ++n) object.versions.push_back({{{NodeId{1}, 0}, n}});
  CHECK(decode_object(object_bytes(object)));
  object.versions.push_back({{{NodeId{1}, 0}, 65537}});
  auto wide = decode_object(object_bytes(object));
  REQUIRE_FALSE(wide);
  CHECK(says(wide.status(), "more than 65536 versions"));
}

// ---- what a client holds ----

TEST_CASE("R4.1-b a context comes back as it was given") {
  ClientContext context = sample_context();
  Bytes bytes = encode_client_context(context, key);
  CHECK(bytes.size() <= max_context_bytes);
  auto again = decode_client_context(bytes, key);
  REQUIRE(again);
  CHECK(again->seen == context.seen);
  CHECK(again->fastest_reader == NodeId{7});
  CHECK(again->cluster == 0);
  CHECK(encode_client_context(*again, key) == bytes);

  context.cluster = cluster_hash("tea");
  auto ours = decode_client_context(encode_client_context(context, key), key);
  REQUIRE(ours);
  CHECK(ours->cluster == cluster_hash("tea"));
  CHECK(check_cluster(*ours, key, "tea"));
  CHECK(says(check_cluster(*ours, key, "milk"), "another cluster"));

  auto blind = decode_client_context("", key);
  REQUIRE(blind);
  CHECK(blind->seen.empty());
  CHECK_FALSE(blind->fastest_reader);

  auto empty = decode_client_context(encode_client_context({}, key), key);
  REQUIRE(empty);
  CHECK(empty->seen.empty());
}

TEST_CASE("R4.1-b contexts cut at every length are refused") {
  Bytes bytes = encode_client_context(sample_context(), key);
  for (std::size_t n = 1; n < bytes.size(); ++n) {  // of length 0 is the empty context
    auto cut = decode_client_context(BytesView(bytes).substr(0, n), key);
    REQUIRE_FALSE(cut);
    REQUIRE(cut.status().code() == Code::invalid_context);
    REQUIRE(says(cut.status(), "carts/alice"));
  }
  CHECK(says(decode_client_context("x", key).status(), "wanted 9 to 4096 bytes, got 1"));
}

TEST_CASE("R4.1-b contexts with any bit flipped are refused") {
  Bytes bytes = encode_client_context(sample_context(), key);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    Bytes flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    auto damaged = decode_client_context(flipped, key);
    REQUIRE_FALSE(damaged);
    REQUIRE(damaged.status().code() == Code::invalid_context);
    REQUIRE(
        says(damaged.status(), bit < 8 ? "wanted format 1" : "damaged or belongs to another key"));
  }
}

TEST_CASE("R4.1-b another key's context is refused") {
  Bytes bytes = encode_client_context(sample_context(), key);
  for (const Key& other :
       {Key{"carts", "bob"}, Key{"cart", "alice"}, Key{"", "alice"}, Key{"", ""}}) {
    auto foreign = decode_client_context(bytes, other);
    REQUIRE_FALSE(foreign);
    CHECK(foreign.status().code() == Code::invalid_context);
    CHECK(says(foreign.status(), "damaged or belongs to another key"));
    CHECK(says(foreign.status(), printable(other).c_str()));
  }
}

TEST_CASE("R4.1-b a context with a good checksum and a bad body is refused all the same") {
  auto refuse = [](const Bytes& bytes, const char* why) {
    auto result = decode_client_context(bytes, key);
    REQUIRE_FALSE(result);
    CHECK(result.status().code() == Code::invalid_context);
    INFO(result.status().to_string());
    CHECK(says(result.status(), why));
    CHECK(says(result.status(), "carts/alice"));
  };
  refuse(context_of("", 2), "wanted format 1, got format 2");
  refuse(context_of("\x0a\x7f"), "not a protobuf message");
  refuse(context_of(Bytes(4096, '\0')), "wanted 9 to 4096 bytes, got 4105");
  Bytes entry("\x0a\x04\x0a\x00\x10\x01", 6);  // by nobody, counter 1
  refuse(context_of(Bytes("\x0a\x0c", 2) + entry + entry), "out of order or twice");
  refuse(context_of(Bytes("\x0a\x04\x0a\x02\x0a\x00", 6)), "has no counter");
}

TEST_CASE("R4.1-b a context that grew too long forgets what is oldest, never the youngest") {
  CausalContext seen;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    seen.add({{NodeId{0xff00000000000000 + i}, i}, 1 + i * 1000},
             static_cast<std::int64_t>(1'700'000'000'000 - i));
  }
  Bytes bytes = encode_client_context({seen, NodeId{3}}, key);
  CHECK(bytes.size() <= max_context_bytes);
  CHECK(bytes.size() > max_context_bytes - 128);  // and no more than it must
  auto again = decode_client_context(bytes, key);
  REQUIRE(again);
  CHECK(again->fastest_reader == NodeId{3});
  CHECK(again->seen.size() > 80);
  CHECK(seen.covers(again->seen));
  for (const auto& entry : again->seen.entries()) {
    CHECK(entry.actor.epoch < again->seen.size());  // the youngest were added first here
  }
}

TEST_CASE(
    "F-90 a write with the highest context that is taken can be read again (found by fuzzing)") {
  ClientContext highest;
  highest.seen.add({{NodeId{7}, 1}, std::uint64_t{1} << 62}, 5);
  auto taken = decode_client_context(encode_client_context(highest, key), key);
  REQUIRE(taken);
  Object object;
  update(object, taken->seen, {NodeId{7}, 1}, {WriteId{1, 1}, false, "tea", ""}, 1'000'000);
  CHECK(decode_record(encode_record(object)));

  highest.seen = object.context;
  CHECK_FALSE(decode_client_context(encode_client_context(highest, key), key));
}

}  // namespace
}  // namespace ringlet
