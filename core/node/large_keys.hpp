// Which keys have large values, as far as this process has met them. The server looks a key up before it
// serves a request, so that a large one is served apart and no small one waits behind it.
//
// A table of fixed size, of hashes: two keys that share a place push each other out, and two with one hash pass
// for each other. So an answer is a good guess, for scheduling and for accounts of memory, and nothing that a
// result may depend on. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"

namespace ringlet {

// To read, decode, merge and send less takes a millisecond or two.
inline constexpr std::size_t large_object_bytes = 512 * 1024;

class LargeKeys {
 public:
  static std::uint64_t hash_of(const Key& key);
  // So many bytes were read, written or answered of the key.
  void seen(std::uint64_t hash, std::size_t bytes);
  // At least large_object_bytes; 0: of usual size, or not known.
  std::size_t bytes_of(std::uint64_t hash) const;

 private:
  static constexpr std::size_t places = 8192;
  // The upper 40 bits of the hash and the size in units of 4 KiB; 0: empty.
  std::array<std::atomic<std::uint64_t>, places> places_{};
};

}  // namespace ringlet
