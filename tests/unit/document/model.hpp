// Replicas without a network, clients that edit documents on them, writes that are executed twice, and
// an oracle beside them that knows only which write had been shown which. It has no dots and no
// contexts, so it shares no mistake with the documents.
#pragma once

#include <map>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "document/edits.hpp"
#include "versioning/shown.hpp"

namespace ringlet::document::test {

// What an application sees, by slot: an element of a set, a counter, a flag, a value of a register.
using Seen = std::map<std::string, std::int64_t>;

inline void look(const Map& map, const std::string& path, Seen& seen) {
  for (const Field& field : map.fields) {
    std::string name = path + printable(field.name);
    if (auto* inner = std::get_if<Map>(&field.node)) look(*inner, name + "/", seen);
    if (auto* set = std::get_if<Set>(&field.node)) {
      for (const Element& element : set->elements) seen[name + "/" + printable(element.value)] = 0;
    }
    if (auto* counter = std::get_if<Counter>(&field.node)) {
      seen[name] = static_cast<std::int64_t>(total(*counter));
    }
    if (std::holds_alternative<Flag>(field.node)) seen[name] = 0;
    if (auto* value = std::get_if<Register>(&field.node)) {
      for (const auto& v : value->values) seen[name + "=" + printable(v.value)] = 0;
    }
  }
}
inline Seen look(const State& state) {
  Seen seen;
  look(state.root, "", seen);
  return seen;
}

inline std::string text(const Seen& seen) {
  std::string out;
  for (const auto& [slot, amount] : seen) out += slot + ":" + std::to_string(amount) + " ";
  return out;
}

inline Scalar name(const char* text) {
  return Scalar::of_text(text);
}

class Oracle {
 public:
  struct Write {
    std::set<int> cover;                                       // writes whose effects are in it
    std::map<std::string, std::map<int, std::int64_t>> slots;  // by the write that added it
    bool deleted = false;
  };
  // `living`: what its writer was shown; `all`: tombstones as well.
  void write(int id, const std::set<int>& living, const std::set<int>& all, const Edits& edits) {
    Write write = merged(living);
    for (int each : all) write.cover.insert(writes_[each].cover.begin(), writes_[each].cover.end());
    write.cover.insert(id);
    for (const Edit& edit : edits) apply(write, id, edit);
    writes_[id] = std::move(write);
  }
  void erase(int id, const std::set<int>& all) {
    Write write;
    for (int each : all) write.cover.insert(writes_[each].cover.begin(), writes_[each].cover.end());
    write.cover.insert(id);
    write.deleted = true;
    writes_[id] = std::move(write);
  }
  Seen look(const std::set<int>& living) {
    Seen seen;
    for (const auto& [slot, tags] : merged(living).slots) {
      for (const auto& [id, amount] : tags) seen[slot] += amount;
    }
    return seen;
  }

 private:
  Write merged(const std::set<int>& shown) {
    Write all;
    for (int id : shown) all.cover.insert(writes_[id].cover.begin(), writes_[id].cover.end());
    for (int id : shown) {
      for (const auto& [slot, tags] : writes_[id].slots) {
        for (const auto& [tag, amount] : tags) {
          bool stays = true;
          for (int other : shown) {
            const Write& write = writes_[other];
            if (!write.cover.contains(tag)) continue;
            auto there = write.slots.find(slot);
            stays &= there != write.slots.end() && there->second.contains(tag);
          }
          if (stays) all.slots[slot][tag] = amount;
        }
      }
    }
    return all;
  }
  static void apply(Write& write, int id, const Edit& edit) {
    std::string path = edit.path.empty() ? "" : printable(edit.path);
    switch (edit.kind) {
      case EditKind::add:
        write.slots[path + "/" + printable(edit.value)] = {{id, 0}};
        return;
      case EditKind::remove:
        write.slots.erase(path + "/" + printable(edit.value));
        return;
      case EditKind::increment:
        write.slots[path][id] += edit.amount;
        return;
      case EditKind::enable:
        write.slots[path] = {{id, 0}};
        return;
      case EditKind::set:
        gone(write, path);
        write.slots[path + "=" + printable(edit.value)] = {{id, 0}};
        return;
      default:
        return gone(write, path);
    }
  }
  static void gone(Write& write, const std::string& path) {
    std::erase_if(write.slots, [&](const auto& slot) {
      const std::string& name = slot.first;
      return path.empty() || name == path || name.starts_with(path + "/") ||
             name.starts_with(path + "=");
    });
  }
  std::map<int, Write> writes_;
};

struct Step {
  int kind = 0, replica = 0, other = 0, what = 0;
  enum Kind { edit, edit2, edit3, twice, late, blind, sync1, sync2, gone, restart, kinds };
};
inline void showValue(const Step& step, std::ostream& out) {
  out << "{" << step.kind << "," << step.replica << "," << step.other << "," << step.what << "}";
}

inline constexpr int replica_count = 3;

class Model {
 public:
  struct Settings {
    Limits limits;
    bool removes = true;           // else only adds and increments
    bool removes_counters = true;  // else counters only grow
  };
  Model() = default;
  explicit Model(Settings settings) : settings_(settings) {
    for (int i = 0; i < replica_count; ++i)
      replicas_.push_back({{}, Actor{NodeId{10u + static_cast<unsigned>(i)}, 1}});
  }

  void run(const std::vector<Step>& steps) {
    for (const Step& step : steps) {
      if (broken_) return;
      take(step);
    }
    // In the end all meet.
    for (int round = 0; round < 2; ++round) {
      for (Replica& a : replicas_) {
        for (Replica& b : replicas_) sync(a.object, b.object);
      }
    }
    for (Replica& replica : replicas_) read(replica.object);
  }
  const std::optional<std::string>& broken() const { return broken_; }
  const std::vector<State>& states() const { return states_; }
  std::size_t writes() const { return static_cast<std::size_t>(next_id_); }
  std::size_t twice() const { return twice_; }

 private:
  struct Replica {
    Object object;
    Actor actor;
  };
  struct Letter {
    ringlet::Write write;
    CausalContext seen;
  };

  static Edits edits_of(int what, int id, bool removes) {
    auto element = Scalar::of_integer(what / 16 % 3);
    const char* item = what / 48 % 2 == 0 ? "a" : "b";
    Edit counter{EditKind::increment, {name("items"), name(item)}, {}, what / 96 % 5 + 1};
    switch (removes ? what % 16 : what % 4) {
      case 0:
        return {{EditKind::add, {name("set")}, element}};
      case 1:
      case 2:
        return {counter};
      case 3:
        return {{EditKind::add, {name("deep"), name("set")}, element}, counter};
      case 4:
      case 5:
        return {{EditKind::remove, {name("set")}, element}};
      case 6:
        return {{EditKind::discard, {name("items"), name(item)}}};
      case 7:
        return {{EditKind::discard, {name("items"), name(item)}}, counter};
      case 8:
        return {{EditKind::clear, {name("deep")}}};
      case 9:
        return {{EditKind::enable, {name("gift")}}};
      case 10:
        return {{EditKind::disable, {name("gift")}}};
      case 11:
      case 12:
        return {{EditKind::set, {name("note")}, Scalar::of_integer(id)}};
      case 13:
        return {{EditKind::discard, {name("note")}}};
      case 14:
        return {{EditKind::clear, {}}, {EditKind::add, {name("set")}, element}};
      default:
        return {};
    }
  }

  static int id_of(WriteId id) { return static_cast<int>(id.low); }

  // Reads `object` as a client does, and compares.
  std::optional<State> read(const Object& object) {
    auto state = document::read(object);
    if (!state) {
      broken_ = "a read failed: " + state.status().message();
      return std::nullopt;
    }
    Seen is = look(*state), wanted = oracle_.look(living(object));
    if (is != wanted) broken_ = "wanted " + text(wanted) + " got " + text(is);
    states_.push_back(*state);
    return std::move(*state);
  }
  static std::set<int> living(const Object& object) {
    std::set<int> ids;
    for (const Version& v : object.versions) {
      if (!v.tombstone) ids.insert(id_of(v.write_id));
    }
    return ids;
  }
  static std::set<int> all(const Object& object) {
    std::set<int> ids;
    for (const Version& v : object.versions) ids.insert(id_of(v.write_id));
    return ids;
  }

  void take(const Step& step) {
    Replica& replica = replicas_[static_cast<std::size_t>(step.replica % replica_count)];
    Replica& other = replicas_[static_cast<std::size_t>(step.other % replica_count)];
    now_us_ += 1000;
    switch (step.kind) {
      case Step::edit:
      case Step::edit2:
      case Step::edit3:
      case Step::twice:
      case Step::late:
      case Step::blind: {
        // A reader asks one replica or two, and writes to any.
        Object shown = step.kind == Step::blind ? Object() : replica.object;
        if (step.kind == Step::edit2) sync(shown, other.object);
        int id = next_id_++;
        Edits edits = edits_of(step.what, id, settings_.removes);
        if (!settings_.removes_counters) {
          std::erase_if(edits, [](const Edit& e) {
            return e.path.empty() ||
                   (e.kind == EditKind::discard && e.path.front() == name("items"));
          });
        }
        auto state = read(shown);
        if (!state) return;
        oracle_.write(id, living(shown), all(shown), edits);
        auto document = apply(std::move(*state), shown.context, edits, now_us_, settings_.limits);
        if (!document) {
          broken_ = document.status().message();
          return;
        }
        Letter letter{{WriteId{7, static_cast<std::uint64_t>(id)}, false, encode(*document),
                       Bytes(document_content_type)},
                      shown.context};
        for (const Version& v : shown.versions) {
          letter.write.replaces.push_back(fingerprint(v.write_id));
        }
        deliver(step.kind == Step::edit3 ? other : replica, letter);
        if (step.kind == Step::twice) {
          ++twice_;
          deliver(other, letter);
        }
        if (step.kind == Step::late) late_.push_back({letter, step.other});
        return;
      }
      case Step::sync1:
      case Step::sync2:
        sync(replica.object, other.object);
        if (step.kind == Step::sync2 && !late_.empty()) {
          // A minter that slept executes what was asked of it.
          auto [letter, where] = late_[static_cast<std::size_t>(step.what) % late_.size()];
          ++twice_;
          deliver(replicas_[static_cast<std::size_t>(where % replica_count)], letter);
        }
        return;
      case Step::gone: {
        if (step.what % 4 != 0 || !settings_.removes || !settings_.removes_counters) return;
        // A tombstone keeps no table: whoever deletes has heard of all that was replaced lately.
        for (Replica& each : replicas_) sync(replica.object, each.object);
        int id = next_id_++;
        oracle_.erase(id, all(replica.object));
        Letter letter{{WriteId{7, static_cast<std::uint64_t>(id)}, true}, replica.object.context};
        deliver(replica, letter);
        return;
      }
      case Step::restart:
        ++replica.actor.epoch;
        return;
    }
  }

  void deliver(Replica& at, const Letter& letter) {
    update(at.object, letter.seen, at.actor, letter.write, now_us_);
  }

  Settings settings_;
  std::vector<Replica> replicas_;
  std::vector<std::pair<Letter, int>> late_;
  std::vector<State> states_;
  Oracle oracle_;
  int next_id_ = 1;
  std::size_t twice_ = 0;
  std::int64_t now_us_ = 1'700'000'000'000'000;
  std::optional<std::string> broken_;
};

inline std::vector<Step> random_history(Random& random, int length) {
  std::vector<Step> steps;
  for (int i = 0; i < length; ++i) {
    Step step;
    step.kind = static_cast<int>(random.below(Step::kinds));
    step.replica = static_cast<int>(random.below(replica_count));
    step.other = static_cast<int>(random.below(replica_count));
    step.what = static_cast<int>(random.below(480));
    steps.push_back(step);
  }
  return steps;
}

}  // namespace ringlet::document::test
