#include "document/edits.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "base/planted.hpp"
#include "document/coding.hpp"

namespace ringlet::document {
namespace {

constexpr char edits_format = 1;

bool has_value(EditKind kind) {
  return kind == EditKind::add || kind == EditKind::remove || kind == EditKind::set ||
         kind == EditKind::set_all;
}

Status check(const Edit& edit) {
  if (edit.path.empty() && edit.kind != EditKind::clear) {
    return Status(Code::invalid_argument, "wanted a path, got an empty one");
  }
  if (edit.path.size() > max_depth) {
    return Status(Code::invalid_argument, "wanted a path of at most " + std::to_string(max_depth) +
                                              " names, got " + std::to_string(edit.path.size()));
  }
  for (std::size_t i = 0; i < edit.path.size(); ++i) {
    Status status = check_name(edit.path[i]);
    if (status) continue;
    return Status(Code::invalid_argument,
                  "name " + std::to_string(i + 1) + " of its path: " + status.message());
  }
  if (!has_value(edit.kind)) return Status::ok();
  bool element = edit.kind == EditKind::add || edit.kind == EditKind::remove;
  Status status = element ? check_element(edit.value) : check_value(edit.value);
  if (status) return status;
  return Status(Code::invalid_argument,
                std::string(element ? "element" : "value") + ": " + status.message());
}

// "edit 3, add coupons: …"
Status about(const Edits& edits, std::size_t index, const Status& why) {
  const Edit& edit = edits[index];
  return Status(why.code(), "edit " + std::to_string(index + 1) + ", " + name_of(edit.kind) + " " +
                                printable(edit.path) + ": " + why.message());
}

Type type_of(EditKind kind) {
  switch (kind) {
    case EditKind::add:
    case EditKind::remove:
      return Type::set;
    case EditKind::increment:
      return Type::counter;
    case EditKind::set:
      return Type::register_latest;
    case EditKind::set_all:
      return Type::register_all;
    case EditKind::enable:
    case EditKind::disable:
      return Type::flag;
    case EditKind::erase:
    case EditKind::discard:
    case EditKind::clear:
      break;
  }
  return Type::map;
}

Node made(Type type) {
  switch (type) {
    case Type::map:
      return Map{};
    case Type::set:
      return Set{};
    case Type::counter:
      return Counter{};
    case Type::flag:
      return Flag{};
    case Type::register_latest:
      return Register{};
    case Type::register_all:
      return RegisterAll{};
  }
  return Map{};
}

auto first_of(Map& map, const Scalar& name) {
  return std::lower_bound(map.fields.begin(), map.fields.end(), name,
                          [](const Field& f, const Scalar& n) { return f.name < n; });
}

// Applies edits to what was read. A step that does not fit leaves by throwing a Status.
class Editing {
 public:
  Editing(Map& root, std::int64_t time_us) : root_(root), time_us_(time_us) {}

  void apply(const Edit& edit) {
    switch (edit.kind) {
      case EditKind::add: {
        auto& set = std::get<Set>(*field(edit, true));
        auto at = place(set, edit.value);
        if (at == set.elements.end() || at->value != edit.value) {
          at = set.elements.insert(at, {edit.value, Tags()});
        }
        at->tags = Tags(self);
        return;
      }
      case EditKind::remove:
        if (Node* node = field(edit, false)) {
          auto& set = std::get<Set>(*node);
          auto at = place(set, edit.value);
          if (at != set.elements.end() && at->value == edit.value) set.elements.erase(at);
        }
        return;
      case EditKind::increment:
        return increment(std::get<Counter>(*field(edit, true)), edit.amount);
      case EditKind::set:
        return put(std::get<Register>(*field(edit, true)), edit.value);
      case EditKind::set_all:
        return put(std::get<RegisterAll>(*field(edit, true)), edit.value);
      case EditKind::enable:
        std::get<Flag>(*field(edit, true)).tags = Tags(self);
        return;
      case EditKind::disable:
        if (Node* node = field(edit, false)) std::get<Flag>(*node).tags = Tags();
        return;
      case EditKind::clear:
        if (edit.path.empty()) {
          root_.fields.clear();
          return;
        }
        [[fallthrough]];
      case EditKind::discard:
        erase(edit);
        return;
      case EditKind::erase:
        if (!erase(edit)) {
          throw Status(Code::invalid_argument, "wanted a field there, got nothing");
        }
        return;
    }
  }

 private:
  static std::vector<Element>::iterator place(Set& set, const Scalar& value) {
    return std::lower_bound(set.elements.begin(), set.elements.end(), value,
                            [](const Element& e, const Scalar& v) { return e.value < v; });
  }

  // The field `name` of this type; made where there is none, if wanted. A field of another type is an
  // error, unless there is one of this type beside it: then two were made concurrently.
  Node* step(Map& map, const std::vector<Scalar>& path, std::size_t depth, Type type, bool make) {
    const Scalar& name = path[depth];
    auto begin = first_of(map, name);
    auto end = begin;
    while (end != map.fields.end() && end->name == name) {
      if (end->type() == type) return &end->node;
      ++end;
    }
    if (begin != end && !document::empty(begin->node)) {
      std::vector<Scalar> until(path.begin(),
                                path.begin() + static_cast<std::ptrdiff_t>(depth) + 1);
      throw Status(Code::invalid_argument, std::string("wanted ") + name_of(type) + " at " +
                                               printable(until) + ", got " +
                                               name_of(begin->type()));
    }
    if (!make) return nullptr;
    auto at = begin;
    while (at != map.fields.end() && at->name == name && at->type() < type) ++at;
    return &map.fields.insert(at, {name, made(type)})->node;
  }

  Map* parent(const Edit& edit, bool make) {
    Map* map = &root_;
    for (std::size_t i = 0; i + 1 < edit.path.size(); ++i) {
      Node* node = step(*map, edit.path, i, Type::map, make);
      if (node == nullptr) return nullptr;
      map = &std::get<Map>(*node);
    }
    return map;
  }
  Node* field(const Edit& edit, bool make) {
    Map* map = parent(edit, make);
    if (map == nullptr) return nullptr;
    return step(*map, edit.path, edit.path.size() - 1, type_of(edit.kind), make);
  }

  bool erase(const Edit& edit) {
    Map* map = parent(edit, false);
    if (map == nullptr) return false;
    auto begin = first_of(*map, edit.path.back());
    auto end = begin;
    bool any = false;
    for (; end != map->fields.end() && end->name == edit.path.back(); ++end) {
      any |= !document::empty(end->node);
    }
    map->fields.erase(begin, end);
    return any;
  }

  void increment(Counter& counter, std::int64_t amount) {
    Wide before = total(counter), after = before + amount;
    if (!fits(after) && (after > 0) == (amount > 0)) {
      throw Status(Code::invalid_argument,
                   "wanted a sum of 64 bits, got " + to_string(before) +
                       (amount < 0 ? " - " : " + ") +
                       to_string(amount < 0 ? -Wide{amount} : Wide{amount}));
    }
    if (counter.parts.empty() || counter.parts.front().dot != self) {
      counter.parts.insert(counter.parts.begin(), {self, 0});
    }
    Wide own = Wide{counter.parts.front().amount} + amount;
    if (!fits(own)) {
      throw Status(Code::invalid_argument,
                   "wanted amounts of 64 bits in one call, got " + to_string(own));
    }
    counter.parts.front().amount = static_cast<std::int64_t>(own);
  }

  void put(Register& value, const Scalar& scalar) { value.values = {{self, time_us_, scalar}}; }

  Map& root_;
  std::int64_t time_us_;
};

// ---- what is done to every document that is written ----

// Whether an event is older than another: by their times, which are whole seconds, then by how many writes
// of the same key their minters executed after them. An event without a dot is one that was replaced; of its
// second it is the oldest.
class Older {
 public:
  explicit Older(const CausalContext& saw) : saw_(saw) {}
  bool operator()(const Event& a, const Event& b) const { return age(a) < age(b); }

 private:
  std::tuple<std::int64_t, std::int64_t, std::uint64_t, Dot> age(const Event& e) const {
    if (e.dot == self) return {e.time_s, INT64_MIN, e.print, e.dot};
    // Counters are below 2^63. What is beyond what was seen is younger than all that was.
    auto seen = static_cast<std::int64_t>(saw_.counter(e.dot.actor));
    return {e.time_s, static_cast<std::int64_t>(e.dot.counter) - seen, e.print, e.dot};
  }
  const CausalContext& saw_;
};

// The later of two clocks may be wrong: an event is old by the writer's and by the document's.
void forget(std::vector<Event>& events, const CausalContext& saw, std::int64_t by_both_s,
            const Limits& limits, const Settled& settled) {
  // A settled write has one dot. One with two here was given its id by somebody else, and stays.
  std::size_t kept = 0;
  for (std::size_t i = 0, end = 0; i < events.size(); i = end) {
    for (end = i; end < events.size() && events[end].print == events[i].print;) ++end;
    if (end - i == 1 && settled && settled(events[i].print)) continue;
    for (std::size_t n = i; n < end; ++n) {
      if (events[n].time_s >= by_both_s - limits.life_s) events[kept++] = events[n];
    }
  }
  events.resize(kept);
  if (events.size() <= limits.most) return;
  std::vector<Event> by_age = events;
  auto first_kept = by_age.end() - static_cast<std::ptrdiff_t>(limits.most);
  const Older older(saw);
  std::nth_element(by_age.begin(), first_kept, by_age.end(), older);
  if (limits.most == 0) return events.clear();
  const Event oldest = *first_kept;
  std::erase_if(events, [&](const Event& e) { return older(e, oldest); });
}

// Sums up what the table has forgotten, and drops what is empty.
class Finish {
 public:
  Finish(const std::vector<Event>& events, const CausalContext& saw, std::uint64_t apart)
      : saw_(saw), apart_(apart) {
    for (const Event& event : events) {
      if (event.dot != self) recent_.push_back(event.dot);
    }
    std::sort(recent_.begin(), recent_.end());
  }
  void operator()(Map& map) const {
    for (Field& field : map.fields) std::visit(*this, field.node);
    std::erase_if(map.fields, [](const Field& field) { return document::empty(field.node); });
  }
  void operator()(Counter& counter) const {
    std::vector<Counter::Part> left;
    for (const Counter::Part& part : counter.parts) {
      // A sum is of all amounts up to its counter but those that are apart beside it. So one event that
      // stays for an hour keeps none of the later ones apart.
      bool known = part.dot == self || std::binary_search(recent_.begin(), recent_.end(), part.dot);
      bool late = part.dot.counter + apart_ > saw_.counter(part.dot.actor);
      if (known || late || !saw_.contains(part.dot)) {
        left.push_back(part);
      } else {
        sum(counter, part);
      }
    }
    counter.parts = std::move(left);
  }
  template <typename Other>
  void operator()(Other&) const {}

 private:
  static void sum(Counter& counter, const Counter::Part& part) {
    auto at = std::lower_bound(counter.sums.begin(), counter.sums.end(), part.dot.actor,
                               [](const Counter::Sum& s, const Actor& a) { return s.actor < a; });
    if (at == counter.sums.end() || at->actor != part.dot.actor) {
      at = counter.sums.insert(at, {part.dot.actor, 0, 0});
    }
    at->counter = std::max(at->counter, part.dot.counter);
    at->amount += part.amount;
  }
  const CausalContext& saw_;
  std::uint64_t apart_;
  std::vector<Dot> recent_;
};

// What the store has forgotten of a context, the document may still know. That makes what was removed
// come back less often; it is bounded all the same.
CausalContext saw_of(const State& state, const CausalContext& seen, const Limits& limits) {
  std::map<Actor, std::uint64_t> counters;
  for (const auto& entry : seen.entries()) counters[entry.actor] = entry.counter;
  std::size_t known = counters.size();
  for (const auto& entry : state.cover.seen().entries()) {
    auto at = counters.find(entry.actor);
    if (at != counters.end()) {
      at->second = std::max(at->second, entry.counter);
    } else if (known < limits.actors) {
      counters[entry.actor] = entry.counter;
      ++known;
    }
  }
  std::vector<CausalContext::Entry> entries;
  for (const auto& [actor, counter] : counters) {
    std::uint64_t more = planted(PlantedBug::document_cover_too_large) ? 1 : 0;
    entries.push_back({actor, counter + more, 0});
  }
  CausalContext saw;
  saw.set_entries(std::move(entries));
  return saw;
}

}  // namespace

const char* name_of(EditKind kind) {
  switch (kind) {
    case EditKind::add:
      return "add";
    case EditKind::remove:
      return "remove";
    case EditKind::increment:
      return "increment";
    case EditKind::set:
      return "set";
    case EditKind::set_all:
      return "set_all";
    case EditKind::enable:
      return "enable";
    case EditKind::disable:
      return "disable";
    case EditKind::erase:
      return "erase";
    case EditKind::discard:
      return "discard";
    case EditKind::clear:
      return "clear";
  }
  return "unknown";
}

std::string printable(const std::vector<Scalar>& path) {
  if (path.empty()) return "the document";
  std::string out;
  for (const Scalar& name : path) out += (out.empty() ? "" : "/") + printable(name);
  return out;
}

namespace {

Status too_many(std::uint64_t count) {
  return Status(Code::too_large, "wanted at most " + std::to_string(max_edits) +
                                     " edits in one call, got " + std::to_string(count));
}

}  // namespace

Status check(const Edits& edits) {
  if (edits.size() > max_edits) {
    return too_many(edits.size());
  }
  for (std::size_t i = 0; i < edits.size(); ++i) {
    if (Status status = check(edits[i]); !status) return about(edits, i, status);
  }
  return Status::ok();
}

Bytes encode(const Edits& edits) {
  Bytes bytes;
  Writer out(bytes);
  out.byte(edits_format);
  out.number(edits.size());
  for (const Edit& edit : edits) {
    out.byte(static_cast<unsigned>(edit.kind));
    out.number(edit.path.size());
    for (const Scalar& name : edit.path) out.scalar(name);
    if (has_value(edit.kind)) out.scalar(edit.value);
    if (edit.kind == EditKind::increment) out.sign(edit.amount);
  }
  return bytes;
}

namespace {

Edits read_edits(Reader& in, std::size_t count) {
  Edits edits;
  for (std::size_t i = 0; i < count; ++i) {
    Edit edit;
    unsigned kind = in.byte();
    if (kind < 1 || kind > static_cast<unsigned>(EditKind::clear)) {
      in.fail("wanted an edit of kind 1 to 10, got " + std::to_string(kind));
    }
    edit.kind = static_cast<EditKind>(kind);
    std::size_t names = in.count(1);  // too many are check()'s to refuse
    for (std::size_t n = 0; n < names; ++n) edit.path.push_back(in.scalar());
    if (has_value(edit.kind)) edit.value = in.scalar();
    if (edit.kind == EditKind::increment) edit.amount = in.sign();
    edits.push_back(std::move(edit));
  }
  if (!in.done()) in.fail("wanted the end, got more bytes");
  return edits;
}

}  // namespace

Result<Edits> decode_edits(BytesView bytes) {
  if (bytes.empty() || bytes[0] != edits_format) {
    return Status(
        !bytes.empty() && bytes[0] > edits_format ? Code::unsupported : Code::corrupt,
        "edits: wanted format 1, got " +
            (bytes.empty() ? std::string("no bytes")
                           : "format " + std::to_string(static_cast<unsigned char>(bytes[0]))));
  }
  try {
    Reader in(bytes.substr(1));
    std::size_t count = in.count(2);
    if (count > max_edits) return too_many(count);
    Edits edits = read_edits(in, count);
    if (Status status = check(edits); !status) return status;
    return edits;
  } catch (const Malformed& malformed) {
    return Status(Code::corrupt, "edits: " + malformed.why);
  }
}

Result<Document> apply(State state, const CausalContext& seen, const Edits& edits,
                       std::int64_t now_us, const Limits& limits, const Settled& settled) {
  if (Status status = check(edits); !status) return status;
  now_us = std::clamp<std::int64_t>(now_us, 0, latest_us);
  Document document;
  document.time_us = std::max(now_us, std::min(state.time_us + 1, latest_us));
  document.saw = saw_of(state, seen, limits);
  document.events = std::move(state.events);
  forget(document.events, document.saw, std::min(now_us, state.time_us) / 1'000'000, limits,
         settled);
  document.root = std::move(state.root);
  Editing editing(document.root, document.time_us);
  for (std::size_t i = 0; i < edits.size(); ++i) {
    try {
      editing.apply(edits[i]);
    } catch (const Status& why) {
      return about(edits, i, why);
    }
  }
  Finish(document.events, document.saw, limits.apart)(document.root);
  return document;
}

Result<Document> taken_over(const std::vector<Edits>& edits, std::int64_t written_us) {
  Document document;
  document.time_us = std::clamp<std::int64_t>(written_us, 0, latest_us);
  Editing editing(document.root, document.time_us);
  for (const Edits& list : edits) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      try {
        editing.apply(list[i]);
      } catch (const Status& why) {
        return about(list, i, why);
      }
    }
  }
  Finish({}, document.saw, Limits().apart)(document.root);
  return document;
}

}  // namespace ringlet::document
