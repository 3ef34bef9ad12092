// What documents must show, told by someone who knows only which write had been shown which. It has no dots
// and no contexts, so it shares no mistake with the documents.
#pragma once

#include <map>
#include <set>
#include <string>

#include "document/edits.hpp"

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
    if (auto* all = std::get_if<RegisterAll>(&field.node)) {
      for (const auto& v : all->values) seen[name + "=" + printable(v.value)] = 0;
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
      case EditKind::set_all:
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

}  // namespace ringlet::document::test
