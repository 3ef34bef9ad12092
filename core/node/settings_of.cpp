#include <algorithm>

#include "node/node_state.hpp"

namespace ringlet {

SettingValues settings_of(const NodeOptions& options) {
  const CoordinationOptions& requests = options.coordination;
  SettingValues values{
      {Setting::reconcile, static_cast<std::uint64_t>(requests.reconcile)},
      {Setting::r, requests.r},
      {Setting::w, requests.w},
      {Setting::durability, static_cast<std::uint64_t>(requests.durability)},
      {Setting::max_key_bytes, options.max_key_bytes},
      {Setting::max_value_bytes, options.max_value_bytes},
      {Setting::max_siblings, options.max_siblings},
      {Setting::max_siblings_bytes, options.max_siblings_bytes},
      {Setting::tombstone_grace_ms, static_cast<std::uint64_t>(options.tombstones.grace.millis())}};
  for (auto& [setting, value] : values) {
    const SettingRule& rule = rule_of(setting);
    value = std::clamp(value, rule.low, rule.high);
  }
  return values;
}

}  // namespace ringlet
