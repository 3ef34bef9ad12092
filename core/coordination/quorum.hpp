// A vote with three answers, so that nobody can forget "not yet" or "never" (etcd's VoteResult).
// Every member that could still say yes is a voter, asked or not; a refusal takes one away. Silence
// takes nobody away: the answer may be on its way.
#pragma once

#include <cstddef>

#include "base/planted.hpp"

namespace ringlet {

enum class Verdict { pending, reached, lost };

class Quorum {
 public:
  Quorum(std::size_t wanted, std::size_t voters) : wanted_(wanted), voters_(voters) {}

  void yes(std::size_t voters = 1) { yes_ += voters; }
  void no(std::size_t voters = 1) {
    if (!planted(PlantedBug::refusal_not_counted)) no_ += voters;
  }
  Verdict verdict() const {
    if (yes_ >= wanted_) return Verdict::reached;
    return voters_ < no_ + wanted_ ? Verdict::lost : Verdict::pending;
  }
  std::size_t wanted() const { return wanted_; }
  std::size_t count() const { return yes_; }

 private:
  std::size_t wanted_, voters_;
  std::size_t yes_ = 0, no_ = 0;
};

}  // namespace ringlet
