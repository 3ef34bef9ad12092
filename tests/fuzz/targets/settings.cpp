// settings: any bytes as the cluster's settings; what is taken is read back, and merges to one value
#include "membership/settings.hpp"

#include <algorithm>

#include "fuzz/target.hpp"
#include "fuzz/views.hpp"

namespace ringlet::fuzz {

Verdict settings(BytesView input) {
  Input in(input);
  bool raw = in.byte() % 2 == 0;
  if (raw) {
    BytesView bytes = in.rest();
    auto decoded = ClusterSettings::decode(bytes);
    if (!decoded) {
      hold(!decoded.status().message().empty(), "refused without a sentence");
      return Verdict::refused;
    }
    hold(decoded->encode() == bytes, "settings have two encodings");
    return Verdict::taken;
  }
  Bytes first(in.piece()), second(in.piece());
  auto a = ClusterSettings::decode(sealed(first)), b = ClusterSettings::decode(sealed(second));
  auto c = ClusterSettings::decode(sealed(in.rest()));
  if (!a || !b || !c) return Verdict::refused;
  auto ab = a->merge(*b), ba = b->merge(*a);
  // A version far above all that a side knows was not made as versions are: that side alone refuses it.
  auto made_up = [](const ClusterSettings& mine, const ClusterSettings& theirs) {
    auto newest = [](const ClusterSettings& of) {
      std::uint64_t version = 0;
      for (const auto& [number, entry] : of.entries()) version = std::max(version, entry.version);
      return version;
    };
    return !mine.empty() && newest(theirs) > newest(mine) + max_version_step;
  };
  if (made_up(*a, *b) || made_up(*b, *a)) {
    hold(!(made_up(*a, *b) ? ab : ba).is_ok(), "a made-up version is taken");
    return Verdict::taken;
  }
  hold(ab.is_ok() == ba.is_ok(), "one side refuses what the other takes");
  if (!ab) return Verdict::taken;
  hold(*ab == *ba, "settings depend on who merges");
  hold(*ab->merge(*ab) == *ab, "settings merged twice are others");
  auto again = ClusterSettings::decode(ab->encode());
  hold(again.is_ok() && *again == *ab, "settings that a merge made are not read back");
  auto left = ab->merge(*c), bc = b->merge(*c);
  if (left && bc) {
    auto right = a->merge(*bc);
    hold(right.is_ok() && *left == *right, "settings depend on the order of merges");
  }
  (void)differences({{Setting::n, 3}, {Setting::r, 2}, {Setting::reconcile, 1}}, *ab, 2, 16);
  return Verdict::taken;
}

}  // namespace ringlet::fuzz
