#include "configuration/config_keys.hpp"

#include <catch2/catch.hpp>
#include <set>

#include "membership/settings.hpp"

using namespace ringlet;

TEST_CASE("M-3 every setting has one definition, and takes its own default") {
  std::set<std::string> names;
  for (const ConfigKey& key : config_keys()) {
    INFO(key.name());
    CHECK(names.insert(key.name()).second);
    CHECK_FALSE(key.about.empty());
    CHECK(key.uses != 0);
    CHECK(find_config_key(key.name()) == &key);
    ConfigValue preset = key.get(Config());
    CHECK(key.wrong(preset).empty());
    CHECK(key.parse(key.default_text()) == preset);
    Config changed;
    key.set(changed, preset);
    CHECK(key.get(changed) == preset);
  }
  CHECK(names.size() > 60);
}

TEST_CASE("M-3 a number is taken at its bounds, set, and refused beyond them") {
  for (const ConfigKey& key : config_keys()) {
    if (key.type != ConfigType::integer && key.type != ConfigType::power) continue;
    INFO(key.name());
    REQUIRE(key.low < key.high);
    for (std::int64_t value : {key.low, key.high}) {
      CHECK(key.wrong(value).empty());
      Config config;
      key.set(config, value);
      CHECK(key.get(config) == ConfigValue(value));
    }
    CHECK(key.wrong(key.low - 1) == key.wanted());
    if (key.high < INT64_MAX) CHECK(key.wrong(key.high + 1) == key.wanted());
    CHECK_FALSE(key.wrong(std::string("7")).empty());
    CHECK_FALSE(key.wrong(key.parse("seven")).empty());
    CHECK_FALSE(key.wrong(key.parse("")).empty());
  }
}

TEST_CASE("M-3 what is the cluster's has the bounds that messages and disks have") {
  for (const SettingRule& rule : setting_rules()) {
    const ConfigKey* key = find_config_key(std::string(rule.section) + "." + rule.key);
    INFO(rule.key);
    REQUIRE(key != nullptr);
    CHECK(key->words == rule.words);
    if (!rule.words.empty()) continue;
    CHECK(key->low == static_cast<std::int64_t>(rule.low));
    CHECK(key->high == static_cast<std::int64_t>(rule.high));
  }
}

TEST_CASE("M-3 words, names, addresses and members are what they say") {
  auto wrong = [](const char* name, const char* text) {
    const ConfigKey& key = *find_config_key(name);
    return key.wrong(key.parse(text));
  };
  CHECK(wrong("cluster.reconcile", "lww").empty());
  CHECK(wrong("cluster.reconcile", "LWW") == "a string: \"siblings\" or \"lww\"");
  CHECK(wrong("cluster.name", " padded\t").empty());
  CHECK_FALSE(wrong("cluster.name", "").empty());
  CHECK_FALSE(wrong("cluster.name", std::string(65, 'a').c_str()).empty());
  CHECK(wrong("cluster.partitions", "64").empty());
  CHECK_FALSE(wrong("cluster.partitions", "63").empty());
  CHECK(wrong("node.listen", "[::1]:0").empty());
  CHECK_FALSE(wrong("node.listen", "::1:7400").empty());
  CHECK(wrong("client.seeds", "a:1, b:2").empty());
  CHECK_FALSE(wrong("client.seeds", "a:1,").empty());
  CHECK_FALSE(wrong("client.seeds", "a:0").empty());
  CHECK(wrong("node.members", "a=h:1,b=h:2").empty());
  CHECK_FALSE(wrong("node.members", "a=h:1,h:2").empty());
  CHECK(nearest_config_key("client.seed").name() == "client.seeds");
  CHECK(users_of(*find_config_key("client.seeds")) == "a client");
}
