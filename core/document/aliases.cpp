#include "document/aliases.hpp"

#include <algorithm>
#include <utility>

#include "base/planted.hpp"

namespace ringlet::document {

Aliases::Aliases(const std::vector<Event>& events) {
  if (planted(PlantedBug::document_write_counted_twice)) return;
  // A dot names one write, so a write id's dots are one group and no dot is in two. Forged tables may
  // say otherwise; then groups that share a dot are one.
  for (std::size_t i = 0; i < events.size();) {
    std::size_t end = i + 1;
    while (end < events.size() && events[end].print == events[i].print) ++end;
    if (end - i > 1) {  // none of them is without a dot then
      std::vector<Dot> group;
      for (std::size_t n = i; n < end; ++n) {
        auto known = smallest_.find(events[n].dot);
        if (known == smallest_.end()) {
          group.push_back(events[n].dot);
        } else if (auto old = by_smallest_.find(known->second); old != by_smallest_.end()) {
          group.insert(group.end(), old->second.begin(), old->second.end());
          by_smallest_.erase(old);
        }
      }
      std::sort(group.begin(), group.end());
      group.erase(std::unique(group.begin(), group.end()), group.end());
      for (const Dot& dot : group) smallest_[dot] = group.front();
      if (!group.empty()) by_smallest_[group.front()] = group;
    }
    i = end;
  }
}

Dot Aliases::name(const Dot& dot) const {
  auto at = smallest_.find(dot);
  return at == smallest_.end() ? dot : at->second;
}

const std::vector<Dot>* Aliases::all(const Dot& dot) const {
  auto at = by_smallest_.find(dot);
  return at == by_smallest_.end() ? nullptr : &at->second;
}

namespace {

struct Renames {
  const Aliases& aliases;

  void operator()(Map& map) const {
    for (Field& field : map.fields) std::visit(*this, field.node);
  }
  void operator()(Set& set) const {
    for (Element& element : set.elements) rename(element.tags);
  }
  void operator()(Flag& flag) const { rename(flag.tags); }
  void operator()(Counter& counter) const { rename(counter.parts); }
  void operator()(Register& value) const { rename(value.values); }

  void rename(Tags& tags) const {
    if (std::none_of(tags.begin(), tags.end(),
                     [&](const Dot& dot) { return aliases.name(dot) != dot; })) {
      return;
    }
    std::vector<Dot> dots;
    for (const Dot& dot : tags) dots.push_back(aliases.name(dot));
    tags.set(std::move(dots));
  }
  template <typename Item>
  void rename(std::vector<Item>& items) const {
    bool changed = false;
    for (Item& item : items) {
      Dot name = aliases.name(item.dot);
      changed |= name != item.dot;
      item.dot = name;
    }
    if (!changed) return;
    std::stable_sort(items.begin(), items.end(),
                     [](const Item& a, const Item& b) { return a.dot < b.dot; });
    items.erase(std::unique(items.begin(), items.end(),
                            [](const Item& a, const Item& b) { return a.dot == b.dot; }),
                items.end());
  }
};

}  // namespace

void rename(Map& map, const Aliases& aliases) {
  Renames{aliases}(map);
}

void raise(Cover& cover, const std::vector<Event>& known, const std::vector<Event>& all) {
  if (planted(PlantedBug::document_write_counted_twice)) return;
  auto own = known.begin();
  for (auto begin = all.begin(), end = begin; begin != all.end(); begin = end) {
    while (end != all.end() && end->print == begin->print) ++end;
    while (own != known.end() && own->print < begin->print) ++own;
    auto has = [&](const Event& e) { return cover.contains(e.dot); };
    bool seen = (own != known.end() && own->print == begin->print) || std::any_of(begin, end, has);
    for (auto each = begin; seen && each != end; ++each) {
      if (each->dot != self) cover.add(each->dot);
    }
  }
}

std::vector<Event> joined(const std::vector<Event>& a, const std::vector<Event>& b) {
  std::vector<Event> both;
  both.reserve(a.size() + b.size());
  std::merge(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  // Sorted by fingerprint, dot and time. Of one pair the latest time stays, and a dot says more than none.
  std::size_t kept = 0;
  for (std::size_t i = 0; i < both.size(); ++i) {
    bool again = kept > 0 && both[kept - 1].print == both[i].print &&
                 (both[kept - 1].dot == both[i].dot || both[kept - 1].dot == self);
    both[again ? kept - 1 : kept++] = both[i];
  }
  both.resize(kept);
  return both;
}

}  // namespace ringlet::document
