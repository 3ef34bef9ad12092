// A conversation written down: what a request was told, and everything it did.
//
//   # Why this one exists.
//   put carts/alice owners=A,B,C fallbacks=D,E w=2 patience=50ms timeout=300ms linger=200ms
//   ----
//   -> A MintPut
//   wake 50ms 300ms
//
//   A: Minted A1
//   ----
//   …
//
// The first command makes the request: get | put | delete, then owners= fallbacks= r= or w=,
// down= (believed down), preferred=, late= (after how long a node is late; without it never), and the words
// strict, lww, siblings and no_ration (nobody who is only slow is replaced early). Then, in any order:
//   A: Minted A1 | Stored | Stored beside A1+B1 | found A1+B1 | found nothing | Refused overloaded | unreachable
//                       to what A was asked first and has not answered yet; `hint_for=B` at the end
//                       picks that question of several
//   wake 50ms           the time since the start, and on_wake
//   believe_down B      the opinion changes
//   heard_of B          it said something to somebody: it is not mute
// An object is the dots of its versions: A2 has seen A1.
#pragma once

#include <string>
#include <vector>

namespace ringlet::transcript {

struct Step {
  std::string comment;  // with its #s, before the command
  std::string command;
  std::string happened;  // lines
};

std::vector<Step> parse(const std::string& text);
std::string print(const std::vector<Step>& steps);
// The same commands with what happens now.
std::vector<Step> run(std::vector<Step> steps);

struct Ending {
  int answers = 0, dones = 0;
  int sends_after_done = 0;
  std::string happened;  // everything
};
// Runs the commands and then only the clock, until nothing is left to wake for.
Ending run_to_the_end(const std::vector<Step>& steps);

}  // namespace ringlet::transcript
