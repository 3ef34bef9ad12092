// What SWIG wraps for Java: flat functions over capi/include/ringlet/ringlet.h, and nothing else.
//
// Handles travel as 64-bit numbers and are owned as the C header says: *_new, *_open and *_start
// give one, *_release takes it; 0 is the NULL handle. Text comes in as bytes with a NUL behind
// them (the typemap puts it there; Java has refused a NUL inside) and goes out as UTF-8 bytes,
// because JNI's own strings are not UTF-8. Every C failure leaves here as Failed, which the
// %exception of ringlet.i turns into a Java exception. Nothing here waits but client_close,
// client_admin and cluster_*.
#ifndef RINGLET_BINDINGS_JAVA_FACADE_HPP
#define RINGLET_BINDINGS_JAVA_FACADE_HPP

#include <ringlet/ringlet.h>

#include <cstdint>
#include <cstring>
#include <new>
#include <string>

namespace ringlet_java {

using Handle = long long;

// A C call that failed; owns the error object until throw_java has read it.
struct Failed {
  ringlet_status status;
  ringlet_error* error;
};

template <class T>
T* from(Handle handle) {
  return reinterpret_cast<T*>(static_cast<intptr_t>(handle));
}

template <class T>
Handle to(T* pointer) {
  return static_cast<Handle>(reinterpret_cast<intptr_t>(pointer));
}

inline const char* chars(ringlet_bytes text) {
  return static_cast<const char*>(text.data);
}

// The error by its address: as a value it might be read before the call beside it has set it.
inline void check(ringlet_status status, ringlet_error* const* error) {
  if (status != RINGLET_OK) throw Failed{status, *error};
}

inline void check(ringlet_status status) {
  if (status != RINGLET_OK) throw Failed{status, nullptr};
}

inline std::string bytes_of(ringlet_bytes bytes) {
  return bytes.size == 0 ? std::string() : std::string(chars(bytes), bytes.size);
}

inline std::string take(ringlet_text* text) {
  std::string out = bytes_of(ringlet_text_bytes(text));
  ringlet_text_release(text);
  return out;
}

// ---- library ----

inline int abi_version() {
  return static_cast<int>(ringlet_abi_version());
}
inline std::string library_version() {
  return ringlet_version();
}
inline int has(ringlet_bytes feature) {
  return ringlet_has(chars(feature));
}
inline std::string status_name(int status) {
  return ringlet_status_name(status);
}

// ---- options ----

inline Handle options_new() {
  ringlet_options* options = ringlet_options_new();
  if (!options) throw std::bad_alloc();
  return to(options);
}

inline void options_set(Handle options, ringlet_bytes name, ringlet_bytes value) {
  ringlet_error* error = nullptr;
  check(ringlet_options_set(from<ringlet_options>(options), chars(name), chars(value), &error),
        &error);
}

inline std::string options_describe() {
  return take(ringlet_options_describe());
}
inline void options_release(Handle options) {
  ringlet_options_release(from<ringlet_options>(options));
}

// ---- client and queue ----

inline Handle client_open(Handle options) {
  ringlet_client* client = nullptr;
  ringlet_error* error = nullptr;
  check(ringlet_client_open(from<ringlet_options>(options), RINGLET_ABI, &client, &error), &error);
  return to(client);
}

inline std::string client_counters(Handle client) {
  return take(ringlet_client_counters(from<ringlet_client>(client)));
}
inline void client_close(Handle client, int drain_ms) {
  check(ringlet_client_close(from<ringlet_client>(client), static_cast<uint32_t>(drain_ms)));
}

inline void client_release(Handle client) {
  ringlet_client_release(from<ringlet_client>(client));
}

// The log records that wait, each as level digit, part, tab, text, NUL.
inline std::string client_log_take(Handle client) {
  std::string records;
  ringlet_client_log_drain(
      from<ringlet_client>(client),
      [](void* out, int level, const char* part, const char* text) {
        auto& all = *static_cast<std::string*>(out);
        all += static_cast<char>('0' + level);
        all += part;
        all += '\t';
        all += text;
        all += '\0';
      },
      &records);
  return records;
}

// A question of operators, JSON in and out. Waits for its answer.
inline std::string client_admin(Handle client, ringlet_bytes command, ringlet_bytes json,
                                int timeout_ms) {
  ringlet_call call = RINGLET_CALL_INIT;
  call.timeout_ms = static_cast<uint32_t>(timeout_ms);
  ringlet_text* answer = nullptr;
  ringlet_error* error = nullptr;
  check(ringlet_admin(from<ringlet_client>(client), chars(command), chars(json), &call, &answer,
                      &error),
        &error);
  return take(answer);
}

inline Handle queue_new() {
  ringlet_queue* queue = nullptr;
  ringlet_error* error = nullptr;
  check(ringlet_queue_new(&queue, &error), &error);
  return to(queue);
}

inline void queue_wake(Handle queue) {
  ringlet_queue_wake(from<ringlet_queue>(queue));
}
inline void queue_release(Handle queue) {
  ringlet_queue_release(from<ringlet_queue>(queue));
}

// One request; its number, for cancel. 0 in any number: the default.
inline Handle submit(Handle client, Handle queue, int kind, Handle tag, ringlet_bytes bucket,
                     ringlet_bytes key, ringlet_bytes context, ringlet_bytes value,
                     ringlet_bytes content_type, int timeout_ms, int r, int w, int strict,
                     int durability, int flags, Handle write_id_high, Handle write_id_low) {
  ringlet_call call = RINGLET_CALL_INIT;
  call.timeout_ms = static_cast<uint32_t>(timeout_ms);
  call.r = static_cast<uint8_t>(r);
  call.w = static_cast<uint8_t>(w);
  call.strict = static_cast<uint8_t>(strict);
  call.durability = static_cast<uint8_t>(durability);
  call.flags = static_cast<uint32_t>(flags);  // RINGLET_RETURN_SIBLINGS, RINGLET_DELETES_WIN, …
  call.content_type = content_type;
  call.write_id[0] = static_cast<uint64_t>(write_id_high);
  call.write_id[1] = static_cast<uint64_t>(write_id_low);
  ringlet_op op = {};
  op.kind = static_cast<uint32_t>(kind);
  op.tag = static_cast<uint64_t>(tag);
  op.key = {bucket, key};
  op.context = context;
  op.value = value;
  op.call = &call;
  uint64_t request = 0;
  ringlet_error* error = nullptr;
  check(ringlet_submit(from<ringlet_client>(client), from<ringlet_queue>(queue), &op, sizeof op, 1,
                       &request, &error),
        &error);
  return static_cast<Handle>(request);
}

inline void cancel(Handle queue, Handle request) {
  ringlet_cancel(from<ringlet_queue>(queue), static_cast<uint64_t>(request));
}

// Throws the error of an event, and releases it.
inline void error_throw(Handle error, int status) {
  ringlet_error* const failure = from<ringlet_error>(error);
  check(status, &failure);
}

inline void error_release(Handle error) {
  ringlet_error_release(from<ringlet_error>(error));
}

// ---- replies ----

inline int reply_count(Handle reply) {
  return static_cast<int>(ringlet_reply_count(from<ringlet_reply>(reply)));
}

inline std::string reply_content_type(Handle reply, int index) {
  return bytes_of(
      ringlet_reply_content_type(from<ringlet_reply>(reply), static_cast<size_t>(index)));
}

inline std::string reply_dot(Handle reply, int index) {
  return bytes_of(ringlet_reply_dot(from<ringlet_reply>(reply), static_cast<size_t>(index)));
}

inline Handle reply_written_ms(Handle reply, int index) {
  return static_cast<Handle>(
      ringlet_reply_written_ms(from<ringlet_reply>(reply), static_cast<size_t>(index)));
}

inline int reply_is_tombstone(Handle reply, int index) {
  return ringlet_reply_is_tombstone(from<ringlet_reply>(reply), static_cast<size_t>(index));
}

inline int reply_merged(Handle reply) {
  return ringlet_reply_merged(from<ringlet_reply>(reply));
}

inline int reply_left_out(Handle reply) {
  return static_cast<int>(ringlet_reply_left_out(from<ringlet_reply>(reply)));
}

inline std::string reply_context(Handle reply) {
  return bytes_of(ringlet_reply_context(from<ringlet_reply>(reply)));
}

inline std::string reply_explain(Handle reply) {
  return take(ringlet_reply_explain(from<ringlet_reply>(reply)));
}
// What a document holds, each thing behind the one that holds it: depth(1) type(1) name value, where a
// scalar is kind(1) and, highest byte first, length(4) and text, or a number(8).
inline void append_number(std::string& out, uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

inline void append_scalar(std::string& out, const ringlet_scalar& scalar) {
  out += static_cast<char>(scalar.kind);
  switch (scalar.kind) {
    case RINGLET_TEXT:
    case RINGLET_BYTES:
      append_number(out, scalar.text.size, 4);
      out += bytes_of(scalar.text);
      return;
    case RINGLET_REAL: {
      uint64_t bits = 0;
      std::memcpy(&bits, &scalar.real, sizeof bits);
      return append_number(out, bits, 8);
    }
    case RINGLET_INTEGER:
    case RINGLET_BOOLEAN:
      return append_number(out, static_cast<uint64_t>(scalar.integer), 8);
    default:
      return;
  }
}

inline std::string list_of(ringlet_document* document) {
  struct Release {
    ringlet_document* document;
    ~Release() { ringlet_document_release(document); }
  } release{document};
  std::string out;
  for (size_t i = 0; i < ringlet_document_count(document); ++i) {
    ringlet_item item = {};
    check(ringlet_document_item(document, i, &item, sizeof item));
    out += static_cast<char>(item.depth);
    out += static_cast<char>(item.type);
    append_scalar(out, item.name);
    append_scalar(out, item.value);
  }
  return out;
}

inline std::string document_read(Handle reply) {
  ringlet_document* document = nullptr;
  ringlet_error* error = nullptr;
  check(ringlet_document_read(from<ringlet_reply>(reply), &document, &error), &error);
  return list_of(document);
}

inline std::string document_parse(ringlet_bytes bytes) {
  ringlet_document* document = nullptr;
  ringlet_error* error = nullptr;
  check(ringlet_document_parse(bytes, &document, &error), &error);
  return list_of(document);
}

inline void reply_release(Handle reply) {
  ringlet_reply_release(from<ringlet_reply>(reply));
}

// -1 before, 0 same, 1 after, 2 concurrent.
inline int context_compare(ringlet_bytes left, ringlet_bytes right) {
  int order = 0;
  check(ringlet_context_compare(left, right, &order));
  return order;
}

// ---- merges ----

// Borrowed from the merge: not to be released.
inline Handle merge_siblings(Handle merge) {
  return to(ringlet_merge_siblings(from<ringlet_merge>(merge)));
}
inline int merge_attempt(Handle merge) {
  return static_cast<int>(ringlet_merge_attempt(from<ringlet_merge>(merge)));
}

inline int merge_written(Handle merge) {
  return ringlet_merge_written(from<ringlet_merge>(merge));
}

// The statuses of answers are not failures here: CLOSED says that the request ended meanwhile.
inline int merge_answer(Handle merge, ringlet_bytes value) {
  return ringlet_merge_answer(from<ringlet_merge>(merge), value);
}
inline int merge_erase(Handle merge) {
  return ringlet_merge_erase(from<ringlet_merge>(merge));
}
inline int merge_keep(Handle merge) {
  return ringlet_merge_keep(from<ringlet_merge>(merge));
}
inline int merge_fail(Handle merge, ringlet_bytes message) {
  return ringlet_merge_fail(from<ringlet_merge>(merge), chars(message));
}
inline void merge_release(Handle merge) {
  ringlet_merge_release(from<ringlet_merge>(merge));
}

// ---- a cluster in this process ----

inline Handle cluster_start(Handle options, int nodes) {
  ringlet_cluster* cluster = nullptr;
  ringlet_error* error = nullptr;
  check(ringlet_cluster_start(from<ringlet_options>(options), static_cast<uint32_t>(nodes),
                              RINGLET_ABI, &cluster, &error),
        &error);
  return to(cluster);
}

inline std::string cluster_seeds(Handle cluster) {
  const char* seeds = ringlet_cluster_seeds(from<ringlet_cluster>(cluster));
  return seeds ? seeds : "";
}

inline int cluster_size(Handle cluster) {
  return static_cast<int>(ringlet_cluster_size(from<ringlet_cluster>(cluster)));
}

inline void cluster_kill(Handle cluster, int index) {
  ringlet_error* error = nullptr;
  check(ringlet_cluster_kill(from<ringlet_cluster>(cluster), static_cast<uint32_t>(index), &error),
        &error);
}

inline void cluster_restart(Handle cluster, int index) {
  ringlet_error* error = nullptr;
  check(
      ringlet_cluster_restart(from<ringlet_cluster>(cluster), static_cast<uint32_t>(index), &error),
      &error);
}

inline void cluster_pause(Handle cluster, int index) {
  ringlet_error* error = nullptr;
  check(ringlet_cluster_pause(from<ringlet_cluster>(cluster), static_cast<uint32_t>(index), &error),
        &error);
}

inline void cluster_resume(Handle cluster, int index) {
  ringlet_error* error = nullptr;
  check(
      ringlet_cluster_resume(from<ringlet_cluster>(cluster), static_cast<uint32_t>(index), &error),
      &error);
}

// -1: all clients.
inline void cluster_cut(Handle cluster, int from_index, int to_index) {
  ringlet_error* error = nullptr;
  check(ringlet_cluster_cut(from<ringlet_cluster>(cluster), static_cast<uint32_t>(from_index),
                            static_cast<uint32_t>(to_index), &error),
        &error);
}

inline void cluster_mend(Handle cluster, int from_index, int to_index) {
  ringlet_error* error = nullptr;
  check(ringlet_cluster_mend(from<ringlet_cluster>(cluster), static_cast<uint32_t>(from_index),
                             static_cast<uint32_t>(to_index), &error),
        &error);
}

inline void cluster_heal(Handle cluster) {
  ringlet_error* error = nullptr;
  check(ringlet_cluster_heal(from<ringlet_cluster>(cluster), &error), &error);
}

inline void cluster_skew(Handle cluster, int index, long long ahead_ms) {
  ringlet_error* error = nullptr;
  check(ringlet_cluster_skew(from<ringlet_cluster>(cluster), static_cast<uint32_t>(index), ahead_ms,
                             &error),
        &error);
}

inline void cluster_stop(Handle cluster, int drain_ms) {
  ringlet_error* error = nullptr;
  check(
      ringlet_cluster_stop(from<ringlet_cluster>(cluster), static_cast<uint32_t>(drain_ms), &error),
      &error);
}

inline void cluster_release(Handle cluster) {
  ringlet_cluster_release(from<ringlet_cluster>(cluster));
}

}  // namespace ringlet_java

#endif  // RINGLET_BINDINGS_JAVA_FACADE_HPP
