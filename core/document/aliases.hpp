// Dots of writes that were executed more than once, as two tables of events know them.
#pragma once

#include <map>
#include <vector>

#include "document/state.hpp"

namespace ringlet::document {

class Aliases {
 public:
  // Of tables that are joined already: sorted by fingerprint.
  explicit Aliases(const std::vector<Event>& events);
  bool empty() const { return smallest_.empty(); }
  Dot name(const Dot& dot) const;  // the smallest of the event's dots
  // All dots of the event that is named `dot`; nullptr: it has one.
  const std::vector<Dot>* all(const Dot& dot) const;

 private:
  std::map<Dot, Dot> smallest_;  // by each dot of an event that has several
  std::map<Dot, std::vector<Dot>> by_smallest_;
};

void rename(Map& map, const Aliases& aliases);
// Raises the cover of a side whose own table is `known` to all dots of the events that it has seen, by
// their id or by one of their dots. `all`: the tables of both sides.
void raise(Cover& cover, const std::vector<Event>& known, const std::vector<Event>& all);
std::vector<Event> joined(const std::vector<Event>& a, const std::vector<Event>& b);

}  // namespace ringlet::document
