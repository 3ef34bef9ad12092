// What a document costs: the aim is below 1 ms for a thousand elements, three siblings read and merged,
// an edit, and the bytes of what is written; and at most 1.5 times the bytes of its JSON.
#include <benchmark/benchmark.h>

#include "document/edits.hpp"

namespace ringlet::document {
namespace {

constexpr std::int64_t start_us = 1'700'000'000'000'000;

State written(const State& read, const Edits& edits, const Dot& dot, std::uint64_t id) {
  auto document =
      apply(read, read.cover.seen(), edits, start_us + static_cast<std::int64_t>(id) * 60'000'000);
  return resolve(std::move(*document), dot, WriteId{1, id});
}

Dot dot_of(std::uint64_t n) {
  return {Actor{NodeId{0x0123456789abcdef * (n % 3 + 1)}, 1}, n / 3 + 1};
}

// Half a set, half counters in a map, added ten by ten through three nodes.
State thousand() {
  State state;
  for (int i = 0; i < 1000; i += 10) {
    Edits edits;
    for (int n = i; n < i + 10; ++n) {
      Scalar item = Scalar::of_text("item-" + std::to_string(n));
      if (n % 2 == 0) edits.push_back({EditKind::add, {Scalar::of_text("set")}, item});
      if (n % 2 == 1) {
        edits.push_back({EditKind::increment, {Scalar::of_text("items"), item}, {}, 2});
      }
    }
    auto n = static_cast<std::uint64_t>(i / 10);
    state = written(state, edits, dot_of(n), n);
  }
  return state;
}

// An object whose three siblings each changed something else of it.
Object siblings_of_thousand() {
  State state = thousand();
  Object object;
  for (const auto& entry : state.cover.seen().entries()) {
    object.context.add({entry.actor, entry.counter}, 0);
  }
  const CausalContext seen = object.context;
  for (std::uint64_t n = 0; n < 3; ++n) {
    Edits edits = {{EditKind::add,
                    {Scalar::of_text("set")},
                    Scalar::of_integer(static_cast<std::int64_t>(n))}};
    Bytes value = encode(*apply(state, seen, edits, start_us + 6'000'000'000));
    update(object, seen, dot_of(n).actor, {WriteId{2, n}, false, value, "document"}, start_us);
  }
  for (Version& version : object.versions)
    version.content_type = "application/vnd.ringlet.document";
  return object;
}

void document_edit_1000_elements_3_siblings(benchmark::State& state) {
  Object object = siblings_of_thousand();
  Edits edits = {
      {EditKind::increment, {Scalar::of_text("items"), Scalar::of_text("item-501")}, {}, 1}};
  std::size_t bytes = 0;
  for (auto _ : state) {
    auto read = document::read(object);
    auto document = apply(std::move(*read), object.context, edits, start_us + 7'000'000'000);
    Bytes out = encode(*document);
    bytes = out.size();
    benchmark::DoNotOptimize(out);
  }
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(document_edit_1000_elements_3_siblings)->Unit(benchmark::kMicrosecond);

void document_decode_1000_elements(benchmark::State& state) {
  Object object = siblings_of_thousand();
  for (auto _ : state) benchmark::DoNotOptimize(decode(object.versions[0].value));
}
BENCHMARK(document_decode_1000_elements)->Unit(benchmark::kMicrosecond);

// A cart of a few items, as most are.
void document_edit_cart(benchmark::State& state) {
  State cart;
  Edits edits = {{EditKind::increment, {Scalar::of_text("items"), Scalar::of_text("tea")}, {}, 1},
                 {EditKind::add, {Scalar::of_text("coupons")}, Scalar::of_text("SUMMER")}};
  for (std::uint64_t n = 0; n < 6; ++n) cart = written(cart, edits, dot_of(n), n);
  Object object;
  object.context = cart.cover.seen();
  update(object, object.context, dot_of(0).actor,
         {WriteId{1, 9}, false, encode(*apply(cart, cart.cover.seen(), edits, start_us)),
          "application/vnd.ringlet.document"},
         start_us);
  for (auto _ : state) {
    auto read = document::read(object);
    auto document = apply(std::move(*read), object.context, edits, start_us);
    benchmark::DoNotOptimize(encode(*document));
  }
}
BENCHMARK(document_edit_cart);

}  // namespace
}  // namespace ringlet::document
