// Documents: values that merge themselves (docs/documents.md, laws L22 and L23). Pure: no I/O, no
// clocks, no random numbers.
//
// A document is a map of fields; a field is a map again, a set (add wins), a counter, a flag (enable
// wins) or a register. Whatever an application adds carries a tag: the dot of the write that added it.
// Nothing that was removed leaves a trace; that its writer had seen it is known from the document's
// cover, the set of dots whose effects are in it. So of two documents:
//
//   a tag stays iff each side whose cover has it still has it, and one side has it.
//
// Of a version with dot d whose document says it had `saw`, the cover is saw + {d}. Dots are given per
// key, contiguous per actor, so `saw` is a vector of counters. d may lie beyond a gap: then the cover
// has d and not what the gap holds.
//
// The bytes of a version name the write's own tags `self`, because a dot is given by the replica that
// executes the write. resolve() puts the dot in their place.
//
// A write may be executed twice, under two dots, and two readers may each have seen one of them. So the
// event is the write id. A document has a table of events: fingerprints of the writes that added
// something lately, with the dots under which its readers saw them (its own is added by resolve()).
// Dots that the tables of two documents give for one write id are aliases: they are replaced by the
// smallest, and a cover that has one of them has the event. docs/documents.md argues why that is right,
// and for how long the table must remember.
//
// A counter is a set of tagged amounts, so what was said of tags holds for it as well. Amounts that the
// table of events has forgotten are summed up per actor: a sum is of all amounts of the actor up to its
// counter, but those that are kept apart beside it. So of two sums of one actor the one that reaches further
// contains the other, and what the other side keeps apart and this side does not. What is still in the table
// is kept apart, or a write with two dots would be counted twice.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <variant>
#include <vector>

#include "document/scalar.hpp"
#include "versioning/shown.hpp"

namespace ringlet::document {

inline constexpr Dot self{};  // the write's own tag, in a document that has no dot yet

// Sorted dots, nearly always one.
class Tags {
 public:
  Tags() = default;
  explicit Tags(const Dot& dot) : size_(1), one_(dot) {}
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  const Dot* begin() const { return size_ <= 1 ? &one_ : many_.data(); }
  const Dot* end() const { return begin() + size_; }
  void set(std::vector<Dot> dots);  // sorts, drops repetitions
  bool contains(const Dot& dot) const;
  friend bool operator==(const Tags& a, const Tags& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  std::size_t size_ = 0;
  Dot one_;
  std::vector<Dot> many_;  // when there are several: all of them
};

enum class Type : std::uint8_t { map = 0, set, counter, flag, register_latest, register_all };
const char* name_of(Type type);  // "a map"

struct Field;
struct Map {
  std::vector<Field> fields;  // sorted by name and type; none is empty
};

struct Element {
  Scalar value;
  Tags tags;
  friend bool operator==(const Element&, const Element&) = default;
};
struct Set {
  std::vector<Element> elements;  // sorted by value
  friend bool operator==(const Set&, const Set&) = default;
};

// Wide enough that no sum of amounts of 64 bits leaves it.
__extension__ using Wide = __int128;

struct Counter {
  struct Sum {
    Actor actor;
    std::uint64_t counter = 0;  // of the actor's amounts up to this one, but those in parts
    Wide amount = 0;
    friend bool operator==(const Sum&, const Sum&) = default;
  };
  struct Part {
    Dot dot;
    std::int64_t amount = 0;
    friend bool operator==(const Part&, const Part&) = default;
  };
  std::vector<Sum> sums;    // sorted by actor
  std::vector<Part> parts;  // sorted by dot
  friend bool operator==(const Counter&, const Counter&) = default;
};
Wide total(const Counter& counter);
bool fits(Wide amount);  // in 64 bits
std::string to_string(Wide amount);

struct Flag {
  Tags tags;
  friend bool operator==(const Flag&, const Flag&) = default;
};

// All values that were set concurrently, also where only the latest is shown: which of them a later
// removal has seen is not known before.
struct Register {
  struct Value {
    Dot dot;
    std::int64_t time_us = 0;  // hybrid time of the write that set it
    Scalar value;
    friend bool operator==(const Value&, const Value&) = default;
  };
  std::vector<Value> values;  // sorted by dot
  friend bool operator==(const Register&, const Register&) = default;
};
struct RegisterAll : Register {};
const Register::Value* latest(const Register& value);  // by time, then dot; nullptr: none

using Node = std::variant<Map, Set, Counter, Flag, Register, RegisterAll>;  // in the order of Type
struct Field {
  Scalar name;
  Node node;
  Type type() const { return static_cast<Type>(node.index()); }
};
bool operator==(const Map& a, const Map& b);
bool operator==(const Field& a, const Field& b);
bool empty(const Node& node);
const Field* find(const Map& map, const Scalar& name, Type type);  // nullptr: there is none

// A write that added something lately.
struct Event {
  std::uint64_t print = 0;  // fingerprint of its write id
  Dot dot;                  // one that it was seen under; without a counter: only known by its id
  std::int64_t time_s = 0;  // its document's time
  friend auto operator<=>(const Event&, const Event&) = default;
};

// Which dots' effects are in a document.
class Cover {
 public:
  Cover() = default;
  explicit Cover(CausalContext seen) : seen_(std::move(seen)) {}
  bool contains(const Dot& dot) const;
  void add(const Dot& dot);
  void join(const Cover& other);
  const CausalContext& seen() const { return seen_; }         // without a gap
  const std::vector<Dot>& beyond() const { return beyond_; }  // sorted: what lies beyond a gap
  friend bool operator==(const Cover&, const Cover&) = default;

 private:
  void fill_gaps();
  CausalContext seen_;
  std::vector<Dot> beyond_;
};

// What a version's bytes say.
struct Document {
  std::int64_t time_us = 0;   // hybrid: the writer's clock, and later than all it had seen
  CausalContext saw;          // what its writer had read; the times of its entries are zero
  std::vector<Event> events;  // sorted
  Map root;
};

// A document that has its dot, or several that were merged.
struct State {
  std::int64_t time_us = 0;
  Cover cover;
  std::vector<Event> events;  // sorted
  Map root;
  friend bool operator==(const State&, const State&) = default;
};

// The document of the version with this dot and write id.
State resolve(Document document, const Dot& dot, WriteId write_id);
// Commutative, associative and idempotent; a counter that one side has summed up and the other keeps
// apart may end in either form, with one total.
void join(State& state, State other);

inline constexpr std::int64_t latest_us = std::int64_t{1} << 60;  // no time is beyond
inline constexpr std::size_t max_depth = 32;                      // of fields in fields

// Bytes and back. Canonical: equal documents have equal bytes, and only such bytes are read. A format
// of a later release is `unsupported`, anything else `corrupt`, with what was wanted and got.
Bytes encode(const Document& document);
Result<Document> decode(BytesView bytes);

// The document that a reader of `object` is shown: its living documents merged. What is not a document
// is an error that names it. An object without living versions is the empty document, and so is one with
// a tombstone where deletes win. Dots that fold into one version for an application are all regarded.
Result<State> read(const Object& object, Deletes deletes = Deletes::lose);

// Makes a document of a version that is none, which a program of before wrote: what it holds is tagged self,
// as if that version's writer had written the document. So all who take a version over name the same
// things by the same dot, also those who do it at the same time: a counter counts once, and what one of
// them removes is removed. Nothing: the version is left out.
using TakeOver = std::function<Result<std::optional<Document>>(const Version& version)>;
// As above, of documents and of what `take` makes of the versions that are none.
Result<State> read(const Object& object, Deletes deletes, const TakeOver& take);

}  // namespace ringlet::document
