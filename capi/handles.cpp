#include "handles.hpp"

#include <pthread.h>
#include <unistd.h>

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cstring>

struct ringlet_error {
  ringlet_status status = RINGLET_NO_MEMORY;
  bool retryable = true;
  bool maybe_applied = false;
  std::string message;
  std::string details;
  ringlet::capi::Counted counted;
};

namespace ringlet::capi {

std::atomic<int> Counted::live{0};

namespace {

// The only error there is when no memory is left to make one; it is nobody's to release. In
// static storage without a destructor, so that exit() does not run one.
alignas(ringlet_error) unsigned char no_memory_storage[sizeof(ringlet_error)];

ringlet_error* no_memory_error() {
  static ringlet_error* const error = [] {
    auto* made = new (no_memory_storage) ringlet_error;
    Counted::live.fetch_sub(1);
    return made;
  }();
  return error;
}

std::atomic<std::uint64_t> fork_generation{0};

void count_fork() {
  fork_generation.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

ringlet_error* make_error(const Failure& failure) noexcept {
  try {
    auto* error = new ringlet_error;
    error->status = static_cast<ringlet_status>(failure.status.code());
    error->retryable = failure.status.retryable();
    error->maybe_applied = failure.status.maybe_applied();
    // Words of a node, or of the application, may be in it.
    error->message = one_line(failure.status.message());
    if (error->message.empty()) error->message = ringlet_status_name(error->status);
    error->details = failure.details;
    return error;
  } catch (...) {
    return no_memory_error();
  }
}

ringlet_status give(const Failure& failure, ringlet_error** error) noexcept {
  if (error != nullptr) *error = make_error(failure);
  return static_cast<ringlet_status>(failure.status.code());
}

ringlet_text* make_text(std::string text) {
  return new ringlet_text{std::move(text), {}};
}

Birthplace::Birthplace() {
  // Registered once a process; the handler is code of this library, which is linked nodelete.
  static const int registered = pthread_atfork(nullptr, nullptr, count_fork);
  (void)registered;
  generation_ = fork_generation.load(std::memory_order_relaxed);
  pid_ = static_cast<int>(getpid());
}

bool Birthplace::forked() const {
  return generation_ != fork_generation.load(std::memory_order_relaxed);
}

Status Birthplace::check(const char* what) const {
  if (!forked()) return Status::ok();
  return Status(Code::forked, std::string(what) + " was opened in process " + std::to_string(pid_) +
                                  " and used in its child " + std::to_string(getpid()) +
                                  ": open it after fork()");
}

Status check_abi(std::uint32_t abi) {
  std::uint32_t major = abi >> 16, minor = abi & 0xffff;
  if (major == RINGLET_ABI_MAJOR && minor <= RINGLET_ABI_MINOR) return Status::ok();
  return Status(Code::abi_mismatch, "the program was compiled for ABI " + std::to_string(major) +
                                        "." + std::to_string(minor) + ", this library has ABI " +
                                        std::to_string(RINGLET_ABI_MAJOR) + "." +
                                        std::to_string(RINGLET_ABI_MINOR));
}

Status missing(const char* argument) {
  return Status(Code::invalid_argument, std::string(argument) + ": wanted a pointer, got NULL");
}

Status check_bytes(const char* name, ringlet_bytes bytes, std::size_t most) {
  if (bytes.size > most) {
    return Status(Code::too_large, std::string(name) + ": wanted at most " + std::to_string(most) +
                                       " bytes, got " + std::to_string(bytes.size));
  }
  if (bytes.size > 0 && bytes.data == nullptr) {
    return Status(Code::invalid_argument, std::string(name) + ": wanted " +
                                              std::to_string(bytes.size) + " bytes, got NULL");
  }
  return Status::ok();
}

bool is_utf8(std::string_view text) {
  auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    unsigned char c = at(i);
    std::size_t more = c < 0x80                ? 0
                       : c >= 0xc2 && c < 0xe0 ? 1
                       : (c & 0xf0) == 0xe0    ? 2
                       : c >= 0xf0 && c < 0xf5 ? 3
                                               : 4;
    if (more == 4 || i + more >= text.size()) return false;
    for (std::size_t k = 1; k <= more; ++k) {
      if ((at(i + k) & 0xc0) != 0x80) return false;
    }
    // Overlong forms, surrogates and what is beyond U+10FFFF show in the second byte.
    unsigned char next = more > 0 ? at(i + 1) : 0;
    if ((c == 0xe0 && next < 0xa0) || (c == 0xed && next > 0x9f) || (c == 0xf0 && next < 0x90) ||
        (c == 0xf4 && next > 0x8f)) {
      return false;
    }
    i += more + 1;
  }
  return true;
}

Status check_text(const char* name, const char* text, std::size_t most) {
  if (text == nullptr) return missing(name);
  std::size_t length = strnlen(text, most + 1);
  if (length > most) {
    return Status(Code::too_large, std::string(name) + ": wanted at most " + std::to_string(most) +
                                       " bytes, got more");
  }
  if (!is_utf8({text, length})) {
    return Status(Code::invalid_argument, std::string(name) + ": wanted UTF-8, got \"" +
                                              printable(BytesView(text, length)) + "\"");
  }
  return Status::ok();
}

Status check_struct(const char* name, const void* data, std::size_t size, std::size_t known) {
  if (size < known || size > max_struct_bytes) {
    return Status(Code::invalid_argument,
                  std::string(name) + ": wanted a size from " + std::to_string(known) + " to " +
                      std::to_string(max_struct_bytes) + ", got " + std::to_string(size));
  }
  const auto* bytes = static_cast<const unsigned char*>(data);
  for (std::size_t i = known; i < size; ++i) {
    if (bytes[i] != 0) {
      return Status(Code::unsupported, std::string(name) + ": byte " + std::to_string(i) +
                                           " is set, this library knows the first " +
                                           std::to_string(known) + " only");
    }
  }
  return Status::ok();
}

}  // namespace ringlet::capi

using namespace ringlet::capi;

uint32_t ringlet_abi_version(void) {
  return RINGLET_ABI;
}

const char* ringlet_version(void) {
  return RINGLET_VERSION_TEXT;
}

int ringlet_has(const char* feature) {
  if (feature == nullptr) return 0;
  if (std::strcmp(feature, "debug.live_handles") == 0) return Counted::live.load();
  for (const char* known :
       {"client", "queue", "node", "cluster", "engine.memory", "coordination.client", "lab"}) {
    if (std::strcmp(feature, known) == 0) return 1;
  }
  return 0;
}

const char* ringlet_status_name(ringlet_status status) {
  switch (status) {
    case RINGLET_OK:
      return "OK";
    case RINGLET_INVALID_ARGUMENT:
      return "INVALID_ARGUMENT";
    case RINGLET_INVALID_CONTEXT:
      return "INVALID_CONTEXT";
    case RINGLET_TOO_LARGE:
      return "TOO_LARGE";
    case RINGLET_UNKNOWN_OPTION:
      return "UNKNOWN_OPTION";
    case RINGLET_BUSY:
      return "BUSY";
    case RINGLET_CLOSED:
      return "CLOSED";
    case RINGLET_FORKED:
      return "FORKED";
    case RINGLET_ABI_MISMATCH:
      return "ABI_MISMATCH";
    case RINGLET_UNSUPPORTED:
      return "UNSUPPORTED";
    case RINGLET_TIMEOUT:
      return "TIMEOUT";
    case RINGLET_UNAVAILABLE:
      return "UNAVAILABLE";
    case RINGLET_QUORUM_NOT_MET:
      return "QUORUM_NOT_MET";
    case RINGLET_OVERLOADED:
      return "OVERLOADED";
    case RINGLET_CANCELLED:
      return "CANCELLED";
    case RINGLET_TOO_MANY_SIBLINGS:
      return "TOO_MANY_SIBLINGS";
    case RINGLET_CORRUPT:
      return "CORRUPT";
    case RINGLET_MERGE_FAILED:
      return "MERGE_FAILED";
    case RINGLET_UPDATE_EXHAUSTED:
      return "UPDATE_EXHAUSTED";
    case RINGLET_INTERNAL:
      return "INTERNAL";
    case RINGLET_NO_MEMORY:
      return "NO_MEMORY";
    case RINGLET_IO:
      return "IO";
    default:
      return "UNKNOWN";
  }
}

ringlet_status ringlet_error_status(const ringlet_error* error) {
  return error == nullptr ? RINGLET_OK : error->status;
}

const char* ringlet_error_message(const ringlet_error* error) {
  if (error == nullptr) return "no error";
  return error->message.empty() ? "no memory" : error->message.c_str();
}

int ringlet_error_retryable(const ringlet_error* error) {
  return error != nullptr && error->retryable;
}

int ringlet_error_maybe_applied(const ringlet_error* error) {
  return error != nullptr && error->maybe_applied;
}

ringlet_text* ringlet_error_details(const ringlet_error* error) {
  return guarded_pointer([&]() -> ringlet_text* {
    if (error == nullptr) return make_text("{}");
    if (!error->details.empty()) return make_text(error->details);
    boost::json::object json;
    json["status"] = ringlet_status_name(error->status);
    return make_text(boost::json::serialize(json));
  });
}

void ringlet_error_release(ringlet_error* error) {
  if (error != nullptr && error != no_memory_error()) delete error;
}

ringlet_bytes ringlet_text_bytes(const ringlet_text* text) {
  return text == nullptr ? ringlet_bytes{"", 0} : bytes_of(text->text);
}

void ringlet_text_release(ringlet_text* text) {
  delete text;
}
