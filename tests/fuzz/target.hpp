// What is fuzzed. A target takes any bytes, gives them to a decoder, and, when the decoder took them,
// holds the laws that must follow. The same targets run in three places: under libFuzzer
// (libfuzzer.cpp, `./dev fuzz`), over the corpus and mutations of it in ctest (corpus_test.cpp), and
// on one file (`./dev fuzz TARGET --input FILE`).
//
// To add a target: targets/NAME.cpp, whose first line says "// NAME: what it does"; its function here
// and in targets.cpp; its seeds in seeds.cpp; then `ringlet_fuzz_seeds tests/fuzz/corpus`.
//
// `view`, `changes` and `cursor` are what a disk or a peer may bring; `gossip`, `transfer` and `tree`
// are the machines that take it, with messages from the input, twice, damaged or out of place: what
// is refused changes nothing, and left alone with an honest peer they come to the same end.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace ringlet::fuzz {

// A law that an input broke, in words. Thrown by targets, caught by whoever runs them.
struct Broken {
  std::string why;
};
inline void hold(bool law, std::string_view why) {
  if (!law) throw Broken{std::string(why)};
}

// Did the decoder take the bytes? Only told so that a test can see that both happen.
enum class Verdict { refused, taken };

Verdict frame(BytesView input);
Verdict message(BytesView input);
Verdict handshake(BytesView input);
Verdict context(BytesView input);
Verdict record(BytesView input);
Verdict hint_row(BytesView input);
Verdict history(BytesView input);
Verdict config(BytesView input);
Verdict view(BytesView input);
Verdict gossip(BytesView input);
Verdict changes(BytesView input);
Verdict cursor(BytesView input);
Verdict transfer(BytesView input);
Verdict tree(BytesView input);
Verdict settings(BytesView input);
Verdict document(BytesView input);
Verdict edits(BytesView input);

struct Target {
  std::string_view name;
  Verdict (*run)(BytesView input);
  std::size_t longest;  // input worth trying, bytes
};
std::span<const Target> targets();
const Target* find_target(std::string_view name);  // nullptr: there is none

}  // namespace ringlet::fuzz
