// ringlet._core: the C ABI as Python objects, and nothing more. What users see is python/ringlet.
//
// Three rules hold in this file:
//   - Every C call that may lock or wait runs without the GIL (Unlocked), also releases.
//   - No object of Python is owned by a native thread; user code runs only where Python called in.
//   - A failure of the C ABI becomes CoreError(status, message, retryable, maybe_applied, details);
//     python/ringlet/errors.py turns it into the exception users catch.
#include <cxxabi.h>
#include <pybind11/pybind11.h>
#include <ringlet/ringlet.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace py = pybind11;

namespace {

// Gives up the GIL for a scope. py::gil_scoped_release would end the process when a daemon thread comes
// back from a wait while the interpreter finalizes: CPython 3.11 then calls pthread_exit, whose unwinding
// meets pybind11's noexcept destructor. Here such a thread sleeps until the process is gone, as
// CPython itself does from 3.14 on.
class Unlocked {
 public:
  Unlocked() : state_(PyEval_SaveThread()) {}
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;
  ~Unlocked() noexcept(false) {
    try {
      PyEval_RestoreThread(state_);
    } catch (abi::__forced_unwind&) {
      for (;;) pause();
    }
  }

 private:
  PyThreadState* state_;
};

// The class of CoreError; made once by the module, never freed: errors may outlive it at exit.
PyObject* core_error_class = nullptr;

py::bytes to_bytes(ringlet_bytes bytes) {
  return {static_cast<const char*>(bytes.data), bytes.size};
}

std::string take_text(ringlet_text* text) {
  ringlet_bytes bytes = ringlet_text_bytes(text);
  std::string out(bytes.size == 0 ? "" : static_cast<const char*>(bytes.data), bytes.size);
  ringlet_text_release(text);
  return out;
}

py::str to_str(const std::string& text) {
  PyObject* decoded =
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "backslashreplace");
  if (decoded == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(decoded);
}

// What errors.py needs to know of a failure. Takes the error; NULL: only the status is known.
py::tuple failure_of(ringlet_status status, ringlet_error* error) {
  std::unique_ptr<ringlet_error, decltype(&ringlet_error_release)> held(error,
                                                                        ringlet_error_release);
  if (error == nullptr) {
    return py::make_tuple(status, to_str(ringlet_status_name(status)), false, false, to_str("{}"));
  }
  return py::make_tuple(
      status, to_str(ringlet_error_message(error)), ringlet_error_retryable(error) != 0,
      ringlet_error_maybe_applied(error) != 0, to_str(take_text(ringlet_error_details(error))));
}

void check(ringlet_status status, ringlet_error* error) {
  if (status == RINGLET_OK) {
    ringlet_error_release(error);
    return;
  }
  PyErr_SetObject(core_error_class, failure_of(status, error).ptr());
  throw py::error_already_set();
}

ringlet_bytes view_of(const py::bytes& bytes) {
  char* data = nullptr;
  Py_ssize_t size = 0;
  if (PyBytes_AsStringAndSize(bytes.ptr(), &data, &size) != 0) throw py::error_already_set();
  return {data, static_cast<std::size_t>(size)};
}

// Anything with a contiguous buffer, borrowed for one call; another object is Python's own TypeError or
// BufferError.
class Borrowed {
 public:
  explicit Borrowed(const py::object& object) {
    if (PyObject_GetBuffer(object.ptr(), &buffer_, PyBUF_SIMPLE) != 0)
      throw py::error_already_set();
  }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  ~Borrowed() { PyBuffer_Release(&buffer_); }
  ringlet_bytes bytes() const { return {buffer_.buf, static_cast<std::size_t>(buffer_.len)}; }

 private:
  Py_buffer buffer_{};
};

// Options as {name: value}, both text.
class Options {
 public:
  explicit Options(const py::dict& settings)
      : options_(ringlet_options_new(), ringlet_options_release) {
    if (!options_) throw std::bad_alloc();
    for (auto [name, value] : settings) {
      ringlet_error* error = nullptr;
      std::string name_text = py::cast<std::string>(name),
                  value_text = py::cast<std::string>(value);
      ringlet_status status =
          ringlet_options_set(options_.get(), name_text.c_str(), value_text.c_str(), &error);
      check(status, error);
    }
  }
  const ringlet_options* get() const { return options_.get(); }

 private:
  std::unique_ptr<ringlet_options, decltype(&ringlet_options_release)> options_;
};

struct LogRecord {
  int level;
  std::string part, text;
};

void keep_record(void* records, int level, const char* part, const char* text) {
  static_cast<std::vector<LogRecord>*>(records)->push_back({level, part, text});
}

py::list to_list(const std::vector<LogRecord>& records) {
  py::list out;
  for (const LogRecord& record : records) {
    out.append(py::make_tuple(record.level, to_str(record.part), to_str(record.text)));
  }
  return out;
}

// A name, an element or a value of a document; text points into the object, which must live as long.
ringlet_scalar scalar_of(const py::handle& value, const char* what) {
  ringlet_scalar scalar{};
  if (value.is_none()) {
    scalar.kind = RINGLET_NOTHING;
  } else if (PyBool_Check(value.ptr())) {
    scalar.kind = RINGLET_BOOLEAN;
    scalar.integer = value.ptr() == Py_True ? 1 : 0;
  } else if (PyLong_Check(value.ptr())) {
    scalar.kind = RINGLET_INTEGER;
    int overflow = 0;
    scalar.integer = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
    if (overflow != 0) {
      throw py::value_error(std::string(what) + ": wanted an integer of 64 bits, got " +
                            py::cast<std::string>(py::str(value)).substr(0, 40));
    }
  } else if (PyFloat_Check(value.ptr())) {
    scalar.kind = RINGLET_REAL;
    scalar.real = PyFloat_AS_DOUBLE(value.ptr());
  } else if (PyUnicode_Check(value.ptr())) {
    Py_ssize_t size = 0;
    const char* text = PyUnicode_AsUTF8AndSize(value.ptr(), &size);
    if (text == nullptr) throw py::error_already_set();
    scalar.kind = RINGLET_TEXT;
    scalar.text = {text, static_cast<std::size_t>(size)};
  } else if (PyBytes_Check(value.ptr())) {
    scalar.kind = RINGLET_BYTES;
    scalar.text = {PyBytes_AS_STRING(value.ptr()),
                   static_cast<std::size_t>(PyBytes_GET_SIZE(value.ptr()))};
  } else {
    throw py::type_error(std::string(what) +
                         ": wanted text, bytes, a number, a boolean or None, got " +
                         Py_TYPE(value.ptr())->tp_name);
  }
  return scalar;
}

py::object object_of(const ringlet_scalar& scalar) {
  switch (scalar.kind) {
    case RINGLET_TEXT:
      return to_str(std::string(static_cast<const char*>(scalar.text.data), scalar.text.size));
    case RINGLET_BYTES:
      return to_bytes(scalar.text);
    case RINGLET_INTEGER:
      return py::int_(scalar.integer);
    case RINGLET_BOOLEAN:
      return py::bool_(scalar.integer != 0);
    case RINGLET_REAL:
      return py::float_(scalar.real);
    default:
      return py::none();
  }
}

// A list of edits of a document.
class Edits {
 public:
  Edits() {
    ringlet_error* error = nullptr;
    ringlet_status status = ringlet_edits_new(&edits_, &error);
    check(status, error);
  }
  Edits(const Edits&) = delete;
  Edits& operator=(const Edits&) = delete;
  ~Edits() { ringlet_edits_release(edits_); }
  void append(std::uint32_t kind, const py::sequence& path, const py::object& value,
              std::int64_t amount) {
    std::vector<ringlet_scalar> names;
    std::vector<py::object> held;
    for (std::size_t i = 0; i < path.size(); ++i) {
      held.push_back(path[i]);
      names.push_back(scalar_of(held.back(), "a name"));
    }
    ringlet_scalar given = scalar_of(value, "a value");
    ringlet_error* error = nullptr;
    ringlet_status status =
        ringlet_edits_append(edits_, kind, names.data(), names.size(), &given, amount, &error);
    check(status, error);
  }
  std::size_t count() const { return ringlet_edits_count(edits_); }
  py::bytes bytes() { return to_bytes(ringlet_edits_bytes(edits_)); }

 private:
  ringlet_edits* edits_ = nullptr;
};

// As (depth, type, name, value), each thing behind the one that holds it. Takes the document.
py::list items_of(ringlet_document* document) {
  std::unique_ptr<ringlet_document, decltype(&ringlet_document_release)> owned(
      document, ringlet_document_release);
  py::list out;
  std::size_t count = ringlet_document_count(document);
  for (std::size_t i = 0; i < count; ++i) {
    ringlet_item item{};
    check(ringlet_document_item(document, i, &item, sizeof item), nullptr);
    out.append(py::make_tuple(item.depth, item.type, object_of(item.name), object_of(item.value)));
  }
  return out;
}

py::list document_parse(const py::bytes& bytes) {
  ringlet_document* document = nullptr;
  ringlet_error* error = nullptr;
  ringlet_status status = ringlet_document_parse(view_of(bytes), &document, &error);
  check(status, error);
  return items_of(document);
}

class Reply;

// Bytes inside a reply, for memoryview: read-only, alive as long as somebody looks.
struct View {
  std::shared_ptr<const void> owner;
  ringlet_bytes bytes;
};

// A reply of its own, or the siblings inside a merge (which the owner then is).
class Reply {
 public:
  explicit Reply(ringlet_reply* reply)
      : owner_(reply, [](ringlet_reply* held) { ringlet_reply_release(held); }), reply_(reply) {}
  Reply(std::shared_ptr<const void> owner, const ringlet_reply* reply)
      : owner_(std::move(owner)), reply_(reply) {}

  std::size_t count() const { return ringlet_reply_count(reply_); }
  View value(std::size_t index) const {
    return {owner_, ringlet_reply_value(reply_, checked(index))};
  }
  py::bytes content_type(std::size_t index) const {
    return to_bytes(ringlet_reply_content_type(reply_, checked(index)));
  }
  py::bytes dot(std::size_t index) const {
    return to_bytes(ringlet_reply_dot(reply_, checked(index)));
  }
  std::uint64_t written_ms(std::size_t index) const {
    return ringlet_reply_written_ms(reply_, checked(index));
  }
  bool is_tombstone(std::size_t index) const {
    return ringlet_reply_is_tombstone(reply_, checked(index)) != 0;
  }
  std::size_t left_out() const { return ringlet_reply_left_out(reply_); }
  bool merged() const { return ringlet_reply_merged(reply_) != 0; }
  py::bytes context() const { return to_bytes(ringlet_reply_context(reply_)); }
  // All that a read looks at, in one call: the versions as (memoryview, written_ms, content type, dot, is it a
  // delete), the context, merged, left_out.
  py::tuple parts() const {
    const std::size_t versions = count();
    py::tuple out(versions);
    for (std::size_t i = 0; i < versions; ++i) {
      py::object view = py::cast(value(i));
      py::object seen = py::reinterpret_steal<py::object>(PyMemoryView_FromObject(view.ptr()));
      if (!seen) throw py::error_already_set();
      const ringlet_bytes type = ringlet_reply_content_type(reply_, i);
      py::object text = py::reinterpret_steal<py::object>(PyUnicode_DecodeUTF8(
          static_cast<const char*>(type.data), static_cast<py::ssize_t>(type.size), "replace"));
      if (!text) throw py::error_already_set();
      out[i] =
          py::make_tuple(std::move(seen), written_ms(i), std::move(text), dot(i), is_tombstone(i));
    }
    return py::make_tuple(std::move(out), context(), merged(), left_out());
  }
  py::list document() const {
    ringlet_document* document = nullptr;
    ringlet_error* error = nullptr;
    ringlet_status status = RINGLET_OK;
    {
      Unlocked unlocked;
      status = ringlet_document_read(reply_, &document, &error);
    }
    check(status, error);
    return items_of(document);
  }
  // `taken`: (number of a sibling, edits) pairs.
  py::bytes document_take_over(const py::list& taken, const py::bytes& edits) const {
    std::vector<ringlet_taken> each;
    for (const py::handle& pair : taken) {
      auto [sibling, list] = pair.cast<std::pair<std::size_t, py::bytes>>();
      each.push_back({sibling, view_of(list)});  // `taken` keeps the bytes
    }
    ringlet_text* value = nullptr;
    ringlet_error* error = nullptr;
    ringlet_status status = RINGLET_OK;
    ringlet_bytes list = view_of(edits);
    {
      Unlocked unlocked;
      status = ringlet_document_take_over(reply_, each.data(), each.size(), list, &value, &error);
    }
    check(status, error);
    return py::bytes(take_text(value));
  }
  py::str explain() const { return to_str(take_text(ringlet_reply_explain(reply_))); }

 private:
  std::size_t checked(std::size_t index) const {
    if (index >= count()) {
      throw py::index_error("sibling " + std::to_string(index) + " of " + std::to_string(count()));
    }
    return index;
  }

  std::shared_ptr<const void> owner_;
  const ringlet_reply* reply_;
};

// A merge question. Whoever holds it answers once; dropped unanswered, the update fails.
class Merge {
 public:
  explicit Merge(ringlet_merge* merge)
      : merge_(merge, [](ringlet_merge* held) {
          Unlocked unlocked;
          ringlet_merge_release(held);
        }) {}
  Reply siblings() const { return {merge_, ringlet_merge_siblings(merge_.get())}; }
  std::uint32_t attempt() const { return ringlet_merge_attempt(merge_.get()); }
  bool written() const { return ringlet_merge_written(merge_.get()) != 0; }
  int answer(const py::object& value) {
    Borrowed borrowed(value);
    Unlocked unlocked;
    return ringlet_merge_answer(merge_.get(), borrowed.bytes());
  }
  int erase() {
    Unlocked unlocked;
    return ringlet_merge_erase(merge_.get());
  }
  int keep() {
    Unlocked unlocked;
    return ringlet_merge_keep(merge_.get());
  }
  int fail(const std::string& message) {
    Unlocked unlocked;
    return ringlet_merge_fail(merge_.get(), message.c_str());
  }

 private:
  std::shared_ptr<ringlet_merge> merge_;
};

class Client {
 public:
  explicit Client(const py::dict& settings) {
    Options options(settings);
    ringlet_error* error = nullptr;
    ringlet_status status = RINGLET_OK;
    {
      Unlocked unlocked;
      status = ringlet_client_open(options.get(), RINGLET_ABI, &client_, &error);
    }
    check(status, error);
  }
  // Of a laboratory, whose time passes while its calls wait.
  Client(ringlet_lab* lab, const std::string& name, const py::dict& settings) : of_lab_(true) {
    Options options(settings);
    ringlet_error* error = nullptr;
    ringlet_status status = RINGLET_OK;
    {
      Unlocked unlocked;
      status = ringlet_lab_client(lab, name.c_str(), settings.empty() ? nullptr : options.get(),
                                  &client_, &error);
    }
    check(status, error);
  }
  bool of_lab() const { return of_lab_; }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() noexcept(false) {
    Unlocked unlocked;
    ringlet_client_release(client_);
  }

  ringlet_client* get() const { return client_; }

  py::str counters() const { return to_str(take_text(ringlet_client_counters(client_))); }

  void close(std::uint32_t drain_ms) {
    ringlet_status status = RINGLET_OK;
    {
      Unlocked unlocked;
      status = ringlet_client_close(client_, drain_ms);
    }
    check(status, nullptr);
  }

  py::str admin(const std::string& command, const std::string& json, std::uint32_t timeout_ms) {
    ringlet_call call = RINGLET_CALL_INIT;
    call.timeout_ms = timeout_ms;
    ringlet_text* text = nullptr;
    ringlet_error* error = nullptr;
    ringlet_status status = RINGLET_OK;
    {
      Unlocked unlocked;
      status = ringlet_admin(client_, command.c_str(), json.c_str(), &call, &text, &error);
    }
    check(status, error);
    return to_str(take_text(text));
  }

  py::list drain_logs() {
    std::vector<LogRecord> records;
    {
      Unlocked unlocked;
      ringlet_client_log_drain(client_, keep_record, &records);
    }
    return to_list(records);
  }

 private:
  ringlet_client* client_ = nullptr;
  bool of_lab_ = false;
};

// Where the results of one thread's calls arrive.
class Queue {
 public:
  Queue() {
    ringlet_error* error = nullptr;
    ringlet_status status = ringlet_queue_new(&queue_, &error);
    check(status, error);
  }
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  ~Queue() noexcept(false) {
    Unlocked unlocked;
    ringlet_queue_release(queue_);
  }

  std::uint64_t submit(const Client& client, std::uint32_t kind, std::uint64_t tag,
                       const py::bytes& bucket, const py::bytes& key, const py::bytes& context,
                       const py::object& value, const py::bytes& content_type,
                       std::uint32_t timeout_ms, std::uint8_t r, std::uint8_t w, bool strict,
                       std::uint8_t durability, std::uint32_t deletes, const py::bytes& write_id) {
    Borrowed borrowed(value);
    ringlet_call call = RINGLET_CALL_INIT;
    call.timeout_ms = timeout_ms;
    call.r = r;
    call.w = w;
    call.strict = strict ? 1 : 0;
    call.durability = durability;
    call.flags = RINGLET_RETURN_SIBLINGS | deletes;
    call.content_type = view_of(content_type);
    ringlet_bytes id = view_of(write_id);
    if (id.size != 0 && id.size != 16) {
      throw py::value_error("write_id: wanted 0 or 16 bytes, got " + std::to_string(id.size));
    }
    for (std::size_t i = 0; i < id.size; ++i) {
      call.write_id[i / 8] =
          call.write_id[i / 8] << 8 | static_cast<const unsigned char*>(id.data)[i];
    }
    ringlet_op op = {
        kind, 0, tag, {view_of(bucket), view_of(key)}, view_of(context), borrowed.bytes(), &call};
    std::uint64_t request = 0;
    ringlet_error* error = nullptr;
    ringlet_status status = RINGLET_OK;
    of_lab_ = client.of_lab();
    {
      Unlocked unlocked;
      status = ringlet_submit(client.get(), queue_, &op, sizeof(op), 1, &request, &error);
    }
    check(status, error);
    return request;
  }

  // The next event as (tag, reply, failure, merge); None: none within timeout_ms (-1: for ever). An
  // event wakes it at once; the slice of 50 ms only bounds how long Ctrl-C waits.
  py::object wait(std::int64_t timeout_ms) {
    if (of_lab_) return wait_in_lab(timeout_ms);
    constexpr std::int64_t slice_ms = 50;
    const auto start = std::chrono::steady_clock::now();
    for (;;) {
      std::int64_t left = slice_ms;
      if (timeout_ms >= 0) {
        auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::steady_clock::now() - start);
        left = std::min(slice_ms, std::max<std::int64_t>(0, timeout_ms - spent.count()));
      }
      ringlet_event event{};
      std::size_t count = 0;
      ringlet_status status = RINGLET_OK;
      {
        Unlocked unlocked;
        status = ringlet_drain(queue_, &event, sizeof(event), 1, static_cast<std::int32_t>(left),
                               &count);
      }
      if (count != 0) return take(event);
      check(status, nullptr);
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      if (timeout_ms >= 0 && left < slice_ms) return py::none();
    }
  }

  // At most room events that are there already, as wait gives them; does not wait. For event loops, which
  // watch fd and then take all that came at once.
  py::list drain(std::size_t room) {
    std::vector<ringlet_event> events(std::min<std::size_t>(std::max<std::size_t>(room, 1), 4096));
    std::size_t count = 0;
    ringlet_status status = RINGLET_OK;
    {
      Unlocked unlocked;
      status =
          ringlet_drain(queue_, events.data(), sizeof(ringlet_event), events.size(), 0, &count);
    }
    if (count == 0) check(status, nullptr);
    py::list out;
    for (std::size_t i = 0; i < count; ++i) out.append(take(events[i]));
    return out;
  }

  // Readable while events are there; -1: the system gave none.
  int fd() const { return ringlet_queue_fd(queue_); }
  bool of_lab() const { return of_lab_; }

  void cancel(std::uint64_t request) {
    Unlocked unlocked;
    ringlet_cancel(queue_, request);
  }

 private:
  // Time of a laboratory passes as fast as it is computed; the slice bounds how much of it Ctrl-C waits for.
  py::object wait_in_lab(std::int64_t timeout_ms) {
    constexpr std::int64_t slice_ms = 10'000;
    for (std::int64_t spent = 0;; spent += slice_ms) {
      std::int64_t left = timeout_ms < 0 ? slice_ms : std::min(slice_ms, timeout_ms - spent);
      ringlet_event event{};
      std::size_t count = 0;
      ringlet_status status = RINGLET_OK;
      {
        Unlocked unlocked;
        status = ringlet_drain(queue_, &event, sizeof(event), 1, static_cast<std::int32_t>(left),
                               &count);
      }
      if (count != 0) return take(event);
      check(status, nullptr);
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      // No call takes longer than an hour, unless its client is paused.
      std::int64_t most_ms = timeout_ms < 0 ? 3'660'000 : timeout_ms;
      if (spent + left >= most_ms) return py::none();
    }
  }

  static py::object take(ringlet_event& event) {
    py::object reply = py::none(), failure = py::none(), merge = py::none();
    if (event.reply != nullptr) reply = py::cast(Reply(std::exchange(event.reply, nullptr)));
    if (event.merge != nullptr) merge = py::cast(Merge(std::exchange(event.merge, nullptr)));
    if (event.status != RINGLET_OK)
      failure = failure_of(event.status, std::exchange(event.error, nullptr));
    const std::uint64_t tag = event.tag;
    ringlet_event_clear(&event);
    return py::make_tuple(tag, reply, failure, merge);
  }

  ringlet_queue* queue_ = nullptr;
  bool of_lab_ = false;  // the requests in flight
};

// A cluster in virtual time. Acts, arguments and answers are JSON.
class Lab {
 public:
  explicit Lab(const std::string& settings) {
    run([&](ringlet_error** error) {
      return ringlet_lab_new(settings.c_str(), RINGLET_ABI, &lab_, error);
    });
  }
  explicit Lab(ringlet_lab* lab) : lab_(lab) {}
  Lab(const Lab&) = delete;
  Lab& operator=(const Lab&) = delete;
  ~Lab() noexcept(false) { release(); }
  void release() {
    ringlet_lab* lab = std::exchange(lab_, nullptr);
    Unlocked unlocked;
    ringlet_lab_release(lab);
  }

  std::unique_ptr<Client> client(const std::string& name, const py::dict& settings) {
    return std::make_unique<Client>(lab_, name, settings);
  }
  void act(const std::string& act) {
    run([&](ringlet_error** error) { return ringlet_lab_act(lab_, act.c_str(), error); });
  }
  std::uint64_t step(std::uint64_t count) {
    std::uint64_t done = 0;
    run([&](ringlet_error** error) { return ringlet_lab_step(lab_, count, &done, error); });
    return done;
  }
  void run_for(std::uint64_t us) {
    run([&](ringlet_error** error) { return ringlet_lab_run(lab_, us, error); });
  }
  py::str settle(std::uint64_t patience_us) {
    ringlet_text* said = nullptr;
    run([&](ringlet_error** error) { return ringlet_lab_settle(lab_, patience_us, &said, error); });
    return to_str(take_text(said));
  }
  void rewind(std::uint64_t event) {
    run([&](ringlet_error** error) { return ringlet_lab_rewind(lab_, event, error); });
  }
  std::unique_ptr<Lab> fork(const std::string& changed) {
    ringlet_lab* made = nullptr;
    run([&](ringlet_error** error) {
      return ringlet_lab_fork(lab_, changed.c_str(), &made, error);
    });
    return std::make_unique<Lab>(made);
  }
  py::str ask(const std::string& what, const std::string& arguments) {
    ringlet_text* answer = nullptr;
    run([&](ringlet_error** error) {
      return ringlet_lab_ask(lab_, what.c_str(), arguments.c_str(), &answer, error);
    });
    return to_str(take_text(answer));
  }
  std::uint64_t now_us() const { return ringlet_lab_now_us(lab_); }
  std::uint64_t events() const { return ringlet_lab_events(lab_); }
  std::uint64_t hash() const { return ringlet_lab_hash(lab_); }

 private:
  template <typename Call>
  void run(Call call) {
    ringlet_error* error = nullptr;
    ringlet_status status = RINGLET_OK;
    {
      Unlocked unlocked;
      status = call(&error);
    }
    check(status, error);
  }

  ringlet_lab* lab_ = nullptr;
};

class Cluster {
 public:
  Cluster(const py::dict& settings, std::uint32_t nodes) {
    Options options(settings);
    ringlet_error* error = nullptr;
    ringlet_status status = RINGLET_OK;
    {
      Unlocked unlocked;
      status = ringlet_cluster_start(options.get(), nodes, RINGLET_ABI, &cluster_, &error);
    }
    check(status, error);
  }
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;
  ~Cluster() noexcept(false) {
    Unlocked unlocked;
    ringlet_cluster_release(cluster_);
  }

  py::str seeds() const { return to_str(ringlet_cluster_seeds(cluster_)); }
  std::uint32_t size() const { return ringlet_cluster_size(cluster_); }
  void kill(std::uint32_t index) {
    run([&](ringlet_error** error) { return ringlet_cluster_kill(cluster_, index, error); });
  }
  void restart(std::uint32_t index) {
    run([&](ringlet_error** error) { return ringlet_cluster_restart(cluster_, index, error); });
  }
  void pause(std::uint32_t index) {
    run([&](ringlet_error** error) { return ringlet_cluster_pause(cluster_, index, error); });
  }
  void resume(std::uint32_t index) {
    run([&](ringlet_error** error) { return ringlet_cluster_resume(cluster_, index, error); });
  }
  void cut(std::uint32_t from, std::uint32_t to) {
    run([&](ringlet_error** error) { return ringlet_cluster_cut(cluster_, from, to, error); });
  }
  void mend(std::uint32_t from, std::uint32_t to) {
    run([&](ringlet_error** error) { return ringlet_cluster_mend(cluster_, from, to, error); });
  }
  void heal() {
    run([&](ringlet_error** error) { return ringlet_cluster_heal(cluster_, error); });
  }
  void skew(std::uint32_t index, std::int64_t ahead_ms) {
    run([&](ringlet_error** error) {
      return ringlet_cluster_skew(cluster_, index, ahead_ms, error);
    });
  }
  void stop(std::uint32_t drain_ms) {
    run([&](ringlet_error** error) { return ringlet_cluster_stop(cluster_, drain_ms, error); });
  }
  py::list drain_logs() {
    std::vector<LogRecord> records;
    {
      Unlocked unlocked;
      ringlet_cluster_log_drain(cluster_, keep_record, &records);
    }
    return to_list(records);
  }

 private:
  template <typename Call>
  void run(Call call) {
    ringlet_error* error = nullptr;
    ringlet_status status = RINGLET_OK;
    {
      Unlocked unlocked;
      status = call(&error);
    }
    check(status, error);
  }

  ringlet_cluster* cluster_ = nullptr;
};

int context_compare(const py::bytes& a, const py::bytes& b) {
  int order = 0;
  check(ringlet_context_compare(view_of(a), view_of(b), &order), nullptr);
  return order;
}

// bucket and key: bytes, or both None, and then the checksum is not checked.
py::str context_describe(const py::bytes& context, const py::object& bucket,
                         const py::object& key) {
  ringlet_key wanted{};
  const bool checked = !bucket.is_none() && !key.is_none();
  py::bytes bucket_bytes, key_bytes;
  if (checked) {
    bucket_bytes = py::cast<py::bytes>(bucket);
    key_bytes = py::cast<py::bytes>(key);
    wanted = {view_of(bucket_bytes), view_of(key_bytes)};
  }
  ringlet_text* text = nullptr;
  ringlet_error* error = nullptr;
  ringlet_status status =
      ringlet_context_describe(checked ? &wanted : nullptr, view_of(context), &text, &error);
  check(status, error);
  return to_str(take_text(text));
}

// A subinterpreter cannot have this module: what pybind11 shares between modules belongs to the main
// interpreter, whose lock a thread of another one would wait for while it holds it.
bool in_the_main_interpreter() {
  if (PyInterpreterState_Get() == PyInterpreterState_Main()) return true;
  PyErr_SetString(
      PyExc_ImportError,
      "ringlet cannot be imported in a subinterpreter: import it in the main interpreter of "
      "this process, or use a process for each worker");
  return false;
}

// CPython may hand a subinterpreter a copy of the module without asking it, so the package asks. Not by way of
// pybind11, whose exceptions take the main interpreter's lock.
PyObject* check_interpreter(PyObject*, PyObject*) {
  if (!in_the_main_interpreter()) return nullptr;
  Py_RETURN_NONE;
}
PyMethodDef plain_functions[] = {{"check_interpreter", check_interpreter, METH_NOARGS,
                                  "Raises ImportError in a subinterpreter."},
                                 {nullptr, nullptr, 0, nullptr}};

}  // namespace

// pybind11 2 waits so before it comes to the module's own code, so the question is asked in its macro.
#if PYBIND11_VERSION_MAJOR < 3
#undef PYBIND11_ENSURE_INTERNALS_READY
#define PYBIND11_ENSURE_INTERNALS_READY           \
  if (!in_the_main_interpreter()) return nullptr; \
  pybind11::detail::get_internals();
#endif

PYBIND11_MODULE(_core, m) {
  if (!in_the_main_interpreter()) throw py::error_already_set();
  m.doc() =
      "The C ABI of Ringlet (capi/include/ringlet/ringlet.h). Use the package ringlet instead.";
  core_error_class = PyErr_NewExceptionWithDoc(
      "ringlet._core.CoreError", "(status, message, retryable, maybe_applied, details as JSON)",
      nullptr, nullptr);
  if (core_error_class == nullptr) throw py::error_already_set();
  m.attr("CoreError") = py::handle(core_error_class);

  if (PyModule_AddFunctions(m.ptr(), plain_functions) != 0) throw py::error_already_set();
  m.def("version", [] { return ringlet_version(); });
  m.def("abi_version", [] { return ringlet_abi_version(); });
  m.def(
      "has", [](const std::string& feature) { return ringlet_has(feature.c_str()); },
      py::arg("feature"));
  m.def("status_name", [](int status) { return ringlet_status_name(status); }, py::arg("status"));
  m.def("describe_options", [] { return to_str(take_text(ringlet_options_describe())); });
  m.def("context_compare", &context_compare, py::arg("a"), py::arg("b"));
  m.def("context_describe", &context_describe, py::arg("context"), py::arg("bucket"),
        py::arg("key"));

  m.attr("GET") = static_cast<int>(RINGLET_GET);
  m.attr("PUT") = static_cast<int>(RINGLET_PUT);
  m.attr("DELETE") = static_cast<int>(RINGLET_DELETE);
  m.attr("UPDATE") = static_cast<int>(RINGLET_UPDATE);
  m.attr("EDIT") = static_cast<int>(RINGLET_EDIT);
  m.def("document_parse", &document_parse, py::arg("bytes"));
  m.attr("DELETES_WIN") = static_cast<int>(RINGLET_DELETES_WIN);
  m.attr("DELETES_ASK") = static_cast<int>(RINGLET_DELETES_ASK);

  py::class_<View>(m, "View", py::buffer_protocol()).def_buffer([](View& view) {
    static const char nothing = 0;
    const void* data = view.bytes.size == 0 ? &nothing : view.bytes.data;
    return py::buffer_info(const_cast<std::uint8_t*>(static_cast<const std::uint8_t*>(data)),
                           static_cast<py::ssize_t>(view.bytes.size), /*readonly=*/true);
  });

  py::class_<Reply>(m, "Reply")
      .def_property_readonly("count", &Reply::count)
      .def("parts", &Reply::parts)
      .def("value", &Reply::value, py::arg("index"))
      .def("content_type", &Reply::content_type, py::arg("index"))
      .def("dot", &Reply::dot, py::arg("index"))
      .def("written_ms", &Reply::written_ms, py::arg("index"))
      .def("is_tombstone", &Reply::is_tombstone, py::arg("index"))
      .def_property_readonly("merged", &Reply::merged)
      .def_property_readonly("left_out", &Reply::left_out)
      .def("context", &Reply::context)
      .def("document", &Reply::document)
      .def("document_take_over", &Reply::document_take_over, py::arg("taken"), py::arg("edits"))
      .def("explain", &Reply::explain);

  py::class_<Edits>(m, "Edits")
      .def(py::init<>())
      .def("append", &Edits::append, py::arg("kind"), py::arg("path"), py::arg("value"),
           py::arg("amount"))
      .def_property_readonly("count", &Edits::count)
      .def("bytes", &Edits::bytes);

  py::class_<Merge>(m, "Merge")
      .def("siblings", &Merge::siblings)
      .def_property_readonly("attempt", &Merge::attempt)
      .def_property_readonly("written", &Merge::written)
      .def("answer", &Merge::answer, py::arg("value"))
      .def("erase", &Merge::erase)
      .def("keep", &Merge::keep)
      .def("fail", &Merge::fail, py::arg("message"));

  py::class_<Client>(m, "Client")
      .def(py::init<const py::dict&>(), py::arg("settings"))
      .def("counters", &Client::counters)
      .def("close", &Client::close, py::arg("drain_ms"))
      .def("admin", &Client::admin, py::arg("command"), py::arg("json"), py::arg("timeout_ms"))
      .def("drain_logs", &Client::drain_logs)
      .def_property_readonly("of_lab", &Client::of_lab);

  py::class_<Lab>(m, "Lab")
      .def(py::init<const std::string&>(), py::arg("settings"))
      .def("client", &Lab::client, py::arg("name"), py::arg("settings"))
      .def("act", &Lab::act, py::arg("act"))
      .def("step", &Lab::step, py::arg("count"))
      .def("run", &Lab::run_for, py::arg("us"))
      .def("settle", &Lab::settle, py::arg("patience_us"))
      .def("rewind", &Lab::rewind, py::arg("event"))
      .def("fork", &Lab::fork, py::arg("changed"))
      .def("ask", &Lab::ask, py::arg("what"), py::arg("arguments"))
      .def("release", &Lab::release)
      .def_property_readonly("now_us", &Lab::now_us)
      .def_property_readonly("events", &Lab::events)
      .def_property_readonly("hash", &Lab::hash);

  py::class_<Queue>(m, "Queue")
      .def(py::init<>())
      .def("submit", &Queue::submit, py::arg("client"), py::arg("kind"), py::arg("tag"),
           py::arg("bucket"), py::arg("key"), py::arg("context"), py::arg("value"),
           py::arg("content_type"), py::arg("timeout_ms"), py::arg("r"), py::arg("w"),
           py::arg("strict"), py::arg("durability"), py::arg("deletes"), py::arg("write_id"))
      .def("wait", &Queue::wait, py::arg("timeout_ms"))
      .def("drain", &Queue::drain, py::arg("room"))
      .def_property_readonly("fd", &Queue::fd)
      .def_property_readonly("of_lab", &Queue::of_lab)
      .def("cancel", &Queue::cancel, py::arg("request"));

  py::class_<Cluster>(m, "Cluster")
      .def(py::init<const py::dict&, std::uint32_t>(), py::arg("settings"), py::arg("nodes"))
      .def_property_readonly("seeds", &Cluster::seeds)
      .def_property_readonly("size", &Cluster::size)
      .def("kill", &Cluster::kill, py::arg("index"))
      .def("restart", &Cluster::restart, py::arg("index"))
      .def("pause", &Cluster::pause, py::arg("index"))
      .def("resume", &Cluster::resume, py::arg("index"))
      .def("cut", &Cluster::cut, py::arg("source"), py::arg("target"))
      .def("mend", &Cluster::mend, py::arg("source"), py::arg("target"))
      .def("heal", &Cluster::heal)
      .def("skew", &Cluster::skew, py::arg("index"), py::arg("ahead_ms"))
      .def("stop", &Cluster::stop, py::arg("drain_ms"))
      .def("drain_logs", &Cluster::drain_logs);
}
