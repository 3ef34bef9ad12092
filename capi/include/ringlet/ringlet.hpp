// Ringlet in C++20: ringlet.h with owners, spans and results. Header only: nothing of it is in the library, so a program
// compiled with any standard library runs with any libringlet.so.1 of its ABI or a later one.
//
//   auto client = ringlet::Client::connect("10.0.0.1:7400");
//   if (!client) return complain(client.error().message());
//   auto reply = client->get({"carts", "alice"});
//
// What ringlet.h says of threads, deadlines, merging and errors holds here too; this header says what it adds.
//
// Ownership  Each class owns one handle and releases it. Client and Reply are counted: a copy is another owner of the
//            same handle. The others can be moved only. One that was moved from, or default constructed, is empty: its
//            calls answer INVALID_ARGUMENT, its accessors are empty.
// Views      What an accessor gives as BytesView or std::string_view lives as long as the object that gave it.
//            Arguments are borrowed until the call returns.
// Errors     Calls return Result<T>, which holds a T or an Error, as C++23's std::expected does. Nothing throws but
//            Result::value() of a failed call (ringlet::Failure), std::bad_alloc, and your own functions: an exception
//            that leaves an edit or a merge of update() comes out of update() as itself, on the same thread, after the
//            call has ended. Out of the edit: nothing was written. Out of a merge: the edit is written.
//            It compiles with -fno-exceptions too; then value() of a failed call ends the program.
#ifndef RINGLET_RINGLET_HPP
#define RINGLET_RINGLET_HPP

#if __cplusplus < 202002L
#error "ringlet.hpp wants C++20; ringlet.h does with C99 or C++11"
#endif

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <future>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "ringlet.h"

namespace ringlet {
// Named after the major of the ABI, so that two of them may be in one program.
inline namespace abi1 {

using Milliseconds = std::chrono::milliseconds;

// A view of bytes that the caller owns and keeps alive: text, or a span or vector of one-byte numbers.
class BytesView {
 public:
  constexpr BytesView() = default;
  constexpr BytesView(std::string_view text) : data_(text.data()), size_(text.size()) {}
  constexpr BytesView(const char* text) : BytesView(std::string_view(text)) {}
  BytesView(const std::string& text) : BytesView(std::string_view(text)) {}
  BytesView(std::span<const std::byte> bytes) : data_(bytes.data()), size_(bytes.size()) {}
  BytesView(std::span<const std::uint8_t> bytes) : data_(bytes.data()), size_(bytes.size()) {}
  BytesView(const std::vector<std::byte>& bytes) : data_(bytes.data()), size_(bytes.size()) {}
  BytesView(const std::vector<std::uint8_t>& bytes) : data_(bytes.data()), size_(bytes.size()) {}
  BytesView(ringlet_bytes bytes) : data_(bytes.data), size_(bytes.size) {}

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const void* data() const { return data_; }
  std::string_view text() const { return {static_cast<const char*>(data_), size_}; }
  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }
  std::string str() const { return std::string(text()); }
  ringlet_bytes c() const { return {data_, size_}; }
  friend bool operator==(BytesView a, BytesView b) { return a.text() == b.text(); }

 private:
  const void* data_ = nullptr;
  std::size_t size_ = 0;
};

struct Key {
  BytesView bucket, key;
};

namespace detail {
// Owns a handle; the empty one owns none.
template <typename Handle, void (*Release)(Handle*)>
struct Releases {
  void operator()(Handle* handle) const { Release(handle); }
};
template <typename Handle, void (*Release)(Handle*)>
using Owner = std::unique_ptr<Handle, Releases<Handle, Release>>;

inline std::string taken(ringlet_text* text) {
  Owner<ringlet_text, ringlet_text_release> owner(text);
  return BytesView(ringlet_text_bytes(text)).str();
}
inline ringlet_key c(const Key& key) {
  return {key.bucket.c(), key.key.c()};
}
inline std::uint32_t milliseconds(Milliseconds time) {
  const auto count = time.count();
  return count < 0 ? 0 : count > UINT32_MAX ? UINT32_MAX : static_cast<std::uint32_t>(count);
}
}  // namespace detail

// Why a call failed.
class Error {
 public:
  Error(ringlet_status status, ringlet_error* owned)
      : status_(status), error_(owned, ringlet_error_release) {}
  explicit Error(ringlet_status status, std::string message = {})
      : status_(status), message_(std::move(message)) {}

  ringlet_status status() const { return status_; }  // RINGLET_TIMEOUT, …
  std::string_view name() const { return ringlet_status_name(status_); }
  std::string_view message() const {  // one sentence
    if (error_) return ringlet_error_message(error_.get());
    return message_.empty() ? name() : std::string_view(message_);
  }
  bool retryable() const { return ringlet_error_retryable(error_.get()) != 0; }
  // The write may exist all the same; details() has its write_id, which repeats it.
  bool maybe_applied() const { return ringlet_error_maybe_applied(error_.get()) != 0; }
  std::string details() const {  // JSON
    return error_ ? detail::taken(ringlet_error_details(error_.get())) : std::string("{}");
  }

 private:
  ringlet_status status_;
  std::string message_;
  std::shared_ptr<ringlet_error> error_;
};

// What Result::value() throws.
class Failure : public std::runtime_error {
 public:
  explicit Failure(Error error)
      : std::runtime_error(std::string(error.message())), error_(std::move(error)) {}
  const Error& error() const { return error_; }

 private:
  Error error_;
};

namespace detail {
[[noreturn]] inline void fail([[maybe_unused]] const Error& error) {
#if defined(__cpp_exceptions)
  throw Failure(error);
#else
  std::abort();
#endif
}
}  // namespace detail

// A T, or the error of the call. Like std::expected<T, Error>.
template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  using error_type = Error;
  Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const { return held_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  T& operator*() & { return *std::get_if<0>(&held_); }
  const T& operator*() const& { return *std::get_if<0>(&held_); }
  // Of a result without a name, the value itself: `for (Event& event : queue.drain().value())` is safe.
  T operator*() && { return std::move(*std::get_if<0>(&held_)); }
  T* operator->() { return std::get_if<0>(&held_); }
  const T* operator->() const { return std::get_if<0>(&held_); }
  const Error& error() const { return *std::get_if<1>(&held_); }
  T& value() & { return checked(), **this; }
  const T& value() const& { return checked(), **this; }
  T value() && { return checked(), *std::move(*this); }

 private:
  void checked() const {
    if (!has_value()) detail::fail(error());
  }
  std::variant<T, Error> held_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  using error_type = Error;
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool has_value() const { return !error_; }
  explicit operator bool() const { return has_value(); }
  const Error& error() const { return *error_; }
  void value() const {
    if (error_) detail::fail(*error_);
  }

 private:
  std::optional<Error> error_;
};

// ---- the library ----

inline std::string_view version() {
  return ringlet_version();
}
inline std::uint32_t abi_version() {
  return ringlet_abi_version();
}
inline int has(const char* feature) {
  return ringlet_has(feature);
}

// ---- options ----

// Settings by name, as in the configuration file (docs/configuration.md) and in ringlet.h.
class Options {
 public:
  Options() : options_(ringlet_options_new()) {}

  Result<void> set(const std::string& name, const std::string& value) {
    ringlet_error* error = nullptr;
    const ringlet_status status =
        ringlet_options_set(options_.get(), name.c_str(), value.c_str(), &error);
    if (status != RINGLET_OK) return Error(status, error);
    return {};
  }
  // The first that is wrong is the error.
  static Result<Options> of(std::initializer_list<std::pair<std::string, std::string>> settings) {
    Options options;
    for (const auto& [name, value] : settings)
      if (auto done = options.set(name, value); !done) return done.error();
    return options;
  }
  static std::string describe() { return detail::taken(ringlet_options_describe()); }  // JSON
  const ringlet_options* c() const { return options_.get(); }

 private:
  detail::Owner<ringlet_options, ringlet_options_release> options_;
};

// ---- calls ----

enum class Durability : std::uint8_t { usual = 0, buffer = 1, log = 2, disk = 3 };
// What a delete beside a write of the same time means to this reader.
enum class Deletes : std::uint32_t {
  lose = 0,
  win = RINGLET_DELETES_WIN,
  ask = RINGLET_DELETES_ASK
};
using WriteId = std::array<std::uint64_t, 2>;

// What one call wants; what is left at its default is the client's, then the cluster's.
struct Call {
  Milliseconds timeout{0};
  std::uint8_t r = 0, w = 0;
  bool strict = false;
  Durability durability = Durability::usual;
  Deletes deletes = Deletes::lose;
  bool return_siblings = false;  // of a put or an erase
  WriteId write_id{};
  BytesView content_type{};

  ringlet_call c() const {
    ringlet_call call = RINGLET_CALL_INIT;
    call.timeout_ms = detail::milliseconds(timeout);
    call.r = r;
    call.w = w;
    call.strict = strict;
    call.durability = static_cast<std::uint8_t>(durability);
    call.flags =
        static_cast<std::uint32_t>(deletes) | (return_siblings ? RINGLET_RETURN_SIBLINGS : 0);
    call.write_id[0] = write_id[0];
    call.write_id[1] = write_id[1];
    call.content_type = content_type.c();
    return call;
  }
};

// ---- replies ----

struct Sibling {
  BytesView value, content_type, dot;
  std::chrono::system_clock::time_point written;
  bool deleted = false;  // only with Deletes::ask
};

// The versions that a call brought, in one order on every node. A copy is another owner of the same reply.
class Reply {
 public:
  Reply() = default;
  explicit Reply(ringlet_reply* owned) : reply_(owned) {}
  Reply(const Reply& other) : reply_(other.reply_.get()) { ringlet_reply_retain(reply_.get()); }
  Reply(Reply&&) noexcept = default;
  Reply& operator=(Reply other) noexcept {
    reply_.swap(other.reply_);
    return *this;
  }
  static Reply borrowed(const ringlet_reply* reply) {
    auto* mutable_reply = const_cast<ringlet_reply*>(reply);
    ringlet_reply_retain(mutable_reply);
    return Reply(mutable_reply);
  }

  std::size_t size() const { return ringlet_reply_count(reply_.get()); }
  bool missing() const { return size() == 0; }
  bool conflict() const { return size() > 1; }
  Sibling operator[](std::size_t index) const {
    const ringlet_reply* r = reply_.get();
    return {ringlet_reply_value(r, index), ringlet_reply_content_type(r, index),
            ringlet_reply_dot(r, index),
            std::chrono::system_clock::time_point(
                Milliseconds(static_cast<std::int64_t>(ringlet_reply_written_ms(r, index)))),
            ringlet_reply_is_tombstone(r, index) != 0};
  }
  std::vector<Sibling> siblings() const {
    std::vector<Sibling> all;
    for (std::size_t i = 0; i < size(); ++i) all.push_back((*this)[i]);
    return all;
  }
  // The one value; nothing where the key is missing or has several.
  std::optional<BytesView> value() const {
    if (size() != 1 || ringlet_reply_is_tombstone(reply_.get(), 0)) return std::nullopt;
    return BytesView(ringlet_reply_value(reply_.get(), 0));
  }
  BytesView context() const { return ringlet_reply_context(reply_.get()); }
  bool merged() const { return ringlet_reply_merged(reply_.get()) != 0; }
  std::size_t left_out() const { return ringlet_reply_left_out(reply_.get()); }
  std::string explain() const {
    return detail::taken(ringlet_reply_explain(reply_.get()));
  }  // JSON
  const ringlet_reply* c() const { return reply_.get(); }

 private:
  detail::Owner<ringlet_reply, ringlet_reply_release> reply_;
};

enum class Order { before = -1, same = 0, after = 1, concurrent = 2 };
inline Result<Order> compare(BytesView left, BytesView right) {
  int order = 0;
  const ringlet_status status = ringlet_context_compare(left.c(), right.c(), &order);
  if (status != RINGLET_OK) return Error(status, "these are no two contexts");
  return static_cast<Order>(order);
}
// What a context covers, as JSON.
inline Result<std::string> describe_context(const Key& key, BytesView context) {
  ringlet_text* text = nullptr;
  ringlet_error* error = nullptr;
  const ringlet_key c_key = detail::c(key);
  const ringlet_status status = ringlet_context_describe(&c_key, context.c(), &text, &error);
  if (status != RINGLET_OK) return Error(status, error);
  return detail::taken(text);
}

// ---- merging ----

// What an edit or a merge decides: a value, or one of the three others.
class Answer {
 public:
  Answer(std::string value) : value_(std::move(value)) {}
  Answer(std::string_view value) : value_(value) {}
  Answer(const char* value) : value_(value) {}
  static Answer erase() { return Answer(Kind::erase, {}); }
  static Answer keep() { return Answer(Kind::keep, {}); }  // writes nothing
  static Answer fail(std::string message) { return Answer(Kind::fail, std::move(message)); }

 private:
  friend class Merge;
  enum class Kind { value, erase, keep, fail };
  Answer(Kind kind, std::string text) : kind_(kind), value_(std::move(text)) {}
  Kind kind_ = Kind::value;
  std::string value_;
};

// A question of an update: the edit (written() is false), or what the siblings become. One thread at a time.
class Merge {
 public:
  Merge() = default;
  explicit Merge(ringlet_merge* owned) : merge_(owned) {}

  Reply siblings() const { return Reply::borrowed(ringlet_merge_siblings(merge_.get())); }
  std::uint32_t attempt() const { return ringlet_merge_attempt(merge_.get()); }
  bool written() const { return ringlet_merge_written(merge_.get()) != 0; }
  // The first answer counts: another one is BUSY, one after the end of the request CLOSED.
  Result<void> answer(const Answer& answer) { return give(merge_.get(), answer); }
  explicit operator bool() const { return merge_ != nullptr; }

  static Result<void> give(ringlet_merge* merge, const Answer& answer) {
    ringlet_status status = RINGLET_OK;
    switch (answer.kind_) {
      case Answer::Kind::value:
        status = ringlet_merge_answer(merge, BytesView(answer.value_).c());
        break;
      case Answer::Kind::erase:
        status = ringlet_merge_erase(merge);
        break;
      case Answer::Kind::keep:
        status = ringlet_merge_keep(merge);
        break;
      case Answer::Kind::fail:
        status = ringlet_merge_fail(merge, answer.value_.c_str());
        break;
    }
    if (status != RINGLET_OK) return Error(status, "the merge is answered already, or over");
    return {};
  }

 private:
  detail::Owner<ringlet_merge, ringlet_merge_release> merge_;
};

namespace detail {
// The two functions of an update behind C's one. The exception of either is kept for the caller.
template <typename Edit, typename Resolve>
struct Functions {
  Edit& edit;
  Resolve& merge;
  std::exception_ptr thrown{};

  static int ask(void* user_data, ringlet_merge* question) {
    auto* self = static_cast<Functions*>(user_data);
#if defined(__cpp_exceptions)
    try {
      return self->answer(question);
    } catch (...) {
      self->thrown = std::current_exception();
      ringlet_merge_fail(question, "the function threw an exception");
      return 1;
    }
#else
    return self->answer(question);
#endif
  }
  int answer(ringlet_merge* question) {
    const Reply siblings = Reply::borrowed(ringlet_merge_siblings(question));
    const Answer decided =
        ringlet_merge_written(question) ? Answer(merge(siblings)) : Answer(edit(siblings));
    return Merge::give(question, decided) ? 0 : 1;
  }
};
}  // namespace detail

// ---- documents: values that merge themselves (docs/documents.md) ----

// The name of a field, an element or a value. Text and bytes are borrowed.
class Scalar {
 public:
  Scalar(std::string_view text) { set(RINGLET_TEXT, text); }
  Scalar(const char* text) : Scalar(std::string_view(text)) {}
  Scalar(const std::string& text) : Scalar(std::string_view(text)) {}
  Scalar(bool value) {
    scalar_.kind = RINGLET_BOOLEAN;
    scalar_.integer = value;
  }
  template <typename T>
    requires std::is_integral_v<T>
  Scalar(T value) {
    scalar_.kind = RINGLET_INTEGER;
    scalar_.integer = static_cast<std::int64_t>(value);
  }
  Scalar(double value) {
    scalar_.kind = RINGLET_REAL;
    scalar_.real = value;
  }
  Scalar(std::nullptr_t) { scalar_.kind = RINGLET_NOTHING; }
  explicit Scalar(const ringlet_scalar& scalar) : scalar_(scalar) {}
  static Scalar bytes(BytesView bytes) {
    Scalar scalar(nullptr);
    scalar.set(RINGLET_BYTES, bytes);
    return scalar;
  }

  std::uint32_t kind() const { return scalar_.kind; }  // RINGLET_TEXT, …
  std::string_view text() const { return BytesView(scalar_.text).text(); }
  std::int64_t integer() const { return scalar_.integer; }
  bool boolean() const { return scalar_.integer != 0; }
  double real() const { return scalar_.real; }
  const ringlet_scalar& c() const { return scalar_; }
  friend bool operator==(const Scalar& a, const Scalar& b) {
    return a.kind() == b.kind() && a.integer() == b.integer() && a.real() == b.real() &&
           a.text() == b.text();
  }

 private:
  void set(std::uint32_t kind, BytesView text) {
    scalar_.kind = kind;
    scalar_.text = text.c();
  }
  ringlet_scalar scalar_{};
};
using Path = std::initializer_list<Scalar>;

// A list of edits, each appended to those before. The first that is refused is kept: error() says why, those after
// it are not appended, and Client::edit of the list is that error.
class Edits {
 public:
  Edits() {
    ringlet_edits* edits = nullptr;
    ringlet_error* error = nullptr;
    const ringlet_status status = ringlet_edits_new(&edits, &error);
    if (status != RINGLET_OK) error_ = Error(status, error);
    edits_.reset(edits);
  }
  Edits& add(Path path, Scalar value) { return append(RINGLET_EDIT_ADD, path, value); }
  Edits& remove(Path path, Scalar value) { return append(RINGLET_EDIT_REMOVE, path, value); }
  Edits& increment(Path path, std::int64_t amount = 1) {
    return append(RINGLET_EDIT_INCREMENT, path, nullptr, amount);
  }
  Edits& set(Path path, Scalar value) { return append(RINGLET_EDIT_SET, path, value); }
  Edits& set_all(Path path, Scalar value) { return append(RINGLET_EDIT_SET_ALL, path, value); }
  Edits& enable(Path path) { return append(RINGLET_EDIT_ENABLE, path, nullptr); }
  Edits& disable(Path path) { return append(RINGLET_EDIT_DISABLE, path, nullptr); }
  Edits& erase(Path path) { return append(RINGLET_EDIT_ERASE, path, nullptr); }
  Edits& discard(Path path) { return append(RINGLET_EDIT_DISCARD, path, nullptr); }
  Edits& clear(Path path = {}) { return append(RINGLET_EDIT_CLEAR, path, nullptr); }
  // By the number of the edit, RINGLET_EDIT_ADD and so on.
  Edits& append(std::uint32_t edit, std::span<const Scalar> path, Scalar value,
                std::int64_t amount = 0) {
    if (error_) return *this;
    std::vector<ringlet_scalar> names;
    for (const Scalar& name : path) names.push_back(name.c());
    ringlet_error* error = nullptr;
    const ringlet_status status = ringlet_edits_append(edits_.get(), edit, names.data(),
                                                       names.size(), &value.c(), amount, &error);
    if (status != RINGLET_OK) error_ = Error(status, error);
    return *this;
  }

  const std::optional<Error>& error() const { return error_; }
  std::size_t size() const { return ringlet_edits_count(edits_.get()); }
  // May be kept, and sent again under the same write id. Until the next edit is appended.
  BytesView bytes() const { return ringlet_edits_bytes(edits_.get()); }

 private:
  Edits& append(std::uint32_t edit, Path path, Scalar value, std::int64_t amount = 0) {
    return append(edit, std::span<const Scalar>(path.begin(), path.size()), value, amount);
  }
  std::optional<Error> error_;
  detail::Owner<ringlet_edits, ringlet_edits_release> edits_;
};

struct Item {
  std::uint32_t depth, type;  // type: RINGLET_MAP, RINGLET_SET, …
  Scalar name, value;
};

class Document {
 public:
  // What the versions of a reply come to; of a missing key, the empty document.
  static Result<Document> read(const Reply& reply) {
    ringlet_document* document = nullptr;
    ringlet_error* error = nullptr;
    const ringlet_status status = ringlet_document_read(reply.c(), &document, &error);
    if (status != RINGLET_OK) return Error(status, error);
    return Document(document);
  }
  static Result<Document> parse(BytesView version) {
    ringlet_document* document = nullptr;
    ringlet_error* error = nullptr;
    const ringlet_status status = ringlet_document_parse(version.c(), &document, &error);
    if (status != RINGLET_OK) return Error(status, error);
    return Document(document);
  }
  // The bytes that these siblings become by the edits, for the answer of an update of one's own.
  static Result<std::string> write(const Reply& siblings, BytesView edits,
                                   bool takes_over = false) {
    ringlet_text* text = nullptr;
    ringlet_error* error = nullptr;
    const ringlet_status status = ringlet_document_write(
        siblings.c(), edits.c(), takes_over ? RINGLET_TAKES_OVER : 0, &text, &error);
    if (status != RINGLET_OK) return Error(status, error);
    return detail::taken(text);
  }
  // The same, with what values that are no documents hold: the number of the sibling, and its value as edits.
  static Result<std::string> take_over(const Reply& siblings,
                                       std::span<const std::pair<std::size_t, BytesView>> taken,
                                       BytesView edits) {
    std::vector<ringlet_taken> c_taken;
    for (const auto& [sibling, said] : taken) c_taken.push_back({sibling, said.c()});
    ringlet_text* text = nullptr;
    ringlet_error* error = nullptr;
    const ringlet_status status = ringlet_document_take_over(
        siblings.c(), c_taken.data(), c_taken.size(), edits.c(), &text, &error);
    if (status != RINGLET_OK) return Error(status, error);
    return detail::taken(text);
  }

  // Fields in the order of their names, each before what it holds.
  std::size_t size() const { return ringlet_document_count(document_.get()); }
  Item operator[](std::size_t index) const {
    ringlet_item item{};
    ringlet_document_item(document_.get(), index, &item, sizeof item);
    return {item.depth, item.type, Scalar(item.name), Scalar(item.value)};
  }
  // The field at a path; with a type where one name has two, made concurrently.
  std::optional<Item> find(Path path, std::uint32_t type = 0) const {
    const std::optional<std::size_t> at = index_of(path, type);
    if (!at) return std::nullopt;
    return (*this)[*at];
  }
  // What the set or the register of all values at a path holds; what has no such field holds nothing.
  std::vector<Scalar> elements(Path path) const {
    std::vector<Scalar> all;
    for (std::uint32_t type : {RINGLET_SET, RINGLET_REGISTER_ALL}) {
      const std::optional<std::size_t> at = index_of(path, type);
      if (!at) continue;
      const std::uint32_t depth = (*this)[*at].depth;
      for (std::size_t i = *at + 1; i < size() && (*this)[i].depth > depth; ++i)
        if ((*this)[i].type == RINGLET_ELEMENT) all.push_back((*this)[i].value);
    }
    return all;
  }
  // The sum of the counter at a path; 0 where there is none.
  std::int64_t counter(Path path) const {
    const std::optional<Item> item = find(path, RINGLET_COUNTER);
    return item ? item->value.integer() : 0;
  }
  bool enabled(Path path) const { return find(path, RINGLET_FLAG).has_value(); }

 private:
  explicit Document(ringlet_document* owned) : document_(owned) {}
  std::optional<std::size_t> index_of(Path path, std::uint32_t type) const {
    std::size_t matched = 0;  // names of the path that the fields around this one have
    for (std::size_t i = 0; i < size(); ++i) {
      const Item item = (*this)[i];
      if (item.depth < matched) matched = item.depth;
      if (item.type == RINGLET_ELEMENT || item.depth != matched || matched == path.size()) continue;
      if (!(item.name == path.begin()[matched])) continue;
      if (matched + 1 == path.size()) {
        if (type == 0 || item.type == type) return i;
      } else if (item.type == RINGLET_MAP) {
        ++matched;
      }
    }
    return std::nullopt;
  }
  detail::Owner<ringlet_document, ringlet_document_release> document_;
};

// ---- client ----

using LogFunction = std::function<void(int level, std::string_view part, std::string_view text)>;
namespace detail {
inline void log(void* user_data, int level, const char* part, const char* text) {
  (*static_cast<const LogFunction*>(user_data))(level, part, text);
}
}  // namespace detail

// Any thread, at the same time. A copy is another owner of the same client; the last one closes it.
class Lab;

class Client {
 public:
  Client() = default;
  Client(const Client& other) : client_(other.client_.get()) {
    ringlet_client_retain(client_.get());
  }
  Client(Client&&) noexcept = default;
  Client& operator=(Client other) noexcept {
    client_.swap(other.client_);
    return *this;
  }
  // Does not wait for a connection: an unreachable cluster shows in the first call.
  static Result<Client> open(const Options& options) {
    Client client;
    ringlet_client* opened = nullptr;
    ringlet_error* error = nullptr;
    const ringlet_status status = ringlet_client_open(options.c(), RINGLET_ABI, &opened, &error);
    if (status != RINGLET_OK) return Error(status, error);
    client.client_.reset(opened);
    return client;
  }
  static Result<Client> connect(const std::string& seeds) {  // "host:port,host:port"
    Result<Options> options = Options::of({{"client.seeds", seeds}});
    if (!options) return options.error();
    return open(*options);
  }
  // Refuses new calls, waits for those under way, fails the rest.
  Result<void> close(Milliseconds drain = Milliseconds(0)) {
    const ringlet_status status = ringlet_client_close(client_.get(), detail::milliseconds(drain));
    if (status != RINGLET_OK) return Error(status, "the client could not be closed");
    return {};
  }

  // A missing key is a reply of size 0.
  Result<Reply> get(const Key& key, const Call& call = {}) const {
    const ringlet_call c_call = call.c();
    return replied([&](ringlet_reply** reply, ringlet_error** error) {
      return ringlet_get(client_.get(), detail::c(key), &c_call, reply, error);
    });
  }
  // context: of the reply that this write follows, and replaces; empty: beside whatever is there.
  Result<Reply> put(const Key& key, BytesView value, BytesView context = {},
                    const Call& call = {}) const {
    const ringlet_call c_call = call.c();
    return replied([&](ringlet_reply** reply, ringlet_error** error) {
      return ringlet_put(client_.get(), detail::c(key), context.c(), value.c(), &c_call, reply,
                         error);
    });
  }
  Result<Reply> erase(const Key& key, BytesView context, const Call& call = {}) const {
    const ringlet_call c_call = call.c();
    return replied([&](ringlet_reply** reply, ringlet_error** error) {
      return ringlet_delete(client_.get(), detail::c(key), context.c(), &c_call, reply, error);
    });
  }
  // Independent gets at once: a reply or an error for each key.
  std::vector<Result<Reply>> multi_get(std::span<const Key> keys, const Call& call = {}) const {
    std::vector<ringlet_key> c_keys;
    for (const Key& key : keys) c_keys.push_back(detail::c(key));
    std::vector<ringlet_reply*> replies(keys.size());
    std::vector<ringlet_error*> errors(keys.size());
    const ringlet_call c_call = call.c();
    const ringlet_status status = ringlet_multi_get(client_.get(), c_keys.data(), c_keys.size(),
                                                    &c_call, replies.data(), errors.data());
    // A key that cannot be sent is the error of all: then none was asked for.
    Error refused(status);
    std::vector<std::optional<Error>> failed(keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i)
      if (errors[i] != nullptr)
        refused = failed[i].emplace(ringlet_error_status(errors[i]), errors[i]);
    std::vector<Result<Reply>> all;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (replies[i] != nullptr) {
        all.push_back(Reply(replies[i]));
      } else {
        all.push_back(failed[i] ? *failed[i] : refused);
      }
    }
    return all;
  }

  // Reads, asks the edit for the new value, writes it; when that write met siblings the merge says what they become.
  // Both are called with the siblings (const Reply&), on this thread, and return what an Answer is made of. The edit is
  // asked at most once and may do what must not be done twice; the merge must be a function of the siblings alone.
  // Without a merge, siblings that the write meets stay (merged() is false).
  template <typename Edit, typename Resolve>
    requires std::is_invocable_v<Edit&, const Reply&> && std::is_invocable_v<Resolve&, const Reply&>
  Result<Reply> update(const Key& key, Edit&& edit, Resolve&& merge, const Call& call = {}) const {
    detail::Functions<std::remove_reference_t<Edit>, std::remove_reference_t<Resolve>> functions{
        edit, merge};
    const ringlet_resolver resolver = {&functions.ask, nullptr, &functions};
    const ringlet_call c_call = call.c();
    Result<Reply> result = replied([&](ringlet_reply** reply, ringlet_error** error) {
      return ringlet_update(client_.get(), detail::c(key), &resolver, &c_call, reply, error);
    });
    if (functions.thrown) std::rethrow_exception(functions.thrown);
    return result;
  }
  template <typename Edit>
    requires std::is_invocable_v<Edit&, const Reply&>
  Result<Reply> update(const Key& key, Edit&& edit, const Call& call = {}) const {
    return update(key, edit, [](const Reply&) { return Answer::keep(); }, call);
  }

  // Reads the document, applies the edits, writes it, and merges what the write met.
  Result<Reply> edit(const Key& key, const Edits& edits, const Call& call = {}) const {
    if (edits.error()) return *edits.error();
    return edit(key, edits.bytes(), call);
  }
  Result<Reply> edit(const Key& key, BytesView edits, const Call& call = {}) const {
    const ringlet_call c_call = call.c();
    return replied([&](ringlet_reply** reply, ringlet_error** error) {
      return ringlet_edit(client_.get(), detail::c(key), edits.c(), &c_call, reply, error);
    });
  }

  // "status", "ring", "key.inspect": JSON in and out.
  Result<std::string> admin(const std::string& command, const std::string& json = "{}",
                            const Call& call = {}) const {
    ringlet_text* text = nullptr;
    ringlet_error* error = nullptr;
    const ringlet_call c_call = call.c();
    const ringlet_status status =
        ringlet_admin(client_.get(), command.c_str(), json.c_str(), &c_call, &text, &error);
    if (status != RINGLET_OK) return Error(status, error);
    return detail::taken(text);
  }
  std::string counters() const {
    return detail::taken(ringlet_client_counters(client_.get()));
  }  // JSON
  // The next log record, as JSON.
  std::optional<std::string> log_next() const {
    ringlet_text* text = ringlet_client_log_next(client_.get());
    if (text == nullptr) return std::nullopt;
    return detail::taken(text);
  }
  // Calls the function, which must not throw, for each record waiting; returns how many.
  std::size_t log_drain(const LogFunction& function) const {
    return ringlet_client_log_drain(client_.get(), detail::log,
                                    const_cast<LogFunction*>(&function));
  }
  ringlet_client* c() const { return client_.get(); }

 private:
  friend class Lab;
  template <typename Function>
  static Result<Reply> replied(Function&& function) {
    ringlet_reply* reply = nullptr;
    ringlet_error* error = nullptr;
    const ringlet_status status = function(&reply, &error);
    if (status != RINGLET_OK) return Error(status, error);
    return Reply(reply);
  }
  detail::Owner<ringlet_client, ringlet_client_release> client_;
};

// ---- requests in the background ----

// One request; what is not of its kind is ignored.
struct Request {
  enum class Kind : std::uint32_t {
    get = RINGLET_GET,
    put = RINGLET_PUT,
    erase = RINGLET_DELETE,
    update = RINGLET_UPDATE,
    edit = RINGLET_EDIT
  };
  Kind kind = Kind::get;
  Key key{};
  BytesView value{};    // put: the value; edit: the bytes of the edits
  BytesView context{};  // put, erase
  Call call{};
  std::uint64_t tag = 0;  // comes back in every event of the request
};

// A request's end (done), or a question of an update, to be answered on any thread, now or later.
struct Event {
  bool done = false;
  std::uint64_t tag = 0, request = 0;
  Result<Reply> result = Reply();  // where done
  Merge merge;                     // where not
};

// Any thread submits, cancels and wakes; one at a time drains.
class Queue {
 public:
  static Result<Queue> open() {
    Queue queue;
    ringlet_queue* made = nullptr;
    ringlet_error* error = nullptr;
    const ringlet_status status = ringlet_queue_new(&made, &error);
    if (status != RINGLET_OK) return Error(status, error);
    queue.queue_.reset(made);
    return queue;
  }
  int fd() const { return ringlet_queue_fd(queue_.get()); }  // readable while not empty; for poll()
  void wake() const { ringlet_queue_wake(queue_.get()); }
  void cancel(std::uint64_t request) const { ringlet_cancel(queue_.get(), request); }

  Result<std::uint64_t> submit(const Client& client, const Request& request) const {
    Result<std::vector<std::uint64_t>> all = submit(client, std::span<const Request>(&request, 1));
    if (!all) return all.error();
    return all->front();
  }
  // All or none; everything is copied.
  Result<std::vector<std::uint64_t>> submit(const Client& client,
                                            std::span<const Request> requests) const {
    std::vector<ringlet_call> calls;
    calls.reserve(requests.size());
    std::vector<ringlet_op> ops;
    for (const Request& request : requests) {
      calls.push_back(request.call.c());
      ops.push_back({static_cast<std::uint32_t>(request.kind), 0, request.tag,
                     detail::c(request.key), request.context.c(), request.value.c(),
                     &calls.back()});
    }
    std::vector<std::uint64_t> numbers(requests.size());
    ringlet_error* error = nullptr;
    const ringlet_status status =
        ringlet_submit(client.c(), queue_.get(), ops.data(), sizeof(ringlet_op), ops.size(),
                       numbers.data(), &error);
    if (status != RINGLET_OK) return Error(status, error);
    return numbers;
  }
  // Waits for at least one event; none in time, or woken: no events. No timeout: for ever.
  Result<std::vector<Event>> drain(std::optional<Milliseconds> timeout = std::nullopt,
                                   std::size_t room = 64) const {
    std::vector<ringlet_event> events(room);
    std::size_t count = 0;
    const auto most = static_cast<std::uint32_t>(INT32_MAX);
    const std::uint32_t wait = timeout ? detail::milliseconds(*timeout) : 0;
    const ringlet_status status =
        ringlet_drain(queue_.get(), events.data(), sizeof(ringlet_event), room,
                      timeout ? static_cast<std::int32_t>(wait < most ? wait : most) : -1, &count);
    if (status != RINGLET_OK) return Error(status, "the queue could not be drained");
    std::vector<Event> all(count);
    for (std::size_t i = 0; i < count; ++i) {
      ringlet_event& event = events[i];
      all[i].done = event.kind == RINGLET_DONE;
      all[i].tag = event.tag;
      all[i].request = event.request;
      if (event.status == RINGLET_OK) {
        all[i].result = Reply(std::exchange(event.reply, nullptr));
      } else {
        all[i].result = Error(event.status, std::exchange(event.error, nullptr));
      }
      all[i].merge = Merge(std::exchange(event.merge, nullptr));
      ringlet_event_clear(&event);
    }
    return all;
  }

 private:
  detail::Owner<ringlet_queue, ringlet_queue_release> queue_;
};

// Requests as std::future, over a queue and a thread of its own. Edits and merges run on that thread, one at a time. The
// end of the object cancels what is in flight: such a future holds CANCELLED.
class Async {
 public:
  using Function = std::function<Answer(const Reply&)>;
  using Future = std::future<Result<Reply>>;

  static Result<std::unique_ptr<Async>> open(Client client) {
    Result<Queue> queue = Queue::open();
    if (!queue) return queue.error();
    return std::unique_ptr<Async>(new Async(std::move(client), std::move(*queue)));
  }
  Async(const Async&) = delete;
  Async& operator=(const Async&) = delete;
  ~Async() {
    {
      std::lock_guard lock(mutex_);
      ending_ = true;
      for (const auto& [tag, waiting] : waiting_) queue_.cancel(waiting.request);
    }
    queue_.wake();
    thread_.join();
  }

  Future get(const Key& key, const Call& call = {}) {
    return submit({Request::Kind::get, key, {}, {}, call});
  }
  Future put(const Key& key, BytesView value, BytesView context = {}, const Call& call = {}) {
    return submit({Request::Kind::put, key, value, context, call});
  }
  Future erase(const Key& key, BytesView context, const Call& call = {}) {
    return submit({Request::Kind::erase, key, {}, context, call});
  }
  Future edit(const Key& key, const Edits& edits, const Call& call = {}) {
    if (edits.error()) return failed(*edits.error());
    return submit({Request::Kind::edit, key, edits.bytes(), {}, call});
  }
  // The exception of a function is the future's.
  Future update(const Key& key, Function edit, Function merge, const Call& call = {}) {
    return submit({Request::Kind::update, key, {}, {}, call}, std::move(edit), std::move(merge));
  }

 private:
  struct Waiting {
    std::promise<Result<Reply>> promise;
    Function edit, merge;
    std::uint64_t request = 0;
    std::exception_ptr thrown{};
  };

  Async(Client client, Queue queue)
      : client_(std::move(client)), queue_(std::move(queue)), thread_([this] { run(); }) {}

  static Future failed(Error error) {
    std::promise<Result<Reply>> promise;
    promise.set_value(std::move(error));
    return promise.get_future();
  }
  Future submit(Request request, Function edit = {}, Function merge = {}) {
    // Held until the request has its number, so that its end, on the other thread, finds it.
    std::lock_guard lock(mutex_);
    request.tag = ++last_;
    Waiting& waiting = waiting_[request.tag];
    waiting.edit = std::move(edit);
    waiting.merge = std::move(merge);
    Future future = waiting.promise.get_future();
    Result<std::uint64_t> number = queue_.submit(client_, request);
    if (number) {
      waiting.request = *number;
    } else {
      waiting.promise.set_value(number.error());
      waiting_.erase(request.tag);
    }
    return future;
  }
  void run() {
    for (;;) {
      {
        std::lock_guard lock(mutex_);
        if (ending_ && waiting_.empty()) return;
      }
      Result<std::vector<Event>> events = queue_.drain();
      if (!events) {
        std::lock_guard lock(mutex_);
        for (auto& [tag, waiting] : waiting_) waiting.promise.set_value(events.error());
        waiting_.clear();
        return;
      }
      for (Event& event : *events) event.done ? finish(event) : ask(event);
    }
  }
  void ask(Event& event) {
    Waiting* waiting = nullptr;
    {
      std::lock_guard lock(mutex_);
      waiting = &waiting_.at(event.tag);  // stays: only this thread removes it
    }
    const Function& function = event.merge.written() ? waiting->merge : waiting->edit;
#if defined(__cpp_exceptions)
    try {
      (void)event.merge.answer(function ? function(event.merge.siblings()) : Answer::keep());
    } catch (...) {
      waiting->thrown = std::current_exception();
      (void)event.merge.answer(Answer::fail("the function threw an exception"));
    }
#else
    (void)event.merge.answer(function ? function(event.merge.siblings()) : Answer::keep());
#endif
  }
  void finish(Event& event) {
    Waiting waiting;
    {
      std::lock_guard lock(mutex_);
      auto found = waiting_.find(event.tag);
      waiting = std::move(found->second);
      waiting_.erase(found);
    }
    if (waiting.thrown) {
      waiting.promise.set_exception(waiting.thrown);
    } else {
      waiting.promise.set_value(std::move(event.result));
    }
  }

  Client client_;
  Queue queue_;
  std::mutex mutex_;
  std::map<std::uint64_t, Waiting> waiting_;
  std::uint64_t last_ = 0;
  bool ending_ = false;
  std::thread thread_;  // the last member: it uses the others
};

// ---- nodes and clusters in this process ----

// A node, its data in memory.
class Node {
 public:
  static Result<Node> start(const Options& options) {
    Node node;
    ringlet_node* started = nullptr;
    ringlet_error* error = nullptr;
    const ringlet_status status = ringlet_node_start(options.c(), RINGLET_ABI, &started, &error);
    if (status != RINGLET_OK) return Error(status, error);
    node.node_.reset(started);
    return node;
  }
  std::string_view address() const {
    const char* address = ringlet_node_address(node_.get());
    return address == nullptr ? std::string_view() : std::string_view(address);
  }
  Result<void> stop(Milliseconds drain = Milliseconds(0)) {
    ringlet_error* error = nullptr;
    const ringlet_status status =
        ringlet_node_stop(node_.get(), detail::milliseconds(drain), &error);
    if (status != RINGLET_OK) return Error(status, error);
    return {};
  }
  std::optional<std::string> log_next() const {
    ringlet_text* text = ringlet_node_log_next(node_.get());
    if (text == nullptr) return std::nullopt;
    return detail::taken(text);
  }

 private:
  detail::Owner<ringlet_node, ringlet_node_release> node_;
};

// Nodes n1, n2, … on 127.0.0.1, data in memory: for development and tests.
class Cluster {
 public:
  static Result<Cluster> start(std::uint32_t nodes = 3, const Options* options = nullptr) {
    Cluster cluster;
    ringlet_cluster* started = nullptr;
    ringlet_error* error = nullptr;
    const ringlet_status status = ringlet_cluster_start(options == nullptr ? nullptr : options->c(),
                                                        nodes, RINGLET_ABI, &started, &error);
    if (status != RINGLET_OK) return Error(status, error);
    cluster.cluster_.reset(started);
    return cluster;
  }
  std::string seeds() const {
    const char* seeds = ringlet_cluster_seeds(cluster_.get());
    return seeds == nullptr ? std::string() : std::string(seeds);
  }
  std::uint32_t size() const { return ringlet_cluster_size(cluster_.get()); }
  Result<Client> connect() const { return Client::connect(seeds()); }
  Result<void> kill(std::uint32_t index) { return done(ringlet_cluster_kill, index); }
  Result<void> restart(std::uint32_t index) { return done(ringlet_cluster_restart, index); }
  Result<void> pause(std::uint32_t index) { return done(ringlet_cluster_pause, index); }
  Result<void> resume(std::uint32_t index) { return done(ringlet_cluster_resume, index); }
  // One way; `clients` as one end: every client.
  static constexpr std::uint32_t clients = RINGLET_CLIENTS;
  Result<void> cut(std::uint32_t from, std::uint32_t to) {
    return done(
        [from](ringlet_cluster* cluster, std::uint32_t end, ringlet_error** error) {
          return ringlet_cluster_cut(cluster, from, end, error);
        },
        to);
  }
  Result<void> mend(std::uint32_t from, std::uint32_t to) {
    return done(
        [from](ringlet_cluster* cluster, std::uint32_t end, ringlet_error** error) {
          return ringlet_cluster_mend(cluster, from, end, error);
        },
        to);
  }
  Result<void> heal() {
    return done([](ringlet_cluster* cluster, std::uint32_t,
                   ringlet_error** error) { return ringlet_cluster_heal(cluster, error); },
                0);
  }
  Result<void> skew(std::uint32_t index, Milliseconds ahead) {
    return done(
        [ahead](ringlet_cluster* cluster, std::uint32_t node, ringlet_error** error) {
          return ringlet_cluster_skew(cluster, node, ahead.count(), error);
        },
        index);
  }
  Result<void> stop(Milliseconds drain = Milliseconds(0)) {
    return done(ringlet_cluster_stop, detail::milliseconds(drain));
  }
  std::size_t log_drain(const LogFunction& function) const {
    return ringlet_cluster_log_drain(cluster_.get(), detail::log,
                                     const_cast<LogFunction*>(&function));
  }

 private:
  template <typename Function>
  Result<void> done(Function function, std::uint32_t argument) {
    ringlet_error* error = nullptr;
    const ringlet_status status = function(cluster_.get(), argument, &error);
    if (status != RINGLET_OK) return Error(status, error);
    return {};
  }
  detail::Owner<ringlet_cluster, ringlet_cluster_release> cluster_;
};

// A cluster in virtual time (docs/lab.md): one thread at a time, and the same seed and calls come to the same end.
// Settings, acts, arguments and answers are JSON.
class Lab {
 public:
  static Result<Lab> make(const std::string& settings = "{}") {
    Lab lab;
    return lab.made([&](ringlet_lab** made, ringlet_error** error) {
      return ringlet_lab_new(settings.c_str(), RINGLET_ABI, made, error);
    });
  }
  // The client of this name, made where there is none.
  Result<Client> client(const std::string& name, const Options* options = nullptr) {
    Client client;
    ringlet_client* opened = nullptr;
    ringlet_error* error = nullptr;
    const ringlet_status status = ringlet_lab_client(
        lab_.get(), name.c_str(), options == nullptr ? nullptr : options->c(), &opened, &error);
    if (status != RINGLET_OK) return Error(status, error);
    client.client_.reset(opened);
    return client;
  }
  Result<void> act(const std::string& act) {
    return done(
        [&](ringlet_error** error) { return ringlet_lab_act(lab_.get(), act.c_str(), error); });
  }
  Result<std::uint64_t> step(std::uint64_t count = 1) {
    std::uint64_t stepped = 0;
    Result<void> ended = done([&](ringlet_error** error) {
      return ringlet_lab_step(lab_.get(), count, &stepped, error);
    });
    if (!ended) return ended.error();
    return stepped;
  }
  Result<void> run(std::chrono::microseconds time) {
    return done([&](ringlet_error** error) {
      return ringlet_lab_run(lab_.get(), static_cast<std::uint64_t>(time.count()), error);
    });
  }
  Result<std::string> settle(std::chrono::microseconds patience = std::chrono::minutes(5)) {
    return told([&](ringlet_text** said, ringlet_error** error) {
      return ringlet_lab_settle(lab_.get(), static_cast<std::uint64_t>(patience.count()), said,
                                error);
    });
  }
  Result<void> rewind(std::uint64_t event) {
    return done(
        [&](ringlet_error** error) { return ringlet_lab_rewind(lab_.get(), event, error); });
  }
  Result<Lab> fork(const std::string& changed) {
    return made([&](ringlet_lab** lab, ringlet_error** error) {
      return ringlet_lab_fork(lab_.get(), changed.c_str(), lab, error);
    });
  }
  Result<std::string> ask(const std::string& what, const std::string& arguments = "{}") {
    return told([&](ringlet_text** answer, ringlet_error** error) {
      return ringlet_lab_ask(lab_.get(), what.c_str(), arguments.c_str(), answer, error);
    });
  }
  std::chrono::microseconds now() {
    return std::chrono::microseconds(ringlet_lab_now_us(lab_.get()));
  }
  std::uint64_t events() { return ringlet_lab_events(lab_.get()); }
  std::uint64_t hash() { return ringlet_lab_hash(lab_.get()); }

 private:
  template <typename Function>
  Result<void> done(Function function) {
    ringlet_error* error = nullptr;
    const ringlet_status status = function(&error);
    if (status != RINGLET_OK) return Error(status, error);
    return {};
  }
  template <typename Function>
  Result<std::string> told(Function function) {
    ringlet_text* text = nullptr;
    ringlet_error* error = nullptr;
    const ringlet_status status = function(&text, &error);
    if (status != RINGLET_OK) return Error(status, error);
    return detail::taken(text);
  }
  template <typename Function>
  Result<Lab> made(Function function) {
    Lab lab;
    ringlet_lab* made = nullptr;
    ringlet_error* error = nullptr;
    const ringlet_status status = function(&made, &error);
    if (status != RINGLET_OK) return Error(status, error);
    lab.lab_.reset(made);
    return lab;
  }
  detail::Owner<ringlet_lab, ringlet_lab_release> lab_;
};

}  // namespace abi1
}  // namespace ringlet

#endif  // RINGLET_RINGLET_HPP
