#include "base/random.hpp"

#include <bit>
#include <cmath>

#include "base/assert.hpp"

namespace ringlet {
namespace {

std::uint64_t splitmix64(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// The natural logarithm from additions, multiplications and divisions alone, which IEEE 754 fixes
// to the last bit. The C library's differs by version, and with it every event time of a seed.
double portable_log(double x) {
  int exponent = 0;
  double m = std::frexp(x, &exponent);  // x = m * 2^exponent, m in [0.5, 1): exact
  if (m < 0.70710678118654752) {
    m *= 2;
    --exponent;
  }
  double s = (m - 1) / (m + 1);  // |s| < 0.172; ln m = 2 (s + s^3/3 + s^5/5 + …)
  double sum = 0;
  for (int k = 23; k >= 1; k -= 2) sum = sum * (s * s) + 1.0 / k;
  return 2 * s * sum + exponent * 0.69314718055994531;
}

}  // namespace

Random::Random(std::uint64_t seed) {
  for (auto& word : state_) word = splitmix64(seed);
}

std::uint64_t Random::next() {
  std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  std::uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::uint64_t Random::below(std::uint64_t bound) {
  RINGLET_ASSERT(bound >= 1);
  // The first 2^64 mod bound numbers are thrown away, so that what is left is a multiple of bound.
  std::uint64_t unfair = (0 - bound) % bound;
  std::uint64_t n = next();
  while (n < unfair) n = next();
  return n % bound;
}

std::int64_t Random::between(std::int64_t low, std::int64_t high) {
  RINGLET_ASSERT(low <= high);
  std::uint64_t span = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  std::uint64_t offset = span == UINT64_MAX ? next() : below(span + 1);
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + offset);
}

double Random::uniform() {
  return static_cast<double>(next() >> 11) * 0x1.0p-53;
}

bool Random::chance(double probability) {
  return uniform() < probability;
}

double Random::exponential(double mean) {
  return -mean * portable_log(1 - uniform());
}

}  // namespace ringlet
