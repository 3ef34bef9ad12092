// Random numbers that are the same on every machine: own generator (xoshiro256**, Blackman and
// Vigna 2018, seeded by splitmix64) and own distributions, since the standard's differ by library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace ringlet {

class Random {
 public:
  explicit Random(std::uint64_t seed);
  std::uint64_t next();                      // all 64 bits
  std::uint64_t below(std::uint64_t bound);  // uniform in [0, bound), bound >= 1, without bias
  std::int64_t between(std::int64_t low, std::int64_t high);  // uniform, both ends included
  double uniform();                                           // [0, 1)
  bool chance(double probability);
  double exponential(double mean);
  Random fork() { return Random(next()); }  // an independent stream
  template <typename Container>
  void shuffle(Container& items) {  // Fisher and Yates
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  std::uint64_t state_[4];
};

}  // namespace ringlet
