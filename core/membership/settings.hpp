// What members must agree on beside who they are: what a key keeps (siblings or the last write), the
// defaults of R, W and durability, the limits of what may be stored, and when a tombstone may go. The
// cluster has each once, with a version, so that settings that grew apart merge without a leader; a
// node's file only proposes them (L20, F-102). N and Q are part of the membership view itself.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/status.hpp"

namespace ringlet {

// The numbers are on disks and in messages.
enum class Setting : std::uint8_t {
  n = 1,
  partitions = 2,
  reconcile = 3,  // a Reconcile
  r = 4,
  w = 5,
  durability = 6,  // a WriteDurability
  max_key_bytes = 7,
  max_value_bytes = 8,
  max_siblings = 9,
  max_siblings_bytes = 10,
  tombstone_grace_ms = 11,
};
inline constexpr std::size_t setting_count = 12;  // one beyond the last number

struct SettingRule {
  Setting setting;
  const char* section;  // of the configuration file
  const char* key;
  std::uint64_t low, high;
  std::vector<std::string> words;  // not empty: the words for low, low + 1, ...
  const char* fixed;               // why it never changes; nullptr: `ringlet cluster set` does
};
const std::vector<SettingRule>& setting_rules();
const SettingRule& rule_of(Setting setting);
// "r", "cluster.r"; nullptr: no such setting.
const SettingRule* find_setting(std::string_view name);
std::string to_string(Setting setting, std::uint64_t value);  // as in the file: "3", "lww"
// invalid_argument: what was wanted and what was got.
Result<std::uint64_t> parse_setting(const SettingRule& rule, std::string_view text);

using SettingValues = std::map<Setting, std::uint64_t>;

class ClusterSettings {
 public:
  struct Entry {
    std::uint64_t version = 0;  // 0: a default that no file named; 1: named by a founder's file
    NodeId issuer;              // who took the order; nobody: a founder
    std::uint64_t value = 0;
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  ClusterSettings() = default;
  bool empty() const { return entries_.empty(); }

  // `said`: what a file names. All others have the value in `defaults`.
  static ClusterSettings proposed(const SettingValues& defaults, const SettingValues& said);
  std::optional<std::uint64_t> find(Setting setting) const;
  // By number; of a newer release's settings this one keeps the entries without knowing them.
  const std::map<std::uint32_t, Entry>& entries() const { return entries_; }

  // By an order: all of `values` under one new version. The rules have been checked.
  ClusterSettings with(const SettingValues& values, NodeId issuer) const;
  // Setting by setting the later one: commutative, associative, idempotent. invalid_argument when what
  // never changes differs: such members do not belong together; and when the other has a version that is
  // more than max_version_step above all here, which was not made by counting on. The other side may take
  // these then.
  Result<ClusterSettings> merge(const ClusterSettings& other) const;

  // format(1) | xxh3-64 (8, LE) | message; "" when empty. At most max_settings_bytes.
  Bytes encode() const;
  static Result<ClusterSettings> decode(BytesView bytes);
  friend bool operator==(const ClusterSettings&, const ClusterSettings&) = default;

 private:
  std::map<std::uint32_t, Entry> entries_;
};
inline constexpr std::size_t max_settings_bytes = 4096;
inline constexpr std::uint64_t max_version_step = std::uint64_t{1}
                                                  << 20;  // more changes than a cluster sees

// Where a file and the cluster differ, key by key.
struct SettingDifference {
  Setting setting;
  bool fixed = false;    // such a node cannot be a member
  std::string sentence;  // "cluster.r: the cluster has 2, this file 3; change it with ..."
};
std::vector<SettingDifference> differences(const SettingValues& said,
                                           const ClusterSettings& cluster, std::uint32_t n,
                                           std::uint32_t partitions);

}  // namespace ringlet
