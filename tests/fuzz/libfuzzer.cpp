// The targets under libFuzzer: ringlet_fuzz TARGET [libFuzzer's arguments].
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "fuzz/target.hpp"

namespace {

const ringlet::fuzz::Target* target = nullptr;  // set once, before the first input

}  // namespace

// Takes the target's name out of the arguments; libFuzzer reads those that are left.
extern "C" __attribute__((visibility("default"))) int LLVMFuzzerInitialize(int* argc,
                                                                           char*** argv) {
  const char* name = *argc > 1 ? (*argv)[1] : "";
  target = ringlet::fuzz::find_target(name);
  if (target == nullptr) {
    std::fprintf(stderr, "wanted a target, got '%s'; there are:", name);
    for (const auto& each : ringlet::fuzz::targets()) {
      std::fprintf(stderr, " %.*s", static_cast<int>(each.name.size()), each.name.data());
    }
    std::fprintf(stderr, "\n");
    std::exit(2);
  }
  static std::string longest = "-max_len=" + std::to_string(target->longest);
  (*argv)[1] = longest.data();
  return 0;
}

extern "C" __attribute__((visibility("default"))) int LLVMFuzzerTestOneInput(
    const std::uint8_t* data, std::size_t size) {
  try {
    target->run({reinterpret_cast<const char*>(data), size});
  } catch (const ringlet::fuzz::Broken& broken) {
    std::fprintf(stderr, "broken: %s\n", broken.why.c_str());
    std::abort();
  }
  return 0;
}
