// A document's bytes:
//
//   format(1) | time | actors: count, each node(8) epoch | saw: a counter for each actor, 0 none
//   | events: count, each fingerprint(8), tag (self: no dot is known), seconds before the document's time
//   | fields
//   fields    count, each: name (a scalar) | type(1) | what follows by type
//   map       fields                       set     count, each: scalar | tags
//   counter   count of sums, each: actor, counter, amount | count of parts, each: tag, amount
//   flag      tags                         register  count, each: tag, time before the document's, scalar
//   dot       actor (its place in the list of actors) | counter
//   tag       2 * (0 self, or 1 + actor) + (1 another tag follows, in tags) | counter, unless self
//
// All lists are sorted and without repetition, no list of a field is empty, each actor is used.
#include <algorithm>
#include <tuple>
#include <utility>

#include "document/coding.hpp"

namespace ringlet::document {
namespace {

constexpr char format = 1;
// As versioning/encoding.cpp has it of contexts and objects.
constexpr std::uint64_t max_seen_counter = std::uint64_t{1} << 62;
constexpr std::uint64_t max_counter = std::uint64_t{1} << 63;

// ---- writing ----

class Actors {
 public:
  void operator()(const Map& map) {
    for (const Field& field : map.fields) std::visit(*this, field.node);
  }
  void operator()(const Set& set) {
    for (const Element& element : set.elements) {
      for (const Dot& dot : element.tags) add(dot);
    }
  }
  void operator()(const Flag& flag) {
    for (const Dot& dot : flag.tags) add(dot);
  }
  void operator()(const Counter& counter) {
    for (const Counter::Sum& sum : counter.sums) add({sum.actor, sum.counter});
    for (const Counter::Part& part : counter.parts) add(part.dot);
  }
  void operator()(const Register& value) {
    for (const Register::Value& v : value.values) add(v.dot);
  }
  void add(const Dot& dot) {
    if (dot == self || (last_ < all_.size() && all_[last_] == dot.actor)) return;
    auto at = std::lower_bound(all_.begin(), all_.end(), dot.actor);
    if (at == all_.end() || *at != dot.actor) at = all_.insert(at, dot.actor);
    last_ = static_cast<std::size_t>(at - all_.begin());
  }
  std::size_t place(const Actor& actor) {
    if (last_ < all_.size() && all_[last_] == actor) return last_;
    last_ =
        static_cast<std::size_t>(std::lower_bound(all_.begin(), all_.end(), actor) - all_.begin());
    return last_;
  }
  const std::vector<Actor>& all() const { return all_; }

 private:
  std::vector<Actor> all_;  // sorted
  std::size_t last_ = 0;    // asked for: the next is mostly the same
};

class DocumentWriter {
 public:
  DocumentWriter(const Document& document, Bytes& out) : document_(document), out_(out) {
    for (const auto& entry : document.saw.entries()) actors_.add({entry.actor, entry.counter});
    for (const Event& event : document.events) actors_.add(event.dot);
    actors_(document.root);
  }
  void write() {
    out_.byte(format);
    out_.number(static_cast<std::uint64_t>(document_.time_us));
    out_.number(actors_.all().size());
    for (const Actor& actor : actors_.all()) {
      out_.fixed(actor.node.value);
      out_.number(actor.epoch);
    }
    for (const Actor& actor : actors_.all()) out_.number(document_.saw.counter(actor));
    out_.number(document_.events.size());
    for (const Event& event : document_.events) {
      out_.fixed(event.print);
      tag(event.dot, false);
      out_.number(static_cast<std::uint64_t>(document_.time_us / 1'000'000 - event.time_s));
    }
    (*this)(document_.root);
  }
  void operator()(const Map& map) {
    out_.number(map.fields.size());
    for (const Field& field : map.fields) {
      out_.scalar(field.name);
      out_.byte(static_cast<unsigned>(field.type()));
      std::visit(*this, field.node);
    }
  }
  void operator()(const Set& set) {
    out_.number(set.elements.size());
    for (const Element& element : set.elements) {
      out_.scalar(element.value);
      tags(element.tags);
    }
  }
  void operator()(const Flag& flag) { tags(flag.tags); }
  void operator()(const Counter& counter) {
    out_.number(counter.sums.size());
    for (const Counter::Sum& sum : counter.sums) {
      dot({sum.actor, sum.counter});
      out_.sign_wide(sum.amount);
    }
    out_.number(counter.parts.size());
    for (const Counter::Part& part : counter.parts) {
      tag(part.dot, false);
      out_.sign(part.amount);
    }
  }
  void operator()(const Register& value) {
    out_.number(value.values.size());
    for (const Register::Value& v : value.values) {
      tag(v.dot, false);
      out_.number(static_cast<std::uint64_t>(document_.time_us - v.time_us));
      out_.scalar(v.value);
    }
  }

 private:
  void dot(const Dot& dot) {
    out_.number(actors_.place(dot.actor));
    out_.number(dot.counter);
  }
  void tag(const Dot& dot, bool more) {
    out_.number((dot == self ? 0 : actors_.place(dot.actor) + 1) << 1 | (more ? 1 : 0));
    if (dot != self) out_.number(dot.counter);
  }
  void tags(const Tags& tags) {
    for (const Dot* dot = tags.begin(); dot != tags.end(); ++dot) tag(*dot, dot + 1 != tags.end());
  }
  const Document& document_;
  Writer out_;
  Actors actors_;
};

// ---- reading ----

class DocumentReader {
 public:
  explicit DocumentReader(BytesView bytes) : in_(bytes) {}

  Document read() {
    Document document;
    document.time_us = static_cast<std::int64_t>(in_.number(latest_us));
    time_us_ = document.time_us;
    std::size_t count = in_.count(10);
    for (std::size_t i = 0; i < count; ++i) {
      Actor actor;
      actor.node.value = in_.fixed();
      actor.epoch = in_.number();
      if (!actors_.empty() && !(actors_.back() < actor)) in_.fail("actors are out of order");
      actors_.push_back(actor);
    }
    used_.resize(count);
    std::vector<CausalContext::Entry> saw;
    for (std::size_t i = 0; i < count; ++i) {
      std::uint64_t counter = in_.number(max_seen_counter);
      used_[i] = counter != 0;
      if (counter != 0) saw.push_back({actors_[i], counter, 0});
    }
    document.saw.set_entries(std::move(saw));
    events(document.events);
    map(document.root, 0);
    if (!in_.done()) in_.fail("wanted the end, got more bytes");
    if (std::find(used_.begin(), used_.end(), false) != used_.end()) in_.fail("an actor is unused");
    return document;
  }

 private:
  // Each list is sorted and without repetition.
  template <typename T>
  void after(const T* last, const T& next, const char* what) {
    if (last != nullptr && !(*last < next))
      in_.fail(std::string(what) + " are out of order or twice");
  }

  Dot dot() {
    std::size_t place = in_.number();
    if (place >= actors_.size()) {
      in_.fail("wanted one of " + std::to_string(actors_.size()) + " actors, got number " +
               std::to_string(place));
    }
    used_[place] = true;
    Dot dot{actors_[place], in_.number(max_counter)};
    if (dot.counter == 0) in_.fail("a dot has no counter");
    return dot;
  }
  Dot tag(bool* more) {
    std::uint64_t head = in_.number();
    if (more == nullptr && (head & 1) != 0) in_.fail("wanted one tag, got several");
    if (more != nullptr) *more = (head & 1) != 0;
    if (head >> 1 == 0) return self;
    std::size_t place = (head >> 1) - 1;
    if (place >= actors_.size()) {
      in_.fail("wanted a tag of one of " + std::to_string(actors_.size()) + " actors, got number " +
               std::to_string(place));
    }
    used_[place] = true;
    Dot dot{actors_[place], in_.number(max_counter)};
    if (dot.counter == 0) in_.fail("a tag has no counter");
    return dot;
  }
  Tags tags() {
    bool more = false;
    Dot first = tag(&more);
    if (!more) return Tags(first);
    std::vector<Dot> dots{first};
    while (more) {
      Dot next = tag(&more);
      after(&dots.back(), next, "tags");
      dots.push_back(next);
    }
    Tags tags;
    tags.set(std::move(dots));
    return tags;
  }

  void events(std::vector<Event>& events) {
    std::size_t count = in_.count(10);
    events.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      Event event;
      event.print = in_.fixed();
      event.dot = tag(nullptr);
      event.time_s =
          time_us_ / 1'000'000 -
          static_cast<std::int64_t>(in_.number(static_cast<std::uint64_t>(time_us_ / 1'000'000)));
      if (!events.empty() &&
          std::tie(events.back().print, events.back().dot) >= std::tie(event.print, event.dot)) {
        in_.fail("events are out of order or twice");
      }
      events.push_back(event);
    }
  }

  void map(Map& map, std::size_t depth) {
    if (depth > max_depth) in_.fail("wanted at most 32 maps in each other, got more");
    std::size_t count = in_.count(3);
    if (depth > 0 && count == 0) in_.fail("a map is empty");
    map.fields.reserve(std::min<std::size_t>(count, in_.left() / sizeof(Field) + 16));
    for (std::size_t i = 0; i < count; ++i) {
      Scalar name = in_.scalar();
      in_.check(check_name(name), "a name");
      unsigned type = in_.byte();
      if (!map.fields.empty()) {
        const Field& last = map.fields.back();
        if (std::tuple<const Scalar&, unsigned>(last.name, static_cast<unsigned>(last.type())) >=
            std::tuple<const Scalar&, unsigned>(name, type)) {
          in_.fail("fields are out of order or twice");
        }
      }
      map.fields.push_back({std::move(name), node(type, depth)});
    }
  }

  Node node(unsigned type, std::size_t depth) {
    switch (static_cast<Type>(type)) {
      case Type::map: {
        Map inner;
        map(inner, depth + 1);
        return inner;
      }
      case Type::set:
        return set();
      case Type::counter:
        return counter();
      case Type::flag:
        return Flag{tags()};
      case Type::register_latest: {
        Register value;
        values(value);
        return value;
      }
      case Type::register_all: {
        RegisterAll value;
        values(value);
        return value;
      }
    }
    in_.fail("wanted a type from 0 to 5, got " + std::to_string(type));
  }

  Set set() {
    Set set;
    std::size_t count = in_.count(2);
    if (count == 0) in_.fail("a set is empty");
    set.elements.reserve(std::min<std::size_t>(count, in_.left() / 4 + 1));
    for (std::size_t i = 0; i < count; ++i) {
      Scalar value = in_.scalar();
      in_.check(check_element(value), "an element");
      after(set.elements.empty() ? nullptr : &set.elements.back().value, value, "elements");
      set.elements.push_back({std::move(value), tags()});
    }
    return set;
  }

  Counter counter() {
    Counter counter;
    std::size_t count = in_.count(3);
    for (std::size_t i = 0; i < count; ++i) {
      Dot last = dot();
      after(counter.sums.empty() ? nullptr : &counter.sums.back().actor, last.actor, "sums");
      counter.sums.push_back({last.actor, last.counter, in_.sign_wide()});
    }
    count = in_.count(2);
    for (std::size_t i = 0; i < count; ++i) {
      Dot dot = tag(nullptr);
      after(counter.parts.empty() ? nullptr : &counter.parts.back().dot, dot, "parts of a counter");
      counter.parts.push_back({dot, in_.sign()});
    }
    if (empty(counter)) in_.fail("a counter is empty");
    // A sum must have room for all that may be added to it.
    constexpr Wide most = static_cast<Wide>(1) << 100;
    for (const Counter::Sum& sum : counter.sums) {
      if (sum.amount > most || sum.amount < -most) in_.fail("a sum is beyond 2^100");
    }
    return counter;
  }

  void values(Register& value) {
    std::size_t count = in_.count(3);
    if (count == 0) in_.fail("a register is empty");
    for (std::size_t i = 0; i < count; ++i) {
      Register::Value next;
      next.dot = tag(nullptr);
      after(value.values.empty() ? nullptr : &value.values.back().dot, next.dot, "values");
      next.time_us =
          time_us_ - static_cast<std::int64_t>(in_.number(static_cast<std::uint64_t>(time_us_)));
      next.value = in_.scalar();
      in_.check(check_value(next.value), "a value");
      value.values.push_back(std::move(next));
    }
  }

  Reader in_;
  std::int64_t time_us_ = 0;
  std::vector<Actor> actors_;
  std::vector<bool> used_;
};

}  // namespace

Bytes encode(const Document& document) {
  Bytes out;
  DocumentWriter(document, out).write();
  return out;
}

Result<Document> decode(BytesView bytes) {
  if (bytes.empty()) return Status(Code::corrupt, "document: wanted a format, got no bytes");
  if (bytes[0] != format) {
    auto got = static_cast<unsigned char>(bytes[0]);
    return Status(got > format ? Code::unsupported : Code::corrupt,
                  "document: wanted format 1, got format " + std::to_string(got) +
                      (got > format ? " (of a later release)" : ""));
  }
  try {
    return DocumentReader(bytes.substr(1)).read();
  } catch (const Malformed& malformed) {
    return Status(Code::corrupt, "document: " + malformed.why);
  }
}

}  // namespace ringlet::document
