// What the C functions do when the n-th allocation of the calling thread fails, for each n: no crash, a
// status that says so, nothing leaked, and the next call works.
#include <ringlet/ringlet.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <new>
#include <string>
#include <thread>
#include <utility>

namespace {

thread_local long countdown = 0;    // 0: not armed; 1: the next one fails
thread_local bool lasting = false;  // and all after it
thread_local bool failed = false;   // it came that far
std::atomic<long> outstanding{0};   // blocks that live, of all threads

bool fails() {
  if (countdown == 0 || --countdown > 0) return false;
  failed = true;
  if (lasting) countdown = 1;
  return true;
}

void* allocate(std::size_t size, std::size_t alignment) {
  if (fails()) return nullptr;
  void* block = alignment == 0
                    ? std::malloc(size == 0 ? 1 : size)
                    : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (block != nullptr) outstanding.fetch_add(1, std::memory_order_relaxed);
  return block;
}

void* allocate_or_throw(std::size_t size, std::size_t alignment) {
  void* block = allocate(size, alignment);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

void deallocate(void* block) {
  if (block != nullptr) outstanding.fetch_sub(1, std::memory_order_relaxed);
  std::free(block);
}

}  // namespace

#define EXPORTED __attribute__((visibility("default")))
EXPORTED void* operator new(std::size_t size) {
  return allocate_or_throw(size, 0);
}
EXPORTED void* operator new[](std::size_t size) {
  return allocate_or_throw(size, 0);
}
EXPORTED void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return allocate(size, 0);
}
EXPORTED void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return allocate(size, 0);
}
EXPORTED void* operator new(std::size_t size, std::align_val_t a) {
  return allocate_or_throw(size, std::size_t(a));
}
EXPORTED void* operator new[](std::size_t size, std::align_val_t a) {
  return allocate_or_throw(size, std::size_t(a));
}
EXPORTED void operator delete(void* block) noexcept {
  deallocate(block);
}
EXPORTED void operator delete[](void* block) noexcept {
  deallocate(block);
}
EXPORTED void operator delete(void* block, std::size_t) noexcept {
  deallocate(block);
}
EXPORTED void operator delete[](void* block, std::size_t) noexcept {
  deallocate(block);
}
EXPORTED void operator delete(void* block, const std::nothrow_t&) noexcept {
  deallocate(block);
}
EXPORTED void operator delete[](void* block, const std::nothrow_t&) noexcept {
  deallocate(block);
}
EXPORTED void operator delete(void* block, std::align_val_t) noexcept {
  deallocate(block);
}
EXPORTED void operator delete[](void* block, std::align_val_t) noexcept {
  deallocate(block);
}
EXPORTED void operator delete(void* block, std::size_t, std::align_val_t) noexcept {
  deallocate(block);
}
EXPORTED void operator delete[](void* block, std::size_t, std::align_val_t) noexcept {
  deallocate(block);
}

namespace {

int wrong = 0;
#define EXPECT(x) \
  ((x) ? (void)0 : (void)(wrong++, std::fprintf(stderr, "line %d: %s\n", __LINE__, #x)))

ringlet_bytes bytes(const char* text) {
  return {text, std::char_traits<char>::length(text)};
}

struct World {
  ringlet_options* options = ringlet_options_new();
  ringlet_cluster* cluster = nullptr;
  ringlet_client* client = nullptr;
  ringlet_queue* queue = nullptr;
  // Longer than what std::string keeps in itself.
  const ringlet_key key = {bytes("a bucket with a rather long name"),
                           bytes("a key with a rather long name")};
  const ringlet_bytes value = bytes("a value that does not fit into the string object itself");
  ringlet_call call = RINGLET_CALL_INIT;

  World() {
    EXPECT(ringlet_cluster_start(options, 3, RINGLET_ABI, &cluster, nullptr) == RINGLET_OK);
    EXPECT(ringlet_options_set(options, "client.seeds", ringlet_cluster_seeds(cluster), nullptr) ==
           RINGLET_OK);
    EXPECT(ringlet_client_open(options, RINGLET_ABI, &client, nullptr) == RINGLET_OK);
    EXPECT(ringlet_queue_new(&queue, nullptr) == RINGLET_OK);
    call.timeout_ms = 3000;
    call.flags = RINGLET_RETURN_SIBLINGS;
    call.content_type = bytes("application/x-something-rather-long");
  }
  ~World() {
    ringlet_queue_release(queue);
    ringlet_client_release(client);
    ringlet_cluster_release(cluster);
    ringlet_options_release(options);
  }
};

int add(void*, ringlet_merge* merge) {
  const ringlet_reply* siblings = ringlet_merge_siblings(merge);
  if (ringlet_reply_count(siblings) > 2)
    return ringlet_merge_answer(merge, bytes("merged")) != RINGLET_OK;
  return ringlet_merge_answer(merge, bytes("a merged value that does not fit into the string")) !=
         RINGLET_OK;
}

using Op = std::function<ringlet_status(World&, ringlet_reply**, ringlet_error**)>;

ringlet_status put(World& w, ringlet_reply** reply, ringlet_error** error) {
  return ringlet_put(w.client, w.key, {nullptr, 0}, w.value, &w.call, reply, error);
}
ringlet_status get(World& w, ringlet_reply** reply, ringlet_error** error) {
  return ringlet_get(w.client, w.key, &w.call, reply, error);
}
ringlet_status update(World& w, ringlet_reply** reply, ringlet_error** error) {
  ringlet_resolver resolver = {add, nullptr, nullptr};
  return ringlet_update(w.client, w.key, &resolver, &w.call, reply, error);
}
ringlet_status many(World& w, ringlet_reply** reply, ringlet_error** error) {
  const ringlet_key keys[2] = {w.key, w.key};
  ringlet_reply* replies[2] = {nullptr, nullptr};
  ringlet_error* errors[2] = {nullptr, nullptr};
  ringlet_status status = ringlet_multi_get(w.client, keys, 2, &w.call, replies, errors);
  *reply = replies[0];
  *error = errors[0] != nullptr ? errors[0] : errors[1];
  if (errors[0] != nullptr) ringlet_error_release(errors[1]);
  ringlet_reply_release(replies[1]);
  return status;
}
// Two at once through the queue: all or none, and each that was taken has its DONE.
ringlet_status submit(World& w, ringlet_reply** reply, ringlet_error** error) {
  ringlet_op ops[2] = {};
  for (ringlet_op& op : ops) {
    op.kind = RINGLET_PUT;
    op.key = w.key;
    op.value = w.value;
    op.call = &w.call;
  }
  ringlet_status status = ringlet_submit(w.client, w.queue, ops, sizeof ops[0], 2, nullptr, error);
  const long left = std::exchange(countdown, 0);  // only the submitting is tried here
  ringlet_status worst = status;
  for (std::size_t done = 0; status == RINGLET_OK && done < 2;) {
    ringlet_event event = {};
    std::size_t count = 0;
    EXPECT(ringlet_drain(w.queue, &event, sizeof event, 1, 15000, &count) == RINGLET_OK);
    EXPECT(count == 1);
    if (count == 0) break;
    ++done;
    EXPECT(event.status == RINGLET_OK || event.status == RINGLET_NO_MEMORY);
    ringlet_event_clear(&event);
  }
  countdown = left;
  (void)reply;
  return worst;
}
ringlet_status describe(World& w, ringlet_reply** reply, ringlet_error** error) {
  const long n = std::exchange(countdown, 0);
  EXPECT(get(w, reply, error) == RINGLET_OK);
  countdown = n;
  ringlet_text* text = nullptr;
  ringlet_text_release(ringlet_reply_explain(*reply));  // NULL when there is no memory
  ringlet_status status =
      ringlet_context_describe(&w.key, ringlet_reply_context(*reply), &text, error);
  ringlet_text_release(text);
  return status;
}

// Returns how many allocations the operation has.
long sweep(World& w, const char* name, const Op& op, bool all_after) {
  const int handles = ringlet_has("debug.live_handles");
  for (long n = 1; n < 2000; ++n) {
    ringlet_reply* reply = nullptr;
    ringlet_error* error = nullptr;
    failed = false;
    lasting = all_after;
    countdown = n;
    ringlet_status status = op(w, &reply, &error);
    countdown = 0;
    const bool said = status == RINGLET_NO_MEMORY ||
                      status == RINGLET_MERGE_FAILED;  // the resolver could not answer
    if (status != RINGLET_OK && !(failed && said)) {
      ++wrong;
      std::fprintf(stderr, "%s, allocation %ld: status %d, %s\n", name, n, status,
                   ringlet_error_message(error));
    }
    EXPECT((error != nullptr) == (status != RINGLET_OK));
    EXPECT(ringlet_error_status(error) == status);
    EXPECT(ringlet_error_message(error)[0] != '\0');
    ringlet_reply_release(reply);
    ringlet_error_release(error);
    if (!failed) {
      EXPECT(status == RINGLET_OK);
      // What an abandoned request holds goes when its answer comes.
      for (int i = 0; i < 100 && ringlet_has("debug.live_handles") != handles; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      if (ringlet_has("debug.live_handles") != handles) {
        ++wrong;
        std::fprintf(stderr, "%s left %d handles\n", name,
                     ringlet_has("debug.live_handles") - handles);
      }
      return n - 1;
    }
    // The client and its thread go on as if nothing had been.
    reply = nullptr;
    EXPECT(ringlet_get(w.client, w.key, &w.call, &reply, nullptr) == RINGLET_OK);
    ringlet_reply_release(reply);
  }
  ++wrong;
  std::fprintf(stderr, "%s never ended well\n", name);
  return 0;
}

}  // namespace

int main() {
  {
    World w;
    ringlet_reply* reply = nullptr;
    EXPECT(put(w, &reply, nullptr) == RINGLET_OK);
    ringlet_reply_release(reply);
    const struct {
      const char* name;
      Op op;
    } ops[] = {{"put", put},        {"get", get},       {"update", update},
               {"multi_get", many}, {"submit", submit}, {"describe", describe}};
    long blocks[3] = {0, 0, 0};
    long tried = 0;
    // The first rounds fill caches; what the second left behind for good, the third leaves again.
    for (long& after : blocks) {
      tried = 0;
      for (const auto& [name, op] : ops) {
        for (bool all_after : {false, true}) {
          // The queue itself grows with its events: without any memory a DONE may be lost.
          if (all_after && std::string(name) == "submit") continue;
          // Siblings are merged away, so that each round begins with as much.
          EXPECT(update(w, &reply, nullptr) == RINGLET_OK);
          ringlet_reply_release(reply);
          const long points = sweep(w, name, op, all_after);
          EXPECT(points > 0);
          tried += points;
        }
      }
      EXPECT(update(w, &reply, nullptr) == RINGLET_OK);
      ringlet_reply_release(reply);
      std::this_thread::sleep_for(
          std::chrono::milliseconds(4500));  // calls that were given up end at their deadline
      after = outstanding.load();
    }
    std::printf("%ld places, blocks alive %ld, %ld, %ld\n", tried, blocks[0], blocks[1], blocks[2]);
    EXPECT(blocks[2] - blocks[1] < tried / 10);
  }
  EXPECT(ringlet_has("debug.live_handles") == 0);
  return wrong != 0;
}
