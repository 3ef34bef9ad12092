#include "daemon/replicas_text.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <map>

#include "base/log.hpp"
#include "daemon/answers.hpp"

namespace ringlet {
namespace {

struct Held {
  std::string dot, maker, value;
  std::int64_t written_us = 0;
  bool deleted = false;
  std::vector<std::string> by, past,
      lacking;  // owners that hold it, have replaced it, have neither
};

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " and " : ", ";
    text += words[i];
  }
  return text;
}

std::string actor_of(const std::string& dot) {
  return dot.substr(0, dot.rfind(':'));
}

std::uint64_t counter_of(const std::string& dot) {
  std::size_t at = dot.rfind(':');
  if (at == std::string::npos) return 0;
  std::uint64_t number = 0;
  for (char c : dot.substr(at + 1)) {
    if (c < '0' || c > '9') return 0;
    number = number * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return number;
}

bool has_seen(const NodeAnswer& holds, const std::string& dot) {
  auto context = holds["context"].items();
  return std::any_of(context.begin(), context.end(), [&](const NodeAnswer& entry) {
    std::string text = entry.text();
    return actor_of(text) == actor_of(dot) && counter_of(dot) <= counter_of(text);
  });
}

std::string moment(std::int64_t us) {
  std::time_t seconds = us / 1'000'000;
  std::tm parts{};
  if (gmtime_r(&seconds, &parts) == nullptr) return "at an unknown time";
  char text[48];
  std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  char millis[8];
  std::snprintf(millis, sizeof millis, ".%03d", static_cast<int>((us / 1000 % 1000 + 1000) % 1000));
  return std::string(text, length) + millis + " UTC";
}

// Dots as people read them; each actor gets the number of its epoch in the order in which they are met.
class Dots {
 public:
  explicit Dots(const NameOfNode& name_of) : name_of_(name_of) {}

  std::string node(const std::string& dot) const {
    return one_line(name_of_(dot.substr(0, dot.find('.'))));
  }
  std::string operator()(const std::string& dot) {
    std::string actor = actor_of(dot), id = actor.substr(0, actor.find('.'));
    auto& epochs = epochs_[id];
    auto at = std::find(epochs.begin(), epochs.end(), actor);
    if (at == epochs.end()) at = epochs.insert(epochs.end(), actor);
    return node(dot) + "\u00b7" + std::to_string(at - epochs.begin() + 1) + ":" +
           std::to_string(counter_of(dot));
  }

 private:
  const NameOfNode& name_of_;
  std::map<std::string, std::vector<std::string>> epochs_;
};

std::vector<Held> all_versions(const std::vector<ReplicaAnswer>& owners, Dots& dots) {
  std::vector<std::pair<std::string, Held>> found;  // by the whole dot, in the order of writing
  for (const auto& owner : owners) {
    for (const auto& version : NodeAnswer(owner.holds)["versions"].items()) {
      std::string dot = version["dot"].text();
      auto known = std::any_of(found.begin(), found.end(),
                               [&](const auto& other) { return other.first == dot; });
      if (known) continue;
      Held held;
      held.deleted = version["tombstone"].flag().value_or(false);
      std::int64_t size = version["size"].number().value_or(0);
      std::string value = version["value"].text_or("");
      bool cut = value.size() > 64;
      held.value =
          held.deleted ? "a delete" : "\"" + value.substr(0, 64) + (cut ? "..." : "") + "\"";
      if (cut && !held.deleted) held.value += " (" + std::to_string(size) + " bytes)";
      held.written_us = version["written_us"].number().value_or(0);
      found.emplace_back(std::move(dot), std::move(held));
    }
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second.written_us, a.first) < std::pair(b.second.written_us, b.first);
  });
  std::vector<Held> versions;
  for (auto& [dot, held] : found) {
    held.dot = dots(dot);
    held.maker = dots.node(dot);
    for (const auto& owner : owners) {
      if (!owner.error.empty()) continue;
      NodeAnswer holds(owner.holds);
      auto listed = holds["versions"].items();
      bool has = std::any_of(listed.begin(), listed.end(), [&, &dot = dot](const NodeAnswer& v) {
        return v["dot"].text() == dot;
      });
      auto& list = has ? held.by : has_seen(holds, dot) ? held.past : held.lacking;
      list.push_back(one_line(owner.node));
    }
    versions.push_back(std::move(held));
  }
  return versions;
}

std::string differences(const std::vector<Held>& versions,
                        const std::vector<ReplicaAnswer>& owners) {
  std::string text;
  for (const auto& owner : owners) {
    if (!owner.error.empty())
      text += one_line(owner.node) + " did not answer: " + one_line(owner.error) + "\n";
  }
  bool differ = false;
  for (const auto& version : versions) {
    if (!version.lacking.empty()) {
      text += joined(version.lacking) + (version.lacking.size() == 1 ? " lacks " : " lack ") +
              version.dot + ", which " + joined(version.by) +
              (version.by.size() == 1 ? " holds.\n" : " hold.\n");
    }
    if (!version.past.empty()) {
      text += joined(version.past) + (version.past.size() == 1 ? " has" : " have") + " replaced " +
              version.dot + ", which " + joined(version.by) + " still " +
              (version.by.size() == 1 ? "holds.\n" : "hold.\n");
    }
    differ |= !version.lacking.empty() || !version.past.empty();
  }
  auto answered = std::count_if(owners.begin(), owners.end(),
                                [](const ReplicaAnswer& owner) { return owner.error.empty(); });
  if (differ) {
    text += "A read, or `ringlet repair`, brings the owners together.\n";
  } else if (answered > 0) {
    text += "All " + std::to_string(answered) + " owners that answered hold the same.\n";
  }
  return text;
}

// What a read of all owners shows: what no owner has replaced.
std::vector<Held> shown_of(const std::vector<Held>& versions) {
  std::vector<Held> shown;
  for (const auto& version : versions) {
    if (version.past.empty()) shown.push_back(version);
  }
  return shown;
}

}  // namespace

bool any_version(const std::vector<ReplicaAnswer>& owners) {
  return std::any_of(owners.begin(), owners.end(), [](const ReplicaAnswer& owner) {
    return !NodeAnswer(owner.holds)["versions"].items().empty();
  });
}

std::string inspect_text(const std::string& key, const std::vector<ReplicaAnswer>& owners,
                         const NameOfNode& name_of) {
  Dots dots(name_of);
  std::vector<Held> versions = all_versions(owners, dots);
  std::string text = key + ": " + std::to_string(versions.size()) +
                     (versions.size() == 1 ? " version" : " versions") + " at " +
                     std::to_string(owners.size()) + " owners\n";
  for (const auto& version : versions) {
    text += "  " + version.dot + "  " + version.value + "  written " + moment(version.written_us) +
            ", by the clock of " + version.maker + "\n";
  }
  for (const auto& owner : owners) {
    if (!owner.error.empty()) continue;
    std::vector<std::string> held;
    for (const auto& version : versions) {
      if (std::find(version.by.begin(), version.by.end(), one_line(owner.node)) != version.by.end())
        held.push_back(version.dot);
    }
    std::vector<std::string> seen;
    for (const auto& entry : NodeAnswer(owner.holds)["context"].items())
      seen.push_back(dots(entry.text()));
    text += "  " + one_line(owner.node) + " holds " + (held.empty() ? "nothing" : joined(held)) +
            (seen.empty() ? "" : ", its context is " + joined(seen)) + "\n";
  }
  return text + differences(versions, owners);
}

std::string why_text(const std::string& key, const std::vector<ReplicaAnswer>& owners,
                     const NameOfNode& name_of) {
  Dots dots(name_of);
  std::vector<Held> all = all_versions(owners, dots), shown = shown_of(all);
  std::string text;
  auto called = [](const Held& version) { return version.value + " (" + version.dot + ")"; };
  if (shown.empty()) {
    text = key + " has no version at the owners that answered.\n";
  } else if (shown.size() == 1) {
    text = key + " has one version, " + called(shown[0]) + ": it was made by " + shown[0].maker +
           " at " + moment(shown[0].written_us) +
           ", and whoever wrote it had seen all that it replaced.\n";
    if (shown[0].deleted)
      text = key + " has no value: " + shown[0].maker + " took a delete (" + shown[0].dot +
             ") at " + moment(shown[0].written_us) + ".\n";
  } else {
    text = key + " has " + std::to_string(shown.size()) +
           " versions side by side, because no writer of one had seen another:\n";
    for (const auto& version : shown) {
      text += "  " + called(version) + ", made by " + version.maker + " at " +
              moment(version.written_us) + "\n";
    }
    std::int64_t apart = shown.back().written_us - shown.front().written_us;
    char length[64];
    std::snprintf(length, sizeof length, "%.3f", static_cast<double>(apart) / 1e6);
    text += std::string("By the nodes' clocks they were made within ") + length +
            " s. Each was written without a context, or with that of a read that did not show the "
            "others.\nA write with the context of a read that shows all of them replaces them.\n";
  }
  return text + differences(all, owners);
}

}  // namespace ringlet
