// A hot key (M-15, L22, L23): an edit that is executed twice, the second time after many later edits.
#include <catch2/catch.hpp>

#include "document/deletes.hpp"
#include "document/edits.hpp"
#include "unit/document/oracle.hpp"

namespace ringlet::document::test {
namespace {

struct HotKey {
  Object a, b;
  Actor at_a{NodeId{10}, 1}, at_b{NodeId{11}, 1};
  std::int64_t now_us = 1'700'000'000'000'000;
  std::uint64_t next = 1;

  ringlet::Write increment(const Object& seen) {
    auto state = read(seen);
    REQUIRE(state);
    Edits edits = {{EditKind::increment, {name("n")}, {}, 1}};
    // The first write's client knows that it asked two nodes, or has not written since.
    auto settled = [](std::uint64_t print) { return print != fingerprint(WriteId{7, 1}); };
    auto document = apply(std::move(*state), seen.context, edits, now_us, {}, settled);
    REQUIRE(document);
    ringlet::Write write{WriteId{7, next++}, false, encode(*document),
                         Bytes(document_content_type)};
    for (const Version& v : seen.versions) write.replaces.push_back(fingerprint(v.write_id));
    return write;
  }
  void store(Object& object, const CausalContext& seen, const Actor& actor, ringlet::Write write) {
    update_with_tables(object, seen, actor, std::move(write), now_us);
    forget_spent(object, now_us, {});
  }
  // The sum that is shown when a copy of the first edit is executed at another node after `later` edits
  // in `seconds`, of whoever reads both copies.
  std::int64_t sum_after(std::size_t later, double seconds) {
    ringlet::Write twice = increment({});
    store(a, {}, at_a, twice);
    for (std::size_t i = 0; i < later; ++i) {
      now_us += static_cast<std::int64_t>(seconds * 1e6 / static_cast<double>(later));
      ringlet::Write write = increment(a);
      store(a, CausalContext(a.context), at_a, std::move(write));
    }
    store(b, {}, at_b, twice);
    Object both = a;
    sync_with_tables(both, b);
    auto state = read(both);
    REQUIRE(state);
    return look(*state)["n"];
  }
};

TEST_CASE("M-15 an edit that is executed late counts once, however many others came between") {
  auto later = GENERATE(10, 100, 1000, 1030, 2000);
  auto seconds = GENERATE(1.0, 50.0, 70.0, 600.0);
  CAPTURE(later, seconds);
  CHECK(HotKey().sum_after(static_cast<std::size_t>(later), seconds) == later + 1);
}

}  // namespace
}  // namespace ringlet::document::test
