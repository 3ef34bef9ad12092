#include "membership/settings.hpp"

#include <algorithm>
#include <charconv>

#include "base/assert.hpp"
#include "base/planted.hpp"
#include "membership/event_encoding.hpp"

namespace ringlet {
namespace {

using event_encoding::Malformed;

constexpr std::size_t max_entries = 64;
constexpr std::uint64_t max_version = std::uint64_t{1} << 56;  // room to count on from

namespace entry_field {
enum : unsigned { number = 1, version = 2, issuer = 3, value = 4 };
}

Status wrong(std::string why) {
  return {Code::invalid_argument, "settings: " + std::move(why)};
}

std::string name_of(const SettingRule& rule) {
  return std::string(rule.section) + "." + rule.key;
}

std::string in_file(Setting setting, std::uint64_t value) {
  std::string text = to_string(setting, value);
  return rule_of(setting).words.empty() ? text : "\"" + text + "\"";
}

// A total order of two entries of one setting.
bool later(const ClusterSettings::Entry& a, const ClusterSettings::Entry& b) {
  if (a.version != b.version) return a.version > b.version;
  if (a.issuer != b.issuer) return a.issuer > b.issuer;
  return a.value > b.value;
}

std::pair<std::uint32_t, ClusterSettings::Entry> read_entry(protozero::pbf_reader in) {
  std::uint64_t number = 0;
  ClusterSettings::Entry entry;
  while (in.next()) {
    switch (in.tag_and_type()) {
      case event_encoding::varint(entry_field::number):
        number = in.get_uint64();
        break;
      case event_encoding::varint(entry_field::version):
        entry.version = in.get_uint64();
        break;
      case event_encoding::fixed64(entry_field::issuer):
        entry.issuer.value = in.get_fixed64();
        break;
      case event_encoding::varint(entry_field::value):
        entry.value = in.get_uint64();
        break;
      default:
        in.skip();
    }
  }
  if (number == 0 || number > 1'000'000) {
    throw Malformed{"a setting has number " + std::to_string(number)};
  }
  if (entry.version > max_version) throw Malformed{"a setting's version is beyond 2^56"};
  for (const SettingRule& rule : setting_rules()) {
    if (static_cast<std::uint64_t>(rule.setting) != number) continue;
    if (entry.value < rule.low || entry.value > rule.high) {
      throw Malformed{name_of(rule) + ": wanted " + std::to_string(rule.low) + " to " +
                      std::to_string(rule.high) + ", got " + std::to_string(entry.value)};
    }
  }
  return {static_cast<std::uint32_t>(number), entry};
}

}  // namespace

const std::vector<SettingRule>& setting_rules() {
  static const std::vector<SettingRule>& rules = *new std::vector<SettingRule>{
      {Setting::n,
       "cluster",
       "n",
       1,
       16,
       {},
       "every key's owners are counted by it; found a new cluster and copy the data"},
      {Setting::partitions,
       "cluster",
       "partitions",
       1,
       65536,
       {},
       "the data on every disk lies by it; found a new cluster and copy the data"},
      {Setting::reconcile,
       "cluster",
       "reconcile",
       0,
       1,
       {"siblings", "lww"},
       "last-write-wins would drop siblings that are stored, and what it stored has no context; "
       "found "
       "a new cluster and copy the data"},
      {Setting::r, "cluster", "r", 1, 16, {}, nullptr},
      {Setting::w, "cluster", "w", 1, 16, {}, nullptr},
      {Setting::durability, "cluster", "durability", 1, 3, {"buffer", "log", "disk"}, nullptr},
      {Setting::max_key_bytes, "limits", "max_key_bytes", 1, 64 * 1024, {}, nullptr},
      {Setting::max_value_bytes, "limits", "max_value_bytes", 1, 32 << 20, {}, nullptr},
      {Setting::max_siblings, "limits", "max_siblings", 1, 65536, {}, nullptr},
      {Setting::max_siblings_bytes, "limits", "max_siblings_bytes", 1024, 32 << 20, {}, nullptr},
      {Setting::tombstone_grace_ms,
       "upkeep",
       "tombstone_grace_ms",
       0,
       10ULL * 366 * 24 * 3'600'000,
       {},
       nullptr},
  };
  return rules;
}

const SettingRule& rule_of(Setting setting) {
  for (const SettingRule& rule : setting_rules()) {
    if (rule.setting == setting) return rule;
  }
  RINGLET_ASSERT(false && "every setting has a rule");
  return setting_rules().front();
}

const SettingRule* find_setting(std::string_view name) {
  for (const SettingRule& rule : setting_rules()) {
    if (name == rule.key || name == name_of(rule)) return &rule;
  }
  return nullptr;
}

std::string to_string(Setting setting, std::uint64_t value) {
  const SettingRule& rule = rule_of(setting);
  if (value >= rule.low && value - rule.low < rule.words.size()) {
    return rule.words[value - rule.low];
  }
  return std::to_string(value);
}

Result<std::uint64_t> parse_setting(const SettingRule& rule, std::string_view text) {
  auto word = std::find(rule.words.begin(), rule.words.end(), text);
  if (word != rule.words.end()) {
    return rule.low + static_cast<std::uint64_t>(word - rule.words.begin());
  }
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  bool number = rule.words.empty() && error == std::errc{} && end == text.data() + text.size();
  if (number && value >= rule.low && value <= rule.high) return value;
  std::string wanted;
  for (const std::string& each : rule.words) wanted += (wanted.empty() ? "" : " or ") + each;
  if (rule.words.empty()) {
    wanted = "a whole number from " + std::to_string(rule.low) + " to " + std::to_string(rule.high);
  }
  return wrong(name_of(rule) + ": wanted " + wanted + ", got \"" + printable(text) + "\"");
}

ClusterSettings ClusterSettings::proposed(const SettingValues& defaults,
                                          const SettingValues& said) {
  ClusterSettings settings;
  for (const auto& [setting, value] : defaults) {
    if (setting == Setting::n || setting == Setting::partitions) continue;
    auto named = said.find(setting);
    Entry entry{named == said.end() ? 0U : 1U, {}, named == said.end() ? value : named->second};
    settings.entries_[static_cast<std::uint32_t>(setting)] = entry;
  }
  return settings;
}

std::optional<std::uint64_t> ClusterSettings::find(Setting setting) const {
  auto at = entries_.find(static_cast<std::uint32_t>(setting));
  return at == entries_.end() ? std::nullopt : std::optional(at->second.value);
}

ClusterSettings ClusterSettings::with(const SettingValues& values, NodeId issuer) const {
  std::uint64_t version = 2;
  for (const auto& [number, entry] : entries_) version = std::max(version, entry.version + 1);
  ClusterSettings changed = *this;
  for (const auto& [setting, value] : values) {
    changed.entries_[static_cast<std::uint32_t>(setting)] = {version, issuer, value};
  }
  return changed;
}

Result<ClusterSettings> ClusterSettings::merge(const ClusterSettings& other) const {
  if (empty()) return other;
  ClusterSettings merged = *this;
  // A version is one more than the greatest known. One that is far above was not made so, and the next could
  // not be written down any more.
  std::uint64_t greatest = 0;
  for (const auto& [number, entry] : entries_) greatest = std::max(greatest, entry.version);
  for (const auto& [number, entry] : other.entries_) {
    if (entry.version > greatest + max_version_step) {
      return wrong("setting " + std::to_string(number) + " has version " +
                   std::to_string(entry.version) + ", wanted at most " +
                   std::to_string(greatest + max_version_step));
    }
    auto [at, fresh] = merged.entries_.try_emplace(number, entry);
    if (fresh) continue;
    for (const SettingRule& rule : setting_rules()) {
      if (rule.fixed == nullptr || static_cast<std::uint32_t>(rule.setting) != number) continue;
      if (entry.value == at->second.value || planted(PlantedBug::reconcile_not_compared)) continue;
      return wrong(name_of(rule) + " is " + in_file(rule.setting, at->second.value) + " here and " +
                   in_file(rule.setting, entry.value) + " there: such members cannot be together");
    }
    if (later(entry, at->second)) at->second = entry;
  }
  if (merged.entries_.size() > max_entries) {
    return wrong("wanted at most " + std::to_string(max_entries) + ", the two together have " +
                 std::to_string(merged.entries_.size()));
  }
  return merged;
}

Bytes ClusterSettings::encode() const {
  if (empty()) return {};
  Bytes body;
  protozero::pbf_writer out{body};
  for (const auto& [number, entry] : entries_) {
    protozero::pbf_writer message{out, 1};
    message.add_uint32(entry_field::number, number);
    if (entry.version != 0) message.add_uint64(entry_field::version, entry.version);
    if (entry.issuer) message.add_fixed64(entry_field::issuer, entry.issuer.value);
    if (entry.value != 0) message.add_uint64(entry_field::value, entry.value);
  }
  return event_encoding::sealed(body);
}

Result<ClusterSettings> ClusterSettings::decode(BytesView bytes) {
  ClusterSettings settings;
  if (bytes.empty()) return settings;
  auto corrupt = [](const std::string& why) { return Status(Code::corrupt, "settings: " + why); };
  if (bytes.size() > max_settings_bytes) {
    return corrupt("wanted at most " + std::to_string(max_settings_bytes) + " bytes, got " +
                   std::to_string(bytes.size()));
  }
  Result<BytesView> body = event_encoding::opened(bytes, "settings");
  if (!body) return body.status();
  try {
    protozero::pbf_reader in{body->data(), body->size()};
    // A field 1 of another wire type is no entry, and reading it as one would abort.
    while (in.next(1, protozero::pbf_wire_type::length_delimited)) {
      if (settings.entries_.size() == max_entries) return corrupt("more than 64");
      auto [number, entry] = read_entry(in.get_message());
      if (!settings.entries_.try_emplace(number, entry).second) {
        return corrupt("setting " + std::to_string(number) + " is there twice");
      }
    }
  } catch (const Malformed& malformed) {
    return corrupt(malformed.why);
  } catch (const protozero::exception& e) {
    return corrupt(std::string("not a protobuf message (") + e.what() + ")");
  }
  if (settings.encode() != bytes) return corrupt("not in the one form that they are written in");
  return settings;
}

std::vector<SettingDifference> differences(const SettingValues& said,
                                           const ClusterSettings& cluster, std::uint32_t n,
                                           std::uint32_t partitions) {
  std::vector<SettingDifference> list;
  for (const auto& [setting, value] : said) {
    std::optional<std::uint64_t> has = setting == Setting::n            ? n
                                       : setting == Setting::partitions ? partitions
                                                                        : cluster.find(setting);
    if (!has || *has == value) continue;
    const SettingRule& rule = rule_of(setting);
    if (rule.fixed != nullptr && planted(PlantedBug::reconcile_not_compared)) continue;
    std::string sentence = name_of(rule) + ": the cluster has " + in_file(setting, *has) +
                           ", this file " + in_file(setting, value);
    sentence += rule.fixed == nullptr
                    ? "; change it with \"ringlet cluster set " + std::string(rule.key) + " " +
                          to_string(setting, value) + "\""
                    : "; it never changes: " + std::string(rule.fixed);
    list.push_back({setting, rule.fixed != nullptr, std::move(sentence)});
  }
  return list;
}

}  // namespace ringlet
