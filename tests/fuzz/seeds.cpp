// Writes the corpora: valid encodings for each target to start from. Always the same files.
// usage: ringlet_fuzz_seeds DIRECTORY      (tests/fuzz/corpus)
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/random.hpp"
#include "daemon/config_file.hpp"
#include "document/edits.hpp"
#include "fuzz/input.hpp"
#include "fuzz/views.hpp"
#include "node/hint_key.hpp"
#include "repair/partition_transfer.hpp"
#include "unit/wire/generate.hpp"
#include "versioning/encoding.hpp"
#include "wire/codec.hpp"
#include "wire/handshake.hpp"

namespace ringlet::fuzz {
namespace {

std::filesystem::path directory;

void write(const std::string& target, const std::string& name, BytesView bytes) {
  std::filesystem::create_directories(directory / target);
  std::ofstream out(directory / target / name, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush())
    throw std::runtime_error("cannot write " + (directory / target / name).string());
}

// What rapidcheck makes of this seed, small.
template <typename Make>
auto made(std::uint64_t seed, const Make& make) {
  return rc::gen::exec(make)(rc::Random(seed), 8).value();
}

Object object_of(std::uint64_t seed) {
  return made(seed, [] { return test::any_object(); });
}

void write_messages() {
  Bytes stream;
  for (std::size_t kind = 0; kind < std::variant_size_v<Message>; ++kind) {
    Message message = made(kind + 1, [kind] { return test::any_message(kind); });
    Bytes bytes(1, static_cast<char>(wire::type_of(message)));
    wire::encode(message, bytes);
    write("message", std::string("seed-") + name_of(message), bytes);
    if (kind < 6) wire::encode_frame(1, kind, message, stream);
  }
  write("frame", "seed-whole", Bytes{20, 0} + stream);
  write("frame", "seed-cut", Bytes{20, 3, 0, 1, 9} + stream);
  Bytes timed;
  wire::encode_frame(2, 9, Ping{}, timed,
                     wire::frame_time({Duration::millis(20), Duration::millis(30)}, Instant{77}));
  write("frame", "seed-timed", Bytes{20, 0} + timed);
  write("frame", "seed-too-large", Bytes{0, 1, 0} + stream);
}

void write_handshakes() {
  wire::Hello hello;
  hello.cluster = "ringlet";
  hello.name = "n2";
  hello.node = node_id_of("n2");
  hello.role = wire::Role::member;
  wire::Welcome welcome{1, 5, "ringlet", "n1", node_id_of("n1")};
  wire::Goodbye goodbye{Status(Code::unsupported, "no common protocol version")};
  auto body = [](const auto& words, char choice) {
    Bytes frame;
    wire::encode_frame(words, frame);
    return Bytes(1, choice) + frame.substr(wire::frame_header_bytes);
  };
  write("handshake", "seed-hello", body(hello, 0));
  write("handshake", "seed-welcome", body(welcome, 1));
  write("handshake", "seed-goodbye", body(goodbye, 2));
  write("handshake", "seed-other", Bytes{3, 1, 100} + body(hello, 0).substr(1));
}

void write_contexts() {
  const Key key{"carts", "alice"};
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    Bytes bytes = encode_client_context({object_of(seed).context, NodeId{seed}}, key);
    std::string number = std::to_string(seed);
    write("context", "seed-raw-" + number, Bytes{0, 1, 2} + bytes);
    write("context", "seed-body-" + number, Bytes{1, 1, 2} + bytes.substr(1, bytes.size() - 9));
  }
}

void write_records() {
  write("record", "seed-raw", Bytes(1, '\0') + encode_record(object_of(4)));
  auto three = [](const Object& a, const Object& b, const Object& c) {
    Bytes bytes(1, '\1'), first, second;
    encode_object(a, first);
    encode_object(b, second);
    append_piece(bytes, first);
    append_piece(bytes, second);
    encode_object(c, bytes);
    return bytes;
  };
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    Object a = object_of(seed), b = a, c = object_of(seed + 10);
    update(a, {}, {NodeId{1}, 1}, {WriteId{1, seed}, false, "milk", ""}, 1'000'000);
    update(b, b.context, {NodeId{2}, 1}, {WriteId{2, seed}, false, "tea", "text"}, 2'000'000);
    write("record", "seed-siblings-" + std::to_string(seed), three(a, b, c));
  }
  auto stamped = [](std::uint64_t node, const char* value) {
    return lww_object(NodeId{node}, {WriteId{node, 1}, false, value, ""}, 1'000'000);
  };
  Bytes row = encode_record(object_of(5), 77);
  write("record", "seed-row", Bytes(1, '\0') + row);
  write("record", "seed-row-sealed", Bytes(1, '\3') + row.substr(9));
  write("record", "seed-lww", three(stamped(1, "a"), stamped(2, "b"), stamped(2, "c")));
}

void write_rows() {
  Key key{"carts", "alice"};
  write("hint_row", "seed-hint", Bytes(1, '\0') + hint_row(NodeId{0x0102030405060708}, key));
  write("hint_row", "seed-object", Bytes(1, '\0') + object_row(7, key));
  Bytes build(1, '\1');
  append_u64(build, 0xffffffffffffff00);
  build += '\1';
  append_piece(build, key.bucket);
  write("hint_row", "seed-build", build + key.key);
}

void write_histories() {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    Random random(seed);
    Bytes bytes;
    for (int i = 0; i < 4 * 40; ++i) bytes += static_cast<char>(random.below(256));
    write("history", "seed-" + std::to_string(seed), bytes);
  }
}

void write_configs() {
  write("config", "seed-small",
        "[node]\nname = \"n1\"\nengine = \"memory\"\n[cluster]\nn = 3\nr = 2\nw = 2\n"
        "partitions = 8\n[[members]]\nname = \"n1\"\naddress = \"127.0.0.1:7400\"\n"
        "[[members]]\nname = \"n2\"\naddress = \"127.0.0.1:7401\"\nzone = \"z\"\nweight = 2\n");
  write("config", "seed-wrong", "[node]\nname = \"n1\"\nthreads = 0x7f\n[log]\nlevel = \"loud\"\n");
  write(
      "config", "seed-strange",
      "node = {name = \"n\\u0031\", threads = 1_0}\nmembers = [{name = 'n1', address = ''':1'''}]\n"
      "cluster.n = 1\ncluster.r = 1\ncluster.w = 1\nlog.level = \"info\"\n");
}

Bytes piece_of(BytesView bytes) {
  Bytes out;
  append_piece(out, bytes);
  return out;
}
Bytes piece_of(const Message& message) {
  Bytes bytes(1, static_cast<char>(wire::type_of(message)));
  wire::encode(message, bytes);
  return piece_of(bytes);
}

// Orders: kind | who << 3 | other << 6 (views.hpp); 7 | who << 3: has arrived.
void write_memberships() {
  const Bytes join3 = Bytes(1, '\x18') + '\x1f', leave1 = Bytes(1, '\x0a') + '\x07';
  const Bytes replace2 = Bytes(1, '\x13') + '\x27', weigh = "\x84\x06";
  MembershipView base = founded_view(), grown = lived(base, join3, 0);
  MembershipView other = lived(base, leave1 + replace2, 1);
  auto body = [](const MembershipView& view) { return view.encode().substr(9); };
  write("view", "seed-raw", Bytes(1, '\0') + grown.encode());
  write("view", "seed-three",
        Bytes(1, '\1') + piece_of(body(base)) + piece_of(body(grown)) + body(other));
  write("view", "seed-split",
        Bytes(1, '\2') + piece_of(join3) + piece_of(leave1) + piece_of(replace2 + weigh) + join3);
  Bytes question = Bytes("\0\1\3", 3), reply = Bytes("\1\3", 2);
  Bytes digest(8, '\x11');
  write("gossip", "seed-member",
        Bytes(1, '\0') + piece_of(join3) + question + piece_of(leave1) + digest + reply +
            piece_of(replace2) + digest + join3);
  write("gossip", "seed-stranger",
        Bytes(1, '\3') + reply + piece_of(join3) + digest + Bytes("\0\2\2", 3) +
            piece_of(body(other)) + digest);
  Changes changes;
  for (char order : Bytes("\x18\x11\x84\x06", 4)) {
    (void)stage(changes, base, static_cast<std::uint8_t>(order));
  }
  write("changes", "seed-raw", Bytes(1, '\0') + piece_of("") + changes.encode());
  write("changes", "seed-sealed", Bytes(1, '\1') + piece_of(join3) + changes.encode().substr(9));
  ClusterSettings proposed =
      ClusterSettings::proposed({{Setting::reconcile, 0}, {Setting::r, 2}}, {{Setting::r, 3}});
  ClusterSettings set = proposed.with({{Setting::w, 3}}, node_member(1).id);
  auto sealed_body = [](const ClusterSettings& settings) { return settings.encode().substr(9); };
  write("settings", "seed-raw", Bytes(1, '\0') + set.encode());
  write("settings", "seed-three",
        Bytes(1, '\1') + piece_of(sealed_body(proposed)) + piece_of(sealed_body(set)) +
            sealed_body(set));
  (void)changes.set(base, proposed, "w", "1");
  write("changes", "seed-set", Bytes(1, '\0') + piece_of("") + changes.encode());
  write("changes", "seed-orders", Bytes(1, '\2') + piece_of(leave1) + "\x18\x13\x84\x06\x05");
}

void write_repairs() {
  TransferCursor cursor;
  cursor.move = 1;
  cursor.done = {NodeId{3}};
  cursor.source = NodeId{2};
  cursor.after = Key{"b", "k"};
  Bytes bytes = encode_cursor(cursor);
  write("cursor", "seed-raw", Bytes(1, '\0') + bytes);
  write("cursor", "seed-sealed", Bytes(1, '\1') + bytes.substr(0, bytes.size() - 8));
  cursor.after.reset();
  cursor.arrived = true;
  write("cursor", "seed-arrived", Bytes(1, '\0') + encode_cursor(cursor));

  auto written = [](std::uint64_t number) {
    Object object;
    update(object, {}, {NodeId{number}, 2}, {WriteId{1, number}, false, "milk", ""}, 1'000'000);
    return object;
  };
  TransferPage page;
  page.objects.push_back({Key{"b", Bytes(1, '\0') + "a"}, written(6)});
  page.objects.push_back({Key{"b", Bytes(1, '\4') + "b"}, written(7)});
  TransferPull pull;
  pull.partition = 1;
  pull.partitions = 4;
  pull.first = false;
  pull.after = Key{"b", Bytes(1, '\5') + "k"};
  pull.max_bytes = 100;
  write("transfer", "seed-page", Bytes("\0\2", 2) + piece_of(Message(page)) + Bytes("\4\5\3", 3));
  page.last = true;
  write("transfer", "seed-last",
        Bytes("\0\6\2", 3) + piece_of(Message(page)) + Bytes("\7\1", 2) + piece_of(Message(pull)));
  write("transfer", "seed-cursor",
        Bytes(1, '\3') + piece_of(bytes) + Bytes("\2", 1) + piece_of(Message(page)));

  TreeCompare roots{0, 0, {0, 1}, {1, 2}}, inner{1, 1, {0, 1, 31}, {1, 2, 3}};
  TreeCompare segments{2, 0, {0, 5, 1023}, {1, 2, 3}};
  SegmentCompare keys{0, {5}, {0x0140000000000000, 0x0150000000000000}, {1, 2}};
  write("tree", "seed-questions",
        Bytes(1, '\0') + piece_of(Message(roots)) + Bytes(1, '\0') + piece_of(Message(inner)) +
            Bytes(1, '\0') + piece_of(Message(segments)) + Bytes(1, '\0') +
            piece_of(Message(keys)));
  SegmentDiffers differs;
  differs.objects.push_back({Key{"b", Bytes(1, '\0') + "a"}, written(6)});
  differs.wanted = {1, 2};
  differs.listed_to = 1024;
  write("tree", "seed-answers",
        Bytes("\1\1", 2) + piece_of(Message(TreeDiffers{{0, 1}})) + Bytes("\2\1", 2) +
            piece_of(Message(differs)) + Bytes("\1\0\2\0\2\3", 6));
}

// What three nodes make of one cart: two siblings, one with tags of its own, one that was written over.
void write_documents() {
  using namespace ringlet::document;
  auto text = [](const char* bytes) { return Scalar::of_text(bytes); };
  constexpr std::int64_t start_us = 1'700'000'000'000'000;
  Edits cart = {{EditKind::add, {text("coupons")}, text("SUMMER")},
                {EditKind::increment, {text("items"), text("tea")}, {}, 2},
                {EditKind::enable, {text("gift")}},
                {EditKind::set, {text("note")}, Scalar::of_real(0.5)},
                {EditKind::set_all, {text("colour")}, Scalar::of_bytes("\xff")}};
  Edits change = {{EditKind::remove, {text("coupons")}, text("SUMMER")},
                  {EditKind::discard, {Scalar::of_integer(-3)}},
                  {EditKind::disable, {text("gift")}},
                  {EditKind::increment, {text("items"), text("tea")}, {}, -1},
                  {EditKind::clear, {}},
                  {EditKind::add, {text("deep"), text("set")}, Scalar::of_boolean(true)}};
  State state;
  Bytes first, last;
  for (std::uint64_t n = 1; n <= 5; ++n) {
    last = ringlet::document::encode(*apply(state, state.cover.seen(), cart,
                                            start_us + static_cast<std::int64_t>(n) * 1'000'000,
                                            {.most = 2, .apart = 1}));
    if (n == 1) first = last;
    state = resolve(*decode(last), {Actor{NodeId{n % 2 + 1}, 1}, (n + 1) / 2}, WriteId{1, n});
  }
  Bytes changed = ringlet::document::encode(*apply(state, {}, change, start_us));
  auto pair = [](const Bytes& one, const Bytes& other) {
    Bytes out;
    append_piece(out, one);
    return out + other;
  };
  write("document", "seed-one", pair(first, {}));
  write("document", "seed-siblings", pair(last, changed));
  write("document", "seed-ancestor", pair(last, first));
  write("edits", "seed-cart", ringlet::document::encode(cart));
  write("edits", "seed-change", ringlet::document::encode(change));
}

}  // namespace
}  // namespace ringlet::fuzz

int main(int argc, char** argv) {
  using namespace ringlet::fuzz;
  if (argc != 2) {
    std::fprintf(stderr, "usage: ringlet_fuzz_seeds DIRECTORY\n");
    return 2;
  }
  directory = argv[1];
  write_messages();
  write_handshakes();
  write_contexts();
  write_records();
  write_rows();
  write_histories();
  write_configs();
  write_memberships();
  write_repairs();
  write_documents();
}
