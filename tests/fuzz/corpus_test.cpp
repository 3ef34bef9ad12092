// Every target over its corpus and over mutations of it (F-90, F-91): what libFuzzer does for long,
// here for a moment, the same in every run and with any compiler.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>

#include "base/assert.hpp"
#include "base/random.hpp"
#include "fuzz/target.hpp"

namespace {

thread_local std::size_t largest_allocation = 0;

}  // namespace

// The whole program is watched for the largest piece of memory it asks for.
#define NOT_INLINED __attribute__((noinline))

NOT_INLINED void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  largest_allocation = std::max(largest_allocation, size);
  return std::malloc(size > 0 ? size : 1);
}
NOT_INLINED void* operator new(std::size_t size) {
  if (void* memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
NOT_INLINED void operator delete(void* memory) noexcept {
  std::free(memory);
}
NOT_INLINED void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
NOT_INLINED void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}

namespace ringlet::fuzz {
namespace {

constexpr int mutations = 20'000;
// Of targets that run whole machines for each input: as long as the others together.
constexpr int mutations_of_machines = 3'000;

struct Seed {
  std::string name;
  Bytes bytes;
};

std::vector<Seed> corpus_of(const Target& target) {
  std::vector<Seed> seeds;
  std::filesystem::path folder =
      std::filesystem::path(RINGLET_SOURCE_DIR) / "tests/fuzz/corpus" / target.name;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    std::ifstream in(file.path(), std::ios::binary);
    seeds.push_back({file.path().filename(), Bytes(std::istreambuf_iterator<char>(in), {})});
  }
  std::sort(seeds.begin(), seeds.end(),
            [](const Seed& a, const Seed& b) { return a.name < b.name; });
  return seeds;
}

// One to eight small changes: bits, bytes, numbers at their edges, pieces moved, cut, or borrowed
// from another seed.
Bytes mutated(Random& random, Bytes bytes, const std::vector<Seed>& seeds) {
  static constexpr unsigned char edges[] = {0, 1, 0x7f, 0x80, 0xff, 10, 64};
  for (std::uint64_t changes = 1 + random.below(8); changes > 0; --changes) {
    if (bytes.empty()) bytes += '\0';
    std::size_t at = random.below(bytes.size());
    std::size_t length = 1 + random.below(std::min<std::size_t>(bytes.size() - at, 16));
    switch (random.below(8)) {
      case 0:
        bytes[at] ^= static_cast<char>(1 << random.below(8));
        break;
      case 1:
        bytes[at] = static_cast<char>(random.below(256));
        break;
      case 2:
        bytes[at] = static_cast<char>(edges[random.below(std::size(edges))]);
        break;
      case 3:
        bytes.erase(at, length);
        break;
      case 4:
        bytes.insert(at, bytes.substr(at, length));
        break;
      case 5:
        bytes.insert(at, length, static_cast<char>(random.below(256)));
        break;
      case 6:
        bytes.resize(at);
        break;
      default: {
        const Bytes& other = seeds[random.below(seeds.size())].bytes;
        if (!other.empty()) bytes.insert(at, other.substr(random.below(other.size()), 4 * length));
      }
    }
  }
  return bytes;
}

std::string hex(BytesView bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (unsigned char c : bytes) {
    text += digits[c >> 4];
    text += digits[c & 15];
  }
  return text;
}

// A broken promise becomes an exception, so that the test can say which input broke it.
struct Asserts {
  Asserts() {
    set_assert_handler([](const char* file, int line, const char* expression) {
      throw Broken{std::string(file) + ":" + std::to_string(line) + ": " + expression};
    });
  }
  ~Asserts() { set_assert_handler(nullptr); }
};

// Memory for what came, not for what it announces: the widest item is a few hundred bytes and may
// come in two. A ring of 65536 partitions is in the few bytes of a configuration by right.
std::size_t budget(const Target& target, BytesView input) {
  return target.name == "config" ? 64 << 20 : 64 * 1024 + 512 * input.size();
}

// Empty: all laws hold.
std::string broken_by(const Target& target, BytesView input, Verdict* verdict) {
  largest_allocation = 0;
  try {
    *verdict = target.run(input);
  } catch (const Broken& broken) {
    return broken.why;
  } catch (const std::exception& error) {
    return std::string("threw ") + error.what();
  }
  if (largest_allocation <= budget(target, input)) return "";
  return "asked for " + std::to_string(largest_allocation) + " bytes at once";
}

void run(std::string_view name) {
  const Target* target = find_target(name);
  REQUIRE(target != nullptr);
  Asserts asserts;
  auto seeds = corpus_of(*target);
  REQUIRE_FALSE(seeds.empty());
  int taken = 0, refused = 0;
  Verdict verdict{};
  for (const Seed& seed : seeds) {
    INFO("tests/fuzz/corpus/" << name << "/" << seed.name);
    REQUIRE(broken_by(*target, seed.bytes, &verdict) == "");
    taken += verdict == Verdict::taken;
  }
  CHECK(taken > 0);  // a corpus of which nothing is taken has lost its format
  taken = 0;
  Random random(90);
  bool machine = name == "gossip" || name == "transfer" || name == "tree" || name == "view" ||
                 name == "changes";
  for (int i = 0; i < (machine ? mutations_of_machines : mutations); ++i) {
    Bytes input = mutated(random, seeds[random.below(seeds.size())].bytes, seeds);
    std::string broken = broken_by(*target, input, &verdict);
    if (!broken.empty()) FAIL(broken << "\ninput, as hex: " << hex(input));
    ++(verdict == Verdict::taken ? taken : refused);
  }
  CHECK(taken > 10);  // few changes leave a configuration whole
  CHECK(refused > 10);
}

TEST_CASE("F-90 F-91 frame: any stream, cut anywhere, is the same frames or is refused") {
  run("frame");
}
TEST_CASE("F-90 F-91 message: any body is refused, or a message that survives its bytes") {
  run("message");
}
TEST_CASE("F-90 F-91 F-92 handshake: any words are refused, or agreed on by both") {
  run("handshake");
}
TEST_CASE(
    "F-90 O-10 context: only a sealed one of this key is taken, and a write with it is read") {
  run("context");
}
TEST_CASE("F-90 O-2 record: any record is refused, or sync is a join on it") {
  run("record");
}
TEST_CASE("F-90 hint_row: any row has one reading and one place in a scan") {
  run("hint_row");
}
TEST_CASE("O-2 O-3 history: whatever replicas, clients and mail do, the laws hold") {
  run("history");
}
TEST_CASE("F-90 F-93 config: any file is refused in one sentence, or is consistent") {
  run("config");
}
TEST_CASE("F-90 O-15 view: any view is refused, or merging is a join on it") {
  run("view");
}
TEST_CASE("F-90 R4.8.1 gossip: what a node knows only grows, and honest peers still agree") {
  run("gossip");
}
TEST_CASE("F-90 F-46 changes: any staging is refused, or its plan is a whole view") {
  run("changes");
}
TEST_CASE("F-90 cursor: any cursor is refused, or survives its bytes") {
  run("cursor");
}
TEST_CASE("F-90 R4.9 transfer: no page brings in what it must not, and the pull still ends") {
  run("transfer");
}
TEST_CASE("F-90 R4.7 tree: no message breaks an exchange, and two owners still become equal") {
  run("tree");
}

TEST_CASE(
    "F-90 L23 document: any bytes are refused, or are the ones that would be written, and merge") {
  run("document");
}

TEST_CASE("F-90 edits: any bytes are refused, or are the ones that would be written") {
  run("edits");
}

TEST_CASE("F-90 L20 settings: any settings are refused, or merge the same in every order") {
  run("settings");
}

TEST_CASE("every target has its corpus and its case here") {
  CHECK(targets().size() == 17);  // a new one wants a TEST_CASE above
  for (const Target& target : targets()) CHECK_FALSE(corpus_of(target).empty());
}

TEST_CASE("the runner finds a broken law, a broken promise and too much memory") {
  Asserts asserts;
  Verdict verdict{};
  auto why = [&](Verdict (*bad)(BytesView)) { return broken_by({"bad", bad, 1}, "x", &verdict); };
  CHECK(why([](BytesView) -> Verdict { throw Broken{"law"}; }) == "law");
  CHECK(why([](BytesView in) -> Verdict {
          RINGLET_ASSERT(in.empty());
          return Verdict::taken;
        }).find("in.empty()") != std::string::npos);
  CHECK(why([](BytesView) -> Verdict {
          Bytes(1 << 20, 'x').push_back('y');
          return Verdict::taken;
        }).find("bytes at once") != std::string::npos);
}

}  // namespace
}  // namespace ringlet::fuzz
