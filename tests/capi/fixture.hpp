// What the C ABI's tests share: owners for its handles, and one small cluster for each test case.
#pragma once

#include <ringlet/ringlet.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace capi_test {

template <auto release>
struct Release {
  template <typename T>
  void operator()(T* handle) const {
    release(handle);
  }
};
template <typename T, auto release>
using Owned = std::unique_ptr<T, Release<release>>;

using Options = Owned<ringlet_options, ringlet_options_release>;
using ClientHandle = Owned<ringlet_client, ringlet_client_release>;
using Cluster = Owned<ringlet_cluster, ringlet_cluster_release>;
using Queue = Owned<ringlet_queue, ringlet_queue_release>;
using Reply = Owned<ringlet_reply, ringlet_reply_release>;
using Error = Owned<ringlet_error, ringlet_error_release>;
using Text = Owned<ringlet_text, ringlet_text_release>;

inline ringlet_bytes bytes(const std::string& text) {
  return {text.data(), text.size()};
}
inline ringlet_bytes bytes(std::string&& text) = delete;
inline std::string text(ringlet_bytes b) {
  return b.size == 0 ? std::string() : std::string(static_cast<const char*>(b.data), b.size);
}
inline std::string text(const Text& t) {
  return text(ringlet_text_bytes(t.get()));
}
inline ringlet_key key_of(const char* bucket, const char* key) {
  return {{bucket, std::strlen(bucket)}, {key, std::strlen(key)}};
}
inline std::string message(const Error& e) {
  return ringlet_error_message(e.get());
}
inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline Options options(std::initializer_list<std::pair<const char*, std::string>> values) {
  Options made(ringlet_options_new());
  for (const auto& [name, value] : values) {
    ringlet_error* error = nullptr;
    ringlet_status status = ringlet_options_set(made.get(), name, value.c_str(), &error);
    Error owned(error);
    INFO(name << ": " << message(owned));
    REQUIRE(status == RINGLET_OK);
  }
  return made;
}

struct Fixture {
  Cluster cluster;
  ClientHandle client;

  explicit Fixture(std::initializer_list<std::pair<const char*, std::string>> extra = {},
                   std::uint32_t nodes = 3) {
    Options o = options(extra);
    REQUIRE(ringlet_options_set(o.get(), "options.shared", "true", nullptr) == RINGLET_OK);
    ringlet_cluster* c = nullptr;
    ringlet_error* error = nullptr;
    ringlet_status status = ringlet_cluster_start(o.get(), nodes, RINGLET_ABI, &c, &error);
    Error owned(error);
    INFO(message(owned));
    REQUIRE(status == RINGLET_OK);
    cluster.reset(c);
    client = open(std::move(o));
  }
  ClientHandle open(Options o = options({})) const {
    ringlet_error* error = nullptr;
    REQUIRE(ringlet_options_set(o.get(), "client.seeds", ringlet_cluster_seeds(cluster.get()),
                                &error) == RINGLET_OK);
    ringlet_client* made = nullptr;
    ringlet_status status = ringlet_client_open(o.get(), RINGLET_ABI, &made, &error);
    Error owned(error);
    INFO(message(owned));
    REQUIRE(status == RINGLET_OK);
    return ClientHandle(made);
  }

  Reply get(ringlet_key key) const {
    ringlet_reply* reply = nullptr;
    ringlet_error* error = nullptr;
    ringlet_status status = ringlet_get(client.get(), key, nullptr, &reply, &error);
    Error owned(error);
    INFO(message(owned));
    REQUIRE(status == RINGLET_OK);
    return Reply(reply);
  }
  Reply put(ringlet_key key, const std::string& context, const std::string& value,
            const ringlet_call* call = nullptr) const {
    ringlet_reply* reply = nullptr;
    ringlet_error* error = nullptr;
    ringlet_status status =
        ringlet_put(client.get(), key, bytes(context), bytes(value), call, &reply, &error);
    Error owned(error);
    INFO(message(owned));
    REQUIRE(status == RINGLET_OK);
    return Reply(reply);
  }
};

// Every event until `done` requests are done or five seconds are over.
struct Drained {
  std::deque<ringlet_event> events;  // references stay good while more come
  ~Drained() {
    for (ringlet_event& event : events) ringlet_event_clear(&event);
  }
  std::size_t count(std::uint32_t kind) const {
    std::size_t n = 0;
    for (const ringlet_event& event : events) n += event.kind == kind;
    return n;
  }
};
inline void drain(ringlet_queue* queue, Drained& into, std::size_t done, std::size_t merges = 0) {
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while ((into.count(RINGLET_DONE) < done || into.count(RINGLET_MERGE) < merges) &&
         std::chrono::steady_clock::now() < until) {
    ringlet_event events[16];
    std::size_t n = 0;
    REQUIRE(ringlet_drain(queue, events, sizeof events[0], 16, 100, &n) == RINGLET_OK);
    into.events.insert(into.events.end(), events, events + n);
  }
}
inline Queue queue() {
  ringlet_queue* made = nullptr;
  REQUIRE(ringlet_queue_new(&made, nullptr) == RINGLET_OK);
  return Queue(made);
}

}  // namespace capi_test
