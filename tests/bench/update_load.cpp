// What updates cost, as ratios of one run (M-15). A cluster of three nodes and 64 clients in this process:
// 64 clients x 100 edits of one key, against the same edits on 64 keys; and one client's update, against a
// get and a put of the same bytes. Each client adds to its own entry of a counter, so what was lost or
// counted twice shows in the sum. One JSON object in a line of its own; exit code 1: a sum is wrong, an edit
// was not acknowledged, or with --bounds a ratio is beyond its bound.
#include <ringlet/ringlet.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

namespace {

using Clock = std::chrono::steady_clock;
using Counter = std::map<std::string, long>;

ringlet_bytes bytes(const std::string& text) {
  return {text.data(), text.size()};
}

void must(ringlet_status status, ringlet_error* error, const char* doing) {
  if (status == RINGLET_OK) return;
  std::fprintf(stderr, "%s: %s: %s\n", doing, ringlet_status_name(status),
               ringlet_error_message(error));
  std::exit(2);
}

// A line for each client: its name and its count.
Counter counter_of(ringlet_bytes value) {
  Counter counter;
  std::string text(value.size == 0 ? "" : static_cast<const char*>(value.data), value.size);
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = text.find('\n', at), space = text.find(' ', at);
    long count = 0;
    std::from_chars(text.data() + space + 1, text.data() + end, count);
    counter[text.substr(at, space - at)] = count;
    at = end + 1;
  }
  return counter;
}

std::string text_of(const Counter& counter) {
  std::string text;
  for (const auto& [name, count] : counter) text += name + " " + std::to_string(count) + "\n";
  return text;
}

struct Edit {
  const std::string* name;
  long edits = 0, merges = 0;
};

// The edit is +1 of the own entry, which must not run twice. A merge takes each entry's highest.
int resolve(void* user_data, ringlet_merge* merge) {
  auto& edit = *static_cast<Edit*>(user_data);
  const ringlet_reply* siblings = ringlet_merge_siblings(merge);
  Counter counter;
  for (std::size_t i = 0; i < ringlet_reply_count(siblings); ++i) {
    for (const auto& [name, count] : counter_of(ringlet_reply_value(siblings, i)))
      counter[name] = std::max(counter[name], count);
  }
  if (ringlet_merge_written(merge) == 0) {
    ++counter[*edit.name];
    ++edit.edits;
  } else {
    ++edit.merges;
  }
  std::string text = text_of(counter);
  ringlet_merge_answer(merge, bytes(text));
  return 0;
}

struct Outcome {
  double seconds = 0;
  long acknowledged = 0, merges = 0, left = 0, sum = 0, edits = 0;
};

class Load {
 public:
  Load(int clients, int edits) : edits_(edits) {
    ringlet_error* error = nullptr;
    must(ringlet_cluster_start(nullptr, 3, RINGLET_ABI, &cluster_, &error), error, "a cluster");
    for (int i = 0; i < clients; ++i) {
      ringlet_options* options = ringlet_options_new();
      must(ringlet_options_set(options, "client.seeds", ringlet_cluster_seeds(cluster_), &error),
           error, "client.seeds");
      ringlet_client* client = nullptr;
      must(ringlet_client_open(options, RINGLET_ABI, &client, &error), error, "a client");
      ringlet_options_release(options);
      clients_.push_back(client);
      names_.push_back("client" + std::to_string(i));
    }
  }
  ~Load() {
    for (ringlet_client* client : clients_) ringlet_client_release(client);
    ringlet_cluster_release(cluster_);
  }

  // Every client edits the key of this number; keys: one for all, or one each.
  Outcome run(const std::string& bucket, bool one_key) {
    // Every key has an entry for every client from the start: the values of both runs are of one size.
    for (std::size_t key = 0; key < (one_key ? 1 : clients_.size()); ++key)
      begin(bucket, key_name(key));
    std::vector<std::thread> threads;
    std::vector<Outcome> each(clients_.size());
    auto began = Clock::now();
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      threads.emplace_back([&, i] {
        std::string name = key_name(one_key ? 0 : i);
        for (int n = 0; n < edits_; ++n) update(i, bucket, name, each[i]);
      });
    }
    for (std::thread& thread : threads) thread.join();
    Outcome all;
    all.seconds = std::chrono::duration<double>(Clock::now() - began).count();
    for (const Outcome& one : each) {
      all.acknowledged += one.acknowledged;
      all.merges += one.merges;
      all.left += one.left;
      all.edits += one.edits;
    }
    for (std::size_t key = 0; key < (one_key ? 1 : clients_.size()); ++key)
      all.sum += sum_of(bucket, key_name(key));
    return all;
  }

  // One client, one key: an update, and a get and a put of the same bytes, in turns.
  double cost(int rounds) {
    std::string bucket = "cost", updated = "updated", put = "put";
    std::vector<double> updates, pairs;
    Outcome ignored;
    for (int i = 0; i < rounds; ++i) {
      auto began = Clock::now();
      update(0, bucket, updated, ignored);
      auto between = Clock::now();
      get_and_put(bucket, put);
      updates.push_back(std::chrono::duration<double>(between - began).count());
      pairs.push_back(std::chrono::duration<double>(Clock::now() - between).count());
    }
    return median(updates) / median(pairs);
  }

 private:
  static double median(std::vector<double>& times) {
    std::nth_element(times.begin(), times.begin() + static_cast<long>(times.size() / 2),
                     times.end());
    return times[times.size() / 2];
  }
  static std::string key_name(std::size_t number) { return "key" + std::to_string(number); }
  static ringlet_key key_of(const std::string& bucket, const std::string& name) {
    return {bytes(bucket), bytes(name)};
  }
  static ringlet_call patient() {
    ringlet_call call = RINGLET_CALL_INIT;
    call.timeout_ms = 600'000;
    return call;
  }

  void begin(const std::string& bucket, const std::string& name) {
    Counter counter;
    for (const std::string& client : names_) counter[client] = 0;
    std::string text = text_of(counter);
    ringlet_call call = patient();
    ringlet_error* error = nullptr;
    must(ringlet_put(clients_[0], key_of(bucket, name), {nullptr, 0}, bytes(text), &call, nullptr,
                     &error),
         error, "a put");
  }

  void update(std::size_t client, const std::string& bucket, const std::string& name,
              Outcome& outcome) {
    Edit edit{&names_[client]};
    ringlet_resolver resolver{resolve, nullptr, &edit};
    ringlet_call call = patient();
    ringlet_reply* reply = nullptr;
    ringlet_error* error = nullptr;
    ringlet_status status =
        ringlet_update(clients_[client], key_of(bucket, name), &resolver, &call, &reply, &error);
    if (status == RINGLET_OK) {
      ++outcome.acknowledged;
      outcome.left += ringlet_reply_merged(reply) == 0;
    } else {
      std::fprintf(stderr, "an update: %s\n", ringlet_error_message(error));
    }
    outcome.edits += edit.edits;
    outcome.merges += edit.merges;
    ringlet_reply_release(reply);
    ringlet_error_release(error);
  }

  void get_and_put(const std::string& bucket, const std::string& name) {
    ringlet_call call = patient();
    ringlet_reply* reply = nullptr;
    ringlet_error* error = nullptr;
    ringlet_key key = key_of(bucket, name);
    must(ringlet_get(clients_[0], key, &call, &reply, &error), error, "a get");
    Counter counter = counter_of(ringlet_reply_value(reply, 0));
    ++counter[names_[0]];
    std::string text = text_of(counter);
    call.flags = RINGLET_RETURN_SIBLINGS;  // as an update's write
    ringlet_reply* after = nullptr;
    must(ringlet_put(clients_[0], key, ringlet_reply_context(reply), bytes(text), &call, &after,
                     &error),
         error, "a put");
    ringlet_reply_release(reply);
    ringlet_reply_release(after);
  }

  // Read from all replicas: what is left side by side is merged here as any reader would.
  long sum_of(const std::string& bucket, const std::string& name) {
    ringlet_call call = patient();
    call.r = 3;
    ringlet_reply* reply = nullptr;
    ringlet_error* error = nullptr;
    must(ringlet_get(clients_[0], key_of(bucket, name), &call, &reply, &error), error, "a get");
    Counter counter;
    for (std::size_t i = 0; i < ringlet_reply_count(reply); ++i) {
      for (const auto& [client, count] : counter_of(ringlet_reply_value(reply, i)))
        counter[client] = std::max(counter[client], count);
    }
    ringlet_reply_release(reply);
    long sum = 0;
    for (const auto& [client, count] : counter) sum += count;
    return sum;
  }

  int edits_;
  ringlet_cluster* cluster_ = nullptr;
  std::vector<ringlet_client*> clients_;
  std::vector<std::string> names_;
};

void print(const char* name, const Outcome& outcome) {
  std::printf(
      "\"%s\":{\"seconds\":%.2f,\"acknowledged\":%ld,\"edits\":%ld,\"sum\":%ld,"
      "\"merges\":%ld,\"left\":%ld},",
      name, outcome.seconds, outcome.acknowledged, outcome.edits, outcome.sum, outcome.merges,
      outcome.left);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Measures updates: many writers of one key, and what one update costs."};
  int clients = 64, edits = 100, rounds = 3000;
  bool bounds = false;
  app.add_option("--clients", clients)->check(CLI::Range(1, 1000));
  app.add_option("--edits", edits, "of each client")->check(CLI::Range(1, 1'000'000));
  app.add_option("--rounds", rounds, "of the cost of one update")->check(CLI::Range(1, 1'000'000));
  app.add_flag("--bounds", bounds, "fail beyond 4x for one key, and 1.3x for one update");
  CLI11_PARSE(app, argc, argv);
  Load load(clients, edits);
  load.run("warm", false);
  Outcome many = load.run("many", false), one = load.run("one", true);
  double cost = load.cost(rounds), ratio = one.seconds / many.seconds;
  std::printf("{");
  print("one_key", one);
  print("a_key_each", many);
  std::printf("\"one_key_ratio\":%.2f,\"update_ratio\":%.2f}\n", ratio, cost);
  long wanted = static_cast<long>(clients) * edits;
  for (const Outcome& outcome : {many, one}) {
    if (outcome.acknowledged != wanted || outcome.sum != wanted || outcome.edits != wanted) {
      std::fprintf(stderr, "wanted %ld edits, each acknowledged and counted once\n", wanted);
      return 1;
    }
  }
  if (!bounds || (ratio <= 4.0 && cost <= 1.3)) return 0;
  std::fprintf(stderr, "wanted ratios of at most 4 and 1.3, got %.2f and %.2f\n", ratio, cost);
  return 1;
}
