// What must hold, checked while a history is made and at its end (failure-modes: L1 to L4, L6, L8, L11).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "run.hpp"
#include "sim/world.hpp"

namespace ringlet::sim {

class Checkers {
 public:
  // An item of a cart is named "key/client-number": a read that shows another key's item is a phantom.
  void adding(const Key& key, const std::string& item, WriteId write_id, const CausalContext& seen);
  void removing(const Key& key, const std::string& item) { removed_[key].insert(item); }
  void acknowledged(const Key& key, const std::string& item) { acknowledged_[key].insert(item); }

  void on_object(const Key& key, const Object& object, const std::string& where);
  // At the end: the union of all siblings that are left.
  void at_the_end(const Key& key, const Object& object);
  void fail(const std::string& law, const std::string& what) {
    if (!violation) violation = Violation{law, what};
  }

  std::optional<Violation> violation;

 private:
  std::map<Key, std::set<std::string>> known_, removed_, acknowledged_;
  std::map<WriteId, CausalContext> seen_by_;  // what each write had read
  std::map<Key, std::map<Dot, WriteId>> dots_;
};

std::set<std::string> items_of(const Bytes& value);
Bytes value_of(const std::set<std::string>& items);

}  // namespace ringlet::sim
