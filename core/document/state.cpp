#include "document/state.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/planted.hpp"
#include "document/aliases.hpp"

namespace ringlet::document {

void Tags::set(std::vector<Dot> dots) {
  std::sort(dots.begin(), dots.end());
  dots.erase(std::unique(dots.begin(), dots.end()), dots.end());
  size_ = dots.size();
  if (size_ == 1) one_ = dots[0];
  if (size_ > 1) many_ = std::move(dots);
  if (size_ <= 1) many_.clear();
}

bool Tags::contains(const Dot& dot) const {
  return std::binary_search(begin(), end(), dot);
}

const char* name_of(Type type) {
  switch (type) {
    case Type::map:
      return "a map";
    case Type::set:
      return "a set";
    case Type::counter:
      return "a counter";
    case Type::flag:
      return "a flag";
    case Type::register_latest:
      return "a register";
    case Type::register_all:
      return "a register of all values";
  }
  return "unknown";
}

Wide total(const Counter& counter) {
  Wide sum = 0;
  for (const Counter::Sum& s : counter.sums) sum += s.amount;
  for (const Counter::Part& part : counter.parts) sum += part.amount;
  return sum;
}

bool fits(Wide amount) {
  return amount >= INT64_MIN && amount <= INT64_MAX;
}

std::string to_string(Wide amount) {
  if (amount == 0) return "0";
  std::string digits;
  for (Wide rest = amount; rest != 0; rest /= 10) {
    int digit = static_cast<int>(rest % 10);
    digits += static_cast<char>('0' + (digit < 0 ? -digit : digit));
  }
  if (amount < 0) digits += '-';
  return {digits.rbegin(), digits.rend()};
}

const Register::Value* latest(const Register& value) {
  auto at = std::max_element(value.values.begin(), value.values.end(),
                             [](const Register::Value& a, const Register::Value& b) {
                               return std::tie(a.time_us, a.dot) < std::tie(b.time_us, b.dot);
                             });
  return at == value.values.end() ? nullptr : &*at;
}

bool operator==(const Map& a, const Map& b) {
  return a.fields == b.fields;
}

bool operator==(const Field& a, const Field& b) {
  return a.name == b.name && a.node == b.node;
}

namespace {

struct IsEmpty {
  bool operator()(const Map& map) const { return map.fields.empty(); }
  bool operator()(const Set& set) const { return set.elements.empty(); }
  bool operator()(const Counter& counter) const {
    return counter.sums.empty() && counter.parts.empty();
  }
  bool operator()(const Flag& flag) const { return flag.tags.empty(); }
  bool operator()(const Register& value) const { return value.values.empty(); }
};

}  // namespace

bool empty(const Node& node) {
  return std::visit(IsEmpty(), node);
}

const Field* find(const Map& map, const Scalar& name, Type type) {
  auto at =
      std::lower_bound(map.fields.begin(), map.fields.end(), std::tie(name, type),
                       [](const Field& field, const auto& wanted) {
                         return std::tuple<const Scalar&, Type>(field.name, field.type()) < wanted;
                       });
  bool there = at != map.fields.end() && at->name == name && at->type() == type;
  return there ? &*at : nullptr;
}

// ---- covers ----

bool Cover::contains(const Dot& dot) const {
  return seen_.contains(dot) || std::binary_search(beyond_.begin(), beyond_.end(), dot);
}

void Cover::add(const Dot& dot) {
  if (planted(PlantedBug::document_gap_skipped)) return seen_.add(dot, 0);
  if (contains(dot)) return;
  beyond_.insert(std::lower_bound(beyond_.begin(), beyond_.end(), dot), dot);
  fill_gaps();
}

void Cover::join(const Cover& other) {
  seen_.join(other.seen_);
  std::vector<Dot> both;
  both.reserve(beyond_.size() + other.beyond_.size());
  std::set_union(beyond_.begin(), beyond_.end(), other.beyond_.begin(), other.beyond_.end(),
                 std::back_inserter(both));
  beyond_ = std::move(both);
  fill_gaps();
}

void Cover::fill_gaps() {
  std::erase_if(beyond_, [&](const Dot& dot) {
    std::uint64_t last = seen_.counter(dot.actor);
    if (dot.counter == last + 1) seen_.add(dot, 0);
    return dot.counter <= last + 1;
  });
}

// ---- reading ----

namespace {

Result<std::optional<Document>> document_of(const Version& version, const TakeOver& take) {
  if (version.content_type == document_content_type) {
    auto document = decode(version.value);
    if (!document) return document.status();
    return std::optional<Document>(std::move(*document));
  }
  if (take) return take(version);
  return Status(Code::invalid_argument,
                "wanted a document (" + std::string(document_content_type) + "), got a value of " +
                    std::to_string(version.value.size()) + " bytes of content type \"" +
                    ringlet::printable(BytesView(version.content_type)) + "\"");
}

}  // namespace

Result<State> read(const Object& object, Deletes deletes) {
  return read(object, deletes, {});
}

Result<State> read(const Object& object, Deletes deletes, const TakeOver& take) {
  State state;
  bool first = true;
  Dot first_dot;
  const bool deleted = std::any_of(object.versions.begin(), object.versions.end(),
                                   [](const Version& v) { return v.tombstone; });
  const bool missing = deleted && deletes == Deletes::win;
  for (const Version& version : object.versions) {
    if (version.tombstone) continue;
    if (missing) {
      // The document is hidden by the delete, and the next write replaces it. Its effects are not shown, but
      // its table is kept, so that a late copy of one of its writes is still recognized.
      auto gone = version.content_type == document_content_type
                      ? decode(version.value)
                      : Result<Document>(Status(Code::invalid_argument, "no document"));
      if (!gone) continue;
      State left = resolve(std::move(*gone), version.dot, version.write_id);
      state.events = joined(state.events, left.events);
      state.time_us = std::max(state.time_us, left.time_us);
      continue;
    }
    auto document = document_of(version, take);
    if (!document) {
      const Status& why = document.status();
      return Status(why.code(),
                    "version " + ringlet::to_string(version.dot) + ": " + why.message());
    }
    if (!document->has_value()) continue;
    if (first) first_dot = version.dot;
    // The planted bug: what each sibling calls its own is taken for the first one's.
    Dot dot = planted(PlantedBug::document_self_of_another) ? first_dot : version.dot;
    State next = resolve(std::move(**document), dot, version.write_id);
    if (first) {
      state = std::move(next);
    } else {
      join(state, std::move(next));
    }
    first = false;
  }
  // Nothing is left of what the store has seen, so all of it was removed.
  if (first) state.cover = Cover(object.context);
  // A tombstone says nothing of the writes that it replaced. The object remembers which they were.
  if (deleted) {
    std::vector<Event> replaced;
    for (const SpentWrite& spent : object.spent) {
      replaced.push_back(
          {spent.fingerprint, {}, std::min(spent.time_ms / 1000, latest_us / 1'000'000)});
      state.time_us = std::max(state.time_us, replaced.back().time_s * 1'000'000);
    }
    state.events = joined(state.events, replaced);
  }
  return state;
}

}  // namespace ringlet::document
